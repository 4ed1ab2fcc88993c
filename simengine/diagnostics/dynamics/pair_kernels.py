"""Compiled transfer entropies of many pairs of symbol series.

Small alphabets: each state of each agent's past, and of its present with its past, is a row of bits over windows, and
joint counts are numbers of bits that two rows share. Large ones: one pass over the windows per pair.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.dynamics.memory import long_run_variance
from simengine.diagnostics.dynamics.tally import RARE, bias_of, conditional_information, rare_excess

Codes = NDArray[np.int64]
Bits = NDArray[np.uint64]
Floats = NDArray[np.float64]

PLUG_IN, BIAS, DOF, FREEDOM, VARIANCE, NUMBERS = 0, 1, 2, 3, 4, 5
"""Columns: plug-in value, its bias, degrees of freedom, 2 n times the mean of the null, variance of local values."""

QUANTILE = 1.959963984540054
"""As in :mod:`~simengine.diagnostics.estimate`, which kernels do not import: their machine code would follow it."""


_IN_LANES = 4
"""Up to so many states, asking for each of them in lanes is faster than setting bits one by one."""


@intrinsic
def _ones(typingctx: Any, word: Any) -> Any:
    """Return the number of ones of a 64-bit word."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen


# The compiler adds the first argument itself.
ones: Any = _ones


