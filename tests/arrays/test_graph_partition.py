"""Parts of graphs: of equal size, with few edges between them, the same every time."""

from __future__ import annotations

import math

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine import InputError
from simengine.arrays.graph_partition import IMBALANCE, cut_of, partition


def rows(graph: networkx.Graph, seed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The graph as (indptr, indices), its nodes renamed at random when there is a seed."""
    names = np.arange(len(graph)) if seed is None else np.random.default_rng(seed).permutation(len(graph))
    index = {node: names[number] for number, node in enumerate(graph.nodes)}
    ends = np.array([(index[a], index[b]) for a, b in graph.edges if a != b], np.int64).reshape(-1, 2)
    both = np.concatenate([ends, ends[:, ::-1]])
    both = both[np.lexsort(both.T[::-1])]
    return np.concatenate([[0], np.cumsum(np.bincount(both[:, 0], minlength=len(graph)))]), both[:, 1]


def cut(graph: tuple[np.ndarray, np.ndarray], part: np.ndarray) -> int:
    return int(cut_of(*graph, part)) // 2


def limit(nodes: int, parts: int) -> int:
    return math.ceil(IMBALANCE * nodes / parts)


@given(
    nodes=st.integers(0, 300), degree=st.floats(0, 6), parts=st.integers(1, 9), seed=st.integers(0, 1000),
    hub=st.booleans(),
)  # fmt: skip
@settings(max_examples=25)
def test_parts_hold_their_share_of_any_graph(nodes: int, degree: float, parts: int, seed: int, hub: bool) -> None:
    drawn = networkx.gnm_random_graph(nodes, int(degree * nodes / 2), seed=seed)
    if hub and nodes:
        drawn.add_edges_from((0, node) for node in range(1, nodes))
    graph = rows(drawn)
    part = partition(*graph, parts)
    assert part.dtype == np.int32
    assert part.shape == (nodes,)
    sizes = np.bincount(part, minlength=parts)
    assert len(sizes) == parts
    assert sizes.max() <= limit(nodes, parts)
    np.testing.assert_array_equal(part, partition(*graph, parts))


def test_groups_that_hang_together_by_a_thread_are_found() -> None:
    cliques = networkx.connected_caveman_graph(4, 60)
    graph = rows(cliques, seed=1)
    part = partition(*graph, 4)
    assert cut(graph, part) == 4
    assert np.bincount(part).tolist() == [60] * 4


@pytest.mark.parametrize(
    ("graph", "parts", "share_of_random"),
    [
        (networkx.watts_strogatz_graph(3000, 10, 0.1, seed=1), 4, 0.2),
        (networkx.grid_2d_graph(60, 60), 4, 0.07),
        (networkx.barabasi_albert_graph(3000, 4, seed=1), 4, 0.75),
        (networkx.random_partition_graph([600] * 5, 0.02, 0.001, seed=1), 5, 0.25),
    ],
    ids=["small world", "grid", "scale-free", "blocks"],
)
def test_cuts_are_much_smaller_than_those_of_random_parts(
    graph: networkx.Graph, parts: int, share_of_random: float
) -> None:
    found = rows(graph, seed=2)
    part = partition(*found, parts)
    at_random = np.random.default_rng(3).integers(0, parts, len(graph)).astype(np.int32)
    assert cut(found, part) < share_of_random * cut(found, at_random)


def test_blocks_of_consecutive_nodes_are_taken_where_nothing_better_is_found() -> None:
    ring = rows(networkx.cycle_graph(1000))
    assert cut(ring, partition(*ring, 5)) == 5


def test_nodes_without_edges_are_shared_out() -> None:
    part = partition(np.zeros(100_001, np.int64), np.empty(0, np.int64), 4)
    assert np.bincount(part).tolist() == [25_000] * 4


def test_a_hub_with_leaves_is_cut_in_no_time() -> None:
    # Without packing leaves together, growing the parts takes time that goes with the square of their number.
    graph = rows(networkx.star_graph(60_000))
    part = partition(*graph, 3)
    assert np.bincount(part).max() <= limit(60_001, 3)
    assert cut(graph, part) >= 60_001 - limit(60_001, 3)


def test_there_is_at_least_one_part() -> None:
    with pytest.raises(InputError, match="at least 1 part, not 0"):
        partition(np.zeros(4, np.int64), np.empty(0, np.int64), 0)
