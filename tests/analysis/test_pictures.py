from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from simengine.analysis import scenario_pictures
from simengine.analysis.picture_rules import few
from simengine.analysis.pictures import Picture, pictures_of
from simengine.errors import InputError
from simengine.scenarios import social_dilemmas_theory
from simengine.store.attributes import encode_attributes


def series(**other: Any) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "share": ("time", rng.uniform(0, 1, 30), {"long_name": "share of those who agree", "units": "1"}),
        "order": ("time", rng.uniform(0, 1, 30), {"units": "1"}),
        "wealth": ("time", rng.uniform(100, 200, 30), {"units": "EUR"}),
        "number": ("time", rng.integers(0, 2, 30)),
    } | other


def a_run(variables: dict[str, Any] | None = None, **attrs: Any) -> xr.Dataset:
    coords = {"time": np.arange(30.0), "step": ("time", np.arange(30))}
    return xr.Dataset(series() | (variables or {}), coords, encode_attributes(attrs))


def with_snapshots(moments: int = 4, agents: int = 50, axes: int = 3, **attrs: Any) -> xr.Dataset:
    rng = np.random.default_rng(2)
    heading = rng.normal(size=(moments, agents, axes))
    heading /= np.linalg.norm(heading, axis=2, keepdims=True)
    found = a_run(
        {
            "position": (("snapshot_time", "agent", "axis"), rng.uniform(0, 9, (moments, agents, axes))),
            "heading": (("snapshot_time", "agent", "axis"), heading),
            "opinion": (("snapshot_time", "agent"), rng.uniform(0, 1, (moments, agents)), {"long_name": "opinion"}),
        },
        **attrs,
    )
    steps = np.arange(moments) * 10
    return found.assign_coords(
        snapshot_time=steps.astype(float), snapshot_step=("snapshot_time", steps), agent=np.arange(agents),
        axis=list("xyz")[:axes],
    )  # fmt: skip


def a_sweep(a: int = 3, b: int = 2) -> xr.Dataset:
    shape = ("a", "b", "replicate")
    size = (a, b, 2)
    values = np.random.default_rng(3).uniform(0, 1, (*size, 4))
    return xr.Dataset(
        {"order": ((*shape, "time"), values, {"units": "1"}), "cascade_size": ((*shape, "time"), 1 + 50 * values),
         "status": (shape, np.zeros(size, np.int8)), "seed": (shape, np.zeros(size, np.uint64)),
         "stopped_at": (shape, np.full(size, 3))},
        {"a": ("a", np.arange(a), {"long_name": "number of A"}), "b": np.arange(b), "replicate": np.arange(2),
         "time": np.arange(4.0), "step": ("time", np.arange(4))},
    )  # fmt: skip


def named(data: xr.Dataset) -> list[str]:
    return [picture.name for picture in pictures_of(data)]


def drawn(picture: Picture) -> Any:
    figure = Figure(figsize=picture.size)
    return picture.draw(figure.add_subplot(projection="3d") if picture.solid else figure.add_subplot())


def test_series_of_one_kind_share_a_picture_and_others_do_not() -> None:
    pictures = pictures_of(a_run())
    assert [one.name for one in pictures] == ["course-share", "course-wealth", "course-number"]
    assert pictures[0].title == "Share of those who agree and order along time"
    axes = drawn(pictures[0])
    assert len([line for line in axes.lines if len(line.get_xdata()) == 30]) == 2


def test_what_never_changes_is_shown_only_where_there_is_nothing_else() -> None:
    data = a_run()[["share", "order"]].assign(share=("time", np.zeros(30), {"units": "EUR"}))
    assert named(data) == ["course-order"]
    assert named(data[["share"]]) == ["course-share"]


def test_numbers_of_the_living_are_shown_where_they_change() -> None:
    alive = {"fish_alive": ("time", np.linspace(900, 1000, 30)), "birds_alive": ("time", np.full(30, 5000.0))}
    assert named(a_run(alive)[[*alive]]) == ["course-fish-alive"]


def test_a_title_ends_before_a_bracket_a_colon_or_a_comma() -> None:
    for more in (" (at the start: seeds)", ": those of now", ", which never change"):
        data = a_run()[["wealth"]]
        data["wealth"].attrs["long_name"] = f"what they own{more}"
        (picture,) = pictures_of(data)
        assert picture.title == "What they own along time"
        assert more in picture.caption


def test_what_is_conserved_in_every_run_of_a_sweep_is_shown_only_where_there_is_nothing_else() -> None:
    data = a_sweep()
    # The first in the file, so that it is asked about before the others.
    data = xr.Dataset({"total": data["order"] * 0 + data["a"]}).assign(data.data_vars)
    assert "diagram-order" in named(data)
    assert not {"diagram-total", "course-total"} & {*named(data)}
    assert {"diagram-total", "course-total"} <= {*named(data.drop_vars(["order", "cascade_size"]))}


