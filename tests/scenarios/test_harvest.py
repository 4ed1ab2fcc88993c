"""Harvest: growth site by site, mean-field theory where it holds, the tragedy, beams, and whole numbers of apples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, chi2

import simengine
from simengine import InputError, Simulation, testing
from simengine.scenarios.harvest import (
    EAST,
    GREEDY,
    WEST,
    Harvest,
    fixed_points,
    mean_field_flow,
    mean_growth,
    well_mixed_step,
)
from simengine.scenarios.harvest_theory import growth_probability

PEROLAT = ((1, 3, 5), (0.01, 0.05, 0.1))
SSD = ((1, 2, 3), (0.005, 0.02, 0.05))
MELTING_POT = ((1, 2, 3), (0.0025, 0.005, 0.025))
ALONE = {"threads": 1, "progress": False}


def near_disc(apples: np.ndarray, reach2: int) -> np.ndarray:
    """How many others within the square root of ``reach2`` have an apple, on an open grid."""
    rows, columns = apples.shape
    found = np.zeros_like(apples)
    for row in range(-2, 3):
        for column in range(-2, 3):
            if 0 < row * row + column * column <= reach2:
                here = np.s_[max(-row, 0) : rows - max(row, 0), max(-column, 0) : columns - max(column, 0)]
                there = np.s_[max(row, 0) : rows - max(-row, 0), max(column, 0) : columns - max(-column, 0)]
                found[here] += apples[there]
    return found


def run(**parameters: Any) -> Any:
    return simengine.run(Harvest, **(ALONE | parameters))


def test_without_agents_an_empty_grid_stays_empty_and_a_full_one_full() -> None:
    for cover in (0.0, 1.0):
        found = run(n_agents=0, initial_cover=cover, steps=200)
        np.testing.assert_array_equal(found.apples, int(400 * cover))
        np.testing.assert_array_equal(found.apples_grown, 0)


@pytest.mark.parametrize(
    ("variant", "reach2", "growth"), [("perolat", 4, PEROLAT), ("ssd", 2, SSD), ("melting_pot", 4, MELTING_POT)]
)
def test_each_number_of_apples_near_has_the_growth_of_its_variant(variant: str, reach2: int, growth: Any) -> None:
    # 15 tests of shares in all, each with 4.5 standard deviations: error rate 1e-4; fixed seed.
    for cover in (0.1, 0.4):
        simulation = Simulation(
            Harvest, variant=variant, n_agents=0, n_sites=90_000, width=300, initial_cover=cover, seed=6, **ALONE
        )
        before = simulation.sites.apple.values.copy()
        near = near_disc(before.reshape(300, 300), reach2).ravel()
        simulation.step()
        np.testing.assert_array_equal(simulation.sites.near, near)
        grew = simulation.sites.apple.values - before
        for apples in range(7):
            chosen = (near == apples) & (before == 0)
            chance = float(growth_probability(apples, *growth))
            allowed = 4.5 * np.sqrt(chance * (1 - chance) / max(chosen.sum(), 1))
            assert grew[chosen].sum() == pytest.approx(chance * chosen.sum(), abs=allowed * chosen.sum())
        # And so on the whole grid, where sites do not know of one another yet (five standard deviations; the border
        # has fewer neighbours).
        expected = (1 - cover) * float(mean_growth(cover, *growth, neighbours=12 if reach2 == 4 else 8))
        assert grew.mean() == pytest.approx(expected, rel=0.01, abs=5 * np.sqrt(expected / 90_000))


@pytest.mark.parametrize(("apples", "chance"), [(3, 0.05), (12, 0.1)])
def test_a_site_beside_so_many_apples_waits_a_geometric_time(apples: int, chance: float) -> None:
    # 400 fertile sites, five apart, with so many of the twelve sites around filled. Mean within four standard errors,
    # and a chi-squared test with an error rate of 1e-4; fixed seed.
    side, steps = 20, int(14 / chance)
    block = np.zeros((5, 5), int)
    disc = [(r, c) for r in range(5) for c in range(5) if 0 < (r - 2) ** 2 + (c - 2) ** 2 <= 4]
    for row, column in disc[:apples]:
        block[row, column] = 1
    fertile = np.zeros((5, 5), bool)
    fertile[2, 2] = True
    start = {
        "sites_apple": np.tile(block, (side, side)).ravel(),
        "sites_fertile": np.tile(fertile, (side, side)).ravel(),
    }
    found = run(n_agents=0, n_sites=(5 * side) ** 2, width=5 * side, steps=steps, seed=2, start=start)
    times = np.repeat(np.arange(1, steps + 1), np.diff(found.apples_grown))
    assert len(times) == side**2
    assert times.mean() == pytest.approx(1 / chance, abs=4 * np.sqrt(1 - chance) / chance / side)
    edges = np.unique(np.ceil(np.log1p(-np.arange(8) / 8) / np.log1p(-chance)).astype(int))
    survival = (1 - chance) ** np.append(edges, np.inf)
    expected = len(times) * -np.diff(survival)
    observed = np.histogram(times, np.append(edges, steps) + 0.5)[0]
    assert ((observed - expected) ** 2 / expected).sum() < chi2.isf(1e-4, len(expected) - 1)


def test_greedy_agents_leave_nothing_and_keep_the_peace() -> None:
    found = run(rule="greedy", seed=1, steps=400)
    assert int(found.apples[-1]) == 0
    ended = int((found.apples == 0).values.argmax())
    assert ended < 300
    assert int(found.apples_grown[-1]) == int(found.apples_grown[ended])
    np.testing.assert_array_equal(found.peace[1:], 1.0)
    np.testing.assert_array_equal(found.peace_total[1:], 12.0)
    assert float(found.sustainability[-1]) < 100


def test_who_leaves_the_last_apples_eats_more_for_longer() -> None:
    greedy, restrained = (run(rule=rule, seed=1, steps=600) for rule in ("greedy", "restrained"))
    assert int(restrained.apples[-1]) > 200
    assert float(restrained.efficiency[-1]) > 5 * float(greedy.efficiency[-1])
    assert float(restrained.sustainability[-1]) == pytest.approx(300, abs=15)
    assert float(restrained.equality[-1]) > 0.95


def test_the_fewer_the_greedy_the_longer_the_commons_lasts() -> None:
    left = [int(run(rule="greedy", n_agents=n, seed=1, steps=400, every=400).apples[-1]) for n in (2, 8, 30)]
    assert left[0] > left[1] > left[2] == 0


def test_apples_and_places_are_conserved_in_a_crowd_that_fights() -> None:
    simulation = Simulation(Harvest, n_agents=150, rule="greedy", aggression=0.3, time_out=5, seed=8, **ALONE)
    initial = int(simulation.sites.apple.sum())
    for _ in range(60):
        site, apple = simulation.agents.site.values.copy(), simulation.sites.apple.values.copy()
        eaten, away = simulation.agents.eaten.values.copy(), simulation.agents.away.values.copy()
        simulation.step()
        agents, sites = simulation.agents, simulation.sites
        assert int(sites.apple.sum()) == initial + int(sites.grown.sum()) - int(agents.eaten.sum())
        present = agents.away.values == 0
        assert len(set(agents.site.values[present])) == present.sum()
        rows, columns = np.abs(agents.site.values // 20 - site // 20), np.abs(agents.site.values % 20 - site % 20)
        assert (rows + columns).max() <= 1
        # Who comes back finds what has grown on its site.
        assert ((agents.eaten.values - eaten) <= rows + columns + (away == 1)).all()
        assert ((away == 0) | (rows + columns == 0)).all()
        assert set(np.unique(apple)) <= {0, 1}
    assert simulation.agents.steps_away.values.sum() > 100
    assert int(np.abs(simulation.recorded.imbalance).max()) == 0


def test_whoever_is_hit_is_away_for_the_time_out_and_comes_back_to_its_site() -> None:
    # In a row of nine, one faces the other three sites away; there is no apple, and nothing grows.
    simulation = Simulation(
        Harvest, n_agents=2, n_sites=9, width=9, rule="greedy", aggression=1.0, time_out=4, initial_cover=0.0,
        start={"agents_site": [2, 5], "facing": [EAST, EAST], "rule": [GREEDY, GREEDY]}, seed=5, **ALONE,
    )  # fmt: skip
    simulation.step()
    assert simulation.agents.away.values.tolist() == [0, 4]
    assert simulation.agents.site.values.tolist() == [2, 5]
    for left in (3, 2, 1, 0):
        simulation.step()
        assert int(simulation.agents.away[1]) == left
    assert int(simulation.agents.site[1]) == 5
    assert int(simulation.agents.steps_away[1]) == 4


def test_a_beam_hits_the_nearest_ahead_within_its_reach() -> None:
    for distance, facing, beam_reach, hit in ((3, EAST, 3.0, True), (3, EAST, 2.0, False), (3, WEST, 3.0, False)):
        simulation = Simulation(
            Harvest, n_agents=3, n_sites=12, width=12, aggression=1.0, beam_reach=beam_reach, initial_cover=0.0,
            start={"agents_site": [3, 3 + distance, 4 + distance], "facing": [facing, EAST, EAST]}, seed=5, **ALONE,
        )  # fmt: skip
        simulation.step()
        # The second fires at the third, which is right before it, unless it is hit itself; all fire at once.
        assert (simulation.agents.away.values > 0).tolist() == [False, hit, True]


def test_of_two_who_want_one_site_either_gets_it_and_nobody_enters_where_somebody_stood() -> None:
    # A thousand rows, every other one with two agents and an apple between them; five standard deviations.
    row = np.arange(0, 2000, 2)
    site = np.stack([3 * row, 3 * row + 2], axis=1).ravel()
    apple = np.zeros(6000, int)
    apple[3 * row + 1] = 1
    simulation = Simulation(
        Harvest, n_agents=2000, n_sites=6000, width=3, view=1.0, beam_reach=1.0, growth_few=0.0, seed=3,
        start={"agents_site": site, "sites_apple": apple}, **ALONE,
    )  # fmt: skip
    simulation.step()
    winners = simulation.agents.eaten.values.reshape(-1, 2)
    np.testing.assert_array_equal(winners.sum(1), 1)
    assert abs(winners[:, 0].mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)
    # Now the loser wants to go anywhere, but not where the winner stands.
    simulation.step()
    assert len(set(simulation.agents.site.values.tolist())) == 2000


def test_measures_are_those_of_the_paper() -> None:
    found = run(seed=4, steps=80, aggression=0.2, n_agents=8, time_out=10, snapshot_every=1)
    eaten, away = found.eaten.values, found.away.values
    rewards = np.diff(eaten, axis=0)
    assert set(np.unique(rewards)) == {0, 1}
    for step in (1, 30, 80):
        total = eaten[step]
        gaps = np.abs(total[:, None] - total[None, :]).sum()
        times = [np.flatnonzero(rewards[:step, agent]).mean() + 1 for agent in range(8) if total[agent]]
        present = (away[:step] == 0).sum()
        row = found.isel(time=step)
        assert float(row.efficiency_total) == pytest.approx(total.sum() / step)
        assert float(row.efficiency) == pytest.approx(total.sum() / 8)
        assert float(row.equality) == pytest.approx(1 - gaps / (2 * 8 * total.sum()))
        assert float(row.sustainability) == pytest.approx(np.mean(times))
        assert float(row.peace_total) == pytest.approx(present / step)
        assert float(row.peace) == pytest.approx(present / step / 8)
    assert 0.3 < float(row.peace) < 1.0


def test_fixed_points_are_those_that_can_be_solved_by_hand() -> None:
    # One neighbour, growth p beside an apple: (1 - rho) p rho = e rho.
    found = fixed_points(lambda rho: mean_field_flow(rho, (1,), (0.2,), 0.05, neighbours=1))
    assert [point.cover for point in found] == pytest.approx([0.0, 0.75], abs=1e-12)
    assert [point.stable for point in found] == [False, True]
    # Three of three needed: (1 - rho) p rho^3 = e rho, between which the commons lasts only above the middle one.
    found = fixed_points(lambda rho: mean_field_flow(rho, (3,), (1.0,), 0.1, neighbours=3))
    roots = np.sort(np.roots([1.0, -1.0, 0.0, 0.1]).real[np.abs(np.roots([1.0, -1.0, 0.0, 0.1]).imag) < 1e-9])
    assert [point.cover for point in found] == pytest.approx([0.0, *roots[roots > 0]], abs=1e-9)
    assert [point.stable for point in found] == [True, False, True]
    # Without harvest only nothing and everything stay as they are.
    found = fixed_points(lambda rho: mean_field_flow(rho, *PEROLAT, effort=0.0))
    assert [tuple(point) for point in found] == [(0.0, False), (1.0, True)]
    with pytest.raises(InputError, match="not a number at a cover of 0"):
        fixed_points(lambda rho: np.full_like(rho, np.nan))


def test_mean_growth_is_the_mean_over_binomial_neighbours() -> None:
    for cover in (0.0, 0.3, 1.0):
        expected = sum(binom.pmf(near, 12, cover) * growth_probability(near, *PEROLAT) for near in range(13))
        assert float(mean_growth(cover, *PEROLAT)) == pytest.approx(expected, abs=1e-15)
    np.testing.assert_array_equal(growth_probability(range(7), *PEROLAT), [0, 0.01, 0.01, 0.05, 0.05, 0.1, 0.1])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_sites": 401}, r"n_sites \(401\) is not a whole number of rows of 20"),
        ({"n_agents": 401}, r"n_agents \(401\) exceeds n_sites \(400\)"),
        ({"some_from": 7}, r"few_from \(1\), some_from \(7\) and many_from \(5\) must ascend"),
        ({"view": 3.0}, r"beam_reach \(5\) exceeds the view \(3\)"),
        ({"rule": "gready"}, r"did you mean 'greedy'"),
        ({"growth_few": 1.5}, r"growth_few"),
        ({"n_agents": 2, "start": {"agents": {"site": [3, 3]}}}, "several agents stand on site 3"),
        ({"n_agents": 2, "start": {"agents": {"site": [-1, 3]}}}, "each agent needs a site"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_with_one_line(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        run(steps=1, **parameters)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_well_mixed_random_harvest_settles_at_the_stable_fixed_points() -> None:
    # 10,000 sites, means over 400 steps: sampling errors of 0.002 or less; four of these are allowed. On the grid the
    # same agents come back to sites that they have emptied: there is more left.
    n_sites = 10_000
    for n_agents in (300, 600):
        low, high = fixed_points(lambda rho, n=n_agents: well_mixed_step(rho, *PEROLAT, n, n_sites) - rho)
        assert (low.stable, high.stable) == (False, True)
        sizes = {"n_sites": n_sites, "width": 100, "n_agents": n_agents, "rule": "random_walk", "boundary": "periodic"}
        mixed, grid = (
            run(mixing=mixing, initial_cover=0.9, steps=600, every=10, seed=2, **sizes)
            for mixing in ("well_mixed", "grid")
        )
        assert float(mixed.share_of_apples[-40:].mean()) == pytest.approx(high.cover, abs=0.008)
        assert 0.01 < float(grid.share_of_apples[-40:].mean()) - high.cover < 0.07


@pytest.mark.slow
def test_well_mixed_harvest_beyond_the_critical_effort_collapses() -> None:
    # At an effort of 0.11 the theory has no fixed point but nothing; at 0.1 it has one, which attracts from above 0.18.
    ends = {}
    for effort in (0.1, 0.11):
        n_agents = round(effort * 10_000)
        stable = [p.cover for p in fixed_points(lambda r, n=n_agents: well_mixed_step(r, *PEROLAT, n, 10_000) - r)]
        found = run(
            mixing="well_mixed", n_sites=10_000, width=100, n_agents=n_agents, rule="random_walk", initial_cover=0.9,
            steps=800, every=100, seed=2,
        )  # fmt: skip
        ends[effort] = max(stable), float(found.share_of_apples[-1])
    assert ends[0.1][1] == pytest.approx(ends[0.1][0], abs=0.03)
    assert ends[0.11] == (0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("mixing", ["grid", "well_mixed"])
def test_a_harvest_keeps_all_promises(mixing: str) -> None:
    testing.check(
        Harvest, keeping=["sites"], n_agents=20, n_sites=120, width=12, aggression=0.2, steps=8, mixing=mixing
    )


@pytest.mark.slow
def test_the_beam_saves_the_commons_from_the_greedy() -> None:
    # Where rivals put each other in time-out, fewer eat at once; five seeds.
    for seed in range(5):
        peaceful, armed = (run(rule="greedy", aggression=a, seed=seed, every=1000) for a in (0.0, 0.5))
        assert int(peaceful.apples[-1]) == 0 < int(armed.apples[-1])
        assert float(armed.efficiency[-1]) > 3 * float(peaceful.efficiency[-1])
        assert float(armed.peace[-1]) < 0.8
