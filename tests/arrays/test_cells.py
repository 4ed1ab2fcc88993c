import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.arrays import cells, vector
from simengine.errors import InputError

FILTERS = {1: cells.filter_1, 2: cells.filter_2, 3: cells.filter_3}
FILTERS_ALL = {1: cells.filter_all_1, 2: cells.filter_all_2, 3: cells.filter_all_3}


def sorted_cells(grid, position, ids):
    d, n = position.shape
    number = int(np.prod(grid.shape))
    cell, order = np.empty(n, np.int32), np.empty(n, np.int32)
    start = np.empty(number + 2, np.int32)
    cells.assign(grid, position, 0, n, cell)
    cells.sort(cell, ids, n, number, start, order)
    table = np.zeros((d + 1, n + vector.WIDTH))
    cells.take(position, order, 0, n, table, 0)
    table[d, :n] = ids[order]
    return cell, start, order, table, number


def neighbours_by_cells(grid, position, ids, reach):
    """Ids of those within reach of each id, in the order in which the cells give them."""
    d = len(position)
    _, start, _, table, number = sorted_cells(grid, position, ids)
    runs, shifts = np.empty((cells.MOST_RUNS, 2), np.int64), np.empty((cells.MOST_RUNS, 3))
    found = {}
    for cell in range(number):
        low, high = start[cell], start[cell + 1]
        if low == high:
            continue
        n_runs, count, own = cells.neighbourhood(grid, start, cell, runs, shifts)
        candidates = cells.scratch(d + 1, count)
        survivors = np.empty(count + cells.SLACK, np.int32)
        cells.copy_candidates(table, d, runs, shifts, n_runs, candidates)
        for i in range(low, high):
            place = own + i - low
            assert candidates[d, place] == table[d, i]
            kept = FILTERS[d](candidates, count, *table[:d, i], reach**2, place, survivors)
            found[int(table[d, i])] = [int(other) for other in candidates[d, survivors[:kept]]]
    return found


def neighbours_by_pairs(position, ids, reach, length):
    offset = position[:, None, :] - position[:, :, None]
    period = np.where(length > 0, length, 1.0)[:, None, None]
    offset -= np.where(length[:, None, None] > 0, period * np.round(offset / period), 0.0)
    near = (offset**2).sum(axis=0) < reach**2
    np.fill_diagonal(near, False)
    return {int(ids[i]): {int(ids[j]) for j in np.nonzero(near[i])[0]} for i in range(len(ids))}


def random_case(d, n, seed, box=10.0):
    generator = np.random.default_rng(seed)
    return generator.random((d, n)) * box, generator.permutation(10 * n)[:n]


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("reach", [0.3, 1.1, 3.2])
def test_cells_find_exactly_the_neighbours_of_all_pairs_in_a_box(d, periodic, reach):
    position, ids = random_case(d, 150, seed=d)
    grid = cells.box_grid(reach, [0.0] * d, [10.0] * d, [periodic] * d, 150)
    found = neighbours_by_cells(grid, position, ids, reach)
    expected = neighbours_by_pairs(position, ids, reach, np.full(d, 10.0 if periodic else 0.0))
    assert {key: set(value) for key, value in found.items()} == expected
    assert all(len(value) == len(set(value)) for value in found.values())


@given(
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.01, 1.0, 30.0]),
    st.sampled_from([0.0, -1e3, 1e6]),
)
@settings(max_examples=60, deadline=None)
def test_open_space_finds_exactly_the_neighbours_of_all_pairs(d, n, seed, spread, centre):
    position, ids = random_case(d, n, seed)
    position = np.ascontiguousarray((position - 5.0) * spread + centre)
    grid = cells.open_grid(d)
    number = cells.fit_open_grid(grid, position, n, 1.0)
    assert number == np.prod(grid.shape) <= max(27, cells.CELLS_PER_AGENT * n)
    found = neighbours_by_cells(grid, position, ids, 1.0)
    expected = neighbours_by_pairs(position, ids, 1.0, np.zeros(d))
    assert {key: set(value) for key, value in found.items()} == expected


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_order_of_neighbours_does_not_depend_on_the_order_of_storage(d):
    position, ids = random_case(d, 300, seed=7)
    grid = cells.box_grid(2.0, [0.0] * d, [10.0] * d, [True] * d, 300)
    shuffle = np.random.default_rng(8).permutation(300)
    first = neighbours_by_cells(grid, position, ids, 2.0)
    second = neighbours_by_cells(grid, np.ascontiguousarray(position[:, shuffle]), ids[shuffle], 2.0)
    assert first == second


