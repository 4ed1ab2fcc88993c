"""Two single runs compared: a run and its branch, two series with a memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import signal, stats

import simengine
import simengine.analysis.accessor
from simengine.analysis.statistics.intervals import batch_means
from simengine.analysis.statistics.single_runs import compared_by_batches


def run_of(seed: int = 1, **series: Any) -> xr.Dataset:
    records = len(next(iter(series.values())))
    return xr.Dataset(
        {name: ("time", np.asarray(values), {"units": "m"}) for name, values in series.items()},
        {"time": 2.0 * np.arange(records), "step": ("time", np.arange(records))},
        {"scenario": "Walk", "stop_reason": "steps", "seed": seed},
    )


def noise(seed: int, records: int = 200, mean: float = 0.0) -> np.ndarray[Any, Any]:
    return mean + np.random.default_rng(seed).normal(size=records)


def test_the_means_of_stationary_parts_are_compared_with_errors_of_batch_means() -> None:
    a, b = noise(1), noise(2, 300, 1.0)
    found, left, right = compared_by_batches(a, b)
    one, other = batch_means(a), batch_means(b)
    error = np.hypot(one.error, other.error)
    freedom = error**4 / (one.error**4 / one.freedom + other.error**4 / other.freedom)
    assert (left, right) == (one, other)
    assert one.high - one.mean == pytest.approx(stats.t.ppf(0.975, one.freedom) * one.error)
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert found.high - found.difference == pytest.approx(stats.t.ppf(0.975, freedom) * error)
    assert found.p == pytest.approx(2 * stats.t.sf(found.difference / error, freedom))


def test_equal_series_with_a_memory_are_seldom_told_apart() -> None:
    # 300 pairs at the level 5 %: more than 9 % have a chance of 0.2 %; a test that takes records for independent has
    # 50 % here.
    rng = np.random.default_rng(5)
    pairs = signal.lfilter([1.0], [1.0, -0.8], rng.normal(size=(300, 2, 1200)))[..., 200:]
    assert np.mean([compared_by_batches(*pair)[0].p < 0.05 for pair in pairs]) < 0.09


def test_two_single_runs_are_compared_by_their_stationary_parts_and_the_table_says_so() -> None:
    a, b = run_of(1, x=noise(1), y=noise(3)), run_of(2, x=noise(2, 300, 1.0), y=noise(4, 300))
    found = a.sim.compare(b)
    assert "two single runs" in found.attrs["test"]
    assert (found.attrs["when"], found.attrs["not_stationary"], found.attrs["comparisons"]) == ("stationary", "", 2)
    x = found.sel(observable="x")
    assert x.p_adjusted == pytest.approx(2 * float(x.p))
    assert 0 < x.low < 1 < x.high
    assert x.difference.attrs["units"] == "m"
    assert x.n_b <= 300


def test_what_a_branch_has_in_common_with_its_run_is_left_out() -> None:
    course = noise(1, 400)
    branch = course.copy()
    branch[250:] = noise(2, 150, 3.0)
    found = run_of(1, x=course).sim.compare(run_of(1, x=branch))
    assert found.attrs["same_until"] == 2.0 * 249
    assert 75 <= min(found.n_a.item(), found.n_b.item()) <= max(found.n_a.item(), found.n_b.item()) <= 150
    assert found.difference.item() == pytest.approx(branch[250:].mean() - course[250:].mean(), abs=0.3)
    with pytest.raises(simengine.InputError, match="settles in the second half"):
        run_of(1, x=course).sim.compare(run_of(2, x=branch))


def test_an_observable_without_a_stationary_part_has_no_numbers_and_its_reason_is_told() -> None:
    a, b = run_of(1, x=noise(1), y=np.arange(200.0)), run_of(2, x=noise(2), y=noise(3))
    found = a.sim.compare(b)
    assert np.isnan(found.p.sel(observable="y"))
    assert found.n_a.sel(observable="y") == 0
    assert found.attrs["not_stationary"].startswith("y (a: ")


def test_of_constant_series_only_equality_is_known() -> None:
    same, apart = compared_by_batches(np.ones(50), np.ones(60))[0], compared_by_batches(np.ones(50), np.zeros(60))[0]
    assert (same.p, same.effect, same.difference) == (1.0, 0.0, 0.0)
    assert np.isnan(apart.p)
    assert (apart.low, apart.high) == (-1.0, -1.0)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"when": 30.0}, "when: got 30: two single runs are compared by their stationary parts"),
        ({"paired": True}, "paired: two single runs"),
        ({"names": "y"}, r"there are none: y \(a: .*replicates"),
        ({"names": "agents"}, "not one number at a time"),
    ],
)
def test_single_runs_that_cannot_be_compared_are_told(more: dict[str, Any], told: str) -> None:
    a = run_of(1, x=noise(1), y=np.arange(200.0)).assign(agents=(("time", "agent"), np.zeros((200, 3))))
    with pytest.raises(simengine.InputError, match=told):
        a.sim.compare(a.assign_attrs(seed=2), **more)
    with pytest.raises(simengine.InputError, match="the same as the other"):
        a.sim.compare(a.isel(time=slice(0, 150)))
