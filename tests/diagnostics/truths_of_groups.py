"""Three and more variables: conditional information, total correlation, O-information, and the parts of gates."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize
from truths import (
    CROSS,
    DIFFERENTIAL_ENTROPIES,
    DISCRETE_CONDITIONALS,
    DISCRETE_ENTROPIES,
    DISCRETE_INFORMATIONS,
    Array,
    Truth,
    entropy_of,
    gaussian_entropy,
    generator,
    listed,
    mutual_information_of,
    normal,
)
from truths_of_pairs import ATOMS, CONTINUOUS_INFORMATIONS, LABELS, dense_covariance

# Three and more variables --------------------------------------------------------------------------------------------


def gaussian_conditional(covariance: Array) -> float:
    """I(X; Y | Z) of the components 0, 1 and the rest."""
    rest = list(range(2, len(covariance)))

    def volume(*index: int) -> float:
        return float(np.linalg.slogdet(covariance[np.ix_([*index, *rest], [*index, *rest])])[1])

    return 0.5 * (volume(0) + volume(1) - volume() - volume(0, 1))


def total_correlation_of(table: Array) -> float:
    """Sum of the entropies minus that of all."""
    axes = range(table.ndim)
    return sum(entropy_of(table.sum(axis=tuple(a for a in axes if a != i))) for i in axes) - entropy_of(table)


def dual_total_correlation_of(table: Array) -> float:
    """H - sum H(X_i | rest)."""
    whole = entropy_of(table)
    return whole - sum(whole - entropy_of(table.sum(axis=i)) for i in range(table.ndim))


def o_information_of(table: Array) -> float:
    """Total minus dual total correlation."""
    return total_correlation_of(table) - dual_total_correlation_of(table)


def gaussian_total_correlation(covariance: Array) -> float:
    """-0.5 ln det of the correlation matrix."""
    return 0.5 * float(np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1])


def gaussian_o_information(covariance: Array) -> float:
    """TC - DTC of a Gaussian."""
    d = len(covariance)
    whole = gaussian_entropy(covariance)
    rest = [gaussian_entropy(np.delete(np.delete(covariance, i, 0), i, 1)) for i in range(d)]
    dual = whole - sum(whole - part for part in rest)
    return gaussian_total_correlation(covariance) - dual


_CHAIN = np.array([[1.0, 0.56, 0.7], [0.56, 1.0, 0.8], [0.7, 0.8, 1.0]])
_FORK = np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.0], [0.5, 0.0, 1.0]])


def _group(name: str, covariance: Array, value: Callable[[Array], float], quantity: str, joined: bool) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        points = normal(n, seed, covariance)
        return (points,) if joined else (points[:, 0], points[:, 1], points[:, 2:])

    return Truth(name, sample, value(covariance), quantity, {"covariance": covariance})


CONTINUOUS_CONDITIONALS = listed(
    _group("normal chain x - z - y", _CHAIN, gaussian_conditional, "continuous CMI", False),
    _group("normal, z = x + y", np.array([[1, 0, .6], [0, 1, .6], [.6, .6, 1.]]), gaussian_conditional,
           "continuous CMI", False),
    _group("normal, z apart", np.array([[1, .6, 0], [.6, 1, 0], [0, 0, 1.]]), gaussian_conditional, "continuous CMI",
           False),
)  # fmt: skip
GROUPS = listed(
    _group("TC, normal dense 3", dense_covariance(1, 2, 0.5), gaussian_total_correlation, "continuous TC", True),
    _group("TC, normal apart 3", np.eye(3), gaussian_total_correlation, "continuous TC", True),
    _group("O, normal dense 3", dense_covariance(1, 2, 0.5), gaussian_o_information, "continuous O", True),
    _group("O, normal fork 3", _FORK, gaussian_o_information, "continuous O", True),
    _group("O, normal apart 3", np.eye(3), gaussian_o_information, "continuous O", True),
)

# Logic gates ---------------------------------------------------------------------------------------------------------

GATES: dict[str, Array] = {
    "xor": np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]]) / 4.0,
    "and": np.array([[[1, 0], [1, 0]], [[1, 0], [0, 1]]]) / 4.0,
    "copied": np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]]]) / 2.0,
    "first only": np.array([[[1, 0], [1, 0]], [[0, 1], [0, 1]]]) / 4.0,
}
"""Joint probabilities, axes (a, b, target); their parts below are known in closed form."""

_AND = 0.75 * math.log2(4.0 / 3.0)
PARTS: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "xor": dict.fromkeys(("williams-beer", "mmi", "broja"), (0.0, 0.0, 0.0, 1.0)),
    "and": dict.fromkeys(("williams-beer", "mmi", "broja"), (_AND, 0.0, 0.0, 0.5)),
    "copied": dict.fromkeys(("williams-beer", "mmi", "broja"), (1.0, 0.0, 0.0, 0.0)),
    "first only": dict.fromkeys(("williams-beer", "mmi", "broja"), (0.0, 1.0, 0.0, 0.0)),
}
"""Bits: redundant, unique of a, unique of b, synergistic (Williams & Beer 2010; Bertschinger et al. 2014)."""
O_OF_GATES = {"xor": -1.0, "and": _AND - 0.5, "copied": 1.0, "first only": 0.0}
"""O-information in bits; TC - DTC of three variables is redundancy minus synergy."""

_NOISE = np.array([[0.95, 0.05], [0.05, 0.95]])


def _gate(name: str, gate: str, value: Callable[[Array], float], quantity: str) -> Truth:
    """A gate whose target is turned over at the odds 0.05, so that all cells occur."""
    p = GATES[gate] @ _NOISE

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        cell = generator(seed).choice(8, size=n, p=p.ravel())
        return cell // 4, cell // 2 % 2, cell % 2

    return Truth(name, sample, value(p), quantity, {"probabilities": p})


def least_information(table: Array) -> float:
    """The smaller of the informations of either source: the redundancy of Barrett (2015), MMI."""
    return min(mutual_information_of(table.sum(axis=1)), mutual_information_of(table.sum(axis=0)))


def specific_redundancy(table: Array) -> float:
    """The redundancy of Williams and Beer: the mean over targets of the lesser specific information."""
    total = 0.0
    for t in range(table.shape[2]):
        target = table[:, :, t].sum()
        told = []
        for axis in (1, 0):
            joint = table[:, :, t].sum(axis=axis)
            source = table.sum(axis=(axis, 2))
            told.append(float((joint * np.log(joint / (source * target))).sum()))
        total += min(told)
    return total


def union_synergy(table: Array) -> float:
    """Synergy of Bertschinger et al. for two states each: I less its least value with both margins kept.

    A table of fixed margins has one free number for each target, its cell (0, 0); the information is convex in them.
    """
    sources = table.sum(axis=1), table.sum(axis=0)
    low = [max(sources[0][0, t] + sources[1][0, t] - table[:, :, t].sum(), 0.0) for t in range(2)]
    high = [min(sources[0][0, t], sources[1][0, t]) for t in range(2)]

    def information(corner: Array) -> float:
        found = np.empty((2, 2, 2))
        for t, one in enumerate(corner):
            a, b, whole = sources[0][0, t], sources[1][0, t], table[:, :, t].sum()
            found[:, :, t] = [[one, a - one], [b - one, whole - a - b + one]]
        return mutual_information_of(np.maximum(found, 0.0).reshape(4, 2))

    start = np.mean([low, high], axis=0)
    least = optimize.minimize(information, start, bounds=list(zip(low, high, strict=True)), method="L-BFGS-B",
                              options={"ftol": 1e-15, "gtol": 1e-10}).fun  # fmt: skip
    polished = optimize.minimize(information, start, bounds=list(zip(low, high, strict=True)), method="Nelder-Mead",
                                 options={"fatol": 1e-15, "xatol": 1e-9}).fun  # fmt: skip
    return mutual_information_of(table.reshape(4, 2)) - min(float(least), float(polished))


def _all_parts(redundancy: float, table: Array) -> tuple[float, float, float, float]:
    first, second = mutual_information_of(table.sum(axis=1)), mutual_information_of(table.sum(axis=0))
    both = mutual_information_of(table.reshape(4, 2))
    return redundancy, first - redundancy, second - redundancy, both - first - second + redundancy


PART_NAMES = ("redundancy", "unique_1", "unique_2", "synergy")


def parts_of(definition: str, table: Array) -> tuple[float, float, float, float]:
    """All four parts, by formulas or a search of their own."""
    if definition == "williams-beer":
        return _all_parts(specific_redundancy(table), table)
    joint = _all_parts(0.0, table)[3]
    return _all_parts(union_synergy(table) - joint, table)


# Two channels apart, of which one seldom errs where the target is 0, the other where it is 1.
_UNEVEN = 0.5 * np.einsum("at,bt->abt", [[0.95, 0.5], [0.05, 0.5]], [[0.5, 0.05], [0.5, 0.95]])


def _decomposed() -> dict[str, Truth]:
    tables = {f"noisy {gate}": GATES[gate] @ _NOISE for gate in ("and", "xor", "first only")} | {"uneven": _UNEVEN}
    found = []
    for definition in ("williams-beer", "broja"):
        for name, p in tables.items():
            values = parts_of(definition, p)
            for part in (0, 1, 3):

                def sample(n: int, seed: int, p: Array = p) -> tuple[Array, ...]:
                    cell = generator(seed).choice(8, size=n, p=p.ravel())
                    return cell // 4, cell // 2 % 2, cell % 2

                found.append(
                    Truth(f"{PART_NAMES[part]}, {name}, {definition}", sample, max(values[part], 0.0),
                          PART_NAMES[part], {"definition": definition, "part": part, "probabilities": p})
                )  # fmt: skip
    return listed(*found)


DECOMPOSED = _decomposed()

DISCRETE_GROUPS = listed(
    _gate("TC, noisy and", "and", total_correlation_of, "discrete TC"),
    _gate("DTC, noisy and", "and", dual_total_correlation_of, "discrete DTC"),
    _gate("O, noisy and", "and", o_information_of, "discrete O"),
    _gate("O, noisy xor", "xor", o_information_of, "discrete O"),
    _gate("O, noisy copies", "copied", o_information_of, "discrete O"),
    _gate("redundancy, noisy and", "and", least_information, "redundancy"),
    _gate("redundancy, noisy xor", "xor", least_information, "redundancy"),
)

ALL = {
    case.name: case
    for group in (
        DISCRETE_ENTROPIES, DISCRETE_INFORMATIONS, DISCRETE_CONDITIONALS, DIFFERENTIAL_ENTROPIES,
        CONTINUOUS_INFORMATIONS, ATOMS, LABELS, CONTINUOUS_CONDITIONALS, GROUPS, DISCRETE_GROUPS, DECOMPOSED, CROSS,
    )
    for case in group.values()
}  # fmt: skip
