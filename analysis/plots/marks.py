"""What plots of runs and sweeps share: words that fit, limits, colours in an order, labels at the ends of lines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from simengine.analysis.contents import REPLICATE, RUN, TIME
from simengine.analysis.plots.axes import axes_or_new, label
from simengine.analysis.plots.style import colours
from simengine.errors import InputError
from simengine.store.layout import STEP_OF

Array = NDArray[np.float64]

STEP = STEP_OF[TIME]

AIR = 0.03
"""Share of the span of an axis that is left free beside its valid range."""
WIDTH_OF_LETTER = 0.52
"""Mean width of a letter over the size of its font."""
LINE = 1.3
"""Height of a line of text over the size of its font."""


def new_axes(ax: Axes | None) -> Axes:
    """Return the axes given, or those of a new figure that leaves room for what is written beside its axes."""
    made = axes_or_new(ax)
    if ax is None and isinstance(made.figure, Figure) and not makes_room(made):
        made.figure.set_layout_engine("constrained")
    return made


def makes_room(ax: Axes) -> bool:
    """Whether the figure moves axes apart for what is written beside them."""
    return ax.figure.get_layout_engine() is not None


def dataset_of(data: Any, who: str) -> xr.Dataset:
    """Return a Dataset of what a plot was given: itself, or a DataArray by its name.

    Raises
    ------
    InputError
        When it is neither.
    """
    if isinstance(data, xr.DataArray):
        return _with_times(data.to_dataset(name=data.name or "value"))
    if isinstance(data, xr.Dataset):
        return _with_times(data)
    hint = "; simengine.open(path) gives one" if isinstance(data, str) or hasattr(data, "__fspath__") else ""
    raise InputError(f"{who}: got {type(data).__name__}, allowed is a Dataset or a DataArray of xarray{hint}")


def _with_times(data: xr.Dataset) -> xr.Dataset:
    """Return a Dataset whose records have places: where runs have times of their own, the numbers of their steps."""
    if TIME not in data.dims or TIME in data.coords or STEP not in data.coords or data[STEP].dims != (TIME,):
        return data
    return data.assign_coords({TIME: (TIME, data[STEP].values, {"long_name": "number of the step", "units": "1"})})


def probability_of(level: float, who: str) -> float:
    """Return a level of confidence that lies between 0 and 1."""
    number = isinstance(level, int | float | np.number) and not isinstance(level, bool)
    if not number or not 0.0 < level < 1.0:
        raise InputError(f"{who}: level: got {level!r}, allowed is 0 < level < 1, as 0.95")
    return float(level)


def normal_width(level: float) -> float:
    """Return how many standard errors an interval of a level reaches to each side, for normal errors."""
    return float(ndtri(0.5 + level / 2.0))


def mean_and_half_width(values: Array, level: float) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return mean, half the width of Student's interval, and number of what is known, along the first axis.

    The half-width is not-a-number where fewer than two values are known.
    """
    known = np.isfinite(values)
    number = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / np.where(number > 0, number, np.nan)
        squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
        error = np.sqrt(squares / np.where(number > 1, number - 1, np.nan) / number)
    quantile = stdtrit(np.maximum(number - 1, 1), 0.5 + level / 2.0)
    return mean, quantile * error, number


def last_known(values: Array) -> Array:
    """Return the last finite value along the last axis, not-a-number where there is none."""
    values = np.asarray(values, np.float64)
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    known = np.isfinite(values)
    at = values.shape[-1] - 1 - np.argmax(known[..., ::-1], axis=-1)
    found: Array = np.take_along_axis(values, at[..., None], axis=-1)[..., 0]
    return found


def at_the_end(values: xr.DataArray) -> xr.DataArray:
    """Return the last record of each run; a run that stopped early has its last one before the others."""
    if TIME not in values.dims:
        return values
    last = values.isel({TIME: -1})
    if last.dtype.kind in "iub" or bool(np.isfinite(last.values).all()):
        return last
    return last.copy(data=last_known(values.transpose(..., TIME).values))


