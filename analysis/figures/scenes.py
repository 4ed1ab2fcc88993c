"""What a scene is, one telling picture of a shipped scenario: what to run, and what to draw of it.

A scene is a function that runs its scenario and returns what draws the result on given axes; it is drawn twice, for
light and for dark pages. Sizes are small: all scenes together take some minutes, most of them compiling. The scenes
are in `scenes_of_crowds` and `scenes_of_interests`; to import these is to enter them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import xarray as xr
from matplotlib.axes import Axes

import simengine

Draw = Callable[[Axes], Any]


@dataclass(frozen=True)
class Scene:
    """What to run and draw of one scenario, and whether its axes are three-dimensional."""

    make: Callable[[], Draw]
    solid: bool = False


SCENES: dict[str, Scene] = {}


def scene(name: str, solid: bool = False) -> Callable[[Callable[[], Draw]], Callable[[], Draw]]:
    """Enter a function as the scene of a scenario."""

    def enter(make: Callable[[], Draw]) -> Callable[[], Draw]:
        SCENES[name] = Scene(make, solid)
        return make

    return enter


def sweep(scenario: str, design: Any, **settings: Any) -> xr.Dataset:
    """Run a sweep in this process and return what came of it."""
    return simengine.sweep(scenario, design, seed=1, workers=1, progress=False, **settings).load()


def run(scenario: str, **settings: Any) -> xr.Dataset:
    """Run a scenario."""
    return simengine.run(scenario, seed=settings.pop("seed", 1), progress=False, **settings)


def titled(ax: Axes, title: str, **settings: Any) -> Axes:
    """Set a title and other properties of axes."""
    ax.set(title=title, **settings)
    return ax
