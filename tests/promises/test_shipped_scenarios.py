"""What is promised of every scenario holds for each that is installed: a result is a function of scenario,
parameters and seed, ids carry no meaning, and what a model conserves stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import simengine
from simengine import testing
from simengine.runs import registry

STEPS, SEED = 20, 7
CASES: dict[str, dict[str, Any]] = {
    "wealth_exchange": {"n_agents": 300, "initial_wealth": 2},
    "wealth_exchange one by one": {"n_agents": 100, "initial_wealth": 2, "order": "one_by_one"},
    "voter": {"n_agents": 200, "n_opinions": 3},
    "flocking shuffled": {"n_agents": 150, "box": 50.0},
    "flocking synchronous, pairs": {"n_agents": 150, "box": 50.0, "order": "synchronous"},
    "flocking synchronous, cells": {"n_agents": 900, "box": 100.0, "order": "synchronous"},
    "predator_prey": {"n_prey": 600, "n_predators": 60, "box": 30.0, "prey_capacity": 3000, "predator_capacity": 2000},
    "schooling": {"n_agents": 80},
    "schooling cells": {"n_agents": 700, "radius_attraction": 6.0},
    "schooling dewi-kadita": {"n_agents": 80, "rules": "dewi-kadita"},
    "schooling without noise": {"n_agents": 80, "noise": 0.0},
    "social_learning": {"n_communities": 200},
    "hegselmann_krause": {"n_agents": 200},
    "persuasion": {"n_agents": 200},
    "watts_cascade": {"n_agents": 200},
    "commons": {"n_agents": 120, "n_villages": 9},
}
SLOW_CASES: dict[str, dict[str, Any]] = {
    "govsim": {"rule": "mixed", "noise": 2},
    "social_learning with a planner": {"n_communities": 200, "planner": "optimal", "n_beliefs": 101},
}
SLOW_CASES |= {
    name: {} for name in registry.installed() if not any(case.split()[0] == name for case in (*CASES, *SLOW_CASES))
}
EVERY_CASE = [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW_CASES)]
FIRST_CASES = [*{case.split()[0]: case for case in reversed(CASES)}.values(), *EVERY_CASE[len(CASES) + 1 :]]
CASES |= SLOW_CASES
IN_ORDER_OF_ID = ("network_learning", "word_of_mouth", "persuasion", "harvest")
"""Scenarios whose ids mean something to the step: who acts before whom, who stands where."""


def prey_and_the_dead(prey: Any, ledger: Any) -> int:
    return int(len(prey) + ledger.prey_eaten[0] - ledger.prey_born[0])


def predators_and_the_dead(predators: Any, ledger: Any) -> int:
    return int(len(predators) + ledger.predators_starved[0] - ledger.predators_born[0])


def lengths_of_headings(agents: Any) -> Any:
    return np.linalg.norm(agents.heading, axis=1)


CONSERVED: dict[str, list[tuple[str | Callable[..., Any], float]]] = {
    "wealth_exchange": [("total_wealth", 0.0), (lambda agents: agents.wealth.sum(), 0.0)],
    "predator_prey": [(prey_and_the_dead, 0.0), (predators_and_the_dead, 0.0)],
    "flocking": [(lengths_of_headings, 1e-14)],
    "schooling": [(lengths_of_headings, 1e-14)],
}
QUANTITIES = [
    pytest.param(case, quantity, within, id=f"{case}-{number}")
    for case in CASES
    for number, (quantity, within) in enumerate(CONSERVED.get(case.split()[0], []))
]
# Steps for several threads are compiled apart. Births, deaths, groups and decisions in threads are stepped against the
# reference in tests/compile and tests/relations, too.
SHORT_IN_THREADS = ("wealth_exchange", "voter", "flocking synchronous, cells", "schooling cells", "social_learning")
QUICK_IN_THREADS = [case if case in SHORT_IN_THREADS else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
every_case = pytest.mark.parametrize("case", EVERY_CASE)


def holds(assertion: Callable[..., None], case: str, **options: Any) -> None:
    assertion(case.split()[0], **{"steps": STEPS, "seed": SEED} | CASES[case] | options)


@every_case
def test_a_run_can_be_repeated(case: str) -> None:
    holds(testing.same_run, case)


@pytest.mark.parametrize("case", FIRST_CASES)
def test_a_run_can_be_repeated_in_a_fresh_process(case: str) -> None:
    holds(testing.same_run, case, fresh_process=True)


@pytest.mark.parametrize("case", QUICK_IN_THREADS)
def test_threads_do_not_show_in_a_result(case: str) -> None:
    holds(testing.any_threads, case)


@every_case
def test_storage_does_not_show_in_a_result(case: str) -> None:
    holds(testing.any_storage_order, case, threads=1, steps=30)


@pytest.mark.parametrize("case", QUICK_IN_THREADS)
def test_storage_does_not_show_in_a_result_of_threads(case: str) -> None:
    holds(testing.any_storage_order, case, threads=2, steps=30)


@every_case
def test_strides_do_not_show_in_a_result(case: str) -> None:
    holds(testing.any_stride, case, every=(3, 10), steps=30)


@pytest.mark.parametrize("case", QUICK_IN_THREADS)
def test_strides_do_not_show_in_a_result_of_threads_by_cell(case: str) -> None:
    holds(testing.any_stride, case, every=(3, 10), steps=30, threads=2, storage_order="by_cell")


@every_case
def test_a_run_in_two_parts_is_the_whole_run(case: str) -> None:
    holds(testing.split_equals_whole, case)


@every_case
def test_ids_carry_no_meaning(case: str) -> None:
    options: dict[str, Any] = {"keeping": ("beliefs",)} if case.startswith("social_learning") else {}
    if case.split()[0] in IN_ORDER_OF_ID:
        options["observables_only"] = True
    holds(testing.relabelling_invariant, case, **options)


@pytest.mark.parametrize(("case", "quantity", "within"), QUANTITIES)
def test_what_a_model_conserves_stays(case: str, quantity: Any, within: float) -> None:
    holds(testing.conserves, case, quantity=quantity, within=within)


@every_case
def test_another_seed_gives_another_result(case: str) -> None:
    runs = [
        simengine.run(case.split()[0], seed=seed, steps=STEPS, snapshot_every=STEPS, progress=False, **CASES[case])
        for seed in (SEED, SEED + 1)
    ]
    last = [run.isel(snapshot_time=-1) for run in runs]
    fields = [name for name in runs[0].data_vars if "snapshot_time" in runs[0][name].dims]
    assert any(not np.array_equal(last[0][name], last[1][name]) for name in fields)
