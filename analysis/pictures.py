"""Which pictures fit a Dataset: those of a report, and of the scenario gallery.

A rule looks at what a Dataset holds and proposes pictures (`simengine.analysis.picture_rules`). Nothing is drawn, and
of snapshots nothing read, before `Picture.draw` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import xarray as xr
from matplotlib.axes import Axes


@dataclass(frozen=True)
class Picture:
    """One picture of a Dataset.

    Parameters
    ----------
    name
        A word for file names and anchors, letters, digits and hyphens.
    title, caption
        What it shows, and what to look for in it, in a sentence.
    draw
        Draws on the axes given, or on new ones, and returns them.
    solid
        Whether the axes are three-dimensional.
    many_marks
        Whether it has thousands of marks, so that pixels are smaller than shapes.
    size
        Width and height in inches.
    left_out
        What of the data it does not show, in a few words; empty where it shows all.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Axes | None], Axes]
    solid: bool = False
    many_marks: bool = False
    size: tuple[float, float] = (6.6, 4.0)
    left_out: str = ""


Rule = Callable[[xr.Dataset], Iterable[Picture]]

MOST = 8


def pictures_of(data: xr.Dataset, most: int = MOST, rules: Sequence[Rule] | None = None) -> list[Picture]:
    """Return pictures that fit a run or a sweep, the most telling first, each name once.

    ``rules`` are by default those of `simengine.analysis.picture_rules`.
    """
    # Rules make pictures, and know the plots, which take longer to import.
    from simengine.analysis import picture_rules

    found: dict[str, Picture] = {}
    for rule in picture_rules.RULES if rules is None else rules:
        for picture in rule(data):
            found.setdefault(picture.name, picture)
    return list(found.values())[:most]
