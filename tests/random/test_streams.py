import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.errors import InputError
from simengine.random import draws
from simengine.random.streams import AgentDraws, Draws

# The first example of a function includes its compilation.
UNTIMED = settings(deadline=None)

IDS = np.array([4, 0, 17, 2**40, 3])
OTHERS = np.array([1, 2, 17, 5, 2**50])
NAMING = (7, "agents", "move")


def many(ids=IDS, step=12, event=3):
    return Draws(*NAMING, ids, step, event)


def one(id, step=12, event=3):
    return AgentDraws(*NAMING, id, step, event)


def test_importing_streams_does_not_import_the_compiler():
    script = "import sys, simengine.random.streams; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("place", range(IDS.size))
def test_a_draw_of_many_of_one_and_of_the_compiled_step_are_the_same(place):
    draw, agent, id, other = many(), one(int(IDS[place])), IDS[place], int(OTHERS[place])
    key = draw.key("x")
    weights = np.array([1.0, 0.0, 2.5, 0.5])
    for together, single, compiled in [
        (draw.bits("x"), agent.bits("x"), draws.bits(key, id)),
        (draw.uniform("x"), agent.uniform("x"), draws.uniform(key, id)),
        (draw.uniform("x", -1, 3), agent.uniform("x", -1, 3), draws.uniform_between(key, id, -1.0, 3.0)),
        (draw.normal("x", 1, 2), agent.normal("x", 1, 2), draws.normal(key, id, 1.0, 2.0)),
        (draw.integer("x", -5, 90), agent.integer("x", -5, 90), draws.integer(key, id, -5, 90)),
        (draw.choice("x", 9), agent.choice("x", 9), draws.integer(key, id, 0, 9)),
        (
            draw.choice("x", 4, weights),
            agent.choice("x", 4, weights),
            draws.weighted_index(key, id, weights),
        ),
        (
            draw.uniform("x", to=OTHERS),
            agent.uniform("x", to=other),
            draws.uniform_pair(key, id, other),
        ),
        (
            draw.normal("x", between=OTHERS),
            agent.normal("x", between=other),
            draws.normal_symmetric(key, id, other, 0.0, 1.0),
        ),
        (
            draw.integer("x", 0, 7, between=OTHERS),
            agent.integer("x", 0, 7, between=other),
            draws.integer_symmetric(key, id, other, 0, 7),
        ),
    ]:
        assert together.shape == IDS.shape
        assert together[place] == single == compiled
        assert type(single) in (int, float)
    for dimensions, compiled in ((2, draws.unit_vector_2), (3, draws.unit_vector_3)):
        expected = compiled(key, id)
        assert agent.unit_vector("x", dimensions) == expected
        assert tuple(draw.unit_vector("x", dimensions)[place]) == expected


def test_component_c_comes_from_block_c():
    key = many().key("x")
    u, z = many().uniform("x", components=3), many().normal("x", 1.0, 2.0, components=3)
    n = many().integer("x", 0, 1000, components=3)
    assert u.shape == z.shape == n.shape == (5, 3)
    for place, id in enumerate(IDS):
        for component in range(3):
            assert u[place, component] == draws.uniform_block(key, id, component)
            assert z[place, component] == draws.normal_block(key, id, 1.0, 2.0, component)
            assert n[place, component] == draws.integer_block(key, id, 0, 1000, component)


