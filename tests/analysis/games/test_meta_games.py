"""Payoff tables from sweeps, from a scenario's strategies and policies, and how sure a ranking of them is."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
import xarray as xr

import simengine
from simengine import InputError, RunError, Scenario, decision, field, observable, param, population, update
from simengine.analysis.games import (
    MetaGame,
    SimulatedGame,
    alpha_rank,
    meta_game,
    ranking_bounds,
    ranking_uncertainty,
    response_graph,
    response_graph_ucb,
)

BENEFIT, COST = 3.0, 1.0
CHANCES = [0.25, 0.75]


@observable
def income_left(pairs: Any) -> float:
    """Mean income of those on the left in a step."""
    return float(pairs.left.mean() / max(pairs.steps[0], 1))


@observable
def income_right(pairs: Any) -> float:
    """Mean income of those on the right in a step."""
    return float(pairs.right.mean() / max(pairs.steps[0], 1))


class Donations(Scenario):
    """In each pair both may give the other a benefit at a cost to themselves, each with the chance of its side."""

    default_steps = 4

    n_agents: int = param(10, low=1)
    give_left: float = param(0.5, low=0, high=1)
    give_right: float = param(0.5, low=0, high=1)
    unlucky: float = param(2.0)

    pairs = population(
        size="n_agents", left=field(), right=field(), steps=field(), left_gives=field(int), right_gives=field(int)
    )

    def start(self, pairs: Any) -> None:
        """Begin with nothing."""
        if self.give_left + self.give_right >= self.unlucky:
            raise ValueError("unlucky")

    @decision(pairs.left_gives, options=("keep", "give"))
    def choose_left(me, pairs, p, draw):
        """Give by chance."""
        return 1 if draw.uniform("left") < p.give_left else 0

    @decision(pairs.right_gives, options=("keep", "give"))
    def choose_right(me, pairs, p, draw):
        """Give by chance."""
        return 1 if draw.uniform("right") < p.give_right else 0

    @update(pairs)
    def receive(me, pairs, new):
        """Take what is given, and pay what it costs."""
        new.left[me] += 3.0 * pairs.right_gives[me] - 1.0 * pairs.left_gives[me]
        new.right[me] += 3.0 * pairs.left_gives[me] - 1.0 * pairs.right_gives[me]
        new.steps[me] += 1.0

    observe = [income_left, income_right]


PAYOFFS = ["income_left", "income_right"]
TRUE = [
    np.array([[BENEFIT * right - COST * left for right in CHANCES] for left in CHANCES]),
    np.array([[BENEFIT * left - COST * right for right in CHANCES] for left in CHANCES]),
]
"""The expected incomes."""


@pytest.fixture(scope="module")
def swept() -> xr.Dataset:
    design = {"give_left": CHANCES, "give_right": CHANCES}
    return simengine.sweep(Donations, design, replicates=30, seed=1, workers=1, progress=False)


@pytest.fixture(scope="module")
def game(swept: xr.Dataset) -> MetaGame:
    return meta_game(swept, PAYOFFS)


# With 30 runs of 40 decisions each: 8 means within 4.5 standard errors, wrong once in 18,000 seeds.
def test_a_sweep_over_two_strategies_gives_the_payoffs_of_both_players(game: MetaGame, swept: xr.Dataset) -> None:
    assert game.players == ("give_left", "give_right")
    assert game.strategies == ((0.25, 0.75), (0.25, 0.75))
    assert game.profiles[1] == (0.25, 0.75)
    assert np.array_equal(game.counts, [[30, 30], [30, 30]])
    for mean, error, true, name in zip(game.means, game.standard_errors, TRUE, PAYOFFS, strict=True):
        assert np.all(np.abs(mean - true) < 4.5 * error)
        runs = swept[name].isel(time=-1)
        np.testing.assert_allclose(mean, runs.mean("replicate"))
        np.testing.assert_allclose(error, runs.std("replicate", ddof=1) / math.sqrt(30))
        # A step's income varies by 10 p q for independent decisions of both sides, p q = 3 / 16.
        np.testing.assert_allclose(error, math.sqrt(10 * 3 / 16 / 40 / 30), rtol=0.4)


def test_the_ranking_of_a_sweep_holds_that_of_the_expected_incomes(game: MetaGame) -> None:
    # A potential game: shares are as exp((m - 1) alpha Phi), Phi = -cost * (both chances to give).
    potential = -COST * np.add.outer(CHANCES, CHANCES).ravel()
    gibbs = np.exp(4 * 0.5 * potential)
    gibbs /= gibbs.sum()
    np.testing.assert_allclose(alpha_rank(TRUE, alpha=0.5, population=5), gibbs, rtol=1e-9)
    found = ranking_uncertainty(game, alpha=0.5, population=5, draws=300, level=0.999)
    np.testing.assert_allclose(found.estimate, alpha_rank(game.payoffs, alpha=0.5, population=5))
    assert np.all((found.low <= gibbs) & (gibbs <= found.high))
    assert found.first_probability[0] > 0.99
    assert "0.25, 0.25" in repr(found)
    assert "30 runs of each profile" in repr(game)


def always(action: int) -> Any:
    """Return a policy of one action."""

    def choose(asked: Any) -> np.ndarray:
        return np.tile(np.eye(2)[action], (len(asked.ids), 1))

    return choose


FAR_APART = [0.1, 0.9]
SIDES = {
    side: {
        "keep": {"policies": {f"pairs.choose_{side}": always(0)}},
        "give": {"policies": {f"pairs.choose_{side}": always(1)}},
    }
    for side in ("left", "right")
}


def test_sampling_runs_of_a_scenario_finds_its_response_graph() -> None:
    played = SimulatedGame(Donations, {"give_left": FAR_APART, "give_right": FAR_APART}, PAYOFFS)
    assert repr(played) == "SimulatedGame(Donations: 2 give_left x 2 give_right)"
    found = response_graph_ucb(
        played, played.sizes, low=-COST, high=BENEFIT, confidence="relaxed hoeffding", sampling="CW", batch=20
    )
    assert found.certain
    assert {tuple(edge) for edge in found.graph.edges.tolist()} == {(1, 0), (2, 0), (3, 1), (3, 2)}
    assert np.argmax(found.ranking()) == 0


def test_an_interaction_is_the_run_of_its_seed() -> None:
    played = SimulatedGame(Donations, {"give_left": FAR_APART, "give_right": FAR_APART}, PAYOFFS, steps=3, n_agents=5)
    run = simengine.run(Donations, give_left=0.1, give_right=0.9, n_agents=5, steps=3, seed=77)
    assert played((0, 1), 77) == (float(run.income_left[-1]), float(run.income_right[-1]))
    last = SimulatedGame(
        Donations, {"give_left": FAR_APART, "give_right": FAR_APART}, [lambda run: float(run.time[-1]), "income_right"]
    )
    assert last((0, 1), 77)[0] == 4.0
    dataset = played.play(2, seed=3)
    seed = int(dataset.seed.sel(give_left=0.9, give_right=0.1, replicate=1))
    assert played((1, 0), seed)[1] == float(dataset.payoff_1.sel(give_left=0.9, give_right=0.1, replicate=1))


def test_strategies_may_be_policies() -> None:
    played = SimulatedGame(Donations, SIDES, PAYOFFS, n_agents=20)
    assert played.strategies == (("keep", "give"), ("keep", "give"))
    dataset = played.play(3, seed=4)
    assert dataset.payoff_0.dims == ("left", "right", "replicate")
    found = meta_game(dataset, ["payoff_0", "payoff_1"])
    assert found.players == ("left", "right")
    np.testing.assert_allclose(found.means[0], [[0.0, 3.0], [-1.0, 2.0]])
    np.testing.assert_allclose(found.means[1], found.means[0].T)


@pytest.mark.parametrize(
    ("players", "payoffs", "said"),
    [
        ({}, [], "players: got {}"),
        ({"give_left": []}, ["income_left"], "give_left has the strategies"),
        ({"give_left": "ab"}, ["income_left"], "give_left has the strategies 'ab'"),
        ({"give_left": [0.1, 0.1]}, ["income_left"], "give_left has the strategies"),
        ({"a": {"x": 1.0}}, ["income_left"], "a has the strategies"),
        ({"a": {"x": {"give_left": 1.0}}, "b": {"x": {"give_left": 0.0}}}, PAYOFFS, "give_left is set by a and by b"),
        ({"n_agents": [1, 2]}, ["income_left"], "n_agents is set by all runs and by n_agents"),
        ({"give_left": FAR_APART}, PAYOFFS, "payoffs: got 2, there are 1 players"),
    ],
)
def test_strategies_that_are_none_are_refused(players: Any, payoffs: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SimulatedGame(Donations, players, payoffs, n_agents=4)


def test_a_game_travels_to_other_processes() -> None:
    played = SimulatedGame("voter", {"n_agents": [20, 30]}, ["discordance"], steps=2)
    expected = played((1,), 5)
    assert pickle.loads(pickle.dumps(played))((1,), 5) == expected


def test_runs_that_fail_are_errors_with_their_strategies() -> None:
    played = SimulatedGame(Donations, {"give_left": FAR_APART, "give_right": FAR_APART}, PAYOFFS, unlucky=1.5)
    with pytest.raises(RunError, match=r"give_left=0.9, give_right=0.9: ValueError: unlucky"):
        played((1, 1), 1)
    with pytest.raises(InputError, match=r"give_left.*got 2.0"):
        SimulatedGame(Donations, {"give_left": [2.0]}, ["income_left"])((0,), 1)


def test_payoffs_that_no_run_records_are_refused() -> None:
    with pytest.raises(InputError, match="records no 'income_lef'; did you mean 'income_left'"):
        SimulatedGame(Donations, {"give_left": FAR_APART}, ["income_lef"])((0,), 1)


def table(*shape: int, dims: str, **coordinates: Any) -> xr.DataArray:
    """Return whole numbers in order."""
    return xr.DataArray(np.arange(math.prod(shape), dtype=float).reshape(shape), coordinates, list(dims.split()))


def test_dimensions_may_stand_in_any_order_and_players_are_in_theirs() -> None:
    paid = table(3, 2, 4, dims="replicate b a", a=list("wxyz"), b=[10, 20])
    found = meta_game(xr.Dataset({"one": paid, "two": -paid}), ["one", "two"], players=["a", "b"])
    assert found.strategies == (("w", "x", "y", "z"), (10, 20))
    np.testing.assert_array_equal(found.means[0], paid.mean("replicate").values.T)
    np.testing.assert_array_equal(found.means[1], -found.means[0])
    assert found.means[0].shape == (4, 2)


def test_a_single_population_takes_one_square_table() -> None:
    paid = table(2, 2, 3, dims="own other replicate", own=["a", "b"], other=["a", "b"])
    found = meta_game(xr.Dataset({"paid": paid}), "paid")
    assert found.single
    np.testing.assert_array_equal(found.payoffs, [[1.0, 4.0], [7.0, 10.0]])
    assert found.profiles == [("a",), ("b",)]
    np.testing.assert_allclose(alpha_rank(found.payoffs, alpha=0.1), alpha_rank([[1.0, 4.0], [7.0, 10.0]], alpha=0.1))
    # b earns 7 against a, a earns 4 against b, each known to 1 / sqrt(3): 3 is 3.7 standard errors.
    assert len(found.unresolved(0.999)) == 0
    assert found.unresolved(0.9999).tolist() == [[0, 1]]
    assert "a single population" in repr(found)
    different = paid.assign_coords(other=["a", "c"])
    with pytest.raises(InputError, match="has the same strategies in both places"):
        meta_game(xr.Dataset({"paid": different}), "paid")


def test_a_run_that_stopped_early_counts_with_its_last_record() -> None:
    paid = table(2, 2, 2, 3, dims="a b replicate time")
    stopped = xr.DataArray(np.array([[[20, 10]] * 2] * 2), dims=("a", "b", "replicate"))
    dataset = xr.Dataset({"paid": paid, "stopped_at": stopped}, {"step": ("time", [0, 10, 20])})
    found = meta_game(dataset, ["paid", "paid"])
    np.testing.assert_array_equal(found.runs[0][0, 0], [2.0, 4.0])


@pytest.fixture(scope="module")
def torn(swept: xr.Dataset) -> xr.Dataset:
    """Return the sweep without four of the left ones' payoffs, one of them of a run that failed."""
    dataset = swept.load().copy(deep=True)
    for replicate in range(4):
        dataset.income_left[0, 1, replicate, -1] = math.nan
    dataset.status[0, 1, 0] = 1
    return dataset