def test_captions_of_sweeps_name_what_is_pooled() -> None:
    captions = {one.name: one.caption for one in pictures_of(a_sweep())}
    assert captions["course-order"].startswith("Means over b and replicates with their 95 % intervals, a line for")
    captions = {one.name: one.caption for one in pictures_of(a_sweep(b=1))}
    assert captions["course-order"].startswith("Means over replicates with")


def test_headings_are_spoken_of_only_where_there_are_some() -> None:
    bare = with_snapshots(axes=2).drop_vars("heading")
    assert "heading" in pictures_of(with_snapshots())[0].caption
    assert pictures_of(bare)[0].caption.startswith("Positions of the agents at the last snapshot")


def test_crowds_have_no_trails() -> None:
    steps = ("snapshot_time", np.arange(4))
    few_fish, many = (pictures_of(with_snapshots(agents=n).assign(snapshot_step=steps))[0] for n in (50, 400))
    assert "paths" in few_fish.caption
    assert "paths" not in many.caption


def test_a_run_in_space_shows_its_agents_first_in_as_many_dimensions() -> None:
    solid, flat = pictures_of(with_snapshots())[0], pictures_of(with_snapshots(axes=2))[0]
    assert (solid.name, solid.solid) == ("school", True)
    assert (flat.name, flat.solid) == ("school", False)
    assert drawn(solid).name == "3d"
    assert drawn(flat).name == "rectilinear"


def test_opinions_are_drawn_along_the_snapshots_if_there_are_several() -> None:
    assert "opinions" in named(with_snapshots())
    assert "opinions" not in named(with_snapshots(moments=1))


def test_diagnostics_with_a_null_are_shown_beside_it_and_not_as_courses() -> None:
    null = {name: ("time", np.full(30, 0.5)) for name in ("entropy_null_mean", "entropy_null_sd")}
    pictures = pictures_of(a_run({"entropy": ("time", np.full(30, 0.7)), **null}))
    assert "null-entropy" in [one.name for one in pictures]
    assert not any(one.name == "course-entropy" for one in pictures)


def test_a_sweep_over_two_parameters_is_a_diagram_and_over_one_a_line() -> None:
    two, one = pictures_of(a_sweep()), pictures_of(a_sweep(b=1))
    assert two[0].title == "Order over number of a and b"
    assert "hatched" in two[0].caption
    assert "95 % interval" in one[0].caption
    assert not any(name.startswith("diagram") for name in named(a_sweep(1, 1)))
    assert {"course-order", "cascades"} <= {*named(a_sweep())}


def test_a_list_of_points_has_no_hatched_cells_and_long_names_of_parameters_are_not_told_in_titles() -> None:
    flat = a_sweep().stack(run=("a", "b", "replicate")).transpose("run", ...)
    columns = {name: ("run", flat[name].values) for name in ("a", "b", "replicate")}
    data = flat.drop_vars(["run", "a", "b", "replicate"]).assign_coords(columns)
    data["b"].attrs["long_name"] = "share of the distance that each of two moves"
    picture = pictures_of(data)[0]
    assert picture.title == "Order over a and b"
    assert picture.caption == "Means over replicates at the last record."


def test_two_records_are_no_course_of_a_sweep() -> None:
    assert not any(name.startswith("course") for name in named(a_sweep().isel(time=slice(0, 2))))


def test_language_models_have_a_picture_for_each_decision() -> None:
    counts = {f"language_{name}_asked": ("time", np.arange(30)) for name in ("tell", "feel")}
    assert [name for name in named(a_run(counts)) if "language" in name] == ["language-tell", "language-feel"]


def test_what_there_is_nothing_of_is_not_proposed() -> None:
    assert named(xr.Dataset()) == []
    assert named(a_run().isel(time=slice(0, 1))) == []
    assert "school" not in named(with_snapshots().isel(agent=slice(0, 0)))


def test_names_are_words_for_anchors_and_each_is_there_once() -> None:
    for data in (with_snapshots(), a_sweep()):
        names = named(data)
        assert len(set(names)) == len(names)
        assert all(name.replace("-", "").isalnum() and name == name.lower() for name in names)


def test_at_most_so_many_pictures_are_proposed_and_rules_can_be_ones_own() -> None:
    assert len(pictures_of(with_snapshots(), most=2)) == 2
    own = Picture("own", "Own", "", lambda ax: ax)  # type: ignore[arg-type,return-value]
    assert pictures_of(a_run(), rules=[lambda data: [own], lambda data: [own]]) == [own]


def test_proposing_pictures_reads_no_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_snapshots()
    read: list[str] = []
    values = xr.DataArray.values.fget

    def told(self: xr.DataArray) -> Any:
        if "snapshot_time" in self.dims and self.ndim > 1:
            read.append(str(self.name))
        return values(self)  # type: ignore[misc]

    monkeypatch.setattr(xr.DataArray, "values", property(told))
    pictures_of(data)
    assert read == []


