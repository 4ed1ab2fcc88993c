"""Memory: rings of events, what of them is shown, its ceiling, checkpoints, and room that does not grow."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.errors import InputError, RunError
from simengine.policies.language.contexts import digest_of
from simengine.policies.language.memory import NOTHING, Memory


class Plain:
    """The same memory in lists, by the definition."""

    def __init__(self, capacity: int, shown: int, decay: float) -> None:
        self.capacity, self.shown, self.decay = capacity, shown, decay
        self.held: dict[int, list[tuple[int, float, str]]] = {}

    def remember(self, ids: list[int], step: int, texts: list[str], salience: list[float]) -> None:
        for agent, text, weight in zip(ids, texts, salience, strict=True):
            self.held[agent] = [*self.held.get(agent, []), (step, weight, text)][-self.capacity :]

    def recall(self, ids: list[int], now: int) -> list[str]:
        found = []
        for agent in ids:
            events = list(enumerate(self.held.get(agent, [])))
            ranked = sorted(events, key=lambda one: (-one[1][1] * self.decay ** (now - one[1][0]), -one[0]))
            chosen = sorted(ranked[: self.shown])
            found.append("\n".join(event[2] for _, event in chosen) or NOTHING)
        return found


EVENTS = st.lists(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from("abcdef"), st.sampled_from([0.0, 0.5, 1.0, 2.0])), max_size=8
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(EVENTS, st.integers(1, 5), st.integers(1, 6), st.sampled_from([1.0, 0.5]))
def test_a_memory_is_what_its_definition_says(events: Any, capacity: int, shown: int, decay: float) -> None:
    memory, plain, texts = Memory(capacity, shown, decay=decay), Plain(capacity, shown, decay), {}
    for step, told in enumerate(events):
        ids, said, weights = [one[0] for one in told], [f"{one[1]}{step}" for one in told], [one[2] for one in told]
        texts |= memory.remember(ids, step, said, weights)
        plain.remember(ids, step, said, weights)
        everybody = [5, 0, 1, 2, 3, 4, 6, 99]
        assert memory.recall(everybody, step + 1, texts) == plain.recall(everybody, step + 1)


def test_salience_and_recency_compete_and_ties_go_to_the_newest() -> None:
    memory = Memory(capacity=4, shown=1, decay=0.5)
    texts = memory.remember([1], 0, ["great"], 4.0) | memory.remember([1], 1, ["small"], 1.0)
    assert memory.recall([1], 1, texts) == ["great"]
    assert memory.recall([1], 50, texts) == ["great"]
    texts |= memory.remember([1], 2, ["equal"], 1.0)
    assert memory.recall([1], 2, texts) == ["equal"]
    texts |= memory.remember([1], 2, ["later"], 1.0)
    assert memory.recall([1], 2, texts) == ["later"]


def test_what_is_shown_is_in_the_order_of_time_and_the_lowest_rank_gives_way() -> None:
    memory = Memory(shown=3, tokens=5)
    texts = memory.remember([1, 1, 1], 0, ["first 1234", "second", "third 12"], [3.0, 1.0, 2.0])
    assert memory.recall([1], 0, texts) == ["first 1234\nthird 12"]


@given(st.lists(st.text(st.characters(blacklist_categories=("Cs",)), max_size=60), max_size=6), st.integers(1, 20))
def test_the_ceiling_of_tokens_holds(said: list[str], tokens: int) -> None:
    memory = Memory(tokens=tokens)
    texts = memory.remember([3] * len(said), 0, said)
    (found,) = memory.recall([3], 1, texts)
    assert math.ceil(len(found) / 4) <= tokens or found == NOTHING
    assert (found == NOTHING) == (not any(text.strip() for text in said)) or found == NOTHING in said


def test_an_event_is_one_line() -> None:
    memory = Memory()
    texts = memory.remember([1], 0, ["a\nb \r\n c"])
    assert memory.recall([1], 0, texts) == ["a b c"]
    assert texts == {digest_of("a b c"): "a b c"}
    assert list(memory.remember([1], 1, ["half \ud83d"]).values()) == ["half ?"]


def test_nothing_is_remembered_of_an_empty_text_and_by_nobody() -> None:
    memory = Memory()
    assert memory.remember([1, 2], 0, ["", " "]) == {}
    assert memory.recall([2, 1], 1, {}) == [NOTHING, NOTHING]
    assert memory.recall([], 1, {}) == []
    assert len(memory) == 0


def test_texts_may_come_from_a_function_that_is_asked_for_those_shown_only() -> None:
    memory = Memory(capacity=2, shown=1)
    texts = memory.remember([1, 2], 0, ["old", "old"]) | memory.remember([1, 2], 1, ["new", "new"])
    wanted: list[int] = []

    def held(digests: Any) -> dict[int, str]:
        wanted.extend(digests)
        return {digest: texts[digest] for digest in digests}

    assert memory.recall([1, 2], 1, held) == ["new", "new"]
    assert wanted == [digest_of("new")]
    with pytest.raises(RunError, match="is not in the record"):
        memory.recall([1], 1, {})


def test_the_order_in_which_agents_come_does_not_show() -> None:
    one, other = Memory(), Memory()
    for step in range(3):
        ids = np.array([9, 4, 7, 1]) + step
        one.remember(ids, step, [f"{agent} at {step}" for agent in ids])
        other.remember(ids[::-1], step, [f"{agent} at {step}" for agent in ids[::-1]])
    for name, value in one.state().items():
        assert np.array_equal(value, other.state()[name])


def test_a_memory_of_1000_steps_takes_the_room_of_100() -> None:
    memory = Memory(capacity=8)
    ids = np.arange(50)
    sizes = {}
    for step in range(1000):
        texts = memory.remember(ids, step, [f"event {step}"] * 50)
        sizes[step] = (memory.nbytes, len(pickle.dumps(memory.state())))
    assert sizes[99] == sizes[999]
    texts = {digest_of(f"event {step}"): f"event {step}" for step in range(1000)}
    assert memory.recall([7], 1000, texts) == ["\n".join(f"event {step}" for step in range(995, 1000))]


def test_who_is_not_kept_is_forgotten() -> None:
    memory = Memory()
    texts = memory.remember([1, 2, 3], 0, ["a", "b", "c"])
    memory.keep([3, 1, 8])
    assert memory.recall([1, 2, 3], 1, texts) == ["a", NOTHING, "c"]
    assert len(memory) == 2


def test_a_restored_memory_goes_on_as_if_nothing_had_happened() -> None:
    memory, other = Memory(capacity=3, summarise_every=2), Memory(capacity=3, summarise_every=2)
    texts = memory.remember([5, 2], 0, ["a", "b"])
    kept = memory.state()
    other.restore(pickle.loads(pickle.dumps(kept)))
    texts |= memory.remember([2, 9], 1, ["c", "d"])
    assert other.recall([2], 1, texts) == ["b"]
    other.remember([2, 9], 1, ["c", "d"])
    assert memory.recall([2, 5, 9], 2, texts) == other.recall([2, 5, 9], 2, texts)
    assert all(np.array_equal(value, other.state()[name]) for name, value in memory.state().items())
    with pytest.raises(InputError, match="capacity 3 and cannot go on with 4"):
        Memory(capacity=4).restore(kept)


def test_summaries_replace_what_was_remembered_only_where_asked_for() -> None:
    never, memory = Memory(), Memory(capacity=4, summarise_every=3)
    texts = {}
    for step in range(3):
        for one in (never, memory):
            texts |= one.remember([1, 2], step, [f"act {step}", f"act {step}"], float(step))
    texts |= memory.remember([7], 3, ["alone"])
    assert not never.due([1, 2], 100).any()
    assert memory.due([1, 2, 7, 8], 2).tolist() == [False] * 4
    assert memory.due([1, 2, 7, 8], 3).tolist() == [True, True, False, False]
    ids, requests = memory.summary_requests([2, 7, 1], 3, texts)
    assert ids.tolist() == [2, 1]
    assert requests[0].key("m/m") == requests[1].key("m/m")
    assert "<memory>act 0\nact 1\nact 2</memory>" in requests[0].messages[-1].text
    assert "never an instruction" in requests[0].messages[0].text
    assert (requests[0].elicitation, requests[0].temperature) == ("words", 0.0)
    texts |= memory.summarise(ids, 3, ["<think>Hm.</think> I acted\nthrice.", None])
    assert memory.recall([2, 1], 3, texts) == ["I acted thrice.", "act 0\nact 1\nact 2"]
    assert not memory.due([1, 2], 5).any()
    assert memory.state()["salience"][memory.state()["ids"].tolist().index(2), 0] == 2.0


def test_what_was_never_remembered_cannot_be_summarised() -> None:
    with pytest.raises(InputError, match="agent 3 remembers nothing"):
        Memory(summarise_every=1).summarise([3], 1, ["a"])


@pytest.mark.parametrize(
    "given", [{"capacity": 0}, {"shown": 1.5}, {"tokens": True}, {"decay": 0.0}, {"decay": 1.1}, {"summarise_every": 0}]
)
def test_settings_that_are_not_allowed_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"memory: {next(iter(given))} is"):
        Memory(**given)


def test_events_that_do_not_fit_agents_are_refused() -> None:
    with pytest.raises(InputError, match="1 texts for 2 agents"):
        Memory().remember([1, 2], 0, ["a"])
    with pytest.raises(InputError, match="saliences are finite numbers from 0"):
        Memory().remember([1], 0, ["a"], -1.0)
