"""Statistical tests have fixed seeds; their error rates are in comments."""

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from simengine.diagnostics.dynamics import exact_production as exact
from simengine.diagnostics.dynamics.production import entropy_production
from simengine.errors import InputError

REPETITIONS = 200


def ring(states, ahead, back):
    p = np.zeros((states, states))
    here = np.arange(states)
    p[here, (here + 1) % states] += ahead
    p[here, (here - 1) % states] += back
    p[here, here] += 1.0 - ahead - back
    return p


def chains(p, many, length, seed):
    """Stationary chains (many, length), all at once."""
    rng = np.random.default_rng(seed)
    edges = p.cumsum(axis=1)
    edges[:, -1] = 1.0
    found = np.empty((many, length), np.int64)
    state = rng.choice(len(p), size=many, p=exact.stationary_distribution(p))
    for t in range(length):
        found[:, t] = state
        state = (rng.random(many)[:, None] > edges[state]).sum(axis=1)
    return found


def tables(p, many, length, seed):
    series = chains(p, many, length, seed)
    k = len(p)
    pairs = series[:, :-1] * k + series[:, 1:]
    return np.array([np.bincount(row, minlength=k * k).reshape(k, k) for row in pairs])


def vectors(drift, diffusion, dt, many, length, seed):
    """Stationary Ornstein-Uhlenbeck paths (many, length, d)."""
    rng = np.random.default_rng(seed)
    drift = np.asarray(drift, dtype=float)
    s = exact.stationary_covariance(drift, diffusion)
    m = linalg.expm(-drift * dt)
    root = np.linalg.cholesky(s - m @ s @ m.T)
    x = rng.normal(size=(many, len(s))) @ np.linalg.cholesky(s).T
    found = np.empty((many, length, len(s)))
    for t in range(length):
        found[:, t] = x
        x = x @ m.T + rng.normal(size=x.shape) @ root.T
    return found


def assert_honest(estimates, truth, widest=1.5):
    """Coverage of 90 % at least and width of 1.5 oracles at most; true coverage is about 95 %.

    With 200 repetitions a coverage below 90 % then has a probability of 0.3 %.
    """
    value = np.array([float(one.value) for one in estimates])
    low, high = (np.array([float(one.interval[end]) for one in estimates]) for end in (0, 1))
    assert np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high)) >= 0.9
    assert np.median(high - low) <= widest * 2 * 1.96 * value.std()
    assert abs(value.mean() - truth) < 0.25 * value.std()


UNEVEN = np.array([[5, 2, 1, 1], [2, 4, 2, 0.5], [1, 2, 6, 1], [1, 0.5, 1, 3.0]])


@pytest.mark.parametrize(
    ("p", "degrees"),
    [(np.full((3, 3), 1 / 3), 1), (np.full((6, 6), 1 / 6), 10), (UNEVEN / UNEVEN.sum(1, keepdims=True), 3)],
)
def test_under_detailed_balance_half_n_times_the_plug_in_value_is_chi_square(p, degrees):
    length, many = 3000, 600
    found = entropy_production(counts=tables(p, many, length + 1, 5))
    assert (found.details["degrees_of_freedom"] == degrees).all()
    scaled = length * found.details["plug_in"]
    # Mean 2 nu and variance 8 nu: 4 standard errors, and a second-order excess of a twentieth.
    assert scaled.mean() == pytest.approx(2 * degrees, abs=4 * np.sqrt(8 * degrees / many) + 0.05 * 2 * degrees)
    assert scaled.var() == pytest.approx(8 * degrees, rel=0.45)
    assert stats.kstest(found.details["p_value"], "uniform").pvalue > 1e-3
    assert abs(found.value.mean()) < 4 * found.null_sd[0] / np.sqrt(many) + 0.1 * degrees / length
    assert found.null_sd == pytest.approx(np.sqrt(8 * degrees) / length)


