"""Places and graphs of agents whose diagnostics are known, each with a sampler.

Where agents are drawn n is their number; graphs have ``info["nodes"]`` or n nodes. All entropies are in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import integrate, special, stats
from truths import Array, Truth, entropy_of, generator, listed, mutual_information_of

# Places --------------------------------------------------------------------------------------------------------------

CELLS = 5
_TILTED = np.diff(np.linspace(0.0, 1.0, CELLS + 1) ** 2)


def _places(name: str, tilted: bool) -> Truth:
    """In the unit square, even, or with the density 2 x along the first axis."""
    p = np.outer(_TILTED, np.full(CELLS, 1.0 / CELLS)) if tilted else np.full((CELLS, CELLS), 1.0 / CELLS**2)

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        x = generator(seed).random((n, 2))
        if tilted:
            x[:, 0] = np.sqrt(x[:, 0])
        return (x,)

    return Truth(name, sample, entropy_of(p), "spatial entropy", {"cells": CELLS})


PLACES = listed(_places("even places", False), _places("tilted places", True))
ZONES, AREAS = np.array([0.4, 0.3, 0.2, 0.1]), np.array([1.0, 2.0, 3.0, 4.0])


def grid_means(p: Array) -> Array:
    """Mean of each cell of a grid (a, b) and of those that share a side with it."""
    number, total = np.ones(p.shape), p.copy()
    for axis in (0, 1):
        for step in (slice(1, None), slice(None, -1)):
            other = slice(None, -1) if step == slice(1, None) else slice(1, None)
            here = (step, slice(None)) if axis == 0 else (slice(None), step)
            there = (other, slice(None)) if axis == 0 else (slice(None), other)
            total[here] += p[there]
            number[here] += 1.0
    return total / number


def _zones(name: str, p: Array, value: float, quantity: str) -> Truth:
    return Truth(name, lambda n, seed: (generator(seed).multinomial(n, p.ravel()),), value, quantity)


_GRID = np.outer(_TILTED, np.full(CELLS, 1.0 / CELLS))
_EVEN_GRID = np.full((CELLS, CELLS), 1.0 / CELLS**2)
ZONED = listed(
    _zones("Batty, 4 zones", ZONES, float(ZONES @ np.log(AREAS / ZONES)), "Batty entropy"),
    _zones("Batty, even", AREAS / 10.0, math.log(10.0), "Batty entropy"),
    _zones("neighbours, tilted", _GRID, -float((_GRID * np.log(grid_means(_GRID))).sum()), "Karlstrom-Ceccato"),
    _zones("neighbours, even", _EVEN_GRID, math.log(25.0), "Karlstrom-Ceccato"),
)

DISTANCES = (0.05, 0.1, 0.2)


def patches_information(strength: float) -> float:
    """Altieri's mutual information, periodic, of two categories in patches of 1 / 4 by 1 / 4, in chequers.

    Category 1 has the odds 1/2 + strength s(x, y) with s = 1 or -1 by turns. Two agents (dx, dy) apart have
    E s s' = c(dx) c(dy), c(d) = 1 - 8 d for d <= 1/4; of both in 1 the odds are 1/4 + strength^2 E s s', as of both
    in 0. Over all pairs the mean of s s' is 0.
    """
    edges = np.array([0.0, *DISTANCES])
    weights = np.diff(math.pi * edges**2)
    together = []
    for low, high in pairwise(edges):
        found = integrate.dblquad(
            lambda r, angle: r * (1.0 - 8.0 * r * abs(math.cos(angle))) * (1.0 - 8.0 * r * abs(math.sin(angle))),
            0.0, 0.5 * math.pi, low, high,
        )[0]  # fmt: skip
        together.append(4.0 * found)
    same = np.append(np.array(together) / weights, -sum(together) / (1.0 - weights.sum()))
    weights = np.append(weights, 1.0 - weights.sum())
    joint = weights[:, None] * np.stack([0.25 + strength**2 * same, 0.5 - 2.0 * strength**2 * same,
                                         0.25 + strength**2 * same], axis=1)  # fmt: skip
    return mutual_information_of(joint)


def _patches(name: str, strength: float) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        x = rng.random((n, 2))
        here = np.sign(np.sin(4.0 * math.pi * x[:, 0]) * np.sin(4.0 * math.pi * x[:, 1]))
        return x, (rng.random(n) < 0.5 + strength * here).astype(np.int64)

    return Truth(name, sample, patches_information(strength), "Altieri mutual", {"distances": DISTANCES})


PATCHES = listed(_patches("patches", 0.45), _patches("no patches", 0.0))

REACH, SHELLS = 0.15, 15


def clustered_excess(clusters: int, spread: float, n: int) -> float:
    """s2 per agent up to ``REACH`` in ``SHELLS``, of normal clusters of fixed number in the unit square, periodic."""
    edges = np.linspace(0.0, REACH, SHELLS + 1)
    disc = np.diff(math.pi * edges**2)
    near = np.diff(-np.exp(-(edges**2) / (4.0 * spread**2)))
    g = (near / clusters + (1.0 - 1.0 / clusters) * disc) / disc
    return -0.5 * n * float(np.sum(disc * (g * np.log(g) - g + 1.0)))


def _clusters(name: str, clusters: int, n: int) -> Truth:
    def sample(size: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        if not clusters:
            return (rng.random((size, 2)),)
        centre = rng.random((clusters, 2))
        return ((centre[rng.integers(0, clusters, size)] + 0.02 * rng.normal(size=(size, 2))) % 1.0,)

    value = clustered_excess(clusters, 0.02, n) if clusters else 0.0
    return Truth(name, sample, value, "pair excess entropy", {"agents": n, "clusters": clusters})


GASES = listed(
    _clusters("ideal gas", 0, 300), _clusters("100 clusters", 100, 500), _clusters("50 clusters", 50, 500),
    _clusters("20 clusters", 20, 500),
)  # fmt: skip


def _neighbour_gas(name: str, d: int) -> Truth:
    return Truth(
        name, lambda n, seed: (generator(seed).random((n, d)),), math.log(15.0), "neighbour distances", {"d": d}
    )


NEIGHBOUR_GASES = listed(_neighbour_gas("gas, plane", 2), _neighbour_gas("gas, space", 3))

# Graphs: arrays of edges ---------------------------------------------------------------------------------------------


def random_edges(chance: Array, rng: np.random.Generator) -> Array:
    """Edges of independent pairs of nodes."""
    return np.argwhere(np.triu(rng.random(chance.shape) < chance, 1))


def drawn_edges(nodes: int, edges: int, rng: np.random.Generator) -> Array:
    """A set number of different edges, all sets as likely."""
    pairs = np.stack(np.triu_indices(nodes, 1), axis=1)
    found: Array = pairs[np.sort(rng.choice(len(pairs), size=edges, replace=False))]
    return found


def _random_graph(
    name: str, degree: float, value: Callable[[Array, Array], float], quantity: str, fixed: bool
) -> Truth:
    """Erdos & Renyi's graph of a mean degree, with independent edges or a set number of them; n nodes."""

    def law(n: int) -> tuple[Array, Array]:
        k = np.arange(n, dtype=float)
        if fixed:
            pairs = n * (n - 1) // 2
            return k, stats.hypergeom.pmf(k, pairs, n - 1, round(0.5 * n * degree))
        return k, stats.binom.pmf(k, n - 1, degree / (n - 1.0))

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        if fixed:
            return (drawn_edges(n, round(0.5 * n * degree), rng),)
        return (random_edges(np.full((n, n), degree / (n - 1.0)), rng),)

    return Truth(name, sample, value(*law(300)), quantity, {"nodes": 300})


