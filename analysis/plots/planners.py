"""What is best for a planner of social learning, by the public belief, and for a sender who persuades.

The planner is that of Arghal, He, Saeedi Bidokhti & Sarkar, "Steering the Herd" (arXiv:2504.02648): it *invests* in a
precision above the one that costs nothing, *obfuscates* below it, or leaves the signal as it is; where an agent acts
alike whatever its signal, agents are in a *cascade*. The sender is that of Kamenica & Gentzkow (2011), American
Economic Review 101, 2590-2615.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d import Axes3D
from numpy.typing import ArrayLike, NDArray

from simengine.analysis.plots.axes import axes_or_new
from simengine.analysis.plots.shades import around_page, ink, page
from simengine.analysis.plots.style import colours, quiet
from simengine.errors import InputError, nearest

Floats = NDArray[np.float64]

NEAR = 1e-9
INVESTS, OBFUSCATES, LEAVES = "invests", "obfuscates", "leaves the signal"
BELIEF = "Public belief that the state is good"
HATCH = "////"
LINES_OF_IMAGE, BELIEFS_OF_IMAGE, PRECISIONS_OF_IMAGE = 61, 601, 120
RANGES: dict[str, tuple[float, float]] = {
    "cost": (0.02, 3.0), "discount": (0.0, 0.98), "precision": (0.52, 0.98), "loss": (0.2, 3.0),
    "cost_power": (0.3, 1.0),
}  # fmt: skip
WORDS = {
    "cost": "Cost of precision", "discount": "Discount", "precision": "Free precision", "loss": "Loss",
    "cost_power": "Power of the cost",
}  # fmt: skip


def belief_regions(solution: xr.Dataset | str, *, agent: int = 0, ax: Axes | None = None, **parameters: Any) -> Axes:
    """Draw what a planner does at each public belief: its value above, the precision that it chooses below.

    Background colours say whether it invests or obfuscates; where it does neither there is none. Hatching shows
    cascades. The Axes is divided in two, its ``child_axes``.

    Parameters
    ----------
    solution
        What `simengine.scenarios.social_learning_planner.solve_planner` returns; or ``"altruistic"`` or ``"biased"``,
        to be solved with ``parameters`` (precision 0.7, cost 0.5 and discount 0.9 by default).
    agent
        Which agent's turn, with a horizon.
    ax
        Axes.

    Raises
    ------
    InputError
        When this is no solution, or parameters are out of range.
    """
    solved = _one_stage(_solved(solution, parameters), agent)
    outer: Any = _flat(ax)
    outer.set_axis_off()
    upper, lower = outer.inset_axes((0.0, 0.5, 1.0, 0.5)), outer.inset_axes((0.0, 0.0, 1.0, 0.44))
    belief, policy = np.asarray(solved["belief"].values), np.asarray(solved["policy"].values)
    precision = float(solved.attrs["precision"])
    for panel in (upper, lower):
        for begin, end, act in stretches(belief, actions(policy, precision)):
            if act != LEAVES:
                panel.axvspan(begin, end, color=_shade(act), alpha=0.22, linewidth=0, zorder=0)
        for begin, end, herding in stretches(belief, cascades(belief, policy)):
            if herding:
                panel.axvspan(
                    begin, end, fill=False, hatch=HATCH, edgecolor=quiet(), linewidth=0, alpha=0.45, zorder=0.5
                )
        panel.set_xlim(0.0, 1.0)
        panel.grid(False)
    _pieces(upper, belief, np.asarray(solved["value"].values), np.diff(np.asarray(solved["value"].values)))
    upper.set_ylabel("Value")
    upper.tick_params(labelbottom=False)
    upper.set_title(f"{str(solved.attrs['kind']).capitalize()} planner", pad=26)
    # Precision is told apart from the limits beside which it is played.
    lower.axhline(precision, color=quiet(), linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    _pieces(lower, belief, policy, np.diff(policy))
    lower.set(ylim=(0.48, 1.02), ylabel="Precision", xlabel=BELIEF)
    present = set(actions(policy, precision))
    patches = [Patch(facecolor=_shade(act), alpha=0.35, label=act) for act in (INVESTS, OBFUSCATES) if act in present]
    if cascades(belief, policy).any():
        patches.append(Patch(fill=False, hatch=HATCH, edgecolor=quiet(), linewidth=0, label="cascade"))
    legend = upper.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, columnspacing=1.0,
        handlelength=1.4, handletextpad=0.5,
    )  # fmt: skip
    legend.set_in_layout(False)
    return outer  # type: ignore[no-any-return]


def policy_regions(
    kind: Literal["altruistic", "biased"] = "biased",
    *,
    over: str = "cost",
    values: ArrayLike | None = None,
    ax: Axes | None = None,
    **parameters: Any,
) -> Axes:
    """Draw the precision that a planner chooses, by public belief and one of its parameters, as an image.

    The page's own colour is the precision that costs nothing; lines bound the cascades.

    Parameters
    ----------
    kind
        As of `solve_planner`.
    over
        The parameter along the vertical axis: ``"cost"``, ``"discount"``, ``"precision"``, ``"loss"`` or
        ``"cost_power"``.
    values
        Its values, ascending; by default 61 over the range in which something happens.
    ax
        Axes.
    **parameters
        The others, as of `solve_planner` (precision 0.7, cost 0.5 and discount 0.9 by default).
    """
    if over not in RANGES:
        raise InputError(f"over: got {over!r}{nearest(str(over), RANGES) or '; allowed: ' + ', '.join(RANGES)}")
    if over in parameters:
        raise InputError(f"{over}= is along the vertical axis already; give values=")
    if "horizon" in parameters:
        raise InputError("policy_regions() is for planners without a horizon")
    levels = np.linspace(*RANGES[over], LINES_OF_IMAGE) if values is None else _ascending(values)
    settings = {"beliefs": BELIEFS_OF_IMAGE, "precisions": PRECISIONS_OF_IMAGE} | parameters
    grid = np.linspace(0.0, 1.0, BELIEFS_OF_IMAGE)
    gains, herding = np.empty((len(levels), len(grid))), np.empty((len(levels), len(grid)))
    chosen = np.empty_like(gains)
    for row, level in enumerate(levels):
        solved = _solved(kind, settings | {over: float(level)})
        belief, policy = np.asarray(solved["belief"].values), np.asarray(solved["policy"].values)
        regular = between_jumps(belief)
        nearest_belief = regular[np.abs(belief[regular, None] - grid).argmin(axis=0)]
        chosen[row] = policy[nearest_belief]
        gains[row] = chosen[row] - float(solved.attrs["precision"])
        herding[row] = cascades(belief, policy)[nearest_belief]
    axes: Any = _flat(ax)
    shown, free = (gains, 0.0) if over == "precision" else (chosen, float(chosen[0, 0] - gains[0, 0]))
    low, high = (-0.5, 0.5) if over == "precision" else (0.5, 1.0)
    low = min(low, free - 1e-3)
    image = axes.pcolormesh(
        grid, levels, shown, cmap=around_page(), norm=TwoSlopeNorm(free, low, high), shading="nearest",
        rasterized=True,
    )  # fmt: skip
    if herding.min() < herding.max():
        axes.contour(grid, levels, herding, levels=[0.5], colors=[quiet()], linewidths=1.0)
    axes.grid(False)
    axes.set(xlabel=BELIEF, ylabel=WORDS[over], xlim=(0.0, 1.0), ylim=(levels[0], levels[-1]))
    axes.set_title(f"{kind.capitalize()} planner")
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02)
    bar.ax.set_yscale("linear")
    bar.set_ticks(np.round(np.unique([*np.linspace(low, high, 6)]), 2))
    bar.set_label("Precision above the free one" if over == "precision" else f"Precision (free: {free:g})")
    bar.outline.set_visible(False)
    return axes  # type: ignore[no-any-return]


def concavification(
    prior: float = 0.3,
    threshold: Any = 0.5,
    *,
    bias: float = 0.0,
    weights: ArrayLike | None = None,
    payoff: Callable[[Any], ArrayLike] | ArrayLike | None = None,
    at: ArrayLike | None = None,
    points: int = 2001,
    ax: Axes | None = None,
) -> Axes:
    """Draw a sender's payoff by posterior, its concave closure, and how the optimal signal splits the prior.

    The arrow is what persuasion gains over silence.

    Parameters
    ----------
    prior, threshold, bias, weights, payoff, at, points
        As of `simengine.scenarios.persuasion_solver.solve_persuasion`.
    ax
        Axes.
    """
    # Scenarios import the engine, which other figures have no need of; so below.
    from simengine.scenarios.persuasion_payoffs import (
        as_share,
        as_weights,
        needed_posterior,
        of_distribution,
        of_payoff,
        of_thresholds,
    )  # fmt: skip
    from simengine.scenarios.persuasion_solver import solve_persuasion, upper_hull

    solved = solve_persuasion(prior, threshold, bias=bias, weights=weights, payoff=payoff, at=at, points=points)
    belief = as_share(prior, "prior")
    if payoff is not None:
        problem = of_payoff(belief, payoff, at, points)
    elif hasattr(threshold, "cdf"):
        problem = of_distribution(belief, threshold.cdf, as_share(bias, "bias"), points)
    else:
        thresholds = np.atleast_1d(np.asarray(threshold, dtype=np.float64)).ravel()
        needed = needed_posterior(thresholds, belief, bias=as_share(bias, "bias"))
        problem = of_thresholds(belief, thresholds, needed, as_weights(weights, thresholds.size))
    axes: Any = _flat(ax)
    x, v = problem.posteriors, problem.payoffs
    hull = upper_hull(x, v)
    first, second = colours()[:2]
    jumps = payoff is None and not hasattr(threshold, "cdf")
    axes.plot(x[hull], v[hull], color=second, linewidth=1.6, linestyle=(0, (5, 2)), label="concave closure", zorder=3)
    along, payoffs = (np.repeat(x, 2)[1:], np.repeat(v, 2)[:-1]) if jumps else (x, v)
    axes.fill_between(along, payoffs, np.interp(along, x[hull], v[hull]), color=second, alpha=0.12, linewidth=0)
    axes.plot(along, payoffs, color=first, linewidth=2.0, label="payoff", zorder=4)
    posteriors, masses = np.asarray(solved.posteriors), np.asarray(solved.probabilities)
    heights = np.interp(posteriors, x, v)
    axes.plot(posteriors, heights, "o", color=second, markersize=8, zorder=6, clip_on=False, label="posteriors")
    axes.axvline(belief, color=quiet(), linewidth=1.0, linestyle=":", zorder=2)
    if solved.value > solved.no_information + NEAR:
        axes.annotate(
            "", (belief, solved.value), (belief, solved.no_information),
            arrowprops={"arrowstyle": "-|>", "color": ink(), "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}, zorder=5,
        )  # fmt: skip
    low, high = float(v.min()), float(v.max())
    span = (high - low) or 1.0
    for posterior, mass, height in zip(posteriors, masses, heights, strict=True):
        # Above and to the left of its corners the closure leaves room.
        x_offset, y_offset, across, up = (8, -5, "left", "top") if posterior < 0.12 else (-7, 6, "right", "bottom")
        axes.annotate(
            f"{100 * mass:.3g} %", (posterior, height), (x_offset, y_offset), textcoords="offset points", color=second,
            ha=across, va=up, weight="bold", zorder=7, path_effects=[withStroke(linewidth=3, foreground=page())],
        )  # fmt: skip
    axes.set(
        xlim=(0.0, 1.0), ylim=(low - 0.12 * span, high + 0.16 * span), xlabel="Posterior chance of the good state",
        ylabel="Sender's payoff" if payoff is not None else "Share of receivers who accept",
    )  # fmt: skip
    axes.set_title(f"Prior {belief:.3g}: value {solved.value:.3g}, silent {solved.no_information:.3g}", pad=26)
    legend = axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, columnspacing=1.2)
    # The title leaves room for it; in the width it may reach beyond the axes.
    legend.set_in_layout(False)
    return axes  # type: ignore[no-any-return]


# -- what a solution says ----------------------------------------------------------------------------------------------


def actions(policy: Floats, precision: float) -> NDArray[np.str_]:
    """Return what the planner does by choosing precisions instead of the one that costs nothing."""
    return np.where(policy > precision + NEAR, INVESTS, np.where(policy < precision - NEAR, OBFUSCATES, LEAVES))


def cascades(belief: Floats, policy: Floats) -> NDArray[np.bool_]:
    """Return where an agent acts alike whatever its signal says: b > q, or b < 1 - q."""
    return (belief > policy + 1e-12) | (belief < 1.0 - policy - 1e-12)


def between_jumps(belief: Floats) -> NDArray[np.int64]:
    """Return which beliefs of a planner's grid are neither places where values jump nor limits there."""
    steps = np.diff(belief, prepend=-1.0, append=2.0)
    return np.flatnonzero(np.minimum(steps[:-1], steps[1:]) > NEAR)


