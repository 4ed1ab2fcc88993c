"""Carrying out a sweep: a folder for it, its runs, what an adaptive design proposes next, and the end."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simengine.errors import InputError, RunError, StoreError
from simengine.runs.arguments import OVERWRITE, shown_path, whole_number
from simengine.runs.continuing import described_changes
from simengine.runs.recipe import changes_since, scenario_source
from simengine.shards.ray_cluster import connect, processors
from simengine.store.attributes import plain
from simengine.sweeps.adaptive import Told
from simengine.sweeps.beginning import NO_START, label, write_start
from simengine.sweeps.checking import checked, design_of
from simengine.sweeps.compaction import compact
from simengine.sweeps.description import Description
from simengine.sweeps.design import Design
from simengine.sweeps.folder import SweepFolder, refuse_existing
from simengine.sweeps.growing import extended as grown
from simengine.sweeps.identity import is_sweep, sweep_id
from simengine.sweeps.manner import Manner
from simengine.sweeps.opening import dataset_of, failures, open_sweep
from simengine.sweeps.portions import Portions
from simengine.sweeps.progress import SweepProgress
from simengine.sweeps.request import OF_A_SCENARIO, Request, proposal, typed
from simengine.sweeps.run_table import DONE, MISSING
from simengine.sweeps.scheduling import Undertaking, in_process, on_ray, ray_pays
from simengine.sweeps.standing import is_locked
from simengine.sweeps.worker import Job, machine

if TYPE_CHECKING:
    import xarray

    from simengine.scenario.scenario import Scenario

SHOWN_FAILURES = 3
NOT_KEPT = "the sweep was interrupted; a folder, out=, keeps what is done"


class InterruptedSweep(KeyboardInterrupt):
    """The user interrupted a sweep; the text says what is done and how to go on."""


class FailedRuns(UserWarning):
    """Runs of a sweep failed."""


class LostWorkers(UserWarning):
    """Workers or nodes died while they did runs of a sweep."""


def swept(
    request: Request, path: Path, manner: Manner, *, overwrite: bool = False, lasting: bool = True
) -> xarray.Dataset:
    """Do a sweep in a new folder, or what is missing of the same sweep in one that is there.

    ``lasting`` says whether the folder stays for the user to go on with.
    """
    description = request.description()
    there = same(request, description, path) if is_sweep(path) and not overwrite else None
    if there is None:
        refuse_existing(path, overwrite)
    refuse_busy(path)
    with ExitStack() as stack:
        crew = Crew(manner, stack, unsendable(request, description.volatile))
        crew.join_if_asked()
        if there is None:
            folder = stack.enter_context(
                SweepFolder.create(
                    path,
                    description,
                    request.design,
                    request.replicates,
                    overwrite,
                    fill=lambda folder: write_start(folder, request.scenario, request.start),
                )
            )
        else:
            folder = stack.enter_context(locked(there))
        carried_out(request, folder, crew, lasting)
    return open_sweep(path)


def extended(
    path: Path, design: Any, replicates: int | None, manner: Manner, allow_changes: bool = False
) -> xarray.Dataset:
    """Add points or replicates to a sweep and do what is missing."""
    refuse_busy(path)
    folder = SweepFolder.open(path)
    request = Request.recall(folder)
    changes = changed_since(folder, request)
    if not allow_changes:
        refuse(changes, folder, "extend")
    if replicates is not None:
        replicates = whole_number("replicates", replicates, folder.replicates)
    if design is not None:
        design = checked(design_of(design), request.scenario, request.fixed, replicates or folder.replicates)
        if not isinstance(design, Design):
            raise InputError("extend: a sweep is extended by points; an adaptive design proposes its own")
        grown(folder.design, design)
    with ExitStack() as stack:
        crew = Crew(manner, stack, unsendable(request, folder.description.volatile))
        crew.join_if_asked()
        stack.enter_context(locked(folder))
        note(changes, folder)
        folder.extend(design, replicates)
        carried_out(replace(request, replicates=folder.replicates), folder, crew)
    return open_sweep(path)


def resumed(path: Path, manner: Manner, scenario: Any, design: Any, allow_changes: bool) -> xarray.Dataset:
    """Do what is missing of a sweep."""
    folder = SweepFolder.open(path)
    if folder.compacted and folder.design.kind != "adaptive":
        return open_sweep(path)
    refuse_busy(path)
    request = Request.recall(folder, scenario, design)
    changes = changed_since(folder, request)
    if not allow_changes:
        refuse(changes, folder, "resume")
    with ExitStack() as stack:
        crew = Crew(manner, stack, unsendable(request, folder.description.volatile))
        crew.join_if_asked()
        stack.enter_context(locked(folder))
        note(changes, folder)
        carried_out(request, folder, crew)
    return open_sweep(path)


# -- what is there already -------------------------------------------------------------------------------------------


def same(request: Request, description: Description, path: Path) -> SweepFolder:
    """Return the folder of a sweep that is there, if it is of the same sweep; ``InputError`` says what differs."""
    folder = SweepFolder.open(path)
    where, instead = shown_path(path), f"choose another name, or overwrite it ({OVERWRITE})"
    now, then = facts(description), facts(folder.description)
    for name in dict.fromkeys((*then, *now)):
        if then.get(name) != now.get(name):
            raise InputError(
                f"out: {where} holds another sweep ({name}: {then.get(name)} there, {now.get(name)} here); {instead}"
            )
    points, there = request.design, folder.design
    begun_with = {name: there.columns[name][: len(points)] for name in there.names}
    same_points = points.names == there.names and all(
        tuple(points.columns[name]) == tuple(begun_with[name]) for name in points.names
    )
    is_whole = len(points) == len(there) or request.adaptive is not None
    if not (same_points and is_whole and request.replicates == folder.replicates):
        raise InputError(
            f"out: {where} holds this sweep with {len(there)} points and {folder.replicates} replicates; "
            f"to add others: extend (--extend on the command line), or {instead}"
        )
    refuse(changed_since(folder, request), folder, "resume")
    return folder


def facts(description: Description) -> dict[str, Any]:
    """Return what makes a sweep this one, besides its points, the text of the scenario and versions."""
    said = {name: value for name, value in description.attributes.items() if name.startswith("parameter_")}
    said.pop("parameter_units", None)
    shared = {name: description.attributes.get(name) for name in ("scenario", "sweep_seed")}
    shared["start"] = description.attributes.get("start", NO_START)
    found = {**shared, "steps": description.steps, "every": description.every, **said}
    return {name.removeprefix("parameter_"): plain(value) for name, value in found.items()}


def scenario_of(path: Path) -> type[Scenario]:
    """Return the scenario that a folder names or keeps."""
    return Request.recall(SweepFolder.open(path, check=False)).scenario


def refuse_other(path: Path, scenario: type[Scenario], given: Mapping[str, Any]) -> None:
    """Refuse words that disagree with what a folder says of its sweep.

    ``given`` are ``steps``, ``every``, ``seed`` and parameters that all runs share, as far as they were given.
    """
    folder = SweepFolder.open(path, check=False)
    there = facts(folder.description)
    there["seed"] = there.pop("sweep_seed")
    words = {name: value for name, value in given.items() if name in ("steps", "every", "seed")}
    fixed = typed(scenario, {name: value for name, value in given.items() if name not in words})
    for name, value in {"scenario": scenario.__name__, **words, **fixed}.items():
        if name in folder.design.names:
            raise InputError(f"{name} is swept in {shown_path(path)}: give the values to add as --grid {name}=VALUES")
        if there.get(name) != plain(value):
            raise InputError(
                f"{shown_path(path)} holds another sweep ({name}: {there.get(name)} there, {value} here); what is "
                "added has the same"
            )
    kept, given_text = folder.description.volatile.get("scenario_source"), scenario_source(scenario)[0]
    if kept and given_text != kept:
        raise InputError(
            f"{shown_path(path)} was begun with another text of {scenario.__name__}, which it keeps: leave the "
            "scenario out to add runs of that one, or choose another folder for this one"
        )


Changes = Mapping[str, tuple[Any, Any]]


def changed_since(folder: SweepFolder, request: Request) -> Changes:
    """Return what of versions, processor and scenario is not what it was when the sweep was begun."""
    return changes_since(folder.description.attributes, request.description().attributes)


def refuse(changes: Changes, folder: SweepFolder, what: str) -> None:
    """Refuse to go on after changes."""
    if changes:
        raise InputError(
            f"{shown_path(folder.path)} was begun with another {described_changes(changes)}; to go on all the same: "
            f"{what} it with allow_changes=True, or --allow-changes on the command line"
        )


def note(changes: Changes, folder: SweepFolder) -> None:
    """Let the folder say what has changed since it was begun."""
    if changes:
        earlier = folder.description.volatile.get("changed_since_begun") or {}
        folder.note({"changed_since_begun": {**earlier, **{name: list(pair) for name, pair in changes.items()}}})


def refuse_busy(path: Path) -> None:
    """Refuse a folder that another process is writing to."""
    if is_sweep(path) and is_locked(path):
        raise InputError(f"another process is carrying out the sweep {shown_path(path)}; wait for it, or stop it")


@contextmanager
def locked(folder: SweepFolder) -> Iterator[SweepFolder]:
    """Hold the lock of a folder; ``InputError`` where another process does."""
    try:
        folder.lock()
    except StoreError:
        refuse_busy(folder.path)
        raise
    try:
        yield folder
    finally:
        folder.release()


# -- who works -------------------------------------------------------------------------------------------------------


class Crew:
    """Who does runs: this process, and Ray's workers once they are needed; these leave with the ``stack``.

    ``unsendable`` is why the scenario cannot reach other processes, empty if it can.
    """

    def __init__(self, manner: Manner, stack: ExitStack, unsendable: str = "") -> None:
        self.manner, self._stack = manner, stack
        self._connected, self._alone = False, bool(unsendable)
        if unsendable and (manner.address is not None or (manner.workers or 1) > 1):
            raise InputError(f"workers: the scenario cannot be sent to them: {unsendable}; workers=1 runs it here")

    def join_if_asked(self) -> None:
        """Connect to the Ray at the address that was given, before anything is written."""
        if self.manner.address is not None:
            self._connect()

    def work(self, undertaking: Undertaking) -> None:
        """Do runs: here while that is quick enough, or where the user wants them done."""
        workers = self.manner.workers
        if not self._connected and (workers is None or workers == 1):
            most = processors() if workers is None and not self._alone else 1
            in_process(undertaking, lambda: ray_pays(undertaking.portions, most))
        if len(undertaking.portions):
            self._connect()
            on_ray(undertaking, workers)

    def _connect(self) -> None:
        if not self._connected:
            self._stack.enter_context(connect(self.manner.address, workers=self.manner.workers))
            self._connected = True


def unsendable(request: Request, said: Mapping[str, Any]) -> str:
    """Return why workers cannot have the scenario: it has no source that stands alone, and no module of its own."""
    reason = said.get("scenario_source_not_kept")
    scenario = request.scenario
    module = sys.modules.get(scenario.__module__)
    in_file = scenario.__module__ != "__main__" and getattr(module, scenario.__name__, None) is scenario
    return "" if reason is None or (in_file and said.get("scenario_file")) else str(reason)


# -- the runs --------------------------------------------------------------------------------------------------------


def carried_out(request: Request, folder: SweepFolder, crew: Crew, lasting: bool = True) -> None:
    """Do what is missing in a locked folder, also what an adaptive design goes on to propose, and compact it."""
    adaptive = request.adaptive
    points = len(folder.design) if adaptive is None else adaptive.most_points
    total = None if points is None else points * folder.replicates
    deaths = 0
    bar = SweepProgress(
        request.scenario.__name__, total, len(folder) - len(folder.missing()), crew.manner.progress
    )  # fmt: skip
    try:
        with bar:
            while True:
                undertaking = undertaken(request, folder, bar)
                try:
                    crew.work(undertaking)
                finally:
                    deaths += undertaking.deaths
                proposed = None if adaptive is None else adaptive.propose(finished_points(folder))
                if adaptive is None or not proposed:
                    break
                folder.extend(proposal(adaptive, proposed))
        compact(folder)
    except (RunError, StoreError) as error:
        if lasting:
            error.add_note(remains(folder))
        raise
    except KeyboardInterrupt:
        raise InterruptedSweep(remains(folder) if lasting else NOT_KEPT) from None
    finally:
        if deaths:
            warnings.warn(
                f"{deaths} times a worker or its node died; what it was doing was given out again",
                LostWorkers,
                stacklevel=5,
            )
    warn_of_failures(folder, lasting)


def undertaken(request: Request, folder: SweepFolder, bar: SweepProgress) -> Undertaking:
    """Return the runs that are missing, as something to do."""
    said = {**folder.description.attributes, **folder.description.volatile}
    job = Job(
        scenario={name: said.get(name) for name in OF_A_SCENARIO}, fixed=dict(request.fixed), steps=request.steps,
        every=request.every, seed=request.seed, machine=machine(), folder=str(folder.path.absolute()),
        sweep=sweep_id(folder.path), start=label(request.scenario, request.start),
    )  # fmt: skip
    return Undertaking(request.scenario, job, folder, folder.design.point, Portions(folder.missing()), bar)


def finished_points(folder: SweepFolder) -> list[Told]:
    """Return what an adaptive design is told: the points that are finished, with the last values of their runs."""
    with dataset_of(folder) as dataset:
        status = np.asarray(folder.holdings.status)
        last = np.searchsorted(folder.description.recorded_steps, dataset["stopped_at"].values)
        series = {}
        for variable in folder.description.layout.variables:
            values = dataset[variable.name].values
            rows = np.arange(len(values))
            series[variable.name] = values[rows, np.minimum(last, values.shape[1] - 1)]
    found = []
    for number in np.flatnonzero((status != MISSING).all(axis=1)).tolist():
        runs = range(number * folder.replicates, (number + 1) * folder.replicates)
        outcomes = [
            {name: values[run] for name, values in series.items()} if status.flat[run] == DONE else None for run in runs
        ]
        found.append(Told(folder.design.point(number), outcomes))
    return found


def warn_of_failures(folder: SweepFolder, lasting: bool) -> None:
    """Say how many runs failed, and why the first ones."""
    count = len(folder.failed())
    if not count:
        return
    listed = []
    for one in failures(folder.path)[:SHOWN_FAILURES]:
        values = ", ".join(f"{name}={value}" for name, value in one["parameters"].items())
        listed.append(f"{values} seed={one['seed']}: {one['kind']}: {one['message']}")
    more = f" and {count - len(listed)} more" if count > len(listed) else ""
    listing = f"simengine.failures({str(folder.path)!r}) lists them"
    where = f"; {listing if lasting else 'a folder, out=, keeps them with tracebacks'}"
    warnings.warn(f"{count} of {len(folder)} runs failed: {'; '.join(listed)}{more}{where}", FailedRuns, stacklevel=6)


def remains(folder: SweepFolder) -> str:
    """Say what is done and how to go on."""
    done = len(folder) - len(folder.missing())
    return (
        f"{done:,} of {len(folder):,} runs are done and kept; to go on: simengine.resume({str(folder.path)!r})"
    )  # fmt: skip
