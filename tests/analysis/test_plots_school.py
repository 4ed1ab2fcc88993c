from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import LineCollection, PolyCollection
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from simengine.analysis.plots import school, theme
from simengine.analysis.plots.school import in_one_piece, principal_plane
from simengine.analysis.plots.shades import LEAST_CONTRAST, contrast, hues, page, visible
from simengine.errors import InputError

TIMES, AGENTS = 4, 12


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    yield
    plt.close("all")


def flock(axes: int, **attributes: Any) -> xr.Dataset:
    """Agents that go straight on, two units between snapshots."""
    draw = np.random.default_rng(1)
    heading = draw.normal(size=(AGENTS, axes))
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    begin = draw.uniform(0.0, 10.0, (AGENTS, axes))
    position = begin + 2.0 * np.arange(TIMES)[:, None, None] * heading
    dims = ("snapshot_time", "agent", "axis")
    return xr.Dataset(
        {
            "position": (dims, position, {"units": "m"}),
            "heading": (dims, np.broadcast_to(heading, position.shape)),
            "energy": (dims[:2], np.tile(np.arange(AGENTS, dtype=float), (TIMES, 1)), {"units": "J"}),
        },
        {
            "snapshot_time": ("snapshot_time", np.arange(TIMES) * 0.5, {"units": "s"}),
            "axis": ["x", "y", "z"][:axes],
        },
        attributes,
    )


def drawn(ax: Any, kind: type) -> Any:
    return next(one for one in ax.collections if isinstance(one, kind))


def test_agents_in_the_plane_are_drawn_where_they_are_pointing_where_they_head() -> None:
    data = flock(2)
    _, ax = plt.subplots()
    assert school(data, at=1, ax=ax) is ax
    shapes = np.array([path.vertices[:4] for path in drawn(ax, PolyCollection).get_paths()])
    noses = shapes[:, 0] - shapes[:, 2]
    noses /= np.linalg.norm(noses, axis=1, keepdims=True)
    np.testing.assert_allclose(noses, data.heading.values[1], atol=1e-9)
    width = np.ptp(ax.get_xlim())
    assert np.abs(shapes.mean(axis=1) - data.position.values[1]).max() < 0.05 * width
    assert ax.get_aspect() == 1.0
    assert np.ptp(ax.get_ylim()) == pytest.approx(width)


def test_title_and_labels_say_time_and_units() -> None:
    ax = school(flock(2), at=1)
    assert ax.get_title(loc=mpl.rcParams["axes.titlelocation"]) == "t = 0.5 s"
    assert ax.get_xlabel() == "x (m)"


def test_agents_in_space_are_drawn_from_back_to_front_with_their_paths() -> None:
    data = flock(3)
    ax: Any = school(data, trail=2)
    segments = np.array(drawn(ax, Line3DCollection)._segments3d)
    assert len(segments) == AGENTS * (2 + 3)
    paths = segments[: 2 * AGENTS]
    lengths = np.linalg.norm(paths[:, 1] - paths[:, 0], axis=1)
    np.testing.assert_allclose(lengths, 2.0)
    ends = {tuple(np.round(point, 9)) for point in paths[:, 1]}
    assert {tuple(np.round(point, 9)) for point in data.position.values[-1]} <= ends


def test_paths_lead_through_borders_of_a_periodic_box() -> None:
    data = flock(2, parameter_box=10.0)
    data["position"] = data.position % 10.0
    ax = school(data, trail=2)
    lengths = [np.linalg.norm(path.vertices[1] - path.vertices[0]) for path in drawn(ax, LineCollection).get_paths()]
    np.testing.assert_allclose(lengths, 2.0)


def test_a_school_that_crosses_a_border_is_shown_in_one_piece() -> None:
    box = np.array([10.0, 10.0])
    position = np.array([[9.5, 5.0], [0.5, 5.5], [9.8, 4.5], [0.1, 5.2]])
    shown = in_one_piece(position, box)
    assert np.ptp(shown[:, 0]) == pytest.approx(1.0)
    np.testing.assert_allclose(np.mod(shown, box), position)


def test_agents_all_over_a_periodic_box_are_shown_in_the_box() -> None:
    position = np.random.default_rng(1).uniform(0.0, 10.0, (400, 2))
    np.testing.assert_array_equal(in_one_piece(position, np.array([10.0, 10.0])), position)


def test_in_births_and_deaths_paths_follow_the_agent_and_not_its_place_in_memory() -> None:
    position = np.array([[[0.0, 0.0], [5.0, 5.0]], [[5.0, 6.0], [np.nan, np.nan]]])
    data = xr.Dataset(
        {
            "position": (("snapshot_time", "prey", "axis"), position),
            "prey_id": (("snapshot_time", "prey"), [[0, 1], [1, -1]]),
        },
        {"snapshot_time": [0.0, 1.0]},
    )
    ax = school(data, trail=1)
    (path,) = drawn(ax, LineCollection).get_paths()
    np.testing.assert_allclose(path.vertices, [[5.0, 5.0], [5.0, 6.0]])


def test_every_population_with_positions_has_a_colour_and_a_name() -> None:
    data = flock(2).drop_vars("heading")
    data["wolves_position"] = data.position.rename(agent="wolf")
    ax: Any = school(data)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["agent", "wolf"]


@pytest.mark.parametrize(("colour", "label"), [("relative", "Speed relative"), ("energy", "Energy (J)")])
def test_numbers_are_shown_by_colour_with_a_bar(colour: str, label: str) -> None:
    ax: Any = school(flock(2), colour=colour)
    bar = next(one for one in ax.figure.axes if one is not ax)
    assert bar.get_ylabel().startswith(label)


def test_the_plane_of_headings_is_the_one_in_which_they_turn() -> None:
    angle = np.linspace(0.0, 6.0, 50)
    heading = np.stack([np.cos(angle), np.zeros(50), np.sin(angle)], axis=1)
    plane = principal_plane(heading)
    np.testing.assert_allclose(plane[:, 1], 0.0, atol=1e-12)
    np.testing.assert_allclose(plane @ plane.T, np.eye(2), atol=1e-12)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_stand_out_from_the_page(mode: Any) -> None:
    with theme(mode):
        for shades in (visible("viridis"), visible("magma"), hues()):
            assert contrast(shades(np.linspace(0.0, 1.0, 50))[:, :3], page()).min() > LEAST_CONTRAST - 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"field": "positon"}, "snapshots hold no 'positon'; did you mean 'position'?"),
        ({"at": 9}, "at: got 9, allowed are whole numbers from -4 to 3"),
        ({"trail": -1}, "trail: got -1"),
        ({"colour": "enregy"}, "did you mean 'energy'?"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        school(flock(2), **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_axes_of_the_wrong_kind_and_runs_without_snapshots_are_refused() -> None:
    _, flat = plt.subplots()
    with pytest.raises(InputError, match="projection"):
        school(flock(3), ax=flat)
    with pytest.raises(InputError, match="three-dimensional"):
        school(flock(2), ax=plt.figure().add_subplot(projection="3d"))
    with pytest.raises(InputError, match="snapshot_every"):
        school(xr.Dataset({"order": ("time", [1.0])}))


def test_a_snapshot_in_which_nobody_has_a_position_is_told_in_a_line() -> None:
    data = flock(2)
    data["position"] = data.position.where(data.snapshot_time < data.snapshot_time[-1])
    assert school(data, at=0).figure
    with pytest.raises(InputError, match="nobody has a position"):
        school(data)
