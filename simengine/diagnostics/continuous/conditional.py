"""Mutual information of x and y given z, of continuous variables.

"frenzel-pompe" (Frenzel & Pompe 2007, Phys. Rev. Lett. 99:204101) counts the neighbours in xz, yz and z within the
distance of the k-th neighbour in xyz; its validity is that of the neighbour estimators of
:mod:`~simengine.diagnostics.continuous.mutual`, and its bias for normal variables is simulated and taken off in the
same way. "gaussian" and "copula" see linear dependence, see :mod:`~simengine.diagnostics.continuous.gaussian`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.exact import exact_sum
from simengine.diagnostics.continuous import margins
from simengine.diagnostics.continuous.gaussian import gaussian_information
from simengine.diagnostics.continuous.measures import Information, conditional
from simengine.diagnostics.continuous.mutual import Options, neighbour_estimate, nothing
from simengine.diagnostics.estimate import Estimate, flagged

Array = NDArray[np.float64]

NULL = "x and y independent given z"


def neighbour_conditional_information(x: Array, y: Array, z: Array, options: Options) -> Estimate:
    """Estimate the information of x and y given z, each of shape (n, d), from nearest neighbours.

    The null of ``shuffles`` permutes x among the samples that are neighbours in z, so that what z says of x stays
    (Runge 2018, arXiv 1709.01447).
    """
    options.checked(len(x))
    a, b, c = (margins.varying(block) for block in (x, y, z))
    if not a.shape[1] or not b.shape[1]:
        return replace(nothing(len(x), "frenzel-pompe"), null=NULL)
    raw = np.hstack([a, b, c])
    points = np.ascontiguousarray(margins.scaled(raw, options.scale))
    measure = conditional(a.shape[1], b.shape[1], c.shape[1])
    found, flags = neighbour_estimate(measure, points, raw, options, "frenzel-pompe")
    dropped = any(one.shape[1] < other.shape[1] for one, other in ((a, x), (b, y), (c, z)))
    found = replace(found, flags=flagged(*flags, "constant" if dropped else None))
    if not options.shuffles:
        return found
    mean, spread = _local_null(measure, points, a.shape[1], c.shape[1], options)
    return replace(found, null_mean=mean, null_sd=spread, null=f"{NULL}; x shuffled among neighbours in z")


def linear_conditional_information(x: Array, y: Array, z: Array, *, copula: bool) -> Estimate:
    """Estimate the information of x and y given z of normal variables, or, with ``copula``, monotone functions."""
    a, b, c = (margins.varying(block) for block in (x, y, z))
    if not a.shape[1] or not b.shape[1]:
        return replace(nothing(len(x), "copula" if copula else "gaussian"), null=NULL)
    dx, dy, dz = a.shape[1], b.shape[1], c.shape[1]
    points = np.hstack([a, b, c])
    found = gaussian_information(points, conditional(dx, dy, dz), dx * dy, copula=copula, null=NULL)
    dropped = any(one.shape[1] < other.shape[1] for one, other in ((a, x), (b, y), (c, z)))
    on_atoms = copula and margins.atom_share(points) > margins.ATOM_SHARE
    return replace(found, flags=flagged(*found.flags, "constant" if dropped else None, "atoms" if on_atoms else None))


def _local_null(measure: Information, points: Array, dx: int, dz: int, options: Options) -> tuple[float, float]:
    """Mean and standard deviation over shuffles of x among neighbours in z."""
    from simengine.diagnostics.continuous.knn import nearest_indices

    n = len(points)
    random = np.random.Generator(np.random.Philox(options.seed))
    near = None
    if dz:
        near = nearest_indices(np.ascontiguousarray(points[:, -dz:]), min(max(5, n // 50), n - 1))
    values = []
    for _ in range(options.shuffles):
        mixed = points.copy()
        mixed[:, :dx] = points[random.permutation(n) if near is None else _local_order(near, random), :dx]
        values.append(exact_sum(measure.local(mixed, (options.k,), None, options.threads)[0]) / n)
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _local_order(near: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Give each sample one of its neighbours' values, none twice while some are left."""
    n, many = near.shape
    taken = np.zeros(n, dtype=bool)
    order = np.empty(n, dtype=np.int64)
    for row in random.permutation(n):
        choice = random.permutation(many)
        free = [near[row, one] for one in choice if not taken[near[row, one]]]
        order[row] = free[0] if free else near[row, choice[0]]
        taken[order[row]] = True
    return order
