"""Going on with a run: ``resume`` finishes one that was killed, ``branch`` lets one take another course."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile import target
from simengine.errors import InputError, StoreError, nearest_file
from simengine.policies.reports import bind, copy_record, record_of
from simengine.runs.arguments import MOST_STEPS, checked_path, checked_threads, shown_path, whole_number
from simengine.runs.carry_out import carry_out, to_the_end
from simengine.runs.driving import checked_shards, driving
from simengine.runs.options import Options
from simengine.runs.recipe import Recipe, changes_since
from simengine.runs.schedule import check_schedule
from simengine.runs.session import Driver, Session
from simengine.scenario import interventions
from simengine.scenario.parameters import shown
from simengine.store.attributes import CONTENT_HASH, decode_attributes
from simengine.store.checkpoints import Checkpoint, read_checkpoints, remove_checkpoints
from simengine.store.files import PARTS_SUFFIX, is_netcdf, parts_of, remove_folder
from simengine.store.header import Header, read_header_of
from simengine.store.parts import usable_segments
from simengine.store.provenance import provenance
from simengine.store.reading import open_run
from simengine.store.writer import RunWriter

if TYPE_CHECKING:
    import xarray


def resume(
    path: str | Path,
    *,
    threads: int | None = None,
    progress: bool = True,
    policies: Mapping[str, Any] | None = None,
    allow_changes: bool = False,
    shards: int | None = None,
    address: str | None = None,
    calls: Mapping[str, Any] | None = None,
) -> xarray.Dataset:
    """Finish a run that was killed, as if nothing had happened: the result has the same ``content_hash``.

    Parameters
    ----------
    path
        The run's file, the ``out`` of `run`: not there yet, or finished, which is then just opened.
    threads, shards, address
        As in `run`; may differ from before.
    progress
        Whether to show a progress bar.
    policies
        The policies of the run, where the file does not keep them (a lambda, an object).
    calls
        Of a run with language models: the `Language` keywords that say who is called, and how.
    allow_changes
        Whether to go on although versions, the processor or the scenario have changed since; the result is then not
        that of an undisturbed run.

    Raises
    ------
    InputError
        When there is no such run, or it cannot be gone on with here.
    RunError, StoreError
        As for `run`.
    """
    file, threads = run_path(path), checked_threads(threads)
    shards = checked_shards(shards, address)
    parts = parts_of(file)
    if not parts.is_dir():
        if file.is_file():
            return _finished(file)
        raise InputError(
            f"there is no run {shown_path(file)}: neither the file nor {parts.name}, which a killed run leaves"
            f"{nearest_file(file)}"
        )
    header = read_header_of(file)
    if _is_finished(file, header):
        return _finished(file)
    attributes = {**header.stable, **header.volatile}
    recipe = Recipe.recall(
        attributes, header.static, policies=policies, where=shown_path(parts), record=record_of(file), calls=calls
    )
    bind(recipe.policies, file)
    stride = attributes.get("checkpoint_every")
    options = Options(threads, "auto", progress, None if stride is None else int(stride), shards, address)
    with driving(recipe, options) as engine:
        return _resumed(recipe, engine, file, header, options, allow_changes)


def _resumed(
    recipe: Recipe, engine: Driver, file: Path, header: Header, options: Options, allow_changes: bool
) -> xarray.Dataset:
    attributes = {**header.stable, **header.volatile}
    now, _ = provenance(cpu_target=target.cpu_name())
    now |= recipe.attributes(engine.surroundings)[0]
    changes = changes_since(header.stable, now)
    if changes and not allow_changes:
        raise InputError(
            f"{shown_path(file)} was begun with another {described_changes(changes)}; "
            "to go on all the same: allow_changes=True, or --allow-changes on the command line"
        )
    run_id = str(attributes["run_id"])
    usable = usable_segments(file)
    checkpoint = next((one for one in read_checkpoints(file, run_id) if one.segments <= usable), None)
    resumed = [*(attributes.get("resumed_at_step") or []), checkpoint.step if checkpoint else 0]
    note: dict[str, Any] = {"resumed_at_step": resumed, "threads": engine.threads}
    if changes:
        earlier = attributes.get("changed_since_begun") or {}
        note["changed_since_begun"] = {**earlier, **{name: list(pair) for name, pair in changes.items()}}
    writer = RunWriter.resume(file, checkpoint.segments if checkpoint else 0)
    writer.note(note)
    session = Session(recipe, engine, writer, run_id=run_id, path=file, checkpoint_every=options.checkpoint_every)
    if checkpoint is not None:
        session.load(checkpoint)
    return to_the_end(session, file, options)


def run_path(path: Any) -> Path:
    """Return the path of a run's file, also where the folder of an unfinished run was named."""
    if not isinstance(path, str | Path) or not str(path):
        raise InputError(f"got {shown(path)}, allowed is the path of a run's file")
    file = Path(path)
    file = file.with_name(file.name.removesuffix(PARTS_SUFFIX)) if file.name.endswith(PARTS_SUFFIX) else file
    try:
        file.exists()
        parts_of(file).exists()
    except OSError as error:
        raise InputError(f"cannot read {shown_path(file)}: {error.strerror}") from None
    return file