@pytest.mark.parametrize(
    ("p", "length"),
    [
        (np.full((3, 3), 1 / 3), 500), (np.full((6, 6), 1 / 6), 1500), (ring(3, 0.35, 0.3), 800),
        (ring(3, 0.5, 0.2), 400), (ring(6, 0.8, 0.1), 2000), (ring(3, 0.06, 0.03), 3000),
    ],
)  # fmt: skip
def test_intervals_of_counts_hold_the_truth(p, length):
    found = entropy_production(counts=tables(p, REPETITIONS, length, 7))
    assert_honest([found[i] for i in range(REPETITIONS)], exact.markov_chain(p))
    assert found.reliable.mean() > 0.9


def test_many_tables_at_once_are_each_alone():
    counts = np.random.default_rng(3).poisson(30, (2, 3, 4, 4))
    together = entropy_production(counts=counts, unit="bit")
    for index in np.ndindex(2, 3):
        one = entropy_production(counts=counts[index], unit="bit")
        assert together.value[index] == one.value
        assert together[index].interval == one.interval
        assert together.flags[index] == one.flags


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 6))
def test_counting_backwards_or_renaming_states_changes_nothing(seed, states):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.exponential(30, (states, states)))
    order = rng.permutation(states)
    found = entropy_production(counts=counts)
    assert entropy_production(counts=counts.T).details["plug_in"] == pytest.approx(found.details["plug_in"])
    renamed = entropy_production(counts=counts[np.ix_(order, order)])
    assert float(renamed) == pytest.approx(float(found))
    assert renamed.standard_error == pytest.approx(found.standard_error)
    assert found.details["plug_in"] >= 0.0


def test_degrees_of_freedom_are_the_cycles_of_the_graph_that_was_seen():
    def degrees(p):
        return entropy_production(counts=(1000 * p).round().astype(int)).details["degrees_of_freedom"]

    assert degrees(ring(7, 0.4, 0.4)) == 1
    line = np.diag(np.full(4, 0.3), 1) + np.diag(np.full(4, 0.3), -1)
    assert degrees(line) == 0
    two_rings = linalg.block_diag(ring(3, 0.4, 0.4), ring(4, 0.4, 0.4))
    assert degrees(two_rings) == 2
    assert degrees(np.full((5, 5), 0.2)) == 6


def test_a_series_without_cycles_is_known_to_produce_nothing_and_flagged():
    found = entropy_production(np.random.default_rng(1).integers(0, 2, 300))
    assert float(found) == 0.0
    assert found.flags == ("degenerate_null",)


def test_transitions_in_one_direction_get_half_a_count_and_a_flag():
    found = entropy_production(np.tile(["a", "b", "c"], 100))
    n = 299
    plug_in = (100 * np.log(200) - 0.5 * np.log(200)) * 2 + (98.5 * np.log(198))
    assert found.details["plug_in"] * n == pytest.approx(plug_in)
    assert found.details["one_way_edges"] == 3
    assert "one_way" in found.flags


def test_few_transitions_memory_and_drift_are_flagged():
    # Each in at least 95 % of repetitions.
    few = entropy_production(counts=tables(ring(5, 0.4, 0.3), REPETITIONS, 60, 2))
    assert np.mean(~few.reliable) >= 0.95
    rng = np.random.default_rng(4)
    flags = {"not_markov": 0, "drifting": 0}
    for repetition in range(40):
        turning = np.repeat(rng.integers(0, 3, 400), 4)
        hidden = np.where(rng.random(1600) < 0.2, rng.integers(0, 3, 1600), turning)
        flags["not_markov"] += "not_markov" in entropy_production(hidden).flags
        halves = [chains(ring(3, *rates), 1, 1000, repetition)[0] for rates in ((0.5, 0.2), (0.2, 0.5))]
        flags["drifting"] += "drifting" in entropy_production(np.concatenate(halves)).flags
    assert min(flags.values()) >= 38
    steady = [entropy_production(one).flags for one in chains(ring(3, 0.5, 0.2), REPETITIONS, 1000, 8)]
    assert np.mean([flags == () for flags in steady]) > 0.97


