"""A reference interpreter: runs a scenario by calling the author's functions in plain Python loops.

It shares with the engine the declarations and the formulas of the draws, and nothing else: agents are rows of dense
arrays sorted by id, neighbours are found by comparing all pairs, sums are taken in order of id.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from simengine import AgentDraws, Chosen, ChosenBy, Everyone, Matching, Mates, Random, Scenario, Space
from simengine.compile.state import State
from simengine.random import sampling
from simengine.random.philox import step_key, stream_key
from simengine.relations.network import EdgeReference, Neighbours
from simengine.runs.engine import Engine
from simengine.runs.networks import lay
from simengine.runs.view import fill_start
from simengine.scenario.phases import Birth, Decision, Events, Gather, Rewire, Send, Update
from simengine.scenario.scenario import active
from simengine.scenario.stop import Consensus, Extinct, Unchanged, When

NO_MESSAGE = {"total": 0, "count": 0, "median": math.nan, "lowest_id": -1, "drawn": -1}


class Rows:
    """One population: ids ascending, one array per field and inbox, who lives."""

    def __init__(self, population: Any, ids: np.ndarray, fields: dict[str, np.ndarray]) -> None:
        self.population, self.ids, self.fields = population, ids, fields
        self.alive = np.ones(len(ids), bool)

    def __len__(self) -> int:
        return len(self.ids)

    def rank(self, identity: int) -> int:
        found = np.flatnonzero((self.ids == identity) & self.alive)
        return int(found[0]) if len(found) else -1

    def keep(self, mask: np.ndarray) -> None:
        self.ids = self.ids[mask]
        self.fields = {name: values[mask] for name, values in self.fields.items()}
        self.alive = np.ones(len(self.ids), bool)

    def copy(self) -> Rows:
        other = Rows(self.population, self.ids.copy(), {name: v.copy() for name, v in self.fields.items()})
        other.alive = self.alive.copy()
        return other


def empty_value(combine: Any) -> Any:
    if combine.rule in NO_MESSAGE:
        return NO_MESSAGE[combine.rule]
    low, high = (-math.inf, math.inf) if combine.dtype is float else (-(2**63 - 1), 2**63 - 1)
    return high if combine.rule == "minimum" else low


class Column:
    """A field as authors index it; references as rows."""

    def __init__(
        self, world: World, owner: Rows, name: str, pending: dict[Any, Any] | None, me: int, live: Rows | None
    ) -> None:
        self.world, self.owner, self.name, self.pending, self.me, self.live = world, owner, name, pending, me, live
        self.declared = (owner.population.fields | owner.population.inboxes).get(name)

    def _refers(self) -> Rows | None:
        declared = self.declared
        if declared is None or not declared.names_agents:
            return None
        return self.world.rows[(declared.reference or self.owner.population).name]

    def __getitem__(self, index: Any) -> Any:
        if self.pending is not None and (self.name, index) in self.pending:
            return self.pending[self.name, index]
        if self.name == "alive":
            return bool(self.owner.alive[index])
        value = self.owner.fields[self.name][index]
        refers = self._refers()
        return value if refers is None else refers.rank(int(value))

    def __setitem__(self, index: Any, value: Any) -> None:
        assert self.pending is not None
        agent = index[0] if isinstance(index, tuple) else index
        if agent == self.me:
            self.pending[self.name, index] = value
        else:
            assert self.live is not None, "a synchronous phase writes its own agent only"
            self.world.store(self.live, self.name, index, value)


class Side:
    """The ``agents`` or the ``new`` that an author's function gets."""

    def __init__(
        self, world: World, owner: Rows, pending: dict[Any, Any] | None = None, me: int = -1, live: Rows | None = None
    ) -> None:
        self.__dict__.update(_made=lambda name: Column(world, owner, name, pending, me, live))

    def __getattr__(self, name: str) -> Column:
        return self._made(name)


