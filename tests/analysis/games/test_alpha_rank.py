"""Alpha-rank against closed forms, open_spiel, and linear solves to 80 digits."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.analysis.games import alpha_rank, fixation_probability, marginals, transition_rates
from simengine.errors import InputError, RunError

Tables = list[np.ndarray]
PD = np.array([[3.0, 0.0], [5.0, 1.0]])
RPS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
BIASED_RPS = np.array([[0.0, -0.25, 0.5], [0.25, 0.0, -0.05], [-0.5, 0.05, 0.0]])
PENNIES = np.array([[1.0, -1.0], [-1.0, 1.0]])
SEXES = [np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([[2.0, 0.0], [0.0, 3.0]])]


def commitment_game() -> np.ndarray:
    """The prisoner's dilemma with commitments of Han, Pereira, Santos & Lenaerts (2013).

    Strategies: propose and commit, cooperate, defect, accept and fake, free-ride on commitments of others.
    """
    reward, temptation, punishment, sucker, compensation, cost = 1.0, 2.0, 0.0, -1.0, 4.0, 0.25
    propose = [reward - cost / 2, reward - cost, 0.0, sucker + compensation - cost, reward - cost]
    cooperate = [reward, reward, sucker, sucker, sucker]
    defect = [0.0, temptation, punishment, punishment, punishment]
    fake = [temptation - compensation, temptation, punishment, punishment, punishment]
    free = [reward, temptation, punishment, punishment, punishment]
    return np.array([propose, cooperate, defect, fake, free])


def three_player_game() -> Tables:
    rng = np.random.default_rng(12)
    return [rng.integers(-4, 5, (2, 2, 2)) / 4.0 for _ in range(3)]


def quadratic_commons(players: int, efforts: int, a: float, b: float, w: float) -> tuple[Tables, np.ndarray]:
    """Ostrom's lab commons without the endowment, and its exact potential."""
    x = np.indices((efforts,) * players).astype(float)
    total = x.sum(axis=0)
    tables = [x[k] * (a - b * total) - w * x[k] for k in range(players)]
    pairs = sum(x[i] * x[j] for i, j in itertools.combinations(range(players), 2))
    return tables, ((a - w) * x - b * x**2).sum(axis=0) - b * pairs


def gibbs(potential: np.ndarray, intensity: float) -> np.ndarray:
    weights = np.exp(intensity * (potential - potential.max())).ravel()
    return weights / weights.sum()


def test_the_ratio_of_fixation_probabilities_there_and_back_is_a_boltzmann_factor() -> None:
    u = np.array([1e-12, 1e-6, 0.01, 0.3, 1.0, 5.0])
    for m in (2, 20, 50):
        ratio = fixation_probability(u, m) / fixation_probability(-u, m)
        np.testing.assert_allclose(ratio, np.exp((m - 1) * u), rtol=1e-12)


def test_fixation_probabilities_are_the_textbooks() -> None:
    assert fixation_probability(0.0, 50) == pytest.approx(1 / 50, rel=1e-15)
    u = 0.3
    assert fixation_probability(u, 20) == pytest.approx((1 - math.exp(-u)) / (1 - math.exp(-20 * u)), rel=1e-14)
    assert fixation_probability(-1e4, 50) == 0.0
    assert fixation_probability(1e4, 50) == 1.0


def test_a_game_of_two_strategies_is_a_boltzmann_law() -> None:
    share = alpha_rank(PD, alpha=0.01, population=50)
    assert share[1] == pytest.approx(0.920561, abs=5e-7)
    assert share[1] / share[0] == pytest.approx(math.exp(49 * 0.01 * 5), rel=1e-12)


def test_potential_games_are_gibbs_laws() -> None:
    k = 49 * 0.01
    dilemma = alpha_rank([PD, PD.T], alpha=0.01)
    np.testing.assert_allclose(dilemma, gibbs(np.array([0.0, 2.0, 2.0, 3.0]), k), rtol=1e-10)
    np.testing.assert_allclose(dilemma, [0.0936, 0.2495, 0.2495, 0.4073], atol=6e-5)
    sexes = alpha_rank(SEXES, alpha=0.01)
    np.testing.assert_allclose(sexes, gibbs(np.array([0.0, -2.0, -3.0, 0.0]), k), rtol=1e-10)
    np.testing.assert_allclose(sexes, [0.38384, 0.14406, 0.08825, 0.38384], atol=6e-6)


