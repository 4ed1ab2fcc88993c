from __future__ import annotations

import math

import numpy as np
import pytest

from simengine.diagnostics.continuous.mutual import (
    Options,
    labelled_mutual_information,
    linear_mutual_information,
    neighbour_mutual_information,
)


def flags_of(make, repeats=20, kind="ksg-1", **options):
    found = []
    for seed in range(repeats):
        x, y = make(np.random.default_rng(seed))
        found.append(set(neighbour_mutual_information(x, y, Options(seed=seed, **options), kind).flags))
    return found


def normal(random, n, d, rho):
    x = random.standard_normal((n, d))
    return x, rho * x + math.sqrt(1.0 - rho**2) * random.standard_normal((n, d))


def test_five_and_five_dimensions_are_too_many():
    rho = math.sqrt(1.0 - math.exp(-2.0 * 1.02 / 5.0))
    assert all("high_dimension" in one for one in flags_of(lambda g: normal(g, 1500, 5, rho), 1, reliability=False))


def test_saturated_opinions_are_atoms():
    def clipped(random):
        return [np.clip(one, -0.674, 0.674) for one in normal(random, 500, 1, 0.6)]

    assert all("atoms" in one for one in flags_of(clipped))


def test_rounded_values_are_ties():
    found = flags_of(lambda g: [np.round(one, 3) for one in normal(g, 1000, 1, 0.6)], 5)
    assert all(one & {"ties", "atoms"} for one in found)


def test_near_functions_saturate():
    assert all(one & {"saturated", "unstable_subsamples"} for one in flags_of(lambda g: normal(g, 400, 1, 0.9999)))


def test_few_samples_are_few():
    assert all("few_samples" in one for one in flags_of(lambda g: normal(g, 60, 1, 0.6), 5))


def test_heavy_tails_of_vectors_are_told_of():
    def student(random):
        radius = np.sqrt(2.0 / random.chisquare(2, (800, 1)))
        return random.standard_normal((800, 2)) * radius, random.standard_normal((800, 2)) * radius

    assert all("heavy_tails" in one for one in flags_of(student, 5, reliability=False))


def test_what_is_dropped_is_told_of():
    x, y = normal(np.random.default_rng(0), 500, 2, 0.6)
    x[:, 1] = 3.0
    assert neighbour_mutual_information(x, y, Options()).flags == ("constant",)
    nothing = neighbour_mutual_information(x[:, 1:], y, Options())
    assert (nothing.value, nothing.flags) == (0.0, ("constant",))


def test_good_data_raise_no_flag():
    # At most one of 20 estimates; each of the flags is rarer than 1 in 1000 here.
    found = flags_of(lambda g: normal(g, 500, 1, 0.6), 20)
    assert sum(bool(one) for one in found) <= 1


def test_rare_labels_are_few_samples():
    random = np.random.default_rng(0)
    found = labelled_mutual_information(random.standard_normal((500, 1)), np.arange(500) // 10, Options())
    assert "few_samples" in found.flags


def test_what_is_not_normal_is_told_of():
    random = np.random.default_rng(0)
    for _ in range(20):
        x = random.exponential(1.0, (500, 1))
        y = x + random.exponential(1.0, (500, 1))
        assert "not_gaussian" in linear_mutual_information(x, y, copula=False).flags


def test_the_normal_is_normal():
    # The level is 1e-4: three flags in 80 estimates are rarer than 1e-6.
    flags = [
        linear_mutual_information(*normal(np.random.default_rng(seed), 300, 2, 0.6), copula=copula).flags
        for seed in range(40) for copula in (False, True)
    ]  # fmt: skip
    assert sum(bool(one) for one in flags) <= 2


def test_a_value_above_half_the_logarithm_is_saturated():
    x, y = normal(np.random.default_rng(0), 100, 1, 0.9995)
    found = neighbour_mutual_information(x, y, Options(correct=False, reliability=False))
    assert found.value > 0.5 * math.log(100)
    assert "saturated" in found.flags


@pytest.mark.parametrize("kind", ["ksg-1", "ksg-2", "gao"])
def test_intervals_of_what_cannot_be_negative_are_cut(kind):
    found = neighbour_mutual_information(*normal(np.random.default_rng(1), 300, 1, 0.0), Options(), kind)
    assert found.interval[0] == 0.0
    assert found.interval[1] > 0.0


def test_a_copula_that_no_correlation_makes_is_flagged():
    # Uniform noise on a uniform variable: at its level of 1e-4 one of 20 normal pairs is flagged in 0.2 % of tests.
    flagged_pairs, normal_pairs = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.random(1000)
        noisy = x + rng.uniform(-0.75, 0.75, 1000)
        flagged_pairs += "not_gaussian" in linear_mutual_information(x[:, None], noisy[:, None], copula=True).flags
        z = rng.normal(size=(1000, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
        normal_pairs += "not_gaussian" in linear_mutual_information(z[:, :1] ** 3, z[:, 1:], copula=True).flags
    assert flagged_pairs == 20
    assert normal_pairs == 0