class Keyed:
    """The ``draw`` of one agent, whose partners are rows."""

    def __init__(self, draws: AgentDraws, others: Rows | None) -> None:
        self._draws, self._others = draws, others

    def __getattr__(self, method: str) -> Any:
        def call(name: str, *args: Any, **options: Any) -> Any:
            for option in ("to", "between"):
                if option in options:
                    options[option] = int(self._others.ids[options[option]])
            args = tuple(a.item() if isinstance(a, np.generic) else a for a in args)
            drawn = getattr(self._draws, method)(name, *args, **options)
            return np.float64(drawn) if isinstance(drawn, float) else drawn

        return call


class Collected:
    """The ``acc`` of one agent."""

    def __init__(self, accumulators: dict[str, Any]) -> None:
        for name, declared in accumulators.items():
            kind = {float: np.float64, int: np.int64, bool: np.bool_}[declared.dtype]
            start = kind(declared.initial)
            setattr(self, name, np.full(declared.components, start) if declared.components else start)


class Child:
    """The ``child`` of a birth."""


class Messages:
    """The ``send`` of a phase."""

    def __init__(self, inboxes: dict[str, Any]) -> None:
        self.received: dict[str, dict[int, list[Any]]] = {name: {} for name in inboxes}
        self.sender = -1

    def __getattr__(self, name: str) -> Any:
        received = self.__dict__["received"][name]

        def call(to: int, value: Any = None) -> None:
            if to >= 0:
                received.setdefault(int(to), []).append((self.sender, value))

        return call


class Link:
    """The ``edge`` of a gather: the values of one edge."""

    def __init__(self, values: dict[str, Any]) -> None:
        vars(self).update(values)


class Requests:
    """The ``edges`` of a phase: what agents ask for, by the ids of both ends, in the order in which they ask."""

    def __init__(self, ids: np.ndarray, directed: bool) -> None:
        self.ids, self.directed = ids, directed
        self.dropped: set[tuple[int, int]] = set()
        self.added: dict[tuple[int, int], dict[str, Any]] = {}

    def _ends(self, first: int, second: int) -> tuple[int, int] | None:
        if first < 0 or second < 0:
            return None
        ends = int(self.ids[first]), int(self.ids[second])
        return ends if self.directed else (min(ends), max(ends))

    def drop(self, first: int, second: int) -> None:
        self.dropped |= {self._ends(first, second)} - {None}  # type: ignore[arg-type]

    def add(self, first: int, second: int, **values: Any) -> None:
        ends = self._ends(first, second)
        if ends is not None:
            self.added.setdefault(ends, values)


