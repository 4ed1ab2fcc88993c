"""Plots of opinions, of entropies with their flags, and of language models' decisions."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from plot_datasets import MEANINGS, one_run, spoken, sweep

from simengine import InputError
from simengine.analysis import plots
from simengine.analysis.plots.language import PROVENANCE, decisions_of
from simengine.policies.reports import MEANS, SERIES, variable


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    yield
    plt.close("all")


def lines_of(ax: Axes) -> list[LineCollection]:
    return [one for one in ax.collections if isinstance(one, LineCollection)]


def test_each_agent_is_a_line_and_the_stubborn_are_told_apart() -> None:
    data = one_run()
    ax = plots.opinion_trajectories(data)
    usual, stubborn = lines_of(ax)
    assert [len(usual.get_segments()), len(stubborn.get_segments())] == [38, 2]
    np.testing.assert_allclose(stubborn.get_segments()[1][:, 1], data.opinion.values[:, 5])
    assert usual.get_linestyle() != stubborn.get_linestyle()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["stubborn", "others"]
    assert len(lines_of(plots.opinion_trajectories(data, apart=None))) == 1
    assert ax.get_ylabel() == "Opinion"
    assert ax.get_xlabel() == "Time (s)"


def test_lines_are_translucent_and_in_the_order_of_first_opinions() -> None:
    usual = lines_of(plots.opinion_trajectories(one_run(), apart=None))[0]
    shades = usual.get_colors()
    assert (shades[:, 3] < 1.0).all()
    assert len(np.unique(shades, axis=0)) > 30
    one = lines_of(plots.opinion_trajectories(one_run(), colour="red", apart=None))[0]
    assert len(np.unique(one.get_colors(), axis=0)) == 1


def test_of_many_agents_some_are_drawn_evenly_over_first_opinions() -> None:
    usual = lines_of(plots.opinion_trajectories(one_run(agents=1001), most=11, apart=None))[0]
    np.testing.assert_allclose([one[0, 1] for one in usual.get_segments()], np.linspace(0, 1, 11), atol=1e-3)


def test_another_field_colours_with_a_bar_or_a_legend() -> None:
    data = one_run()
    data["innate"] = data.opinion.assign_attrs(long_name="opinion at the start")
    bar = plots.opinion_trajectories(data, colour="innate").figure.axes[1]
    assert bar.get_ylabel() == "Opinion at the start"
    ax = plots.opinion_trajectories(data, colour="vote", apart=None)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["vote 0", "vote 1"]


def test_few_whole_opinions_are_drawn_as_shares() -> None:
    data = one_run()
    ax = plots.opinion_trajectories(data, field="vote")
    share = (data.vote.values == 0).mean(axis=1)
    assert ax.collections[0].get_paths()[0].vertices[:, 1].max() == pytest.approx(share.max())
    assert len(ax.collections) == 2
    assert ax.get_ylim() == (0.0, 1.0)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"field": "opinon"}, r"no snapshots of 'opinon'.*opinion"),
        ({"most": 0}, "most: got 0, allowed is a number from 1 on"),
        ({"colour": "lats"}, r"colour: got 'lats', allowed are 'first', 'last', a field, or a colour.*last"),
    ],
)
def test_trajectories_that_cannot_be_drawn_are_told(more: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        plots.opinion_trajectories(one_run(), **more)  # type: ignore[arg-type]


def test_runs_without_snapshots_are_told_how_to_have_them() -> None:
    with pytest.raises(InputError, match="snapshot_every=1"):
        plots.opinion_trajectories(sweep())
    with pytest.raises(InputError, match="select one run"):
        plots.opinion_trajectories(one_run().expand_dims(replicate=2))


def test_an_entropy_has_its_error_its_null_and_rows_for_its_flags() -> None:
    ax = plots.entropy_panel(one_run(), "opinion_entropy")
    assert ax.get_ylabel() == "Entropy of opinion (nat)"
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named == ["value", "95% interval", "null, 95%"]
    told = [text.get_text() for text in ax.texts]
    assert told == ["few samples 24%", "ties 14%", "flags"]
    bars = {one.get_label(): one.get_paths()[0].vertices[:, 0] for one in ax.collections if "_" in one.get_label()[:1]}
    assert (bars["_few_samples"].min(), bars["_few_samples"].max()) == (15.5, 20.5)
    assert (bars["_ties"].min(), bars["_ties"].max()) == (-0.5, 2.5)
    assert "_unseen_states" not in bars
    assert MEANINGS.split()[1] == "unseen_states"


def test_rows_of_flags_lie_below_everything_that_is_measured() -> None:
    ax = plots.entropy_panel(one_run(), "opinion_entropy")
    ax.figure.canvas.draw()
    lowest = ax.transData.transform((0.0, 0.5 - 1.96 * 0.05))[1]
    rows = [one for one in ax.collections if one.get_label() in ("_few_samples", "_ties")]
    assert len(rows) == 2
    assert all(one.get_window_extent().y1 < lowest for one in rows)
    assert all(tick >= 0.3 for tick in ax.get_yticks())


def test_an_entropy_without_companions_or_of_replicates_is_drawn_too() -> None:
    bare = one_run().drop_vars([f"opinion_entropy_{one}" for one in ("null_mean", "null_sd", "flags")])
    assert plots.entropy_panel(bare, "opinion_entropy").get_legend().get_texts()[-1].get_text() == ("95% interval")
    point = sweep().isel(noise=0, n_agents=0)
    ax = plots.entropy_panel(point, "order")
    assert ax.get_legend().get_texts()[0].get_text() == "mean of 4 runs"
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), point.order.mean("replicate"))


def test_by_default_the_first_calibrated_observable_is_drawn() -> None:
    assert plots.entropy_panel(one_run()).get_ylabel().startswith("Entropy of opinion")
    with pytest.raises(InputError, match="no observable of this Dataset has a null or flags"):
        plots.entropy_panel(sweep())


def test_several_points_of_a_sweep_have_no_common_panel() -> None:
    with pytest.raises(InputError, match=r"'order' has several points; select one of noise, n_agents with \.sel\(\)"):
        plots.entropy_panel(sweep(), "order")


def parts_of(ax: Axes) -> dict[str, Axes]:
    found = {str(one.get_label()): one for one in [*ax.figure.axes, *ax.child_axes]}
    return {name.removeprefix("language:"): one for name, one in found.items() if name.startswith("language:")}


def test_a_language_panel_has_entropy_provenance_and_cost() -> None:
    parts = parts_of(plots.language_panel(spoken()))
    entropy, coverage = parts["entropy"].get_lines()
    np.testing.assert_allclose(entropy.get_ydata()[1:], [0.9, 0.8, 0.7])
    assert entropy.get_label() == "entropy (bit)"
    assert coverage.get_label() == "coverage 0.004"
    counts = [text.get_text() for text in parts["provenance"].get_legend().get_texts()]
    assert counts == ["answered 12", "reused 17", "repaired 0", "refused 0", "fallback 1"]
    assert [line.get_label() for line in parts["cost"].get_lines()] == ["sent 600", "received 12"]
    assert parts["cost"].texts[0].get_text() == "12 calls"
    assert parts["cost"].get_xlabel() == "Time"


def test_provenance_is_the_share_of_decisions_since_the_record_before() -> None:
    part = parts_of(plots.language_panel(spoken()))["provenance"]
    heights = {one.get_label(): one.get_paths()[0].vertices for one in part.collections}
    assert set(heights) == {"answered", "reused", "fallbacks"}
    # Of ten decisions, then ten, then ten, calls answered the first ten and then two.
    corners = {(float(x), round(float(y), 9)) for x, y in heights["answered"]}
    assert {(1.0, 1.0), (1.0, 0.2), (2.0, 0.2), (3.0, 0.0)} <= corners
    assert heights["fallbacks"][:, 1].min() == pytest.approx(0.9)


def test_a_panel_fits_into_axes_without_a_grid() -> None:
    figure = plt.figure()
    ax = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    assert plots.language_panel(spoken(), ax=ax) is ax
    assert set(parts_of(ax)) == {"entropy", "provenance", "cost"}


def test_decisions_are_named_as_they_are_in_files() -> None:
    assert decisions_of(spoken()) == ["act", "tell"]
    assert parts_of(plots.language_panel(spoken(), decision="agents.act"))
    with pytest.raises(InputError, match=r"no decision 'atc' was put to a language model.*act"):
        plots.language_panel(spoken(), decision="atc")
    with pytest.raises(InputError, match="no decision of this run was put to a language model"):
        plots.language_panel(one_run())
    with pytest.raises(InputError, match="select one of replicate"):
        plots.language_panel(spoken().expand_dims(replicate=2))


def test_the_columns_that_are_drawn_are_those_that_runs_record() -> None:
    assert {"asked", "input_tokens", "output_tokens", *PROVENANCE} <= set(SERIES)
    assert {"entropy", "coverage"} <= set(MEANS)
    assert variable("agents.act", "asked") == "language_act_asked"
