from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simengine
from simengine import InputError, Simulation
from simengine.scenarios.commons import SOCIETIES, Commons
from simengine.scenarios.commons_growth import additive, best_harvest, doubling, longest_survival, steady_state
from simengine.scenarios.commons_measures import EXHAUSTED, STARVED, gini, norm_geometry
from simengine.scenarios.commons_societies import TRAITS, medians
from simengine.sweeps.sweep_file import read_sweep_file

CAPACITY, MEMBERS = 300.0, 10
ALIKE = {"noise": 0.0, "belief_noise": 0.0, "sanctions_until": 0}
"""Members of one effort who copy one another without noise keep it."""


def last(steps: int = 100, **parameters: Any) -> Any:
    """The last record of a run, in which the stock was conserved."""
    options = {"seed": 1, "every": max(steps, 1), "snapshot_every": max(steps, 1), "threads": 1} | parameters
    run = simengine.run(Commons, steps=steps, progress=False, **options)
    assert float(run.imbalance.max()) <= 1e-9
    return run.isel(time=-1, snapshot_time=-1)


def constant(taken: Any, rate: float, stock: Any = CAPACITY, steps: int = 2000) -> Any:
    """Villages, side by side, whose members take a constant share of the stock together, and need nothing."""
    efforts = np.repeat(np.atleast_1d(taken), MEMBERS)
    villages = len(efforts) // MEMBERS
    start = {"effort": efforts, "villages": {"stock": np.broadcast_to(stock, villages)}}
    return last(
        steps, start=start, growth_rate=rate, productivity=1.0 / MEMBERS, subsistence=0.0, stock_minimum=0.0, **ALIKE
    )


@pytest.mark.parametrize(
    ("taken", "rate", "stock", "harvest"),
    [
        (0.105, 0.6, 269.654505, 28.313723),
        (0.255, 0.6, 172.965182, 44.106122),
        (0.105, 0.2, 138.572454, 14.550108),
        (0.3, 0.6, 122.448980, 36.734694),
        (0.2, 0.2, 0.0, 0.0),
    ],
)
def test_members_of_constant_effort_come_to_the_steady_state(
    taken: float, rate: float, stock: float, harvest: float
) -> None:
    found, expected = constant(taken, rate), steady_state(taken, rate, CAPACITY)
    assert expected.stock == pytest.approx(stock, abs=1e-6)
    assert expected.harvest == pytest.approx(harvest, abs=1e-6)
    assert float(found.stock) == pytest.approx(expected.stock, abs=1e-9)
    assert float(found.harvest.sum()) == pytest.approx(expected.harvest, abs=1e-9)


@pytest.mark.parametrize("rate", [0.2, 0.6])
def test_stocks_persist_up_to_the_boundary_x_equals_r_and_yield_most_at_half_of_it(rate: float) -> None:
    per_left = rate * np.array([0.1, 0.45, 0.5, 0.55, 0.95, 1.05, 1.5])
    taken = per_left / (1.0 + per_left)
    found = constant(taken, rate, steps=4000)
    stocks = found.villages_stock.values
    np.testing.assert_allclose(stocks, [steady_state(q, rate, CAPACITY).stock for q in taken], atol=1e-9)
    assert ((stocks > 1.0) == (per_left < rate)).all()
    harvests = stocks * taken
    assert harvests.argmax() == 2
    assert harvests[2] == pytest.approx(best_harvest("logistic", rate, CAPACITY), abs=1e-9)
    assert rate / (1.0 + rate) == pytest.approx({0.2: 1 / 6, 0.6: 0.375}[rate])


def test_small_distances_from_the_steady_state_change_by_the_multiplier() -> None:
    for taken, rate in ((0.105, 0.6), (0.255, 0.6), (0.105, 0.2)):
        expected = steady_state(taken, rate, CAPACITY)
        moved = constant([taken, taken], rate, expected.stock + np.array([-1e-4, 1e-4]), steps=1)
        slope = np.diff(moved.villages_stock.values)[0] / 2e-4
        # The second derivative cancels in a central difference; rounding leaves 1e-13 / 1e-4.
        assert slope == pytest.approx(expected.multiplier, abs=1e-8)


