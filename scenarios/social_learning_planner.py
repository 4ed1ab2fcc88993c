"""The planner of controlled social learning: value iteration over the public belief.

A planner sees the public belief b and chooses the precision q of the next agent's private signal (Arghal, He, Saeedi
Bidokhti & Sarkar, "Steering the Herd", arXiv:2504.02648). Its value solves

    V(b) = max_q { r(b, q) + discount E[V(b') | b, q] },

where b' is Bayes' posterior after the action if the step is informative, 1 - q <= b <= q, and b otherwise. With
beta(q) = cost |q - p|**cost_power, p the precision that costs nothing, and loss C:

* altruistic: r = -beta(q) - C min(b, 1 - b, 1 - q); precision below p is free, and useless;
* biased (wants action good in any state): r = -beta(q) - C P(a = bad | b, q), which is C (b + q (1 - 2b)) where the
  step is informative, 0 where b > q and C where b < 1 - q.

What the paper is silent about, and how it is solved here
    V may jump at 1 - p, 1/2 and p, so each of them stands three times on the grid of beliefs: the limit from below, the
    point, the limit from above. Between them V is interpolated, across them never. A supremum that no precision
    attains (q just below b, or just above 1 - b) is valued by its limit and played with ``margin``. Exact actions are
    p, 1, max(b, 1 - b), just above it, just below it, and those whose posterior is p or 1 - p; a grid of precisions
    comes on top, for concave costs and whatever else may be best.

A full sweep looks at all actions; between full sweeps the best actions found are swept alone (modified policy
iteration: Puterman & Shin 1978, Management Science 24, 1127). It ends when a full sweep moves no value by more than
tolerance (1 - discount) / discount, so that no value is further than ``tolerance`` from the fixed point.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.errors import InputError

if TYPE_CHECKING:
    import xarray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SNAP = 1e-12
"""A posterior as near as this to a place where values jump is that place."""

NARROW = 1e-9
"""A p as near as this to 1/2 leaves no room for beliefs between 1 - p and 1/2."""

REGIONS = ("baseline", "match", "above", "obfuscate", "full", "reach", "graded")
"""What is best at a belief; `solve_planner` says what each means."""

BASELINE, MATCH, ABOVE, OBFUSCATE, FULL, REACH_UP, REACH_DOWN = range(7)
EXACT = 7
TIED = 1e-12
"""Of actions whose values differ by less, relatively, the first in the order of `REGIONS` is played."""


def belief_grid(precision: float, beliefs: int) -> tuple[Floats, int, int]:
    """Return the beliefs at which values are held, and the number of intervals below 1 - p and between there and 1/2.

    The grid is symmetric about 1/2. Each of 1 - p, 1/2 and p stands three times: its neighbours in float64 stand for
    the limits from below and from above.
    """
    lower = 1.0 - precision
    if 0.5 - lower <= NARROW:
        outer, inner = (beliefs - 3) // 2, 0
        below = [np.linspace(0.0, np.nextafter(0.5, 0.0), outer + 1)]
    else:
        intervals = (beliefs - 7) // 2
        outer = min(max(1, round(intervals * lower / 0.5)), intervals - 1)
        inner = intervals - outer
        below = [
            np.linspace(0.0, np.nextafter(lower, 0.0), outer + 1),
            np.array([lower]),
            np.linspace(np.nextafter(lower, 1.0), np.nextafter(0.5, 0.0), inner + 1),
        ]
    half = np.concatenate(below)
    upper = 1.0 - half[::-1]
    grid = np.concatenate([half, [0.5], upper])
    # One minus a limit may round to the point itself.
    middle = len(half)
    grid[middle + 1] = np.nextafter(0.5, 1.0)
    if inner:
        at_precision = len(grid) - 1 - (outer + 1)
        grid[at_precision - 1 : at_precision + 2] = (
            np.nextafter(precision, 0.0), precision, np.nextafter(precision, 1.0),
        )  # fmt: skip
    return grid, outer, inner


@njit(cache=True, nogil=True, error_model="numpy")
def place(x: Any, side: Any, precision: Any, outer: Any, inner: Any, last: Any) -> Any:
    """Return where a belief stands on the grid: a node, and the fraction of the way to the next.

    ``side`` (-1, 0, 1) says from where a belief that is a place of jumps is approached.
    """
    lower = 1.0 - precision
    middle = last // 2
    if abs(x - 0.5) <= SNAP:
        return middle + side, 0.0
    if inner > 0:
        if abs(x - lower) <= SNAP:
            return outer + 1 + side, 0.0
        if abs(x - precision) <= SNAP:
            return last - outer - 1 + side, 0.0
    mirrored = x > 0.5
    low = 1.0 - x if mirrored else x
    if low < lower or inner == 0:
        position, first, intervals = low / lower * outer, 0, outer
    else:
        position, first, intervals = (low - lower) / (0.5 - lower) * inner, outer + 2, inner
    node = max(0, min(int(position), intervals - 1))
    fraction = min(max(position - node, 0.0), 1.0)
    if mirrored:
        return last - first - node - 1, 1.0 - fraction
    return first + node, fraction


@njit(cache=True, nogil=True, error_model="numpy")
def price(q: Any, precision: Any, cost: Any, power: Any, biased: Any) -> Any:
    """Return what a precision costs."""
    if q < precision and not biased:
        return 0.0
    return cost * abs(q - precision) ** power


@njit(cache=True, nogil=True, error_model="numpy")
def harm(b: Any, q: Any, informative: Any, loss: Any, biased: Any) -> Any:
    """Return the planner's expected loss from the next action."""
    if biased:
        if informative:
            return loss * (b + q * (1.0 - 2.0 * b))
        return 0.0 if b > 0.5 else loss
    return loss * (1.0 - q if informative else min(b, 1.0 - b))


