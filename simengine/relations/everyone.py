"""Everyone: each agent sees all others, by ascending id."""

from __future__ import annotations

from simengine.relations.base import Body, Code, Relation, Scope
from simengine.scenario.population import Population


class Everyone(Relation):
    """Each agent of ``source`` sees every agent of ``target`` (its own population when omitted), itself excluded.

    Cost: all pairs. Also called complete graph, or well mixed without sampling.
    """

    def __init__(self, source: Population, target: Population | None = None) -> None:
        self.source, self.target = source, target or source

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Visit the living in order of id."""
        order = scope.order(self.target)
        with code.block(f"for rank in range({scope.living(self.target)}):"):
            code.line(f"other = {order}[rank]")
            skip = []
            if self.source is self.target:
                skip.append("other == me")
            if self.target.dynamic and scope.sequential:
                skip.append(f"not {scope.alive(self.target)}[other]")
            if skip:
                with code.block(f"if {' or '.join(skip)}:"):
                    code.line("continue")
            body()
