"""What scenario authors and observables see of a run: populations with their fields as numpy arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.compile.state import PopulationState, State
from simengine.errors import InputError, ScenarioError, nearest
from simengine.random.streams import Draws
from simengine.runs.network_view import NetworkView
from simengine.scenario.scenario import Scenario
from simengine.scenario.tallies import counted_values

Array = NDArray[Any]


class PopulationView:
    """The living agents of one population by ascending id; fields are attributes, (n,) or (n, components)."""

    _state: PopulationState
    _writable: bool
    _found: dict[str, Array]
    _tallies: dict[str, tuple[Array, Array]]

    def __init__(self, state: PopulationState, *, writable: bool = False) -> None:
        object.__setattr__(self, "_state", state)
        object.__setattr__(self, "_found", {})
        object.__setattr__(self, "_tallies", {})
        object.__setattr__(self, "_writable", writable)

    @property
    def ids(self) -> Array:
        """The agents' ids, ascending."""
        return self._state.living_ids()

    @property
    def size(self) -> int:
        """How many live."""
        return self._state.living

    def __len__(self) -> int:
        return self.size

    @property
    def all_here(self) -> bool:
        """Whether the ids are 0 to n - 1: nobody is born or dies, and nobody is elsewhere."""
        if self._state.population.dynamic or self.size != self._state.capacity:
            return False
        # A shard may have room for no more than it holds.
        return self.size == 0 or int(self.unordered_ids.max()) == self.size - 1

    @property
    def unordered_ids(self) -> Array:
        """The ids in the order of `unordered`."""
        return self._state.unordered_ids()

    def unordered(self, name: str) -> Array:
        """A field of all agents in an order that may be any, the same for all fields; for what no order can change."""
        values: Array = self._state.unordered(self._checked(name)).view()
        values.flags.writeable = False
        return values

    def tally(self, name: str) -> tuple[Array, Array]:
        """The values of a field of whole numbers that occur, ascending, and how many agents have each."""
        found = self._tallies.get(name)
        if found is None or self._writable:
            try:
                found = self._tallies[name] = counted_values(getattr(self, name))
            except ScenarioError as error:
                raise ScenarioError(f"{self._state.population.name}.{name}: {error}") from None
        return found

    def _checked(self, name: str) -> str:
        if name not in self._state.declared:
            raise ScenarioError(
                f"population {self._state.population.name} has no field {name!r}{nearest(name, self._state.declared)}"
            )
        return name

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._writable:
            # The living lie in the first slots before the first step, and where agents are edited.
            if name == "alive" and self._state.population.dynamic:
                return self._state.alive[: self.size]
            field = self._state.population.fields.get(name)
            table: Array = self._state.fields[self._checked(name)][:, : self.size]
            return table.T if field is not None and field.components else table[0]
        if name not in self._found:
            values: Array = self._state.values(self._checked(name)).view()
            values.flags.writeable = False
            self._found[name] = values
        return self._found[name]

    def __setattr__(self, name: str, values: ArrayLike) -> None:
        if not self._writable:
            raise ScenarioError(f"{self._state.population.name}.{name} is read-only here")
        getattr(self, name)[...] = values


class NamedDraws:
    """Named draws for functions in numpy: of the only population, or ``draw.of(agents)``."""

    def __init__(self, seed: int, state: State, phase: str, step: int = 0) -> None:
        self._seed, self._state, self._phase, self._step = seed, state, phase, step

    def of(self, population: PopulationView) -> Draws:
        """Draws keyed by the agents of one population."""
        return Draws(self._seed, population._state.population.name, self._phase, population.ids, self._step)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        names = list(self._state.populations)
        if len(names) > 1:
            raise ScenarioError(f"with several populations say whose draw it is: draw.of({names[0]}).{name}(...)")
        return getattr(self.of(PopulationView(self._state[names[0]])), name)


