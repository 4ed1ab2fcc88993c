"""Who does the runs of a sweep: this process where that is enough, otherwise Ray's workers.

A task is as many runs as take about a second.

A worker or node that dies costs what it was doing: its runs are given out again, and because seeds depend only on the
run and a batch has one name, nothing is missing and nothing comes twice. Runs whose process dies again and again are
singled out and recorded as failed.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simengine.errors import RunError
from simengine.runs.interrupts import waiting_interrupts
from simengine.scenario.scenario import Scenario
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.outcomes import Failure, Outcome
from simengine.sweeps.portions import MOST_RUNS, WORTH_SECONDS, Keys, Portions
from simengine.sweeps.progress import SweepProgress
from simengine.sweeps.worker import Job, Report, Worker, failures_of, perform, size_of, write

RAY_START_SECONDS = 8.0
"""What it costs to start Ray and a worker on every processor, before the first of them does anything."""

RAY_JOIN_SECONDS = 3.0
"""The same where this process is connected to one already."""

IN_FLIGHT = 2
"""Tasks for each worker: one that it does and one that waits for it."""

LISTENING_SECONDS = 0.2
MOST_IN_VAIN = 20
"""Tasks in a row that came to nothing, for reasons other than a death, after which a sweep gives up."""
COUNTING_SECONDS = 2.0
GRACE_SECONDS = 3.0
"""How long what is being done may take to end after an interrupt."""

DEATHS_TOGETHER = 2
"""So many deaths of the process that does them, and runs are given out in halves."""

DEATHS_ALONE = 3
"""So many deaths of the process that does it, and a single run has failed."""


@dataclass
class Undertaking:
    """The runs of a sweep that this call is to do, and what came of them so far.

    Parameters
    ----------
    scenario, job, folder
        What runs, as the class and as a worker needs it, and where it is written.
    points
        Parameters of a point, by its number.
    portions
        The runs.
    bar
        What shows how far the sweep is.
    """

    scenario: type[Scenario]
    job: Job
    folder: SweepFolder
    points: Callable[[int], Mapping[str, Any]]
    portions: Portions
    bar: SweepProgress
    failures: int = 0
    deaths: int = 0
    _worker: Worker | None = field(default=None, repr=False)

    @property
    def worker(self) -> Worker:
        """The worker of this process, made when it is first needed."""
        if self._worker is None:
            self._worker = Worker(self.job, self.scenario)
        return self._worker

    def of(self, keys: Keys) -> dict[int, Mapping[str, Any]]:
        """Return the parameters of the points of some runs."""
        return {int(number): self.points(int(number)) for number in np.unique(keys[:, 0])}

    def keep(self, keys: Keys, report: Report) -> None:
        """Enter into the manifest what a worker has done, and write it first where the worker could not."""
        if report.record is None:
            layout = self.folder.description.layout
            report.record = write(self.folder.path, layout, keys, report.seeds, report.outcomes)
        self.folder.journal(report.record)
        self.failures += report.failures


def ray_pays(portions: Portions, workers: int) -> bool:
    """Whether so many workers are through with the rest earlier than this process, their start included."""
    running = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    start = RAY_JOIN_SECONDS if running else RAY_START_SECONDS
    return workers > 1 and portions.seconds * (1.0 - 1.0 / workers) > start


# -- in this process -------------------------------------------------------------------------------------------------


def in_process(undertaking: Undertaking, leave: Callable[[], bool]) -> None:
    """Do the runs one after another, until all are done or ``leave()`` says, between batches, that others shall.

    An interrupt keeps the runs that are done.
    """
    while not leave():
        keys = undertaking.portions.take_at_most(MOST_RUNS)
        if keys is None:
            return
        _some(undertaking, keys)


def _some(undertaking: Undertaking, keys: Keys) -> None:
    """Do as many of the runs as are worth a batch, and give the others back."""
    worker, portions = undertaking.worker, undertaking.portions
    seeds: list[int] = []
    outcomes: list[Outcome] = []
    points = undertaking.of(keys[:1])
    worker.prepare(list(points.values()))
    begun = time.perf_counter()
    try:
        for point, replicate in keys.tolist():
            if point not in points:
                points = {point: undertaking.points(point)}
                worker.prepare([points[point]])
            seed, outcome = worker.run(points[point], replicate)
            seeds.append(seed)
            outcomes.append(outcome)
            undertaking.bar.add(1, outcome.failure is not None)
            if time.perf_counter() - begun > WORTH_SECONDS:
                break
    finally:
        seconds, done = time.perf_counter() - begun, min(len(seeds), len(outcomes))
        if done:
            with waiting_interrupts() as interrupted:
                report = Report(done, failures_of(outcomes), seconds, outcomes=outcomes, seeds=seeds[:done])
                undertaking.keep(keys[:done], report)
            if interrupted():
                raise KeyboardInterrupt
        portions.untouched(keys[done:])
        portions.learn(done, seconds, sum(map(size_of, outcomes)))


# -- on Ray ----------------------------------------------------------------------------------------------------------


def on_ray(undertaking: Undertaking, workers: int | None) -> None:
    """Do the runs on the Ray that this process is connected to, with at most so many workers at a time.

    Raises
    ------
    RunError
        When no worker can do anything, with the reason of one of them, or Ray is gone.
    KeyboardInterrupt
        After an interrupt; what the workers were doing is waited for a moment.
    """
    import ray

    try:
        with waiting_interrupts() as interrupted:
            crew = _Tasks(undertaking, workers)
            try:
                crew.work(interrupted)
            finally:
                crew.dismiss(GRACE_SECONDS if interrupted() else 0.0)
            if interrupted():
                raise KeyboardInterrupt
    except ray.exceptions.RaySystemError as error:
        raise RunError(f"Ray is gone: {error}") from error


class _Tasks:
    """The tasks that are out, by Ray's references to what they will return."""

    def __init__(self, undertaking: Undertaking, workers: int | None) -> None:
        import ray

        self.ray: Any = ray
        self.undertaking, self.portions, self.asked = undertaking, undertaking.portions, workers
        self.task = ray.remote(num_cpus=1, max_retries=0)(perform)
        self.job = ray.put(undertaking.job)
        self.out: dict[Any, Keys] = {}
        self.deaths: Counter[tuple[int, int, int]] = Counter()
        self._counted_at = -COUNTING_SECONDS
        self._most = 1
        self._in_vain = 0

    def work(self, interrupted: Callable[[], bool]) -> None:
        """Give out runs and take in reports until nothing is left or an interrupt waits."""
        while not interrupted():
            most = self.most()
            while len(self.out) < most and (keys := self.portions.take()) is not None:
                self.out[self.task.remote(self.job, keys, self.undertaking.of(keys))] = keys
            if not self.out:
                return
            self.listen(LISTENING_SECONDS)

    def listen(self, seconds: float) -> None:
        """Take in what has come back, waiting for the first of it."""
        ready, rest = self.ray.wait(list(self.out), num_returns=1, timeout=seconds)
        if ready and rest:
            more, _ = self.ray.wait(rest, num_returns=len(rest), timeout=0)
            ready += more
        for reference in ready:
            self.take_in(self.out.pop(reference), reference)

    def take_in(self, keys: Keys, reference: Any) -> None:
        """Enter a report, or give the runs out again whose worker died."""
        failures = self.ray.exceptions
        try:
            report: Report = self.ray.get(reference)
        except failures.TaskCancelledError:
            self.portions.back(keys)
        except (failures.WorkerCrashedError, failures.OutOfMemoryError) as error:
            self.undertaking.deaths += 1
            self.again(keys, type(error).__name__)
        except failures.RayTaskError as error:
            # Before RaySystemError, which it is as well when a worker cannot read what it is sent.
            raise RunError(f"a worker could not begin: {_last_line(error)}") from error
        except failures.RaySystemError:
            raise
        except failures.RayError as error:
            self.undertaking.deaths += 1
            self.portions.back(keys)
            self._in_vain += 1
            if self._in_vain > MOST_IN_VAIN:
                raise RunError(f"workers can do nothing: {type(error).__name__}: {_last_line(error)}") from error
        else:
            self._in_vain = 0
            if report.trouble:
                raise RunError(f"a worker can do nothing: {report.trouble}")
            self.undertaking.keep(keys, report)
            self.portions.learn(report.runs, report.seconds, report.size)
            self.undertaking.bar.add(report.runs, report.failures)

    def again(self, keys: Keys, kind: str) -> None:
        """Give runs out again whose process died, in halves when it dies again; one that does is a failed run."""
        point, replicate = map(int, keys[0])
        name = point, replicate, len(keys)
        self.deaths[name] += 1
        if len(keys) > 1 and self.deaths[name] >= DEATHS_TOGETHER:
            self.portions.back(keys[: len(keys) // 2])
            self.portions.back(keys[len(keys) // 2 :])
        elif self.deaths[name] >= DEATHS_ALONE:
            message = f"the process that did this run died, {self.deaths[name]} times"
            outcome = Outcome({}, np.zeros(0, np.int64), 0, "failed", Failure(kind, message))
            seed = self.undertaking.worker.seed(self.undertaking.points(point), replicate)
            self.undertaking.keep(keys, Report(1, 1, outcomes=[outcome], seeds=[seed]))
            self.undertaking.bar.add(1, 1)
        else:
            self.portions.back(keys)

    def most(self) -> int:
        """Return how many tasks may be out; nodes may come and go."""
        now = time.monotonic()
        if now - self._counted_at >= COUNTING_SECONDS:
            self._counted_at = now
            there = max(1, int(self.ray.cluster_resources().get("CPU", 1)))
            workers = there if self.asked is None else min(self.asked, there)
            self.portions.workers = workers
            # With fewer workers than the cluster has processors a waiting task would find one, and be one more.
            self._most = workers if workers < there else IN_FLIGHT * workers
        return self._most

    def dismiss(self, grace: float) -> None:
        """Take back what is out, after waiting so many seconds for what is being done."""
        until = time.monotonic() + grace
        with suppress(Exception):
            while self.out and (left := until - time.monotonic()) > 0:
                self.listen(left)
        for reference in self.out:
            with suppress(Exception):
                self.ray.cancel(reference, force=True)
        self.out.clear()


def _last_line(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
