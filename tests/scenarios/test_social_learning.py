"""Sequential social learning: cascades, planners, biases, against closed forms and value iteration."""

from __future__ import annotations

import math
from types import SimpleNamespace as Bunch
from typing import Any

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

import simengine
from simengine import testing
from simengine.errors import InputError
from simengine.random.draws import log_unit
from simengine.scenarios import social_learning
from simengine.scenarios.social_learning import SocialLearning, solve_planner

CASCADES = {
    # precision: right (coin), right (own signal), agents until then (coin, own), bits of all actions (coin, own)
    0.55: (0.56645, 0.59901, 2.658, 3.960, 0.0128, 0.0285),
    0.6: (0.63158, 0.69231, 2.632, 3.846, 0.0505, 0.1095),
    0.7: (0.75316, 0.84483, 2.532, 3.448, 0.1938, 0.3774),
    0.8: (0.85714, 0.94118, 2.381, 2.941, 0.4083, 0.6772),
    0.9: (0.93956, 0.98780, 2.198, 2.439, 0.6708, 0.9050),
}


def last(communities: int, steps: int, **parameters: Any) -> xarray.Dataset:
    """The end of a run."""
    run = simengine.run(
        SocialLearning, n_communities=communities, steps=steps, every=steps, snapshot_every=steps, threads=1,
        progress=False, **({"seed": 1} | parameters),
    )  # fmt: skip
    return run.isel(time=-1, snapshot_time=-1)


def check_cascades(communities: int, ties: str) -> None:
    # Four standard errors in 10 comparisons a rule of ties: error rate 6e-4, fixed seeds.
    for precision, row in CASCADES.items():
        end = last(communities, 60, precision=precision, ties=ties)
        right, agents, bits = row[0::2] if ties == "coin_flip" else row[1::2]
        error = 4 * math.sqrt(right * (1 - right) / communities)
        assert float(end.cascade_share) == pytest.approx(1.0, abs=1e-6)
        assert float(end.right_cascade_share) == pytest.approx(right, abs=error + 5e-6)
        spread = float(end.onset.std()) / math.sqrt(communities)
        assert float(end.cascade_onset) == pytest.approx(agents, abs=4 * spread + 5e-4)
        assert float(end.information) == pytest.approx(bits, abs=1e-4)


@pytest.mark.parametrize("ties", ["own_signal", "coin_flip"])
def test_cascades_are_right_begin_and_inform_as_in_closed_form(ties: str) -> None:
    check_cascades(50_000, ties)


@pytest.mark.slow
@pytest.mark.parametrize("ties", ["own_signal", "coin_flip"])
def test_cascades_follow_the_closed_forms_in_many_communities(ties: str) -> None:
    check_cascades(400_000, ties)


def test_after_four_agents_the_coin_has_left_the_stated_shares() -> None:
    # The fifth agent is the first whom four have led into a cascade. Four standard errors: error rate 2e-4.
    n = 200_000
    end = last(n, 5, precision=0.6, ties="coin_flip")
    right, herding = float(end.right_cascade_share), float(end.cascade_share)
    for found, stated in ((right, 0.5952), (herding - right, 0.3472), (1 - herding, 0.0576)):
        assert found == pytest.approx(stated, abs=4 * math.sqrt(stated * (1 - stated) / n) + 5e-5)


def test_an_informative_action_tells_what_its_entropies_say() -> None:
    end = last(1000, 1)
    assert float(end.information) == pytest.approx(0.118709, abs=1e-6)


def test_equal_ups_and_downs_cancel_exactly() -> None:
    end = last(5000, 50, precision=0.55, prior=0.5)
    odds = np.unique(end.log_odds.values)
    weight = social_learning.weight_of(0.55)
    assert odds.tolist() == [-2 * weight, 2 * weight]


@given(q=st.floats(0.5, 0.999999), prior=st.floats(1e-6, 1 - 1e-6), ups=st.integers(1, 40))
def test_log_odds_lie_on_a_lattice_where_sums_are_exact(q: float, prior: float, ups: int) -> None:
    weight = social_learning.weight_of(q)
    start = social_learning.on_lattice(math.log(prior / (1 - prior)))
    assert weight == pytest.approx(math.log(q / (1 - q)), abs=1e-12)
    odds = start
    for _ in range(ups):
        odds += weight
    for _ in range(ups):
        odds -= weight
    assert odds == start


