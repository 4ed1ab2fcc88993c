"""``simengine watch``: a run or a sweep at work, from its files alone, until it is finished."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from simengine.analysis.watching import RunState, SweepState, WatchedRun, WatchedSweep, watched
from simengine.cli import output
from simengine.cli.output import PLAIN_WIDTH, print_json
from simengine.cli.watch_page import Room, page
from simengine.errors import InputError, nearest_file
from simengine.store.files import is_netcdf

FINE, FAILED, INTERRUPTED = 0, 1, 130
LEAST_SECONDS, MOST_SECONDS = 0.1, 86_400.0
COST = 4.0
"""By how much the time between two looks is longer than a look, however fast one wants to see."""

STEPS = 20
"""Pieces of the time between two looks, after each of which the page is fitted to the terminal."""

State = RunState | SweepState


def perform(path: Path, every: float, once: bool, as_json: bool) -> int:
    """Show a run or a sweep until it ends and return the exit code: 1 when it is unfinished and left alone.

    Without a terminal, or with ``once`` or ``as_json``, its state is printed once.
    """
    if not LEAST_SECONDS <= every <= MOST_SECONDS:
        raise InputError(f"--every: got {every:g}, allowed are seconds, at least {LEAST_SECONDS:g}, and a day at most")
    check(path)
    console = output.console()
    if once or as_json or not console.is_terminal:
        return _once(path, console, as_json)
    try:
        state = follow(path, every, console)
    except KeyboardInterrupt:
        return INTERRUPTED
    _print(state, console)
    return exit_code(state)


def check(path: Path) -> None:
    """Raise InputError for what can never become a run or a sweep."""
    if path.is_file() and not is_netcdf(path):
        raise InputError(f"{path} is no run file")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent}")


def _once(path: Path, console: Console, as_json: bool) -> int:
    watching = watched(path)
    if watching is None:
        raise InputError(f"there is no run or sweep {path}{nearest_file(path)}")
    state = watching.look()
    if as_json:
        print_json(document(state))
    else:
        _print(state, console)
    return exit_code(state)


def follow(path: Path, every: float, console: Console) -> State:
    """Show what is under a path, anew every so many seconds, and return its last state."""
    watching: WatchedRun | WatchedSweep | None = None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            begun = time.monotonic()
            watching = watching or watched(path)
            state = None if watching is None else watching.look()
            if state is None or state.phase == "waiting":
                watching = None
            elif state.phase in ("finished", "left"):
                return state
            cost = time.monotonic() - begun
            pause = max(every, COST * cost)
            size = None
            for _ in range(STEPS):
                # A terminal that has another size now shall not have to wait for the next look.
                if size != console.size:
                    size = console.size
                    live.update(_shown(state, path, console), refresh=True)
                time.sleep(pause / STEPS)


def exit_code(state: State) -> int:
    """Return 1 for what is unfinished and left alone, and for a finished sweep of which runs failed."""
    failed = isinstance(state, SweepState) and state.phase == "finished" and state.failed > 0
    return FAILED if failed or state.phase == "left" else FINE


def document(state: State) -> dict[str, Any]:
    """Return a state as one JSON document; of series the last value only."""
    found = {one.name: getattr(state, one.name) for one in fields(state)}
    found["path"] = str(state.path)
    attributes = found.pop("attributes")
    found |= {name: attributes.get(name) for name in ("scenario", "seed", "host", "started_at", "stop_reason")}
    if isinstance(state, SweepState):
        found.pop("grid")
        return found
    found["observables"] = {
        series.name: {
            "last": series.last, "standard_error": series.standard_error, "unit": series.unit,
            "long_name": series.long_name, "flags": series.flags,
        }
        for series in state.observables
    }  # fmt: skip
    found["answers"] = {answer.decision: answer.numbers for answer in state.answers}
    found["calls"] = None if state.calls is None else vars(state.calls)
    found["checkpoint"] = (
        None if state.checkpoint is None else dict(zip(("step", "age"), state.checkpoint, strict=True))
    )
    return found


def _shown(state: State | None, path: Path, console: Console) -> Group:
    width, height = console.size
    if state is None or state.phase == "waiting":
        lines = [
            Text(f"waiting for {path}: there is no run or sweep of this name yet{nearest_file(path)}", style="yellow")
        ]
    else:
        # The last line is left empty: some terminals scroll when it is written.
        lines = page(state, Room(width, height - 1, not console.options.ascii_only))
    return Group(*lines)


def _print(state: State, console: Console) -> None:
    """Print a state as lines that stay; without a terminal as wide as they are."""
    width = console.width if console.is_terminal else 100
    room = Room(width, None, not console.options.ascii_only)
    if not console.is_terminal:
        room = Room(100, None, room.blocks)
    for line in page(state, room):
        console.print(line, soft_wrap=console.width >= PLAIN_WIDTH)
