from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine import Regimes, Scenario, Space, field, param, population, vector
from simengine.errors import InputError
from simengine.scenarios.predator_prey import PredatorPrey
from simengine.scenarios.schooling import Schooling
from simengine.scenarios.wealth_exchange import WealthExchange
from simengine.sweeps import designs
from simengine.sweeps.checking import checked, design_of
from simengine.sweeps.seeds import run_seed


class Picky(Scenario):
    """Refuses combinations in each of the ways in which a scenario can."""

    low: float = param(0.0, low=-10, high=10)
    high: float = param(5.0, low=-10, high=10)
    reach: float = param(1.0, low=-10, high=10)
    box: float | None = param(None)
    n_agents: int = param(3)
    most: int = param(100)
    mode: Literal["wide", "narrow"] = param("wide")
    kind: Literal[1, 2] = param(1)
    flag: bool = param(False)
    label: str = param("a")

    regimes = Regimes(by=("mode",), table={("wide",): {"high": 5.0}, ("narrow",): {"high": 1.0}})
    agents = population(size="n_agents", capacity="most", position=vector(2), x=field(float))
    near = Space(agents.position, reach="reach", box="box")

    def check(self) -> None:
        """Refuse an empty interval."""
        self.require(self.low < self.high, f"low ({self.low:g}) must be below high ({self.high:g})")

    def derived(self) -> Mapping[str, float]:
        """Fails where the label is no number, in one mode."""
        return {"number": float(self.label) if self.mode == "narrow" and self.label != "a" else 0.0}


def accepted(values: dict[str, Any]) -> bool:
    try:
        Picky(values)
    except Exception:
        return False
    return True


# -- values -----------------------------------------------------------------------------------------------------------


def test_values_come_back_in_the_types_of_their_parameters() -> None:
    found = checked(designs.grid(noise=[0, 1, np.float32(0.5)], n_agents=[5.0, np.int64(6)]), Schooling, {})
    assert found.columns["noise"] == (0.0, 0.0, 1.0, 1.0, 0.5, 0.5)
    assert found.columns["n_agents"] == (5, 6) * 3
    assert {type(value) for value in found.columns["noise"]} == {float}
    assert {type(value) for value in found.columns["n_agents"]} == {int}
    assert found.shape == (3, 2)
    rows = checked(designs.points([{"box": None, "noise": 1}, {"box": 3, "noise": -0.0}]), Schooling, {})
    assert rows.columns == {"box": (None, 3.0), "noise": (1.0, 0.0)}
    assert math.copysign(1.0, rows.columns["noise"][1]) == 1.0


VALUES = {
    "low": st.one_of(st.integers(-20, 20), st.floats(allow_nan=True), st.floats(-10, 10)),
    "high": st.floats(-10, 10),
    "reach": st.one_of(st.floats(-1, 10), st.just(0.0)),
    "box": st.one_of(st.none(), st.floats(-5, 50)),
    "n_agents": st.one_of(st.integers(-3, 200), st.sampled_from([2.0, 2.5, 2**70, 10**18, True])),
    "most": st.integers(0, 200),
    "mode": st.sampled_from(["wide", "narrow", "nothing"]),
    "kind": st.sampled_from([1, 2, 3, 1.0, True]),
    "flag": st.sampled_from([True, False, 1, "true"]),
    "label": st.sampled_from(["a", "1.5", "b", 1]),
}


@given(st.data())
def test_a_design_is_accepted_when_the_scenario_accepts_every_point(data: st.DataObject) -> None:
    swept = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4, unique=True))
    rows = data.draw(st.lists(st.fixed_dictionaries({name: VALUES[name] for name in swept}), min_size=1, max_size=4))
    known = {repr(sorted((name, float(v) if isinstance(v, int) else v) for name, v in row.items())) for row in rows}
    if len(known) < len(rows):
        return
    refusal = None
    try:
        found = checked(designs.points(rows), Picky, {})
    except InputError as error:
        refusal = str(error)
    too_large = any(row.get("n_agents", 3) > row.get("most", 100) or row.get("n_agents", 3) < 0 for row in rows)
    if refusal is None:
        assert not too_large
        for number, row in enumerate(rows):
            assert Picky(found.point(number)).values == Picky(row).values
    else:
        assert "\n" not in refusal
        assert "are the same" in refusal or too_large or not all(map(accepted, rows)), refusal


