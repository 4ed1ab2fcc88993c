"""Where agents are stored: ids to slots, the living in order of id, and members by group.

``order[:living]`` lists the slots of the living by ascending id; storage may be in any order.
"""

from __future__ import annotations

import numpy as np

from simengine.arrays.jit import BORROWING, njit

jit = njit(cache=True, nogil=True, error_model="numpy")
borrowing = njit(cache=True, **BORROWING)


@borrowing
def rank_of(order, ids, living, identity):  # type: ignore[no-untyped-def]
    """Return the rank of an id among the living, or -1."""
    if 0 <= identity < living and ids[order[identity]] == identity:
        return np.int64(identity)
    return searched_rank(order, ids, living, identity)


@jit
def searched_rank(order, ids, living, identity):  # type: ignore[no-untyped-def]
    """:func:`rank_of` where ids are not ranks."""
    low, high = 0, living
    while low < high:
        middle = (low + high) // 2
        if ids[order[middle]] < identity:
            low = middle + 1
        else:
            high = middle
    if low < living and ids[order[low]] == identity:
        return np.int64(low)
    return np.int64(-1)


@borrowing
def slot_of(order, ids, living, identity):  # type: ignore[no-untyped-def]
    """Return the slot of a living agent's id, or -1."""
    if identity < 0:
        return np.int64(-1)
    rank = rank_of(order, ids, living, identity)
    if rank < 0:
        return np.int64(-1)
    return np.int64(order[rank])


@borrowing
def living_slot_of(order, ids, alive, living, identity):  # type: ignore[no-untyped-def]
    """:func:`slot_of` while agents die: those still in ``order`` that are not ``alive`` give -1 as well."""
    slot = slot_of(order, ids, living, identity)
    if slot >= 0 and not alive[slot]:
        return np.int64(-1)
    return slot


@jit
def stand_by_id(order, ids, living):  # type: ignore[no-untyped-def]
    """Return whether the ids are 0, 1, ... and everybody's slot is its id."""
    rank = 0
    while rank < living and order[rank] == rank and ids[rank] == rank:
        rank += 1
    return rank == living


@jit
def group_members(order, living, named, group_order, group_ids, groups, starts, members, group_of, place_of):  # type: ignore[no-untyped-def]
    """List members by the slot of the group that ``named`` gives, each group's members by ascending id.

    ``group_of`` says each member's group (-1 for none), ``place_of`` its place in ``members``. ``starts`` has room for
    the groups and two more: where each begins, and where the last one ends.
    """
    starts[:] = 0
    for rank in range(living):
        slot = order[rank]
        group = slot_of(group_order, group_ids, groups, named[slot])
        group_of[slot] = group
        if group >= 0:
            starts[group + 2] += 1
    for group in range(2, starts.shape[0]):
        starts[group] += starts[group - 1]
    for rank in range(living):
        slot = order[rank]
        group = group_of[slot]
        if group >= 0:
            place = starts[group + 1]
            members[place] = slot
            place_of[slot] = place
            starts[group + 1] = place + 1


@jit
def keep_living(order, alive, living):  # type: ignore[no-untyped-def]
    """Drop the dead from ``order`` without changing the order; return how many live."""
    kept = 0
    for rank in range(living):
        slot = order[rank]
        if alive[slot]:
            order[kept] = slot
            kept += 1
    return kept


@jit
def merge_newborn(order, ids, living, newborn, born):  # type: ignore[no-untyped-def]
    """Merge the slots ``newborn[:born]`` into ``order[:living]`` by id; return how many live."""
    keys = np.empty(born, np.int64)
    for index in range(born):
        keys[index] = ids[newborn[index]]
    ranked = np.argsort(keys)
    write = living + born - 1
    old, new = living - 1, born - 1
    while new >= 0:
        slot = newborn[ranked[new]]
        if old >= 0 and ids[order[old]] > ids[slot]:
            order[write] = order[old]
            old -= 1
        else:
            order[write] = slot
            new -= 1
        write -= 1
    return living + born