class View:
    """One moment of a run: populations, parameters, step and time.

    ``shared`` is where observables leave what others may need of the same moment, under keys of their own.
    """

    def __init__(self, scenario: Scenario, state: State, seed: int, step: int) -> None:
        self.scenario, self.state, self.seed, self.step = scenario, state, seed, step
        self.time = step * scenario.dt
        self.populations = {name: PopulationView(found) for name, found in state.populations.items()}
        self.networks = {name: NetworkView(found) for name, found in state.networks.items()}
        self.shared: dict[Any, Any] = {}

    def offered(self) -> dict[str, Any]:
        """What a function of this moment may ask for, by argument name."""
        return {
            **self.populations, **self.networks, "p": self.scenario, "self": self.scenario,
            "step": self.step, "time": self.time, "seed": self.seed,
        }  # fmt: skip

    def arguments(self, names: Iterable[str], what: str) -> dict[str, Any]:
        """The objects that a function asks for by argument name."""
        return chosen(names, self.offered(), what)

    def joined(self, others: list[View]) -> View:
        """One view of everyone; a run in one process has only one."""
        if others:
            raise ScenarioError("views of several shards cannot be joined in one process")
        return self


def chosen(names: Iterable[str], offered: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The offered objects of these names; ``ScenarioError`` for a name that is not offered."""
    found = {}
    for name in names:
        if name not in offered:
            raise ScenarioError(
                f"{what}() has no argument {name!r}{nearest(name, offered)}; allowed: {', '.join(offered)}"
            )
        found[name] = offered[name]
    return found


def named(function: Callable[..., Any], offered: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The arguments of a function, by name."""
    called = getattr(function, "__name__", "apply")
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise ScenarioError(f"{what}: {called} does not say what arguments it takes; give a Python function") from None
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ScenarioError(f"{what}: {called}() takes {name} by its position only; it is given by its name")
    names = [n for n, p in parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return chosen(names, offered, f"{what}: {called}")


def fill_start(scenario: Scenario, state: State, seed: int) -> None:
    """Call the scenario's ``start`` on writable views."""
    views = {name: PopulationView(found, writable=True) for name, found in state.populations.items()}
    offered: dict[str, Any] = {**views, "draw": NamedDraws(seed, state, "start")}
    scenario.start(**chosen(_wanted(scenario.start), offered, f"{type(scenario).__name__}.start"))


def fill_connected(scenario: Scenario, state: State, seed: int) -> bool:
    """Call the scenario's ``connected``, which sees the networks too; whether it has one."""
    if type(scenario).connected is Scenario.connected:
        return False
    offered: dict[str, Any] = {name: NetworkView(found) for name, found in state.networks.items()}
    offered |= {name: PopulationView(found, writable=True) for name, found in state.populations.items()}
    offered["draw"] = NamedDraws(seed, state, "connected")
    scenario.connected(**chosen(_wanted(scenario.connected), offered, f"{type(scenario).__name__}.connected"))
    return True


_wanted_by: WeakKeyDictionary[Any, tuple[str, ...]] = WeakKeyDictionary()


def _wanted(method: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the arguments of a method; its signature is read once."""
    function = getattr(method, "__func__", None)
    if function is None or function not in _wanted_by:
        parameters = inspect.signature(method).parameters.items()
        names = tuple(name for name, found in parameters if found.kind is not inspect.Parameter.VAR_KEYWORD)
        if function is None:
            return names
        _wanted_by[function] = names
    return _wanted_by[function]


def check_state(state: State, what: str) -> None:
    """Refuse states with missing or infinite values, and normalise fields of unit length."""
    for name, population in state.populations.items():
        one = population.population.dim
        for field_name, declared in population.population.fields.items():
            values = population.fields[field_name][:, : population.living]
            if declared.dtype is float and not np.isfinite(values).all():
                agent = int(np.argwhere(~np.isfinite(values))[0][1])
                raise InputError(f"{what}: {name}.{field_name} of {one} {agent} is not a finite number")
            beyond = declared.outside(values)
            if beyond.any():
                agent = int(np.argwhere(beyond)[0][1])
                found = f"{what}: {name}.{field_name} of {one} {agent} is {values[0, agent]:g}"
                raise InputError(f"{found}; allowed is {declared.bounds}")
            if declared.unit_length and values.size:
                length = np.sqrt((values**2).sum(axis=0))
                if not (length > 0).all():
                    agent = int(np.flatnonzero(~(length > 0))[0])
                    raise InputError(
                        f"{what}: {name}.{field_name} of {one} {agent} has length 0; a direction is needed"
                    )
                exact = np.abs(length - 1.0) > 4e-16
                values[:, exact] /= length[exact]