def check_bayes(end: xarray.Dataset) -> None:
    """Among communities with one public belief, the state is good as often as the belief says."""
    # Exact binomial standard deviations, 4.5 of them for at most some 30 groups a run: error rate 2e-4, fixed seeds.
    odds, group, size = np.unique(end.log_odds.values, return_inverse=True, return_counts=True)
    good = np.bincount(group, end.state.values)
    belief = 1 / (1 + np.exp(-odds))
    certain = np.abs(odds) == 700.0
    assert good[certain].tolist() == (size * (odds > 0))[certain].tolist()
    # Groups too small for a normal distribution are left out.
    enough = size * belief * (1 - belief) > 20
    assert size[enough | certain].sum() > 0.9 * size.sum()
    z = (good - size * belief)[enough] / np.sqrt(size * belief * (1 - belief))[enough]
    assert np.abs(z).max() < 4.5


BIASED_AGENTS = {"prior_weight": 0.8, "agree_weight": 0.7, "contradict_weight": 1.7, "lean": 0.3}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"ties": "coin_flip"},
        BIASED_AGENTS,
        {"planner": "optimal", "objective": "biased", "margin": 1e-3},
        {"planner": "optimal", "precision": 0.6, "cost": 8.0, "prior": 0.35},
    ],
    ids=["bayesian", "coin", "agents with biases", "biased planner", "altruistic planner"],
)
def test_the_public_belief_is_a_martingale_that_is_right_as_often_as_it_says(parameters: dict[str, Any]) -> None:
    n = 100_000
    prior = parameters.get("prior", 0.5)
    for steps in (3, 12):
        end = last(n, steps, seed=steps, **parameters)
        # Four standard errors: error rate 6e-5 each.
        spread = float(end.belief.std()) / math.sqrt(n)
        assert float(end.mean_belief) == pytest.approx(prior, abs=4 * spread + 1e-9)
        check_bayes(end)


def test_beliefs_grow_surer_and_cascades_are_for_ever() -> None:
    run = simengine.run(
        SocialLearning, n_communities=20_000, steps=30, seed=3, planner="optimal", objective="biased",
        snapshot_every=1, threads=1, progress=False,
    )  # fmt: skip
    # Sampling noise of the mean entropy of 20,000 communities that move is below 1e-3 a step.
    assert (np.diff(run.belief_entropy.values) < 1e-3).all()
    herding = run.onset.values >= 0
    assert (herding[1:] >= herding[:-1]).all()
    odds = run.log_odds.values
    stays = herding[1:] & herding[:-1]
    assert (odds[1:][stays] == odds[:-1][stays]).all()
    assert herding[-1].mean() > 0.9


@pytest.mark.parametrize(
    "parameters",
    [
        {"planner": "optimal", "prior": 0.35, "precision": 0.6, "cost": 8.0},
        {"planner": "optimal", "objective": "biased", "prior": 0.5, "cost": 0.5},
        {"planner": "optimal", "objective": "biased", "prior": 0.3, "cost": 0.5},
        {"planner": "optimal", "objective": "biased", "prior": 0.5, "cost": 1.0},
        {"planner": "optimal", "prior": 0.2, "cost": 0.5},
    ],
    ids=["altruistic, three phases", "biased", "biased, below a half", "biased, dear", "altruistic"],
)
def test_a_simulated_planner_gains_the_value_that_was_found_for_it(parameters: dict[str, Any]) -> None:
    n, steps = 40_000, 150
    end = last(n, steps, **parameters)
    found = solve_planner(
        parameters.get("objective", "altruistic"), parameters.get("precision", 0.7), parameters["cost"], 0.9
    )
    value = float(np.interp(parameters["prior"], found.belief.values, found.value.values))
    # Four standard errors (6e-5), what 150 agents leave out (1e-6), and margins and nodes between which it plays.
    spread = float(end.value.std()) / math.sqrt(n)
    assert float(end.planner_value) == pytest.approx(value, abs=4 * spread + 2e-3)


P, BESIDE = 0.7, 1e-3
MYOPIC = {"planner": "myopic", "objective": "biased"}
FARSIGHTED = {"planner": "optimal", "objective": "biased"}


