"""Phase diagrams: an observable, or the phase it is in, over two swept parameters, or over one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex, to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from simengine.analysis.contents import OF_RUNS, REPLICATE, RUN, TIME, chosen, observables, parameter_units, swept
from simengine.analysis.plots.axes import label
from simengine.analysis.plots.marks import (
    Array,
    by_value,
    colours_for,
    dataset_of,
    is_geometric,
    keep_to_range,
    label_axis,
    legend_above,
    mean_and_half_width,
    name_of,
    new_axes,
    parameter_label,
    probability_of,
    room_for_letters,
    several,
    valid_range,
    value_text,
    wrapped,
)
from simengine.analysis.plots.style import DIVERGING, colours, quiet
from simengine.analysis.statistics import per_run
from simengine.errors import InputError, nearest

When = Literal["last", "stationary"] | float
UNFINISHED = "no finished run"
NO_PHASE = "none"
"""What runs are called for which no rule holds."""
UNDECIDED = "undecided"
NO_VALUE = "no value"
MOST_TICKS = 9
"""Swept values that are all written beside an axis."""


def phase_diagram(
    data: xr.Dataset | xr.DataArray,
    name: str | None = None,
    *,
    x: str | None = None,
    y: str | None = None,
    when: When = "last",
    labels: xr.DataArray | None = None,
    level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw an observable over two swept parameters as coloured cells, or over one as a line with its interval.

    Values are means over replicates and over all other parameters; along a line, crosses at the foot mark the swept
    values for which there is none. Cells meet half-way between swept values, on a
    logarithmic axis where these are spread by factors; cells without a finished run are hatched. A sweep that is no
    grid is drawn as points, unless its points fill one.

    Parameters
    ----------
    data
        A sweep, or one observable of it.
    name
        The observable, by default the first.
    x, y
        Swept parameters, by default the first two that have several values.
    when
        ``"last"``: the last record of each run; ``"stationary"``: the mean of its stationary part, if it has one; a
        number: the record nearest to that time.
    labels
        Phases, as ``data.sim.phases()`` gives them, over the parameters (and replicates): cells have the
        colour of the phase of more than half of their finished runs. A dot marks cells whose runs differ; those
        without such a majority are pale, "undecided". The legend has the phases that a cell shows.
    level
        Of the interval, if there is one parameter.
    ax
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        Without swept parameters, for names that are not there, and for a ``when`` that is none.
    """
    held = dataset_of(data, "phase_diagram")
    level = probability_of(level, "phase_diagram")
    if labels is not None:
        if not isinstance(labels, xr.DataArray):
            raise InputError(
                f"phase_diagram: labels: got {type(labels).__name__}, allowed is a DataArray, as of data.sim.phases()"
            )
        values = labels
        parameters = [one for one in (swept(held) or map(str, labels.dims)) if one in labels.coords]
    else:
        values = _values(held, data, name, when)
        parameters = swept(held) or [str(dim) for dim in values.dims if dim not in (REPLICATE, RUN)]
    if not parameters:
        raise InputError("phase_diagram: no parameter is swept in this Dataset; time_series draws one run")
    for which, one in (("x", x), ("y", y)):
        if one is not None and one not in parameters:
            raise InputError(f"phase_diagram: {which}: there is no swept parameter {one!r}{nearest(one, parameters)}")
    many = several(values, parameters) or parameters[:1]
    x = x or next(one for one in [*many, *parameters] if one != y or len(parameters) == 1)
    if x == y:
        raise InputError(f"phase_diagram: x and y are both {x!r}; leave y out for a line")
    y = y or next((one for one in many if one != x), None)

    ax = new_axes(ax)
    unit = parameter_units(held)
    if labels is not None:
        _draw_phases(ax, labels, held.get(OF_RUNS[0]), x, y, set(many) <= {x, y})
    elif y is None:
        _draw_line(ax, values, x, level)
    else:
        _draw_cells(ax, values, x, y)
    label_axis(ax, "x", parameter_label(held, x, unit.get(x, "1")))
    if y is not None:
        label_axis(ax, "y", parameter_label(held, y, unit.get(y, "1")))
    return ax


