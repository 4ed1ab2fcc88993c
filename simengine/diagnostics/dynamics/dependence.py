"""Conditional information of embedded series by counts: value, bias, error, null, doubts.

The plug-in estimate of I(A; B | C) is the mean of ln p(a|b,c) / p(a|c) over windows. Its bias is the signed sum of
numbers of states seen, over 2 n (Miller 1955; Panzeri & Treves 1996), which for full tables is the mean of the null;
where cells are rare, the mean of the null given the margins is greater, and computed cell by cell. Its variance has
two parts: the long-run variance of the local values (delta method; successive windows hang together), and that of the
null, dof / (2 n^2), which alone is left where there is nothing to find. The first, computed from counts, is dof / n^2
too large there, which is taken off.

Valid where the degrees of freedom are at most a tenth of the windows, with 400 windows or more, and if the memory of
the series ends within a fifth of it; flags say where not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.counts.kernels import CHAO_SHEN, GRASSBERGER, GRASSBERGER_1988, entropy_of
from simengine.diagnostics.dynamics.memory import long_run_variance
from simengine.diagnostics.dynamics.tally import bias_of, conditional_information, counted, joined
from simengine.diagnostics.estimate import QUANTILE, Estimate, Number, flagged, normal_interval

COUNT_ESTIMATORS = {
    "counts": -1, "plug-in": -2, "grassberger": GRASSBERGER, "grassberger-1988": GRASSBERGER_1988,
    "chao-shen": CHAO_SHEN,
}  # fmt: skip
"""By name: the kind of the four entropies, or one of our own."""

FEWEST = 400
"""Fewer windows than this are few."""

MANY = 0.1
"""Degrees of freedom a window from which on there are too many states."""


@dataclass(frozen=True)
class Coded:
    """A variable of whole numbers 0, ..., states - 1, one for each window, shape (m n,)."""

    codes: NDArray[np.int64]
    states: int

    def __and__(self, other: Coded) -> Coded:
        """Both variables as one."""
        return Coded(*joined(self.codes, self.states, other.codes, other.states))

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each state occurs."""
        return counted(self.codes, self.states)

    @property
    def constant(self) -> bool:
        """Whether there is one state only."""
        return bool((self.codes == self.codes[0]).all())


def by_counts(
    a: Coded, b: Coded, c: Coded, rows: int, estimator: str, *, local: bool = False, shuffles: int = 0, seed: int = 0
) -> Estimate:
    """Estimate I(A; B | C) of ``rows`` realisations.

    With ``shuffles``, the mean of the plug-in estimate over that many random orders of the rows of B is what is taken
    off in place of the bias, and the null is theirs.
    """
    if a.constant or b.constant:
        return nothing(a.codes.size, estimator, local and (rows, -1))
    values, cells, freedom = conditional_information(a.codes, a.states, b.codes, b.states, c.codes, c.states)
    n = values.size
    plug_in = float(values.mean())
    seen = float(cells[0] - cells[1] - cells[2] + cells[3])
    bias = float(bias_of(plug_in, seen, freedom, n))
    details: dict[str, Any] = {"plug_in": plug_in, "bias": bias, "dof": float(cells[4])}
    null_mean, null_sd, null = 0.0, math.sqrt(0.5 * freedom) / n, "no dependence: chi-square"
    kind = COUNT_ESTIMATORS[estimator]
    if shuffles:
        surrogates = shuffled_by_counts(a, b, c, shuffles, seed)
        bias, null_mean = float(surrogates.mean()), 0.0
        null_sd = float(surrogates.std(ddof=1)) if shuffles > 1 else math.nan
        details["bias"], null = bias, f"source shuffled {shuffles} times"
        value = plug_in - bias
    elif kind == -1:
        value = plug_in - bias
    elif kind == -2:
        value, null_mean = plug_in, freedom / (2.0 * n)
    else:
        ac, bc = a & c, b & c
        terms = ((ac, 1.0), (bc, 1.0), (ac & b, -1.0), (c, -1.0))
        value = math.fsum(sign * entropy_of(one.counts, kind) for one, sign in terms)
        null_mean = math.nan
    series = np.ascontiguousarray(values.reshape(rows, -1))
    variance, memory, ended = long_run_variance(series)
    details["memory"] = memory
    if local:
        details["local"] = series
    most = (a.states - 1.0) * (b.states - 1.0) * c.states
    return answer(
        value, variance, freedom, n, estimator, details, null=(null_mean, null_sd, null),
        flags=("many_states" if most > MANY * n else None, None if ended else "short_series"),
    )  # fmt: skip


def shuffled_by_counts(a: Coded, b: Coded, c: Coded, shuffles: int, seed: int) -> NDArray[np.float64]:
    """Return the plug-in estimates with the rows of B in random orders; all else stays as it is."""
    rng = np.random.Generator(np.random.Philox(seed))
    found = np.empty(shuffles)
    for i in range(shuffles):
        order = rng.permutation(b.codes)
        found[i] = conditional_information(a.codes, a.states, order, b.states, c.codes, c.states)[0].mean()
    return found


def answer(
    value: float, variance: float, dof: float, n: int, method: str, details: dict[str, Any], *,
    null: tuple[float, float, str], flags: tuple[str | None, ...] = (), scatter: float | None = None,
    lowest: float = 0.0, proportional: bool = True,
) -> Estimate:  # fmt: skip
    """Put a value with the long-run variance of its local values into an estimate.

    ``scatter`` is the variance of the null times 2 n^2; ``dof`` where it is a chi-square. Of an information, which is
    ``proportional``, the variance is taken to grow in proportion to the truth.
    """
    second = (dof if scatter is None else scatter) / (2.0 * float(n) ** 2)
    error = math.sqrt(max(variance / n - 2.0 * second, 0.0) + second)
    plug_in = details.get("plug_in", 0.0)
    if proportional and plug_in > 0.0:
        # Next to the null the ratio is noise, and known.
        near = 4.0 * math.sqrt(second)
        low, high = proportional_interval(value, (variance + 2.0 * near) / (plug_in + near) / n, second)
    else:
        low, high = normal_interval(value, error, lowest)
    null_mean, null_sd, words = null
    return Estimate(
        value, error, (float(low), float(max(high, lowest))), null_mean, null_sd, n, "nat", method,
        flagged("few_samples" if n < FEWEST else None, *flags), words, details,
    )  # fmt: skip


def proportional_interval(value: Number, slope: Number, second: Number) -> tuple[Number, Number]:
    """Return an interval about a value whose variance is second + slope x at the truth x >= 0.

    The square root of value + second / slope has the standard deviation sqrt(slope) / 2 everywhere. At and near the
    null the variance of 2 n I, noncentral chi-square, is 2 dof + 8 n I: slope = 2 / n.
    """
    rise = np.maximum(np.asarray(slope), 1e-300)
    shift = np.asarray(second) / rise
    # A value below nought says no more than nought itself.
    root, reach = np.sqrt(np.maximum(value, 0.0) + shift), 0.5 * QUANTILE * np.sqrt(rise)
    low, high = np.maximum(root - reach, 0.0) ** 2 - shift, (root + reach) ** 2 - shift
    return np.maximum(low, 0.0), np.maximum(high, 0.0)


def nothing(n: int, method: str, shape: Any = None) -> Estimate:
    """Return the information about or from what does not vary."""
    details = {"local": np.zeros(n).reshape(shape)} if shape else {}
    return Estimate(
        0.0, 0.0, (0.0, 0.0), 0.0, 0.0, n, "nat", method, flagged("constant", "degenerate_null"), "", details
    )
