from __future__ import annotations

import math
from types import SimpleNamespace as Bunch
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import simengine
from simengine import InputError, Policy, testing
from simengine.scenarios.social_dilemmas import GordonSchaefer
from simengine.scenarios.social_dilemmas_theory import Fishery

FISHERY = Fishery(growth_rate=0.6, capacity=300.0, catchability=0.02, price=10.0, cost=8.0)
SPIRAL_FROM = (0.6 * 2 / 15) ** 2 / (4 * 8 * 0.6 * (1 - 2 / 15))
"""The rate of entry from which stock and effort turn round their steady state."""


def fished(fishers: int = 1, steps: int = 4000, **parameters: Any) -> Any:
    """A run of one ground, its books in order."""
    options: dict[str, Any] = {
        "n_agents": fishers, "n_grounds": 1, "dt": 0.1, "effort_spread": 0.0, "every": steps, "snapshot_every": steps,
        "seed": 1,
    }  # fmt: skip
    run = simengine.run(GordonSchaefer, steps=steps, progress=False, **(options | parameters))
    assert float(run.imbalance.max()) <= 1e-9
    return run


def ends(run: Any) -> tuple[float, float, float]:
    """Stock, effort and rent in the end."""
    last = run.isel(time=-1)
    return float(last.mean_stock), float(last.mean_effort), float(last.mean_rent)


@pytest.mark.parametrize(
    ("players", "effort", "rent"),
    [(1, 13.0, 338.0), (2, 17.3333, 300.444), (5, 21.6667, 187.778), (10, 23.6364, 111.736)],
)
def test_some_players_fish_more_than_an_owner_and_earn_less(players: int, effort: float, rent: float) -> None:
    closed = FISHERY.cournot(players)
    assert (closed.effort, closed.rent) == (pytest.approx(effort, abs=5e-5), pytest.approx(rent, abs=5e-4))
    run = fished(players, rule="cournot", effort_spread=0.5)
    assert ends(run) == pytest.approx((closed.stock, closed.effort, closed.rent), rel=1e-9)
    assert float(run.rent_share[-1]) == pytest.approx(4 * players / (players + 1) ** 2, rel=1e-9)
    np.testing.assert_allclose(run.effort[-1], 26 / (players + 1), rtol=1e-9)


def test_a_sole_owner_leaves_half_of_the_effort_and_takes_all_the_rent() -> None:
    assert ends(fished(3, rule="sole_owner", effort_spread=1.0)) == pytest.approx((170.0, 13.0, 338.0), rel=1e-9)


@pytest.mark.parametrize(("discount", "stock"), [(0.0, 170.0), (0.1, 151.59646), (1e9, 40.0)])
def test_impatient_owners_follow_the_golden_rule_down_to_open_access(discount: float, stock: float) -> None:
    closed = FISHERY.sole_owner(discount)
    assert closed.stock == pytest.approx(stock, abs=5e-6)
    found = ends(fished(rule="sole_owner", discount=discount, steps=8000))
    assert found == pytest.approx((closed.stock, closed.effort, closed.rent), rel=1e-9, abs=1e-6)
    # F' - c' F / (p - c) = discount, with growth F and the cost c = w / (q X) of a catch.
    growth, slope = 0.6 * closed.stock * (1 - closed.stock / 300), 0.6 * (1 - closed.stock / 150)
    if discount < 1:
        saved = (400 / closed.stock**2) * growth / (10 - 400 / closed.stock)
        assert slope + saved == pytest.approx(discount, abs=1e-12)


def test_open_access_ends_where_nothing_is_earned() -> None:
    run = fished(5, 12_000, effort_spread=0.5)
    assert ends(run)[:2] == pytest.approx((40.0, 26.0), rel=1e-9)
    assert ends(run)[2] == pytest.approx(0.0, abs=1e-7)
    assert FISHERY.relative_cost == pytest.approx(0.13333, abs=5e-6)
    # Who began with more effort keeps more.
    assert np.ptp(run.effort.values[-1]) > 1.0
    assert float(run.profit[-1].sum()) == pytest.approx(ends(run)[2], abs=1e-9)


@pytest.mark.parametrize(("effort", "stock", "caught"), [(10.0, 200.0, 40.0), (15.0, 150.0, 45.0), (20.0, 100.0, 40.0)])
def test_constant_effort_has_its_best_yield_at_half_the_stock(effort: float, stock: float, caught: float) -> None:
    run = fished(rule="constant", initial_effort=effort)
    assert (float(run.mean_stock[-1]), float(run.mean_catch[-1])) == pytest.approx((stock, caught), rel=1e-9)
    assert FISHERY.steady(effort).stock == pytest.approx(stock)
    assert FISHERY.best_yield == 45.0


