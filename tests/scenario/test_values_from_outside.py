from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simengine
from simengine import (
    InputError,
    Network,
    Scenario,
    ScenarioError,
    consensus,
    extinct,
    field,
    observable,
    param,
    population,
    stop_when,
    unchanged,
    update,
)


@observable
def seeds(agents: Any) -> int:
    """Number of the active."""
    return int(agents.active.sum())


class Crowd(Scenario):
    """Agents on a graph, of whom those with most neighbours are active."""

    n_agents: int = param(5, low=1)
    n_seeds: int = param(1, low=0)
    threshold: float = param(0.5)
    noise: float = param(0.0, low=0)
    quick: bool = param(False)

    agents = population(
        size="n_agents", threshold=field(low=0, high=1), active=field(bool), rank=field(int, low=0), luck=field()
    )
    acquaintances = Network(agents, graph="star", weight=field(default=1.0, low=0))

    def start(self, agents: Any) -> None:
        agents.threshold[:] = self.threshold

    def star(self) -> Any:
        return np.array([(0, other) for other in range(1, self.n_agents)])

    def connected(self, agents: Any, acquaintances: Any, draw: Any) -> None:
        total = float(acquaintances.weight.sum())
        self.require(total <= 100, f"the weights add up to {total:g}; they add up to 100 at most")
        agents.active[np.argsort(-acquaintances.degree, kind="stable")[: self.n_seeds]] = True
        agents.luck[:] = draw.of(agents).uniform("luck")

    @update(agents)
    def shiver(me, agents, new, p, draw):
        new.luck[me] = agents.luck[me] + p.noise

    observe = [seeds]
    stop = (unchanged(agents.luck, when={"noise": 0.0}), stop_when(when={"quick": True})(lambda step: step >= 2))


QUIETLY: dict[str, Any] = {"steps": 6, "progress": False, "snapshot_every": 1}


def test_values_that_follow_from_a_network_are_set_when_its_edges_are_there() -> None:
    run = simengine.run(Crowd, noise=1.0, **QUIETLY)
    assert run.active[0].values.tolist() == [1, 0, 0, 0, 0]
    own = simengine.run(Crowd, noise=1.0, start={"acquaintances": [(0, 3), (1, 3), (2, 3), (4, 3)]}, **QUIETLY)
    assert own.active[0].values.tolist() == [0, 0, 0, 1, 0]


def test_a_start_state_given_to_the_run_comes_before_them() -> None:
    given = np.array([0, 1, 1, 0, 0], bool)
    run = simengine.run(Crowd, noise=1.0, start={"active": given}, **QUIETLY)
    np.testing.assert_array_equal(run.active[0].values.astype(bool), given)
    assert (run.luck[0] > 0).all()


def test_values_from_outside_are_within_their_bounds() -> None:
    with pytest.raises(InputError, match=r"^start: agents.threshold of agent 1 is 1.5; allowed is 0 <= value <= 1$"):
        simengine.run(Crowd, start={"threshold": [0.5, 1.5, 0, 0, 0]}, **QUIETLY)
    with pytest.raises(InputError, match=r"start: agents.rank of agent 0 is -1; allowed is 0 <= value$"):
        simengine.run(Crowd, start={"rank": [-1, 0, 0, 0, 0]}, **QUIETLY)
    with pytest.raises(InputError, match=r"start: agents.threshold of agent 0 is 2; allowed is 0 <= value <= 1"):
        simengine.run(Crowd, threshold=2.0, **QUIETLY)
    edges = {"source": [0, 1], "target": [1, 2], "weight": [1, -2]}
    with pytest.raises(InputError, match=r"start: acquaintances: weight of edge 1 is -2; allowed is 0 <= value"):
        simengine.run(Crowd, start={"acquaintances": edges}, **QUIETLY)


def test_a_network_can_be_refused_by_the_scenario() -> None:
    edges = {"source": [0, 1], "target": [1, 2], "weight": [80, 30]}
    with pytest.raises(InputError, match="the weights add up to 110; they add up to 100 at most"):
        simengine.run(Crowd, start={"acquaintances": edges}, **QUIETLY)


def test_a_stop_condition_counts_for_the_parameters_it_names() -> None:
    assert simengine.run(Crowd, **QUIETLY).attrs["stopped_at"] == 1
    assert simengine.run(Crowd, noise=1.0, **QUIETLY).attrs["stopped_at"] == 6
    assert simengine.run(Crowd, noise=1.0, quick=True, **QUIETLY).attrs["stopped_at"] == 2


def test_a_stop_condition_counts_from_the_step_at_which_its_parameters_hold() -> None:
    run = simengine.run(Crowd, noise=1.0, interventions=[simengine.at(3, noise=0.0)], **QUIETLY)
    assert run.attrs["stopped_at"] == 4
    assert run.attrs["stop_reason"] == "agents.luck unchanged within 0"


def test_interventions_that_a_stopped_run_never_reached_are_told() -> None:
    with pytest.warns(
        UserWarning, match=r"stopped at step 1 \(agents.luck unchanged.*\): at\(3, noise=1.0\) did not happen"
    ):
        simengine.run(Crowd, interventions=[simengine.at(3, noise=1.0)], **QUIETLY)


def test_declarations_that_cannot_be_are_refused() -> None:
    with pytest.raises(ScenarioError, match=r"field\(low=2, high=1\): low is at most high"):
        field(low=2, high=1)
    with pytest.raises(ScenarioError, match="a field of truth values has no bounds"):
        field(bool, low=0)
    for bound in ("0", True, float("nan")):
        with pytest.raises(ScenarioError, match=r"field\(low=.*\): a bound is a number"):
            field(low=bound)
    crowd = population(size=2, x=field(), dim="one")
    with pytest.raises(ScenarioError, match=r"unchanged\(within=...\) is a number from 0, got '1e-9'"):
        unchanged(crowd.x, within="1e-9")
    with pytest.raises(ScenarioError, match=r"when= of crowd\.x unchanged within 0 holds values by parameter"):
        type("Odd", (Scenario,), {"crowd": crowd, "stop": unchanged(crowd.x, when="noise"), "__module__": __name__})
    for condition in (consensus(crowd.x, when={"nosie": 0}), extinct(crowd, when={"nosie": 0})):
        with pytest.raises(ScenarioError, match=r"when= of .* names no parameter 'nosie'"):
            type("Odd", (Scenario,), {"crowd": crowd, "stop": condition, "__module__": __name__})
