"""Policies in Python: any callable that answers a decision for the agents of a mask.

The contract is one for every kind of policy: a value for each agent asked, or a distribution over the decision's
options, from which the engine draws with the agents' own keyed draws.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from simengine.compile.kernel import Kernel
from simengine.compile.state import PopulationState, State
from simengine.errors import InputError, RunError, ScenarioError, SimengineError, nearest
from simengine.policies.known import Known, known_to_rule
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
    same agents at every step, for any storage or sharding), ``ids`` to the agents named. Shares of several policies of
    one decision are of different agents, as long as they add up to 1 at most.
    """

    answer: Any
    share: float | None = None
    ids: Any = None

    def chosen(self, identities: Array, seed: int, population: str, before: float = 0.0) -> Array:
        """A mask over ``identities``: whose decisions this policy answers, if a share ``before`` it is others'."""
        if self.ids is not None:
            found: Array = np.isin(identities, np.asarray(self.ids))
            return found
        if self.share is None:
            return np.ones(len(identities), bool)
        drawn = Draws(seed, population, "policy", identities).uniform("share")
        return np.asarray((drawn >= before) & (drawn < before + self.share))


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


@runtime_checkable
class Waiting(Protocol):
    """An answer that others work on while the compiled step goes on, as language models do.

    It is asked with `begin`, before the rule and whatever does not depend on the decision are computed, and must read
    all it wants to see of the agents there (of ``rule``, nothing: it is not known yet). `finish` waits for what `begin`
    has set going and answers as any policy does; ``asked.rule`` is known then. `taken` is told the actions drawn.
    """

    def begin(self, asked: Asked, /) -> Any:
        """Set the answer going."""

    def finish(self, begun: Any, asked: Asked, /) -> Any:
        """Wait for it, and return one value per agent or probabilities of the options."""

    def taken(self, begun: Any, asked: Asked, actions: Array, /) -> None:
        """Take note of the actions."""


@runtime_checkable
class Skippable(Protocol):
    """An answer that wants to know when a decision comes up for which it has nobody to answer."""

    def skipped(self, label: str, step: int) -> None:
        """Take note of it."""


@dataclass(frozen=True)
class Asked:
    """What a policy sees of one decision at one step: arrays over the agents it answers for, by ascending id.

    ``observed`` holds what the decision's gathers collected, ``rule`` what the scenario's rule answers
    (which the field of the action holds already), ``p`` the
    scenario with its parameters, ``draw`` named draws keyed by these agents. Fields are attributes of ``agents``;
    those of all the living of any population, by ascending id, are attributes of ``populations[name]``. ``texts`` are
    the words behind fields that hold digests of texts.
    """

    ids: Array
    step: int
    agents: Fields
    observed: Mapping[str, Array]
    rule: Array
    options: tuple[str, ...]
    p: Scenario
    draw: Draws
    populations: Mapping[str, Fields] = field(default_factory=dict)
    texts: Mapping[int, str] = field(default_factory=dict)
    decision: str = ""
    known: Callable[[], Known] | None = None
    """What the rule reads, for policies that must say it in words."""


class Fields:
    """Fields of some agents of a population, as attributes; read-only copies."""

    def __init__(self, state: PopulationState, slots: Array) -> None:
        self._state, self._slots = state, slots

    @property
    def ids(self) -> Array:
        """The agents' ids, ascending."""
        found: Array = self._state.ids[self._slots]
        return found

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
        shares = sum(policy.share or 0.0 for policy in found[label] if policy.ids is None)
        if shares > 1.0 + 1e-9:
            raise InputError(f"policies of {name!r}: their shares add up to {shares:g}, and to 1 at most can they")
    return found


@contextmanager
def saying_whose(decision: Decision, step: int) -> Iterator[None]:
    """Say of an error in a policy whose it is."""
    try:
        yield
    except SimengineError:
        raise
    except Exception as error:
        what = f"the policy of {decision.population.name}.{decision.name} at step {step}"
        raise RunError(f"{what}: {type(error).__name__}: {error}") from error


def run_of(policy: Policy) -> Any:
    """What tells apart the runs that a policy with a record is given to; None for others."""
    return getattr(policy.answer, "in_run", None)


def ids_beyond(policy: Policy, population: Population, scenario: Scenario) -> int | None:
    """An id that a policy names and nobody has, where nobody is born."""
    if policy.ids is None or population.dynamic:
        return None
    named = np.asarray(policy.ids)
    beyond = named[(named < 0) | (named >= scenario.size_of(population, scenario.values))]
    return int(beyond.flat[0]) if beyond.size else None


@dataclass
class Begun:
    """A policy whose turn has come, for whom, and what it has set going if others work for it."""

    policy: Policy
    slots: Array
    asked: Asked | None
    work: Any


