"""Diffusion spectral entropy: along how many directions, or in how many camps, points lie.

Liao et al. (arXiv 2312.04823): with the Gaussian kernel G_ij = exp(-|x_i - x_j|^2 / 2 sigma^2), D its row sums and l
the eigenvalues of D^-1/2 G D^-1/2, the entropy of the shares |l|^t / sum |l|^t. It lies between 0 and ln n; its
exponential counts components of the diffusion, for well separated camps and large t the camps. The width sigma is a
length in the units of the points, and the value means nothing without it: ``details["sigma"]``.

The mutual information with a label is sum_b p(b) [DSE(as many points as b has, at random) - DSE(points with b)].

Declared validity, for the distribution from which the points are drawn, at the same sigma: at least 200 points
(``few_samples``), and the extrapolation from halves of them misses that of quarters by little (a third of it is below
0.75 standard errors, else ``unstable_subsamples``): where sigma is short against the distance of neighbours every
point is a component of its own, and the entropy grows with their number. The cloud may not thin out (``heavy_tails``;
a normal one does): a few points far out are components of their own too, and the entropy comes to its limit only
slowly. Above 2000 points a sample of 2000 is taken, chosen by a hash of row number and ``seed``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
from scipy.special import stdtrit

from simengine.diagnostics import checks
from simengine.diagnostics.estimate import LEVEL, QUANTILE, Estimate, checked_unit, flagged, stacked
from simengine.diagnostics.multivariate.cells import numbered
from simengine.diagnostics.populations.arguments import checked_numbers, checked_positive
from simengine.diagnostics.samples import Array, samples
from simengine.errors import InputError, nearest
from simengine.random.philox import stream_key
from simengine.random.sampling import bits

Floats = NDArray[np.float64]

MOST = 2000
"""Points of which the eigenvalues are found."""

FEWEST = 200
SHIFT = 0.75
"""Standard errors that the extrapolation may still lack; above it ``unstable_subsamples`` is raised."""

THINNING = 3.0
"""How much denser it may be at a point's neighbours than at the point itself; above it the cloud has tails."""

PARTS = 8
"""Parts of the points from whose informations the error comes."""

NEIGHBOURS = 5
"""Neighbour whose distance is the width of the adaptive kernel at a point."""

WIDTHS = ("median", "adaptive")

LEAST_WIDTH = 1e-70


def spectral_entropy(points: Array, sigma: Floats | float, t: float = 1.0) -> float:
    """Return the diffusion spectral entropy, in nats, of points of shape (n, d), uncorrected.

    ``sigma`` is one width, or one for each point, shape (n,): of a pair then sigma_i sigma_j stands for sigma^2.
    """
    points = checked_numbers(points, "points")
    if points.ndim != 2 or not points.size:
        raise InputError(f"points has shape {points.shape}; expected (n, d)")
    width = checked_numbers(sigma, "sigma")
    if width.shape not in ((), points.shape[:1]) or not (width >= LEAST_WIDTH).all():
        raise InputError(f"sigma has shape {width.shape}; expected a width of at least {LEAST_WIDTH:g}, or one a point")
    squares = squareform(pdist(points, "sqeuclidean"))
    return _of_distances(squares, np.broadcast_to(width, points.shape[:1]), checked_positive(t, "t"))


