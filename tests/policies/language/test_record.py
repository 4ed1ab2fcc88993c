from __future__ import annotations

import json
import math
import multiprocessing
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from simengine.errors import InputError, StoreError
from simengine.policies.language.calls import Capabilities, Failure, Message, Reply, Request, Usage
from simengine.policies.language.cassettes import manifest_of
from simengine.policies.language.entries import Entry, stored_request
from simengine.policies.language.record import KEPT_ENTRIES, Record

MODEL = "family/name"


def request_of(text: str, **settings) -> Request:
    return Request((Message("system", "You are an agent."), Message("user", text)), **settings)


def entry_of(text: str, answer: Reply | Failure | None = None, step: int = 0, **settings) -> Entry:
    request = request_of(text)
    content, texts = stored_request(request)
    given = Reply(text[::-1], usage=Usage(5, 0, 2)) if answer is None else answer
    return Entry(request.key(MODEL), MODEL, given, step, "agents.act", 0, content, texts, **settings)


def test_an_answer_comes_back_as_it_was_after_the_file_was_closed_and_opened(tmp_path):
    answer = Reply("yes é", (-0.1, -math.inf, -1e-300), "length", Usage(7, 3, 2, 1, False), "name-2024", "fp")
    failure = Failure("refusal", "it would rather not", 200)
    with Record(tmp_path / "calls.db") as record:
        record.put([entry_of("a", answer, 3, attempts=2, latency=0.5, date=9.0), entry_of("b", failure)])
    found = Record(tmp_path / "calls.db").get([entry_of("a").key, entry_of("b").key, "00" * 16])
    assert found[entry_of("a").key].answer == answer
    assert found[entry_of("b").key].answer == failure
    assert (found[entry_of("a").key].step, found[entry_of("a").key].attempts) == (3, 2)
    assert len(found) == 2


def test_half_a_character_in_an_answer_is_replaced_for_everybody():
    record = Record(None)
    (stored,) = record.put([entry_of("a", Reply("half \ud83d é"))])
    assert stored.answer == Reply("half ? é")
    assert [entry.answer for entry in record.entries()] == [stored.answer]


def test_what_was_asked_comes_back_with_its_texts():
    record = Record(None)
    request = request_of("Which one?", schema='{"type":"object"}', labels=("a", "b"))
    content, texts = stored_request(request)
    record.put([Entry(request.key(MODEL), MODEL, Reply("a"), request=content, texts=texts)])
    (entry,) = record.entries()
    assert record.asked(entry) == request.content()
    assert entry.texts == {}


def test_equal_texts_are_kept_once():
    record = Record(None)
    record.put([entry_of(f"question {number}") for number in range(20)])
    with record.database.using() as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (21,)


def test_of_two_answers_to_one_request_the_first_stays_and_both_are_told(tmp_path):
    first, second = Record(tmp_path / "calls.db"), Record(tmp_path / "calls.db")
    assert first.put([entry_of("a", Reply("one"))])[0].answer == Reply("one")
    stored = second.put([entry_of("b", Reply("three")), entry_of("a", Reply("two"))])
    assert [entry.answer for entry in stored] == [Reply("three"), Reply("one")]
    assert second.get([entry_of("a").key])[entry_of("a").key].answer == Reply("one")


@pytest.mark.parametrize("kind", ["rate_limit", "transient", "timeout"])
def test_a_passing_failure_holds_for_its_own_step_only(kind, tmp_path):
    key = entry_of("a").key
    for record in (Record(None), Record(tmp_path / "calls.db")):
        record.put([entry_of("a", Failure(kind, "later"), 5)])
        assert record.get([key], 5)[key].answer == Failure(kind, "later")
        assert record.get([key], 6) == {}
        record.put([entry_of("a", Reply("yes"), 7)])
        assert isinstance(record.get([key], 5)[key].answer, Failure)
        assert record.get([key], 7)[key].answer == Reply("yes")
        assert record.get([key], 9)[key].answer == Reply("yes")
        assert record.get([key])[key].answer == Reply("yes")