class World:
    """A scenario stepped by the reference interpreter."""

    def __init__(
        self, scenario: type[Scenario], seed: int, start: dict[str, Any] | None = None, **parameters: Any
    ) -> None:
        self.p = scenario(parameters)
        self.seed, self.step, self.stop_reason = seed, 0, None
        state = State(self.p)
        fill_start(self.p, state, seed)
        self.declared = self.p.declaration
        self.phases = active(self.declared.phases, self.p.values)
        self.rows: dict[str, Rows] = {}
        self.empty: dict[str, dict[str, Any]] = {name: {} for name in state.populations}
        for phase in self.declared.phases.values():
            if isinstance(phase, Send):
                for inbox, combine in phase.inboxes.items():
                    self.empty[phase.to.name][inbox] = empty_value(combine)
        for name, found in state.populations.items():
            fields = {field: np.array(found.values(field)) for field in found.population.fields}
            for inbox, value in self.empty[name].items():
                dtype = found.population.inboxes[inbox].numpy_dtype
                fields[inbox] = np.full(found.living, value, dtype)
            self.rows[name] = Rows(found.population, found.living_ids().copy(), fields)
        for name, arrays in (start or {}).items():
            for field, values in arrays.items():
                self.rows[name].fields[field][:] = values

        lay(self.p, state, seed, {})
        self.edges: dict[str, dict[tuple[int, int], dict[str, Any]]] = {}
        for name, held in state.networks.items():
            ends = zip(held.values("source").tolist(), held.values("target").tolist(), strict=True)
            values = {field: held.values(field) for field in held.network.fields}
            self.edges[name] = {
                pair: {field: column[number] for field, column in values.items()} for number, pair in enumerate(ends)
            }

        for stop in self.declared.stops:
            if self.stop_reason is None and not isinstance(stop, Unchanged) and self._holds(stop, {}):
                self.stop_reason = stop.reason

    # -- running -------------------------------------------------------------------------------------------------

    def run(self, steps: int) -> World:
        with np.errstate(all="ignore"):
            while self.step < steps and self.stop_reason is None:
                self.one_step()
        return self

    def one_step(self) -> None:
        before = {name: rows.copy() for name, rows in self.rows.items()}
        self.collected: dict[str, dict[int, Collected]] = {}
        in_turn = {g.name for phase in self.phases if self._in_turn(phase) for g in phase.after}
        synchronous = {
            g.name for phase in self.phases if hasattr(phase, "after") and not self._in_turn(phase) for g in phase.after
        }
        for phase in self.phases:
            if isinstance(phase, Gather):
                if phase.name in synchronous or phase.name not in in_turn:
                    rows = self.rows[phase.relation.source.name]
                    self.collected[phase.name] = {
                        int(rows.ids[me]): self.gather(phase, me, 0) for me in range(len(rows))
                    }
            elif isinstance(phase, Update | Decision):
                self.in_turn(phase) if self._in_turn(phase) else self.synchronous(phase)
            elif isinstance(phase, Send):
                self.send(phase)
            elif isinstance(phase, Rewire):
                self.rewire(phase)
            else:
                assert isinstance(phase, Birth)
                self.birth(phase)
        self.step += 1
        for stop in self.declared.stops:
            if self.stop_reason is None and self._holds(stop, before):
                self.stop_reason = stop.reason

    @staticmethod
    def _in_turn(phase: Any) -> bool:
        return isinstance(phase, Update | Decision) and phase.order != "synchronous"

    def _holds(self, stop: Any, before: dict[str, Rows]) -> bool:
        if isinstance(stop, Extinct):
            return len(self.rows[stop.population.name]) == 0
        if isinstance(stop, When):
            offered = {name: _Final(rows) for name, rows in self.rows.items()} | {"p": self.p, "step": self.step}
            for name, edges in self.edges.items():
                ends = np.array(sorted(edges), np.int64).reshape(-1, 2)
                offered[name] = SimpleNamespace(source=ends[:, 0], target=ends[:, 1])
            return bool(stop.function(**{n: offered[n] for n in inspect.signature(stop.function).parameters}))
        rows = self.rows[stop.field.population.name]
        values = rows.fields[stop.field.field.name]
        if isinstance(stop, Consensus):
            return bool((values == values[:1]).all())
        assert isinstance(stop, Unchanged)
        old = before[stop.field.population.name]
        if not np.isin(rows.ids, old.ids).all():
            return False
        past = old.fields[stop.field.field.name][np.searchsorted(old.ids, rows.ids)]
        return bool((np.abs(values.astype(float) - past.astype(float)) <= stop.within).all())

    # -- calling the author ------------------------------------------------------------------------------------

    def call(self, phase: Any, population: str, me: int, event: int, others: Rows | None = None, **special: Any) -> Any:
        rows = self.rows[population]
        draws = AgentDraws(self.seed, population, phase.name, int(rows.ids[me]), self.step, event)
        offered = {name: Side(self, found) for name, found in self.rows.items()}
        offered |= {"me": me, "p": self.p, "step": self.step, "draw": Keyed(draws, others), **special}
        return phase(**{name: offered[name] for name in inspect.signature(phase.function).parameters})

    def key(self, population: str, phase: str, name: str, event: int) -> np.uint64:
        return np.uint64(step_key(stream_key(self.seed, population, phase, name), self.step, event))

    def gather(self, phase: Gather, me: int, event: int) -> Collected:
        relation = phase.relation
        acc = Collected(phase.accumulators)
        others = self.rows[relation.target.name]
        for other, offset in list(self.seen(relation, phase, me, event)):
            special = {"acc": acc, "other": other}
            if isinstance(offset, Link):
                special["edge"] = offset
            elif offset is not None:
                distance = np.sqrt(_square(offset))
                special |= {"offset": offset, "distance": distance, "direction": offset * (1.0 / distance)}
            self.call(phase, relation.source.name, me, event, others, **special)
        return acc

    def merged(self, phase: Any, me: int, event: int) -> Collected:
        acc = Collected({})
        for gather in phase.after:
            if self._in_turn(phase):
                found = self.gather(gather, me, event)
            else:
                identity = int(self.rows[phase.population.name].ids[me])
                found = self.collected[gather.name].get(identity) or Collected(gather.accumulators)
            vars(acc).update(vars(found))
        return acc

    # -- phases ------------------------------------------------------------------------------------------------

    def synchronous(self, phase: Any) -> None:
        rows = self.rows[phase.population.name]
        after = rows.copy()
        for me in range(len(rows)):
            pending = self.one(phase, me, 0, None)
            self.commit(after, me, pending)
        rows.fields, rows.alive = after.fields, after.alive
        rows.keep(rows.alive)

    def in_turn(self, phase: Any) -> None:
        rows = self.rows[phase.population.name]
        name = phase.population.name
        self.prepared: dict[Any, Any] = {}
        n = len(rows)
        key = self.key(name, phase.name, "engine turn", 0)
        if isinstance(phase.order, Events):
            number = phase.order.number
            turns = getattr(self.p, number) if isinstance(number, str) else number
            sequence = []
            for event in range(turns if n else 0):
                key = self.key(name, phase.name, "engine turn", event)
                sequence.append((int(sampling.integer(key, np.int64(0), np.int64(0), np.int64(n))), event))
        elif phase.order == "shuffled":
            bits = [int(sampling.bits(key, identity)) for identity in rows.ids]
            sequence = [(me, 0) for me in sorted(range(n), key=lambda me: (bits[me], me))]
        else:
            sequence = [(me, 0) for me in range(n)]
        for me, event in sequence:
            if rows.alive[me]:
                self.commit(rows, me, self.one(phase, me, event, rows))
        rows.keep(rows.alive)

    def one(self, phase: Any, me: int, event: int, live: Rows | None) -> dict[Any, Any]:
        pending: dict[Any, Any] = {}
        rows = self.rows[phase.population.name]
        new = Side(self, rows, pending, me, live)
        returned = self.call(phase, phase.population.name, me, event, acc=self.merged(phase, me, event), new=new)
        if isinstance(phase, Decision):
            pending[phase.action, me] = returned
        return pending

    def commit(self, rows: Rows, me: int, pending: dict[Any, Any]) -> None:
        for (name, index), value in pending.items():
            if name == "alive":
                rows.alive[me] = value
            else:
                self.store(rows, name, index, value)
        self.confine(rows, me, {(name, index) for name, index in pending})

    def store(self, rows: Rows, name: str, index: Any, value: Any) -> None:
        declared = rows.population.fields[name]
        if declared.names_agents:
            target = self.rows[(declared.reference or rows.population).name]
            value = int(target.ids[value]) if value >= 0 else -1
        rows.fields[name][index] = value

    def confine(self, rows: Rows, me: int, written: set[Any]) -> None:
        for space in self.declared.relations.values():
            if not isinstance(space, Space) or space.side(self.p.values) is None:
                continue
            side = space.side(self.p.values)
            for field in {space.position, space.seen}:
                if field.population is not rows.population:
                    continue
                for axis in range(space.dimensions):
                    if (field.field.name, (me, axis)) not in written:
                        continue
                    x = rows.fields[field.field.name][me, axis]
                    if space.boundary == "periodic":
                        x = x - side * np.floor(x / side)
                        x = 0.0 if x >= side or x < 0.0 else x
                    else:
                        x = x - 2.0 * side * np.floor(x / (2.0 * side))
                        turned = x > side
                        x = 2.0 * side - x if turned else x
                        if turned and space.velocity is not None and field is space.position:
                            rows.fields[space.velocity.field.name][me, axis] *= -1.0
                    rows.fields[field.field.name][me, axis] = x

    def send(self, phase: Send) -> None:
        messages = Messages(phase.inboxes)
        senders, receivers = self.rows[phase.population.name], self.rows[phase.to.name]
        for me in range(len(senders)):
            messages.sender = me
            self.call(phase, phase.population.name, me, 0, acc=self.merged(phase, me, 0), send=messages)
        for inbox, combine in phase.inboxes.items():
            values = receivers.fields[inbox]
            values[:] = empty_value(combine)
            for to, received in messages.received[inbox].items():
                values[to] = self.combined(phase, inbox, combine, senders, receivers, to, received)

    def rewire(self, phase: Rewire) -> None:
        rows, network = self.rows[phase.population.name], phase.network
        requests = Requests(rows.ids, network.directed)
        for me in range(len(rows)):
            self.call(phase, phase.population.name, me, 0, acc=self.merged(phase, me, 0), edges=requests)
        held = self.edges[network.name]
        for ends in requests.dropped:
            held.pop(ends, None)
        for ends, values in requests.added.items():
            start = {name: field.default for name, field in network.fields.items()}
            held[ends] = held.get(ends, start) | values

    def combined(
        self, phase: Send, inbox: str, combine: Any, senders: Rows, receivers: Rows, to: int, received: list[Any]
    ) -> Any:
        values = [value for _, value in received]
        if combine.rule == "total":
            return math.fsum(values) if combine.dtype is float else sum(int(value) for value in values)
        if combine.rule in {"minimum", "maximum"}:
            return (min if combine.rule == "minimum" else max)(values)
        if combine.rule == "median":
            return np.median(values)
        if combine.rule == "count":
            return len(received)
        identities = {int(senders.ids[sender]) for sender, _ in received}
        if combine.rule == "lowest_id":
            return min(identities)
        key = self.key(phase.population.name, phase.name, f"engine {inbox}", 0)
        return min(identities, key=lambda i: (int(sampling.bits_pair(key, receivers.ids[to], np.int64(i))), i))

    def birth(self, phase: Birth) -> None:
        rows = self.rows[phase.population.name]
        key = self.key(phase.population.name, phase.name, "engine newborn", 0)
        born: list[tuple[int, dict[str, Any]]] = []
        for me in range(len(rows)):
            child = Child()
            for name in phase.population.fields:
                value = Column(self, rows, name, None, me, None)[me]
                setattr(child, name, value.copy() if isinstance(value, np.ndarray) else value)
            if self.call(phase, phase.population.name, me, 0, acc=self.merged(phase, me, 0), child=child):
                values = dict(vars(child))
                for name, declared in phase.population.fields.items():
                    if declared.names_agents:
                        target = self.rows[(declared.reference or phase.population).name]
                        row = values[name]
                        values[name] = int(target.ids[row]) if row >= 0 else -1
                born.append((int(sampling.bits(key, rows.ids[me])) >> 1, values))
        if not born:
            return
        fields = {}
        for name, old in rows.fields.items():
            new = [values.get(name, self.empty[phase.population.name].get(name)) for _, values in born]
            fields[name] = np.concatenate([old, np.array(new, old.dtype).reshape(len(born), *old.shape[1:])])
        ids = np.concatenate([rows.ids, [identity for identity, _ in born]])
        order = np.argsort(ids, kind="stable")
        rows.ids, rows.fields = ids[order], {name: values[order] for name, values in fields.items()}
        rows.alive = np.ones(len(ids), bool)
        newborn = {identity for identity, _ in born}
        for me in range(len(ids)):
            if int(rows.ids[me]) in newborn:
                declared = phase.population.fields.items()
                self.confine(rows, me, {(name, (me, axis)) for name, f in declared for axis in range(f.components)})

    # -- relations ---------------------------------------------------------------------------------------------

    def seen(self, relation: Any, phase: Gather, me: int, event: int) -> Iterator[tuple[int, Any]]:
        """Rows of those that ``me`` sees, by ascending id, and their offsets."""
        source, target = self.rows[relation.source.name], self.rows[relation.target.name]
        same = source is target
        everyone = [o for o in range(len(target)) if target.alive[o] and not (same and o == me)]
        if isinstance(relation, Space):
            yield from self.within_reach(relation, source, target, me, everyone)
        elif isinstance(relation, Everyone):
            yield from ((other, None) for other in everyone)
        elif isinstance(relation, Random):
            yield from self.drawn(relation, phase, me, event, everyone)
        elif isinstance(relation, Neighbours):
            yield from self.joined(relation, source, me)
        elif isinstance(relation, Matching):
            partner = self.paired(phase, source)[me]
            if partner >= 0 and target.alive[partner]:
                yield partner, None
        elif isinstance(relation, Mates):
            named = source.fields[relation.field.field.name]
            if self.rows[relation.owner.name].rank(int(named[me])) >= 0:
                yield from ((o, None) for o in everyone if named[o] == named[me])
        elif isinstance(relation, ChosenBy):
            named = target.fields[relation.field.field.name]
            yield from ((o, None) for o in everyone if named[o] == source.ids[me])
        else:
            assert isinstance(relation, Chosen)
            other = target.rank(int(source.fields[relation.field.field.name][me]))
            if other >= 0:
                yield other, None

    def within_reach(self, space: Space, source: Rows, target: Rows, me: int, candidates: list[int]) -> Iterator[Any]:
        scalars = space.scalars(self.p.values)
        here = source.fields[space.position.field.name][me]
        period = scalars["period"]
        for other in candidates:
            offset = target.fields[space.seen.field.name][other] - here
            if period:
                offset = np.where(offset > 0.5 * period, offset - period, offset)
                offset = np.where(offset < -0.5 * period, offset + period, offset)
            if _square(offset) <= scalars["reach"] * scalars["reach"]:
                yield other, offset

    def joined(self, relation: Neighbours, rows: Rows, me: int) -> Iterator[tuple[int, Link]]:
        """Neighbours in a network by ascending id, each with the edge to it: the one from me where there are two."""
        found: dict[int, dict[str, Any]] = {}
        identity = int(rows.ids[me])
        for (first, second), values in self.edges[relation.network.name].items():
            if first == identity and relation.way in {"out", "both"}:
                found[second] = values
        for (first, second), values in self.edges[relation.network.name].items():
            if second == identity and relation.way in {"in", "both"}:
                found.setdefault(first, values)
        yield from ((rows.rank(other), Link(values)) for other, values in sorted(found.items(), key=lambda x: x[0]))

    def drawn(self, relation: Random, phase: Gather, me: int, event: int, everyone: list[int]) -> Iterator[Any]:
        source, target = self.rows[relation.source.name], self.rows[relation.target.name]
        in_turn = any(self._in_turn(p) and phase in p.after for p in self.phases)
        pool: list[tuple[int, Any]] = [(other, None) for other in everyone]
        if relation.within is not None:
            seen = self.seen(relation.within, phase, me, event)
            pool = [(other, link if isinstance(link, Link) else None) for other, link in seen]
        elif in_turn and relation.weight is None:
            # Partners are drawn among those who lived when the phase began; the dead answer nothing.
            pool = [(o, None) for o in range(len(target)) if not (source is target and o == me)]
        key = self.key(relation.source.name, phase.name, "engine partner", event)
        identity = source.ids[me]
        k = getattr(self.p, relation.k) if isinstance(relation.k, str) else relation.k
        for pick in range(min(k, len(pool))):
            if relation.weight is None:
                at = int(sampling.integer_block(key, identity, np.int64(0), np.int64(len(pool)), np.int64(pick)))
                other, link = pool.pop(at)
            else:
                name = relation.weight.field.name
                by_edge = isinstance(relation.weight, EdgeReference)
                weights = [float(getattr(edge, name) if by_edge else target.fields[name][o]) for o, edge in pool]
                total = 0.0
                for weight in weights:
                    total += weight
                if not total > 0:
                    return
                goal = float(sampling.uniform_block(key, identity, np.int64(pick))) * total
                running, at = 0.0, -1
                for index, weight in enumerate(weights):
                    if weight > 0:
                        at, running = index, running + weight
                        if goal < running:
                            break
                other, link = pool.pop(at)
            if target.alive[other]:
                yield other, link

    def paired(self, phase: Gather, rows: Rows) -> np.ndarray:
        key = self.key(rows.population.name, phase.name, "engine pairs", 0)
        bits = [int(sampling.bits(key, identity)) for identity in rows.ids]
        sequence = sorted(range(len(rows)), key=lambda me: (bits[me], me))
        mate = np.full(len(rows), -1)
        for first, second in zip(sequence[0::2], sequence[1::2], strict=False):
            mate[first], mate[second] = second, first
        return mate


