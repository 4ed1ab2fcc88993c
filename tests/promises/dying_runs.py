"""Runs in child processes that die at a chosen moment; every call that changes a file is such a moment.

A prepared process forks a child for each run, so that none has to start Python anew. It runs with one thread and
without numba's threads, which do not survive a fork.
"""

from __future__ import annotations

import builtins
import errno
import functools
import io
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import simengine
from simengine.runs import session
from simengine.runs.recorder import Recorder
from simengine.store import netcdf, parts, writer

STEPS = 24
OWN = """
import math

import numpy as np
from simengine import Everyone, Scenario, count, decision, field, gather, param, population, stop_when, update
from simengine.scenario.observables import Output


class Climate:
    '''The mean mood over all records so far.'''

    name = "climate"
    outputs = (Output("climate", "1", "mean mood so far"),)
    lasting = True

    def begin(self):
        return {"sum": 0.0, "records": 0, "last": np.zeros(2)}

    def update(self, state, view):
        mean = view.arguments(["agents"], "climate")["agents"].mood.mean()
        last = np.array([state["last"][1], mean])
        return {"sum": state["sum"] + float(mean), "records": state["records"] + 1, "last": last}

    def merge(self, state, other):
        return state

    def finalise(self, state, view):
        return {"climate": state["sum"] / state["records"] + state["last"][0]}


@stop_when
def weary(agents):
    return bool(agents.age.min() >= 23)


class Moods(Scenario):
    '''Moods that change by whim and by those of others.'''

    n_agents: int = param(25, low=1)
    sway: float = param(0.3, low=0, high=1)

    agents = population(size="n_agents", mood=field(), age=field(int))
    everyone = Everyone(agents)

    def start(self, agents, draw):
        agents.mood[:] = draw.normal("mood")

    @gather(everyone, better=count())
    def compare(me, other, agents, acc):
        if agents.mood[other] > agents.mood[me]:
            acc.better += 1

    @decision(agents.mood, after=compare)
    def change(me, agents, p, acc, draw):
        return math.tanh(agents.mood[me] + p.sway * (draw.normal("whim") + 0.01 * acc.better))

    @update(agents)
    def grow(me, new):
        new.age[me] += 1

    observe = [Climate()]
    stop = [weary]
"""


def scatter(agents: Any, draw: Any) -> None:
    """An intervention that draws."""
    agents.heading[:] = draw.unit_vector("scattered", 3)


def push(agents: Any, step: Any) -> None:
    """An intervention that comes again and again, in its own way each time."""
    agents.position[: step % 7] += 0.25


class Moody:
    """A policy that remembers: it answers with what it has seen so far."""

    def __init__(self) -> None:
        self.seen = 0.0
        self.latest = np.zeros(3)

    def __call__(self, asked: Any) -> Any:
        self.seen += float(asked.agents.mood.sum())
        self.latest = np.append(self.latest[1:], asked.draw.uniform("whim")[0])
        return np.tanh(asked.agents.mood + 0.01 * self.seen + self.latest.sum())

    def state(self) -> Any:
        return {"seen": self.seen, "latest": self.latest}

    def restore(self, state: Any) -> None:
        self.seen, self.latest = float(state["seen"]), np.array(state["latest"])


def policies_of(case: str) -> dict[str, Any] | None:
    """The policies of a case, new ones."""
    return {"agents.change": Moody()} if case == "own with a policy" else None


SCHOOL = {"scenario": "schooling", "n_agents": 40, "every": 3, "snapshot_every": 7, "checkpoint_every": 10}
CASES: dict[str, dict[str, Any]] = {
    "schooling": SCHOOL,
    "predator_prey": {
        "scenario": "predator_prey", "n_prey": 80, "n_predators": 20, "box": 10.0, "prey_capacity": 600,
        "predator_capacity": 300, "snapshot_every": 9, "checkpoint_every": 9,
    },
    "flocking": {"scenario": "flocking", "n_agents": 60, "box": 30.0, "every": 2, "checkpoint_every": 11},
    "wealth_exchange": {
        "scenario": "wealth_exchange", "n_agents": 60, "initial_wealth": 2, "order": "one_by_one",
        "snapshot_every": 4,
    },
    "interventions": {
        **SCHOOL,
        "interventions": [
            simengine.at(8, noise=0.4), simengine.at(17, apply=scatter), simengine.every(5, apply=push),
            simengine.every(6, speed=2.0),
        ],
    },
    "given start": {
        **SCHOOL, "n_agents": 30, "checkpoint_every": 11,
        "start": {
            "position": np.random.default_rng(5).normal(size=(30, 3)),
            "heading": np.tile([0.6, 0.0, 0.8], (30, 1)),
        },
    },
    "adaptive voter": {
        "scenario": f"{Path(__file__).parents[1] / 'network_scenarios.py'}:AdaptiveVoter", "n_agents": 60,
        "snapshot_every": 5, "checkpoint_every": 4,
    },
    "own": {"scenario": "own", "checkpoint_every": 9, "snapshot_every": 10},
    "own with a policy": {"scenario": "own", "checkpoint_every": 8, "every": 4},
}  # fmt: skip


def carry_out(case: str, path: Path | None, **changed: Any) -> Any:
    """Run a case; the file of a user's own scenario is gone afterwards."""
    options = {"steps": STEPS, "seed": 11, "out": path, "progress": False, "threads": 1, **CASES[case], **changed}
    if path is None:
        options.pop("checkpoint_every", None)
    if options["scenario"] != "own":
        return simengine.run(**options)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "moods.py"
        file.write_text(OWN)
        return simengine.run(**{**options, "scenario": file, "policies": policies_of(case)})


