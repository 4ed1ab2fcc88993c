"""Whether a scenario accepts the combinations of parameters of many points, asked quickly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simengine.errors import InputError
from simengine.relations.base import Relation
from simengine.runs.start import check_sizes
from simengine.scenario.scenario import Scenario
from simengine.sweeps.design import Design

Values = dict[str, Any]


class Combined:
    """The checks of a scenario class that involve several parameters, each of which is allowed by itself.

    What depends on few parameters is asked once for each combination of these: sizes of populations, numbers of
    relations, defaults of regimes. The scenario's own ``check`` and ``derived`` are called for every point, on an
    object that has the parameters but was not constructed: constructing one costs ten times as much. What that object
    refuses is constructed after all, and the constructor has the last word.

    Parameters
    ----------
    scenario
        The class.
    fixed
        The parameters that all points share.
    """

    def __init__(self, scenario: type[Scenario], fixed: Mapping[str, Any]) -> None:
        self.scenario, self.fixed = scenario, dict(fixed)
        self.relations = [
            _Relation(relation)
            for relation in scenario.declaration.relations.values()
            if type(relation).scalars is not Relation.scalars or type(relation).accept is not Relation.accept
        ]
        self.has_own = scenario.check is not Scenario.check or scenario.derived is not Scenario.derived
        populations = scenario.declaration.populations.values()
        self.sizes = tuple(
            size for found in populations for size in (found.size, found.capacity) if isinstance(size, str)
        )
        self._sizes_seen: set[tuple[Any, ...]] = set()
        self._bases: dict[tuple[Any, ...], Values] = {}

    def check(self, design: Design) -> None:
        """Raise ``InputError``, with the point, for the first point that the scenario does not accept."""
        columns = {name: design.columns[name] for name in design.names}
        for number, row in enumerate(zip(*columns.values(), strict=True)):
            point = dict(zip(design.names, row, strict=True))
            try:
                values = self._values(point)
                self._check_sizes(values)
                accepted = self._accepts(point, values)
                if not accepted:
                    self.scenario({**self.fixed, **point})
            except InputError as error:
                raise InputError(f"{design.described(number)}: {error}") from None
            except Exception as error:
                where = f"{design.described(number)}: the scenario cannot be set up"
                raise InputError(f"{where}: {type(error).__name__}: {error}") from error

    def _values(self, point: Values) -> Values:
        """Return all parameters at a point; the swept ones override what their regime says."""
        regimes = self.scenario.regimes
        chosen = {**self.fixed, **point}
        by = () if regimes is None else tuple(chosen.get(name) for name in regimes.by)
        if by not in self._bases:
            declared, defaults = self.scenario.declaration.parameters, {}
            if regimes is not None:
                selected = declared.validate({name: chosen[name] for name in regimes.by if name in chosen})
                defaults = dict(regimes.defaults(selected))
            self._bases[by] = declared.validate({**defaults, **chosen})
        return {**self._bases[by], **point}

    def _check_sizes(self, values: Values) -> None:
        key = tuple(values[name] for name in self.sizes)
        if key not in self._sizes_seen:
            check_sizes(self._bare(values))
            self._sizes_seen.add(key)

    def _accepts(self, point: Values, values: Values) -> bool:
        """Whether the scenario, its relations and its derived numbers take these values; the constructor knows why."""
        if self.scenario.__init__ is not Scenario.__init__:
            return False
        try:
            if self.has_own:
                bare = self._bare(values)
                bare.given = {**self.fixed, **point}
                bare.check()
                for number in bare.derived().values():
                    float(number)
            return all(relation.accepts(values) for relation in self.relations)
        except Exception:
            return False

    def _bare(self, values: Values) -> Scenario:
        bare = self.scenario.__new__(self.scenario)
        bare.__dict__.update(values)
        bare.values = values
        return bare


class _Relation:
    """Asks a relation for its numbers once for each combination of the parameters that it reads.

    The combinations that were accepted are kept by the parameters read so far. When a call reads another one, they are
    forgotten: they would not tell it apart.
    """

    def __init__(self, relation: Relation) -> None:
        self.relation = relation
        self.read: tuple[str, ...] = ()
        self._seen: set[tuple[Any, ...]] = set()

    def accepts(self, values: Values) -> bool:
        key = tuple([values[name] for name in self.read])
        if key in self._seen:
            return True
        noted = _Noting(values)
        self.relation.accept(noted)
        if not noted.names <= set(self.read):
            self.read = tuple(sorted(noted.names | set(self.read)))
            self._seen = set()
            key = tuple([values[name] for name in self.read])
        self._seen.add(key)
        return True


class _Noting(Mapping[str, Any]):
    """Parameters that note which of them are read."""

    def __init__(self, values: Values) -> None:
        self.names: set[str] = set()
        self._values = values

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        self.names.update(self._values)
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
