"""What holds for all plots of series, phases, agents and payoffs, in all looks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from plot_datasets import one_run, spoken, sweep

from simengine import InputError
from simengine.analysis import plots

DRAWN: dict[str, Callable[..., Axes]] = {
    "time_series": lambda **more: plots.time_series(sweep(), "order", **more),
    "phase_diagram": lambda **more: plots.phase_diagram(sweep(), "order", **more),
    "opinion_trajectories": lambda **more: plots.opinion_trajectories(one_run(), **more),
    "entropy_panel": lambda **more: plots.entropy_panel(one_run(), "opinion_entropy", **more),
    "cascade_sizes": lambda **more: plots.cascade_sizes([1, 1, 2, 5], exponent=1.5, **more),
    "language_panel": lambda **more: plots.language_panel(spoken(), **more),
    "schelling_diagram": lambda **more: plots.schelling_diagram({"multiplier": 3.0, "cost": 1.0}, **more),
}
LOOKS = {
    "light": lambda: plots.theme("light"),
    "dark": lambda: plots.theme("dark"),
    "plain": nullcontext,
    "own": lambda: plt.style.context("ggplot"),
}


@pytest.fixture(autouse=True)
def no_figure_before() -> Iterator[None]:
    plt.close("all")
    yield
    plt.close("all")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", DRAWN)
def test_plots_use_the_axes_given_and_leave_neither_figures_nor_settings(name: str, look: str) -> None:
    with LOOKS[look]():
        figure, ax = plt.subplots()
        settings, background = dict(mpl.rcParams), figure.get_facecolor()
        assert DRAWN[name](ax=ax) is ax
        figure.canvas.draw()
        assert dict(mpl.rcParams) == settings
        assert figure.get_facecolor() == background
        assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("name", DRAWN)
def test_without_axes_one_figure_is_made_in_which_nothing_that_is_written_is_cut_off(name: str) -> None:
    ax = DRAWN[name]()
    assert plt.get_fignums() == [ax.figure.number]
    ax.figure.canvas.draw()
    page = ax.figure.bbox
    for text in ax.figure.findobj(mpl.text.Text):
        if text.get_text() and text.get_visible() and text.axes is not None and not is_tick(text):
            box = text.get_window_extent()
            assert page.x0 - 2 < box.x0 <= box.x1 < page.x1 + 2, text.get_text()
            assert page.y0 - 2 < box.y0 <= box.y1 < page.y1 + 2, text.get_text()


def is_tick(text: Any) -> bool:
    """Whether a text belongs to a tick; those outside the limits are not drawn."""
    ticks = text.axes.get_xticklabels(which="both") + text.axes.get_yticklabels(which="both")
    return any(text is one for one in ticks)


@pytest.mark.parametrize("name", DRAWN)
def test_axes_that_are_none_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match="ax: got str, allowed is one matplotlib Axes"):
        DRAWN[name](ax="axes")


@pytest.mark.parametrize("name", ["time_series", "phase_diagram", "opinion_trajectories", "entropy_panel"])
def test_a_path_is_answered_by_how_to_open_it(name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: got str, .*simengine\.open\(path\)"):
        getattr(plots, name)("run.nc")


@pytest.mark.parametrize("name", ["time_series", "phase_diagram", "entropy_panel"])
def test_a_misspelt_observable_is_answered_by_the_nearest(name: str) -> None:
    data, wrong, right = (one_run(), "opinion_entrpy", "opinion_entropy") if name == "entropy_panel" else (
        sweep(), "ordr", "order"
    )  # fmt: skip
    with pytest.raises(InputError) as error:
        getattr(plots, name)(data, wrong)
    assert repr(right).strip("'") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["time_series", "phase_diagram", "entropy_panel"])
@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_levels_lie_between_nought_and_one(name: str, level: float) -> None:
    with pytest.raises(InputError, match=r"level: got .*, allowed is 0 < level < 1"):
        getattr(plots, name)(one_run() if name == "entropy_panel" else sweep(), level=level)


def test_titles_keep_clear_of_legends_above_the_axes() -> None:
    with plots.theme():
        figure, ax = plt.subplots()
        plots.entropy_panel(one_run(), "opinion_entropy", ax=ax)
        ax.set_title("A title")
        figure.canvas.draw()
        legend = ax.get_legend().get_window_extent()
        title = next(one for one in (ax._left_title, ax.title, ax._right_title) if one.get_text())  # type: ignore[attr-defined]
        assert title.get_window_extent().y0 >= legend.y1 - 1.0


def test_names_beside_lines_do_not_cover_one_another() -> None:
    with plots.theme():
        ax = plots.time_series(sweep(), "order", by="noise")
        ax.figure.canvas.draw()
        boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
        assert len(boxes) == 4
        assert all(above.y0 >= below.y1 - 1.0 for below, above in pairwise(boxes))


def test_colours_of_numbers_stand_out_from_the_page() -> None:
    for mode in ("light", "dark"):
        with plots.theme(mode):
            ax = plots.time_series(sweep(), "order", by="noise")
            ground = luminance(ax.get_facecolor())
            for line in ax.get_lines():
                tint = luminance(line.get_color())
                # WCAG 2.1 (1.4.11) asks for 3 : 1; the brightest of three ordered colours is a little below on white.
                assert (max(tint, ground) + 0.05) / (min(tint, ground) + 0.05) > 2.0


def luminance(colour: Any) -> float:
    """Relative luminance of WCAG 2.1."""
    part = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_without_matplotlib_the_package_says_in_one_line_what_to_install() -> None:
    code = (
        "import importlib.util as u, sys\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'matplotlib' else find(name, *more)\n"
        "from simengine import InputError\n"
        "try:\n    import simengine.analysis.plots\nexcept InputError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == 'plots need matplotlib: pip install "simengine[analysis]"'


def test_public_names_are_functions_even_after_their_modules_were_imported() -> None:
    import simengine.analysis.plots.phase_diagram
    import simengine.analysis.plots.time_series

    assert callable(simengine.analysis.plots.time_series)
    assert callable(simengine.analysis.plots.phase_diagram)
    with pytest.raises(AttributeError, match="no attribute 'time_serie'"):
        _ = plots.time_serie


@pytest.mark.parametrize(
    ("draw", "told"),
    [
        (lambda: plots.time_series(sweep(), 3), "there is no 3"),
        (lambda: plots.time_series(sweep(), "order", by=3), "no swept parameter 3"),
        (lambda: plots.time_series(sweep(), "order", level="a"), "level: got 'a'"),
        (lambda: plots.time_series(sweep().isel(time=slice(0, 0)), "order"), "nothing along time"),
        (lambda: plots.phase_diagram(sweep(), ["order"]), r"there is no \['order'\]"),
        (lambda: plots.phase_diagram(sweep(), "order", x="noise", y="noise"), "x and y are both 'noise'"),
        (lambda: plots.phase_diagram(sweep(), labels=3), "labels: got int"),
        (lambda: plots.cascade_sizes([1, 2], exponent="a"), "exponent: got 'a'"),
        (lambda: plots.opinion_trajectories(one_run(), most="a"), "most: got 'a'"),
        (lambda: plots.language_panel(spoken(), decision=3), "no decision '3'"),
        (lambda: plots.simplex_flow(np.eye(3), labels=3), "labels: got 3"),
        (lambda: plots.simplex_flow(np.eye(3), intensity="a"), "intensity = 'a'"),
        (lambda: plots.animate(one_run(), 3), "out: got int"),
        (lambda: plots.animate(one_run(), frames_per_second="a"), "frames_per_second: got 'a'"),
    ],
)
def test_arguments_of_another_kind_are_told_by_every_plot(draw: Callable[[], object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        draw()


def test_names_of_lines_do_not_cover_a_scale_on_the_right() -> None:
    _, ax = plt.subplots(layout="constrained")
    twin = plots.time_series(sweep(), "order", by="noise", ax=ax.twinx())
    assert twin.get_legend() is not None
    assert not twin.texts


def test_intervals_of_two_runs_do_not_press_the_lines_together() -> None:
    data = sweep(2).isel(noise=[0])
    data["order"] = data.order.drop_attrs() + 0.2 * data.replicate
    ax = plots.time_series(data.isel(n_agents=0), "order")
    low, high = float(data.order.min()), float(data.order.max())
    assert ax.get_ylim() == pytest.approx((2 * low - high, 2 * high - low), abs=1e-9)


def test_cascades_of_few_sizes_have_plain_numbers_beside_their_axes() -> None:
    ax = plots.cascade_sizes([1, 1, 2, 5, 8])
    ax.figure.canvas.draw()
    assert not any(one.get_text() for one in ax.get_xticklabels(which="minor"))
    assert {"1", "2", "5"} <= {one.get_text() for one in ax.get_xticklabels()}


def test_runs_with_times_of_their_own_are_drawn_along_their_steps() -> None:
    data = sweep().drop_vars("time").assign_coords(step=("time", [0, 50, 100]))
    ax = plots.time_series(data.isel(n_agents=1), "order")
    assert ax.get_xlabel() == "Number of the step"
    assert ax.get_xlim() == (0.0, 100.0)
