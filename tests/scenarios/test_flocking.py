from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simengine
from simengine.compile.module import write_module
from simengine.random.streams import Draws
from simengine.scenarios.flocking import Flocking

ORDERS = ("shuffled", "synchronous")


def advanced(**options: Any) -> Any:
    return simengine.run("flocking", snapshot_every=1, progress=False, **options)


def mesa_flock(n_agents: int, box: float, position: np.ndarray, heading: np.ndarray, vision: float) -> Any:
    """Mesa's shipped flock in a given state."""
    model_of = pytest.importorskip("mesa.examples.basic.boid_flockers.model")
    model = model_of.BoidFlockers(
        population_size=n_agents, width=box, height=box, speed=1, vision=vision, separation=1, seed=1
    )
    for bird, place, direction in zip(model.agents, position, heading, strict=True):
        bird.position = place
        bird.direction = direction.copy()
    return model


def assert_same_state(run: Any, position: np.ndarray, heading: np.ndarray, box: float) -> None:
    apart = run.position.values[-1] - position
    apart -= box * np.round(apart / box)
    assert np.abs(apart).max() < 1e-12
    assert np.abs(run.heading.values[-1] - heading).max() < 1e-12


# Dense and sparse flocks; 600 birds are searched through cells, fewer by comparing all pairs.
@pytest.mark.parametrize(("n_agents", "box", "vision"), [(40, 20.0, 5.0), (120, 60.0, 3.0), (600, 80.0, 6.0)])
def test_a_synchronous_step_is_that_of_mesas_birds_taken_from_one_picture(
    n_agents: int, box: float, vision: float
) -> None:
    run = advanced(order="synchronous", n_agents=n_agents, box=box, vision=vision, steps=1, seed=4)
    before, headings = run.position.values[0], run.heading.values[0]
    model = mesa_flock(n_agents, box, before, headings, vision)
    position, heading = np.empty_like(before), np.empty_like(headings)
    for number, bird in enumerate(list(model.agents)):
        bird.step()
        position[number], heading[number] = bird.position, bird.direction
        bird.position, bird.direction = before[number], headings[number].copy()
    assert_same_state(run, position, heading, box)


@pytest.mark.parametrize(("n_agents", "box", "vision"), [(40, 20.0, 5.0), (120, 60.0, 3.0)])
def test_a_shuffled_step_is_that_of_mesas_birds_taken_in_the_same_order(
    n_agents: int, box: float, vision: float
) -> None:
    run = advanced(order="shuffled", n_agents=n_agents, box=box, vision=vision, steps=1, seed=4)
    model = mesa_flock(n_agents, box, run.position.values[0], run.heading.values[0], vision)
    birds = list(model.agents)
    order = Draws(4, "agents", "fly_in_turn", np.arange(n_agents), 0).permutation("engine turn")
    assert (order != np.arange(n_agents)).any()
    for number in order:
        birds[number].step()
    assert_same_state(
        run, np.array([bird.position for bird in birds]), np.array([bird.direction for bird in birds]), box
    )


@pytest.mark.parametrize(("regime", "at_start", "later"), [("small", 1.6, 2.8), ("large", 12.6, 30.5)])
def test_birds_have_as_many_neighbours_as_in_the_comparison(regime: str, at_start: float, later: float) -> None:
    # 40 seeds, 3.5 standard errors (5e-4 two-sided) on top of the rounding of the figures compared with.
    seen = np.array([
        simengine.run("flocking", regime=regime, seed=seed, progress=False).mean_neighbours.values for seed in range(40)
    ])  # fmt: skip
    means = seen[:, 1:].mean(axis=1)
    error = means.std() / np.sqrt(len(means))
    assert means.mean() == pytest.approx(later, abs=3.5 * error + 0.05)
    first = seen[:, 0]
    assert first.mean() == pytest.approx(at_start, abs=3.5 * first.std() / np.sqrt(len(first)) + 0.05)


@given(
    n_agents=st.integers(1, 40), order=st.sampled_from(ORDERS), seed=st.integers(0, 2**32), box=st.floats(11.0, 40.0)
)
@settings(max_examples=15)
def test_headings_keep_unit_length_and_birds_stay_in_the_box(n_agents: int, order: str, seed: int, box: float) -> None:
    run = advanced(order=order, n_agents=n_agents, seed=seed, box=box, steps=10)
    length = np.hypot(run.heading.values[..., 0], run.heading.values[..., 1])
    assert np.abs(length - 1.0).max() < 1e-15 * 4
    assert (run.position >= 0).all()
    assert (run.position < box).all()


@pytest.mark.parametrize("order", ORDERS)
def test_birds_that_see_nobody_fly_straight(order: str) -> None:
    start = {"position": [[5.0, 5.0], [55.0, 55.0]], "heading": [[0.6, 0.8], [-1.0, 0.0]]}
    run = advanced(order=order, start=start, steps=8, speed=0.5)
    assert (run.heading[-1] == run.heading[0]).all()
    np.testing.assert_allclose(run.position.values[-1], [[5.0 + 8 * 0.3, 5.0 + 8 * 0.4], [51.0, 55.0]], rtol=1e-14)


def test_a_parallel_flock_is_polarized_and_a_flock_of_two_opposites_is_not() -> None:
    place = [[1.0, 1.0], [3.0, 3.0]]
    alike = advanced(start={"position": place, "heading": [[0.0, 2.0], [0.0, 2.0]]}, steps=0)
    opposite = advanced(start={"position": place, "heading": [[0.0, 1.0], [0.0, -1.0]]}, steps=0)
    assert float(alike.polarization[0]) == 1.0
    assert float(alike.heading_entropy[0]) == 0.0
    assert float(opposite.polarization[0]) == 0.0
    assert float(opposite.heading_entropy[0]) == pytest.approx(np.log(2.0) + np.euler_gamma + np.log(2.0))
    assert float(opposite.mean_neighbours[0]) == 1.0


def test_a_synchronous_flock_is_gathered_eight_birds_at_a_time() -> None:
    assert "gather_look_lanes(" in write_module(Flocking({"order": "synchronous"}), False).source


def test_the_large_regime_sets_the_comparisons_parameters_and_yields_to_given_ones() -> None:
    flock = Flocking({"regime": "large", "vision": 9.0})
    assert (flock.n_agents, flock.box, flock.vision) == (400, 150.0, 9.0)
