"""The numbers of npeet_plus at moderate scales, and where its way of telling nearer from as near gives way."""

import math

import numpy as np
import pytest

from simengine.diagnostics.information import conditional_mutual_information, entropy, mutual_information

npeet = pytest.importorskip("npeet_plus")

K = {"k": 4, "base": math.e}


def pair(n=1000, d=1, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x, 0.6 * x + 0.8 * rng.normal(size=(n, d))


@pytest.mark.parametrize("d", [1, 3])
def test_information_and_entropy_are_the_peers(d):
    x, y = pair(d=d)
    assert mutual_information(x, y, estimator="ksg-1", k=4, scale="none", correct=False).value == pytest.approx(
        npeet.mi(x, y, **K), abs=1e-9
    )
    # The peer adds noise of 1e-10.
    assert entropy(x, estimator="kozachenko-leonenko", k=4, whiten=False, correct=False).value == pytest.approx(
        npeet.entropy(x, **K), abs=1e-6
    )


def test_information_given_a_third_variable_is_the_peers():
    x, y = pair(600)
    z = x + np.random.default_rng(2).normal(size=x.shape)
    found = conditional_mutual_information(x, y, z, estimator="frenzel-pompe", k=4, scale="none", correct=False).value
    assert found == pytest.approx(npeet.cmi(x, y, z, **K), abs=1e-9)


def test_information_does_not_change_with_the_unit_of_measurement_where_the_peers_does():
    x, y = pair(2000)
    scales = (1.0, 1e6)
    theirs = [npeet.mi(factor * x, factor * y, **K) for factor in scales]
    ours = [mutual_information(factor * x, factor * y, estimator="ksg-1", k=4).value for factor in scales]
    assert abs(theirs[1] - theirs[0]) > 0.01
    assert ours[1] == pytest.approx(ours[0], abs=1e-12)


def test_heavy_tails_hide_information_from_the_peer_and_not_from_normal_scores():
    rng = np.random.default_rng(3)
    both = rng.normal(size=(1500, 2)) / np.sqrt(rng.chisquare(1.0, size=(1500, 1)))
    x, y = both[:, :1], both[:, 1:]
    truth = 0.2242
    ours = mutual_information(x, y, estimator="ksg-1", k=4)
    assert abs(ours.value - truth) < 3.0 * ours.standard_error
    assert npeet.mi(x, y, **K) < truth - 0.05


def test_the_raw_entropy_of_correlated_variables_is_far_off_and_the_whitened_one_is_not():
    factor = np.random.default_rng(4).normal(size=(5, 5)) * 2.0 ** -np.arange(5)
    points = np.random.default_rng(5).normal(size=(1000, 5)) @ factor.T
    truth = 2.5 * math.log(2.0 * math.pi * math.e) + float(np.linalg.slogdet(factor)[1])
    assert npeet.entropy(points, **K) > truth + 0.3
    ours = entropy(points, estimator="kozachenko-leonenko", k=4)
    assert ours.value == pytest.approx(truth, abs=4.0 * ours.standard_error)


def test_saturated_opinions_break_neighbour_counts_and_the_atoms_are_found():
    rng = np.random.default_rng(6)
    latent = rng.normal(size=(1500, 2)) @ np.linalg.cholesky([[1.0, 0.6], [0.6, 1.0]]).T
    x, y = np.clip(latent, -0.6744897501960817, 0.6744897501960817).T
    ours = mutual_information(x, y)
    assert ours.value == pytest.approx(0.1698, abs=4.0 * ours.standard_error)
    assert "atoms" in mutual_information(x, y, estimator="ksg-1").flags
