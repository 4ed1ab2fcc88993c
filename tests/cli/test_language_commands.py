"""Language models on the command line: runs, what can be done with their files, and the commands of ``llm``."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from test_completion import bash

import simengine
from simengine.cli import completing, language_options, main, options
from simengine.policies import reports
from simengine.policies.answers import labelled
from simengine.policies.language import prompts
from simengine.policies.language.backends import openai
from simengine.policies.language.calls import Failure, Reply, Usage
from simengine.policies.language.doctor import calls_needed
from simengine.policies.language.entries import Entry
from simengine.policies.language.latest import latest
from simengine.policies.language.record import Record
from simengine.runs import registry
from simengine.store.attributes import decode_attributes
from simengine.testing.language_faults import Faults
from simengine.testing.language_server import Server, serve

HERD = ("social_learning", "--set", "n_communities=20", "--steps", "5", "--no-progress")
KEPT = {"herd.nc", *(f"herd.nc.calls{end}" for end in ("", "-wal", "-shm"))}
ASKED = (*HERD, "--policy", "agents.act=language", "--backend", "surrogate")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that a language model took part in."""
    folder = tmp_path_factory.mktemp("herds")
    assert main(["run", *ASKED, "--out", str(folder / "herd.nc")]) == 0
    return folder


@pytest.fixture
def there(files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Path]:
    capsys.readouterr()
    monkeypatch.chdir(files)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    yield files
    for path in files.iterdir():
        if path.is_file() and path.name not in KEPT:
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("aiohttp")
    with serve(models=["m", "n"], requests_per_minute=60_000, key="sk-secret") as started:
        yield started


