from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from plot_datasets import as_runs, one_run, sweep

from simengine import InputError
from simengine.analysis import plots
from simengine.analysis.plots.marks import (
    is_geometric,
    last_known,
    mean_and_half_width,
    spread,
    valid_range,
)


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    yield
    plt.close("all")


def test_the_line_is_the_mean_over_replicates_and_the_band_is_students_interval() -> None:
    data = sweep().isel(noise=0, n_agents=0)
    ax = plots.time_series(data, "order", band="interval", level=0.9)
    values = data.order.values
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), values.mean(axis=0))
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), [0.0, 5.0, 10.0])
    # 2.3533634 is Student's quantile of 95 % for 3 degrees of freedom (any table).
    half = 2.3533634 * values.std(axis=0, ddof=1) / 2.0
    box = ax.collections[0].get_paths()[0].vertices
    assert box[:, 1].min() == pytest.approx((values.mean(axis=0) - half).min(), rel=1e-6)
    assert box[:, 1].max() == pytest.approx((values.mean(axis=0) + half).max(), rel=1e-6)


def test_axes_tell_names_and_units_from_the_attributes() -> None:
    ax = plots.time_series(one_run(), "spread")
    assert ax.get_ylabel() == "Root mean square distance (m)"
    assert ax.get_xlabel() == "Time (s)"
    assert ax.get_xlim() == (0.0, 20.0)


def test_the_whole_valid_range_is_shown_with_a_little_air() -> None:
    low, high = plots.time_series(one_run(), "rising").get_ylim()
    assert -0.1 < low < 0.0
    assert 1.0 < high < 1.1
    small = one_run()
    small["rising"] = small.rising * 0.01
    small.rising.attrs["valid_range"] = np.array([0.0, 1.0])
    low, high = plots.time_series(small, "rising").get_ylim()
    assert low > -0.01
    assert high < 0.02


def test_ranges_and_single_runs_are_drawn_when_asked_for() -> None:
    data = sweep().isel(noise=0, n_agents=0)
    box = plots.time_series(data, "order", band="range").collections[0].get_paths()[0].vertices
    assert box[:, 1].min() == pytest.approx(float(data.order.min()))
    assert box[:, 1].max() == pytest.approx(float(data.order.max()))
    ax = plots.time_series(data, "order", band="runs")
    assert len(ax.get_lines()) == 4 + 1
    assert len(plots.time_series(data, "order", band=None).collections) == 0


def test_a_swept_parameter_gives_a_line_for_each_value_named_at_its_end() -> None:
    ax = plots.time_series(sweep(), "order", by="n_agents")
    assert [text.get_text() for text in ax.texts] == ["10", "100", "1000", "n agents"]
    expected = sweep().order.mean("noise").mean("replicate")
    for line, one in zip(ax.get_lines(), expected.values, strict=True):
        np.testing.assert_allclose(line.get_ydata(), one)


def test_one_observable_of_a_sweep_is_drawn_by_the_first_parameter_with_several_values() -> None:
    assert len(plots.time_series(sweep()).get_lines()) == 3
    assert [text.get_text() for text in plots.time_series(sweep().isel(noise=[1])).texts][-1] == "n agents"


def test_runs_in_a_list_are_drawn_as_those_of_a_grid() -> None:
    grid = plots.time_series(sweep().isel(n_agents=[1]), "order", by="noise")
    listed = plots.time_series(as_runs(sweep().isel(n_agents=[1])), "order", by="noise")
    for one, other in zip(grid.get_lines(), listed.get_lines(), strict=True):
        np.testing.assert_allclose(one.get_ydata(), other.get_ydata())