@pytest.mark.parametrize(
    ("productivity", "effort", "rate", "rounds", "ending"),
    [
        (0.03, 0.85, 0.2, 34, STARVED),
        (0.03, 0.35, 0.2, 64, STARVED),
        (0.03, 0.20, 0.6, 70, STARVED),
        (0.03, 0.35, 0.6, None, 0),
        (0.03, 0.85, 0.6, None, 0),
        (0.05, 1.00, 0.2, 11, EXHAUSTED),
        (0.02, 1.00, 0.2, 40, STARVED),
    ],
)
def test_villages_without_learning_and_sanctions_end_when_they_must(
    productivity: float, effort: float, rate: float, rounds: int | None, ending: int
) -> None:
    start = {"effort": np.full(MEMBERS, effort)}
    found = last(1000, start=start, productivity=productivity, growth_rate=rate, **ALIKE)
    assert (int(found.villages_rounds[0]), int(found.villages_ending[0])) == (rounds or 1000, ending)
    assert float(found.survival) == (rounds or 1000)
    expected = {0.2: 285.2, 0.35: 269.6545, 0.85: 172.9652}
    if rate == 0.6:
        assert float(found.stock) == pytest.approx(expected[effort], abs=0.05 if effort == 0.2 else 5e-5)
    if rounds:
        assert found.attrs["stopped_at"] == rounds + 1


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    productivity=st.floats(0.0, 0.1),
    subsistence=st.floats(1.6, 5.0),
    penalty_size=st.floats(0.0, 20.0),
    sanctions_until=st.sampled_from([None, 0, 7]),
    imitation_strength=st.floats(0.0, 5.0),
    noise=st.floats(0.0, 0.5),
    society=st.sampled_from(sorted(TRAITS)),
)
def test_nothing_lets_villages_outlive_what_they_have_and_what_can_grow(subsistence: float, **parameters: Any) -> None:
    longest = longest_survival(MEMBERS, subsistence, 20.0, CAPACITY, 0.2, CAPACITY)
    found = last(1000, n_agents=20 * MEMBERS, n_villages=20, growth_rate=0.2, subsistence=subsistence, **parameters)
    assert int(found.villages_rounds.max()) <= longest
    assert float(found.going_on) == 0.0


def test_ten_villagers_who_need_two_live_for_100_rounds_at_most_in_a_harsh_place() -> None:
    assert longest_survival(10, 2.0, 20.0, 300.0, 0.2, 300.0) == pytest.approx(100.0)
    assert longest_survival(10, 2.0, 20.0, 300.0, 0.6, 300.0) == math.inf


def test_villages_live_longer_where_the_stock_grows_faster() -> None:
    # 200 villages each; the differences are more than ten standard errors.
    rounds = [
        float(last(n_agents=2000, n_villages=200, growth_rate=rate, sanctions_until=0, productivity=0.05).survival)
        for rate in (0.2, 0.4, 0.6, 0.8)
    ]
    assert (np.diff(rounds) > 1.0).all()


@pytest.mark.parametrize("environment", ["harsh", "rich"])
def test_altruists_live_longest_in_harsh_places_and_the_selfish_in_rich_ones(environment: str) -> None:
    low, high = {}, {}
    for society in ("altruistic", "mixed", "selfish"):
        found = last(n_agents=2000, n_villages=200, environment=environment, society=society)
        rounds = found.villages_rounds.values
        error = 1.96 * rounds.std(ddof=1) / math.sqrt(len(rounds))
        low[society], high[society] = rounds.mean() - error, rounds.mean() + error
    # 95 % intervals that do not meet.
    if environment == "harsh":
        assert low["altruistic"] > high["selfish"]
        assert low["selfish"] > high["mixed"]
        assert 40.0 < low["altruistic"] < high["altruistic"] < 47.0
    else:
        assert high["altruistic"] < low["selfish"] == low["mixed"] == 100.0


