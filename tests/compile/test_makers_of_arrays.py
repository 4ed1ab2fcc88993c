"""Which functions of an author may make arrays, and so need references to be counted."""

from __future__ import annotations

import numpy as np
import pytest

import simengine
from simengine import Scenario, field, param, population, update
from simengine.compile.helpers import makers_of_arrays, makes_arrays


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return math.exp(a[3]) + np.sqrt(a[2])", False),
        ("return np.zeros(3)[0]", True),
        ("return a[1:3].sum()", True),
        ("return len([a[0]])", True),
        ("return a.sum()", True),
        ("return max(a[0], min(a[1], 2.0))", False),
        ("return helper(a)", False),
        ("return maker(a)", True),
    ],
)
def test_a_function_that_may_make_an_array_is_told_from_one_that_does_not(body: str, expected: bool) -> None:
    assert makes_arrays(f"def f(a):\n    {body}", frozenset({"maker"})) is expected


def test_whoever_calls_a_maker_of_arrays_is_one() -> None:
    functions = {
        "first": "def first(a):\n    return second(a)",
        "second": "def second(a):\n    return np.ones(3)",
        "third": "def third(a):\n    return a[0]",
    }
    assert makers_of_arrays(functions) == {"first", "second"}


def rank_sum(value: float) -> float:
    ranks = np.arange(4) * value
    return ranks.sum()


class Ranked(Scenario):
    """Phases that make arrays, by themselves and through a function."""

    n_agents: int = param(5, low=1)
    agents = population(size="n_agents", value=field(), other=field())

    @update(agents)
    def rank(me, agents, new):
        part = np.full(3, agents.value[me] + 1.0)
        new.value[me] = part[:2].sum()
        new.other[me] = rank_sum(agents.value[me])


def test_phases_that_make_arrays_run() -> None:
    run = simengine.run(Ranked, steps=2, snapshot_every=1, progress=False)
    assert (run.value[-1] == 6.0).all()
    assert (run.other[-1] == 12.0).all()
