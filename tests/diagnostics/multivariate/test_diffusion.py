import math

import numpy as np
import pytest

from simengine.diagnostics.multivariate import diffusion
from simengine.diagnostics.multivariate.diffusion import (
    diffusion_mutual_information,
    diffusion_spectral_entropy,
    spectral_entropy,
)
from simengine.errors import InputError


def camps(n, number, seed=0, spread=0.05):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, number, n)
    return np.eye(number)[label] + spread * rng.normal(size=(n, number)), label


def test_the_entropy_is_that_of_the_normalised_kernel():
    x = np.random.default_rng(1).normal(size=(40, 2))
    squares = ((x[:, None] - x[None, :]) ** 2).sum(axis=2)
    kernel = np.exp(-squares / (2 * 0.7**2))
    degree = kernel.sum(axis=1)
    shares = np.abs(np.linalg.eigvals(kernel / degree[:, None])) ** 2
    shares /= shares.sum()
    shares = shares[shares > 0.0]
    assert spectral_entropy(x, 0.7, 2.0) == pytest.approx(-np.sum(shares * np.log(shares)))


def test_separate_camps_are_counted_in_nats_and_bits():
    x, _ = camps(400, 4)
    found = diffusion_spectral_entropy(x, t=10, sigma=0.3)
    assert math.exp(found.value) == pytest.approx(4.0, abs=1e-4)
    assert diffusion_spectral_entropy(x, t=10, sigma=0.3, unit="bit").value == pytest.approx(2.0, abs=1e-4)
    assert found.flags == ()


def test_the_extremes_are_one_component_and_as_many_as_points():
    x = np.random.default_rng(2).normal(size=(50, 2))
    assert spectral_entropy(x, 1e4) == pytest.approx(0.0, abs=1e-4)
    assert spectral_entropy(x, 1e-6) == pytest.approx(math.log(50))


def test_scale_does_not_matter_where_the_width_is_taken_from_the_points():
    x, _ = camps(200, 3, spread=0.3)
    for sigma in ("median", "adaptive"):
        found = diffusion_spectral_entropy(x, sigma=sigma)
        scaled = diffusion_spectral_entropy(7.0 * x, sigma=sigma)
        assert scaled.value == pytest.approx(found.value)
        assert scaled.details["sigma"] == pytest.approx(7.0 * found.details["sigma"])


def test_a_width_too_short_and_too_few_points_are_doubted():
    x = np.random.default_rng(3).normal(size=(300, 4))
    assert "unstable_subsamples" in diffusion_spectral_entropy(x, sigma=0.1).flags
    assert "few_samples" in diffusion_spectral_entropy(x[:50]).flags
    assert "constant" in diffusion_spectral_entropy(np.ones((300, 2))).flags
    assert "constant" in diffusion_mutual_information(x, np.zeros(300, int)).flags


def compact(rng, n):
    """Points on a ring: a cloud without ends."""
    angle = rng.uniform(0.0, 2.0 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_intervals_hold_the_entropy_of_many_points():
    # 100 repetitions of coverage 0.95 fall below 0.88 with probability 0.002.
    angle = 2.0 * np.pi * np.arange(600) / 600
    truth = spectral_entropy(np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.5)
    rng = np.random.default_rng(4)
    found = [diffusion_spectral_entropy(compact(rng, 200), sigma=0.5) for _ in range(100)]
    low, high = np.array([one.interval for one in found]).T
    assert np.mean((low <= truth) & (truth <= high)) >= 0.88


def test_the_spectrum_of_a_normal_cloud_is_geometric():
    # Its kernel is a Mehler kernel: eigenvalues r^k, r = 1 / (1 + sigma^2), here with t = 3.
    r = 0.5**3
    expected = -math.log1p(-r) - r * math.log(r) / (1.0 - r)
    x = np.random.default_rng(7).normal(size=(1200, 1))
    assert spectral_entropy(x, 1.0, 3.0) == pytest.approx(expected, abs=0.06)


def test_a_label_that_names_the_camp_tells_all_and_a_shuffled_one_nothing():
    x, label = camps(400, 3)
    found = diffusion_mutual_information(x, label, t=10, sigma=0.3, shuffles=5)
    assert found.value == pytest.approx(math.log(3), abs=0.01)
    mixed = np.random.default_rng(5).permutation(label)
    nothing = diffusion_mutual_information(x, mixed, t=2, sigma=0.3, shuffles=10)
    assert nothing.interval[0] < 0.0 < nothing.interval[1]
    assert abs(nothing.z) < 5.0


def test_a_sample_of_many_points_is_chosen_by_hash(monkeypatch):
    monkeypatch.setattr(diffusion, "MOST", 100)
    x = np.random.default_rng(6).normal(size=(350, 1))
    found = diffusion_spectral_entropy(x, sigma=1.0)
    assert found.details["points"] == 100
    assert found.n == 350
    assert diffusion_spectral_entropy(x, sigma=1.0).value == found.value
    assert diffusion_spectral_entropy(x, sigma=1.0, seed=1).value != found.value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diffusion_spectral_entropy(np.ones((9, 2)), sigma="medain"), "median"),
        (lambda: diffusion_spectral_entropy(np.ones((9, 2)), sigma=0.0), "above 0"),
        (lambda: diffusion_spectral_entropy(np.ones((9, 2)), t=-1), "t is -1"),
        (lambda: diffusion_mutual_information(np.ones((9, 2)), np.ones(9), shuffles=1), "at least 2"),
        (lambda: diffusion_mutual_information(np.ones((9, 2)), np.ones(8)), "differ"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