def _values(held: xr.Dataset, data: Any, name: str | None, when: When) -> xr.DataArray:
    if isinstance(data, xr.DataArray):
        found = held[data.name or "value"]
    else:
        there = observables(held)
        if name is None and not there:
            raise InputError("phase_diagram: there is no observable in this Dataset")
        found = chosen(held, there[0] if name is None else name)
    return per_run.value(held, str(found.name), when)


def edges(values: Sequence[Any] | Array, log: bool) -> Array:
    """Return the borders of cells: half-way between values, on a logarithmic axis half-way between logarithms."""
    at = np.log(np.asarray(values, np.float64)) if log else np.asarray(values, np.float64)
    if len(at) == 1:
        half = 0.5 if log or at[0] == 0.0 else 0.1 * abs(at[0])
        found = np.array([at[0] - half, at[0] + half])
    else:
        middle = (at[1:] + at[:-1]) / 2.0
        found = np.concatenate([[2.0 * at[0] - middle[0]], middle, [2.0 * at[-1] - middle[-1]]])
    return np.exp(found) if log else found


def is_number(values: Sequence[Any]) -> bool:
    """Whether swept values are numbers, of which an axis has a scale."""
    return all(isinstance(one, int | float | np.number) and not isinstance(one, bool | np.bool_) for one in values)


def _places(ax: Axes, along: str, values: list[Any], cells: bool) -> tuple[Array, Array]:
    """Set up an axis of swept values; return their places and the borders of their cells."""
    axis = ax.xaxis if along == "x" else ax.yaxis
    if not is_number(values):
        at = np.arange(len(values), dtype=np.float64)
        axis.set_ticks(list(at), [wrapped(value_text(one), 14) for one in values])
        return at, edges(at, False)
    at, log = np.asarray(values, np.float64), is_geometric(values)
    if log:
        (ax.set_xscale if along == "x" else ax.set_yscale)("log")
    if (log or cells) and len(values) <= MOST_TICKS:
        axis.set_ticks(list(at), [value_text(one) for one in values])
        axis.set_ticks([], minor=True)
    return at, edges(at, log)


def _table(values: xr.DataArray, x: str, y: str) -> tuple[list[Any], list[Any], Array]:
    """Return the values of x and y, and the means, shape (y, x), not-a-number where no run is."""
    if RUN not in values.dims:
        rest = [dim for dim in values.dims if dim not in (x, y)]
        table = values.mean(rest, skipna=True).transpose(y, x) if rest else values.transpose(y, x)
        order = table.sortby([one for one in (x, y) if is_number(table[one].values.tolist())])
        return order[x].values.tolist(), order[y].values.tolist(), np.asarray(order.values, np.float64)
    across, of_x = np.unique(values[x].values, return_inverse=True)
    up, of_y = np.unique(values[y].values, return_inverse=True)
    given = np.asarray(values.values, np.float64)
    known = np.isfinite(given)
    size = (len(up), len(across))
    at = np.ravel_multi_index((of_y[known], of_x[known]), size)
    number = np.bincount(at, minlength=len(up) * len(across))
    whole = np.bincount(at, given[known], minlength=len(up) * len(across))
    means = np.where(number > 0, whole / np.maximum(number, 1), np.nan).reshape(size)
    return across.tolist(), up.tolist(), means


def _colour_limits(values: xr.DataArray, table: Array) -> tuple[float | None, float | None, str]:
    """Return the ends of the colours, and the map: with a middle at 0 where values have both signs."""
    known = table[np.isfinite(table)]
    usual = str(mpl.rcParams["image.cmap"])
    if not known.size:
        return None, None, usual
    low, high = float(known.min()), float(known.max())
    most = max(-low, high)
    if low < 0.0 < high and min(-low, high) > 0.1 * most:
        return -most, most, DIVERGING
    limits = valid_range(values)
    if limits is not None and high - low > 0.5 * (limits[1] - limits[0]):
        low, high = limits
    return low, high, usual