@pytest.mark.parametrize("kind", ["refusal", "malformed", "too_long"])
def test_a_failure_that_belongs_to_the_request_stands(kind):
    record = Record(None)
    record.put([entry_of("a", Failure(kind, "no"), 5)])
    assert record.get([entry_of("a").key], 8)[entry_of("a").key].step == 5


def test_the_first_step_of_an_answer_can_only_become_earlier():
    record = Record(None)
    key = entry_of("a").key
    record.put([entry_of("a", step=9)])
    record.lower([key], 4)
    record.lower([key], 6)
    assert record.get([key])[key].step == 4


def test_more_entries_than_are_kept_in_memory_are_all_found():
    record = Record(None)
    number = KEPT_ENTRIES + 300
    content, texts = stored_request(request_of("?"))
    keys = [f"{place:032x}" for place in range(number)]
    record.put([Entry(key, MODEL, Reply(key), request=content, texts=texts) for key in keys])
    assert len(record._recent) == KEPT_ENTRIES
    assert [record.get([key])[key].answer for key in keys[::1000]] == [Reply(key) for key in keys[::1000]]
    assert len(record.get(keys)) == number
    assert [entry.key for entry in record.entries()] == keys


def test_the_digest_is_of_answers_and_not_of_what_they_took():
    quick, slow, other = Record(None), Record(None), Record(None)
    quick.put([entry_of("a", latency=0.1), entry_of("b")])
    slow.put([entry_of("b", Reply("b", usage=Usage(9, 9, 9), fingerprint="x"), attempts=4)])
    slow.put([entry_of("a", latency=2.0, date=1e9)])
    other.put([entry_of("a", Reply("a", (-1.0,))), entry_of("b")])
    assert quick.digest() == slow.digest()
    assert quick.digest() != other.digest()


def test_texts_are_found_by_their_digests():
    record = Record(None)
    record.keep_texts({2**61: "hello", 5: "other"})
    record.keep_texts({})
    assert record.texts(np.array([2**61, 7])) == {2**61: "hello"}


def test_decisions_come_back_by_step_and_id_whatever_part_wrote_them():
    record = Record(None)
    wide = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
    record.keep_decisions(1, "agents.act", part="b", ids=np.array([3, 1]), actions=np.array([1, 0]), p=wide)
    record.keep_decisions(1, "agents.act", part="a", ids=np.array([2]), actions=np.array([9]), p=wide[:1])
    record.keep_decisions(0, "agents.act", ids=np.array([7, 5]), actions=np.array([4, 6]), p=wide)
    record.keep_decisions(2, "agents.act", ids=np.array([1]), actions=np.array([1]), p=wide[:1])
    record.keep_decisions(0, "agents.other", ids=np.array([0]))
    record.forget_decisions(after=1)
    found = record.decisions("agents.act")
    assert found["step"].tolist() == [0, 0, 1, 1, 1]
    assert found["ids"].tolist() == [5, 7, 1, 2, 3]
    assert found["actions"].tolist() == [6, 4, 0, 9, 1]
    assert found["p"].dtype == np.float32
    assert found["p"][2].tolist() == [1.0, 0.0]
    assert record.decisions("agents.act", 1, 1)["ids"].tolist() == [1, 2, 3]
    assert record.decisions("nothing") == {}
    assert record.decision_labels() == ["agents.act", "agents.other"]


def test_decisions_taken_again_replace_those_of_the_same_part():
    record = Record(None)
    for action in (1, 2):
        record.keep_decisions(4, "agents.act", ids=np.array([0]), actions=np.array([action]))
    assert record.decisions("agents.act")["actions"].tolist() == [2]


def test_columns_of_different_length_are_refused():
    with pytest.raises(StoreError, match="one row per agent"):
        Record(None).keep_decisions(0, "agents.act", ids=np.arange(3), actions=np.arange(2))