@njit(cache=True, nogil=True, error_model="numpy")
def exact_actions(
    grid: Any, precision: Any, outer: Any, inner: Any, cost: Any, power: Any, loss: Any, biased: Any,
    precisions: Any, rewards: Any, chances: Any, nodes: Any, fractions: Any,
) -> None:  # fmt: skip
    """Fill, for each belief and exact action, precision, reward, P(signal good) and where both posteriors stand.

    Rewards of actions that are not there are -inf. An uninformative action leads back to its belief.
    """
    last = grid.size - 1
    middle = last // 2
    for i in range(grid.size):
        b = grid[i]
        side = 0
        for cut in (outer + 1, middle, last - outer - 1):
            if i == cut - 1:
                side = -1
            elif i == cut + 1:
                side = 1
        level = max(b, 1.0 - b)
        for action in range(EXACT):
            q, informative, there = precision, True, True
            if action == BASELINE:
                informative = 1.0 - precision <= b <= precision
            elif action == FULL:
                q = 1.0
            elif action == OBFUSCATE:
                q, informative, there = b, False, i > middle and b <= precision
            elif action in (MATCH, ABOVE):
                q = level
            else:
                target = precision if action == REACH_UP else 1.0 - precision
                odds = target / (1.0 - target) * (1.0 - b) / b if b > 0.0 else 0.0
                odds = odds if action == REACH_UP else (1.0 / odds if odds > 0.0 else 0.0)
                q = odds / (1.0 + odds)
                there = q > level and 0.0 < b < 1.0
            there = there and (biased or q >= precision or action == BASELINE)
            precisions[i, action] = q
            rewards[i, action] = -np.inf
            chances[i, action] = 1.0
            nodes[i, action, 0] = i
            nodes[i, action, 1] = i
            fractions[i, action, 0] = 0.0
            fractions[i, action, 1] = 0.0
            if not there:
                continue
            rewards[i, action] = -price(q, precision, cost, power, biased) - harm(b, q, informative, loss, biased)
            if not informative:
                continue
            good = b * q + (1.0 - b) * (1.0 - q)
            chances[i, action] = good
            up = b * q / good if good > 0.0 else b
            down = b * (1.0 - q) / (1.0 - good) if good < 1.0 else b
            from_side = side if action == BASELINE else 0
            nodes[i, action, 0], fractions[i, action, 0] = place(up, from_side, precision, outer, inner, last)
            nodes[i, action, 1], fractions[i, action, 1] = place(down, from_side, precision, outer, inner, last)
            if action in (MATCH, ABOVE):
                beyond = 1 if action == ABOVE else 0
                if i <= middle:
                    nodes[i, action, 0], fractions[i, action, 0] = middle + beyond, 0.0
                if i >= middle:
                    nodes[i, action, 1], fractions[i, action, 1] = middle - beyond, 0.0
            elif action == REACH_UP and inner > 0:
                nodes[i, action, 0], fractions[i, action, 0] = last - outer - 1, 0.0
            elif action == REACH_DOWN and inner > 0:
                nodes[i, action, 1], fractions[i, action, 1] = outer + 1, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def between(values: Any, node: Any, fraction: Any) -> Any:
    """Return the value at a place on the grid."""
    if fraction == 0.0:
        return values[node]
    return values[node] + fraction * (values[node + 1] - values[node])


