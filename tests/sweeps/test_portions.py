from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simengine.sweeps import portions
from simengine.sweeps.portions import Keys, Portions


def runs(points: int, replicates: int = 1) -> Keys:
    point, replicate = np.divmod(np.arange(points * replicates), replicates)
    return np.stack([point, replicate], axis=1)


@given(
    st.integers(0, 400),
    st.integers(1, 5),
    st.lists(st.tuples(st.floats(1e-6, 10.0), st.integers(0, 5), st.booleans()), max_size=60),
)
def test_every_run_is_given_out_until_it_is_done_whatever_is_given_back(
    points: int, workers: int, happenings: list[tuple[float, int, bool]]
) -> None:
    given_out = Portions(runs(points), workers)
    done: list[int] = []
    for seconds, kept, by_time in happenings:
        taken = given_out.take_at_most(7) if by_time else given_out.take()
        if taken is None:
            break
        done += taken[:kept, 0].tolist()
        given_out.back(taken[kept:])
        given_out.learn(min(kept, len(taken)), seconds)
    assert len(given_out) == points - len(done)
    while (taken := given_out.take()) is not None:
        done += taken[:, 0].tolist()
    assert sorted(done) == list(range(points))
    assert len(given_out) == 0


def test_a_portion_grows_to_what_is_worth_a_task_and_shrinks_towards_the_end() -> None:
    given_out = Portions(runs(100_000), workers=2)
    sizes = []
    while (taken := given_out.take()) is not None:
        sizes.append(len(taken))
        given_out.learn(len(taken), len(taken) * 1e-3)
    assert sizes[0] == 1
    assert all(later <= portions.GROWTH * earlier for earlier, later in pairwise(sizes))
    assert max(sizes) == int(portions.WORTH_SECONDS / 1e-3)
    assert sizes[-2] <= portions.LEAST_SECONDS / 1e-3
    assert len(sizes) < 120


def test_long_runs_are_given_out_one_by_one() -> None:
    given_out = Portions(runs(20), workers=2)
    while (taken := given_out.take()) is not None:
        assert len(taken) == 1
        given_out.learn(1, 60.0)


def test_a_portion_of_large_runs_fits_into_memory() -> None:
    given_out = Portions(runs(10_000), workers=1)
    given_out.learn(100, 1e-4, size=100 * portions.MOST_BYTES / 4)
    taken = given_out.take()
    assert taken is not None
    assert len(taken) == 4
    again = given_out.take_at_most(1000)
    assert again is not None
    assert len(again) == 4


def test_the_rest_is_said_in_seconds_once_a_run_was_timed() -> None:
    given_out = Portions(runs(10))
    assert given_out.seconds == 0.0
    given_out.learn(2, 1.0)
    assert given_out.seconds == 5.0


def test_what_was_not_touched_is_worth_tasks_of_its_own_again() -> None:
    given_out = Portions(runs(2000), workers=16)
    taken = given_out.take_at_most(20_000)
    assert taken is not None
    assert len(taken) == 2000
    given_out.untouched(taken[15:])
    given_out.learn(15, 1.5)
    sizes = []
    while (portion := given_out.take()) is not None:
        sizes.append(len(portion))
    assert sum(sizes) == 1985
    assert max(sizes) <= 60


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.booleans()), max_size=40))
def test_every_run_is_given_out_once_whatever_is_left_untouched(happenings: list[tuple[int, int, bool]]) -> None:
    given_out = Portions(runs(50), 3)
    done: list[int] = []
    for most, kept, touched in happenings:
        taken = given_out.take_at_most(most)
        if taken is None:
            break
        done += taken[:kept, 0].tolist()
        (given_out.back if touched else given_out.untouched)(taken[kept:])
    while (taken := given_out.take()) is not None:
        done += taken[:, 0].tolist()
    assert sorted(done) == list(range(50))
