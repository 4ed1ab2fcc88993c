"""Total correlation of several continuous variables: what they share beyond what each has on its own.

In the form of Kraskov et al. (2004), equations 24 and following: psi(k) + (m - 1) psi(n) - sum psi(n_j + 1), with the
distance of the k-th neighbour in the space of all; separate entropies would not let the errors cancel. Validity as
for mutual information (:mod:`~simengine.diagnostics.continuous.mutual`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.continuous import margins
from simengine.diagnostics.continuous.gaussian import gaussian_information
from simengine.diagnostics.continuous.measures import total
from simengine.diagnostics.continuous.mutual import Options, neighbour_estimate, nothing
from simengine.diagnostics.estimate import Estimate, flagged

Array = NDArray[np.float64]

NULL = "all variables independent"


def neighbour_total_correlation(blocks: Sequence[Array], options: Options) -> Estimate:
    """Estimate the total correlation of variables, each of shape (n, d_j), from nearest neighbours."""
    options.checked(len(blocks[0]))
    kept, dropped = _varying(blocks)
    if len(kept) < 2:
        return replace(nothing(len(blocks[0]), "ksg-1"), null=NULL)
    raw = np.hstack(kept)
    points = np.ascontiguousarray(margins.scaled(raw, options.scale))
    found, flags = neighbour_estimate(total([one.shape[1] for one in kept]), points, raw, options, "ksg-1")
    return replace(found, flags=flagged(*flags, "constant" if dropped else None))


def linear_total_correlation(blocks: Sequence[Array], *, copula: bool) -> Estimate:
    """Estimate the total correlation of normal variables, or, with ``copula``, of monotone functions of such."""
    kept, dropped = _varying(blocks)
    if len(kept) < 2:
        return replace(nothing(len(blocks[0]), "copula" if copula else "gaussian"), null=NULL)
    sizes = [one.shape[1] for one in kept]
    parameters = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
    found = gaussian_information(np.hstack(kept), total(sizes), parameters, copula=copula, null=NULL)
    return replace(found, flags=flagged(*found.flags, "constant" if dropped else None))


def _varying(blocks: Sequence[Array]) -> tuple[list[Array], bool]:
    parts = [margins.varying(block) for block in blocks]
    dropped = any(part.shape[1] < block.shape[1] for part, block in zip(parts, blocks, strict=True))
    return [part for part in parts if part.shape[1]], dropped
