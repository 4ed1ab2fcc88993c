"""``simengine.run``: one scenario, its parameters and a seed to one Dataset (and one file)."""

from __future__ import annotations

import errno
import hashlib
import inspect
import operator
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simengine.compile import target
from simengine.compile.helpers import Globals
from simengine.errors import InputError, StoreError, nearest
from simengine.policies.answers import checked
from simengine.runs import registry
from simengine.runs.engine import Engine, StorageOrder, describe_policies
from simengine.runs.progress import CompileNotice, Progress
from simengine.runs.recorder import Recorder, layout_of
from simengine.runs.start import check_sizes, implied, read
from simengine.scenario.parameters import shown
from simengine.scenario.scenario import Scenario

if TYPE_CHECKING:
    import xarray

    from simengine.store.layout import Layout
    from simengine.store.writer import RunWriter

STORAGE_ORDERS = ("auto", "by_id", "by_cell")
MOST_STEPS = 2**62
MOST_THREADS = 1024
LONGEST_PATH = 300
OVERWRITE = "overwrite=True, or --force on the command line"
DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def run(
    scenario: type[Scenario] | str | Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    every: int = 1,
    snapshot_every: int | None = None,
    out: str | Path | None = None,
    threads: int | None = None,
    start: Any = None,
    progress: bool = True,
    policies: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    storage_order: StorageOrder = "auto",
    **parameters: Any,
) -> xarray.Dataset:
    """Run a scenario and return what it recorded.

    Parameters
    ----------
    scenario
        A scenario class, the name of an installed one (``"schooling"``), or the path of a Python file.
    steps
        The most steps to run; a stop condition may end the run earlier (``stopped_at``, ``stop_reason`` in the
        attributes). Default: the scenario's own.
    seed
        With the scenario and its parameters, all that the result depends on. 0 to 2**64 - 1.
    every, snapshot_every
        Strides of the observables and of snapshots of all agents, in steps; the first and last step are always
        recorded. No snapshots by default.
    out
        The NetCDF file to write; by default the result is only returned.
    threads
        By default one for small populations and all processors for large ones. Never changes the result.
    start
        A start state in place of the scenario's own: a dict of arrays by field, a Dataset, or a run file, which also
        brings its parameters.
    progress
        Whether to show a progress bar when the run takes longer than a moment.
    policies
        Who answers decisions instead of the scenario's rule, by ``"population.decision"``: a callable or `Policy`.
    overwrite
        Whether ``out`` may replace an existing file.
    storage_order
        ``"auto"``, ``"by_id"`` or ``"by_cell"``: how agents lie in memory. Never changes the result.
    **parameters
        The scenario's parameters; see ``simengine describe NAME``. Precedence: given here > start > regime > default.

    Raises
    ------
    InputError
        For anything wrong with the arguments; nothing is written then.
    RunError, StoreError
        When the run or its file cannot go on; what was recorded stays readable with `simengine.open`.
    """
    found = registry.find(scenario)
    steps = whole_number("steps", found.default_steps if steps is None else steps, 0, MOST_STEPS)
    seed = whole_number("seed", seed, 0, 2**64 - 1)
    every = whole_number("every", every, 1)
    snapshot_every = None if snapshot_every is None else whole_number("snapshot_every", snapshot_every, 1)
    threads = None if threads is None else whole_number("threads", threads, 1, MOST_THREADS)
    if storage_order not in STORAGE_ORDERS:
        hint = nearest(str(storage_order), STORAGE_ORDERS)
        allowed = ", ".join(map(repr, STORAGE_ORDERS))
        raise InputError(f"storage_order: got {shown(storage_order)}, allowed is {allowed}{hint}")
    begun = read(found, start)
    instance = found(parameters, implied(found, begun))
    check_sizes(instance)
    answering = checked(policies, instance)
    path = None if out is None else checked_path(out, overwrite)
    from simengine.store.provenance import finished, provenance
    from simengine.store.writer import MemoryWriter

    try:
        engine = Engine(instance, seed, threads, begun, answering, storage_order)
    except MemoryError as error:
        raise InputError(f"{found.__name__} does not fit into this machine's memory: {error}") from None
    if steps:
        with CompileNotice(progress):
            engine.kernel.prepare()
    stable, volatile = provenance(cpu_target=target.cpu_name(), threads=engine.threads)
    attributes = describe(instance) | {
        "seed": seed, "steps": steps, "every": every, "snapshot_every": snapshot_every,
        "start": begun.label, "policies": describe_policies(answering) or None,
    } | stable  # fmt: skip
    attributes["scenario_source_hash"] = source_hash(found, engine.kernel.plan.surroundings)
    layout = layout_of(engine, snapshot_every is not None)
    writer: Any
    if path is None:
        writer = MemoryWriter(layout, attributes, volatile=volatile)
    else:
        writer = _begun(path, layout, attributes, volatile, overwrite)
    with writer, Progress(type(instance).__name__, steps, engine.agents, progress) as bar:
        recorder = Recorder(engine, writer, every, snapshot_every)
        recorder.record()
        started = time.perf_counter()
        while engine.step < steps and engine.stop_reason is None:
            engine.advance(bar.limited(engine.step, recorder.next_step(steps)))
            ended = engine.step == steps or engine.stop_reason is not None
            recorder.record(last=ended)
            bar.update(engine.step)
        final = {"stopped_at": engine.step, "stop_reason": engine.stop_reason or "steps"}
        result = writer.close(final, finished() | {"wall_seconds": time.perf_counter() - started})
    if path is None:
        return result  # type: ignore[no-any-return]
    from simengine.store.reading import open_run

    return open_run(path)


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return the value as a Python int; ``InputError`` unless it is a whole number within the bounds."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        allowed = f"a whole number, at least {low}" + ("" if high is None else f", at most {high}")
        raise InputError(f"{name}: got {shown(value)}, allowed is {allowed}")
    return number