@njit(cache=True, nogil=True, error_model="numpy")
def bit_rows(codes: Codes, states: int) -> Bits:
    """Return for each state of each agent the windows in which it is, shape (agents, states, words)."""
    agents, n = codes.shape
    words = (n + 63) // 64
    rows = np.zeros((agents, states, words), np.uint64)
    if states > _IN_LANES:
        for i in range(agents):
            for t in range(n):
                rows[i, codes[i, t], t // 64] |= np.uint64(1) << np.uint64(t % 64)
        return rows
    for i in range(agents):
        for w in range(words):
            part = codes[i, 64 * w : min(64 * w + 64, n)]
            for state in range(states):
                word = np.uint64(0)
                for t in range(part.size):
                    word |= np.uint64(part[t] == state) << np.uint64(t)
                rows[i, state, w] = word
    return rows


@njit(cache=True, nogil=True, error_model="numpy")
def joint_bits(a: Bits, b: Bits) -> Bits:
    """Return the rows of the joint states of two variables, shape (agents, states of a * states of b, words)."""
    agents, kinds_a, words = a.shape
    kinds_b = b.shape[1]
    rows = np.empty((agents, kinds_a * kinds_b, words), np.uint64)
    for i in range(agents):
        for first in range(kinds_a):
            for second in range(kinds_b):
                for w in range(words):
                    rows[i, first * kinds_b + second, w] = a[i, first, w] & b[i, second, w]
    return rows


@njit(cache=True, nogil=True, error_model="numpy")
def shared_ones(a: Bits, b: Bits) -> int:
    """Return how many bits two rows share."""
    found = np.uint64(0)
    for w in range(a.size):
        found += ones(a[w] & b[w])
    return int(found)


@njit(cache=True, nogil=True, error_model="numpy")
def logarithms(n: int) -> Floats:
    """Return ln 0, ..., ln n, with 0 for the first, shape (n + 1,)."""
    table = np.zeros(n + 1)
    for count in range(2, n + 1):
        table[count] = math.log(float(count))
    return table


@njit(cache=True, nogil=True, error_model="numpy")
def _excess(joint: Codes, rows: Codes, presents: int) -> float:
    found = 0.0
    for first in range(0, joint.shape[0], presents):
        n_c = 0
        for a in range(first, first + presents):
            n_c += rows[a]
        for b in range(joint.shape[1]):
            n_bc = 0
            for a in range(first, first + presents):
                n_bc += joint[a, b]
            for a in range(first, first + presents):
                if rows[a] > 0 and n_bc > 0:
                    found += rare_excess(rows[a], n_bc, n_c)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def summarise(joint: Codes, rows: Codes, presents: int, n: int, logs: Floats, found: Floats) -> None:
    """Write the numbers of one pair.

    ``joint`` counts (past of target * presents + present, past of source), and ``rows`` are its sums over the latter.
    """
    sources = joint.shape[1]
    total, square = 0.0, 0.0
    seen, dof, scarce = 0, 0, False
    for first in range(0, joint.shape[0], presents):
        n_c, kinds_a, kinds_b = 0, 0, 0
        for a in range(first, first + presents):
            kinds_a += rows[a] > 0
            n_c += rows[a]
        if n_c == 0:
            continue
        rare = RARE * n_c
        for b in range(sources):
            n_bc = 0
            for a in range(first, first + presents):
                n_bc += joint[a, b]
            if n_bc == 0:
                continue
            kinds_b += 1
            ratio = logs[n_bc] - logs[n_c]
            for a in range(first, first + presents):
                count, row = joint[a, b], rows[a]
                scarce |= row * n_bc < rare
                if count > 0:
                    seen += 1
                    local = (logs[count] - logs[row]) - ratio
                    weighted = count * local
                    total += weighted
                    square += weighted * local
        seen += 1 - kinds_a - kinds_b
        dof += (kinds_a - 1) * (kinds_b - 1)
    freedom = float(dof)
    if scarce and dof <= n:
        freedom += 2.0 * _excess(joint, rows, presents)
    _write(total, square, seen, dof, freedom, n, found)


@njit(cache=True, nogil=True, error_model="numpy")
def summarise_binary(joint: Codes, rows: Codes, n: int, logs: Floats, found: Floats) -> bool:
    """Do the same for two states of source and target, without loops; False if that needs rare or empty cells."""
    total, square, dof = 0.0, 0.0, 0
    for first in range(0, joint.shape[0], 2):
        p, q, r, s = joint[first, 0], joint[first, 1], joint[first + 1, 0], joint[first + 1, 1]
        row, other = rows[first], rows[first + 1]
        n_c = row + other
        column = p + r
        rest = n_c - column
        if min(row, other) * min(column, rest) < RARE * n_c or min(min(p, q), min(r, s)) == 0:
            return False
        left, right = logs[column] - logs[n_c], logs[rest] - logs[n_c]
        upper, lower = logs[row], logs[other]
        of_p, of_q = (logs[p] - upper) - left, (logs[q] - upper) - right
        of_r, of_s = (logs[r] - lower) - left, (logs[s] - lower) - right
        total += (p * of_p + r * of_r) + (q * of_q + s * of_s)
        square += (p * of_p * of_p + r * of_r * of_r) + (q * of_q * of_q + s * of_s * of_s)
        dof += 1
    _write(total, square, dof, dof, float(dof), n, found)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _write(total: float, square: float, seen: int, dof: int, freedom: float, n: int, found: Floats) -> None:
    share = 1.0 / n
    mean = total * share
    found[PLUG_IN], found[DOF], found[FREEDOM] = mean, dof, freedom
    found[BIAS] = bias_of(mean, float(seen), freedom, n)
    found[VARIANCE] = max(square * share - mean * mean, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def by_bits(sources: Bits, targets: Bits, totals: Codes, presents: int, n: int, edges: Codes, logs: Floats) -> Floats:
    """Return the numbers of each edge (source, target), shape (edges, 5).

    ``totals`` are the numbers of ones in each row of ``targets``; the last state of the source needs no counting.
    """
    found = np.empty((edges.shape[0], NUMBERS))
    joint = np.empty((targets.shape[1], sources.shape[1]), np.int64)
    last = sources.shape[1] - 1
    binary = presents == 2 and last == 1
    for e in range(edges.shape[0]):
        i, j = edges[e, 0], edges[e, 1]
        for state in range(targets.shape[1]):
            left = totals[j, state]
            for b in range(last):
                joint[state, b] = shared_ones(targets[j, state], sources[i, b]) if left > 0 else 0
                left -= joint[state, b]
            joint[state, last] = left
        if not (binary and summarise_binary(joint, totals[j], n, logs, found[e])):
            summarise(joint, totals[j], presents, n, logs, found[e])
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def by_table(
    sources: Codes, source_states: int, targets: Codes, target_states: int, presents: int, edges: Codes,
    logs: Floats,
) -> Floats:  # fmt: skip
    """Return the same from codes of the sources' past and the targets' past and present, shape (agents, n)."""
    n = sources.shape[1]
    found = np.empty((edges.shape[0], NUMBERS))
    joint = np.empty((target_states, source_states), np.int64)
    flat = joint.reshape(-1)
    rows = np.empty(target_states, np.int64)
    for e in range(edges.shape[0]):
        i, j = edges[e, 0], edges[e, 1]
        joint[:] = 0
        rows[:] = 0
        for t in range(n):
            flat[targets[j, t] * source_states + sources[i, t]] += 1
        for state in range(target_states):
            for b in range(source_states):
                rows[state] += joint[state, b]
        summarise(joint, rows, presents, n, logs, found[e])
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def by_windows(
    sources: Codes, source_states: int, presents: Codes, present_states: int, pasts: Codes, past_states: int, rows: int,
    edges: Codes,
) -> tuple[Floats, NDArray[np.bool_]]:  # fmt: skip
    """Return the same with long-run variances, and whether the memory ends, from tables that grow with the windows."""
    found = np.empty((edges.shape[0], NUMBERS))
    ended = np.empty(edges.shape[0], np.bool_)
    for e in range(edges.shape[0]):
        i, j = edges[e, 0], edges[e, 1]
        local, cells, found[e, FREEDOM] = conditional_information(
            presents[j], present_states, sources[i], source_states, pasts[j], past_states
        )
        variance, _, ended[e] = long_run_variance(local.reshape(rows, -1))
        found[e, PLUG_IN], found[e, DOF], found[e, VARIANCE] = local.mean(), cells[4], variance
        seen = float(cells[0] - cells[1] - cells[2] + cells[3])
        found[e, BIAS] = bias_of(found[e, PLUG_IN], seen, found[e, FREEDOM], local.size)
    return found, ended


@njit(cache=True, nogil=True, error_model="numpy")
def errors(numbers: Floats, n: int, corrected: bool) -> tuple[Floats, Floats, Floats, Floats]:
    """Return values, standard errors, and low and high ends of the intervals of all pairs."""
    size = numbers.shape[0]
    value, error, low, high = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    share = 1.0 / n
    for e in range(size):
        plug_in, variance = numbers[e, PLUG_IN], numbers[e, VARIANCE] * share
        second = 0.5 * numbers[e, FREEDOM] * share * share
        value[e] = plug_in - numbers[e, BIAS] if corrected else plug_in
        error[e] = math.sqrt(max(variance - 2.0 * second, 0.0) + second)
        near = 4.0 * math.sqrt(second)
        slope = (variance + 2.0 * share * near) / (plug_in + near) if plug_in > 0.0 else 0.0
        if slope > 0.0:
            shift = second / slope
            root, reach = math.sqrt(max(value[e], 0.0) + shift), 0.5 * QUANTILE * math.sqrt(slope)
            low[e] = max(max(root - reach, 0.0) ** 2 - shift, 0.0)
            high[e] = max((root + reach) ** 2 - shift, 0.0)
        else:
            low[e] = max(value[e] - QUANTILE * error[e], 0.0)
            high[e] = max(value[e] + QUANTILE * error[e], 0.0)
    return value, error, low, high