def diffusion_spectral_entropy(
    points: Any, *, t: float = 1.0, sigma: float | str = "median", unit: str = "nat", seed: int = 0, data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate the diffusion spectral entropy of a cloud of points.

    The value is that of the points; the interval is of the entropy at infinitely many points, which is found from all
    of them and from halves (bias 1 / n), ``details["extrapolated"]``.

    Parameters
    ----------
    points
        Shape (n, d) or (..., n, d), or the name of a variable of ``data``.
    t
        Number of steps of the diffusion, above 0.
    sigma
        Width of the kernel in the units of the points; "median" of the distances between points, or "adaptive": at
        each point the distance of its fifth neighbour.
    unit
        "nat" or "bit".
    seed
        Of the hash that chooses 2000 points, and of the parts.
    data, dim, components
        Where a named variable is, along which dim points run, and along which their components.
    """
    checked_unit(unit)
    t, sigma, seed = *_checked(t, sigma), checks.seed(seed)
    blocks = samples(points, data=data, dim=dim, components=components, names=("points",), discrete=False)
    found = [_entropy(array, t, sigma, seed) for (array,) in blocks]
    return stacked(found, blocks.batch, blocks.dims, blocks.coords).to(unit)


def diffusion_mutual_information(
    points: Any, label: Any, *, t: float = 1.0, sigma: float | str = "median", shuffles: int = 20, unit: str = "nat",
    seed: int = 0, data: Any = None, dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate the diffusion spectral mutual information of a cloud of points and a label.

    The null is that labels are shuffled over the points: it is what the value is measured from, so its mean is 0.

    Parameters
    ----------
    points
        Shape (n, d) or (..., n, d), or the name of a variable of ``data``.
    label
        One for each point, shape (n,) or (..., n, 1).
    t, sigma, unit, seed, data, dim, components
        As of :func:`diffusion_spectral_entropy`. The width is found once, from all points.
    shuffles
        Random divisions of the points into parts of the labels' sizes, at least 2.
    """
    checked_unit(unit)
    t, sigma, seed, shuffles = *_checked(t, sigma), checks.seed(seed), checks.repeats(shuffles, least=2)
    blocks = samples(points, label, data=data, dim=dim, components=components, names=("points", "label"))
    if blocks.arrays[0].dtype.kind not in "biuf":
        raise InputError("points holds texts; expected numbers")
    found = [
        _information(np.asarray(array, dtype=np.float64), labels, t, sigma, shuffles, seed)
        for array, labels in blocks
    ]  # fmt: skip
    return stacked(found, blocks.batch, blocks.dims, blocks.coords).to(unit)


def _entropy(points: Floats, t: float, sigma: float | str, seed: int) -> Estimate:
    total = points.shape[0]
    points = points[_hashed(total, seed)[:MOST]]
    n = points.shape[0]
    squares, width, used = _prepared(points, sigma)
    details: dict[str, Any] = {"sigma": used, "t": t, "points": n}
    method = f"diffusion spectral entropy, {sigma if isinstance(sigma, str) else 'fixed'} width"
    if n < 2 * PARTS or not squares.any():
        flags = flagged("few_samples", "constant" if not squares.any() else None)
        value = _of_distances(squares, width, t) if squares.any() else 0.0
        details["extrapolated"] = value
        return Estimate(value, math.nan, (math.nan, math.nan), n=total, method=method, flags=flags, details=details)
    value, error, thinning = _with_error(squares, width, t)
    half, quarter = (_of_parts(squares, width, t, parts) for parts in (2, 4))
    # What is left after the bias 1 / n is of order 1 / n^2: a third of what the same step from half of them lacks.
    limit = 2.0 * value - half
    left = (limit - (2.0 * half - quarter)) / 3.0
    reach = QUANTILE * math.hypot(error, left)
    details["extrapolated"] = limit
    flags = flagged(
        "few_samples" if n < FEWEST else None,
        "unstable_subsamples" if abs(left) > SHIFT * error else None,
        "heavy_tails" if thinning > THINNING else None,
    )
    return Estimate(
        value, error, (max(limit - reach, 0.0), max(limit + reach, 0.0)), n=total, method=method, flags=flags,
        details=details,
    )  # fmt: skip


def _of_parts(squares: Floats, width: Floats, t: float, parts: int) -> float:
    """Return the mean entropy of so many parts of the points."""
    rows = [np.arange(len(width))[part::parts] for part in range(parts)]
    return float(np.mean([_of_distances(squares[np.ix_(one, one)], width[one], t) for one in rows]))


def _with_error(squares: Floats, width: Floats, t: float) -> tuple[float, float, float]:
    """Return the entropy, its standard error from the derivative by each point's weight, and how far it thins out.

    A weight w_j changes eigenvalue l_k by l_k (v_kj^2 - sum_i v_ki^2 G_ij / d_i); all weights together change none.
    """
    kernel = np.exp(-0.5 * squares / (width[:, None] * width[None, :]))
    degree = kernel.sum(axis=1)
    root = 1.0 / np.sqrt(degree)
    values, vectors = np.linalg.eigh(kernel * root[:, None] * root[None, :])
    powers = _powers(values, t)
    shares = powers / powers.sum()
    logarithm = np.log(np.where(shares > 0.0, shares, 1.0))
    entropy = -float(shares @ logarithm)
    change = vectors**2 @ (shares * (logarithm + entropy))
    influence = -t * (change - kernel.T @ (change / degree))
    error = math.sqrt(float(np.sum((influence - influence.mean()) ** 2)))
    thinning = (kernel @ degree) / degree**2
    return entropy, error, float(thinning.max())


def _information(points: Floats, labels: Array, t: float, sigma: float | str, shuffles: int, seed: int) -> Estimate:
    total = points.shape[0]
    chosen = _hashed(total, seed)[:MOST]
    points, labels = points[chosen], labels[chosen]
    n = points.shape[0]
    group, _ = numbered(labels)
    sizes = np.bincount(group)
    squares, width, used = _prepared(points, sigma)
    details = {"sigma": used, "t": t, "points": n, "labels": int(sizes.size)}
    whole: dict[str, Any] = {
        "n": total, "method": "diffusion spectral mutual information", "details": details,
        "null": "labels shuffled over the points",
    }  # fmt: skip
    if sizes.size < 2 or not squares.any():
        return Estimate(0.0, 0.0, (0.0, 0.0), 0.0, 0.0, flags=flagged("constant"), **whole)

    def within(order: NDArray[np.intp]) -> float:
        """Mean entropy of the points divided by the labels, the points in some order."""
        members = [order[group == one] for one in range(sizes.size)]
        values = [_of_distances(squares[np.ix_(one, one)], width[one], t) for one in members]
        total: float = math.fsum(float(size) * one for size, one in zip(sizes, values, strict=True))
        return total / float(n)

    random = np.random.Generator(np.random.Philox(seed))
    nothing = np.array([within(random.permutation(n)) for _ in range(shuffles)])
    own = np.arange(n)
    value = float(nothing.mean()) - within(own)
    spread = float(nothing.std(ddof=1))
    # Disjoint parts of the points have each an information of their own, of more than its share of noise.
    found = []
    for part in range(PARTS):
        kept = own % PARTS == part
        found.append(_part(squares[np.ix_(kept, kept)], width[kept], group[kept], t, random))
    error = math.hypot(float(np.std(found, ddof=1)) / math.sqrt(PARTS), spread / math.sqrt(shuffles))
    reach = float(stdtrit(PARTS - 1, 0.5 * (1.0 + LEVEL))) * error
    flags = flagged(
        "few_samples" if n < FEWEST or int(sizes.min()) < FEWEST // 4 else None,
        "unstable_subsamples" if abs(float(np.mean(found)) - value) > max(3.0 * error, 0.25 * abs(value)) else None,
    )
    return Estimate(value, error, (value - reach, value + reach), 0.0, spread, flags=flags, **whole)


def _part(squares: Floats, width: Floats, group: NDArray[np.intp], t: float, random: np.random.Generator) -> float:
    """Information of a part of the points, against a few random divisions."""
    n = group.size
    value = 0.0
    mixed = [random.permutation(n) for _ in range(4)]
    for one in np.unique(group):
        members = np.flatnonzero(group == one)
        share = members.size / n
        value -= share * _of_distances(squares[np.ix_(members, members)], width[members], t)
        for order in mixed:
            some = order[: members.size]
            value += share * _of_distances(squares[np.ix_(some, some)], width[some], t) / len(mixed)
    return value


def _of_distances(squares: Floats, width: Floats, t: float) -> float:
    """Entropy from squared distances and the widths at the points."""
    kernel = np.exp(-0.5 * squares / (width[:, None] * width[None, :]))
    root = 1.0 / np.sqrt(kernel.sum(axis=1))
    powers = _powers(np.linalg.eigvalsh(kernel * root[:, None] * root[None, :]), t)
    shares = powers / powers.sum()
    shares = shares[shares > 0.0]
    return float(-(shares @ np.log(shares)))


def _powers(eigenvalues: Floats, t: float) -> Floats:
    """Powers of eigenvalues of which the greatest is 1, but for rounding, which no power may blow up."""
    size = np.abs(eigenvalues)
    found: Floats = (size / size.max()) ** t
    return found


def _prepared(points: Floats, sigma: float | str) -> tuple[Floats, Floats, float]:
    """Return squared distances, the width at each point, and the width in a word: their median."""
    squares = squareform(pdist(points, "sqeuclidean"))
    n = points.shape[0]
    if sigma == "adaptive" and n > NEIGHBOURS:
        width = np.sqrt(np.partition(squares, NEIGHBOURS, axis=1)[:, NEIGHBOURS])
        positive = width[width > 0.0]
        width = np.maximum(width, float(positive.min()) if positive.size else 1.0)
    elif isinstance(sigma, str):
        distances = np.sqrt(squares[np.triu_indices(n, 1)])
        median = float(np.median(distances[distances > 0.0])) if (distances > 0.0).any() else 1.0
        width = np.full(n, median)
    else:
        width = np.full(n, float(sigma))
    return squares, width, float(np.median(width))


def _hashed(n: int, seed: int) -> NDArray[np.intp]:
    """Return row numbers in the order of their hashes: the first are a sample that depends on nothing else."""
    keys = bits(stream_key(seed, "points", "diffusion", "order"), np.arange(n, dtype=np.uint64))
    return np.argsort(keys, kind="stable")


def _checked(t: Any, sigma: Any) -> tuple[float, float | str]:
    t = checked_positive(t, "t")
    if isinstance(sigma, str):
        if sigma not in WIDTHS:
            raise InputError(f"sigma is {sigma!r}{nearest(sigma, WIDTHS)}; allowed: {', '.join(WIDTHS)}, or a number")
        return t, sigma
    sigma = checked_positive(sigma, f"sigma, a width or one of {', '.join(WIDTHS)},")
    if sigma < LEAST_WIDTH:
        raise InputError(f"sigma is {sigma:g}; its square is no number any more: at least {LEAST_WIDTH:g}")
    return t, sigma
