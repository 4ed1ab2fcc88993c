"""Evolution in finite populations, exactly: fixation, times, stationary shares; critical ratios of graphs.

Two strategies, A and B, and a 2x2 table of payoffs ((aa, ab), (ba, bb)) whose rows are one's own strategy.

Well-mixed populations of N agents are birth-death chains: the number i of A goes up or down by one with probabilities
T+(i) and T-(i). With g(i) = T-(i) / T+(i), r(j) = g(1) ... g(j) and S(k) = r(0) + ... + r(k - 1) (Karlin & Taylor 1975,
"A first course in stochastic processes", ch. 4; Traulsen & Hauert 2009, Rev. Nonlinear Dyn. Complex. 2, 25-61)

* A takes over from k with probability phi_k = S(k) / S(N);
* from k, the chain is in state j for S(min(j, k)) (S(N) - S(max(j, k))) / (S(N) T+(j) r(j)) steps in the mean, which
  adds up to the time to absorption, and, weighted by phi_j / phi_k, to the time to fixation of those that fix.

All terms are positive and are kept as logarithms, so that nothing is lost to rounding or overflows.

On a graph, death-birth updating and weak selection favour cooperators of the donation game if b / c is above
t2 / (t3 - t1), where t_n is the mean time until two lineages meet that start at both ends of an n-step walk (Allen et
al. 2017, Nature 544, 227-230). `critical_ratio` solves for these times; `graph_fixation` solves the chain of all 2^N
states of a small graph, for any intensity of selection.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg
import scipy.special
from numpy.typing import NDArray

from simengine import InputError, Network, population
from simengine.relations.edges import read_edges

Array = NDArray[Any]
MOST_NODES = 10
"""Of a graph whose chain of all states is solved."""
ACCURACY = 1e-14
"""Of coalescence times, relative."""
NO_RATIO = 1e-10
"""Relative difference of coalescence times that counts as none."""

WellMixed = Literal["fermi", "moran"]
OnGraphs = Literal["death_birth", "imitation", "pairwise_comparison", "birth_death"]


def checked_game(payoffs: Any) -> Array:
    """Return a table of payoffs as a 2x2 array; `InputError` for another shape or what is no finite number."""
    try:
        table = np.asarray(payoffs, float)
    except (TypeError, ValueError):
        raise InputError(f"payoffs: a 2x2 table of numbers, not {payoffs!r:.60}") from None
    if table.shape != (2, 2):
        raise InputError(f"payoffs: a table of shape (2, 2) is expected, not {table.shape}")
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise InputError(f"payoffs: the entry in row {row}, column {column} is {table[row, column]}, no finite number")
    return table


def donation_game(benefit: float, cost: float) -> Array:
    """Return the payoffs of the donation game: A pays ``cost`` for the other to get ``benefit``."""
    return checked_game([[benefit - cost, -cost], [benefit, 0.0]])


def mean_payoffs(payoffs: Any, size: int) -> tuple[Array, Array]:
    """Return what A and B earn in the mean from the other agents, if 1, ..., ``size`` - 1 agents are A."""
    (aa, ab), (ba, bb) = checked_game(payoffs)
    n = _checked_size(size)
    i = np.arange(1, n)
    return (aa * (i - 1) + ab * (n - i)) / (n - 1), (ba * i + bb * (n - i - 1)) / (n - 1)


STRONGEST = 600.0
"""Largest selection times payoff of which fitness, its exponential, is a number."""


def transitions(
    payoffs: Any, size: int, *, update: WellMixed = "fermi", selection: float = 1.0, ratio: float | None = None,
    mutation: float = 0.0,
) -> tuple[Array, Array]:  # fmt: skip
    """Return the probabilities that the number of A goes up, and down, in one event.

    Parameters
    ----------
    payoffs
        2x2 table; not read where ``ratio`` is given.
    size
        N, agents in the population.
    update
        ``fermi``: of an ordered pair of different agents the first takes over the strategy of the second with
        probability 1 / (1 + exp(-selection * (payoff of the second - payoff of the first))). ``moran``: one agent,
        drawn uniformly, gives its place to a child of one drawn by fitness from all, itself included.
    selection
        Intensity. ``moran``: fitness is 1 - selection + selection * payoff.
    ratio
        ``moran``: fitness of A over that of B, if constant.
    mutation
        Probability that the agent takes one of both strategies at random instead.

    Returns
    -------
    Two arrays by the number of A, from 0 to N.
    """
    n = _checked_size(size)
    for name, value in (("selection", selection), ("ratio", 1.0 if ratio is None else ratio)):
        if not (np.isfinite(value) and value >= 0.0):
            raise InputError(f"{name} is a number from 0 on, not {value!r}")
    if not 0.0 <= mutation <= 1.0:
        raise InputError(f"mutation is a probability, not {mutation!r}")
    if ratio is not None and update == "fermi":
        raise InputError("ratio is for update='moran'; Fermi's rule takes payoffs")
    if update not in {"fermi", "moran"}:
        raise InputError(f"update is 'fermi' or 'moran', not {update!r}")
    up, down = np.zeros(n + 1), np.zeros(n + 1)
    i = np.arange(1, n)
    if update == "fermi":
        a, b = mean_payoffs(payoffs, n)
        meet = i * (n - i) / (n * (n - 1))
        up[1:-1] = meet * scipy.special.expit(selection * (a - b))
        down[1:-1] = meet * scipy.special.expit(selection * (b - a))
    else:
        a, b = _moran_fitness(payoffs, n, selection, ratio)
        all_births = i * a + (n - i) * b
        up[1:-1] = (n - i) / n * i * a / all_births
        down[1:-1] = i / n * (n - i) * b / all_births
    share = np.arange(n + 1) / n
    return (1.0 - mutation) * up + mutation * (1.0 - share) / 2, (1.0 - mutation) * down + mutation * share / 2


def _moran_fitness(payoffs: Any, n: int, selection: float, ratio: float | None) -> tuple[Array, Array]:
    if ratio is not None:
        if not (math.isfinite(ratio) and ratio > 0):
            raise InputError(f"ratio is a number above 0, not {ratio}")
        return np.full(n - 1, ratio), np.ones(n - 1)
    a, b = (1.0 - selection + selection * mean for mean in mean_payoffs(payoffs, n))
    if not (a.min() > 0 and b.min() > 0):
        raise InputError(f"fitness 1 - w + w * payoff is not above 0 everywhere for w = {selection:g}: lower w")
    return a, b


def _checked_size(size: int) -> int:
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 2:
        raise InputError(f"size is a whole number from 2, not {size!r:.60}")
    return int(size)


def _scale(up: Array, down: Array) -> tuple[Array, Array, Array]:
    """The logarithms of S(1), ..., S(N - 1), of S(N) - S(k), and of r(1), ..., r(N - 1); all over S(N)."""
    inside = slice(1, -1)
    if not (len(up) == len(down) >= 3 and (up[inside] > 0).all() and (down[inside] > 0).all()):
        raise InputError("a birth-death chain has probabilities above 0 in all states but the first and the last")
    steps = np.concatenate([[0.0], np.cumsum(np.log(down[inside]) - np.log(up[inside]))])
    below = np.logaddexp.accumulate(steps)
    above = np.logaddexp.accumulate(steps[::-1])[::-1]
    whole = below[-1]
    return below[:-1] - whole, above[1:] - whole, steps[1:] - whole


def _checked_start(start: int, up: Array) -> int:
    if isinstance(start, bool) or not isinstance(start, int | np.integer) or not 1 <= start <= len(up) - 2:
        raise InputError(f"start is a number of A from 1 to {len(up) - 2}, not {start!r:.60}")
    return int(start)


def fixation_probability(up: Array, down: Array, start: int = 1) -> float:
    """Return the probability that a birth-death chain ends in its last state."""
    below, _, _ = _scale(up, down)
    return float(np.exp(below[_checked_start(start, up) - 1]))


def _visits(up: Array, down: Array, start: int) -> tuple[Array, Array]:
    """Mean steps in the states 1, ..., N - 1 before absorption, and the probabilities of fixation from there."""
    k = _checked_start(start, up) - 1
    below, above, steps = _scale(up, down)
    j = np.arange(len(below))
    return np.exp(below[np.minimum(j, k)] + above[np.maximum(j, k)] - np.log(up[1:-1]) - steps), np.exp(below)


def absorption_time(up: Array, down: Array, start: int = 1) -> float:
    """Return the mean number of events until a birth-death chain is in its first or last state."""
    visits, _ = _visits(up, down, start)
    return math.fsum(visits)


def conditional_fixation_time(up: Array, down: Array, start: int = 1) -> float:
    """Return the same for those chains that end in the last state."""
    visits, fixed = _visits(up, down, start)
    return math.fsum(visits * fixed / fixed[_checked_start(start, up) - 1])


def stationary_distribution(up: Array, down: Array) -> Array:
    """Return the stationary distribution of a birth-death chain without absorbing states (with mutation)."""
    if not ((up[:-1] > 0).all() and (down[1:] > 0).all()):
        raise InputError("a chain with absorbing states has no stationary distribution of its own: add mutation")
    weights = np.concatenate([[0.0], np.cumsum(np.log(up[:-1]) - np.log(down[1:]))])
    weights = np.exp(weights - weights.max())
    found: Array = weights / math.fsum(weights)
    return found


def fermi_fixation(payoffs: Any, size: int, selection: float, start: int = 1) -> float:
    """Return the probability that ``start`` A take over under pairwise comparison, by its closed sum.

    phi_k = sum_{j<k} e_j / sum_{j<N} e_j with e_j = exp(-selection (u j (j + 1) / 2 + v j)), where u i + v is the
    difference of mean payoffs (Traulsen, Nowak & Pacheco 2006, Phys. Rev. E 74, 011909).
    """
    (aa, ab), (ba, bb) = checked_game(payoffs)
    n = _checked_size(size)
    u = (aa - ab - ba + bb) / (n - 1)
    v = (-aa + ab * n - bb * n + bb) / (n - 1)
    j = np.arange(n)
    exponents = -selection * (u * j * (j + 1) / 2 + v * j)
    terms = np.exp(exponents - exponents.max())
    k = _checked_start(start, np.empty(n + 1))
    return math.fsum(terms[:k]) / math.fsum(terms)


def moran_fixation(ratio: float, size: int, start: int = 1) -> float:
    """Return the probability that ``start`` A of constant fitness ``ratio`` take over: (1 - s^-k) / (1 - s^-N)."""
    n = _checked_size(size)
    k = _checked_start(start, np.empty(n + 1))
    if not (math.isfinite(ratio) and ratio > 0):
        raise InputError(f"ratio is a number above 0, not {ratio}")
    if ratio == 1.0:
        return k / n
    log = math.log(ratio)
    if log > 0:
        return math.expm1(-k * log) / math.expm1(-n * log)
    # Below 1 both powers grow; their quotient is taken with the larger one divided out.
    return math.exp((n - k) * log) * math.expm1(k * log) / math.expm1(n * log)


def stationary_ratio(payoffs: Any, size: int, selection: float) -> float:
    """Return rho_A / rho_B under pairwise comparison: how much longer all are A than all B, if mutation is rare."""
    a, b = mean_payoffs(payoffs, size)
    return math.exp(selection * math.fsum(a - b))


def weak_selection_advantage(payoffs: Any, size: int) -> float:
    """Return aa (N - 2) + ab (2 N - 1) - ba (N + 1) - bb (2 N - 4): above 0 where one A fixes more often than 1 / N.

    Nowak, Sasaki, Taylor & Fudenberg (2004), Nature 428, 646-650; for large N the one-third law.
    """
    (aa, ab), (ba, bb) = checked_game(payoffs)
    n = _checked_size(size)
    return float(aa * (n - 2) + ab * (2 * n - 1) - ba * (n + 1) - bb * (2 * n - 4))


def adjacency(graph: Any) -> scipy.sparse.csr_array:
    """Return the symmetric matrix of an undirected graph given in any form that a network takes.

    Raises
    ------
    InputError
        For what is no graph, and for one that is not in one piece, where strategies would never fix.
    """
    nodes = population(size=1)
    nodes.bind("nodes")
    edges = read_edges(graph, Network(nodes), "graph")
    n = edges.nodes or (int(max(edges.source.max(), edges.target.max())) + 1 if len(edges) else 0)
    edges.check(n, Network(nodes), "graph")
    if n < 2:
        raise InputError("graph: at least two nodes are needed")
    ends = (np.concatenate([edges.source, edges.target]), np.concatenate([edges.target, edges.source]))
    matrix = scipy.sparse.csr_array((np.ones(len(ends[0])), ends), shape=(n, n))
    lonely = np.flatnonzero(np.diff(matrix.indptr) == 0)
    if lonely.size:
        raise InputError(f"graph: node {lonely[0]} has no neighbours; a strategy fixes only on a graph in one piece")
    pieces, _ = scipy.sparse.csgraph.connected_components(matrix, directed=False)
    if pieces > 1:
        raise InputError(f"graph: it is in {pieces} pieces; a strategy fixes only on a graph in one piece")
    return matrix


def coalescence_times(graph: Any) -> Array:
    """Return tau_ij, the mean time until the lineages of two nodes meet, as a symmetric matrix.

    tau_ii = 0 and tau_ij = 1 + (1/2) sum_l (p_il tau_lj + p_jl tau_il), p_ij = 1 / k_i for neighbours. Multiplied by
    sqrt(k_i k_j) the equations are symmetric and positive definite; they are solved by conjugate gradients, whose
    steps cost N times the number of edges.
    """
    matrix = adjacency(graph)
    n = matrix.shape[0]
    root = np.sqrt(np.diff(matrix.indptr))
    walk = scipy.sparse.diags_array(1.0 / root) @ matrix @ scipy.sparse.diags_array(1.0 / root)
    different = 1.0 - np.eye(n)

    def apply(flat: Array) -> Array:
        times = flat.reshape(n, n)
        moved = walk @ times
        result: Array = (different * (times - (moved + moved.T) / 2)).ravel()
        return result

    equations = scipy.sparse.linalg.LinearOperator((n * n, n * n), apply, dtype=float)
    scaled, unsolved = scipy.sparse.linalg.cg(
        equations, (different * np.outer(root, root)).ravel(), rtol=ACCURACY, atol=0.0, maxiter=100 * n
    )
    if unsolved:
        raise InputError(f"graph: its coalescence times cannot be solved for to a relative accuracy of {ACCURACY:g}")
    found: Array = scaled.reshape(n, n) / np.outer(root, root)
    return found


def critical_ratio(graph: Any) -> float:
    """Return the benefit-to-cost ratio above which weak selection favours cooperators on a graph, exactly.

    Donation game, mean payoffs, death-birth updating, one cooperator placed uniformly (Allen et al. 2017).

    Parameters
    ----------
    graph
        Undirected, in one piece: a networkx graph, an edge list, or another form that a network takes.

    Returns
    -------
    t2 / (t3 - t1). Infinite if no ratio is high enough; below 0 if cooperators are never favoured, and those who pay
    to harm are for b / c below it.
    """
    matrix = adjacency(graph)
    times = coalescence_times(graph)
    degree = np.diff(matrix.indptr)
    walk = scipy.sparse.diags_array(1.0 / degree) @ matrix
    weight, moved, met = degree / degree.sum(), times, []
    # The mean over walks of n steps from i of tau_ij is the diagonal of p^n tau.
    for _ in range(3):
        moved = walk @ moved
        met.append(math.fsum(weight * np.diagonal(moved)))
    t1, t2, t3 = met
    return math.inf if abs(t3 - t1) <= NO_RATIO * t2 else t2 / (t3 - t1)


def critical_ratio_regular(nodes: int, degree: int) -> float:
    """Return the same for graphs that look alike from every node: k (N - 2) / (N - 2 k).

    Taylor, Day & Wild (2007), Nature 447, 469-472.
    """
    return math.inf if nodes == 2 * degree else degree * (nodes - 2) / (nodes - 2 * degree)


def graph_chain(
    graph: Any, payoffs: Any, selection: complex, *, update: OnGraphs = "death_birth", averaged: bool = True,
    exponential: bool = True,
) -> tuple[Array, Array]:  # fmt: skip
    """Return the chain of all states of a small graph: the states, and the probabilities to go from one to another.

    Parameters
    ----------
    graph
        Undirected, in one piece, of at most 10 nodes.
    payoffs
        2x2 table, of A (1) and B (0).
    selection
        Intensity w.
    update
        What happens in one event. ``death_birth``: a node, drawn uniformly, takes the strategy of a neighbour drawn by
        fitness; ``imitation``: of a neighbour or itself, drawn by fitness; ``pairwise_comparison``: of a neighbour
        drawn uniformly, with probability 1 / (1 + exp(-w * difference of payoffs)); ``birth_death``: a node drawn by
        fitness from all gives its strategy to a neighbour drawn uniformly.
    averaged
        Whether payoffs are means over neighbours, or sums.
    exponential
        Whether fitness is exp(w * payoff), or 1 + w * payoff.

    Returns
    -------
    Array (2^N, N) of the nodes' strategies by state, and array (2^N, 2^N) of probabilities from row to column.
    """
    joined = adjacency(graph).toarray()
    table = checked_game(payoffs)
    n = len(joined)
    if n > MOST_NODES:
        raise InputError(f"graph: all 2^N states are listed for at most {MOST_NODES} nodes, not {n}")
    degree = joined.sum(axis=1)
    numbers = np.arange(2**n)
    states = (numbers[:, None] >> np.arange(n)) & 1
    cooperators = states @ joined
    earned = np.where(
        states == 1,
        table[0, 0] * cooperators + table[0, 1] * (degree - cooperators),
        table[1, 0] * cooperators + table[1, 1] * (degree - cooperators),
    )
    earned = earned / degree if averaged else earned
    fitness = np.exp(selection * earned) if exponential else 1.0 + selection * earned
    if not (fitness.real > 0).all():
        raise InputError(
            "fitness 1 + w * payoff is not above 0 in all states: lower selection, or take exp(w * payoff)"
        )
    becomes = _becomes(update, joined, states, earned, fitness, selection)
    chain = np.zeros((2**n, 2**n), fitness.dtype)
    for node in range(n):
        for strategy in (0, 1):
            after = numbers & ~(1 << node) | (strategy << node)
            chain[numbers, after] += becomes[strategy][:, node]
    if update == "birth_death":
        return states, chain
    return states, chain / n


def _becomes(
    update: OnGraphs, joined: Array, states: Array, earned: Array, fitness: Array, selection: complex
) -> tuple[Array, Array]:
    """For each state and node: the probabilities that it becomes B, and A, when it is its turn (births: at all)."""
    degree = joined.sum(axis=1)
    if update == "birth_death":
        births = fitness / fitness.sum(axis=1, keepdims=True) / degree
        return ((1 - states) * births) @ joined, (states * births) @ joined
    if update == "pairwise_comparison":
        # To node i (axis 1) from its neighbour j (axis 2).
        taken = joined / degree[:, None] / (1.0 + np.exp(-selection * (earned[:, None, :] - earned[:, :, None])))
        kept = 1.0 - taken.sum(axis=2)
        to_a = np.einsum("sij,sj->si", taken, states) + kept * states
        return 1.0 - to_a, to_a
    if update not in {"death_birth", "imitation"}:
        raise InputError(f"update is death_birth, imitation, pairwise_comparison or birth_death, not {update!r}")
    candidates = joined + np.eye(len(joined)) if update == "imitation" else joined
    to_a = ((states * fitness) @ candidates) / (fitness @ candidates)
    return 1.0 - to_a, to_a


def graph_fixation(graph: Any, payoffs: Any, selection: complex, **options: Any) -> Array:
    """Return the probabilities that A takes over a small graph, by the node at which the one A is placed.

    ``options`` are those of `graph_chain`. Their mean is the fixation probability of an A placed uniformly.
    """
    largest = abs(selection) * float(np.abs(np.asarray(payoffs, dtype=np.float64)).max())
    if not largest <= STRONGEST:
        raise InputError(f"selection times the largest payoff is {largest:g}; fitness is a number up to {STRONGEST:g}")
    states, chain = graph_chain(graph, payoffs, selection, **options)
    inside = slice(1, len(states) - 1)
    left = np.eye(len(states) - 2) - chain[inside, inside]
    fixed = np.linalg.solve(left, chain[inside, -1])
    found: Array = fixed[2 ** np.arange(states.shape[1]) - 1]
    return found


def fixation_slope(graph: Any, payoffs: Any, **options: Any) -> float:
    """Return how the fixation probability of one A, placed uniformly, rises with the intensity of selection at 0.

    By a step of 1e-30 into the complex plane, so that no difference of near numbers is taken.
    """
    step = 1e-30
    return float(graph_fixation(graph, payoffs, 1j * step, **options).mean().imag / step)
