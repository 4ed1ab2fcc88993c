"""Compiled: for each place in a sequence, the longest run from there that also began earlier.

Suffixes are sorted by doubling the length that counts (Manber & Myers 1993) with radix sorts, O(n log n); the common
prefixes of neighbours follow in O(n) (Kasai et al. 2001), and from both the longest previous factors in O(n)
(Crochemore & Ilie 2008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Codes = NDArray[np.int64]
Places = NDArray[np.int32]


@njit(cache=True, nogil=True, error_model="numpy")
def suffix_array(codes: Codes, states: int) -> tuple[Places, Places]:
    """Return the places of a sequence of 0, ..., states - 1 in the order of their suffixes, and each place's rank."""
    n = codes.size
    order, rank = np.empty(n, np.int32), np.empty(n, np.int32)
    second, fresh = np.empty(n, np.int32), np.empty(n, np.int32)
    starts = np.zeros(max(n, states) + 1, np.int32)
    for i in range(n):
        starts[codes[i] + 1] += 1
    for k in range(states):
        starts[k + 1] += starts[k]
    for i in range(n):
        order[starts[codes[i]]] = i
        starts[codes[i]] += 1
    kinds = 0
    for at in range(n):
        if at > 0 and codes[order[at]] != codes[order[at - 1]]:
            kinds += 1
        rank[order[at]] = kinds
    length = 1
    while kinds < n - 1:
        filled = 0
        for i in range(n - min(length, n), n):
            second[filled] = i
            filled += 1
        for at in range(n):
            if order[at] >= length:
                second[filled] = order[at] - length
                filled += 1
        starts[: kinds + 2] = 0
        for i in range(n):
            starts[rank[i] + 1] += 1
        for k in range(kinds + 1):
            starts[k + 1] += starts[k]
        for at in range(n):
            i = second[at]
            order[starts[rank[i]]] = i
            starts[rank[i]] += 1
        kinds = 0
        fresh[order[0]] = 0
        for at in range(1, n):
            i, before = order[at], order[at - 1]
            same = rank[i] == rank[before] and max(i, before) + length < n
            if not (same and rank[i + length] == rank[before + length]):
                kinds += 1
            fresh[i] = kinds
        rank, fresh = fresh, rank
        length *= 2
    return order, rank


@njit(cache=True, nogil=True, error_model="numpy")
def previous_factors(codes: Codes, states: int) -> Places:
    """Return for each place the length of the longest run from there that also begins at an earlier place.

    The two occurrences may overlap; a run that reaches the end of the sequence ends there.
    """
    n = codes.size
    order, rank = suffix_array(codes, states)
    common = np.zeros(n + 1, np.int32)
    length = 0
    for i in range(n):
        if rank[i] == 0:
            length = 0
            continue
        before = order[rank[i] - 1]
        while i + length < n and before + length < n and codes[i + length] == codes[before + length]:
            length += 1
        common[rank[i]] = length
        length = max(length - 1, 0)
    up, down = np.empty(n + 1, np.int32), np.empty(n + 1, np.int32)
    for at in range(n + 1):
        up[at], down[at] = at - 1, at + 1
    longest = np.empty(n, np.int32)
    # From the last place to the first: all that are left in the list begin earlier.
    for i in range(n - 1, -1, -1):
        at = rank[i]
        below = down[at]
        longest[i] = max(common[at], common[below])
        common[below] = min(common[at], common[below])
        down_of = up[at]
        if down_of >= 0:
            down[down_of] = below
        up[below] = down_of
    return longest


@njit(cache=True, nogil=True, error_model="numpy")
def phrases(longest: Places) -> int:
    """Return the number of phrases of Lempel & Ziv (1976), the last of which need not be new."""
    place, count = 0, 0
    while place < longest.size:
        place += longest[place] + 1
        count += 1
    return count
