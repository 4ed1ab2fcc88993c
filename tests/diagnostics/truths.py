"""Cases whose true value is known, each with a sampler.

Here the entropies and the discrete tables; pairs, groups and what runs in time are in :mod:`truths_of_pairs`,
:mod:`truths_of_groups` and :mod:`truths_in_time`. All values are in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[Any]


@dataclass(frozen=True)
class Truth:
    """A quantity of a known law.

    ``sample(n, seed)`` gives the arrays that an estimator of ``quantity`` takes, ``value`` is what it should find;
    ``info`` says what else is known (number of states, probabilities, covariance ...).
    """

    name: str
    sample: Callable[[int, int], tuple[Array, ...]]
    value: float
    quantity: str
    info: Mapping[str, Any] = field(default_factory=dict)


def generator(seed: int) -> np.random.Generator:
    """Philox: any seed is as good as any other."""
    return np.random.Generator(np.random.Philox(seed))


def listed(*cases: Truth) -> dict[str, Truth]:
    """Return the cases by name."""
    assert len({case.name for case in cases}) == len(cases)
    return {case.name: case for case in cases}


# Discrete laws -------------------------------------------------------------------------------------------------------


def entropy_of(probabilities: Array) -> float:
    """Shannon's entropy of a probability table of any shape."""
    return float(special.entr(np.asarray(probabilities, dtype=np.float64)).sum())


def _draws(probabilities: Array, n: int, seed: int) -> NDArray[np.int64]:
    """Indices into the flat table."""
    steps = np.cumsum(probabilities.ravel())
    return np.minimum(np.searchsorted(steps / steps[-1], generator(seed).random(n), side="right"), steps.size - 1)


def _labels(name: str, weights: Array) -> Truth:
    p = np.asarray(weights, dtype=np.float64)
    p = p / p.sum()
    return Truth(
        name, lambda n, seed: (_draws(p, n, seed),), entropy_of(p), "discrete entropy",
        {"states": p.size, "probabilities": p},
    )  # fmt: skip


DISCRETE_ENTROPIES = listed(
    _labels("uniform-10", np.ones(10)),
    _labels("uniform-100", np.ones(100)),
    _labels("zipf-200", 1.0 / np.arange(1, 201)),
    _labels("geometric", 0.5 ** np.arange(60)),
    _labels("dirichlet-50", generator(7).dirichlet(np.ones(50))),
    _labels("skewed-2", np.array([0.95, 0.05])),
)


def renyi_of(p: Array, order: float) -> float:
    """ln(sum p^q) / (1 - q)."""
    return math.log(float((p**order).sum())) / (1.0 - order)


def tsallis_of(p: Array, order: float) -> float:
    """(1 - sum p^q) / (q - 1)."""
    return (1.0 - float((p**order).sum())) / (order - 1.0)


def _generalised(word: str, value: Callable[[Array, float], float], order: float) -> dict[str, Truth]:
    """The same laws with another entropy."""
    return listed(
        *(
            Truth(f"{name}, order {order:g}", case.sample, value(case.info["probabilities"], order), word, case.info)
            for name, case in DISCRETE_ENTROPIES.items()
        )
    )


RENYI = {order: _generalised("Renyi entropy", renyi_of, order) for order in (0.5, 2.0, 3.0)}
TSALLIS = {order: _generalised("Tsallis entropy", tsallis_of, order) for order in (0.5, 2.0)}


def mutual_information_of(table: Array) -> float:
    """I(X; Y) of a joint probability table of two axes."""
    return entropy_of(table.sum(axis=1)) + entropy_of(table.sum(axis=0)) - entropy_of(table)


def conditional_information_of(table: Array) -> float:
    """I(X; Y | Z) of a joint probability table of the axes x, y, z."""
    return entropy_of(table.sum(axis=1)) + entropy_of(table.sum(axis=0)) - entropy_of(table) - entropy_of(
        table.sum(axis=(0, 1))
    )  # fmt: skip


def _table(name: str, weights: Array, value: Callable[[Array], float], quantity: str) -> Truth:
    p = np.asarray(weights, dtype=np.float64)
    p = p / p.sum()
    shape = p.shape

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        return tuple(part.astype(np.int64) for part in np.unravel_index(_draws(p, n, seed), shape))

    return Truth(name, sample, value(p), quantity, {"probabilities": p, "states": shape})


_WEIGHTS = generator(11).dirichlet(np.ones(60))
DISCRETE_INFORMATIONS = listed(
    _table("binary channel", np.array([[0.45, 0.05], [0.05, 0.45]]), mutual_information_of, "discrete MI"),
    _table("random 4 x 5", generator(5).dirichlet(np.ones(20)).reshape(4, 5), mutual_information_of, "discrete MI"),
    _table("even 5 x 5", np.ones((5, 5)), mutual_information_of, "discrete MI"),
    _table("uneven apart", np.outer(2.0 ** -np.arange(4), 2.0 ** -np.arange(4)), mutual_information_of, "discrete MI"),
)


