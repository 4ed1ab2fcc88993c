"""Policies in Python: any callable that answers a decision for the agents of a mask.

The contract is one for every kind of policy: a value for each agent asked, or a distribution over the decision's
options, from which the engine draws with the agents' own keyed draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from simengine.compile.kernel import Kernel
from simengine.compile.state import PopulationState, State
from simengine.errors import InputError, RunError, SimengineError, nearest
from simengine.random.streams import Draws
from simengine.scenario.parameters import shown
from simengine.scenario.phases import Decision
from simengine.scenario.population import Population
from simengine.scenario.scenario import Scenario, active

Array = NDArray[Any]


@dataclass(frozen=True)
class Policy:
    """A callable that answers a decision, and for whom; the others follow the scenario's rule.

    ``answer(asked)`` gets an `Asked` and returns one value per agent, or an array (agents, options) of
    probabilities when the decision has options. ``share`` limits it to a hash-chosen share of the population (the
    same agents at every step, for any storage or sharding), ``ids`` to the agents named.
    """

    answer: Callable[[Asked], Any]
    share: float | None = None
    ids: Any = None

    def chosen(self, identities: Array, seed: int, population: str) -> Array:
        """A mask over ``identities``: whose decisions this policy answers."""
        if self.ids is not None:
            found: Array = np.isin(identities, np.asarray(self.ids))
            return found
        if self.share is None:
            return np.ones(len(identities), bool)
        drawn = Draws(seed, population, "policy", identities).uniform("share")
        return np.asarray(drawn < self.share)


@runtime_checkable
class Remembering(Protocol):
    """An answer with a memory, which checkpoints keep: None, numbers, texts, arrays, lists and dicts of these.

    Any other answer is taken to depend on what it is asked and on nothing else.
    """

    def __call__(self, asked: Asked, /) -> Any:
        """Answer, as any policy does."""

    def state(self) -> Any:
        """Return the memory."""

    def restore(self, state: Any) -> None:
        """Take over a memory that `state` gave."""


@dataclass(frozen=True)
class Asked:
    """What a policy sees of one decision at one step: arrays over the agents it answers for, by ascending id.

    ``observed`` holds what the decision's gathers collected, ``rule`` what the scenario's rule answers
    (which the field of the action holds already), ``p`` the
    scenario with its parameters, ``draw`` named draws keyed by these agents. Fields are attributes of ``agents``.
    """

    ids: Array
    step: int
    agents: Fields
    observed: Mapping[str, Array]
    rule: Array
    options: tuple[str, ...]
    p: Scenario
    draw: Draws


class Fields:
    """Fields of some agents of a population, as attributes; read-only copies."""

    def __init__(self, state: PopulationState, slots: Array) -> None:
        self._state, self._slots = state, slots

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):
            raise AttributeError(name)
        declared = self._state.population.fields | self._state.population.inboxes
        if name not in declared:
            raise InputError(f"population {self._state.population.name} has no field {name!r}{nearest(name, declared)}")
        table: Array = self._state.fields[name][:, self._slots]
        return table.T if declared[name].components else table[0]


def labelled(scenario: type[Scenario] | Scenario) -> dict[str, Decision]:
    """The decisions of a scenario by the name users call them, ``population.decision``."""
    phases = scenario.declaration.phases
    listed = active(phases, scenario.values) if isinstance(scenario, Scenario) else list(phases.values())
    return {f"{phase.population.name}.{phase.name}": phase for phase in listed if isinstance(phase, Decision)}


def checked(policies: Mapping[str, Any] | None, scenario: Scenario) -> dict[str, tuple[Policy, ...]]:
    """Policies by decision, each a tuple; ``InputError`` for a decision that does not exist."""
    decisions = labelled(scenario)
    found: dict[str, tuple[Policy, ...]] = {}
    if policies is not None and not isinstance(policies, Mapping):
        raise InputError(f"policies: got {shown(policies)}, allowed is a dict of policies by 'population.decision'")
    for name, given in (policies or {}).items():
        if not isinstance(name, str):
            raise InputError(f"policies: got {shown(name)}, allowed are names of decisions, 'population.decision'")
        label = name if "." in name else next((known for known in decisions if known.split(".")[1] == name), name)
        if label not in decisions:
            known = f"; decisions: {', '.join(decisions)}" if decisions else "; the scenario has no decisions"
            raise InputError(f"unknown decision {name!r}{nearest(name, decisions) or known}")
        listed = given if isinstance(given, tuple | list) else (given,)
        for policy in listed:
            if not isinstance(policy, Policy) and not callable(policy):
                raise InputError(f"policy of {name!r}: give a callable or simengine.Policy(...), not {shown(policy)}")
        found[label] = tuple(policy if isinstance(policy, Policy) else Policy(policy) for policy in listed)
        for policy in found[label]:
            share: Any = policy.share
            beyond = ids_beyond(policy, decisions[label].population, scenario)
            if beyond is not None:
                raise InputError(f"policy of {name!r}: there is no agent {beyond}; ids are 0 to the number less 1")
            if share is not None and not (isinstance(share, int | float | np.number) and 0 <= share <= 1):
                raise InputError(f"policy of {name!r}: a share is between 0 and 1, not {shown(share)}")
    return found


def answered(policy: Policy, asked: Asked, decision: Decision) -> Any:
    """What a policy answers; an error in it says whose it is."""
    try:
        return policy.answer(asked)
    except SimengineError:
        raise
    except Exception as error:
        what = f"the policy of {decision.population.name}.{decision.name} at step {asked.step}"
        raise RunError(f"{what}: {type(error).__name__}: {error}") from error


def ids_beyond(policy: Policy, population: Population, scenario: Scenario) -> int | None:
    """An id that a policy names and nobody has, where nobody is born."""
    if policy.ids is None or population.dynamic:
        return None
    named = np.asarray(policy.ids)
    beyond = named[(named < 0) | (named >= scenario.size_of(population, scenario.values))]
    return int(beyond.flat[0]) if beyond.size else None


class HostAnswers:
    """Answers decisions between compiled segments."""

    def __init__(self, scenario: Scenario, state: State, seed: int, policies: Mapping[str, tuple[Policy, ...]]) -> None:
        self.scenario, self.state, self.seed, self.policies = scenario, state, seed, policies
        self.kernel: Kernel | None = None

    def answer(self, decision: Decision, step: int) -> None:
        """Ask the policies of one decision for all agents that they answer for, and store the actions."""
        population = self.state[decision.population.name]
        slots = population.order[: population.living]
        for policy, mask in self._masks(decision, population.ids[slots]):
            if mask.any():
                self._ask(policy, decision, step, slots[mask], 0)

    def chosen(self, decision: Decision) -> NDArray[np.bool_]:
        """The slots of the agents for which a policy answers."""
        population = self.state[decision.population.name]
        slots = population.order[: population.living]
        found = np.zeros(population.capacity, bool)
        for _, mask in self._masks(decision, population.ids[slots]):
            found[slots[mask]] = True
        return found

    def answer_one(self, decision: Decision, step: int, slot: int, event: int) -> None:
        """Ask the policies of one decision for the agent whose turn it is, and store its action."""
        slots = np.array([slot])
        for policy, mask in self._masks(decision, self.state[decision.population.name].ids[slots]):
            if mask[0]:
                self._ask(policy, decision, step, slots, event)

    def _masks(self, decision: Decision, identities: Array) -> Iterator[tuple[Policy, Array]]:
        for policy in self.policies[f"{decision.population.name}.{decision.name}"]:
            yield policy, policy.chosen(identities, self.seed, decision.population.name)

    def _ask(self, policy: Policy, decision: Decision, step: int, slots: Array, event: int) -> None:
        population = self.state[decision.population.name]
        identities = population.ids[slots]
        action = population.fields[decision.action][0]
        draw = Draws(self.seed, decision.population.name, decision.name, identities, step, event)
        asked = Asked(
            identities, step, Fields(population, slots), self._observed(decision, slots), action[slots],
            decision.options, self.scenario, draw,
        )  # fmt: skip
        action[slots] = self._actions(decision, answered(policy, asked, decision), len(slots), draw, action.dtype)

    def _observed(self, decision: Decision, slots: Array) -> dict[str, Array]:
        assert self.kernel is not None
        found: dict[str, Array] = {}
        for gather in decision.after:
            if gather.name not in self.kernel.plan.gathers:
                continue
            for name, accumulator in gather.accumulators.items():
                rows = [self.kernel.accumulated(gather.name, name, c)[slots] for c in range(accumulator.rows)]
                found[name] = np.stack(rows, axis=1) if accumulator.components else rows[0]
        return found

    def _actions(self, decision: Decision, answer: Any, agents: int, draw: Draws, dtype: np.dtype[Any]) -> Array:
        values = np.asarray(answer)
        what = f"the policy of {decision.population.name}.{decision.name}"
        if decision.options and values.dtype.kind in "biuf" and values.shape == (agents, len(decision.options)):
            weights = values.astype(float)
            if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights.sum(axis=1) > 0).all()):
                raise RunError(f"{what} returned probabilities that are negative, missing or all zero")
            cumulative = np.cumsum(weights, axis=1)
            drawn = draw.uniform("action") * cumulative[:, -1]
            chosen: Array = np.minimum((cumulative <= drawn[:, None]).sum(axis=1), len(decision.options) - 1)
            return chosen.astype(dtype)
        if values.shape not in {(agents,), ()}:
            wanted = f"({agents},)" + (f" or ({agents}, {len(decision.options)})" if decision.options else "")
            raise RunError(f"{what} returned an array of shape {values.shape}; expected {wanted}")
        if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
            meant = f"; answers are {', '.join(f'{n} ({name})' for n, name in enumerate(decision.options))}"
            raise RunError(f"{what} returned something that is not a finite number{meant if decision.options else ''}")
        if dtype.kind == "i" and (values != np.floor(values)).any():
            raise RunError(f"{what} returned a number that is not whole")
        if decision.options and not ((values >= 0) & (values < len(decision.options))).all():
            raise RunError(f"{what} returned an action outside 0 to {len(decision.options) - 1}")
        declared = decision.population.fields[decision.action]
        if (beyond := declared.outside(values.reshape(1, -1))).any():
            first = values.reshape(1, -1)[beyond][0]
            raise RunError(f"{what} returned {first:g}; allowed is {declared.bounds}")
        return np.broadcast_to(values, (agents,)).astype(dtype)