def test_under_constant_effort_the_stock_follows_its_law_exactly_whatever_the_step() -> None:
    for effort in (12.0, 30.0, 40.0):
        run = fished(rule="constant", initial_effort=effort, initial_stock=200.0, dt=2.5, steps=4, every=1)
        law = solve_ivp(
            lambda t, x, effort=effort: [0.6 * x[0] * (1 - x[0] / 300) - 0.02 * effort * x[0], 0.02 * effort * x[0]],
            (0, 10), [200.0, 0.0], rtol=1e-11, atol=1e-11, t_eval=np.arange(0, 11, 2.5),
        )  # fmt: skip
        np.testing.assert_allclose(run.mean_stock, law.y[0], rtol=1e-9)
        np.testing.assert_allclose(run.grounds_caught[-1, 0], law.y[1, -1], rtol=1e-9)


@pytest.mark.parametrize(("entry", "turns"), [(0.01, True), (5e-4, True), (3.5e-4, False), (1e-4, False)])
def test_open_access_spirals_in_where_entry_is_quick_and_else_does_not(entry: float, turns: bool) -> None:
    assert FISHERY.spirals(entry) == turns == (entry > SPIRAL_FROM)
    eigenvalues = FISHERY.eigenvalues(entry)
    assert eigenvalues.sum().real == pytest.approx(-0.08)
    assert eigenvalues.prod().real == pytest.approx(entry * 8 * 0.6 * (1 - 2 / 15))
    assert bool(abs(eigenvalues[0].imag) > 0) == turns
    run = fished(entry=entry, steps=6000, every=10, initial_stock=40.04, initial_effort=26.0, snapshot_every=6000)
    away = run.mean_stock.values - 40.0
    before = np.flatnonzero(away[:-1] * away[1:] < 0)[:6]
    assert (len(before) > 1) == turns
    if entry == 0.01:
        # Half a turn takes pi / 0.2; records, a unit of time apart, are joined by lines.
        crossings = before + away[before] / (away[before] - away[before + 1])
        assert np.diff(crossings).mean() == pytest.approx(math.pi / abs(eigenvalues[0].imag), rel=0.01)


def test_paths_err_by_the_order_of_the_step() -> None:
    law = solve_ivp(
        lambda t, y: [0.6 * y[0] * (1 - y[0] / 300) - 0.02 * y[1] * y[0], 0.01 * (0.2 * y[0] - 8) * y[1]],
        (0, 20), [300.0, 10.0], rtol=1e-10, atol=1e-10,
    )  # fmt: skip
    errors = []
    for dt in (0.04, 0.02, 0.01):
        run = fished(dt=dt, steps=round(20 / dt))
        errors.append(float(run.mean_effort[-1]) - law.y[1, -1])
    assert abs(errors[-1]) < 0.02 * law.y[1, -1]
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.2)
    assert errors[1] / errors[2] == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(
    ("share", "rate", "stock", "caught"),
    [
        (0.105, 0.6, 269.654505, 28.313723),
        (0.255, 0.6, 172.965182, 44.106122),
        (0.105, 0.2, 138.572454, 14.550108),
        (0.3, 0.6, 122.448980, 36.734694),
        (0.6 / 2.6, 0.6, 195.0, 45.0),
    ],
)
def test_seasons_settle_where_harvest_then_growth_does(share: float, rate: float, stock: float, caught: float) -> None:
    run = fished(rule="constant", growth="seasonal", growth_rate=rate, initial_effort=share / 0.02, steps=1000)
    found = (float(run.mean_stock[-1]), float(run.mean_catch[-1]))
    assert found == pytest.approx((stock, caught), abs=1e-6)
    fishery = Fishery(rate, 300.0, 0.02, 10.0, 8.0)
    assert found[0] == pytest.approx(fishery.seasonal_stock(share / 0.02), rel=1e-9)


@pytest.mark.parametrize(("share", "rate", "dies"), [(0.2, 0.2, True), (0.38, 0.6, True), (0.37, 0.6, False)])
def test_stocks_die_out_in_seasons_from_a_share_of_r_over_one_plus_r_on(share: float, rate: float, dies: bool) -> None:
    run = fished(rule="constant", growth="seasonal", growth_rate=rate, initial_effort=share / 0.02, steps=4000)
    assert (float(run.mean_stock[-1]) < 1e-9) == dies == (share >= rate / (1 + rate))
    assert (Fishery(rate, 300.0, 0.02, 10.0, 8.0).seasonal_stock(share / 0.02) == 0.0) == dies


