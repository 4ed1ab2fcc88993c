"""Neighbour estimators beyond one radius for all margins: type 2, labels against numbers, and mixtures of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from simengine.diagnostics.continuous.knn import Neighbours
from simengine.diagnostics.continuous.measures import Information, information_variance, mutual

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Rectangles:
    """Mutual information by the second algorithm of Kraskov, Stoegbauer & Grassberger (2004), equation 9.

    Each margin has a radius of its own, the side of the smallest rectangle around the k nearest neighbours.
    """

    dx: int
    dy: int
    normal_reference = True
    reference_from = 3
    exponent = 0.5

    def local(self, points: Array, ks: Sequence[int], queries: Rows | None, threads: int = 1) -> Array:
        """psi(k) - 1 / k + psi(n) - psi(n_x) - psi(n_y), with neighbours up to the radius."""
        n = len(points)
        joint = Neighbours(points, threads)
        where = np.arange(n) if queries is None else queries
        nearest = joint.nearest_indices(max(ks), queries)
        found = np.empty((len(ks), len(where)))
        blocks = [np.ascontiguousarray(points[:, : self.dx]), np.ascontiguousarray(points[:, self.dx :])]
        margins = [joint.margin(range(self.dx)), joint.margin(range(self.dx, points.shape[1]))]
        for row, k in zip(found, ks, strict=True):
            row[:] = digamma(k) - 1.0 / k + digamma(n)
            for block, margin in zip(blocks, margins, strict=True):
                radii = np.abs(block[nearest[:, :k]] - block[where][:, None, :]).max(axis=(1, 2))
                row -= digamma(margin.count_within(radii, False, queries))
        return found

    def variance(self, local: Array, k: int) -> float:
        """See :func:`~simengine.diagnostics.continuous.measures.information_variance`."""
        return information_variance(local, k)

    def pointwise(self, points: Array, correlation: Array) -> Array:
        """Return that of normal variables."""
        whole: Information = mutual(self.dx, self.dy)
        return whole.pointwise(points, correlation)


@dataclass(frozen=True)
class Labelled:
    """Mutual information of numbers and labels (Ross 2014, PLoS ONE 9:e87357).

    The last column of the points holds the labels. A label that occurs once says nothing of a distance: its sample
    is left out, and k is at most the number of others of the label.
    """

    normal_reference = False
    reference_from = 3
    exponent = 0.5

    def local(self, points: Array, ks: Sequence[int], queries: Rows | None, threads: int = 1) -> Array:
        """psi(n) + psi(k) - psi(n_label) - psi(m + 1), m of all samples strictly within the label's k-th distance."""
        labels = points[:, -1]
        _, where, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        kept = np.flatnonzero(sizes[where] > 1)
        asked = kept if queries is None else np.intersect1d(kept, queries)
        if len(asked) == 0:
            return np.zeros((len(ks), 1))
        numbers = np.ascontiguousarray(points[kept, :-1])
        group = where[kept]
        everyone = Neighbours(numbers, threads)
        order = np.searchsorted(kept, asked)
        radii = np.zeros((len(ks), len(kept)))
        used = np.empty((len(ks), len(kept)), np.int64)
        for label in np.unique(group):
            rows = np.flatnonzero(group == label)
            own = Neighbours(numbers[rows], threads)
            for j, k in enumerate(ks):
                used[j, rows] = min(k, len(rows) - 1)
                radii[j, rows] = own.kth_distances(int(used[j, rows[0]]))
        found = np.empty((len(ks), len(asked)))
        for j in range(len(ks)):
            inside = everyone.count_within(radii[j, order], True, order)
            found[j] = digamma(len(kept)) + digamma(used[j, order]) - digamma(sizes[group[order]])
            found[j] -= digamma(inside + 1)
        return found

    def variance(self, local: Array, k: int) -> float:
        """See :func:`~simengine.diagnostics.continuous.measures.information_variance`."""
        return information_variance(local, k)

    def pointwise(self, points: Array, correlation: Array) -> Array:
        """Labels have no normal reference."""
        raise NotImplementedError


@dataclass(frozen=True)
class Mixture:
    """Mutual information of mixtures of numbers and atoms (Gao, Kannan, Oh & Viswanath 2017, arXiv 1709.06212).

    Logarithms of counts in place of digammas make it consistent where samples sit on atoms, slowly, and too small
    where they do not, by 0.05 nats for 1000 samples, which is taken off as for normal variables.
    """

    dx: int
    dy: int
    normal_reference = True
    reference_from = 2
    exponent = 0.5

    def local(self, points: Array, ks: Sequence[int], queries: Rows | None, threads: int = 1) -> Array:
        """psi(k) + ln n - ln(n_x + 1) - ln(n_y + 1); where the distance is zero, k is the number of equal samples."""
        n = len(points)
        joint = Neighbours(points, threads)
        x, y = joint.margin(range(self.dx)), joint.margin(range(self.dx, points.shape[1]))
        rows = []
        for k in ks:
            radii = joint.kth_distances(k, queries)
            equal = radii == 0.0
            used = np.full(len(radii), k)
            if equal.any():
                same = joint.count_within(radii, False, queries)
                used[equal] = same[equal]
            counts = [margin.count_within(radii, False, queries) for margin in (x, y)]
            rows.append(digamma(used) + np.log(n) - np.log(counts[0] + 1.0) - np.log(counts[1] + 1.0))
        return np.stack(rows)

    def variance(self, local: Array, k: int) -> float:
        """See :func:`~simengine.diagnostics.continuous.measures.information_variance`."""
        return information_variance(local, k)

    def pointwise(self, points: Array, correlation: Array) -> Array:
        """Return that of normal variables."""
        return mutual(self.dx, self.dy).pointwise(points, correlation)
