"""Compiled counting of the joint states of symbol series; tables grow with the samples, never with the alphabet.

States are numbered 0, 1, ... Two variables are joined into one by numbering their pairs; where the product of the
numbers of states outgrows the samples, only the pairs that occur are numbered, by hashing. Histories of any length
therefore need memory in proportion to the length of the series.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Codes = NDArray[np.int64]

# Tables of up to this many cells a sample are dense.
_DENSE = 4
_SMALLEST = 64

RARE = 16.0
"""Expected counts from which on a cell's share of the null is that of chi-square."""

# From here on the next term of the series is exact enough: 2 in a thousand of the whole.
_SERIES_FROM = 4.0


@njit(cache=True, nogil=True, error_model="numpy")
def renumbered(keys: Codes) -> tuple[Codes, int]:
    """Return numbers 0, 1, ... for whole numbers, in order of their first appearance, and how many there are."""
    bits = 4
    while (1 << bits) < 2 * keys.size:
        bits += 1
    mask = (1 << bits) - 1
    owner = np.full(1 << bits, -1, np.int64)
    codes = np.empty(keys.size, np.int64)
    first = np.empty(keys.size, np.int64)
    states = 0
    for t in range(keys.size):
        mixed = np.uint64(keys[t]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        slot = np.int64(mixed >> np.uint64(32)) & mask
        while owner[slot] >= 0 and first[owner[slot]] != keys[t]:
            slot = (slot + 1) & mask
        if owner[slot] < 0:
            owner[slot] = states
            first[states] = keys[t]
            states += 1
        codes[t] = owner[slot]
    return codes, states


@njit(cache=True, nogil=True, error_model="numpy")
def numbered(labels: Codes, low: int, span: int) -> tuple[Codes, int]:
    """Return 0, 1, ... for whole numbers from ``low`` to ``low + span - 1``, in ascending order, and how many occur."""
    number = np.zeros(span, np.int64)
    for t in range(labels.size):
        number[labels[t] - low] = 1
    states = 0
    for k in range(span):
        states += int(number[k])
        number[k] = states - 1
    codes = np.empty(labels.size, np.int64)
    for t in range(labels.size):
        codes[t] = number[labels[t] - low]
    return codes, states


@njit(cache=True, nogil=True, error_model="numpy")
def joined(a: Codes, a_states: int, b: Codes, b_states: int) -> tuple[Codes, int]:
    """Return one variable for two, and the number of its states, of which not all need occur."""
    pairs = a * b_states + b
    if a_states * b_states <= max(_DENSE * a.size, _SMALLEST):
        return pairs, a_states * b_states
    return renumbered(pairs)


@njit(cache=True, nogil=True, error_model="numpy")
def counted(codes: Codes, states: int) -> Codes:
    """Return how often each state occurs, shape (states,)."""
    counts = np.zeros(states, np.int64)
    for t in range(codes.size):
        counts[codes[t]] += 1
    return counts


@njit(cache=True, nogil=True, error_model="numpy")
def _logarithms(counts: Codes) -> NDArray[np.float64]:
    found = np.zeros(counts.size)
    for k in range(counts.size):
        if counts[k] > 1:
            found[k] = math.log(float(counts[k]))
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def rare_excess(row: int, column: int, total: int) -> float:
    """Return by how much the mean of n ln n in a cell of a random table exceeds what chi-square has for it.

    The table has fixed margins, so that n is hypergeometric, of mean e = row column / total. The excess is the mean
    of n ln (n / e), less (1 - row / total)(1 - column / total) / 2; nought where e is large.
    """
    mean = row * (column / total)
    if mean >= RARE or row == total or column == total:
        return 0.0
    half = 0.5 * (1.0 - row / total) * (1.0 - column / total)
    if mean >= _SERIES_FROM:
        return half / (6.0 * mean)
    n = max(0, row + column - total)
    share = math.exp(
        math.lgamma(row + 1.0) + math.lgamma(total - row + 1.0) + math.lgamma(column + 1.0)
        + math.lgamma(total - column + 1.0) - math.lgamma(total + 1.0) - math.lgamma(n + 1.0)
        - math.lgamma(row - n + 1.0) - math.lgamma(column - n + 1.0) - math.lgamma(total - row - column + n + 1.0)
    )  # fmt: skip
    found = 0.0
    logarithm = math.log(mean)
    last = min(row, column)
    while n <= last:
        if n > 0:
            found += share * n * (math.log(float(n)) - logarithm)
        share *= (row - n) * float(column - n) / ((n + 1.0) * (total - row - column + n + 1.0))
        n += 1
        if n > mean and share < 1e-14:
            break
    return found - half


@njit(cache=True, nogil=True, error_model="numpy")
def _by_context(counts: Codes, codes: Codes, c: Codes, c_states: int) -> tuple[Codes, Codes]:
    """Return the counts that are not 0, context by context, and where each context begins, shape (contexts + 1,)."""
    context = np.full(counts.size, -1, np.int64)
    for t in range(codes.size):
        context[codes[t]] = c[t]
    starts = np.zeros(c_states + 1, np.int64)
    for k in range(counts.size):
        if context[k] >= 0:
            starts[context[k] + 1] += 1
    for k in range(c_states):
        starts[k + 1] += starts[k]
    place = starts.copy()
    found = np.empty(starts[c_states], np.int64)
    for k in range(counts.size):
        if context[k] >= 0:
            found[place[context[k]]] = counts[k]
            place[context[k]] += 1
    return found, starts


@njit(cache=True, nogil=True, error_model="numpy")
def conditional_information(
    a: Codes, a_states: int, b: Codes, b_states: int, c: Codes, c_states: int
) -> tuple[NDArray[np.float64], Codes, float]:
    """Return ln p(a|b,c) / p(a|c) of each sample; their mean is the plug-in estimate of I(A; B | C).

    Returns
    -------
    local
        Shape (n,), nats.
    cells
        Numbers of states seen of (a, b, c), (a, c), (b, c) and c, and the degrees of freedom of the null, the sum over
        c of (states of a with c - 1) (states of b with c - 1).
    freedom
        2 n times the mean of the null, given the counts of (a, c) and (b, c): the degrees of freedom, and more where
        cells are rare. The degrees of freedom alone if they outnumber the samples.
    """
    ac, ac_states = joined(a, a_states, c, c_states)
    bc, bc_states = joined(b, b_states, c, c_states)
    abc, abc_states = joined(ac, ac_states, b, b_states)
    n_c, n_ac = counted(c, c_states), counted(ac, ac_states)
    n_bc, n_abc = counted(bc, bc_states), counted(abc, abc_states)
    l_c, l_ac, l_bc, l_abc = _logarithms(n_c), _logarithms(n_ac), _logarithms(n_bc), _logarithms(n_abc)
    local = np.empty(a.size)
    for t in range(a.size):
        local[t] = (l_abc[abc[t]] - l_bc[bc[t]]) - (l_ac[ac[t]] - l_c[c[t]])
    rows, row_starts = _by_context(n_ac, ac, c, c_states)
    columns, column_starts = _by_context(n_bc, bc, c, c_states)
    cells = np.zeros(5, np.int64)
    cells[0], cells[1], cells[2] = np.sum(n_abc > 0), rows.size, columns.size
    for k in range(c_states):
        if n_c[k] > 0:
            cells[3] += 1
            kinds_a, kinds_b = row_starts[k + 1] - row_starts[k], column_starts[k + 1] - column_starts[k]
            cells[4] += (kinds_a - 1) * (kinds_b - 1)
    freedom = float(cells[4])
    if cells[4] <= a.size:
        for k in range(c_states):
            for i in range(row_starts[k], row_starts[k + 1]):
                for j in range(column_starts[k], column_starts[k + 1]):
                    freedom += 2.0 * rare_excess(rows[i], columns[j], n_c[k])
    return local, cells, freedom


@njit(cache=True, nogil=True, error_model="numpy")
def bias_of(plug_in: float, seen: float, freedom: float, n: int) -> float:
    """Return the bias of the plug-in estimate.

    Far from the null it is ``seen`` / 2 n, with the signed sum of numbers of cells seen; at the null the mean of that,
    ``freedom`` / 2 n, which counts rare cells in full. The second has the weight of the null in the value.
    """
    if plug_in <= 0.0:
        return freedom / (2.0 * n)
    weight = min(1.0, freedom / (2.0 * n) / plug_in)
    return (seen + weight * (freedom - seen)) / (2.0 * n)


@njit(cache=True, nogil=True, error_model="numpy")
def surprisal(codes: Codes, states: int) -> tuple[NDArray[np.float64], int]:
    """Return -ln p of each sample's state, and how many states are seen."""
    counts = counted(codes, states)
    logs = _logarithms(counts)
    total = math.log(float(codes.size))
    found = np.empty(codes.size)
    for t in range(codes.size):
        found[t] = total - logs[codes[t]]
    return found, int(np.sum(counts > 0))
