from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import comb

from simengine.analysis.games import replicator_field, replicator_flow
from simengine.errors import InputError, RunError

RPS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
PENNIES = np.array([[1.0, -1.0], [-1.0, 1.0]])


def public_good(players: int, multiplier: float, cost: float = 1.0) -> Any:
    """Fitness of cooperators and defectors in groups of some size, drawn at random."""

    def fitness(shares: np.ndarray) -> np.ndarray:
        others = shares[0] * (players - 1) * multiplier * cost / players
        return np.array([others + multiplier * cost / players - cost, others])

    return fitness


def optional_public_good(players: int, multiplier: float, loner: float) -> Any:
    """Fitness of cooperators, defectors and loners by summing over the numbers of participants (cost 1)."""
    number = np.arange(players)

    def fitness(shares: np.ndarray) -> np.ndarray:
        x, y, z = shares
        chance = comb(players - 1, number) * (1 - z) ** number * z ** (players - 1 - number)
        good = multiplier * x / (x + y) * number / (number + 1)
        defects = chance[0] * loner + (chance * good)[1:].sum()
        cooperates = chance[0] * loner + (chance * (good + multiplier / (number + 1) - 1))[1:].sum()
        return np.array([cooperates, defects, loner])

    return fitness


def test_cooperation_in_a_linear_public_good_falls_as_a_logistic_curve() -> None:
    times = [0.0, 1.0, 5.0, 10.0]
    share = replicator_flow(public_good(5, 3.0), [0.5, 0.5], times).shares[0][:, 0]
    np.testing.assert_allclose(share, 1 / (1 + np.exp(0.4 * np.array(times))), atol=1e-9)
    np.testing.assert_allclose(share[1:], [0.4013123, 0.1192029, 0.0179862], atol=5e-8)


def test_under_fermi_imitation_the_rate_is_a_hyperbolic_tangent() -> None:
    # A difference of 1 between the two, whatever the shares.
    flow = replicator_flow([[0.0, 0.0], [1.0, 1.0]], [0.5, 0.5], [0.0, 5.0, 20.0], intensity=0.5)
    expected = 1 / (1 + np.exp(math.tanh(0.25) * flow.times))
    np.testing.assert_allclose(flow.shares[0][:, 0], expected, atol=1e-9)
    np.testing.assert_allclose(flow.shares[0][1:, 0], [0.2271291, 0.0074035], atol=5e-8)


def test_an_optional_public_good_circles_around_its_interior_point() -> None:
    n, r, sigma = 5, 3.0, 1.0

    def difference(z: float) -> float:
        return 1 + (r - 1) * z ** (n - 1) - r / n * (1 - z**n) / (1 - z)

    z = brentq(difference, 0.01, 0.99)
    assert z == pytest.approx(0.4613398, abs=5e-8)
    rest = np.array([(1 - z) / 2, (1 - z) / 2, z])
    np.testing.assert_allclose(replicator_field(optional_public_good(n, r, sigma), rest)[0], 0.0, atol=1e-12)
    times = np.linspace(0.0, 200.0, 4001)
    path = replicator_flow(optional_public_good(n, r, sigma), [0.3, 0.3, 0.4], times).shares[0]
    # The orbit is closed: it comes back to where it began, again and again.
    distance = np.abs(path - path[0]).max(axis=1)
    assert distance.max() > 0.02
    assert distance[3000:].min() < 0.002


def test_rock_paper_scissors_keeps_the_product_of_its_shares() -> None:
    path = replicator_flow(RPS, [0.5, 0.3, 0.2], np.linspace(0.0, 50.0, 101)).shares[0]
    np.testing.assert_allclose(path.prod(axis=1), 0.03, rtol=1e-7)
    np.testing.assert_allclose(path.sum(axis=1), 1.0, rtol=1e-14)


def test_matching_pennies_keeps_the_product_over_both_populations() -> None:
    flow = replicator_flow([PENNIES, -PENNIES], [[0.8, 0.2], [0.4, 0.6]], np.linspace(0.0, 20.0, 41))
    first, second = flow.shares
    np.testing.assert_allclose(first.prod(axis=1) * second.prod(axis=1), 0.16 * 0.24, rtol=1e-7)