def is_geometric(values: Iterable[Any]) -> bool:
    """Whether numbers in rising order are spread by factors rather than by steps: the axis of a sweep is then a log."""
    try:
        given = np.asarray(list(values), np.float64)
    except (TypeError, ValueError):
        return False
    if len(given) < 3 or not (given > 0.0).all() or given[-1] < 4.0 * given[0]:
        return False
    steps, factors = np.diff(given), np.diff(np.log(given))
    return bool((steps > 0.0).all() and factors.std() / factors.mean() < steps.std() / steps.mean())


def room_for_letters(ax: Axes, along: str = "x", size: Any = None) -> int:
    """Return about how many letters fit along a side of the axes."""
    points = FontProperties(size=mpl.rcParams["axes.labelsize"] if size is None else size).get_size_in_points()
    box = ax.get_window_extent()
    pixels = box.width if along == "x" else box.height
    return max(int(pixels * 72.0 / ax.figure.dpi / (points * WIDTH_OF_LETTER)), 12)


def wrapped(text: str, width: int) -> str:
    """Return a text in lines of about a width; a unit in brackets stays in one piece."""
    return textwrap.fill(text, max(width, 12), break_long_words=False, break_on_hyphens=False)


def label_axis(ax: Axes, along: str, text: str) -> None:
    """Write beside an axis, in as many lines as are needed."""
    set_label = ax.set_xlabel if along == "x" else ax.set_ylabel
    set_label(wrapped(text, room_for_letters(ax, along)))


def parameter_label(data: xr.Dataset | xr.DataArray, name: str, unit: str = "1") -> str:
    """Return what to write beside the axis of a parameter: its long name if that is short, and its unit."""
    said = data[name] if name in data.coords else None
    text = str(said.attrs.get("long_name", "")) if said is not None else ""
    unit = str(said.attrs.get("units", unit)) if said is not None else unit
    text = text if 0 < len(text) <= 44 else name_of(name)
    # One letter and a number of things, as n_agents has them, is not the beginning of a sentence.
    return (
        label(None, text, unit)
        if not name.startswith("n_") or " of " in text
        else label(None, f"number of {text[2:]}", unit)
    )


def label_time(ax: Axes, data: xr.Dataset, dim: str = TIME) -> None:
    """Write what time is in beside the lower axis."""
    label_axis(ax, "x", label(data[dim] if dim in data.coords else None, dim).replace("Simulated time", "Time"))


def name_of(parameter: str) -> str:
    """Return a parameter's name in words."""
    return parameter.replace("_", " ")


def short_names(shown: Sequence[xr.DataArray]) -> list[str]:
    """Return a name for each of several variables, short enough to stand beside its line, and no name twice."""
    texts = [label(one, unit="1") for one in shown]
    return [
        text if len(text) <= 24 and texts.count(text) == 1 else name_of(str(one.name))
        for one, text in zip(shown, texts, strict=True)
    ]


def value_text(value: Any) -> str:
    """Return a swept value as it is written beside a line."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)


def valid_range(values: xr.DataArray) -> tuple[float, float] | None:
    """Return the range that a variable's attributes say it cannot leave."""
    said = np.atleast_1d(np.asarray(values.attrs.get("valid_range", ()), object))
    try:
        low, high = (float(said[0]), float(said[1])) if len(said) == 2 else (math.nan, math.nan)
    except (TypeError, ValueError):
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def keep_to_range(ax: Axes, limits: tuple[float, float] | None) -> None:
    """Show the whole valid range where the data take up a good part of it, and never much more than it."""
    if limits is None:
        return
    low, high = limits
    bottom, top = ax.get_ylim()
    air = AIR * (high - low)
    if top - bottom >= 0.25 * (high - low):
        ax.set_ylim(low - air, high + air)
    else:
        air = 2.0 * AIR * (top - bottom)
        ax.set_ylim(max(bottom, low - air), min(top, high + air))


