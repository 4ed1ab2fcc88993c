"""Lists of neighbours and changes of edges, against dicts and sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.arrays import graph

AGENTS = 9
PAIRS = st.tuples(st.integers(0, AGENTS - 1), st.integers(0, AGENTS - 1)).filter(lambda pair: pair[0] != pair[1])


def ends(edges: set[tuple[int, int]], room: int = 0) -> tuple[np.ndarray, np.ndarray]:
    listed = sorted(edges)
    source, target = np.full((2, len(listed) + room), -1, np.int32)
    for number, (first, second) in enumerate(listed):
        source[number], target[number] = first, second
    return source, target


@given(
    edges=st.sets(PAIRS), way=st.sampled_from(["out", "in", "both"]), seed=st.integers(0, 1000), numbered=st.booleans()
)
@settings(max_examples=60)
def test_neighbours_come_by_ascending_id_wherever_agents_are_stored(
    edges: set[tuple[int, int]], way: str, seed: int, numbered: bool
) -> None:
    source, target = ends(edges, 3)
    slot_of = np.random.default_rng(seed).permutation(AGENTS)
    ids = np.argsort(slot_of)
    starts = np.empty(AGENTS + 1, np.int64)
    seen = np.full(2 * len(edges), -1, np.int32)
    edge_of = np.full(2 * len(edges) if numbered else 0, -1, np.int32)
    if way == "both":
        graph.place_both_ways(source, target, len(edges), slot_of, ids, starts, seen, edge_of)
    else:
        graph.place_neighbours(source, target, len(edges), slot_of, way == "out", way == "in", starts, seen, edge_of)
    listed = sorted(edges)
    for agent in range(AGENTS):
        # In the order in which they decide: the edge from me before the one to me.
        expected: dict[int, int] = {}
        if way != "in":
            expected |= {b: n for n, (a, b) in enumerate(listed) if a == agent}
        if way != "out":
            expected = {a: n for n, (a, b) in enumerate(listed) if b == agent} | expected
        row = slice(starts[slot_of[agent]], starts[slot_of[agent] + 1])
        assert ids[seen[row]].tolist() == sorted(expected)
        if numbered:
            assert edge_of[row].tolist() == [expected[other] for other in sorted(expected)]


@given(edges=st.sets(PAIRS.filter(lambda pair: pair[0] < pair[1])), seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_both_ends_of_an_undirected_edge_see_one_another(edges: set[tuple[int, int]], seed: int) -> None:
    source, target = ends(edges)
    slot_of = np.random.default_rng(seed).permutation(AGENTS)
    starts, seen = np.empty(AGENTS + 1, np.int64), np.full(2 * len(edges), -1, np.int32)
    none = np.empty(0, np.int32)
    graph.place_neighbours(source, target, len(edges), slot_of, True, True, starts, seen, none)
    ids = np.argsort(slot_of)
    for agent in range(AGENTS):
        row = slice(starts[slot_of[agent]], starts[slot_of[agent] + 1])
        expected = {b for a, b in edges if a == agent} | {a for a, b in edges if b == agent}
        assert ids[seen[row]].tolist() == sorted(expected)


def keys_of(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.sort(np.array([(first << graph.BITS) | second for first, second in pairs], np.int64))


@given(edges=st.sets(PAIRS), dropped=st.lists(PAIRS), added=st.lists(PAIRS))
@settings(max_examples=100)
def test_edges_are_dropped_and_added_as_in_a_dict(
    edges: set[tuple[int, int]], dropped: list[tuple[int, int]], added: list[tuple[int, int]]
) -> None:
    room = len(edges) + len(added)
    source, target = ends(edges, len(added))
    floats, wholes = np.zeros((2, room)), np.zeros((1, room), np.int64)
    floats[0, : len(edges)] = [10.0 * first + second for first, second in sorted(edges)]
    wholes[0, : len(edges)] = range(len(edges))
    held = {pair: (10.0 * pair[0] + pair[1], number) for number, pair in enumerate(sorted(edges))}
    left = graph.drop_edges(source, target, len(edges), floats, wholes, keys_of(dropped), len(dropped))
    for pair in dropped:
        held.pop(pair, None)
    assert left == len(held)
    places = np.full(len(added), -9, np.int64)
    defaults = np.array([-1.0, 4.0]), np.array([-2])
    keys = keys_of(added)
    count = graph.add_edges(source, target, left, floats, wholes, *defaults, keys, len(added), places)
    for pair in added:
        held.setdefault(pair, (-1.0, -2))
    found = list(zip(source[:count].tolist(), target[:count].tolist(), strict=True))
    assert found == sorted(held)
    assert list(zip(floats[0, :count], wholes[0, :count], strict=True)) == [held[pair] for pair in found]
    first_of_each = np.concatenate([[True], np.diff(keys) != 0]) if len(keys) else np.zeros(0, bool)
    assert (places[~first_of_each] == -1).all()
    assert [found[place] for place in places[first_of_each]] == sorted(set(added))


def collected(pairs: list[tuple[int, int]], directed: bool, adding: bool) -> list[tuple[int, int, int]]:
    slots = np.array([3, 1, 0, 2])
    ids = np.argsort(slots)
    first, second = np.ascontiguousarray(np.array(pairs).T)
    keys, senders, sites = np.empty((3, 2 * len(slots)), np.int64)
    arguments: Any = ((first, first), (second, np.full(len(slots), -1)))
    asked = graph.collect_requests(*arguments, slots, ids, len(slots), directed, adding, keys, senders, sites)
    lower = (1 << graph.BITS) - 1
    return [
        (int(key) >> graph.BITS, int(key) & lower, int(ids[s])) for key, s in zip(keys[:asked], senders, strict=False)
    ]


def test_requests_are_listed_by_edge_and_then_by_the_id_of_who_asks() -> None:
    pairs = [(0, 3), (3, 0), (1, -1), (0, 3)]
    # Slots 0 to 3 hold the ids 2, 1, 3, 0: so asks 0 for 2-0, 1 for 0-2, 2 for 2-0.
    assert collected(pairs, True, True) == [(0, 2, 1), (2, 0, 0), (2, 0, 2)]
    assert collected(pairs, False, True) == [(0, 2, 0), (0, 2, 1), (0, 2, 2)]


def test_requests_that_cannot_be_are_refused() -> None:
    nothing = (-1, -1)
    assert collected([(1, 1), nothing, nothing, nothing], True, adding=False) == []
    with pytest.raises(IndexError, match="joins an agent to itself"):
        collected([(1, 1), nothing, nothing, nothing], True, adding=True)
    with pytest.raises(IndexError, match="index beyond the last agent"):
        collected([(1, 4), nothing, nothing, nothing], True, adding=False)