def stretches(belief: Floats, labels: NDArray[Any]) -> list[tuple[float, float, Any]]:
    """Return begin, end and label of each stretch of beliefs with one label, points of jumps left out."""
    regular = between_jumps(belief)
    belief, labels = belief[regular], labels[regular]
    cuts = np.flatnonzero(labels[1:] != labels[:-1])
    borders = [0.0, *((belief[cuts] + belief[cuts + 1]) / 2.0).tolist(), 1.0]
    firsts = [0, *(cuts + 1).tolist()]
    found = zip(borders[:-1], borders[1:], firsts, strict=True)
    return [(begin, end, labels[first]) for begin, end, first in found]


def _pieces(axes: Any, x: Floats, y: Floats, change: Floats) -> None:
    """Draw a function that jumps between neighbouring points of its grid, without a line across the jumps."""
    span = float(np.ptp(y)) or 1.0
    usual = float(np.quantile(np.abs(change), 0.9)) if change.size else 0.0
    jumps = np.flatnonzero(np.abs(change) > max(8.0 * usual, 0.02 * span))
    gaps = np.insert(y.astype(np.float64), jumps + 1, np.nan)
    axes.plot(np.insert(x, jumps + 1, x[jumps]), gaps, color=ink(), linewidth=1.8, zorder=3)


