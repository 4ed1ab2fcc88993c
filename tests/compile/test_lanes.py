"""Gathers on eight lanes give what the author's function gives, however it branches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import assert_engine_agrees

from simengine import Scenario, Space, count, field, gather, param, population, total, update, vector
from simengine.runs.engine import Engine

HALF = 0.5
STEPS = 3
WIDE = True


def softened(x: float) -> float:
    return x / (1.0 + abs(x))


class Branches(Scenario):
    """One gather for each way in which a function may branch."""

    n_agents: int = param(30, low=0)
    inner: float = param(0.15, above=0)
    bold: bool = param(True)
    level: int = param(2)

    agents = population(
        size="n_agents",
        place=vector(2),
        mood=field(),
        kind=field(int),
        awake=field(bool),
        a=field(),
        b=field(),
        c=field(),
        d=field(),
        e=field(),
        f=field(),
        g=field(),
        h=field(),
        i=field(),
        j=field(),
        k=field(),
        m=field(),
        o=field(),
        q=field(),
        r=field(),
        s=field(),
        t=field(),
        u=field(),
        v=field(),
        w=field(),
        x=field(),
        na=field(int),
        nb=field(int),
        nc=field(int),
        nd=field(int),
    )
    near = Space(agents.place, reach=0.4, box=1.0)

    def start(self, agents: Any, draw: Any) -> None:
        agents.place[:] = draw.uniform("place", components=2)
        agents.mood[:] = np.round(draw.normal("mood"), 1)
        agents.kind[:] = draw.integer("kind", 0, 4)
        agents.awake[:] = draw.uniform("awake") < 0.5

    @gather(near, a=total(), na=count())
    def chain(me, other, distance, agents, p, acc):
        if distance < p.inner:
            acc.a += 1.5
        elif distance < 2 * p.inner and agents.mood[other] > 0:
            acc.a -= agents.mood[other]
            acc.na += 1
        elif agents.mood[other] <= 0:
            acc.a += 0.25
        else:
            acc.na -= 2

    @gather(near, b=total())
    def early_return(me, other, distance, agents, p, acc):
        if distance > 2 * p.inner:
            return
        acc.b += 1.0
        if agents.mood[other] > agents.mood[me]:
            acc.b += distance
            return
        acc.b -= 3.0 * distance

    @gather(near, c=total())
    def nested(me, other, distance, agents, p, acc):
        if agents.mood[other] > 0:
            if distance < p.inner:
                acc.c += 1.0
            else:
                if agents.mood[me] < 0:
                    acc.c += 10.0
                acc.c += 100.0
        else:
            if distance < p.inner:
                return
            acc.c += 1000.0

    @gather(near, d=total())
    def one_branch_only(me, other, distance, agents, p, acc):
        strength = 1
        if distance < p.inner:
            strength = agents.mood[other] * 2.0
            extra = 7.0
            strength += extra
        if distance < p.inner:
            acc.d += extra
        acc.d += strength

    @gather(near, e=total())
    def two_branches(me, other, distance, agents, p, acc):
        if distance < p.inner:
            weight = 1.0
        elif distance < 1.5 * p.inner:
            weight = 0.5
        else:
            weight = agents.mood[me]
        weight *= 2
        acc.e += weight

    @gather(near, f=total())
    def chained(me, other, distance, agents, p, acc):
        if p.inner < distance <= 2 * p.inner != 5:
            acc.f += 1.0
        if not (0 < agents.mood[other] < 1):
            acc.f += 10.0

    @gather(near, g=total())
    def mixed(me, other, distance, agents, p, acc):
        close = distance < p.inner
        happy = agents.mood[other] > 0
        if (close and not happy) or (happy and not close) or not (close or happy or agents.mood[me] > 0):
            acc.g += 1.0
        both = close and happy
        neither = not close and not happy
        if both or neither:
            acc.g += 10.0

    @gather(near, h=total())
    def expressions(me, other, distance, agents, p, acc):
        acc.h += agents.mood[other] if distance < p.inner else (2.0 if agents.mood[me] > 0 else -1.0)
        acc.h += min(distance, p.inner) - max(agents.mood[other], agents.mood[me]) + abs(agents.mood[other])

    @gather(near, i=total())
    def powers(me, other, distance, offset, agents, p, acc):
        acc.i += offset[0] ** 2 + math.sqrt(distance) - np.sqrt(distance) + distance**3

    @gather(near, j=total())
    def division(me, other, distance, agents, p, acc):
        acc.j += 1 / 2 + 3 / p.level + p.level * agents.mood[other] + 7 // 2
        if agents.mood[other] != 0:
            acc.j += 1.0 / agents.mood[other]

    @gather(near, k=total(), nb=count())
    def truth_of_numbers(me, other, distance, agents, p, acc):
        if agents.kind[me]:
            acc.k += distance
        if p.level and not agents.kind[me]:
            acc.nb += 1
        if p.bold:
            acc.k += 1.0
        if agents.awake[me] and distance < p.inner:
            acc.k += 2.0
        if not agents.mood[other]:
            acc.k += 4.0

    @gather(near, m=total(), nc=count())
    def truth_as_number(me, other, distance, agents, p, acc):
        acc.nc += distance < p.inner
        acc.m += (distance < p.inner) * 2.0 + (agents.mood[other] > 0)

    @gather(near, o=total())
    def swapped(me, other, distance, agents, p, acc):
        low, high = distance, agents.mood[other]
        if low > high:
            low, high = high, low
        acc.o += high - 2 * low

    @gather(near, q=total())
    def reused(me, other, distance, agents, p, acc):
        x = distance
        if x < p.inner:
            x = x + 1
            y = x
            if agents.mood[other] > 0:
                x = y * 2
            y = x
            acc.q += y
        else:
            x -= 1
            y = 3.0
            acc.q += x
        x = x * 2
        acc.q += x + y

    @gather(near, r=total())
    def constants(me, other, distance, agents, p, acc):
        if WIDE:
            acc.r += HALF * distance
        for number in range(STEPS):
            acc.r += number * agents.mood[other]
            if number > 1:
                acc.r += 1
        if p.level == 2:
            acc.r += 1.0

    @gather(near, s=total())
    def helper(me, other, distance, agents, p, acc):
        acc.s += softened(agents.mood[other]) if distance < p.inner else 0.0

    @gather(near, t=total(), u=total())
    def one_total_feeds_another(me, other, distance, agents, p, acc):
        if distance < p.inner:
            acc.t += 1.0
            acc.u += distance
        acc.u -= 2.0
        acc.t -= agents.mood[other]

    @gather(near, nd=total(dtype=int))
    def whole_numbers(me, other, distance, agents, p, acc):
        acc.nd += agents.kind[me] * 1_000_000_007_000_000_001
        if distance < p.inner:
            acc.nd -= p.level

    @gather(near, v=total())
    def shadowed_names(me, other, distance, agents, p, acc):
        test_1, when_1, live, part_0_0, p_inner, acc_v_0 = distance, 2.0, 3.0, 4.0, p.inner * 2.0, 5.0
        if test_1 < p.inner:
            acc.v += when_1 + live
        if distance < p_inner:
            acc.v += part_0_0 * acc_v_0

    @gather(near, w=total())
    def masks_in_branches(me, other, distance, agents, p, acc):
        chosen = agents.mood[other] > 0
        if distance < p.inner:
            chosen = agents.mood[other] < 0
        if chosen:
            acc.w += 1.0
        same = (distance < p.inner) == (agents.mood[other] > 0)
        if same:
            acc.w += 10.0
        flag = True
        if distance < p.inner:
            flag = False
        if flag:
            acc.w += 100.0

    @gather(near, x=total())
    def returns_in_both(me, other, distance, agents, p, acc):
        if distance < p.inner:
            if agents.mood[other] > 0:
                return
            acc.x += 1.0
        else:
            acc.x += 2.0
            return
        acc.x += 4.0

    @update(
        agents,
        after=(
            chain,
            early_return,
            nested,
            one_branch_only,
            two_branches,
            chained,
            mixed,
            expressions,
            powers,
            division,
            truth_of_numbers,
            truth_as_number,
            swapped,
            reused,
            constants,
            helper,
            one_total_feeds_another,
            whole_numbers,
            shadowed_names,
            masks_in_branches,
            returns_in_both,
        ),
    )
    def note(me, agents, new, acc):
        new.a[me], new.b[me], new.c[me], new.d[me], new.e[me], new.f[me] = acc.a, acc.b, acc.c, acc.d, acc.e, acc.f
        new.g[me], new.h[me], new.i[me], new.j[me], new.k[me], new.m[me] = acc.g, acc.h, acc.i, acc.j, acc.k, acc.m
        new.o[me], new.q[me], new.r[me], new.s[me], new.t[me], new.u[me] = acc.o, acc.q, acc.r, acc.s, acc.t, acc.u
        new.v[me], new.w[me], new.x[me] = acc.v, acc.w, acc.x
        new.na[me], new.nb[me], new.nc[me], new.nd[me] = acc.na, acc.nb, acc.nc, acc.nd


CLOSE = dict.fromkeys("abcdefghijkmoqrstuvwx", 1e-12)


@given(n=st.integers(0, 40), seed=st.integers(0, 10**6), level=st.integers(0, 3), bold=st.booleans())
def test_a_branching_gather_sums_what_its_function_sums(n: int, seed: int, level: int, bold: bool) -> None:
    if level == 0:
        level = -1
    assert_engine_agrees(Branches, seed, 1, close=CLOSE, n_agents=n, level=level, bold=bold, inner=0.17)


@pytest.mark.parametrize(
    "name",
    [
        "chain",
        "early_return",
        "one_branch_only",
        "two_branches",
        "chained",
        "mixed",
        "expressions",
        "swapped",
        "reused",
        "one_total_feeds_another",
        "shadowed_names",
        "returns_in_both",
    ],
)
def test_plain_arithmetic_and_branches_run_on_lanes(name: str) -> None:
    engine = Engine(Branches({}), 0)
    assert f"gather_{name}_lanes(live" in engine.kernel.plan.source