@pytest.mark.parametrize("solver", ["elimination", "iteration"])
def test_the_lab_commons_is_a_gibbs_law_of_its_potential(solver: str) -> None:
    tables, potential = quadratic_commons(3, 4, a=8.0, b=1.0, w=2.0)
    share = alpha_rank(tables, alpha=0.03, population=20, solver=solver)
    np.testing.assert_allclose(share, gibbs(potential, 19 * 0.03), rtol=1e-10)
    table = share.reshape(4, 4, 4)
    top = np.argwhere(table >= table.max() * (1 - 1e-9))
    assert {tuple(sorted(profile)) for profile in top.tolist()} == {(1, 1, 2), (1, 2, 2)}
    assert table.max() == pytest.approx(0.0504075, abs=5e-8)


@pytest.mark.parametrize("solver", ["elimination", "iteration"])
def test_a_potential_game_keeps_its_gibbs_law_where_ordinary_numbers_underflow(solver: str) -> None:
    rng = np.random.default_rng(5)
    potential = rng.normal(size=(3, 4, 3))
    potential.ravel()[[7, 20]] = potential.max() + 1e-6
    private = [rng.normal(size=potential.shape) for _ in range(3)]
    tables = [potential + own.mean(axis=k, keepdims=True) for k, own in enumerate(private)]
    share = alpha_rank(tables, alpha=1e3, population=50, solver=solver)
    # Logarithms of rates are of order 1e5, so that payoffs of 16 digits leave about 1e-11.
    np.testing.assert_allclose(share, gibbs(potential, 49e3), atol=1e-9)
    assert share.max() < 0.6


@pytest.mark.parametrize(("alpha", "m"), [(0.01, 2), (1.0, 50), (100.0, 20), (1e4, 50), (math.inf, 50)])
def test_symmetric_cycles_are_uniform(alpha: float, m: int) -> None:
    np.testing.assert_allclose(alpha_rank(RPS, alpha=alpha, population=m), 1 / 3, rtol=1e-10)
    np.testing.assert_allclose(alpha_rank([PENNIES, -PENNIES], alpha=alpha, population=m), 1 / 4, rtol=1e-10)


def test_a_biased_cycle_is_uniform_at_infinite_alpha() -> None:
    np.testing.assert_allclose(alpha_rank(BIASED_RPS, alpha=math.inf, epsilon=1e-6), 1 / 3, rtol=1e-5)
    assert np.ptp(alpha_rank(BIASED_RPS, alpha=1.0)) > 0.1


def test_infinite_alpha_moves_evenly_between_tied_profiles() -> None:
    np.testing.assert_allclose(alpha_rank(np.zeros((4, 4)), alpha=math.inf), 1 / 4, rtol=1e-14)
    rates = np.exp(transition_rates(np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), alpha=math.inf))
    np.testing.assert_allclose(rates, 0.5 * np.array([[0, 0.5, 0.01], [0.5, 0, 0.99], [0.99, 0.01, 0]]), rtol=1e-12)


def test_the_published_commitment_game_under_global_selection() -> None:
    share = alpha_rank(commitment_game(), alpha=0.1, population=20, selection="global")
    np.testing.assert_allclose(share, [0.40966787, 0.07959841, 0.20506998, 0.08505983, 0.2206039], atol=5e-9)


def test_the_short_cut_for_constant_sums_is_the_long_way() -> None:
    for shift in (0.0, 3.0):
        # A shift of 1e-9 in one payoff makes the sum not constant.
        nudged = BIASED_RPS + shift
        nudged[0, 1] += 1e-9
        short = alpha_rank(BIASED_RPS + shift, alpha=2.0, population=10, selection="global")
        long = alpha_rank(nudged, alpha=2.0, population=10, selection="global")
        np.testing.assert_allclose(short, long, rtol=1e-7)