def test_missing_runs_are_named_in_one_line(torn: xr.Dataset) -> None:
    with pytest.raises(InputError) as caught:
        meta_game(torn, PAYOFFS)
    text = str(caught.value)
    assert text.startswith("meta_game: 4 of 120 runs have no income_left or income_right: ")
    assert "give_left=0.25, give_right=0.75, replicate 0 (failed); " in text
    assert "replicate 1; " in text
    assert "and 1 more; missing='skip'" in text
    assert "\n" not in text


def test_missing_runs_may_be_skipped_for_all_players(torn: xr.Dataset) -> None:
    found = meta_game(torn, PAYOFFS, missing="skip")
    assert found.counts.tolist() == [[30, 26], [30, 30]]
    rest = torn.income_right.isel(time=-1, replicate=slice(4, None))
    assert found.means[1][0, 1] == pytest.approx(float(rest[0, 1].mean()))
    assert found.standard_errors[1][0, 1] == pytest.approx(float(rest[0, 1].std(ddof=1)) / math.sqrt(26))
    assert "26 to 30 runs" in repr(found)


def test_a_profile_without_any_run_is_refused() -> None:
    design = {"give_left": CHANCES, "give_right": CHANCES}
    with pytest.warns(UserWarning, match="failed"):
        dataset = simengine.sweep(Donations, design, unlucky=1.5, replicates=2, workers=1, progress=False)
    with pytest.raises(InputError, match=r"2 of 8 runs .* give_left=0.75, give_right=0.75, replicate 0 \(failed\)"):
        meta_game(dataset, PAYOFFS)
    with pytest.raises(InputError, match=r"1 of 4 profiles have no run .* give_left=0.75, give_right=0.75"):
        meta_game(dataset, PAYOFFS, missing="skip")