def printed(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    assert main([*map(str, arguments)]) == code, capsys.readouterr().err
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    return json.loads(printed(capsys, *arguments, "--json", code=code))


def hash_of(path: str | Path) -> Any:
    with xr.open_dataset(path) as dataset:
        return dataset.attrs["content_hash"]


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


# -- run, resume, rerun, branch ------------------------------------------------------------------------------------


def test_a_run_tells_what_became_of_the_decisions_of_language_models(there, capsys):
    lines = printed(capsys, "run", *ASKED, "--share", "0.5", "--out", "half.nc").splitlines()
    place = lines.index("Decisions of language models")
    with xr.open_dataset("half.nc") as dataset:
        asked, reused = (int(dataset[f"language_act_{name}"][-1]) for name in ("asked", "reused"))
    row = lines[place + 2]
    assert row.split()[:6] == ["agents.act", "surrogate,", "not", "an", "LLM", str(asked)]
    assert f" {reused} " in row
    assert "0 (0.00%)" in row
    assert 0 < asked < 100
    assert not any(line.strip().startswith("language_") for line in lines)


def test_the_document_of_a_run_says_what_was_asked_and_spent(there, capsys):
    said = document(capsys, "run", *ASKED, "--out", "same.nc")
    (facts,) = said["language"]["agents.act"]
    assert facts["backend"] == "surrogate, not an LLM"
    assert facts["elicitation"] == "label_probabilities"
    assert facts["decisions"]["asked"] == 100
    spent = said["language_calls"]["agents.act"][0]["spent"]["agents.act"]
    assert spent["calls"] == len(Record.open("same.nc.calls"))
    assert said["content_hash"] == hash_of("herd.nc")


BY = "--policy act=language --backend"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--policy act=language", "--policy act=language: no backend is given; --backend openai (--base-url"),
        ("--policy agents.atc=language", "there is no decision 'agents.atc'; did you mean 'agents.act'?"),
        ("--policy agent=language", "there is no decision 'agent'; did you mean 'agents'?"),
        ("--policy agents.act", "--policy 'agents.act': give it as POPULATION.DECISION=language, or =rule"),
        ("--policy act=languge", "or =rule; did you mean 'language'?"),
        ("--policy word=language", "agents.word is not taken with these parameters, only with spoken=True"),
        ("--share 0.5", "--share is of language models, and nobody is one: --policy POPULATION.DECISION=language"),
        (f"{BY} openia", "--backend 'openia': allowed are openai, transformers, surrogate; did you mean 'openai'?"),
        (f"{BY} openai", "--backend openai needs --model"),
        (f"{BY} transformers", "--backend transformers needs --model"),
        (f"{BY} openai --model m", "--backend openai needs the server's URL (--base-url, or $OPENAI_BASE_URL)"),
        (f"{BY} openai --model m --base-url http://x/v1 --schema promt", "prompt; did you mean 'prompt'?"),
        (f"{BY} surrogate --base-url x --schema prompt", "surrogate takes no --base-url and no --schema"),
        (f"{BY} surrogate --budget call=3", "give it as calls=N, tokens=N or both; did you mean 'calls'?"),
        (f"{BY} surrogate --budget calls=many", "--budget 'calls=many': 'many' is no number"),
        (f"{BY} surrogate --budget calls=1,calls=2", "--budget 'calls=1,calls=2': calls stands there twice"),
        (f"{BY} surrogate --budget ''", "--budget '': give it as calls=N, tokens=N or both"),
        (f"{BY} surrogate --elicitation sample", "percentages, single, structured; did you mean 'samples'?"),
        (f"{BY} surrogate --elicitation structured", "agents.act: elicitation 'structured' of a decision with options"),
        (f"{BY} surrogate --share 2", "--share 2: a share is between 0 and 1"),
        (f"{BY} surrogate --connections 0", "--connections 0: allowed is a whole number from 1"),
        (f"{BY} surrogate --requests-per-minute 0", "requests_per_minute is 0.0; allowed is a number above 0"),
        (f"{BY} surrogate --most-fallbacks 2", "allowed is a share from 0 to 1"),
        (f"{BY} surrogate --answers-cache no/x", "--answers-cache no/x: there is no folder 'no'"),
        (f"{BY} surrogate --answers-cache herd.nc", "herd.nc is not a record of calls"),
    ],
)
def test_wrong_words_about_language_models_get_one_line_and_nothing_is_written(there, capsys, line, expected):
    assert main(["run", *HERD, *shlex.split(line), "--out", "wrong.nc"]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("simengine: ")
    assert complaint.count("\n") == 1
    assert expected in complaint
    assert {path.name for path in there.iterdir()} <= KEPT


def test_the_decisions_of_a_population_are_those_that_are_taken(there):
    scenario = registry.find("social_learning")
    given = {"backend": "surrogate"}

    def labels(*texts: str, **parameters: Any) -> list[str]:
        return list(language_options.policies_of(scenario, texts, given, parameters))

    quiet = labels("agents=language")
    assert "agents.word" not in quiet
    assert set(labels("agents=language", spoken=True)) == {*quiet, "agents.word", "agents.believe"}
    assert labels("agents=language", "act=rule") == [label for label in quiet if label != "agents.act"]
    assert labels("act=language", "act=rule") == []


def test_a_run_that_a_budget_stopped_says_how_to_go_on_and_the_words_work(there, capsys):
    arguments = ["run", *ASKED, "--checkpoint-every", "1", "--out", "my herd.nc", "--budget"]
    assert main([*arguments, "calls=12"]) == 1
    complaint = capsys.readouterr().err
    assert "12 of 12 calls spent" in complaint
    words = shlex.split(complaint.rstrip().rpartition("; to go on: ")[2])
    assert words == ["simengine", "resume", "my herd.nc", "--backend", "surrogate", "--budget", "calls=N"]
    assert main(["resume", "my herd.nc"]) == 2
    assert "not in the record" in capsys.readouterr().err
    assert main(["resume", "my herd.nc", "--budget", "calls=50"]) == 2
    assert "resume: no backend is given" in capsys.readouterr().err
    said = document(capsys, *words[1:-1], "calls=50", "--no-progress")
    assert said["resumed"]
    assert hash_of("my herd.nc") == hash_of("herd.nc")
    assert main(["resume", "my herd.nc", "--backend", "surrogate"]) == 0


def test_a_run_is_repeated_from_its_record(there, capsys):
    assert printed(capsys, "rerun", "herd.nc", "--no-progress") == "herd.nc: equal, bit for bit\n"


def test_a_branch_asks_what_its_record_lacks(there, capsys):
    arguments = ["branch", "herd.nc", "--at", "2", "--set", "loss=2", "--no-progress", "--out", "branch.nc"]
    assert main(arguments) == 1
    complaint = capsys.readouterr().err
    assert "not in the record" in complaint
    assert complaint.rstrip().endswith("to go on: simengine resume branch.nc")
    printed(capsys, "resume", "branch.nc", "--backend", "surrogate", "--no-progress")
    resumed = hash_of("branch.nc")
    printed(capsys, *arguments, "--force", "--backend", "surrogate")
    assert hash_of("branch.nc") == resumed


def test_a_sweep_takes_no_options_of_language_models(there, capsys):
    (there / "noise").mkdir()
    (there / "noise" / "sweep.json").write_text("{}")
    assert main(["resume", "noise", "--backend", "surrogate"]) == 2
    assert capsys.readouterr().err == "simengine: --backend: no sweep has language models\n"


def test_the_options_to_go_on_with_hold_what_the_user_said_and_only_that():
    said = {"backend": "openai", "model": "my model", "budget": "tokens=5,calls=3", "requests_per_minute": 500.0}
    assert language_options.again({**said, "share": 0.5}) == (
        " --backend openai --model 'my model' --budget tokens=5,calls=3 --requests-per-minute 500"
    )
    assert language_options.again(said, spent=True).count("tokens=N,calls=N") == 1
    assert language_options.again({}) == ""


# -- llm doctor ----------------------------------------------------------------------------------------------------


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERD_KEY", "sk-secret")


def test_the_doctor_says_what_it_will_ask_and_what_it_found(there, server, key, capsys):
    server.reset()
    lines = printed(
        capsys, "llm", "doctor", server.url, "--model", "m", "--key-env", "HERD_KEY", "--repeats", 2
    ).splitlines()
    number = calls_needed(openai.OpenAI(server.url, "m"), repeats=2)
    assert lines[0].startswith(f"{number} short calls to openai/m at {server.url}, of at most 64 tokens each")
    assert server.paid.calls == number
    rows = [" ".join(line.split()) for line in lines]
    for expected in (
        "models served m, n",
        "schema response_format: kept",
        "log-probabilities told; three listed options have 1.000 of the probability",
        "results repeatable",
        "options of run the defaults",
    ):
        assert expected in rows
    for name in ("same request", "latency", "limits told", f"this took {number} calls"):
        assert any(row.startswith(name) for row in rows), (name, rows)
    assert "sk-secret" not in "".join(lines)


def test_the_doctor_names_the_options_that_suit_a_server(there, key, capsys):
    with serve(faults=Faults(no_log_probabilities=1.0)) as poor:
        said = document(capsys, "llm", "doctor", poor.url, "--model", "m", "--repeats", 2)
    assert said["usable"]
    assert said["settings"] == {"score": False}
    assert said["options"] == "--elicitation percentages"


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9/v1"])
def test_a_server_that_cannot_be_used_ends_with_1(there, server, url, capsys, monkeypatch):
    monkeypatch.setenv("HERD_KEY", "sk-wrong")
    words = ["llm", "doctor", url or server.url, "--model", "m", "--key-env", "HERD_KEY"]
    assert main(words) == 1
    shown = capsys.readouterr()
    assert any(row[:1] == ["problem"] for row in cells(shown.out))
    assert "sk-wrong" not in shown.out + shown.err
    said = document(capsys, *words, code=1)
    assert not said["usable"]
    assert said["problem"]
    assert said["latency"] is None


def test_the_doctor_examines_what_needs_no_server(there, capsys):
    said = document(capsys, "llm", "doctor", "--backend", "surrogate")
    assert said["model"] == "surrogate/ngram"
    assert said["calls"] == calls_needed(simengine.Surrogate())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["doctor"], "--backend openai needs --model"),
        (["doctor", "--model", "m"], "--backend openai needs the server's URL"),
        (["doctor", "http://x/v1", "--backend", "surrogate"], "--backend surrogate takes no --base-url"),
        (["doctor", "http://x/v1", "--model", "m", "--repeats", "1"], "--repeats 1: allowed is a whole number from 2"),
        (["cost", "social_learning"], "nobody is a language model: --policy POPULATION.DECISION=language"),
        (["cost", "social_learning", "--policy", "act=rule"], "nobody is a language model"),
        (["cost", "social_learnin", "--policy", "act=language"], "did you mean 'social_learning'?"),
        (["cost", "social_learning", "--policy", "act=language", "more"], "unexpected argument 'more'"),
        (["cost", "social_learning", "--policy", "act=language", "--input-price", "1"], "money needs --output-price"),
        (["cost", "social_learning", "--policy", "act=language", "--currency", "EUR"], "money needs --input-price"),
        (["calls", "nowhere.nc"], "there is no record of calls 'nowhere.nc.calls'; only runs with language models"),
        (["calls", "herd.nc", "--last", "0"], "--last 0: allowed is a whole number from 1"),
        (["calls", "herd.nc", "--decision", "atc"], "herd.nc.calls holds agents.act; did you mean 'act'?"),
        (["cals", "herd.nc"], "No such command 'cals'"),
    ],
)
def test_wrong_words_of_llm_get_one_line(there, capsys, arguments, expected):
    assert main(["llm", *arguments]) == 2
    complaint = capsys.readouterr().err.splitlines()
    assert complaint[-1].startswith("simengine: ")
    assert expected in complaint[-1]
    assert len(complaint) == 1
    assert {path.name for path in there.iterdir()} <= KEPT