def test_starved_villagers_are_dead_and_an_ended_village_stands_still() -> None:
    sim = Simulation(Commons, n_agents=400, n_villages=40, environment="harsh", seed=2, threads=1)
    sim.step(25)
    before = {name: sim.population("villages")[name].values for name in ("stock", "norm", "rounds", "ending")}
    ended = np.flatnonzero(before["ending"])
    assert 0 < len(ended) < 40
    homes = [np.flatnonzero(sim.population("agents")["village"].values == village) for village in ended]
    efforts = sim.population("agents")["effort"].values
    alive = sim.population("agents")["village"].values
    sizes = np.bincount(alive, minlength=40)
    starved = before["ending"] == STARVED
    assert (sizes[starved] < MEMBERS).all()
    assert (sizes[~starved] == MEMBERS).all()
    assert (sim.population("agents")["wealth"].values >= 0.0).all()
    kept = [efforts[home] for home in homes]
    sim.step(10)
    after = sim.population("villages")
    for name, values in before.items():
        np.testing.assert_array_equal(after[name].values[ended], values[ended])
    villages, efforts = sim.population("agents")["village"].values, sim.population("agents")["effort"].values
    for village, effort in zip(ended, kept, strict=True):
        np.testing.assert_array_equal(efforts[villages == village], effort)


def test_the_norm_is_the_median_of_what_the_living_propose() -> None:
    sim = Simulation(Commons, n_agents=210, n_villages=20, seed=3, threads=1)
    for _ in range(12):
        sim.step(2)
        agents = sim.population("agents")
        expected = [np.median(agents["proposal"].values[agents["village"].values == home]) for home in range(20)]
        going_on = sim.population("villages")["ending"].values == 0
        np.testing.assert_array_equal(sim.population("villages")["norm"].values[going_on], np.array(expected)[going_on])


def test_the_first_norm_is_the_median_of_beliefs() -> None:
    beliefs = np.array([1.0, 5.0, 2.0, 4.0, 3.0, 9.0, 7.0])
    found = last(0, start={"belief": beliefs, "agents_village": [0, 0, 0, 0, 1, 1, 1]}, n_villages=2)
    assert found.villages_norm.values.tolist() == [3.0, 7.0]
    assert medians(np.array([4.0]), np.array([0]), np.array([1])).tolist() == [4.0]


def test_societies_have_the_traits_of_their_kind_in_either_reading() -> None:
    found = last(0, n_agents=1000, n_villages=100, society="mixed", altruist_share=0.3)
    altruist = found.altruist.values.astype(bool)
    assert (altruist.reshape(100, 10).sum(axis=1) == 3).all()
    for name, kind in (("effort", "effort"), ("belief", "belief"), ("punishment", "prose")):
        for who, chosen in (("altruistic", altruist), ("selfish", ~altruist)):
            low, high = TRAITS[who][kind]
            values = found[name].values[chosen]
            assert low <= values.min() < values.max() <= high
    table = last(0, n_agents=100, society="selfish", reading="table")
    assert table.punishment.values.min() >= 0.4