def _shade(act: str) -> str:
    return colours()[1 if act == INVESTS else 0]


def _solved(solution: Any, parameters: dict[str, Any]) -> xr.Dataset:
    if isinstance(solution, xr.Dataset):
        if parameters:
            raise InputError(f"{', '.join(parameters)}: the solution has its parameters already")
        if not {"value", "policy"} <= set(solution.data_vars) or "precision" not in solution.attrs:
            raise InputError("this Dataset is no solution of a planner; solve_planner() returns one")
        return solution
    if not isinstance(solution, str):
        raise InputError(
            f"solution: got {type(solution).__name__}, allowed is what solve_planner() returns, or its kind"
        )
    from simengine.scenarios.social_learning_planner import solve_planner

    settings = {"precision": 0.7, "cost": 0.5, "discount": 0.9} | parameters
    try:
        return solve_planner(solution, **settings)  # type: ignore[arg-type]
    except TypeError:
        known = (
            "precision",
            "cost",
            "discount",
            "loss",
            "cost_power",
            "horizon",
            "beliefs",
            "precisions",
            "margin",
            "tolerance",
        )
        wrong = next((name for name in parameters if name not in known), "")
        raise InputError(f"solve_planner() has no {wrong!r}{nearest(wrong, known)}") from None


def _one_stage(solved: xr.Dataset, agent: int) -> xr.Dataset:
    if "agent" not in solved.dims:
        return solved
    there = solved.sizes["agent"]
    if isinstance(agent, bool) or not isinstance(agent, int) or not -there <= agent < there:
        raise InputError(f"agent: got {agent!r}, allowed are whole numbers from {-there} to {there - 1}")
    return solved.isel(agent=agent)


def _ascending(values: ArrayLike) -> Floats:
    levels = np.asarray(values, dtype=np.float64)
    if levels.ndim != 1 or levels.size < 2 or not (np.diff(levels) > 0).all():
        raise InputError("values: allowed are at least two ascending numbers")
    return levels


def _flat(ax: Axes | None) -> Axes:
    axes = axes_or_new(ax)
    if isinstance(axes, Axes3D):
        raise InputError("ax: got three-dimensional axes, allowed are flat ones")
    return axes