def checked_path(out: str | Path, overwrite: bool) -> Path:
    """Return the path to write to; ``InputError`` when no file can be made there."""
    from simengine.store.files import parts_of

    if not isinstance(out, str | os.PathLike) or not str(out):
        raise InputError(f"out: got {shown(out)}, allowed is the path of a file")
    path = Path(out)
    parent, parts = path.parent, parts_of(path)
    reason = ""
    try:
        if path.is_dir():
            reason = "it is a folder; give the path of a file in it"
        elif not parent.is_dir():
            reason = f"{parent} is a file, not a folder" if parent.exists() else f"there is no folder {parent}"
        elif not overwrite and path.exists():
            reason = f"it exists; choose another name, or overwrite it ({OVERWRITE})"
        elif not overwrite and parts.exists():
            reason = f"{parts} holds an unfinished run; choose another name, or overwrite it ({OVERWRITE})"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise InputError(f"out: cannot write {shown_path(path)}: {reason}")
    return path


def shown_path(path: Path) -> str:
    """Return a path in one short line."""
    text = str(path)
    return text if len(text) <= LONGEST_PATH and text.isprintable() else shown(text)


def _begun(
    path: Path, layout: Layout, attributes: Mapping[str, Any], volatile: Mapping[str, Any], overwrite: bool
) -> RunWriter:
    """Open the run's file; ``InputError`` for a path that cannot be written, ``StoreError`` for a full disk."""
    from simengine.store.writer import RunWriter

    try:
        return RunWriter(path, layout, attributes, volatile=volatile, overwrite=overwrite)
    except StoreError as error:
        if getattr(error.__cause__, "errno", None) in DISK_TROUBLE:
            raise
        raise InputError(f"out: {error}") from None
    except ValueError as error:
        raise InputError(f"out: cannot write {shown_path(path)}: {error}") from None


def describe(scenario: Scenario) -> dict[str, Any]:
    """Return the attributes that say what was run: scenario, source, parameters with units."""
    cls = type(scenario)
    declared = cls.declaration.parameters.parameters
    attributes: dict[str, Any] = {
        "title": cls.summary(),
        "scenario": cls.__name__,
        "scenario_module": cls.__module__.removeprefix("simengine_file_"),
        "scenario_source_hash": "",
        "references": cls.paper or None,
        "time_step": scenario.dt,
    }
    attributes |= {f"parameter_{name}": value for name, value in scenario.values.items()}
    attributes["parameter_units"] = {name: declared[name].unit for name in scenario.values}
    return attributes


def source_hash(scenario: type[Scenario], surroundings: Globals) -> str:
    """Return a hash of the file (or cell) that defines the scenario, and of what its phases take from elsewhere."""
    try:
        path = inspect.getsourcefile(scenario)
        text = Path(path).read_text(encoding="utf-8") if path and Path(path).exists() else inspect.getsource(scenario)
    except (OSError, TypeError):
        text = repr(sorted(scenario.declaration.parameters.parameters))
    used = {**surroundings.constants, **surroundings.functions}
    return hashlib.sha256("\0".join([text, *(f"{name}={used[name]}" for name in sorted(used))]).encode()).hexdigest()


def open(path: str | Path) -> xarray.Dataset:
    """Open a run file, or what a killed run left behind, as a Dataset."""
    from simengine.store.reading import open_run

    return open_run(path)
