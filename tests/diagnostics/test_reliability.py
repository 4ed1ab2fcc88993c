from __future__ import annotations

import numpy as np
import pytest

from simengine.diagnostics.reliability import extrapolated


def test_a_bias_linear_in_the_parts_is_taken_off():
    found = extrapolated(lambda rows: 2.0 + 30.0 / len(rows), 600, 0.1)
    assert found.value == pytest.approx(2.0, abs=1e-12)
    assert found.slope == pytest.approx(0.05, abs=1e-12)
    np.testing.assert_allclose(found.means, 2.0 + 0.05 * np.arange(1, 6))


def test_a_change_beyond_the_error_and_a_twentieth_is_unstable():
    assert not extrapolated(lambda rows: 1.0 + 60.0 / len(rows), 600, 0.01).stable
    assert extrapolated(lambda rows: 1.0 + 60.0 / len(rows), 600, 0.1).stable
    assert extrapolated(lambda rows: 1.0 + 20.0 / len(rows), 600, 0.001).stable


def test_a_whole_off_the_line_of_its_parts_is_unstable():
    assert not extrapolated(lambda rows: 1.0 if len(rows) == 600 else 0.5, 600, 0.01).stable


def test_parts_without_a_value_are_unstable():
    assert not extrapolated(lambda rows: float("nan") if len(rows) < 200 else 1.0, 600, 0.1).stable


def test_parts_are_disjoint_and_cover_all():
    seen = []
    extrapolated(lambda rows: float(seen.append(rows) or 0.0), 100, 0.1)
    sizes = {gamma: [] for gamma in (1, 2, 3, 4, 5)}
    at = 0
    for gamma, rows in sizes.items():
        rows += seen[at : at + gamma]
        at += gamma
        np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(100))
