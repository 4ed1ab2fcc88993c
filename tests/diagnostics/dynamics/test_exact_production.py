import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.dynamics import exact_production as exact
from simengine.errors import InputError

ROTATION = np.array([[1.0, -3.0], [3.0, 1.0]])


def three_states(ahead, back):
    stay = 1.0 - ahead - back
    return np.array([[stay, ahead, back], [back, stay, ahead], [ahead, back, stay]])


def test_closed_forms_agree_with_the_general_formula():
    assert exact.plane(ROTATION) == pytest.approx(18.0)
    assert exact.ornstein_uhlenbeck(ROTATION, 0.7) == pytest.approx(18.0)
    k, c = 2.0, 1.0
    assert exact.gyrator(k, c, 1.0, 3.0) == pytest.approx(exact.ornstein_uhlenbeck([[k, c], [c, k]], [1.0, 3.0]))
    assert exact.gyrator(k, c, 1.0, 3.0) == pytest.approx(1 / 3)
    k, v, m, e = 1.0, 1.5, 2.0, 0.3
    general = exact.ornstein_uhlenbeck([[k, -v], [0.0, m]], [e, m])
    assert exact.active_particle(k, v, m, e) == pytest.approx(general)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_mutual_influence_with_equal_noise_produces_nothing_and_any_other_influence_something(seed, n):
    weights = np.random.default_rng(seed).random((n, n))
    assert exact.opinion_averaging(weights + weights.T, 0.5) == pytest.approx(0.0, abs=1e-9)
    if n > 2:
        assert exact.opinion_averaging(weights, 0.5) > 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_production_does_not_depend_on_the_coordinates(seed):
    rng = np.random.default_rng(seed)
    turn = rng.normal(size=(2, 2)) + 2.0 * np.eye(2)
    if abs(np.linalg.det(turn)) < 0.1:
        return
    drift, noise = turn @ ROTATION @ np.linalg.inv(turn), turn @ turn.T
    assert exact.ornstein_uhlenbeck(drift, noise) == pytest.approx(18.0, rel=1e-6)


def test_sampling_hides_production_and_ever_finer_sampling_hides_less():
    assert exact.sampled_ornstein_uhlenbeck(ROTATION, 1.0, 0.1) / 0.1 == pytest.approx(15.78, abs=0.005)
    rates = [exact.sampled_ornstein_uhlenbeck(ROTATION, 1.0, dt) / dt for dt in (0.3, 0.1, 0.01, 0.001)]
    assert all(np.diff(rates) > 0.0)
    assert rates[-1] == pytest.approx(18.0, rel=2e-3)


def test_the_pair_divergence_is_the_formula_of_the_reversed_propagator():
    a = np.array([[1.0, 0.4, 0.0], [-0.6, 1.5, 0.3], [0.2, 0.0, 0.8]])
    s = exact.stationary_covariance(a, [1.0, 0.5, 2.0])
    m = np.eye(3) - 0.1 * a + 0.005 * a @ a
    back = s @ m.T @ np.linalg.inv(s)
    q, q_back = s - m @ s @ m.T, s - back @ s @ back.T
    gap = m - back
    formula = 0.5 * (
        np.trace(np.linalg.solve(q_back, q)) - 3 + np.linalg.slogdet(q_back)[1] - np.linalg.slogdet(q)[1]
        + np.trace(np.linalg.solve(q_back, gap @ s @ gap.T))
    )  # fmt: skip
    assert exact.gaussian_series(s, m @ s) == pytest.approx(formula)


def test_a_particle_with_inertia_is_reversible_only_if_its_velocity_is_odd():
    from scipy import linalg

    drift = np.array([[0.0, -1.0], [1.0, 1.0]])
    s = linalg.solve_continuous_lyapunov(drift, np.diag([0.0, 2.0]))
    lagged = linalg.expm(-0.3 * drift) @ s
    assert exact.gaussian_series(s, lagged, [1, -1]) == pytest.approx(0.0, abs=1e-9)
    assert exact.gaussian_series(s, lagged) > 1.0