def _draw_cells(ax: Axes, values: xr.DataArray, x: str, y: str) -> None:
    across, up, table = _table(values, x, y)
    low, high, colour_map = _colour_limits(values, table)
    ax.grid(visible=False)
    if RUN in values.dims and np.isfinite(table).mean() < 0.5:
        at_x, _ = _places(ax, "x", across, False)
        at_y, _ = _places(ax, "y", up, False)
        row, column = np.nonzero(np.isfinite(table))
        drawn: Any = ax.scatter(
            at_x[column], at_y[row], c=table[row, column], cmap=colour_map, vmin=low, vmax=high, s=36, linewidths=0.5,
            edgecolors=quiet(),
        )  # fmt: skip
    else:
        _, x_edges = _places(ax, "x", across, True)
        _, y_edges = _places(ax, "y", up, True)
        drawn = ax.pcolormesh(
            x_edges,
            y_edges,
            np.ma.masked_invalid(table),
            cmap=colour_map,
            vmin=low,
            vmax=high,
            rasterized=table.size > 2500,
        )
        # Finished runs may have no stationary part, and then no value.
        missing = UNFINISHED if values.attrs.get("when") == "last" else NO_VALUE
        legend_above(ax, _hatch(ax, x_edges, y_edges, ~np.isfinite(table), missing), free=True)
        ax.set_xlim(x_edges[0], x_edges[-1])
        ax.set_ylim(y_edges[0], y_edges[-1])
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02)
    bar.set_label(wrapped(label(values), room_for_letters(ax, "y")))
    bar.outline.set_visible(False)


def _hatch(ax: Axes, x_edges: Array, y_edges: Array, missing: NDArray[np.bool_], text: str) -> list[Patch]:
    """Hatch cells, if there are any; return what stands for them in a legend."""
    if not missing.any():
        return []
    shown = np.ma.masked_where(~missing, np.zeros(missing.shape))
    ground = ax.get_facecolor()
    ax.pcolor(
        x_edges, y_edges, shown, cmap=ListedColormap([ground]), hatch="////", edgecolor=quiet(), linewidth=0.0, zorder=2
    )
    return [Patch(facecolor=ground, edgecolor=quiet(), hatch="////", linewidth=0.0, label=text)]


def _draw_line(ax: Axes, values: xr.DataArray, x: str, level: float) -> None:
    groups = by_value(values.expand_dims(TIME), x)
    given = [value for value, _ in groups]
    if is_number(given):
        groups = sorted(groups, key=lambda one: float(one[0]))
        given = [value for value, _ in groups]
    at, borders = _places(ax, "x", given, False)
    found = [mean_and_half_width(np.asarray(runs.values, np.float64).reshape(-1, 1), level) for _, runs in groups]
    mean, half = (np.array([float(one[i][0]) for one in found]) for i in (0, 1))
    tint = colours()[0]
    if is_number(given) and len(given) > 12:
        ax.fill_between(at, mean - half, mean + half, color=tint, alpha=0.22, linewidth=0)
        ax.plot(at, mean, color=tint)
    else:
        line = "-" if is_number(given) else "none"
        ax.errorbar(at, mean, yerr=np.nan_to_num(half), color=tint, marker="o", linestyle=line, capsize=3)
    if not is_number(given):
        ax.set_xlim(borders[0], borders[-1])
    keep_to_range(ax, valid_range(values))
    label_axis(ax, "y", label(values))
    missing = at[~np.isfinite(mean)]
    if missing.size:
        foot = ax.get_xaxis_transform()
        crosses = ax.plot(
            missing, np.full(missing.shape, 0.03), "x", color=quiet(), transform=foot, label=NO_VALUE, zorder=3
        )
        legend_above(ax, crosses)


def _words(labels: xr.DataArray) -> NDArray[np.object_]:
    """Return phases as texts, empty where there is none."""
    values = labels.values
    if "flag_values" in labels.attrs and "flag_meanings" in labels.attrs:
        meaning = dict(
            zip(
                np.atleast_1d(labels.attrs["flag_values"]).tolist(),
                str(labels.attrs["flag_meanings"]).split(),
                strict=True,
            )
        )
        return np.array([meaning.get(one, "") for one in values.ravel().tolist()], object).reshape(values.shape)
    flat = ["" if one is None or one != one else str(one) for one in values.ravel().tolist()]
    return np.array(flat, object).reshape(values.shape)


def _order(words: xr.DataArray) -> list[str]:
    """Return the phases that are there, in the order in which they were declared, without any at the end."""
    there = {str(one) for one in words.values.ravel()} - {""}
    declared = [one for one in str(words.attrs.get("phases", "")).split(" | ") if one in there]
    found = declared + sorted(there - set(declared))
    return [one for one in found if one != NO_PHASE] + [one for one in found if one == NO_PHASE]


