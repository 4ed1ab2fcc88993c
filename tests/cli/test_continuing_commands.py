from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import simengine
from simengine.cli import main

SLOW = """
import os, time
from simengine import Scenario, field, observable, population, stop_when, update

def late(step):
    if step == 20 and "SLOWLY" in os.environ:
        print("running", flush=True)
    if step >= 20 and "SLOWLY" in os.environ:
        time.sleep(0.05)
    return False

class Slow(Scenario):
    agents = population(size=2, x=field())

    @update(agents)
    def move(me, agents, new):
        new.x[me] += 1.0

    @observable
    def middle(agents):
        return agents.x.mean()

    observe = [middle]
    stop = stop_when(late)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("files")
    simengine.run("schooling", steps=20, every=5, n_agents=10, seed=2, progress=False, out=folder / "school.nc")
    return folder


@pytest.fixture
def there(files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(files)
    yield files
    for path in files.iterdir():
        if path.name != "school.nc":
            path.unlink()


def hash_of(path: str | Path) -> Any:
    with xr.open_dataset(path) as dataset:
        return dataset.attrs["content_hash"]


def test_an_equal_repetition_ends_with_0(there, capsys):
    assert main(["rerun", "school.nc"]) == 0
    assert capsys.readouterr().out == "school.nc: equal, bit for bit\n"
    assert main(["rerun", "school.nc", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": "school.nc", "equal": True, "variable": None, "step": None, "time": None, "expected": None,
        "found": None, "changes": {},
    }  # fmt: skip


def test_a_repetition_that_differs_ends_with_1_and_says_where(there, capsys, monkeypatch):
    found = simengine.Comparison(
        False, "polarization", 5, 0.5, float("nan"), 0.2, changes={"version_numpy": ("2.0", "2.4")}
    )
    monkeypatch.setattr(simengine, "rerun", lambda path, **_: found)
    assert main(["rerun", "school.nc"]) == 1
    printed = capsys.readouterr().out
    assert "school.nc: differs first in polarization at step 5" in printed
    assert ["version_numpy", "2.0", "2.4"] in [line.split() for line in printed.splitlines()]
    assert main(["rerun", "school.nc", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["equal"] is False
    assert said["expected"] is None
    assert (said["variable"], said["step"], said["time"], said["found"]) == ("polarization", 5, 0.5, 0.2)
    assert said["changes"] == {"version_numpy": {"then": "2.0", "now": "2.4"}}


def test_options_reach_the_repetition(there, monkeypatch):
    calls = []

    def rerun(path: Path, **keywords: Any) -> Any:
        calls.append((path, keywords))
        return simengine.Comparison(True)

    monkeypatch.setattr(simengine, "rerun", rerun)
    assert main(["rerun", "school.nc", "--threads", "2", "--scenario", "my.py", "--no-progress"]) == 0
    assert main(["rerun", "school.nc"]) == 0
    assert calls == [
        (Path("school.nc"), {"threads": 2, "scenario": "my.py", "progress": False}), (Path("school.nc"), {}),
    ]  # fmt: skip


def test_a_branch_is_named_after_its_file_and_step_and_is_the_run_with_an_intervention(there, capsys):
    assert main(["branch", "school.nc", "--at", "10", "--set", "speed=1", "--set", "noise=0.2"]) == 0
    assert "school-branch-10.nc" in capsys.readouterr().out
    change = simengine.at(10, speed=1.0, noise=0.2)
    alike = simengine.run("schooling", steps=20, every=5, n_agents=10, seed=2, interventions=[change])
    assert hash_of("school-branch-10.nc") == alike.attrs["content_hash"]


def test_a_branch_may_have_a_name_and_steps_of_its_own(there, capsys):
    arguments = ["branch", "school.nc", "--at", "10", "--set", "speed=1", "--steps", "30", "-o", "b.nc", "--json"]
    assert main(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["branched_from"], said["branched_at"], said["steps"], said["file"]) == ("school.nc", 10, 30, "b.nc")
    assert main(arguments) == 2
    assert "b.nc: it exists" in json.loads(capsys.readouterr().out)["error"]
    assert main([*arguments, "--force"]) == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere.nc", "--at", "3"], "there is no run file 'nowhere.nc'"),
        (["school.nc", "--at", "3", "--set", "sped=1"], "unknown parameter 'sped' of Schooling; did you mean 'speed'?"),
        (["school.nc", "--at", "3", "speed=1"], "'speed=1' belongs to no option: --set takes one NAME=VALUE"),
        (["school.nc", "--at", "3", "more"], "unexpected argument 'more'; see simengine branch --help"),
        (["school.nc", "--at", "300", "--set", "speed=1"], "at: got 300, allowed is a whole number"),
        (["school.nc", "--set", "speed=1"], "Missing option '--at'"),
        (["school.nc", "--at", "3", "--speed", "1"], "No such option: --speed"),
    ],
)
def test_a_wrong_branch_gets_one_line(there, capsys, arguments, expected):
    assert main(["branch", *arguments]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"simengine: {expected}")
    assert printed.count("\n") == 1
    assert [path.name for path in there.iterdir()] == ["school.nc"]


def test_a_finished_run_is_said_to_be_finished(there, capsys):
    assert main(["resume", "school.nc"]) == 0
    assert capsys.readouterr().out == "school.nc is finished: there is nothing to go on with\n"
    assert main(["resume", "school.nc", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["resumed"], said["resumed_at_step"], said["steps"]) == (False, None, 20)


def test_options_reach_the_resumed_run(there, monkeypatch):
    calls = []

    def resume(path: Path, **keywords: Any) -> Any:
        calls.append((path, keywords))
        return simengine.open("school.nc")

    monkeypatch.setattr(simengine, "resume", resume)
    assert main(["resume", "school.nc.parts", "--threads", "2", "--allow-changes"]) == 0
    assert main(["resume", "school.nc", "--no-progress"]) == 0
    assert calls == [
        (Path("school.nc"), {"threads": 2, "allow_changes": True}), (Path("school.nc"), {"progress": False}),
    ]  # fmt: skip


def test_a_run_that_does_not_exist_cannot_be_resumed(there, capsys):
    assert main(["resume", "nowhere.nc"]) == 2
    assert capsys.readouterr().err.startswith("simengine: there is no run nowhere.nc")


def test_an_interrupted_run_says_how_to_go_on_and_the_words_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("slow.py").write_text(SLOW)
    out = "my run.nc"
    process = subprocess.Popen(
        [sys.executable, "-m", "simengine", "run", "slow.py", "--steps", "60", "--out", out],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"SLOWLY": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "running" in line:
            process.send_signal(signal.SIGINT)
            break
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    words = complaint.rstrip().rpartition("; to go on: ")[2]
    assert words == "simengine resume 'my run.nc'"
    assert main(shlex.split(words)[1:]) == 0
    assert "Run" in capsys.readouterr().out
    assert hash_of(out) == simengine.run("slow.py", steps=60).attrs["content_hash"]


def test_a_branch_of_an_unfinished_run_says_to_resume_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("x.nc.parts").mkdir()
    assert main(["branch", "x.nc", "--at", "3"]) == 2
    assert "simengine resume x.nc" in capsys.readouterr().err
