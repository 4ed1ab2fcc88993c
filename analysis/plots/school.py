"""Schools, flocks and everybody else with a position: snapshots of where they are and where they head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import Colormap, Normalize, to_rgb
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection
from numpy.typing import NDArray

from simengine.analysis.contents import SNAPSHOT_TIME, parameters_of, snapshots
from simengine.analysis.plots.axes import PLAIN_UNITS, axes_or_new, label, solid_axes_or_new
from simengine.analysis.plots.marks import room_for_letters, wrapped
from simengine.analysis.plots.shades import faded, hues, visible
from simengine.analysis.plots.style import colours
from simengine.errors import InputError, nearest

Floats = NDArray[np.float64]

HEADING, RELATIVE = "heading", "relative"
WIDEST_GAP = 0.25
"""Share of a periodic box that has to be empty for a school to be shown in one piece across the border."""

FOLLOWED_FROM = 0.5
"""A school whose centre travels further, in its own widths, is followed by the view."""

BODY = np.array([[-0.7, -0.35], [-0.35, 0.0], [0.0, 0.3]])
THICKNESS = np.array([0.35, 0.7, 1.0])
"""Pieces of a fish in space from tail to nose, in lengths, and their widths."""

KITE = np.array([[0.6, 0.0], [-0.4, 0.26], [-0.22, 0.0], [-0.4, -0.26]])
"""Outline of an agent in the plane: nose, wing, notch, wing."""


def school(
    data: xr.Dataset,
    *,
    at: int = -1,
    trail: int = 0,
    field: str = "position",
    colour: str = HEADING,
    ax: Axes | None = None,
) -> Axes:
    """Draw where agents are, and where they head.

    Agents without a heading are dots. In a periodic box, a school that leaves a quarter of it empty is shown in one
    piece, across the border where need be; other agents are shown in the box.

    Parameters
    ----------
    data
        A run with snapshots.
    at
        Which snapshot, from 0 on; negative numbers count from the last.
    trail
        How many snapshots before it are shown as a fading path.
    field
        Name of the positions, (snapshot_time, agent, axis) with two or three axes. Populations whose field is called
        ``<population>_<field>`` are drawn too, each in a colour of its own.
    colour
        ``"heading"``: by direction, in space by that in the plane in which headings differ most; ``"relative"``: by
        speed relative to the school's centre; or the name of any number that snapshots hold.
    ax
        Axes; three-dimensional ones for three axes.

    Raises
    ------
    InputError
        When there are no such positions, or no such snapshot.
    """
    groups = groups_of(data, field)
    moment = checked_moment(data, at)
    first = moment - checked_trail(trail)
    view = Scene(data, groups, field, np.arange(max(first, 0), moment + 1), trail, colour, ax, whole=False)
    view.show(moment)
    return cast(Axes, view.ax)


@dataclass(frozen=True)
class Group:
    """The positions of a population, (times, agents, axes), and its unit headings where it has some."""

    name: str
    position: Floats
    heading: Floats | None
    ids: NDArray[np.int64] | None = None
    """Who is where, (times, agents), in populations with births and deaths."""

    def before(self, moment: int, earlier: int, here: NDArray[np.bool_]) -> Floats:
        """Return where those who are here at one moment were at another, nan for the unborn."""
        if self.ids is None:
            return np.asarray(self.position[earlier][here])
        order = np.argsort(self.ids[earlier], kind="stable")
        known = self.ids[earlier][order]
        wanted = self.ids[moment][here]
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        found = self.position[earlier][order[place]]
        found[known[place] != wanted] = np.nan
        return np.asarray(found)


def groups_of(data: xr.Dataset, field: str = "position") -> list[Group]:
    """Return all populations that have positions in the snapshots."""
    kept = snapshots(data) if isinstance(data, xr.Dataset) else []
    if field not in kept:
        if not kept:
            raise InputError("there are no snapshots of agents here; run with snapshot_every=")
        raise InputError(f"snapshots hold no {field!r}{nearest(field, kept)}")
    found = []
    for name in [field, *(name for name in kept if name.endswith(f"_{field}"))]:
        values = data[name]
        if values.ndim != 3 or values.dims[0] != SNAPSHOT_TIME or values.shape[2] not in (2, 3):
            raise InputError(f"{name}: dimensions are {values.dims}, allowed are snapshot_time, agents, 2 or 3 axes")
        turned = name.removesuffix(field) + HEADING
        ids = f"{values.dims[1]}_id"
        heading = data[turned] if turned in kept and data[turned].dims == values.dims else None
        found.append(
            Group(
                str(values.dims[1]).replace("_", " "),
                np.asarray(values.values, dtype=np.float64),
                None if heading is None else np.asarray(heading.values, dtype=np.float64),
                np.asarray(data[ids].values, dtype=np.int64) if ids in kept else None,
            )
        )
    return found


def checked_moment(data: xr.Dataset, at: int) -> int:
    """Return the number of a snapshot, from 0 on."""
    there = data.sizes[SNAPSHOT_TIME]
    if isinstance(at, bool) or not isinstance(at, int | np.integer) or not -there <= at < there:
        raise InputError(f"at: got {at!r}, allowed are whole numbers from {-there} to {there - 1}, the snapshots")
    return int(at) % there


def checked_trail(trail: int) -> int:
    """Return a number of snapshots."""
    if isinstance(trail, bool) or not isinstance(trail, int | np.integer) or trail < 0:
        raise InputError(f"trail: got {trail!r}, allowed are whole numbers from 0, of snapshots")
    return int(trail)


def time_title(data: xr.Dataset, moment: int) -> str:
    """Return the time of a snapshot in words, with as many decimals for all of them."""
    times = np.asarray(data[SNAPSHOT_TIME].values, dtype=np.float64)
    decimals = next((n for n in range(6) if np.allclose(times, np.round(times, n), atol=1e-9)), 6)
    unit = str(data[SNAPSHOT_TIME].attrs.get("units", "1"))
    return f"t = {times[moment]:.{decimals}f}{'' if unit in ('', '1') else f' {unit}'}"


def box_of(data: xr.Dataset, axes: int) -> Floats | None:
    """Return the sides of the periodic box, none for open space."""
    sides = parameters_of(data).get("box")
    if sides is None or isinstance(sides, str):
        return None
    return np.broadcast_to(np.asarray(sides, dtype=np.float64), (axes,)).copy()


def in_one_piece(position: Floats, box: Floats) -> Floats:
    """Return positions in a periodic box, shifted so that a border runs through the widest gap where that is wide."""
    shown = np.mod(position, box)
    for axis, side in enumerate(box):
        values = np.sort(shown[np.isfinite(shown[:, axis]), axis])
        if values.size < 2:
            continue
        gaps = np.append(np.diff(values), values[0] + side - values[-1])
        widest = int(gaps.argmax())
        if widest < values.size - 1 and gaps[widest] > WIDEST_GAP * side:
            shown[:, axis] -= np.where(shown[:, axis] > values[widest], side, 0.0)
    return shown


def principal_plane(heading: Floats) -> Floats:
    """Return two unit vectors, (2, 3), that span the plane in which unit vectors (..., 3) differ most."""
    flat = heading.reshape(-1, 3)
    flat = flat[np.isfinite(flat).all(axis=1)]
    if not flat.size:
        return np.eye(3)[:2]
    _, vectors = np.linalg.eigh(flat.T @ flat)
    plane = vectors[:, :0:-1].T
    # Signs of eigenvectors are arbitrary: the largest component is positive.
    return np.asarray(plane * np.sign(np.take_along_axis(plane, np.abs(plane).argmax(axis=1)[:, None], axis=1)))


def _span(points: Floats) -> Floats:
    return np.asarray(np.nanmax(points, axis=0) - np.nanmin(points, axis=0))


class Scene:
    """Axes on which snapshots are shown, one after another, within limits that hold for all of ``moments``.

    ``whole`` keeps a periodic box as it is, so that nothing jumps from one snapshot to the next.
    """

    def __init__(
        self, data: xr.Dataset, groups: Sequence[Group], field: str, moments: NDArray[np.int64], trail: int,
        colour: str, ax: Axes | None, *, whole: bool,
    ) -> None:  # fmt: skip
        self.data, self.groups, self.trail, self.whole = data, groups, trail, whole
        axes = groups[0].position.shape[2]
        self.solid = axes == 3
        self.box = box_of(data, axes)
        self.ax: Any = solid_axes_or_new(ax) if self.solid else axes_or_new(ax)
        if ax is None:
            # Legends stand beside the axes, where figures of other styles have no room.
            figure: Any = self.ax.figure
            figure.set_layout_engine("constrained")
        if not self.solid and isinstance(self.ax, Axes3D):
            raise InputError("ax: got three-dimensional axes, the positions have two axes")
        self._frame(moments)
        self._prepare_colours(data, colour, moments)
        self._dress(data[field], colour)
        self._drawn: list[Any] = []

    # -- limits and looks ----------------------------------------------------------------------------------------

    def _frame(self, moments: NDArray[np.int64]) -> None:
        """Find the middle of the view at each moment, and its width."""
        points = np.concatenate([group.position[moments] for group in self.groups], axis=1)
        known = np.isfinite(points).all(axis=2).any(axis=1)
        if not known.any() or not (self.whole or known[-1]):
            raise InputError("nobody has a position at this snapshot")
        points = points[known]
        self.follows = False
        if self.box is not None and self.whole:
            self.middle, self.width = self.box / 2.0, float(self.box.max())
            return
        if self.box is not None:
            last = in_one_piece(points[-1], self.box)
            if _span(last).max() > (1.0 - WIDEST_GAP) * self.box.max() and not self.solid:
                self.middle, self.width = self.box / 2.0, float(self.box.max())
                return
            points = last[None]
        low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
        extent = float((high - low).max()) or 1.0
        travelled = np.ptp((low + high) / 2.0, axis=0).max()
        self.follows = self.whole and travelled > FOLLOWED_FROM * extent
        self.middle = (low.min(axis=0) + high.max(axis=0)) / 2.0
        self.width = 1.1 * (extent if self.follows else float((high.max(axis=0) - low.min(axis=0)).max()) or 1.0)

    def _dress(self, positions: xr.DataArray, colour: str) -> None:
        dim = positions.dims[2]
        names = [str(name) for name in positions[dim].values] if dim in positions.coords else list("xyz")
        unit = str(positions.attrs.get("units", ""))
        self._look(self.middle)
        for name, letter in zip(names, "xyz"[: positions.shape[2]], strict=False):
            getattr(self.ax, f"set_{letter}label")(name if unit in PLAIN_UNITS else f"{name} ({unit})")
        if self.solid:
            self.ax.set_box_aspect((1, 1, 1), zoom=0.95)
            for axis in (self.ax.xaxis, self.ax.yaxis, self.ax.zaxis):
                axis.set_pane_color((0.0, 0.0, 0.0, 0.0))
                axis.set_major_locator(MaxNLocator(4))
        else:
            self.ax.set_aspect("equal")
            self.ax.grid(False)
        if self.scale is not None:
            shown = ScalarMappable(self.scale, self.map)
            bar = self.ax.figure.colorbar(shown, ax=self.ax, shrink=0.7, pad=0.1 if self.solid else 0.03)
            bar.set_label(wrapped(self.what, int(0.7 * room_for_letters(self.ax, "y"))))
            bar.outline.set_visible(False)
        if len(self.groups) > 1:
            for number, group in enumerate(self.groups):
                self.ax.plot([], [], "o", color=colours()[number % len(colours())], label=group.name)
            self.ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)

    def _look(self, middle: Floats) -> None:
        for letter, centre in zip("xyz", middle, strict=False):
            getattr(self.ax, f"set_{letter}lim")(centre - self.width / 2.0, centre + self.width / 2.0)

    # -- colours -------------------------------------------------------------------------------------------------

    def _prepare_colours(self, data: xr.Dataset, colour: str, moments: NDArray[np.int64]) -> None:
        self.scale: Normalize | None = None
        self.map: Colormap = hues()
        self.what, self.colour = "", colour
        self.values: Floats | None = None
        first = self.groups[0]
        if colour == HEADING:
            if self.solid and first.heading is not None:
                self.plane = principal_plane(first.heading[moments])
            return
        if colour == RELATIVE:
            if first.heading is None:
                raise InputError("colour='relative' needs headings; the snapshots hold none")
            mean = np.nanmean(first.heading, axis=1, keepdims=True)
            self.values = np.linalg.norm(first.heading - mean, axis=2)
            self.what = "Speed relative to the centre (own speeds)"
        else:
            known = [name for name in snapshots(data) if data[name].shape == first.position.shape[:2]]
            if colour not in known:
                words = [HEADING, RELATIVE, *known]
                raise InputError(
                    f"colour: got {colour!r}{nearest(str(colour), words) or '; allowed: ' + ', '.join(words)}"
                )
            self.values = np.asarray(data[colour].values, dtype=np.float64)
            self.what = label(data[colour])
        self.map = visible()
        seen = self.values[moments]
        self.scale = Normalize(float(np.nanmin(seen)), float(np.nanmax(seen)))

    def _colours(self, number: int, moment: int, here: NDArray[np.bool_]) -> Floats:
        group = self.groups[number]
        if number == 0 and self.values is not None and self.scale is not None:
            return np.asarray(self.map(self.scale(self.values[moment][here])))[:, :3]
        if len(self.groups) > 1 or group.heading is None:
            plain = to_rgb(colours()[number % len(colours())])
            return np.tile(np.array(plain), (int(here.sum()), 1))
        heading = group.heading[moment][here]
        if self.solid:
            heading = heading @ self.plane.T
        return np.asarray(self.map(np.arctan2(heading[:, 1], heading[:, 0]) / (2.0 * np.pi) % 1.0))[:, :3]

    # -- showing -------------------------------------------------------------------------------------------------

    def show(self, moment: int) -> list[Any]:
        """Show one snapshot in place of the one before; return what was drawn."""
        for artist in self._drawn:
            artist.remove()
        if self.follows:
            points = np.concatenate([group.position[moment] for group in self.groups])
            self._look((np.nanmin(points, axis=0) + np.nanmax(points, axis=0)) / 2.0)
        self._drawn = []
        for number, group in enumerate(self.groups):
            here = np.isfinite(group.position[moment]).all(axis=1)
            place = group.position[moment][here]
            if self.box is not None:
                place = np.mod(place, self.box) if self.whole else in_one_piece(place, self.box)
            shades = self._colours(number, moment, here)
            paths = self._paths(group, moment, here, place)
            heading = None if group.heading is None else group.heading[moment][here]
            draw = self._draw_in_space if self.solid else self._draw_in_plane
            draw(place, heading, shades, paths)
        self.ax.set_title(time_title(self.data, moment))
        return self._drawn

    def _paths(self, group: Group, moment: int, here: NDArray[np.bool_], place: Floats) -> Floats:
        """Return where agents came from, (agents, pieces, 2, axes), newest piece first; pieces unknown are nan."""
        pieces = [np.empty((len(place), 0, 2, place.shape[1]))]
        end = place
        for earlier in range(moment - 1, max(moment - self.trail, 0) - 1, -1):
            step = group.before(moment, earlier + 1, here) - group.before(moment, earlier, here)
            if self.box is not None:
                step -= self.box * np.round(step / self.box)
            begin = end - step
            pieces.append(np.stack([begin, end], axis=1)[:, None])
            end = begin
            if self.box is not None and self.whole:
                end = np.mod(begin, self.box)
        return np.concatenate(pieces, axis=1)

    def usual_step(self) -> float:
        """The way of the first population from snapshot to snapshot, in widths of the view; nan for one snapshot."""
        position = self.groups[0].position
        step = np.diff(position, axis=0)
        if self.box is not None:
            step -= self.box * np.round(step / self.box)
        return float(np.nanmedian(np.linalg.norm(step, axis=2))) / self.width if len(position) > 1 else float("nan")

    def length(self, agents: int) -> float:
        """The length of an agent as it is drawn, in units of space."""
        return self.width * float(np.clip(0.42 / max(agents, 1) ** 0.5, 0.012, 0.05))

    def _draw_in_plane(self, place: Floats, heading: Floats | None, shades: Floats, paths: Floats) -> None:
        if paths.shape[1]:
            strength = np.linspace(0.55, 0.05, paths.shape[1])
            lines = LineCollection(
                list(paths.reshape(-1, 2, 2)), colors=faded(shades[:, None], strength).reshape(-1, 3),
                linewidths=1.1, zorder=1.5,
            )  # fmt: skip
            self._drawn.append(self.ax.add_collection(lines, autolim=False))
        if heading is None:
            size = float(np.clip(6000.0 / max(len(place), 1), 4.0, 30.0))
            dots: PathCollection = self.ax.scatter(*place.T, s=size, c=shades, linewidths=0, zorder=2.0)
            self._drawn.append(dots)
            return
        across = np.stack([-heading[:, 1], heading[:, 0]], axis=1)
        outline = KITE[:, 0, None] * heading[:, None] + KITE[:, 1, None] * across[:, None]
        shapes = place[:, None] + 1.4 * self.length(len(place)) * outline
        bodies = PolyCollection(list(shapes), facecolors=shades, linewidths=0, zorder=2.0)
        self._drawn.append(self.ax.add_collection(bodies, autolim=False))

    def _draw_in_space(self, place: Floats, heading: Floats | None, shades: Floats, paths: Floats) -> None:
        """Draw bodies and paths as one collection, from back to front: those in front are thicker and stronger."""
        elevation, azimuth = np.radians(self.ax.elev), np.radians(self.ax.azim)
        towards = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        length = 1.5 * self.length(len(place))
        direction = np.zeros_like(place) if heading is None else heading
        bodies = place[:, None, None] + length * BODY[None, :, :, None] * direction[:, None, None]
        pieces = len(BODY)
        if heading is None:
            bodies = bodies[:, :1] + np.array([[-0.01], [0.01]]) * length
            pieces = 1
        depth = place @ towards
        near = (depth - depth.min()) / (np.ptp(depth) or 1.0) if len(depth) else depth
        thickness = THICKNESS if pieces > 1 else np.ones(1)
        width = (4.2 if len(place) <= 400 else 2.6) * (0.55 + 0.45 * near)
        trails = paths.shape[1]
        segments = np.concatenate([paths.reshape(-1, 2, 3), bodies.reshape(-1, 2, 3)])
        strength = (0.45 + 0.55 * near)[:, None]
        tints = np.concatenate(
            [
                faded(shades[:, None], strength * np.linspace(0.6, 0.05, trails)).reshape(-1, 3),
                np.repeat(faded(shades, strength[:, 0]), pieces, axis=0),
            ]
        )
        widths = np.concatenate([np.repeat(0.3 * width, trails), (width[:, None] * thickness).ravel()])
        # Paths of an agent lie behind all bodies: mixed with them they would hide what they lead to.
        rank = np.concatenate([np.repeat(depth - 2.0 * (np.ptp(depth) + 1.0), trails), np.repeat(depth, pieces)])
        order = np.argsort(rank, kind="stable")
        collection = Line3DCollection(
            list(segments[order]), colors=tints[order], linewidths=widths[order], capstyle="round"
        )
        self._drawn.append(self.ax.add_collection3d(collection, autolim=False))
