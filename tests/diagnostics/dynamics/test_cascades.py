"""Statistical tests have fixed seeds; their error rates are in comments."""

import numpy as np
import pytest
from scipy import special, stats

from simengine.diagnostics.dynamics.cascade_kernels import exponent_of, hurwitz
from simengine.diagnostics.dynamics.cascades import cascade_exponent, zeta_sizes
from simengine.errors import InputError


def fits(draw, repetitions, bootstraps=40, **options):
    return [cascade_exponent(draw(), bootstraps=bootstraps, **options) for _ in range(repetitions)]


def assert_honest(found, truth):
    """Coverage of 90 % at least and width of 1.5 oracles at most; with a true coverage of 96 %."""
    value = np.array([float(one) for one in found])
    low, high = (np.array([one.interval[end] for one in found]) for end in (0, 1))
    assert np.mean((low <= truth) & (truth <= high)) >= 0.9
    assert np.median(high - low) <= 1.5 * 2 * 1.96 * value.std()
    assert np.mean(["tail_not_power_law" in one.flags for one in found]) <= 0.2


@pytest.mark.parametrize(("exponent", "lowest"), [(1.2, 1), (2.57, 1), (2.57, 40), (15.0, 3)])
def test_the_zeta_function_is_that_of_scipy(exponent, lowest):
    assert hurwitz(exponent, float(lowest)) == pytest.approx(special.zeta(exponent, lowest), rel=1e-12)


def test_the_exponent_is_that_of_greatest_likelihood():
    for lowest, mean_log in ((1, 0.3), (1, 1.5), (7, 2.4)):
        found = exponent_of(mean_log, float(lowest))
        step = 1e-4
        cost = [a * mean_log + np.log(special.zeta(a, lowest)) for a in (found - step, found, found + step)]
        assert cost[1] == min(cost)


def test_random_sizes_follow_the_zeta_law():
    rng = np.random.default_rng(1)
    sizes = zeta_sizes(2.5, 3, 20_000, rng)
    assert sizes.min() == 3
    edges = np.array([3, 4, 5, 7, 12, 30, 100])
    seen = np.array([np.sum((sizes >= a) & (sizes < b)) for a, b in zip(edges, [*edges[1:], 2**62], strict=True)])
    mass = special.zeta(2.5, edges) / special.zeta(2.5, 3)
    expected = 20_000 * np.append(mass[:-1] - mass[1:], mass[-1])
    # At 0.1 %.
    assert stats.chisquare(seen, expected).pvalue > 1e-3
    # The far tail, beyond the table: the share above 10^5 for a shallow law, within 4 standard errors.
    far = np.mean(zeta_sizes(1.5, 1, 20_000, rng) > 100_000)
    truth = special.zeta(1.5, 100_001) / special.zeta(1.5, 1)
    assert far == pytest.approx(truth, abs=4 * np.sqrt(truth / 20_000))


@pytest.mark.parametrize("exponent", [2.0, 2.57, 3.0])
def test_exponents_of_zeta_samples_are_found(exponent):
    rng = np.random.default_rng(3)
    # 40 repetitions: below 90 % with a probability of 2 % each at a coverage of 96 %; the long test has 200.
    assert_honest(fits(lambda: zeta_sizes(exponent, 1, 800, rng), 40), exponent)


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [2.0, 2.57, 3.0])
@pytest.mark.parametrize("lowest", [None, 1])
def test_exponents_of_many_zeta_samples_are_found(exponent, lowest):
    rng = np.random.default_rng(5)
    assert_honest(fits(lambda: zeta_sizes(exponent, 1, 1000, rng), 200, 100, lowest=lowest), exponent)


def test_the_beginning_of_the_tail_is_found():
    rng = np.random.default_rng(7)
    found = fits(lambda: np.r_[zeta_sizes(2.5, 8, 1000, rng), rng.integers(1, 8, 600)], 30)
    assert_honest(found, 2.5)
    assert np.median([one.details["lowest"] for one in found]) == 8


def test_a_known_beginning_gives_the_textbook_error():
    rng = np.random.default_rng(9)
    found = fits(lambda: zeta_sizes(2.57, 4, 1500, rng), 20, 100, lowest=4)
    error = np.mean([one.standard_error for one in found])
    # Of 100 bootstraps a standard error has an error of 7 %; of 20 of them, of 1.6 %.
    assert error == pytest.approx(found[0].details["asymptotic_error"], rel=0.1)
    assert all(one.n == 1500 for one in found)


@pytest.mark.parametrize("law", ["lognormal", "wide lognormal", "geometric", "poisson", "uniform", "cut off"])
def test_other_laws_are_flagged(law):
    rng = np.random.default_rng(11)

    def draw():
        n = 2000
        if law == "lognormal":
            return np.maximum(np.round(rng.lognormal(1.5, 0.8, n)), 1).astype(int)
        if law == "wide lognormal":
            return np.ceil(rng.lognormal(1.5, 1.5, n)).astype(int)
        if law == "cut off":
            sizes = zeta_sizes(2.0, 1, 4 * n, rng)
            return sizes[rng.random(4 * n) < np.exp(-sizes / 50)][:n]
        return {"geometric": rng.geometric(0.1, n), "poisson": rng.poisson(8, n) + 1}.get(law, rng.integers(1, 100, n))

    assert np.mean([not one.reliable for one in fits(draw, 20)]) >= 0.95


def test_the_same_seed_gives_the_same_answer():
    sizes = zeta_sizes(2.2, 1, 300, np.random.default_rng(13))
    one, two = (cascade_exponent(sizes, bootstraps=20, seed=4) for _ in range(2))
    assert (one.standard_error, dict(one.details)) == (two.standard_error, dict(two.details))


def test_few_sizes_are_flagged():
    found = cascade_exponent(zeta_sizes(2.2, 1, 40, np.random.default_rng(15)), bootstraps=20)
    assert "few_samples" in found.flags


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ([0, 2, 3], {}, "smallest cascade has size 1"),
        ([1.5, 2, 3], {}, "whole"),
        ([2, 2, 2], {}, "fewer than 3 different"),
        ([1, 2, 3, 4], {"lowest": 100}, "fewer than 3 different"),
        ([1, 2, 3, 4], {"bootstraps": 5}, "at least 20"),
        (np.ones((4, 2), int), {}, "one size for each cascade"),
        ([1.0, np.inf], {}, "holds inf"),
    ],
)
def test_bad_input_is_named(sizes, options, message):
    with pytest.raises(InputError, match=message):
        cascade_exponent(sizes, **options)
