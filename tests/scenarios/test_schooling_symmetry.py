"""What no rule of the schooling scenario may change: symmetries, unit headings, the box, who is seen."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import simengine

SIDE = 25.0
OPEN = {"rules": "couzin", "radius_orientation": 4.0, "radius_attraction": 9.0}
BOXED = {"rules": "couzin", "box": SIDE, "radius_orientation": 4.0, "radius_attraction": 9.0}
PEER = {"rules": "dewi-kadita", "regime": "swarm"}
SPACES = pytest.mark.parametrize("settings", [OPEN, BOXED, PEER], ids=["open", "box", "dewi-kadita"])
SEEDS = st.integers(0, 2**32 - 1)


def school(seed, n=40, spread=SIDE):
    rng = np.random.default_rng(seed)
    heading = rng.normal(size=(n, 3))
    return spread * rng.random((n, 3)), heading / np.linalg.norm(heading, axis=1, keepdims=True)


def after(position, heading, steps, settings, noise=0.0):
    run = simengine.run(
        "schooling", start={"position": position, "heading": heading}, noise=noise, steps=steps, every=max(steps, 1),
        snapshot_every=max(steps, 1), progress=False, **settings,
    )  # fmt: skip
    return run.position.values[-1], run.heading.values[-1]


def assert_same_place(found, expected, settings, within):
    moved = found - expected
    if settings is not OPEN:
        moved -= SIDE * np.round(moved / SIDE)
    assert np.abs(moved).max() < within


@SPACES
@given(seed=SEEDS, shift=st.tuples(*[st.floats(-100, 100)] * 3))
def test_a_displaced_school_does_the_same(settings, seed, shift):
    position, heading = school(seed, spread=8.0)
    displaced = position + shift if settings is OPEN else np.mod(position + shift, SIDE)
    x, v = after(position, heading, 10, settings)
    shifted_x, shifted_v = after(displaced, heading, 10, settings)
    assert np.abs(shifted_v - v).max() < 1e-10
    assert_same_place(shifted_x, x + shift, settings, 1e-10)


@given(seed=SEEDS, rotation=SEEDS)
def test_a_rotated_school_in_open_space_does_the_same(seed, rotation):
    turn = Rotation.random(random_state=np.random.default_rng(rotation))
    position, heading = school(seed, spread=8.0)
    x, v = after(position, heading, 10, OPEN)
    rotated_x, rotated_v = after(turn.apply(position), turn.apply(heading), 10, OPEN)
    assert np.abs(rotated_v - turn.apply(v)).max() < 1e-10
    assert_same_place(rotated_x, turn.apply(x), OPEN, 1e-10)


@SPACES
@given(seed=SEEDS)
def test_a_school_seen_in_a_mirror_does_the_same(settings, seed):
    position, heading = school(seed, spread=8.0)
    x, v = after(position, heading, 10, settings)
    mirror = np.array([-1.0, 1.0, 1.0])
    mirrored = position * mirror if settings is OPEN else np.mod(position * mirror, SIDE)
    mirrored_x, mirrored_v = after(mirrored, heading * mirror, 10, settings)
    assert np.abs(mirrored_v - v * mirror).max() < 1e-10
    assert_same_place(mirrored_x, x * mirror, settings, 1e-10)


@SPACES
@given(seed=SEEDS)
def test_fish_are_exchangeable(settings, seed):
    position, heading = school(seed)
    order = np.random.default_rng(seed).permutation(len(position))
    x, v = after(position, heading, 10, settings)
    other_x, other_v = after(position[order], heading[order], 10, settings)
    assert np.abs(other_v - v[order]).max() < 1e-10
    assert_same_place(other_x, x[order], settings, 1e-10)


@pytest.mark.parametrize("regime", ["swarm", "torus", "dynamic_parallel", "highly_parallel"])
@pytest.mark.parametrize("rules", ["couzin", "dewi-kadita"])
def test_headings_stay_unit_vectors_and_positions_in_the_box(rules, regime):
    run = simengine.run(
        "schooling", rules=rules, regime=regime, steps=400, every=400, snapshot_every=20, seed=3, progress=False
    )
    assert np.abs(np.linalg.norm(run.heading.values, axis=2) - 1.0).max() < 1e-12
    box = run.attrs["parameter_box"]
    if rules == "dewi-kadita":
        assert (run.position.values >= 0.0).all()
        assert (run.position.values < box).all()


@SPACES
def test_a_step_moves_every_fish_by_its_speed_along_its_new_heading(settings):
    position, heading = school(8)
    x, v = after(position, heading, 1, settings | {"speed": 2.0, "dt": 0.05}, noise=0.2)
    assert_same_place(x, position + 0.1 * v, settings, 1e-13)


@pytest.mark.parametrize("settings", [OPEN, PEER], ids=["couzin", "dewi-kadita"])
@given(
    blind=st.floats(0.0, 180.0), bearing=st.floats(0.5, 179.5), roll=st.floats(0.0, 6.28),
    distance=st.floats(0.05, 8.9), turn=SEEDS,
)  # fmt: skip
def test_a_fish_turns_only_for_one_that_it_sees(settings, blind, bearing, roll, distance, turn):
    seen = bearing < 180.0 - blind
    assume(abs(bearing + blind - 180.0) > 1e-6)
    radii = {"radius_repulsion": 1.0, "radius_orientation": 1.5, "radius_attraction": 9.0}
    assume(distance < 1.0 or distance > 1.5)
    a, b = np.radians(bearing), roll
    frame = Rotation.random(random_state=np.random.default_rng(turn))
    heading = frame.apply([1.0, 0.0, 0.0])
    offset = frame.apply([np.cos(a), np.sin(a) * np.cos(b), np.sin(a) * np.sin(b)])
    position = np.array([[9.0, 9.0, 9.0], 9.0 + distance * offset])
    _, v = after(position, np.array([heading, heading]), 1, settings | radii | {"blind_angle": blind})
    felt = distance < 1.0 and settings is OPEN
    turned = np.linalg.norm(v[0] - heading) > 1e-6
    assert turned == (seen or felt)
    if turned:
        towards = np.dot(v[0], offset) > np.dot(heading, offset)
        assert towards == (distance > 1.0)
