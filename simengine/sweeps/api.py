"""``simengine.sweep`` and what can be done with its folder: extend, resume, open, status, failures."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simengine.errors import InputError, nearest_file
from simengine.runs import api as runs_api
from simengine.runs import continuing
from simengine.runs.arguments import shown_path
from simengine.scenario.parameters import shown
from simengine.store.checkpoints import CHECKPOINT_SUFFIX, CHECKPOINTS_SUFFIX
from simengine.sweeps.identity import is_sweep
from simengine.sweeps.manner import Manner

if TYPE_CHECKING:
    import xarray

    from simengine.scenario.scenario import Scenario


def sweep(
    scenario: type[Scenario] | str | Path,
    design: Any,
    *,
    replicates: int = 1,
    steps: int | None = None,
    every: int | None = None,
    seed: int = 0,
    start: Any = None,
    out: str | Path | None = None,
    address: str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **fixed: Any,
) -> xarray.Dataset:
    """Run a scenario at every point of a design, with replicates, and return all results as one Dataset.

    A run that raises is recorded as failed and the others go on. The seed of a run follows from the sweep's seed, the
    swept parameters' values and the replicate, so that `simengine.run` with the ``seed`` of the Dataset repeats any of
    them.

    Parameters
    ----------
    scenario
        A scenario class, the name of an installed one, or the path of a Python file.
    design
        Which points: a dict of lists (every combination), a list of dicts, a design of `simengine.designs`, or a
        callable that proposes points from what it is told of those that are finished.
    replicates
        Runs of every point.
    steps
        The most steps of a run. Default: the scenario's own.
    every
        Stride of the recorded observables in steps. By default only the first and the last step are recorded.
    seed
        With the parameters and the replicate, gives the seed of a run. 0 to 2**64 - 1.
    start
        A start state that all runs share, as in `simengine.run`; a graph of one's own for a network:
        ``start={"acquaintances": "karate.graphml"}``.
    out
        The folder to write. If it holds the same sweep, what is missing is done. By default nothing stays on the disk.
    address
        A Ray cluster to work on: ``"host:port"``, or ``"auto"`` for the one of this machine.
    workers
        How many runs at a time. By default one, in this process, while that is quick enough; otherwise a Ray of this
        machine is started with all processors, or the whole cluster at ``address`` is used.
    overwrite
        Whether another sweep in ``out`` may be replaced.
    progress
        Whether to show a progress bar when the sweep takes longer than a moment.
    **fixed
        The scenario's parameters that all runs share.

    Returns
    -------
    xarray.Dataset
        For a grid with the swept parameters, ``replicate`` and ``time`` as dimensions, otherwise with one dimension
        ``run``. ``status`` says which runs failed, ``seed`` how to repeat them.

    Raises
    ------
    InputError
        For anything wrong with the arguments, at any point; nothing is written then.
    RunError, StoreError
        When the sweep cannot go on; what is done stays, and `simengine.resume` goes on.
    """
    from simengine.sweeps.carrying import swept
    from simengine.sweeps.request import Request

    manner = Manner.of(address, workers, progress)
    path = None if out is None else checked_folder(out)
    request = Request.of(
        scenario, design, fixed, replicates=replicates, steps=steps, every=every, seed=seed, start=start
    )  # fmt: skip
    if path is not None:
        return swept(request, path, manner, overwrite=bool(overwrite))
    with (
        tempfile.TemporaryDirectory(prefix="simengine-sweep-") as folder,
        swept(request, Path(folder) / "sweep", manner, lasting=False) as dataset,
    ):
        return dataset.load()


def extend(
    path: str | Path,
    design: Any = None,
    replicates: int | None = None,
    *,
    address: str | None = None,
    workers: int | None = None,
    progress: bool = True,
    allow_changes: bool = False,
) -> xarray.Dataset:
    """Add points or replicates to a sweep, do their runs, and return all results.

    Parameters
    ----------
    path
        The folder of the sweep.
    design
        Further points of the same parameters; those that are there already stay as they are.
    replicates
        Runs of every point from now on, those that are there included.
    address, workers, progress
        As in `simengine.sweep`.
    allow_changes
        Whether to go on although versions, the processor or the scenario have changed since the sweep was begun.

    Raises
    ------
    InputError
        When there is no such sweep, or it cannot be extended so; nothing is written then.
    """
    from simengine.sweeps.carrying import extended

    manner = Manner.of(address, workers, progress)
    if design is None and replicates is None:
        raise InputError("extend: give points to add (design=), or how many replicates there shall be (replicates=)")
    return extended(sweep_path(path), design, replicates, manner, bool(allow_changes))


def resume_sweep(
    path: str | Path,
    *,
    address: str | None = None,
    workers: int | None = None,
    progress: bool = True,
    scenario: Any = None,
    design: Any = None,
    allow_changes: bool = False,
) -> xarray.Dataset:
    """Do what is missing of a sweep that was interrupted or killed; the result is that of an undisturbed one.

    Parameters
    ----------
    path
        The folder of the sweep; one that is finished is just opened.
    address, workers, progress
        As in `simengine.sweep`; they may differ from before.
    scenario, design
        The scenario, or what proposes points, where the folder does not keep it.
    allow_changes
        Whether to go on although versions, the processor or the scenario have changed since.

    Raises
    ------
    InputError
        When there is no such sweep, or it cannot be gone on with here.
    """
    from simengine.sweeps.carrying import resumed

    manner = Manner.of(address, workers, progress)
    return resumed(sweep_path(path), manner, scenario, design, bool(allow_changes))


def resume(
    path: str | Path,
    *,
    threads: int | None = None,
    shards: int | None = None,
    address: str | None = None,
    workers: int | None = None,
    progress: bool = True,
    policies: Mapping[str, Any] | None = None,
    scenario: Any = None,
    design: Any = None,
    allow_changes: bool = False,
    calls: Mapping[str, Any] | None = None,
) -> xarray.Dataset:
    """Finish a run or a sweep that was interrupted or killed, as if nothing had happened.

    The result has the same ``content_hash`` as that of an undisturbed one.

    Parameters
    ----------
    path
        The ``out`` of `run` or `sweep`: unfinished, or finished, which is then just opened.
    threads, shards, policies
        Of a run: as in `run`; policies where the file does not keep them (a lambda, an object).
    calls
        Of a run with language models: the `Language` keywords that say who is called, and how (``backend``, ``budget``,
        ``limits``, ``connections``, ...). By default only the record beside the file answers.
    workers, scenario, design
        Of a sweep: as in `sweep`; scenario and design where the folder does not keep them.
    address
        As in `run` and `sweep`.
    progress
        Whether to show a progress bar.
    allow_changes
        Whether to go on although versions, the processor or the scenario have changed since; the result is then not
        that of an undisturbed run.

    Raises
    ------
    InputError
        When there is nothing to go on with there, or it cannot be gone on with here.
    RunError, StoreError
        As for `run` and `sweep`.
    """
    of_run = {"threads": threads, "shards": shards, "policies": policies, "calls": calls}
    of_sweep = {"workers": workers, "scenario": scenario, "design": design}
    is_one = isinstance(path, str | Path) and bool(str(path)) and _holds_sweep(Path(path))
    for name, value in (of_run if is_one else of_sweep).items():
        if value is not None:
            kinds = ("sweep", "run") if is_one else ("run", "sweep")
            raise InputError(
                f"{name}: {shown_path(Path(path))} is the result of a {kinds[0]}; {name} is for a {kinds[1]}"
            )
    if is_one:
        return resume_sweep(
            path, address=address, workers=workers, progress=progress, scenario=scenario, design=design,
            allow_changes=allow_changes,
        )  # fmt: skip
    return continuing.resume(
        path, threads=threads, progress=progress, policies=policies, allow_changes=allow_changes, shards=shards,
        address=address, calls=calls,
    )  # fmt: skip


def open(path: str | Path) -> xarray.Dataset:
    """Open a run file, what a killed run left behind, the folder of a sweep, or checkpoints, as a Dataset.

    A sweep may be unfinished: ``status`` says which runs are missing. Of checkpoints (``OUT.checkpoints``, or one of
    the npz files in it) the Dataset has the state of every agent at those steps, as snapshots of a run file.
    """
    if isinstance(path, str | Path) and _holds_sweep(Path(path)):
        from simengine.sweeps.opening import open_sweep

        return open_sweep(Path(path))
    if isinstance(path, str | Path) and str(path).endswith((CHECKPOINTS_SUFFIX, CHECKPOINT_SUFFIX)):
        from simengine.runs.kept_states import open_checkpoints

        return open_checkpoints(Path(path))
    return runs_api.open(path)


def status(path: str | Path) -> dict[str, Any]:
    """Return how far a sweep is, also while it runs, from its folder alone.

    The numbers of ``points``, ``replicates``, ``runs``, and of runs that are ``done``, ``failed`` and ``missing``;
    whether it is ``running``; ``bytes`` on the disk; ``seconds`` of all runs together; while it runs
    ``runs_per_second`` and ``seconds_left``.

    Raises
    ------
    InputError
        When there is no sweep.
    """
    from simengine.sweeps.folder import SweepFolder

    return SweepFolder.open(sweep_path(path), check=False).status()


def failures(path: str | Path) -> list[dict[str, Any]]:
    """Return the runs of a sweep that failed: ``point``, ``replicate``, ``seed``, ``parameters`` and why.

    Why is ``kind`` (the exception), ``message`` and ``traceback``.

    Raises
    ------
    InputError
        When there is no sweep.
    """
    from simengine.sweeps import opening

    return opening.failures(sweep_path(path))


def estimate(
    scenario: type[Scenario] | str | Path,
    design: Any,
    *,
    replicates: int = 1,
    steps: int | None = None,
    every: int | None = None,
    seed: int = 0,
    start: Any = None,
    address: str | None = None,
    workers: int | None = None,
    **fixed: Any,
) -> dict[str, Any]:
    """Return how many runs a sweep has and, from a short trial in this process, its time and size; write nothing.

    The arguments are those of `simengine.sweep`, with its errors.
    """
    from simengine.sweeps.estimating import estimated
    from simengine.sweeps.request import Request

    manner = Manner.of(address, workers, False)
    return estimated(
        Request.of(scenario, design, fixed, replicates=replicates, steps=steps, every=every, seed=seed, start=start),
        manner,
    )  # fmt: skip


def checked_folder(out: Any) -> Path:
    """Return the path of a folder that a sweep may have."""
    if not isinstance(out, str | Path) or not str(out):
        raise InputError(f"out: got {shown(out)}, allowed is the path of a folder")
    path = Path(out)
    try:
        if "\0" in str(path):
            raise InputError("out: a name cannot hold a NUL character")
        str(path).encode()
        if path.exists() and not path.is_dir():
            raise InputError(f"out: {shown_path(path)} is a file; a sweep is a folder")
    except UnicodeEncodeError:
        raise InputError(f"out: cannot write {shown_path(path)}: its name is not Unicode text") from None
    except OSError as error:
        raise InputError(f"out: cannot write {shown_path(path)}: {error.strerror}") from None
    return path


def sweep_path(path: Any) -> Path:
    """Return the path of a sweep's folder; ``InputError`` where there is none."""
    if not isinstance(path, str | Path) or not str(path):
        raise InputError(f"got {shown(path)}, allowed is the path of a sweep's folder")
    if not _holds_sweep(Path(path)):
        raise InputError(f"there is no sweep {shown_path(Path(path))}{nearest_file(Path(path))}")
    return Path(path)


def _holds_sweep(path: Path) -> bool:
    try:
        return is_sweep(path)
    except (OSError, ValueError):
        return False