# -- llm cost ------------------------------------------------------------------------------------------------------

COST = ("llm", "cost", *HERD, "--policy", "agents.act=language")
PRICES = ("--input-price", 2, "--output-price", 8, "--cached-price", 0.5, "--currency", "EUR")


def test_a_forecast_with_the_model_of_the_trial_is_what_the_run_takes(there, capsys):
    said = document(capsys, *COST)
    with simengine.open("herd.nc") as dataset:
        attributes = decode_attributes(dataset.attrs)
    spent = attributes["language_calls"]["agents.act"][0]["spent"]["agents.act"]
    assert (said["calls"], said["input_tokens"], said["output_tokens"]) == (
        spent["calls"], spent["input"], spent["output"],
    )  # fmt: skip
    assert said["decisions"]["agents.act"]["decisions"] == 100
    assert said["decisions"]["agents.act"]["elicitation"] == "label_probabilities"
    assert said["steps"] == 5
    assert said["money"] is None
    assert said["shortest_seconds"] is None
    assert "an estimate otherwise" in said["note"]
    assert {path.name for path in there.iterdir()} <= KEPT


def test_money_and_time_follow_from_prices_and_limits(there, capsys):
    arguments = (*COST, "--elicitation", "single", "--requests-per-minute", 40, *PRICES)
    said = document(capsys, *arguments)
    assert said["calls"] == said["decisions"]["agents.act"]["decisions"] == 100
    assert said["shortest_seconds"] == 150
    sent, received, most = (said[name] for name in ("input_tokens", "output_tokens", "most_output_tokens"))
    money = said["money"]
    assert most == 100 * 64 > received
    assert money["expected"] == pytest.approx((2 * sent + 8 * received) / 1e6)
    assert money["at_most"] == pytest.approx((2 * sent + 8 * most) / 1e6)
    # All calls but the first begin with the same system message, which is most of what is sent.
    assert 0.25 * money["expected"] < money["if_cached"] < 0.75 * money["expected"]
    assert money["currency"] == "EUR"
    text = printed(capsys, *arguments)
    rows = [" ".join(line.split()) for line in text.splitlines()]
    situations = said["decisions"]["agents.act"]["situations"]
    assert f"agents.act single 100 {situations} 100 {sent:,} {received:,} 6,400" in rows
    assert "shortest time 2 min 30 s under the limits" in rows
    assert any(row.startswith("money") and row.count("EUR") == 3 for row in rows)
    assert "the number of calls is exact where it does not depend" in text.lower()


