"""Banerjee's herds, learning from Gaussian signals, learning from neighbours, against closed forms."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from scipy.stats import norm

import simengine
from simengine import testing
from simengine.errors import InputError
from simengine.scenarios import herding
from simengine.scenarios.social_learning import BanerjeeHerding, GaussianLearning, NetworkLearning

RECURSION = {10: 4.4859, 10**2: 6.7948, 10**3: 8.4514, 10**4: 9.7623, 10**5: 10.8770, 10**6: 11.8641, 10**7: 12.7598}


def last(scenario: Any, steps: int, **parameters: Any) -> xarray.Dataset:
    """The end of a run."""
    run = simengine.run(
        scenario, steps=steps, every=steps, snapshot_every=steps, threads=1, progress=False,
        **({"seed": 1} | parameters),
    )  # fmt: skip
    return run.isel(time=-1, snapshot_time=-1)


@pytest.mark.parametrize(("informed", "accuracy"), [(0.5, 0.6), (0.3, 0.5), (0.8, 0.4)])
def test_nobody_ever_finds_banerjees_right_option_as_often_as_in_closed_form(informed: float, accuracy: float) -> None:
    # Four standard errors: error rate 6e-5 each, fixed seed.
    n = 100_000
    end = last(BanerjeeHerding, 100, n_communities=n, informed=informed, accuracy=accuracy)
    stated = (1 - informed) * (1 - accuracy) / (1 - informed * (1 - accuracy))
    assert stated in (0.25, pytest.approx(0.41176, abs=1e-5), pytest.approx(0.23077, abs=1e-5))
    error = 4 * math.sqrt(stated * (1 - stated) / n)
    assert float(end.never_right_share) == pytest.approx(stated, abs=error)
    assert float(end.herding_share) == 1.0
    # Where the right option was ever chosen it is herded on, or a wrong herd goes on unless a signal matches.
    assert float(end.wrong_herd_share) >= float(end.never_right_share)


def test_banerjees_first_agents_follow_his_rules() -> None:
    run = simengine.run(
        BanerjeeHerding, n_communities=2000, steps=12, seed=4, snapshot_every=1, threads=1, progress=False
    )
    option, signal, right = run.option.values[1:], run.signal.values[1:], run.right.values[0]
    assert (option[0] == signal[0]).all()
    for now in range(1, len(option)):
        chosen = option[:now]
        highest = chosen.max(axis=0)
        nobody_left = highest == 0.0
        without = signal[now] == 0.0
        assert (option[now][without & nobody_left] == 0.0).all()
        for community in range(200):
            options, adopters = np.unique(chosen[:, community], return_counts=True)
            herds = options[(adopters > 1) & (options > 0.0)]
            found = option[now, community]
            if signal[now, community] > 0.0 and (not herds.size or signal[now, community] in options):
                assert found == signal[now, community]
            elif herds.size:
                # Two herds exist only where a match has shown one of them to be right.
                assert found == (right[community] if right[community] in herds else herds[0])
            else:
                assert found == highest[community]


@pytest.mark.parametrize("actions", [10**power for power in range(1, 8)])
def test_along_the_right_herd_the_public_learns_as_slowly_as_the_recursion(actions: int) -> None:
    end = last(GaussianLearning, actions, n_communities=1, path="right_herd")
    assert float(end.log_likelihood_ratio) == pytest.approx(RECURSION[actions], abs=6e-5)


def test_the_ratio_to_the_asymptote_falls_slowly() -> None:
    asymptote = {t: 2 * math.sqrt(2) * math.sqrt(math.log(t)) for t in RECURSION}
    assert RECURSION[10**4] / asymptote[10**4] == pytest.approx(1.137, abs=1e-3)
    assert RECURSION[10**7] / asymptote[10**7] == pytest.approx(1.124, abs=1e-3)


@pytest.mark.parametrize("noise", [0.7, 2.0])
def test_one_action_of_gaussian_learning_tells_what_its_probability_says(noise: float) -> None:
    n = 100_000
    end = last(GaussianLearning, 1, n_communities=n, noise=noise)
    right = norm.cdf(1 / noise)
    # Four standard errors: error rate 6e-5.
    assert float(end.accuracy) == pytest.approx(right, abs=4 * math.sqrt(right * (1 - right) / n))
    np.testing.assert_allclose(np.abs(end.log_odds), math.log(right / (1 - right)), rtol=1e-12)


def test_gaussian_beliefs_are_right_as_often_as_they_say_and_the_last_action_is_favoured() -> None:
    n = 100_000
    for steps in (2, 10, 50):
        end = last(GaussianLearning, steps, n_communities=n, seed=steps)
        belief = 1 / (1 + np.exp(-end.log_odds.values))
        residual = end.state.values - belief
        # Four standard errors (6e-5): of all, and of those who are unsure.
        for group in (belief >= 0.0, np.abs(belief - 0.5) < 0.35):
            spread = math.sqrt((belief * (1 - belief))[group].sum())
            assert abs(residual[group].sum()) < 4 * spread
        assert ((end.log_odds.values > 0) == (end.action.values == 1)).all()


def test_bounded_signals_leave_wrong_herds_and_unbounded_ones_overturn_them() -> None:
    early, late = (last(GaussianLearning, steps, n_communities=20_000) for steps in (3, 300))
    assert float(late.accuracy) > 0.97 > float(early.accuracy)
    assert float(late.mean_switches) > float(early.mean_switches)


@pytest.mark.parametrize("x", [-30.0, -5.0, -1.0, 0.0, 1.0, 5.0, 30.0, 30.1, 38.0, 45.0, 1e4])
def test_the_tail_of_the_normal_distribution_is_exact_on_both_sides(x: float) -> None:
    assert herding.log_upper_tail(x) == pytest.approx(norm.logsf(x), rel=1e-12)


def test_signals_that_leave_no_doubt_leave_finite_odds() -> None:
    end = last(GaussianLearning, 3, n_communities=50, noise=0.01)
    # All act rightly; the first tail lies at 100 standard deviations.
    odds = 0.0
    for _ in range(3):
        cut = -0.5 * odds * 0.01**2
        odds += norm.logsf((cut - 1) / 0.01) - norm.logsf((cut + 1) / 0.01)
    assert float(end.accuracy) == 1.0
    np.testing.assert_allclose(np.abs(end.log_odds), odds, rtol=1e-12)


def cliques(number: int, size: int) -> dict[str, np.ndarray]:
    first, second = np.triu_indices(size, 1)
    base = size * np.arange(number)[:, None]
    return {"source": (base + first).ravel(), "target": (base + second).ravel()}


def in_cliques(number: int, size: int, **parameters: Any) -> xarray.Dataset:
    start = {"acquaintances": cliques(number, size)}
    return last(NetworkLearning, 1, n_agents=number * size, start=start, state="good", **parameters)


def test_where_everybody_sees_all_cascades_come_back() -> None:
    # Right with probability p**2 / (p**2 + (1 - p)**2); four standard errors: error rate 6e-5, fixed seed.
    number, size, p = 4000, 24, 0.7
    action = in_cliques(number, size).action.values.reshape(number, size)
    stated = p**2 / (p**2 + (1 - p) ** 2)
    assert (action[:, -1] >= 2).mean() > 0.9999
    found = (action[:, -1] % 2).mean()
    assert found == pytest.approx(stated, abs=4 * math.sqrt(stated * (1 - stated) / number))
    # A cascade is for ever, and begins two net signals after the start.
    herding_now = action >= 2
    assert (herding_now[:, 1:] >= herding_now[:, :-1]).all()
    net = np.where(herding_now, 0, 2 * (action % 2) - 1).sum(axis=1)
    assert set(np.unique(np.abs(net[herding_now[:, -1]]))) == {2}


def test_who_counts_herds_as_signals_herds_the_same_where_all_is_seen() -> None:
    informed, naive = (in_cliques(500, 20, heeds=heeds) for heeds in ("informative", "all"))
    assert (informed.action == naive.action).all()


def test_the_isolated_follow_their_signals() -> None:
    n = 20_000
    nobody = {"source": np.array([0]), "target": np.array([1])}
    end = last(NetworkLearning, 1, n_agents=n, start={"acquaintances": nobody}, state="bad")
    assert (end.action[2:] == end.signal[2:]).all()
    # Four standard errors: error rate 6e-5.
    assert float(end.accuracy) == pytest.approx(0.7, abs=4 * math.sqrt(0.21 / n))


def test_neighbours_help_and_their_common_sources_mislead() -> None:
    alone, sparse = (last(NetworkLearning, 1, n_agents=4000, graph="random", mean_degree=d, state="good")
                     for d in (0.01, 6.0))  # fmt: skip
    assert float(sparse.accuracy) > float(alone.accuracy) + 0.03
    assert float(alone.herding_share) < 0.01 < float(sparse.herding_share)


def test_a_network_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "friends.csv"
    path.write_text("0,1\n1,2\n2,3\n3,4\n", encoding="utf-8")
    end = last(NetworkLearning, 1, n_agents=5, start={"acquaintances": str(path)}, precision=0.6)
    assert end.sizes["agent"] == 5


def test_a_repeated_round_hears_later_neighbours_too() -> None:
    # A chain: in the first step everybody hears the one before, then also the one after.
    chain = {"source": np.arange(9), "target": np.arange(1, 10)}
    common = {"n_agents": 10, "start": {"acquaintances": chain}, "heeds": "all", "seed": 6}
    first = last(NetworkLearning, 1, **common)
    assert int(first.action[0]) == int(first.signal[0])
    later = last(NetworkLearning, 5, **common)
    assert (later.signal == first.signal).all()


@pytest.mark.parametrize(
    ("scenario", "parameters"),
    [
        (NetworkLearning, {"precision": 0.4}), (NetworkLearning, {"prior": 1.0}), (GaussianLearning, {"noise": 0.0}),
        (BanerjeeHerding, {"informed": 1.2}),
    ],
)  # fmt: skip
def test_parameters_that_mean_nothing_are_refused(scenario: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(parameters))):
        scenario(parameters)


@pytest.mark.parametrize(
    ("scenario", "parameters"),
    [(BanerjeeHerding, {"n_communities": 40}), (GaussianLearning, {"n_communities": 40}),
     (NetworkLearning, {"n_agents": 40, "mean_degree": 4.0})],
)  # fmt: skip
def test_spread_over_shards_nothing_changes(scenario: Any, parameters: dict[str, Any]) -> None:
    testing.any_shards(scenario, shards=(3,), steps=4, **parameters)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [BanerjeeHerding, GaussianLearning])
def test_all_promises_hold(scenario: Any) -> None:
    testing.check(scenario, n_communities=40, steps=6)


@pytest.mark.slow
def test_all_promises_hold_on_a_network_but_that_of_names() -> None:
    # Agents act in the order of their ids.
    testing.any_threads(NetworkLearning, n_agents=40, mean_degree=4.0, steps=3)
    testing.split_equals_whole(NetworkLearning, n_agents=40, mean_degree=4.0, steps=4)
    testing.any_storage_order(NetworkLearning, n_agents=40, mean_degree=4.0, steps=3)
