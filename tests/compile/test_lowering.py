"""What an author may write in a phase, and how a mistake is explained."""

from __future__ import annotations

import math
import random
from math import inf, sqrt
from typing import Any, Literal

import numpy as np
import pytest
from numpy import float64
from reference import assert_engine_agrees

from simengine import (
    Everyone,
    Scenario,
    ScenarioError,
    count,
    field,
    gather,
    param,
    population,
    running,
    total,
    update,
    vector,
)
from simengine.arrays.directions import normalised
from simengine.runs.engine import Engine

COUNT = 3
WEIGHTS = (0.5, 2, inf, float64(0.25))
LIMIT = np.float64(0.75)
NEGATIVE = -inf
TABLE = [1.0, 2.0]


def squared(x: float, factor: float = 2.0) -> float:
    """Square, twice."""
    return factor * halved(x) ** 2


def halved(x: float, by: float = LIMIT) -> float:
    return x / 2 if x > by else x


def make_shift(amount: float) -> Any:
    def shifted(x: float) -> float:
        return x + amount

    return shifted


plus_one = make_shift(1.0)


class Grammar(Scenario):
    """One agent at a time, with everything that a phase may contain."""

    n_agents: int = param(7, low=0)
    mode: Literal["slow", "fast"] = param("fast")
    extra: float | None = param(None)
    rounds: int = param(2, low=0, high=5)

    agents = population(
        size="n_agents",
        x=field(),
        y=field(),
        z=field(),
        n=field(int),
        pair=vector(2),
        unknown=field(int, default=-1),
        flag=field(bool),
    )
    all_others = Everyone(agents)

    def derived(self) -> Any:
        return {"twice": 2.0 * self.rounds}

    def start(self, agents: Any, draw: Any) -> None:
        agents.x[:] = draw.normal("x")
        agents.n[:] = draw.integer("n", -5, 6)

    @gather(all_others, sums=total(COUNT), c=count(), best=running(NEGATIVE), any_positive=running(False))
    def look(me, other, agents, p, acc):
        """Loops over constants, of the file and written down."""
        for axis in range(COUNT):
            for power in range(1, 3):
                acc.sums[axis] += (axis + 1) * agents.x[other] / power
        if agents.x[other] > acc.best:
            acc.best = agents.x[other]
        if agents.x[other] > 0 and not acc.any_positive:
            acc.any_positive = True
        acc.c += 1

    @update(agents, after=look)
    def everything(me, agents, new, p, acc, draw, step):
        a, b = agents.x[me], agents.pair[me, 0]
        if p.mode == "slow" and p.extra is not None:
            a = a * p.extra
        elif p.mode in ("fast", "furious"):
            a = a * WEIGHTS[0] + WEIGHTS[1] * min(WEIGHTS[2], WEIGHTS[3])
        if p.extra is None or p.extra < 0:
            b += 1.0
        total = 0.0
        for number in range(p.rounds):
            if number == 3:
                break
            total += number * a
        while total > 10.0:
            total *= 0.5
        new.y[me] = total + squared(a) + squared(b, factor=0.5) + plus_one(sqrt(abs(a))) + p.twice
        new.z[me] = acc.sums[0] + acc.sums[1] * acc.sums[2] + max(acc.best, -1.0) + (1.0 if acc.any_positive else 0.0)
        x, y, z = normalised(a, b, 1.0, 1.0, 0.0, 0.0)
        new.pair[me, 0], new.pair[me, 1] = x * LIMIT, y - z
        new.n[me] += agents.n[me] // 2 + agents.n[me] % 3 + int(a) + step
        new.unknown[me] = agents.unknown[me] - 1
        new.flag[me] = draw.chance("coin", 0.5) or agents.flag[me]
        if draw.integer("die", 1, 7) > 3 and draw.choice("letter", 4) != 0:
            new.n[me] += draw.choice("number", COUNT)
        ux, uy = draw.unit_vector("turn", 2)
        p_rounds, id, agents_x_0_at_me, new_x_0 = 1.0, 2, 3.0, 4.0
        new.x[me] = (
            0.9 * agents.x[me] + 0.1 * ux - 0.1 * uy + 1e-3 * (p_rounds + id + agents_x_0_at_me + new_x_0 + p.rounds)
        )