def test_global_selection_of_two_strategies_weighs_the_sum_of_all_advantages() -> None:
    matrix, m, alpha = np.array([[4.0, 1.0], [3.0, 2.0]]), 10, 0.3
    i = np.arange(1, m)
    first = ((i - 1) * matrix[0, 0] + (m - i) * matrix[0, 1]) / (m - 1)
    second = (i * matrix[1, 0] + (m - i - 1) * matrix[1, 1]) / (m - 1)
    share = alpha_rank(matrix, alpha=alpha, population=m, selection="global")
    assert share[0] / share[1] == pytest.approx(math.exp(alpha * (first - second).sum()), rel=1e-12)


def test_no_selection_is_uniform_and_one_profile_has_it_all() -> None:
    rng = np.random.default_rng(2)
    tables = [rng.normal(size=(2, 3, 4)) for _ in range(3)]
    np.testing.assert_allclose(alpha_rank(tables, alpha=0.0), 1 / 24, rtol=1e-13)
    assert alpha_rank([[7.0]]).tolist() == [1.0]
    assert alpha_rank([np.ones((1, 1)), np.ones((1, 1))]).tolist() == [1.0]


def test_marginals_sum_over_the_others() -> None:
    share = alpha_rank([PD, PD.T], alpha=0.01)
    first, second = marginals(share, [PD, PD.T])
    np.testing.assert_allclose(first, [share[0] + share[1], share[2] + share[3]])
    np.testing.assert_allclose(second, [share[0] + share[2], share[1] + share[3]])


def test_transition_rates_are_the_chains_of_the_distribution() -> None:
    tables = three_player_game()
    rates = np.exp(transition_rates(tables, alpha=1.0, population=20))
    share = alpha_rank(tables, alpha=1.0, population=20)
    np.testing.assert_allclose(share @ rates, share * rates.sum(axis=1), rtol=1e-10)
    assert np.count_nonzero(rates) == 8 * 3
    assert rates.sum(axis=1).max() <= 1.0 + 1e-12


games = st.tuples(st.lists(st.integers(2, 4), min_size=1, max_size=3), st.integers(0, 2**32 - 1))


def drawn(game: tuple[list[int], int]) -> tuple[Any, np.random.Generator]:
    sizes, seed = game
    rng = np.random.default_rng(seed)
    if len(sizes) == 1:
        return rng.normal(size=(sizes[0] + 1, sizes[0] + 1)), rng
    return [rng.normal(size=sizes) for _ in sizes], rng


@given(game=games, alpha=st.sampled_from([0.01, 1.0, 30.0]))
def test_what_a_player_earns_whatever_it_does_does_not_count(game: tuple[list[int], int], alpha: float) -> None:
    tables, rng = drawn(game)
    if isinstance(tables, list):
        moved: Any = [t + rng.normal(size=t.shape).mean(axis=k, keepdims=True) for k, t in enumerate(tables)]
    else:
        shared = rng.normal(size=tables.shape)
        moved = tables + shared + shared.T
    np.testing.assert_allclose(alpha_rank(moved, alpha=alpha), alpha_rank(tables, alpha=alpha), atol=1e-9)


@given(game=games, factor=st.sampled_from([0.1, 3.0, 100.0]))
def test_scaling_payoffs_is_scaling_alpha(game: tuple[list[int], int], factor: float) -> None:
    tables, _ = drawn(game)
    scaled: Any = [factor * t for t in tables] if isinstance(tables, list) else factor * tables
    np.testing.assert_allclose(alpha_rank(scaled, alpha=0.3), alpha_rank(tables, alpha=0.3 * factor), atol=1e-9)


@given(game=games, alpha=st.sampled_from([0.1, 10.0, 1e3, math.inf]))
def test_the_order_of_strategies_does_not_count(game: tuple[list[int], int], alpha: float) -> None:
    tables, rng = drawn(game)
    if isinstance(tables, list):
        orders = [rng.permutation(size) for size in tables[0].shape]
        turned = alpha_rank([t[np.ix_(*orders)] for t in tables], alpha=alpha)
        expected = alpha_rank(tables, alpha=alpha).reshape(tables[0].shape)[np.ix_(*orders)].ravel()
    else:
        order = rng.permutation(len(tables))
        turned, expected = alpha_rank(tables[np.ix_(order, order)], alpha=alpha), alpha_rank(tables, alpha=alpha)[order]
    np.testing.assert_allclose(turned, expected, atol=1e-9)


