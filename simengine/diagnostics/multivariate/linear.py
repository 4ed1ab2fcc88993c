"""Total correlation and its kin of jointly Gaussian variables, from a covariance matrix.

A quantity is F = sum_S c_S H(X_S) with H = ln det(Sigma_S) / 2 + constant. With the covariance of n samples,
E ln det = ln det Sigma_S + sum_j psi((n - 1 - j) / 2) + d ln(2 / (n - 1)), j = 0 ... d - 1 (Wishart), which is taken
off: for Gaussian samples F is unbiased. With the projections P_S = Sigma^1/2 [Sigma_S^-1] Sigma^1/2 the first-order
variance is tr(L^2) / 2n, L = sum_S c_S P_S, and that of second order, the one left at independence,
sum_ST c_S c_T [tr(P_S P_T)^2 + tr((P_S P_T)^2)] / 4n^2. Here S runs over the variables one by one, all but one of them,
and all, which need only the correlations and partial correlations of the variables. The O-information of independent
variables has no second order; its third is that of the products r_12 r_23 r_31.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, digamma, ndtr, ndtri
from scipy.stats import rankdata

Floats = NDArray[np.float64]

LEAST_EIGENVALUE = 1e-10
"""Of a correlation matrix: below it variables count as functions of one another."""

DOUBT = 0.01
"""Significance below which samples count as not jointly Gaussian."""

MOST_IN_SKEWNESS = 20
"""Dimensions up to which the third moments are tested too."""


class Weights(NamedTuple):
    """Factors of the entropies of each variable, of all but one, and of all together."""

    single: float
    but_one: float
    whole: float


class Linear(NamedTuple):
    """A sum of Gaussian entropies: value, variance by order, and the null's standard deviation."""

    value: float
    first: float
    second: float
    third: float
    null_sd: float

    @property
    def variance(self) -> float:
        """Variance of the value; each order, computed from samples, holds multiples of the later ones."""
        second = max(self.second - 3.0 * self.third, 0.0)
        return max(self.first - 2.0 * second - 3.0 * self.third, 0.0) + second + self.third


def log_determinant_bias(dimensions: int, n: int) -> float:
    """Return E ln det of a covariance of n Gaussian samples, less that of the true one."""
    freedom = n - 1.0
    return float(np.sum(digamma(0.5 * (freedom - np.arange(dimensions))))) + dimensions * math.log(2.0 / freedom)


def normal_scores(columns: Floats) -> Floats:
    """Return the normal scores of each column: quantiles at rank / (n + 1); equal values share their mean rank."""
    ranks = rankdata(columns, axis=0)
    found: Floats = ndtri(ranks / (columns.shape[0] + 1.0))
    return found


def not_gaussian(columns: Floats) -> bool:
    """Whether Mardia's (1970) multivariate skewness or kurtosis says that columns are not jointly Gaussian."""
    n, d = columns.shape
    centred = columns - columns.mean(axis=0)
    _, _, rotation = np.linalg.svd(centred, full_matrices=False)
    white = centred @ rotation.T
    white = white / white.std(axis=0)
    radius = np.einsum("nd,nd->n", white, white)
    expected = d * (d + 2.0) * (n - 1.0) / (n + 1.0)
    deviation = (float(np.mean(radius**2)) - expected) / math.sqrt(8.0 * d * (d + 2.0) / n)
    if 2.0 * ndtr(-abs(deviation)) < DOUBT:
        return True
    if d > MOST_IN_SKEWNESS:
        return False
    third = np.einsum("nab,nc->abc", white[:, :, None] * white[:, None, :], white, optimize=True) / n
    return bool(chdtrc(d * (d + 1.0) * (d + 2.0) / 6.0, n * float(np.sum(third**2)) / 6.0) < DOUBT)


def gaussian_sum(covariance: Floats, sizes: Sequence[int], weights: Weights, n: int) -> Linear:
    """Return a sum of entropies of variables that are blocks of components.

    Parameters
    ----------
    covariance
        Of all components, not singular.
    sizes
        Number of components of each variable, in their order.
    weights
        Factors of the entropies.
    n
        Number of samples, more than components.
    """
    m, d = len(sizes), int(sum(sizes))
    edges = np.concatenate([[0], np.cumsum(sizes)])
    blocks = [slice(a, b) for a, b in pairwise(edges)]
    precision: Floats = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    whole = float(np.linalg.slogdet(covariance)[1])
    single = np.array([np.linalg.slogdet(covariance[b, b])[1] for b in blocks])
    but_one = whole + np.array([np.linalg.slogdet(precision[b, b])[1] for b in blocks])
    dims = np.asarray(sizes, dtype=np.float64)
    value = weights.single * float(single.sum()) + weights.but_one * float(but_one.sum()) + weights.whole * whole
    bias = sum(
        weights.single * log_determinant_bias(size, n) + weights.but_one * log_determinant_bias(d - size, n)
        for size in sizes
    ) + weights.whole * log_determinant_bias(d, n)
    one, one_4 = _overlaps(covariance, blocks)
    other, other_4 = _overlaps(precision, blocks)
    met, met_4 = _meetings(covariance, precision, blocks)
    a, b, c = weights
    # Traces of P_S P_T, and of its square, summed over the pairs of subsets.
    rest = d - dims
    both = d - dims[:, None] - dims[None, :]
    first = (
        a * a * one.sum() + c * c * d + b * b * (both + other).sum() + 2.0 * a * c * d + 2.0 * b * c * rest.sum()
        + 2.0 * a * b * ((m - 1) * d + met.sum())
    )  # fmt: skip
    second = (
        a * a * (one**2 + one_4).sum() + c * c * (d * d + d) + b * b * ((both + other) ** 2 + both + other_4).sum()
        + 2.0 * a * c * (dims**2 + dims).sum() + 2.0 * b * c * (rest**2 + rest).sum()
        + 2.0 * a * b * ((m - 1) * (dims**2 + dims) + met**2 + met_4).sum()
    )  # fmt: skip
    second_null, third_null = null_orders(sizes, weights, n)
    return Linear(
        0.5 * (value - bias), max(0.5 * float(first) / n, 0.0), max(0.25 * float(second) / n**2, 0.0), third_null,
        math.sqrt(second_null + third_null),
    )  # fmt: skip


