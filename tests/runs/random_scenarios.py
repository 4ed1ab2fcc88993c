"""Random scenarios, as text: any relation, any phase, any order. Each number names one.

Run as a program it steps each in one engine and in several shards and compares all states: ``random_scenarios.py 0 50
any`` those from 0 to 49, ``0 50 space`` others whose agents only look round in a box, ``shipped`` the shipped ones.
Compiled code is left out where ``NUMBA_DISABLE_JIT`` is set: a scenario then takes a fraction of a second.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np

HEADER = """
import math

import networkx
import numpy as np
from simengine import *
from simengine.relations.network import Network


class Mixed(Scenario):
    n: int = param(9, low=0)
    n_clubs: int = param(3, low=1)
    turns: int = param(7, low=0)
    box: float = param(1.0, above=0)
    reach: float = param(0.35, above=0)
    shift: int = param(1)

    clubs = population(size="n_clubs", s=field(int), y=field(), {club_inboxes})
    people = population(
        size="n", {capacity} a=field(int), b=field(int), x=field(), w=field(), place=vector({axes}),
        speed=vector({axes}), club=reference(clubs), friend=reference(), choice=field(int),
    )
    guests = population(size=5, a=field(int), place=vector({axes}), host=reference(people))
    relations = None

    def start(self, clubs, people, guests, draw):
        d = draw.of(people)
        n = len(people)
        people.a[:] = d.integer("a", 0, 1000)
        people.b[:] = d.integer("b", 0, 1000)
        people.x[:] = d.uniform("x")
        people.w[:] = np.where(d.uniform("heavy") < 0.3, 0.0, d.uniform("w"))
        people.place[:] = d.uniform("place", components={axes}) * {spread}
        people.speed[:] = d.normal("speed", components={axes})
        people.club[:] = d.integer("club", 0, self.n_clubs + 1) - 1
        people.friend[:] = d.integer("friend", 0, n + 1) - 1 if n else 0
        g = draw.of(guests)
        guests.a[:] = g.integer("a", 0, 1000)
        guests.place[:] = g.uniform("place", components={axes})
        guests.host[:] = g.integer("host", 0, n + 1) - 1 if n else 0
        clubs.s[:] = draw.of(clubs).integer("s", 0, 1000)
"""
NETWORK = """
    def graph(self, people, draw):
        edges = 2 * self.n if self.n > 4 else 0
        return networkx.gnm_random_graph(self.n, edges, seed=draw.of(people).seed_for("graph"))
"""
IN_SPACE = """
from simengine import *


class Mixed(Scenario):
    n: int = param(30, low=0)
    n_guests: int = param(7, low=0)
    box: float = param(1.0, above=0)
    reach: float = param(0.1, above=0)
    far: float = param(0.24, above=0)
    shift: int = param(1)
    clumped: float = param(0.5)

    people = population(
        size="n", a=field(int), b=field(int), x=field(), flag=field(bool), place=vector({axes}),
        speed=vector({axes}),
    )
    guests = population(size="n_guests", a=field(int), place=vector({axes}))
    relations = None

    def start(self, people, guests, draw):
        d = draw.of(people)
        people.a[:] = d.integer("a", 0, 1000)
        people.b[:] = d.integer("b", 0, 1000)
        people.x[:] = d.uniform("x")
        people.place[:] = self.box * d.uniform("place", components={axes}) ** self.clumped
        people.speed[:] = 0.02 * self.box * d.normal("speed", components={axes})
        g = draw.of(guests)
        guests.a[:] = g.integer("a", 0, 1000)
        guests.place[:] = self.box * g.uniform("place", components={axes})
