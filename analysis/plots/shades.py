"""Colours that are found from others: maps that stand out from the page, hues of directions, fading."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, to_rgb
from numpy.typing import ArrayLike, NDArray

from simengine.analysis.plots.style import SEQUENTIAL, colours

Floats = NDArray[np.float64]

LEVELS = 256
LEAST_CONTRAST = 1.7
"""Contrast (WCAG 2) with the page below which the ends of a colour map are left out."""

CHROMA = 0.13
LIGHTNESS_ON_LIGHT, LIGHTNESS_ON_DARK = 0.58, 0.76

FROM_OKLAB = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
TO_LINEAR_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def page() -> Floats:
    """Return the colour behind everything, as matplotlib is set."""
    return np.array(to_rgb(mpl.rcParams["axes.facecolor"]))


def ink() -> str:
    """Return the colour of text, as matplotlib is set."""
    return str(mpl.rcParams["text.color"])


def luminance(rgb: ArrayLike) -> Any:
    """Return the relative luminance of sRGB colours, shape (..., 3)."""
    values = np.asarray(rgb, dtype=np.float64)
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def dark_page() -> bool:
    """Return whether the page is dark."""
    return bool(luminance(page()) < 0.2)


def contrast(rgb: ArrayLike, other: ArrayLike) -> Any:
    """Return the contrast (WCAG 2) of colours with another, from 1 to 21."""
    one, two = luminance(rgb), luminance(other)
    return (np.maximum(one, two) + 0.05) / (np.minimum(one, two) + 0.05)


def visible(name: str = SEQUENTIAL) -> Colormap:
    """Return the part of a colour map that stands out from the page."""
    whole = mpl.colormaps[name](np.linspace(0.0, 1.0, LEVELS))[:, :3]
    apart = np.flatnonzero(contrast(whole, page()) >= LEAST_CONTRAST)
    kept = whole[apart[0] : apart[-1] + 1] if apart.size else whole
    return LinearSegmentedColormap.from_list(f"{name} on this page", kept, LEVELS)


def around_page() -> Colormap:
    """Return a diverging map whose middle is the page: the first colour of lines below, the second above."""
    below, above = (to_rgb(shade) for shade in colours()[:2])
    return LinearSegmentedColormap.from_list("around the page", np.array([below, page(), above]), LEVELS)


def hues() -> Colormap:
    """Return a cyclic map of one lightness (Oklab: Ottosson 2020), for directions."""
    angle = np.linspace(0.0, 2.0 * np.pi, LEVELS, endpoint=False)
    lightness = np.full(LEVELS, LIGHTNESS_ON_DARK if dark_page() else LIGHTNESS_ON_LIGHT)
    oklab = np.stack([lightness, CHROMA * np.cos(angle), CHROMA * np.sin(angle)], axis=1)
    linear = np.clip((oklab @ FROM_OKLAB.T) ** 3 @ TO_LINEAR_RGB.T, 0.0, 1.0)
    return ListedColormap(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055), "hues")


def faded(rgb: ArrayLike, strength: ArrayLike) -> Floats:
    """Return colours mixed with the page: of strength 1 they stay, of strength 0 they are the page."""
    share = np.asarray(strength, dtype=np.float64)[..., None]
    return np.asarray(share * np.asarray(rgb, dtype=np.float64)[..., :3] + (1.0 - share) * page())