def _walk_rate(k: Array, p: Array) -> float:
    return float(p @ special.xlogy(k, k)) / float(p @ k)


GRAPHS = listed(
    *(
        _random_graph(
            f"{word}, degree {degree:g}, {'set' if fixed else 'random'} edges", degree, value, quantity, fixed
        )
        for word, value, quantity in (
            ("degrees", lambda k, p: entropy_of(p), "degree entropy"),
            ("walk", _walk_rate, "walk entropy rate"),
        )
        for degree in (3.0, 6.0)
        for fixed in (False, True)
    )
)

GROUPS_OF_NODES = np.repeat([0, 1, 2], [50, 60, 90])


def _blocks(name: str, within: float, between: float) -> Truth:
    chance = np.where(GROUPS_OF_NODES[:, None] == GROUPS_OF_NODES, within, between)
    table = np.zeros((3, 3))
    np.add.at(table, (GROUPS_OF_NODES[:, None], GROUPS_OF_NODES[None, :]), chance - np.diag(np.diagonal(chance)))

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        return random_edges(chance, generator(seed)), GROUPS_OF_NODES

    # Pairs of different nodes: without preference they are not quite independent of their groups.
    value = mutual_information_of(table / table.sum()) if within != between else 0.0
    return Truth(name, sample, value, "assortative information", {"nodes": 200})