@contextmanager
def full_after(calls: int) -> Iterator[None]:
    """Let the disk be full from so many calls of fsync on."""
    original, count = os.fsync, iter(range(10**9))

    def fsync(descriptor: int) -> None:
        if next(count) >= calls:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(descriptor)

    os.fsync = fsync
    try:
        yield
    finally:
        os.fsync = original


# -- moments ------------------------------------------------------------------------------------------------------


class Moments:
    """Counts what happens, and ends the process at the moment that is its last."""

    def __init__(self, last: int | None) -> None:
        self.labels: list[str] = []
        self._last = last

    def reach(self, label: str) -> None:
        self.labels.append(label)
        if len(self.labels) == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, label: Callable[..., str]) -> None:
        """Let a function pass two moments, before and after."""
        original = getattr(owner, name)

        @functools.wraps(original)
        def watched(*arguments: Any, **keywords: Any) -> Any:
            said = f"{name} {label(*arguments)}"
            self.reach(f"before {said}")
            result = original(*arguments, **keywords)
            self.reach(f"after {said}")
            return result

        setattr(owner, name, watched)

    def watch(self) -> None:
        """Watch every way in which a run changes files, and its steps."""
        for name in ("replace", "rename", "mkdir", "unlink", "rmdir"):
            self.around(os, name, lambda path, *_: _name(path))
        self.around(os, "fsync", lambda descriptor: _name(os.readlink(f"/proc/self/fd/{descriptor}")))
        self.around(netcdf, "fill", lambda file, name, *_: f"{name} of {_name(file.filepath())}")
        self.around(netcdf, "content_hash", lambda path: _name(path))
        self.around(parts, "_copy_rows", lambda *_: "into the merged file")
        self.around(Recorder, "record", lambda recorder: f"step {recorder.engine.step}")
        moments = self

        class HalfWritten(io.FileIO):
            def write(self, data: Any, /) -> int:
                block = memoryview(data).cast("B")
                half = len(block) // 2
                super().write(block[:half])
                moments.reach(f"half-way write {_name(str(self.name))}")
                super().write(block[half:])
                return len(block)

        original = io.open

        def opened(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
            if "b" in mode and set("wxa+") & set(mode):
                return HalfWritten(file, mode.replace("b", ""))
            return original(file, mode, *arguments, **keywords)

        io.open = opened  # type: ignore[assignment]
        builtins.open = opened  # type: ignore[assignment]


def _name(path: Any) -> str:
    return Path(str(path)).name


def tick() -> None:
    """Let the clock of segments and that of checkpoints go by calls, so that every run has the same moments."""
    segments, checkpoints = itertools.count(), itertools.count()
    writer.clock = SimpleNamespace(monotonic=lambda: next(segments) / 8)  # type: ignore[assignment]
    session.time = SimpleNamespace(  # type: ignore[assignment]
        monotonic=lambda: 4.0 * next(checkpoints), perf_counter=time.perf_counter
    )
    session.LARGEST_SHARE = 1.0


# -- the prepared process -----------------------------------------------------------------------------------------


class Nursery:
    """A prepared process that forks a child for each run."""

    def __init__(self) -> None:
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import dying_runs; dying_runs.serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def child(
        self, case: str, path: Path, *, resume: bool = False, last: int | None = None, seconds: float | None = None,
        largest_file: int | None = None, **changed: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Run a case in a child, or resume it, and return how it ended.

        Parameters
        ----------
        case, path, resume
            What to do.
        last
            The number of the moment, from 1 on, at which the child is killed.
        seconds
            After how many seconds it is killed.
        largest_file
            Bytes that no file can exceed.

        Returns
        -------
        dict
            ``killed``, and where it was not: ``moments`` (their labels) and ``error``, class and text, or None.
        """
        asked = {
            "case": case, "path": str(path), "resume": resume, "last": last, "seconds": seconds,
            "largest_file": largest_file, "changed": changed,
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


@contextmanager
def prepared() -> Iterator[Nursery]:
    """A nursery for as long as the context lasts."""
    nursery = Nursery()
    try:
        yield nursery
    finally:
        nursery.close()


def serve() -> None:
    """Fork a child for each line of standard input, and answer on standard output."""
    warm: set[str] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["case"] not in warm:
            warm.add(asked["case"])
            carry_out(asked["case"], None)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            with os.fdopen(writing, "w") as answer:
                answer.write(json.dumps(_child(asked)))
            os._exit(0)
        os.close(writing)
        if asked["seconds"] is not None:
            time.sleep(asked["seconds"])
            os.kill(child, signal.SIGKILL)
        with os.fdopen(reading) as answer:
            text = answer.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps({"killed": killed, **(json.loads(text) if text else {})}), flush=True)


def _child(asked: dict[str, Any]) -> dict[str, Any]:
    tick()
    moments = Moments(asked["last"])
    if asked["seconds"] is None:
        moments.watch()
    if asked["largest_file"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest_file"], resource.RLIM_INFINITY))
    path, error = Path(asked["path"]), None
    try:
        if asked["resume"]:
            simengine.resume(path, threads=1, progress=False, policies=policies_of(asked["case"]))
        else:
            carry_out(asked["case"], path, **asked["changed"])
    except Exception as caught:
        error = [type(caught).__name__, str(caught)]
    return {"moments": moments.labels, "error": error}