def test_redaction_takes_names_out_of_all_texts_and_out_of_what_is_handed_on(tmp_path):
    path = tmp_path / "calls.db"
    record = Record(path, redact=lambda text: text.replace("Alice", "X"))
    (stored,) = record.put([entry_of("Who is Alice?", Reply("Alice is Alice"))])
    record.put([entry_of("Alice?", Failure("refusal", "not Alice"))])
    record.keep_texts({1: "Alice"})
    assert stored.answer == Reply("X is X")
    assert stored.key == entry_of("Who is Alice?").key
    record.close()
    assert b"Alice" not in path.read_bytes()


def test_a_cassette_holds_everything(tmp_path):
    record = Record(tmp_path / "calls.db")
    record.keep_backend(Capabilities(MODEL, score=False, batch=7, label="a label", limits={"limit_requests": 5.0}))
    record.put([entry_of(f"q{number}", attempts=1) for number in range(700)])
    record.put([entry_of("scored", Reply("", (-0.5, -math.inf))), entry_of("late", Failure("timeout", "late"), 2)])
    record.keep_texts({3: "text"})
    record.keep_decisions(1, "agents.act", ids=np.arange(4), actions=np.arange(4))
    record.export(tmp_path / "calls.zip")
    copy = Record.open(tmp_path / "calls.zip")
    assert copy.digest() == record.digest()
    assert list(copy.entries()) == list(record.entries())
    assert copy.backends() == record.backends()
    assert copy.texts([3]) == {3: "text"}
    assert copy.decisions("agents.act")["actions"].tolist() == [0, 1, 2, 3]
    assert copy.spent(MODEL) == record.spent(MODEL) == [("agents.act", 700, 700, 3500, 0, 1400, 0, 0)]
    manifest = manifest_of(tmp_path / "calls.zip")
    assert manifest["counts"]["answers"] == 702
    assert manifest["models"] == [MODEL]
    assert sorted(path.name for path in tmp_path.glob("*zip*")) == ["calls.zip"]


def test_what_a_cassette_brings_does_not_replace_what_is_there(tmp_path):
    record, other = Record(None), Record(None)
    record.put([entry_of("a", Reply("mine"))])
    other.put([entry_of("a", Reply("theirs")), entry_of("b")])
    other.export(tmp_path / "other.zip")
    record.import_(tmp_path / "other.zip")
    assert record.get([entry_of("a").key])[entry_of("a").key].answer == Reply("mine")
    assert len(record) == 2


