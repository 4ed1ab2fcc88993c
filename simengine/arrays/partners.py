"""Drawing partners: without replacement, by weight, in pairs, and the orders of sequential phases."""

from __future__ import annotations

import numpy as np

from simengine.arrays.jit import njit
from simengine.random.draws import bits, integer_block, uniform_block

jit = njit(cache=True, nogil=True, error_model="numpy")


@jit
def pick_rank(key, identity, pick, candidates, chosen):  # type: ignore[no-untyped-def]
    """Draw a rank below ``candidates`` different from those in ``chosen[:pick]`` (kept sorted); record it there."""
    rank = integer_block(key, identity, 0, candidates - pick, pick)
    place = 0
    while place < pick and chosen[place] <= rank:
        rank += 1
        place += 1
    for index in range(pick, place, -1):
        chosen[index] = chosen[index - 1]
    chosen[place] = rank
    return rank


@jit
def pick_weighted(key, identity, pick, size, weights):  # type: ignore[no-untyped-def]
    """Draw an index with chance proportional to its weight, then set that weight to zero; -1 when none is left."""
    total = 0.0
    for index in range(size):
        total += weights[index]
    if not total > 0.0:
        return -1
    target = uniform_block(key, identity, pick) * total
    found = -1
    running = 0.0
    for index in range(size):
        if weights[index] > 0.0:
            found = index
            running += weights[index]
            if target < running:
                break
    weights[found] = 0.0
    return found


@jit
def shuffle(key, order, ids, living, sequence):  # type: ignore[no-untyped-def]
    """Fill ``sequence`` with the slots of the living in the order of random keys.

    A key is the agent's 64 drawn bits, the lowest of which give way to its rank, so that sorting the keys sorts the
    agents; two agents whose other bits agree (44 of them for a million agents) come by id.
    """
    rank_bits = np.uint64(0)
    while np.uint64(living) >> rank_bits:
        rank_bits += np.uint64(1)
    keys = np.empty(living, np.uint64)
    for rank in range(living):
        keys[rank] = (bits(key, ids[order[rank]]) >> rank_bits << rank_bits) | np.uint64(rank)
    keys.sort()
    ranks = (np.uint64(1) << rank_bits) - np.uint64(1)
    for place in range(living):
        sequence[place] = order[keys[place] & ranks]


@jit
def match_pairs(key, order, ids, living, mate):  # type: ignore[no-untyped-def]
    """Pair the living at random: ``mate[slot]`` is the partner's slot, -1 for the odd one."""
    sequence = np.empty(living, np.int64)
    shuffle(key, order, ids, living, sequence)
    for rank in range(living):
        mate[sequence[rank]] = -1
    for pair in range(living // 2):
        first, second = sequence[2 * pair], sequence[2 * pair + 1]
        mate[first] = second
        mate[second] = first
