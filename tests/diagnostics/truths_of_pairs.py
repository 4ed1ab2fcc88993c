"""Pairs of continuous or mixed variables whose mutual information is known, in nats.

The tasks of the mutual-information benchmark of Czyz, Grabowski, Vogt, Beerenwinkel & Marx (NeurIPS 2023,
arXiv 2306.11078) are made anew from their closed forms: a one-to-one change of each variable leaves mutual
information as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special, stats
from truths import Array, Truth, entropy_of, gaussian_entropy, generator, listed, normal, student

# Mutual information of continuous variables --------------------------------------------------------------------------


def gaussian_information(covariance: Array, d_x: int) -> float:
    """I(X; Y) where X is the first ``d_x`` components."""
    parts = (covariance[:d_x, :d_x], covariance[d_x:, d_x:])
    return 0.5 * float(sum(np.linalg.slogdet(part)[1] for part in parts) - np.linalg.slogdet(covariance)[1])


def student_information(freedom: float, scale: Array, d_x: int) -> float:
    """I(X; Y) of a multivariate Student's t; above zero even where the scale is a unit matrix."""
    d_y = len(scale) - d_x

    def part(x: float) -> float:
        return float(special.gammaln(x / 2.0) - x / 2.0 * special.digamma(x / 2.0))

    extra = part(freedom) + part(freedom + d_x + d_y) - part(freedom + d_x) - part(freedom + d_y)
    return gaussian_information(scale, d_x) + extra


def uniform_noise_information(width: float) -> float:
    """Y = X + U with X in [0, 1] and U in [-width, width]."""
    return width - math.log(2.0 * width) if width <= 0.5 else 0.25 / width


def correlated(rho: float) -> Array:
    """Covariance of a pair."""
    return np.array([[1.0, rho], [rho, 1.0]])


def paired_covariance(d: int, rho: float, pairs: int) -> Array:
    """X_i with Y_i for the first ``pairs`` of d components."""
    found = np.eye(2 * d)
    for i in range(pairs):
        found[i, d + i] = found[d + i, i] = rho
    return found


def dense_covariance(d_x: int, d_y: int, rho: float) -> Array:
    """The same correlation between any two components."""
    return np.full((d_x + d_y,) * 2, rho) + (1.0 - rho) * np.eye(d_x + d_y)


def _same(x: Array) -> Array:
    return x


def half_cube(x: Array) -> Array:
    """x abs(x)^(1/2): longer tails."""
    return x * np.sqrt(np.abs(x))


def swiss_roll(x: Array) -> Array:
    """A normal variable, rolled up in the plane."""
    turn = 1.5 * math.pi * (1.0 + 2.0 * stats.norm.cdf(x[:, 0]))
    return np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1) / 21.0


def spiral(x: Array) -> Array:
    """Each vector turned in the plane of its first two components by an angle that grows with its length."""
    angle = (x**2).sum(axis=1)
    found = x.copy()
    found[:, 0] = np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1]
    found[:, 1] = np.sin(angle) * x[:, 0] + np.cos(angle) * x[:, 1]
    return found


Change = Callable[[Array], Array]


def _gaussian(
    name: str, covariance: Array, d_x: int, change_x: Change = _same, change_y: Change | None = None
) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        both = normal(n, seed, covariance)
        return change_x(both[:, :d_x]), (change_y or change_x)(both[:, d_x:])

    value = gaussian_information(covariance, d_x)
    return Truth(name, sample, value, "continuous MI", {"covariance": covariance, "gaussian": change_x is _same})


def _student(name: str, freedom: float, d_x: int, d_y: int, change: Change = _same) -> Truth:
    scale = np.eye(d_x + d_y)

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        both = change(student(n, seed, freedom, scale))
        return both[:, :d_x], both[:, d_x:]

    return Truth(name, sample, student_information(freedom, scale, d_x), "continuous MI")


def _uniform_noise(name: str, width: float) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        x = rng.random(n)
        return x, x + rng.uniform(-width, width, n)

    return Truth(name, sample, uniform_noise_information(width), "continuous MI")


