"""Exact sums of ``float64`` that no order, thread or shard can change.

A sum is held as a whole number of units of 2**-1074, the smallest ``float64``, spread over 32-bit limbs in
an ``int64`` array (a small superaccumulator: Neal 2015, arXiv:1505.05571; Kulisch 2013). Adding a number is
integer addition, hence associative; merging two accumulators is adding their arrays; the one rounding
happens at the end. The sum of finite numbers equals ``math.fsum`` bit for bit.

The jitted functions below work on the bare array; :class:`ExactMoments`, :func:`exact_sum` and
:func:`exact_mean` wrap them. Ordinary blocks of 1024 numbers are first split into two integers each over a
window of 93 bits, which vectorises; a block that spans more takes the general path, number by number, to
the same result.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.arrays.jit import njit
from simengine.errors import InputError

LIMBS = 69
"""Limbs of 32 bits: limb ``i`` counts units of ``2**(32 i - 1074)``; room for 2**60 numbers."""

PENDING = LIMBS
"""Place of the number of deposits since carries were last moved up; each adds less than 2**33 to a limb."""

NOT_A_NUMBER, PLUS_INFINITY, MINUS_INFINITY = LIMBS + 1, LIMBS + 2, LIMBS + 3
"""Places of the counts of non-finite numbers added."""

SIZE = LIMBS + 4
"""Length of an accumulator, an ``int64`` array; up to 512 of them may be added elementwise."""

_BLOCK = 1024
_MOST_PENDING = 1 << 20
_LOW = 0xFFFFFFFF
_MAGNITUDE = 0x7FFFFFFFFFFFFFFF
_FRACTION = (1 << 52) - 1
_INFINITY_BITS = 0x7FF << 52
_HIGHEST = 1023 + 1074
_ROUNDER = 1.5 * 2.0**52
_ROUNDER_BITS = 0x4338000000000000
_HIGH_BITS = 41
_LOW_BITS = 51
_UNITS_PER_ONE = 1 << 1074

Accumulator = NDArray[np.int64]
Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def new_accumulator() -> Any:
    """Return an accumulator that holds zero: ``int64`` of length ``SIZE``."""
    return np.zeros(SIZE, np.int64)


@njit(cache=True, nogil=True, error_model="numpy")
def propagate(acc: Any) -> None:
    """Move carries up until every limb but the last is within ``[0, 2**32)``: one form per value."""
    carry = np.int64(0)
    for i in range(LIMBS - 1):
        limb = acc[i] + carry
        acc[i] = limb & _LOW
        carry = limb >> 32
    acc[LIMBS - 1] += carry
    acc[PENDING] = 1


@njit(cache=True, nogil=True, error_model="numpy")
def _deposit(acc: Any, number: Any, position: Any) -> None:
    """Add ``number * 2**position`` units, ``|number| < 2**62``; the caller counts it with :func:`_count`."""
    limb = position >> 5
    shift = position & 31
    lower = (number & _LOW) << shift
    upper = (number >> 32) << shift
    acc[limb] += lower & _LOW
    acc[limb + 1] += (lower >> 32) + (upper & _LOW)
    acc[limb + 2] += upper >> 32


@njit(cache=True, nogil=True, error_model="numpy")
def _count(acc: Any, deposits: Any) -> None:
    """Note that many deposits, and move carries up before they can overflow a limb."""
    acc[PENDING] += deposits
    if acc[PENDING] >= _MOST_PENDING:
        propagate(acc)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_uncounted(acc: Any, x: Any) -> None:
    bits = np.float64(x).view(np.int64)
    exponent = (bits >> 52) & 0x7FF
    number = bits & _FRACTION
    if exponent == 0x7FF:
        if number != 0:
            acc[NOT_A_NUMBER] += 1
        elif bits > 0:
            acc[PLUS_INFINITY] += 1
        else:
            acc[MINUS_INFINITY] += 1
    else:
        normal = np.int64(exponent != 0)
        sign = bits >> 63
        _deposit(acc, ((number | (normal << 52)) ^ sign) - sign, exponent - normal)


@njit(cache=True, nogil=True, error_model="numpy")
def add(acc: Any, x: Any) -> None:
    """Add one ``float64``, exactly; infinities and not-a-number are counted."""
    _add_uncounted(acc, x)
    _count(acc, 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_block(acc: Any, x: Any) -> None:
    """Add at most 1024 numbers, as two integer sums where all fit a window of 93 bits below the largest."""
    largest = np.int64(0)
    for i in range(x.size):
        magnitude = np.float64(x[i]).view(np.int64) & _MAGNITUDE
        if magnitude > largest:
            largest = magnitude
    exponent = largest >> 52
    outside = np.int64(exponent < _HIGH_BITS + 1 or exponent == 0x7FF)
    if outside == 0:
        scale = np.int64((_HIGH_BITS + 2046 - exponent) << 52).view(np.float64)
        unscale = np.int64((exponent - _HIGH_BITS) << 52).view(np.float64)
        high_sum = np.int64(0)
        low_sum = np.int64(0)
        for i in range(x.size):
            scaled = x[i] * scale
            high = scaled + _ROUNDER
            rest = (scaled - (high - _ROUNDER)) * 2.0**_LOW_BITS
            low = rest + _ROUNDER
            high_sum += np.float64(high).view(np.int64) - _ROUNDER_BITS
            low_sum += np.float64(low).view(np.int64) - _ROUNDER_BITS
            # What underflows when scaled, or has bits below the window, sends the block the long way.
            outside |= np.int64(scaled * unscale != x[i]) | np.int64(low - _ROUNDER != rest)
        if outside == 0:
            position = exponent - 1023 - _HIGH_BITS + 1074
            _deposit(acc, high_sum, position)
            _deposit(acc, low_sum, position - _LOW_BITS)
            _count(acc, 2)
    if outside != 0:
        for i in range(x.size):
            _add_uncounted(acc, x[i])
        _count(acc, x.size)


@njit(cache=True, nogil=True, error_model="numpy")
def add_array(acc: Any, x: Any) -> None:
    """Add every number of a one-dimensional ``float64`` array, exactly."""
    for start in range(0, x.size, _BLOCK):
        _add_block(acc, x[start : start + _BLOCK])


@njit(cache=True, nogil=True, error_model="numpy")
def _split(x: Any) -> Any:
    """Return the upper 26 bits of a number and what is left (Veltkamp 1968); ``|x| < 2**996``."""
    spread = 134217729.0 * x
    upper = spread - (spread - x)
    return upper, x - upper


@njit(cache=True, nogil=True, error_model="numpy")
def two_product(x: Any, y: Any) -> Any:
    """Return ``x * y`` rounded and the rounding error (Dekker 1971), whose sum is the product.

    Exact where the product is zero or ``2**-968 <= |x y| < 2**1023``. Below that the pair is off by less than
    2**-1020; a product that overflows, or has a factor that is not finite, comes with an error of zero.
    """
    product = x * y
    # Splitting a factor beyond 2**996 would overflow: it is taken down and the other, small, up.
    x_scale = 1.0
    y_scale = 1.0
    if abs(x) > 2.0**900:
        x_scale = 2.0**-128
        y_scale = 2.0**128
    elif abs(y) > 2.0**900:
        x_scale = 2.0**128
        y_scale = 2.0**-128
    x_upper, x_lower = _split(x * x_scale)
    y_upper, y_lower = _split(y * y_scale)
    error = ((x_upper * y_upper - product) + x_upper * y_lower + x_lower * y_upper) + x_lower * y_lower
    if not abs(product) < np.inf:
        error = 0.0
    return product, error


@njit(cache=True, nogil=True, error_model="numpy")
def add_product(acc: Any, x: Any, y: Any) -> None:
    """Add ``x * y`` without rounding it, in the range of :func:`two_product`; order-free outside it too."""
    product, error = two_product(x, y)
    add(acc, product)
    add(acc, error)


@njit(cache=True, nogil=True, error_model="numpy")
def add_products(acc: Any, x: Any, y: Any) -> None:
    """Add ``x[i] * y[i]`` of two 1-D ``float64`` arrays of equal length, as :func:`add_product` does."""
    products = np.empty(min(_BLOCK, x.size))
    errors = np.empty(products.size)
    for start in range(0, x.size, _BLOCK):
        x_block = x[start : start + _BLOCK]
        y_block = y[start : start + _BLOCK]
        for i in range(x_block.size):
            products[i], errors[i] = two_product(x_block[i], y_block[i])
        _add_block(acc, products[: x_block.size])
        _add_block(acc, errors[: x_block.size])


@njit(cache=True, nogil=True, error_model="numpy")
def merge(acc: Any, other: Any) -> None:
    """Add another accumulator's sum to ``acc``; ``other`` is left as it is."""
    if acc[PENDING] + other[PENDING] >= _MOST_PENDING:
        propagate(acc)
    for i in range(SIZE):
        acc[i] += other[i]


