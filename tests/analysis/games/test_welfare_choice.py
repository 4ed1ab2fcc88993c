from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simengine.analysis.games import nash_product, pareto_front
from simengine.errors import InputError

tables = arrays(
    np.float64, st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)),
    elements=st.integers(-5, 5).map(float),
)  # fmt: skip


def test_the_product_of_two_parties_is_the_square_root_of_their_payoffs() -> None:
    user, assistant = np.array([[4.0, 1.0, 3.0], [2.0, 3.0, 3.0]]), np.array([[1.0, 4.0, 3.0], [2.0, 1.0, 2.0]])
    choice = nash_product([user, assistant])
    assert choice.index == (0, 2)
    assert choice.payoffs.tolist() == [3.0, 3.0]
    assert choice.shift.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(choice.welfare, np.sqrt(user * assistant), rtol=1e-14)


def test_two_losses_do_not_multiply_to_a_gain() -> None:
    both = np.array([[-3.0, 2.0], [-3.0, 2.0]])
    assert np.argmax(both.prod(axis=0)) == 0
    choice = nash_product(both)
    assert choice.index == (1,)
    assert choice.shift.tolist() == [4.0, 4.0]
    assert choice.welfare.tolist() == pytest.approx([1.0, 6.0])


def test_without_a_shift_payoffs_that_are_not_positive_are_refused() -> None:
    with pytest.raises(InputError, match="party 1 has a payoff of -2"):
        nash_product([[1.0, 2.0], [3.0, -2.0]], shift=False)
    with pytest.raises(InputError, match="party 0 has a payoff of 0"):
        nash_product([[0.0, 2.0], [3.0, 2.0]], shift=False)


def test_a_shift_moves_only_those_who_need_it_up_to_the_floor() -> None:
    choice = nash_product([[-5.0, 5.0], [2.0, 1.0]], shift=0.5)
    assert choice.shift.tolist() == [5.5, 0.0]
    assert choice.index == (1,)


def test_zero_for_one_party_does_not_make_choices_alike() -> None:
    assert nash_product([[0.0, 0.0], [1.0, 2.0]]).index == (1,)


def test_weights_move_the_choice_to_the_heavier_party() -> None:
    payoffs = [[9.0, 2.0], [1.0, 4.0]]
    assert nash_product(payoffs).index == (0,)
    assert nash_product(payoffs, weights=[1.0, 4.0]).index == (1,)
    assert nash_product(payoffs, weights=[0.0, 1.0]).index == (1,)


def test_a_party_without_weight_still_breaks_ties() -> None:
    choice = nash_product([[2.0, 2.0], [1.0, 3.0]], weights=[1.0, 0.0])
    assert choice.index == (1,)
    assert choice.ties == [(1,), (0,)]


def test_a_mask_leaves_choices_out_and_offsets_steer() -> None:
    payoffs = np.array([[4.0, 3.0, 1.0], [4.0, 3.0, 1.0]])
    masked = nash_product(payoffs, allowed=np.array([False, True, True]))
    assert masked.index == (1,)
    assert math.isnan(masked.welfare[0])
    steered = nash_product(payoffs, offsets=[[0.0, 0.0, 20.0], [0.0, 0.0, 0.0]])
    assert steered.index == (2,)
    assert steered.payoffs.tolist() == [1.0, 1.0]


@given(table=tables)
def test_the_choice_is_pareto_efficient_whatever_the_signs(table: np.ndarray) -> None:
    choice = nash_product(table)
    assert pareto_front(table)[choice.index]
    assert choice.welfare[choice.index] == pytest.approx(np.max(choice.welfare), rel=1e-11)
    assert np.all(table.reshape(len(table), -1).min(axis=1) + choice.shift > 0)


@given(table=tables, factor=st.sampled_from([0.25, 8.0]))
def test_a_partys_unit_does_not_count_among_positive_payoffs(table: np.ndarray, factor: float) -> None:
    positive = table + 6.0
    scaled = positive.copy()
    scaled[0] *= factor
    assert nash_product(scaled, shift=False).index == nash_product(positive, shift=False).index


@given(table=tables)
def test_the_front_is_what_nothing_dominates(table: np.ndarray) -> None:
    columns = table.reshape(len(table), -1).T
    expected = [
        not any(np.all(other >= mine) and np.any(other > mine) for other in columns) for mine in columns
    ]  # fmt: skip
    assert pareto_front(table).ravel().tolist() == expected
    assert pareto_front(table).any()


@pytest.mark.parametrize(
    ("payoffs", "settings", "says"),
    [
        ([1.0, 2.0], {}, "one table per party"),
        ([[], []], {}, "one table per party"),
        ([[1.0, 2.0], [1.0]], {}, "one shape"),
        ([[1.0, np.nan], [1.0, 2.0]], {}, r"party 0 at \[1\] is nan"),
        ([[1.0], [1.0]], {"weights": [1.0]}, "2 numbers"),
        ([[1.0], [1.0]], {"weights": [-1.0, 2.0]}, "2 numbers"),
        ([[1.0], [1.0]], {"weights": [0.0, 0.0]}, "sum above 0"),
        ([[1.0], [1.0]], {"shift": -1.0}, "shift = -1.0"),
        ([[1.0], [1.0]], {"allowed": [False]}, "leaves no choice"),
        ([[1.0], [1.0]], {"allowed": [True, False]}, r"shape \(1,\)"),
        ([[1.0], [1.0]], {"offsets": [1.0, 2.0]}, "do not fit"),
        ([[1.0], [1.0]], {"offsets": np.inf}, "not finite"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(payoffs: Any, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        nash_product(payoffs, **settings)
