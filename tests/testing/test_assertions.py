"""Every public assertion holds for a scenario that keeps the promise and fails for one that breaks it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import simengine
from simengine import (
    Chosen,
    InputError,
    Random,
    RunError,
    Scenario,
    Space,
    count,
    every,
    field,
    gather,
    observable,
    param,
    population,
    reference,
    running,
    send,
    summed,
    total,
    update,
    vector,
)
from simengine.testing import (
    any_storage_order,
    any_stride,
    any_threads,
    check,
    conserves,
    relabelling_invariant,
    same_run,
    split_equals_whole,
)

CALLS = itertools.count()
GIVEN: dict[str, Any] = {}


def failing(assertion: Callable[..., None], *args: Any, **options: Any) -> str:
    """The one line of an assertion that does not hold."""
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


@observable
def spread(agents: Any) -> float:
    """Standard deviation of values."""
    return float(agents.value.std())


@observable(dtype="int64")
def total_value(agents: Any) -> int:
    """Sum of values."""
    return int(agents.value.sum())


class Trade(Scenario):
    """Each agent gives one unit to somebody drawn; ``miser``: the agent with id 0 does not."""

    n_agents: int = param(12, low=2)
    miser: bool = param(False)
    agents = population(size="n_agents", value=field(int))
    anybody = Random(agents, k=1)

    def start(self, agents: Any) -> None:
        agents.value[:] = 5

    @gather(anybody, partner=running(-1))
    def meet(me, other, acc):
        acc.partner = other

    @send(agents, to=agents, after=meet, got=summed(int))
    def give(me, agents, p, acc, send):
        if agents.value[me] > 0 and not (p.miser and me == 0):
            send.got(acc.partner, 1)

    @update(agents)
    def settle(me, agents, new, p):
        gives = agents.value[me] > 0 and not (p.miser and me == 0)
        new.value[me] += agents.got[me] - (1 if gives else 0)

    observe = [spread, every(3, total_value)]


# -- the same result -------------------------------------------------------------------------------------------------


class CountsItsStarts(Trade):
    """Starts from a number that no seed determines."""

    def start(self, agents: Any) -> None:
        agents.value[:] = next(CALLS)


class OrderOfASet(Trade):
    """Starts in the order of a set of texts, which differs between processes."""

    def start(self, agents: Any) -> None:
        agents.value[:] = [int(text) for text in {str(n) for n in range(self.n_agents)}]


class KnowsItsProcess(Trade):
    """Starts from the number of its process."""

    def start(self, agents: Any) -> None:
        agents.value[:] = os.getpid()


class Homesick(Trade):
    """Fails in every process but one."""

    def start(self, agents: Any) -> None:
        if os.environ["HOME_PROCESS"] != str(os.getpid()):
            raise ValueError("far from home")


def test_a_run_is_repeated_here_and_in_a_fresh_process() -> None:
    same_run(Trade)
    same_run(Trade, fresh_process=True, n_agents=7)
    same_run("voter", fresh_process=True, steps=5, n_agents=20)


def test_a_start_that_the_seed_does_not_determine_is_found() -> None:
    text = failing(same_run, CountsItsStarts)
    assert text.startswith("CountsItsStarts: value at step 0 of agent 0 is ")
    assert text.endswith(" in the next")


@pytest.mark.parametrize("scenario", [OrderOfASet, KnowsItsProcess])
def test_a_start_that_depends_on_the_process_is_found_in_a_fresh_one(scenario: type[Scenario]) -> None:
    same_run(scenario, steps=1)
    text = failing(same_run, scenario, steps=1, fresh_process=True)
    assert text.startswith(f"{scenario.__name__}: value at step 0 of agent ")
    assert text.endswith(" in a fresh one")


def test_a_class_that_nobody_can_import_has_no_fresh_process() -> None:
    class Local(Trade):
        """Defined in a function."""

    with pytest.raises(InputError, match="cannot import"):
        same_run(Local, fresh_process=True)


def test_a_run_that_fails_in_the_fresh_process_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_PROCESS", str(os.getpid()))
    with pytest.raises(RunError, match=r"^the run in a fresh process failed: ValueError: far from home$"):
        same_run(Homesick, fresh_process=True)


# -- threads, storage, strides, cuts ---------------------------------------------------------------------------------


@observable
def given_threads() -> float:
    """The number of threads."""
    return float(GIVEN.get("threads") or 0)


@observable
def first_in_memory(agents: Any) -> float:
    """Value of the agent in the first slot of memory."""
    return float(agents._state.fields["value"][0, 0])


@observable
def records() -> float:
    """How often it was called since a run began."""
    return float(next(CALLS))


class Curious(Trade):
    """Observes its number of threads."""

    observe = [given_threads]


class Counting(Trade):
    """Observes how often it was observed."""

    def start(self, agents: Any) -> None:
        global CALLS
        CALLS = itertools.count()

    observe = [records]


class Averaging(Scenario):
    """Agents in the plane average what those near them hold."""

    n_agents: int = param(900, low=1)
    agents = population(size="n_agents", position=vector(2), value=field(float))
    near = Space(agents.position, reach=1.5, box=40.0)

    def start(self, agents: Any, draw: Any) -> None:
        agents.position[:] = draw.uniform("position", 0.0, 40.0, components=2)
        agents.value[:] = draw.uniform("value")

    @gather(near, around=total(), others=count())
    def look(me, other, agents, acc):
        acc.around += agents.value[other]
        acc.others += 1

    @update(agents, after=look)
    def follow(me, agents, new, acc):
        new.value[me] = (agents.value[me] + acc.around) / (1 + acc.others)
        new.position[me, 0] += agents.value[me]

    observe = [spread]


class Peeking(Averaging):
    """Observes storage."""

    observe = [first_in_memory]


@pytest.fixture
def seen_options(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a scenario see the options it is run with."""

    def run(scenario: Any, **options: Any) -> Any:
        GIVEN.clear()
        GIVEN.update(options)
        return simengine.run(scenario, **options)

    monkeypatch.setattr("simengine.testing.repeating.run", run)
    yield
    GIVEN.clear()