@njit(cache=True, nogil=True, error_model="numpy")
def rounded(acc: Any) -> Any:
    """Return the sum as the nearest ``float64``, ties to even; infinite where it exceeds the largest.

    Not-a-number, or infinities of both signs, give not-a-number; infinities of one sign give that infinity.
    An exact zero is positive.
    """
    if acc[NOT_A_NUMBER] != 0 or (acc[PLUS_INFINITY] != 0 and acc[MINUS_INFINITY] != 0):
        return np.nan
    if acc[PLUS_INFINITY] != 0:
        return np.inf
    if acc[MINUS_INFINITY] != 0:
        return -np.inf
    limbs = acc.copy()
    propagate(limbs)
    sign = 1.0
    if limbs[LIMBS - 1] < 0:
        sign = -1.0
        for i in range(LIMBS):
            limbs[i] = -limbs[i]
        propagate(limbs)
    top = LIMBS - 1
    while top > 0 and limbs[top] == 0:
        top -= 1
    if limbs[top] >> 32 != 0:
        return sign * np.inf
    width = np.int64(0)
    while limbs[top] >> width != 0:
        width += 1
    highest = 32 * top + width - 1
    if highest > _HIGHEST:
        return sign * np.inf
    if highest <= 52:
        return sign * np.int64((limbs[1] << 32) | limbs[0]).view(np.float64)

    # The 55 bits from the highest one down, then whether anything is left below them.
    below = highest - 54
    kept = np.int64(0)
    rest = np.int64(0)
    for i in range(top + 1):
        shift = 32 * i - below
        if shift >= 0:
            kept |= limbs[i] << shift
        elif shift > -32:
            kept |= limbs[i] >> -shift
            rest |= limbs[i] & ((np.int64(1) << -shift) - 1)
        else:
            rest |= limbs[i]
    number = kept >> 2
    remainder = 2 * (kept & 3) + np.int64(rest != 0)
    if remainder > 4 or (remainder == 4 and (number & 1) == 1):
        number += 1
    bits = ((highest - 52) << 52) + number
    if bits >= _INFINITY_BITS:
        return sign * np.inf
    return sign * np.int64(bits).view(np.float64)