@pytest.mark.parametrize("mode", ["slow", "fast"])
@pytest.mark.parametrize("extra", [None, 0.5, -2.0])
def test_all_of_python_that_a_phase_may_use_means_what_it_means(mode: str, extra: float | None) -> None:
    for seed, rounds in ((0, 0), (1, 2), (2**64 - 1, 5)):
        assert_engine_agrees(Grammar, seed, 3, close={"y": 1e-15}, mode=mode, extra=extra, rounds=rounds)


def test_an_integer_field_may_hold_minus_one_without_naming_an_agent() -> None:
    engine = Engine(Grammar({}), 0)
    engine.advance(3)
    assert (engine.state["agents"].values("unknown") == -4).all()


def phases(collect: Any = None, act: Any = None, **accumulators: Any) -> type[Scenario]:
    class Wrong(Scenario):
        bound: float = param(1.0)
        agents = population(size=3, opinion=field(), place=vector(2))
        others = population(size=3, wealth=field())
        all_others = Everyone(agents)
        gathered = gather(all_others, **(accumulators or {"seen": total()}))(collect or harmless)
        updated = update(agents, after=gathered)(act or nothing)

    return Wrong


def harmless(me, other, agents, acc):
    acc.seen += agents.opinion[other]


def nothing(me, agents, new, acc):
    new.opinion[me] = acc.seen


def misspelt_field(me, other, agents, acc):
    acc.seen += agents.opinoin[other]


def misspelt_accumulator(me, other, agents, acc):
    acc.sene += agents.opinion[other]


def misspelt_parameter(me, other, agents, acc, p):
    acc.seen += p.bonud


def misspelt_draw(me, other, acc, draw):
    acc.seen += draw.unifrom("x")


def nameless_draw(me, other, acc, draw):
    acc.seen += draw.uniform(0.0, 1.0)


def named_by_a_variable(me, other, acc, draw):
    name = "x"
    acc.seen += draw.uniform(name)


def overfull_draw(me, other, acc, draw):
    acc.seen += draw.uniform("x", 0.0, 1.0, 2.0)


def unknown_draw_option(me, other, acc, draw):
    acc.seen += draw.normal("x", std=1.0)


def partner_of_a_choice(me, other, acc, draw):
    acc.seen += draw.choice("x", 3, to=other)


def write_to_old_values(me, other, agents, acc):
    agents.opinion[me] += 1.0


def assign_a_total(me, other, agents, acc):
    acc.seen = agents.opinion[other]


def multiply_a_total(me, other, agents, acc):
    acc.seen *= 2.0


def component_of_a_scalar(me, other, agents, acc):
    acc.seen += agents.opinion[other, 0]


def no_component_of_a_vector(me, other, agents, acc):
    acc.seen += agents.place[other]


def component_too_high(me, other, agents, acc):
    acc.seen += agents.place[other, 2]


def component_by_variable(me, other, agents, acc):
    axis = int(agents.opinion[me])
    acc.seen += agents.place[other, axis]


def component_of_accumulator(me, other, agents, acc):
    acc.seen[0] += 1.0


def unknown_name(me, other, agents, acc):
    acc.seen += whatever  # noqa: F821


def forbidden_module(me, other, agents, acc):
    acc.seen += random.random()


def forbidden_builtin(me, other, agents, acc):
    print(other)
    acc.seen += 1.0


def forbidden_list(me, other, agents, acc):
    acc.seen += TABLE[0]


def field_without_index(me, other, agents, acc):
    acc.seen += agents.opinion


def me_of_another(me, other, agents, others, acc):
    acc.seen += others.wealth[me]


def assign_an_argument(me, other, agents, acc):
    me = other
    acc.seen += agents.opinion[me]


def returned_value(me, other, agents, acc):
    return agents.opinion[other]


