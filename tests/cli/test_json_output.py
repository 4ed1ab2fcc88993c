from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import simengine
from simengine.cli import main
from simengine.cli.output import jsonable

MODEL = """
import math
from simengine import Measured, Scenario, field, observable, param, population

@observable(unit="m", uncertain=True)
def middle(agents):
    "Where they are."
    return Measured(float("nan") if agents.place[0] < 0 else agents.place.mean(), standard_error=0.5)

@observable
def nothing(agents):
    return math.nan

class Still(Scenario):
    "Nobody moves."

    n_agents: int = param(3, low=1)
    limit: float | None = param(None)
    agents = population(size="n_agents", place=field(unit="m"))

    def start(self, agents):
        agents.place[:] = 4.0

    observe = [middle, nothing]
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "still.py"
    path.write_text(MODEL)
    return path


def document(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    assert main([*map(str, arguments), "--json"]) == code
    printed = capsys.readouterr().out

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(printed, parse_constant=refuse)


def test_a_run_is_one_document(model, capsys):
    found = document(capsys, "run", model, "--steps", 4, "--seed", 2**64 - 1)
    with xr.open_dataset("still-18446744073709551615.nc") as dataset:
        assert found.pop("content_hash") == dataset.attrs["content_hash"]
    assert found.pop("bytes") == Path("still-18446744073709551615.nc").stat().st_size
    for key in ("wall_seconds", "starting_seconds", "agent_steps_per_second"):
        assert found.pop(key) > 0
    unmeasured = {"last": None, "standard_error": None, "mean_of_second_half": None}
    nothing = {"unit": "1", "long_name": "nothing", "flags": []} | unmeasured
    middle = {"unit": "m", "long_name": "Where they are", "flags": []} | {
        "last": 4, "standard_error": 0.5, "mean_of_second_half": 4
    }  # fmt: skip
    assert found == {
        "file": "still-18446744073709551615.nc", "scenario": "Still", "summary": "Nobody moves.", "seed": 2**64 - 1,
        "parameters": {"n_agents": 3, "limit": None}, "steps": 4, "stop_reason": "steps", "populations": {"agents": 3},
        "shards": None, "faults": [], "language": {}, "language_calls": {},
        "observables": {"middle": {"shape": {"time": 5}} | middle, "nothing": {"shape": {"time": 5}} | nothing},
    }  # fmt: skip


def test_list_is_one_document(capsys):
    scenarios = document(capsys, "list")["scenarios"]
    assert scenarios["voter"]["class"] == "Voter"
    assert scenarios["voter"]["summary"].startswith("Voter model")
    assert all(said.keys() == {"class", "summary", "error"} for said in scenarios.values())


def test_describe_is_one_document(capsys):
    found = document(capsys, "describe", "schooling")
    assert found["scenario"] == "Schooling"
    assert found["parameters"]["rules"]["options"] == ["couzin", "dewi-kadita"]
    assert found["parameters"]["box"]["default"] is None
    assert found["parameters"]["speed"]["above"] == 0 or found["parameters"]["speed"]["low"] == 0
    assert found["populations"]["agents"] == {"start": "n_agents", "capacity": None, "dimension": "agent"}
    assert [phase["name"] for phase in found["phases"]]
    assert {"when", "defaults"} == found["regimes"][0].keys()
    assert found["observables"]["polarization"]["dims"] == ["time"]


def test_an_error_is_a_document_and_a_line_on_the_error_stream(model, capsys):
    for arguments, code in (
        (["run", "vota"], 2),
        (["run", model, "--steps", "many"], 2),
        (["run", model, "--nonsense"], 2),
        (["describe"], 2),
        (["resume", "nowhere.nc"], 2),
        (["rerun", "nowhere.nc"], 2),
        (["branch", "nowhere.nc", "--at", 3], 2),
    ):
        assert main([*map(str, arguments), "--json"]) == code
        printed = capsys.readouterr()
        assert printed.err == f"simengine: {json.loads(printed.out)['error']}\n"


def test_a_failed_run_is_a_document_too(model, capsys, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise simengine.RunError("the population is full")

    monkeypatch.setattr(simengine, "run", fails)
    assert document(capsys, "run", model, code=1) == {"error": "the population is full; nothing was recorded"}


def test_an_error_that_nobody_knows_is_a_document_and_a_traceback(model, capsys, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(simengine, "run", fails)
    with pytest.raises(LookupError):
        main(["run", str(model), "--json"])
    assert json.loads(capsys.readouterr().out) == {"error": "LookupError: a bug"}


def test_nothing_but_the_document_is_on_the_standard_output(model):
    model.write_text(MODEL + "\nprint('hello')\n")
    command = [sys.executable, "-m", "simengine", "run", str(model), "--steps", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["steps"] == 2
    assert "hello" in done.stderr


def test_numbers_that_json_has_not_are_null():
    given = {"a": math.nan, "b": [math.inf, 1.5], "c": np.float64("nan"), 3: np.arange(2), "e": Path("x"), "f": True}
    assert jsonable(given) == {"a": None, "b": [None, 1.5], "c": None, "3": [0, 1], "e": "x", "f": True}


def test_reasons_to_doubt_an_entropy_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ("run", "voter", "--set", "n_agents=20", "--steps", 2, "--out", "v.nc")
    found = document(capsys, *words)["observables"]
    assert "opinion_entropy_flags" not in found
    assert "few_samples" in found["opinion_entropy"]["flags"]
    assert found["share_of_one"]["flags"] == []
    assert main([*map(str, words), "--force"]) == 0
    printed = capsys.readouterr().out
    assert "Reasons to doubt" in printed
    assert "few_samples" in printed