"""
INBOXES = {
    "summed()": "1.5 * {m}", "summed(int)": "{m}", "counted()": None, "lowest()": "0.5 * {m}", "highest(int)": "{m}",
    "lowest_id()": None, "drawn()": None, "lowest(int)": "{m} - 5",
}  # fmt: skip
HASH = 1_000_003
OWNERS = {"people": ("a", "b"), "clubs": ("s",), "guests": ("a",)}


class Writer:
    """Writes one scenario."""

    def __init__(self, number: int) -> None:
        self.random = random.Random(number)
        r = self.random
        self.dynamic, self.network = r.random() < 0.4, r.random() < 0.4
        self.network = self.network and not self.dynamic
        self.axes = r.choice([2, 3])
        self.boundary = r.choice(["periodic", "reflecting", "open"])
        self.policies = False
        self.relations = {
            "everyone": ("people", "people", "Everyone(people)"),
            "one": ("people", "people", "Random(people, k=1)"),
            "three": ("people", "people", "Random(people, k=3)"),
            "weighted": ("people", "people", "Random(people, k=2, weight=people.w)"),
            "mates": ("people", "people", "Mates(people.club)"),
            "mate": ("people", "people", "Random(people, k=2, within=mates)"),
            "near": (
                "people", "people",
                f"Space(people.place, reach='reach', box='box', boundary={self.boundary!r}"
                + (", velocity=people.speed)" if r.random() < 0.3 else ")"),
            ),
            "neighbour": ("people", "people", "Random(people, k=1, within=near)"),
            "pairs": ("people", "people", "Matching(people)"),
            "follows": ("people", "people", "Chosen(people.friend)"),
            "followers": ("people", "people", "ChosenBy(people.friend)"),
            "home": ("people", "clubs", "Owner(people.club)"),
            "household": ("clubs", "people", "Members(people.club)"),
            "elsewhere": ("people", "clubs", "Random(people, k=1, target=clubs)"),
            "by_guests": ("guests", "people", f"Space(guests.place, sees=people.place, reach='reach', box='box', "
                          f"boundary={self.boundary!r})"),
            "hosted": ("guests", "people", "Chosen(guests.host)"),
        }  # fmt: skip
        if self.network:
            self.relations["ties"] = ("people", "people", "Network(people, graph='graph', strength=field(default=1.0))")
            self.relations["tied"] = ("people", "people", "Random(people, k=1, within=ties)")
        self.favourites = r.sample(list(self.relations), 5)
        self.lines: list[str] = []
        self.gathers: list[tuple[str, str]] = []
        self.club_inboxes = ""
        self.count = 0

    def text(self) -> str:
        """The whole file."""
        for _ in range(self.random.randint(3, 11)):
            self.phase()
        while not any("@update" in line for line in self.lines):
            self.update("people")
        header = HEADER.format(
            club_inboxes=self.club_inboxes, capacity="capacity=40," if self.dynamic else "", axes=self.axes,
            spread=1.0 if self.boundary != "open" else 1.5,
        )  # fmt: skip
        relations = [f"    {name} = {made}" for name, (_, _, made) in self.relations.items()]
        body = "\n".join(self.lines)
        header = header.replace("    relations = None", "\n".join(relations))
        return header + (NETWORK if self.network else "") + "\n" + body + "\n" + self.stop()

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"

    def add(self, text: str) -> None:
        self.lines += [("    " + line) if line else "" for line in text.splitlines()]

    def own(self, population: str) -> str:
        return f"{population}.{self.random.choice(OWNERS[population])}[me]"

    def phase(self) -> None:
        kinds = ["gather"] * 5 + ["update"] * 4 + ["in_turn"] + ["move"] * 2 + ["send", "decide"]
        kinds += ["birth", "death"] if self.dynamic else []
        kinds += ["rewire"] if self.network else []
        getattr(self, self.random.choice(kinds))()

    def gather(self) -> None:
        relation = self.random.choice(self.favourites)
        source, target, _ = self.relations[relation]
        name = self.name("gather")
        seen = self.random.choice(OWNERS[target])
        mine = f" + {self.own(source)}" if self.random.random() < 0.3 else ""
        extra = f", t_{name}=total(), c_{name}=count()" if self.random.random() < 0.4 else ""
        self.add(f"@gather({relation}, h_{name}=running(0), o_{name}=running(-1){extra})")
        arguments = dict.fromkeys(["me", "other", source, target, "acc"])
        self.add(f"def {name}({', '.join(arguments)}):")
        self.add(f"    acc.h_{name} = (acc.h_{name} * 31 + {target}.{seen}[other]{mine}) % {HASH}")
        self.add(f"    acc.o_{name} = other")
        if extra:
            self.add(f"    acc.t_{name} += 0.1 * {target}.{seen}[other]\n    acc.c_{name} += 1")
        self.gathers.append((name, source))

    def after(self, population: str, most: int = 3) -> list[str]:
        """Some earlier gathers of a population, seldom the last alone."""
        mine = [name for name, source in self.gathers if source == population]
        self.random.shuffle(mine)
        return sorted(mine[: self.random.randint(0, most)])

    def sum(self, population: str, after: list[str]) -> str:
        terms = [f"acc.h_{name}" for name in after] + [self.own(population)]
        return " + 3 * ".join(terms)

    def update(self, population: str | None = None, order: str = "") -> None:
        population = population or self.random.choice(["people", "people", "clubs", "guests"])
        after = self.after(population)
        name = self.name("update")
        given = f", after=({', '.join(after)},)" if after else ""
        self.add(f"@update({population}{given}{order})")
        self.add(f"def {name}(me, {population}, new, acc, draw, p, step):")
        field = self.random.choice(OWNERS[population])
        self.add(
            f"    new.{field}[me] = ({self.sum(population, after)} + draw.integer('luck', 0, 5) + p.shift) % {HASH}"
        )
        if population == "people" and self.random.random() < 0.7:
            named = [acc for acc in after if self.target(acc) == "people"]
            if named:
                self.add("    if draw.uniform('turns') < 0.5:")
                self.add(f"        new.friend[me] = acc.o_{named[0]}")
            else:
                self.add("    new.club[me] = draw.integer('club', -1, p.n_clubs)")
        if population == "people" and self.random.random() < 0.3:
            self.add("    new.w[me] = draw.uniform('heavy')\n    new.x[me] = 0.5 * people.x[me]")
        if order and self.random.random() < 0.5:
            named = [acc for acc in after if self.target(acc) == "people"]
            if named:
                self.add(f"    if acc.o_{named[0]} >= 0:\n        new.b[acc.o_{named[0]}] += 1")

    def target(self, gather: str) -> str:
        line = next(line for line in self.lines if f"h_{gather}=running" in line)
        return self.relations[line.split("(")[1].split(",")[0]][1]

    def in_turn(self) -> None:
        self.update("people", f", order={self.random.choice(['shuffled', 'sequential', None])!r}".replace(
            "None", "events('turns')"))  # fmt: skip

    def move(self) -> None:
        name = self.name("move")
        after = self.after("people", 1)
        given = f", after=({', '.join(after)},)" if after else ""
        self.add(f"@update(people{given})")
        self.add(f"def {name}(me, people, new, acc, draw):")
        for axis in range(self.axes):
            self.add(f"    new.place[me, {axis}] += 0.1 * draw.uniform('to_{axis}') - 0.05")

    def decide(self) -> None:
        name = self.name("decide")
        after = self.after("people", 2)
        given = f", after=({', '.join(after)},)" if after else ""
        self.add(f"@decision(people.choice{given})")
        self.add(f"def {name}(me, people, p, acc, draw):")
        self.add(f"    return ({self.sum('people', after)} + draw.integer('whim', 0, 5)) % 7")

    def send(self) -> None:
        to = self.random.choice(["people", "clubs"])
        rule = self.random.choice(list(INBOXES))
        message = INBOXES[rule]
        after = self.after("people", 2)
        name = self.name("send")
        given = f", after=({', '.join(after)},)" if after else ""
        self.add(f"@send(people, to={to}{given}, box_{name}={rule})")
        self.add(f"def {name}(me, people, acc, send):")
        named = "people.friend[me]" if to == "people" else "people.club[me]"
        value = "" if message is None else ", " + message.format(m=f"({self.sum('people', after)})")
        self.add(f"    if people.b[me] % 3 > 0:\n        send.box_{name}({named}{value})")
        if to == "people" and self.random.random() < 0.7:
            self.add(f"@update(people)\ndef read_{name}(me, people, new):")
            self.add(f"    if people.box_{name}[me] > -1e9 and people.box_{name}[me] < 1e9:")
            self.add(f"        new.a[me] += int(people.box_{name}[me]) % 97")

    def birth(self) -> None:
        name = self.name("birth")
        after = self.after("people", 2)
        given = f", after=({', '.join(after)},)" if after else ""
        self.add(f"@birth(people{given})\ndef {name}(me, people, child, acc, draw):")
        self.add(
            f"    child.a = {self.sum('people', after)}\n    child.friend = me\n    return draw.uniform('{name}') < 0.2"
        )

    def death(self) -> None:
        name = self.name("death")
        after = self.after("people", 1)
        given = f", after=({', '.join(after)},)" if after else ""
        self.add(f"@update(people{given})\ndef {name}(me, people, new, acc, draw):")
        self.add(f"    new.b[me] = ({self.sum('people', after)}) % {HASH}")
        self.add("    if draw.uniform('dies') < 0.15:\n        new.alive[me] = False")

    def rewire(self) -> None:
        near = [name for name, source in self.gathers if source == "people" and self.target(name) == "people"]
        if not near:
            return
        name, chosen = self.name("rewire"), self.random.choice(near)
        self.add(f"@rewire(ties, after=({chosen},))\ndef {name}(me, people, acc, draw, edges):")
        self.add(f"    if draw.uniform('acts') < 0.4 and acc.o_{chosen} >= 0 and acc.o_{chosen} != me:")
        self.add(f"        edges.{self.random.choice(['drop', 'add'])}(me, acc.o_{chosen})")

    def stop(self) -> str:
        kinds = ["", "", "unchanged(people.x)", "consensus(people.choice)", "[unchanged(people.a), enough]"]
        kinds += ["extinct(people)"] if self.dynamic else []
        chosen = self.random.choice(kinds)
        enough = "    @stop_when\n    def enough(people):\n        return bool(people.a.sum() % 5 == 0)\n\n"
        return "" if not chosen else (enough if "enough" in chosen else "") + f"    stop = {chosen}\n"


class InSpace(Writer):
    """Writes one whose agents only look round in one box."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        r = self.random
        box = f"box='box', boundary={r.choice(['periodic', 'reflecting'])!r}"
        self.dynamic = self.network = False
        self.relations = {
            "near": ("people", "people", f"Space(people.place, reach='reach', {box}, velocity=people.speed)"),
            "wide": ("people", "people", f"Space(people.place, reach='far', {box})"),
            "seen": ("people", "guests", f"Space(people.place, sees=guests.place, reach='far', {box})"),
            "watch": ("guests", "people", f"Space(guests.place, sees=people.place, reach='reach', {box})"),
            "group": ("guests", "guests", f"Space(guests.place, reach='far', {box})"),
        }
        self.favourites = [r.choice(["near", "wide", "watch"])]

    def text(self) -> str:
        """The whole file."""
        self.gather()
        self.favourites += self.random.sample(list(self.relations), self.random.randint(0, 3))
        for _ in range(self.random.randint(2, 7)):
            self.random.choice([self.gather, self.plain])()
        self.drift()
        used = {line.split("(")[1].split(",")[0] for line in self.lines if "@gather" in line}
        relations = [f"    {name} = {made}" for name, (_, _, made) in self.relations.items() if name in used]
        header = IN_SPACE.format(axes=self.axes).replace("    relations = None", "\n".join(relations))
        if not any("guests" in line for line in self.lines):
            # Whoever has no place in a space that somebody looks at keeps a scenario from being cut into regions.
            kept = [line for line in header.splitlines() if "guests" not in line or "n_guests: int" in line]
            kept.insert(kept.index("        d = draw.of(people)"), "    def start(self, people, draw):")
            header = "\n".join(kept)
        return header + "\n" + "\n".join(self.lines) + "\n"

    def plain(self) -> None:
        """An update of what others may see."""
        population = self.random.choice([source for _, source in self.gathers] + ["people"])
        after = self.after(population)
        name = self.name("update")
        given = f", after=({', '.join(after)},)" if after else ""
        self.add(f"@update({population}{given})\ndef {name}(me, {population}, new, acc, draw, p):")
        field = self.random.choice(OWNERS[population])
        self.add(
            f"    new.{field}[me] = ({self.sum(population, after)} + draw.integer('luck', 0, 5) + p.shift) % {HASH}"
        )
        if population == "people":
            self.add(f"    new.x[me] = 0.5 * people.x[me] + 1e-3 * people.{field}[me]")
            self.add("    new.flag[me] = people.a[me] % 2 == 0")

    def drift(self) -> None:
        """Everybody moves, some far."""
        there = {name for gather, source in self.gathers for name in (source, self.target(gather))}
        for population, mine in (("people", "people.speed[me, {axis}]"), ("guests", "0.01")):
            if population not in there:
                continue
            self.add(f"@update({population})\ndef drift_{population}(me, {population}, new, draw, p):")
            self.add("    stride = p.box if draw.uniform('leap') < 0.05 else 0.1 * p.box")
            for axis in range(self.axes):
                own = mine.format(axis=axis)
                self.add(f"    new.place[me, {axis}] += {own} + stride * (draw.uniform('to_{axis}') - 0.5)")