@njit(cache=True, nogil=True, error_model="numpy")
def full_sweep(
    values: Any, updated: Any, grid: Any, precision: Any, outer: Any, inner: Any, loss: Any, biased: Any,
    discount: Any, levels: Any, prices: Any, rewards: Any, chances: Any, nodes: Any, fractions: Any, best: Any,
) -> Any:  # fmt: skip
    """Take the best of all actions at each belief; return the largest change of a value.

    ``best`` gets the action: below `EXACT` an exact one, from there on the number of a precision on the grid.
    """
    last = grid.size - 1
    lower = 1.0 - precision
    per_outer = outer / lower
    per_inner = inner / (0.5 - lower) if inner > 0 else 0.0
    change = 0.0
    first = levels.size
    for i in range(grid.size):
        b = grid[i]
        highest, found = -np.inf, 0
        for action in range(EXACT):
            if rewards[i, action] == -np.inf:
                continue
            good = chances[i, action]
            value = good * between(values, nodes[i, action, 0], fractions[i, action, 0])
            if good < 1.0:
                value += (1.0 - good) * between(values, nodes[i, action, 1], fractions[i, action, 1])
            value = rewards[i, action] + discount * value
            if value > highest + TIED * (1.0 + abs(highest)) or highest == -np.inf:
                highest, found = value, action
        level = max(b, 1.0 - b)
        while first > 0 and levels[first - 1] > level:
            first -= 1
        while first < levels.size and levels[first] <= level:
            first += 1
        for j in range(first, levels.size):
            q = levels[j]
            good = b * q + (1.0 - b) * (1.0 - q)
            up = b * q / good
            down = b * (1.0 - q) / (1.0 - good) if good < 1.0 else b
            # A step informative beyond 1/2 leads to both sides of it: up is above, down below.
            x = 1.0 - up
            y = down
            if x <= lower + SNAP or inner == 0:
                position = x * per_outer
                node = min(int(position), outer - 1)
            else:
                position = (x - lower) * per_inner
                node = min(int(position), inner - 1)
                position += outer + 2
                node += outer + 2
            fraction = position - node
            above = values[last - node] + fraction * (values[last - node - 1] - values[last - node])
            if y <= lower + SNAP or inner == 0:
                position = y * per_outer
                node = min(int(position), outer - 1)
            else:
                position = (y - lower) * per_inner
                node = min(int(position), inner - 1)
                position += outer + 2
                node += outer + 2
            fraction = position - node
            below = values[node] + fraction * (values[node + 1] - values[node])
            value = -prices[j] - loss * (1.0 - (good if biased else q))
            value += discount * (good * above + (1.0 - good) * below)
            if value > highest + TIED * (1.0 + abs(highest)):
                highest, found = value, EXACT + j
        best[i] = found
        updated[i] = highest
        change = max(change, abs(highest - values[i]))
    return change


@njit(cache=True, nogil=True, error_model="numpy")
def settle(
    values: Any, updated: Any, grid: Any, precision: Any, outer: Any, inner: Any, loss: Any, biased: Any,
    discount: Any, levels: Any, prices: Any, rewards: Any, chances: Any, nodes: Any, fractions: Any, best: Any,
    wanted: Any, most: Any,
) -> Any:  # fmt: skip
    """Sweep the best actions alone until values move by less than ``wanted``; return the number of sweeps."""
    n = grid.size
    last = n - 1
    reward, chance = np.empty(n), np.empty(n)
    node, fraction = np.empty((n, 2), np.int64), np.empty((n, 2))
    for i in range(n):
        action = best[i]
        if action < EXACT:
            reward[i], chance[i] = rewards[i, action], chances[i, action]
            node[i], fraction[i] = nodes[i, action], fractions[i, action]
        else:
            b, q = grid[i], levels[action - EXACT]
            good = b * q + (1.0 - b) * (1.0 - q)
            chance[i] = good
            reward[i] = -prices[action - EXACT] - harm(b, q, True, loss, biased)
            down = b * (1.0 - q) / (1.0 - good) if good < 1.0 else b
            node[i, 0], fraction[i, 0] = place(b * q / good, 1, precision, outer, inner, last)
            node[i, 1], fraction[i, 1] = place(down, -1, precision, outer, inner, last)
    sweeps = 0
    change = np.inf
    while change > wanted and sweeps < most:
        change = 0.0
        for i in range(n):
            up, down = node[i, 0], node[i, 1]
            # A limit from below may be the last node of its stretch; its fraction is 0 then.
            above = values[up] + fraction[i, 0] * (values[min(up + 1, last)] - values[up])
            below = values[down] + fraction[i, 1] * (values[min(down + 1, last)] - values[down])
            updated[i] = reward[i] + discount * (chance[i] * above + (1.0 - chance[i]) * below)
            change = max(change, abs(updated[i] - values[i]))
        values[:] = updated
        sweeps += 1
    return sweeps


