"""Chances of what was seen, adjusted for how many comparisons were looked at.

Not corrected for: looking at results before deciding what to compare, which no formula knows of.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, nearest

METHODS = {
    "holm": "family-wise error rate (Holm 1979)",
    "bonferroni": "family-wise error rate (Bonferroni)",
    "benjamini_hochberg": "false discovery rate (Benjamini & Hochberg 1995)",
}
"""What each method holds below the level: the chance of a single wrong claim, or the share of wrong ones."""


def checked_correction(method: str | None) -> str | None:
    """Return the name of a correction; ``InputError`` for one that there is not."""
    if method is None or (isinstance(method, str) and method in METHODS):
        return method
    raise InputError(
        f"correction: got {method!r}, allowed are {', '.join(METHODS)} and None{nearest(str(method), METHODS)}"
    )


def looked_at_in_all(looked_at: int | None, shown: int) -> int:
    """Return how many comparisons there were; ``InputError`` if fewer are said than there are."""
    if looked_at is None:
        return shown
    whole = isinstance(looked_at, int | np.integer) and not isinstance(looked_at, bool)
    if not whole or looked_at < shown:
        raise InputError(
            f"looked_at: got {looked_at!r}, allowed is a whole number of all comparisons that were looked at, at least "
            f"the {shown} that are shown"
        )
    return int(looked_at)


def adjust(p: NDArray[np.float64], method: str | None = "holm", looked_at: int | None = None) -> NDArray[np.float64]:
    """Return chances adjusted for the number of comparisons: compare them with the level itself.

    Parameters
    ----------
    p
        Chances between 0 and 1, any shape; NaN stays NaN, and counts as a comparison.
    method
        ``"holm"``: ``p_(i) (m - i + 1)`` made monotone, i the rank of p among m (Holm 1979, Scand. J. Stat. 6, 65-70);
        ``"bonferroni"``: ``m p``; ``"benjamini_hochberg"``: ``p_(i) m / i`` made monotone (Benjamini & Hochberg 1995,
        J. R. Stat. Soc. B 57, 289-300; of independent or positively dependent comparisons); None: as they are.
    looked_at
        Number m of comparisons in all, those that are not among ``p`` included, which count as if their p were 1.
        Default: all of ``p``.

    Raises
    ------
    InputError
        For chances outside 0 to 1, an unknown method, or fewer comparisons than there are.
    """
    checked_correction(method)
    given = np.asarray(p, np.float64)
    if ((given < 0.0) | (given > 1.0)).any():
        raise InputError("p: allowed are numbers from 0 to 1")
    m = looked_at_in_all(looked_at, given.size)
    if method is None:
        return given.copy()
    flat = given.ravel()
    adjusted = np.full(flat.shape, np.nan)
    order = np.argsort(flat, kind="stable")[: int(np.isfinite(flat).sum())]
    ranks = np.arange(1, len(order) + 1)
    if method == "holm":
        adjusted[order] = np.maximum.accumulate(flat[order] * (m - ranks + 1))
    elif method == "bonferroni":
        adjusted[order] = flat[order] * m
    else:
        adjusted[order] = np.minimum.accumulate((flat[order] * m / ranks)[::-1])[::-1]
    found: NDArray[np.float64] = np.minimum(adjusted, 1.0).reshape(given.shape)
    return found
