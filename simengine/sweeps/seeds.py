"""Seeds of the runs of a sweep: a function of the sweep's seed, the swept values and the replicate, never of order."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from simengine.errors import InputError
from simengine.scenario.parameters import shown

LARGEST_SEED = 2**63 - 1
_json = json.JSONEncoder(separators=(",", ":")).encode


def run_seed(sweep_seed: int, point: Mapping[str, Any], replicate: int) -> int:
    """Return the seed of one run, 0 to 2**63 - 1.

    It is the beginning of a BLAKE2b hash of the three as canonical JSON, the parameters sorted by name. Numbers count
    by their value: 1, 1.0 and ``numpy.float32(1)`` are the same, so are 0.0 and -0.0; ``True`` is no number.

    Parameters
    ----------
    sweep_seed
        The seed of the sweep, 0 to 2**64 - 1.
    point
        The values of the swept parameters only, not of those that are fixed.
    replicate
        Number of the replicate, from 0.

    Raises
    ------
    InputError
        For a value that is no finite number, text, boolean or ``None``.
    """
    named = [[name, _canonical(name, point[name])] for name in sorted(point)]
    text = _json([operator.index(sweep_seed), named, operator.index(replicate)])
    digest = hashlib.blake2b(text.encode("ascii"), digest_size=8, person=b"simengine sweep").digest()
    return int.from_bytes(digest, "big") & LARGEST_SEED


def _canonical(name: str, value: Any) -> Any:
    """Return a value such that equal values, and no others, have the same JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if value - value != 0.0:
            raise InputError(f"{name}: got {shown(value)}, the value of a parameter is finite")
        return int(value) if value.is_integer() else float(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise InputError(f"{name}: got {shown(value)}, a value is a number, a text, a boolean or None")
