"""Observables along time: of one run with their error and null, of a sweep as a mean with a band of its replicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, to_hex
from numpy.typing import NDArray

from simengine.analysis.contents import (
    NULL_MEAN,
    NULL_SD,
    REPLICATE,
    RUN,
    STANDARD_ERROR,
    TIME,
    chosen,
    companion,
    observables,
    swept,
)
from simengine.analysis.plots.axes import PLAIN_UNITS, label
from simengine.analysis.plots.marks import (
    Array,
    End,
    at_the_end,
    by_value,
    colours_for,
    dataset_of,
    is_geometric,
    keep_to_range,
    label_axis,
    label_time,
    legible,
    mean_and_half_width,
    name_lines,
    name_of,
    new_axes,
    normal_width,
    parameter_label,
    probability_of,
    room_for_letters,
    several,
    short_names,
    valid_range,
    value_text,
    wrapped,
)
from simengine.analysis.plots.style import colours, quiet
from simengine.errors import InputError, nearest

Band = Literal["interval", "range", "runs"]
BANDS = ("interval", "range", "runs")
ENDED = ("held", "left_out")
MOST_NAMED = 8
"""Lines that are named one by one; more are read off a colour bar."""
TRANSLUCENT = 0.22
COINCIDING = 0.005
"""Share of the span of all lines within which one line covers another."""
PERIOD = 20.0
"""Length of a dash and its gap, in widths of the line."""


def time_series(
    data: xr.Dataset | xr.DataArray,
    names: str | Sequence[str] | None = None,
    *,
    over: str = REPLICATE,
    by: str | None = None,
    band: Band | None = "interval",
    level: float = 0.95,
    null: bool = True,
    ended: Literal["held", "left_out"] = "held",
    ax: Axes | None = None,
) -> Axes:
    """Draw observables along time.

    Of one run: the values, with the error and the null that the file has beside them. Of a sweep: the mean over
    replicates, with a band; where fewer than half of the runs have values, the line is dotted. Where lines coincide,
    their colours alternate. What has no value at any time has neither a line nor a name.

    Parameters
    ----------
    data
        A run or a sweep, or one observable of it.
    names
        Observables of one unit. By default the first of the Dataset, of a single run with others of its unit and size.
    over
        The dimension that the mean is over; in a list of runs it is always that of the runs.
    by
        A swept parameter: a line for each of its values, means over all other parameters. By default the first that
        has several values, if one observable is drawn.
    band
        ``"interval"``: of the mean, by Student's t, at ``level``; ``"range"``: from the least to the most; ``"runs"``:
        a thin line for each run; None for none. More than eight lines have no interval or range.
    level
        Of the intervals.
    null
        Whether the null is drawn, if one line is drawn and there is a null.
    ended
        Of a sweep: whether runs that stopped early count by their last record from then on, or only while they last.
    ax
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        For names that are not there, observables of different units, bands and levels that do not exist.
    """
    held = dataset_of(data, "time_series")
    level = probability_of(level, "time_series")
    if band is not None and band not in BANDS:
        raise InputError(f"time_series: band: got {band!r}, allowed are {', '.join(BANDS)}, None{nearest(band, BANDS)}")
    if ended not in ENDED:
        raise InputError(
            f"time_series: ended: got {ended!r}, allowed are {', '.join(ENDED)}{nearest(str(ended), ENDED)}"
        )
    shown = _named(held, data, names)
    if ended == "held":
        shown = [_with_ends_held(held, one) for one in shown]
    parameters = swept(held) or [str(dim) for dim in shown[0].dims if dim not in (over, RUN, TIME)]
    many = several(shown[0], parameters)
    if by is not None:
        if by not in parameters:
            raise InputError(f"time_series: by: there is no swept parameter {by!r}{nearest(by, parameters)}")
        if len(shown) > 1:
            raise InputError("time_series: by= draws one observable; name one, or leave by= out")
    elif len(shown) == 1 and many:
        by = many[0]
    if over not in shown[0].dims and over != REPLICATE and RUN not in shown[0].dims:
        raise InputError(f"time_series: over: there is no dimension {over!r}{nearest(over, map(str, shown[0].dims))}")

    ax = new_axes(ax)
    groups = [(one, value, runs) for one in shown for value, runs in by_value(one, by, over)]
    values = [value for _, value, _ in groups]
    scale = _scale(values) if by else None
    if scale is not None:
        tints = [to_hex(one) for one in legible(ax)(scale(np.asarray(values, np.float64)))]
    else:
        tints = colours_for(values, ax) if by else _cycle(len(groups))
    if len(groups) > MOST_NAMED and band != "runs":
        band = None
    found = [mean_and_half_width(_matrix(runs), level) for _, _, runs in groups]
    few = [one[2] < 0.5 * len(_matrix(runs)) for one, (_, _, runs) in zip(found, groups, strict=True)]
    covers = _covers([np.where(rest, np.nan, one[0]) for one, rest in zip(found, few, strict=True)])
    ends = []
    texts = [value_text(value) for _, value, _ in groups] if by else short_names(shown)
    for i, ((one, _, runs), tint, text) in enumerate(zip(groups, tints, texts, strict=True)):
        error = _own_error(held, one, over) if by is None else None
        mean, half, _ = found[i]
        _draw_band(ax, runs, mean, half, tint, band, level, error)
        height = _draw_line(ax, runs, mean, few[i], tint, text, covers[i])
        if height is not None:
            ends.append(End(text, height, tint))
    if band == "interval":
        _keep_near(ax, [runs for _, _, runs in groups])
    if null and len(groups) == 1:
        ends = _draw_null(ax, held, str(shown[0].name), over, level)
    _say(ax, held, shown, by, ends, scale, len(groups) > 1)
    return ax


def _named(held: xr.Dataset, data: Any, names: str | Sequence[str] | None) -> list[xr.DataArray]:
    if isinstance(data, xr.DataArray):
        shown = [held[data.name or "value"]]
    elif names is None:
        shown = _first_of_a_kind(held)
    else:
        shown = [chosen(held, one) for one in _listed(names)]
    if not shown:
        raise InputError("time_series: there is no observable in this Dataset")
    for one in shown:
        if TIME not in one.dims:
            raise InputError(
                f"time_series: {one.name!r} has no dimension {TIME!r}; it has {', '.join(map(str, one.dims))}"
            )
        if one.attrs.get("units", "1") != shown[0].attrs.get("units", "1"):
            raise InputError(
                f"time_series: {shown[0].name!r} is in {shown[0].attrs.get('units', '1')}, {one.name!r} in "
                f"{one.attrs.get('units', '1')}: one axis has one unit; draw them on axes of their own"
            )
    return shown


def _listed(names: Any) -> list[Any]:
    return list(names) if isinstance(names, list | tuple) else [names]


def _with_ends_held(held: xr.Dataset, one: xr.DataArray) -> xr.DataArray:
    """Return an observable whose runs keep their last value once they have stopped."""
    if "stopped_at" not in held or "step" not in held.coords or TIME not in held["step"].dims:
        return one
    after = held["step"] > held["stopped_at"]
    if not set(after.dims) <= set(one.dims) or not bool(after.any()):
        return one
    return one.where(~after | one.notnull(), at_the_end(one)).assign_attrs(one.attrs)


def _first_of_a_kind(held: xr.Dataset, most: int = 4) -> list[xr.DataArray]:
    there = [held[name] for name in observables(held) if TIME in held[name].dims and held[name].size]
    if not there or set(there[0].dims) != {TIME}:
        return there[:1]

    def size(one: xr.DataArray) -> float:
        known = np.abs(one.values[np.isfinite(one.values.astype(float))].astype(float))
        return float(known.max()) if known.size else 0.0

    first = there[0]
    like = [
        one
        for one in there
        if set(one.dims) == {TIME}
        and one.attrs.get("units", "1") == first.attrs.get("units", "1")
        and one.dtype.kind == first.dtype.kind
        and valid_range(one) == valid_range(first)
        and 0.2 * size(first) <= size(one) <= 5.0 * size(first)
    ]
    told: list[xr.DataArray] = []
    for one in like:
        if not any(np.allclose(one.values, other.values, equal_nan=True) for other in told):
            told.append(one)
    return told[:most]


def _scale(values: list[Any]) -> Normalize | None:
    """Return a scale of colours for more numbers than are named one by one."""
    if len(values) <= MOST_NAMED or not all(isinstance(one, int | float) for one in values):
        return None
    return (LogNorm if is_geometric(sorted(values)) else Normalize)(min(values), max(values))


def _cycle(number: int) -> list[str]:
    there = colours()
    return [there[i % len(there)] for i in range(number)]


def _matrix(runs: xr.DataArray) -> Array:
    return np.asarray(runs.transpose(..., TIME).values, np.float64).reshape(-1, runs.sizes[TIME])


def _keep_near(ax: Axes, groups: Sequence[xr.DataArray]) -> None:
    """Leave out of sight what intervals of two or three runs reach beyond twice the span of all runs."""
    values = np.concatenate([_matrix(runs).ravel() for runs in groups if runs.sizes[TIME] and runs.size > 1])
    values = values[np.isfinite(values)]
    span = float(np.ptp(values)) if values.size else 0.0
    if span > 0.0 and any(_matrix(runs).shape[0] > 1 for runs in groups):
        bottom, top = ax.get_ylim()
        ax.set_ylim(max(bottom, float(values.min()) - span), min(top, float(values.max()) + span))


def _own_error(held: xr.Dataset, one: xr.DataArray, over: str) -> Array | None:
    error = companion(held, str(one.name), STANDARD_ERROR)
    return None if error is None or set(error.dims) != {TIME} else np.asarray(error.values, np.float64)


def _covers(lines: Sequence[Array]) -> list[NDArray[np.int64]]:
    """Return for each line, at each time, how many earlier lines it covers; nought for more lines than are named."""
    known = np.concatenate([one[np.isfinite(one)] for one in lines])
    near = COINCIDING * float(np.ptp(known)) if known.size else 0.0
    found = [np.zeros(one.shape, np.int64) for one in lines]
    if len(lines) <= MOST_NAMED:
        for i, one in enumerate(lines):
            for other in lines[:i]:
                found[i] += np.abs(one - other) <= near
    return found


def _draw_band(
    ax: Axes,
    runs: xr.DataArray,
    mean: Array,
    half: Array,
    tint: str,
    band: Band | None,
    level: float,
    error: Array | None,
) -> None:
    values, times = _matrix(runs), np.asarray(runs[TIME].values, np.float64)
    if len(values) == 1 and error is not None and band == "interval":
        half = normal_width(level) * error
    if band == "interval" and np.isfinite(half).any():
        ax.fill_between(times, mean - half, mean + half, color=tint, alpha=TRANSLUCENT, linewidth=0)
    elif band == "range" and len(values) > 1:
        low, high = np.fmin.reduce(values), np.fmax.reduce(values)
        ax.fill_between(times, low, high, color=tint, alpha=TRANSLUCENT, linewidth=0)
    elif band == "runs" and len(values) > 1:
        ax.plot(times, values.T, color=tint, linewidth=0.7, alpha=max(min(8.0 / len(values), 0.5), 0.08))


def _draw_line(
    ax: Axes, runs: xr.DataArray, mean: Array, few: NDArray[np.bool_], tint: str, text: str, covers: NDArray[np.int64]
) -> float | None:
    """Draw one line, in dashes where it covers others; return where it ends, None where it has no value."""
    known = mean[np.isfinite(mean)]
    if not known.size:
        return None
    times = np.asarray(runs[TIME].values, np.float64)
    line, above, dashes = np.where(few, np.nan, mean), _inner(covers > 0), _dashes(int(covers.max(initial=0)))
    alone = np.isfinite(np.where(above, np.nan, line))
    style: dict[str, Any] = {"color": tint, "zorder": 3}
    if above.any() and not (alone[1:] & alone[:-1]).any():
        ax.plot(times, line, label=text, linestyle=dashes, **style)
    else:
        # One record alone is a point, which a line does not show.
        ax.plot(times, np.where(above, np.nan, line), label=text, marker="o" if len(times) == 1 else None, **style)
        if above.any():
            ax.plot(times, np.where(_with_neighbours(above), line, np.nan), linestyle=dashes, **style)
    if few.any():
        rest = few | np.append(few[1:], False)
        ax.plot(times, np.where(rest, mean, np.nan), linestyle=":", **style)
    return float(known[-1])


def _inner(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the places that are marked and whose neighbours are, too."""
    if len(marked) < 2:
        return np.zeros_like(marked)
    both: NDArray[np.bool_] = np.append(marked[1:], True) & np.append(True, marked[:-1])
    return marked & both


