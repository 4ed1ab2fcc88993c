from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import PolyCollection

from simengine.analysis.plots import simplex, simplex_flow
from simengine.analysis.plots.simplex import CORNERS, flat
from simengine.errors import InputError

RPS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
NAMES = ("Rock", "Paper", "Scissors")


@pytest.fixture(autouse=True)
def nothing_left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(simplex, "FINE", 31)
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


def weights(points: Any) -> np.ndarray:
    """Shares at places in the plane."""
    return np.linalg.solve(np.vstack([CORNERS.T, np.ones(3)]), np.column_stack([points, np.ones(len(points))]).T).T


def test_corners_have_the_names_of_strategies_and_points_of_rest_their_places() -> None:
    _, ax = plt.subplots()
    assert simplex_flow(RPS, labels=NAMES, ax=ax) is ax
    assert [text.get_text() for text in ax.texts] == list(NAMES)
    points = {line.get_label(): line.get_xydata() for line in ax.lines if not line.get_label().startswith("_")}
    assert set(points) == {"saddle", "centre"}
    np.testing.assert_allclose(points["centre"], [flat([1 / 3] * 3)], atol=1e-9)
    legend: Any = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["saddle", "centre"]


def test_arrows_lie_inside_and_point_along_the_flow() -> None:
    ax = simplex_flow([[0, 1, 1], [0, 0, 0], [0, 0, 0]])
    heads = next(one for one in ax.collections if isinstance(one, PolyCollection))
    shapes = np.array([path.vertices[:3] for path in heads.get_paths()])
    assert len(shapes) > 5
    assert weights(shapes.mean(axis=1)).min() > 0.0
    # The first strategy alone is fitter than others: its share grows everywhere.
    tails = shapes[:, 1:].mean(axis=1)
    assert (weights(shapes[:, 0])[:, 0] > weights(tails)[:, 0]).all()


def test_orbits_of_rock_paper_scissors_close() -> None:
    ax = simplex_flow(RPS, starts=[[0.5, 0.25, 0.25]])
    path = weights(max((line.get_xydata() for line in ax.lines), key=len))
    np.testing.assert_allclose(path.prod(axis=1), path[0].prod(), rtol=1e-6)


def test_a_run_is_drawn_on_top() -> None:
    shares = np.array([[0.2, 0.3, 0.5], [0.3, 0.3, 0.4], [0.4, 0.4, 0.2]])
    run = xr.Dataset({f"share_of_{name}": ("time", shares[:, n]) for n, name in enumerate("abc")})
    ax = simplex_flow(RPS, trajectory=run)
    assert any(line.get_xydata().shape == (3, 2) and np.allclose(line.get_xydata(), flat(shares)) for line in ax.lines)
    run["more_share"] = run.share_of_a
    with pytest.raises(InputError, match="say which three observables"):
        simplex_flow(RPS, trajectory=run)
    with pytest.raises(InputError, match="do not sum to 1"):
        simplex_flow(RPS, trajectory=run, names=["share_of_a", "share_of_b", "more_share"])
    with pytest.raises(InputError, match="did you mean 'share_of_a'"):
        simplex_flow(RPS, trajectory=run, names=["shareof_a", "share_of_b", "share_of_c"])


def test_games_in_which_nothing_moves_are_drawn() -> None:
    ax: Any = simplex_flow(np.zeros((3, 3)))
    assert "at rest" in [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"payoffs": np.eye(4)}, "a game of 4 strategies"),
        ({"labels": ("a", "b")}, "allowed are three names"),
        ({"starts": [0.5, 0.5]}, "three shares each"),
        ({"starts": [0.5, 0.6, 0.1]}, "sum 1"),
        ({"duration": -1.0, "starts": [0.5, 0.3, 0.2]}, "duration: got -1.0"),
        ({"intensity": -1.0}, "intensity = -1.0"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        simplex_flow(**{"payoffs": RPS} | options)
    assert message in str(caught.value)