@UNTIMED
@given(st.lists(st.integers(0, 2**63 - 1), unique=True, max_size=30), st.randoms(use_true_random=False))
def test_an_agents_draw_depends_on_no_other_agent_and_on_no_order(ids, order):
    draw = dict(zip(ids, many(np.array(ids, dtype=np.int64)).normal("x"), strict=True))
    some = order.sample(ids, k=len(ids) // 2)
    again = many(np.array(some, dtype=np.int64)).normal("x")
    assert [draw[id] for id in some] == again.tolist()


@UNTIMED
@given(st.lists(st.integers(0, 2**63 - 1), unique=True, max_size=30), st.randoms(use_true_random=False))
def test_a_permutation_holds_every_id_once_whatever_order_they_came_in(ids, order):
    shuffled = order.sample(ids, k=len(ids))
    one_way = many(np.array(ids, dtype=np.int64)).permutation("x")
    other_way = many(np.array(shuffled, dtype=np.int64)).permutation("x")
    assert one_way.tolist() == other_way.tolist()
    assert sorted(one_way.tolist()) == sorted(ids)


def test_every_part_of_a_draws_name_changes_it():
    base = ("seed", 7), ("population", "agents"), ("phase", "move"), ("step", 2), ("event", 0)
    changed = {"seed": 8, "population": "groups", "phase": "rest", "step": 3, "event": 1}
    values = {Draws(ids=[5], **dict(base)).uniform("x")[0], Draws(ids=[5], **dict(base)).uniform("y")[0]}
    for part, value in changed.items():
        values.add(Draws(ids=[5], **{**dict(base), part: value}).uniform("x")[0])
    assert len(values) == 7


def test_asking_twice_gives_the_same_numbers_twice():
    draw = many()
    first = draw.normal("x")
    draw.uniform("y")
    assert np.array_equal(draw.normal("x"), first)


def test_a_choice_among_options_gives_the_options_themselves():
    options = ["left", "stay", "right"]
    names = many().choice("x", options)
    assert names.tolist() == [options[index] for index in many().choice("x", 3)]
    assert one(4).choice("x", options) == names[0]


def test_weights_may_differ_from_agent_to_agent():
    weights = np.eye(5)[[3, 1, 4, 0, 2]]
    assert many().choice("x", 5, weights).tolist() == [3, 1, 4, 0, 2]


def test_weighted_choices_come_in_proportion_to_their_weights():
    # Chi-square, 3 degrees of freedom, false alarms at 1e-6.
    weights = np.array([1.0, 0.0, 2.0, 4.0, 1.0])
    chosen = many(np.arange(40_000)).choice("x", 5, weights)
    counts, expected = np.bincount(chosen, minlength=5), 40_000 * weights / weights.sum()
    kept = weights > 0
    assert counts[1] == 0
    assert (((counts - expected)[kept] ** 2) / expected[kept]).sum() < 30.7


def test_no_agents_draw_nothing():
    none = many(np.array([], dtype=np.int64))
    assert none.uniform("x").shape == (0,)
    assert none.permutation("x").shape == (0,)
    assert none.unit_vector("x", 3).shape == (0, 3)
    assert none.choice("x", 3, [1, 1, 1]).shape == (0,)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: many(np.array([-1])),
        lambda: many(np.array([1.5])),
        lambda: many(np.array([[1]])),
        lambda: many(step=-1),
        lambda: many().integer("x", 3, 3),
        lambda: many().integer("x", 0.0, 3.5),
        lambda: many().unit_vector("x", 4),
        lambda: many().choice("x", 0),
        lambda: many().choice("x", 3, [1.0, 2.0]),
        lambda: many().choice("x", 2, [1.0, -2.0]),
        lambda: many().choice("x", 2, [0.0, 0.0]),
        lambda: many().choice("x", 2, [np.nan, 1.0]),
        lambda: many().uniform("x", to=OTHERS, between=OTHERS),
        lambda: many().uniform("x", components=2, to=OTHERS),
        lambda: many().uniform("x", to=-OTHERS),
    ],
)
def test_impossible_requests_are_named_errors(mistake):
    with pytest.raises(InputError):
        mistake()


def test_seeds_for_other_generators_are_of_32_bits_and_go_by_seed_phase_name_and_step() -> None:
    def seed_for(seed: int = 1, phase: str = "graph", name: str = "ring", step: int = 0, agents: int = 3) -> int:
        return Draws(seed, "agents", phase, np.arange(agents), step).seed_for(name)

    found = [seed_for(), seed_for(seed=2), seed_for(phase="start"), seed_for(name="star"), seed_for(step=1)]
    assert len(set(found)) == len(found)
    assert all(0 <= number < 2**32 for number in found)
    assert seed_for(agents=0) == found[0]