def whole_units(acc: Accumulator) -> int:
    """Return the finite part of a sum as a whole number of units of ``2**-1074``."""
    return sum(int(limb) << (32 * i) for i, limb in enumerate(acc[:LIMBS]))


def root(value: Fraction) -> float:
    """Return the square root of a non-negative fraction, correctly rounded."""
    if value == 0:
        return 0.0
    shift = max(0, 64 - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    scaled, rest = divmod(value.numerator << (2 * shift), value.denominator)
    whole = math.isqrt(scaled)
    # A root that is not exact gets a last bit below every rounding boundary.
    inexact = rest != 0 or whole * whole != scaled
    return (2 * whole + int(inexact)) / (1 << (shift + 1))


def exact_sum(values: ArrayLike) -> float:
    """Return the sum of an array of any shape, rounded once; see :func:`rounded` for what is not finite."""
    acc = new_accumulator()
    add_array(acc, np.ascontiguousarray(values, dtype=np.float64).ravel())
    return float(rounded(acc))


def exact_mean(values: ArrayLike) -> float:
    """Return the mean of an array of any shape, rounded once; not-a-number of an empty array."""
    moments = ExactMoments()
    moments.update(np.ravel(values))
    return float(moments.mean[0])


class ExactMoments:
    """Number, sum and sum of squares of one or several columns of numbers, held exactly.

    Any order of updates and any merging of shards gives the same bits: every result is rounded once, from
    exact whole numbers. A column that met a number that is not finite yields not-a-number, or an infinite
    mean.

    Squares are exact for values that are zero or within ``[2**-484, 2**511]`` in size; a smaller value's
    square is off by less than 2**-1020, and one of a larger value that overflows makes the variance
    not-a-number.

    Parameters
    ----------
    columns : int
        How many quantities are followed.
    """

    def __init__(self, columns: int = 1) -> None:
        if columns < 1:
            raise InputError(f"moments need at least one column, not {columns}")
        self.n = 0
        self._sums = np.zeros((columns, SIZE), dtype=np.int64)
        self._squares = np.zeros((columns, SIZE), dtype=np.int64)

    @property
    def columns(self) -> int:
        """Return how many quantities are followed."""
        return self._sums.shape[0]

    def update(self, values: ArrayLike) -> None:
        """Add observations: shape (n,) for one column, else (n, columns)."""
        array = np.asarray(values, dtype=np.float64)
        if array.ndim == 1 and self.columns == 1:
            array = array[:, np.newaxis]
        if array.ndim != 2 or array.shape[1] != self.columns:
            raise InputError(f"values of shape {array.shape} given to moments of {self.columns} column(s)")
        for column in range(self.columns):
            x = np.ascontiguousarray(array[:, column])
            add_array(self._sums[column], x)
            add_products(self._squares[column], x, x)
        self.n += array.shape[0]

    def merge(self, other: ExactMoments) -> None:
        """Add another's observations to these; ``other`` is left as it is."""
        if other.columns != self.columns:
            raise InputError(f"moments of {other.columns} column(s) merged into {self.columns}")
        for column in range(self.columns):
            merge(self._sums[column], other._sums[column])
            merge(self._squares[column], other._squares[column])
        self.n += other.n

    @property
    def sum(self) -> Floats:
        """Return each column's sum, shape (columns,)."""
        return np.array([rounded(acc) for acc in self._sums], dtype=np.float64)

    @property
    def sum_of_squares(self) -> Floats:
        """Return each column's sum of squares, shape (columns,)."""
        return np.array([rounded(acc) for acc in self._squares], dtype=np.float64)

    @property
    def mean(self) -> Floats:
        """Return each column's mean, shape (columns,); not-a-number without observations."""
        return np.array([self._mean(acc) for acc in self._sums], dtype=np.float64)

    def variance(self, ddof: int = 1) -> Floats:
        """Return each column's variance with ``n - ddof`` in the denominator, shape (columns,).

        Not-a-number where ``n <= ddof``; infinite where it exceeds the largest ``float64``.
        """
        return np.array([self._as_float(self._variance(c, ddof)) for c in range(self.columns)])

    def standard_deviation(self, ddof: int = 1) -> Floats:
        """Return the root of each column's variance, shape (columns,)."""
        return np.array([self._as_root(self._variance(c, ddof)) for c in range(self.columns)])

    @property
    def standard_error(self) -> Floats:
        """Return the standard error of each column's mean of independent observations, shape (columns,)."""
        variances = [self._variance(column, 1) for column in range(self.columns)]
        return np.array([self._as_root(None if v is None else v / self.n) for v in variances])

    def _mean(self, acc: Accumulator) -> float:
        if self.n == 0:
            return math.nan
        if acc[NOT_A_NUMBER:].any():
            return float(rounded(acc))
        return whole_units(acc) / (self.n * _UNITS_PER_ONE)

    def _variance(self, column: int, ddof: int) -> Fraction | None:
        total, squares = self._sums[column], self._squares[column]
        if self.n <= ddof or total[NOT_A_NUMBER:].any() or squares[NOT_A_NUMBER:].any():
            return None
        mean_part = Fraction(whole_units(total) ** 2, self.n * _UNITS_PER_ONE**2)
        return max(Fraction(whole_units(squares), _UNITS_PER_ONE) - mean_part, Fraction(0)) / (self.n - ddof)

    @staticmethod
    def _as_float(value: Fraction | None) -> float:
        if value is None:
            return math.nan
        try:
            return float(value)
        except OverflowError:
            return math.inf

    @staticmethod
    def _as_root(value: Fraction | None) -> float:
        return math.nan if value is None else root(value)

    def state(self) -> dict[str, NDArray[np.int64]]:
        """Return arrays to keep in a checkpoint; equal for equal observations, whatever their history."""
        canonical = {"sums": self._sums.copy(), "squares": self._squares.copy()}
        for accumulators in canonical.values():
            for acc in accumulators:
                propagate(acc)
        return {"n": np.array(self.n, dtype=np.int64), **canonical}

    @classmethod
    def from_state(cls, state: dict[str, NDArray[np.int64]]) -> ExactMoments:
        """Return the moments whose :meth:`state` was kept."""
        moments = cls(columns=int(state["sums"].shape[0]))
        moments.n = int(state["n"])
        moments._sums[:] = state["sums"]
        moments._squares[:] = state["squares"]
        return moments
