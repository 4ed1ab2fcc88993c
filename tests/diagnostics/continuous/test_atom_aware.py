from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from simengine.diagnostics.continuous import margins
from simengine.diagnostics.continuous.atoms import atom_aware_mutual_information
from simengine.diagnostics.continuous.mutual import Options, labelled_mutual_information, neighbour_mutual_information
from simengine.diagnostics.counts.information import mutual_information_of_symbols

QUICK = Options(reliability=False)


def clipped(n, reach, seed, rho=0.6):
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, 1))
    y = rho * x + math.sqrt(1.0 - rho**2) * random.standard_normal((n, 1))
    return np.clip(x, -reach, reach), np.clip(y, -reach, reach)


# Truths by quadrature of the clipped normal pair, correlation 0.6: half, 30 % and 5 % of each on the two atoms.
@pytest.mark.parametrize(("reach", "truth"), [(0.67449, 0.1697), (1.03643, 0.1957), (1.95996, 0.2201)])
def test_saturated_opinions_keep_their_information(reach, truth):
    # 95 % nominal; 13 or fewer of 20 happen in 1e-4 of tests. The mean lies within four of its standard errors.
    found = [atom_aware_mutual_information(*clipped(800, reach, seed), QUICK) for seed in range(20)]
    assert sum(one.interval[0] <= truth <= one.interval[1] for one in found) > 13
    values = np.array([one.value for one in found])
    assert abs(values.mean() - truth) < 4.0 * values.std() / math.sqrt(20) + 0.015
    assert np.median([one.standard_error for one in found]) < 1.8 * values.std()
    assert sum(bool(one.flags) for one in found) <= 1


def test_without_atoms_it_is_the_neighbour_estimator():
    x, y = clipped(300, 99.0, 0)
    found, plain = atom_aware_mutual_information(x, y, QUICK), neighbour_mutual_information(x, y, QUICK)
    assert found.value == pytest.approx(plain.value, abs=1e-12)
    assert found.details["share_on_atoms"] == 0.0


def test_with_nothing_but_atoms_it_is_that_of_counts():
    x, y = (np.sign(one) for one in clipped(400, 99.0, 1))
    found = atom_aware_mutual_information(x, y, Options(correct=False))
    expected = mutual_information_of_symbols(x[:, 0].astype(int), y[:, 0].astype(int), estimator="grassberger")
    assert found.value == pytest.approx(expected.value, abs=1e-10)


def test_atoms_against_numbers_is_the_estimator_of_labels():
    x, y = clipped(400, 99.0, 2)
    plain = replace(QUICK, correct=False)
    found = atom_aware_mutual_information(np.sign(x), y, plain)
    expected = labelled_mutual_information(y, (x[:, 0] > 0).astype(np.int64), plain)
    assert found.value == pytest.approx(expected.value, abs=1e-12)


def test_an_atom_is_a_value_that_one_per_cent_share():
    values = np.arange(1000.0)
    values[:10] = -1.0
    values[10:19] = -2.0
    assert np.bincount(margins.atoms(values[:, None])).tolist() == [990, 10]
    few = np.array([0.0] * 5 + [1.0] * 4 + [2.0, 3.0, 4.0])
    assert np.bincount(margins.atoms(few[:, None])).tolist() == [7, 5]


def test_ties_that_are_no_atoms_are_told_of():
    x, y = (np.round(one, 3) for one in clipped(1000, 99.0, 3))
    assert "ties" in atom_aware_mutual_information(x, y, QUICK).flags


def test_independent_variables_share_nothing():
    x, _ = clipped(600, 0.67449, 4)
    _, y = clipped(600, 0.67449, 5)
    found = atom_aware_mutual_information(x, y, Options(shuffles=20))
    assert found.interval[0] == 0.0
    assert abs(found.z) < 4.0
    assert abs(found.null_mean) < 4.0 * found.null_sd / math.sqrt(20)
