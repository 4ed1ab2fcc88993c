"""Plots of cascades' sizes and of Schelling's diagram."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from plot_datasets import as_runs, one_run, sweep

from simengine import InputError
from simengine.analysis import plots
from simengine.analysis.plots.cascades import complementary, wilson
from simengine.analysis.plots.schelling import Dilemma


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    yield
    plt.close("all")


def line(ax: Axes, name: str) -> Line2D:
    return next(one for one in ax.get_lines() if one.get_label() == name)


def test_shares_of_cascades_at_least_as_large_fall_from_one() -> None:
    ax = plots.cascade_sizes([1, 1, 2, 4])
    drawn = line(ax, "4 cascades")
    np.testing.assert_allclose(drawn.get_xdata(), [1, 2, 4])
    np.testing.assert_allclose(drawn.get_ydata(), [1.0, 0.5, 0.25])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_ylabel() == "Share of cascades at least as large"
    assert ax.get_xlabel() == "Cascade size"


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_complementary_shares_are_those_counted_one_by_one(sizes: list[int]) -> None:
    at, share = complementary(np.array(sizes, float))
    assert share.tolist() == pytest.approx([np.mean(np.array(sizes) >= one) for one in at])


def test_cascades_of_size_nought_count_among_all_and_are_told() -> None:
    drawn = line(plots.cascade_sizes([0, 0, 3, 5]), "4 cascades, 2 of size 0")
    np.testing.assert_allclose(drawn.get_ydata(), [0.5, 0.25])


def test_intervals_of_shares_are_wilsons() -> None:
    # 10 of 50 at 95 %: 0.1124 to 0.3304 (Newcombe 1998, Stat. Med. 17, 857-872, gives the method's formula).
    low, high = wilson(np.array([0.2]), 50, 0.95)
    np.testing.assert_allclose([low[0], high[0]], [0.1124, 0.3304], atol=1e-4)


def test_the_reference_has_the_slope_of_the_exponent_less_one() -> None:
    drawn = line(plots.cascade_sizes([1, 10, 100], exponent=1.5), "slope -0.5")
    x, y = np.log(np.asarray(drawn.get_xdata(), float)), np.log(np.asarray(drawn.get_ydata(), float))
    assert (y[-1] - y[0]) / (x[-1] - x[0]) == pytest.approx(-0.5)


def test_sizes_of_a_sweep_are_the_last_records_of_its_runs_by_a_parameter_if_asked() -> None:
    data = sweep()
    assert line(plots.cascade_sizes(data), "36 cascades") is not None
    ax = plots.cascade_sizes(data, by="noise")
    assert [one.get_label() for one in ax.get_lines()] == [f"{one} (12 cascades)" for one in ("0.1", "0.2", "0.3")]
    assert ax.get_legend().get_title().get_text() == "noise"
    listed = plots.cascade_sizes(as_runs(data), by="noise")
    assert [one.get_label() for one in listed.get_lines()] == [one.get_label() for one in ax.get_lines()]


@pytest.mark.parametrize(
    ("data", "more", "told"),
    [
        ([1, -2], {}, "sizes are not negative, but -2 is there"),
        ([0, 0], {}, "no cascade of a size above 0"),
        ([], {}, "no cascade of a size above 0"),
        ("sizes", {}, "got str, allowed are numbers, a DataArray or a Dataset"),
        ([1, 2], {"exponent": 0.5}, "exponent: got 0.5, allowed is a number above 1"),
        (one_run(), {}, "name an observable of sizes; there are opinion_entropy"),
        (sweep(), {"by": "nois"}, r"by: there is no swept parameter 'nois'.*noise"),
        (sweep(), {"name": "cascade_siz"}, "cascade_size"),
    ],
)
def test_sizes_that_are_none_are_told_in_one_line(data: object, more: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        plots.cascade_sizes(data, **more)  # type: ignore[arg-type]


def dilemma() -> Dilemma:
    """Prisoners' dilemma of five: r = 3, c = 1."""
    others = np.arange(5.0)
    return Dilemma(0.6 * (others + 1.0) - 1.0, 0.6 * others)


def test_in_a_public_goods_game_nobody_gives_and_all_would_be_best() -> None:
    game = dilemma()
    assert (game.equilibria(), game.tipping(), game.best()) == ([0], [], 5)
    # All contribute: (r - 1) c each.
    assert game.mean[5] == pytest.approx(2.0)
    ax = plots.schelling_diagram({"multiplier": 3.0, "cost": 1.0, "n_fellows": 4})
    np.testing.assert_allclose(line(ax, "cooperates").get_ydata(), game.cooperators)
    np.testing.assert_allclose(line(ax, "defects").get_ydata(), game.defectors)
    assert line(ax, "equilibrium").get_xydata().tolist() == [[0.0, 0.0]]
    np.testing.assert_allclose(line(ax, "best for all").get_xydata(), [[4.0, 2.0]])
    assert ax.get_xlabel() == "Number of the other 4 who cooperate"
    assert ax.get_ylabel() == "Payoff"