class _Final:
    """The population that a stop condition sees."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __getattr__(self, name: str) -> np.ndarray:
        return self.rows.ids if name == "ids" else self.rows.fields[name]

    def __len__(self) -> int:
        return len(self.rows)


def _square(offset: np.ndarray) -> np.float64:
    square = offset[0] * offset[0]
    for part in offset[1:]:
        square = square + part * part
    return square


def assert_engine_agrees(
    scenario: type[Scenario], seed: int = 0, steps: int = 3, *, close: dict[str, float] | None = None,
    threads: int = 1, storage_order: Any = "by_id", **parameters: Any,
) -> tuple[World, Engine]:  # fmt: skip
    """Run both; compare ids and fields of everyone, bit for bit but for the fields in ``close`` (relative error)."""
    world = World(scenario, seed, **parameters).run(steps)
    engine = Engine(scenario(parameters), seed, threads, storage_order=storage_order)
    engine.advance(steps)
    assert engine.step == world.step
    assert engine.stop_reason == world.stop_reason
    for name, edges in world.edges.items():
        label = f"{scenario.__name__}: {name} (seed {seed}, {steps} steps, {parameters})"
        saved = engine.state.networks[name].saved()
        ends = sorted(edges)
        wanted = {"source": [first for first, _ in ends], "target": [second for _, second in ends]}
        for part in saved:
            column = wanted[part] if part in wanted else [edges[pair][part] for pair in ends]
            np.testing.assert_array_equal(saved[part], column, err_msg=f"{part} of {label}")
    for name, rows in world.rows.items():
        state = engine.state[name]
        np.testing.assert_array_equal(state.living_ids(), rows.ids, err_msg=f"ids of {name}")
        for field in rows.fields:
            label = f"{scenario.__name__}: {name}.{field} (seed {seed}, {steps} steps, {parameters})"
            found, wanted = state.values(field), rows.fields[field]
            declared = (rows.population.fields | rows.population.inboxes)[field]
            if declared.names_agents:
                ids = world.rows[(declared.reference or rows.population).name].ids
                found, wanted = (np.where(np.isin(values, ids), values, -1) for values in (found, wanted))
            if close and field in close:
                np.testing.assert_allclose(found, wanted, rtol=close[field], atol=close[field], err_msg=label)
            else:
                np.testing.assert_array_equal(found, wanted, err_msg=label)
    return world, engine
