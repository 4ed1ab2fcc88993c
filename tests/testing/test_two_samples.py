from __future__ import annotations

import numpy as np
import pytest

from simengine.testing.two_samples import most_separate


def test_runs_of_one_distribution_are_told_apart_as_rarely_as_stated() -> None:
    random = np.random.default_rng(1)
    found = []
    for _ in range(400):
        shared = random.standard_cauchy((24, 1))
        columns = np.concatenate([shared + random.normal(size=(24, 5)), random.poisson(0.1, (24, 30))], axis=1)
        found.append(most_separate(columns[:12], columns[12:], 0.0, shuffles=99)[0])
    # Binomial(400, 0.1): beyond 62 with probability 1e-4.
    assert np.count_nonzero(np.array(found) <= 0.1) <= 62
    assert min(found) >= 0.01


def test_the_column_that_differs_is_named() -> None:
    random = np.random.default_rng(2)
    first, second = random.normal(size=(2, 20, 5000))
    second[:, 4321] += 3.0
    chance, winner = most_separate(first, second, 0.0)
    assert (chance, winner) == (1 / 2000, 4321)


def test_differences_within_the_tolerance_say_nothing() -> None:
    first = np.full((10, 2), 1e6)
    assert most_separate(first, first * (1.0 + 1e-12), 1e-9) == (1.0, -1)
    assert most_separate(first, first * (1.0 + 1e-6), 1e-9)[0] == pytest.approx(1 / 2000)
