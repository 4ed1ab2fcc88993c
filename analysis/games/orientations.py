"""Alpha-rank of a response graph of which some edges are not known, with infinite alpha.

The chain moves along an edge for the better at the rate 1 - epsilon, for the worse at epsilon, and both ways at 1/2
along a tie (Rowland et al. 2019, arXiv:1909.09849). By the Markov chain tree theorem a profile's share is a ratio of
two polynomials, linear in each edge's rate: it is monotone in it, so that its least and largest values over all that an
open edge may be, a tie included, are met where every open edge points one way or the other.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from simengine.analysis.games import chains
from simengine.analysis.games.payoffs import Floats, Ids
from simengine.analysis.games.response_graph import ResponseGraph
from simengine.errors import InputError

MOST_OPEN = 16


class RankingBounds(NamedTuple):
    """What the shares of the profiles may be, in row-major order, each of shape (N,)."""

    low: Floats
    high: Floats


def graph_ranking(graph: ResponseGraph, *, epsilon: float = 0.01) -> Floats:
    """Return alpha-rank's distribution over the profiles of a response graph, with infinite alpha.

    Unlike `alpha_rank` it takes any graph, also one that no payoffs have.

    Parameters
    ----------
    graph
        The response graph.
    epsilon
        The noise: the rate of a move for the worse, above 0 and at most 1/2.

    Returns
    -------
    The shares of all profiles in row-major order, shape (N,), sum 1.
    """
    return _stationary(_rates(graph, epsilon))


def ranking_bounds(graph: ResponseGraph, unresolved: Any, *, epsilon: float = 0.01) -> RankingBounds:
    """Return the least and the largest share of each profile over all directions of the open edges, exactly.

    Every combination of directions is tried, 2**U of them.

    Parameters
    ----------
    graph
        The response graph; where open edges point in it does not count.
    unresolved
        The pairs of profile ids, shape (U, 2), that open edges join: ``unresolved`` of what `response_graph_ucb`
        returns, or of a `MetaGame`. At most 16.
    epsilon
        The noise: the rate of a move for the worse, above 0 and at most 1/2.

    Raises
    ------
    InputError
        For more open edges than 16, and for pairs that are no edges.
    """
    pairs = np.asarray(unresolved, np.int64).reshape(-1, 2)
    if len(pairs) > MOST_OPEN:
        raise InputError(
            f"ranking_bounds: {len(pairs)} edges are open, at most {MOST_OPEN} are allowed: sample on, or see"
            " ranking_uncertainty"
        )
    rates = _rates(graph, epsilon)
    for first, second in pairs:
        known = min(first, second) >= 0 and max(first, second) < len(rates)
        if not known or rates[first, second] == 0.0:
            raise InputError(f"ranking_bounds: profiles {first} and {second} are not joined by an edge")
    low, high = np.full(len(rates), np.inf), np.full(len(rates), -np.inf)
    for directions in itertools.product((epsilon, 1.0 - epsilon), repeat=len(pairs)):
        for (first, second), rate in zip(pairs, directions, strict=True):
            rates[first, second], rates[second, first] = rate, 1.0 - rate
        shares = _stationary(rates)
        np.minimum(low, shares, out=low)
        np.maximum(high, shares, out=high)
    return RankingBounds(low, high)


def _rates(graph: ResponseGraph, epsilon: float) -> Floats:
    """Return the rates from row to column, up to the common factor eta, of no account here."""
    if not 0.0 < epsilon <= 0.5:
        raise InputError(f"epsilon: got {epsilon}, allowed is a number above 0 and at most 0.5")
    rates = np.zeros((graph.vertices, graph.vertices))
    worse, better = graph.edges.T
    rates[worse, better], rates[better, worse] = 1.0 - epsilon, epsilon
    first, second = graph.ties.T
    rates[first, second] = rates[second, first] = 0.5
    return rates


def _stationary(rates: Floats) -> Floats:
    mantissa, exponent = _scaled(rates)
    return chains.normalised(*chains.eliminated(mantissa, exponent))


def _scaled(rates: Floats) -> tuple[Floats, Ids]:
    return rates.copy(), np.where(rates > 0.0, 0, chains.NOTHING)