def check_planner(
    kind: str, precision: float, cost: float, discount: float, loss: float, cost_power: float, horizon: int | None,
    beliefs: int, precisions: int, margin: float, tolerance: float,
) -> None:  # fmt: skip
    """Refuse arguments of `solve_planner` that mean nothing, in one line."""
    if kind not in {"altruistic", "biased"}:
        raise InputError(f"kind: got {kind!r}, allowed are 'altruistic' and 'biased'")
    numbers = {
        "precision": precision, "cost": cost, "discount": discount, "loss": loss, "cost_power": cost_power,
        "margin": margin, "tolerance": tolerance,
    }  # fmt: skip
    for name, given in numbers.items():
        if isinstance(given, bool) or not isinstance(given, int | float | np.integer | np.floating):
            raise InputError(f"{name}: got {given!r:.60}, allowed is a number")
    allowed = "0 <= discount < 1 without a horizon" if horizon is None else "0 <= discount <= 1"
    checks = (
        ("precision", precision, 0.5 <= precision < 1.0, "0.5 <= precision < 1"),
        ("cost", cost, 0.0 <= cost < math.inf, "0 <= cost"),
        ("discount", discount, 0.0 <= discount < 1.0 or (horizon is not None and discount == 1.0), allowed),
        ("loss", loss, 0.0 < loss < math.inf, "0 < loss"),
        ("cost_power", cost_power, 0.0 < cost_power <= 1.0, "0 < cost_power <= 1"),
        ("horizon", horizon, horizon is None or (isinstance(horizon, int) and horizon >= 1), "whole numbers from 1"),
        ("beliefs", beliefs, isinstance(beliefs, int) and beliefs >= 21 and beliefs % 2 == 1, "odd numbers from 21"),
        ("precisions", precisions, isinstance(precisions, int) and precisions >= 0, "whole numbers from 0"),
        ("margin", margin, 1e-7 <= margin <= 0.01, "1e-7 <= margin <= 0.01"),
        ("tolerance", tolerance, tolerance > 0.0, "0 < tolerance"),
    )
    for name, value, fine, words in checks:
        if not fine:
            raise InputError(f"{name}: got {value!r}, allowed: {words}")


