from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_hex
from plot_datasets import as_runs, one_run, sweep

from simengine import InputError
from simengine.analysis import plots
from simengine.analysis.plots.phase_diagram import edges


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    yield
    plt.close("all")


def mesh_of(ax: plt.Axes) -> QuadMesh:
    return next(one for one in ax.collections if isinstance(one, QuadMesh))


def test_cells_hold_means_over_replicates_of_the_last_records() -> None:
    data = sweep()
    ax = plots.phase_diagram(data, "order")
    drawn = mesh_of(ax).get_array()
    expected = data.order.isel(time=-1).mean("replicate").transpose("n_agents", "noise").values
    np.testing.assert_allclose(np.ma.filled(drawn, np.nan).reshape(3, 3), expected)
    assert ax.get_xlabel() == "Strength of noise (rad)"
    assert ax.get_ylabel() == "Number of agents"
    assert ax.figure.axes[1].get_ylabel() == "Order parameter"


def test_cells_meet_half_way_between_swept_values_also_on_logarithmic_axes() -> None:
    ax = plots.phase_diagram(sweep(), "order")
    corners = mesh_of(ax).get_coordinates()
    np.testing.assert_allclose(corners[0, :, 0], [0.05, 0.15, 0.25, 0.35])
    np.testing.assert_allclose(corners[:, 0, 1], 10.0 ** np.array([0.5, 1.5, 2.5, 3.5]))
    assert ax.get_xscale() == "linear"
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["10", "100", "1000"]
    np.testing.assert_allclose(edges([2.0], False), [1.8, 2.2])


def test_cells_without_a_finished_run_are_hatched_and_explained() -> None:
    ax = plots.phase_diagram(sweep(), "order")
    hatched = [one for one in ax.collections if one.get_hatch()]
    assert len(hatched) == 1
    assert len(hatched[0].get_paths()) == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no finished run"]
    assert plots.phase_diagram(sweep().isel(noise=[0, 1]), "order").get_legend() is None


def test_runs_that_stopped_early_count_with_their_last_record() -> None:
    data = sweep().isel(noise=[0, 1])
    values = data.order.values.copy()
    values[0, 0, :, 2] = np.nan
    data["order"] = (data.order.dims, values)
    drawn = mesh_of(plots.phase_diagram(data, "order")).get_array().reshape(3, 2)
    assert drawn[0, 0] == pytest.approx(values[0, 0, :, 1].mean())


def test_axes_can_be_chosen_and_times_too() -> None:
    ax = plots.phase_diagram(sweep(), "order", x="n_agents", y="noise", when=4.0)
    assert ax.get_xlabel() == "Number of agents"
    drawn = np.ma.filled(mesh_of(ax).get_array(), np.nan).reshape(3, 3)
    np.testing.assert_allclose(drawn, sweep().order.sel(time=5.0).mean("replicate").values)


def test_a_list_of_runs_that_fills_a_grid_is_drawn_as_one() -> None:
    grid = mesh_of(plots.phase_diagram(sweep(), "order")).get_array()
    listed = mesh_of(plots.phase_diagram(as_runs(sweep()), "order")).get_array()
    np.testing.assert_allclose(np.ma.filled(listed, np.nan), np.ma.filled(grid, np.nan))


def test_a_list_of_runs_that_fills_no_grid_is_drawn_as_points() -> None:
    few = as_runs(sweep())
    n = few.sizes["run"]
    few = few.assign_coords(noise=("run", np.linspace(0.0, 1.0, n)), n_agents=("run", np.arange(n)[::-1]))
    points = plots.phase_diagram(few, "order").collections[0]
    assert isinstance(points, PathCollection)
    assert len(points.get_offsets()) == int(np.isfinite(few.order.isel(time=-1)).sum())


def test_one_parameter_gives_a_line_with_its_interval() -> None:
    data = sweep().isel(noise=0, drop=True)
    ax = plots.phase_diagram(data, "order")
    line = ax.get_lines()[0]
    np.testing.assert_allclose(line.get_xdata(), [10, 100, 1000])
    np.testing.assert_allclose(line.get_ydata(), data.order.isel(time=-1).mean("replicate").values)
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "Order parameter"


def test_swept_values_without_any_value_are_marked_at_the_foot_of_a_line() -> None:
    ax = plots.phase_diagram(sweep().isel(n_agents=0, drop=True), "order")
    crosses = ax.get_lines()[-1]
    assert crosses.get_xdata().tolist() == [0.3]
    assert ax.get_xlim()[1] > 0.3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no value"]
    assert plots.phase_diagram(sweep().isel(n_agents=1, drop=True), "order").get_legend() is None


def test_values_of_both_signs_have_colours_with_a_middle_at_nought() -> None:
    data = sweep()
    data["order"] = data.order.fillna(0.0) - 0.8
    mesh = mesh_of(plots.phase_diagram(data, "order"))
    assert mesh.norm.vmin == -mesh.norm.vmax  # type: ignore[operator]
    assert mesh.cmap.name == "RdBu_r"