def test_threads_do_not_show() -> None:
    any_threads(Trade)


@pytest.mark.usefixtures("seen_options")
def test_threads_that_show_are_found() -> None:
    text = failing(any_threads, Curious, threads=(1, 2))
    assert text == "Curious: given_threads at step 0 is 1.0 with 1 thread, 2.0 with 2 threads"


def test_storage_does_not_show() -> None:
    any_storage_order(Averaging)


def test_storage_that_shows_is_found() -> None:
    text = failing(any_storage_order, Peeking)
    assert text.startswith("Peeking: first_in_memory at step 1 is ")
    assert text.endswith(" stored by cell")


def test_strides_do_not_show() -> None:
    any_stride(Trade)
    any_stride(Trade, every=5)


def test_a_stride_that_shows_is_found() -> None:
    text = failing(any_stride, Counting, every=4)
    assert text == "Counting: records at step 4 is 4.0 when recorded every step, 1.0 when recorded every 4 steps"


def test_a_cut_does_not_show() -> None:
    split_equals_whole(Trade)
    split_equals_whole(Trade, steps=12, at=(3, 6, 11), seed=5)
    split_equals_whole("voter", steps=300, at=2, n_agents=10)


def test_a_cut_that_shows_is_found() -> None:
    text = failing(split_equals_whole, Counting, at=8)
    assert text == (
        "Counting: records at step 8 is 8.0 in one go, 0.0 when continued from a checkpoint at step 8"
    )  # fmt: skip


@pytest.mark.parametrize("at", [0, 20, (3, 21)])
def test_a_cut_lies_within_the_run(at: Any) -> None:
    with pytest.raises(InputError, match="from 1 to 19"):
        split_equals_whole(Trade, at=at)


# -- names -----------------------------------------------------------------------------------------------------------


class Chain(Scenario):
    """Without draws: agents copy whom they follow, and then follow whom that one followed; ``rule`` breaks it."""

    rule: int = param(0, low=0, high=2)
    n_agents: int = param(30, low=3)
    agents = population(size="n_agents", value=field(float), leader=reference(), bids=field(int))
    followed = Chosen(agents.leader)

    def start(self, agents: Any, draw: Any) -> None:
        agents.value[:] = draw.uniform("value")
        agents.leader[:] = draw.integer("leader", -1, self.n_agents)

    @gather(followed, heard=running(0.0), next_one=running(-1))
    def look(me, other, agents, acc):
        acc.heard = agents.value[other]
        acc.next_one = agents.leader[other]

    @update(agents, after=look)
    def follow(me, agents, new, acc, p):
        new.value[me] = 0.5 * (agents.value[me] + acc.heard) + (1e-3 * me if p.rule == 1 else 0.0)
        new.leader[me] = me if p.rule == 2 and me < 5 else acc.next_one

    observe = [spread]


class Queue(Scenario):
    """Agents take from what a keeper has got anew, one after another by id; ``drawn``: as much as they draw."""

    n_agents: int = param(40, low=2)
    drawn: bool = param(False)
    agents = population(size="n_agents", value=field(float), keeper=reference())
    asked = Chosen(agents.keeper)

    def start(self, agents: Any) -> None:
        agents.keeper[1:] = 0

    @update(agents)
    def restock(me, agents, new):
        new.value[me] += 5.0 if agents.keeper[me] < 0 else 0.0

    @gather(asked, left=running(0.0), owner=running(-1))
    def ask(me, other, agents, acc):
        acc.left = agents.value[other]
        acc.owner = other

    @update(agents, after=ask, order="sequential", when={"drawn": False})
    def take(me, new, acc):
        if acc.owner >= 0:
            new.value[me] += min(0.5, acc.left)
            new.value[acc.owner] -= min(0.5, acc.left)

    @update(agents, after=ask, order="sequential", when={"drawn": True})
    def take_some(me, new, acc, draw):
        taken = min(draw.uniform("part"), acc.left)
        if acc.owner >= 0:
            new.value[me] += taken
            new.value[acc.owner] -= taken

    observe = [spread]