def test_three_populations_follow_their_mean_payoffs() -> None:
    rng = np.random.default_rng(3)
    tables = [rng.normal(size=(2, 3, 4)) for _ in range(3)]
    shares = [rng.dirichlet(np.ones(size)) for size in (2, 3, 4)]
    fitness = np.einsum("abc,a,c->b", tables[1], shares[0], shares[2])
    field = replicator_field(tables, shares)
    np.testing.assert_allclose(field[1], shares[1] * (fitness - shares[1] @ fitness), rtol=1e-12)
    assert [part.shape for part in field] == [(2,), (3,), (4,)]


def test_a_strategy_that_is_absent_stays_absent() -> None:
    path = replicator_flow(RPS, [0.5, 0.5, 0.0], [0.0, 1.0, 40.0]).shares[0]
    assert path[:, 2].tolist() == [0.0, 0.0, 0.0]
    assert path[-1, 1] == pytest.approx(1.0, abs=1e-12)


@given(seed=st.integers(0, 2**32 - 1), intensity=st.sampled_from([None, 0.7]))
def test_the_flow_starts_along_the_field_and_the_field_keeps_the_sum(seed: int, intensity: float | None) -> None:
    rng = np.random.default_rng(seed)
    matrix, start, step = rng.normal(size=(4, 4)), rng.dirichlet(np.ones(4)), 1e-4
    field = replicator_field(matrix, start, intensity=intensity)[0]
    assert abs(field.sum()) < 1e-13
    path = replicator_flow(matrix, start, [0.0, step, 2 * step], intensity=intensity).shares[0]
    np.testing.assert_allclose((4 * path[1] - 3 * path[0] - path[2]) / (2 * step), field, atol=1e-5)


def test_weak_fermi_imitation_is_the_replicator_flow_slowed_down() -> None:
    start = [0.5, 0.3, 0.2]
    weak = replicator_flow(RPS, start, [0.0, 1000.0], intensity=0.002).shares[0][-1]
    plain = replicator_flow(RPS, start, [0.0, 1.0]).shares[0][-1]
    np.testing.assert_allclose(weak, plain, atol=1e-5)


@pytest.mark.parametrize(
    ("payoffs", "start", "times", "settings", "says"),
    [
        (RPS, [0.5, 0.5], [0, 1], {}, r"shape \(2,\)"),
        (RPS, [0.5, 0.6, 0.1], [0, 1], {}, "sum 1"),
        (RPS, [1.5, -0.5, 0.0], [0, 1], {}, "sum 1"),
        (RPS, [np.nan, 0.5, 0.5], [0, 1], {}, "sum 1"),
        (RPS, ["a", 0.5, 0.5], [0, 1], {}, "real numbers"),
        ([PENNIES, -PENNIES], [[0.5, 0.5]], [0, 1], {}, "2 players"),
        ([PENNIES, -PENNIES], 0.5, [0, 1], {}, "2 players"),
        (RPS, [0.5, 0.3, 0.2], [0.0], {}, "ascending"),
        (RPS, [0.5, 0.3, 0.2], [1.0, 0.0], {}, "ascending"),
        (RPS, [0.5, 0.3, 0.2], [0.0, 1.0], {"intensity": -1.0}, "intensity = -1.0"),
        (RPS, [0.5, 0.3, 0.2], [0.0, 1.0], {"tolerance": 0.0}, "tolerance = 0.0"),
        (lambda x: [1.0], [0.5, 0.5], [0, 1], {}, "returned shape"),
        (lambda x: x * np.inf, [0.5, 0.5], [0, 1], {}, "returned"),
    ],
)
def test_flows_of_nothing_are_refused(payoffs: Any, start: Any, times: Any, settings: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        replicator_flow(payoffs, start, times, **settings)


def test_a_flow_that_cannot_go_on_says_where_it_stopped() -> None:
    # The share of the first rises to 0.6 with infinite speed.
    with pytest.raises(RunError, match="stopped at t = "):
        replicator_flow(lambda x: [1.0 / (0.6 - x[0]), 0.0], [0.5, 0.5], [0.0, 0.01, 5.0])