ASYMMETRIC = np.random.default_rng(2).random((6, 6))
AVERAGING = np.diag(1.0 + ASYMMETRIC.sum(axis=1)) - ASYMMETRIC
CASES = {
    "reversible": ([[1.0, 0.5], [0.5, 1.0]], 1.0, 0.3, 600),
    "weak rotation": ([[1.0, -0.3], [0.3, 1.0]], 1.0, 0.1, 3000),
    "rotation": ([[1.0, -3.0], [3.0, 1.0]], 1.0, 0.1, 2000),
    "gyrator": ([[2.0, 1.0], [1.0, 2.0]], np.diag([1.0, 3.0]), 0.2, 1000),
    "active particle": ([[1.0, -1.5], [0.0, 2.0]], np.diag([0.3, 2.0]), 0.1, 2000),
    "averaging": (AVERAGING, 1.0, 0.1, 2000),
}


@pytest.mark.parametrize("case", CASES)
def test_intervals_of_linear_processes_hold_the_truth(case):
    drift, diffusion, dt, length = CASES[case]
    paths = vectors(drift, diffusion, dt, REPETITIONS, length, 11)
    found = [entropy_production(one, estimator="linear", dt=dt) for one in paths]
    assert found[0].unit == "nat/time"
    assert_honest(found, exact.sampled_ornstein_uhlenbeck(drift, diffusion, dt) / dt)
    assert np.mean([one.reliable for one in found]) > 0.9


def test_the_linear_null_is_chi_square_for_every_parity():
    drift = np.diag([1.0, 1.3, 0.7])
    paths = vectors(drift, 1.0, 0.5, 200, 1000, 13)
    for parity, degrees in (([1, 1, 1], 3), ([1, 1, -1], 5), ([1, -1, -1], 5)):
        found = [entropy_production(one, estimator="linear", parity=parity) for one in paths]
        assert found[0].details["degrees_of_freedom"] == degrees
        # Kolmogorov-Smirnov at 0.1 %.
        assert stats.kstest([one.details["p_value"] for one in found], "uniform").pvalue > 1e-3


def test_linear_production_does_not_depend_on_coordinates_or_scales():
    path = vectors([[1.0, -1.0], [1.0, 1.0]], 1.0, 0.2, 1, 800, 17)[0]
    turn = np.array([[1e6, 3.0], [0.2, 1e-3]])
    one, other = (entropy_production(x, estimator="linear") for x in (path, path @ turn.T + 5.0))
    assert float(other) == pytest.approx(float(one), rel=1e-6)
    assert other.standard_error == pytest.approx(one.standard_error, rel=1e-5)


def test_named_dims_say_what_is_time_what_is_pooled_and_what_is_a_batch():
    values = vectors([[1.0, -1.0], [1.0, 1.0]], 1.0, 0.2, 6, 300, 19).reshape(2, 3, 300, 2)
    array = xarray.DataArray(values, dims=("run", "school", "time", "axis"), coords={"run": [5, 7]})
    found = entropy_production(array, estimator="linear", dim="time", pool="school")
    assert found.dims == ("run",)
    assert list(found.coords["run"]) == [5, 7]
    assert float(found[1]) == pytest.approx(float(entropy_production(values[1], estimator="linear")), rel=1e-12)
    labels = xarray.DataArray((values[..., 0] > 0) * 1 + (values[..., 1] > 0) * 2, dims=("run", "school", "time"))
    counted = entropy_production(labels, dim="time", pool="school", states=4)
    assert counted.shape == (2,)
    assert float(counted[0]) == float(entropy_production(labels.to_numpy()[0], states=4))


@pytest.mark.parametrize(("mean", "length"), [(0.0, 400), (0.1, 400), (0.5, 400), (2.0, 400)])
@pytest.mark.parametrize("clock", ["continuous", "discrete"])
def test_intervals_of_the_bound_hold_the_truth(mean, length, clock):
    rng = np.random.default_rng(23)
    truth = 2 * mean**2 if clock == "continuous" else np.log1p(2 * mean**2)
    found = [
        entropy_production(mean + rng.normal(size=length), estimator="bound", clock=clock) for _ in range(REPETITIONS)
    ]
    assert_honest(found, truth)


