"""Combining what agents send to one another, so that the order of arrival cannot matter.

``to[slot]`` is the receiver's slot, or -1 when that sender sends nothing.
"""

from __future__ import annotations

import math

import numpy as np

from simengine.arrays.exact import add, new_accumulator, rounded
from simengine.arrays.jit import njit
from simengine.random.draws import bits_pair

jit = njit(cache=True, nogil=True, error_model="numpy")

FEW = 32
"""Up to so many values are sorted rather than selected from."""


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
def listed_by_receiver(sites, values, receivers):  # type: ignore[no-untyped-def]
    """List the values sent to each receiver: where each one's begin (and the last one's end), and the values.

    ``sites`` and ``values`` are tuples of arrays, one ``to`` and its values for each place in the author's function
    that sends.
    """
    starts = np.zeros(receivers + 2, np.int64)
    for site in range(len(sites)):
        to = sites[site]
        for sender in range(to.shape[0]):
            if to[sender] >= 0:
                starts[to[sender] + 2] += 1
    for receiver in range(receivers):
        starts[receiver + 2] += starts[receiver + 1]
    listed = np.empty(starts[receivers + 1], np.float64)
    for site in range(len(sites)):
        to, value = sites[site], values[site]
        for sender in range(to.shape[0]):
            if to[sender] >= 0:
                listed[starts[to[sender] + 1]] = value[sender]
                starts[to[sender] + 1] += 1
    return starts, listed


@jit
def combine_total_floats(sites, values, inbox):  # type: ignore[no-untyped-def]
    """Add values to their receivers' sums, each sum exact and rounded once."""
    starts, listed = listed_by_receiver(sites, values, inbox.shape[0])
    for receiver in range(inbox.shape[0]):
        first, last = starts[receiver], starts[receiver + 1]
        if last > first:
            accumulator = new_accumulator()
            for index in range(first, last):
                add(accumulator, listed[index])
            inbox[receiver] = rounded(accumulator)


@jit
def combine_median(sites, values, inbox):  # type: ignore[no-untyped-def]
    """Keep the median of what each receiver was sent, the mean of the middle two for even numbers; nan if any is."""
    starts, listed = listed_by_receiver(sites, values, inbox.shape[0])
    for receiver in range(inbox.shape[0]):
        sent = listed[starts[receiver] : starts[receiver + 1]]
        if sent.shape[0] > 0:
            inbox[receiver] = median_in_place(sent)


@jit
def median_in_place(values):  # type: ignore[no-untyped-def]
    """Return the median of one or more values, which it reorders."""
    for index in range(values.shape[0]):
        if math.isnan(values[index]):
            return values[index]
    upper = values.shape[0] // 2
    if values.shape[0] <= FEW:
        for index in range(1, values.shape[0]):
            moved, place = values[index], index
            while place > 0 and values[place - 1] > moved:
                values[place] = values[place - 1]
                place -= 1
            values[place] = moved
    else:
        select_in_place(values, upper)
    if values.shape[0] % 2 == 1:
        return values[upper]
    lower = values[0]
    for index in range(1, upper):
        lower = max(lower, values[index])
    return 0.5 * (lower + values[upper])


@jit
def select_in_place(values, rank):  # type: ignore[no-untyped-def]
    """Bring the value of a rank to its place, none greater before it and none smaller after it (Hoare's selection)."""
    first, last = 0, values.shape[0] - 1
    while first < last:
        middle = (first + last) // 2
        low, pivot, high = values[first], values[middle], values[last]
        pivot = max(min(low, pivot), min(max(low, pivot), high))
        left, right = first, last
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if rank <= right:
            last = right
        elif rank >= left:
            first = left
        else:
            return


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
