"""Compiled stop conditions."""

from __future__ import annotations

from simengine.arrays.jit import njit

jit = njit(cache=True, nogil=True, error_model="numpy")


@jit
def stays_within(before, now, order, living, within):  # type: ignore[no-untyped-def]
    """Whether no living agent's value moved by more than ``within``."""
    for rank in range(living):
        slot = order[rank]
        if not abs(now[slot] - before[slot]) <= within:
            return False
    return True


@jit
def same_agents(before_ids, ids, order, living):  # type: ignore[no-untyped-def]
    """Whether every living agent already lived, in its slot, when the ids were copied."""
    for rank in range(living):  # noqa: SIM110
        if before_ids[order[rank]] != ids[order[rank]]:
            return False
    return True


@jit
def all_equal(values, order, living):  # type: ignore[no-untyped-def]
    """Whether all living agents hold one value."""
    for rank in range(1, living):  # noqa: SIM110
        if values[order[rank]] != values[order[0]]:
            return False
    return True