BLOCKS = listed(_blocks("three groups", 0.1, 0.02), _blocks("groups without notice", 0.05, 0.05))

_PAIRS = np.stack(np.triu_indices(150, 1), axis=1)


def _turnover(name: str, birth: float, death: float) -> Truth:
    share = birth / (birth + death)
    two = [entropy_of(np.array([one, 1.0 - one])) for one in (birth, death)]

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        before = rng.random(len(_PAIRS)) < share
        after = np.where(before, rng.random(len(_PAIRS)) > death, rng.random(len(_PAIRS)) < birth)
        return _PAIRS[before], _PAIRS[after]

    return Truth(name, sample, ((1.0 - share) * two[0] + share * two[1]) / share, "edge turnover", {"nodes": 150})


TURNOVERS = listed(_turnover("turnover", 0.01, 0.1), _turnover("slow turnover", 0.001, 0.01))

# Opinions on a graph that stays --------------------------------------------------------------------------------------

DEGREE = 8


def fixed_graph(n: int) -> Array:
    """Edges of a graph of n nodes with the mean degree ``DEGREE``, always the same."""
    return drawn_edges(n, n * DEGREE // 2, generator(n))


def _on_graph(name: str, law: Any, n: int) -> Truth:
    """Independent opinions of variance 1: each edge disagrees by 2 on average."""

    def sample(size: int, seed: int) -> tuple[Array, ...]:
        return law.ppf(generator(seed).random(size)), fixed_graph(size)

    return Truth(name, sample, 2.0 * (n * DEGREE // 2), "graph disagreement", {"agents": n})


DISAGREEMENTS = listed(
    *(
        _on_graph(f"{word} opinions, {n} agents", law, n)
        for word, law in (("normal", stats.norm()), ("exponential", stats.expon()))
        for n in (100, 200, 800)
    )
)


def settled_trace(n: int) -> float:
    """Mean polarization of settled opinions whose innate ones have variance 1: tr M (1 - J / n) M, M = (I + L)^-1."""
    edges = fixed_graph(n)
    system = np.eye(n)
    for a, b in edges:
        system[[a, b], [a, b]] += 1.0
        system[[a, b], [b, a]] -= 1.0
    inverse = np.linalg.inv(system)
    return float(np.trace(inverse @ (np.eye(n) - 1.0 / n) @ inverse))


def _settled(name: str, law: Any, n: int) -> Truth:
    def sample(size: int, seed: int) -> tuple[Array, ...]:
        return law.ppf(generator(seed).random(size)), fixed_graph(size)

    return Truth(name, sample, settled_trace(n), "settled polarization", {"agents": n})


SETTLED = listed(
    _settled("normal innate, 200 agents", stats.norm(), 200),
    _settled("exponential innate, 200 agents", stats.expon(), 200),
)

ALL_OF_PLACES = {
    case.name: case
    for group in (
        PLACES, ZONED, PATCHES, GASES, NEIGHBOUR_GASES, GRAPHS, BLOCKS, TURNOVERS, DISAGREEMENTS, SETTLED,
    )
    for case in group.values()
}  # fmt: skip
