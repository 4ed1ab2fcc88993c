"""Carrying out a recipe: into memory, or into a file that can be gone on with when the process dies."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simengine.errors import InputError, StoreError
from simengine.policies import reports
from simengine.runs.arguments import shown_path
from simengine.runs.driving import driving
from simengine.runs.options import Options
from simengine.runs.progress import CompileNotice, Progress
from simengine.runs.recipe import Recipe
from simengine.runs.session import Driver, Session, opening, start_variables
from simengine.store.checkpoints import remove_checkpoints
from simengine.store.memory import MemoryWriter
from simengine.store.reading import open_run
from simengine.store.writer import RunWriter

if TYPE_CHECKING:
    import xarray

DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def carry_out(
    recipe: Recipe, path: Path | None, options: Options, *, overwrite: bool = False,
    volatile: Mapping[str, Any] = {}, begin: Callable[[Session], None] | None = None,
) -> xarray.Dataset:  # fmt: skip
    """Run a recipe from its start, or from where ``begin`` takes the session, and return what it recorded.

    ``volatile`` are further attributes that the content hash leaves out.
    """
    reports.bind(recipe.policies, path)
    record = None if path is None else reports.record_of(path)
    if record is not None and os.path.exists(record) and not overwrite:
        raise InputError(
            f"{shown_path(record)} holds the calls of an earlier run, which may have cost something; "
            "to replace it: overwrite=True, or --force on the command line"
        )
    with driving(recipe, options) as engine:
        return _carried_out(recipe, engine, path, options, overwrite, volatile, begin)


def _carried_out(
    recipe: Recipe, engine: Driver, path: Path | None, options: Options, overwrite: bool,
    volatile: Mapping[str, Any], begin: Callable[[Session], None] | None,
) -> xarray.Dataset:  # fmt: skip
    layout, stable, unhashed = opening(recipe, engine)
    unhashed |= {"checkpoint_every": options.checkpoint_every, **volatile}
    writer: RunWriter | MemoryWriter
    if path is None:
        writer = MemoryWriter(layout, stable, volatile=unhashed, static=start_variables(recipe))
    else:
        try:
            writer = RunWriter(
                path, layout, stable, volatile=unhashed, overwrite=overwrite, static=start_variables(recipe)
            )
        except StoreError as error:
            if getattr(error.__cause__, "errno", None) in DISK_TROUBLE:
                raise
            raise InputError(f"out: {error}") from None
        except ValueError as error:
            raise InputError(f"out: cannot write {shown_path(path)}: {error}") from None
    if path is not None:
        reports.remove_record(path)
        reports.keep_weights(recipe.policies, path)
    session = Session(
        recipe, engine, writer, run_id=unhashed["run_id"], path=path, checkpoint_every=options.checkpoint_every
    )
    return to_the_end(session, path, options, begin)


class MissedInterventions(UserWarning):
    """A run stopped before interventions that were to come."""


def warn_of_missed(recipe: Recipe, engine: Driver) -> None:
    """Say which interventions a stop condition has cut off."""
    missed = [one for one in recipe.interventions if one.stride is None and one.first > engine.step]
    if engine.stop_reason is not None and missed:
        stopped = f"the run stopped at step {engine.step} ({engine.stop_reason})"
        listed = ", ".join(map(str, missed))
        warnings.warn(f"{stopped}: {listed} did not happen", MissedInterventions, stacklevel=2)


@contextmanager
def closing_answers(recipe: Recipe) -> Iterator[None]:
    """Let policies give back connections and files at the end."""
    try:
        yield
    finally:
        reports.close(recipe.policies)


def to_the_end(
    session: Session, path: Path | None, options: Options, begin: Callable[[Session], None] | None = None
) -> xarray.Dataset:
    """Take a session to its last step, finish its file and return the result."""
    recipe, engine, writer = session.recipe, session.engine, session.writer
    name, shards = type(recipe.scenario).__name__, engine.happened.get("shards")
    title = name if shards is None else f"{name} in {shards} shard{'s' * (shards > 1)}"
    with closing_answers(recipe), writer:
        with CompileNotice(options.progress):
            session.recorder.prepare()
            if recipe.steps:
                engine.prepare()
        if begin is not None:
            begin(session)
        with Progress(title, recipe.steps, engine.agents, options.progress) as bar:
            session.advance(recipe.steps, bar, last=True)
        warn_of_missed(recipe, session.engine)
        stable, unhashed = session.final()
        result = writer.close(stable, unhashed)
    if path is None:
        return result  # type: ignore[return-value]
    if options.checkpoint_every is None:
        remove_checkpoints(path)
    return open_run(path)
