"""scikit-learn's information of a pair to one per cent, its score of tables exactly, and where it goes astray."""

import numpy as np
import pytest

from simengine.diagnostics.information import mutual_information

pytest.importorskip("sklearn")

from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.metrics import mutual_info_score


def pair(n, rho, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, rho * x + np.sqrt(1.0 - rho**2) * rng.normal(size=n)


def test_information_of_tables_is_the_peers():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 4, 500)
    y = (x + rng.integers(0, 3, 500)) % 5
    found = mutual_information(x, y, estimator="plug-in").value
    assert found == pytest.approx(mutual_info_score(x, y), abs=1e-12)


def test_information_of_a_pair_on_the_peers_scale_is_the_peers_but_for_its_noise():
    x, y = pair(2000, 0.6, 2)
    theirs = mutual_info_regression(x[:, None], y, n_neighbors=4, random_state=0)[0]
    # The peer divides by the standard deviation and adds noise of 1e-10.
    ours = mutual_information(x, y, estimator="ksg-1", k=4, scale="standard", correct=False).value
    assert ours == pytest.approx(theirs, rel=0.01)


def test_values_below_zero_are_kept_where_the_peer_cuts_them_and_is_biased():
    ours, theirs = [], []
    for seed in range(60):
        x, y = pair(200, 0.0, 100 + seed)
        ours.append(mutual_information(x, y, estimator="ksg-1").value)
        theirs.append(mutual_info_regression(x[:, None], y, n_neighbors=4, random_state=0)[0])
    assert min(theirs) == 0.0
    assert min(ours) < 0.0
    # Three standard errors of the mean of 60.
    assert abs(np.mean(ours)) < 3.0 * np.std(ours) / np.sqrt(60)
    assert np.mean(theirs) > 3.0 * np.std(theirs) / np.sqrt(60)


def test_a_constant_tells_nothing_where_the_peer_finds_more_than_there_is_to_know():
    n, rare = 100_000, 100
    label = np.zeros(n, dtype=int)
    label[np.random.default_rng(3).permutation(n)[:rare]] = 1
    entropy = -(0.001 * np.log(0.001) + 0.999 * np.log(0.999))
    theirs = mutual_info_classif(np.ones((n, 1)), label, discrete_features=False, random_state=0)[0]
    assert theirs > entropy
    ours = mutual_information(np.ones(n), label)
    assert ours.value == 0.0
    assert "constant" in ours.flags
