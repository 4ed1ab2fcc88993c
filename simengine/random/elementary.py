"""Logarithm, sine and cosine from additions, multiplications and one division: the same bits on any machine.

A C library's ``log`` and ``sin`` differ by version and processor, and a call to them stops a compiler from
vectorising the loop around it. These are straight-line formulas without branches, tables or calls; each takes
a ``float64`` or a whole array, and ``draws`` compiles them unchanged. Every operation used is rounded as
IEEE 754 prescribes. Coefficients are Chebyshev fits computed at 200 bits. The errors stated, in units in the
last place, are the largest met in millions of arguments.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Real: TypeAlias = Any
"""A ``numpy.float64`` or an array of them."""

_EXPONENT_SHIFT = np.int64(52)
_SQRT_HALF_BITS = np.int64(0x3FE6A09E667F3BCD)
_LN2_HIGH = 0.693147180559663
_LN2_LOW = 2.8235290563031577e-13

_TWO_PI = 6.283185307179586
_TWO_PI_LOW = 2.4492935982947064e-16

_TWO_OVER_PI = 0.6366197723675814
_HALF_PI_1 = 1.5707963267341256
_HALF_PI_2 = 6.077100506303966e-11
_HALF_PI_3 = 2.0222662487111665e-21
_HALF_PI_4 = 8.4784276603689e-32


def square_root(x: Real) -> Real:
    """Square root of a number or of an array; correctly rounded (IEEE 754)."""
    root: Real = np.sqrt(x)
    return root


def log_unit(u: Real) -> Real:
    """Return the natural logarithm of a positive normal number (``u <= 1`` is meant); error at most 1 ulp.

    With ``u = 2**e * m`` and ``m`` within ``[sqrt(1/2), sqrt(2))``, ``log m = 2 atanh(s)`` for
    ``s = (m - 1) / (m + 1)``, summed so that the leading term ``m - 1`` is exact.
    """
    bits = np.float64(u).view(np.int64)
    exponent = (bits - _SQRT_HALF_BITS) >> _EXPONENT_SHIFT
    f = np.int64(bits - (exponent << _EXPONENT_SHIFT)).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    tail = z * (
        0.666666666666667
        + z
        * (
            0.3999999999989949
            + z
            * (
                0.2857142862598255
                + z
                * (0.22222211133642084 + z * (0.18182889209266595 + z * (0.1533171880828007 + z * 0.14616484198366603)))
            )
        )
    )
    scale = np.float64(exponent)
    return scale * _LN2_HIGH + (f - (s * (f - tail) - scale * _LN2_LOW))


def _rotate(sine: Real, cosine: Real, quarter: Real) -> tuple[Real, Real]:
    """Return the sine and cosine of an angle plus ``quarter`` quarter turns, a whole number held as float."""
    half = np.floor(quarter * 0.5)
    odd = quarter - 2.0 * half
    even = 1.0 - odd
    sign = 1.0 - 2.0 * (half - 2.0 * np.floor(half * 0.5))
    return sign * (even * sine + odd * cosine), sign * (even * cosine - odd * sine)


def sincos_turn(u: Real) -> tuple[Real, Real]:
    """Return ``(sin 2 pi u, cos 2 pi u)`` of ``0 <= u < 1`` turns; each error at most 1.7 ulp.

    The reduction to an eighth of a turn is exact, so zeros and axes come out exactly.
    """
    quarter = np.floor(4.0 * u + 0.5)
    r = u - 0.25 * quarter
    z = r * r
    sine = r * _TWO_PI + r * (
        _TWO_PI_LOW
        + z
        * (
            -41.34170224039976
            + z
            * (
                81.60524927607504
                + z
                * (
                    -76.70585975304292
                    + z
                    * (
                        42.0586939378057
                        + z * (-15.094641279579799 + z * (3.8198307439800163 + z * -0.7124440626783193))
                    )
                )
            )
        )
    )
    cosine = 1.0 + z * (
        -19.739208802178716
        + z
        * (
            64.93939402266824
            + z
            * (
                -85.4568172066438
                + z
                * (60.24464135270201 + z * (-26.426253275854723 + z * (7.903206911569678 + z * -1.6990343940660637)))
            )
        )
    )
    return _rotate(sine, cosine, quarter)


def _two_sum(a: Real, b: Real) -> tuple[Real, Real]:
    """Return ``a + b`` rounded and what the rounding left out, exactly (Knuth 1969, 4.2.2)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def sincos(x: Real) -> tuple[Real, Real]:
    """Return ``(sin x, cos x)`` for an angle in radians, ``|x| <= 1e6``; each error at most 0.9 ulp.

    Multiples of pi/2 are taken off in four pieces, the first three of 33 bits, so their products with the
    count are exact, and the remainder is carried as a sum of two numbers.
    """
    quarter = np.floor(x * _TWO_OVER_PI + 0.5)
    high, low_1 = _two_sum(x - quarter * _HALF_PI_1, -(quarter * _HALF_PI_2))
    high, low_2 = _two_sum(high, -(quarter * _HALF_PI_3))
    low = (low_1 + low_2) - quarter * _HALF_PI_4
    r = high + low
    rest = (high - r) + low
    z = r * r
    sine = r + (
        rest * (1.0 - 0.5 * z)
        + r
        * z
        * (
            -0.16666666666666666
            + z
            * (
                0.008333333333330948
                + z
                * (
                    -0.00019841269836756774
                    + z * (2.7557316101617874e-06 + z * (-2.505113165023518e-08 + z * 1.5918115263265974e-10))
                )
            )
        )
    )
    tail = (
        z
        * z
        * (
            0.041666666666666664
            + z
            * (
                -0.0013888888888887398
                + z
                * (
                    2.480158729876456e-05
                    + z * (-2.7557317271145144e-07 + z * (2.087614614655861e-09 + z * -1.1382623647474604e-11))
                )
            )
        )
    )
    half_square = 0.5 * z
    lead = 1.0 - half_square
    cosine = lead + (((1.0 - lead) - half_square) + (tail - r * rest))
    return _rotate(sine, cosine, quarter)
