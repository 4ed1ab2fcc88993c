"""Intervals of quantities that are 0 at a null and behave there like a chi-square variable."""

from __future__ import annotations

import math

from simengine.diagnostics.estimate import QUANTILE


def root_interval(
    value: float, first: float, plug_in: float, second: float, steps: float = 0.0
) -> tuple[float, float]:  # fmt: skip
    """Return a 95 % interval on the scale on which the variance is constant, cut at 0.

    The quantity I, whose estimates are ``value`` (bias subtracted) and ``plug_in``, has the variance ``first`` by the
    delta method, which vanishes in proportion to I, and ``second`` at the null; ``steps`` is independent noise beside
    it. With s = first / plug_in, r^2 = second + s I + s^2 / 8 has a nearly normal root r of variance s^2 / 4, as the
    root of a noncentral chi-square variable has (for information s = 2 / N and second = nu / 2N^2). Far from the null
    this is the normal interval.
    """
    if plug_in <= 0.0 or first <= 0.0:
        reach = QUANTILE * math.sqrt(second + steps)
        return max(value - reach, 0.0), max(value + reach, 0.0)
    slope = first / plug_in
    root = math.sqrt(max(second + slope * value + slope * slope / 8.0, 0.0))
    shift = 0.25 * slope * (1.0 + QUANTILE**2)
    high = max(value + math.hypot(shift + QUANTILE * root, QUANTILE * math.sqrt(steps)), 0.0)
    if root <= 0.5 * QUANTILE * slope:
        return 0.0, high
    down = math.hypot(max(QUANTILE * root - shift, 0.0), QUANTILE * math.sqrt(steps))
    return max(value - down, 0.0), high
