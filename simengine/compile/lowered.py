"""What lowering gives: a function on scalars and arrays, what it asks for and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field

from simengine.compile.helpers import Globals


@dataclass(frozen=True)
class Argument:
    """One thing a lowered function asks for.

    ``kind``: ``me``, ``other``, ``id``, ``other_id``, ``step``, ``distance``, ``offset`` and ``direction`` (``name`` is
    the axis), ``edge`` (the field ``name`` of the edge to other, in the network ``owner``, seen the way ``at``),
    ``parameter``, ``accumulator``, ``collected`` (the accumulator ``name`` of the gather ``owner`` at ``at``), ``key``
    (of a named draw), ``ids`` (of ``owner``), ``field`` (of ``owner`` at
    ``at``: ``me``, ``other`` or the whole ``array``).
    """

    kind: str
    name: str = ""
    component: int = 0
    owner: str = ""
    at: str = ""

    @property
    def variable(self) -> str:
        """The name of the argument inside the lowered function."""
        parts = {
            "parameter": ("p", self.name),
            "accumulator": ("acc", self.name, self.component),
            "collected": ("collected", self.owner, self.name, self.component, "at", self.at),
            "key": ("key", self.name),
            "offset": ("offset", self.name),
            "direction": ("direction", self.name),
            "edge": ("edge", self.name),
            "ids": (self.owner, "ids"),
            "field": (self.owner, self.name, self.component, "at", self.at),
        }.get(self.kind, (self.kind,))
        return "_".join(str(part) for part in parts)


@dataclass(frozen=True)
class Result:
    """One value a lowered function returns.

    ``kind``: ``accumulator``, ``new``, ``child``, ``message``, ``request`` or ``value``.
    """

    kind: str
    name: str = ""
    component: int = 0

    @property
    def variable(self) -> str:
        """Its name inside the lowered function."""
        prefixes = {"accumulator": "acc", "new": "new", "child": "child", "message": "message", "request": "request"}
        return f"{prefixes.get(self.kind, 'value')}_{self.name}_{self.component}"


@dataclass
class Lowered:
    """A lowered function: its source text, arguments and results, and where each of its lines came from.

    ``booleans`` are the arguments that hold truth values, ``whole`` the accumulators that hold integers.
    """

    name: str
    source: str
    arguments: list[Argument]
    results: list[Result]
    globals: Globals
    path: str
    lines: dict[int, int] = dataclass_field(default_factory=dict)
    writes_others: set[tuple[str, str, int]] = dataclass_field(default_factory=set)
    booleans: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