@pytest.mark.parametrize(
    ("payoffs", "keywords", "said"),
    [
        (["one", "too"], {}, "there is no variable 'too'"),
        ([], {}, "payoffs are missing"),
        (["one"], {}, "the players are a, b, there are payoffs of 1"),
        (["one", "one"], {"players": ["a"]}, "the players are a, there are payoffs of 2"),
        (["one", "one"], {"players": ["a", "bb"]}, "there is no dimension 'bb'"),
        ("one", {"players": ["a"]}, "the players are a, a single population has two"),
        (["one", "wide"], {}, "payoffs have the dimensions"),
        (["wide", "wide"], {"players": ["a", "b"]}, "have the dimension place, too"),
        (["runs"], {}, "no full grid"),
        ([3], {}, "names of variables or arrays"),
        (["one", "one"], {"missing": "zero"}, "allowed are 'refuse' and 'skip'"),
    ],
)
def test_what_is_no_table_of_payoffs_is_refused(payoffs: Any, keywords: dict[str, Any], said: str) -> None:
    one = table(2, 2, 3, dims="a b replicate")
    wide = table(2, 2, 3, 2, dims="a b replicate place")
    dataset = xr.Dataset({"one": one, "wide": wide, "runs": table(5, dims="run")})
    with pytest.raises(InputError, match=said):
        meta_game(dataset, payoffs, **keywords)


