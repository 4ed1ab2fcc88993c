"""What happens to a coordinate at the edge of a box [0, side]."""

from __future__ import annotations

import numpy as np

from simengine.arrays.jit import njit

inlined = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)


@inlined
def wrapped(x, side):  # type: ignore[no-untyped-def]
    """Return the coordinate in [0, side) of a periodic box; one inside is returned as it is."""
    x = x - side * np.floor(x / side)
    # A tiny negative number rounds to the side itself, which is the same place as 0.
    return 0.0 if x >= side or x < 0.0 else x


@inlined
def reflected(x, side):  # type: ignore[no-untyped-def]
    """Return the coordinate folded into [0, side], and whether its velocity is turned round."""
    folded = x - 2.0 * side * np.floor(x / (2.0 * side))
    turned = folded > side
    return (2.0 * side - folded if turned else folded), turned
