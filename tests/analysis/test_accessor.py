"""``ds.sim`` on Datasets made by hand and on a small sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import simengine
import simengine.analysis.accessor
from simengine import InputError
from simengine.store.attributes import encode_attributes
from simengine.sweeps.lazy import RunArray

TIMES, REPLICATES, NOISE = 120, 6, (0.1, 0.2, 0.4)


def made_by_hand(shift: float = 0.0, seeds: int = 0) -> xr.Dataset:
    """A sweep whose order is ``noise`` and which settles within some ten records; one run failed, one is missing."""
    rng = np.random.default_rng(1)
    shape = (len(NOISE), REPLICATES, TIMES)
    time = np.arange(TIMES) * 0.5
    order = np.array(NOISE)[:, None, None] + shift + np.exp(-time / 2.0) + rng.normal(0.0, 0.05, shape)
    count = rng.integers(0, 9, shape).astype(float)
    status = np.zeros(shape[:2], np.int8)
    status[0, 1], status[2, 3] = 1, 2
    gone = (status > 0)[..., None]
    dims = ("noise", "replicate", "time")
    return xr.Dataset(
        {
            "order": (dims, np.where(gone, np.nan, order), {"units": "m", "long_name": "order of the swarm"}),
            "order_null_mean": (dims, np.where(gone, np.nan, 0.0 * order), {"units": "m"}),
            "order_null_sd": (dims, np.where(gone, np.nan, 0.1 + 0.0 * order), {"units": "m"}),
            "count": (dims, np.where(gone, np.nan, count), {"units": "1", "long_name": "number counted"}),
            "status": (dims[:2], status),
            "seed": (dims[:2], np.arange(18, dtype=np.uint64).reshape(shape[:2]) + seeds),
            "stopped_at": (dims[:2], np.where(status > 0, np.nan, TIMES - 1.0)),
        },
        {"noise": list(NOISE), "replicate": np.arange(REPLICATES), "time": time, "step": ("time", np.arange(TIMES))},
        {"scenario": "Swarm", "steps": TIMES - 1},
    )


HAND = made_by_hand()


def one_run(series: np.ndarray[Any, Any]) -> xr.Dataset:
    time = xr.Variable("time", np.arange(len(series)) * 2.0, {"units": "s"})
    return xr.Dataset(
        {"x": ("time", series, {"units": "m", "long_name": "place"})},
        {"time": time, "step": ("time", np.arange(len(series)))},
        {"scenario": "Walk", "stop_reason": "steps"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("accessor") / "wealth"
    simengine.sweep(
        "wealth_exchange", {"initial_wealth": [1, 8]}, n_agents=30, replicates=5, steps=120, every=2, out=path,
        progress=False,
    ).close()  # fmt: skip
    return path


def test_intervals_over_replicates_leave_out_what_failed_and_say_so() -> None:
    found = HAND.sim.interval("order", when="last")
    assert found.n.values.tolist() == [5, 6, 5]
    assert (found.attrs["runs"], found.attrs["runs_failed"], found.attrs["runs_missing"]) == (18, 1, 1)
    last = HAND.order.values[1, :, -1]
    low, high = stats.t.interval(0.95, 5, last.mean(), stats.sem(last))
    assert (found.low.values[1], found.high.values[1]) == pytest.approx((low, high))
    assert found["mean"].attrs == {"units": "m", "long_name": "mean of order of the swarm"}
    assert found.attrs["method"] == "Student's t"


def test_intervals_without_a_moment_are_those_of_every_time() -> None:
    found = HAND.sim.interval("order", level=0.9)
    assert found["mean"].dims == ("noise", "time")
    np.testing.assert_allclose(found["mean"], HAND.order.mean("replicate"))
    assert found.attrs["level"] == 0.9


def test_intervals_of_several_observables_have_their_units_beside_them() -> None:
    found = HAND.sim.interval(when="last")
    assert found.observable.values.tolist() == ["order", "count"]
    assert found.units.values.tolist() == ["m", "1"]
    np.testing.assert_allclose(found["mean"].sel(observable="order"), HAND.sim.interval("order", when="last")["mean"])


def test_the_bootstrap_says_its_seed() -> None:
    found = HAND.sim.interval("order", when="last", method="bootstrap")
    assert found.attrs["seed_of_bootstrap"] > 0
    assert (found.low < found["mean"]).all()


def test_a_number_chooses_the_nearest_record() -> None:
    found = HAND.sim.interval("order", when=10.1)
    np.testing.assert_allclose(found["mean"], HAND.order.sel(time=10.0).mean("replicate"))


def test_the_burn_in_is_a_time_for_each_run() -> None:
    found = HAND.sim.burn_in("order")
    assert found.dims == ("noise", "replicate")
    assert found.reason.values[0, 1] == "too few records"
    known = found.values[np.isfinite(found.values)]
    assert len(known) >= 15
    assert ((known >= 1.0) & (known <= 20.0)).all()


def test_the_stationary_part_of_a_sweep_begins_where_each_run_says() -> None:
    found = HAND.sim.stationary("order")
    first = np.isfinite(found.order.values).argmax(axis=-1)
    burn_in = HAND.sim.burn_in("order").values
    there = np.isfinite(burn_in)
    np.testing.assert_array_equal(HAND.time.values[first[there]], burn_in[there])
    assert np.isnan(found.order.values[~there]).all()
    assert found.attrs["not_stationary"] == (~there).sum()
    assert "count" not in found
    assert found.order.attrs == HAND.order.attrs


def test_the_stationary_part_of_a_run_begins_with_a_time_that_is_told() -> None:
    data = one_run(5 * np.exp(-np.arange(300) / 5.0) + np.random.default_rng(2).normal(0, 0.1, 300))
    found = data.sim.stationary()
    assert found.attrs["stationary_from"] == found.time.values[0] == float(data.sim.burn_in("x"))
    assert bool(data.sim.is_stationary("x"))
    assert data.sim.burn_in("x").attrs["units"] == "s"


def test_a_run_that_is_not_stationary_is_refused_with_the_reason() -> None:
    data = one_run(np.linspace(0, 1, 200))
    with pytest.raises(InputError, match=r"not stationary: x \((drifts|settles in the second half)\)"):
        data.sim.stationary("x")
    assert str(data.sim.is_stationary("x").reason.values) in ("drifts", "settles in the second half")


def test_the_interval_along_time_is_wider_than_that_of_independent_records() -> None:
    from scipy.signal import lfilter

    noise = np.random.default_rng(3).normal(size=2000)
    found = one_run(lfilter([1.0], [1.0, -0.8], noise)).sim.interval("x", over="time")
    assert float(found.n_effective) < 500
    assert float(found.high - found.low) > 2 * 1.96 * float(found.sd) / np.sqrt(2000)
    assert found.attrs["method"].startswith("batch means")


def test_convergence_ends_where_the_interval_is() -> None:
    found = HAND.sim.convergence("order", precision=0.01)
    whole = HAND.sim.interval("order", when="last")
    np.testing.assert_allclose(found["mean"].isel(n_replicates=-1), whole["mean"])
    np.testing.assert_allclose(found.half_width.isel(n_replicates=-1), (whole.high - whole.low) / 2)
    assert found.attrs["replicates_needed"] == int(found.replicates_needed.max()) > 6


def test_phases_are_labels_of_runs() -> None:
    found = HAND.sim.phases({"ordered": "order > 0.3", "between": "order > 0.15"})
    assert found.dims == ("noise", "replicate")
    assert set(found.values[0]) == {"none"}
    assert set(found.values[1]) == {"between"}
    assert sorted(set(found.values[2])) == ["none", "ordered"]  # one run is missing
    assert found.attrs["overlapping"] == "ordered before between: 5"
    assert found.attrs["unlabelled"] == 7


def test_phases_of_a_run_that_ended_by_itself_are_those_of_its_last_record() -> None:
    data = one_run(np.concatenate([np.linspace(1.0, 0.01, 99), [0.0]])).rename(x="discordance")
    data.attrs |= {"scenario": "Voter", "stop_reason": "consensus"}
    assert data.sim.phases().item() == "consensus"


def test_a_run_that_rested_and_then_ended_is_where_it_ended() -> None:
    series = np.append(np.random.default_rng(6).normal(0.5, 0.01, 200), 0.0)
    data = one_run(series).rename(x="discordance")
    data.attrs |= {"scenario": "Voter", "stop_reason": "consensus"}
    assert bool(data.sim.is_stationary("discordance"))
    assert data.sim.phases().item() == "consensus"


def test_runs_that_do_not_settle_are_counted() -> None:
    data = one_run(np.linspace(0.0, 1.0, 200))
    found = data.sim.phases({"high": "x > 0.7"})
    assert (found.item(), found.attrs["not_stationary"]) == ("high", 1)


def test_a_callable_rule_sees_a_number_for_each_run() -> None:
    found = HAND.sim.phases({"busy": lambda runs: runs["count"] > 3}, when="last")
    np.testing.assert_array_equal(found.values == "busy", HAND["count"].values[..., -1] > 3)


def test_a_scenario_without_phases_asks_for_rules() -> None:
    with pytest.raises(InputError, match="no rules for Swarm"):
        HAND.sim.phases()


def test_two_values_of_a_parameter_are_compared_by_welch() -> None:
    found = HAND.sim.compare(between=("noise", 0.1, 0.4))
    a, b = HAND.order.sel(noise=0.1).values[:, -1], HAND.order.sel(noise=0.4).values[:, -1]
    theirs = stats.ttest_ind(b[np.isfinite(b)], a[np.isfinite(a)], equal_var=False)
    row = found.sel(observable="order")
    assert float(row.p) == pytest.approx(theirs.pvalue)
    assert (int(row.n_a), int(row.n_b)) == (5, 5)
    assert float(row.difference) == pytest.approx(0.3, abs=0.1)
    assert (found.attrs["a"], found.attrs["b"], found.attrs["paired"]) == ("noise = 0.1", "noise = 0.4", 0)
    assert found.attrs["comparisons"] == 2


def test_comparisons_that_are_not_shown_count() -> None:
    few, many = (HAND.sim.compare(between=("noise", 0.1, 0.4), looked_at=n) for n in (2, 50))
    np.testing.assert_allclose(many.p_adjusted.sel(observable="order"), 25 * few.p_adjusted.sel(observable="order"))
    assert many.attrs["comparisons"] == 50


def test_runs_with_the_same_seeds_are_compared_in_pairs() -> None:
    found = HAND.sim.compare(made_by_hand(0.01), names="order")
    assert found.attrs["paired"] == 1
    assert float(found.difference[0]) == pytest.approx(0.01)
    assert int(found.n_a[0]) == 16
    apart = HAND.sim.compare(made_by_hand(0.01), names="order", paired=False)
    assert float(apart.p[0]) > 0.5 > float(found.p[0])


def test_pairs_are_found_by_seed_and_not_by_place() -> None:
    other = made_by_hand(0.5).isel(replicate=[3, 1, 5, 0, 2, 4], noise=[2, 0, 1])
    found = HAND.sim.compare(other, names="order")
    assert float(found.low[0]) == pytest.approx(0.5)
    assert float(found.high[0]) == pytest.approx(0.5)


def test_runs_with_other_seeds_are_not_paired() -> None:
    assert HAND.sim.compare(made_by_hand(0.01, seeds=1000)).attrs["paired"] == 0
    with pytest.raises(InputError, match="paired"):
        HAND.sim.compare(made_by_hand(0.01, seeds=1000), paired=True)


def test_the_parameter_that_matters_has_the_larger_effect() -> None:
    found = HAND.sim.effects()
    assert found.variance_share.dims == ("observable", "parameter")
    assert float(found.variance_share.sel(observable="order", parameter="noise")) > 0.8
    assert float(found.variance_share.sel(observable="count", parameter="noise")) < 0.4
    assert float(found.rank_correlation.sel(observable="order", parameter="noise")) > 0.8
    assert (found.lowest.item(), found.highest.item()) == ("0.1", "0.4")


def test_a_list_of_runs_is_arranged_by_its_points() -> None:
    rng = np.random.default_rng(4)
    number = np.repeat([0, 1, 2], [3, 2, 3])
    data = xr.Dataset(
        {
            "x": (("run", "time"), rng.normal(size=(8, 2)) + 10 * number[:, None], {"units": "m"}),
            "status": ("run", np.zeros(8, np.int8)), "seed": ("run", np.arange(8)),
            "stopped_at": ("run", np.full(8, 9)),
        },
        {
            "time": [0.0, 9.0], "step": ("time", [0, 9]), "point": ("run", number), "speed": ("run", number * 0.5),
            "replicate": ("run", [0, 1, 2, 0, 1, 0, 1, 2]),
        },
    )  # fmt: skip
    found = data.sim.interval("x", when="last")
    assert found["mean"].dims == ("point",)
    assert found.n.values.tolist() == [3, 2, 3]
    assert found.speed.values.tolist() == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(found["mean"][1], data.x.values[3:5, -1].mean())
    assert int(data.sim.compare(between=("speed", 0, 1)).n_a[0]) == 3


def test_the_summary_of_a_sweep_has_a_row_for_each_observable_and_point() -> None:
    found = HAND.sim.summary()
    assert found["mean"].dims == ("observable", "noise")
    np.testing.assert_allclose(found["mean"].sel(observable="order"), NOISE, atol=0.03)
    scores = HAND.order.isel(time=-1).mean("replicate") / 0.1
    np.testing.assert_allclose(found.null_z.sel(observable="order"), scores)
    assert np.isnan(found.null_z.sel(observable="count")).all()


def test_the_summary_of_a_run_has_its_stationary_mean() -> None:
    data = one_run(np.random.default_rng(5).normal(3.0, 1.0, 400))
    data["x_flags"] = ("time", np.repeat([0, 2], [300, 100]), {"flag_masks": [1, 2], "flag_meanings": "few drifting"})
    found = data.sim.summary().sel(observable="x")
    assert float(found.low) < 3.0 < float(found.high)
    assert float(found["last"]) == data.x.values[-1]
    assert float(found.stationary) == 1.0
    assert str(found.flags.values) == "drifting 25%"


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (lambda sim: sim.interval("ordre"), "did you mean 'order'"),
        (lambda sim: sim.interval("status"), "no observable"),
        (lambda sim: sim.interval("noise"), "no observable 'noise'"),
        (lambda sim: sim.interval("order", over="replicates"), "did you mean 'replicate'"),
        (lambda sim: sim.interval("order", when="lats"), "did you mean 'last'"),
        (lambda sim: sim.interval("order", when=1e6), "times from 0 to 59.5"),
        (lambda sim: sim.interval("order", over="time", when="last"), "leave out when"),
        (lambda sim: sim.interval(5), "names: got 5"),
        (lambda sim: sim.convergence("order", precision=-1), "precision"),
        (lambda sim: sim.compare(), "give another Dataset, or between"),
        (lambda sim: sim.compare("other.nc"), "got str, allowed is another Dataset"),
        (lambda sim: sim.compare(between=("nois", 1, 2)), "did you mean 'noise'"),
        (lambda sim: sim.compare(between=("noise", 0.1, 0.3)), "there are 0.1, 0.2, 0.4"),
        (lambda sim: sim.compare(between=("speed", 1, 2)), "'speed' was not swept; noise was"),
        (lambda sim: sim.compare(between=("noise",)), "allowed is"),
        (lambda sim: sim.compare(between=("noise", 0.1, 0.2), looked_at=1), "at least the 2"),
        (
            lambda sim: sim.sensitivity("order"),
            "sensitivity: allowed is the Dataset of a sweep over a morris or saltelli",
        ),
        (lambda sim: sim.phases({"a": "ordre > 1"}), "did you mean 'order'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(ask: Any, line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        ask(HAND.sim)
    assert "\n" not in str(caught.value)


def test_one_run_has_no_replicates_to_average_over() -> None:
    data = one_run(np.arange(30.0))
    with pytest.raises(InputError, match="over='time'"):
        data.sim.interval("x")
    with pytest.raises(InputError, match="no parameter was swept"):
        data.sim.effects()
    with pytest.raises(InputError, match="the same as the other"):
        data.sim.compare(data)
    with pytest.raises(InputError, match="fewer than two on a side"):
        made_by_hand().rename(order="x").sim.compare(data, "x")


def test_nothing_is_changed_in_the_dataset_that_is_asked() -> None:
    data = made_by_hand()
    for ask in ("interval", "summary", "stationary", "effects"):
        getattr(data.sim, ask)("order")
    xr.testing.assert_identical(data, made_by_hand())


def test_of_a_sweep_on_the_disk_only_what_is_asked_for_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = RunArray._read

    def reading(self: RunArray, key: Any) -> Any:
        read.append(self.name)
        return original(self, key)

    monkeypatch.setattr(RunArray, "_read", reading)
    with simengine.open(folder) as data:
        data.sim.interval("gini", when="last")
        data.sim.compare(names="gini", between=("initial_wealth", 1, 8))
        data.sim.burn_in("gini")
        data.sim.phases({"equal": "gini < 0.3"})
    assert set(read) == {"gini"}


def test_a_sweep_that_was_run_is_told_about(folder: Path) -> None:
    with simengine.open(folder) as data:
        found = data.sim.compare(between=("initial_wealth", 1, 8), when="last")
        assert float(found.difference.sel(observable="gini")) < 0.0
        assert float(found.p_adjusted.sel(observable="share_poor")) < 0.01
        assert data.sim.interval("total_wealth", when="last")["mean"].values.tolist() == [30.0, 240.0]
        assert data.sim.summary().sizes["observable"] == len(data.sim.effects().observable) == 4


def test_sensitivity_of_a_known_function_is_found() -> None:
    pytest.importorskip("SALib")
    from simengine import designs

    for made, kind in (
        (designs.saltelli(256, a=(0.0, 1.0), b=(0.0, 1.0)), "sobol"),
        (designs.morris(20, a=(0.0, 1.0), b=(0.0, 1.0)), "morris"),
    ):
        columns = {name: np.array(values) for name, values in made.columns.items()}
        number = len(columns["a"])
        data = xr.Dataset(
            {
                "y": ("run", 4 * columns["a"] + 2 * columns["b"], {"units": "m"}),
                "status": ("run", np.zeros(number, np.int8)), "seed": ("run", np.arange(number)),
            },
            {
                "point": ("run", np.arange(number)), "replicate": ("run", np.zeros(number, int)),
                **{name: ("run", values) for name, values in columns.items()},
            },
            encode_attributes({"design": {"kind": kind, "details": dict(made.details)}}),
        )  # fmt: skip
        found = data.sim.sensitivity("y")
        if kind == "sobol":
            # Variances 16 / 12 and 4 / 12: shares 0.8 and 0.2.
            np.testing.assert_allclose(found.S1, [0.8, 0.2], atol=0.05)
            np.testing.assert_allclose(found.ST, [0.8, 0.2], atol=0.05)
            assert (found.S1_low < found.S1).all()
        else:
            np.testing.assert_allclose(found.mu_star, [4.0, 2.0])
            np.testing.assert_allclose(found.sigma, 0.0, atol=1e-9)
            assert found.mu_star.attrs["units"] == "m"


def test_an_observable_of_many_places_is_judged_place_by_place() -> None:
    series = np.random.default_rng(7).normal(size=(200, 2)) + np.array([0.0, 5.0])
    series[:, 1] += np.linspace(0.0, 40.0, 200)
    data = xr.Dataset({"stock": (("time", "village"), series, {"units": "t"})}, {"time": np.arange(200.0)})
    assert data.sim.is_stationary("stock").values.tolist() == [True, False]
    found = data.sim.interval("stock", over="time")
    assert np.isfinite(found["mean"].values).tolist() == [True, False]
    assert found["mean"].attrs["units"] == "t"
    with pytest.raises(InputError, match="more than one number at a time"):
        data.sim.stationary("stock")
    with pytest.raises(InputError, match="nothing in this Dataset"):
        data.sim.summary()


def test_runs_that_stop_at_different_times_count_by_their_last_record() -> None:
    values = np.array([[1.0, 2.0, np.nan], [1.0, 3.0, 5.0]])
    data = xr.Dataset(
        {
            "x": (("replicate", "time"), values), "status": ("replicate", np.zeros(2, np.int8)),
            "seed": ("replicate", [1, 2]), "stopped_at": ("replicate", [7, 20]),
        },
        {"time": [0.0, 10.0, 20.0], "step": ("time", [0, 10, 20]), "replicate": [0, 1]}, {"steps": 20},
    )  # fmt: skip
    assert float(data.sim.interval("x", when="last")["mean"]) == 3.5
    assert int(data.sim.interval("x", when=20.0).n) == 1
    assert float(data.sim.interval("stopped_at")["mean"]) == 13.5


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (lambda sim: sim.interval("order", when=np.array([1.0, 2.0])), "when: got"),
        (lambda sim: sim.phases({"a": "1 > 0"}), "speak of no observable, as order"),
        (lambda sim: sim.stationary("ordr"), "no observable 'ordr'; did you mean 'order'"),
        (lambda sim: sim.stationary(b"order"), "names: got b'order'"),
        (lambda sim: sim.convergence("order", precision="x"), "precision: got 'x'"),
    ],
)
def test_arguments_of_another_kind_are_told_in_one_line(ask: Any, line: str) -> None:
    with pytest.raises(InputError, match=line):
        ask(HAND.sim)


@pytest.mark.parametrize("dim", ["time", "replicate"])
def test_a_dataset_with_nothing_in_it_is_told_by_what_is_empty(dim: str) -> None:
    empty = HAND.isel({dim: slice(0, 0)}).sim
    for ask in (empty.interval, empty.summary, empty.burn_in, empty.stationary, empty.effects, empty.convergence):
        with pytest.raises(InputError, match=f"'order' holds no numbers: there is nothing along {dim}"):
            ask("order")


@pytest.mark.filterwarnings("error")
def test_infinite_values_are_left_out_without_a_warning() -> None:
    data = HAND.assign(order=HAND.order.where(HAND.replicate != 5, np.inf))
    found = data.sim.interval("order", when="last")
    assert found.n.values.tolist() == [4, 5, 4]
    assert np.isfinite(found["mean"]).all()


def test_a_name_that_is_given_twice_is_one_comparison() -> None:
    found = HAND.sim.compare(made_by_hand(0.1, 100), ["order", "order"])
    assert found.observable.values.tolist() == ["order"]
    assert found.attrs["comparisons"] == 1
