"""Quantities that nearest neighbours estimate, sample by sample, and what each is for Gaussian variables.

All are sums over subsets of the columns of -ln of the density there, with a sign for each subset. Neighbours estimate
them with one radius for all subsets, that of the k-th neighbour in the space of all columns (Kraskov, Stoegbauer &
Grassberger 2004, arXiv cond-mat/0305641), so that the errors of the subsets nearly cancel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from simengine.diagnostics.continuous.knn import Neighbours, digamma_table

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


class Measure(Protocol):
    """What the pipeline of :mod:`~simengine.diagnostics.continuous.pipeline` needs to know."""

    normal_reference: bool
    """Whether ``pointwise`` is known."""

    @property
    def reference_from(self) -> int:
        """From how many dimensions on the bias for normal variables is worth taking off."""

    @property
    def exponent(self) -> float:
        """The power of k with which the bias at edges of the density grows."""

    def local(self, points: Array, ks: Sequence[int], queries: Rows | None, threads: int = 1) -> Array:
        """Return the contribution of each sample, or of those at ``queries``, for each k: shape (len(ks), m)."""

    def pointwise(self, points: Array, correlation: Array) -> Array:
        """Return what each sample would contribute if the density were the normal one of this correlation."""

    def variance(self, local: Array, k: int) -> float:
        """Return n times the variance of the mean of n local values, which share neighbours."""


@dataclass(frozen=True)
class Information:
    """ln of the joint density, plus sign times ln of the density of each margin.

    Mutual information has the margins x and y with sign -1, total correlation each variable with sign -1, and
    conditional mutual information (Frenzel & Pompe 2007) the margins xz and yz with sign -1 and z with sign +1.
    """

    margins: tuple[tuple[tuple[int, ...], int], ...]
    reference_from: int = 3
    normal_reference = True
    exponent = 0.5

    def local(self, points: Array, ks: Sequence[int], queries: Rows | None, threads: int = 1) -> Array:
        """psi(k) + sum of signs psi(n_margin + 1), and psi(n) as often as makes the logarithms' units cancel."""
        n = len(points)
        joint, psi = Neighbours(points, threads), digamma_table(n)
        parts = [(joint.margin(columns), sign) for columns, sign in self.margins if columns]
        samples = n if queries is None else len(queries)
        found = np.empty((len(ks), samples))
        units = -(1 + sum(sign for _, sign in self.margins))
        unconditional = sum(sign for columns, sign in self.margins if not columns)
        for row, k in zip(found, ks, strict=True):
            radii = joint.kth_distances(k, queries)
            row[:] = psi[k] + (units + unconditional) * psi[n]
            for margin, sign in parts:
                row += sign * psi[margin.count_within(radii, True, queries) + 1]
        return found

    def variance(self, local: Array, k: int) -> float:
        """See :func:`information_variance`."""
        return information_variance(local, k)

    def pointwise(self, points: Array, correlation: Array) -> Array:
        """The same of normal densities."""
        found = normal_log_density(points, correlation)
        for columns, sign in self.margins:
            if columns:
                part = np.asarray(columns)
                found = found + sign * normal_log_density(points[:, part], correlation[np.ix_(part, part)])
        return found


@dataclass(frozen=True)
class Entropy:
    """Minus ln of the density: the estimator of Kozachenko & Leonenko (1987), maximum norm."""

    dimension: int
    normal_reference = True
    reference_from = 3

    @property
    def exponent(self) -> float:
        """One over the dimension: the bias is as the distance."""
        return 1.0 / min(self.dimension, 3)

    def local(self, points: Array, ks: Sequence[int], queries: Rows | None, threads: int = 1) -> Array:
        """psi(n) - psi(k) + d ln(2 e), where e is the distance of the k-th neighbour."""
        joint = Neighbours(points, threads)
        with np.errstate(divide="ignore"):
            return np.stack([
                digamma(len(points)) - digamma(k)
                + self.dimension * np.log(2.0 * joint.kth_distances(k, queries))
                for k in ks
            ])  # fmt: skip

    def variance(self, local: Array, k: int) -> float:
        """That of independent samples and more, as measured."""
        return 1.4 * float(local.var())

    def pointwise(self, points: Array, correlation: Array) -> Array:
        """The same of a normal density."""
        return -normal_log_density(points, correlation)


def information_variance(local: Array, k: int) -> float:
    """Return n times the variance of the mean of local values that share neighbours.

    Without dependence the local values vary by the noise of the numbers of neighbours alone, which their mean feels
    more than if they were independent; what they vary beyond that it feels more still.
    """
    noise = float(polygamma(1, k)) * 0.85
    varied = float(local.var())
    return 1.75 * min(varied, noise) + 1.8 * max(varied - noise, 0.0)


def mutual(dx: int, dy: int) -> Information:
    """Mutual information of the first dx columns and the dy after them."""
    return Information(((tuple(range(dx)), -1), (tuple(range(dx, dx + dy)), -1)))


def conditional(dx: int, dy: int, dz: int) -> Information:
    """Mutual information of the first dx columns and the dy after them, given the dz after those."""
    x, y, z = range(dx), range(dx, dx + dy), range(dx + dy, dx + dy + dz)
    # Of three scalars the textbook value has hardly a bias (Frenzel & Pompe 2007), less than a simulation would see.
    return Information((((*x, *z), -1), ((*y, *z), -1), (tuple(z), 1)), reference_from=4)


def total(sizes: Sequence[int]) -> Information:
    """Total correlation of variables of these dimensions."""
    ends = np.cumsum([0, *sizes]).tolist()
    return Information(tuple((tuple(range(first, last)), -1) for first, last in pairwise(ends)))


def normal_log_density(points: Array, correlation: Array) -> Array:
    """Return ln of the normal density of mean zero at each row."""
    factor = np.linalg.cholesky(correlation)
    white = np.linalg.solve(factor, points.T)
    constant = np.log(np.diag(factor)).sum() + 0.5 * len(correlation) * math.log(2.0 * math.pi)
    found: Array = -0.5 * np.einsum("ij,ij->j", white, white) - constant
    return found
