"""The nearest so far, greatest first: each nearer one takes the place of the greatest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

FEW = 12
"""Up to so many, passing all of them costs less than branches that cannot be foreseen."""


@njit(cache=True, nogil=True, error_model="numpy")
def replace_first(value: float, descending: NDArray[np.float64]) -> None:
    """Put a smaller value in the place of the first of descending numbers, and keep their order."""
    last = len(descending) - 1
    for i in range(last):
        other = descending[i + 1]
        descending[i] = other if other > value else value
        value = value if other > value else other
    descending[last] = value


@njit(cache=True, nogil=True, error_model="numpy")
def replace_greatest(value: float, heap: NDArray[np.float64]) -> None:
    """Put a value in the place of the greatest of a heap, its first."""
    k = len(heap)
    at = 0
    while True:
        child = 2 * at + 1
        if child >= k:
            break
        if child + 1 < k and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= value:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = value


@njit(cache=True, nogil=True, error_model="numpy")
def replace_last(value: float, row: int, heap: NDArray[np.float64], heap_row: NDArray[np.int64]) -> None:
    """Put a point in the place of the last of a heap, its first: the greatest distance, and of these the last row."""
    k = len(heap)
    at = 0
    while True:
        child = 2 * at + 1
        if child >= k:
            break
        if child + 1 < k and (
            heap[child + 1] > heap[child] or (heap[child + 1] == heap[child] and heap_row[child + 1] > heap_row[child])
        ):
            child += 1
        if heap[child] < value or (heap[child] == value and heap_row[child] <= row):
            break
        heap[at], heap_row[at] = heap[child], heap_row[child]
        at = child
    heap[at], heap_row[at] = value, row