def conditional_entropy_of(table: Array) -> float:
    """H(X | Y) of a joint probability table of two axes."""
    return entropy_of(table) - entropy_of(table.sum(axis=0))


def _revalued(value: Callable[[Array], float], quantity: str) -> dict[str, Truth]:
    """The same tables with another quantity."""
    return listed(
        *(
            Truth(name, case.sample, value(case.info["probabilities"]), quantity, case.info)
            for name, case in DISCRETE_INFORMATIONS.items()
        )
    )


JOINT_ENTROPIES = _revalued(entropy_of, "joint entropy")
CONDITIONAL_ENTROPIES = _revalued(conditional_entropy_of, "conditional entropy")
DISCRETE_CONDITIONALS = listed(
    _table("random 4 x 5 x 3", _WEIGHTS.reshape(4, 5, 3), conditional_information_of, "discrete CMI"),
    _table("noisy xor", np.array([[[.45, .05], [.05, .45]], [[.05, .45], [.45, .05]]]), conditional_information_of,
           "discrete CMI"),
    _table("apart given z", np.einsum("iz,jz->ijz", [[1, 3], [3, 1]], [[2, 1], [1, 2]]), conditional_information_of,
           "discrete CMI"),
)  # fmt: skip


# Differential entropies ----------------------------------------------------------------------------------------------


def gaussian_entropy(covariance: Array) -> float:
    """0.5 ln det(2 pi e S)."""
    d = len(covariance)
    return 0.5 * (d * math.log(2.0 * math.pi * math.e) + float(np.linalg.slogdet(covariance)[1]))


def student_entropy(freedom: float, scale: Array) -> float:
    """Of a multivariate Student's t of the given scale matrix."""
    d = len(scale)
    half, both = freedom / 2.0, (freedom + d) / 2.0
    whole = 0.5 * d * math.log(freedom * math.pi) + special.gammaln(half) - special.gammaln(both)
    return float(whole + both * (special.digamma(both) - special.digamma(half)) + 0.5 * np.linalg.slogdet(scale)[1])


def covariance_of(d: int, seed: int) -> Array:
    """A random covariance of some spread."""
    factor = generator(seed).normal(size=(d, d))
    return factor @ factor.T / d + 0.05 * np.eye(d)


def normal(n: int, seed: int, covariance: Array) -> Array:
    """Gaussian samples, shape (n, d)."""
    return generator(seed).normal(size=(n, len(covariance))) @ np.linalg.cholesky(covariance).T


def student(n: int, seed: int, freedom: float, scale: Array) -> Array:
    """Samples of a multivariate Student's t, shape (n, d)."""
    rng = generator(seed)
    latent = rng.normal(size=(n, len(scale))) @ np.linalg.cholesky(scale).T
    return latent / np.sqrt(rng.chisquare(freedom, size=(n, 1)) / freedom)


def _gaussian_entropy(name: str, covariance: Array) -> Truth:
    return Truth(
        name, lambda n, seed: (normal(n, seed, covariance),), gaussian_entropy(covariance), "differential entropy",
        {"covariance": covariance, "gaussian": True},
    )  # fmt: skip


def _student_entropy(name: str, freedom: float, d: int) -> Truth:
    return Truth(
        name, lambda n, seed: (student(n, seed, freedom, np.eye(d)),), student_entropy(freedom, np.eye(d)),
        "differential entropy",
    )  # fmt: skip


def _of_scipy(name: str, law: Any) -> Truth:
    return Truth(
        name, lambda n, seed: (law.ppf(generator(seed).random(n)),), float(law.entropy()), "differential entropy"
    )


def _in_cube(name: str, d: int) -> Truth:
    return Truth(name, lambda n, seed: (generator(seed).random((n, d)),), 0.0, "differential entropy")


DIFFERENTIAL_ENTROPIES = listed(
    _gaussian_entropy("normal 1-D", np.eye(1) * 4.0),
    _gaussian_entropy("normal 2-D", np.array([[1.0, 0.9], [0.9, 1.0]])),
    _gaussian_entropy("normal 5-D", covariance_of(5, 3)),
    _gaussian_entropy("normal 10-D", covariance_of(10, 3)),
    _student_entropy("student 3, 1-D", 3.0, 1),
    _student_entropy("student 3, 3-D", 3.0, 3),
    _student_entropy("cauchy", 1.0, 1),
    _of_scipy("uniform", stats.uniform(2.0, 3.0)),
    _of_scipy("exponential", stats.expon(scale=0.5)),
    _of_scipy("lognormal", stats.lognorm(0.7)),
    _in_cube("uniform square", 2),
    _in_cube("uniform cube", 3),
)


