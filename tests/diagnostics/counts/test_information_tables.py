"""Mutual information and its kin from tables of counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from simengine.diagnostics.counts.entropies import ESTIMATORS, entropy_from_counts
from simengine.diagnostics.counts.information import (
    conditional_entropy_from_table,
    conditional_entropy_of_symbols,
    conditional_mutual_information_from_table,
    joint_entropy_of_symbols,
    mutual_information_from_table,
    mutual_information_of_symbols,
)
from simengine.errors import InputError

RNG = np.random.default_rng(11)
TABLE = RNG.multinomial(400, RNG.dirichlet(np.ones(12))).reshape(3, 4)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_information_is_the_chain_of_entropies(estimator: str) -> None:
    found = mutual_information_from_table(TABLE, estimator=estimator)
    parts = [TABLE.sum(axis=1), TABLE.sum(axis=0), TABLE.ravel()]
    x, y, both = (float(entropy_from_counts(part, estimator=estimator)) for part in parts)
    assert float(found) == pytest.approx(x + y - both, abs=1e-12)
    condition = conditional_entropy_from_table(TABLE, estimator=estimator)
    assert float(condition) == pytest.approx(both - y, abs=1e-12)


def test_the_plug_in_value_is_the_likelihood_ratio_of_scipy() -> None:
    found = mutual_information_from_table(TABLE, estimator="plug-in")
    statistic, p_value, degrees, _ = chi2_contingency(TABLE, correction=False, lambda_="log-likelihood")
    assert 2 * 400 * float(found) == pytest.approx(statistic, rel=1e-10)
    assert found.details["degrees"] == degrees
    assert found.details["p_value"] == pytest.approx(p_value, abs=1e-12)
    assert float(found.null_mean) == pytest.approx(degrees / 800)
    assert float(found.null_sd) == pytest.approx(math.sqrt(2 * degrees) / 800)


def test_conditional_information_is_the_mean_over_conditions() -> None:
    table = RNG.multinomial(900, RNG.dirichlet(np.ones(18))).reshape(3, 2, 3)
    found = conditional_mutual_information_from_table(table, estimator="plug-in")
    parts = [float(mutual_information_from_table(table[..., z], estimator="plug-in")) for z in range(3)]
    shares = table.sum(axis=(0, 1)) / 900
    assert float(found) == pytest.approx(float(shares @ parts), abs=1e-12)
    assert found.details["degrees"] == 6


def test_labels_give_what_their_table_gives_dense_or_sparse() -> None:
    x, y, z = RNG.integers(0, 3, 500), RNG.integers(0, 4, 500), RNG.integers(0, 2, 500)
    table = np.zeros((3, 4, 2), np.int64)
    np.add.at(table, (x, y, z), 1)
    for estimator in ("miller-madow", "grassberger"):
        wanted = conditional_mutual_information_from_table(table, estimator=estimator)
        dense = mutual_information_of_symbols(x, y, given=z, estimator=estimator)
        sparse = mutual_information_of_symbols(x, y, given=z, estimator=estimator, states=(1000, 1000, 10))
        assert dense.value == wanted.value
        assert sparse.value == pytest.approx(wanted.value, abs=1e-13)
        assert sparse.interval == pytest.approx(wanted.interval, abs=1e-13)
    names = np.array(["low", "high", "middle"])[x]
    assert mutual_information_of_symbols(names, y).value == pytest.approx(mutual_information_of_symbols(x, y).value)


def test_a_copy_holds_all_information_and_a_constant_none() -> None:
    x = RNG.integers(0, 5, 1000)
    entropy = joint_entropy_of_symbols(x, estimator="miller-madow")
    assert mutual_information_of_symbols(x, x).value == pytest.approx(float(entropy), abs=1e-12)
    assert joint_entropy_of_symbols(x, x, estimator="miller-madow").value == pytest.approx(float(entropy), abs=1e-12)
    constant = mutual_information_of_symbols(x, np.zeros(1000, int))
    assert constant.flags == ("constant",)
    assert (constant.value, constant.interval) == (0.0, (0.0, 0.0))
    known = conditional_entropy_of_symbols(x, x)
    assert known.flags == ("constant",)
    assert known.value == 0.0


def test_many_states_and_few_samples_are_flagged() -> None:
    x, y = RNG.integers(0, 30, 500), RNG.integers(0, 30, 500)
    assert {"many_states", "unseen_states"} <= set(mutual_information_of_symbols(x, y).flags)
    assert "few_samples" in mutual_information_of_symbols(x[:40], y[:40]).flags
    assert mutual_information_of_symbols(x[:500] % 2, y % 2).flags == ()


@pytest.mark.parametrize("estimator", ["plug-in", "miller-madow", "grassberger", "grassberger-1988", "nsb"])
def test_independent_variables_follow_the_null(estimator: str) -> None:
    # 600 draws: the mean is off by 4 % of the sd, 7 times that is allowed: 1e-11; the sd by 4 %, 20 % allowed: 1e-6.
    draws = 600 if estimator != "nsb" else 40
    shares = np.outer([0.5, 0.3, 0.2], [0.4, 0.3, 0.2, 0.05, 0.05]).ravel()
    tables = np.random.default_rng(4).multinomial(1500, shares, size=draws).reshape(draws, 3, 5)
    found = mutual_information_from_table(tables, estimator=estimator)
    mean, sd = np.mean(found.null_mean), np.mean(found.null_sd)
    assert abs(np.mean(found.value) - mean) < 5 * sd * math.sqrt(2 / draws)
    assert np.std(found.value) == pytest.approx(sd, rel=0.2 if draws > 100 else 0.6)


def test_bad_tables_are_refused() -> None:
    with pytest.raises(InputError, match="one axis for each"):
        mutual_information_from_table([1, 2, 3])
    with pytest.raises(InputError, match="differ"):
        mutual_information_of_symbols([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="miller-madow"):
        mutual_information_from_table(TABLE, estimator="miller")


def test_dit_gives_the_same_plug_in_values() -> None:
    dit = pytest.importorskip("dit")
    table = RNG.multinomial(300, RNG.dirichlet(np.ones(12))).reshape(2, 3, 2)
    cells = [index for index in np.ndindex(table.shape) if table[index]]
    known = dit.Distribution(["".join(map(str, one)) for one in cells], [table[one] / 300 for one in cells])
    conditional = conditional_mutual_information_from_table(table, estimator="plug-in", unit="bit")
    assert float(conditional) == pytest.approx(
        dit.shannon.conditional_entropy(known, [0], [2]) - dit.shannon.conditional_entropy(known, [0], [1, 2]), abs=1e-9
    )
    plain = mutual_information_from_table(table.sum(axis=2), estimator="plug-in", unit="bit")
    assert float(plain) == pytest.approx(dit.shannon.mutual_information(known, [0], [1]), abs=1e-9)