def test_agents_are_sorted_by_cell_and_then_by_id():
    position, ids = random_case(2, 500, seed=3)
    grid = cells.box_grid(2.0, [0.0, 0.0], [10.0, 10.0], [False, False], 500)
    cell, start, order, _, number = sorted_cells(grid, position, ids)
    np.testing.assert_array_equal(order, np.lexsort((ids, cell)))
    np.testing.assert_array_equal(np.diff(start[: number + 1]), np.bincount(cell, minlength=number))


def test_coordinates_of_a_cell_count_from_the_first_axis_down():
    grid = cells.box_grid(1.0, [0.0, -5.0], [5.0, 5.0], [True, True], 1000)
    assert grid.shape.tolist() == [1, 5, 10]
    cell = np.empty(2, np.int32)
    cells.assign(grid, np.array([[0.0, 4.9], [-5.0, 4.9]]), 0, 2, cell)
    assert cell.tolist() == [0, 49]


def test_a_position_on_the_far_wall_belongs_to_the_last_cell():
    grid = cells.box_grid(1.0, [0.0], [10.0], [True], 100)
    cell = np.empty(2, np.int32)
    cells.assign(grid, np.array([[10.0, np.nextafter(10.0, 0.0)]]), 0, 2, cell)
    assert cell.tolist() == [9, 9]


@pytest.mark.parametrize("d", [1, 2, 3])
def test_all_pairs_by_nearest_images_find_the_same_neighbours_as_numpy(d):
    reach, n = 4.5, 61
    position, _ = random_case(d, n, seed=d)
    assert cells.box_grid(reach, [0.0] * d, [10.0] * d, [True] * d, n) is None
    table = np.zeros((d, n + vector.WIDTH))
    table[:, :n] = position
    candidates, survivors = cells.scratch(d, n), np.empty(n + cells.SLACK, np.int32)
    cells.copy_candidates(table, d, np.array([[0, n]]), np.full((1, 3), -0.0), 1, candidates)
    lengths = np.full(3, 10.0)
    expected = neighbours_by_pairs(position, np.arange(n), reach, lengths[:d])
    for i in range(n):
        kept = FILTERS_ALL[d](candidates, n, *position[:, i], lengths, reach**2, i, survivors)
        assert survivors[:kept].tolist() == sorted(expected[i])


def test_candidates_are_copied_bit_for_bit_where_nothing_is_displaced():
    table = np.array([[-0.0, 0.0, -1.5] + [0.0] * 8, [np.nan, -0.0, np.inf] + [0.0] * 8])
    candidates = cells.scratch(2, 3)
    cells.copy_candidates(table, 1, np.array([[0, 3]]), np.full((1, 3), -0.0), 1, candidates)
    np.testing.assert_array_equal(candidates[:, :3], table[:, :3])
    np.testing.assert_array_equal(np.signbit(candidates[:, :3]), np.signbit(table[:, :3]))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 8))
@settings(deadline=None)
def test_chunks_cover_every_cell_once_and_in_order(sizes, chunks):
    start = np.zeros(len(sizes) + 2, np.int32)
    start[1:-1] = np.cumsum(sizes)
    start[-1] = start[-2]
    bounds = np.empty(chunks + 1, np.int64)
    cells.chunk_cells(start, len(sizes), chunks, bounds)
    assert bounds[0] == 0
    assert bounds[-1] == len(sizes)
    assert all(a <= b for a, b in itertools.pairwise(bounds))


@pytest.mark.parametrize("reach", [0.0, -1.0, np.inf, np.nan])
def test_a_reach_that_is_not_a_positive_number_is_refused(reach):
    with pytest.raises(InputError, match="reach"):
        cells.box_grid(reach, [0.0], [1.0], [True], 10)


def test_a_box_without_extent_is_refused():
    with pytest.raises(InputError, match="low < high"):
        cells.box_grid(1.0, [0.0, 1.0], [5.0, 1.0], [True, True], 10)
