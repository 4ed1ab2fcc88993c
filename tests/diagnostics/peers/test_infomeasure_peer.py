"""The numbers of infomeasure where it is right, and the two places where it is not."""

import math

import numpy as np
import pytest
from scipy.special import digamma, gammaln, polygamma

from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.dynamics.transfer import transfer_entropy
from simengine.diagnostics.information import conditional_mutual_information, entropy, mutual_information

infomeasure = pytest.importorskip("infomeasure")

EXACT = {"noise_level": 0, "base": "e", "minkowski_p": np.inf, "k": 4}


def labels(n, states=6, seed=1):
    return np.random.default_rng(seed).integers(0, states, n)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("plug-in", "discrete"),
        ("miller-madow", "miller_madow"),
        ("grassberger-1988", "grassberger"),
        ("chao-shen", "chao_shen"),
        ("james-stein", "shrink"),
    ],
)
@pytest.mark.parametrize("n", [20, 80, 1000])
def test_corrected_entropies_are_the_peers(ours, theirs, n):
    found = labels(n)
    expected = infomeasure.entropy(found, approach=theirs, base="e")
    assert entropy_from_counts(np.bincount(found), estimator=ours).value == pytest.approx(expected, abs=1e-9)


def nemenman(counts, states):
    """The posterior mean by its integral over the logarithm of beta, 1e-6 to 1e6."""
    n = np.append(counts, np.zeros(states - counts.size))
    beta = np.exp(np.linspace(math.log(1e-6), math.log(1e6), 20_001))
    each, whole = n + beta[:, None], n.sum() + states * beta
    weight = gammaln(states * beta) - gammaln(whole) + (gammaln(each) - gammaln(beta)[:, None]).sum(axis=1)
    slope = states * polygamma(1, states * beta + 1.0) - polygamma(1, beta + 1.0)
    weight = np.exp(weight - weight.max()) * slope * beta
    mean = digamma(whole + 1.0) - (each * digamma(each + 1.0)).sum(axis=1) / whole
    return float((weight * mean).sum() / weight.sum())


@pytest.mark.parametrize(("n", "off"), [(100, 0.005), (400, math.nan)])
def test_nemenmans_entropy_is_the_integral_where_the_peers_is_off_or_overflows(n, off):
    found = labels(n)
    counts = np.bincount(found, minlength=6)
    expected = nemenman(counts, 6)
    assert entropy_from_counts(counts, estimator="nsb").value == pytest.approx(expected, abs=1e-5)
    with np.errstate(all="ignore"):
        theirs = infomeasure.entropy(found, approach="nsb", base="e", K=6)
    assert math.isnan(theirs) if math.isnan(off) else abs(theirs - expected) > off


def pair(n=1500, d=1, rho=0.6, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    return x, rho * x + math.sqrt(1.0 - rho**2) * rng.normal(size=(n, d))


@pytest.mark.parametrize("d", [1, 2])
def test_information_of_the_first_kind_is_the_peers(d):
    x, y = pair(d=d)
    expected = infomeasure.mutual_information(x, y, approach="metric", ksg_id=1, **EXACT)
    found = mutual_information(x, y, estimator="ksg-1", k=4, scale="none", correct=False).value
    assert found == pytest.approx(expected, abs=1e-9)


def test_information_of_the_second_kind_agrees_with_the_truth_where_the_peers_does_not():
    x, y = pair()
    peer = infomeasure.mutual_information(x[:, 0], y[:, 0], approach="metric", ksg_id=2, **EXACT)
    ours = mutual_information(x, y, estimator="ksg-2", k=4)
    truth = -0.5 * math.log(1.0 - 0.36)
    assert abs(ours.value - truth) < 4.0 * ours.standard_error
    assert peer < 0.05


def test_information_given_a_third_variable_is_the_peers():
    x, y = pair(800)
    z = np.random.default_rng(4).normal(size=800) + x[:, 0]
    expected = infomeasure.cmi(x[:, 0], y[:, 0], cond=z, approach="metric", **EXACT)
    found = conditional_mutual_information(x, y, z, estimator="frenzel-pompe", k=4, scale="none", correct=False).value
    assert found == pytest.approx(expected, abs=1e-9)


def test_entropy_of_neighbours_is_the_peers_where_nothing_is_whitened():
    (x, _) = pair(1000, d=3)
    expected = infomeasure.entropy(x, approach="kl", **EXACT)
    found = entropy(x, estimator="kozachenko-leonenko", k=4, whiten=False, correct=False).value
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("histories", [(1, 1), (1, 2), (2, 1)])
def test_transfer_of_symbols_is_the_peers(histories):
    source, target = histories
    x = labels(600, 3)
    y = (np.roll(x, 1) + (np.random.default_rng(5).random(600) < 0.3)) % 3
    expected = infomeasure.te(
        x, y, approach="discrete", base="e", src_hist_len=source, dest_hist_len=target, step_size=1
    )  # fmt: skip
    found = transfer_entropy(x, y, estimator="plug-in", source_history=source, target_history=target).value
    assert found == pytest.approx(expected, abs=1e-9)
