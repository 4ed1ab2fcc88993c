"""Chosen and Members: agents named by an id-valued field, and the reverse."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from simengine.errors import ScenarioError
from simengine.relations.base import Body, Code, Relation, Scope
from simengine.scenario.population import FieldReference, Population


def _checked(field: FieldReference) -> Population:
    if not isinstance(field, FieldReference) or not field.field.names_agents:
        raise ScenarioError("the relation takes a field declared with reference(), as in Chosen(agents.leader)")
    return field.field.reference or field.population


class Chosen(Relation):
    """Each agent sees the one that its own field names, if it lives: ``Chosen(agents.leader)``."""

    def __init__(self, field: FieldReference) -> None:
        self.source, self.target, self.field = field.population, _checked(field), field

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Visit the one chosen, if any."""
        code.line(f"other = {scope.slot(self.target, f'{scope.field(self.field)}[me]')}")
        with code.block("if other >= 0:"):
            body()


class Owner(Chosen):
    """Each member sees the group it belongs to: ``Owner(agents.village)``."""


class _Grouped(Relation):
    """Agents listed by whom their field names; built by a counting sort, members by ascending id."""

    field: FieldReference
    owner: Population

    def work(self, capacity: Mapping[str, int]) -> dict[str, tuple[str, Any]]:
        """The list of members, where each group starts, everybody's group and place, and how many were listed."""
        return {
            "starts": ("int64", capacity[self.owner.name] + 2),
            "members": ("int64", capacity[self.field.population.name]),
            "group_of": ("int64", capacity[self.field.population.name]),
            "place_of": ("int64", capacity[self.field.population.name]),
            "listed": ("int64", 1),
        }

    @property
    def lists(self) -> Hashable:
        """The field that says who belongs to whom."""
        return (self.field.population.name, self.field.field.name)

    def looks_at(self) -> tuple[FieldReference, ...]:
        """Who belongs to whom."""
        return (self.field,)

    def _changes(self, scope: Scope) -> bool:
        key = (self.field.population.name, self.field.field.name)
        return scope.sequential and (key in scope.written or self.field.population.dynamic)

    def prepare(self, code: Code, scope: Scope) -> None:
        """Build the list where it may have changed, unless members may move while the phase runs."""
        if self._changes(scope):
            return
        if self.owner.dynamic or not scope.lasting(self.field):
            self._list(code, scope)
            return
        listed, living = f"{scope.work(self, 'listed')}[0]", scope.living(self.field.population)
        with code.block(f"if {listed} != {living}:"):
            self._list(code, scope)
            code.line(f"{listed} = {living}")

    def _list(self, code: Code, scope: Scope) -> None:
        group = scope.imports("simengine.arrays.lookup", "group_members")
        members = self.field.population
        code.line(
            f"{group}({scope.order(members)}, {scope.living(members)}, {scope.field(self.field)}, "
            f"{scope.order(self.owner)}, {scope.ids(self.owner)}, {scope.living(self.owner)}, "
            f"{scope.work(self, 'starts')}, {scope.work(self, 'members')}, {scope.work(self, 'group_of')}, "
            f"{scope.work(self, 'place_of')})"
        )

    def begin(self, code: Code, scope: Scope) -> None:
        """Forget the list: between calls agents may have been moved in memory, or edited."""
        code.line(f"{scope.work(self, 'listed')}[0] = -1")

    def listed(self, scope: Scope, place: str) -> str:
        """Members are listed group by group."""
        return f"{scope.work(self, 'members')}[{place}]"

    def _visit_group(self, code: Code, scope: Scope, group: str, body: Body, without_me: bool) -> None:
        members = self.field.population
        if self._changes(scope):
            code.line(f"group_id = {scope.ids(self.owner)}[{group}]")
            with code.block(f"for rank in range({scope.living(members)}):"):
                code.line(f"other = {scope.order(members)}[rank]")
                condition = f"{scope.field(self.field)}[other] != group_id"
                if members.dynamic:
                    condition += f" or not {scope.alive(members)}[other]"
                if without_me:
                    condition += " or other == me"
                with code.block(f"if {condition}:"):
                    code.line("continue")
                body()
            return
        starts, listed = scope.work(self, "starts"), scope.work(self, "members")
        with code.block(f"for member in range({starts}[{group}], {starts}[{group} + 1]):"):
            code.line(f"other = {listed}[member]")
            if without_me:
                with code.block("if other == me:"):
                    code.line("continue")
            body()


class ChosenBy(_Grouped):
    """Each agent sees those whose field names it: the reverse of `Chosen`."""

    def __init__(self, field: FieldReference) -> None:
        self.owner = self.source = _checked(field)
        self.target, self.field = field.population, field

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Visit those who chose me, by ascending id."""
        self._visit_group(code, scope, "me", body, without_me=self.source is self.target)

    def has_list(self, scope: Scope) -> bool:
        """Unless members may move while the phase runs, or I might have chosen myself."""
        return self.source is not self.target and not self._changes(scope)

    def find_in_list(self, code: Code, scope: Scope) -> None:
        """A group sees all of its members."""
        starts = scope.work(self, "starts")
        code.line(f"first_listed, candidates = {starts}[me], {starts}[me + 1] - {starts}[me]")
        code.line("my_place = candidates")


class Members(ChosenBy):
    """Each group sees its members: ``Members(agents.village)``; the reverse of `Owner`."""


class Mates(_Grouped):
    """Each agent sees the others whose field names the same group: ``Mates(agents.village)``."""

    def __init__(self, field: FieldReference) -> None:
        self.owner = _checked(field)
        self.source = self.target = field.population
        self.field = field

    def populations(self) -> tuple[Population, ...]:
        """Members and their groups."""
        return (self.source, self.owner)

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Visit my group's other members, by ascending id."""
        if self._changes(scope):
            code.line(f"group = {scope.slot(self.owner, f'{scope.field(self.field)}[me]')}")
        else:
            code.line(f"group = {scope.work(self, 'group_of')}[me]")
        with code.block("if group >= 0:"):
            self._visit_group(code, scope, "group", body, without_me=True)

    def has_list(self, scope: Scope) -> bool:
        """Unless members may move while the phase runs."""
        return not self._changes(scope)

    def find_in_list(self, code: Code, scope: Scope) -> None:
        """I stand among my group's members."""
        starts = scope.work(self, "starts")
        code.line(f"group = {scope.work(self, 'group_of')}[me]")
        # Without a branch: who is in no group reads the first one's places, and has no candidates.
        code.line("listed_group = max(group, np.int64(0))")
        code.line(f"first_listed = {starts}[listed_group]")
        code.line(f"candidates = {starts}[listed_group + 1] - first_listed - 1 if group >= 0 else np.int64(0)")
        code.line(f"my_place = {scope.work(self, 'place_of')}[me] - first_listed")