def test_texts_and_booleans_are_swept_in_places_of_their_own() -> None:
    data = sweep().assign_coords(noise=["low", "middle", "high"])
    ax = plots.phase_diagram(data, "order")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["low", "middle", "high"]
    np.testing.assert_allclose(ax.get_xticks(), [0, 1, 2])


def test_phases_are_the_most_frequent_labels_in_colours_with_a_legend() -> None:
    data = sweep()
    last = data.order.isel(time=-1)
    labels = xr.where(last.notnull(), xr.where(last > 0.85, "ordered", "wild"), "")
    labels[0, 0, 0] = "wild"
    ax = plots.phase_diagram(data, labels=labels)
    words = ["ordered", "wild"]
    drawn = mesh_of(ax).get_array().reshape(3, 3)
    assert words[int(drawn[0, 0])] == "ordered"
    assert words[int(drawn[2, 2])] == "wild"
    assert bool(np.ma.getmaskarray(drawn)[0, 2])
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "ordered",
        "wild",
        "replicates differ",
        "no finished run",
    ]
    shown = [to_hex(one.get_facecolor()) for one in legend.get_patches()[:2]]
    assert shown == [to_hex(mesh_of(ax).cmap(i)) for i in range(2)]


def test_cells_whose_replicates_differ_are_marked_and_have_no_colour_of_a_phase_without_a_majority() -> None:
    words = [
        [["mill"] * 3, ["mill", "mill", "torus"]],
        [["mill", "none", "torus"], ["none", "mill", ""]],
        [["torus"] * 3, ["", "", ""]],
    ]
    labels = xr.DataArray(
        words, {"noise": [0.1, 0.2, 0.3], "n_agents": [10, 20]}, dims=("noise", "n_agents", "replicate")
    )
    ax = plots.phase_diagram(labels.to_dataset(name="phase"), labels=labels)
    mesh, legend = mesh_of(ax), ax.get_legend()
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["mill", "torus", "undecided", "replicates differ", "no finished run"]
    tint = dict(zip(said[:3], [to_hex(one.get_facecolor()) for one in legend.get_patches()[:3]], strict=True))
    drawn = np.ma.filled(mesh.get_array(), -1).reshape(2, 3)
    shown = [[to_hex(mesh.cmap(mesh.norm(cell))) for cell in row] for row in drawn]
    assert shown[0] == [tint["mill"], tint["undecided"], tint["torus"]]
    assert shown[1][:2] == [tint["mill"], tint["undecided"]]
    assert len(set(tint.values())) == 3
    assert drawn[1, 2] == -1
    dots = ax.get_lines()[0]
    assert list(zip(dots.get_xdata(), dots.get_ydata(), strict=True)) == [(0.2, 10), (0.1, 20), (0.2, 20)]


def test_runs_that_differ_in_a_parameter_that_is_not_shown_are_not_called_replicates() -> None:
    labels = xr.DataArray([["mill", "mill"], ["mill", "torus"]], {"noise": [0.1, 0.2], "n_agents": [10, 20]})
    ax = plots.phase_diagram(
        xr.concat([labels, labels], xr.DataArray([1, 2], dims="speed", name="speed")).to_dataset(name="phase"),
        labels=xr.concat([labels, labels.T.copy(data=labels.values[::-1].T)], "speed").assign_coords(speed=[1, 2]),
        x="noise",
        y="n_agents",
    )
    assert "runs differ" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_phases_over_one_parameter_are_a_strip_and_may_be_flags() -> None:
    labels = xr.DataArray(
        [0, 1, 1], {"noise": [0.1, 0.2, 0.3]}, attrs={"flag_values": np.array([0, 1]), "flag_meanings": "mill swarm"}
    )
    ax = plots.phase_diagram(sweep(), labels=labels)
    assert mesh_of(ax).get_array().reshape(-1).tolist() == [0, 1, 1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mill", "swarm"]
    listed = as_runs(sweep())
    words = xr.DataArray(np.where(listed.noise > 0.15, "swarm", "mill"), {"noise": listed.noise}, dims="run")
    ax = plots.phase_diagram(listed, labels=words)
    assert mesh_of(ax).get_array().reshape(-1).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"x": "nois"}, r"x: there is no swept parameter 'nois'.*noise"),
        ({"when": "end"}, r"when: got .end., allowed are .last., .stationary. and a number"),
        ({"labels": xr.DataArray(["", ""], {"noise": [0.1, 0.2]})}, "labels: no cell has a label"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(more: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        plots.phase_diagram(sweep(), "order", **more)  # type: ignore[arg-type]


def test_a_run_has_no_phase_diagram() -> None:
    with pytest.raises(InputError, match="no parameter is swept"):
        plots.phase_diagram(one_run(), "rising")