@given(
    game=st.tuples(st.lists(st.integers(2, 5), min_size=1, max_size=3), st.integers(0, 2**32 - 1)),
    kind=st.sampled_from(["normal", "whole", "all scales", "potential"]),
    alpha=st.sampled_from([0.0, 0.01, 1.0, 30.0, 1e4, math.inf]),
)
def test_iteration_and_elimination_agree(game: tuple[list[int], int], kind: str, alpha: float) -> None:
    tables, rng = drawn(game)
    if isinstance(tables, list):
        if kind == "whole":
            tables = [np.rint(t) for t in tables]
        elif kind == "all scales":
            tables = [t * 10 ** rng.uniform(-6, 0, t.shape) for t in tables]
        elif kind == "potential":
            tables = [tables[0]] * len(tables)
    direct = alpha_rank(tables, alpha=alpha, solver="elimination")
    np.testing.assert_allclose(alpha_rank(tables, alpha=alpha, solver="iteration"), direct, atol=1e-10)


@pytest.mark.parametrize("alpha", [0.1, 100.0, math.inf])
def test_games_with_large_cyclic_parts_settle(alpha: float) -> None:
    rng = np.random.default_rng(9)
    tables = [rng.normal(size=(18, 18)) for _ in range(2)]
    direct = alpha_rank(tables, alpha=alpha, solver="elimination")
    np.testing.assert_allclose(alpha_rank(tables, alpha=alpha, solver="iteration"), direct, atol=1e-10)


def test_large_games_are_solved_by_iteration_and_keep_their_closed_form() -> None:
    tables, potential = quadratic_commons(4, 9, a=40.0, b=1.0, w=2.0)
    share = alpha_rank(tables, alpha=0.05, population=20)
    np.testing.assert_allclose(share, gibbs(potential, 19 * 0.05), atol=1e-12)
    assert share.size == 6561


def test_what_iteration_cannot_do_is_said() -> None:
    # Under global selection at large alpha, strategies that do best against each other are both hard to invade.
    matrix = np.random.default_rng(4).normal(size=(9, 9))
    with pytest.raises(RunError, match="solver='elimination'"):
        alpha_rank(matrix + matrix.T, alpha=1e4, selection="global", solver="iteration")


# --- open_spiel


def open_spiel_rank(tables: Any, alpha: float, m: int, selection: str = "local") -> np.ndarray | None:
    """Its answer, None where its eigenvalues fail."""
    alpharank = pytest.importorskip("open_spiel.python.egt.alpharank")
    game = tables if isinstance(tables, list) else [tables]
    infinite = math.isinf(alpha)
    try:
        found = alpharank.compute(
            game, m=m, alpha=1.0 if infinite else alpha, use_local_selection_model=selection == "local",
            use_inf_alpha=infinite, inf_alpha_eps=0.01, verbose=False,
        )  # fmt: skip
    except ValueError:
        return None
    return np.asarray(found[2])


@pytest.mark.parametrize("players", [1, 2, 3])
@pytest.mark.parametrize("alpha", [0.01, 0.1, 1.0, 5.0, math.inf])
def test_random_games_agree_with_open_spiel(players: int, alpha: float) -> None:
    compared = 0
    for seed in range(5):
        rng = np.random.default_rng([players, seed])
        sizes = rng.integers(2, 7 if players < 3 else 5, players)
        tables: Any = [rng.uniform(size=sizes) for _ in sizes] if players > 1 else rng.uniform(size=(sizes[0],) * 2)
        m = int(rng.choice([2, 20, 50]))
        expected = open_spiel_rank(tables, alpha, m)
        if expected is not None:
            compared += 1
            np.testing.assert_allclose(alpha_rank(tables, alpha=alpha, population=m), expected, atol=1e-8)
    assert compared >= 2


@pytest.mark.parametrize("alpha", [0.01, 0.1, 1.0])
def test_global_selection_agrees_with_open_spiel(alpha: float) -> None:
    rng = np.random.default_rng(8)
    for matrix in (rng.uniform(size=(4, 4)), commitment_game(), BIASED_RPS):
        expected = open_spiel_rank(matrix, alpha, 20, "global")
        assert expected is not None
        found = alpha_rank(matrix, alpha=alpha, population=20, selection="global")
        np.testing.assert_allclose(found, expected, atol=1e-8)