def nested_functions(me, other, agents, acc):
    acc.seen += (lambda x: x)(agents.opinion[other])


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        (misspelt_field, 1, "did you mean 'opinion'"),
        (misspelt_accumulator, 1, "did you mean 'seen'"),
        (misspelt_parameter, 1, "did you mean 'bound'"),
        (misspelt_draw, 1, "did you mean 'uniform'"),
        (nameless_draw, 1, "name the draw"),
        (named_by_a_variable, 2, "name the draw"),
        (overfull_draw, 1, "low, high"),
        (unknown_draw_option, 1, "no argument 'std'"),
        (partner_of_a_choice, 1, "takes no partner"),
        (write_to_old_values, 1, "old values"),
        (assign_a_total, 1, r"add to it with \+="),
        (multiply_a_total, 1, r"\+= or -="),
        (component_of_a_scalar, 1, "no components"),
        (no_component_of_a_vector, 1, "2 components"),
        (component_too_high, 1, "0 to 1"),
        (component_by_variable, 2, "component index"),
        (component_of_accumulator, 1, "no components"),
        (unknown_name, 0, "unknown name 'whatever'"),
        (forbidden_module, 0, "module 'random'"),
        (forbidden_builtin, 0, r"print\(\)"),
        (forbidden_list, 0, "'TABLE' is a list"),
        (field_without_index, 1, r"agents.opinion\[me\]"),
        (me_of_another, 1, "me is one of agents"),
        (assign_an_argument, 1, "cannot be assigned"),
        (returned_value, 1, "returns nothing"),
    ],
)
def test_a_mistake_in_a_phase_is_explained_with_its_file_and_line(body: Any, line: int, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as raised:
        Engine(phases(body)({}), 0).advance(1)
    assert f"test_lowering.py:{body.__code__.co_firstlineno + line}:" in str(raised.value)
    assert "\n" not in str(raised.value)


def writes_acc(me, agents, new, acc):
    acc.seen += 1.0


def misspelt_new(me, agents, new, acc):
    new.opinoin[me] = 1.0


def writes_another(me, agents, new, acc):
    new.opinion[0] = 1.0


def kills_the_immortal(me, agents, new, acc):
    new.alive[me] = False


def text_in_a_field(me, agents, new, acc):
    new.opinion[me] = math.sqrt("four")


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        (writes_acc, 1, "only a gather writes"),
        (misspelt_new, 0, "did you mean 'opinion'"),
        (writes_another, 1, r"only new.opinion\[me\]"),
        (kills_the_immortal, 1, "capacity="),
        (text_in_a_field, 1, "text_in_a_field"),
    ],
)
def test_a_mistake_in_an_update_is_explained_with_its_file_and_line(body: Any, line: int, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as raised:
        Engine(phases(act=body)({}), 0).advance(1)
    found = str(raised.value)
    assert any(
        f"test_lowering.py:{body.__code__.co_firstlineno + at}:" in found for at in {line, 0 if line == 0 else line}
    ), found
    assert "\n" not in found


def test_an_argument_that_no_phase_has_is_refused_when_the_class_is_defined() -> None:
    def act(me, agent, new):
        new.opinion[me] = 1.0

    with pytest.raises(ScenarioError, match="did you mean 'agents'"):
        phases(act=act)


def test_offset_outside_a_space_is_refused() -> None:
    def look(me, other, offset, acc):
        acc.seen += offset[0]

    with pytest.raises(ScenarioError, match="gives no offset"):
        Engine(phases(look)({}), 0)


def test_two_phases_of_one_name_are_refused() -> None:
    def act(me, agents, new):
        new.opinion[me] += 1.0

    with pytest.raises(ScenarioError, match="act"):

        class Twice(Scenario):
            agents = population(size=3, opinion=field())
            first = update(agents)(act)
            second = update(agents)(act)


def test_helpers_that_mean_different_things_by_one_name_are_refused() -> None:
    from reference_helpers import offset_by_scale

    SCALE = 5.0  # noqa: N806

    def act(me, agents, new):
        new.opinion[me] = SCALE + offset_by_scale(1.0)

    with pytest.raises(ScenarioError, match="'SCALE' means different things"):
        Engine(phases(act=act)({}), 0)
