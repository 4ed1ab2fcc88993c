"""Opinions of agents along time: a thin line for each agent, or, where opinions are few, the share of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, is_color_like, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from simengine.analysis.contents import SNAPSHOT_TIME, snapshots
from simengine.analysis.plots.axes import label
from simengine.analysis.plots.marks import (
    Array,
    End,
    colours_for,
    dataset_of,
    keep_to_range,
    label_axis,
    label_time,
    legend_above,
    legible,
    makes_room,
    name_lines,
    name_of,
    new_axes,
    room_for_letters,
    valid_range,
    value_text,
    wrapped,
)
from simengine.analysis.plots.style import colours
from simengine.errors import InputError, nearest

FEW = 8
"""Different opinions of which shares are drawn rather than lines."""


def opinion_trajectories(
    data: xr.Dataset | xr.DataArray,
    *,
    field: str = "opinion",
    most: int = 300,
    colour: str | None = None,
    apart: str | None = "stubborn",
    ax: Axes | None = None,
) -> Axes:
    """Draw the opinions of agents along time.

    Each agent is a thin translucent line. Whole-numbered opinions of at most eight kinds are drawn as shares of agents
    instead, one above the other.

    Parameters
    ----------
    data
        One run with snapshots (``snapshot_every=1``), or one field of them.
    field
        What is drawn.
    most
        Lines at most; of more agents these are evenly spread over the order of first opinions.
    colour
        ``"first"`` or ``"last"`` opinion (default the first), another field (its last value), or one colour.
    apart
        A boolean field; lines of agents for which it is true are drawn on top, dashed. Ignored where it is not there.
    ax
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        Without snapshots of the field, for several runs, and for colours that are none.
    """
    held = dataset_of(data, "opinion_trajectories")
    if isinstance(data, xr.DataArray):
        field = str(data.name or "value")
    there = snapshots(held)
    if field not in there:
        hint = nearest(field, there) if there else "; a run has them with snapshot_every=1"
        raise InputError(f"opinion_trajectories: there are no snapshots of {field!r}{hint}")
    shown = held[field]
    if shown.ndim != 2:
        raise InputError(
            f"opinion_trajectories: {field!r} has the dimensions {', '.join(map(str, shown.dims))}; allowed are "
            f"{SNAPSHOT_TIME} and agents: select one run"
        )
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
        raise InputError(f"opinion_trajectories: most: got {most!r}, allowed is a number from 1 on")
    ax = new_axes(ax)
    times = np.asarray(shown[SNAPSHOT_TIME].values, np.float64)
    values = shown.transpose(..., SNAPSHOT_TIME).values
    kinds = np.unique(values) if shown.dtype.kind in "iub" else np.empty(0)
    if 0 < len(kinds) <= FEW:
        _draw_shares(ax, values, times, kinds.tolist())
        label_axis(ax, "y", f"Share of agents by {name_of(str(shown.attrs.get('long_name') or field))}")
    else:
        set_apart = _apart(held, apart, values)
        _draw_lines(
            ax, held, shown, np.asarray(values, np.float64), times, most, colour or "first", set_apart, apart or ""
        )
        keep_to_range(ax, valid_range(shown) or _unit_interval(values))
        label_axis(ax, "y", label(shown))
    label_time(ax, held, SNAPSHOT_TIME)
    ax.set_xlabel(ax.get_xlabel().replace(" of the snapshots", ""))
    if len(times) > 1:
        ax.set_xlim(times[0], times[-1])
    return ax


def _unit_interval(values: NDArray[Any]) -> tuple[float, float] | None:
    known = values[np.isfinite(values)]
    return (0.0, 1.0) if known.size and known.min() >= 0.0 and 0.5 < known.max() <= 1.0 else None


def _apart(held: xr.Dataset, name: str | None, values: NDArray[Any]) -> NDArray[np.bool_]:
    nobody = np.zeros(len(values), bool)
    if name is None or name not in held.variables:
        return nobody
    said = held[name]
    if said.ndim not in (1, 2) or said.sizes.get(SNAPSHOT_TIME, 1) == 0 or said.size == 0:
        return nobody
    last = said.isel({SNAPSHOT_TIME: -1}) if SNAPSHOT_TIME in said.dims else said
    found = np.asarray(last.values)
    return found == 1 if found.shape == nobody.shape and found.dtype.kind in "iub" else nobody


def _draw_shares(ax: Axes, values: NDArray[Any], times: Array, kinds: list[Any]) -> None:
    shares = np.stack([(values == one).mean(axis=0) for one in kinds])
    tints = colours_for([str(one) for one in kinds], ax)
    ax.stackplot(times, shares, colors=tints, alpha=0.85, linewidth=0)
    ax.set_ylim(0.0, 1.0)
    ax.grid(visible=False)
    tops = np.cumsum(shares[:, -1])
    ends = [
        End(value_text(one), float(top - share / 2.0), tint)
        for one, top, share, tint in zip(kinds, tops, shares[:, -1], tints, strict=True)
        if share > 0.0
    ]
    if len(times) > 1 and makes_room(ax) and len(ends) == len(kinds):
        name_lines(ax, ends)
    else:
        legend_above(
            ax,
            [Patch(facecolor=tint, label=value_text(one)) for one, tint in zip(kinds, tints, strict=True)],
            free=True,
        )


def _draw_lines(
    ax: Axes,
    held: xr.Dataset,
    shown: xr.DataArray,
    values: Array,
    times: Array,
    most: int,
    colour: str,
    apart: NDArray[np.bool_],
    of: str,
) -> None:
    first = _ends(values, first=True)
    order = np.argsort(first, kind="stable")
    kept = order[np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int))]
    handles, tints = _tints(ax, held, shown, values, colour)
    alpha = float(np.clip(40.0 / max(len(kept), 1), 0.35, 0.8))
    usual, special = kept[~apart[kept]], kept[apart[kept]]
    for chosen, style, width, strength in ((usual, "-", 0.9, alpha), (special, (0, (5, 2)), 1.5, 0.95)):
        if len(chosen):
            lines = [np.column_stack([times, values[i]]) for i in chosen]
            shades = [to_rgba(tints[i], strength) for i in chosen]
            ax.add_collection(LineCollection(lines, colors=shades, linewidths=width, linestyles=[style]))
    ax.autoscale_view()
    if len(special):
        ink = ax.xaxis.label.get_color()
        handles.insert(0, Line2D([], [], color=ink, linewidth=1.5, linestyle=(0, (4, 1.5)), label=name_of(of)))
        handles.insert(1, Line2D([], [], color=ink, linewidth=0.9, label="others"))
    if handles:
        legend_above(ax, handles, free=True)


def _ends(values: Array, first: bool) -> Array:
    """Return the first, or last, known value of each row."""
    known = np.isfinite(values)
    at = np.argmax(known, axis=1) if first else values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    found: Array = values[np.arange(len(values)), at]
    return found


def _tints(
    ax: Axes, held: xr.Dataset, shown: xr.DataArray, values: Array, colour: str
) -> tuple[list[Any], NDArray[np.float64]]:
    """Return what a legend has to say of the colours, and a colour for each agent; a colour bar is drawn if needed."""
    if colour in ("first", "last"):
        by, said = _ends(values, colour == "first"), None
    elif colour in snapshots(held) and held[colour].dims == shown.dims:
        said = held[colour]
        by = _ends(np.asarray(said.transpose(..., SNAPSHOT_TIME).values, np.float64), first=False)
    elif is_color_like(colour):
        return [], np.tile(to_rgba(colour), (len(values), 1))
    else:
        raise InputError(
            f"opinion_trajectories: colour: got {colour!r}, allowed are 'first', 'last', a field, or a colour of "
            f"matplotlib{nearest(colour, ['first', 'last', *snapshots(held)])}"
        )
    kinds = np.unique(by[np.isfinite(by)])
    if said is not None and said.dtype.kind in "iub" and len(kinds) <= len(colours()):
        tints = dict(zip(kinds.tolist(), colours_for([str(one) for one in kinds], ax), strict=True))
        handles = [
            Line2D([], [], color=tint, label=f"{name_of(colour)} {int(one)}", linewidth=1.5)
            for one, tint in tints.items()
        ]
        return handles, np.array([to_rgba(tints.get(one, "grey")) for one in by.tolist()])
    low, high = (float(kinds[0]), float(kinds[-1])) if len(kinds) else (0.0, 1.0)
    scale = Normalize(low, high if high > low else low + 1.0)
    shades = legible(ax)
    if said is not None:
        bar = ax.figure.colorbar(ScalarMappable(scale, shades), ax=ax, pad=0.02)
        bar.set_label(wrapped(label(said), room_for_letters(ax, "y")))
        bar.outline.set_visible(False)
    return [], np.asarray(shades(scale(np.nan_to_num(by, nan=low))))
