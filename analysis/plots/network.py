"""Networks, their nodes coloured by a state."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import ListedColormap, Normalize, to_rgb
from mpl_toolkits.mplot3d import Axes3D
from numpy.typing import NDArray

from simengine.analysis.contents import SNAPSHOT_TIME, snapshots
from simengine.analysis.plots.axes import axes_or_new, label
from simengine.analysis.plots.layouts import Layout, is_lattice, places
from simengine.analysis.plots.school import checked_moment, time_title
from simengine.analysis.plots.shades import page, visible
from simengine.analysis.plots.style import colours, quiet
from simengine.errors import InputError, SimengineError, nearest

if TYPE_CHECKING:
    import networkx

MOST_CLASSES = 7
RASTERISED_FROM = 4000
MANY = 1500
MARGIN = 0.08
WORDS_WIDE = 24
"""Letters in a line of a legend's title."""


def network(
    data: Any,
    *,
    state: Any = None,
    at: int = -1,
    layout: Layout | Mapping[Any, Any] = "auto",
    graph: networkx.Graph[Any] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a network, its nodes coloured by a state; those with more neighbours are larger. Directions do not show.

    Parameters
    ----------
    data
        A run with snapshots, whose graph is made again (`simengine.analysis.graphs.graph_of`); or a networkx graph.
    state
        Of a run: the name of what snapshots hold of every agent, by default the first that differs among agents. Of a
        graph: the name of an attribute of nodes, or an array of one value a node. Numbers get a colour bar, booleans
        and up to seven whole numbers or words a legend.
    at
        Which snapshot, from 0 on; negative numbers count from the last.
    layout
        ``"spring"`` (forces), ``"circle"``, ``"grid"``, or a dict of places by node. ``"auto"`` takes the grid for a
        lattice without borders, drawn as tiles, the circle for a ring, forces otherwise. The same graph has always the
        same places.
    graph
        The run's graph, where it cannot be made again from the file.
    ax
        Axes.

    Raises
    ------
    InputError
        When there is no graph, state or snapshot of that name.
    """
    web = Web(data, graph=graph, state=state, layout=layout, ax=ax)
    if isinstance(data, xr.Dataset) and web.times:
        moment = checked_moment(data, at)
        web.show(moment)
        web.ax.set_title(time_title(data, moment))
    else:
        web.show(0)
    return web.ax


def drawable(data: xr.Dataset) -> bool:
    """Return whether a run has a graph with edges that can be made again."""
    try:
        return bool(_made_again(data).number_of_edges())
    except SimengineError:
        return False


class Web:
    """A network on its axes; `show` colours it by the state at a snapshot."""

    def __init__(
        self, data: Any, *, graph: Any = None, state: Any = None, layout: Any = "auto", ax: Axes | None = None
    ) -> None:
        is_run = isinstance(data, xr.Dataset)
        found = graph if graph is not None else _made_again(data) if is_run else data
        if not hasattr(found, "adj") or not hasattr(found, "degree"):
            raise InputError(f"network() draws a run or a networkx graph, not {type(found).__name__}")
        self.ax = axes_or_new(ax)
        if ax is None:
            # Legends stand beside the axes, where figures of other styles have no room.
            figure: Any = self.ax.figure
            figure.set_layout_engine("constrained")
        if isinstance(self.ax, Axes3D):
            raise InputError("ax: got three-dimensional axes, a network is drawn on flat ones")
        nodes = list(found.nodes)
        number = {node: place for place, node in enumerate(nodes)}
        pairs = np.array([(number[a], number[b]) for a, b in found.edges() if a != b], dtype=np.int64).reshape(-1, 2)
        pairs = np.unique(np.sort(pairs, axis=1), axis=0)
        self.values, self.what, self.meanings, self.times = (
            _of_run(data, state, len(nodes), found.graph.get("dim")) if is_run else _of_graph(found, nodes, state)
        )
        self.place = _places(nodes, pairs, layout)
        # The edges of a lattice say nothing: neighbours touch.
        self.tiled = layout in ("auto", "grid") and is_lattice(len(nodes), pairs[:, 0], pairs[:, 1])
        self.degree = np.bincount(pairs.ravel(), minlength=len(nodes))
        self._draw_edges(pairs)
        self._draw_nodes()
        self._explain()

    def _draw_edges(self, pairs: NDArray[np.int64]) -> None:
        edges = max(len(pairs), 1)
        self.edges = LineCollection(
            [] if self.tiled else list(self.place[pairs]), colors=quiet(),
            alpha=float(np.clip(26.0 / edges**0.58, 0.035, 0.5)),
            linewidths=float(np.clip(9.0 / edges**0.35, 0.35, 1.1)), zorder=1, rasterized=edges > RASTERISED_FROM,
        )  # fmt: skip
        self.ax.add_collection(self.edges, autolim=False)

    def _draw_nodes(self) -> None:
        n = max(len(self.place), 1)
        usual = max(float(np.median(self.degree)) if len(self.degree) else 1.0, 1.0)
        sizes = np.clip(9000.0 / n, 3.0, 110.0) * np.clip((self.degree / usual) ** 0.75, 0.45, 6.0)
        # In small graphs hubs lie behind, so that they hide nobody; in large ones before the crowd.
        self.order = np.argsort(self.degree if n > MANY else -self.degree, kind="stable")
        place = self.place[self.order]
        self.nodes: Any
        if self.tiled:
            half = 1.0 / max(np.sqrt(n) - 1.0, 1.0)
            corners = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
            self.nodes = PolyCollection(list(place[:, None] + corners), linewidths=0, antialiased=False, zorder=2)
            self.ax.add_collection(self.nodes, autolim=False)
        else:
            self.nodes = self.ax.scatter(
                place[:, 0], place[:, 1], s=sizes[self.order], zorder=2, linewidths=0.6 if n <= MANY else 0.15,
                edgecolors=[tuple(page())], rasterized=n > RASTERISED_FROM,
            )  # fmt: skip
        low, high = (self.place.min(axis=0), self.place.max(axis=0)) if len(self.place) else (-1.0, 1.0)
        (left, bottom), (right, top) = np.broadcast_to(low, 2) - MARGIN, np.broadcast_to(high, 2) + MARGIN
        self.ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        self.ax.set_axis_off()

    def _explain(self) -> None:
        self.classes: list[Any] | None = None
        if self.values is None:
            self.nodes.set_facecolor(colours()[0])
            return
        known = _classes(self.values, self.meanings)
        if known is not None:
            self.classes, words = known
            palette = _palette(len(self.classes))
            self.map: Any = ListedColormap(palette)
            self.scale = Normalize(-0.5, len(palette) - 0.5)
            for shade, word in zip(palette, words, strict=True):
                self.ax.plot([], [], "o", color=shade, label=word)
            self.ax.legend(
                title=fill(self.what, WORDS_WIDE),
                loc="upper left",
                bbox_to_anchor=(1.0, 1.0),
                borderaxespad=0.2,
                alignment="left",
            )
            return
        self.map = visible()
        finite = self.values[np.isfinite(self.values)]
        self.scale = Normalize(*(float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0))
        figure: Any = self.ax.figure
        bar = figure.colorbar(ScalarMappable(self.scale, self.map), ax=self.ax, shrink=0.7, pad=0.02)
        bar.set_label(self.what)
        bar.outline.set_visible(False)

    def show(self, moment: int) -> list[Any]:
        """Colour the nodes by the state at a snapshot."""
        if self.values is not None:
            values = self.values[moment if self.times else 0]
            if self.classes is not None:
                values = np.searchsorted(np.array(self.classes), values).astype(np.float64)
            self.nodes.set_facecolor(self.map(self.scale(values.astype(np.float64)))[self.order])
        return [self.nodes]


def _made_again(data: xr.Dataset) -> Any:
    # The engine takes a second to import, which a figure of a graph has no need of.
    from simengine.analysis.graphs import graph_of

    return graph_of(data)


Held = tuple[NDArray[Any] | None, str, dict[Any, str], bool]


def _of_run(data: xr.Dataset, state: Any, nodes: int, dim: Any) -> Held:
    """Return the values of a state, (times, nodes), what it is, the words of its values, and whether it has times."""
    kept = [
        name for name in snapshots(data)
        if data[name].ndim == 2 and data[name].shape[1] == nodes and (dim is None or data[name].dims[1] == dim)
    ]  # fmt: skip
    if state is None:
        for name in kept:
            values = np.asarray(data[name].values)
            if values.size and (values != values.flat[0]).any():
                state = name
                break
        else:
            return None, "", {}, SNAPSHOT_TIME in data.sizes
    if state not in kept:
        known = "; they hold: " + ", ".join(kept) if kept else "; run with snapshot_every="
        raise InputError(f"snapshots hold no {state!r} of the {nodes} nodes{nearest(str(state), kept) or known}")
    values = data[state]
    meanings = {}
    if "flag_meanings" in values.attrs and "flag_values" in values.attrs:
        words = str(values.attrs["flag_meanings"]).split()
        meanings = dict(zip(np.atleast_1d(values.attrs["flag_values"]).tolist(), words, strict=False))
    return np.asarray(values.values), label(values), meanings, True


def _of_graph(graph: Any, nodes: list[Any], state: Any) -> Held:
    if state is None:
        return None, "", {}, False
    if isinstance(state, str):
        held = [graph.nodes[node] for node in nodes]
        if not all(state in one for one in held):
            known = sorted({str(name) for one in held for name in one})
            raise InputError(f"not every node has an attribute {state!r}{nearest(state, known)}")
        return np.array([[one[state] for one in held]]), label(None, state, ""), {}, False
    named = str(state.name or "") if isinstance(state, xr.DataArray) else ""
    what = label(state) if isinstance(state, xr.DataArray) and named else ""
    values = np.array([state[node] for node in nodes]) if isinstance(state, Mapping) else np.asarray(state)
    if values.shape != (len(nodes),):
        raise InputError(f"state: got shape {values.shape}, allowed is one value for each of the {len(nodes)} nodes")
    return values[None], what, {}, False


def _places(nodes: list[Any], pairs: NDArray[np.int64], layout: Any) -> NDArray[np.float64]:
    if isinstance(layout, Mapping):
        missing = [node for node in nodes if node not in layout]
        if missing:
            raise InputError(f"layout: there is no place for node {missing[0]!r}")
        x = np.array([layout[node] for node in nodes], dtype=np.float64).reshape(-1, 2)
        low, high = x.min(axis=0), x.max(axis=0)
        return np.asarray(2.0 * (x - (low + high) / 2.0) / ((high - low).max() or 1.0))
    return places(len(nodes), pairs[:, 0], pairs[:, 1], cast(Layout, layout))


def _classes(values: NDArray[Any], meanings: dict[Any, str]) -> tuple[list[Any], list[str]] | None:
    """Return the values of a state that is a class and words for them, None of a number."""
    flags = bool(meanings)
    if values.dtype.kind == "f" and not flags:
        return None
    known = np.unique(values[values == values])
    if len(known) > MOST_CLASSES:
        if values.dtype.kind in "US":
            raise InputError(f"state: got {len(known)} words, allowed are up to {MOST_CLASSES}")
        return None
    found = known.tolist()
    yes_no = {"false": "no", "true": "yes"}
    words = [meanings.get(one, str(one)) for one in found]
    return found, [yes_no.get(word.lower(), word) for word in words]


def _palette(number: int) -> list[tuple[float, float, float]]:
    lines = colours()
    return [to_rgb(lines[place % len(lines)]) for place in range(number)]