def test_a_cassette_that_lacks_rows_is_refused_whole(tmp_path):
    record = Record(None)
    record.put([entry_of("a"), entry_of("b")])
    record.export(tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        for name in good.namelist():
            lines = good.read(name)
            bad.writestr(name, lines.split(b"\n")[0] if name == "answers.jsonl" else lines)
    target = Record(None)
    with pytest.raises(InputError, match="1 answers, its manifest says 2"):
        target.import_(tmp_path / "bad.zip")
    assert len(target) == 0
    (tmp_path / "not.zip").write_text("words")
    for name, words in (("not.zip", "not a cassette"), ("none.zip", "no cassette")):
        with pytest.raises(InputError, match=words):
            target.import_(tmp_path / name)


def test_files_that_are_no_records_are_named_in_one_line(tmp_path):
    (tmp_path / "text.db").write_text("these are words")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE something (x)")
    other.close()
    for name in ("text.db", "other.db"):
        with pytest.raises(InputError, match="is not a record of calls"):
            len(Record(tmp_path / name))
    with pytest.raises(InputError, match="there is no record"):
        len(Record(tmp_path / "none.db", create=False))
    with pytest.raises(InputError, match="there is no record"):
        Record.open(tmp_path / "none.db")
    with pytest.raises(InputError, match="there is no folder"):
        len(Record(tmp_path / "none" / "calls.db"))
    with pytest.raises(InputError, match="is a folder"):
        len(Record(tmp_path))


def test_copies_of_a_record_open_the_same_file_and_copies_of_one_in_memory_hold_its_content(tmp_path):
    for record in (Record(tmp_path / "calls.db"), Record(None)):
        record.put([entry_of("a")])
        copy = pickle.loads(pickle.dumps(record))
        assert copy.get([entry_of("a").key])[entry_of("a").key].answer == Reply("a", usage=Usage(5, 0, 2))
        copy.put([entry_of("b")])
        assert len(record) == (2 if record.path else 1)


def test_there_is_one_record_of_a_file_in_a_process(tmp_path):
    record = Record.at(tmp_path / "calls.db")
    assert Record.at(tmp_path / "calls.db") is record
    assert Record.at(str(tmp_path / "." / "calls.db")) is record
    record.close()
    assert len(record) == 0


def test_a_forked_process_writes_to_the_file_and_leaves_the_parent_s_connection_alone(tmp_path):
    record = Record(tmp_path / "calls.db")
    record.put([entry_of("a")])
    held = record.database._lock
    with held:
        child = multiprocessing.get_context("fork").Process(target=lambda: record.put([entry_of("b")]))
        child.start()
        child.join(30)
    assert child.exitcode == 0
    record.put([entry_of("c")])
    assert len(record) == 3


def test_threads_write_and_read_at_once(tmp_path):
    record = Record(tmp_path / "calls.db")
    wrong = []

    def work(name: int) -> None:
        for number in range(40):
            entry = entry_of(f"{name} {number}")
            record.put([entry])
            if record.get([entry.key])[entry.key].answer != entry.answer:
                wrong.append(entry)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(record) == 320


KILLED = """
import os, signal, sys
from simengine.policies.language.calls import Reply
from simengine.policies.language.entries import Entry
from simengine.policies.language.record import Record
record = Record(sys.argv[1])
for number in range(30):
    record.put([Entry(f"{number:032x}", "m", Reply(str(number)))])
    print(number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_all_it_was_told_to_be_written(tmp_path):
    path = tmp_path / "calls.db"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [str(number) for number in range(30)]
    assert Path(f"{path}-wal").stat().st_size > 0
    assert len(Record(path)) == 30


def test_a_closed_record_is_one_file(tmp_path):
    record = Record(tmp_path / "calls.db")
    record.put([entry_of("a")])
    record.close()
    assert [path.name for path in tmp_path.iterdir()] == ["calls.db"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_read(tmp_path):
    with Record(tmp_path / "calls.db") as record:
        record.put([entry_of("a")])
    tmp_path.chmod(0o555)
    try:
        read = Record(tmp_path / "calls.db")
        assert len(read) == 1
        with pytest.raises(StoreError, match="may only be read"):
            read.put([entry_of("b")])
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (request_of("You see tails."), r"messages\[1\]: 'You see heads.' recorded, 'You see tails.' asked"),
        (request_of("You see heads.", temperature=0.5), "temperature: 1.0 recorded, 0.5 asked"),
        (request_of("You see heads.", order=1), "order: 0 recorded, 1 asked"),
        (request_of("You see heads.", schema="{}"), "schema: '' recorded, '{}' asked"),
        (Request((Message("user", "You see heads."),)), "number of messages: 2 recorded, 1 asked"),
    ],
)
def test_the_nearest_record_says_what_differs(asked, words):
    record = Record(None)
    record.put([entry_of("Something else altogether, and long.", step=1), entry_of("You see heads.", step=3)])
    line = record.nearest(asked, MODEL)
    assert "step 3" in line
    assert re.search(words, line)


def test_the_nearest_record_names_another_model_and_an_empty_record():
    record = Record(None)
    assert record.nearest(request_of("a"), MODEL) == "the record is empty"
    record.put([entry_of("a")])
    assert f"model '{MODEL}', not 'other/one'" in record.nearest(request_of("a"), "other/one")


def test_a_stored_request_names_its_texts_by_digest_only():
    content, texts = stored_request(request_of("secret words", schema='{"a":1}'))
    assert "secret" not in content
    assert set(texts.values()) == {"You are an agent.", "secret words", '{"a":1}'}
    assert json.loads(content)["kind"] == "complete"
