from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import simengine
from simengine import testing
from simengine.scenarios.govsim import (
    RULES,
    WORDS,
    GovSim,
    by_community,
    efficiency,
    equality,
    over_usage,
    survival_months,
    threshold,
)

FISHERY_OF_FIVE = [100] * 13
TABLE = {
    0: (12, 0, 0.0, FISHERY_OF_FIVE),
    5: (12, 60, 0.5, FISHERY_OF_FIVE),
    10: (12, 120, 1.0, FISHERY_OF_FIVE),
    11: (4, 39, 0.325, [100, 90, 70, 30]),
    12: (3, 32, 32 / 120, [100, 80, 40]),
    13: (3, 28, 28 / 120, [100, 70, 10]),
    15: (2, 25, 25 / 120, [100, 50]),
    20: (1, 20, 20 / 120, [100]),
}
"""What five members get who each ask for so much: months, gain, efficiency, stocks before harvest."""
PUBLISHED = {
    20.0: 16.7, 24.0: 20.0, 36.3: 30.3, 58.5: 48.8, 20.3: 16.9, 31.5: 26.2, 62.4: 52.0, 66.0: 55.0,
}  # fmt: skip
"""Gain and efficiency in percent of the paper's table."""


def village(wanted: Any, **options: Any) -> Any:
    """Run communities whose members always want the given amounts, shape (communities, members)."""
    wanted = np.asarray(wanted)
    return simengine.run(
        GovSim, n_communities=len(wanted), rule="fixed", start={"amount": wanted.ravel()}, snapshot_every=1,
        progress=False, **options,
    )  # fmt: skip


def in_seats(run: Any, name: str, members: int) -> np.ndarray:
    """Values of agents, shape (moments, communities, members)."""
    values: np.ndarray = run[name].values
    return values.reshape(len(values), -1, members)


@cache
def still_wanting(wants: tuple[int, ...], stock: int) -> dict[tuple[int, ...], float]:
    """Exact chances of what each gets if units go one by one to one of those who still want one."""
    waiting = [member for member, wish in enumerate(wants) if wish > 0]
    if stock == 0 or not waiting:
        return {(0,) * len(wants): 1.0}
    found: Counter[tuple[int, ...]] = Counter()
    for member in waiting:
        less = tuple(wish - (other == member) for other, wish in enumerate(wants))
        for got, chance in still_wanting(less, stock - 1).items():
            found[tuple(units + (other == member) for other, units in enumerate(got))] += chance / len(waiting)
    return dict(found)


def among_units(wants: tuple[int, ...], stock: int) -> dict[tuple[int, ...], float]:
    """The same if each unit went to one of the units wanted."""
    if stock == 0:
        return {(0,) * len(wants): 1.0}
    found: Counter[tuple[int, ...]] = Counter()
    for member, wish in enumerate(wants):
        if wish > 0:
            less = tuple(left - (other == member) for other, left in enumerate(wants))
            for got, chance in among_units(less, stock - 1).items():
                key = tuple(units + (other == member) for other, units in enumerate(got))
                found[key] += chance * wish / sum(wants)
    return dict(found)


def allocations(wants: tuple[int, ...], stock: int, number: int, allocation: str) -> Counter[tuple[int, ...]]:
    """What members got in so many communities that all want the same."""
    run = village(
        np.tile(wants, (number, 1)), capacity=stock, collapse_below=0, allocation=allocation, steps=1, seed=4, threads=1
    )
    return Counter(map(tuple, in_seats(run, "got", len(wants))[1].tolist()))


def goodness(seen: Counter[tuple[int, ...]], chances: dict[tuple[int, ...], float]) -> float:
    """p value of the chi-square test."""
    assert set(seen) <= set(chances)
    expected = np.array(list(chances.values())) * sum(seen.values())
    return float(chisquare([seen[got] for got in chances], expected).pvalue)


