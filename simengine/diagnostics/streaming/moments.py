"""Diagnostics from exact sums of the agents' values, their products and their powers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.exact import NOT_A_NUMBER, whole_units
from simengine.diagnostics.estimate import Estimate, doubted, flagged, normal_interval
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Binning, Bound, a_range, number
from simengine.diagnostics.streaming.distributions import When, streamed, word, words
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Kept, Sums, joined_sums
from simengine.diagnostics.streaming.tracked import in_rhythm
from simengine.errors import ScenarioError

Floats = NDArray[np.float64]
Range = tuple[Bound, Bound]

INDICATORS = ("autocorrelation", "variance", "skewness", "flickering")
"""What :func:`early_warning` may stream."""

_SHORTEST = 20
_UNIT = 1 << 1074


@dataclass(frozen=True)
class Covariances(Sums):
    """Covariances of fields over the agents of a moment; the reading is (n, means, covariances with n - 1).

    Computed from whole numbers and rounded once: nothing is lost where the spread is small against the mean.
    """

    def close(self, state: Kept, view: Any) -> tuple[int, Floats, Floats]:
        """Subtract the products of the sums."""
        d, n, sums = len(self.fields), state["n"], state["sums"]
        if n < 2 or sums[:, NOT_A_NUMBER:].any():
            return n, np.full(d, math.nan), np.full((d, d), math.nan)
        units = [whole_units(one) for one in sums]
        means = np.array([float(Fraction(one, n * _UNIT)) for one in units[:d]])
        covariances = np.empty((d, d))
        upper = zip(*np.triu_indices(d), strict=True)
        for place, (a, b) in enumerate(upper, start=d):
            apart = Fraction(n * units[place] * _UNIT - units[a] * units[b], n * (n - 1) * _UNIT**2)
            covariances[a, b] = covariances[b, a] = float(apart)
        return n, means, covariances


@dataclass(frozen=True)
class PowerSums:
    """Exact sums of the powers 1 to 8 of a field; the reading is (n, central moments 0 to 8, width of the range)."""

    field: Binning
    range: Range

    def __post_init__(self) -> None:
        object.__setattr__(self, "range", a_range(self.range, self.field.field))

    partial = True
    lasting = False
    merge_class = "B"

    def prepare(self) -> None:
        """Compile."""
        from simengine.diagnostics.populations.powers import power_sums

        power_sums(np.zeros(1), -1.0, 1.0)

    def described(self) -> Mapping[str, Any]:
        """Return the field."""
        return {"sums_of": f"powers of {self.field.field}, from {self.range[0]} to {self.range[1]}"}

    def begin(self) -> Kept:
        """Nobody seen."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Add the agents of a view; another observable may have added them already."""
        if self not in view.shared:
            from simengine.diagnostics.populations.powers import power_sums

            values = np.ascontiguousarray(self.field.rows(view), np.float64)
            view.shared[self] = {"n": len(values), "sums": power_sums(values, *self._ends(view))}
        return self.merge(state, view.shared[self])

    def _ends(self, view: Any) -> tuple[float, float]:
        low, high = (number(bound, view, self.field.field, "range") for bound in self.range)
        if not low < high:
            raise ScenarioError(f"{self.field.field}: range is {low:g} to {high:g}; it must rise")
        return low, high

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the sums of two groups."""
        if not state or not other:
            return other or state
        return {"n": state["n"] + other["n"], "sums": joined_sums(state["sums"], other["sums"])}

    def close(self, state: Kept, view: Any) -> tuple[int, Floats, float]:
        """Round the sums."""
        from simengine.diagnostics.populations.powers import moments_of_sums

        low, high = self._ends(view)
        if not state["n"]:
            return 0, np.full(9, math.nan), high - low
        return state["n"], moments_of_sums(state["n"], state["sums"], low, high), high - low


@dataclass(frozen=True)
class Means:
    """The mean of a field over the agents at the last ``length`` records: the reading, oldest first.

    A last record that comes earlier than the others begins anew, and so does one without agents.
    """

    field: str
    length: int

    partial = True
    lasting = True
    merge_class = "B"

    @property
    def _sums(self) -> Sums:
        return Sums((self.field,), products=False)

    def prepare(self) -> None:
        """Compile."""
        self._sums.prepare()

    def described(self) -> Mapping[str, Any]:
        """Return the field."""
        return {"mean_of": self.field}

    def begin(self) -> Kept:
        """Nobody seen."""
        return {"now": self._sums.begin()}

    def update(self, state: Kept, view: Any) -> Kept:
        """Add the agents of a view."""
        return {**state, "now": self._sums.update(state["now"], view)}

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the sums of two groups."""
        return {**other, **state, "now": self._sums.merge(state["now"], other["now"])}

    def close(self, state: Kept, view: Any) -> Floats:
        """Add the mean of the moment to those before."""
        n, sums, _ = self._sums.close(state["now"], view)
        before = state["means"] if in_rhythm(state, view.step) else np.empty(0)
        means = np.append(before, sums[0] / n)[-self.length :] if n else np.empty(0)
        state["means"], state["now"] = means, self._sums.begin()
        return means


