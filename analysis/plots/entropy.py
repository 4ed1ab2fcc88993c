"""An entropy, or another measured quantity, with its error, its null, and the reasons to doubt it."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from simengine.analysis.contents import (
    FLAGS,
    NULL_MEAN,
    NULL_SD,
    REPLICATE,
    STANDARD_ERROR,
    TIME,
    chosen,
    companion,
    flags_of,
    observables,
)
from simengine.analysis.plots.axes import label
from simengine.analysis.plots.marks import (
    Array,
    dataset_of,
    keep_to_range,
    label_axis,
    label_time,
    legend_above,
    makes_room,
    mean_and_half_width,
    new_axes,
    normal_width,
    probability_of,
    valid_range,
)
from simengine.analysis.plots.style import colours, quiet
from simengine.errors import InputError, nearest

ROW = 0.065
"""Height of a row of flags, over that of the axes."""
MOST_FLAGS = 4
"""Flags that have a row of their own; the rest is counted."""


def entropy_panel(data: xr.Dataset, name: str | None = None, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
    """Draw a calibrated quantity along time: value, error, null, and where it is flagged.

    Where the line leaves the grey band, the value is not what as many samples give when there is nothing to find. Rows
    at the foot say when the value is to be doubted, and why; `simengine.diagnostics.flags` explains each word.

    Parameters
    ----------
    data
        A run, or one point of a sweep: then the mean over replicates, with Student's interval.
    name
        An observable, by default the first with a null or flags beside it.
    level
        Of the bands: normal ones of the error of the estimate, and of its null.
    ax
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        For a name that is not there, and for several points of a sweep.
    """
    held = dataset_of(data, "entropy_panel")
    level = probability_of(level, "entropy_panel")
    if name is None:
        name = next(
            (
                one
                for one in observables(held)
                if any(companion(held, one, end) is not None for end in (NULL_MEAN, FLAGS))
            ),
            None,
        )
        if name is None:
            raise InputError("entropy_panel: no observable of this Dataset has a null or flags beside it")
    shown = chosen(held, name)
    if TIME not in shown.dims:
        there = [one for one in observables(held) if TIME in held[one].dims]
        raise InputError(f"entropy_panel: {name!r} was not recorded along {TIME}{nearest(name, there)}")
    points = [str(dim) for dim in shown.dims if dim not in (TIME, REPLICATE) and shown.sizes[dim] > 1]
    if points:
        raise InputError(f"entropy_panel: {name!r} has several points; select one of {', '.join(points)} with .sel()")

    ax = new_axes(ax)
    times = np.asarray(shown[TIME].values, np.float64)
    values = _matrix(shown)
    mean, half, _ = mean_and_half_width(values, level)
    error = companion(held, name, STANDARD_ERROR)
    if len(values) == 1 and error is not None:
        half = normal_width(level) * _matrix(error)[0]
    tint = colours()[0]
    handles: list[Patch | Line2D] = [
        Line2D([], [], color=tint, label="value" if len(values) == 1 else f"mean of {len(values)} runs")
    ]
    if np.isfinite(half).any():
        ax.fill_between(times, mean - half, mean + half, color=tint, alpha=0.22, linewidth=0)
        handles.append(Patch(color=tint, alpha=0.3, linewidth=0, label=f"{level:.0%} interval"))
    handles += _draw_null(ax, held, name, times, level)
    ax.plot(times, mean, color=tint, zorder=3, marker="o" if len(times) == 1 else None, label="value")
    if len(times) > 1:
        ax.set_xlim(times[0], times[-1])
    keep_to_range(ax, valid_range(shown))
    _draw_flags(ax, held, name, times)
    label_axis(ax, "y", label(shown))
    label_time(ax, held)
    legend_above(ax, handles)
    return ax


def _matrix(values: xr.DataArray) -> Array:
    return np.asarray(values.transpose(..., TIME).values, np.float64).reshape(-1, values.sizes[TIME])


def _draw_null(ax: Axes, held: xr.Dataset, name: str, times: Array, level: float) -> list[Patch | Line2D]:
    mean, sd = companion(held, name, NULL_MEAN), companion(held, name, NULL_SD)
    if mean is None or sd is None:
        return []
    middle, _, _ = mean_and_half_width(_matrix(mean), level)
    spread, _, _ = mean_and_half_width(_matrix(sd), level)
    if not np.isfinite(middle).any():
        return []
    half = normal_width(level) * spread
    ax.fill_between(times, middle - half, middle + half, color=quiet(), alpha=0.25, linewidth=0, zorder=1)
    ax.plot(times, middle, color=quiet(), linestyle="--", linewidth=1.2, zorder=2, label="null")
    return [Patch(color=quiet(), alpha=0.3, linewidth=0, label=f"null, {level:.0%}")]


def _draw_flags(ax: Axes, held: xr.Dataset, name: str, times: Array) -> None:
    """Draw a row for each flag at the foot of the axes, below all that is drawn already."""
    shares = flags_of(held, name)
    found = companion(held, name, FLAGS)
    if found is None or not shares:
        return
    raised = sorted(shares, key=lambda word: -shares[word])
    masks = dict(
        zip(str(found.attrs["flag_meanings"]).split(), np.atleast_1d(found.attrs["flag_masks"]).tolist(), strict=True)
    )
    bits = _matrix(found)
    named, rest = raised[:MOST_FLAGS], raised[MOST_FLAGS:]
    rows = len(named) + bool(rest)
    bottom, top = ax.get_ylim()
    # So much is added below that the rows take up their share of what is then the whole height.
    foot = ROW * (rows + 0.6)
    ax.set_ylim(top - (top - bottom) / (1.0 - foot), top)
    across = blended_transform_factory(ax.transData, ax.transAxes)
    tint = colours()[1 % len(colours())]
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    known = np.isfinite(bits)
    for row, word in enumerate(named):
        flagged = ((np.where(known, bits, 0.0).astype(np.int64) & int(masks[word])) != 0).any(axis=0)
        low = ROW * (rows - 1 - row) + 0.3 * ROW
        ax.axhspan(
            _height(ax, low), _height(ax, low + 0.6 * ROW), color=tint, alpha=0.13, linewidth=0, zorder=1, label="_row"
        )
        for first, last in _stretches(flagged):
            begin, end = times[first] - step / 2.0, times[last] + step / 2.0
            ax.fill_between(
                [begin, end],
                low,
                low + 0.6 * ROW,
                transform=across,
                color=tint,
                linewidth=0,
                zorder=2,
                label=f"_{word}",
            )
        _write(ax, low + 0.3 * ROW, f"{word.replace('_', ' ')} {_percent(shares[word])}", tint)
    if rest:
        _write(ax, 0.6 * ROW, f"and {len(rest)} more flags", tint)
    ax.axhline(bottom, color=quiet(), linewidth=0.8)
    # Below the line nothing is measured: no ticks there, but what the rows are.
    ax.set_yticks([one for one in ax.get_yticks() if bottom <= one <= top])
    ax.set_ylim(top - (top - bottom) / (1.0 - foot), top)
    ax.annotate(
        "flags", (0.0, foot / 2.0), (-6, 0), xycoords="axes fraction", textcoords="offset points", ha="right",
        va="center", color=tint, fontsize="medium", annotation_clip=False,
    )  # fmt: skip


def _height(ax: Axes, part: float) -> float:
    """Return what is measured at a height, as a part of that of the axes."""
    bottom, top = ax.get_ylim()
    return bottom + part * (top - bottom)


def _write(ax: Axes, height: float, text: str, tint: str) -> None:
    """Write beside a row, or into it where the figure leaves no room beside."""
    free = makes_room(ax)
    ink = tint if free else ax.xaxis.label.get_color()
    ax.annotate(
        text, (1.0 if free else 0.01, height), (6 if free else 0, 0), xycoords="axes fraction",
        textcoords="offset points", va="center_baseline", ha="left", fontsize="small", color=ink, annotation_clip=False,
        zorder=5,
    )  # fmt: skip


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def _stretches(flagged: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last index of each stretch of true values."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], flagged, [False]]).astype(np.int8)))
    return [(int(first), int(last) - 1) for first, last in zip(turns[::2], turns[1::2], strict=True)]