def test_more_values_than_can_be_named_have_a_colour_bar() -> None:
    many = sweep().isel(noise=np.arange(10) % 2)
    many = many.assign_coords(noise=("noise", 0.1 * np.arange(10), {"long_name": "strength of noise", "units": "rad"}))
    ax = plots.time_series(many, "order", by="noise")
    assert len(ax.get_lines()) == 10
    bar = ax.figure.axes[1]
    assert bar.get_ylabel() == "Strength of noise (rad)"
    assert bar.get_ylim() == pytest.approx((0.0, 0.9))
    factors = many.assign_coords(noise=("noise", 2.0 ** np.arange(10)))
    assert plots.time_series(factors, "order", by="noise").figure.axes[1].get_yscale() == "log"


def test_values_whose_runs_all_failed_have_neither_a_line_nor_a_name() -> None:
    ax = plots.time_series(sweep().isel(n_agents=[0]), "order", by="noise")
    assert len(ax.get_lines()) == 2
    assert [text.get_text() for text in ax.texts] == ["0.1", "0.2", "noise"]
    ax = plots.time_series(sweep().isel(n_agents=[0], noise=[1, 2]), "order", by="noise")
    assert [text.get_text() for text in ax.texts] == ["0.2", "noise"]


def test_where_a_line_covers_another_it_is_drawn_in_dashes() -> None:
    data = one_run()
    data["larger"] = np.maximum(data.rising, data.falling).assign_attrs(data.rising.attrs)
    falling, solid, dashed = plots.time_series(data, ["falling", "larger"]).get_lines()
    assert [falling.get_linestyle(), solid.get_linestyle(), dashed.get_linestyle()] == ["-", "-", "--"]
    larger = data.larger.values
    np.testing.assert_allclose(dashed.get_ydata(), np.where(np.arange(21) <= 10, larger, np.nan))
    np.testing.assert_allclose(solid.get_ydata(), np.where(np.arange(21) >= 10, larger, np.nan))
    lines = plots.time_series(data.assign(same=data.rising, again=data.rising), ["rising", "same", "again"]).get_lines()
    assert [one.get_linestyle() for one in lines] == ["-", "--", "--"]
    assert len({str(one._unscaled_dash_pattern) for one in lines}) == 3


def test_where_few_runs_are_left_the_line_is_dotted() -> None:
    data = sweep().isel(noise=0, n_agents=0)
    values = data.order.values.copy()
    values[1:, 2] = np.nan
    data["order"] = (data.order.dims, values)
    solid, dotted = plots.time_series(data, "order").get_lines()
    assert np.isnan(solid.get_ydata()[2])
    assert dotted.get_linestyle() == ":"
    assert dotted.get_ydata()[2] == values[0, 2]


def test_runs_that_have_ended_keep_their_last_value_unless_they_are_left_out() -> None:
    step = np.array([0, 5, 10])
    data = xr.Dataset(
        {
            "share": (("replicate", "time"), [[0.0, 1.0, np.nan], [0.0, 0.2, 0.4]]),
            "stopped_at": ("replicate", [5, 10]),
            "status": ("replicate", [0, 0]),
            "seed": ("replicate", [1, 2]),
        },
        {"time": step.astype(float), "step": ("time", step), "replicate": [0, 1]},
    )
    means = {}
    for ended in ("held", "left_out"):
        ax = plots.time_series(data, "share", ended=ended, band=None)
        means[ended] = ax.lines[0].get_ydata()
        plt.close(ax.figure)
    np.testing.assert_allclose(means["held"], [0.0, 0.6, 0.7])
    np.testing.assert_allclose(means["left_out"], [0.0, 0.6, 0.4])


def test_error_and_null_of_a_single_run_are_drawn_beside_it() -> None:
    ax = plots.time_series(one_run(), "opinion_entropy")
    value, null = ax.get_lines()
    assert null.get_linestyle() == "--"
    np.testing.assert_allclose(null.get_ydata(), 1.0)
    heights = [one.get_paths()[0].vertices[:, 1] for one in ax.collections]
    assert [len(ax.collections), len(value.get_ydata())] == [2, 21]
    # 1.959964 standard errors to each side.
    assert max(heights[0]) == pytest.approx(1.0 + 1.959964 * 0.05)
    assert max(heights[1]) == pytest.approx(1.0 + 1.959964 * 0.02)
    assert ax.texts[0].get_text() == "null, 95%"
    assert len(plots.time_series(one_run(), "opinion_entropy", null=False).get_lines()) == 1