def loaded(text: str, folder: Path, number: int) -> Any:
    """The class of a scenario that is written."""
    path = folder / f"mixed_{number}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module.Mixed


class Swayed:
    """A policy that remembers what it has seen."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, asked: Any) -> Any:
        self.seen += int(asked.agents.a.sum()) % 11
        return (asked.agents.b + asked.rule + self.seen) % 7

    def state(self) -> Any:
        return {"seen": self.seen}

    def restore(self, state: Any) -> None:
        self.seen = state["seen"]


def check(number: int, folder: Path) -> None:
    """Step one scenario in several ways."""
    from sharding import assert_any_shards_agree

    text = Writer(number).text()
    scenario = loaded(text, folder, number)
    r = random.Random(-number)
    decisions = [name for name in scenario.declaration.phases if name.startswith("decide")]
    chosen = {f"people.{name}": Swayed for name in decisions if r.random() < 0.6}

    def policies() -> dict[str, Any]:
        return {name: made() for name, made in chosen.items()}

    between = {2: changing({"shift": 4})} if r.random() < 0.3 else {}
    if r.random() < 0.3:
        between[4] = lambda engine: engine.edit(push)
    assert_any_shards_agree(
        scenario, 5, shards=(2, r.choice([3, 5, 12])), seed=number, n=r.choice([9, 14, 14, 1, 0]),
        n_clubs=r.choice([1, 3]), turns=r.randint(0, 9), policies=policies if chosen else None, moments=(0, 1, 3, 5),
        between=between, threads=r.choice([1, 1, 2]),
    )  # fmt: skip


def check_in_space(number: int, folder: Path) -> None:
    """Step one scenario in regions of space, whose borders move and whose rooms grow all the time."""
    from sharding import assert_any_shards_agree

    from simengine.errors import ScenarioError
    from simengine.runs.sharded import choose_cut

    scenario = loaded(InSpace(number).text(), folder, number)
    r = random.Random(-number)
    given = {
        "n": r.choice([30, 30, 60, 3, 1]), "n_guests": r.choice([7, 7, 1]), "clumped": r.choice([1.0, 3.0, 0.2]),
        "box": r.choice([1.0, 13.7]), "reach": r.choice([0.1, 0.3]), "far": r.choice([0.24, 0.12, 0.45]),
    }  # fmt: skip
    if choose_cut(scenario(given), frozenset())[0] != "regions":
        raise ScenarioError("not in regions")
    changes = {2: {"far": r.choice([0.05, 0.3, 0.7])}, 4: {"shift": 3}, 5: {"reach": 0.2, "far": 0.2}}
    between = {step: changing(changed) for step, changed in changes.items() if r.random() < 0.5}
    if r.random() < 0.3:
        between[3] = lambda engine: engine.edit(push)
    assert_any_shards_agree(
        scenario, 7, shards=(2, r.choice([3, 5, 12])), seed=number, moments=(0, 1, 4, 7), between=between,
        threads=r.choice([1, 1, 2]), **given,
    )  # fmt: skip


def changing(changes: dict[str, Any]) -> Callable[[Any], None]:
    """An intervention."""
    return lambda engine: engine.change(changes)


def push(people: Any, draw: Any, step: Any) -> None:
    """An intervention that moves people and changes what they are."""
    people.place[: step % 7] = 0.25
    people.a[:] += draw.of(people).integer("pushed", 0, 5)


def unsettle() -> None:
    """Let few agents be found by cells, borders move at every other step, and room be short."""
    from simengine.relations import space
    from simengine.runs import shard
    from simengine.shards import regions

    space.PAIRS_UP_TO = -1
    shard.BETWEEN_BALANCES = 2
    regions.UNEVEN, regions.ROOM, regions.SPARE_ROOM, regions.SORTING_PAYS_FROM = 0.0, 1.0, 1, 5
    regions.STEPS_BETWEEN_SORTS = 3


SHIPPED: dict[str, dict[str, Any]] = {
    "schooling": {"n_agents": 26},
    "flocking": {"n_agents": 40, "box": 15.0},
    "voter": {"n_agents": 36, "contacts": "network", "graph": "ring"},
    "predator_prey": {"n_prey": 60, "n_predators": 20, "box": 6.0, "prey_capacity": 500, "predator_capacity": 100},
    "wealth_exchange": {"n_agents": 30},
}


def regimes_of(scenario: Any) -> list[dict[str, Any]]:
    """Every regime of a scenario, and every choice by word in each."""
    regimes = scenario.regimes
    named = [dict(zip(regimes.by, key, strict=True)) for key in regimes.table] if regimes is not None else [{}]
    found = list(named)
    for name, parameter in scenario.declaration.parameters.parameters.items():
        words = get_args(parameter.annotation) if get_origin(parameter.annotation) is Literal else ()
        found += [{**regime, name: word} for regime in named for word in words if name not in regime]
    return found


def check_shipped(name: str) -> None:
    """Step a shipped scenario, in every regime, from its own start and from a given one."""
    from sharding import assert_any_shards_agree

    from simengine.runs import registry

    scenario = registry.find(name)
    for number, regime in enumerate(regimes_of(scenario)):
        assert_any_shards_agree(scenario, 3, shards=(3,) if number else (2, 3, 7), **{**regime, **SHIPPED[name]})
    if name == "voter":
        assert_any_shards_agree(scenario, 3, n_agents=36)
    if name == "wealth_exchange":
        assert_any_shards_agree(scenario, 4, start={"wealth": np.arange(30)}, **SHIPPED[name])


def check_all_shipped() -> None:
    """Step all of them, also where few agents are found by cells."""
    for name in SHIPPED:
        check_shipped(name)
    unsettle()
    for name in ("schooling", "flocking", "predator_prey"):
        check_shipped(name)
    print(f"{len(SHIPPED)} agree")


def check_numbered(first: int, last: int, kind: str) -> None:
    """Check the scenarios from ``first`` up to ``last``; the first that fails is shown."""
    from simengine.errors import RunError, ScenarioError

    if kind == "space":
        unsettle()
    refused: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            try:
                (check_in_space if kind == "space" else check)(number, Path(folder))
            except (ScenarioError, RunError) as error:
                refused.append(f"{number}: {type(error).__name__} {error}")
            except BaseException:
                print((InSpace if kind == "space" else Writer)(number).text())
                traceback.print_exc(limit=-3, file=sys.stdout)
                print("scenario", number)
                raise SystemExit(1) from None
    print("\n".join(refused))
    print(f"{last - first - len(refused)} agree, {len(refused)} refused")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.path[:0] = [str(Path(__file__).parents[1])]
    if sys.argv[1:] == ["shipped"]:
        check_all_shipped()
    else:
        check_numbered(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
