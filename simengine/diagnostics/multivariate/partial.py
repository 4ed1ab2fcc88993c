"""Partial information decomposition: what two sources tell about a target together, apart and only jointly.

Williams & Beer (arXiv 1004.2515): I(T; S1) = R + U1, I(T; S2) = R + U2, I(T; S1 S2) = R + U1 + U2 + Y, with the
redundancy R, the unique parts U1 and U2 and the synergy Y. The equations leave one of them open; definitions of it:

    mmi              R = min[I(T; S1), I(T; S2)]  (Barrett 2015; for Gaussians all definitions agree with it)
    williams-beer    R = sum_t p(t) min_i I(T = t; S_i), the specific information (I_min)
    broja            Y = I(T; S1 S2) - min_Q I_Q(T; S1 S2) over Q with the margins (T, S1) and (T, S2)
                     (Bertschinger et al. 2014), see :mod:`.broja`

They differ in value, and a number means nothing without the name of its definition, which is in ``method``.

Declared validity: at least 200 samples (``few_samples``), ten for each degree of freedom of the joint table
(``many_states``), and most of the variance from states seen five times or more (``unseen_states``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, normal_interval, stacked
from simengine.diagnostics.multivariate.broja import ACCEPTED, union_information
from simengine.diagnostics.multivariate.cells import (
    Cells,
    Sum,
    cells_of_counts,
    cells_of_samples,
    checked_estimator,
    checked_table,
    entropy_of_subset,
    entropy_sum,
)
from simengine.diagnostics.samples import Array, samples
from simengine.errors import InputError

Floats = NDArray[np.float64]
Subset = tuple[int, ...]

FEWEST = 200
"""Samples below which ``few_samples`` is raised."""

NOTHING = 4.0
"""Standard deviations of the null within which a source counts as telling nothing."""

LEAST_PART = 5e-5
MOST_LEFT_OUT = 64
"""Cells of the joint table up to which the bias of BROJA is found by leaving samples out; above it is not taken off."""

_NOTHING: Floats = np.zeros(0)
_FIRST: Mapping[Subset, float] = MappingProxyType({(0,): 1.0, (2,): 1.0, (0, 2): -1.0})
_SECOND: Mapping[Subset, float] = MappingProxyType({(1,): 1.0, (2,): 1.0, (1, 2): -1.0})
_BOTH: Mapping[Subset, float] = MappingProxyType({(0, 1): 1.0, (2,): 1.0, (0, 1, 2): -1.0})


class Atoms(NamedTuple):
    """The four parts, in nats, of a known distribution."""

    redundancy: float
    unique_1: float
    unique_2: float
    synergy: float


@dataclass(frozen=True)
class PartialInformation:
    """The four parts as estimates, and the definition they follow."""

    redundancy: Estimate
    unique_1: Estimate
    unique_2: Estimate
    synergy: Estimate
    definition: str

    def __iter__(self) -> Any:
        return iter((self.redundancy, self.unique_1, self.unique_2, self.synergy))


class _Redundancy(NamedTuple):
    """The redundancy of a table: value, bias, derivative by each cell, distance from the optimum, and ties.

    ``ties`` has, for each state of the target, the difference of what the sources tell, and the variance of one
    sample's part in it.
    """

    value: float
    bias: float = 0.0
    local: Floats = _NOTHING
    gap: float = 0.0
    ties: tuple[Floats, Floats] = (_NOTHING, _NOTHING)


def partial_information_of(p: Array, definition: str = "mmi") -> Atoms:
    """Return the decomposition of a table of probabilities, exactly.

    Parameters
    ----------
    p
        Shape (states of source 1, states of source 2, states of the target).
    definition
        "mmi", "williams-beer" or "broja".

    Raises
    ------
    InputError
        No such definition, a bad table, or a BROJA program that is too large.
    """
    redundancy = _chosen(definition)
    table = checked_table(p, 3)
    first, second, both = (
        math.fsum(factor * entropy_of_subset(table, subset) for subset, factor in terms.items())
        for terms in (_FIRST, _SECOND, _BOTH)
    )
    shared = redundancy(table).value
    return Atoms(shared, first - shared, second - shared, both - first - second + shared)


def partial_information(
    source_1: Any = None, source_2: Any = None, target: Any = None, *, definition: str = "mmi",
    estimator: str = "grassberger", unit: str = "nat", counts: Any = None, data: Any = None, dim: Any = None,
    components: str | None = None,
) -> PartialInformation:  # fmt: skip
    """Estimate the partial information decomposition of two sources about a target, all discrete.

    The three informations come from entropies corrected by ``estimator``. Of the redundancy the first-order bias is
    taken off: that of its information ("mmi"), in closed form ("williams-beer"), or by leaving out samples of each cell
    ("broja", up to 64 cells). Errors are those of the delta method, with the second order where the first vanishes.
    The null is that both sources are independent of one another and of the target.

    Parameters
    ----------
    source_1, source_2, target
        Labels, shape (n,), (n, d) or (..., n, d), or names of variables of ``data``.
    definition
        "mmi", "williams-beer" or "broja".
    estimator
        "grassberger", "plug-in", "miller-madow" or "grassberger-1988".
    unit
        "nat" or "bit".
    counts
        Instead of samples: how often each joint state was seen, shape (source 1, source 2, target).
    data, dim, components
        Where named variables are, along which dim samples run, and along which their components.
    """
    checked_unit(unit)
    redundancy = _chosen(definition)
    kind = checked_estimator(estimator, "partial information")
    given = (source_1, source_2, target)
    if counts is not None:
        if any(one is not None for one in given):
            raise InputError("partial information: both samples and counts= are given; give one of them")
        cells = [cells_of_counts(counts, 3)]
        blocks = None
    else:
        if any(one is None for one in given):
            raise InputError("partial information: two sources and a target are needed, or counts=")
        blocks = samples(
            *given, data=data, dim=dim, components=components, names=("source_1", "source_2", "target"), discrete=True
        )  # fmt: skip
        cells = [cells_of_samples(arrays) for arrays in blocks]
    parts = [_estimated(one, redundancy, definition, kind, estimator) for one in cells]
    batch, dims, coords = (blocks.batch, blocks.dims, blocks.coords) if blocks else ((), (), {})
    found = [stacked([part[i] for part in parts], batch, dims, coords).to(unit) for i in range(4)]
    return PartialInformation(found[0], found[1], found[2], found[3], definition)


def _estimated(
    cells: Cells, redundancy: Callable[[Floats], _Redundancy], definition: str, kind: int, estimator: str
) -> list[Estimate]:  # fmt: skip
    shape = tuple(int(size) for size in cells.states.max(axis=0) + 1)
    if math.prod(shape) > 1 << 22:
        raise InputError(f"partial information: a table of {shape} is too large; merge states")
    place = tuple(cells.states.T)
    table = np.zeros(shape)
    table[place] = cells.shares
    terms: list[Mapping[Subset, float]] = [_FIRST, _SECOND, _BOTH]
    first, second, both = (entropy_sum(cells, one, kind) for one in terms)
    if definition == "mmi":
        lesser = first if first.value <= second.value else second
        shared = _Redundancy(lesser.value)
        lower = _FIRST if first.value <= second.value else _SECOND
        upper = _SECOND if first.value <= second.value else _FIRST
        apart = entropy_sum(cells, _combined((1.0, upper), (-1.0, lower)), kind)
        nothing = Sum(0.0, apart.first, apart.second, apart.steps, apart.local)
        rest = entropy_sum(cells, _combined((1.0, _BOTH), (-1.0, upper)), kind)
        sums = [lesser, nothing, apart, rest] if lower is _FIRST else [lesser, apart, nothing, rest]
        gap = 0.0
    else:
        shared = _corrected(cells, table, redundancy, definition, estimator)
        gap = shared.gap
        sums = _with_redundancy(cells, place, shared, (first, second, both), kind)
    doubts = ("not_converged" if gap > ACCEPTED else None, "few_samples" if cells.n < FEWEST else None)
    near = _loss_at_ties(shared, cells.n)
    # The lesser of what two sources tell that tell nothing is not the mean of noise.
    silent = definition == "williams-beer" and all(
        one.value < NOTHING * math.sqrt(one.second + one.steps) for one in (first, second)
    )
    null = entropy_sum(_independent(cells), _BOTH, kind)
    null_sd = math.sqrt(null.second + null.steps)
    found = []
    for one, name in zip(sums, Atoms._fields, strict=True):
        error = math.sqrt(one.variance)
        tied = near > 0.5 * error or (silent and name == "redundancy")
        low, high = normal_interval(one.value, error, lowest=0.0)
        found.append(
            Estimate(
                one.value, error, (float(low), max(float(high), 0.0)), 0.0, null_sd, cells.n,
                method=f"{name}, {definition}, {estimator}",
                flags=flagged(*cells.flags(one), *doubts, "near_tie" if tied else None),
                null="sources and target independent",
                details={
                    "definition": definition, "information_1": first.value, "information_2": second.value,
                    "information": both.value, "gap": gap,
                },
            )
        )  # fmt: skip
    return found


def _combined(*parts: tuple[float, Mapping[Subset, float]]) -> dict[Subset, float]:
    """Return a sum of sums of entropies with factors."""
    found: dict[Subset, float] = {}
    for factor, terms in parts:
        for subset, one in terms.items():
            found[subset] = found.get(subset, 0.0) + factor * one
    return found


def _independent(cells: Cells) -> Cells:
    """Return cells of all joint states, for the null: its second order needs no more than their number."""
    states = np.argwhere(np.ones(cells.sizes, dtype=bool))
    share = np.maximum(cells.n // len(states), 1)
    return Cells(states.astype(np.int64), np.full(len(states), share, dtype=np.int64))


def _with_redundancy(
    cells: Cells, place: tuple[NDArray[np.int64], ...], shared: _Redundancy, informations: tuple[Sum, Sum, Sum],
    kind: int,
) -> list[Sum]:  # fmt: skip
    """Return the four parts from the redundancy and the three informations.

    Where the first order vanishes, a part has at least the second order of the information that bounds it.
    """
    first, second, _ = informations
    p, value, local = cells.shares, shared.value - shared.bias, shared.local[place]
    joint = entropy_sum(cells, _combined((1.0, _BOTH), (-1.0, _FIRST), (-1.0, _SECOND)), kind)

    def part(number: float, derivative: Floats, floor: float, steps: float) -> Sum:
        mean = float(p @ derivative)
        return Sum(number, float(p @ (derivative - mean) ** 2) / cells.n, floor, steps, derivative)

    unique = [
        part(one.value - value, one.local - local, one.second, one.steps) for one in (first, second)
    ]  # fmt: skip
    shares = part(value, local, min(first.second, second.second), 0.0)
    rest = part(joint.value + value, joint.local + local, joint.second, joint.steps)
    # At a kink, where a unique part is 0, the redundancy may follow either side of it.
    for one, own, other in ((unique[0], first, _SECOND), (unique[1], second, _FIRST)):
        if one.value < 2.0 * math.sqrt(one.variance):
            shares = shares._replace(first=max(shares.first, own.first))
            beyond = entropy_sum(cells, _combined((1.0, _BOTH), (-1.0, other)), kind)
            rest = rest._replace(first=max(rest.first, beyond.first))
    return [shares, *unique, rest]


def _loss_at_ties(shared: _Redundancy, n: int) -> float:
    """Return what taking the lesser of two equal numbers loses on average, 0.4 standard deviations of each pair."""
    difference, spread = shared.ties
    error = np.sqrt(np.maximum(spread, 0.0) / n)
    tied = np.abs(difference) < 2.0 * error
    return 0.4 * float(error[tied].sum())


def _corrected(
    cells: Cells, table: Floats, redundancy: Callable[[Floats], _Redundancy], definition: str, estimator: str
) -> _Redundancy:  # fmt: skip
    """Return the redundancy of a table of shares with its bias.

    That of BROJA is n times the mean change when one sample is left out (jackknife).
    """
    shared = redundancy(table)
    if estimator == "plug-in":
        return shared._replace(bias=0.0)
    if definition != "broja":
        return shared._replace(bias=shared.bias / cells.n)
    if len(cells.counts) > MOST_LEFT_OUT:
        return shared
    # Below the least part the accuracy of the solver would show.
    part = max(1.0 / cells.n, LEAST_PART)
    change = 0.0
    for states, share in zip(cells.states, cells.shares, strict=True):
        less = table.copy()
        less[tuple(states)] = max(float(share) - part, 0.0)
        change += float(share) * (redundancy(less / less.sum()).value - shared.value)
    return shared._replace(bias=change * (1.0 - part) ** 2 / (part**2 * cells.n))


def _least_information(table: Floats) -> _Redundancy:
    """Redundancy as the lesser information of one source ("mmi")."""
    values = [
        math.fsum(factor * entropy_of_subset(table, subset) for subset, factor in terms.items())
        for terms in (_FIRST, _SECOND)
    ]
    return _Redundancy(min(values))


def _specific(table: Floats) -> _Redundancy:
    """Redundancy as the mean over target states of the lesser specific information ("williams-beer").

    With T_i the target states of which source i is the lesser, the derivative by a sample (s1, s2, t) with t in T_i is
    ln[p(t | s_i) / p(t)] less P(T_1 | s1) + P(T_2 | s2), and n times the bias is half of
    sum_(t in T_i) [sum_s (1 - p(s, t)) - (1 - p(t))] - sum_s P(T_i | s) (1 - p(s)), summed over i.
    """
    target = table.sum(axis=(0, 1))
    both, ratios = [table.sum(axis=1), table.sum(axis=0)], []
    for joint in both:
        source = joint.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(joint / (source[:, None] * target[None, :]))
        ratios.append(np.where(joint > 0.0, ratio, 0.0))
    specific = np.array([(joint * ratio).sum(axis=0) for joint, ratio in zip(both, ratios, strict=True)])
    lesser = specific.argmin(axis=0)
    local, bias = np.zeros(table.shape), 0.0
    for i, (joint, ratio) in enumerate(zip(both, ratios, strict=True)):
        chosen = (lesser == i) & (target > 0.0)
        source = joint.sum(axis=1)
        share = np.divide(joint[:, chosen].sum(axis=1), source, out=np.zeros_like(source), where=source > 0.0)
        own = np.where(chosen[None, :], ratio, 0.0) - share[:, None]
        local += own[:, None, :] if i == 0 else own[None, :, :]
        seen = joint[:, chosen] > 0.0
        bias += 0.5 * (
            float(((1.0 - joint[:, chosen]) * seen).sum()) - float((1.0 - target[chosen]).sum())
            - float(share @ (1.0 - source))
        )  # fmt: skip
    # The same derivatives, of the difference at each state of the target by itself.
    apart = np.empty(target.size)
    for t in range(target.size):
        part = np.zeros(table.shape)
        for sign, joint, ratio, axis in zip((1.0, -1.0), both, ratios, (1, 0), strict=True):
            source = joint.sum(axis=1)
            given = np.divide(joint[:, t], source, out=np.zeros_like(source), where=source > 0.0)
            part -= sign * np.expand_dims(given, axis)[:, :, None]
            part[:, :, t] += sign * np.expand_dims(ratio[:, t], axis)
        apart[t] = float((table * part**2).sum() - (table * part).sum() ** 2)
    return _Redundancy(float(specific.min(axis=0).sum()), bias, local, 0.0, (specific[0] - specific[1], apart))


def _union(table: Floats) -> _Redundancy:
    """Redundancy as what both pairs tell twice, I(T; S1) + I(T; S2) less the union information ("broja")."""
    found = union_information(table)
    target = table.sum(axis=(0, 1))
    local = -found.local
    value = -found.information
    for axis in (0, 1):
        joint = table.sum(axis=1 - axis)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(joint / (joint.sum(axis=1)[:, None] * target[None, :]))
        ratio = np.where(joint > 0.0, ratio, 0.0)
        value += float((joint * ratio).sum())
        local += ratio[:, None, :] if axis == 0 else ratio[None, :, :]
    return _Redundancy(value, 0.0, local, found.gap)


_REDUNDANCIES: Mapping[str, Callable[[Floats], _Redundancy]] = MappingProxyType(
    {"mmi": _least_information, "williams-beer": _specific, "broja": _union}
)
DEFINITIONS = tuple(_REDUNDANCIES)
"""Of the redundancy."""


def _chosen(definition: str) -> Callable[[Floats], _Redundancy]:
    return _REDUNDANCIES[checks.one_of(definition, DEFINITIONS, "partial information: definition")]
