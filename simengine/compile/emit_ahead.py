"""Emit the asking for memory ahead of the turns of single-agent events on a network."""

from __future__ import annotations

from collections.abc import Iterable

from simengine.arrays.ahead import PAYS_FROM, TURNS
from simengine.compile.names import Lines, Names
from simengine.relations.network import Neighbours, network_of
from simengine.scenario.phases import Gather
from simengine.scenario.population import Population

STAGES = (
    ("ask_for_start", TURNS - 1, False),
    ("ask_for_neighbours", TURNS - 5, False),
    ("ask_for_their_starts", TURNS - 9, True),
    ("ask_for_their_neighbours", TURNS - 13, True),
)
"""What is asked for how many turns ahead, and whether only where gathers read what neighbours collect."""


def known_ahead(gathers: Iterable[Gather], population: Population) -> Neighbours | None:
    """The way of seeing a network that the agents of events look over first, if they do."""
    for gather in gathers:
        relation = gather.relation
        if isinstance(relation, Neighbours) and not population.dynamic and network_of(relation) is not None:
            return relation
    return None


class Ahead:
    """Who comes in the next turns: kept in a ring, in which a turn's agent is found by its last digits."""

    def __init__(self, along: Neighbours, names: Names, population: Population, key: str, nested: bool) -> None:
        self.names, self.population = names, population
        starts, seen = (names.edges(along.network, f"{along.way}_{part}") for part in ("starts", "seen"))
        self.asking = [
            (f"{names.imports('simengine.arrays.ahead', name)}({starts}, {seen}, agent)", turns)
            for name, turns, theirs in STAGES
            if nested or not theirs
        ]
        self.choose = names.imports("simengine.random.draws", "integer")
        self.step_key = names.imports("simengine.random.draws", "step_key")
        self.key = f"{names.use('streams', 'streams')}[{names.keys[key]}]"

    def _draw(self, code: Lines, turn: str) -> None:
        order, living = self.names.order(self.population), self.names.living(self.population)
        code.line(f"rank = {self.choose}({self.step_key}({self.key}, step, {turn}), 0, 0, {living})")
        code.line(f"coming[({turn}) & {TURNS - 1}] = rank if by_id else {order}[rank]")

    def begin(self, code: Lines, first_turn: str) -> None:
        """Emit the drawing of the first turns' agents."""
        code.line(f"coming = np.zeros({TURNS}, np.int64)")
        code.line(f"far = {self.names.living(self.population)} >= {PAYS_FROM}")
        with code.block(f"for turn in range({first_turn}, min({first_turn} + {TURNS - 1}, turns)):"):
            self._draw(code, "turn")

    def turn(self, code: Lines) -> None:
        """Emit whose turn it is, who comes later, and the asking for what those will look at."""
        code.line(f"me = coming[turn & {TURNS - 1}]")
        with code.block(f"if turn + {TURNS - 1} < turns:"):
            self._draw(code, f"turn + {TURNS - 1}")
        with code.block("if far:"):
            for asking, turns in self.asking:
                code.line(f"agent = coming[(turn + {turns}) & {TURNS - 1}]")
                code.line(asking)