def test_a_flat_ring_has_the_production_of_a_constant_drift_and_hills_hold_it_back():
    assert exact.ring(1.0, lambda x: 0.0 * x, 2.0) == pytest.approx(0.5)
    hilly = exact.ring(1.0, np.cos, 0.5)
    assert 0.0 < hilly < 2.0
    assert exact.ring(-1.0, np.cos, 0.5) == pytest.approx(hilly)
    assert exact.ring(0.0, np.cos, 0.5) == 0.0


def test_the_current_round_a_ring_is_that_of_a_fine_markov_chain():
    force, diffusion, n = 1.0, 0.5, 120
    x = np.arange(n) * 2 * math.pi / n
    width = 2 * math.pi / n
    # Hops over half a cell, with rates of local detailed balance.
    ahead = np.exp(-(np.cos(x + width) - np.cos(x) - force * width) / (2 * diffusion))
    back = np.exp(-(np.cos(x - width) - np.cos(x) + force * width) / (2 * diffusion))
    rate = diffusion / width**2
    hop = 0.4
    p = np.zeros((n, n))
    p[np.arange(n), (np.arange(n) + 1) % n] = hop * ahead
    p[np.arange(n), (np.arange(n) - 1) % n] = hop * back
    p[np.arange(n), np.arange(n)] = 1.0 - hop * (ahead + back)
    assert exact.markov_chain(p) * rate / hop == pytest.approx(exact.ring(force, np.cos, diffusion), rel=5e-3)


def test_a_swirl_in_a_parabola_is_a_rotation_and_one_in_a_double_well_has_its_quadrature():
    found = exact.swirl(lambda x: 0.5 * (x**2).sum(-1), lambda x: x, 3.0, 0.7, [(-7, 7), (-7, 7)])
    assert found == pytest.approx(18.0, rel=1e-6)

    def well(x):
        return (x[..., 0] ** 2 - 1.0) ** 2 + x[..., 1] ** 2

    def slope(x):
        return np.stack([4.0 * x[..., 0] * (x[..., 0] ** 2 - 1.0), 2.0 * x[..., 1]], axis=-1)

    # E|grad U|^2 = c E[laplacian of U], by parts.
    c = 0.5
    grid = np.linspace(-4, 4, 4001)
    weight = np.exp(-((grid**2 - 1.0) ** 2) / c)
    laplacian = (12.0 * (weight @ grid**2) / weight.sum() - 4.0) + 2.0
    assert exact.swirl(well, slope, 2.0, c, [(-4, 4), (-6, 6)]) == pytest.approx(4.0 * laplacian, rel=1e-6)


def test_a_markov_chain_round_a_cycle_has_the_affinity_times_the_current():
    assert exact.markov_chain(three_states(0.5, 0.2)) == pytest.approx(0.3 * math.log(2.5))
    assert exact.markov_chain(three_states(0.5, 0.0)) == math.inf
    weights = np.random.default_rng(1).random((5, 5))
    reversible = weights + weights.T
    reversible /= reversible.sum(axis=1, keepdims=True)
    assert exact.markov_chain(reversible) == pytest.approx(0.0, abs=1e-12)


def test_unstable_drifts_and_rows_that_are_no_probabilities_are_refused():
    with pytest.raises(InputError, match="not stable"):
        exact.ornstein_uhlenbeck([[1.0, 0.0], [0.0, -1.0]], 1.0)
    with pytest.raises(InputError, match="positive definite"):
        exact.ornstein_uhlenbeck(np.eye(2), [1.0, 0.0])
    with pytest.raises(InputError, match="sum to 1"):
        exact.markov_chain([[0.5, 0.4], [0.5, 0.5]])
    with pytest.raises(InputError, match="the trap is open"):
        exact.gyrator(1.0, 2.0, 1.0, 2.0)
