"""Alpha-rank's chain by iteration: for games of too many profiles to be eliminated one by one.

The chain is nearly always in one of the response graph's sinks; it leaves them by rare moves that cost, and what it
then visits, it leaves fast. Neither plain iteration nor Krylov methods find the weights of two sinks that are linked by
chances of 1e-1000. Here the weights of whole groups of profiles are solved exactly in between the sweeps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from simengine.analysis.games import chains
from simengine.analysis.games.chains import Chain, Scaled
from simengine.analysis.games.payoffs import Floats, Ids
from simengine.analysis.games.response_graph import ResponseGraph

SETTLED, SWEEPS_AT_FIRST, SWEEPS, SWEEPS_BETWEEN = 1e-13, 200, 20_000, 20
SINKS, CYCLIC_GROUPS = 1000, 100


def iterated(graph: ResponseGraph, source: Ids, target: Ids, rates: Floats) -> Floats | None:
    """Return the stationary distribution over the profiles; None if it has not settled.

    Parameters
    ----------
    graph
        The response graph.
    source, target, rates
        Where each possible move leads from and to, and the logarithm of its probability.
    """
    sinks = graph.sinks()
    if len(sinks) > SINKS:
        return None
    order = np.lexsort((source, target))
    start = np.searchsorted(target[order], np.arange(graph.vertices + 1)).astype(np.int64)
    chain = Chain(start, source[order], *chains.from_logs(rates[order]))
    left = chains.exits(chain.source, chain.rate, chain.rate_exponent, graph.vertices)
    group, groups = _groups(graph, sinks)
    found = _settled(chain, left, group, groups) or _settled_from_sinks(chain, left, sinks, group, groups)
    if found is None:
        return None
    shares = chains.normalised(*found)
    return shares if np.isfinite(shares).all() else None


def _settled(chain: Chain, left: Scaled, group: Ids, groups: int) -> Scaled | None:
    """Return the distribution, up to a factor, by sweeps over all profiles from even shares.

    Gauss & Seidel's sweeps alternate with an exact solution between groups (Koury, McAllister & Stewart 1984). Quick
    where every profile is visited now and then.
    """
    x: Scaled = np.ones(group.size), np.zeros(group.size, np.int64)
    held = np.full(group.size, -1)
    for _ in range(SWEEPS_AT_FIRST):
        if chains.swept(*chain, *left, held, *x) <= SETTLED:
            return x
        if groups > 1:
            chains.aggregated(*chain, group, groups, *x)
    return None


def _settled_from_sinks(chain: Chain, left: Scaled, sinks: list[Ids], group: Ids, groups: int) -> Scaled | None:
    """Return the distribution, up to a factor, from what each sink passes on to each other."""
    size = group.size
    sink, free = np.full(size, -1), np.full(size, -1)
    for number, members in enumerate(sinks):
        sink[members] = number
    apart, parts = np.maximum(group - len(sinks) + 1, 0), groups - len(sinks) + 1
    flow: Scaled = np.zeros((len(sinks), len(sinks))), np.zeros((len(sinks), len(sinks)), np.int64)
    x: Scaled = np.ones(size), np.zeros(size, np.int64)
    used = 0
    while True:
        if len(sinks) > 1:
            for number, members in enumerate(sinks):
                y: Scaled = np.zeros(size), np.full(size, chains.NOTHING)
                y[0][members], y[1][members] = x[0][members], x[1][members]
                chains.weigh(members, 1.0, 0, *y)
                used += _filled(chain, left, sink, apart, parts, y, SWEEPS - used)
                if used > SWEEPS:
                    return None
                flow[0][number], flow[1][number] = chains.passed_on(*chain, sink, len(sinks), *y)
            weight = chains.eliminated(*flow)
            for number, members in enumerate(sinks):
                chains.weigh(members, weight[0][number], weight[1][number], *x)
        used += _filled(chain, left, sink, apart, parts, x, SWEEPS - used)
        if used > SWEEPS:
            return None
        # Once filled, a profile may still be off by as much as the last sweeps did not bring.
        if chains.swept(*chain, *left, free, *x) <= 100.0 * SETTLED:
            return x
        for _ in range(SWEEPS_BETWEEN):
            chains.swept(*chain, *left, free, *x)
        used += SWEEPS_BETWEEN


def _filled(chain: Chain, left: Scaled, held: Ids, group: Ids, groups: int, x: Scaled, sweeps: int) -> int:
    """Fill the profiles with ``held`` < 0 from those that are held, and from nothing upwards; return the sweeps used.

    Profiles that are left fast take a few sweeps, however rarely they are visited. Group 0 has the held profiles, the
    others those among which the chain stays for a while.
    """
    x[0][held < 0], x[1][held < 0] = 0.0, chains.NOTHING
    for sweep in range(1, sweeps + 1):
        if chains.swept(*chain, *left, held, *x) <= SETTLED:
            return sweep
        if groups > 1 and (x[0][held < 0] > 0.0).all():
            chains.aggregated(*chain, group, groups, *x)
    return sweeps + 1


def _groups(graph: ResponseGraph, sinks: list[Ids]) -> tuple[Ids, int]:
    """Return a group of each profile, and how many there are: first the sinks, then other sets with cycles in them.

    A profile outside of these joins the group that the fewest improving moves reach; of several, the first.
    """
    component = graph.components()
    sizes = np.bincount(component)
    sizes[component[[members[0] for members in sinks]]] = 0
    cyclic = np.flatnonzero(sizes > 1)
    seeds = [*sinks, *(np.flatnonzero(component == number) for number in cyclic[:CYCLIC_GROUPS])]
    group = np.full(graph.vertices, -1, np.int64)
    for number, members in enumerate(seeds):
        group[members] = number
    worse = np.concatenate([graph.edges[:, 0], graph.ties[:, 0], graph.ties[:, 1]])
    better = np.concatenate([graph.edges[:, 1], graph.ties[:, 1], graph.ties[:, 0]])
    into = csr_array((np.ones(worse.size, np.int8), (better, worse)), shape=(graph.vertices, graph.vertices))
    front = np.concatenate(seeds)
    while front.size:
        reached, joins = _before(into, front, group)
        order = np.lexsort((joins, reached))
        front, first = np.unique(reached[order], return_index=True)
        group[front] = joins[order][first]
    return group, len(seeds)


def _before(into: Any, front: Ids, group: Ids) -> tuple[Ids, Ids]:
    """Return the profiles without a group one move before a front, with the group that the move leads to."""
    begin, end = into.indptr[front], into.indptr[front + 1]
    lengths = (end - begin).astype(np.int64)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    reached = into.indices[np.repeat(begin, lengths) + offsets].astype(np.int64)
    joins = np.repeat(group[front], lengths)
    free = group[reached] < 0
    return reached[free], joins[free]