def gaussian_mutual_information(
    x: str | tuple[str, ...], y: str | tuple[str, ...], *, name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream the mutual information of two fields, or groups of fields, as if they were jointly normal.

    It is the linear part of what they tell of each other, and exact for normal variables, of whom the error is, too.

    Parameters
    ----------
    x, y
        ``"agents.opinion"``, or several such fields; components as ``"agents.heading.0"``.
    """
    first, second = declared.fields(x, "x"), declared.fields(y, "y")
    own = "_".join(word(one) for one in (*first, *second))
    said = " and ".join(", ".join(map(words, one)) for one in (first, second))

    def answer(reading: tuple[int, Floats, Floats], view: Any) -> Estimate:
        return gaussian_information_of(reading[0], reading[2], len(first)).to(unit)

    return streamed(
        declared.named(name, f"{own}_gaussian_mutual_information"), Covariances((*first, *second)), None, answer, unit,
        f"mutual information of {said}, as normal variables",
        True, {"estimator": "gaussian"}, when,
    )  # fmt: skip


def gaussian_information_of(n: int, covariance: Floats, first: int) -> Estimate:
    """Return the information between the first columns and the others, in nats, from the covariances of n samples.

    The bias is that of ln det of Wishart matrices. Local values of normal variables have the variance sum r^2 of the
    canonical correlations r; that of the chi-square null is added.
    """
    from scipy.special import psi

    from simengine.diagnostics.continuous.margins import singular

    d = len(covariance)
    freedom = first * (d - first)
    null, method = "no dependence: chi-square", "gaussian"
    spread = np.sqrt(np.diag(covariance))
    if n < 2 or not np.isfinite(spread).all():
        why = "no_number" if n >= 2 else "few_samples" if n else "empty"
        return Estimate(math.nan, n=n, method=method, flags=flagged(why), null=null)
    null_sd = math.sqrt(0.5 * freedom) / n
    if not (spread > 0.0).all():
        doubts = flagged("constant", "degenerate_null")
        return Estimate(0.0, 0.0, (0.0, 0.0), 0.0, 0.0, n, "nat", method, doubts, null)
    correlation = covariance / np.outer(spread, spread)
    if n <= d + 1 or singular(correlation):
        doubts = flagged("singular", "few_samples" if n <= d + 1 else None)
        return Estimate(math.inf, math.nan, (math.nan, math.inf), 0.0, null_sd, n, "nat", method, doubts, null)
    x, y, both = correlation[:first, :first], correlation[first:, first:], correlation[:first, first:]

    def half_log_det(matrix: Floats) -> float:
        """Half of ln det, less its bias."""
        rows = range(1, len(matrix) + 1)
        bias = math.fsum(float(psi(0.5 * (n - i))) - math.log(0.5 * (n - 1)) for i in rows)
        return 0.5 * (float(np.linalg.slogdet(matrix)[1]) - bias)

    value = half_log_det(x) + half_log_det(y) - half_log_det(correlation)
    canonical = float(np.trace(np.linalg.solve(x, both) @ np.linalg.solve(y, both.T)))
    error = math.sqrt(max(canonical, 0.0) / n + null_sd**2)
    doubts = flagged("few_samples" if n < 20 + 2 * d else None, "many_states" if freedom > n / 10 else None)
    low, high = normal_interval(value, error, 0.0)
    interval = float(low), max(float(high), 0.0)
    return Estimate(value, error, interval, 0.0, null_sd, n, "nat", method, doubts, null)


def variance(field: str, range: Range, *, name: str = "", when: When = None) -> Streamed:
    """Stream the variance of a field over the agents (with n - 1), its error from the fourth moment.

    Parameters
    ----------
    field
        ``"population.field"`` or ``"population.field.k"``.
    range
        Lowest and highest value, or names of parameters: values are scaled by it before powers are taken, and the null
        are values spread evenly over it. Values beyond it count as they are.
    """

    def answer(reading: tuple[int, Floats, float], view: Any) -> Estimate:
        from simengine.diagnostics.populations.polarization import opinion_variance_from_moments

        return _known(opinion_variance_from_moments(reading[0], reading[1], width=reading[2]))

    return streamed(
        declared.named(name, f"{word(field)}_variance"), PowerSums(Binning(field), range), None, answer, declared.PURE,
        f"variance of {words(field)}", True, {}, when,
    )  # fmt: skip


def bimodality(field: str, range: Range, *, name: str = "", when: When = None) -> Streamed:
    """Stream the bimodality coefficient of a field: 1/3 if it is normal, 5/9 if even, 1 if it has two values.

    See :func:`variance` for ``range``, and :func:`~simengine.diagnostics.populations.polarization.bimodality`.
    """

    def answer(reading: tuple[int, Floats, float], view: Any) -> Estimate:
        from simengine.diagnostics.populations.polarization import bimodality_from_moments

        return _known(bimodality_from_moments(*reading[:2]))

    return streamed(
        declared.named(name, f"{word(field)}_bimodality"), PowerSums(Binning(field), range), None, answer,
        declared.PURE, f"bimodality coefficient of {words(field)}", True, {}, when,
    )  # fmt: skip


def _known(found: Estimate) -> Estimate:
    """Flag a value that is none because the field holds no numbers, or too large ones."""
    return found if found.flags or math.isfinite(float(found.value)) else doubted(found, "no_number")


def early_warning(
    field: str, indicator: str = "autocorrelation", *, window: int = 50, detrend: str = "none", name: str = "",
    when: When = None,
) -> Streamed:  # fmt: skip
    """Stream an early warning of a tipping point: an indicator of the mean of a field over the last records.

    Parameters
    ----------
    field
        ``"population.field"`` or ``"population.field.k"``; the series is its mean over the agents.
    indicator
        "autocorrelation" at lag one, "variance", "skewness" or "flickering"; see
        :func:`~simengine.diagnostics.dynamics.early_warning.early_warning`, also for ``detrend``.
    window
        Number of records, 20 or more; known when there is one more.
    """
    declared.one_of(indicator, INDICATORS, "indicator")
    declared.one_of(detrend, ("none", "linear"), "detrend")
    Binning(field)
    if declared.whole(window, "window") < _SHORTEST:
        raise ScenarioError(f"window is {window}; expected {_SHORTEST} records or more")

    def answer(means: Floats, view: Any) -> Estimate:
        if len(means) <= window:
            return Estimate(math.nan, unit="1", method=f"rolling {indicator}", flags=flagged("short_series"))
        from simengine.diagnostics.dynamics import early_warning as warning

        found = warning.early_warning(means, window=window, stride=1, detrend=detrend, surrogates=0)
        rolling: Estimate = getattr(found, indicator)
        return rolling[-1]

    return streamed(
        declared.named(name, f"{word(field)}_{indicator}_of_mean"), Means(field, window + 1), None, answer,
        declared.PURE,
        f"{indicator} of the mean of {words(field)} in time", False, {"window": window, "detrend": detrend}, when,
    )  # fmt: skip
