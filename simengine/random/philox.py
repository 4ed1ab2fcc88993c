"""Philox4x32-10 and the keys that name a draw.

The generator is the ten-round Philox of Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as
1, 2, 3" (SC11), doi:10.1145/2063384.2063405; it passes the known answers published with Random123.

How a number gets its name (fixed: every recorded result depends on it)
    1. ``stream_key(seed, population, phase, name)`` is 8 bytes of blake2b over an unambiguous encoding.
    2. ``step_key(stream, step, event)`` is the first 64 bits of the Philox block with the stream as key and
       (step, event) as counter.
    3. A draw of agent ``id`` is the block with the step key as key and ``id`` as the low half of the counter.
       The high half is ``AGENT_TAG + block`` for one agent, or the other agent's id for a pair, so that an
       agent's own draws never meet those of its pairs: ids are non-negative ``int64`` and leave the top bit
       clear.

A block is 128 bits, given as two ``uint64``. The functions here take scalars or whole ``uint64`` arrays
alike, and ``draws`` compiles the very same functions. 32-bit words live in ``uint64``, where products
cannot overflow.
"""

from __future__ import annotations

import hashlib
import operator
from typing import Any, TypeAlias

import numpy as np

Words: TypeAlias = Any
"""A ``numpy.uint64``, or an array of them, or what a compiled function makes of either."""

AGENT_TAG = np.uint64(1 << 63)
"""Set in the high half of the counter of a draw that belongs to one agent; clear in that of a pair."""

_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)


def philox4x32(x0: Words, x1: Words, x2: Words, x3: Words, k0: Words, k1: Words) -> tuple[Words, Words, Words, Words]:
    """Return the four 32-bit words that Philox4x32-10 makes of a counter ``x0..x3`` under a key ``k0, k1``.

    Every argument and result is a 32-bit word held in a ``uint64``.
    """
    for _ in range(10):
        product_0 = _MULTIPLIER_0 * x0
        product_1 = _MULTIPLIER_1 * x2
        x0 = (product_1 >> _32) ^ x1 ^ k0
        x1 = product_1 & _LOW
        x2 = (product_0 >> _32) ^ x3 ^ k1
        x3 = product_0 & _LOW
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return x0, x1, x2, x3


def block(key: Words, low: Words, high: Words) -> tuple[Words, Words]:
    """Return the 128 bits of one Philox block as two ``uint64``: words 0, 1 and words 2, 3, lower word first.

    The 64-bit key and both 64-bit halves of the counter are cut into words in the same order.
    """
    x0, x1, x2, x3 = philox4x32(low & _LOW, low >> _32, high & _LOW, high >> _32, key & _LOW, key >> _32)
    return x0 | (x1 << _32), x2 | (x3 << _32)


def step_key(stream: Words, step: Any, event: Any) -> Words:
    """Return the key of one stream at a step (and event within it), both non-negative ``int64``.

    Two steps of a stream share a key with probability 2**-64.
    """
    return block(stream, np.uint64(step), np.uint64(event))[0]


def stream_key(seed: int, population: str, phase: str, name: str) -> np.uint64:
    """Return the key of the stream that a seed, a population, a phase and a draw's name stand for.

    ``seed`` is any whole number. Each part is preceded by its length in bytes, so that no two namings are
    encoded alike.
    """
    parts = (str(operator.index(seed)), population, phase, name)
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        text = part.encode()
        digest.update(len(text).to_bytes(8, "little"))
        digest.update(text)
    return np.uint64(int.from_bytes(digest.digest(), "little"))