def _with_neighbours(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    either: NDArray[np.bool_] = np.append(marked[1:], False) | np.append(False, marked[:-1])
    return marked | either


def _dashes(covered: int) -> Any:
    """Return dashes of half the period, of a quarter for a line above two, and so on: all lines below are seen."""
    dash = PERIOD / 2.0**covered
    return (0.0, (dash, PERIOD - dash))


def _draw_null(ax: Axes, held: xr.Dataset, name: str, over: str, level: float) -> list[End]:
    mean, sd = companion(held, name, NULL_MEAN), companion(held, name, NULL_SD)
    if mean is None or sd is None:
        return []
    if not (np.isfinite(mean.values).any() and np.isfinite(sd.values).any()):
        return []
    middle, spread = (np.nanmean(_matrix(by_value(one, None, over)[0][1]), axis=0) for one in (mean, sd))
    times, half = mean[TIME].values, normal_width(level) * spread
    ax.fill_between(times, middle - half, middle + half, color=quiet(), alpha=0.22, linewidth=0, zorder=1)
    ax.plot(times, middle, color=quiet(), linestyle="--", linewidth=1.2, label=f"null, {level:.0%}", zorder=2)
    known = middle[np.isfinite(middle)]
    return [End(f"null, {level:.0%}", float(known[-1]) if known.size else 0.0, quiet())]


def _say(
    ax: Axes,
    held: xr.Dataset,
    shown: list[xr.DataArray],
    by: str | None,
    ends: list[End],
    scale: Normalize | None,
    many: bool,
) -> None:
    label_time(ax, held)
    times = np.asarray(shown[0][TIME].values, np.float64)
    if len(times) > 1:
        ax.set_xlim(times[0], times[-1])
    ranges = {valid_range(one) for one in shown}
    if len(ranges) == 1:
        keep_to_range(ax, ranges.pop())
    if len(shown) == 1:
        label_axis(ax, "y", label(shown[0]))
    else:
        unit = str(shown[0].attrs.get("units", "1"))
        ax.set_ylabel("" if unit in PLAIN_UNITS else f"({unit})")
    if by is not None and scale is not None:
        bar = ax.figure.colorbar(ScalarMappable(scale, legible(ax)), ax=ax, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label(wrapped(parameter_label(held, by), room_for_letters(ax, "y")))
    elif many or len(ax.get_legend_handles_labels()[0]) > 1:
        name_lines(ax, ends, name_of(by) if by else "")