def test_equal_takes_give_the_months_gains_efficiencies_and_stocks_of_the_table() -> None:
    run = village([[a] * 5 for a in TABLE])
    last, each = run.isel(time=-1), by_community(run).isel(snapshot_time=-1)
    for place, (months, gain, share, stocks) in enumerate(TABLE.values()):
        assert int(each.survival[place]) == months
        assert float(each.gain[place]) == gain
        assert float(each.efficiency[place]) == share
        assert run.communities_stock.values[: len(stocks), place].tolist() == stocks
        assert bool(run.communities_collapsed[-1, place]) == (months < 12)
    assert (run.imbalance == 0.0).all()
    # Whose takes fit into the stock are equal; the last, scarce harvest of the others is drawn unit by unit.
    assert (each.equality[:3] == 1.0).all()
    assert float(each.equality[-1]) == 1.0
    assert float(last.survival_rate) == 3 / 8
    assert float(last.collapsed) == 5 / 8
    assert float(last.survival) == np.mean([row[0] for row in TABLE.values()])


def test_ten_is_the_best_that_all_can_do() -> None:
    run = village([[a] * 5 for a in range(31)])
    assert int(by_community(run).gain[-1].values.argmax()) == 10


def test_restraint_below_ten_pays_less_the_stronger_it_is_but_greed_pays_less_than_half_of_that() -> None:
    gains = by_community(village([[a] * 5 for a in (4, 10, 11, 20)])).gain[-1].values
    assert gains.tolist() == [48.0, 120.0, 39.0, 20.0]


def test_efficiency_is_gain_divided_by_120_as_in_the_published_table() -> None:
    for gain, percent in PUBLISHED.items():
        # Both are rounded to a tenth.
        assert 100 * efficiency(5 * gain, 12) == pytest.approx(percent, abs=0.05 + 0.05 / 1.2)
    run = simengine.run(GovSim, rule="mixed", noise=5, seed=1, snapshot_every=1, progress=False)
    each = by_community(run)
    np.testing.assert_allclose(each.efficiency, each.gain / 120.0, rtol=1e-15)
    np.testing.assert_allclose(each.mean("community").gain, run.gain, rtol=1e-15)
    assert 0.1 < float(run.efficiency[-1]) < 0.9
    assert np.isnan(efficiency(0, 12, 0))


def test_whoever_takes_more_than_ten_once_lowers_the_next_stock_by_twice_as_much() -> None:
    extra = np.arange(-10, 46)
    takes = np.full((len(extra), 5), 10)
    takes[:, 2] += extra
    run = village(takes, steps=1)
    np.testing.assert_array_equal(run.communities_stock[1], np.minimum(100, 2 * (50 - extra)))


def test_less_than_five_units_left_are_a_collapse_and_five_are_not() -> None:
    run = village([[19] * 5, [20, 19, 19, 19, 19]], steps=1)
    assert run.communities_stock[1].values.tolist() == [10, 4]
    assert run.communities_collapsed[1].values.tolist() == [0, 1]
    later = village([[20, 19, 19, 19, 19]], steps=5)
    assert later.communities_stock.values[1:].ravel().tolist() == [4]
    assert later.attrs["stopped_at"] == 1


@pytest.mark.parametrize(("wants", "stock"), [((1, 1, 4), 3), ((1, 2, 3, 3), 5)])
def test_scarce_units_go_to_members_who_still_want_one_with_even_chances(wants: tuple[int, ...], stock: int) -> None:
    # Two chi-square tests at level 1e-3 with a fixed seed, against exact enumeration of all orders; the rule that
    # draws among the units wanted instead is rejected.
    seen = allocations(wants, stock, 8000, "stochastic")
    assert goodness(seen, still_wanting(wants, stock)) > 1e-3
    assert goodness(seen, among_units(wants, stock)) < 1e-9


def test_proportional_shares_are_rounded_down_and_the_rest_is_drawn_among_those_rounded() -> None:
    # Shares of 5 units: 2.5, 1.5 and 1. One chi-square test at level 1e-3 with a fixed seed.
    seen = allocations((5, 3, 2), 5, 4000, "proportional")
    assert set(seen) == {(3, 1, 1), (2, 2, 1)}
    assert goodness(seen, {(3, 1, 1): 0.5, (2, 2, 1): 0.5}) > 1e-3


