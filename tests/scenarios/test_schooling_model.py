"""The phases of the schooling scenario one by one, in plain Python, and a whole step against the paper's equations."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import simengine
from simengine.errors import InputError
from simengine.random.streams import Draws
from simengine.scenarios.schooling import Schooling

COUZIN, PEER = {"rules": "couzin"}, {"rules": "dewi-kadita", "regime": "swarm"}
BOTH = pytest.mark.parametrize("rules", [COUZIN, PEER], ids=["couzin", "dewi-kadita"])


class Given:
    """Draws that are what the test says."""

    def __init__(self, **values):
        self.values = values

    def __getattr__(self, kind):
        return lambda name: self.values.get(name, 0.0)


def perceived(offset, my_heading=(1.0, 0.0, 0.0), heading=(0.0, 1.0, 0.0), **parameters):
    """What fish 0 collects from fish 1 at the given offset."""
    p = Schooling(parameters)
    agents = SimpleNamespace(heading=np.array([my_heading, heading], float))
    acc = SimpleNamespace(avoid=np.zeros(3), join=np.zeros(3), too_near=0)
    distance = math.sqrt(sum(x * x for x in offset))
    direction = np.array(offset) / distance if distance > 0 else np.full(3, math.nan)
    look = Schooling.perceive if p.rules == "couzin" else Schooling.perceive_ahead
    look(0, 1, distance, direction, agents, p, acc)
    return acc


def swum(avoid=(0, 0, 0), join=(0, 0, 0), too_near=0, heading=(1.0, 0.0, 0.0), draw=None, **parameters):
    """Heading and displacement of a fish that collected this."""
    p = Schooling(parameters)
    agents = SimpleNamespace(heading=np.array([heading], float))
    new = SimpleNamespace(heading=np.zeros((1, 3)), position=np.zeros((1, 3)))
    acc = SimpleNamespace(avoid=np.array(avoid, float), join=np.array(join, float), too_near=too_near)
    move = Schooling.swim if p.rules == "couzin" else Schooling.swim_blurred
    move(0, agents, new, p, acc, draw or Given())
    return new.heading[0], new.position[0]


def angle(a, b):
    return math.atan2(np.linalg.norm(np.cross(a, b)), np.dot(a, b))


# -- what a fish perceives -----------------------------------------------------------------------------------------


@BOTH
def test_a_fish_in_the_zone_of_repulsion_is_avoided(rules):
    acc = perceived((0.3, 0.4, 0.0), radius_repulsion=1.0, **rules)
    assert acc.too_near == 1
    assert acc.avoid == pytest.approx([-0.6, -0.8, 0.0])
    assert not acc.join.any()


@BOTH
@pytest.mark.parametrize(
    ("distance", "zone"),
    [
        (0.999999, "repulsion"),
        (1.0, "orientation"),
        (4.999999, "orientation"),
        (5.0, "attraction"),
        (8.999999, "attraction"),
    ],
)
def test_a_zone_contains_its_inner_border_and_not_its_outer_one(rules, distance, zone):
    acc = perceived((distance, 0.0, 0.0), radius_repulsion=1.0, radius_orientation=5.0, radius_attraction=9.0, **rules)
    expected = {"repulsion": [0.0, 0.0, 0.0], "orientation": [0.0, 1.0, 0.0], "attraction": [1.0, 0.0, 0.0]}[zone]
    assert acc.join.tolist() == expected
    assert acc.too_near == (zone == "repulsion")


@BOTH
def test_a_fish_at_the_radius_of_attraction_or_beyond_is_not_noticed(rules):
    for distance in (9.0, 9.5):
        acc = perceived((distance, 0, 0), radius_repulsion=1.0, radius_orientation=5.0, radius_attraction=9.0, **rules)
        assert not acc.join.any()
        assert acc.too_near == 0


@BOTH
def test_orientation_is_weighted_against_attraction(rules):
    acc = perceived((2.5, 0.0, 0.0), radius_repulsion=1.0, radius_orientation=5.0, orientation_weight=0.25, **rules)
    assert acc.join.tolist() == [0.0, 0.25, 0.0]


@BOTH
@pytest.mark.parametrize("bearing", [0.0, 90.0, 134.9, 135.1, 180.0])
def test_the_blind_cone_hides_whom_to_join(rules, bearing):
    turned = math.radians(bearing)
    offset = (4.0 * math.cos(turned), 4.0 * math.sin(turned), 0.0)
    acc = perceived(offset, radius_repulsion=1.0, radius_orientation=2.0, blind_angle=45.0, **rules)
    assert acc.join.any() == (bearing < 135.0)


def test_the_blind_cone_hides_whom_to_avoid_only_in_the_rules_of_dewi_kadita():
    behind = (-0.5, 0.01, 0.0)
    assert perceived(behind, radius_repulsion=1.0, **COUZIN).too_near == 1
    assert perceived(behind, radius_repulsion=1.0, **PEER).too_near == 0


@BOTH
def test_without_a_blind_angle_a_fish_straight_behind_is_seen(rules):
    for heading in np.random.default_rng(1).normal(size=(200, 3)):
        heading /= np.linalg.norm(heading)
        acc = perceived(-4.0 * heading, heading, radius_repulsion=1.0, radius_orientation=2.0, blind_angle=0.0, **rules)
        assert acc.join.any()


@BOTH
def test_a_fish_at_the_same_place_is_not_noticed(rules):
    acc = perceived((0.0, 0.0, 0.0), **rules)
    assert acc.too_near == 0
    assert not acc.avoid.any()
    assert not acc.join.any()


# -- how it swims --------------------------------------------------------------------------------------------------


@BOTH
def test_a_lonely_fish_swims_straight_on(rules):
    heading, moved = swum(heading=(0.6, 0.0, 0.8), noise=0.0, speed=2.0, dt=0.5, **rules)
    assert heading == pytest.approx([0.6, 0.0, 0.8], abs=1e-15)
    assert moved == pytest.approx([0.6, 0.0, 0.8], abs=1e-15)


@BOTH
def test_avoiding_comes_before_joining(rules):
    heading, _ = swum(avoid=(0, 0, 1), join=(0, 1, 0), too_near=1, noise=0.0, turning_rate=30.0, **rules)
    assert heading == pytest.approx([0.0, 0.0, 1.0], abs=1e-15)


@BOTH
def test_whom_to_avoid_can_cancel_out_and_then_the_fish_swims_straight_on(rules):
    heading, _ = swum(avoid=(1e-11, 0, 0), join=(0, 1, 0), too_near=2, heading=(0, 0, 1), noise=0.0, **rules)
    assert heading.tolist() == [0.0, 0.0, 1.0]


@BOTH
def test_a_small_turn_is_made_at_once(rules):
    wanted = np.array([math.cos(0.1), math.sin(0.1), 0.0])
    heading, moved = swum(join=5 * wanted, noise=0.0, turning_rate=1.2, dt=0.1, speed=3.0, **rules)
    assert heading == pytest.approx(wanted, abs=1e-15)
    assert moved == pytest.approx(0.3 * wanted, abs=1e-15)


@pytest.mark.parametrize("wanted", [0.3, 1.0, 2.0, 3.1, math.pi])
def test_a_large_turn_is_cut_to_the_turning_rate_exactly(wanted):
    join = (math.cos(wanted), math.sin(wanted), 0.0) if wanted < math.pi else (-1.0, 0.0, 0.0)
    heading, _ = swum(join=join, noise=0.0, turning_rate=1.2, dt=0.1, **COUZIN)
    assert angle((1, 0, 0), heading) == pytest.approx(0.12, abs=1e-14)
    if wanted < math.pi:
        assert heading == pytest.approx([math.cos(0.12), math.sin(0.12), 0.0], abs=1e-14)


@pytest.mark.parametrize("wanted", [0.3, 1.0, 2.0, 3.1])
def test_dewi_kadita_cuts_a_large_turn_by_interpolating_linearly(wanted):
    part = 0.12 / wanted
    expected = (1 - part) * np.array([1.0, 0, 0]) + part * np.array([math.cos(wanted), math.sin(wanted), 0.0])
    heading, _ = swum(join=(math.cos(wanted), math.sin(wanted), 0), noise=0.0, turning_rate=1.2, dt=0.1, **PEER)
    assert heading == pytest.approx(expected / np.linalg.norm(expected), abs=1e-15)


def test_noise_turns_the_wanted_direction_by_the_drawn_angle_about_a_perpendicular_axis():
    wanted = np.array([0.48, 0.6, 0.64])
    seen = []
    for turn in (0.0, 0.25, 0.5, 0.75):
        draw = Given(noise_angle=1.5, noise_axis=turn)
        heading, _ = swum(join=wanted, draw=draw, noise=0.2, turning_rate=31.0, **COUZIN)
        assert angle(wanted, heading) == pytest.approx(0.3, abs=1e-14)
        seen.append(heading - math.cos(0.3) * wanted)
    assert np.dot(seen[0], seen[1]) == pytest.approx(0.0, abs=1e-15)
    assert seen[0] + seen[2] == pytest.approx(np.zeros(3), abs=1e-15)
    assert seen[1] + seen[3] == pytest.approx(np.zeros(3), abs=1e-15)


def test_noise_comes_before_the_turn_with_couzin_and_after_it_with_dewi_kadita():
    draw = Given(noise_angle=10.0, noise_x=0.0, noise_y=10.0, noise_z=0.0)
    limited, _ = swum(draw=draw, noise=0.1, turning_rate=1.2, dt=0.1, **COUZIN)
    assert angle((1, 0, 0), limited) == pytest.approx(0.12, abs=1e-14)
    unlimited, _ = swum(draw=draw, noise=0.1, turning_rate=1.2, dt=0.1, **PEER)
    assert unlimited == pytest.approx(np.array([1.0, 1.0, 0.0]) / math.sqrt(2.0), abs=1e-15)


# -- a whole step --------------------------------------------------------------------------------------------------


def step_of_the_paper(x, v, p):
    """Couzin et al. 2002, equations 1 to 3 and the turn, without error, all fish at once."""
    offset = x[None] - x[:, None]
    if p.box is not None:
        offset -= p.box * np.round(offset / p.box)
    distance = np.linalg.norm(offset, axis=2)
    np.fill_diagonal(distance, np.inf)
    direction = offset / distance[..., None]
    bearing = np.arccos(np.clip(np.einsum("ijk,ik->ij", direction, v), -1, 1))
    visible = bearing < np.pi - np.radians(p.blind_angle)
    repulsion = distance < p.radius_repulsion
    orientation = ~repulsion & visible & (distance < p.radius_orientation)
    attraction = ~repulsion & ~orientation & visible & (distance < p.radius_attraction)
    avoid = -np.einsum("ij,ijk->ik", repulsion, direction)
    join = orientation @ v + np.einsum("ij,ijk->ik", attraction, direction)
    wanted = np.where(repulsion.any(axis=1)[:, None], avoid, join)
    length = np.linalg.norm(wanted, axis=1, keepdims=True)
    wanted = np.where(length > 0, wanted / np.where(length > 0, length, 1), v)
    along = np.einsum("ik,ik->i", v, wanted)[:, None]
    side = wanted - along * v
    sine = np.linalg.norm(side, axis=1, keepdims=True)
    turn = p.turning_rate * p.dt
    cut = np.cos(turn) * v + np.sin(turn) * side / np.where(sine > 0, sine, 1)
    v = np.where(np.arctan2(sine, along) > turn, cut, wanted)
    x = x + p.speed * p.dt * v
    return (x if p.box is None else np.mod(x, p.box)), v


@pytest.mark.parametrize("box", [None, 12.0, 60.0])
@pytest.mark.parametrize(("n", "steps"), [(2, 30), (100, 30), (700, 3)])
def test_steps_without_noise_are_those_of_the_paper(n, steps, box):
    settings = {"n_agents": n, "box": box, "noise": 0.0, "radius_orientation": 3.0, "radius_attraction": 5.0}
    run = simengine.run("schooling", seed=n, steps=steps, every=steps, snapshot_every=1, progress=False, **settings)
    p = Schooling(settings)
    x, v = run.position.values, run.heading.values
    for step in range(steps):
        expected_x, expected_v = step_of_the_paper(x[step], v[step], p)
        assert np.abs(v[step + 1] - expected_v).max() < 1e-12
        moved = x[step + 1] - expected_x
        if box is not None:
            moved -= box * np.round(moved / box)
        assert np.abs(moved).max() < 1e-12


def test_the_noise_of_a_step_is_the_named_draw_times_its_standard_deviation():
    n, seed = 60, 5
    settings = {"n_agents": n, "noise": 0.3, "turning_rate": 31.0, "radius_attraction": 30.0}
    run = simengine.run("schooling", seed=seed, steps=1, snapshot_every=1, progress=False, **settings)
    silent = simengine.run(
        "schooling", seed=seed, steps=1, snapshot_every=1, progress=False, **settings | {"noise": 0.0}
    )
    wanted, blurred = silent.heading.values[1], run.heading.values[1]
    drawn = Draws(seed, "agents", "swim", np.arange(n), 0).normal("noise_angle")
    turned = np.arccos(np.clip(np.einsum("ij,ij->i", wanted, blurred), -1, 1))
    assert turned == pytest.approx(np.abs(0.3 * drawn), abs=1e-7)


# -- parameters ----------------------------------------------------------------------------------------------------


def test_given_parameters_come_before_the_start_state_before_the_regime_before_the_default():
    first = simengine.run(
        "schooling", regime="highly_parallel", n_agents=11, speed=2.0, steps=1, snapshot_every=1, progress=False
    )
    later = simengine.run("schooling", start=first, noise=0.01, steps=0, progress=False).attrs
    assert later["parameter_noise"] == 0.01
    assert (later["parameter_speed"], later["parameter_n_agents"]) == (2.0, 11)
    assert (later["parameter_regime"], later["parameter_radius_orientation"]) == ("highly_parallel", 13.0)
    assert later["parameter_dt"] == 0.1
    arrays = {"position": np.eye(3), "heading": np.eye(3)}
    assert Schooling({"regime": "swarm"}, {"n_agents": 3}).n_agents == 3
    assert simengine.run("schooling", start=arrays, steps=0, progress=False).attrs["parameter_n_agents"] == 3


@pytest.mark.parametrize(
    ("rules", "regime", "expected"),
    [
        ("couzin", "swarm", (100, None, 1.0, 15.0)),
        ("couzin", "torus", (100, None, 3.5, 17.5)),
        ("couzin", "dynamic_parallel", (100, None, 5.0, 19.0)),
        ("couzin", "highly_parallel", (100, None, 13.0, 27.0)),
        ("dewi-kadita", "swarm", (150, 25.0, 3.0, 15.0)),
        ("dewi-kadita", "torus", (200, 25.0, 3.0, 10.0)),
        ("dewi-kadita", "dynamic_parallel", (180, 28.0, 10.0, 18.0)),
        ("dewi-kadita", "highly_parallel", (250, 35.0, 12.0, 20.0)),
    ],
)
def test_a_regime_sets_the_other_parameters(rules, regime, expected):
    p = Schooling({"rules": rules, "regime": regime})
    assert (p.n_agents, p.box, p.radius_orientation, p.radius_attraction) == expected


def test_the_defaults_are_those_of_the_regime_that_is_the_default():
    declared = Schooling.declaration.parameters.parameters
    assert Schooling({}).values == {name: parameter.default for name, parameter in declared.items()}


def test_zones_that_are_not_nested_are_refused():
    with pytest.raises(InputError, match="must not exceed radius_orientation"):
        Schooling({"radius_repulsion": 4.0})
    with pytest.raises(InputError, match="must not exceed radius_attraction"):
        Schooling({"radius_orientation": 20.0})


def test_the_rules_of_dewi_kadita_need_a_box():
    with pytest.raises(InputError, match="needs a box"):
        Schooling({"rules": "dewi-kadita", "box": None})