CONTINUOUS_INFORMATIONS = listed(
    _gaussian("normal, rho 0", correlated(0.0), 1),
    _gaussian("normal, rho 0.3", correlated(0.3), 1),
    _gaussian("normal, rho 0.6", correlated(0.6), 1),
    _gaussian("normal, rho 0.95", correlated(0.95), 1),
    _gaussian("normal, 2-pair 2 + 2", paired_covariance(2, 0.8, 2), 2),
    _gaussian("normal, 2-pair 3 + 3", paired_covariance(3, 0.8, 2), 3),
    _gaussian("normal, 2-pair 5 + 5", paired_covariance(5, 0.8, 2), 5),
    _gaussian("normal, 2-pair 10 + 10", paired_covariance(10, 0.8, 2), 10),
    _gaussian("normal, dense 2 + 2", dense_covariance(2, 2, 0.5), 2),
    _gaussian("normal, dense 5 + 5", dense_covariance(5, 5, 0.5), 5),
    _gaussian("half-cube", correlated(0.75), 1, half_cube),
    _gaussian("normal cdf", correlated(0.75), 1, stats.norm.cdf),
    _gaussian("half-cube 2 + 2", paired_covariance(2, 0.8, 2), 2, half_cube),
    _gaussian("swiss roll", correlated(0.6), 1, swiss_roll, _same),
    _gaussian("spiral 3 + 3", paired_covariance(3, 0.8, 2), 3, spiral),
    _student("student 1, 1 + 1", 1.0, 1, 1),
    _student("student 3, 1 + 1", 3.0, 1, 1),
    _student("student 2, 2 + 2", 2.0, 2, 2),
    _student("student 3, 5 + 5", 3.0, 5, 5),
    _student("asinh student 1, 1 + 1", 1.0, 1, 1, np.arcsinh),
    _uniform_noise("uniform noise 0.1", 0.1),
    _uniform_noise("uniform noise 0.75", 0.75),
)


# Continuous variables with atoms -------------------------------------------------------------------------------------


def clipped_information(rho: float, share: float, points: int = 200) -> float:
    """I of two normal variables of correlation ``rho``, each clipped so that ``share`` of its mass sits on the ends.

    Sums over the atoms (the middle counts as a density), Gauss-Legendre quadrature for the rest.
    """
    if share == 0.0:
        return -0.5 * math.log(1.0 - rho**2)
    cut = float(stats.norm.isf(share / 2.0))
    node, weight = np.polynomial.legendre.leggauss(points)
    node, weight = cut * node, cut * weight
    left = math.sqrt(1.0 - rho**2)
    density = stats.norm.pdf(node)
    # Both inside.
    x, y = np.meshgrid(node, node, indexing="ij")
    joint = np.exp(-(x * x - 2.0 * rho * x * y + y * y) / (2.0 * left**2)) / (2.0 * math.pi * left)
    total = float(weight @ (joint * np.log(joint / np.outer(density, density))) @ weight)
    # One inside, the other on one of two ends; twice for x and y.
    below = stats.norm.cdf((-cut - rho * node) / left)
    total += 4.0 * float(weight @ (density * special.xlogy(below, below / (share / 2.0))))
    # Both on the ends.
    for sign in (1.0, -1.0):
        p = max(float(stats.multivariate_normal(cov=correlated(sign * rho)).cdf([-cut, -cut])), 0.0)
        total += 2.0 * float(special.xlogy(p, p / (share / 2.0) ** 2))
    return total


def _clipped(name: str, rho: float, share: float) -> Truth:
    cut = float(stats.norm.isf(share / 2.0)) if share else math.inf

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        both = normal(n, seed, correlated(rho))
        inside = np.clip(both, -cut, cut) / (cut if share else 1.0)
        return inside[:, 0], inside[:, 1]

    return Truth(name, sample, clipped_information(rho, share), "atoms MI", {"share": share})


def label_information(shift: float) -> float:
    """I(X; L) where L is 0 or 1 at even odds and X is normal around -shift or shift."""
    node, weight = np.polynomial.legendre.leggauss(400)
    reach = shift + 12.0
    x, weight = reach * node, reach * weight
    density = 0.5 * (stats.norm.pdf(x - shift) + stats.norm.pdf(x + shift))
    return float(weight @ special.entr(density)) - gaussian_entropy(np.eye(1))


def _shifted(name: str, shift: float) -> Truth:
    def sample(n: int, seed: int) -> tuple[Array, ...]:
        rng = generator(seed)
        label = rng.integers(0, 2, n)
        return rng.normal(size=n) + shift * (2.0 * label - 1.0), label

    return Truth(name, sample, label_information(shift), "labels MI")


def zero_inflated_information(share: float) -> float:
    """X is 1 with the share, else 0; Y = X times a normal variable: Y is 0 exactly where X is."""
    return entropy_of(np.array([share, 1.0 - share]))


def _zero_inflated(name: str, share: float, rho: float) -> Truth:
    """A pair that is (0, 0) at the odds 1 - share and normal otherwise."""

    def sample(n: int, seed: int) -> tuple[Array, ...]:
        both = normal(n, seed, correlated(rho)) * (generator(seed + 2**40).random((n, 1)) < share)
        return both[:, 0], both[:, 1]

    value = zero_inflated_information(share) - 0.5 * share * math.log(1.0 - rho**2)
    return Truth(name, sample, value, "atoms MI", {"share": 1.0 - share})


ATOMS = listed(
    _clipped("half clipped", 0.6, 0.5),
    _clipped("30 % clipped", 0.6, 0.3),
    _clipped("half clipped, apart", 0.0, 0.5),
    _clipped("not clipped", 0.6, 0.0),
    _zero_inflated("half zeros", 0.5, 0.6),
)
LABELS = listed(_shifted("two labels", 1.0), _shifted("two labels, apart", 0.0))