def noisy(means: list[np.ndarray], deviation: float, replicates: int, seed: int = 1) -> MetaGame:
    """Return a game whose runs are normal about its means."""
    random = np.random.default_rng(seed)
    runs = [mean[..., np.newaxis] + deviation * random.standard_normal((*mean.shape, replicates)) for mean in means]
    names = tuple(f"player_{k}" for k in range(len(means)))
    return MetaGame(names, tuple(tuple(range(size)) for size in means[0].shape), tuple(runs), False)


DILEMMA = [np.array([[3.0, 0.0], [5.0, 1.0]]), np.array([[3.0, 5.0], [0.0, 1.0]])]


def test_without_noise_every_draw_ranks_alike() -> None:
    for resample in ("normal", "bootstrap"):
        found = ranking_uncertainty(noisy(DILEMMA, 0.0, 3), alpha=0.01, draws=5, resample=resample)
        exact = alpha_rank(DILEMMA, alpha=0.01)
        for shares in (found.estimate, found.mean, found.low, found.high):
            np.testing.assert_allclose(shares, exact, rtol=1e-9)
        # Both profiles in which one gives and the other does not have the same share, and the better rank.
        np.testing.assert_allclose(found.rank_probability, [[0, 0, 0, 1], [0, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]])


def test_draws_spread_as_the_means_do() -> None:
    # At small alpha shares are linear in the payoffs: d ln(pi_0 / pi_1) = (m - 1) alpha d(gain of player 1).
    runs, alpha, population = 40, 1e-3, 10
    game = noisy(DILEMMA, 1.0, runs)
    found = ranking_uncertainty(game, alpha=alpha, population=population, draws=800, level=0.6826895)
    errors = game.standard_errors
    log_ratio = 9 * alpha * math.hypot(errors[1][0, 0], errors[1][0, 1])
    width = (found.high - found.low) / 2 / found.mean
    # Four shares near 1/4 each; a share's own spread is that of several such ratios.
    assert np.all(width > 0.3 * log_ratio)
    assert np.all(width < 1.5 * log_ratio)
    booted = ranking_uncertainty(
        game, alpha=alpha, population=population, draws=2000, level=0.6826895, resample="bootstrap"
    )
    np.testing.assert_allclose((booted.high - booted.low) / 2 / booted.mean, width, rtol=0.15)


