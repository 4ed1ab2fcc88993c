"""What does the runs of a sweep, in this process or in one of Ray's: a job, understood once, and runs given out."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simengine.compile import target
from simengine.compile.cache import first_alone
from simengine.errors import SimengineError, StoreError, one_line
from simengine.runs.recipe import recall_scenario
from simengine.scenario.scenario import Scenario
from simengine.store.attributes import to_json
from simengine.store.layout import Layout
from simengine.store.provenance import provenance
from simengine.sweeps.batches import BatchRecord, write_batch
from simengine.sweeps.beginning import NO_START, read_start
from simengine.sweeps.identity import sweep_id
from simengine.sweeps.outcomes import Outcome
from simengine.sweeps.portions import Keys
from simengine.sweeps.runner import Runner
from simengine.sweeps.seeds import run_seed


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know of a sweep, as plain data.

    Parameters
    ----------
    scenario
        Attributes from which the scenario is recalled, its source text among them where it is the user's own.
    fixed, steps, every, seed
        As given to `simengine.sweep`.
    machine
        Versions and machine type that a result depends on, of the process that began.
    folder, sweep
        Where it is written, and its identity: another machine may have another folder of that path, or none.
    start
        What the sweep calls the start state that all runs share; it is read from the folder.
    """

    scenario: Mapping[str, Any]
    fixed: Mapping[str, Any]
    steps: int
    every: int | None
    seed: int
    machine: Mapping[str, Any]
    folder: str
    sweep: str
    start: str = NO_START

    @property
    def identity(self) -> str:
        """A hash of everything that a worker prepares for."""
        said = [
            dict(self.scenario), dict(self.fixed), self.steps, self.every, self.seed, dict(self.machine), self.sweep,
            self.start,
        ]  # fmt: skip
        return hashlib.sha256(to_json(said).encode()).hexdigest()


@dataclass
class Report:
    """What comes back from a worker: a small record of the batch that it wrote.

    ``outcomes`` and ``seeds`` are there when the worker does not see the folder and nothing is written yet; ``trouble``
    says why nothing can be done there at all.
    """

    runs: int = 0
    failures: int = 0
    seconds: float = 0.0
    size: int = 0
    record: BatchRecord | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    trouble: str = ""


class Worker:
    """Does runs of a job, one after another; ``scenario`` where the class itself is at hand."""

    def __init__(self, job: Job, scenario: type[Scenario] | None = None) -> None:
        self.job = job
        found = recall_scenario(job.scenario, "the sweep") if scenario is None else scenario
        start = read_start(Path(job.folder), found, job.start)
        self.runner = Runner(found, job.fixed, steps=job.steps, every=job.every, start=start)
        self._prepared: set[tuple[Any, ...]] = set()

    def prepare(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Compile what the points need; on one machine one process does it, and the others find it done."""
        for point in points:
            static = tuple(value for value in point.values() if type(value) not in (int, float))
            if static not in self._prepared:
                with first_alone(self._structure(point)):
                    self.runner.prepare(point)
                self._prepared.add(static)

    def run(self, point: Mapping[str, Any], replicate: int) -> tuple[int, Outcome]:
        """Do one run; return its seed and what came of it."""
        seed = self.seed(point, replicate)
        return seed, self.runner.run(point, seed)

    def seed(self, point: Mapping[str, Any], replicate: int) -> int:
        """Return the seed of a run."""
        return run_seed(self.job.seed, point, replicate)

    def _structure(self, point: Mapping[str, Any]) -> str:
        """Name what may be compiled differently: texts, switches and nothing are compiled in, numbers are not."""
        values = {**self.job.fixed, **point}
        static = {name: value for name, value in values.items() if type(value) not in (int, float)}
        said = [dict(self.job.scenario), dict(self.job.machine), static]
        return hashlib.sha256(to_json(said).encode()).hexdigest()[:24]


_WORKERS: dict[str, Worker] = {}
"""Of this process, by the job's identity: at most one."""


def perform(job: Job, keys: Keys, points: Mapping[int, Mapping[str, Any]]) -> Report:
    """Do the runs ``keys`` of a sweep and write them as a batch; ``points`` are the parameters by number.

    Only a death of the process, or an interrupt, comes out as anything but a report.
    """
    try:
        worker = _worker(job)
        worker.prepare(list(points.values()))
        begun = time.perf_counter()
        done = [worker.run(points[int(point)], int(replicate)) for point, replicate in keys]
        seconds = time.perf_counter() - begun
        seeds, outcomes = [seed for seed, _ in done], [outcome for _, outcome in done]
        report = Report(len(done), failures_of(outcomes), seconds, sum(map(size_of, outcomes)))
        if sees(job):
            report.record = write(Path(job.folder), worker.runner.layout, keys, seeds, outcomes)
        else:
            report.outcomes, report.seeds = outcomes, seeds
        return report
    except SimengineError as error:
        return Report(trouble=f"{socket.gethostname()}: {error}")
    except Exception as error:
        return Report(trouble=one_line(f"{socket.gethostname()}: {type(error).__name__}: {error}"))


def write(folder: Path, layout: Layout, keys: Keys, seeds: Sequence[int], outcomes: Sequence[Outcome]) -> BatchRecord:
    """Write runs as a batch file, whose name depends on nothing but the runs."""
    runs = [(int(point), int(replicate), seed) for (point, replicate), seed in zip(keys, seeds, strict=True)]
    return write_batch(folder, batch_name(keys), layout, runs, list(outcomes))


def batch_name(keys: Keys) -> str:
    """Name a batch after its runs: given out twice, it is the same file."""
    point, replicate = map(int, keys[0])
    return f"{point:07}-{replicate:05}-{hashlib.sha256(keys.tobytes()).hexdigest()[:12]}"


def size_of(outcome: Outcome) -> int:
    """Return the bytes of a run's values."""
    return int(outcome.steps.nbytes) + sum(int(values.nbytes) for values in outcome.values.values())


def failures_of(outcomes: Sequence[Outcome]) -> int:
    """Count the runs that failed."""
    return sum(outcome.failure is not None for outcome in outcomes)


def machine() -> dict[str, Any]:
    """Return the versions and the machine type that results depend on."""
    return provenance(cpu_target=target.cpu_name())[0]


def sees(job: Job) -> bool:
    """Whether this machine sees the folder of the sweep under its path, and no other."""
    try:
        return sweep_id(job.folder) == job.sweep
    except StoreError:
        return False


def _worker(job: Job) -> Worker:
    identity = job.identity
    if identity not in _WORKERS:
        here = machine()
        other = {name: (value, here.get(name)) for name, value in job.machine.items() if here.get(name) != value}
        if other:
            name, (then, now) = next(iter(other.items()))
            what = name.removeprefix("version_").replace("_", " ")
            raise SimengineError(f"{what} is {now} here and {then} where the sweep was begun: results would differ")
        _WORKERS.clear()
        _WORKERS[identity] = Worker(job)
    return _WORKERS[identity]
