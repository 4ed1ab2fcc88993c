"""What SALib is given of a sweep, and what it finds in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from SALib.analyze import morris as morris_analysis
from SALib.analyze import sobol as sobol_analysis

import simengine
from simengine import InputError, Scenario, designs, field, observable, param, population, stop_when, update

BOX = {"slope": (0.0, 1.0), "n_agents": (2, 5), "idle": (0.0, 1.0)}


@observable
def height(agents: Any) -> float:
    """Height of the first agent."""
    return float(agents.height[0])


def is_up(step: int) -> bool:
    """Four steps are enough."""
    return step >= 4


class Climb(Scenario):
    """Everybody climbs by slope + 2 n_agents in four steps, and knows nothing of what is idle."""

    default_steps = 10

    n_agents: int = param(3, low=1)
    slope: float = param(0.5, low=0, high=1)
    idle: float = param(0.5, low=0, high=1)
    bad: float = param(2.0)

    agents = population(size="n_agents", height=field())

    def start(self, agents: Any) -> None:
        """Begin on the ground."""
        if self.slope > self.bad:
            raise ValueError("too steep")
        agents.height[:] = 0.0

    @update(agents)
    def climb(me, agents, new, p):
        """Take one step."""
        new.height[me] += (p.slope + 2.0 * p.n_agents) / 4.0

    observe = [height]

    stop = stop_when(is_up)


def sweep(design: Any, **keywords: Any) -> xr.Dataset:
    return simengine.sweep(Climb, design, **{"workers": 1, "progress": False, **keywords})


def test_every_row_of_a_sample_has_its_parameters_and_its_last_value() -> None:
    for design in (designs.morris(6, BOX), designs.saltelli(8, BOX)):
        found = sweep(design, replicates=2, every=3)
        problem, x, y = designs.for_salib(found, "height")
        assert problem == {"num_vars": 3, "names": list(BOX), "bounds": [[0.0, 1.0], [2, 5], [0.0, 1.0]]}
        assert x.shape == (len(design), 3)
        np.testing.assert_allclose(x[:, 0], design.columns["slope"])
        np.testing.assert_allclose(y, x[:, 0] + 2.0 * x[:, 1])


def test_the_indices_of_a_linear_model_are_its_shares_of_the_variance() -> None:
    problem, _, y = designs.for_salib(sweep(designs.saltelli(256, BOX)), "height")
    indices = sobol_analysis.analyze(problem, y, seed=1)
    # The variance of a uniform number in (0, 1) is 1/12, that of 2 n with n one of four whole numbers is 5.
    share = (1 / 12) / (1 / 12 + 5)
    np.testing.assert_allclose(indices["S1"], [share, 1.0 - share, 0.0], atol=0.05)
    np.testing.assert_allclose(indices["ST"], [share, 1.0 - share, 0.0], atol=0.05)


def test_elementary_effects_rank_the_parameters() -> None:
    problem, x, y = designs.for_salib(sweep(designs.morris(20, BOX)), "height")
    effects = morris_analysis.analyze(problem, x, y, seed=1)
    assert effects["mu_star"][1] > effects["mu_star"][0] > effects["mu_star"][2] == 0.0


def test_an_array_of_one_number_per_run_serves_as_well(tmp_path: Path) -> None:
    found = sweep(designs.morris(3, BOX), out=tmp_path / "sweep")
    found.close()
    with simengine.open(tmp_path / "sweep") as opened:
        given = designs.for_salib(opened, opened.height.isel(time=-1) * 2.0)
        named = designs.for_salib(opened, "height")
        np.testing.assert_array_equal(given.y, 2.0 * named.y)
        assert set(designs.for_salib(opened, "stopped_at").y) == {4.0}
        with pytest.raises(InputError, match="has not one number for each run"):
            designs.for_salib(opened, opened.height)
        with pytest.raises(InputError, match="no variable 'heigth'; did you mean 'height'"):
            designs.for_salib(opened, "heigth")
        with pytest.raises(InputError, match=r"allowed are all runs of the sweep; of \d+ points there are 1 here"):
            designs.for_salib(opened.isel(run=opened.point.values == 0), "height")


def test_a_sweep_that_is_no_sample_or_has_gaps_is_refused() -> None:
    with pytest.raises(InputError, match="a morris or saltelli design, not over a design of grid"):
        designs.for_salib(sweep({"slope": [0.1, 0.2]}), "height")
    with pytest.raises(InputError, match=r"a morris or saltelli design$"):
        designs.for_salib(xr.Dataset(), "height")
    with pytest.warns(UserWarning, match="too steep"):
        failed = sweep(designs.morris(4, BOX), bad=0.5)
    with pytest.raises(InputError, match=r"'height' has no number at \d+ of \d+ points: runs are missing or failed"):
        designs.for_salib(failed, "height")
