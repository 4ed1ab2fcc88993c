from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import simengine
from simengine.cli import completing, main
from simengine.sweeps import api

WALKERS = Path(__file__).parents[1] / "sweeps" / "walkers.py"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walkers.py").write_text(WALKERS.read_text())
    return tmp_path


def run(line: str) -> int:
    return main(line.split())


def answered(capsys: pytest.CaptureFixture[str], line: str, code: int = 0) -> Any:
    assert run(f"{line} --json") == code
    return json.loads(capsys.readouterr().out)


def complained(capsys: pytest.CaptureFixture[str], line: str) -> str:
    assert run(line) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_a_sweep_is_carried_out_described_and_opened(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "sweep walkers.py --grid drift=-1:1:3 --grid n_agents=2,7 --replicates 2 --steps 6 --every 3 --seed 4"
    assert run(f"{line} --out sweep --workers 1") == 0
    printed = capsys.readouterr().out
    assert "grid: 6 points x 2 replicates" in printed
    assert "12 of 12 done" in printed
    assert 'simengine.open("sweep")' in printed
    with simengine.open("sweep") as found:
        assert found.drift.values.tolist() == [-1.0, 0.0, 1.0]
        assert found.step.values.tolist() == [0, 3, 6]
        assert dict(found.sizes) == {"drift": 3, "n_agents": 2, "replicate": 2, "time": 3}
        direct = simengine.sweep(
            folder / "walkers.py", {"drift": [-1, 0, 1], "n_agents": [2, 7]}, replicates=2, steps=6, every=3, seed=4,
            workers=1, progress=False,
        )  # fmt: skip
        assert found.attrs["content_hash"] == direct.attrs["content_hash"]


def test_status_says_how_far_a_sweep_is_and_resume_that_it_is_finished(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = answered(capsys, "sweep walkers.py --grid drift=0,1 --replicates 3 --workers 1")
    assert (said["runs"], said["done"], said["failed"], said["failures"]) == (6, 6, 0, [])
    assert said["folder"] == "walkers-sweep-0"
    standing = answered(capsys, "status walkers-sweep-0")
    assert (standing["done"], standing["missing"], standing["running"]) == (6, 0, False)
    assert run("status walkers-sweep-0") == 0
    assert "finished" in capsys.readouterr().out
    assert run("resume walkers-sweep-0") == 0
    assert "is finished: there is nothing to go on with" in capsys.readouterr().out
    assert answered(capsys, "resume walkers-sweep-0")["resumed"] is False


def test_status_of_a_sweep_at_work_says_its_speed_and_the_time_left(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("sweep walkers.py --grid drift=0,1 --workers 1 --out sweep") == 0
    capsys.readouterr()
    finished = simengine.status("sweep")
    at_work = {**finished, "missing": 90, "running": True, "runs_per_second": 3.0, "seconds_left": 30.0}
    monkeypatch.setattr(api, "status", lambda path: at_work)
    assert run("status sweep") == 0
    printed = capsys.readouterr().out
    assert "3 runs/s" in printed
    assert "about 30.00 s" in printed


def test_failed_runs_are_listed_and_told_by_the_exit_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "sweep walkers.py --grid drift=0:1:4 --set bad_luck=0.5 --replicates 5 --workers 1 --out unlucky"
    assert run(line) == 1
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "ValueError: no luck" in printed.out
    assert 'simengine.failures("unlucky")' in printed.out
    said = answered(capsys, "resume unlucky", 1)
    assert said["done"] + said["failed"] == 20
    assert len(said["failures"]) == said["failed"] > 0
    assert {"point", "replicate", "seed", "parameters", "kind", "message", "traceback"} <= said["failures"][0].keys()


def test_a_sweep_is_extended_by_points_and_replicates(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sweep walkers.py --grid drift=0,1 --workers 1 --out sweep --steps 3") == 0
    assert run("sweep walkers.py --grid drift=0:1:3 --replicates 4 --workers 1 --out sweep --extend") == 0
    capsys.readouterr()
    assert run("sweep --replicates 5 --out sweep --extend --steps 3 --set n_agents=6") == 2
    assert "n_agents: 5 there, 6 here" in capsys.readouterr().err
    assert answered(capsys, "sweep --replicates 5 --out sweep --extend --steps 3")["done"] == 15
    with simengine.open("sweep") as found:
        assert dict(found.sizes) == {"drift": 3, "replicate": 5, "time": 2}
    text = (folder / "walkers.py").read_text()
    (folder / "walkers.py").write_text(text.replace("p.drift +", "2.0 * p.drift +"))
    assert "was begun with another text of Walkers" in complained(
        capsys, "sweep walkers.py --replicates 6 --out sweep --extend"
    )
    assert answered(capsys, "sweep --replicates 6 --out sweep --extend --workers 1")["done"] == 18


def test_a_dry_run_says_what_there_is_to_do_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "sweep walkers.py --grid drift=0:1:11 --replicates 1000 --set pause=0.001 --workers 2 --dry-run"
    said = answered(capsys, line)
    assert (said["runs"], said["points"], said["workers"]) == (11000, 11, 2)
    assert said["seconds"] > 11000 * 0.001 / 2
    assert run(line) == 0
    assert "11,000 (11 points x 1,000 replicates)" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == ["walkers.py"]


CONFIG = """
scenario = "walkers.py"
replicates = 2
steps = 4
out = "filed"

[parameters]
n_agents = 3

[grid]
drift = "0:1:5"
"""


def test_a_sweep_is_read_from_a_file_and_what_is_given_as_well_comes_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sweep.toml").write_text(CONFIG)
    assert answered(capsys, "sweep --config sweep.toml --workers 1")["runs"] == 10
    with simengine.open("filed") as found:
        assert found.attrs["parameter_n_agents"] == 3
        assert found.step.values.tolist() == [0, 4]
    said = answered(
        capsys, "sweep --config sweep.toml --grid drift=0,0.5 --set n_agents=4 --replicates 3 --out given --workers 1"
    )
    assert said["runs"] == 6
    with simengine.open("given") as found:
        assert found.attrs["parameter_n_agents"] == 4


def test_a_warning_about_the_file_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = 'scenario = "walkers.py"\n[sample]\nmethod = "sobol"\nn = 3\n[sample.bounds]\ndrift = [0, 1]\n'
    (folder / "sample.toml").write_text(sample)
    assert run("sweep --config sample.toml --workers 1") == 0
    warned = capsys.readouterr().err
    assert warned == "simengine: warning: sobol: 3 is no power of two, so the points are not balanced; 4 is\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sweep walkers.py", "no design is given: --grid NAME=VALUES"),
        ("sweep", "no scenario is given: simengine sweep NAME"),
        ("sweep walker.py --grid drift=0,1", "walker.py"),
        ("sweep walkers.py --grid drfit=0,1", "unknown parameter 'drfit' of Walkers; did you mean 'drift'"),
        ("sweep walkers.py --grid drift=", "it has no values"),
        ("sweep walkers.py --grid drift=0:1", "0:1 is neither A:B:N, N values from A to B, nor a list"),
        ("sweep walkers.py --grid steps=5,10", "steps is no parameter but a keyword of the sweep"),
        ("sweep walkers.py --grid drift=0:3:4", "'drift' of Walkers: got 2.0, allowed is float, -1 <= value <= 1"),
        ("sweep walkers.py --grid drift=0,1 --grid drift=0,1", "drift is given twice"),
        ("sweep walkers.py --grid drift=0,1 --set drift=1", "--grid and --set both say what drift is"),
        ("sweep walkers.py --grid drift=0,1 --set n_agents=0", "'n_agents' of Walkers: got 0"),
        ("sweep walkers.py drift=0,1", "'drift=0,1' belongs to no option"),
        ("sweep walkers.py --grid drift=0,1 --replicates 0", "replicates: got 0"),
        ("sweep walkers.py --grid drift=0,1 --replicates few", "got 'few', allowed is a whole number"),
        ("sweep walkers.py --grid drift=0,1 --drift 3", "a parameter of the scenario is given as --set drift=VALUE"),
        ("sweep walkers.py --grid drift=0,1 --out nowhere/sweep", "there is no folder nowhere"),
        ("sweep walkers.py --grid drift=0,1 --out walkers.py", "walkers.py is a file; a sweep is a folder"),
        ("sweep walkers.py --grid drift=0,1 --address nowhere", "address: 'nowhere' is neither 'host:port'"),
        ("sweep walkers.py --grid drift=0,1 --out sweep --extend", "there is no sweep sweep"),
        ("sweep walkers.py --grid drift=0,1 --extend --dry-run", "--dry-run says nothing about --extend"),
        ("status sweep", "there is no sweep sweep"),
    ],
)
def test_wrong_input_is_refused_in_one_line_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    assert message in complained(capsys, line)
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == ["walkers.py"]


def test_the_shell_offers_parameters_for_a_grid_and_folders_for_status(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "half").mkdir()
    (folder / "half" / "sweep.json").touch()
    (folder / "whole").mkdir()
    (folder / "whole" / "sweep.json").touch()
    (folder / "whole" / "index.json").touch()

    def offered(words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", words.replace(" ", "\n"))
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        monkeypatch.setenv(completing.VARIABLE, completing.BASH)
        assert main() == 0
        return capsys.readouterr().out.splitlines()

    assert offered("simengine sweep walkers.py --grid dr") == ["drift=", "drift=0.0"]
    assert offered("simengine sweep wal") == ["walkers.py"]
    assert offered("simengine status ") == ["half", "whole"]
    assert offered("simengine resume ") == ["half"]
    assert "sweep" in offered("simengine s")
    assert os.environ[completing.VARIABLE]
