"""Mutual information of continuous variables, and of numbers with labels.

Declared validity of the neighbour estimators ("ksg-1", "ksg-2", "gao", "ross"), each enforced by a flag:

- at least 400 samples, 100 for each dimension, 50 for each label: ``few_samples``
- at most 6 dimensions together, and a bias for normal variables of less than a fifth of the value:
  ``high_dimension``
- in more than 4 dimensions normal scores that are jointly normal, because the bias taken off is theirs:
  ``not_gaussian``
- less than 1 % of the samples on atoms, except for "atom-aware": ``atoms``; few repeated values: ``ties``
- in more than two dimensions no value further out than 10 robust standard deviations: ``heavy_tails``
- a value below half the logarithm of the number of samples: ``saturated``
- parts of the data that agree with all of it (:mod:`~simengine.diagnostics.reliability`), and an extrapolation to
  k = 0 that changes the value by less than a sixth, or less than its error, and is not contested:
  ``unstable_subsamples``
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.exact import exact_sum
from simengine.diagnostics import checks
from simengine.diagnostics.continuous import margins, pipeline
from simengine.diagnostics.continuous.gaussian import gaussian_information, information_interval, not_normal
from simengine.diagnostics.continuous.measures import Measure, mutual
from simengine.diagnostics.continuous.mixed import Labelled, Mixture, Rectangles
from simengine.diagnostics.estimate import Estimate, flagged
from simengine.errors import InputError

Array = NDArray[np.float64]

MOST_DIMENSIONS = 6
ANY_COPULA = 4
FEWEST = 400
NULL = "x and y independent"


@dataclass(frozen=True)
class Options:
    """How neighbours are used; the same for all quantities.

    ``k`` neighbours; ``scale`` of the margins; ``correct`` takes off the bias that can be seen; ``reliability`` runs
    the subsample protocol; ``queries`` of the samples ask for their neighbours (all by default); ``shuffles`` give
    the null; ``seed`` chooses queries, parts and shuffles; ``threads`` share the work and change no value.
    """

    k: int = 4
    scale: str = margins.NORMAL_SCORES
    correct: bool = True
    reliability: bool = True
    queries: int | None = None
    shuffles: int = 0
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        checked: dict[str, object] = {
            "k": checks.whole(self.k, "k"), "scale": checks.one_of(self.scale, margins.SCALES, "scale"),
            "correct": checks.truth(self.correct, "correct"),
            "reliability": checks.truth(self.reliability, "reliability"),
            "queries": None if self.queries is None else checks.whole(self.queries, "queries", 2),
            "shuffles": checks.repeats(self.shuffles), "seed": checks.seed(self.seed),
            "threads": checks.whole(self.threads, "threads", 1, checks.MOST_THREADS),
        }  # fmt: skip
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def checked(self, n: int) -> Options:
        """Return the options if they are possible with n samples."""
        if self.k >= n:
            raise InputError(f"k is {self.k}, and there are {n} samples; a sample has at most {n - 1} neighbours")
        return self


def neighbour_mutual_information(x: Array, y: Array, options: Options, kind: str = "ksg-1") -> Estimate:
    """Estimate the mutual information of x, shape (n, dx), and y, shape (n, dy), from nearest neighbours."""
    options.checked(len(x))
    a, b = margins.varying(x), margins.varying(y)
    dropped = a.shape[1] < x.shape[1] or b.shape[1] < y.shape[1]
    if not a.shape[1] or not b.shape[1]:
        return nothing(len(x), kind)
    dx, dy = a.shape[1], b.shape[1]
    points = np.hstack([margins.scaled(a, options.scale), margins.scaled(b, options.scale)])
    measures: dict[str, Callable[[int, int], Measure]] = {"ksg-1": mutual, "ksg-2": Rectangles, "gao": Mixture}
    measure = measures[kind](dx, dy)
    found, flags = neighbour_estimate(measure, points, np.hstack([a, b]), options, kind)
    found = with_null(found, measure, points, dx, options, NULL)
    return replace(found, flags=flagged(*flags, "constant" if dropped else None))


def neighbour_estimate(
    measure: Measure, points: Array, raw: Array, options: Options, method: str
) -> tuple[Estimate, tuple[str | None, ...]]:
    """Return the estimate of an information measure and the flags of its validity; ``raw`` are unscaled points."""
    n, d = points.shape
    points = np.ascontiguousarray(points)
    result = pipeline.estimated(
        measure, points, options.k, correct=options.correct, scores=options.scale == margins.NORMAL_SCORES,
        queries=options.queries, seed=options.seed, threads=options.threads,
    )  # fmt: skip
    details: dict[str, object] = {
        "k": options.k, "scale": options.scale, "uncorrected": result.raw,
        "subtracted_bias": result.raw - result.value, "local": result.local,
    }  # fmt: skip
    stable = True
    if options.reliability:
        parts = pipeline.parts_agree(measure, points, options.k, result, seed=options.seed, threads=options.threads)
        details |= {"extrapolated": parts.value, "slope": parts.slope, "parts": parts.means}
        stable = parts.stable or n < 20 * (options.k + 1)
    stable = stable and not _bends(result)
    held, repeated = margins.shares(raw)
    on_atoms = held > margins.ATOM_SHARE
    flags = (
        "few_samples" if n < max(FEWEST, 100 * d) else None,
        "high_dimension" if d > MOST_DIMENSIONS or _much(result) else None,
        "not_gaussian" if d > ANY_COPULA and result.normal_bias and not_normal(points) else None,
        "atoms" if on_atoms else None,
        "ties" if not on_atoms and repeated > margins.ATOM_SHARE else None,
        "heavy_tails" if d > 2 and margins.heavy_tailed(raw) else None,
        "saturated" if result.value > 0.5 * math.log(n) else None,
        None if stable else "unstable_subsamples",
    )  # fmt: skip
    interval = information_interval(result.value, result.standard_error)
    if "saturated" in flags:
        # More than this cannot be seen, however much there is.
        interval = interval[0], math.inf
    return Estimate(
        result.value, result.standard_error, interval, n=n, method=method, flags=flagged(*flags), details=details,
    ), flags  # fmt: skip


def _bends(result: pipeline.Result) -> bool:
    """Whether the extrapolation to k = 0 is contested, or changes the value by more than its error and a sixth."""
    most = max(2.0 * result.standard_error, 3.0 * result.shift, abs(result.value) / 6.0)
    return result.contested or abs(result.bend) > most


def _much(result: pipeline.Result) -> bool:
    return abs(result.normal_bias) > max(0.2 * abs(result.value), 4.0 * result.standard_error)


def nothing(n: int, method: str) -> Estimate:
    """Return the information about a constant."""
    return Estimate(0.0, 0.0, (0.0, 0.0), 0.0, 0.0, n=n, method=method, flags=flagged("constant"), null=NULL)


def with_null(
    found: Estimate, measure: Measure, points: Array, dx: int, options: Options, null: str
) -> Estimate:  # fmt: skip
    """Return the estimate with the mean and spread of the uncorrected value over shuffles of the first dx columns.

    Of two scalars without ties on normal scores the null depends on their number alone, and is kept.
    """
    if not options.shuffles:
        return replace(found, null="")
    n, d = points.shape
    plain = d == 2 and options.scale == margins.NORMAL_SCORES and measure == mutual(1, 1)
    if plain and not margins.repeated_share(points):
        mean, spread = _null_of_size(n, options.k, options.shuffles, options.seed)
    else:
        mean, spread = _shuffled(measure, points, dx, options.k, options.shuffles, options.seed)
    # The bias that is taken off, and what follows from it, is that of dependence and vanishes without.
    return replace(found, null_mean=mean, null_sd=spread, null=null)


@lru_cache(maxsize=256)
def _null_of_size(n: int, k: int, shuffles: int, seed: int) -> tuple[float, float]:
    column = margins.normal_scores(np.arange(n, dtype=np.float64)[:, None])
    return _shuffled(mutual(1, 1), np.hstack([column, column]), 1, k, shuffles, seed)


def _shuffled(measure: Measure, points: Array, dx: int, k: int, shuffles: int, seed: int) -> tuple[float, float]:
    random = np.random.Generator(np.random.Philox(seed))
    values = []
    for _ in range(shuffles):
        mixed = points.copy()
        mixed[:, :dx] = points[random.permutation(len(points)), :dx]
        values.append(exact_sum(measure.local(mixed, (k,), None, 1)[0]) / len(points))
    return float(np.mean(values)), float(np.std(values, ddof=1)) if shuffles > 1 else math.nan


def labelled_mutual_information(x: Array, labels: NDArray[np.int64], options: Options) -> Estimate:
    """Estimate the mutual information of numbers x, shape (n, d), and labels, shape (n,) (Ross 2014)."""
    options.checked(len(x))
    a = margins.varying(x)
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if not a.shape[1] or len(sizes) < 2:
        return nothing(len(x), "ross")
    points = np.hstack([margins.scaled(a, options.scale), codes.reshape(-1, 1).astype(np.float64)])
    found, flags = neighbour_estimate(Labelled(), points, a, options, "ross")
    few = np.count_nonzero(sizes[codes.reshape(-1)] < 50) > 0.05 * len(x)
    found = with_null(found, Labelled(), points, a.shape[1], options, NULL)
    dropped = a.shape[1] < x.shape[1]
    kept = [name for name in flags if name != "saturated"]
    return replace(
        found, flags=flagged(*kept, "few_samples" if few else None, "constant" if dropped else None),
    )  # fmt: skip


def linear_mutual_information(x: Array, y: Array, *, copula: bool) -> Estimate:
    """Estimate the mutual information of jointly normal x and y, or, with ``copula``, of monotone functions of such."""
    a, b = margins.varying(x), margins.varying(y)
    if not a.shape[1] or not b.shape[1]:
        return nothing(len(x), "copula" if copula else "gaussian")
    dx, dy = a.shape[1], b.shape[1]
    found = gaussian_information(np.hstack([a, b]), mutual(dx, dy), dx * dy, copula=copula, null=NULL)
    dropped = dx < x.shape[1] or dy < y.shape[1]
    on_atoms = margins.atom_share(np.hstack([a, b])) > margins.ATOM_SHARE
    return replace(found, flags=flagged(*found.flags, "constant" if dropped else None, "atoms" if on_atoms else None))
