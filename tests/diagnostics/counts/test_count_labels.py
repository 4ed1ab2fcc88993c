"""Names of dims go with counts, and sums of powers are exact for any number of samples."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import xarray

from simengine.diagnostics.counts.divergences import cross_entropy_from_counts, hellinger, jensen_shannon, kl_divergence
from simengine.diagnostics.counts.generalised import renyi_entropy, tsallis_entropy
from simengine.diagnostics.counts.information import mutual_information_from_table
from simengine.errors import InputError

TABLES = xarray.DataArray(
    np.random.default_rng(3).integers(1, 30, (4, 3, 5)), dims=("run", "time", "state"), coords={"run": [5, 6, 7, 8]}
)


@pytest.mark.parametrize("between", [kl_divergence, hellinger, cross_entropy_from_counts, jensen_shannon])
def test_divergences_keep_the_names_of_dims_and_pair_by_them(between) -> None:
    found = between(TABLES.transpose("time", "run", "state"), TABLES[:, 0])
    assert set(found.dims) == {"run", "time"}
    np.testing.assert_array_equal(found.coords["run"], [5, 6, 7, 8])
    alone = between(TABLES.to_numpy()[2, 1], TABLES.to_numpy()[2, 0])
    assert found[{"time": 1, "run": 2}[found.dims[0]], {"time": 1, "run": 2}[found.dims[1]]].value == alone.value


def test_entropies_and_tables_of_counts_keep_the_names_of_dims() -> None:
    assert renyi_entropy(TABLES, 2).dims == ("run", "time")
    assert mutual_information_from_table(TABLES).dims == ("run",)
    assert jensen_shannon(TABLES).dims == ("run",)


def test_counts_of_other_dims_or_coordinates_do_not_fit() -> None:
    with pytest.raises(InputError, match="q has no dim 'state', that of the states; it has time, bin"):
        kl_divergence(TABLES, TABLES[0].rename(state="bin"))
    with pytest.raises(InputError, match="do not fit together"):
        kl_divergence(TABLES, TABLES.assign_coords(run=[1, 2, 3, 4]))


@pytest.mark.parametrize("order", [2, 3, 7])
@pytest.mark.parametrize("counts", [[3, 4, 5], [1, 1, 1, 9], [10**8, 2 * 10**8, 3], [10**15, 3 * 10**15, 5]])
def test_sums_of_powers_are_exact_for_any_number_of_samples(counts: list[int], order: int) -> None:
    total = sum(counts)
    exact = sum(math.prod(Fraction(n - j, total - j) for j in range(order)) for n in counts)
    found = tsallis_entropy(counts, order)
    assert found.details["power_sum"] == pytest.approx(float(exact), rel=1e-13)
    assert found.value == pytest.approx(float((1 - exact) / (order - 1)), rel=1e-13)


@pytest.mark.parametrize(
    ("order", "exact"),
    # From 60 digits of the gamma functions.
    [(0.5, 0.7320508800666176), (1.5, 0.45096189432334505), (2.5, 0.32107380691417), (1.0001, 0.5623080195714052)],
)
def test_broken_orders_are_exact_far_beyond_where_logarithms_of_gamma_functions_cancel(order, exact) -> None:
    assert tsallis_entropy([10**15, 3 * 10**15, 5], order).value == pytest.approx(exact, rel=1e-13)


def test_orders_next_to_1_tend_to_shannons_entropy() -> None:
    counts = [10**9, 3 * 10**9]
    shannon = -sum(p * math.log(p) for p in (0.25, 0.75))
    for order in (1 - 1e-9, 1 + 1e-9):
        assert renyi_entropy(counts, order).value == pytest.approx(shannon, rel=1e-8)
        assert tsallis_entropy(counts, order).value == pytest.approx(shannon, rel=1e-8)
    near, at = renyi_entropy(counts, 1 + 1e-9), renyi_entropy(counts, 1)
    assert near.standard_error == pytest.approx(at.standard_error, rel=1e-6)


def test_of_high_orders_the_logarithm_is_exact_where_the_sum_is_nought() -> None:
    assert renyi_entropy([10**9, 10**9], 10_000).value == pytest.approx(math.log(2.0), rel=1e-3)