def test_with_high_enough_fines_all_contribute() -> None:
    # Fines take s F = 0.5 from a gap of c (1 - r / n) = 0.4.
    told = {"multiplier": 3.0, "cost": 1.0, "n_fellows": 4, "sanctions": "central", "fine": 1.0, "sanction_chance": 0.5}
    assert line(plots.schelling_diagram(told), "equilibrium").get_xydata()[:, 0].tolist() == [4.0]


def test_coordination_has_two_equilibria_and_a_tipping_point_between() -> None:
    ax = plots.schelling_diagram(lambda k: 2.0 * k - 3.0, lambda k: 1.0 * k, players=7, unit="token")
    np.testing.assert_allclose(line(ax, "tipping point").get_xydata(), [[3.0, 3.0]])
    assert line(ax, "equilibrium").get_xydata()[:, 0].tolist() == [0.0, 6.0]
    assert ax.get_ylabel() == "Payoff (token)"
    game = Dilemma(2.0 * np.arange(6.0) - 2.5, np.arange(6.0))
    assert (game.equilibria(), game.tipping()) == ([0, 6], [2.5])


def test_in_a_snowdrift_some_cooperate() -> None:
    ax = plots.schelling_diagram(
        {"payoff_aa": 3.0, "payoff_ab": 1.0, "payoff_ba": 5.0, "payoff_bb": 0.0, "n_agents": 12}
    )
    # 3 k + (11 - k) = 5 k at k = 11 / 3.
    x, y = line(ax, "equilibrium").get_xydata()[0]
    assert x == pytest.approx(11.0 / 3.0)
    assert y == pytest.approx(5.0 * 11.0 / 3.0)


def test_in_the_commons_of_the_laboratory_defectors_earn_the_equilibrium_where_all_defect() -> None:
    ax = plots.schelling_diagram({"productivity": 23.0, "crowding": 0.25, "wage": 5.0, "endowment": 10})
    defects, cooperates = line(ax, "defects"), line(ax, "cooperates")
    # 8 tokens each: 5 (10 - 8) + 8 (23 - 0.25 64) = 66; the best, 36 in all: 5 (10 - 4.5) + 4.5 (23 - 9) = 90.5.
    assert defects.get_ydata()[0] == pytest.approx(66.0)
    assert cooperates.get_ydata()[7] == pytest.approx(90.5)


def test_a_run_tells_its_game_by_its_parameters() -> None:
    run = xr.Dataset(attrs={"scenario": "GraphGame", "parameter_benefit": 6.0, "parameter_cost": 1.0})
    ax = plots.schelling_diagram(run, players=3)
    assert line(ax, "cooperates").get_ydata().tolist() == [-2.0, 4.0, 10.0]
    with pytest.raises(InputError, match="payoffs of Schooling are not known here"):
        plots.schelling_diagram(xr.Dataset(attrs={"scenario": "Schooling", "parameter_noise": 0.1}))


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=8), st.lists(st.integers(-5, 5), min_size=8, max_size=8))
def test_equilibria_are_those_found_by_trying_every_deviation(first: list[int], second: list[int]) -> None:
    n = len(first)
    game = Dilemma(np.array(first, float), np.array(second[:n], float))
    stable = []
    for number in range(n + 1):
        leaves = number > 0 and second[number - 1] > first[number - 1]
        joins = number < n and first[number] > second[number]
        if not (leaves or joins):
            stable.append(number)
    assert game.equilibria() == stable
    assert stable
    means = [
        ((number * first[number - 1] if number else 0) + ((n - number) * second[number] if number < n else 0)) / n
        for number in range(n + 1)
    ]
    assert means[game.best()] == pytest.approx(max(means))


@pytest.mark.parametrize(
    ("given_payoffs", "more", "told"),
    [
        (([1, 2, 3], [1, 2]), {}, "got 3 payoffs of cooperators and 2 of defectors"),
        (([1], [1]), {}, "2 at least"),
        ((lambda k: k, lambda k: k), {}, "players: got None, with functions it is needed"),
        (([1, 2], [1, np.nan]), {}, "a payoff is not a finite number"),
        (([1, 2], [1, 2]), {"players": 3}, "got 2 payoffs, but players=3"),
        (([1, 2],), {}, "payoffs of defectors are missing"),
        (({"multipler": 3.0, "cost": 1.0},), {}, "no game has the parameters multipler, cost.*multiplier"),
        ((object(), [1, 2]), {}, "got object, allowed are functions, payoffs, or parameters"),
    ],
)
def test_payoffs_that_are_none_are_told_in_one_line(given_payoffs: tuple, more: dict[str, int], told: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError, match=told) as error:
        plots.schelling_diagram(*given_payoffs, **more)
    assert "\n" not in str(error.value)
