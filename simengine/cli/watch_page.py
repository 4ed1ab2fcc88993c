"""What `simengine watch` shows of a run or a sweep: lines of text, as wide and as many as the terminal has room for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from simengine.analysis.watching import GridMap, RunState, Series, SweepState, resampled
from simengine.analysis.watching.runs import LONGEST_DELAY
from simengine.cli.output import number, readable_size
from simengine.runs.progress import clock, readable
from simengine.scenario.parameters import shown

BLOCKS, PLAIN_BLOCKS = "▁▂▃▄▅▆▇█", "_.-=+*#@"
FULL, EMPTY, PLAIN_FULL, PLAIN_EMPTY = "━", "─", "#", "."
SHADES, PLAIN_SHADES = "·░▒▓█", ".-+*#"
FAILED_MARK, PLAIN_FAILED_MARK = "\N{MULTIPLICATION SIGN}", "x"
LEAST_SPARKS = 8
MOST_MAP_ROWS = 10
PHASES = {
    "waiting": ("waiting", "yellow"),
    "running": ("running", "green"),
    "finishing": ("writing the file", "green"),
    "finished": ("finished", "bold green"),
    "left": ("no process is writing", "bold red"),
}


@dataclass(frozen=True)
class Room:
    """The room for a page: columns, lines (None: as many as there are), and whether it can show block characters."""

    width: int
    height: int | None = None
    blocks: bool = True


def page(state: RunState | SweepState, room: Room) -> list[Text]:
    """Return the lines of a run or a sweep, cut to the room; what matters most comes first."""
    lines = list(run_lines(state, room) if isinstance(state, RunState) else sweep_lines(state, room))
    if room.height is not None and len(lines) > room.height:
        lines = lines[: max(room.height, 1)]
    for line in lines:
        line.no_wrap = True
        line.truncate(room.width, overflow="ellipsis" if room.blocks else "crop")
        line.rstrip()
    return lines


# -- a run ------------------------------------------------------------------------------------------------------------


def run_lines(state: RunState, room: Room) -> Iterable[Text]:
    """Return the lines of a run."""
    yield _head(state, str(state.attributes.get("scenario", "")), room, _where(state, "writing"))
    facts = [f"seed {state.attributes['seed']}"] if "seed" in state.attributes else []
    yield Text("  ".join([*facts, *_settings(state.given)]), style="dim")
    step, steps = state.step or 0, state.steps
    done = f"step {step:,} of {steps:,}" if steps is not None else f"step {step:,}"
    pieces = [done]
    if state.rate:
        pieces.append(f"{_rate(state.rate)} steps/s")
    if state.seconds_left is not None:
        pieces.append(f"{clock(state.seconds_left)} left")
    if state.phase == "finished":
        reason = str(state.attributes.get("stop_reason") or "steps")
        pieces.append("all steps" if reason == "steps" else f"stopped: {reason}")
    share = 1.0 if state.phase == "finished" else step / steps if steps else None
    yield from _progress(share, pieces, room)
    yield from map(_dim, _written(state))
    if state.damaged:
        yield Text(f"segments {', '.join(map(str, state.damaged))} cannot be read", style="red")
    yield Text()
    answers = list(_answers(state))
    taken = 6 + len(answers) + bool(answers)
    flags = sorted({flag for series in state.observables for flag in series.flags})
    free = len(state.observables) if room.height is None else room.height - taken - 2 * bool(flags)
    yield from _observables(state.observables, max(free, 1), room)
    if flags:
        doubted = [series.name for series in state.observables if series.flags]
        yield Text()
        yield Text(f"flags  {', '.join(flags)} ({', '.join(doubted)})", style="yellow")
    if answers:
        yield Text()
        yield from answers


def _written(state: RunState) -> Iterable[str]:
    """When rows come to the disk, and how old what is shown is."""
    if state.phase == "finished":
        yield f"{state.rows:,} rows in {readable_size(state.size)}"
        return
    if state.phase == "finishing":
        yield f"merging the segments: {readable_size(state.size)} written"
    if state.age is None:
        yield "no rows on the disk yet: the scenario is being compiled, or the first rows are a second old at most"
    else:
        behind = f"as of {_ago(state.age)}"
        if state.phase == "running":
            usual = max(min(2 * (state.between or 1.0), LONGEST_DELAY), state.between or 0.0)
            behind += f"; rows come every {usual:.0f} s"
            if state.age > 3 * usual + 10:
                behind += ", and are late"
        yield behind
    if state.checkpoint is not None:
        yield f"checkpoint: step {state.checkpoint[0]:,}, {_ago(state.checkpoint[1])}"
    elif state.phase != "finishing":
        yield "no checkpoint: resumed, it begins anew" if state.phase == "left" else "no checkpoint yet"
    if state.phase == "left":
        yield f"go on with: simengine resume {state.path}"


def _observables(listed: Sequence[Series], free: int, room: Room) -> Iterable[Text]:
    if not listed:
        return
    chosen = listed if len(listed) <= free else listed[: max(free - 1, 1)]
    names = max(len(series.name) for series in chosen)
    lasts = [_last(series) for series in chosen]
    values = max(map(len, lasts))
    names = min(names, max(room.width - values - LEAST_SPARKS - 4, 8))
    columns = min(room.width - names - values - 4, 200)
    for series, last in zip(chosen, lasts, strict=True):
        name = series.name if len(series.name) <= names else f"{series.name[: names - 1]}~"
        line = Text(f"{name:{names}}  {last:>{values}}", style="yellow" if series.flags else "")
        if columns >= LEAST_SPARKS:
            line.append(f"  {sparkline(series, columns, room.blocks)}", style="cyan")
        yield line
    if len(chosen) < len(listed):
        yield _dim(f"and {len(listed) - len(chosen)} more")


def _last(series: Series) -> str:
    if not len(series.values):
        return "-"
    text = "-" if math.isnan(series.last) else f"{series.last:.4g}"
    if series.standard_error is not None and math.isfinite(series.standard_error):
        text += f" +-{series.standard_error:.1g}"
    return text if series.unit in ("", "1") else f"{text} {series.unit}"


def sparkline(series: Series, columns: int, blocks: bool = True) -> str:
    """Return the course of an observable from its first record to its last, its lowest value the lowest mark."""
    levels = BLOCKS if blocks else PLAIN_BLOCKS
    heights = resampled(series.steps, series.values, columns)
    known = heights[np.isfinite(heights)]
    if not len(known):
        return ""
    low, span = float(known.min()), float(known.max() - known.min())
    if not span:
        return "".join(" " if math.isnan(height) else levels[3] for height in heights)
    top = len(levels) - 1
    return "".join(
        " " if math.isnan(height) else levels[min(round((height - low) / span * top), top)] for height in heights
    )


def _answers(state: RunState) -> Iterable[Text]:
    for answer in state.answers:
        counts = answer.numbers
        asked = max(counts["asked"], 1)
        lost = counts["fallbacks"] + counts["refused"]
        found = counts["answered"] + counts["reused"]
        yield Text(
            f"language  {answer.decision}: {counts['asked']:,} asked, {found / asked:.1%} answered "
            f"({counts['reused'] / asked:.1%} reused), {lost / asked:.1%} fallback, "
            f"tokens {readable(counts['input_tokens'])} in {readable(counts['output_tokens'])} out",
            style="red" if lost > asked / 10 else "",
        )
    calls = state.calls
    if calls is not None and (calls.answers or calls.failures):
        yield Text(
            f"calls     {calls.answers:,} answers and {calls.failures:,} failures on record, "
            f"{calls.attempts:,} attempts, tokens {readable(calls.input_tokens)} in {readable(calls.output_tokens)} out"
        )


# -- a sweep ----------------------------------------------------------------------------------------------------------


def sweep_lines(state: SweepState, room: Room) -> Iterable[Text]:
    """Return the lines of a sweep."""
    yield _head(state, str(state.attributes.get("scenario", "")), room, _where(state, "carrying it out"))
    if state.phase == "waiting":
        return
    design = f"{state.kind} over {', '.join(state.names)}: {state.points:,} points"
    design += f" x {state.replicates:,} replicates" if state.replicates > 1 else ""
    yield Text("  ".join([design, f"{state.steps:,} steps", *_settings(state.given)]), style="dim")
    adaptive = state.kind == "adaptive"
    there = state.done + state.failed
    pieces = [f"{there:,} runs" if adaptive else f"{there:,} of {state.runs:,} runs"]
    if state.rate:
        each = state.rate if state.rate >= 1 else state.rate * 60
        pieces.append(f"{_rate(each)} runs/{'s' if state.rate >= 1 else 'min'}")
    if state.seconds_left is not None and not adaptive:
        pieces.append(f"{clock(state.seconds_left)} left")
    yield from _progress(None if adaptive or not state.runs else there / state.runs, pieces, room)
    counts = Text(f"{state.done:,} done, ")
    counts.append(f"{state.failed:,} failed", style="red" if state.failed else "")
    counts.append(f", {state.missing:,} missing")
    if state.phase == "running" and state.age is not None:
        counts.append(f"; as of {_ago(state.age)}, batch by batch", style="dim")
    yield counts
    if state.phase == "left":
        yield _dim(f"go on with: simengine resume {state.path}")
    if state.failures:
        yield Text()
        for failure in state.failures:
            point = ", ".join(f"{name}={shown(value)}" for name, value in failure["parameters"].items())
            yield Text(f"failed  {point} (replicate {failure['replicate']}): ", style="red").append(
                f"{failure['kind']}: {failure['message']}"
            )
    if state.grid is not None:
        used = 5 + (1 + len(state.failures) if state.failures else 0) + (state.phase == "left")
        free = MOST_MAP_ROWS if room.height is None else min(room.height - used - 3, MOST_MAP_ROWS)
        if free >= 1:
            yield Text()
            yield from map_lines(state.grid, room, free)


def map_lines(grid: GridMap, room: Room, most_rows: int) -> Iterable[Text]:
    """Return a map of the points of a grid: the second parameter along the lines, or the only one."""
    shades = SHADES if room.blocks else PLAIN_SHADES
    mark = FAILED_MARK if room.blocks else PLAIN_FAILED_MARK
    done, failed = (np.atleast_2d(shares) for shares in (grid.done, grid.failed))
    one = len(grid.names) == 1
    across = grid.levels[-1]
    downwards = ("",) if one else grid.levels[0]
    labels = [_level(level) for level in downwards]
    margin = max(map(len, labels))
    rows = min(len(done), most_rows)
    columns = min(done.shape[1], max(room.width - margin - 3, 4))
    wide = 2 if 2 * columns <= room.width - margin - 3 else 1
    done, failed = _pooled(done, rows, columns), _pooled(failed, rows, columns)
    if not one:
        yield _dim(f"{grid.names[0]} down, {grid.names[1]} across")
    else:
        yield _dim(f"{grid.names[0]} across")
    for row in range(rows):
        line = Text(f"{labels[row * len(labels) // rows]:>{margin}} ", style="dim")
        for column in range(columns):
            share, lost = float(done[row, column]), float(failed[row, column])
            if lost:
                line.append(mark * wide, style="red")
            else:
                shade = math.ceil(share * (len(shades) - 2)) if share < 1 else len(shades) - 1
                line.append(shades[shade] * wide, style="green" if share else "dim")
        yield line
    first, last = _level(across[0]), _level(across[-1])
    gap = max(columns * wide - len(first) - len(last), 1)
    yield _dim(f"{'':{margin}} {first}{'':{gap}}{last if len(across) > 1 else ''}")


def _pooled(shares: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Return means over neighbouring points, so many rows and columns."""
    found = shares
    for axis, size in ((0, rows), (1, columns)):
        starts = np.arange(size) * found.shape[axis] // size
        lengths = np.diff([*starts, found.shape[axis]])
        found = np.add.reduceat(found, starts, axis=axis) / np.expand_dims(lengths, 1 - axis)
    return np.asarray(found, np.float64)