def test_points_of_a_shipped_scenario_have_the_values_of_a_single_run() -> None:
    design = checked(designs.grid(regime=["swarm", "torus"], noise=[0, 0.1]), Schooling, {"n_agents": 7})
    for number in range(len(design)):
        values = Schooling({"n_agents": 7, **design.point(number)}).values
        assert values["radius_orientation"] == {"swarm": 1.0, "torus": 3.5}[values["regime"]]
        assert values["n_agents"] == 7
    assert checked(designs.grid(n_agents=[5, 9]), Schooling, {"regime": "swarm"}).columns["n_agents"] == (5, 9)


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("design", "fixed", "message"),
    [
        ({"nois": [1]}, {}, "unknown parameter 'nois' of Schooling; did you mean 'noise'"),
        ({"noise": [1]}, {"nn_agents": 3}, "unknown parameter 'nn_agents' of Schooling; did you mean 'n_agents'"),
        ({"steps": [1]}, {}, "steps is no parameter but a keyword of the sweep"),
        ({"noise": [1]}, {"noise": 2}, r"noise is both swept and fixed \(noise=2\)"),
        ({"noise": [0.1, -0.1]}, {}, "noise.*got -0.1, allowed is float, 0 <= value"),
        ({"noise": [0.1, math.nan]}, {}, "got nan, allowed is a finite float"),
        ({"noise": [0.1, math.inf]}, {}, "got inf, allowed is a finite float"),
        ({"noise": [0.1, True]}, {}, "got True"),
        ({"noise": [0.1, "a"]}, {}, "got 'a'"),
        ({"n_agents": [3, 3.5]}, {}, "got 3.5, allowed is int"),
        ({"n_agents": [10**30]}, {}, "64-bit"),
        ({"n_agents": [2**70, 5]}, {}, "64-bit"),
        ({"regime": ["torsu"]}, {}, "did you mean 'torus'"),
        ({"noise": [1, 1.0]}, {}, "grid: noise: 1.0 is given twice"),
        ({"noise": [0.0, -0.0]}, {}, "grid: noise: 0.0 is given twice"),
        ([{"noise": 0.1}, {"noise": 0.2}, {"noise": 0.1}], {}, r"points: points 0 and 2 are the same \(noise=0.1\)"),
        ([{"noise": 0.1}, {"noise": -2}], {}, "point 1: parameter 'noise' of Schooling: got -2"),
        ({"noise": [0.1]}, {"speed": -1}, "^parameter 'speed' of Schooling: got -1"),
        ({"radius_repulsion": [1.0, 4.0]}, {}, r"point 1 \(radius_repulsion=4.0\): radius_repulsion \(4\) must not"),
        ({"rules": ["couzin", "dewi-kadita"], "box": [None]}, {}, r"point 1 \(rules='dewi-kadita', box=None\): .*box"),
        ({"n_agents": [10**13]}, {}, r"point 0 \(n_agents=10000000000000\): agents: .* GiB; this machine has"),
    ],
)
def test_what_is_wrong_at_any_point_is_told_in_one_line(design: Any, fixed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        checked(design_of(design), Schooling, fixed)
    assert "\n" not in str(caught.value)


def test_a_relation_that_refuses_its_numbers_is_told_with_the_point() -> None:
    with pytest.raises(InputError, match=r"point 2 \(reach=-1.0\): Picky.near: the reach must be positive"):
        checked(designs.grid(reach=[1, 2, -1]), Picky, {})
    with pytest.raises(InputError, match=r"point 1 \(box=-3.0, reach=1.0\): Picky.near: the box must be positive"):
        checked(designs.points([{"box": None, "reach": 1}, {"box": -3, "reach": 1}]), Picky, {})


def test_an_error_in_the_scenario_is_told_with_the_point() -> None:
    with pytest.raises(InputError, match=r"point 1 \(mode='narrow'\): the scenario cannot be set up: ValueError"):
        checked(designs.grid(mode=["wide", "narrow"]), Picky, {"label": "word"})


def test_too_many_runs_are_refused() -> None:
    design = designs.grid(noise=[0.1, 0.2])
    assert len(checked(design, Schooling, {}, 5_000_000)) == 2
    with pytest.raises(InputError, match="2 points with 5,000,001 replicates each are 10,000,002 runs; at most 10,000"):
        checked(design, Schooling, {}, 5_000_001)
    with pytest.raises(InputError, match="replicates: got 0"):
        checked(design, Schooling, {}, 0)


def test_a_scenario_with_a_constructor_of_its_own_is_constructed() -> None:
    class Own(WealthExchange):
        """Takes even numbers only."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.require(self.n_agents % 2 == 0, "odd")

    assert len(checked(designs.grid(n_agents=[2, 4]), Own, {})) == 2
    with pytest.raises(InputError, match=r"point 1.*odd"):
        checked(designs.grid(n_agents=[2, 5]), Own, {})


def test_checking_a_checked_design_changes_nothing() -> None:
    for design in (designs.grid(sight=[1, 2], gain=[3.0]), designs.latin_hypercube(9, sight=(0.1, 1), gain=(0, 9))):
        once = checked(design, PredatorPrey, {})
        assert checked(once, PredatorPrey, {}) == once


def test_checked_points_have_the_same_seeds_however_they_were_written() -> None:
    one = checked(designs.grid(noise=[0, 1], n_agents=[5.0]), Schooling, {})
    other = checked(
        designs.points([{"n_agents": np.int8(5), "noise": 1}, {"n_agents": 5, "noise": -0.0}]), Schooling, {}
    )
    assert run_seed(3, one.point(0), 2) == run_seed(3, other.point(1), 2)
    assert run_seed(3, one.point(1), 2) == run_seed(3, other.point(0), 2)
