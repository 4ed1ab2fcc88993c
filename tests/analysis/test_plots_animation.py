from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from PIL import Image

mpl.use("Agg")
import matplotlib.pyplot as plt

from simengine.analysis.plots import animate, animation
from simengine.errors import InputError

FRAMES = 4


@pytest.fixture(autouse=True)
def nothing_left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(animation, "PIXELS", 160)
    before = dict(mpl.rcParams)
    plt.close("all")
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


def run(axes: int = 3) -> xr.Dataset:
    draw = np.random.default_rng(1)
    dims = ("snapshot_time", "agent", "axis")
    heading = draw.normal(size=(FRAMES, 8, axes))
    return xr.Dataset(
        {
            "position": (dims, draw.uniform(0.0, 9.0, (FRAMES, 8, axes))),
            "heading": (dims, heading / np.linalg.norm(heading, axis=2, keepdims=True)),
            "opinion": (dims[:2], draw.uniform(size=(FRAMES, 8))),
        },
        {"snapshot_time": ("snapshot_time", np.arange(FRAMES) * 1.0, {"units": "s"})},
    )


def test_a_gif_has_a_frame_for_each_snapshot_and_no_figure_is_left_open(tmp_path: Path) -> None:
    out = tmp_path / "school.gif"
    animate(run(), out, frames_per_second=10)
    with Image.open(out) as written:
        assert written.n_frames == FRAMES
        assert written.size == (160, 160)
        assert written.info["duration"] == 100
    assert [path.name for path in tmp_path.iterdir()] == ["school.gif"]
    assert plt.get_fignums() == []


@pytest.mark.parametrize(("mode", "page"), [("light", (255, 255, 255)), ("dark", (15, 20, 26))])
def test_the_page_of_a_gif_has_the_colour_of_its_look(tmp_path: Path, mode: Any, page: tuple[int, int, int]) -> None:
    animate(run(2), tmp_path / "a.gif", mode=mode)
    with Image.open(tmp_path / "a.gif") as written:
        assert written.convert("RGB").getpixel((1, 158)) == page


def test_an_mp4_is_a_film_with_a_frame_for_each_snapshot(tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    out = tmp_path / "opinions.mp4"
    animate(run().drop_vars(["position", "heading"]), out)
    assert out.read_bytes()[4:8] == b"ftyp"
    told = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(out), "-f", "null", "-"], capture_output=True, text=True, check=True
    ).stderr
    assert f"frame={FRAMES:5d}" in told.replace("frame= ", "frame= ")


def test_without_a_file_the_animation_alone_is_returned_and_turns_the_view() -> None:
    made = animate(run(), turn=60.0)
    ax: Any = made._fig.axes[0]
    begin = ax.azim
    made._draw_frame(FRAMES - 1)
    assert ax.azim - begin == pytest.approx(60.0)
    assert ax.get_title(loc="left") == "t = 3 s" or ax.get_title() == "t = 3 s"
    made._draw_was_started = True


def test_limits_are_the_same_in_all_frames_unless_the_school_travels() -> None:
    data = run(2)
    made = animate(data)
    ax = made._fig.axes[0]
    limits = ax.get_xlim()
    made._draw_frame(FRAMES - 1)
    assert ax.get_xlim() == limits
    data["position"] = data.position + 100.0 * data.snapshot_time
    far = animate(data)
    ax = far._fig.axes[0]
    width = np.ptp(ax.get_xlim())
    far._draw_frame(FRAMES - 1)
    assert np.ptp(ax.get_xlim()) == pytest.approx(width)
    assert width < 20.0
    assert ax.get_xlim()[0] > 250.0
    made._draw_was_started = far._draw_was_started = True


def test_ones_own_function_draws_each_frame(tmp_path: Path) -> None:
    seen = []

    def draw(data: xr.Dataset, *, at: int, ax: Any) -> None:
        seen.append(at)
        ax.plot(data.opinion[at])

    animate(run(), tmp_path / "own.gif", draw=draw)
    assert set(seen) == set(range(FRAMES))


def test_nothing_is_left_of_a_file_that_broke_off(tmp_path: Path) -> None:
    def draw(data: xr.Dataset, *, at: int, ax: Any) -> None:
        if at == 2:
            raise ZeroDivisionError

    (tmp_path / "a.gif").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError):
        animate(run(), tmp_path / "a.gif", draw=draw)
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
    assert (tmp_path / "a.gif").read_bytes() == b"before"


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("a.avi", {}, "a.avi ends with '.avi', allowed are .gif and .mp4"),
        ("there/a.gif", {}, "there is no folder"),
        (None, {"draw": "scool"}, "did you mean 'school'?"),
        (None, {"mode": "drak"}, "did you mean 'dark'?"),
        (None, {"frames_per_second": 0}, "frames_per_second: got 0"),
        (None, {"draw": "opinions", "field": "opinon"}, "did you mean 'opinion'?"),
    ],
)
def test_what_cannot_be_written_is_told_in_a_line(
    tmp_path: Path, out: str | None, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        animate(run(), None if out is None else tmp_path / out, **options)
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_missing_encoder_is_told_by_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "simengine\[video\]"'):
        animate(run(), tmp_path / "a.mp4")


def test_a_run_without_snapshots_is_refused() -> None:
    with pytest.raises(InputError, match="snapshot_every"):
        animate(xr.Dataset({"order": ("time", [1.0])}))


def test_paths_are_shown_only_where_snapshots_are_near_to_one_another() -> None:
    scattered = run(2)
    near = scattered.copy(deep=True)
    near["position"] = 0.1 * near.heading.cumsum("snapshot_time") + scattered.position.isel(snapshot_time=0)
    found = []
    for data in (scattered, near):
        made = animate(data)
        made._draw_frame(FRAMES - 1)
        found.append(len(made._fig.axes[0].collections))
        made._draw_was_started = True
    assert found == [1, 2]
