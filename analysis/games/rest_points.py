"""Where shares of three strategies are at rest under replication or imitation, and whether they return there.

Shares rest where all strategies that are present are equally fit, under the replicator equation and under Fermi's rule
(`simengine.analysis.games.replicator`). Eigenvalues are those of the flow within the simplex (Hofbauer & Sigmund 1998,
"Evolutionary Games and Population Dynamics", chapter 7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from simengine.analysis.games.payoffs import checked
from simengine.analysis.games.replicator import replicator_field
from simengine.errors import InputError

Floats = NDArray[np.float64]
Fitness = Callable[[Floats], Floats]
Kind = Literal["stable", "unstable", "saddle", "centre", "degenerate"]

STRATEGIES = 3
SIDES = ((0, 1), (1, 2), (0, 2))
SIDE_POINTS = 400
LEAST = 1e-9
STEP = 1e-5
ZERO = 1e-6
"""Differences of fitness, and real parts of eigenvalues, that count as zero, relative to the largest."""


@dataclass(frozen=True)
class RestPoint:
    """Shares at which nothing changes, and the eigenvalues of the flow there within the simplex."""

    shares: tuple[float, float, float]
    eigenvalues: tuple[complex, complex]
    kind: Kind
    """``stable``: all real parts negative; ``unstable``: all positive; ``saddle``: one of each; ``centre``: a pair
    without a real part, around which the linearised flow runs in circles; ``degenerate``: any other with a zero."""


def fitness_of(payoffs: Any) -> Fitness:
    """Return the function from shares to fitnesses; refuse games of other than three strategies."""
    if callable(payoffs):
        replicator_field(payoffs, np.full(STRATEGIES, 1.0 / STRATEGIES))

        def inside(shares: Floats) -> Floats:
            # Means over those who are met may be undefined where nobody is left; their limits are what counts.
            x = np.maximum(shares, LEAST)
            return np.asarray(payoffs(x / x.sum()), dtype=np.float64)

        return inside
    game = checked(payoffs)
    if not game.single or game.sizes != (STRATEGIES,):
        what = f"{game.sizes[0]} strategies" if game.single else f"{game.players} populations"
        raise InputError(f"payoffs: got a game of {what}, allowed is one population of three strategies, shape (3, 3)")
    return lambda shares: np.asarray(game.tables[0] @ shares)


def rest_points(payoffs: Any, intensity: float | None = None) -> list[RestPoint]:
    """Return the isolated rest points: corners, points of sides, and points inside.

    Shares rest where all that are present are equally fit. Those inside are found by Newton's method from many starts,
    on sides between changes of sign.
    """
    fitness = fitness_of(payoffs)
    scale = payoff_scale(fitness)
    found = [np.eye(STRATEGIES)[corner] for corner in range(STRATEGIES)]
    for first, second in SIDES:
        found += _on_side(fitness, first, second, scale)
    found += _inside(fitness, scale)
    return [_classified(fitness, x, intensity, scale) for x in found]


def resting_sides(payoffs: Any) -> list[tuple[int, int]]:
    """Return the pairs of strategies that are equally fit wherever only they are present."""
    fitness = fitness_of(payoffs)
    scale = payoff_scale(fitness)
    return [
        (first, second)
        for first, second in SIDES
        if np.abs(_difference(fitness, first, second, np.linspace(0.01, 0.99, 25))).max() <= ZERO * scale
    ]


def payoff_scale(fitness: Fitness) -> float:
    """Return the largest difference of fitnesses, 1 where there is none."""
    grid = _grid(12)
    values = np.array([fitness(x) for x in grid])
    return float(np.ptp(values, axis=1).max()) or 1.0


def _grid(parts: int) -> Floats:
    """Return shares inside the simplex, evenly."""
    return np.array(
        [
            ((i + 1 / 3) / parts, (j + 1 / 3) / parts, 1.0 - (i + j + 2 / 3) / parts)
            for i in range(parts)
            for j in range(parts - i)
        ]
    )


def _difference(fitness: Fitness, first: int, second: int, shares: Floats) -> Floats:
    found = []
    for share in shares:
        x = np.zeros(STRATEGIES)
        x[first], x[second] = share, 1.0 - share
        values = fitness(x)
        found.append(values[first] - values[second])
    return np.array(found)


def _on_side(fitness: Fitness, first: int, second: int, scale: float) -> list[Floats]:
    at = np.linspace(LEAST, 1.0 - LEAST, SIDE_POINTS + 1)
    values = _difference(fitness, first, second, at)
    if np.abs(values).max() <= ZERO * scale:
        return []
    found = []
    for low, high, before, after in zip(at[:-1], at[1:], values[:-1], values[1:], strict=True):
        if before * after < 0.0 or (before == 0.0 and low > LEAST):
            root = (
                low
                if before == 0.0
                else optimize.brentq(
                    lambda share: float(_difference(fitness, first, second, np.array([share]))[0]),
                    low,
                    high,
                    xtol=1e-14,
                )
            )
            if ZERO < root < 1.0 - ZERO:
                x = np.zeros(STRATEGIES)
                x[first], x[second] = root, 1.0 - root
                found.append(x)
    return found


def _inside(fitness: Fitness, scale: float) -> list[Floats]:
    """Newton's method from a grid; points that are not isolated, as on a line of rest, are left out."""

    def unequal(two: Floats) -> Floats:
        x = np.clip(np.array([two[0], two[1], 1.0 - two[0] - two[1]]), 0.0, 1.0)
        values = fitness(x / x.sum())
        return np.array([values[0] - values[1], values[1] - values[2]]) / scale

    found: list[Floats] = []
    for begin in _grid(6):
        done = optimize.root(unequal, begin[:2], tol=1e-12)
        x = np.array([*done.x, 1.0 - done.x.sum()])
        if np.abs(done.fun).max() > 1e-8 or x.min() <= ZERO:
            continue
        if any(np.abs(x - other).max() < 1e-5 for other in found):
            continue
        slopes = np.stack([(unequal(x[:2] + d) - unequal(x[:2] - d)) / (2 * STEP) for d in STEP * np.eye(2)])
        if abs(np.linalg.det(slopes)) > ZERO:
            found.append(x)
    return sorted(found, key=lambda x: tuple(x))