def test_the_bound_lies_below_the_production():
    # Of a chain in steps the discrete one; each is more than three standard errors below.
    p = ring(3, 0.5, 0.2)
    series = chains(p, 20, 3000, 29)
    current = (np.diff(series, axis=1) + 1) % 3 - 1.0
    found = entropy_production(current, estimator="bound", clock="discrete", window=10)
    assert 0.05 < float(found) < exact.markov_chain(p) - 3 * found.standard_error
    # Of a rotation, seen finely, the turn of the plane: the continuous one.
    path = vectors([[1.0, -1.0], [1.0, 1.0]], 1.0, 0.01, 50, 2000, 31)
    turn = 0.5 * (path[:, :-1, 0] * path[:, 1:, 1] - path[:, :-1, 1] * path[:, 1:, 0])
    found = entropy_production(turn, estimator="bound", window=20, dt=0.01)
    assert 0.5 < float(found) < 2.0


def test_correlated_currents_have_wider_intervals():
    # AR(1) with 0.7: mean 0.5, variance 1 / (1 - 0.49).
    from scipy import signal

    rng = np.random.default_rng(37)
    noise = rng.normal(size=(REPETITIONS, 2100))
    series = 0.5 + signal.lfilter([1.0], [1.0, -0.7], noise, axis=1)[:, 100:]
    assert_honest([entropy_production(one, estimator="bound") for one in series], 2 * 0.25 * 0.51)


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        (np.random.default_rng(0).normal(size=50), {}, "holds fractions"),
        ([0, 1], {}, "at least 3"),
        ([0, 1, 2, 1], {"states": 2}, "from 0 to 1"),
        ([0, 1, 2, 1], {"estimator": "linaer"}, "did you mean 'linear'"),
        ([0, 1, 2, 1], {"window": 4}, "belongs to the estimator 'bound'"),
        ([0, 1, 2, 1], {"dt": 0.0}, "time between two steps"),
        ([0, 1, 2, 1], {"counts": [[1, 2], [3, 4]]}, "either a series or counts"),
        ([0.0, np.nan, 1.0], {"estimator": "bound"}, "holds nan"),
        ([0.0, 1.0, 2.0], {"estimator": "bound", "window": 4}, "allowed: 1 to 3"),
        ([0.0, 1.0, 2.0], {"estimator": "linear"}, "looks the same backwards"),
        (np.zeros((9, 2)), {"estimator": "linear", "parity": [1, 0]}, r"\+1 or -1"),
        (None, {"counts": [[1, -2], [3, 4]]}, "not negative"),
        (None, {"counts": [[1, 2, 3], [3, 4, 5]]}, "expected transitions"),
    ],
)  # fmt: skip
def test_bad_input_is_named(series, options, message):
    with pytest.raises(InputError, match=message):
        entropy_production(series, **options)


@pytest.mark.parametrize(
    ("series", "flag"),
    [
        (np.ones((100, 2)), "constant"),
        (np.repeat(np.random.default_rng(0).normal(size=(100, 1)), 2, axis=1), "singular"),
        (np.random.default_rng(0).normal(size=(1000, 2)).cumsum(axis=0), "short_series"),
        (np.random.default_rng(0).standard_t(2, size=(1000, 2)), "not_gaussian"),
        (np.random.default_rng(0).normal(size=(30, 2)), "few_samples"),
        (np.random.default_rng(0).normal(size=(1002, 2))[:-2] + np.random.default_rng(0).normal(size=(1002, 2))[2:],
         "not_markov"),
    ],
)  # fmt: skip
def test_series_that_do_not_suit_the_linear_estimator_are_flagged(series, flag):
    assert flag in entropy_production(series, estimator="linear").flags
