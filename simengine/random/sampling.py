"""The formula of each kind of draw, for one agent or for arrays of agents alike.

``key`` is a :func:`~simengine.random.philox.step_key`; ids are non-negative ``int64``; ``other`` is the
second id of a pair and ``block`` (below 2**63) numbers further blocks of one name. One name stands for one
kind of draw: two kinds drawn under the same key read the same bits. A pair's ``*_symmetric`` draw does not
depend on the order of its ids; the ``*_pair`` draw does, and equals the symmetric one when ``id <= other``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from simengine.random.elementary import log_unit, sincos_turn, square_root
from simengine.random.philox import AGENT_TAG, Words, block

Id: TypeAlias = Any
Real: TypeAlias = Any

_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_11 = np.uint64(11)
_ONE = np.uint64(1)
_UNIT = 2.0**-53


def agent_block(key: Words, id: Id, number: Id) -> tuple[Words, Words]:
    """Return the 128 bits of block ``number`` of one agent."""
    return block(key, np.uint64(id), AGENT_TAG | np.uint64(number))


def pair_block(key: Words, id: Id, other: Id) -> tuple[Words, Words]:
    """Return the 128 bits of the directed pair ``id -> other``."""
    return block(key, np.uint64(id), np.uint64(other))


def symmetric_block(key: Words, id: Id, other: Id) -> tuple[Words, Words]:
    """Return the 128 bits of the pair of two agents, whichever is named first."""
    return block(key, np.uint64(np.minimum(id, other)), np.uint64(np.maximum(id, other)))


def unit_from_bits(word: Words) -> Real:
    """Return the 53-bit number in ``[0, 1)`` given by the upper bits of a word."""
    return np.float64(word >> _11) * _UNIT


def index_from_bits(word: Words, low: Id, high: Id) -> Id:
    """Return a whole number of ``low <= n < high``: the upper half of the product of word and ``high - low``.

    Each value's probability is within 2**-64 of ``1 / (high - low)``, which must lie within ``[1, 2**63)``.
    """
    span = np.uint64(high - low)
    word_low = word & _LOW
    word_high = word >> _32
    span_low = span & _LOW
    span_high = span >> _32
    middle = word_high * span_low + ((word_low * span_low) >> _32)
    carry = word_low * span_high + (middle & _LOW)
    return low + np.int64(word_high * span_high + (middle >> _32) + (carry >> _32))


def normals_from_bits(first: Words, second: Words) -> tuple[Real, Real]:
    """Return two independent standard normals (Box & Muller 1958); none exceeds 8.58 in size.

    The radius comes from ``(k + 1) / 2**53`` for the 53-bit number ``k``, never zero; the angle from
    ``second``.
    """
    radius = square_root(-2.0 * log_unit(np.float64((first >> _11) + _ONE) * _UNIT))
    sine, cosine = sincos_turn(unit_from_bits(second))
    return radius * cosine, radius * sine


def bits(key: Words, id: Id) -> Words:
    """Return 64 random bits as ``uint64``: a key to sort by, to permute by or to choose a sample by."""
    return agent_block(key, id, 0)[0]


def bits_block(key: Words, id: Id, block: Id) -> Words:
    """Return 64 random bits of one further block."""
    return agent_block(key, id, block)[0]


def bits_pair(key: Words, id: Id, other: Id) -> Words:
    """Return 64 random bits of a directed pair."""
    return pair_block(key, id, other)[0]


def bits_symmetric(key: Words, id: Id, other: Id) -> Words:
    """Return 64 random bits of an unordered pair."""
    return symmetric_block(key, id, other)[0]


def uniform(key: Words, id: Id) -> Real:
    """Return a number of ``[0, 1)``, a multiple of 2**-53."""
    return unit_from_bits(agent_block(key, id, 0)[0])


def uniform_block(key: Words, id: Id, block: Id) -> Real:
    """Return a number of ``[0, 1)`` from one further block."""
    return unit_from_bits(agent_block(key, id, block)[0])


def uniform_between(key: Words, id: Id, low: Real, high: Real) -> Real:
    """Return ``low + (high - low) u`` for a uniform ``u``; rounding may reach ``high`` itself."""
    return low + (high - low) * uniform(key, id)


def uniform_pair(key: Words, id: Id, other: Id) -> Real:
    """Return a number of ``[0, 1)`` of a directed pair."""
    return unit_from_bits(pair_block(key, id, other)[0])


def uniform_symmetric(key: Words, id: Id, other: Id) -> Real:
    """Return a number of ``[0, 1)`` of an unordered pair."""
    return unit_from_bits(symmetric_block(key, id, other)[0])


def two_uniforms(key: Words, id: Id) -> tuple[Real, Real]:
    """Return two independent numbers of ``[0, 1)``, the first equal to :func:`uniform`."""
    first, second = agent_block(key, id, 0)
    return unit_from_bits(first), unit_from_bits(second)


def integer(key: Words, id: Id, low: Id, high: Id) -> Id:
    """Return a whole number of ``low <= n < high``; ``high > low`` is the caller's duty."""
    return index_from_bits(agent_block(key, id, 0)[0], low, high)


def integer_block(key: Words, id: Id, low: Id, high: Id, block: Id) -> Id:
    """Return a whole number of ``low <= n < high`` from one further block."""
    return index_from_bits(agent_block(key, id, block)[0], low, high)


def integer_pair(key: Words, id: Id, other: Id, low: Id, high: Id) -> Id:
    """Return a whole number of ``low <= n < high`` of a directed pair."""
    return index_from_bits(pair_block(key, id, other)[0], low, high)


def integer_symmetric(key: Words, id: Id, other: Id, low: Id, high: Id) -> Id:
    """Return a whole number of ``low <= n < high`` of an unordered pair."""
    return index_from_bits(symmetric_block(key, id, other)[0], low, high)


def two_normals(key: Words, id: Id) -> tuple[Real, Real]:
    """Return two independent standard normals, the first that of :func:`normal`."""
    first, second = agent_block(key, id, 0)
    return normals_from_bits(first, second)


def normal(key: Words, id: Id, mean: Real, sd: Real) -> Real:
    """Return a normal number of the given mean and standard deviation."""
    return normal_block(key, id, mean, sd, 0)


def normal_block(key: Words, id: Id, mean: Real, sd: Real, block: Id) -> Real:
    """Return a normal number from one further block."""
    first, second = agent_block(key, id, block)
    return mean + sd * normals_from_bits(first, second)[0]


def normal_pair(key: Words, id: Id, other: Id, mean: Real, sd: Real) -> Real:
    """Return a normal number of a directed pair."""
    first, second = pair_block(key, id, other)
    return mean + sd * normals_from_bits(first, second)[0]


def normal_symmetric(key: Words, id: Id, other: Id, mean: Real, sd: Real) -> Real:
    """Return a normal number of an unordered pair."""
    first, second = symmetric_block(key, id, other)
    return mean + sd * normals_from_bits(first, second)[0]


def unit_vector_2(key: Words, id: Id) -> tuple[Real, Real]:
    """Return ``(x, y)`` of a direction in the plane, uniform on the circle."""
    sine, cosine = sincos_turn(uniform(key, id))
    return cosine, sine


def unit_vector_3(key: Words, id: Id) -> tuple[Real, Real, Real]:
    """Return ``(x, y, z)`` of a direction in space, uniform on the sphere (Archimedes: ``z`` is uniform)."""
    turn, height = two_uniforms(key, id)
    sine, cosine = sincos_turn(turn)
    radius = 2.0 * square_root(height * (1.0 - height))
    return radius * cosine, radius * sine, 2.0 * height - 1.0