@given(
    members=st.integers(1, 8), capacity=st.integers(1, 60), noise=st.integers(0, 30), seed=st.integers(0, 2**32),
    allocation=st.sampled_from(["stochastic", "proportional"]), perturbation=st.sampled_from(["none", "newcomer"]),
)  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_units_are_conserved_exactly_and_nobody_gets_more_than_it_wants(
    members: int, capacity: int, noise: int, seed: int, allocation: str, perturbation: str
) -> None:
    newcomer = perturbation if members > 1 else "none"
    run = simengine.run(
        GovSim, n_agents=4 * members, n_communities=4, rule="mixed", noise=noise, capacity=capacity, seed=seed,
        allocation=allocation, perturbation=newcomer, snapshot_every=1, progress=False,
    )  # fmt: skip
    stock, going = run.communities_stock.values, np.diff(run.communities_months.values, axis=0) == 1
    wanted, got = in_seats(run, "wanted", members)[1:], in_seats(run, "got", members)[1:]
    assert (run.imbalance == 0.0).all()
    assert (got >= 0).all()
    assert (got <= np.where(going[..., None], wanted, got)).all()
    np.testing.assert_array_equal(got.sum(axis=2)[going], np.minimum(wanted.sum(axis=2), stock[:-1])[going])
    left = stock[:-1] - np.where(going, got.sum(axis=2), 0)
    grows = going & (left >= 5)
    np.testing.assert_array_equal(stock[1:], np.where(grows, np.minimum(2 * left, capacity), left))
    np.testing.assert_array_equal(
        in_seats(run, "gained", members)[-1].sum(axis=1), run.communities_harvested.values[-1]
    )
    if allocation == "proportional":
        demand = np.maximum(wanted.sum(axis=2, keepdims=True), 1)
        exact = wanted * np.minimum(stock[:-1, :, None], demand) / demand
        assert (np.abs(got - exact)[going] < 1.0).all()


def test_measures_computed_from_snapshots_are_those_recorded() -> None:
    run = simengine.run(
        GovSim, n_agents=60, n_communities=12, rule="mixed", noise=4, perturbation="newcomer", seed=6,
        snapshot_every=1, progress=False,
    )  # fmt: skip
    last, each = run.isel(time=-1), by_community(run).isel(snapshot_time=-1)
    going = np.diff(run.communities_months.values, axis=0) == 1
    there = in_seats(run, "joins", 5)[:-1] <= np.arange(len(going))[:, None, None]
    got = np.where(going[..., None] & there, in_seats(run, "got", 5)[1:], np.nan)
    amounts, stocks = np.moveaxis(got, 1, 0), run.communities_stock.values[:-1].T
    for reading, name in (("group", "over_usage"), ("member", "over_usage_member")):
        np.testing.assert_allclose(each[name], over_usage(amounts, stocks, reading=reading), rtol=1e-15)
    assert float(last.over_usage_member) > float(last.over_usage) > 0.0
    left = stocks - np.nansum(amounts, axis=2)
    np.testing.assert_array_equal(each.survival, survival_months(left))
    np.testing.assert_allclose(each.equality, equality(np.nansum(amounts, axis=1)), rtol=1e-15)
    np.testing.assert_allclose(last.equality, equality(np.nansum(amounts, axis=1)).mean(), rtol=1e-15)


def test_over_usage_in_both_readings_by_hand() -> None:
    # Months: thresholds 50 and 20, shares 10 and 4 of five members, 20 / 4 = 5 of four.
    amounts = [[51.0, 11.0, 10.0, 0.0, 10.0], [21.0, 5.0, 6.0, 0.0, np.nan]]
    assert float(over_usage(amounts, [100, 40])) == 2 / 9
    assert float(over_usage(amounts, [100, 40], reading="member")) == 4 / 9
    assert float(over_usage(amounts[:1], [101])) == 1 / 5
    assert float(over_usage(amounts[:1], [102])) == 0.0
    assert threshold([100, 41, 5, 1, 0]).tolist() == [50, 20, 2, 0, 0]
    with pytest.raises(simengine.InputError, match="reading is 'group' or 'member', not 'each'"):
        over_usage(amounts, [100, 40], reading="each")  # type: ignore[arg-type]


def test_survival_counts_the_month_of_the_collapse_or_by_the_formula_does_not() -> None:
    left = np.array([[0, 0, 0], [50, 4, 4], [50, 5, 5], [50, 50, 50]])
    assert survival_months(left).tolist() == [1, 2, 3, 3]
    assert survival_months(left, reading="formula").tolist() == [0, 1, 1, 3]
    with pytest.raises(simengine.InputError, match="reading is 'harvests' or 'formula', not 'code'"):
        survival_months(left, reading="code")  # type: ignore[arg-type]