def _is_finished(path: Path, header: Header) -> bool:
    """Whether a process was killed between finishing its file and removing the segments."""
    if not path.is_file():
        return False
    try:
        with open_run(path) as dataset:
            return str(dataset.attrs.get("run_id")) == str(header.volatile.get("run_id"))
    except StoreError:
        return False


def _finished(path: Path) -> xarray.Dataset:
    """Open a finished run, and remove what a process left that was killed while it removed the rest."""
    if not is_netcdf(path):
        raise InputError(f"{shown_path(path)} is no run file")
    dataset = open_run(path)
    attributes = decode_attributes(dataset.attrs)
    if not {"run_id", CONTENT_HASH} <= attributes.keys():
        dataset.close()
        raise InputError(f"{shown_path(path)} is no run file: it has no run_id or no {CONTENT_HASH}")
    with suppress(OSError, StoreError):
        remove_folder(parts_of(path))
        if attributes.get("checkpoint_every") is None:
            remove_checkpoints(path)
    return dataset


def described_changes(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """Return what changed, then and now, in one line."""
    parts = []
    for name, (then, now) in changes.items():
        what = "scenario" if name == "scenario_source_hash" else name.removeprefix("version_").replace("_", " ")
        parts.append(what if what == "scenario" else f"{what} ({then} then, {now} now)")
    return ", ".join(parts)


def recalled(
    path: Path, scenario: Any = None, policies: Mapping[str, Any] | None = None, calls: Mapping[str, Any] | None = None
) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe and the decoded attributes of a finished run file."""
    if not path.is_file():
        unfinished = parts_of(path).is_dir()
        hint = f"; its run is not finished: simengine resume {path.name}" if unfinished else nearest_file(path)
        if path.is_dir():
            hint = "; it is a folder, give the file of one run"
        raise InputError(f"there is no run file {shown_path(path)}{hint}")
    with open_run(path) as dataset:
        attributes = decode_attributes(dataset.attrs)
        kept: dict[str, NDArray[Any]] = {
            str(name): np.asarray(dataset[name].values) for name in dataset.data_vars if str(name).startswith("start_")
        }
    recipe = Recipe.recall(
        attributes, kept, scenario=scenario, policies=policies, where=shown_path(path), record=record_of(path),
        calls=calls,
    )  # fmt: skip
    return recipe, attributes


def branch(
    path: str | Path,
    *,
    at: int,
    out: str | Path | None = None,
    steps: int | None = None,
    apply: Callable[..., Any] | None = None,
    threads: int | None = None,
    progress: bool = True,
    policies: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    checkpoint_every: int | None = None,
    shards: int | None = None,
    address: str | None = None,
    calls: Mapping[str, Any] | None = None,
    **changes: Any,
) -> xarray.Dataset:
    """Let a run take another course from a step on, with the same random numbers: a paired counterfactual.

    The branch is the run of the file with one more intervention, and its result the same as that of such a run from
    the start; where the file's run kept a checkpoint before ``at`` (``checkpoint_every=``), it goes on from there,
    otherwise the steps before are repeated. Without changes it equals the original bit for bit.

    Parameters
    ----------
    path
        A finished run's file.
    at
        After how many steps the change is made.
    out
        The file to write; by default the result is only returned.
    steps
        The most steps of the branch, those before ``at`` included. Default: as the original.
    apply
        A function that changes agents, see `simengine.at`.
    threads, progress, overwrite, checkpoint_every, shards, address
        As in `run`.
    policies
        The policies of the run, where the file does not keep them.
    calls
        Of a run with language models, for what its record does not hold: the `Language` keywords that say who is
        called, and how (``backend``, ...). The record's answers are used first.
    **changes
        New values of the scenario's parameters.

    Raises
    ------
    InputError
        When there is no such run or step, or the change is not allowed; nothing is written then.
    """
    file, threads = run_path(path), checked_threads(threads)
    shards = checked_shards(shards, address)
    if checkpoint_every is not None:
        checkpoint_every = whole_number("checkpoint_every", checkpoint_every, 1)
        if out is None:
            raise InputError("checkpoint_every: checkpoints lie beside a file; give out=")
    recipe, attributes = recalled(file, None, policies, calls)
    stopped = int(attributes["stopped_at"])
    at = whole_number("at", at, 0, stopped)
    if at == stopped and attributes["stop_reason"] != "steps":
        raise InputError(f"at: the run stopped at step {stopped} ({attributes['stop_reason']}); branch before")
    steps = recipe.steps if steps is None else whole_number("steps", steps, at, MOST_STEPS)
    schedule = [item for item in recipe.interventions if item.first < steps]
    if changes or apply is not None:
        if at >= steps:
            raise InputError(f"at: the run ends at step {steps}; branch before, or give more steps=")
        schedule.append(interventions.at(at, apply=apply, **changes))
    recipe = replace(recipe, steps=steps, interventions=check_schedule(schedule, recipe.scenario, steps))
    checkpoint = next(
        (one for one in read_checkpoints(file, str(attributes.get("run_id"))) if one.step <= at), None
    )  # fmt: skip
    options = Options(threads, "auto", progress, checkpoint_every, shards, address)
    origin = {"branched_from": str(file), "branched_at": at, "branched_from_hash": attributes.get("content_hash")}
    if out is not None:
        target_path = checked_path(out, overwrite)
        if target_path.resolve() == file.resolve():
            raise InputError("out: a branch cannot take the place of the run that it comes from")
        return carry_out(
            recipe, target_path, options, overwrite=overwrite, volatile=origin, begin=_copied(file, checkpoint)
        )
    if checkpoint is None:
        return carry_out(recipe, None, options, volatile=origin)
    with tempfile.TemporaryDirectory() as folder:
        result = carry_out(
            recipe, Path(folder) / "branch.nc", replace(options, checkpoint_every=None), volatile=origin,
            begin=_copied(file, checkpoint),
        )  # fmt: skip
        with result:
            return result.load()


def _copied(source: Path, checkpoint: Checkpoint | None) -> Callable[[Session], None] | None:
    """Return what takes a session to a checkpoint of another run, whose rows before it are copied."""
    if checkpoint is None:
        return None

    def begin(session: Session) -> None:
        assert isinstance(session.writer, RunWriter)
        session.writer.copy_rows(source, checkpoint.step)
        if session.path is not None:
            copy_record(source, session.path, checkpoint.step)
        session.load(checkpoint)

    return begin
