from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import simengine
from simengine.scenarios.predator_prey import PredatorPrey

# Capacities alike throughout, so that all tests share their compiled steps.
ROOM = {"prey_capacity": 1000, "predator_capacity": 1000}
SMALL = ROOM | {"n_prey": 200, "n_predators": 25, "box": 18.0}
# One predator that catches nothing, lives long and has no young, so that prey are alone and the run goes on.
ONLOOKER = ROOM | {"n_predators": 1, "grasp": 1e-9, "initial_energy": 1000, "predator_birth": 0.0}


def advanced(**options: Any) -> Any:
    return simengine.run(PredatorPrey, progress=False, **options)


def living(run: Any, who: str) -> list[set[int]]:
    return [set(row[row >= 0].tolist()) for row in run[f"{who}_id"].values.astype(np.int64)]


@given(seed=st.integers(0, 2**32), gain=st.integers(0, 9), birth=st.floats(0.0, 0.3), crowd=st.sampled_from([None, 3]))
@settings(max_examples=12)
def test_the_books_of_heads_and_energy_close_exactly(seed: int, gain: int, birth: float, crowd: int | None) -> None:
    options = SMALL | {"prey_birth": 0.05, "predator_birth": birth, "gain": gain, "crowd": crowd, "grasp": 0.6}
    run = advanced(seed=seed, steps=40, **options)
    eaten, born = np.diff(run.total_prey_eaten.values), np.diff(run.total_prey_born.values)
    split, starved = np.diff(run.total_predators_born.values), np.diff(run.total_predators_starved.values)
    predators = run.predators_alive.values
    np.testing.assert_array_equal(np.diff(run.prey_alive.values), born - eaten)
    np.testing.assert_array_equal(np.diff(predators), split - starved)
    np.testing.assert_array_equal(np.diff(run.predator_energy.values), gain * eaten - predators[:-1])


def test_every_prey_that_vanishes_was_eaten_by_exactly_one_predator_and_ids_never_return() -> None:
    run = advanced(seed=2, steps=60, snapshot_every=1, **(SMALL | {"grasp": 0.6, "predator_birth": 0.1}))
    for who in ("prey", "predator"):
        seen: set[int] = set()
        before: set[int] = set()
        for now in living(run, who):
            assert not (now - before) & seen
            seen |= now
            before = now
    prey = living(run, "prey")
    vanished = [len(before - now) for before, now in pairwise(prey)]
    # The ledger counts the meals of predators; ids are those of the prey.
    np.testing.assert_array_equal(np.diff(run.total_prey_eaten.values), vanished)
    assert sum(vanished) > 100
    assert run.total_predators_born[-1] > 20


def test_of_several_predators_that_want_one_prey_one_gets_it_with_equal_chances() -> None:
    # Chi-square over 400 seeds at level 1e-3, fixed seeds.
    winners = np.zeros(4)
    start = {"prey": {"position": [[5.0, 5.0]]}, "predators": {
        "position": [[5.0, 5.1], [5.1, 5.0], [4.9, 5.0], [5.0, 4.9]], "energy": [9, 9, 9, 9],
    }}  # fmt: skip
    for seed in range(400):
        run = advanced(
            start=start, seed=seed, steps=1, snapshot_every=1, box=10.0, prey_stride=0.0, predator_stride=0.0,
            grasp=0.5, gain=6, predator_birth=0.0, prey_birth=0.0, **ROOM,
        )  # fmt: skip
        energy = run.predators_energy.values[-1, :4]
        assert sorted(energy) == [8, 8, 8, 14]
        assert int(run.prey_alive[-1]) == 0
        winners[energy.argmax()] += 1
    assert chisquare(winners).pvalue > 1e-3


def test_prey_alone_grow_as_a_galton_watson_process() -> None:
    # 300 runs; mean and variance within 4 standard errors (6e-5 each), the variance's with the excess kurtosis found.
    founders, b, steps, runs = 20, 0.2, 10, 300
    options = ONLOOKER | {"n_prey": founders, "prey_birth": b, "crowd": None}
    found = np.array([
        int(advanced(seed=seed, steps=steps, every=steps, **options).prey_alive[-1]) for seed in range(runs)
    ])  # fmt: skip
    growth = (1 + b) ** steps
    mean, variance = founders * growth, founders * (1 - b) * (1 + b) ** (steps - 1) * (growth - 1)
    assert found.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / runs))
    kurtosis = ((found - found.mean()) ** 4).mean() / found.var() ** 2 - 3
    assert found.var(ddof=1) == pytest.approx(variance, abs=4 * variance * np.sqrt((2 + max(kurtosis, 0)) / runs))


def test_predators_alone_starve_at_the_step_that_equals_their_energy() -> None:
    run = advanced(n_prey=0, n_predators=30, initial_energy=7, predator_birth=0.0, steps=50, **ROOM)
    assert run.predators_alive.values.tolist() == [30] * 7 + [0]
    assert run.attrs["stop_reason"] == "predators extinct"
    assert int(run.total_predators_starved[-1]) == 30


def test_a_predator_that_splits_keeps_the_larger_half() -> None:
    run = advanced(n_prey=0, n_predators=1, initial_energy=8, predator_birth=1.0, steps=1, snapshot_every=1, **ROOM)
    energy = run.predators_energy.values[-1]
    assert sorted(energy[np.isfinite(energy)]) == [3, 4]


def test_a_predator_turns_to_the_nearest_prey_across_the_border() -> None:
    run = advanced(
        start={"prey": {"position": [[9.8, 5.0], [1.5, 5.0]]}, "predators": {"position": [[0.4, 5.0]], "energy": [9]}},
        steps=1, snapshot_every=1, box=10.0, prey_stride=0.0, predator_stride=0.25, sight=2.0, grasp=0.1,
        predator_birth=0.0, prey_birth=0.0, **ROOM,
    )  # fmt: skip
    np.testing.assert_allclose(run.predators_position.values[-1, 0], [0.15, 5.0], atol=1e-12)


def test_crowded_prey_bear_no_young() -> None:
    heap = {"prey": {"position": np.full((5, 2), 3.0)}}
    options = ONLOOKER | {"prey_birth": 1.0, "prey_stride": 0.0, "box": 10.0, "steps": 1, "start": heap}
    assert int(advanced(crowd=4, **options).prey_alive[-1]) == 5
    assert int(advanced(crowd=5, **options).prey_alive[-1]) == 10
    assert int(advanced(crowd=None, **options).prey_alive[-1]) == 10


def test_a_full_population_is_an_error_that_names_it() -> None:
    with pytest.raises(simengine.RunError, match="prey is full"):
        advanced(steps=50, **(ONLOOKER | {"n_prey": 300, "prey_birth": 1.0, "crowd": None}))


def test_populations_larger_than_their_capacity_are_refused() -> None:
    with pytest.raises(simengine.InputError, match="prey_capacity"):
        advanced(n_prey=50, prey_capacity=20)
