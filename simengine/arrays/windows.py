"""Windows of a sorted field: who lies within reach of whom, and totals over windows from exact prefix sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from simengine.arrays.jit import njit

jit = njit(cache=True, nogil=True, error_model="numpy")

DIGITS = 51
"""Bits of a lower limb; the upper one holds the sign, and what is left of 62 bits after room for n numbers."""

SPOILT = 3
"""Column of prefix sums that counts what is not finite."""

_MAGNITUDE = 0x7FFFFFFFFFFFFFFF
_NOT_FINITE = 0x7FF
_LOWEST_EXPONENT = 62
_ROOM = 61


@jit
def sort_by_value(values: Any, order: Any, ids: Any, living: Any, guess: Any, sequence: Any) -> Any:
    """Fill ``sequence`` with the slots of the living by value and id; return how many values are numbers.

    Not-a-number comes last. With ``guess`` the sequence holds the same slots already, perhaps nearly in order: then few
    moves are enough. What is found does not depend on it.
    """
    numbers = 0
    for rank in range(living):
        numbers += values[order[rank]] == values[order[rank]]
    if guess and numbers == living:
        moves = 8 * living
        for rank in range(1, living):
            slot = sequence[rank]
            value, identity = values[slot], ids[slot]
            place = rank
            while place > 0 and moves > 0:
                other = sequence[place - 1]
                if not (value < values[other] or (value == values[other] and identity < ids[other])):
                    break
                sequence[place] = other
                place -= 1
                moves -= 1
            sequence[place] = slot
            if moves <= 0:
                break
        else:
            return numbers
    keys = np.empty(living, np.float64)
    for rank in range(living):
        keys[rank] = values[order[rank]]
    by_value = np.argsort(keys, kind="mergesort")
    for rank in range(living):
        sequence[rank] = order[by_value[rank]]
    return numbers


@jit
def bounds_in_order(values: Any, sequence: Any, numbers: Any, reach: Any, low: Any, high: Any) -> None:
    """For each place in the sequence, the first place within reach of it and the one past the last."""
    ordered = np.empty(numbers, values.dtype)
    for place in range(numbers):
        ordered[place] = values[sequence[place]]
    first, past = np.uint64(0), np.uint64(0)
    for place in range(np.uint64(numbers)):
        here = ordered[place]
        while here - ordered[first] > reach:
            first += np.uint64(1)
        while past < np.uint64(numbers) and ordered[past] - here <= reach:
            past += np.uint64(1)
        low[place], high[place] = first, past


@jit
def places(sequence: Any, living: Any, numbers: Any, place_of: Any) -> None:
    """Where in the sequence each slot stands, -1 for those whose value is not a number."""
    for place in range(living):
        place_of[sequence[place]] = place if place < numbers else -1


@jit
def bounds_of(here: Any, values: Any, sequence: Any, numbers: Any, reach: Any) -> Any:
    """The same by bisection, for a value of another population or a reach of one's own."""
    # The difference of two infinities is no number.
    if not (reach >= 0.0 and np.isfinite(here)):
        return 0, 0
    low, past = 0, numbers
    while low < past:
        middle = (low + past) // 2
        if values[sequence[middle]] >= here or here - values[sequence[middle]] <= reach:
            past = middle
        else:
            low = middle + 1
    first, past = low, numbers
    while low < past:
        middle = (low + past) // 2
        if values[sequence[middle]] <= here or values[sequence[middle]] - here <= reach:
            low = middle + 1
        else:
            past = middle
    return first, low


@jit
def prefix_sums(parts: Any) -> Any:
    """Exact sums of the first 0, 1, ... n floats, as three whole numbers each, and the unit of the first of them.

    The numbers are cut at 130 bits or more below the largest, which is far below what any of their sums is rounded to.
    What is not finite is left out and counted.
    """
    n = parts.size
    largest = np.int64(_LOWEST_EXPONENT)
    for place in range(n):
        exponent = (np.float64(parts[place]).view(np.int64) & _MAGNITUDE) >> 52
        if exponent != _NOT_FINITE:
            largest = max(largest, exponent)
    room = np.int64(0)
    while n >> room:
        room += 1
    scale = 2.0 ** np.float64(_ROOM - room + 1022 - largest)
    sums = np.empty((n + 1, 4), np.int64)
    upper, middle, lower, spoilt = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    one, mask = 2.0**DIGITS, (np.int64(1) << DIGITS) - 1
    for place in range(n + 1):
        sums[place, 0], sums[place, 1], sums[place, 2], sums[place, SPOILT] = upper, middle, lower, spoilt
        if place == n:
            break
        scaled = parts[place] * scale
        if not np.isfinite(scaled):
            spoilt += 1
            continue
        whole = np.trunc(scaled)
        rest = (scaled - whole) * one
        part = np.trunc(rest)
        lower += np.int64((rest - part) * one)
        middle += np.int64(part) + (lower >> DIGITS)
        lower &= mask
        upper += np.int64(whole) + (middle >> DIGITS)
        middle &= mask
    return sums, 1.0 / scale


