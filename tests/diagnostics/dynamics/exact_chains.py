"""Coupled Markov chains with exactly computed information, and samples of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class CoupledChains:
    """A source X, a Markov chain of its own, and a target Y whose next state depends on its own and X's.

    ``own[x, x']`` and ``coupled[x, y, y']`` are the transition probabilities.
    """

    def __init__(self, own: Floats, coupled: Floats):
        self.own, self.coupled = np.asarray(own, float), np.asarray(coupled, float)
        a, b = self.coupled.shape[:2]
        self.shape = (a, b)
        # (x, y) -> (x', y')
        self.joint = np.einsum("xu,xyv->xyuv", self.own, self.coupled).reshape(a * b, a * b)
        self.stationary = stationary(self.joint)

    def paths(self, length: int) -> Floats:
        """Probabilities of runs of (x, y), shape (a, b, a, b, ...), the oldest first."""
        size = len(self.joint)
        found = self.stationary.copy()
        for _ in range(length - 1):
            found = found[..., None] * self.joint.reshape((1,) * (found.ndim - 1) + (size, size))
        return found.reshape(self.shape * length)

    def transfer(
        self, source_history: int = 1, target_history: int = 1, lag: int = 1, backwards: bool = False
    ) -> float:
        """TE from X to Y, or from Y to X."""
        length = 1 + max(target_history, lag + source_history - 1)
        source, target = (1, 0) if backwards else (0, 1)
        now = length - 1
        future = [2 * now + target]
        past = [2 * (now - j) + target for j in range(1, target_history + 1)]
        other = [2 * (now - lag - j) + source for j in range(source_history)]
        p = self.paths(length)
        return (
            entropy_of(p, future + past) + entropy_of(p, past + other)
            - entropy_of(p, future + past + other) - entropy_of(p, past)
        )  # fmt: skip

    def storage(self, history: int = 1) -> float:
        """Active information storage of Y."""
        p = self.paths(history + 1)
        past = [2 * j + 1 for j in range(history)]
        return entropy_of(p, past) + entropy_of(p, [2 * history + 1]) - entropy_of(p, [*past, 2 * history + 1])

    def source_rate(self) -> float:
        """Entropy rate of X."""
        p = stationary(self.own)
        return float(-(p[:, None] * self.own * np.log(np.where(self.own > 0, self.own, 1.0))).sum())

    def source_excess(self) -> float:
        """Excess entropy of X, H(X) - h."""
        p = stationary(self.own)
        return float(-(p * np.log(p)).sum()) - self.source_rate()

    def sample(
        self, steps: int, rng: np.random.Generator, runs: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Series of X and Y from the stationary state, shape (runs, steps)."""
        cumulated = self.joint.cumsum(axis=1)
        now = np.searchsorted(self.stationary.cumsum(), rng.random(runs) * (1 - 1e-12))
        found = np.empty((runs, steps), np.int64)
        for t in range(steps):
            found[:, t] = now
            now = (rng.random((runs, 1)) * (1 - 1e-12) > cumulated[now]).sum(axis=1)
        return found // self.shape[1], found % self.shape[1]


def stationary(chain: Floats) -> Floats:
    """The stationary distribution of an irreducible chain."""
    size = len(chain)
    system = np.vstack([chain.T - np.eye(size), np.ones(size)])
    return np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)[0]


def entropy_of(p: Floats, kept: list[int]) -> float:
    """Entropy of some of the axes."""
    q = p.sum(axis=tuple(axis for axis in range(p.ndim) if axis not in kept)).ravel()
    q = q[q > 0]
    return float(-(q * np.log(q)).sum())


def binary(strength: float, memory: float = 0.7, noise: float = 0.2) -> CoupledChains:
    """Y keeps its state with probability 1 - noise, and takes X's with probability ``strength``."""
    own = np.array([[memory, 1 - memory], [1 - memory, memory]])
    keep = np.array([[1 - noise, noise], [noise, 1 - noise]])
    coupled = np.stack([(1 - strength) * keep + strength * np.eye(2)[x] for x in range(2)])
    return CoupledChains(own, coupled)


def ternary(strength: float, seed: int = 3) -> CoupledChains:
    """Uneven chains of three states."""
    rng = np.random.default_rng(seed)
    own, keep, led = rng.dirichlet(np.ones(3) * 2, 3), rng.dirichlet(np.ones(3) * 2, 3), rng.dirichlet(np.ones(3), 3)
    return CoupledChains(own, np.stack([(1 - strength) * keep + strength * led[x] for x in range(3)]))


def autoregressive(
    steps: int, rng: np.random.Generator, runs: int = 1, *, target: float = 0.5, source: float = 0.6,
    strength: float = 0.3,
) -> tuple[Floats, Floats]:  # fmt: skip
    """X and Y of x' = source x + noise, y' = target y + strength x + noise, unit noise, shape (runs, steps)."""
    x, y = np.zeros((runs, steps)), np.zeros((runs, steps))
    burn = 200
    u, v = np.zeros(runs), np.zeros(runs)
    for t in range(-burn, steps):
        if t >= 0:
            x[:, t], y[:, t] = u, v
        u, v = source * u + rng.normal(size=runs), target * v + strength * u + rng.normal(size=runs)
    return x, y


def linear_truth(target: float = 0.5, source: float = 0.6, strength: float = 0.3, history: int = 1) -> dict[str, float]:
    """Exact TE from X to Y and storage of Y, from the covariances of `autoregressive`."""
    matrix = np.array([[source, 0.0], [strength, target]])
    covariance = np.linalg.solve(np.eye(4) - np.kron(matrix, matrix), np.eye(2).ravel()).reshape(2, 2)
    powers = [np.linalg.matrix_power(matrix, j) @ covariance for j in range(history + 2)]

    def of(j: int, i: int) -> float:
        return float(powers[abs(j - i)][1, 1])

    past = list(range(1, history + 1))
    inner = np.array([[of(i, j) for j in past] for i in past])
    outer = np.array([of(0, j) for j in past])
    left = of(0, 0) - outer @ np.linalg.solve(inner, outer)
    return {"transfer": 0.5 * math.log(left), "storage": 0.5 * math.log(of(0, 0) / left)}


def coverage(
    estimate: Callable[[int], tuple[float, float, float, bool]], truth: float, repetitions: int
) -> tuple[float, float, float]:
    """Share of intervals that hold the truth, their median width over the oracle's, share of flagged ones.

    ``estimate`` gives value, low, high and whether there is a flag, of each repetition.
    """
    found = np.array([estimate(i) for i in range(repetitions)], dtype=float)
    held = (found[:, 1] <= truth + 1e-12) & (truth - 1e-12 <= found[:, 2])
    oracle = 2 * 1.96 * found[:, 0].std(ddof=1)
    return float(held.mean()), float(np.median(found[:, 2] - found[:, 1]) / oracle), float(found[:, 3].mean())
