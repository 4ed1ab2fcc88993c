"""``simengine.run``: what is recorded, from which start, and that nothing else shows in the result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import simengine
from simengine import (
    Random,
    RunError,
    Scenario,
    Space,
    birth,
    count,
    field,
    gather,
    observable,
    param,
    population,
    reference,
    running,
    send,
    summed,
    total,
    update,
    vector,
)
from simengine.store import content_hash, decode_attributes


@observable
def mean_mood(agents: Any) -> float:
    return float(agents.mood.mean()) if len(agents) else 0.0


class Flock(Scenario):
    """Birds that see, meet and feed one another; enough of everything to notice a difference."""

    n_agents: int = param(700, low=0)
    reach: float = param(0.1, above=0)
    box: float = param(1.0, above=0)

    agents = population(size="n_agents", place=vector(2), mood=field(), mate=reference(), tame=field(bool))
    near = Space(agents.place, reach="reach", box="box")
    stranger = Random(agents)

    def start(self, agents: Any, draw: Any) -> None:
        agents.place[:] = draw.uniform("place", 0.0, self.box, components=2)
        agents.mood[:] = draw.normal("mood")

    @gather(near, pull=total(2), moods=total(), others=count())
    def look(me, other, offset, agents, acc):
        for axis in range(2):
            acc.pull[axis] += offset[axis]
        acc.moods += agents.mood[other]
        acc.others += 1

    @gather(near, nearest=running(9.0), friend=running(-1))
    def befriend(me, other, distance, acc):
        if distance < acc.nearest:
            acc.nearest = distance
            acc.friend = other

    @gather(stranger, news=running(0.0))
    def hear(me, other, agents, acc):
        acc.news = agents.mood[other]

    @update(agents, after=(look, befriend, hear))
    def fly(me, agents, new, acc, draw):
        new.place[me, 0] += 0.1 * acc.pull[0] / (1.0 + acc.others) + 0.01 * draw.normal("east")
        new.place[me, 1] += 0.1 * acc.pull[1] / (1.0 + acc.others) + 0.01 * draw.normal("north")
        new.mood[me] = 0.5 * agents.mood[me] + 0.3 * acc.moods / (1.0 + acc.others) + 0.1 * acc.news
        new.mate[me] = acc.friend
        new.tame[me] = acc.others > 3

    @send(agents, to=agents, food=summed())
    def feed(me, agents, send):
        send.food(agents.mate[me], agents.mood[me])

    @update(agents)
    def eat(me, agents, new):
        new.mood[me] += 0.01 * agents.food[me]

    observe = [mean_mood]


class Colony(Scenario):
    """A population with births and deaths, and references that outlive their agents."""

    n_agents: int = param(12, low=0)
    room: int = param(300, low=1)
    death: float = param(0.3, low=0, high=1)
    hives = population(size=2, honey=field())
    agents = population(
        size="n_agents",
        capacity="room",
        mood=field(),
        age=field(int),
        alert=field(bool),
        mother=reference(),
        hive=reference(hives),
    )

    def start(self, agents: Any, hives: Any, draw: Any) -> None:
        agents.mood[:] = draw.of(agents).uniform("mood")
        agents.hive[:] = draw.of(agents).integer("hive", 0, 2)

    @birth(agents)
    def bear(me, child, draw):
        child.mother = me
        child.age = 0
        return draw.uniform("birth") < 0.4

    @update(agents)
    def grow(me, agents, new, draw, p):
        new.age[me] += 1
        new.alert[me] = agents.mother[me] >= 0
        if agents.mother[me] >= 0:
            new.mood[me] = 0.5 * agents.mood[me] + 0.5 * draw.uniform("calm")
        new.alive[me] = draw.uniform("death") >= p.death

    observe = [mean_mood]


def result(scenario: Any = Flock, **options: Any) -> xr.Dataset:
    return simengine.run(scenario, **({"steps": 6, "seed": 1, "progress": False, "snapshot_every": 2} | options))


def test_the_first_and_the_last_step_are_always_recorded() -> None:
    for stride, snapshots, times, snapshot_times in (
        (1, 6, [0, 1, 2, 3, 4, 5, 6], [0, 6]),
        (4, 5, [0, 4, 6], [0, 5, 6]),
        (100, 100, [0, 6], [0, 6]),
        (3, 2, [0, 3, 6], [0, 2, 4, 6]),
    ):
        found = result(n_agents=5, every=stride, snapshot_every=snapshots)
        assert found["time"].values.tolist() == times
        assert found["snapshot_time"].values.tolist() == snapshot_times
    assert "mood" not in result(n_agents=5, snapshot_every=None)


def test_strides_select_and_change_nothing() -> None:
    fine = result(every=1, snapshot_every=1)
    coarse = result(every=4, snapshot_every=5)
    np.testing.assert_array_equal(coarse["mean_mood"], fine["mean_mood"].sel(time=[0, 4, 6]))
    np.testing.assert_array_equal(coarse["place"], fine["place"].sel(snapshot_time=[0, 5, 6]))


@pytest.mark.parametrize(
    "options",
    [{"threads": 2}, {"threads": 3}, {"storage_order": "by_cell"}, {"threads": 2, "storage_order": "by_cell"}],
)
def test_threads_and_storage_do_not_show(options: dict[str, Any]) -> None:
    assert content_hash(result(**options)) == content_hash(result(threads=1, storage_order="by_id"))


@pytest.mark.parametrize("scenario", [Flock, Colony])
def test_a_file_holds_what_memory_holds(scenario: Any, tmp_path: Path) -> None:
    in_memory = result(scenario)
    on_disk = result(scenario, out=tmp_path / "run.nc")
    assert content_hash(on_disk) == content_hash(in_memory)
    assert on_disk.attrs["content_hash"] == content_hash(tmp_path / "run.nc")
    xr.testing.assert_identical(on_disk.drop_attrs(), simengine.open(tmp_path / "run.nc").drop_attrs())


def test_another_seed_is_another_run_and_every_seed_is_allowed() -> None:
    hashes = {content_hash(result(n_agents=20, seed=seed)) for seed in (0, 1, 2**63, 2**64 - 1)}
    assert len(hashes) == 4
    assert decode_attributes(result(n_agents=20, seed=2**64 - 1).attrs)["seed"] == 2**64 - 1


def test_a_run_in_another_process_is_the_same_run() -> None:
    script = "import test_running as t; print(t.content_hash(t.result()), t.content_hash(t.result(t.Colony)))"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert found.stdout.split() == [content_hash(result()), content_hash(result(Colony))]


def test_a_run_starts_from_arrays_a_dataset_and_a_file_alike(tmp_path: Path) -> None:
    first = result(n_agents=30, out=tmp_path / "first.nc")
    last = first.isel(snapshot_time=-1)
    arrays = {name: last[name].values for name in ("place", "mood", "mate", "tame")}
    starts = [arrays, {"agents": arrays}, first, tmp_path / "first.nc", str(tmp_path / "first.nc")]
    found = [result(start=start, seed=9) for start in starts]
    for other in found[1:]:
        for name in ("place", "mood", "mate", "tame", "mean_mood"):
            np.testing.assert_array_equal(other[name], found[0][name])
    np.testing.assert_array_equal(found[0]["place"][0], last["place"])
    assert found[3].attrs["parameter_n_agents"] == 30


def test_a_dynamic_population_starts_from_its_file_with_its_kin(tmp_path: Path) -> None:
    first = result(Colony, out=tmp_path / "colony.nc")
    again = result(Colony, start=tmp_path / "colony.nc", steps=0)
    ids = first["agent_id"].values[-1]
    living = np.flatnonzero(ids >= 0)
    n = len(living)
    assert n > 3
    assert len(set(ids[living])) == n
    for name in ("mood", "age", "alert"):
        np.testing.assert_array_equal(again[name].values[0, :n], first[name].values[-1, living])
    mothers = first["mother"].values[-1, living].astype(np.int64)
    rank = {identity: position for position, identity in enumerate(ids[living])}
    kept = [rank.get(mother, -1) for mother in mothers]
    assert max(kept) >= 0
    np.testing.assert_array_equal(again["mother"].values[0, :n], kept)
    np.testing.assert_array_equal(again["agents_hive"].values[0, :n], first["agents_hive"].values[-1, living])


def test_ids_are_never_reused() -> None:
    found = result(Colony, snapshot_every=1, steps=30, death=0.25, n_agents=20)
    alive: set[int] = set()
    gone: set[int] = set()
    births = 0
    for ids in found["agent_id"].values:
        now = {int(identity) for identity in ids if identity >= 0}
        assert len(now) == (ids >= 0).sum()
        assert not now & gone
        births += len(now - alive)
        gone |= alive - now
        alive = now
    assert births > 50
    assert len(gone) > 50


def test_a_population_that_outgrows_its_capacity_ends_the_run_and_keeps_its_record(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"agents is full: its capacity is 15"):
        result(Colony, room=15, death=0.0, steps=50, out=tmp_path / "full.nc", every=1)
    kept = simengine.open(tmp_path / "full.nc")
    assert kept.sizes["time"] >= 1
    assert kept["agents_alive"].values[0] == 12


def test_an_extinct_population_stays_extinct() -> None:
    found = result(Colony, death=1.0, steps=4)
    assert found["agents_alive"].values.tolist() == [12, 0, 0, 0, 0]


def test_no_agents_at_all_are_a_population_too() -> None:
    for scenario in (Flock, Colony):
        assert float(result(scenario, n_agents=0)["mean_mood"][-1]) == 0.0