def test_the_shipped_sweep_is_the_papers_design() -> None:
    file = Path(simengine.scenarios.__file__).parent / "designs" / "commons_societies.toml"
    keywords = read_sweep_file(file)
    assert keywords.pop("scenario") == "commons"
    design = keywords.pop("design")
    assert keywords == {key: value for key, value in SOCIETIES.items() if key != "design"}
    assert {name: sorted(set(design.columns[name])) for name in design.names} == SOCIETIES["design"]
    ds = simengine.sweep(Commons, **SOCIETIES | {"replicates": 1, "steps": 3}, progress=False)
    assert dict(ds.survival.isel(time=-1).sizes) == {"environment": 2, "society": 3, "replicate": 1}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"initial_stock": -1.0}, "initial_stock"),
        ({"carrying_capacity": 0.0}, "carrying_capacity"),
        ({"carrying_capacity": -300.0}, "carrying_capacity"),
        ({"initial_stock": 301.0}, r"initial_stock \(301\) exceeds carrying_capacity \(300\)"),
        ({"n_agents": 3, "n_villages": 4}, "a village would be empty"),
        ({"environment": "harsh", "growth_rate": 0.5}, r"growth_rate \(0.5\) is not that of a harsh environment"),
        ({"learning": "norm_clamp", "sees_norm": False}, "norm_clamp"),
        ({"start": {"villages": {"stock": [-1.0]}}}, "villages.stock of village 0 is -1"),
        ({"start": {"villages": {"stock": [1500.0]}}}, r"villages.stock: 1500 exceeds carrying_capacity \(300\)"),
        ({"stock_minimum": 300.0}, r"stock_minimum \(300\) is not below carrying_capacity"),
        ({"start": {"agents_village": [0, 0, 2]}, "n_villages": 3}, "village 1 is empty"),
        ({"start": {"agents_village": [0, -1]}}, "each agent needs a village"),
        ({"start": {"turn": [1.0, 1.0]}, "allocation": "in_turn"}, "two of a village have the same place"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        simengine.run(Commons, steps=1, progress=False, **given)
    assert "\n" not in str(caught.value)


def test_laws_of_growth_stop_at_the_capacity_and_say_what_can_be_had_for_ever() -> None:
    assert [doubling(stock, 100.0) for stock in (0.0, 30.0, 80.0)] == [0.0, 60.0, 100.0]
    assert [additive(stock, 0.1, 100.0) for stock in (0.0, 30.0, 95.0)] == [10.0, 40.0, 100.0]
    assert best_harvest("doubling", 0.6, 100.0) == 50.0
    assert best_harvest("additive", 0.1, 100.0) == pytest.approx(10.0)
    assert math.isnan(best_harvest("none", 0.6, 100.0))
    for taken in (1.0, -0.1, math.nan):
        with pytest.raises(InputError, match="steady_state: taken"):
            steady_state(taken, 0.6, 300.0)


@given(st.integers(2, 40), st.integers(1, 8), st.integers(0, 2**32))
def test_the_two_measures_of_norms_are_one(n: int, dimensions: int, seed: int) -> None:
    norms = np.random.default_rng(seed).normal(size=(n, dimensions))
    norms /= np.linalg.norm(norms, axis=1, keepdims=True)
    found = norm_geometry(norms)
    cosines = norms @ norms.T
    assert found.individual == pytest.approx((cosines.sum() - np.trace(cosines)) / (n * (n - 1)), abs=1e-12)
    assert found.alignment == pytest.approx(np.linalg.norm(norms.sum(axis=0)) / n, abs=1e-12)
    assert found.individual == pytest.approx((n * found.alignment**2 - 1.0) / (n - 1), abs=1e-12)
    assert -1.0 / (n - 1) - 1e-12 <= found.individual <= 1.0 + 1e-12


def test_norms_that_are_no_unit_vectors_are_refused() -> None:
    for norms, message in (([[1.0, 0.0]], "n from 2"), ([[1.0, 0.0], [1.0, 1.0]], "norm 1 has length 1.41421")):
        with pytest.raises(InputError, match=message):
            norm_geometry(norms)


def test_the_gini_coefficient_is_that_of_pairs() -> None:
    values = np.random.default_rng(1).exponential(size=60)
    pairs = np.abs(values[:, np.newaxis] - values).mean() / (2.0 * values.mean())
    assert gini(values) == pytest.approx(pairs, abs=1e-12)
    assert gini(np.zeros(3)) == 0.0
