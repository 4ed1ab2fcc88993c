"""Combining what agents send to one another, so that the order of arrival cannot matter.

``to[slot]`` is the receiver's slot, or -1 when that sender sends nothing.
"""

from __future__ import annotations

import numpy as np

from simengine.arrays.exact import add, new_accumulator, rounded
from simengine.arrays.jit import njit
from simengine.random.draws import bits_pair

jit = njit(cache=True, nogil=True, error_model="numpy")


@jit
def check_receivers(to, inbox):  # type: ignore[no-untyped-def]
    """Raise ``IndexError`` when somebody sends to an index beyond the last slot."""
    beyond = False
    for sender in range(to.shape[0]):
        beyond |= to[sender] >= inbox.shape[0]
    if beyond:
        raise IndexError("a message is sent to an index beyond the last agent")


@jit
def combine_total_integers(to, value, inbox):  # type: ignore[no-untyped-def]
    """Add each value to its receiver's sum."""
    for sender in range(to.shape[0]):
        if to[sender] >= 0:
            inbox[to[sender]] += value[sender]


@jit
def combine_total_floats(sites, values, inbox):  # type: ignore[no-untyped-def]
    """Add values to their receivers' sums, each sum exact and rounded once.

    ``sites`` and ``values`` are tuples of arrays, one ``to`` and its values for each place in the author's function
    that sends.
    """
    starts = np.zeros(inbox.shape[0] + 1, np.int64)
    for site in range(len(sites)):
        to = sites[site]
        for sender in range(to.shape[0]):
            if to[sender] >= 0:
                starts[to[sender] + 1] += 1
    for receiver in range(inbox.shape[0]):
        starts[receiver + 1] += starts[receiver]
    listed = np.empty(starts[inbox.shape[0]], np.float64)
    place = starts.copy()
    for site in range(len(sites)):
        to, value = sites[site], values[site]
        for sender in range(to.shape[0]):
            if to[sender] >= 0:
                listed[place[to[sender]]] = value[sender]
                place[to[sender]] += 1
    for receiver in range(inbox.shape[0]):
        first, last = starts[receiver], starts[receiver + 1]
        if last > first:
            accumulator = new_accumulator()
            for index in range(first, last):
                add(accumulator, listed[index])
            inbox[receiver] = rounded(accumulator)


@jit
def combine_count(to, inbox):  # type: ignore[no-untyped-def]
    """Count contributions."""
    for sender in range(to.shape[0]):
        if to[sender] >= 0:
            inbox[to[sender]] += 1


@jit
def combine_minimum(to, value, inbox):  # type: ignore[no-untyped-def]
    """Keep the smallest value."""
    for sender in range(to.shape[0]):
        if to[sender] >= 0 and value[sender] < inbox[to[sender]]:
            inbox[to[sender]] = value[sender]


@jit
def combine_maximum(to, value, inbox):  # type: ignore[no-untyped-def]
    """Keep the largest value."""
    for sender in range(to.shape[0]):
        if to[sender] >= 0 and value[sender] > inbox[to[sender]]:
            inbox[to[sender]] = value[sender]


@jit
def combine_lowest_id(to, ids, inbox):  # type: ignore[no-untyped-def]
    """Keep the sender with the lowest id."""
    for sender in range(to.shape[0]):
        receiver = to[sender]
        if receiver >= 0 and (inbox[receiver] < 0 or ids[sender] < inbox[receiver]):
            inbox[receiver] = ids[sender]


@jit
def combine_drawn(to, ids, key, receiver_ids, inbox):  # type: ignore[no-untyped-def]
    """Keep the sender whose keyed draw for this receiver is lowest (ties by id)."""
    for sender in range(to.shape[0]):
        receiver = to[sender]
        if receiver < 0:
            continue
        held = inbox[receiver]
        if held < 0:
            inbox[receiver] = ids[sender]
            continue
        mine = bits_pair(key, receiver_ids[receiver], ids[sender])
        theirs = bits_pair(key, receiver_ids[receiver], held)
        if mine < theirs or (mine == theirs and ids[sender] < held):
            inbox[receiver] = ids[sender]