def is_dark(ax: Axes) -> bool:
    """Whether the axes have a dark ground."""
    ground = to_rgba(ax.get_facecolor())
    red, green, blue, _ = ground if ground[3] > 0.5 else to_rgba(ax.figure.get_facecolor())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5


def legible(ax: Axes, name: str | None = None) -> mpl.colors.Colormap:
    """Return the sequential colour map without the end that the page swallows."""
    whole = mpl.colormaps[name or mpl.rcParams["image.cmap"]]
    part = np.linspace(0.4, 1.0, 256) if is_dark(ax) else np.linspace(0.0, 0.72, 256)
    return mpl.colors.ListedColormap(whole(part), name=f"{whole.name}_legible")


def colours_for(values: Sequence[Any], ax: Axes) -> list[str]:
    """Return a colour for each value: in the order of numbers, else as different as can be."""
    ordered = len(values) > 2 and all(isinstance(one, int | float | np.number) for one in values)
    if ordered or len(values) > len(colours()):
        return [to_hex(one) for one in legible(ax)(np.linspace(0.0, 1.0, len(values)))]
    return colours()[: len(values)]


@dataclass(frozen=True)
class End:
    """A line's name, to be written where it ends."""

    text: str
    height: float
    colour: str


def spread(heights: Sequence[float], sizes: Sequence[float], top: float = 1.0) -> list[float] | None:
    """Return the middles of texts of some sizes, moved as little as needed that none covers another.

    All lie between 0 and ``top``; None where they do not fit.
    """
    if sum(sizes) > top:
        return None
    order = np.argsort(heights, kind="stable")
    size = np.asarray(sizes, np.float64)[order]
    low, high = size / 2.0, top - size / 2.0
    moved = np.clip(np.asarray(heights, np.float64)[order], low, high)
    gaps = (size[1:] + size[:-1]) / 2.0
    for _ in range(200):
        for i in np.flatnonzero(gaps - np.diff(moved) > 1e-9):
            short = (gaps[i] - (moved[i + 1] - moved[i])) / 2.0
            if short > 0.0:
                moved[i] -= short
                moved[i + 1] += short
        moved = np.clip(moved, low, high)
    # What is left of overlaps is pushed up, then down from the top.
    for lower in range(len(gaps)):
        moved[lower + 1] = max(moved[lower + 1], moved[lower] + gaps[lower])
    moved[-1] = min(moved[-1], high[-1])
    for upper in range(len(gaps), 0, -1):
        moved[upper - 1] = min(moved[upper - 1], moved[upper] - gaps[upper - 1])
    found = np.empty(len(moved))
    found[order] = moved
    return [float(one) for one in found]


def name_lines(ax: Axes, ends: Sequence[End], title: str = "", longest: int = 16) -> None:
    """Write the names of lines: at their ends where these are short and there is room, else in a legend.

    Data are not covered: the legend lies above the axes, or, where the figure leaves no room there, at the best place
    within.
    """
    if not ends:
        return
    free = makes_room(ax) and not _has_scale_on_the_right(ax)
    texts = [wrapped(one.text, longest) for one in ends]
    # The layout will take some of the height away for what is written below and above.
    height = 0.75 * ax.get_window_extent().height * 72.0 / ax.figure.dpi
    size = FontProperties(size=mpl.rcParams["legend.fontsize"]).get_size_in_points()
    rows = [text.count("\n") + 1 for text in texts]
    short = all(len(line) <= longest for text in texts for line in text.split("\n")) and max(rows) <= 3
    line = size * LINE / height
    bottom, top = ax.get_ylim()
    heights = [float(np.clip((one.height - bottom) / (top - bottom), 0.0, 1.0)) for one in ends]
    moved = spread(heights, [line * one for one in rows], 1.0 - (line if title else 0.0)) if short and free else None
    if moved is None:
        legend_above(ax, title=title)
        return
    beside: dict[str, Any] = {
        "xycoords": "axes fraction", "textcoords": "offset points", "va": "center", "ha": "left", "fontsize": size,
        "annotation_clip": False,
    }  # fmt: skip
    for end, text, at in zip(ends, texts, moved, strict=True):
        ax.annotate(text, (1.0, at), (6, 0), color=end.colour, linespacing=1.05, **beside)
    if title:
        above = min(max(at + line * (one + 1) / 2.0 for at, one in zip(moved, rows, strict=True)), 1.0)
        ax.annotate(title, (1.0, above), (6, 0), color=mpl.rcParams["axes.labelcolor"], **beside)


