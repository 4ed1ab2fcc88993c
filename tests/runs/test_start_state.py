from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import simengine

FAMILY = """
from simengine import Scenario, birth, field, param, population, reference, update

class Family(Scenario):
    n_agents: int = param(6)
    rate: float = param(0.5)
    agents = population(
        size="n_agents", capacity=500, kind=field(int), parent=reference(), weight=field(), awake=field(bool)
    )

    def start(self, agents, draw):
        agents.weight[:] = draw.uniform("weight")

    @birth(agents)
    def breed(me, agents, child, p, draw):
        child.parent = me
        child.kind = child.kind + 1
        child.awake = True
        return draw.uniform("birth") < p.rate

    @update(agents)
    def age(me, agents, new, draw):
        if draw.uniform("death") < 0.2:
            new.alive[me] = False
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "family.py"
    path.write_text(FAMILY)
    return path


def living(dataset: xr.Dataset, moment: int) -> dict[str, np.ndarray]:
    """The fields of the living by ascending id, references as ranks among the living (-1: nobody, or dead)."""
    now = dataset.isel(snapshot_time=moment)
    ids = now["agent_id"].values
    alive = ids >= 0
    rank = {identity: number for number, identity in enumerate(ids[alive])}
    found = {name: now[name].values[alive] for name in ("kind", "weight", "awake")}
    found["parent"] = np.array([rank.get(identity, -1) for identity in now["parent"].values[alive]])
    return found


@pytest.mark.parametrize("way", ["file", "path", "dataset"])
def test_a_run_begins_where_another_ended_with_its_parameters(way, model, tmp_path):
    path = tmp_path / "first.nc"
    first = simengine.run(model, steps=6, snapshot_every=3, out=path, rate=0.7)
    start = {"file": str(path), "path": path, "dataset": first}[way]
    second = simengine.run(model, steps=0, snapshot_every=1, start=start)
    before, after = living(first, -1), living(second, 0)
    assert len(before["kind"]) > 6
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
    assert second.attrs["parameter_rate"] == 0.7
    assert second.attrs["parameter_n_agents"] == len(before["kind"])
    assert simengine.run(model, steps=0, start=start, rate=0.1).attrs["parameter_rate"] == 0.1


def test_a_start_file_is_closed_so_that_it_can_be_overwritten(model, tmp_path):
    path = tmp_path / "first.nc"
    simengine.run(model, steps=2, snapshot_every=1, out=path).close()
    simengine.run(model, steps=2, snapshot_every=1, start=path, out=path, overwrite=True).close()
    assert simengine.open(path).attrs["start"] == "file first.nc"


def test_arrays_set_the_size_and_leave_other_fields_to_the_scenario(model):
    dataset = simengine.run(model, steps=0, snapshot_every=1, start={"kind": [3, 1, 2], "parent": [-1, 0, 1]})
    found = living(dataset, 0)
    np.testing.assert_array_equal(found["kind"], [3, 1, 2])
    np.testing.assert_array_equal(found["parent"], [-1, 0, 1])
    assert (found["weight"] > 0).all()


def test_fields_may_be_given_by_population(model):
    dataset = simengine.run(model, steps=0, snapshot_every=1, start={"agents": {"weight": np.arange(4)}})
    np.testing.assert_array_equal(living(dataset, 0)["weight"], np.arange(4))


def test_a_direction_is_normalised():
    heading = np.array([[3.0, 0.0, 4.0], [0.0, 2.0, 0.0]])
    dataset = simengine.run(
        "schooling", steps=0, snapshot_every=1, start={"heading": heading, "position": np.eye(3)[:2]}
    )
    np.testing.assert_allclose(dataset["heading"][0], [[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]], rtol=1e-15)


def test_a_dataset_of_one_agent_picked_out_is_no_start_state(model):
    first = simengine.run(model, steps=1, snapshot_every=1)
    with pytest.raises(simengine.InputError, match="start: agent_id of the dataset has no dimension 'agent'"):
        simengine.run(model, steps=1, start=first.isel(agent=0))