# Two laws over the same states, counted ------------------------------------------------------------------------------


def kl_of(p: Array, q: Array) -> float:
    """Kullback-Leibler divergence."""
    return float(special.rel_entr(p, q).sum())


def _two(name: str, p: Array, q: Array, value: float, quantity: str) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        return rng.multinomial(n, p), rng.multinomial(n, q)

    return Truth(name, sample, value, quantity, {"states": p.size})


_P, _Q = (generator(seed).dirichlet(np.full(8, 4.0)) for seed in (21, 22))
_HALF = 0.5 * (_P + _Q)
DIVERGENCES = listed(
    _two("KL, 8 states", _P, _Q, kl_of(_P, _Q), "KL divergence"),
    _two("KL, equal laws", _P, _P, 0.0, "KL divergence"),
    _two("JS, 8 states", _P, _Q, 0.5 * (kl_of(_P, _HALF) + kl_of(_Q, _HALF)), "JS divergence"),
    _two("JS, equal laws", _P, _P, 0.0, "JS divergence"),
    _two("PSI, 8 states", _P, _Q, kl_of(_P, _Q) + kl_of(_Q, _P), "stability index"),
    _two("PSI, equal laws", _P, _P, 0.0, "stability index"),
    _two("Hellinger, 8 states", _P, _Q, math.sqrt(0.5 * ((np.sqrt(_P) - np.sqrt(_Q)) ** 2).sum()), "Hellinger"),
    _two("W1, 8 states", _P, _Q, float(np.abs(np.cumsum(_P - _Q)).sum()), "Wasserstein"),
)


def cross_entropy_of(p: Array, q: Array) -> float:
    """-sum p ln q."""
    return entropy_of(p) + kl_of(p, q)


def _two_labels(name: str, p: Array, q: Array) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        return _draws(p, n, seed), _draws(q, n, seed + 2**40)

    return Truth(name, sample, cross_entropy_of(p, q), "cross entropy", {"states": p.size})


CROSS = listed(_two_labels("labels, 8 states", _P, _Q), _two_labels("labels, equal laws", _P, _P))
CROSS_COUNTS = listed(
    _two("cross, 8 states", _P, _Q, cross_entropy_of(_P, _Q), "cross entropy of counts"),
    _two("cross, equal laws", _P, _P, entropy_of(_P), "cross entropy of counts"),
    _two("cross, even laws", np.full(8, 0.125), np.full(8, 0.125), math.log(8.0), "cross entropy of counts"),
)


# Opinions: a number for each agent -----------------------------------------------------------------------------------


def _opinions(name: str, law: Any, value: float, quantity: str) -> Truth:
    return Truth(name, lambda n, seed: (law.ppf(generator(seed).random(n)),), value, quantity)


EVEN, CAMPS, CONSENSUS = stats.uniform(0.0, 1.0), stats.beta(0.5, 0.5), stats.beta(8.0, 8.0)


def _bimodality(law: Any) -> float:
    skewness, kurtosis = law.stats("sk")
    return float((skewness**2 + 1.0) / (kurtosis + 3.0))


OPINIONS = listed(
    _opinions("variance, even", EVEN, 1.0 / 12.0, "opinion variance"),
    _opinions("variance, camps", CAMPS, 0.125, "opinion variance"),
    _opinions("pair difference, even", EVEN, 1.0 / 3.0, "opinion pair difference"),
    _opinions("pair difference, camps", CAMPS, 4.0 / math.pi**2, "opinion pair difference"),
    _opinions("bimodality, even", EVEN, 5.0 / 9.0, "bimodality"),
    _opinions("bimodality, camps", CAMPS, _bimodality(CAMPS), "bimodality"),
    _opinions("bimodality, consensus", CONSENSUS, _bimodality(CONSENSUS), "bimodality"),
    _opinions("10 bins, even", EVEN, math.log(10.0), "opinion entropy"),
    _opinions("10 bins, camps", CAMPS, entropy_of(np.diff(CAMPS.cdf(np.linspace(0, 1, 11)))), "opinion entropy"),
)


# Headings in the plane: an angle for each agent ----------------------------------------------------------------------


def _headings(name: str, concentration: float, bins: int = 12) -> Truth:
    """Von Mises angles, counted in equal bins that begin at 0."""
    law = stats.vonmises(concentration) if concentration else stats.uniform(-math.pi, 2.0 * math.pi)
    edges = np.linspace(-math.pi, math.pi, bins + 1)
    p = np.diff(law.cdf(edges))

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        return (rng.vonmises(0.0, concentration, n) if concentration else rng.uniform(-math.pi, math.pi, n),)

    return Truth(name, sample, entropy_of(p), "heading entropy", {"bins": bins})


HEADINGS = listed(_headings("isotropic", 0.0), _headings("von Mises 2", 2.0))