def test_few_snapshots_of_few_agents_are_those_of_the_whole() -> None:
    data = with_snapshots(moments=5, agents=97)
    found = few(data, ["position", "opinion"], np.array([1, 4]), 10)
    assert found["position"].shape == (2, 10, 3)
    ids = found["agent"].values
    assert (ids[0], ids[-1]) == (0, 96)
    expected = data[["position", "opinion"]].isel(snapshot_time=[1, 4]).sel(agent=ids)
    assert np.array_equal(found["position"].values, expected["position"].values)
    assert np.array_equal(found["opinion"].values, expected["opinion"].values)
    assert np.array_equal(few(data, ["opinion"], np.arange(5), 500)["opinion"].values, data["opinion"].values)


def test_what_large_pictures_leave_out_is_said() -> None:
    pictures = {one.name: one for one in pictures_of(with_snapshots(moments=2, agents=4000))}
    assert pictures["school"].left_out == "1,500 of 4,000 agents"
    assert pictures["opinions"].left_out == "300 of 4,000 agents"
    assert pictures_of(with_snapshots())[0].left_out == ""


def test_scenarios_that_are_not_installed_are_not_asked_for_their_graph_or_game() -> None:
    own = a_run(scenario="PublicGoods", scenario_module="mine", scenario_source="class PublicGoods: pass")
    assert not {"dilemma", "flow", "planner", "network"} & {*named(own)}


def test_games_of_the_scenarios_are_proposed() -> None:
    game = a_run(
        {"contributing": ("time", np.full(30, 0.3)), "abstaining": ("time", np.full(30, 0.4))},
        scenario="PublicGoods", scenario_module="simengine.scenarios.public_goods", scenario_source=None,
        parameter_loners=True, parameter_sanctions="none", parameter_cost=1.0, parameter_n_fellows=4,
        parameter_multiplier=3.0, parameter_income=1.0,
    )  # fmt: skip
    assert {"dilemma", "flow"} <= {*named(game)}
    assert "flow" not in named(game.assign_attrs(parameter_loners="json:false"))


PERSUASION = {
    "scenario": "Persuasion", "scenario_module": "simengine.scenarios.persuasion", "scenario_source": None,
    "parameter_prior": 0.3, "parameter_threshold": 0.5, "parameter_thresholds": "normal", "parameter_n_agents": 20,
    "parameter_threshold_spread": 0.0, "parameter_prior_spread": 0.0, "parameter_bias": 0.0,
    "parameter_bias_spread": 0.0, "parameter_n_opposed": 0,
}  # fmt: skip


def test_the_best_signal_of_a_sender_is_proposed_for_receivers_who_differ_in_thresholds_alone() -> None:
    picture = next(one for one in pictures_of(a_run(**PERSUASION)) if one.name == "signal")
    assert drawn(picture).get_title() == "Prior 0.3: value 0.6, silent 0"
    uniform = a_run(**PERSUASION | {"parameter_thresholds": "uniform"})
    assert "silent 0.3" in drawn(next(one for one in pictures_of(uniform) if one.name == "signal")).get_title()
    assert "signal" not in named(a_run(**PERSUASION | {"parameter_prior_spread": 0.1}))


def test_a_network_is_coloured_by_what_its_nodes_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = networkx.cycle_graph(6)
    monkeypatch.setattr(scenario_pictures, "graph_of", lambda data: ring)
    states = {"signal": [0, 1, 0, 1, 0, 1], "action": [0, 0, 1, 1, 2, 2]}
    data = a_run(scenario="NetworkLearning", scenario_module="simengine.scenarios.herding", scenario_source=None)
    data = data.assign({name: (("snapshot_time", "agent"), [values]) for name, values in states.items()})
    data = data.assign_coords(snapshot_time=[29.0])
    picture = next(one for one in pictures_of(data) if one.name == "network")
    legend = drawn(picture).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2"]
    same = data.assign(action=(("snapshot_time", "agent"), [[1] * 6]))
    legend = drawn(next(one for one in pictures_of(same) if one.name == "network")).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1"]


@pytest.mark.parametrize("cost", [1.0, 2.5])
def test_all_earn_the_same_at_the_point_of_rest_of_the_optional_game(cost: float) -> None:
    shares = social_dilemmas_theory.optional_point(5, 3.0, 1.0)
    game = {"n_fellows": 4, "cost": cost, "multiplier": 3.0, "income": cost}
    found = scenario_pictures.optional_fitness(shares, game)
    assert found == pytest.approx([cost] * 3)


def test_a_picture_on_the_wrong_axes_is_refused_in_one_line() -> None:
    with pytest.raises(InputError):
        pictures_of(with_snapshots())[0].draw(Figure().add_subplot())
