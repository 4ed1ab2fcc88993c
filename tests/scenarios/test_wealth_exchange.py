from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import chisquare, poisson

import simengine
from simengine.scenarios.wealth_exchange import WealthExchange

ORDERS = ("synchronous", "one_by_one")


def queue_length(mean: float, most: int) -> np.ndarray:
    """P(w) of the synchronous rule for many agents, w = 0 .. most: an M/D/1 queue, seen at its steps."""
    load = 1.0 + mean - np.sqrt(1.0 + mean**2)
    states = int(40 * mean + 40)
    left = np.maximum(np.arange(states) - 1, 0)
    step = poisson.pmf(np.arange(states)[None, :] - left[:, None], load)
    balance = np.vstack([(np.eye(states) - step).T[1:], np.ones(states)])
    chance: np.ndarray = np.linalg.solve(balance, np.append(np.zeros(states - 1), 1.0))
    return chance[: most + 1]


def equal_chances(agents: int, total: int, most: int) -> np.ndarray:
    """P(w) of one agent when all ways to share ``total`` units among the agents are equally likely."""
    w = np.arange(most + 1)
    ways_left = gammaln(total - w + agents - 1) - gammaln(total - w + 1) - gammaln(agents - 1)
    ways = gammaln(total + agents) - gammaln(total + 1) - gammaln(agents)
    return np.exp(ways_left - ways)


def gini_of(chance: np.ndarray) -> float:
    """Gini coefficient of a distribution over 0, 1, 2 ...: 1 - sum S(w)^2 / mean, S the survival function."""
    survival = 1.0 - np.cumsum(chance)
    return float(1.0 - (survival**2).sum() / survival.sum())


def sampled_wealth(order: str) -> np.ndarray:
    """100 of 2000 agents at each of 20 moments far apart (relaxation takes some 32 steps): almost independent."""
    result = simengine.run(
        WealthExchange, n_agents=2000, initial_wealth=2, order=order, steps=6000, every=6000,
        snapshot_every=300, seed=11, progress=False,
    )  # fmt: skip
    return result.wealth.values[1:, ::20].ravel()


def goodness(sample: np.ndarray, chance: np.ndarray) -> float:
    """p value of the chi-square test; the last bin takes everything above."""
    bins = np.append(chance, 1.0 - chance.sum())
    observed = np.bincount(np.minimum(sample, len(chance)), minlength=len(bins))
    return float(chisquare(observed, bins * len(sample)).pvalue)


@given(n_agents=st.integers(2, 40), wealth=st.integers(0, 5), order=st.sampled_from(ORDERS), seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_wealth_is_conserved_exactly_and_never_negative(n_agents: int, wealth: int, order: str, seed: int) -> None:
    result = simengine.run(
        WealthExchange, n_agents=n_agents, initial_wealth=wealth, order=order, seed=seed, steps=20,
        snapshot_every=1, progress=False,
    )  # fmt: skip
    assert (result.wealth.sum("agent") == n_agents * wealth).all()
    assert (result.total_wealth == n_agents * wealth).all()
    assert (result.wealth >= 0).all()


def test_everyone_who_owns_something_gives_exactly_one_unit() -> None:
    result = simengine.run(
        WealthExchange, n_agents=50, initial_wealth=1, steps=40, snapshot_every=1, seed=3, progress=False
    )
    wealth = result.wealth.values
    received = np.diff(wealth, axis=0) + (wealth[:-1] > 0)
    assert (received >= 0).all()
    assert (received.sum(axis=1) == (wealth[:-1] > 0).sum(axis=1)).all()


def test_synchronous_wealth_has_the_law_of_the_queue_and_not_the_geometric_one() -> None:
    # One chi-square test at level 1e-3 with a fixed seed; under the geometric law its p value is astronomically small.
    sample = sampled_wealth("synchronous")
    assert goodness(sample, queue_length(2.0, 8)) > 1e-3
    assert goodness(sample, equal_chances(2000, 4000, 8)) < 1e-9


def test_wealth_exchanged_one_by_one_has_the_geometric_law() -> None:
    # As above, the other way round.
    sample = sampled_wealth("one_by_one")
    assert goodness(sample, equal_chances(2000, 4000, 8)) > 1e-3
    assert goodness(sample, queue_length(2.0, 8)) < 1e-9


def test_the_law_of_the_queue_has_the_mean_and_the_share_of_poor_that_the_model_states() -> None:
    for mean in (0.3, 1.0, 2.0):
        chance = queue_length(mean, 40)
        assert chance.sum() == pytest.approx(1.0, abs=1e-6)
        assert (chance * np.arange(41)).sum() == pytest.approx(mean, abs=1e-5)
        assert chance[0] == pytest.approx(np.sqrt(1.0 + mean**2) - mean)


@pytest.mark.parametrize("order", ORDERS)
def test_gini_of_large_mean_wealth_is_near_one_half(order: str) -> None:
    # Independent exponential incomes have a Gini estimate of variance 1 / (12 n); four standard errors of the mean of
    # 8 runs, 6e-5 two-sided. The share of the poor is binomial, likewise.
    mean, agents, runs = 10, 1000, 8
    rows = [
        simengine.run(
            WealthExchange, n_agents=agents, initial_wealth=mean, order=order, steps=4000, every=4000, seed=seed,
            progress=False,
        ).isel(time=-1)
        for seed in range(runs)
    ]  # fmt: skip
    chance = queue_length(mean, 400) if order == "synchronous" else equal_chances(agents, mean * agents, 400)
    gini = np.mean([float(row.gini) for row in rows])
    assert gini == pytest.approx(gini_of(chance), abs=4 / np.sqrt(12 * agents * runs))
    assert abs(gini - 0.5) < 0.05
    poor = np.mean([float(row.share_poor) for row in rows])
    assert poor == pytest.approx(chance[0], abs=4 * np.sqrt(chance[0] / (agents * runs)))


def test_the_entropy_of_equal_wealth_is_zero_and_of_two_equal_groups_about_log_two() -> None:
    equal = simengine.run(WealthExchange, n_agents=10, steps=0, progress=False)
    halves = simengine.run(WealthExchange, start={"wealth": [0, 0, 3, 3]}, steps=0, progress=False)
    assert float(equal.wealth_entropy[0]) == 0.0
    assert float(equal.gini[0]) == 0.0
    # ln 4 - G(2) of Grassberger (2003).
    assert float(halves.wealth_entropy[0]) == pytest.approx(np.log(4.0) - (2.0 - np.euler_gamma - np.log(2.0)))
    assert float(halves.gini[0]) == pytest.approx(0.5)
    assert float(halves.share_poor[0]) == 0.5