def _has_scale_on_the_right(ax: Axes) -> bool:
    """Whether ticks stand where the names of lines would, as with ``ax.twinx()``."""
    here = ax.get_position(original=True).bounds
    return any(
        one.yaxis.get_ticks_position() == "right" and one.get_position(original=True).bounds == here
        for one in ax.figure.axes
    )


class Around:
    """Places axes where a legend is."""

    def __init__(self, legend: Legend) -> None:
        self.legend = legend

    def __call__(self, ax: Any, renderer: Any) -> Bbox:
        """Return the place in parts of the figure."""
        box: Bbox = self.legend.get_window_extent(renderer)
        return box.transformed(self.legend.figure.transSubfigure.inverted())


def legend_above(ax: Axes, handles: Sequence[Any] | None = None, title: str = "", free: bool | None = None) -> None:
    """Put a legend above the axes, in as many columns as fit; into them unless ``free`` or the figure makes room."""
    if free is None:
        free = makes_room(ax)
    shown = list(ax.get_legend_handles_labels()[0] if handles is None else handles)
    if not shown:
        return
    names = [str(one.get_label()) for one in shown]
    size = mpl.rcParams["legend.fontsize"]
    letters = room_for_letters(ax, "x", size)
    names = [wrapped(name, letters - 6) for name in names]
    widest = max(len(line) for name in names for line in name.split("\n"))
    columns = max(min(letters // (widest + 6), len(names)), 1)
    if free:
        legend = ax.legend(
            shown, names, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns, title=title or None,
            alignment="left", borderaxespad=0.2, columnspacing=1.4, handlelength=1.5, frameon=False,
        )  # fmt: skip
        # Titles keep clear of axes within axes, but not of legends.
        place = ax.inset_axes((0.0, 1.0, 1.0, 0.1))
        place.set_axis_off()
        place.set_in_layout(False)
        place.set_axes_locator(Around(legend))
    else:
        ax.legend(shown, names, loc="best", title=title or None, alignment="left", handlelength=1.5)


def several(values: xr.DataArray, parameters: Sequence[str]) -> list[str]:
    """Return the swept parameters of which there is more than one value."""
    return [one for one in parameters if one in values.coords and np.unique(values[one].values).size > 1]


def by_value(values: xr.DataArray, by: str | None, over: str = REPLICATE) -> list[tuple[Any, xr.DataArray]]:
    """Return the runs of each value of a parameter, the mean over all other parameters, with one dimension of runs.

    In a list of runs, all runs of a value. Without a parameter, all runs under None.
    """
    dim = RUN if RUN in values.dims else over
    if dim not in values.dims and dim in values.coords and values[dim].ndim:
        raise InputError(f"{values.name!r} has runs along {', '.join(map(str, values[dim].dims))}; unstack them first")
    if by is not None and by not in values.coords:
        raise InputError(f"{values.name!r} does not vary with {by}")
    rest = [str(one) for one in values.dims if one not in (dim, by, TIME)]
    mean = values.mean(rest, skipna=True) if rest else values
    if dim not in mean.dims:
        mean = mean.expand_dims(dim)
    if by is None:
        return [(None, mean)]
    if by in mean.dims:
        return [(one, mean.isel({by: i})) for i, one in enumerate(values[by].values.tolist())]
    of = mean[by].values
    return [(one, mean.isel({dim: np.flatnonzero(of == one)})) for one in np.unique(of).tolist()]