def test_a_share_of_the_agents_costs_less(there, capsys):
    few = document(capsys, *COST, "--elicitation", "single", "--share", 0.3)
    assert 5 < few["calls"] < 60
    assert few["calls"] == few["decisions"]["agents.act"]["decisions"]


# -- llm calls -----------------------------------------------------------------------------------------------------


def test_the_last_calls_are_shown_with_their_texts(there, capsys):
    before = Path("herd.nc.calls").read_bytes()
    text = printed(capsys, "llm", "calls", "herd.nc", "--last", 2)
    number = len(Record.open("herd.nc.calls"))
    assert text.startswith(f"herd.nc.calls: the last 2 of {number} calls\n")
    assert text.count("Do you buy the model or leave it?") == 2
    rows = cells(text)
    assert sum(row[:1] == ["system"] for row in rows) == sum(row[:2] == ["outcome", "reply:"] for row in rows) == 2
    assert any(row[:2] == ["reply", "buy"] and "leave" in row for row in rows)
    assert any("tokens" in row and "(estimated)" in row for row in rows)
    assert Path("herd.nc.calls").read_bytes() == before


def test_calls_are_one_document_and_of_one_decision(there, capsys):
    said = document(capsys, "llm", "calls", "herd.nc.calls", "--decision", "act", "--last", 1000)
    found = said["calls"]
    assert said["recorded"] == {"agents.act": len(found)}
    assert [call["step"] for call in found] == sorted(call["step"] for call in found)
    last = found[-1]
    assert [message["role"] for message in last["messages"]] == ["system", "user"]
    assert set(last["probabilities"]) == {"buy", "leave"}
    assert 0 < sum(last["probabilities"].values()) <= 1
    assert last["outcome"] == "reply"
    assert last["attempts"] == 1
    assert last["input_tokens"] > 100


