"""Directions in three dimensions: perpendiculars and exact rotations, for use in phases."""

from __future__ import annotations

import math

from simengine.arrays.jit import njit

inlined = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)

LEAST_LENGTH = 1e-10


@inlined
def normalised(x, y, z, otherwise_x, otherwise_y, otherwise_z):  # type: ignore[no-untyped-def]
    """Return the direction of (x, y, z); the other one where the length is below 1e-10."""
    length = math.sqrt(x * x + y * y + z * z)
    short = length < LEAST_LENGTH
    inverse = 1.0 / (1.0 if short else length)
    return (
        otherwise_x if short else x * inverse,
        otherwise_y if short else y * inverse,
        otherwise_z if short else z * inverse,
    )


@inlined
def perpendicular(x, y, z, cosine, sine):  # type: ignore[no-untyped-def]
    """Return the unit vector at an angle, given by its cosine and sine, in the plane perpendicular to a unit vector.

    The plane's basis is that of Duff et al. (2017), J. Computer Graphics Techniques 6(1): continuous but for a jump
    at z = 0, and exact to rounding everywhere.
    """
    sign = 1.0 if z >= 0.0 else -1.0
    a = -1.0 / (sign + z)
    b = x * y * a
    first_x, first_y, first_z = 1.0 + sign * x * x * a, sign * b, -sign * x
    second_x, second_y, second_z = b, sign + y * y * a, -y
    return (
        cosine * first_x + sine * second_x,
        cosine * first_y + sine * second_y,
        cosine * first_z + sine * second_z,
    )


@inlined
def turned_towards(x, y, z, to_x, to_y, to_z, cosine, sine):  # type: ignore[no-untyped-def]
    """Return a unit vector turned towards another by at most an angle given by its cosine and sine (below pi).

    The rotation is exact, in the plane of the two; for opposite vectors the plane is chosen arbitrarily but fixed.
    """
    along = x * to_x + y * to_y + z * to_z
    side_x, side_y, side_z = to_x - along * x, to_y - along * y, to_z - along * z
    length = math.sqrt(side_x * side_x + side_y * side_y + side_z * side_z)
    flat = length < LEAST_LENGTH
    other_x, other_y, other_z = perpendicular(x, y, z, 1.0, 0.0)
    inverse = 1.0 / (1.0 if flat else length)
    side_x = other_x if flat else side_x * inverse
    side_y = other_y if flat else side_y * inverse
    side_z = other_z if flat else side_z * inverse
    within = along >= cosine
    new_x = to_x if within else cosine * x + sine * side_x
    new_y = to_y if within else cosine * y + sine * side_y
    new_z = to_z if within else cosine * z + sine * side_z
    inverse = 1.0 / math.sqrt(new_x * new_x + new_y * new_y + new_z * new_z)
    return new_x * inverse, new_y * inverse, new_z * inverse
