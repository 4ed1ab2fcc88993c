"""Sizes of cascades: how many are at least as large as a size, on logarithmic axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from simengine.analysis.contents import RUN, TIME, chosen, observables, swept
from simengine.analysis.plots.axes import label
from simengine.analysis.plots.marks import (
    Array,
    at_the_end,
    by_value,
    colours_for,
    label_axis,
    legend_above,
    name_of,
    new_axes,
    normal_width,
    probability_of,
    value_text,
)
from simengine.analysis.plots.style import quiet
from simengine.errors import InputError, nearest

NEAR = 30.0
"""Ends of an axis whose ratio is smaller have numbers between the powers of ten."""

USUAL = ("cascade_size", "size", "outbreak_size", "avalanche_size")
"""Names of observables that are taken without being asked for."""


def cascade_sizes(
    data: Any,
    name: str | None = None,
    *,
    by: str | None = None,
    exponent: float | None = None,
    level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw the complementary distribution of sizes, P(S >= s), on logarithmic axes.

    The band holds Wilson's interval of each share, for cascades that are independent.

    Parameters
    ----------
    data
        Sizes: numbers, a DataArray, or a Dataset with an observable of sizes, of which the last record of each run
        counts.
    name
        The observable; by default ``cascade_size``.
    by
        A swept parameter: a line for each of its values.
    exponent
        Of a power law of sizes, p(s) ~ s^-exponent, to compare with: drawn as a straight line of slope 1 - exponent.
        A critical branching process has 1.5 (Otter 1949, Ann. Math. Stat. 20, 206-224).
    level
        Of the intervals.
    ax
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        Without sizes above 0, for negative ones, and for names that are not there.
    """
    level = probability_of(level, "cascade_sizes")
    known = isinstance(exponent, int | float | np.number)
    if exponent is not None and not (known and math.isfinite(exponent) and exponent > 1.0):
        raise InputError(f"cascade_sizes: exponent: got {exponent!r}, allowed is a number above 1, as 1.5")
    found = _sizes(data, name)
    parameters = swept(data) if isinstance(data, xr.Dataset) else [str(one) for one in found.coords]
    if by is not None and by not in parameters:
        raise InputError(f"cascade_sizes: by: there is no swept parameter {by!r}{nearest(by, parameters)}")
    groups = [(value, _numbers(runs)) for value, runs in _groups(found, by)]

    ax = new_axes(ax)
    ax.set_xscale("log")
    ax.set_yscale("log")
    tints = colours_for([value for value, _ in groups], ax)
    for (value, sizes), tint in zip(groups, tints, strict=True):
        _draw(ax, sizes, tint, level, value)
    if exponent is not None:
        _draw_reference(ax, groups[0][1], exponent)
    _tidy(ax, max(float(sizes.max()) for _, sizes in groups), max(len(sizes) for _, sizes in groups))
    label_axis(ax, "x", label(found, "cascade size"))
    label_axis(ax, "y", "Share of cascades at least as large")
    legend_above(ax, title=name_of(by) if by else "")
    return ax


def _sizes(data: Any, name: str | None) -> xr.DataArray:
    if isinstance(data, xr.Dataset):
        there = observables(data)
        if name is None:
            name = next((one for one in USUAL if one in there), None)
            if name is None:
                raise InputError(f"cascade_sizes: name an observable of sizes; there are {', '.join(there) or 'none'}")
        return at_the_end(chosen(data, name))
    if isinstance(data, xr.DataArray):
        return at_the_end(data)
    try:
        return xr.DataArray(np.asarray(data, np.float64).ravel(), dims=RUN)
    except (TypeError, ValueError):
        raise InputError(
            f"cascade_sizes: got {type(data).__name__}, allowed are numbers, a DataArray or a Dataset"
        ) from None


def _groups(found: xr.DataArray, by: str | None) -> list[tuple[Any, xr.DataArray]]:
    """Return the sizes by the values of a parameter; those of all other parameters lie together, not averaged."""
    if by is None:
        return [(None, found)]
    if by in found.dims:
        return [(one, found.isel({by: i})) for i, one in enumerate(found[by].values.tolist())]
    return by_value(found.expand_dims(TIME), by)


def _numbers(runs: xr.DataArray) -> Array:
    values = np.asarray(runs.values, np.float64).ravel()
    values = values[np.isfinite(values)]
    if (values < 0.0).any():
        raise InputError(f"cascade_sizes: sizes are not negative, but {values.min():g} is there")
    if not (values > 0.0).any():
        raise InputError("cascade_sizes: there is no cascade of a size above 0")
    return values


def complementary(sizes: Array) -> tuple[Array, Array]:
    """Return the different sizes above 0 in rising order, and the share of all cascades at least as large as each."""
    at, number = np.unique(sizes, return_counts=True)
    share = number[::-1].cumsum()[::-1] / len(sizes)
    return at[at > 0.0], share[at > 0.0]


def wilson(share: Array, number: int, level: float) -> tuple[Array, Array]:
    """Return Wilson's interval of shares of a number of independent cases (1927, J. Am. Stat. Assoc. 22, 209-212)."""
    z = normal_width(level)
    middle = (share + z * z / (2.0 * number)) / (1.0 + z * z / number)
    half = z / (1.0 + z * z / number) * np.sqrt(share * (1.0 - share) / number + z * z / (4.0 * number**2))
    return middle - half, middle + half


def _draw(ax: Axes, sizes: Array, tint: str, level: float, value: Any) -> None:
    at, share = complementary(sizes)
    low, high = wilson(share, len(sizes), level)
    ax.fill_between(at, low, high, color=tint, alpha=0.2, linewidth=0)
    none = int((sizes == 0.0).sum())
    told = f"{len(sizes):,} cascades" + (f", {none:,} of size 0" if none else "")
    ax.plot(
        at, share, color=tint, marker="o", markersize=3.5 if len(at) < 200 else 2.0, linewidth=1.0,
        label=told if value is None else f"{value_text(value)} ({told})",
    )  # fmt: skip


def _draw_reference(ax: Axes, sizes: Array, exponent: float) -> None:
    at, share = complementary(sizes)
    limits = ax.get_ylim()
    start = share[0] * 1.8
    line = start * (at / at[0]) ** (1.0 - exponent)
    ax.plot(
        at[[0, -1]], line[[0, -1]], color=quiet(), linestyle="--", linewidth=1.4, label=f"slope {1.0 - exponent:g}",
        zorder=1,
    )  # fmt: skip
    ax.set_ylim(limits[0], max(limits[1], 1.15 * start))


def _tidy(ax: Axes, largest: float, number: int) -> None:
    """Write numbers rather than powers where they are short, and leave out shares above 1."""
    bottom, top = ax.get_ylim()
    ax.set_ylim(max(bottom, 0.4 / number), min(top, 2.2))
    if largest < 1e5:
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        near = high < NEAR * low
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if near else (1.0,), numticks=8))
        axis.set_minor_formatter(NullFormatter())
        if near and high < 1e5:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
