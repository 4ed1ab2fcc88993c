"""Predators and prey in a periodic square: births, deaths, and one prey wanted by several predators.

After Wilensky (1997), the NetLogo model Wolf Sheep Predation in its version without grass; see Wilensky &
Reisman (2006), "Thinking like a wolf, a sheep, or a firefly", Cognition and Instruction 24, 171-209. A step:

1. Each prey moves by ``prey_stride`` in a random direction.
2. Each predator moves by up to ``predator_stride`` towards the nearest prey within ``sight``, or in a random
   direction.
3. Each predator claims the nearest prey within ``grasp``. A prey claimed by several goes to one of them,
   drawn with equal chances; the others get nothing.
4. A predator gains ``gain`` units of energy for a prey and spends one for the step; at 0 it starves.
5. The prey caught die.
6. Each prey left bears a young with probability ``prey_birth``, unless ``crowd`` others are within
   ``crowding_radius``.
7. Each predator with two units of energy or more bears a young with probability ``predator_birth``; it keeps
   half of its energy, rounded up, and gives the rest. Young start where their parent is.

Energy is counted in whole units (one keeps a predator alive for a step), so that the books close exactly:
with E the energy of all predators and n their number, E(t + 1) = E(t) + gain * eaten - n(t). So do the heads:
prey(t + 1) = prey(t) - eaten + born. The ``ledger``, a population of one, keeps the totals since the start.

Prey alone, without crowding, are a Galton-Watson process: with b = prey_birth, mean N(0) (1 + b)**t and
variance N(0) (1 - b) (1 + b)**(t - 1) ((1 + b)**t - 1). Predators alone that do not breed starve at the step
that equals their energy at the start.

What differs from NetLogo: space is continuous; predators see (there they walk at random; ``sight=grasp``
nearly gives that back); all act at once, so that a prey eaten in a step bears no young in it; crowding keeps
prey bounded, which there needs grass; energy is whole. Capacities bound memory, not the model: a run that
reaches one ends with an error.
"""

from __future__ import annotations

import math
from typing import Any

from simengine import (
    Chosen,
    Output,
    Scenario,
    Space,
    birth,
    count,
    drawn,
    extinct,
    field,
    gather,
    observable,
    param,
    population,
    reference,
    running,
    send,
    summed,
    tally,
    update,
    vector,
)
from simengine.random.draws import sincos_turn

TOTALS = ("prey_born", "prey_eaten", "predators_born", "predators_starved")
ONLY = 0


@observable(outputs=tuple(Output(f"total_{name}", dtype="int64") for name in TOTALS))
def totals(ledger: Any) -> dict[str, int]:
    """Births and deaths since the start."""
    return {f"total_{name}": int(getattr(ledger, name)[ONLY]) for name in TOTALS}


@tally("predators.energy", dtype="int64")
def predator_energy(values: Any, counts: Any) -> int:
    """Energy of all predators, in units of one step's need."""
    return int((values * counts).sum())