@given(
    gains=st.lists(st.integers(0, 100), min_size=1, max_size=8).filter(any),
    scale=st.integers(1, 9),
    seed=st.integers(0),
)
def test_equality_is_one_less_gini_whatever_the_unit_and_the_order(gains: list[int], scale: int, seed: int) -> None:
    found = float(equality(gains))
    ranked, n = np.sort(gains), len(gains)
    gini = ((2 * np.arange(1, n + 1) - n - 1) * ranked).sum() / (n * ranked.sum())
    assert found == pytest.approx(1.0 - gini, abs=1e-12)
    assert 1.0 / n - 1e-12 <= found <= 1.0
    assert float(equality(np.random.default_rng(seed).permutation(gains) * scale)) == pytest.approx(found, abs=1e-12)
    assert float(equality([*gains, np.nan])) == found


def test_equality_of_equals_is_one_and_of_one_who_has_all_one_over_their_number() -> None:
    assert equality([[7, 7, 7], [0, 0, 0], [9, 0, 0]]).tolist() == [1.0, 1.0, pytest.approx(1 / 3)]


def test_a_newcomer_joins_after_three_months_and_twelve_more_follow() -> None:
    run = simengine.run(
        GovSim, n_agents=10, n_communities=2, perturbation="newcomer", newcomer_rule="sustainable", snapshot_every=1,
        progress=False,
    )  # fmt: skip
    got = in_seats(run, "got", 5)
    # Four share 50, twelve each; five have ten each.
    assert (got[1:4] == [12, 12, 12, 12, 0]).all()
    assert (got[4:] == 10).all()
    assert run.attrs["stopped_at"] == 15
    assert float(run.survival_rate[-1]) == 1.0
    assert float(run.gain[-1]) == (4 * 156 + 120) / 5
    assert float(run.over_usage_member[-1]) == 0.0