# --- 80 digits


def in_80_digits(tables: Any, alpha: float, m: int) -> np.ndarray:
    """The stationary distribution by a linear solve in mpmath, of the chain as the papers write it."""
    mp = pytest.importorskip("mpmath").mp.clone()
    mp.dps = 80
    single = not isinstance(tables, list)
    sizes = (len(tables),) if single else tables[0].shape
    profiles = list(np.ndindex(*sizes))
    eta = mp.mpf(1) / sum(size - 1 for size in sizes)
    chain = mp.matrix(len(profiles))
    for (i, s), (j, t) in itertools.product(enumerate(profiles), repeat=2):
        moved = [k for k in range(len(sizes)) if s[k] != t[k]]
        if len(moved) == 1:
            better, worse = (tables[t[0], s[0]], tables[s[0], t[0]]) if single else (
                tables[moved[0]][t], tables[moved[0]][s]
            )  # fmt: skip
            u = mp.mpf(alpha) * (mp.mpf(float(better)) - mp.mpf(float(worse)))
            chain[i, j] = eta * (mp.mpf(1) / m if u == 0 else mp.expm1(-u) / mp.expm1(-m * u))
    for i in range(len(profiles)):
        chain[i, i] = -sum(chain[i, j] for j in range(len(profiles)) if j != i)
    system, right = chain.T, mp.matrix(len(profiles), 1)
    for j in range(len(profiles)):
        system[0, j] = 1
    right[0] = 1
    return np.array([float(share) for share in mp.lu_solve(system, right)])


REFERENCES: dict[str, Any] = {
    "rock-paper-scissors": RPS,
    "biased rock-paper-scissors": BIASED_RPS,
    "prisoner's dilemma, one population": PD,
    "prisoner's dilemma, two": [PD, PD.T],
    "battle of the sexes": SEXES,
    "matching pennies": [PENNIES, -PENNIES],
    "three players": three_player_game(),
    "5 x 5, one population": np.random.default_rng(55).normal(size=(5, 5)),
    "5 x 5, two": list(np.random.default_rng(56).normal(size=(2, 5, 5))),
    "commitments": commitment_game(),
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(("alpha", "m"), [(0.1, 20), (1.0, 50)])
def test_reference_games_agree_with_80_digits(name: str, alpha: float, m: int) -> None:
    expected = in_80_digits(REFERENCES[name], alpha, m)
    for solver in ("elimination", "iteration"):
        found = alpha_rank(REFERENCES[name], alpha=alpha, population=m, solver=solver)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_battle_of_the_sexes_is_solved_where_eigenvalues_fail() -> None:
    expected = in_80_digits(SEXES, 1.0, 50)
    np.testing.assert_allclose(expected, gibbs(np.array([0.0, -2.0, -3.0, 0.0]), 49.0), rtol=1e-12)
    np.testing.assert_allclose(alpha_rank(SEXES, alpha=1.0, population=50), expected, rtol=1e-9)


# --- bad input


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"alpha": -1.0}, "alpha = -1.0"),
        ({"alpha": math.nan}, "alpha = nan"),
        ({"population": 1}, "population = 1"),
        ({"population": 2.5}, "population = 2.5"),
        ({"selection": "globl"}, "did you mean 'global'"),
        ({"selection": "global", "alpha": math.inf}, "finite alpha"),
        ({"epsilon": 0.0}, "epsilon = 0.0"),
        ({"epsilon": 0.6}, "epsilon = 0.6"),
        ({"solver": "iterate"}, "did you mean 'iteration'"),
        ({"alpha": 1e299}, "take math.inf"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        alpha_rank(PD, **settings)


def test_global_selection_is_for_one_population() -> None:
    with pytest.raises(InputError, match="single population"):
        alpha_rank([PD, PD.T], selection="global")


def test_a_distribution_of_another_game_has_no_marginals() -> None:
    with pytest.raises(InputError, match="4 profiles"):
        marginals(np.ones(3) / 3, [PD, PD.T])


def test_an_advantage_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="nan"):
        fixation_probability(math.nan, 50)