def null_orders(sizes: Sequence[int], weights: Weights, n: int) -> tuple[float, float]:
    """Return the variances of second and third order of independent variables.

    -ln det(1 + R) / 2 = sum_pairs r^2 / 2 - sum_triples r_12 r_23 r_31 + ..., with the sum of the factors of all
    subsets that hold the pair, or the triple.
    """
    m = len(sizes)
    pairs = sum(a * b for a, b in combinations(sizes, 2))
    triples = sum(a * b * c for a, b, c in combinations(sizes, 3)) if m <= 200 else math.comb(m, 3)
    on_pair = weights.whole + (m - 2) * weights.but_one
    on_triple = weights.whole + (m - 3) * weights.but_one
    return on_pair**2 * pairs / (2.0 * n**2), on_triple**2 * triples / float(n) ** 3


def _whitened(matrix: Floats, blocks: Sequence[slice]) -> Floats:
    """Scale a matrix so that its diagonal blocks become unit matrices."""
    found = matrix.copy()
    for block in blocks:
        factor = np.linalg.inv(np.linalg.cholesky(matrix[block, block]))
        found[block] = factor @ found[block]
        found[:, block] = found[:, block] @ factor.T
    return found


def _overlaps(matrix: Floats, blocks: Sequence[slice]) -> tuple[Floats, Floats]:
    """Return tr(C C') and tr((C C')^2) of every block C between two variables, whitened within each."""
    scaled = _whitened(matrix, blocks)
    if len(blocks) == len(matrix):
        return scaled**2, scaled**4
    m = len(blocks)
    square, fourth = np.empty((m, m)), np.empty((m, m))
    for i, row in enumerate(blocks):
        for j, column in enumerate(blocks):
            product = scaled[row, column] @ scaled[row, column].T
            square[i, j], fourth[i, j] = np.trace(product), np.sum(product**2)
    return square, fourth


def _meetings(covariance: Floats, precision: Floats, blocks: Sequence[slice]) -> tuple[Floats, Floats]:
    """Return the traces of M and M^2, M = 1 - Sigma_ii^-1/2 Omega_ii^-1 Sigma_ii^-1/2, for each variable."""
    traces = np.empty((2, len(blocks)))
    for i, block in enumerate(blocks):
        size = block.stop - block.start
        product = np.eye(size) - np.linalg.inv(covariance[block, block] @ precision[block, block])
        traces[:, i] = np.trace(product), np.trace(product @ product)
    return traces[0], traces[1]


def lattice_sum(covariance: Floats, sizes: Sequence[int], n: int) -> Linear:
    """Return the co-information: the sum over all subsets of the entropy, with the sign of odd subsets.

    At independence what is left is the sum over the (m - 1)! / 2 rings through all m variables of the products of
    their correlations.
    """
    m, d = len(sizes), int(sum(sizes))
    edges = np.concatenate([[0], np.cumsum(sizes)])
    root = np.linalg.cholesky(covariance)
    value, factors, projections = 0.0, [], []
    for size in range(1, m + 1):
        for subset in combinations(range(m), size):
            inside = np.concatenate([np.arange(edges[i], edges[i + 1]) for i in subset])
            factor = 1.0 if size % 2 else -1.0
            part = covariance[np.ix_(inside, inside)]
            value += factor * (float(np.linalg.slogdet(part)[1]) - log_determinant_bias(inside.size, n))
            factors.append(factor)
            projections.append((root[inside].T @ np.linalg.solve(part, root[inside])).reshape(d, d))
    c, p = np.array(factors), np.array(projections)
    total = np.tensordot(c, p, axes=1)
    second = 0.0
    for factor, one in zip(c, p, strict=True):
        products = np.einsum("ab,sbc->sac", one, p)
        trace = np.trace(products, axis1=1, axis2=2)
        second += factor * float(c @ (trace**2 + np.einsum("sab,sba->s", products, products)))
    first = 0.5 * float(np.sum(total * total.T)) / n
    rings = math.factorial(m - 1) / 2.0 * math.prod(sizes) / float(n) ** m
    second = max(0.25 * second / n**2, 0.0)
    return Linear(0.5 * value, first, second, rings if m > 2 else 0.0, math.sqrt(rings))