@pytest.mark.parametrize(
    ("parameters", "threshold", "below", "above"),
    [
        ({"planner": "myopic", "cost": 0.5}, 0.15, P, 1.0),
        ({"planner": "optimal", "cost": 0.5}, 0.015, P, 1.0),
        ({"planner": "optimal", "cost": 0.5, "discount": 0.5}, 0.075, P, 1.0),
        ({"planner": "optimal", "cost": 0.2}, 0.006, P, 1.0),
        ({"planner": "optimal", "cost": 3.0}, 0.09, P, 1.0),
        ({"planner": "optimal", "cost": 8.0, "precision": 0.6}, 0.313, 0.6, 1 - 0.313),
        ({"planner": "optimal", "cost": 8.0, "precision": 0.6}, 0.383, 1 - 0.383, 1.0),
        (MYOPIC | {"cost": 0.2}, 0.02798, P, 1 - 0.02798),
        (MYOPIC | {"cost": 0.5}, 0.06319, P, 1 - 0.06319),
        (MYOPIC | {"cost": 1.0}, 0.10774, P, 1 - 0.10774),
        (MYOPIC | {"cost": 2.0}, 0.16334, P, 1 - 0.16334),
        (MYOPIC | {"cost": 0.2}, 0.4, 1 - 0.4, P),
        (MYOPIC | {"cost": 2.0}, 0.7, 0.7, P),
        (FARSIGHTED | {"cost": 0.5}, 0.008, P, 1 - 0.008),
        (FARSIGHTED | {"cost": 2.0}, 0.0385, P, 1 - 0.0385),
        (FARSIGHTED | {"cost": 2.0}, 0.581, None, 0.581),
    ],
)  # fmt: skip
def test_planners_play_on_either_side_of_a_threshold_what_is_stated(
    parameters: dict[str, Any], threshold: float, below: float | None, above: float
) -> None:
    for prior, stated in ((threshold - BESIDE, below), (threshold + BESIDE, above)):
        used = float(last(2, 1, prior=prior, **parameters).precision_used)
        if stated is None:
            assert used > prior + BESIDE
        else:
            assert used == pytest.approx(stated, abs=1.1 * BESIDE)


def test_a_planner_that_only_looks_at_the_next_agent_gains_less_than_one_who_looks_at_all() -> None:
    common = {"objective": "biased", "prior": 0.3, "cost": 0.2}
    gains = [float(last(40_000, 100, planner=planner, **common).planner_value) for planner in ("optimal", "myopic")]
    assert gains[0] > gains[1] + 0.05


def stated_policy(asked: Any) -> Any:
    """The biased planner's policy of the table below."""
    b, margin = asked.agents.belief, 1e-3
    obfuscate = np.where((b > 0.5) & (b <= 0.7), b - margin, 0.7)
    return np.where((b >= 0.0083) & (b <= 0.5), 1 - b + margin, obfuscate)


ACCURACY_IN_BAD = {
    0.20: (1.0, 1.0, 0.754),
    0.35: (0.879, 1.0, 0.475),
    0.50: (0.829, 1.0, 0.037),
    0.65: (0.618, 1.0, 0.0),
}


def check_welfare(communities: int) -> None:
    # The table has three digits of 1e5 runs of 30 agents: four standard errors of both together (error rate 6e-5), and
    # its rounding.
    for prior, row in ACCURACY_IN_BAD.items():
        common = {"prior": prior, "state": "bad", "seed": 5}
        ends = (
            last(communities, 30, **common),
            last(communities, 30, planner="optimal", **common),
            last(communities, 30, policies={"agents.plan": stated_policy}, **common),
        )
        for end, stated in zip(ends, row, strict=True):
            accuracy = 1.0 + float(end.welfare) / 30
            spread = float(end.mistakes.std()) / 30
            error = 4 * spread * math.sqrt(1 / communities + 1e-5) + 6e-4
            assert accuracy == pytest.approx(stated, abs=error), (prior, stated)


def test_accuracy_in_the_bad_state_is_the_stated_one_for_each_planner() -> None:
    check_welfare(20_000)


@pytest.mark.slow
def test_accuracy_in_the_bad_state_is_the_stated_one_in_many_communities() -> None:
    check_welfare(100_000)


def test_planners_choose_what_their_names_say() -> None:
    common = {"communities": 2000, "steps": 20}
    free, named = last(**common), last(**common, planner="always_p")
    for name in ("log_odds", "action", "value"):
        assert (free[name] == named[name]).all()
    assert float(free.spending) == 0.0
    certain = last(**common, planner="always_1")
    assert float(certain.accuracy) == 1.0
    assert float(certain.information) == pytest.approx(1.0, abs=1e-12)
    assert float(certain.spending) == pytest.approx(20 * 0.5 * 0.3)
    random = last(**common, planner="random")
    assert 0.7 <= float(random.precision.min()) < 0.72
    assert float(random.precision.max()) > 0.98


def test_obfuscation_costs_and_tells_nothing() -> None:
    end = last(1000, 40, planner="optimal", objective="biased", prior=0.6)
    assert float(end.information) == pytest.approx(0.0, abs=1e-12)
    assert float(end.cascade_share) == 1.0
    assert float(end.spending) == pytest.approx(40 * 0.5 * 0.1, rel=1e-4)
    assert (end.action == 1).all()


def test_concave_costs_are_paid() -> None:
    end = last(100, 10, planner="always_1", cost_power=0.5)
    assert float(end.spending) == pytest.approx(10 * 0.5 * math.sqrt(0.3))


