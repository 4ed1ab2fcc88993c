"""The rules by which pictures are chosen: from what a Dataset holds, and from the scenario it is of.

Nothing is read before a picture is drawn, and then only the snapshots and agents that it shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import islice
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from simengine.analysis import contents, plots
from simengine.analysis.pictures import Picture, Rule
from simengine.analysis.scenario_pictures import dilemmas, flows, regions, signals, webs

MOST_FISH, MOST_LINES, MOST_NODES = 1500, 300, 400
MOST_MOMENTS, TRAIL, MOST_TRAILED = 120, 6, 300
MOST_OF_A_KIND, MOST_COURSES, MOST_DIAGRAMS, MOST_PANELS = 4, 3, 3, 2
FEW_VALUES = 8
LONGEST_NAME, SHORT_NAME = 48, 30
MOST_VALUES, ROUNDING = 1_000_000, 1e-9
SOLID = (5.8, 5.4)
OF_LANGUAGE = "language_"

Draw = Callable[[Axes | None], Axes]


# -- what is read ------------------------------------------------------------------------------------------------------


def few(data: xr.Dataset, names: list[str], moments: np.ndarray[Any, Any], most: int) -> xr.Dataset:
    """Return some snapshots of some agents, evenly spread over their order, in memory.

    Snapshots are read one after another, whole: agents that are picked out of a compressed file one by one cost far
    more. At no time is more than one snapshot of one field in memory besides what is returned.
    """
    found = data[[]]
    for name in names:
        one = data[name]
        laid = one.transpose(contents.SNAPSHOT_TIME, ...)
        agents = str(laid.dims[1])
        chosen = _spread(laid.sizes[agents], most)
        rows = [laid.isel({contents.SNAPSHOT_TIME: int(moment)}).load().isel({agents: chosen}) for moment in moments]
        found[name] = xr.concat(rows, contents.SNAPSHOT_TIME, coords="minimal", compat="override", join="override")
        found[name].attrs = one.attrs
    return found


def _spread(number: int, most: int) -> np.ndarray[Any, Any]:
    """Return at most so many places, evenly spread, the first and the last among them."""
    return np.arange(number) if number <= most else np.unique(np.linspace(0, number - 1, most).round().astype(np.int64))


def _missing(data: xr.Dataset, name: str, most: int, moments: int = 1) -> str:
    """Return what of a field a picture leaves out, in words."""
    agents, kept = data[name].sizes[str(data[name].dims[1])], data.sizes[contents.SNAPSHOT_TIME]
    parts = [f"{most:,} of {agents:,} agents"] if agents > most else []
    parts += [f"{moments:,} of {kept:,} snapshots"] if 1 < moments < kept else []
    return ", ".join(parts)


def _fields(data: xr.Dataset, name: str) -> list[str]:
    """Return a field of the agents and those that stand beside it in the same snapshots."""
    beside = {"position": ("heading",), "opinion": ("stubborn",)}.get(name, ())
    return [name, *(one for one in beside if one in contents.snapshots(data))]


# -- runs with snapshots -----------------------------------------------------------------------------------------------


def schools(data: xr.Dataset) -> Iterator[Picture]:
    """Agents in space, as the last snapshot shows them."""
    if "position" not in contents.snapshots(data) or contents.is_sweep(data):
        return
    one, kept = data["position"], data.sizes[contents.SNAPSHOT_TIME]
    if one.ndim != 3 or one.shape[2] not in (2, 3) or not kept or not one.shape[1]:
        return

    @cache
    def read() -> xr.Dataset:
        names = [name for name in contents.snapshots(data) if name.endswith(("position", "heading"))]
        return few(data, names, np.arange(max(0, kept - 1 - TRAIL), kept), MOST_FISH)

    # In a crowd paths hide everybody.
    trail = TRAIL if _is_close(data) and one.shape[1] <= MOST_TRAILED else 0
    has_headings = "heading" in contents.snapshots(data)
    yield Picture(
        "school", "Where the agents are",
        f"Positions{' and headings' if has_headings else ''} of the agents at the last snapshot"
        + (", with the paths that led there." if trail and kept > 1 else "."),
        lambda ax: plots.school(read(), trail=min(trail, kept - 1), ax=ax),
        solid=one.shape[2] == 3, many_marks=True, size=SOLID, left_out=_missing(data, "position", MOST_FISH),
    )  # fmt: skip


def _is_close(data: xr.Dataset) -> bool:
    """Whether snapshots follow one another so closely that lines between them are paths."""
    steps = data.get("snapshot_step")
    return steps is not None and steps.size > 1 and int(steps[-1] - steps[-2]) <= 5


def opinions(data: xr.Dataset) -> Iterator[Picture]:
    """Opinions, or beliefs, of agents along the snapshots."""
    kept = data.sizes.get(contents.SNAPSHOT_TIME, 0)
    if kept < 2 or contents.is_sweep(data):
        return
    there = [name for name in ("opinion", "belief") if name in contents.snapshots(data)]
    name = next((name for name in there if data[name].ndim == 2 and data[name].shape[1]), None)
    if name is None:
        return
    whole = data[name].dtype.kind in "iub"
    most = 5000 if whole else MOST_LINES
    moments = _spread(kept, MOST_MOMENTS)

    @cache
    def read() -> xr.Dataset:
        return few(data, _fields(data, name), moments, most)

    yield Picture(
        f"{name}s", f"{_called(data, name)} along the snapshots",
        "How many agents hold which, one above the other." if whole else
        f"Each line is one {str(data[name].dims[1]).replace('_', ' ')}, coloured by where it began.",
        lambda ax: plots.opinion_trajectories(read(), field=name, ax=ax),
        many_marks=not whole, left_out=_missing(data, name, most, len(moments)),
    )  # fmt: skip


def _called(data: xr.Dataset, name: str) -> str:
    """Return what a variable is called in a few words, as the beginning of a sentence."""
    text = re.split(r"[:,]| \(", str(data[name].attrs.get("long_name") or ""), maxsplit=1)[0].strip()
    text = text if text and len(text) <= LONGEST_NAME else name.replace("_", " ")
    return text[:1].upper() + text[1:]


def _meaning(data: xr.Dataset, name: str) -> str:
    """Return what a variable is, where its name in a title does not say it all."""
    text = str(data[name].attrs.get("long_name") or "")
    return f" {text[:1].upper()}{text[1:]}." if text and text.lower() != _called(data, name).lower() else ""


# -- sweeps ------------------------------------------------------------------------------------------------------------


def diagrams(data: xr.Dataset) -> Iterator[Picture]:
    """Observables over swept parameters: coloured cells over two, a line with its interval over one."""
    names = several(data)
    if not names:
        return
    two = len(names) > 1
    over = " and ".join(_in_short(data, name) for name in names[:2])
    how = f"Means over {_pooled(data, names[2:])} at the last record"
    of_a_list = contents.RUN in data["status"].dims
    rest = "." if two and of_a_list else "; hatched cells have no finished run." if two else ", with the 95 % interval."
    for name in islice(_telling(data), MOST_DIAGRAMS):
        yield Picture(
            f"diagram-{_word(name)}", f"{_called(data, name)} over {over}", how + rest + _meaning(data, name),
            partial(_diagram, data, name),
        )  # fmt: skip


def _pooled(data: xr.Dataset, parameters: list[str]) -> str:
    """Return what means are over, in words: swept parameters that a picture does not tell apart, and replicates."""
    one = data.get(contents.REPLICATE)
    several_replicates = not parameters or (one is not None and len(np.unique(one.values)) > 1)
    listed = [_in_short(data, name) for name in parameters] + ["replicates"] * several_replicates
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _telling(data: xr.Dataset) -> Iterator[str]:
    """Return the observables of a sweep that change along time in some run; all of them where none does."""
    names = scalars(data)
    found = False
    for name in names:
        if _changes(data, name):
            found = True
            yield name
    if not found:
        yield from names


def _changes(data: xr.Dataset, name: str) -> bool:
    """Whether an observable changes along time in some run, beyond rounding; reads no further than the first that does.

    What is never compared, as with one record, counts as changing.
    """
    if data.sizes[contents.TIME] < 2:
        return True
    first = str(data["status"].dims[0]) if data["status"].ndim else None
    laid = data[name].transpose(*([first] if first in data[name].dims else []), ..., contents.TIME)
    length = max(1, MOST_VALUES * laid.sizes[laid.dims[0]] // max(1, laid.size)) if laid.ndim > 1 else 1
    compared = False
    for start in range(0, laid.sizes[laid.dims[0]] if laid.ndim > 1 else 1, length):
        part = laid.isel({laid.dims[0]: slice(start, start + length)}) if laid.ndim > 1 else laid
        values = np.asarray(part.values, np.float64).reshape(-1, laid.shape[-1])
        values = values[np.isfinite(values).sum(axis=1) > 1]
        if not len(values):
            continue
        compared = True
        low, high = np.nanmin(values, axis=1), np.nanmax(values, axis=1)
        if (high - low > ROUNDING * np.maximum(np.abs(low), np.abs(high))).any():
            return True
    return not compared


def _in_short(data: xr.Dataset, name: str) -> str:
    """Return what a swept parameter is called within a sentence: its own name, where the other one is a sentence."""
    text = _called(data, name).lower()
    return text if len(text) <= SHORT_NAME else name.replace("_", " ")


def _diagram(data: xr.Dataset, name: str, ax: Axes | None) -> Axes:
    return plots.phase_diagram(data, name, ax=ax)


def several(data: xr.Dataset) -> list[str]:
    """Return the swept parameters that have more than one value."""
    return [name for name in contents.swept(data) if len(np.unique(data[name].values.astype(str))) > 1]


def scalars(data: xr.Dataset) -> list[str]:
    """Return the observables that are one number at a time."""
    runs = map(str, data["status"].dims) if contents.is_sweep(data) else ()
    allowed = {*runs, contents.TIME}
    return [
        name for name in contents.observables(data)
        if set(map(str, data[name].dims)) <= allowed and contents.TIME in data[name].dims
        and not name.startswith(OF_LANGUAGE)
    ]  # fmt: skip


# -- along time --------------------------------------------------------------------------------------------------------


def courses(data: xr.Dataset) -> Iterator[Picture]:
    """Observables along time: of a run those of one unit together, of a sweep one by one with bands."""
    if data.sizes.get(contents.TIME, 0) < 2:
        return
    yield from _courses_of_runs(data) if contents.is_sweep(data) else _courses_of_one(data)


def _courses_of_runs(data: xr.Dataset) -> Iterator[Picture]:
    if data.sizes[contents.TIME] < 3:
        return
    swept = several(data)
    by, pooled = next(iter(swept), None), _pooled(data, swept[1:])
    how = f"Means over {pooled} with their 95 % intervals" if data["status"].size > 1 else "One run"
    lines = f", a line for each value of {by}" if by else ""
    for name in islice(_telling(data), MOST_COURSES - 1):
        yield Picture(
            f"course-{_word(name)}", f"{_called(data, name)} along time", f"{how}{lines}.{_meaning(data, name)}",
            partial(_course, data, [name]),
        )  # fmt: skip


def _courses_of_one(data: xr.Dataset) -> Iterator[Picture]:
    for names in _kinds(data)[:MOST_COURSES]:
        meaning = _meaning(data, names[0]) if len(names) == 1 else ""
        yield Picture(
            f"course-{_word(names[0])}", f"{_together([_called(data, name) for name in names])} along time",
            f"All that was recorded, record by record.{meaning}", partial(_course, data, names),
        )  # fmt: skip


def _course(data: xr.Dataset, names: list[str], ax: Axes | None) -> Axes:
    return plots.time_series(data, names, ax=ax)


def _together(words: list[str]) -> str:
    """Return names as the beginning of a sentence: the first, and the others in small letters."""
    listed = [words[0], *(word[:1].lower() + word[1:] for word in words[1:])]
    if len(listed) > 2 and sum(map(len, listed)) > LONGEST_NAME:
        return f"{listed[0]} and {len(listed) - 1} others"
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _kinds(data: xr.Dataset) -> list[list[str]]:
    """Return observables that can share an axis: of one unit, of like size, and no diagnostic with a null."""
    groups: list[list[str]] = []
    sizes: dict[str, float] = {}
    varying: set[str] = set()
    for name in scalars(data):
        if f"{name}{contents.NULL_MEAN}" in data.variables:
            continue
        values = np.abs(np.asarray(data[name].values, np.float64))
        known = values[np.isfinite(values)]
        if not known.size:
            continue
        sizes[name] = float(known.max())
        for group in groups:
            first = group[0]
            alike = data[first].attrs.get("units", "1") == data[name].attrs.get("units", "1")
            alike &= data[first].dtype.kind == data[name].dtype.kind
            near = 0.2 * sizes[first] <= sizes[name] <= 5.0 * sizes[first]
            if len(group) < MOST_OF_A_KIND and alike and near:
                group.append(name)
                break
        else:
            groups.append([name])
        if known.min() < known.max():
            varying.add(name)
    # What never changes makes a picture only where there is nothing else.
    return [group for group in groups if varying & {*group}] or groups


def panels(data: xr.Dataset) -> Iterator[Picture]:
    """Diagnostics that have a null: value, error and null along time, doubtful records marked."""
    if contents.is_sweep(data) or data.sizes.get(contents.TIME, 0) < 2:
        return
    nulls = [name for name in scalars(data) if f"{name}{contents.NULL_MEAN}" in data.variables]
    entropies = [name for name in nulls if "entropy" in name or "information" in name]
    for name in (entropies or nulls)[:MOST_PANELS]:
        yield Picture(
            f"null-{_word(name)}", f"{_called(data, name)} and its null",
            "The value with its error, and what the same estimator gives where there is no structure; records that "
            "are flagged are marked." + _meaning(data, name),
            partial(_panel, data, name),
        )  # fmt: skip


def _panel(data: xr.Dataset, name: str, ax: Axes | None) -> Axes:
    return plots.entropy_panel(data, name, ax=ax)


# -- kinds of scenarios ------------------------------------------------------------------------------------------------


def cascades(data: xr.Dataset) -> Iterator[Picture]:
    """How large cascades become, over the runs of a sweep."""
    if "cascade_size" not in scalars(data) or not contents.is_sweep(data) or data["status"].size < FEW_VALUES:
        return
    yield Picture(
        "cascades", "Sizes of cascades",
        "The share of runs whose cascade was at least as large, on logarithmic axes: a straight line is a power law.",
        lambda ax: plots.cascade_sizes(data, "cascade_size", ax=ax),
    )  # fmt: skip


def models(data: xr.Dataset) -> Iterator[Picture]:
    """Language models: how undecided they are, how often they gave no answer, what they cost."""
    names = [str(name) for name in data.data_vars]
    for name in names:
        if name.startswith(OF_LANGUAGE) and name.endswith("_asked") and contents.TIME in data[name].dims:
            decision = name.removeprefix(OF_LANGUAGE).removesuffix("_asked")
            yield Picture(
                f"language-{_word(decision)}", f"Language models: {decision.replace('_', ' ')}",
                "How undecided the model was, how many decisions had no answer of its own, and tokens spent.",
                partial(_language, data, decision), size=(6.6, 6.0),
            )  # fmt: skip


def _language(data: xr.Dataset, decision: str, ax: Axes | None) -> Axes:
    return plots.language_panel(data, decision=decision, ax=ax)


def _word(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name).strip("-").lower()


RULES: list[Rule] = [
    schools, opinions, diagrams, webs, models, dilemmas, flows, regions, signals, courses, cascades, panels,
]  # fmt: skip
"""In the order in which their pictures stand on a page."""
