"""``carry_on.sh`` begins a command, resumes the same one, and refuses another for the same results."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "cluster" / "carry_on.sh"
SWEEP = ("sweep", "wealth_exchange", "--grid", "noise=0:1:11", "--replicates", "2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stand_in = tmp_path / "bin" / "simengine"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\nprintf "%s " "$@"\n', encoding="utf-8")
    stand_in.chmod(0o755)
    return tmp_path


def carry_on(folder: Path, *words: str, address: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    environment.pop("RAY_ADDRESS", None)
    if address is not None:
        environment["RAY_ADDRESS"] = address
    return subprocess.run(
        [SCRIPT, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=20
    )


def test_a_first_call_begins_the_command_at_the_given_address(folder: Path) -> None:
    done = carry_on(folder, *SWEEP, "--out", "deep/results", address="10.0.0.1:6379")
    assert done.stdout.split() == [*SWEEP, "--out", "deep/results", "--address", "10.0.0.1:6379"]
    assert carry_on(folder, *SWEEP, "--out=other").stdout.split()[-2:] == ["--address", "auto"]


@pytest.mark.parametrize("left", ["results", "results.parts"])
def test_the_same_call_resumes_what_was_begun(folder: Path, left: str) -> None:
    carry_on(folder, *SWEEP, "--out", "results")
    (folder / left).mkdir()
    assert carry_on(folder, *SWEEP, "--out", "results").stdout.split() == ["resume", "results", "--address", "auto"]


def test_a_call_that_died_before_it_wrote_anything_begins_again(folder: Path) -> None:
    first = carry_on(folder, *SWEEP, "--out", "results/")
    assert carry_on(folder, *SWEEP, "--out", "results/").stdout == first.stdout


def test_another_command_for_the_same_results_is_refused(folder: Path) -> None:
    carry_on(folder, *SWEEP, "--out", "results")
    (folder / "results").mkdir()
    done = carry_on(folder, *SWEEP, "--seed", "2", "--out", "results")
    assert (done.returncode, done.stdout) == (2, "")
    assert "results of another command" in done.stderr


def test_results_of_unknown_origin_are_left_alone(folder: Path) -> None:
    (folder / "results").mkdir()
    done = carry_on(folder, *SWEEP, "--out", "results")
    assert (done.returncode, done.stdout) == (2, "")
    assert "resume results" in done.stderr
    assert carry_on(folder, "resume", "results").stdout.split() == ["resume", "results", "--address", "auto"]


@pytest.mark.parametrize("words", [(), ("list",), SWEEP], ids=["nothing", "another", "no --out"])
def test_what_cannot_be_resumed_is_refused_in_one_line(folder: Path, words: tuple[str, ...]) -> None:
    done = carry_on(folder, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_words_with_blanks_arrive_whole(folder: Path) -> None:
    (folder / "bin" / "simengine").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    said = carry_on(folder, "run", "my model.py", "--out", "a b.nc").stdout.splitlines()
    assert said == ["run", "my model.py", "--out", "a b.nc", "--address", "auto"]
    (folder / "a b.nc").touch()
    assert carry_on(folder, "run", "my model.py", "--out", "a b.nc").stdout.splitlines()[:2] == ["resume", "a b.nc"]
