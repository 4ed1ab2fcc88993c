"""How figures look: one palette told apart by the colour-blind, for light and for dark pages.

Plots take all colours from matplotlib's own settings, or from `colours`, so that they fit whatever style a
notebook has set; ``with theme("dark"):`` sets one of these two.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from cycler import cycler

Mode = Literal["light", "dark"]

LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#5b6470")
DARK = ("#56b4e9", "#f0883e", "#3fc7a0", "#e39fc6", "#e0c341", "#9ecbff", "#9aa4b2")
"""After Okabe & Ito (2008), darkened or brightened to a contrast of at least 3 : 1 with the page."""

SEQUENTIAL, DIVERGING, CYCLIC = "viridis", "RdBu_r", "twilight"

_SHARED: dict[str, Any] = {
    "figure.dpi": 110, "savefig.dpi": 160, "figure.constrained_layout.use": True,
    "font.size": 11, "axes.titlesize": 12, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.linewidth": 0.6, "lines.linewidth": 1.7, "legend.frameon": False, "image.cmap": SEQUENTIAL,
    "svg.fonttype": "none", "svg.hashsalt": "simengine",
}  # fmt: skip


def _of(page: str, ink: str, quiet: str, grid: str, palette: tuple[str, ...]) -> dict[str, Any]:
    return {
        "figure.facecolor": page, "axes.facecolor": page, "savefig.facecolor": page, "text.color": ink,
        "axes.labelcolor": ink, "axes.titlecolor": ink, "axes.edgecolor": quiet, "xtick.color": quiet,
        "ytick.color": quiet, "xtick.labelcolor": ink, "ytick.labelcolor": ink, "grid.color": grid,
        "axes.prop_cycle": cycler(color=palette),
    }  # fmt: skip


SETTINGS: dict[Mode, Any] = {
    "light": _SHARED | _of("#ffffff", "#1f2328", "#6e7781", "#e3e6ea", LIGHT),
    "dark": _SHARED | _of("#0f141a", "#e6edf3", "#8b949e", "#262d36", DARK),
}


@contextmanager
def theme(mode: Mode = "light") -> Iterator[None]:
    """Draw with the look of simengine's own figures, on a light or on a dark page.

    >>> with theme("dark"):
    ...     pass
    """
    with mpl.rc_context(SETTINGS[mode]):
        yield


def use(mode: Mode = "light") -> None:
    """Draw with the look of simengine's own figures from now on, as at the top of a notebook."""
    mpl.rcParams.update(SETTINGS[mode])


def colours() -> list[str]:
    """Return the colours of lines, in their order, as matplotlib is set."""
    return list(mpl.rcParams["axes.prop_cycle"].by_key().get("color", LIGHT))


def quiet() -> str:
    """Return the colour of what stands in the background: nulls, references, edges of a network."""
    return str(mpl.rcParams["axes.edgecolor"])
