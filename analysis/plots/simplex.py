"""How three strategies grow and shrink: the flow on the simplex of their shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Polygon
from mpl_toolkits.mplot3d import Axes3D
from numpy.typing import ArrayLike, NDArray

from simengine.analysis.contents import chosen, observables
from simengine.analysis.games.replicator import replicator_flow
from simengine.analysis.games.rest_points import (
    LEAST,
    STRATEGIES,
    Fitness,
    field_at,
    fitness_of,
    payoff_scale,
    rest_points,
    resting_sides,
)
from simengine.analysis.plots.axes import axes_or_new
from simengine.analysis.plots.shades import ink, page, visible
from simengine.analysis.plots.style import colours, quiet
from simengine.errors import InputError

Floats = NDArray[np.float64]

HEIGHT = 3.0**0.5 / 2.0
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, HEIGHT]])
FINE = 81
"""Points along a side of the grid on which the flow is drawn."""

SHORTEST_WITH_ARROW = 0.12
ARROW = np.array([[0.016, 0.0], [-0.012, 0.011], [-0.012, -0.011]])


def simplex_flow(
    payoffs: Any,
    *,
    intensity: float | None = None,
    starts: ArrayLike | None = None,
    duration: float | None = None,
    trajectory: xr.Dataset | None = None,
    names: Sequence[str] | None = None,
    labels: Sequence[str] = ("1", "2", "3"),
    ax: Axes | None = None,
) -> Axes:
    """Draw the replicator flow of three strategies: stream lines by speed, and its rest points by stability.

    Filled points are stable, empty ones unstable, half filled ones saddles; a ring with a dot is a centre of the
    linearised flow. Sides on which all shares are at rest are drawn thick.

    Parameters
    ----------
    payoffs
        A matrix of shape (3, 3), what the row earns against the column; or a function of the shares that returns three
        fitnesses (`simengine.analysis.games.replicator`).
    intensity
        b of Fermi's rule, for the flow of pairwise comparison; None is the replicator equation.
    starts
        Shares from which trajectories are drawn, shape (k, 3) or (3,).
    duration
        How long these are followed; by default until something that grows at the rate of the largest difference of
        payoffs has grown by exp(60).
    trajectory, names
        A run with the three shares among its observables, drawn on top, and their names in the order of ``labels``; by
        default the only three that have ``share`` in their names.
    labels
        Names of the strategies.
    ax
        Axes.

    Raises
    ------
    InputError
        When there are not three strategies, or numbers are no shares.
    """
    fitness = fitness_of(payoffs)
    names_of = _checked_labels(labels)
    scale = payoff_scale(fitness)
    paths = _paths(payoffs, starts, duration, intensity, scale)
    walked = None if trajectory is None else _walked(trajectory, names)
    axes: Any = axes_or_new(ax)
    if isinstance(axes, Axes3D):
        raise InputError("ax: got three-dimensional axes, the simplex is drawn on flat ones")
    _draw_flow(axes, fitness, intensity)
    for path in paths:
        at = flat(path)
        axes.plot(*at.T, color=ink(), linewidth=1.5, zorder=4)
        axes.plot(*at[:1].T, "o", color=ink(), markersize=4, zorder=4)
    shown: dict[str, Any] = {}
    if walked is not None:
        at = flat(walked)
        (shown["run"],) = axes.plot(*at.T, color=colours()[1], linewidth=1.8, zorder=5)
        axes.plot(*at[-1:].T, marker=">", color=colours()[1], markersize=6, zorder=5)
    shown |= _draw_rests(axes, payoffs, intensity)
    for corner, name, (x, y), (across, up) in zip(
        CORNERS, names_of, ((-0.03, -0.03), (0.03, -0.03), (0.0, 0.035)),
        (("right", "top"), ("left", "top"), ("center", "bottom")), strict=True,
    ):  # fmt: skip
        axes.text(corner[0] + x, corner[1] + y, name, ha=across, va=up, weight="bold")
    axes.set(xlim=(-0.08, 1.08), ylim=(-0.1, HEIGHT + 0.09), aspect="equal")
    axes.set_axis_off()
    axes.legend(
        list(shown.values()), list(shown), loc="upper left", bbox_to_anchor=(0.0, 1.0), handlelength=1.2,
        handler_map={tuple: HandlerTuple(ndivide=1)},
    )  # fmt: skip
    return axes  # type: ignore[no-any-return]


def flat(shares: ArrayLike) -> Floats:
    """Return places in the plane, (..., 2), of shares (..., 3): the corners of a triangle with sides of 1."""
    return np.asarray(np.asarray(shares, dtype=np.float64) @ CORNERS)


# -- drawing -----------------------------------------------------------------------------------------------------------


def _draw_flow(axes: Any, fitness: Fitness, intensity: float | None) -> None:
    across, up = np.linspace(0.0, 1.0, FINE), np.linspace(0.0, HEIGHT, FINE)
    x, y = np.meshgrid(across, up)
    top = y / HEIGHT
    shares = np.stack([1.0 - x - top / 2.0, x - top / 2.0, top], axis=-1)
    # Beyond the triangle the flow is that at its border, so that stream lines reach the sides.
    inside = np.clip(shares, 0.0, None)
    inside /= inside.sum(axis=-1, keepdims=True)
    flow = np.array([field_at(fitness, one, intensity) for one in inside.reshape(-1, STRATEGIES)])
    velocity = flat(flow).reshape(FINE, FINE, 2)
    speed = np.linalg.norm(velocity, axis=-1)
    outline = Polygon(CORNERS, closed=True, fill=False, edgecolor=quiet(), linewidth=1.2, zorder=2)
    axes.add_patch(outline)
    if speed.max() <= LEAST:
        return
    scale = Normalize(0.0, float(speed[shares.min(axis=-1) >= -LEAST].max()))
    before = len(axes.patches)
    stream = axes.streamplot(
        across, up, velocity[..., 0], velocity[..., 1], color=speed, cmap=visible(), norm=scale, density=1.2,
        linewidth=1.0, arrowstyle="-", zorder=1.5,
    )  # fmt: skip
    for mark in list(axes.patches)[before:]:
        mark.remove()
    stream.lines.set_clip_path(outline)
    _draw_arrows(axes, np.array(stream.lines.get_segments()), np.asarray(stream.lines.get_array()), scale)
    figure: Any = axes.figure
    bar = figure.colorbar(ScalarMappable(scale, visible()), ax=axes, shrink=0.6, pad=0.02, aspect=18)
    bar.set_label("Speed (shares per unit of time)")
    bar.outline.set_visible(False)


def _draw_arrows(axes: Any, segments: Floats, speeds: Floats, scale: Normalize) -> None:
    """Put an arrow in the middle of each stretch of a stream line inside the triangle."""
    weights = np.linalg.solve(
        np.vstack([CORNERS.T, np.ones(STRATEGIES)]),
        np.column_stack([segments.mean(axis=1), np.ones(len(segments))]).T,
    )
    inside = weights.min(axis=0) > 0.015
    joined = np.append(False, np.linalg.norm(segments[1:, 0] - segments[:-1, 1], axis=1) < LEAST)
    stretch = np.cumsum(~(joined & inside & np.roll(inside, 1)))
    lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    shapes, shades = [], []
    for number in np.unique(stretch[inside]):
        members = np.flatnonzero((stretch == number) & inside)
        walked = np.cumsum(lengths[members])
        if walked[-1] < SHORTEST_WITH_ARROW:
            continue
        middle = members[int(np.searchsorted(walked, walked[-1] / 2.0))]
        along = (segments[middle, 1] - segments[middle, 0]) / max(lengths[middle], LEAST)
        across = np.array([-along[1], along[0]])
        shapes.append(segments[middle].mean(axis=0) + ARROW[:, :1] * along + ARROW[:, 1:] * across)
        shades.append(speeds[middle])
    heads = PolyCollection(shapes, facecolors=visible()(scale(np.array(shades))), linewidths=0, zorder=1.6)
    axes.add_collection(heads, autolim=False)


def _draw_rests(axes: Any, payoffs: Any, intensity: float | None) -> dict[str, Any]:
    """Draw what is at rest; return what to explain, by word."""
    shown: dict[str, Any] = {}
    for first, second in resting_sides(payoffs):
        (side,) = axes.plot(*CORNERS[[first, second]].T, color=ink(), linewidth=3.0, zorder=3, solid_capstyle="butt")
        shown["at rest"] = side
    empty = tuple(page())
    for rest in rest_points(payoffs, intensity):
        at = flat(rest.shares)
        shade = quiet() if rest.kind == "degenerate" else ink()
        hollow = rest.kind in ("unstable", "centre")
        (point,) = axes.plot(
            *at, "o", markersize=10, fillstyle="left" if rest.kind == "saddle" else "full",
            markerfacecolor=empty if hollow else shade, markerfacecoloralt=empty, markeredgecolor=ink(),
            markeredgewidth=1.3, zorder=6, clip_on=False, label=rest.kind,
        )  # fmt: skip
        shown[rest.kind] = point
        if rest.kind == "centre":
            (dot,) = axes.plot(*at, ".", color=ink(), markersize=5, zorder=6.1)
            shown[rest.kind] = (point, dot)
    return shown


def _checked_labels(labels: Sequence[str]) -> list[str]:
    if isinstance(labels, str) or not isinstance(labels, Sequence) or len(labels) != STRATEGIES:
        raise InputError(f"labels: got {labels!r}, allowed are three names")
    return [str(name) for name in labels]


def _paths(
    payoffs: Any, starts: ArrayLike | None, duration: float | None, intensity: float | None, scale: float
) -> list[Floats]:
    if starts is None:
        return []
    try:
        begins = np.atleast_2d(np.asarray(starts, dtype=np.float64))
    except (TypeError, ValueError):
        raise InputError("starts are no numbers: three shares each") from None
    if begins.ndim != 2 or begins.shape[1] != STRATEGIES:
        raise InputError(f"starts: got shape {np.shape(starts)}, allowed is (k, 3), three shares each")
    if duration is not None and not (0.0 < duration < np.inf):
        raise InputError(f"duration: got {duration!r}, allowed is 0 < duration")
    rate = scale if intensity is None else max(float(np.tanh(0.5 * intensity * scale)), LEAST)
    times = np.linspace(0.0, 60.0 / rate if duration is None else duration, 3000)
    return [replicator_flow(payoffs, begin, times, intensity=intensity).shares[0] for begin in begins]


def _walked(data: xr.Dataset, names: Sequence[str] | None) -> Floats:
    if names is None:
        names = [name for name in observables(data) if "share" in name]
        if len(names) != STRATEGIES:
            raise InputError(
                f"names: say which three observables are the shares; there are {', '.join(observables(data))}"
            )
    if len(names) != STRATEGIES:
        raise InputError(f"names: got {len(names)}, allowed are three")
    columns = [chosen(data, name) for name in names]
    if any(column.ndim != 1 for column in columns):
        raise InputError("trajectory: got several runs, choose one with isel or sel")
    shares = np.stack([np.asarray(column.values, dtype=np.float64) for column in columns], axis=1)
    if not np.allclose(shares.sum(axis=1), 1.0, atol=1e-6) or shares.min() < -LEAST:
        raise InputError(f"{', '.join(names)} are no shares: they do not sum to 1")
    return shares