def test_failures_are_shown_with_their_reason(there, capsys):
    with Record("odd.nc.calls") as record:
        refused = Entry("0" * 32, "m", Failure("refusal", "it will not"), 1, "agents.act", attempts=2)
        known = Entry("1" * 32, "m", Reply("\x1b[31mred", usage=Usage(3, 0, 4)), 2, "agents.plan")
        record.put([known, refused])
        assert [entry.step for entry in latest(record, 5)] == [1, 2]
    text = printed(capsys, "llm", "calls", "odd.nc")
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "outcome refusal: it will not" in rows
    assert any(row.startswith("took") and row.endswith("2 attempts") for row in rows)
    assert "took nothing: it was known from another record; tokens 3 in, 4 out" in rows
    assert "\x1b" not in text
    first, second = document(capsys, "llm", "calls", "odd.nc")["calls"]
    assert (first["outcome"], first["reason"], first["reply"]) == ("refusal", "it will not", None)
    assert second["reply"] == "\x1b[31mred"


# -- help and completion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["llm"], ["llm", "-h"], ["llm", "doctor", "-h"], ["llm", "cost", "--help"]])
def test_help_of_llm_shows_an_example(arguments, capsys):
    assert "simengine llm " in printed(capsys, *arguments).split("Example", 1)[1]


GUIDED = [f"{label}=language" for label in labelled(registry.find("guided_schooling"))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("simengine llm d", ["doctor"]),
        ("simengine llm doctor --backend s", ["surrogate"]),
        ("simengine llm cost social_l", ["social_learning"]),
        ("simengine llm cost social_learning --policy agents.a", ["agents.act=language"]),
        ("simengine llm cost social_learning --set spo", ["spoken=", "spoken=true", "spoken=false"]),
        ("simengine llm calls herd.nc --decision a", ["agents.act"]),
        ("simengine llm calls nowhere.nc --decision a", []),
        ("simengine run social_learning --policy agents.act=", ["language"]),
        ("simengine run guided_schooling --policy agents.", GUIDED),
        ("simengine run voter --policy villages.", []),
        ("simengine run --policy a", []),
        ("simengine run social_learning --backend ", list(language_options.BACKENDS)),
        ("simengine resume herd.nc --backend o", ["openai"]),
        ("simengine branch herd.nc --backend t", ["transformers"]),
        ("simengine run social_learning --elicitation s", ["samples", "single", "structured"]),
        ("simengine run social_learning --schema p", ["prompt"]),
    ],
)
def test_bash_is_offered_the_words_of_language_models(there, monkeypatch, capsys, line, expected):
    assert bash(monkeypatch, capsys, line) == expected


def test_neither_help_nor_completion_loads_what_takes_long():
    script = (
        "import sys; from simengine.cli import main; main(); main(['llm', '--help']); "
        "print([name for name in ('numpy', 'numba', 'xarray', 'aiohttp') if name in sys.modules])"
    )
    words = "simengine\nllm\ndoctor\n--backend\ns"
    environment = os.environ | {completing.VARIABLE: "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[0] == "surrogate"
    assert done.stdout.splitlines()[-1] == "[]"


def test_words_that_stand_twice_are_the_same():
    assert set(language_options.ELICITATIONS) | {"words"} == set(prompts.ELICITATIONS)
    assert language_options.SCHEMAS == openai.SCHEMAS
    assert completing.RECORD_SUFFIX == reports.RECORD_SUFFIX
    for option, words in ((options.Elicitation, language_options.ELICITATIONS[1:]), (options.Schema, openai.SCHEMAS)):
        assert all(word in option.__metadata__[0].help for word in words)