def _draw_phases(
    ax: Axes, labels: xr.DataArray, status: xr.DataArray | None, x: str, y: str | None, of_replicates: bool
) -> None:
    words = labels.copy(data=_words(labels))
    if status is not None and set(status.dims) == set(words.dims):
        words = words.where(status.transpose(*words.dims).values == 0, "")
    names = _order(words)
    if not names:
        raise InputError("phase_diagram: labels: no cell has a label")
    across, up, shares = _shares(words, names, x, y)
    known = np.isfinite(shares[0])
    most = np.argmax(np.nan_to_num(shares), axis=0)
    highest = np.max(np.nan_to_num(shares), axis=0)
    # Sums of shares such as thirds are not exact.
    most[highest < 0.5 + 1e-9] = len(names)
    at_x, x_edges = _places(ax, "x", across, True)
    at_y, y_edges = _places(ax, "y", up, True)
    ground = ax.get_facecolor()
    tints = colours_for([one for one in names if one != NO_PHASE], ax)
    tints += [_between(quiet(), ground, 0.5)] * (NO_PHASE in names) + [_between(quiet(), ground, 0.2)]
    ax.grid(visible=False)
    ax.pcolormesh(
        x_edges, y_edges, np.ma.masked_where(~known, most), cmap=ListedColormap(tints), vmin=-0.5,
        vmax=len(names) + 0.5, edgecolors=ground, linewidth=0.0 if most.size > 400 else 1.0,
    )  # fmt: skip
    hatched = _hatch(ax, x_edges, y_edges, ~known, UNFINISHED)
    dots = _dot(ax, at_x, at_y, known & (highest < 1.0 - 1e-9), f"{'replicates' if of_replicates else 'runs'} differ")
    ax.set_xlim(x_edges[0], x_edges[-1])
    ax.set_ylim(y_edges[0], y_edges[-1])
    if y is None:
        ax.set_yticks([])
    shown = [
        Patch(facecolor=tint, label=name_of(one))
        for i, (one, tint) in enumerate(zip([*names, UNDECIDED], tints, strict=True))
        if (most[known] == i).any()
    ]
    legend_above(ax, [*shown, *dots, *hatched], free=True)


def _shares(words: xr.DataArray, names: list[str], x: str, y: str | None) -> tuple[list[Any], list[Any], Array]:
    """Return the values of x and y, and the shares of phases, shape (phase, y, x), not-a-number where no run is."""
    tables = []
    for one in names:
        share = (words == one).astype(np.float64).where(words != "")
        if y is None and RUN in words.dims:
            share = share.assign_coords(_row=(RUN, np.zeros(words.sizes[RUN], np.int64)))
        elif y is None:
            share = share.assign_coords(_row=0).expand_dims("_row")
        tables.append(_table(share, x, y or "_row"))
    across, up, _ = tables[0]
    return across, up, np.stack([table for _, _, table in tables])


def _between(colour: Any, ground: Any, strength: float) -> str:
    """Return a colour mixed with the ground: of strength 1 it stays, of strength 0 it is the ground."""
    red, green, blue = strength * np.array(to_rgb(colour)) + (1.0 - strength) * np.array(to_rgb(ground))
    return to_hex((red, green, blue))


def _dot(ax: Axes, at_x: Array, at_y: Array, marked: NDArray[np.bool_], text: str) -> list[Line2D]:
    """Put dots into cells, legible on all colours; return what stands for them in a legend."""
    if not marked.any():
        return []
    box = ax.get_window_extent()
    cell = min(box.width / marked.shape[1], box.height / marked.shape[0]) * 72.0 / ax.figure.dpi
    size = float(np.clip(0.2 * cell, 1.5, 5.0))
    row, column = np.nonzero(marked)
    style: dict[str, Any] = {
        "marker": "o", "linestyle": "none", "markerfacecolor": ax.get_facecolor(),
        "markeredgecolor": mpl.rcParams["text.color"],
    }  # fmt: skip
    ax.plot(at_x[column], at_y[row], markersize=size, markeredgewidth=0.16 * size, zorder=3, **style)
    return [Line2D([], [], markersize=5.0, markeredgewidth=0.8, label=text, **style)]
