"""Axes to draw on, and words for them from the attributes of what is drawn."""

from __future__ import annotations

from typing import Any, cast

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D

from simengine.errors import InputError

PLAIN_UNITS = ("", "1")


def axes_or_new(ax: Axes | None) -> Axes:
    """Return the axes given, or those of a new figure."""
    if ax is None:
        return plt.figure().add_subplot()
    if not isinstance(ax, Axes):
        raise InputError(f"ax: got {type(ax).__name__}, allowed is one matplotlib Axes")
    return ax


def solid_axes_or_new(ax: Axes | None) -> Axes3D:
    """Return the three-dimensional axes given, or those of a new figure."""
    if ax is None:
        return cast(Axes3D, plt.figure(figsize=(6, 6)).add_subplot(projection="3d"))
    if not isinstance(ax, Axes3D):
        raise InputError('ax: got flat axes, allowed are those made with projection="3d"')
    return ax


def label(values: xr.DataArray | None, name: str | None = None, unit: str | None = None) -> str:
    """Return what to write beside an axis: the long name, or the name in words, and the unit in brackets."""
    attributes: dict[str, Any] = {} if values is None else values.attrs
    text = str(attributes.get("long_name") or name or (values.name if values is not None else "") or "")
    text = text.replace("_", " ") if " " not in text else text
    said = str(attributes.get("units", "") if unit is None else unit)
    text = text[:1].upper() + text[1:]
    return text if said in PLAIN_UNITS else f"{text} ({said})"