def test_several_observables_of_one_unit_share_axes() -> None:
    ax = plots.time_series(one_run(), ["rising", "falling"])
    assert [text.get_text() for text in ax.texts] == ["Share that rises", "Share that falls"]
    assert ax.get_ylabel() == ""


def test_observables_of_different_units_are_refused() -> None:
    with pytest.raises(InputError, match="'rising' is in 1, 'spread' in m: one axis has one unit"):
        plots.time_series(one_run(), ["rising", "spread"])


def test_a_dataarray_is_drawn_by_its_own_name() -> None:
    values = xr.DataArray(np.arange(12.0).reshape(3, 4), dims=("replicate", "time"), name="catch", attrs={"units": "t"})
    ax = plots.time_series(values)
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [4.0, 5.0, 6.0, 7.0])
    assert ax.get_ylabel() == "Catch (t)"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"by": "nois"}, r"by: there is no swept parameter 'nois'.*noise"),
        ({"band": "intervals"}, r"band: got 'intervals', allowed are interval, range, runs, None"),
        ({"over": "replicates"}, r"over: there is no dimension 'replicates'.*replicate"),
        ({"names": "status"}, r"'status' has no dimension 'time'"),
        ({"names": ["order", "cascade_size"], "by": "noise"}, r"by= draws one observable"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(more: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        plots.time_series(sweep(), **more)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8),
    st.lists(st.floats(0.01, 0.2), min_size=8, max_size=8),
)
def test_texts_moved_apart_do_not_overlap_stay_within_and_keep_their_order(
    heights: list[float], sizes: list[float]
) -> None:
    size = np.array(sizes[: len(heights)])
    moved = spread(heights, list(size))
    if moved is None:
        assert size.sum() > 1.0
        return
    order = np.argsort(heights, kind="stable")
    at, width = np.array(moved)[order], size[order]
    assert (at - width / 2.0 > -1e-6).all()
    assert (at + width / 2.0 < 1.0 + 1e-6).all()
    assert (np.diff(at) >= (width[1:] + width[:-1]) / 2.0 - 1e-6).all()


def test_axes_are_logarithmic_for_values_spread_by_factors_only() -> None:
    assert is_geometric([1, 2, 5, 10, 20])
    assert is_geometric([0.001, 0.01, 0.1])
    assert not is_geometric([10, 20, 30, 40, 50])
    assert not is_geometric([0, 1, 10, 100])
    assert not is_geometric(["a", "b", "c"])
    assert not is_geometric([1, 10])


def test_the_last_known_value_of_each_run_is_found() -> None:
    values = np.array([[1.0, 2.0, np.nan], [np.nan, np.nan, np.nan], [4.0, np.nan, 5.0]])
    np.testing.assert_array_equal(last_known(values), [2.0, np.nan, 5.0])
    assert last_known(np.empty((2, 0))).shape == (2,)


def test_intervals_of_one_value_are_not_known() -> None:
    mean, half, number = mean_and_half_width(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 5.0]]), 0.95)
    np.testing.assert_allclose(mean, [2.0, 5.0])
    assert number.tolist() == [2, 1]
    # Student's quantile of 97.5 % for one degree of freedom is 12.7062, the standard error 1.
    np.testing.assert_allclose(half, [12.706205, np.nan], rtol=1e-6)


@pytest.mark.parametrize("said", [[1.0, 0.0], [0.0, np.inf], ["a", "b"], [1.0], "0 1"])
def test_ranges_that_are_none_are_passed_over(said: object) -> None:
    assert valid_range(xr.DataArray([1.0], attrs={"valid_range": said})) is None
