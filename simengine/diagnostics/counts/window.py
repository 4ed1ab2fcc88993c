"""Entropy of the last w symbols of a stream, at a constant cost for each new symbol.

Kept are the counts and the sums of the estimator's terms: S = sum n ln n (or n G(n)), and sum n ln^2 n for the error.
When a count changes by one, each sum changes by one entry of a table of differences. The entries are whole multiples of
a power of two, so that sums never drift: the value depends on what is in the window, not on what has gone through it.
Estimators: plug-in, miller-madow, grassberger, grassberger-1988; validity as in :mod:`.entropies`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.checks import whole
from simengine.diagnostics.counts.entropies import FEWEST, FEWEST_APART, even_null, kind_of, raised
from simengine.diagnostics.counts.kernels import GRASSBERGER_1988, MILLER_MADOW
from simengine.diagnostics.counts.tables import encode
from simengine.diagnostics.counts.window_kernels import TERMS, binary_places, changes, push, slide, window_moments
from simengine.diagnostics.estimate import Estimate, checked_unit, normal_interval
from simengine.diagnostics.samples import as_array
from simengine.errors import InputError

Symbols = NDArray[np.int64]

MOST_KEPT = 1 << 26
"""The most states and symbols in a window, for each of which a few numbers are kept."""


class WindowEntropy:
    """The entropy of the last ``window`` symbols pushed.

    Parameters
    ----------
    states
        Number of states; symbols are 0 ... states - 1.
    window
        Number of symbols that count, w.
    estimator
        One of the additive estimators.
    """

    def __init__(self, states: int, window: int, *, estimator: str = "grassberger"):
        self.states, self.window = whole(states, "states"), whole(window, "window")
        _check_size(self.states, self.window)
        self.estimator, self._kind = estimator, _additive(estimator)
        self._changes = changes(self.window, self._kind)
        self.reset()

    def reset(self) -> None:
        """Forget all symbols."""
        self.counts = np.zeros(self.states, np.int64)
        self._ring = np.zeros(self.window, np.int64)
        self._having = np.zeros(self.window + 1, np.int64)
        self._having[0] = self.states
        self._sums = np.zeros(TERMS + 1, np.int64)
        self._pushed = 0

    @property
    def n(self) -> int:
        """Number of symbols in the window."""
        return min(self._pushed, self.window)

    def push(self, symbols: Any) -> None:
        """Add one symbol, or several in their order; the oldest leave the window."""
        array = np.atleast_1d(as_array(symbols, "symbols"))
        if array.size:
            encoded, _ = encode(array, self.states, "symbols")
            self._pushed = int(
                push(encoded, self._ring, self._pushed, self.counts, self._having, self._sums, self._changes)
            )

    def estimate(self, unit: str = "nat") -> Estimate:
        """Return the entropy of the window, with the null that all states are equally likely."""
        places = binary_places(self.window)
        found = window_moments(self._sums, self._having, self.states, self.n, places, self._kind)
        one = _estimates(found[None, :], np.array([self.n]), self.states, self.estimator, self._kind)
        return one[0].to(checked_unit(unit))


def sliding_entropy(
    symbols: Any, window: int, *, states: int | None = None, estimator: str = "grassberger", unit: str = "nat"
) -> Estimate:
    """Estimate the entropy in each window of ``window`` successive symbols: shape (T - window + 1,).

    Parameters
    ----------
    symbols
        Labels of shape (T,) in the order of time.
    window
        Symbols in a window, 1 to T.
    states
        Where given, the labels are the symbols 0 ... states - 1; by default the states are those that occur.
    estimator
        One of plug-in, miller-madow, grassberger and grassberger-1988.
    unit
        "nat" or "bit".
    """
    checked_unit(unit)
    kind = _additive(estimator)
    array = as_array(symbols, "symbols")
    if array.ndim != 1:
        raise InputError(f"symbols has shape {array.shape}; expected a series of shape (T,)")
    encoded, number = encode(array, states, "symbols")
    _check_size(number, 1)
    size = whole(window, "window")
    if size > encoded.size:
        raise InputError(f"window is {size}, longer than the series of {encoded.size} symbols")
    found = slide(encoded, number, size, kind)
    return _estimates(found, np.full(len(found), size), number, estimator, kind).to(unit)


def _estimates(found: NDArray[np.float64], n: Symbols, states: int, estimator: str, kind: int) -> Estimate:
    """Return the estimates of rows of value, variance, states seen, states seen once and the greatest count."""
    value, error = found[:, 0], np.sqrt(found[:, 1])
    seen, singles, most = found[:, 2], found[:, 3], found[:, 4]
    sizes, which = np.unique(n, return_inverse=True)
    nulls = np.array([even_null(int(one), states, estimator) for one in sizes])[which]
    constant, samples = seen == 1, np.maximum(n, 1)
    few = (n < FEWEST) | (~constant & (n - most < FEWEST_APART))
    unseen = singles / samples > (0.1 if kind == MILLER_MADOW else 0.2) * error
    if estimator == "plug-in":
        few |= ~constant & ((seen - 1) / (2.0 * samples) > 0.2 * error)
    flags = raised(few, unseen, constant, n == 0)
    return Estimate(
        value, error, normal_interval(value, error, lowest=0.0), nulls[:, 0], nulls[:, 1], n.astype(np.float64),
        method=estimator, flags=flags, null=f"all {states} states equally likely", details={"states": states},
    )  # fmt: skip


def _additive(estimator: str) -> int:
    kind = kind_of(estimator, "entropy of a window")
    if kind > GRASSBERGER_1988:
        raise InputError(
            f"entropy of a window: {estimator!r} has no sum to keep; allowed: plug-in, miller-madow, grassberger,"
            " grassberger-1988"
        )
    return kind


def _check_size(states: int, window: int) -> None:
    if states + window > MOST_KEPT:
        raise InputError(f"states is {states} and window {window}; together they may be up to {MOST_KEPT}")