def test_agents_who_under_react_to_agreement_act_like_bayesians() -> None:
    bayesian, biased = last(3000, 30), last(3000, 30, agree_weight=0.3)
    assert (bayesian.action == biased.action).all()


@pytest.mark.parametrize(("contradict", "prior_weight", "net"), [(1.0, 1.0, 2), (2.5, 1.0, 3), (1.5, 0.4, 4)])
def test_over_reaction_to_contradiction_delays_cascades(contradict: float, prior_weight: float, net: int) -> None:
    end = last(3000, 400, contradict_weight=contradict, prior_weight=prior_weight)
    assert float(end.cascade_share) == 1.0
    weight = social_learning.weight_of(0.7)
    assert net - 1 <= contradict / prior_weight < net
    assert np.unique(np.abs(end.log_odds.values)).tolist() == [net * weight]


def test_a_lean_moves_the_belief_at_which_cascades_begin() -> None:
    # Half a signal towards good: one up makes a cascade, downs need two and more.
    weight = social_learning.weight_of(0.7)
    end = last(3000, 200, lean=0.5 * weight)
    assert np.unique(end.log_odds.values / weight).round(9).tolist() == [-2.0, 1.0]


def test_precision_from_outside_is_brought_within_bounds() -> None:
    end = last(500, 10, policies={"agents.plan": lambda asked: np.full(len(asked.ids), 3.0)})
    assert (end.precision == 1.0).all()
    assert (end.action == end.state).all()
    assert (np.abs(end.log_odds) == 700.0).all()


@pytest.mark.parametrize("action", [0, 1])
@pytest.mark.parametrize("odds", [-2.5, -1.0, 0.0, 1.0, 2.5])
def test_an_action_tells_its_signal_or_in_a_cascade_nothing_whatever_it_is(odds: float, action: int) -> None:
    weight = social_learning.weight_of(0.7)
    scenario = SocialLearning({})
    fields = {"onset": -1, "mistakes": 0, "utility": 0.0, "spent": 0.0, "value": 0.0, "belief": 0.5}
    agents = Bunch(
        log_odds=[odds * weight], weight=[weight], action=[action], state=[1], precision=[0.7],
        **{name: [value] for name, value in fields.items()},
    )  # fmt: skip
    new = Bunch(log_odds=[odds * weight], **{name: [value] for name, value in fields.items()})
    SocialLearning.learn(0, agents, new, scenario, 4)
    moved = 0.0 if abs(odds) > 1.0 else (1.0 if action else -1.0)
    assert new.log_odds[0] == pytest.approx((odds + moved) * weight, abs=1e-12)
    assert new.onset[0] == (-1 if moved else 4)
    assert new.utility[0] == pytest.approx(-(0.9**4) * (1 - action))


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"precision": 0.4}, "precision"), ({"prior": 0.0}, "prior"), ({"prior": 1.0}, "prior"),
        ({"discount": 1.0}, "discount"), ({"n_beliefs": 400}, "n_beliefs"), ({"planner": "optimum"}, "planner"),
    ],
)  # fmt: skip
def test_parameters_that_mean_nothing_are_refused_in_a_line(parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told) as refused:
        SocialLearning(parameters)
    assert "\n" not in str(refused.value)


def test_the_logarithm_of_the_step_is_a_logarithm_above_one_too() -> None:
    for x in np.logspace(0, 15, 200):
        assert log_unit(x) == pytest.approx(math.log(x), rel=1e-15, abs=1e-300)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("prior", [5e-324, 1e-300, 1 - 1e-16])
def test_the_surest_priors_are_a_cascade(prior: float) -> None:
    end = last(20, 3, prior=prior)
    assert float(end.cascade_share) == 1.0
    assert float(end.accuracy) == 1.0
    assert float(end.information) == pytest.approx(0.0, abs=1e-12)


def test_spread_over_shards_nothing_changes() -> None:
    testing.any_shards(SocialLearning, shards=(3,), n_communities=50, steps=8, planner="optimal", n_beliefs=101)


@pytest.mark.slow
def test_all_promises_hold() -> None:
    testing.check(SocialLearning, n_communities=60, steps=8, n_beliefs=101, ties="coin_flip")


@pytest.mark.slow
def test_all_promises_hold_under_a_planner_but_that_of_names() -> None:
    # Nodes of the planner's grid are looked up by number.
    planned = {"n_communities": 60, "steps": 8, "planner": "optimal", "n_beliefs": 101, "objective": "biased"}
    testing.any_threads(SocialLearning, **planned)
    testing.split_equals_whole(SocialLearning, **planned)
    testing.any_stride(SocialLearning, **planned)
    testing.any_storage_order(SocialLearning, **planned)