class PredatorPrey(Scenario):
    """Predators hunting prey in a periodic square (after Wilensky 1997)."""

    paper = "Wilensky & Reisman (2006) Cogn. Instr. 24, 171-209, doi:10.1207/s1532690xci2402_1"
    default_steps = 1000

    n_prey: int = param(2000, low=0, description="number of prey at the start")
    n_predators: int = param(150, low=0, description="number of predators at the start")
    prey_capacity: int = param(20_000, low=1, description="most prey there is room for at once")
    predator_capacity: int = param(20_000, low=1, description="most predators there is room for at once")
    box: float = param(80.0, above=0, description="side of the periodic square")
    prey_stride: float = param(0.25, low=0, description="distance a prey moves in a step")
    predator_stride: float = param(0.5, low=0, description="largest distance a predator moves in a step")
    sight: float = param(1.0, above=0, description="distance up to which predators see prey")
    grasp: float = param(0.3, above=0, description="distance up to which predators catch prey")
    gain: int = param(6, low=0, description="units of energy from one prey")
    initial_energy: int = param(6, low=1, description="units of energy of each predator at the start")
    prey_birth: float = param(0.2, low=0, high=1, description="chance of a prey to bear a young in a step")
    predator_birth: float = param(0.02, low=0, high=1, description="the same of a predator")
    crowding_radius: float = param(1.5, above=0, description="distance within which other prey crowd a prey")
    crowd: int | None = param(4, low=1, description="others at which prey bear no young; none: no crowding")

    prey = population(
        size="n_prey",
        capacity="prey_capacity",
        position=vector(2, long_name="position of prey"),
        breeding=field(bool, long_name="whether a young is born in this step"),
    )
    predators = population(
        size="n_predators",
        capacity="predator_capacity",
        position=vector(2, long_name="position of predators"),
        energy=field(int, long_name="energy in units of one step's need"),
        quarry=reference(prey, long_name="prey claimed"),
        dowry=field(int, long_name="energy given to a young in this step"),
        starving=field(bool, long_name="whether it dies in this step"),
    )
    ledger = population(size=1, dim="ledger", **{name: field(int) for name in TOTALS})

    crowding = Space(prey.position, reach="crowding_radius", box="box")
    within_sight = Space(predators.position, sees=prey.position, reach="sight", box="box")
    within_grasp = Space(predators.position, sees=prey.position, reach="grasp", box="box")
    claimed = Chosen(predators.quarry)

    def check(self) -> None:
        """Refuse populations that do not fit."""
        self.require(
            self.n_prey <= self.prey_capacity,
            f"n_prey ({self.n_prey}) exceeds prey_capacity ({self.prey_capacity})",
        )
        self.require(
            self.n_predators <= self.predator_capacity,
            f"n_predators ({self.n_predators}) exceeds predator_capacity ({self.predator_capacity})",
        )

    def start(self, prey: Any, predators: Any, draw: Any) -> None:
        """Everybody anywhere."""
        prey.position[:] = draw.of(prey).uniform("position", 0.0, self.box, components=2)
        predators.position[:] = draw.of(predators).uniform("position", 0.0, self.box, components=2)
        predators.energy[:] = self.initial_energy

    @update(prey)
    def roam(me, prey, new, p, draw):
        """1. A random walk."""
        sine, cosine = sincos_turn(draw.uniform("bearing"))
        new.position[me, 0] += p.prey_stride * cosine
        new.position[me, 1] += p.prey_stride * sine

    @gather(within_sight, toward_x=running(0.0), toward_y=running(0.0), nearest=running(math.inf))
    def look(me, other, offset, distance, acc):
        """2. Find the nearest prey in sight."""
        if distance < acc.nearest:
            acc.nearest = distance
            acc.toward_x = offset[0]
            acc.toward_y = offset[1]

    @update(predators, after=look)
    def chase(me, predators, new, p, acc, draw):
        """2. Move towards it, not beyond; without one, anywhere."""
        sine, cosine = sincos_turn(draw.uniform("bearing"))
        step_x, step_y = p.predator_stride * cosine, p.predator_stride * sine
        if acc.nearest <= p.sight:
            part = 1.0 if acc.nearest <= p.predator_stride else p.predator_stride / acc.nearest
            step_x, step_y = part * acc.toward_x, part * acc.toward_y
        new.position[me, 0] += step_x
        new.position[me, 1] += step_y

    @gather(within_grasp, victim=running(-1), reach=running(math.inf))
    def aim(me, other, distance, acc):
        """3. Find the nearest prey within grasp."""
        if distance < acc.reach:
            acc.reach = distance
            acc.victim = other

    @update(predators, after=aim)
    def choose(me, new, acc):
        """3. Remember whom to claim."""
        new.quarry[me] = acc.victim

    @send(predators, to=prey, after=aim, caught_by=drawn())
    def claim(me, acc, send):
        """3. Claim it; of several claims one is drawn."""
        send.caught_by(acc.victim)

    @gather(claimed, catches=count())
    def grab(me, other, prey, acc):
        """4. See whether the claim was the one drawn."""
        if prey.caught_by[other] == me:
            acc.catches += 1

    @update(predators, after=grab)
    def feed(me, predators, new, p, acc, draw):
        """4. Eat, pay for the step, starve at nothing; 7. set energy apart for a young."""
        energy = predators.energy[me] + p.gain * acc.catches - 1
        bears = energy >= 2 and draw.chance("birth", p.predator_birth)
        dowry = energy // 2 if bears else 0
        new.energy[me] = energy - dowry
        new.dowry[me] = dowry
        new.starving[me] = energy <= 0

    @send(predators, to=ledger, after=grab, eaten=summed(int), split=summed(int), starved=summed(int))
    def report_predators(me, predators, acc, send):
        """Report meals, births and deaths of predators to the ledger."""
        if acc.catches > 0:
            send.eaten(ONLY, 1)
        if predators.dowry[me] > 0:
            send.split(ONLY, 1)
        if predators.starving[me]:
            send.starved(ONLY, 1)

    @update(prey)
    def fall(me, prey, new):
        """5. The caught die (before the starving, for a field that names a dead agent names nobody)."""
        new.alive[me] = prey.caught_by[me] < 0

    @update(predators)
    def starve(me, predators, new):
        """4. The starving die."""
        new.alive[me] = not predators.starving[me]

    @gather(crowding, others=count())
    def jostle(me, other, acc):
        """6. Count the prey around."""
        acc.others += 1

    @update(prey, after=jostle)
    def mate(me, new, p, acc, draw):
        """6. Decide on a young."""
        room = p.crowd is None or acc.others < p.crowd
        new.breeding[me] = room and draw.chance("birth", p.prey_birth)

    @send(prey, to=ledger, bred=summed(int))
    def report_prey(me, prey, send):
        """Report births of prey to the ledger."""
        if prey.breeding[me]:
            send.bred(ONLY, 1)

    @birth(prey)
    def lamb(me, prey, child):
        """6. The young of prey."""
        child.breeding = False
        return prey.breeding[me]

    @birth(predators)
    def split_up(me, predators, child):
        """7. The young of predators."""
        child.energy = predators.dowry[me]
        child.dowry = 0
        return predators.dowry[me] > 0

    @update(ledger)
    def book(me, ledger, new):
        """Add up."""
        new.prey_born[me] += ledger.bred[me]
        new.prey_eaten[me] += ledger.eaten[me]
        new.predators_born[me] += ledger.split[me]
        new.predators_starved[me] += ledger.starved[me]

    observe = [totals, predator_energy]
    stop = extinct(predators)
