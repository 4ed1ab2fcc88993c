from __future__ import annotations

import math

import numpy as np
import pytest

from simengine.analysis.games import alpha_rank, chain_entropy_rate, ranking_entropy
from simengine.errors import InputError

RPS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
PD = np.array([[3.0, 0.0], [5.0, 1.0]])


def test_even_rankings_have_entropy_one_and_sure_ones_zero() -> None:
    assert ranking_entropy(np.full(7, 1 / 7)) == pytest.approx(1.0, rel=1e-15)
    assert ranking_entropy([0.0, 1.0, 0.0]) == 0.0
    assert ranking_entropy([1.0]) == 0.0
    assert ranking_entropy([0.25, 0.75]) == pytest.approx(0.8112781244591328, rel=1e-14)


def test_the_entropy_of_a_ranking_falls_as_selection_grows() -> None:
    matrix = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 0.1], [0.0, 0.0, 0.0]])
    entropies = [ranking_entropy(alpha_rank(matrix, alpha=alpha)) for alpha in (0.0, 0.01, 0.1, 1.0)]
    assert entropies == sorted(entropies, reverse=True)
    assert entropies[0] == pytest.approx(1.0)


def test_the_entropy_rate_of_a_cycle_without_selection_is_that_of_its_steps() -> None:
    # With m = 10 each of two mutants is drawn half of the time and takes over one time in ten.
    expected = -(2 * 0.05 * math.log(0.05) + 0.9 * math.log(0.9))
    assert chain_entropy_rate(RPS, alpha=0.0, population=10) == pytest.approx(expected, rel=1e-12)


def test_the_entropy_rate_of_strong_selection_in_a_cycle_is_that_of_which_mutant_comes() -> None:
    # One mutant of the two takes over surely, the other never.
    assert chain_entropy_rate(RPS, alpha=100.0) == pytest.approx(math.log(2.0), rel=1e-9)
    assert chain_entropy_rate(PD, alpha=100.0) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("shares", [[], [0.5, 0.6], [-0.5, 1.5], [np.nan, 1.0], [[0.5, 0.5]]])
def test_what_is_no_distribution_has_no_entropy(shares: object) -> None:
    with pytest.raises(InputError, match="the distribution has"):
        ranking_entropy(shares)
