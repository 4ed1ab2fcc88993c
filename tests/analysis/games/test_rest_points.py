from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.analysis.games.replicator import replicator_field
from simengine.analysis.games.rest_points import rest_points, resting_sides
from simengine.errors import InputError


def rock_paper_scissors(win: float) -> np.ndarray:
    return np.array([[0.0, -1.0, win], [win, 0.0, -1.0], [-1.0, win, 0.0]])


@pytest.mark.parametrize(("win", "kind"), [(1.0, "centre"), (2.0, "stable"), (0.5, "unstable")])
@pytest.mark.parametrize("intensity", [None, 1.5])
def test_the_middle_of_rock_paper_scissors_is_stable_where_wins_outweigh_losses(
    win: float, kind: str, intensity: float | None
) -> None:
    *corners, middle = rest_points(rock_paper_scissors(win), intensity)
    np.testing.assert_allclose(middle.shares, 1.0 / 3.0, atol=1e-9)
    assert middle.kind == kind
    assert [corner.kind for corner in corners] == ["saddle"] * 3


def test_eigenvalues_of_rock_paper_scissors_are_the_known_ones() -> None:
    # (win - 1) / 6 +- i sqrt(3) (win + 1) / 6: Hofbauer & Sigmund 1998, section 7.7, with losses of 1.
    for win in (0.5, 1.0, 2.0):
        found = rest_points(rock_paper_scissors(win))[-1].eigenvalues
        assert found[0].real == pytest.approx((1.0 - win) / 6.0, abs=1e-8)
        assert abs(found[0].imag) == pytest.approx(np.sqrt(3.0) * (win + 1.0) / 6.0, rel=1e-7)


def test_coordination_has_its_rest_points_at_the_inverse_payoffs() -> None:
    found = {tuple(np.round(one.shares, 9)): one.kind for one in rest_points(np.diag([1.0, 2.0, 3.0]))}
    inverse = 1.0 / np.array([1.0, 2.0, 3.0])
    expected = {tuple(np.round(inverse / inverse.sum(), 9)): "unstable"}
    for corner in range(3):
        expected[tuple(np.eye(3)[corner])] = "stable"
        side = np.delete(np.arange(3), corner)
        shares = np.zeros(3)
        shares[side] = inverse[side] / inverse[side].sum()
        expected[tuple(np.round(shares, 9))] = "saddle"
    assert found == expected


@given(st.lists(st.integers(-6, 6), min_size=9, max_size=9))
def test_nothing_moves_at_rest_points(entries: list[int]) -> None:
    payoffs = np.array(entries, dtype=float).reshape(3, 3)
    for point in rest_points(payoffs):
        (flow,) = replicator_field(payoffs, np.array(point.shares))
        assert np.abs(flow).max() < 1e-6
        assert sum(point.shares) == pytest.approx(1.0)


def test_equal_strategies_rest_along_their_side() -> None:
    payoffs = [[1, 1, 0], [1, 1, 2], [2, 0, 1]]
    assert resting_sides(payoffs) == [(0, 1)]
    assert [point.kind for point in rest_points(payoffs)] == ["degenerate", "degenerate", "saddle"]


def test_a_function_of_shares_that_is_undefined_at_a_corner_is_taken_at_its_limit() -> None:
    def fitness(shares: np.ndarray) -> np.ndarray:
        cooperators, defectors, _ = shares
        good = 2.0 * cooperators / (cooperators + defectors)
        return np.array([good - 0.5, good, 1.0])

    corners = rest_points(fitness)[:3]
    assert corners[0].kind == "saddle"
    assert corners[1].kind == "saddle"


def test_games_of_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="a game of 2 strategies, allowed is one population of three"):
        rest_points(np.eye(2))
    with pytest.raises(InputError, match="a game of 2 populations"):
        rest_points([np.eye(3), np.eye(3)])
