"""Random: partners drawn afresh every step, uniformly or by weight, from all or within another relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simengine.errors import InputError, ScenarioError
from simengine.relations.base import Body, Code, Relation, Scope, resolve_number
from simengine.relations.network import EdgeReference, neighbours_of, network_of
from simengine.scenario.population import FieldReference, Population


class Random(Relation):
    """Each agent sees ``k`` different partners (fewer when fewer exist), drawn afresh for every gather, step and event.

    ``within`` limits the draw to the agents seen over another relation; ``weight`` (a non-negative field of the
    partners, or of the edges to them) makes the chances proportional to it. Itself excluded. Cost without ``within``:
    k draws.
    """

    def __init__(
        self,
        source: Population,
        k: int | str = 1,
        *,
        target: Population | None = None,
        within: Relation | None = None,
        weight: FieldReference | EdgeReference | None = None,
    ) -> None:
        if not isinstance(k, str) and not (isinstance(k, int) and k >= 1):
            raise ScenarioError(f"Random(k=...): a number of partners, at least 1, or a parameter's name; not {k!r}")
        if isinstance(within, Random):
            raise ScenarioError(
                "Random(within=...): partners cannot be drawn from partners drawn before; draw fewer at once"
            )
        if within is not None and (within.source is not source or target not in (None, within.target)):
            raise ScenarioError("Random(within=...): the inner relation must join the same populations")
        self.gives = within.gives & {"edge"} if within is not None else frozenset()
        self.source, self.k, self.within = source, k, within
        self.target = within.target if within is not None else target or source
        if isinstance(weight, EdgeReference):
            if within is None or network_of(within) is not weight.network:
                raise ScenarioError(f"Random(weight={weight}): edges weigh partners drawn within= their network")
        elif weight is not None and weight.population is not self.target:
            raise ScenarioError("Random(weight=...): the weight is a field of the partners, or of the edges to them")
        self.weight = weight

    def populations(self) -> tuple[Population, ...]:
        """The populations it joins."""
        return (self.source, self.target)

    def looks_at(self) -> tuple[FieldReference, ...]:
        """The weights, and what the inner relation reads."""
        inner = self.within.looks_at() if self.within is not None else ()
        return (*inner, self.weight) if isinstance(self.weight, FieldReference) else inner

    def scalars(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The number of partners; refuses less than one."""
        k = int(resolve_number(self.k, parameters, "k"))
        if k < 1:
            raise InputError(f"the number of partners must be at least 1, got {k}")
        return {"k": k}

    def work(self, capacity: Mapping[str, int]) -> dict[str, tuple[str, Any]]:
        """Room for each agent's one partner, where it is drawn ahead."""
        return {"place": ("int64", capacity[self.source.name])} if self.k == 1 and self.weight is None else {}

    def prepare(self, code: Code, scope: Scope) -> None:
        """Prepare the inner relation."""
        if self.within is not None:
            self.within.prepare(code, scope)

    def scratch(self, code: Code, scope: Scope) -> None:
        """Room for the partners drawn so far, and for the pool when there is one."""
        if self._is_drawn_ahead(scope):
            return
        code.line(f"{scope.own(self, 'chosen')} = np.empty({scope.scalar(self, 'k')}, np.int64)")
        if self._pooled and not self._has_list(scope):
            code.line(f"{scope.own(self, 'pool')} = np.empty({scope.order(self.target)}.shape[0], np.int64)")
        if self.weight is not None:
            code.line(f"{scope.own(self, 'pool_weight')} = np.empty({scope.order(self.target)}.shape[0], np.float64)")
        if self.gives and not self._has_list(scope):
            code.line(f"{scope.own(self, 'pool_edge')} = np.empty({scope.order(self.target)}.shape[0], np.int64)")
        if self.within is not None:
            self.within.scratch(code, scope)

    @property
    def _pooled(self) -> bool:
        return self.within is not None or self.weight is not None

    def _has_list(self, scope: Scope) -> bool:
        return self.within is not None and self.weight is None and self.within.has_list(scope)

    def _is_drawn_ahead(self, scope: Scope) -> bool:
        """Whether one partner is drawn at once for all, from a list or from everybody by number."""
        if self.k != 1 or self.weight is not None or scope.sequential:
            return False
        return self._has_list(scope) if self.within is not None else not self.target.dynamic

    def look_ahead(self, code: Code, scope: Scope) -> bool:
        """Draw everybody's one partner: its place in the list, or its rank; -1 where there is nobody."""
        if not self._is_drawn_ahead(scope):
            return False
        integer = scope.imports("simengine.random.draws", "integer")
        if self.within is not None:
            self.within.find_in_list(code, scope)
        else:
            code.line(f"first_listed, candidates = np.int64(0), np.int64({scope.living(self.target)})")
            code.line("my_place = candidates")
            if self.source is self.target:
                # Where nobody is born or dies, ranks are ids.
                code.line("candidates, my_place = candidates - 1, me_id")
        code.line(f"rank = {integer}({scope.key(self, 'partner')}, me_id, 0, max(candidates, np.int64(1)))")
        code.line("rank += np.int64(rank >= my_place)")
        code.line(f"{scope.work(self, 'place')}[me] = first_listed + rank if candidates > 0 else np.int64(-1)")
        return True

    def _visit_drawn(self, code: Code, scope: Scope, body: Body) -> None:
        code.line(f"place = {scope.work(self, 'place')}[me]")
        with code.block("if place >= 0:"):
            if self.within is not None:
                code.line(f"other = {self.within.listed(scope, 'place')}")
            else:
                code.line(f"other = {scope.order(self.target)}[place]")
            if self.gives:
                code.line("edge = place")
            body()

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Draw partners one by one; each pick is its own block of the agent's draw."""
        if self._is_drawn_ahead(scope):
            self._visit_drawn(code, scope, body)
            return
        if self._has_list(scope):
            self._visit_list(code, scope, body)
            return
        if self._pooled:
            self._visit_pool(code, scope, body)
            return
        order, key = scope.order(self.target), scope.key(self, "partner")
        without_me = self.source is self.target
        pick_rank = scope.imports("simengine.arrays.partners", "pick_rank")
        rank_of = scope.imports("simengine.arrays.lookup", "rank_of")
        living = scope.living(self.target)
        code.line(f"candidates = {living}" + (" - 1" if without_me else ""))
        if without_me:
            code.line(f"my_rank = {rank_of}({order}, {scope.ids(self.target)}, {living}, me_id)")
        with code.block(f"for pick in range(min({scope.scalar(self, 'k')}, candidates)):"):
            code.line(f"rank = {pick_rank}({key}, me_id, pick, candidates, {scope.own(self, 'chosen')})")
            if without_me:
                with code.block("if rank >= my_rank:"):
                    code.line("rank += 1")
            code.line(f"other = {order}[rank]")
            self._skip_dead(code, scope)
            body()

    def _skip_dead(self, code: Code, scope: Scope) -> None:
        if self.target.dynamic and scope.sequential:
            with code.block(f"if not {scope.alive(self.target)}[other]:"):
                code.line("continue")

    def _visit_list(self, code: Code, scope: Scope, body: Body) -> None:
        assert self.within is not None
        pick_rank = scope.imports("simengine.arrays.partners", "pick_rank")
        key, chosen = scope.key(self, "partner"), scope.own(self, "chosen")
        self.within.find_in_list(code, scope)
        with code.block(f"for pick in range(min({scope.scalar(self, 'k')}, candidates)):"):
            code.line(f"rank = {pick_rank}({key}, me_id, pick, candidates, {chosen})")
            with code.block("if rank >= my_place:"):
                code.line("rank += 1")
            code.line(f"other = {self.within.listed(scope, 'first_listed + rank')}")
            if self.gives:
                code.line("edge = first_listed + rank")
            self._skip_dead(code, scope)
            body()

    def _visit_pool(self, code: Code, scope: Scope, body: Body) -> None:
        key = scope.key(self, "partner")
        pool, weights, edges = (scope.own(self, name) for name in ("pool", "pool_weight", "pool_edge"))
        code.line("pool_size = 0")
        weight = ""
        if isinstance(self.weight, EdgeReference):
            along = neighbours_of(self)
            assert along is not None
            weight = f"{scope.edges(along.network, f'{along.way}_field_{self.weight.field.name}')}[edge]"
        elif self.weight is not None:
            weight = f"{scope.field(self.weight)}[other]"

        def keep() -> None:
            code.line(f"{pool}[pool_size] = other")
            if self.weight is not None:
                code.line(f"{weights}[pool_size] = {weight}")
            if self.gives:
                code.line(f"{edges}[pool_size] = edge")
            code.line("pool_size += 1")

        if self.within is not None:
            self.within.visit(code, scope, keep)
        else:
            with code.block(f"for rank in range({scope.living(self.target)}):"):
                code.line(f"other = {scope.order(self.target)}[rank]")
                if self.source is self.target:
                    with code.block("if other == me:"):
                        code.line("continue")
                keep()
        with code.block(f"for pick in range(min({scope.scalar(self, 'k')}, pool_size)):"):
            if self.weight is None:
                pick = scope.imports("simengine.arrays.partners", "pick_rank")
                code.line(f"at = {pick}({key}, me_id, pick, pool_size, {scope.own(self, 'chosen')})")
            else:
                pick = scope.imports("simengine.arrays.partners", "pick_weighted")
                code.line(f"at = {pick}({key}, me_id, pick, pool_size, {weights})")
                with code.block("if at < 0:"):
                    code.line("break")
            code.line(f"other = {pool}[at]")
            if self.gives:
                code.line(f"edge = {edges}[at]")
            self._skip_dead(code, scope)
            body()