def test_open_access_ends_without_rent_in_seasons_too() -> None:
    run = fished(4, growth="seasonal", entry=0.002, initial_stock=60.0, initial_effort=12.0, steps=3000)
    assert float(run.mean_stock[-1]) == pytest.approx(40.0, rel=1e-9)
    assert FISHERY.seasonal_stock(float(run.mean_effort[-1])) == pytest.approx(40.0, rel=1e-9)


def test_books_are_kept_of_all_that_is_caught_and_grown() -> None:
    run = fished(5, 500, n_grounds=1, effort_spread=1.0, start={"grounds": {"stock": np.array([123.0])}})
    last = run.isel(time=-1, snapshot_time=-1)
    assert float(last.grounds_first_stock[0]) == 123.0
    books = 123.0 + float(last.grounds_grown[0]) - float(last.grounds_caught[0])
    assert float(last.grounds_stock[0]) == pytest.approx(books, abs=1e-9)
    # What is earned is the value of the catch less the cost of all effort: the rent, added up.
    assert float(last.profit.sum()) == pytest.approx(float(last.mean_rent), rel=1e-9)


def test_grounds_do_not_touch_one_another() -> None:
    shared: dict[str, Any] = {"effort_spread": 0.5, "steps": 300, "seed": 3}
    many = fished(12, n_grounds=4, **shared).isel(time=-1, snapshot_time=-1)
    start = {"effort": fished(12, n_grounds=4, **shared).effort.values[0, 3:6]}
    alone = fished(3, start=start, **shared).isel(time=-1, snapshot_time=-1)
    assert float(alone.grounds_stock[0]) == float(many.grounds_stock[1])


@pytest.mark.parametrize(("answer", "held"), [(-1.0, 0.0), (1e300, 50.0), (2.5, 2.5)])
def test_nobody_does_less_than_nothing_or_more_than_all(answer: float, held: float) -> None:
    new = Bunch(effort=np.zeros(1))
    GordonSchaefer.tire(0, Bunch(effort=np.array([answer])), new, Bunch(max_effort=50.0))
    assert new.effort[0] == held


@pytest.mark.slow
def test_decisions_can_be_answered_from_outside() -> None:
    run = fished(2, policies={"agents.fish": Policy(lambda asked: np.full(len(asked.ids), 6.5))})
    assert ends(run) == pytest.approx((170.0, 13.0, 338.0), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("growth", ["continuous", "seasonal"])
def test_a_run_is_the_same_however_it_is_cut_and_spread(growth: str) -> None:
    testing.check(GordonSchaefer, n_agents=60, n_grounds=7, growth=growth)
    testing.any_shards(GordonSchaefer, shards=(3,), n_agents=60, n_grounds=7, growth=growth)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"initial_stock": -1.0}, "'initial_stock' of GordonSchaefer: got -1.0"),
        ({"capacity": 0.0}, "'capacity' of GordonSchaefer: got 0.0"),
        ({"capacity": -3.0}, "'capacity' of GordonSchaefer: got -3.0"),
        ({"initial_stock": 301.0}, "initial_stock (301) must not exceed capacity (300)"),
        ({"n_agents": 3, "n_grounds": 4}, "n_agents (3) must be at least n_grounds (4): no ground is empty"),
        ({"cost": 60.0}, "cost (60) must be below price x catchability x capacity (60), or fishing never pays"),
        ({"growth": "seasonal", "rule": "cournot"}, "rule='cournot' aims at steady states of continuous growth"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]+$") as refused:
        GordonSchaefer(**parameters)
    assert said in str(refused.value)


def test_grounds_without_fishers_and_steps_that_are_too_long_are_refused() -> None:
    with pytest.raises(InputError, match="start: ground 1 is empty; each needs a fisher"):
        fished(n_agents=4, n_grounds=2, start={"agents": {"ground": np.zeros(4, int)}})
    with pytest.raises(InputError, match=r"dt \(2000\) is too long"):
        GordonSchaefer(dt=2000.0)


def test_negative_stocks_are_refused_at_the_start() -> None:
    with pytest.raises(InputError, match=r"^[^\n]*stock[^\n]*0 <= value[^\n]*$"):
        fished(start={"grounds": {"stock": np.array([-1.0])}})
