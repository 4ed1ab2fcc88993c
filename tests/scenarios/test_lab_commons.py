from __future__ import annotations

from types import SimpleNamespace as Bunch
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

import simengine
from simengine import InputError, Policy, testing
from simengine.scenarios.social_dilemmas import LabCommons
from simengine.scenarios.social_dilemmas_theory import (
    commons_potential,
    logit_law,
    nash_rent_share,
    nash_tokens,
    zero_rent_total,
)

MARKET = {"productivity": 23.0, "crowding": 0.25, "wage": 5.0}
SMALL: dict[str, Any] = {"endowment": 3, "productivity": 8.0, "crowding": 1.0, "wage": 2.0}
"""The game whose stationary law is known profile by profile, for three members."""


def played(members: int = 8, groups: int = 1, steps: int = 1, **parameters: Any) -> Any:
    """A run of groups of so many members, all of whom decide in each round unless told otherwise."""
    options: dict[str, Any] = {
        "n_agents": members * groups, "n_groups": groups, "revision": "simultaneous", "endowment": 25, "seed": 1,
        "snapshot_every": steps, "threads": 1,
    }  # fmt: skip
    return simengine.run(LabCommons, steps=steps, progress=False, **(options | parameters))


@pytest.mark.parametrize(
    ("rule", "total", "rent_share"), [("nash", 64.0, 32 / 81), ("optimum", 36.0, 1.0), ("constant", 72.0, 0.0)]
)
def test_eight_members_put_in_64_36_or_72_tokens(rule: str, total: float, rent_share: float) -> None:
    run = played(rule=rule, whole_tokens=False, endowment=10, initial_tokens=9.0).isel(time=-1, snapshot_time=-1)
    np.testing.assert_allclose(run.tokens, total / 8, rtol=1e-12)
    assert float(run.rent_share) == pytest.approx(rent_share, abs=1e-12)
    # Those who keep their tokens out earn e w; the rent comes on top of it.
    assert float(run.payoff.sum()) == pytest.approx(8 * 10 * 5 + rent_share * 18**2 / (4 * 0.25), rel=1e-12)
    assert (8 * nash_tokens(8, **MARKET), nash_tokens(1, **MARKET), zero_rent_total(**MARKET)) == (64.0, 36.0, 72.0)


@pytest.mark.parametrize(("members", "rent_share"), [(8, 0.3951), (5, 0.5556), (2, 0.8889)])
def test_the_more_share_a_market_the_less_rent_is_left_at_equilibrium(members: int, rent_share: float) -> None:
    run = played(members, rule="nash")
    assert float(run.rent_share[-1]) == pytest.approx(nash_rent_share(members), rel=1e-12)
    assert nash_rent_share(members) == pytest.approx(rent_share, abs=5e-5)


def test_the_potential_is_highest_at_the_equilibrium_and_changes_as_the_payoff_of_who_deviates() -> None:
    runs = {}
    for first in (7.0, 8.0, 9.0):
        start = {"tokens": np.array([first, *[8.0] * 7])}
        runs[first] = played(rule="constant", start=start).isel(time=-1, snapshot_time=-1)
    assert [float(runs[first].potential) for first in runs] == [575.75, 576.0, 575.75]
    for run in runs.values():
        gained = float(run.payoff[0] - runs[8.0].payoff[0])
        assert gained == pytest.approx(float(run.potential) - 576.0, abs=1e-12)
        assert float(commons_potential(run.tokens, **MARKET)) == float(run.potential)


@pytest.mark.parametrize("members", [2, 5, 8])
def test_best_replies_in_turn_settle_at_the_equilibrium(members: int) -> None:
    run = played(members, 3, 100 * members, rule="best_reply", revision="in_turn", whole_tokens=False)
    np.testing.assert_allclose(run.tokens[-1], nash_tokens(members, **MARKET), rtol=1e-9)


def test_best_replies_of_all_at_once_multiply_the_distance_by_minus_half_of_the_others() -> None:
    for members in (2, 3, 4, 5, 8):
        equilibrium = nash_tokens(members, **MARKET)
        run = played(members, 1, 6, rule="best_reply", whole_tokens=False, initial_tokens=equilibrium + 1e-3)
        distance = run.mean_tokens.values - equilibrium
        np.testing.assert_allclose(distance[1:] / distance[:-1], -(members - 1) / 2, rtol=1e-6)


def test_from_four_members_on_simultaneous_best_replies_swing_as_far_as_tokens_go() -> None:
    run = played(8, 1, 21, rule="best_reply", initial_tokens=9.0, endowment=10)
    # To all ten tokens, to which one is the best reply.
    assert run.mean_tokens.values[-2:].tolist() == [10.0, 1.0]