def solve_planner(
    kind: Literal["altruistic", "biased"],
    precision: float,
    cost: float,
    discount: float,
    loss: float = 1.0,
    *,
    cost_power: float = 1.0,
    horizon: int | None = None,
    beliefs: int = 4001,
    precisions: int = 500,
    margin: float = 1e-6,
    tolerance: float = 1e-9,
) -> xarray.Dataset:
    """Return the planner's value and best precision over the public belief.

    Parameters
    ----------
    kind : "altruistic" or "biased"
        Whether the planner wants agents to be right, or to choose "good" in any state.
    precision : float
        Precision p that costs nothing, in [0.5, 1).
    cost, cost_power : float
        A precision q costs ``cost * |q - p|**cost_power``: linear at power 1, concave below.
    discount : float
        Weight of the next agent relative to this one, in [0, 1); with a horizon also 1.
    loss : float
        What a wrong action (altruistic) or action "bad" (biased) costs the planner.
    horizon : int, optional
        Number of agents; without one there is no last agent.
    beliefs : int
        Nodes of the grid of beliefs, an odd number; 1 - p, 1/2 and p are among them, each with both its limits.
    precisions : int
        Precisions on a grid that are tried besides the exact candidates.
    margin : float
        How far beside a limit that is not attained a precision is played.
    tolerance : float
        Largest distance of a value from the fixed point of the equation on the grid.

    Returns
    -------
    xarray.Dataset
        Over ``belief`` (with a horizon over ``agent``, ``belief``): ``value``; ``policy``, the best precision;
        ``region``, what it is: "baseline" p, "full" 1, "match" max(b, 1 - b), "above" just above that, "obfuscate"
        just below b, "reach" the precision whose posterior is p or 1 - p, "graded" one of the grid. Attributes: the
        arguments, ``residual`` (largest change in the last full sweep), ``error_bound``, ``sweeps`` (full ones) and
        ``evaluation_sweeps``.

    Raises
    ------
    InputError
        For arguments out of range.
    """
    import xarray

    check_planner(kind, precision, cost, discount, loss, cost_power, horizon, beliefs, precisions, margin, tolerance)
    biased = kind == "biased"
    precision, cost, discount, loss = float(precision), float(cost), float(discount), float(loss)
    grid, outer, inner = belief_grid(precision, beliefs)
    levels = np.linspace(0.5 if biased else precision, 1.0, precisions)
    prices = cost * np.abs(levels - precision) ** cost_power
    n = len(grid)
    table: list[Any] = [np.empty((n, EXACT)) for _ in range(3)]
    table += [np.empty((n, EXACT, 2), np.int64), np.empty((n, EXACT, 2))]
    exact_actions(grid, precision, outer, inner, cost, float(cost_power), loss, biased, *table)
    played, actions = table[0], table[1:]
    values, updated, best = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    stage = (grid, precision, outer, inner, loss, biased, discount, levels, prices, *actions, best)
    attributes = {
        "kind": kind, "precision": precision, "cost": cost, "discount": discount, "loss": loss,
        "cost_power": float(cost_power), "margin": float(margin),
    }  # fmt: skip
    belief = ("belief", grid, {"long_name": "public belief that the state is good", "units": "1"})
    if horizon is not None:
        stages = []
        for _ in range(horizon):
            full_sweep(values, updated, *stage)
            values[:] = updated
            stages.append((values.copy(), *described(grid, best, played, levels, margin)))
        stages.reverse()
        return xarray.Dataset(
            {
                name: (("agent", "belief"), np.stack([stage[place] for stage in stages]))
                for place, name in enumerate(("value", "policy", "region"))
            },
            coords={"belief": belief, "agent": np.arange(horizon)},
            attrs=attributes | {"horizon": horizon, "sweeps": horizon, "evaluation_sweeps": 0},
        )
    residual, sweeps, evaluations = iterate(values, updated, stage, tolerance)
    policy, region = described(grid, best, played, levels, margin)
    bound = residual * discount / (1.0 - discount)
    return xarray.Dataset(
        {"value": ("belief", values), "policy": ("belief", policy), "region": ("belief", region)},
        coords={"belief": belief},
        attrs=attributes
        | {"residual": residual, "error_bound": bound, "sweeps": sweeps, "evaluation_sweeps": evaluations},
    )


def iterate(values: Floats, updated: Floats, stage: tuple[Any, ...], tolerance: float) -> tuple[float, int, int]:
    """Find the fixed point in place; return the last change and the numbers of full and of evaluation sweeps."""
    discount = stage[6]
    evaluations = 0
    for sweeps in range(1, 10_000):
        residual = float(full_sweep(values, updated, *stage))
        values[:] = updated
        # Below what rounding leaves of a value, sweeps only move the noise.
        noise = 16.0 * np.finfo(float).eps * float(np.abs(values).max())
        wanted = tolerance * (1.0 - discount)
        if discount == 0.0 or residual * discount <= wanted or residual <= noise:
            return residual, sweeps, evaluations
        evaluations += settle(values, updated, *stage, max(0.1 * wanted, noise), int(50.0 / (1.0 - discount)) + 50)
    raise AssertionError("values do not settle")


def described(
    grid: Floats, best: Integers, played: Floats, levels: Floats, margin: float
) -> tuple[Floats, NDArray[np.str_]]:
    """Return the precision that is played at each belief, and the label of what it is."""
    names = np.array([*REGIONS[:REACH_UP], "reach", "reach"])
    exact = np.minimum(best, EXACT - 1)
    policy = played[np.arange(len(grid)), exact]
    region = names[exact].astype("U9")
    if levels.size:
        graded = best >= EXACT
        policy = np.where(graded, levels[np.maximum(best - EXACT, 0)], policy)
        region = np.where(graded, "graded", region)
    policy = np.where(region == "above", np.minimum(policy + margin, 1.0), policy)
    policy = np.where(region == "obfuscate", np.maximum(policy - margin, 0.5), policy)
    return policy, region
