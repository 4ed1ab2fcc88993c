"""Cut by regions of space: every shard holds the agents of a slab, and copies of those within reach of it.

The slabs lie across the first axis. Before agents look round, those who have left go to the shard in whose slab they
now are, and every shard gets fresh copies of the others whom its own agents may see (the halo); nobody holds more. The
cells are those of the whole space, so that everyone meets its neighbours in the same order as in one process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.slabs import outside, owners, reached_slabs
from simengine.compile.module import Plan
from simengine.compile.sharing import Share
from simengine.compile.state import PopulationState, State
from simengine.errors import ScenarioError
from simengine.relations.space import Space, cell_order
from simengine.shards.channels import Channels
from simengine.shards.part import Advancing, Part

ROOM = 1.25
"""How many times the agents that it begins with a shard has room for; more is made when it is needed."""
SPARE_ROOM = 64
MARGIN = 1.0 + 1e-9
"""Copies are made of agents that are so many times the reach away, so that rounding hides nobody."""
SORTING_PAYS_FROM = 20_000
STEPS_BETWEEN_SORTS = 12
UNEVEN = 1.1
"""Borders are moved when the slowest shard works so many times as long as the average one."""
BINS = 1024


@dataclass
class Place:
    """Where the agents of a population are: the field of their positions, and a relation over that space."""

    field: str
    space: Space
    reach: float
    """The largest distance at which these agents are seen."""


class Regions(Part):
    """What one shard of several holds and acts for, and how agents and copies move between the shards.

    ``borders`` are the ends of the slabs: shard s has the positions from ``borders[s]`` up to ``borders[s + 1]``.
    """

    cut = "regions"

    def __init__(self, channels: Channels) -> None:
        super().__init__(channels)
        self.owned: dict[str, int] = {}
        self._copied: dict[str, list[NDArray[np.int64]]] = {}
        self._regroups = 0

    def begin(self, engine: Advancing) -> None:
        """Keep the agents of one's own slab; the slabs begin with as many agents each."""
        self.engine = engine
        if reason := engine.kernel.plan.not_in_regions:
            raise ScenarioError(f"cannot be cut into regions of space: {reason}")
        self._understand()
        first = next(iter(self.places))
        whole = engine.state[first]
        along = np.sort(whole.fields[self.places[first].field][0, : whole.living])
        cuts = [along[len(along) * shard // self.shards] if len(along) else 0.0 for shard in range(1, self.shards)]
        self.borders = np.array([-np.inf, *cuts, np.inf])
        self._keep(engine.state)

    def _understand(self) -> None:
        values = self.engine.scenario.values
        self.places: dict[str, Place] = {}
        for relation in spaces_of(self.engine.kernel.plan):
            reach = float(relation.scalars(values)["reach"])
            for position, seen in ((relation.position, False), (relation.seen, True)):
                name = position.population.name
                place = self.places.setdefault(name, Place(position.field.name, relation, 0.0))
                place.reach = max(place.reach, reach * MARGIN if seen else 0.0)
        space = next(iter(self.places.values())).space
        side = space.side(values)
        self.period = float(side) if side is not None and space.boundary == "periodic" else 0.0

    def _keep(self, whole: State) -> None:
        held: dict[str, PopulationState] = {}
        for name, population in whole.populations.items():
            x = population.fields[self.places[name].field][0, : population.living]
            mine = np.flatnonzero(owners(x, self.borders) == self.number)
            fair = population.living // self.shards
            held[name] = local = PopulationState(
                population.population, 0, int(max(len(mine), fair) * ROOM) + SPARE_ROOM
            )
            local.ids[: len(mine)] = population.ids[mine]
            for field in population.declared:
                local.fields[field][:, : len(mine)] = population.fields[field][:, mine]
            self._own(name, local, len(mine))
        self._hold(held)

    def _hold(self, held: dict[str, PopulationState]) -> None:
        self.engine.hold(State.of(held))
        self._regroups = 0

    def _own(self, name: str, population: PopulationState, owned: int) -> None:
        self.owned[name] = owned
        population.acting[:] = 0, owned
        population.count[0] = owned

    # -- what moves ----------------------------------------------------------------------------------------------

    def tell(self, what: Share) -> None:
        """Hand over agents and make copies, or bring the values of the copies up to date."""
        wanted = {name: [value.key[1] for value in what.values if value.key[0] == name] for name in self.places}
        if what.regroup:
            self._hand_over()
            self._sort_now_and_then()
            self._copy(wanted)
        else:
            self._refresh(wanted)

    def _hand_over(self) -> None:
        """Send away those who have left the slab, and take in those who have come."""
        outgoing: list[list[NDArray[Any]]] = [[] for _ in range(self.shards)]
        left: dict[str, NDArray[np.int64]] = {}
        for name, place in self.places.items():
            population, owned = self.engine.state[name], self.owned[name]
            x = population.fields[place.field][0, :owned]
            left[name] = leaving = outside(x, self.borders[self.number], self.borders[self.number + 1])
            owner = owners(x[leaving], self.borders)
            for shard in range(self.shards):
                if shard != self.number:
                    outgoing[shard] += packed(population, leaving[owner == shard], list(population.declared))
        received = self.channels.exchange(outgoing)
        places = [0] * self.shards
        for name in self.places:
            population, owned = self.engine.state[name], self.owned[name]
            stayed = owned - len(left[name])
            if stayed < owned:
                fill_gaps(population, left[name], stayed, owned)
            arrived = [
                unpack(received[shard], places, shard, population, list(population.declared))
                for shard in range(self.shards)
                if shard != self.number
            ]
            population = self._room(name, stayed + sum(len(ids) for ids, _ in arrived))
            total = append(population, stayed, arrived, list(population.declared))
            self._own(name, population, total)

    def _copy(self, wanted: dict[str, list[str]]) -> None:
        """Make copies, for each shard, of the agents that its own may see."""
        outgoing: list[list[NDArray[Any]]] = [[] for _ in range(self.shards)]
        for name, place in self.places.items():
            population, owned = self.engine.state[name], self.owned[name]
            x = population.fields[place.field][0, :owned]
            slots, starts = reached_slabs(x, self.borders, self.number, place.reach, self.period)
            lists = [slots[starts[shard] : starts[shard + 1]] for shard in range(self.shards)]
            self._copied[name] = lists
            for shard in range(self.shards):
                if shard != self.number:
                    outgoing[shard] += packed(population, lists[shard], wanted[name])
        received = self.channels.exchange(outgoing)
        places = [0] * self.shards
        self._copies: dict[str, list[int]] = {}
        for name in self.places:
            arrived = [
                unpack(received[shard], places, shard, self.engine.state[name], wanted[name])
                for shard in range(self.shards)
                if shard != self.number
            ]
            numbers = [len(ids) for ids, _ in arrived]
            population = self._room(name, self.owned[name] + sum(numbers))
            population.count[0] = append(population, self.owned[name], arrived, wanted[name])
            self._copies[name] = numbers

    def _refresh(self, wanted: dict[str, list[str]]) -> None:
        """Send new values of agents of whom others have copies."""
        outgoing: list[list[NDArray[Any]]] = [[] for _ in range(self.shards)]
        for name, fields in wanted.items():
            for shard in range(self.shards):
                if shard != self.number and fields:
                    outgoing[shard] += packed(self.engine.state[name], self._copied[name][shard], fields)
        received = self.channels.exchange(outgoing)
        places = [0] * self.shards
        for name, fields in wanted.items():
            if fields:
                population = self.engine.state[name]
                arrived = [
                    unpack(received[shard], places, shard, population, fields)
                    for shard in range(self.shards)
                    if shard != self.number
                ]
                append(population, self.owned[name], arrived, fields)

    def _room(self, name: str, agents: int) -> PopulationState:
        """The arrays of a population, with room for so many."""
        population = self.engine.state[name]
        if agents <= population.capacity:
            return population
        larger = PopulationState(population.population, 0, int(agents * ROOM) + SPARE_ROOM)
        occupied = int(population.count[0])
        larger.ids[:occupied] = population.ids[:occupied]
        for field in population.declared:
            larger.fields[field][:, :occupied] = population.fields[field][:, :occupied]
        self._own(name, larger, self.owned[name])
        larger.count[0] = occupied
        self.engine.hold(State.of({**self.engine.state.populations, name: larger}))
        return larger

    def _sort_now_and_then(self) -> None:
        """Let agents of a cell lie together, for the sake of the processor's caches."""
        if self._regroups % STEPS_BETWEEN_SORTS == 0:
            for name, place in self.places.items():
                owned = self.owned[name]
                if owned >= SORTING_PAYS_FROM:
                    population = self.engine.state[name]
                    scalars = place.space.scalars(self.engine.scenario.values)
                    position = population.fields[place.field][:, :owned]
                    order = cell_order(scalars, position, population.ids[:owned])
                    for column in columns(population):
                        column[:owned] = column[order]
        self._regroups += 1

    # -- balance -------------------------------------------------------------------------------------------------

    def rebalance(self) -> bool:
        """Move the borders where some shards have had much more to do than others; return whether that was done."""
        first = next(iter(self.places))
        x = self.engine.state[first].fields[self.places[first].field][0, : self.owned[first]]
        ends = np.array([x.min(), x.max()]) if len(x) else np.array([np.inf, -np.inf])
        busy, self.seconds_busy = self.seconds_busy, 0.0
        told = self._told(np.array([busy, float(len(x)), *ends]))
        low, high = told[:, 2].min(), told[:, 3].max()
        if not (told[:, 0].max() > UNEVEN * told[:, 0].mean() and low < high):
            return False
        counts, edges = np.histogram(x, bins=BINS, range=(low, high))
        agents_there = self._told(counts.astype(float))
        seconds = np.divide(told[:, 0], told[:, 1], out=np.zeros(self.shards), where=told[:, 1] > 0)
        work = np.concatenate([[0.0], np.cumsum(seconds @ agents_there)])
        fair = work[-1] * np.arange(1, self.shards) / self.shards
        self.borders[1:-1] = np.interp(fair, work, edges)
        return True

    def _told(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """What all shards say, by shard."""
        received = self.channels.exchange([[numbers] if shard != self.number else [] for shard in range(self.shards)])
        rows = [numbers if s == self.number else received[s].view(np.float64) for s in range(self.shards)]
        return np.array(rows)

    def slots(self, name: str) -> NDArray[np.int64]:
        """Where the agents are whom this shard acts for."""
        return np.arange(self.owned[name])


def spaces_of(plan: Plan) -> list[Space]:
    """The spaces in which somebody looks round."""
    found = {id(gather.relation): gather.relation for gather in plan.gathers.values()}
    return [relation for relation in found.values() if isinstance(relation, Space)]


def columns(population: PopulationState) -> list[NDArray[Any]]:
    """Everything that belongs to an agent, each as an array by slot."""
    return [population.ids, *(row for name in population.declared for row in population.fields[name])]


def packed(population: PopulationState, slots: NDArray[np.int64], fields: list[str]) -> list[NDArray[Any]]:
    """A message about some agents: how many, their ids and their values."""
    # Row by row is many times as fast as all rows of a table at once.
    rows = [row.take(slots) for name in fields for row in population.fields[name]]
    return [np.array([len(slots)]), population.ids.take(slots), *rows]


def unpack(
    received: NDArray[np.uint8], places: list[int], shard: int, population: PopulationState, fields: list[str]
) -> tuple[NDArray[np.int64], list[NDArray[Any]]]:
    """Read what `packed` made, from where the last reading of that shard's message ended."""
    place = places[shard]

    def read(rows: int, number: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        nonlocal place
        size = rows * number * dtype.itemsize
        found = received[place : place + size]
        place += size
        return found.view(dtype).reshape(rows, number)

    number = int(read(1, 1, np.dtype(np.int64))[0, 0])
    ids = read(1, number, np.dtype(np.int64))[0]
    values = []
    for name in fields:
        table = population.fields[name]
        values.append(read(table.shape[0], number, table.dtype))
    places[shard] = place
    return ids, values


def append(
    population: PopulationState, occupied: int, arrived: list[tuple[NDArray[np.int64], list[NDArray[Any]]]],
    fields: list[str],
) -> int:  # fmt: skip
    """Put agents into the slots after those that are occupied; return how many are occupied then."""
    for ids, values in arrived:
        last = occupied + len(ids)
        population.ids[occupied:last] = ids
        for name, found in zip(fields, values, strict=True):
            population.fields[name][:, occupied:last] = found
        occupied = last
    return occupied


def fill_gaps(population: PopulationState, left: NDArray[np.int64], stayed: int, owned: int) -> None:
    """Let those who stay lie in the first slots."""
    gaps = left[left < stayed]
    beyond = np.setdiff1d(np.arange(stayed, owned), left, assume_unique=True)
    for column in columns(population):
        column[gaps] = column[beyond]
