"""A driver that is killed at any moment: what was done stays, `resume` does the rest, the result is the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import simengine

# A process that has everything compiled; what it reads is done by a copy of it, which it kills after some seconds.
NURSERY = """
import os, signal, sys, time
import simengine
from simengine.sweeps import scheduling
from walkers import Walkers

scheduling.WORTH_SECONDS = 0.03
GRID = {"drift": [-0.5, 0.0, 0.5], "n_agents": [2, 7]}

def sweep(folder):
    return simengine.sweep(Walkers, GRID, replicates=20, seed=5, out=folder, progress=False, workers=1)

def resume(folder):
    return simengine.resume(folder, scenario=Walkers, progress=False, workers=1)

sweep(sys.argv[1]).close()
begun = time.perf_counter()
sweep(sys.argv[1] + "-again").close()
print(time.perf_counter() - begun, flush=True)
for line in sys.stdin:
    what, folder, seconds = line.split()
    child = os.fork()
    if child == 0:
        try:
            {"sweep": sweep, "resume": resume}[what](folder).close()
        except BaseException as error:
            print("trouble", type(error).__name__, error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    until, ended = time.monotonic() + float(seconds), (0, 0)
    while ended == (0, 0) and time.monotonic() < until:
        time.sleep(0.001)
        ended = os.waitpid(child, os.WNOHANG)
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
        ended = os.waitpid(child, 0)
    print(ended[1], flush=True)
"""


class Nursery:
    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", NURSERY, str(folder / "undisturbed")]
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
        )  # fmt: skip
        self.seconds = float(self.line())

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def do(self, what: str, folder: Path, seconds: float = 60.0) -> int:
        """Let a copy do something for so many seconds at most, and return how it ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what} {folder} {seconds}\n")
        self.process.stdin.flush()
        return os.waitstatus_to_exitcode(int(self.line()))


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.process.kill()
    made.process.wait()


@pytest.fixture(scope="module")
def expected(nursery: Nursery) -> str:
    folder = Path(nursery.process.args[-1])  # type: ignore[index]
    with simengine.open(folder) as dataset:
        return str(dataset.attrs["content_hash"])


def kill(nursery: Nursery, what: str, folder: Path, seconds: float) -> bool:
    """Kill a sweep, or what goes on with it, after some seconds; return whether it was not through by then."""
    code = nursery.do(what, folder, seconds)
    assert code in (0, -signal.SIGKILL)
    if code and (folder / "sweep.json").exists():
        with simengine.open(folder) as half:
            assert half.status.size == 120
    return code != 0


@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in (4, 8, 12, 16))])
def test_a_sweep_whose_driver_is_killed_is_finished_by_resume_with_the_same_result(
    nursery: Nursery, expected: str, tmp_path: Path, first: int
) -> None:
    for trial in range(first, first + 4):
        folder, chance = tmp_path / f"sweep-{trial}", random.Random(trial)
        longest = nursery.seconds
        while not kill(nursery, "sweep", folder, chance.uniform(0.0, longest)):
            shutil.rmtree(folder)
            longest *= 0.7
        if (folder / "sweep.json").exists():
            kill(nursery, "resume", folder, chance.uniform(0.0, longest))
        assert nursery.do("resume" if (folder / "sweep.json").exists() else "sweep", folder) == 0
        with simengine.open(folder) as found:
            assert found.attrs["content_hash"] == expected
        assert simengine.status(folder)["compacted"]
        others = [path.name for path in folder.rglob("*") if path.suffix not in (".nc", ".json")]
        assert sorted(others) == ["batches", "data", "journal"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_line_ends_cleanly_on_an_interrupt_and_says_how_to_go_on(tmp_path: Path, number: int) -> None:
    (tmp_path / "walkers.py").write_text(Path(__file__).with_name("walkers.py").read_text())
    words = "sweep walkers.py --grid drift=-1:1:5 --set pause=0.05 --replicates 100 --out slow --workers 1"
    driver = subprocess.Popen(
        [sys.executable, "-m", "simengine", *words.split()], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "slow" / "journal").exists():
        assert driver.poll() is None
        time.sleep(0.05)
    assert simengine.status(tmp_path / "slow")["running"]
    driver.send_signal(number)
    said, complaint = driver.communicate(timeout=30)
    assert driver.returncode == 130
    assert said == ""
    assert complaint.startswith("simengine: interrupted; ")
    assert complaint.count("\n") == 1
    done = simengine.status(tmp_path / "slow")["done"]
    assert 0 < done < 500
    assert f"{done} of 500 runs are done and kept; to go on: simengine resume slow" in complaint


DRIVER = """
import sys
import simengine
from simengine.sweeps import portions

portions.WORTH_SECONDS = 0.2
grid = {"drift": [-0.5, 0.0, 0.5], "n_agents": [2, 7]}
if sys.argv[3] == "sweep":
    simengine.sweep(
        sys.argv[1], grid, replicates=50, seed=5, pause=0.03, out=sys.argv[2], progress=False, workers=2
    ).close()
else:
    simengine.resume(sys.argv[2], workers=2, progress=False).close()
"""


@pytest.mark.slow
def test_a_sweep_on_ray_whose_driver_is_killed_is_finished_by_resume_with_the_same_result(tmp_path: Path) -> None:
    own, chance = tmp_path / "walkers.py", random.Random(7)
    own.write_text(Path(__file__).with_name("walkers.py").read_text())

    def start(folder: Path, what: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", DRIVER, str(own), str(folder), what])

    assert start(tmp_path / "undisturbed", "sweep").wait() == 0
    with simengine.open(tmp_path / "undisturbed") as dataset:
        expected = dataset.attrs["content_hash"]
    for trial in range(6):
        folder = tmp_path / f"sweep-{trial}"
        driver = start(folder, "sweep")
        while not (folder / "sweep.json").exists():
            time.sleep(0.01)
        # Ray starts in about five seconds, the runs take as long.
        time.sleep(chance.uniform(0.0, 12.0))
        driver.kill()
        driver.wait()
        assert start(folder, "resume").wait() == 0
        with simengine.open(folder) as found:
            assert found.attrs["content_hash"] == expected