def test_logit_decisions_one_at_a_time_have_the_stationary_law_of_the_potential() -> None:
    noise = 1 / 0.57
    run = played(3, 10_000, 60, rule="logit", revision="one_at_random", noise=noise, every=60, **SMALL)
    law = logit_law(3, 3, 8.0, 1.0, 2.0, noise)
    assert law[1, 1, 2] == law[2, 1, 1] == law.max() == pytest.approx(0.0504075, abs=5e-8)
    profiles = run.tokens.values[-1].astype(int).reshape(-1, 3)
    observed = np.bincount(profiles @ [16, 4, 1], minlength=64)
    # Error rate 1e-3, fixed seed; 20 decisions of each member forget the start.
    assert chisquare(observed, law.ravel() * 10_000).pvalue > 1e-3


@pytest.mark.slow
def test_logit_decisions_in_turn_have_the_same_law() -> None:
    run = played(3, 300_000, 60, rule="logit", revision="in_turn", noise=2.0, every=60, **SMALL)
    profiles = run.tokens.values[-1].astype(int).reshape(-1, 3)
    law = logit_law(3, 3, 8.0, 1.0, 2.0, 2.0)
    # Error rate 1e-3, fixed seed.
    assert chisquare(np.bincount(profiles @ [16, 4, 1], minlength=64), law.ravel() * 300_000).pvalue > 1e-3


def test_who_imitates_what_earns_more_leaves_no_rent() -> None:
    run = played(8, 100, 400, rule="imitation", intensity=10.0, mutation=0.01, endowment=15)
    # The equilibrium leaves 0.395 of the rent; spite drives tokens on to 9 each, mutants off both ways.
    assert abs(float(run.rent_share[-100:].mean())) < 0.1
    assert float(run.mean_tokens[-100:].mean()) == pytest.approx(9.0, abs=0.5)


def test_groups_of_any_sizes_play_their_own_equilibrium() -> None:
    run = played(rule="nash", n_agents=11, n_groups=3, whole_tokens=False)
    assert run.agents_group.values[-1].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    equilibria = [nash_tokens(4, **MARKET)] * 8 + [nash_tokens(3, **MARKET)] * 3
    np.testing.assert_allclose(run.tokens[-1], equilibria, rtol=1e-12)


@pytest.mark.parametrize(("answer", "held"), [(-3.0, 0.0), (4.6, 5.0), (1e300, 25.0)])
def test_what_is_beyond_the_endowment_is_brought_to_it(answer: float, held: float) -> None:
    new = Bunch(tokens=np.zeros(1))
    LabCommons.keep_to_endowment(0, Bunch(tokens=np.array([answer])), new, Bunch(endowment=25, whole=1.0))
    assert new.tokens[0] == held


@pytest.mark.slow
def test_answers_from_outside_are_brought_to_what_there_is() -> None:
    run = played(2, 2, policies={"agents.appropriate": Policy(lambda asked: np.full(len(asked.ids), 30.0))})
    assert (run.tokens[-1] == 25.0).all()


@pytest.mark.slow
def test_a_run_is_the_same_however_it_is_cut_and_spread() -> None:
    for rule in ("logit", "imitation"):
        testing.check(LabCommons, n_agents=60, n_groups=7, rule=rule)
        testing.any_shards(LabCommons, shards=(3,), n_agents=60, n_groups=7, rule=rule)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"n_agents": 3, "n_groups": 4}, "n_agents (3) must be at least n_groups (4): no group is empty"),
        ({"crowding": 0.0}, "'crowding' of LabCommons: got 0.0"),
        ({"wage": 30.0}, "productivity (23) must exceed wage (30)"),
        ({"initial_tokens": 11.0}, "initial_tokens (11) must not exceed endowment (10)"),
        ({"initial_tokens": 4.5}, "initial_tokens: got 4.5, but tokens are whole"),
        ({"whole_tokens": False}, "rule='logit' needs whole_tokens=True"),
        ({"rule": "best"}, "'rule' of LabCommons: got 'best'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]+$") as refused:
        LabCommons(**parameters)
    assert said in str(refused.value)


def test_a_group_without_members_is_refused_at_the_start() -> None:
    with pytest.raises(InputError, match="start: group 3 is empty; each needs a member"):
        simengine.run(
            LabCommons, n_agents=16, n_groups=4, steps=1, progress=False, start={"agents": {"group": np.arange(16) % 3}}
        )
