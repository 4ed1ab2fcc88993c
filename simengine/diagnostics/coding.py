"""Cross entropy: the mean code length of samples of one variable in the code of another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import psi

from simengine.diagnostics.counts.tables import bin_edges, binned, encode
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, normal_interval
from simengine.diagnostics.samples import checked_values, is_discrete
from simengine.errors import InputError


def cross_entropy(x: Any, y: Any, *, unit: str = "nat", bins: Any = None, range: Any = None) -> Estimate:
    """Estimate -sum p ln q, where x are samples of p and y samples of q, of labels or of numbers in bins.

    The logarithm of q is psi(m) - psi(total), whose expectation is nearly the logarithm (Grassberger 2003). A state
    that y never takes counts as seen half a time, and ``unseen_states`` is raised; below 50 samples of either,
    ``few_samples``. The variance is that of ln q over x, plus that of the counts of y.

    Parameters
    ----------
    x, y
        Samples of shape (n,) and (m,), labels of any type, or numbers with ``bins``.
    unit
        "nat" or "bit".
    bins, range
        Edges, or a number of equal bins over the range.
    """
    checked_unit(unit)
    a, outside_a = _symbols(x, "x", bins, range)
    b, outside_b = _symbols(y, "y", bins, range)
    if bins is not None:
        states = bin_edges(bins, range).size - 1
    else:
        both, states = encode(np.concatenate([a, b]))
        a, b = both[: len(a)], both[len(a) :]
    p = np.bincount(a, minlength=states) / len(a)
    q = np.bincount(b, minlength=states).astype(np.float64)
    seen = p > 0.0
    missing = bool((q[seen] == 0.0).any())
    q[seen & (q == 0.0)] = 0.5
    log_q = psi(q[seen]) - psi(len(b)) if not missing else np.log(q[seen] / q.sum())
    share = p[seen]
    value = -math.fsum((share * log_q).tolist())
    of_x = float(share @ (log_q + value) ** 2) / len(a)
    of_y = max(float((share**2 * len(b) / q[seen]).sum()) - 1.0, 0.0) / len(b)
    second = (np.count_nonzero(seen) - 1) / (2.0 * min(len(a), len(b)) ** 2)
    error = math.sqrt(of_x + of_y + second)
    flags = flagged(
        "unseen_states" if missing else None, "few_samples" if min(len(a), len(b)) < 50 else None,
        "outside_range" if outside_a or outside_b else None, "constant" if np.count_nonzero(p + q) == 1 else None,
    )  # fmt: skip
    low, high = normal_interval(value, error, lowest=0.0)
    return Estimate(
        value, error, (float(low), float(high)), n=len(a), method="cross-entropy", flags=flags,
        details={"states": states, "samples_of_code": len(b)},
    ).to(unit)  # fmt: skip


def _symbols(values: Any, word: str, bins: Any, range: Any) -> tuple[NDArray[Any], int]:
    array = checked_values(values, word)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{word} has shape {array.shape}; expected samples of shape (n,)")
    if bins is not None:
        if array.dtype.kind not in "biuf":
            raise InputError(f"{word} holds texts; only numbers can be put into bins")
        return binned(array.astype(np.float64), bins, range, word)
    if not is_discrete(array):
        raise InputError(f"{word} holds fractions where states are counted; give whole numbers, or bins=")
    return array, 0
