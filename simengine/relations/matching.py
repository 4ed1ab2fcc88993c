"""Matching: the population falls into random pairs, afresh every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simengine.relations.base import Body, Code, Relation, Scope
from simengine.scenario.population import Population


class Matching(Relation):
    """Each agent sees the one it is paired with this step; with an odd number, one agent sees nobody.

    The pairing is symmetric and uniform over all pairings, and drawn afresh for every gather.
    """

    def __init__(self, source: Population) -> None:
        self.source = self.target = source

    def work(self, capacity: Mapping[str, int]) -> dict[str, tuple[str, Any]]:
        """The partner by slot."""
        return {"mate": ("int64", capacity[self.source.name])}

    def prepare(self, code: Code, scope: Scope) -> None:
        """Draw the pairing."""
        match = scope.imports("simengine.arrays.partners", "match_pairs")
        code.line(
            f"{match}({scope.key(self, 'pairs')}, {scope.order(self.source)}, {scope.ids(self.source)}, "
            f"{scope.living(self.source)}, {scope.work(self, 'mate')})"
        )

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Visit the partner, if any."""
        code.line(f"other = {scope.work(self, 'mate')}[me]")
        condition = "other >= 0"
        if self.target.dynamic and scope.sequential:
            condition += f" and {scope.alive(self.target)}[other]"
        with code.block(f"if {condition}:"):
            body()
