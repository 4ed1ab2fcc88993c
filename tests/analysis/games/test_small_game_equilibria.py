from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.analysis.games import nash_equilibria, pure_equilibria
from simengine.errors import InputError

PD = np.array([[3.0, 0.0], [5.0, 1.0]])
RPS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
SEXES = [np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([[2.0, 0.0], [0.0, 3.0]])]


def test_pure_equilibria_of_textbook_games() -> None:
    assert pure_equilibria([PD, PD.T]) == [(1, 1)]
    assert pure_equilibria(SEXES) == [(0, 0), (1, 1)]
    assert pure_equilibria([RPS, RPS.T]) == []


def test_pure_equilibria_of_one_population_are_best_replies_to_themselves() -> None:
    assert pure_equilibria(PD) == [(1,)]
    assert pure_equilibria(np.eye(3)) == [(0,), (1,), (2,)]
    assert pure_equilibria(RPS) == []


def test_an_indifferent_player_may_stay() -> None:
    assert pure_equilibria([np.zeros((2, 2)), np.zeros((2, 2))]) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
def test_nobody_gains_by_leaving_a_pure_equilibrium_and_somebody_by_leaving_any_other(
    sizes: list[int], seed: int
) -> None:
    tables = list(np.random.default_rng(seed).integers(0, 4, (len(sizes), *sizes)).astype(float))

    def stays(profile: tuple[int, ...]) -> bool:
        others = [(k, (*profile[:k], s, *profile[k + 1 :])) for k in range(len(sizes)) for s in range(sizes[k])]
        return all(tables[k][other] <= tables[k][profile] for k, other in others)

    assert pure_equilibria(tables) == [p for p in itertools.product(*map(range, sizes)) if stays(p)]


def test_the_lab_commons_has_its_nash_effort_and_its_neighbours_that_whole_efforts_tie() -> None:
    x = np.indices((15, 15)).astype(float)
    tables = [x[k] * (23.0 - x.sum(axis=0)) - 2.0 * x[k] for k in range(2)]
    assert pure_equilibria(tables) == [(6, 8), (7, 7), (8, 6)]


def test_the_three_equilibria_of_the_battle_of_the_sexes() -> None:
    pytest.importorskip("nashpy")
    found = sorted((tuple(x.round(12)), tuple(y.round(12))) for x, y in nash_equilibria(SEXES))
    assert found == [((0.0, 1.0), (0.0, 1.0)), ((0.6, 0.4), (0.4, 0.6)), ((1.0, 0.0), (1.0, 0.0))]


def test_rock_paper_scissors_has_one_equilibrium() -> None:
    pytest.importorskip("nashpy")
    ((x, y),) = nash_equilibria(RPS)
    np.testing.assert_allclose(x, 1 / 3, rtol=1e-9)
    np.testing.assert_allclose(y, 1 / 3, rtol=1e-9)


@given(seed=st.integers(0, 2**32 - 1))
def test_random_games_have_an_odd_number_of_equilibria_and_the_pure_ones_are_among_them(seed: int) -> None:
    pytest.importorskip("nashpy")
    tables = list(np.random.default_rng(seed).normal(size=(2, 3, 3)))
    found = nash_equilibria(tables)
    assert len(found) % 2 == 1
    pure = sorted((int(x.argmax()), int(y.argmax())) for x, y in found if max(x) > 1 - 1e-9 and max(y) > 1 - 1e-9)
    assert pure == pure_equilibria(tables)


def test_missing_nashpy_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nashpy", None)
    with pytest.raises(InputError, match=r"^nashpy is not installed: pip install simengine\[games\]$"):
        nash_equilibria(SEXES)


def test_a_player_without_a_choice_leaves_the_best_replies_of_the_other() -> None:
    pytest.importorskip("nashpy")
    ((x, y),) = nash_equilibria([[[1.0, 1.0, 1.0]], [[1.0, 3.0, 2.0]]])
    assert (x.tolist(), y.tolist()) == ([1.0], [0.0, 1.0, 0.0])


def test_mixed_equilibria_are_for_two_players() -> None:
    with pytest.raises(InputError, match="two players, not 3"):
        nash_equilibria(list(np.zeros((3, 2, 2, 2))))


def test_where_nothing_matters_every_pure_pair_is_an_equilibrium() -> None:
    pytest.importorskip("nashpy")
    found = nash_equilibria([np.zeros((2, 2)), np.zeros((2, 2))])
    pure = {(int(x.argmax()), int(y.argmax())) for x, y in found if x.max() == y.max() == 1.0}
    assert pure == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize(("scale", "origin"), [(1.0, 1e8), (1e-9, 0.0), (1e9, -3e9)])
def test_equilibria_do_not_depend_on_scale_and_origin_of_payoffs(scale: float, origin: float) -> None:
    pytest.importorskip("nashpy")
    sexes = [np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([[2.0, 0.0], [0.0, 3.0]])]
    plain = nash_equilibria(sexes)
    assert len(plain) == 3
    moved = nash_equilibria([scale * table + origin for table in sexes])
    assert len(moved) == 3
    for x, y in plain:
        assert any(np.allclose(x, a, atol=1e-6) and np.allclose(y, b, atol=1e-6) for a, b in moved)


def test_equilibria_of_payoffs_of_very_different_size_are_all_found() -> None:
    pytest.importorskip("nashpy")
    assert len(nash_equilibria([[[1e8, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1e8]]])) == 3
