"""Runs that cannot go on: one line, exit code 1 (or 130), and what was recorded stays readable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import simengine
from simengine.cli import main
from simengine.errors import RunError, StoreError

BREEDERS = """
from simengine import Scenario, birth, field, observable, param, population

class Breeders(Scenario):
    n_agents: int = param(4)
    capacity: int = param(20)
    agents = population(size="n_agents", capacity="capacity", x=field())

    @birth(agents)
    def breed(me, agents, child, p, step):
        return step >= 3

    @observable
    def living(agents):
        return len(agents)

    observe = [living]
"""

FULL_DISK = """
import resource
from simengine import Scenario, field, observable, population, stop_when, update

def disk_fills_up(step):
    if step == 17_000:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    return False

class Writers(Scenario):
    agents = population(size=2, x=field())

    @update(agents)
    def move(me, agents, new):
        new.x[me] += 1.0

    @observable
    def middle(agents):
        return agents.x[0]

    observe = [middle]
    stop = stop_when(disk_fills_up)
"""

SLOW = """
import time
from simengine import Scenario, field, observable, population, stop_when, update

def late(step):
    if step == 20:
        print("running", flush=True)
    time.sleep(0.01)
    return False

class Slow(Scenario):
    agents = population(size=2, x=field())

    @update(agents)
    def move(me, agents, new):
        new.x[me] += 1.0

    @observable
    def middle(agents):
        return agents.x[0]

    observe = [middle]
    stop = stop_when(late)
"""

FALTERING = """
from simengine import Scenario, field, observable, population, update

class Faltering(Scenario):
    agents = population(size=2, x=field())

    @update(agents)
    def move(me, agents, new):
        new.x[me] += 1.0

    @observable
    def inverse(agents):
        return [1.0, 2.0, 3.0][int(agents.x[0])]

    observe = [inverse]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "model.py"
    path.write_text(text)
    return path


def command(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "simengine", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip


def test_a_population_that_outgrows_its_capacity_stops_the_run_and_keeps_its_records(tmp_path, capsys):
    model, out = written(tmp_path, BREEDERS), tmp_path / "x.nc"
    with pytest.raises(RunError, match=r"population agents is full: its capacity is 20"):
        simengine.run(model, steps=50, out=out)
    with simengine.open(out) as kept:
        np.testing.assert_array_equal(kept["living"], [4, 4, 4, 4, 8, 16])
    assert main(["run", str(model), "--steps", "50", "--out", str(out), "--force"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "population agents is full: its capacity is 20" in printed.err
    assert "steps 0 to 5 were recorded (6 rows) and stay readable: simengine.open(" in printed.err


def test_an_overwritten_file_survives_a_run_that_fails(tmp_path, capsys):
    model, out = written(tmp_path, BREEDERS), tmp_path / "x.nc"
    simengine.run(model, steps=4, out=out).close()
    before = out.read_bytes()
    assert main(["run", str(model), "--steps", "50", "--out", str(out), "--force"]) == 1
    assert out.read_bytes() == before
    assert 'simengine.open("' + str(out) + '.parts")' in capsys.readouterr().err
    with simengine.open(f"{out}.parts") as kept:
        assert kept.sizes["time"] == 6


def test_a_full_disk_stops_the_run_and_keeps_its_closed_segments(tmp_path):
    model, out = written(tmp_path, FULL_DISK), tmp_path / "x.nc"
    process = command("run", model, "--steps", 20_000, "--out", out)
    _, complaint = process.communicate(timeout=300)
    assert process.returncode == 1, complaint
    assert "Traceback" not in complaint
    assert "File too large" in complaint.splitlines()[-1]
    assert "stay readable" in complaint.splitlines()[-1]
    with simengine.open(out) as kept:
        rows = kept.sizes["time"]
        assert rows > 1_000
        np.testing.assert_array_equal(kept["middle"], np.arange(rows, dtype=float))


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path):
    script = (
        "import errno, sys, simengine, simengine.store.files as files\n"
        "def full(*_): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "import simengine.store.segments as segments\n"
        "segments.write_bytes = full\n"
        "try:\n"
        "    simengine.run(sys.argv[1], steps=2, out=sys.argv[2])\n"
        "except simengine.StoreError as error:\n"
        "    print(error)\n"
    )
    model, out = written(tmp_path, FALTERING), tmp_path / "results" / "x.nc"
    out.parent.mkdir()
    arguments = [sys.executable, "-c", script, str(model), str(out)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=True)
    assert "No space left on device" in done.stdout
    assert not list(out.parent.iterdir())


def test_an_interrupted_run_ends_with_130_and_keeps_its_records(tmp_path):
    model, out = written(tmp_path, SLOW), tmp_path / "x.nc"
    process = command("run", model, "--steps", 1_000_000, "--every", 5, "--out", out)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in complaint
    assert "interrupted; steps 0 to" in complaint.splitlines()[-1]
    with simengine.open(out) as kept:
        assert kept.sizes["time"] >= 4
        np.testing.assert_array_equal(kept["middle"], kept["step"])


def test_an_interrupt_is_heard_within_one_long_stretch_of_compiled_steps(tmp_path):
    quick = SLOW.replace("    stop = stop_when(late)\n", "")
    model, out = written(tmp_path, quick), tmp_path / "x.nc"
    process = command("run", model, "--steps", 2**60, "--every", 2**60, "--out", out)
    parts = Path(f"{out}.parts")
    deadline = time.monotonic() + 300
    while not (parts / "header.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    try:
        _, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in complaint


def test_an_error_in_the_authors_own_python_names_its_line(tmp_path, capsys):
    model, out = written(tmp_path, FALTERING), tmp_path / "x.nc"
    with pytest.raises(IndexError):
        simengine.run(model, steps=10, out=out)
    assert main(["run", str(model), "--steps", "10", "--out", str(out), "--force"]) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert f"{model}:13: IndexError: list index out of range" in printed
    assert "steps 0 to 2 were recorded (3 rows)" in printed


def test_a_damaged_store_is_a_failure_and_not_wrong_input(tmp_path, monkeypatch, capsys):
    def broken(*_: object, **__: object) -> None:
        raise StoreError("cannot write x.nc: Input/output error")

    monkeypatch.setattr("simengine.store.writer.RunWriter.close", broken)
    model = written(tmp_path, FALTERING)
    assert main(["run", str(model), "--steps", "1", "--out", str(tmp_path / "x.nc")]) == 1
    assert "Input/output error" in capsys.readouterr().err