# The ends of 40 draws leave 90 % * 39 / 41 = 86 % between them, give or take 3.5 of 100 games: within 4 times that.
def test_intervals_hold_the_true_share_as_often_as_they_say() -> None:
    truth = alpha_rank(DILEMMA, alpha=0.02, population=10)
    held = 0
    for seed in range(100):
        found = ranking_uncertainty(noisy(DILEMMA, 1.0, 40, seed), alpha=0.02, population=10, draws=40, level=0.9)
        held += bool(found.low[3] <= truth[3] <= found.high[3])
    assert 72 <= held <= 99


def test_payoffs_of_a_run_are_drawn_together() -> None:
    common = np.random.default_rng(2).standard_normal((2, 2, 30))
    runs = tuple(mean[..., np.newaxis] + common for mean in DILEMMA)
    game = MetaGame(("a", "b"), ((0, 1), (0, 1)), runs, False)
    np.testing.assert_allclose(game.covariances[..., 0, 1], game.covariances[..., 0, 0])
    from simengine.analysis.games.uncertainty import _bootstrapped, _normal

    for drawn in (_normal(game, 1), _bootstrapped(game, 1)):
        first, second = drawn(0)
        assert not np.allclose(first, game.means[0])
        np.testing.assert_allclose(first - DILEMMA[0], second - DILEMMA[1], atol=1e-7)


def test_a_seed_decides_the_draws() -> None:
    game = noisy(DILEMMA, 1.0, 5)
    one, same, other = (ranking_uncertainty(game, alpha=0.1, draws=50, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.mean, same.mean)
    assert not np.array_equal(one.mean, other.mean)
    more = ranking_uncertainty(game, alpha=0.1, draws=51, seed=1)
    assert more.draws == 51


def test_ranks_are_probabilities() -> None:
    found = ranking_uncertainty(noisy(DILEMMA, 2.0, 4), alpha=1.0, population=5, draws=80)
    np.testing.assert_allclose(found.rank_probability.sum(axis=1), 1.0)
    np.testing.assert_array_equal(found.first_probability, found.rank_probability[:, 0])
    assert found.first_probability.sum() >= 1.0 - 1e-12


def test_edges_that_are_not_sure_bound_the_ranking_at_infinite_alpha() -> None:
    close = [np.array([[3.0, 0.0], [5.0, 0.01]]), np.array([[3.0, 5.0], [0.0, 1.0]])]
    game = noisy(close, 0.3, 30)
    assert game.unresolved().tolist() == [[1, 3]]
    low, high = ranking_bounds(response_graph(game.payoffs), game.unresolved())
    drawn = ranking_uncertainty(game, alpha=math.inf, draws=200, level=0.99)
    assert np.all((low <= drawn.low * (1 + 1e-9)) & (drawn.high <= high * (1 + 1e-9)))
    # Both directions are drawn: the interval is the whole of what is possible.
    np.testing.assert_allclose(drawn.low, low)
    np.testing.assert_allclose(drawn.high, high)


def test_what_cannot_be_resampled_is_refused() -> None:
    alone = noisy(DILEMMA, 1.0, 1)
    assert np.isnan(alone.standard_errors).all()
    for ask in (lambda: ranking_uncertainty(alone), alone.unresolved):
        with pytest.raises(InputError, match="4 of 4 profiles have one run, at least two are needed, as player_0=0"):
            ask()
    game = noisy(DILEMMA, 1.0, 3)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"draws": 0}, "draws: got 0"), ({"level": 1.0}, "level: got 1.0"),
        ({"resample": "bootstrapped"}, "did you mean 'bootstrap'"), ({"seed": -1}, "seed: got -1"),
    ]  # fmt: skip
    for keywords, said in wrong:
        with pytest.raises(InputError, match=said):
            ranking_uncertainty(game, **keywords)
    with pytest.raises(InputError, match="level: got 0"):
        game.unresolved(0)