class HostAnswers:
    """Answers decisions between compiled segments."""

    def __init__(self, scenario: Scenario, state: State, seed: int, policies: Mapping[str, tuple[Policy, ...]]) -> None:
        self.scenario, self.state, self.seed, self.policies = scenario, state, seed, policies
        self.kernel: Kernel | None = None
        self._runs = [run_of(policy) for listed in policies.values() for policy in listed]
        self._begun: dict[str, list[Begun]] = {}

    def check_run(self) -> None:
        """`RunError` when a policy that keeps a record has been given to another run since this one began."""
        runs = [run_of(policy) for listed in self.policies.values() for policy in listed]
        if any(now is not then for now, then in zip(runs, self._runs, strict=True)):
            raise RunError(
                "a language model answers for one run at a time, and one of this run has been given to another run "
                "since; make one for each"
            )

    def begin(self, decision: Decision, step: int) -> None:
        """Ask the policies that others work for; what they see is the present moment."""
        self._begun[decision.name] = []
        listed = list(self._slots(decision, step))
        for place, (policy, slots) in enumerate(listed):
            if isinstance(policy.answer, Waiting):
                # The last policy counts: an earlier one is not asked in vain, which may cost something.
                later = [other for _, other in listed[place + 1 :]]
                slots = slots[~np.isin(slots, np.concatenate(later))] if later else slots
            if not len(slots):
                continue
            asked = work = None
            if isinstance(policy.answer, Waiting):
                asked = self._asked(decision, step, slots, 0)
                with saying_whose(decision, step):
                    work = policy.answer.begin(asked)
            self._begun[decision.name].append(Begun(policy, slots, asked, work))

    def answer(self, decision: Decision, step: int) -> None:
        """Let the policies of one decision answer for all agents that they answer for, and store the actions."""
        if decision.name not in self._begun:
            self.begin(decision, step)
        # Whom to ask was settled when it began: what has been computed since may say otherwise by now.
        for begun in self._begun.pop(decision.name):
            if begun.asked is not None:
                self._finish(decision, begun, begun.asked)
            else:
                self._ask(begun.policy, decision, step, begun.slots, 0)

    def chosen(self, decision: Decision, step: int) -> NDArray[np.bool_]:
        """The slots of the agents for which a policy answers."""
        found = np.zeros(self.state[decision.population.name].capacity, bool)
        for _, slots in self._slots(decision, step):
            found[slots] = True
        return found

    def answer_one(self, decision: Decision, step: int, slot: int, event: int) -> None:
        """Ask the policies of one decision for the agent whose turn it is, and store its action."""
        slots = np.array([slot])
        masks = self._masks(decision, self.state[decision.population.name].ids[slots])
        listed = [policy for policy, mask in masks if mask[0]]
        for policy in listed:
            if policy is listed[-1] or not isinstance(policy.answer, Waiting):
                self._ask(policy, decision, step, slots, event)

    def _slots(self, decision: Decision, step: int) -> Iterator[tuple[Policy, Array]]:
        """Each policy of a decision that has somebody to answer for, and the slots of these by ascending id."""
        population = self.state[decision.population.name]
        slots = population.order[: population.living]
        askable = self._askable(decision, step)
        for policy, mask in self._masks(decision, population.ids[slots]):
            if askable is not None:
                mask = mask & askable
            if mask.any():
                yield policy, slots[mask]
            elif isinstance(policy.answer, Skippable):
                policy.answer.skipped(f"{decision.population.name}.{decision.name}", step)

    def _askable(self, decision: Decision, step: int) -> Array | None:
        """Of whom the scenario lets policies be asked; None: of all."""
        if decision.asked is None:
            return None
        offered: dict[str, Any] = {**self._everyone(), "p": self.scenario, "step": step}
        where = f"asked= of {decision.population.name}.{decision.name}"
        names = inspect.signature(decision.asked).parameters
        for name in names:
            if name not in offered:
                raise ScenarioError(f"{where} has no argument {name!r}{nearest(name, offered)}")
        mask = np.asarray(decision.asked(**{name: offered[name] for name in names}))
        if mask.dtype != bool or mask.shape != (self.state[decision.population.name].living,):
            raise ScenarioError(
                f"{where} returned {mask.dtype} of shape {mask.shape}; expected a mask over the "
                f"{self.state[decision.population.name].living} living {decision.population.name}"
            )
        return mask

    def _everyone(self) -> dict[str, Fields]:
        return {name: Fields(found, found.order[: found.living]) for name, found in self.state.populations.items()}

    def _masks(self, decision: Decision, identities: Array) -> Iterator[tuple[Policy, Array]]:
        before = 0.0
        for policy in self.policies[f"{decision.population.name}.{decision.name}"]:
            yield policy, policy.chosen(identities, self.seed, decision.population.name, before)
            before += (policy.share or 0.0) if policy.ids is None else 0.0

    def _asked(self, decision: Decision, step: int, slots: Array, event: int) -> Asked:
        self.check_run()
        population = self.state[decision.population.name]
        identities, label = population.ids[slots], f"{decision.population.name}.{decision.name}"
        draw = Draws(self.seed, decision.population.name, decision.name, identities, step, event)
        return Asked(
            identities, step, Fields(population, slots), self._observed(decision, slots),
            population.fields[decision.action][0][slots], decision.options, self.scenario, draw, self._everyone(),
            decision=label, known=partial(self._known, decision),
        )  # fmt: skip

    def _known(self, decision: Decision) -> Known:
        assert self.kernel is not None
        return known_to_rule(self.scenario, self.kernel.plan, decision)

    def _ask(self, policy: Policy, decision: Decision, step: int, slots: Array, event: int) -> None:
        asked = self._asked(decision, step, slots, event)
        with saying_whose(decision, step):
            if isinstance(policy.answer, Waiting):
                self._finish(decision, Begun(policy, slots, asked, policy.answer.begin(asked)), asked)
                return
            answer = policy.answer(asked)
        self._store(decision, slots, answer, asked)

    def _finish(self, decision: Decision, begun: Begun, asked: Asked) -> None:
        """Wait for an answer that was set going, and store the actions."""
        action = self.state[decision.population.name].fields[decision.action][0]
        asked = replace(asked, rule=action[begun.slots])
        with saying_whose(decision, asked.step):
            answer = begun.policy.answer.finish(begun.work, asked)
        self._store(decision, begun.slots, answer, asked)
        with saying_whose(decision, asked.step):
            begun.policy.answer.taken(begun.work, asked, action[begun.slots])

    def _store(self, decision: Decision, slots: Array, answer: Any, asked: Asked) -> None:
        action = self.state[decision.population.name].fields[decision.action][0]
        action[slots] = self._actions(decision, answer, len(slots), asked.draw, action.dtype)

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