def test_a_greedy_newcomer_makes_a_community_collapse_that_would_have_lasted() -> None:
    run = simengine.run(
        GovSim, n_agents=10, n_communities=2, perturbation="newcomer", greed=0.5, snapshot_every=1, progress=False
    )
    stock, months = 100, 0
    while months < 15:
        members = 4 if months < 3 else 5
        share = stock // 2 // members
        left = stock - min(4 * share + (stock // 2 if members == 5 else 0), stock)
        months += 1
        if left < 5:
            break
        stock = min(2 * left, 100)
    assert months < 15
    assert run.communities_months[-1].values.tolist() == [months, months]
    assert float(run.collapsed[-1]) == 1.0
    assert (in_seats(run, "request", 5)[1:4, :, 4] == 0).all()
    assert (in_seats(run, "request", 5)[4, :, 4] == 50).all()
    assert float(run.over_usage[-1]) == 0.0 < float(run.over_usage_member[-1])


def test_imitators_ask_for_what_the_best_got_and_reciprocators_for_what_the_others_took() -> None:
    fixed, imitate, reciprocate, sustainable = (
        RULES.index(rule) for rule in ("fixed", "imitate_best", "reciprocate", "sustainable")
    )
    rules = [[fixed, imitate, imitate, imitate, imitate], [fixed, fixed, reciprocate, sustainable, sustainable]]
    amounts = [[13, 5, 6, 7, 8], [25, 12, 0, 0, 0]]
    run = simengine.run(
        GovSim, n_communities=2, start={"rule": np.ravel(rules), "amount": np.ravel(amounts)}, steps=2,
        snapshot_every=1, progress=False,
    )  # fmt: skip
    asked = in_seats(run, "request", 5)
    assert asked[1].tolist() == [[13, 5, 6, 7, 8], [25, 12, 10, 10, 10]]
    # Second: 100 - 67 = 33 are left, doubled 66, a share is 6; the others of the third member took 57, 14 each.
    assert asked[2].tolist() == [[13, 13, 13, 13, 13], [25, 12, 14, 6, 6]]


def test_reciprocators_among_themselves_sustain_their_stock() -> None:
    run = simengine.run(GovSim, rule="reciprocate", progress=False)
    assert float(run.survival_rate[-1]) == 1.0
    assert float(run.efficiency[-1]) == 1.0


def test_noise_is_a_whole_number_up_to_its_bound_and_nobody_asks_for_less_than_nothing() -> None:
    asked = simengine.run(
        GovSim, rule="fixed", amount=2, noise=4, steps=3, snapshot_every=1, progress=False
    ).request.values[1:]
    assert set(np.unique(asked)) == set(range(7))


def test_the_greedy_ask_for_their_part_of_the_stock_rounded_down() -> None:
    for greed, units in ((0.29, 29), (0.999, 99), (0.0, 0), (1.0, 100)):
        run = simengine.run(GovSim, rule="greedy", greed=greed, steps=1, snapshot_every=1, progress=False)
        assert (run.request[1] == units).all()


def test_the_three_commons_differ_in_words_only() -> None:
    runs = {
        commons: simengine.run(GovSim, commons=commons, rule="mixed", noise=3, snapshot_every=1, progress=False)
        for commons in WORDS
    }
    assert {GovSim(commons=commons).harvest_unit for commons in WORDS} == {words.unit for words in WORDS.values()}
    assert GovSim(commons="pasture", perturbation="newcomer").months == 15
    for run in runs.values():
        np.testing.assert_array_equal(run.got, runs["fishery"].got)
        np.testing.assert_array_equal(run.equality, runs["fishery"].equality)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial_stock": -1}, "initial_stock"),
        ({"capacity": 0}, "capacity"),
        ({"capacity": -5}, "capacity"),
        ({"initial_stock": 101}, r"initial_stock \(101\) exceeds capacity \(100\)"),
        ({"n_agents": 3, "n_communities": 5}, r"n_agents \(3\) leaves a community empty"),
        ({"n_agents": 9, "n_communities": 5, "perturbation": "newcomer"}, "at least 2 for each of 5 communities"),
        ({"n_agents": 41, "n_communities": 5}, r"n_agents \(41\) is too many for 5 communities: .* at most 8 in each"),
        ({"share_greedy": 0.5}, "shares of rules add up to 1.3, allowed is 1"),
        ({"rule": "greedily"}, "rule"),
        ({"start": {"communities_stock": [5, -3]}, "n_agents": 10}, "communities.stock of community 1 is -3"),
        ({"start": {"communities_stock": [5, 300]}, "n_agents": 10}, "of community 1 is 300, which exceeds capacity"),
        ({"start": {"agents_community": [0] * 5}, "n_communities": 2}, "community 1 is empty"),
        (
            {"start": {"agents_community": [0] * 9 + [1]}, "n_communities": 2},
            "community 0 has 9 members, allowed are 8",
        ),
        ({"start": {"agents_community": [0, -1]}, "n_communities": 1}, "an agent has no community"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(simengine.InputError, match=message) as error:
        simengine.run(GovSim, out=tmp_path / "run.nc", progress=False, **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


MIXED: dict[str, Any] = {"n_agents": 30, "n_communities": 6, "rule": "mixed", "noise": 3, "steps": 6}


def test_neither_the_order_of_storage_nor_names_of_agents_and_communities_carry_a_meaning() -> None:
    # The comparison of distributions fails for one seed in a thousand; the seed is fixed.
    testing.any_storage_order(GovSim, **MIXED)
    testing.relabelling_invariant(GovSim, **MIXED)


@pytest.mark.slow
def test_every_promise_is_kept() -> None:
    testing.check(GovSim, **MIXED)


@pytest.mark.slow
def test_a_policy_that_answers_as_the_rule_does_gives_the_same_run() -> None:
    def as_the_rule(asked: Any) -> Any:
        return np.where(asked.observed["members"] > 0, asked.observed["share"], 0)

    options = {"capacity": 57, "snapshot_every": 1, "progress": False}
    rule = simengine.run(GovSim, **options)
    policy = simengine.run(GovSim, policies={"agents.request": simengine.Policy(as_the_rule)}, **options)
    np.testing.assert_array_equal(rule.got, policy.got)


@pytest.mark.slow
def test_a_policy_that_asks_for_less_than_nothing_or_too_much_gets_nothing_or_what_there_is() -> None:
    def extremes(asked: Any) -> Any:
        return np.where(asked.agents.seat == 0, 10**9, -3)

    run = simengine.run(
        GovSim, policies={"agents.request": simengine.Policy(extremes)}, steps=1, snapshot_every=1, progress=False
    )
    assert (in_seats(run, "got", 5)[1] == [100, 0, 0, 0, 0]).all()