class Mortal(Scenario):
    """Agents die by chance; ``immortal``: the agent with id 0 does not."""

    immortal: bool = param(False)
    agents = population(30, capacity=30, value=field(float))

    @update(agents)
    def die(me, new, draw, p):
        new.alive[me] = (p.immortal and me == 0) or not draw.chance("death", 0.1)


@observable
def value_of_first(agents: Any) -> float:
    """Value of the agent with the lowest id."""
    return float(agents.value[0])


class Portrayed(Chain):
    """Observes one agent by its id."""

    observe = [value_of_first]


def test_names_do_not_show_where_the_step_draws_nothing() -> None:
    relabelling_invariant(Chain)


def test_names_do_not_show_where_the_step_draws() -> None:
    relabelling_invariant(Trade)
    relabelling_invariant("voter", n_agents=20, steps=6)


def test_an_observable_of_one_id_is_found_and_can_be_left_out() -> None:
    text = failing(relabelling_invariant, Portrayed)
    assert text.startswith("Portrayed: observable value_of_first depends on who has which id: at step 0 ")
    relabelling_invariant(Portrayed, ignoring=["value_of_first"])


def test_a_step_that_counts_with_ids_is_found() -> None:
    text = failing(relabelling_invariant, Chain, rule=1)
    assert text.startswith("Chain: step 1 depends on who has which id: agents.value of id ")
    relabelling_invariant(Chain, rule=1, observables_only=True)


def test_a_reference_that_depends_on_ids_is_found() -> None:
    assert "agents.leader of id " in failing(relabelling_invariant, Chain, rule=2)


def test_an_agent_that_is_special_is_found_among_draws() -> None:
    text = failing(relabelling_invariant, Trade, miser=True)
    assert text.startswith("Trade: what happens from step 10 to 20 depends on who has which id: agents.value of id ")
    assert " id 0 (dealt " in text or "(dealt 0) is " in text


def test_an_agent_that_never_dies_is_found() -> None:
    relabelling_invariant(Mortal, steps=40)
    assert "agents.alive of id " in failing(relabelling_invariant, Mortal, steps=40, immortal=True)


@pytest.mark.parametrize("drawn", [False, True])
def test_an_order_by_id_is_found_and_named(drawn: bool) -> None:
    text = failing(relabelling_invariant, Queue, drawn=drawn)
    assert "acts in the order of ids: observables_only=True" in text
    relabelling_invariant(Queue, drawn=drawn, observables_only=True)


# -- quantities ------------------------------------------------------------------------------------------------------


def test_a_conserved_quantity_is_given_by_name_or_as_a_function() -> None:
    conserves(Trade, "total_value")
    conserves(Trade, lambda agents, p: [agents.value.sum(), p.n_agents], n_agents=5)


def test_a_quantity_that_changes_is_found() -> None:
    text = failing(conserves, Trade, lambda agents: np.array([agents.value.sum(), agents.value[3]]), within=1.5)
    assert text.startswith("Trade: the quantity[1] is ")
    assert text.endswith("allowed is 1.5")
    assert failing(conserves, Trade, "spread").startswith("Trade: spread is ")


def test_a_float_quantity_may_move_within_its_bound() -> None:
    def sum_of_values(agents: Any) -> float:
        return float(agents.value.sum())

    conserves(Averaging, sum_of_values, within=50.0, steps=3)
    assert "sum_of_values" in failing(conserves, Averaging, sum_of_values, steps=3)


def test_a_quantity_that_is_no_number_is_not_conserved() -> None:
    assert "no finite number" in failing(conserves, Trade, lambda agents, step: 1.0 if step < 3 else np.nan)


def test_a_quantity_by_a_wrong_name_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'total_value'"):
        conserves(Trade, "total_values")


# -- all together ----------------------------------------------------------------------------------------------------


def test_all_assertions_in_one_call() -> None:
    check(Trade, conserved=["total_value"], steps=8, n_agents=6)
    assert failing(check, Trade, conserved=["spread"], steps=8, n_agents=6).startswith("Trade: spread is ")
    assert failing(check, Counting, steps=8).startswith("Counting: records at step 2 is ")


def test_populations_that_are_places_keep_their_ids() -> None:
    options: dict[str, Any] = {"n_communities": 40, "n_beliefs": 101, "planner": "optimal", "steps": 6}
    relabelling_invariant("social_learning", keeping=("beliefs",), **options)
    with pytest.raises(AssertionError):
        relabelling_invariant("social_learning", **options)
    with pytest.raises(InputError, match=r"keeping: there is no population 'belief'; did you mean 'beliefs'"):
        relabelling_invariant("social_learning", keeping=("belief",), **options)
