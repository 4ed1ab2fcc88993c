from __future__ import annotations

import numpy as np
import pytest

from simengine.analysis.games import Game, checked
from simengine.errors import InputError

PD = np.array([[3.0, 0.0], [5.0, 1.0]])


def test_a_square_matrix_is_a_single_population() -> None:
    game = checked([[3, 0], [5, 1]])
    assert game.single
    assert game.sizes == (2,)
    assert game.profiles == 2
    np.testing.assert_array_equal(game.tables[0], PD)


@pytest.mark.parametrize("payoffs", [[PD, PD.T], (PD, PD.T), np.stack([PD, PD.T])])
def test_one_table_per_player_is_a_game_of_several_populations(payoffs: object) -> None:
    game = checked(payoffs)
    assert not game.single
    assert (game.sizes, game.profiles, game.players) == ((2, 2), 4, 2)


def test_checked_tables_are_copies_that_nobody_can_write_to() -> None:
    mine = PD.copy()
    game = checked([mine, mine.T])
    mine[0, 0] = 9.0
    assert game.tables[0][0, 0] == 3.0
    with pytest.raises(ValueError, match="read-only"):
        game.tables[0][0, 0] = 1.0
    assert checked(game) is game


def test_a_single_player_has_a_table_of_one_dimension() -> None:
    assert checked([np.array([1.0, 2.0, 3.0])]).sizes == (3,)
    assert not checked([np.array([1.0, 2.0, 3.0])]).single


def test_profiles_are_numbered_with_the_last_player_changing_first() -> None:
    game = Game((np.zeros((2, 3)), np.zeros((2, 3))), (2, 3), single=False)
    assert [game.strategies(profile) for profile in range(6)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_deviations_are_all_pairs_that_differ_in_one_player() -> None:
    rng = np.random.default_rng(1)
    tables = [rng.normal(size=(2, 3, 4)) for _ in range(3)]
    game = checked(tables)
    source, target, player, gain = game.deviations()
    assert len(source) == 24 * (1 + 2 + 3) // 2
    assert len(set(zip(source.tolist(), target.tolist(), strict=True))) == len(source)
    for s, t, k, g in zip(source, target, player, gain, strict=True):
        a, b = game.strategies(s), game.strategies(t)
        assert s < t
        assert [i for i in range(3) if a[i] != b[i]] == [k]
        assert g == tables[k][b] - tables[k][a]


def test_a_deviation_in_one_population_compares_what_the_two_earn_against_each_other() -> None:
    source, target, _, gain = checked(PD).deviations()
    assert (source.tolist(), target.tolist(), gain.tolist()) == ([0], [1], [5.0])


@pytest.mark.parametrize(
    ("payoffs", "says"),
    [
        ([], "empty"),
        (np.zeros((0, 0)), "empty"),
        ([np.zeros((0, 2)), np.zeros((0, 2))], "empty"),
        ([[1, 2, 3], [4, 5, 6]], "must be square"),
        ([[1, 2], [3]], "2, 1 long"),
        (3.0, "must be square"),
        (None, "must be square"),
        ("a game", "real numbers"),
        ([["a", 1], [2, 3]], "player 0 does not hold real numbers"),
        ([[1, np.nan], [2, 3]], r"holds nan at \[0, 1\]"),
        ([PD, [[1, 2], [np.inf, 3]]], r"player 1 holds inf at \[1, 0\]"),
        ([PD], "not in a list"),
        ([PD, PD, PD], "2 dimension"),
        ([PD, PD[:1]], "player 1 has shape"),
    ],
)
def test_tables_that_are_no_game_are_refused_in_one_line(payoffs: object, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        checked(payoffs)
    assert "\n" not in str(caught.value)
