from __future__ import annotations

import pickle

import pytest

from simengine.errors import InputError
from simengine.policies.language.backends.replay import Replay
from simengine.policies.language.calls import Backend, Capabilities, Failure, Message, Reply, Request
from simengine.policies.language.entries import Entry, stored_request
from simengine.policies.language.gateway import Gateway
from simengine.policies.language.record import Record

CAN = Capabilities("family/name", score=False, batch=3, label="a label")


def asks(text: str, **settings) -> Request:
    return Request((Message("user", text),), **settings)


def recorded(path=None, model: str = CAN.model) -> Record:
    record = Record(path)
    record.keep_backend(Capabilities(model, score=False, batch=3, label="a label"))
    for step, (text, answer) in enumerate(
        {"heads": Reply("yes"), "tails": Failure("refusal", "no"), "edge": Failure("timeout", "late")}.items()
    ):
        content, texts = stored_request(asks(text))
        record.put([Entry(asks(text).key(model), model, answer, step, "agents.act", 0, content, texts, 1)])
    return record


def test_it_answers_what_was_recorded_and_can_what_the_recorded_backend_could():
    replay = Replay(recorded())
    assert isinstance(replay, Backend)
    assert replay.capabilities() == CAN
    assert replay.complete([asks("tails"), asks("heads")]) == [Failure("refusal", "no"), Reply("yes")]
    assert replay.score([]) == []


def test_a_request_that_is_not_there_names_the_nearest_one():
    for missing in (
        lambda: Replay(recorded()).complete([asks("heads"), asks("Heads")]),
        lambda: Gateway(Replay(recorded()), Record(None)).submit([asks("Heads")], step=0, label="agents.act"),
    ):
        with pytest.raises(
            InputError, match=r"not in the record: .* differs in messages\[0\]: 'heads' recorded, 'Heads'"
        ):
            missing()


def test_a_failure_of_one_step_is_replayed_at_that_step_only():
    way = Gateway(Replay(recorded()), Record(None))
    (outcome,) = way.submit([asks("edge")], step=2, label="agents.act").result()
    assert outcome.answer == Failure("timeout", "late")
    assert (outcome.fresh, outcome.source) == (True, "record")


def test_a_replay_into_a_new_record_makes_an_equal_one_that_cost_nothing():
    record = recorded()
    way = Gateway(Replay(record), Record(None))
    for step, text in enumerate(("heads", "tails", "edge")):
        way.submit([asks(text)], step=step, label="agents.act").result()
    assert way.record.digest() == record.digest()
    assert way.record.backends() == record.backends()
    assert way.ledger.total.calls == 0
    assert [way.record.asked(entry) for entry in way.record.entries()] == [
        record.asked(entry) for entry in record.entries()
    ]


def test_a_replay_of_the_run_s_own_record_changes_nothing(tmp_path):
    record = recorded(tmp_path / "calls.db")
    before = list(record.entries())
    way = Gateway(Replay(record), record)
    assert not way.submit([asks("heads")], step=7, label="agents.act").result()[0].fresh
    assert list(record.entries()) == before


def test_records_and_cassettes_are_found_by_their_paths(tmp_path):
    recorded(tmp_path / "calls.db").export(tmp_path / "calls.zip")
    for name in ("calls.db", "calls.zip"):
        assert Replay(tmp_path / name).complete([asks("heads")]) == [Reply("yes")]
        assert pickle.loads(pickle.dumps(Replay(tmp_path / name))).complete([asks("heads")]) == [Reply("yes")]
    with pytest.raises(InputError, match="there is no record"):
        Replay(tmp_path / "none.db")


def test_the_model_has_to_be_named_where_there_are_several():
    record = recorded()
    record.keep_backend(Capabilities("other/one"))
    with pytest.raises(InputError, match="say which model; recorded: family/name, other/one"):
        Replay(record)
    assert Replay(record, "family/name").capabilities() == CAN
    with pytest.raises(InputError, match="no answers of 'third'"):
        Replay(record, "third")
    with pytest.raises(InputError, match="recorded: none"):
        Replay(Record(None))
