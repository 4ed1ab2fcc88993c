"""Flocking birds in the plane: cohesion, separation and alignment, one bird after another or all at once.

Reynolds (1987), "Flocks, herds and schools: a distributed behavioral model", Computer Graphics 21(4), 25-34,
in the reduced form that the public comparison of agent-based modelling frameworks
(JuliaDynamics/ABMFrameworksComparison) runs in every framework. For each bird i with unit heading v_i, its
neighbours j are all others within ``vision`` (distance <= vision) in the periodic box, at offsets r_ij
(nearest images):

1. cohesion      c = cohere * sum_j r_ij
2. separation    s = - separate * sum_j r_ij, over the neighbours nearer than ``separation``
3. alignment     m = match * sum_j v_j
4. v_i becomes the direction of v_i + (c + s + m) / (number of neighbours); without neighbours it stays.
5. x_i moves on by speed * v_i.

``order="shuffled"`` is the comparison's: birds act one by one, in a fresh order every step, and see where
those before them have gone. ``order="synchronous"`` lets all act at once on the same picture. The two differ:
a synchronous flock sees neighbours of one moment.

Where the sources are silent: a vanishing sum in 4 leaves the heading as it is. Initial heading components are
uniform on [-1, 1], as in the comparison, and normalised: directions are denser along the diagonals.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from simengine import Regimes, Scenario, Space, count, gather, observable, param, population, total, update, vector
from simengine.diagnostics import streaming

HEADING_BINS = 36


@observable
def mean_neighbours(agents: Any, p: Any) -> float:
    """Mean number of others within vision."""
    from scipy.spatial import KDTree

    tree = KDTree(agents.position, boxsize=p.box)
    return float(tree.count_neighbors(tree, p.vision)) / len(agents) - 1.0


def turned(x: float, y: float, steer_x: float, steer_y: float, seen: float) -> tuple[float, float]:
    """Return the heading (x, y) after adding the mean of what the neighbours asked for, as a unit vector."""
    share = 1.0 / max(seen, 1)
    wanted_x, wanted_y = x + steer_x * share, y + steer_y * share
    length = math.sqrt(wanted_x * wanted_x + wanted_y * wanted_y)
    turns = seen > 0 and length > 0.0
    return (wanted_x / length if turns else x), (wanted_y / length if turns else y)


class Flocking(Scenario):
    """Flocking birds after Reynolds (1987), as in the comparison of agent-based modelling frameworks."""

    paper = "Reynolds (1987) Computer Graphics 21(4), 25-34, doi:10.1145/37402.37406"
    default_steps = 100

    regime: Literal["small", "large"] = param("small", description="run of the comparison")
    order: Literal["shuffled", "synchronous"] = param("shuffled", description="whether birds act in turn")
    n_agents: int = param(200, low=1, description="number of birds")
    box: float = param(100.0, above=0, description="side of the periodic box")
    vision: float = param(5.0, above=0, description="distance up to which birds see others")
    speed: float = param(1.0, low=0, description="distance flown in a step")
    cohere: float = param(0.03, low=0, description="weight of cohesion")
    separate: float = param(0.015, low=0, description="weight of separation")
    match: float = param(0.05, low=0, description="weight of alignment")
    separation: float = param(1.0, low=0, description="distance below which birds avoid one another")

    regimes = Regimes(
        by=("regime",),
        table={
            ("small",): {"n_agents": 200, "box": 100.0, "vision": 5.0},
            ("large",): {"n_agents": 400, "box": 150.0, "vision": 15.0},
        },
    )

    agents = population("n_agents", position=vector(2), heading=vector(2, unit_length=True))
    near = Space(agents.position, reach="vision", box="box")

    def start(self, agents: Any, draw: Any) -> None:
        """Birds anywhere, flying anywhere."""
        agents.position[:] = draw.uniform("position", 0.0, self.box, components=2)
        agents.heading[:] = draw.uniform("heading", -1.0, 1.0, components=2)

    @gather(near, steer=total(2), seen=count())
    def look(me, other, offset, distance, agents, p, acc):
        """Sum up cohesion, separation and alignment."""
        pull = p.cohere - p.separate if distance < p.separation else p.cohere
        acc.seen += 1
        for axis in range(2):
            acc.steer[axis] += pull * offset[axis] + p.match * agents.heading[other, axis]

    @update(agents, after=look, order="shuffled", when={"order": "shuffled"})
    def fly_in_turn(me, agents, new, p, acc):
        """Turn and move on; later birds see it."""
        x, y = turned(agents.heading[me, 0], agents.heading[me, 1], acc.steer[0], acc.steer[1], acc.seen)
        new.heading[me, 0], new.heading[me, 1] = x, y
        new.position[me, 0] += p.speed * x
        new.position[me, 1] += p.speed * y

    @update(agents, after=look, when={"order": "synchronous"})
    def fly(me, agents, new, p, acc):
        """Turn and move on, all at once."""
        x, y = turned(agents.heading[me, 0], agents.heading[me, 1], acc.steer[0], acc.steer[1], acc.seen)
        new.heading[me, 0], new.heading[me, 1] = x, y
        new.position[me, 0] += p.speed * x
        new.position[me, 1] += p.speed * y

    observe = [
        streaming.heading_polarization("agents.heading"),
        mean_neighbours,
        streaming.heading_entropy("agents.heading", dimensions=2, bins=HEADING_BINS),
    ]