def _classified(fitness: Fitness, x: Floats, intensity: float | None, scale: float) -> RestPoint:
    present = np.flatnonzero(x > 0.0)
    values = fitness(x)
    level = float(x @ values)

    def rate(gain: float) -> float:
        return gain if intensity is None else float(np.tanh(0.5 * intensity * gain))

    speed = scale if intensity is None else max(rate(scale), LEAST)
    # Away from a side only the invader's own growth counts: the flow's derivative is triangular there.
    found: list[complex] = [
        complex(rate(float(values[other]) - level)) for other in range(STRATEGIES) if x[other] == 0.0
    ]
    if len(present) == 2:
        direction = np.zeros(STRATEGIES)
        direction[present[0]], direction[present[1]] = 1.0, -1.0
        step = min(STEP, 0.5 * float(x[present].min()))
        slope = field_at(fitness, x + step * direction, intensity) - field_at(fitness, x - step * direction, intensity)
        found.append(complex(slope[present[0]] / (2.0 * step)))
    elif len(present) == STRATEGIES:
        step = min(STEP, 0.3 * float(x.min()))
        basis = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]])
        slopes = [
            (field_at(fitness, x + step * d, intensity) - field_at(fitness, x - step * d, intensity))[:2] / (2.0 * step)
            for d in basis
        ]
        found = [complex(value) for value in np.linalg.eigvals(np.stack(slopes, axis=1))]
    first, second = sorted(found, key=lambda value: (value.real, value.imag))
    return RestPoint((float(x[0]), float(x[1]), float(x[2])), (first, second), _kind(first, second, speed))


def _kind(first: complex, second: complex, speed: float) -> Kind:
    zero = ZERO * speed
    if abs(first.real) <= zero and abs(second.real) <= zero and abs(first.imag) > zero:
        return "centre"
    if abs(first.real) <= zero or abs(second.real) <= zero:
        return "degenerate"
    if first.real < 0.0 < second.real:
        return "saddle"
    return "stable" if second.real < 0.0 else "unstable"


def field_at(fitness: Fitness, shares: Floats, intensity: float | None) -> Floats:
    """Return the change of shares, (3,), at shares that sum to about 1."""
    return replicator_field(fitness, shares / shares.sum(), intensity=intensity)[0]
