"""Animations of snapshots: schools and positions, opinions, states on a network."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from simengine.analysis.contents import SNAPSHOT_TIME, snapshots
from simengine.analysis.plots.axes import label
from simengine.analysis.plots.network import Web, drawable
from simengine.analysis.plots.school import HEADING, Scene, checked_trail, groups_of, time_title
from simengine.analysis.plots.shades import visible
from simengine.analysis.plots.style import SETTINGS, Mode, colours
from simengine.errors import InputError, nearest

Kind = Literal["school", "opinions", "network"]
KINDS = ("school", "opinions", "network")
ENDINGS = (".gif", ".mp4")
Show = Callable[[int], Any]

PIXELS = 560
GIF_COLOURS = 64
MOST_LINES = 300
TRAIL = 6
LONGEST_STEP_OF_TRAIL = 0.08
"""Widths of the view between snapshots, beyond which paths are a tangle of straight lines."""

QUALITY = "24"
"""Constant rate factor of x264: 18 looks like the original, 28 is small."""


def animate(
    data: xr.Dataset,
    out: str | Path | None = None,
    *,
    draw: Kind | Callable[..., Any] | None = None,
    frames_per_second: float = 20,
    mode: Mode = "light",
    turn: float = 60.0,
    progress: bool = True,
    **options: Any,
) -> FuncAnimation:
    """Return an animation of a run's snapshots, a frame for each, and write it to a file.

    Limits and colours are the same for all frames; a school in open space that travels is followed. Of many snapshots,
    choose some before: ``data.isel(snapshot_time=slice(None, None, 5))``.

    Parameters
    ----------
    data
        A run with snapshots.
    out
        A file ``.gif`` or ``.mp4`` to write (mp4 needs ``pip install "simengine[video]"``); it appears when it is
        whole. Without one nothing is written: show the animation by ``HTML(animation.to_jshtml())`` in a notebook, or
        ``plt.show()``.
    draw
        ``"school"``, ``"opinions"`` (numbers from snapshot to snapshot, beside their histogram), ``"network"``; or a
        function ``draw(data, at=number of the snapshot, ax=axes)`` that draws one frame on empty flat axes. By
        default the first of these for which there are numbers.
    frames_per_second
        Of the file; gif rounds to hundredths of a second.
    mode
        The look, ``"light"`` or ``"dark"``.
    turn
        Degrees by which the view goes round three-dimensional axes, from the first frame to the last.
    progress
        Whether a bar is shown where the file takes longer than a moment.
    **options
        For ``"school"``: ``field``, ``colour``, ``trail`` (6 by default, 0 where snapshots lie far apart): `school`.
        For ``"opinions"``: ``field``. For ``"network"``: ``graph``, ``state``, ``layout``, as in `network`.

    Raises
    ------
    InputError
        When there is nothing to draw, or the file cannot be written; nothing is left of it then.
    """
    if mode not in SETTINGS:
        raise InputError(f"mode: got {mode!r}{nearest(str(mode), SETTINGS) or '; allowed are light and dark'}")
    number = isinstance(frames_per_second, int | float) and not isinstance(frames_per_second, bool)
    if not number or not 0 < frames_per_second <= 100:
        raise InputError(f"frames_per_second: got {frames_per_second!r}, allowed is 0 < frames_per_second <= 100")
    target = None if out is None else checked_file(out)
    if not isinstance(data, xr.Dataset) or not snapshots(data) or not data.sizes[SNAPSHOT_TIME]:
        raise InputError("there are no snapshots of agents here; run with snapshot_every=")
    look: Any = {**SETTINGS[mode], "figure.dpi": 100, "savefig.dpi": 100}
    with mpl.rc_context(look):
        size = (PIXELS / 100 * (1.25 if _kind(data, draw) == "opinions" else 1.0), PIXELS / 100)
        # A figure that is only written is none of pyplot's, which would keep it.
        figure = plt.figure(figsize=size) if target is None else Figure(figsize=size)
        if target is not None:
            FigureCanvasAgg(figure)
        try:
            show = _scene(data, draw, figure, turn, options)
            # Places are found once: with every frame anew, axes would tremble.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        except BaseException:
            plt.close(figure)
            raise

    def frame(number: int) -> Any:
        with mpl.rc_context(look):
            return show(number)

    frames = data.sizes[SNAPSHOT_TIME]
    made = FuncAnimation(figure, frame, frames=frames, interval=1000.0 / frames_per_second, blit=False)
    if target is not None:
        with mpl.rc_context(look):
            write(made, target, frames_per_second, frames, progress)
    return made


# -- what is shown -----------------------------------------------------------------------------------------------------


def _kind(data: xr.Dataset, draw: Any) -> str:
    if callable(draw):
        return "function"
    if draw is not None:
        if draw not in KINDS:
            raise InputError(
                f"draw: got {draw!r}{nearest(str(draw), KINDS) or '; allowed: ' + ', '.join(KINDS) + ', a function'}"
            )
        return str(draw)
    kept = snapshots(data)
    if "position" in kept:
        return "school"
    if "opinion" in kept and data["opinion"].dtype.kind == "f":
        return "opinions"
    if drawable(data):
        return "network"
    raise InputError(
        f"snapshots hold {', '.join(kept)}: no positions, opinions or network; draw= says what to show, "
        'such as draw="opinions", field="..."'
    )


def _scene(data: xr.Dataset, draw: Any, figure: Figure, turn: float, options: dict[str, Any]) -> Show:
    kind = _kind(data, draw)
    if kind == "school":
        return _school(data, figure, turn, **options)
    if kind == "opinions":
        return _opinions(data, figure, **options)
    ax = figure.add_subplot()
    if kind == "network":
        web = Web(data, ax=ax, **options)

        def show_network(number: int) -> Any:
            ax.set_title(time_title(data, number))
            return web.show(number)

        show_network(0)
        return show_network

    def show(number: int) -> Any:
        ax.clear()
        draw(data, at=number, ax=ax, **options)

    show(0)
    return show


def _school(
    data: xr.Dataset, figure: Figure, turn: float, *, field: str = "position", colour: str = HEADING,
    trail: int | None = None,
) -> Show:  # fmt: skip
    groups = groups_of(data, field)
    frames = data.sizes[SNAPSHOT_TIME]
    solid = groups[0].position.shape[2] == 3
    ax: Any = figure.add_subplot(projection="3d" if solid else None)
    scene = Scene(data, groups, field, np.arange(frames), checked_trail(trail or 0), colour, ax, whole=True)
    if trail is None and groups[0].heading is not None and scene.usual_step() < LONGEST_STEP_OF_TRAIL:
        scene.trail = TRAIL
    begin = ax.azim if solid else 0.0

    def show(number: int) -> Any:
        if solid:
            ax.view_init(ax.elev, begin + turn * number / max(frames - 1, 1))
        return scene.show(number)

    show(0)
    return show


def _opinions(data: xr.Dataset, figure: Figure, *, field: str = "opinion") -> Show:
    """Paths up to now on the left, how many are where on the right."""
    kept = [name for name in snapshots(data) if data[name].ndim == 2]
    if field not in kept:
        raise InputError(f"snapshots hold no number {field!r}{nearest(field, kept)}")
    values = np.asarray(data[field].values, dtype=np.float64)
    times = np.asarray(data[SNAPSHOT_TIME].values, dtype=np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.03 * ((high - low) or 1.0)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.4, 1.0))
    shown = np.unique(np.linspace(0, values.shape[1] - 1, min(values.shape[1], MOST_LINES)).astype(np.int64))
    shades = visible()((values[0, shown] - low) / ((high - low) or 1.0))
    lines = LineCollection([], colors=shades, linewidths=0.9, alpha=0.75)
    left.add_collection(lines, autolim=False)
    ends = left.scatter([], [], s=9, zorder=3)
    ends.set_facecolor(shades)
    left.set(xlim=(times[0], times[-1] if len(times) > 1 else times[0] + 1), ylim=(low - margin, high + margin))
    left.set(xlabel=label(data[SNAPSHOT_TIME], "time"), ylabel=label(data[field]))
    left.set_xlabel(label(None, "time", str(data[SNAPSHOT_TIME].attrs.get("units", ""))))
    edges = np.linspace(low - margin, high + margin, 41)
    counts = np.stack([np.histogram(row[np.isfinite(row)], edges)[0] for row in values]) / max(values.shape[1], 1)
    middles = (edges[1:] + edges[:-1]) / 2.0
    bars = right.barh(middles, counts[0], height=np.diff(edges)[0], color=colours()[0])
    right.set(xlim=(0.0, 1.05 * float(counts.max()) or 1.0), xlabel="Share of agents")
    right.grid(axis="y", visible=False)

    def show(number: int) -> Any:
        until = slice(0, number + 1)
        paths = [np.column_stack([times[until], values[until, agent]]) for agent in shown]
        lines.set_segments(paths)
        ends.set_offsets(np.column_stack([np.full(len(shown), times[number]), values[number, shown]]))
        for bar, width in zip(bars, counts[number], strict=True):
            bar.set_width(width)
        left.set_title(time_title(data, number))
        return [lines, ends, *bars]

    show(0)
    return show


# -- files -------------------------------------------------------------------------------------------------------------


def checked_file(out: str | Path) -> Path:
    """Return the file to write; refuse endings that are none, and folders that are not there."""
    if not isinstance(out, str | Path):
        raise InputError(f"out: got {type(out).__name__}, allowed is the path of a file")
    target = Path(out)
    if target.suffix.lower() not in ENDINGS:
        raise InputError(f"out: {target.name} ends with {target.suffix!r}, allowed are {' and '.join(ENDINGS)}")
    if not target.parent.is_dir():
        raise InputError(f"out: there is no folder {target.parent}")
    if target.is_dir():
        raise InputError(f"out: {target} is a folder")
    if target.suffix.lower() == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise InputError('mp4 needs imageio-ffmpeg: pip install "simengine[video]"; .gif needs nothing')
    return target


class SmallGif(PillowWriter):
    """Writes frames with few colours, all from the palette of the first."""

    def setup(self, fig: Figure, outfile: Any, dpi: float | None = None) -> None:
        """Begin."""
        super().setup(fig, outfile, dpi)
        self._frames: list[Any] = []
        self._palette: Any = None

    def grab_frame(self, **savefig_kwargs: Any) -> None:
        """Keep a frame."""
        from PIL import Image

        canvas: Any = self.fig.canvas
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
        whole = Image.fromarray(pixels)
        page = [round(255 * part) for part in to_rgb(self.fig.get_facecolor())]
        if self._palette is None:
            self._palette = whole.quantize(GIF_COLOURS - 1, dither=Image.Dither.NONE)
            self._colours = (self._palette.getpalette() + [0] * 768)[: 3 * (GIF_COLOURS - 1)] + page
        numbers = np.array(whole.quantize(palette=self._palette, dither=Image.Dither.NONE))
        # The page is the colour that it is, and not nearly so.
        numbers[(pixels == page).all(axis=-1)] = GIF_COLOURS - 1
        frame = Image.fromarray(numbers)
        frame.putpalette(self._colours)
        self._frames.append(frame)

    def finish(self) -> None:
        """Write them."""
        first, *others = self._frames
        first.save(
            self.outfile, format="GIF", save_all=True, append_images=others, loop=0, optimize=True,
            duration=max(round(100.0 / self.fps), 1) * 10,
        )  # fmt: skip


@contextmanager
def _writer(target: Path, frames_per_second: float) -> Iterator[AbstractMovieWriter]:
    if target.suffix.lower() == ".gif":
        yield SmallGif(fps=frames_per_second)  # type: ignore[arg-type]
        return
    import imageio_ffmpeg

    # x264 takes only frames with even sides.
    arguments = [
        "-crf", QUALITY, "-pix_fmt", "yuv420p", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-movflags", "+faststart",
    ]  # fmt: skip
    with mpl.rc_context({"animation.ffmpeg_path": imageio_ffmpeg.get_ffmpeg_exe()}):
        yield FFMpegWriter(
            fps=frames_per_second,  # type: ignore[arg-type]
            codec="libx264",
            extra_args=arguments,
        )


def write(made: FuncAnimation, target: Path, frames_per_second: float, frames: int, progress: bool) -> None:
    """Write an animation under another name, and give it its own when it is whole."""
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix.lower()}")
    try:
        with _writer(target, frames_per_second) as writer, _bar(target.name, frames, progress) as advance:
            made.save(str(part), writer=writer, progress_callback=advance)
        part.replace(target)
    except OSError as error:
        raise InputError(f"out: {target} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _bar(title: str, frames: int, progress: bool) -> Iterator[Callable[[int, int], Any] | None]:
    """Show a bar on the error stream, where that is a terminal and it is worth it."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not progress or not console.is_terminal or frames < 10:
        yield None
        return
    with Progress(console=console, transient=True) as shown:
        task = shown.add_task(title, total=frames)
        yield lambda number, _: shown.update(task, completed=number + 1)