def _level(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


# -- both -------------------------------------------------------------------------------------------------------------


def _head(state: RunState | SweepState, scenario: str, room: Room, where: str) -> Text:
    word, style = PHASES[state.phase]
    if isinstance(state, SweepState) and state.phase == "left":
        word = "no process is carrying it out"
    if isinstance(state, SweepState) and state.phase == "finished" and state.failed:
        style = "bold yellow"
    name = str(state.path)
    room_for_name = max(room.width - len(scenario) - len(word) - len(where) - 6, 12)
    if len(name) > room_for_name:
        name = f"...{name[-(room_for_name - 3) :]}"
    line = Text(f"{scenario}  " if scenario else "", style="bold")
    line.append(f"{name}  ", style="not bold")
    line.append(word, style=style)
    line.append(f" {where}" if where else "", style="not bold dim")
    return line


def _where(state: RunState | SweepState, doing: str) -> str:
    host = str(state.attributes.get("host") or "")
    if state.phase in ("finished", "waiting", "left"):
        return ""
    if state.seen is None:
        return f"on {host}? (cannot be seen from here)" if host else ""
    return f"on {host}" if host else ""


def _settings(given: Any) -> list[str]:
    return [f"{name}={shown(value)}" for name, value in given.items()]


def _progress(share: float | None, pieces: Sequence[str], room: Room) -> Iterable[Text]:
    """Return a bar with what is said beside it, on two lines where one is too narrow."""
    said = "  ".join(pieces)
    if share is None:
        yield Text(said)
        return
    share = min(max(share, 0.0), 1.0)
    percent = f"{math.floor(100 * share)} %"
    beside = room.width - len(said) - len(percent) - 4
    columns = min(beside if beside >= 10 else room.width - len(percent) - 2, 60)
    full, empty = (FULL, EMPTY) if room.blocks else (PLAIN_FULL, PLAIN_EMPTY)
    filled = math.floor(max(columns, 0) * share)
    bar = Text(full * filled, style="green")
    bar.append(empty * (max(columns, 0) - filled), style="dim").append(f"  {percent}", style="not dim default")
    if beside >= 10:
        bar.append(f"  {said}", style="default")
        yield bar
    else:
        yield bar
        yield Text(said)


def _rate(rate: float) -> str:
    return readable(rate) if rate >= 10 else f"{rate:.2g}"


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s ago" if seconds < 60 else f"{clock(seconds)} ago"


def _dim(text: str) -> Text:
    return Text(text, style="dim")
