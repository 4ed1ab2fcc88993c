"""Pictures as images within a page, for light and for dark ones: as shapes, or as pixels where marks are many."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

from simengine.analysis.pictures import Picture
from simengine.analysis.plots.style import Mode, theme
from simengine.analysis.report import wording
from simengine.errors import one_line

MOST_BYTES_OF_SHAPES = 150_000
DOTS_PER_INCH, COLOURS = 170, 128
MODES: tuple[Mode, Mode] = ("light", "dark")


@dataclass(frozen=True)
class Shown:
    """A picture as a page shows it.

    Parameters
    ----------
    name, title, caption
        Those of the picture.
    sources
        Addresses that hold the images themselves (``data:``), by mode; empty where it could not be drawn.
    width, height
        In units of the page.
    problem
        Why it could not be drawn, in a line.
    """

    name: str
    title: str
    caption: str
    light: str = ""
    dark: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""


def shown(picture: Picture) -> Shown:
    """Draw a picture for both modes; whatever goes wrong is told in its place."""
    drawn: dict[Mode, str] = {}
    # The rules saw texts made for figures, and a page has no formulas.
    title, caption = (wording.as_written(text) for text in (picture.title, picture.caption))
    try:
        for mode in MODES:
            drawn[mode] = _drawn(picture, mode)
    except Exception as error:  # the page is worth more than a picture
        return Shown(picture.name, title, caption, problem=reason(error))
    width, height = (round(96 * inches) for inches in picture.size)
    return Shown(picture.name, title, caption, drawn["light"], drawn["dark"], width, height)


def reason(error: Exception) -> str:
    """Return in a line what went wrong."""
    return wording.cut(wording.without_folders(one_line(f"{type(error).__name__}: {error}")))


def _drawn(picture: Picture, mode: Mode) -> str:
    with theme(mode), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        figure = Figure(figsize=picture.size)
        axes = figure.add_subplot(projection="3d") if picture.solid else figure.add_subplot()
        picture.draw(axes)
        if not picture.many_marks:
            shapes = _saved(figure, "svg")
            if len(shapes) <= MOST_BYTES_OF_SHAPES:
                return _address("image/svg+xml", shapes)
        return _address("image/png", _fewer_colours(_saved(figure, "png")))


def _saved(figure: Figure, kind: str) -> bytes:
    import matplotlib as mpl

    page = io.BytesIO()
    # Readers have other fonts than whoever drew: texts are kept as shapes, so that nothing moves.
    with mpl.rc_context({"svg.fonttype": "path"}):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(page, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
    return page.getvalue()


def _fewer_colours(content: bytes) -> bytes:
    """Return an image in the colours of a palette, which takes a third of the bytes."""
    with Image.open(io.BytesIO(content)) as image:
        page = io.BytesIO()
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(page, "png", optimize=True)
    return page.getvalue()


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def for_figures(data: xr.Dataset) -> xr.Dataset:
    """Return a Dataset whose texts figures show as they are; values stay where they are, unread."""
    plain = data.copy(deep=False)
    for name in plain.variables:
        variable = plain[name]
        texts = {key: value for key, value in variable.attrs.items() if isinstance(value, str) and "$" in value}
        if texts:
            variable.attrs.update({key: wording.plain_for_figures(value) for key, value in texts.items()})
    return plain.assign_coords({name: _plain(plain[name]) for name in _coordinates_with_formulas(plain)})


def _coordinates_with_formulas(data: xr.Dataset) -> list[Hashable]:
    return [
        name
        for name, found in data.coords.items()
        if found.dtype.kind in "OU" and any("$" in str(value) for value in found.values.ravel())
    ]


def _plain(found: xr.DataArray) -> xr.DataArray:
    texts = [wording.plain_for_figures(str(value)) for value in found.values.ravel()]
    return found.copy(data=np.array(texts, dtype=object).reshape(found.shape))