@jit
def sum_between(sums: Any, unit: Any, low: Any, high: Any, without: Any) -> Any:
    """The sum of the parts at ``low`` to ``high - 1``, but for the one at ``without`` (none when -1), rounded once."""
    if high <= low:
        return 0.0
    # Unsigned, because numba lets signed indices count from the end, which costs a comparison for each.
    first, past = np.uint64(low), np.uint64(high)
    upper, middle, lower = (
        sums[past, 0] - sums[first, 0],
        sums[past, 1] - sums[first, 1],
        sums[past, 2] - sums[first, 2],
    )
    spoilt = sums[past, SPOILT] - sums[first, SPOILT]
    if without >= 0:
        mine, after = np.uint64(without), np.uint64(without + 1)
        upper -= sums[after, 0] - sums[mine, 0]
        middle -= sums[after, 1] - sums[mine, 1]
        lower -= sums[after, 2] - sums[mine, 2]
        spoilt -= sums[after, SPOILT] - sums[mine, SPOILT]
    if spoilt > 0:
        return np.nan
    mask = (np.int64(1) << DIGITS) - 1
    middle += lower >> DIGITS
    lower &= mask
    upper += middle >> DIGITS
    middle &= mask
    return rounded(upper, middle, lower) * unit


@jit
def rounded(upper: Any, middle: Any, lower: Any) -> Any:
    """``upper + middle / 2**51 + lower / 2**102`` as the nearest float64; both fractions are below 1."""
    negative = upper < 0
    if negative:
        # Minus the number, limb by limb.
        mask = (np.int64(1) << DIGITS) - 1
        lower = (-lower) & mask
        middle = (-middle - np.int64(lower != 0)) & mask
        upper = -upper - np.int64(middle != 0 or lower != 0)
    # The leading 62 bits or more as one whole number; what is below only says to which side a tie falls.
    shift: Any = 0
    if upper == 0:
        upper, middle, lower, shift = middle, lower, np.int64(0), DIGITS
        if upper == 0:
            upper, middle, shift = middle, np.int64(0), 2 * DIGITS
    # The exponent of its float, which may have been rounded up, is its number of bits or one more.
    width: Any = (np.float64(upper).view(np.int64) >> 52) - 1022
    more: Any = min(_ROOM - width, DIGITS)
    if more > 0:
        upper = (upper << more) | (middle >> (DIGITS - more))
        middle &= (np.int64(1) << (DIGITS - more)) - 1
        shift += more
        # A leading limb of few bits and a whole one are too few to round from.
        further: Any = min(_ROOM - width - more, DIGITS)
        if further > 0:
            upper = (upper << further) | (lower >> (DIGITS - further))
            lower &= (np.int64(1) << (DIGITS - further)) - 1
            shift += further
    sticky = middle != 0 or lower != 0
    value = np.float64(upper | np.int64(sticky)) * np.int64((1023 - shift) << 52).view(np.float64)
    return -value if negative else value


@jit
def prefix_counts(parts: Any) -> Any:
    """Sums of the first 0, 1, ... n whole numbers."""
    sums = np.empty(parts.size + 1, np.int64)
    sums[0] = 0
    for place in range(parts.size):
        sums[place + 1] = sums[place] + parts[place]
    return sums


@jit
def count_between(sums: Any, low: Any, high: Any, without: Any) -> Any:
    """The sum of the whole numbers at ``low`` to ``high - 1``, but for the one at ``without`` (none when -1)."""
    if high <= low:
        return np.int64(0)
    found = sums[high] - sums[low]
    if without >= 0:
        found -= sums[without + 1] - sums[without]
    return found
