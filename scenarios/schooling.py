"""Schooling fish: zones of repulsion, orientation and attraction in three dimensions.

Two rule sets of one model. ``rules="couzin"`` is Couzin, Krause, James, Ruxton & Franks (2002), "Collective memory
and spatial sorting in animal groups", J. theor. Biol. 218, 1-11. ``rules="dewi-kadita"`` is the variant of the
package dewi-kadita, version 0.0.4 (arXiv 2602.07948).

For each fish i, with unit heading v_i, offsets r_ij to the others, and c_ij = r_ij / |r_ij|:

1. If anyone is nearer than ``radius_repulsion``: d_i = - sum_j c_ij (Couzin et al., equation 1).
2. Otherwise, over those seen in the zones of orientation and of attraction (equations 2 and 3):
   d_i = orientation_weight * sum_j v_j + sum_j c_ij; with weight 1 this is the direction of the paper's average.
3. Nobody, or a vanishing sum: d_i = v_i.
4. v_i turns towards d_i by at most turning_rate * dt, then x_i(t + dt) = x_i(t) + speed * dt * v_i(t + dt).

The rule sets differ in this:

==================  ==========================================  ==============================================
                    couzin                                      dewi-kadita
==================  ==========================================  ==============================================
rear cone           limits orientation and attraction           limits all three zones
noise               a rotation of d_i, before the turn          a normal vector added to v_i, after the turn
turn                exact rotation                              normalised linear interpolation
space               open; periodic when ``box`` is given        periodic
==================  ==========================================  ==============================================

The regimes of ``couzin`` are one model with zones of orientation of different widths, the zone of attraction 14
wide beyond. Each reaches its state from a random start, in 100 of 100 seeds; 5000 steps, means of the last 1000,
averages over seeds (``benchmarks/schooling_states.py``):

==================  =====  ============  ========  ======  =====================
regime              width  polarisation  rotation  spread  its variation in time
==================  =====  ============  ========  ======  =====================
swarm               0      0.172         0.194     6.16    0.225
torus               2.5    0.220         0.746     6.18    0.287
dynamic_parallel    4      0.998         0.011     3.74    0.076
highly_parallel     12     0.999         0.020     5.81    0.007
==================  =====  ============  ========  ======  =====================

The two parallel states differ in how much the school moves in itself, not in polarisation, which is as high as the
noise allows. Near width 3 the state depends on the school's history.

The regimes of ``dewi-kadita`` are its four configurations. In them the "torus" is a mill at the start only, and soon
drifts apart into a state of P about 0.6; the "swarm" fills the box.

Where Couzin et al. are silent: the rotation by noise has a normal angle of standard deviation ``noise`` (radians)
about an axis drawn uniformly among those perpendicular to d_i; without a box the fish start in a sphere of half the
radius of attraction, with one in the box, uniformly; headings start isotropic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from simengine import Regimes, Scenario, Space, count, gather, param, population, total, update, vector
from simengine.arrays.directions import normalised, perpendicular, turned_towards
from simengine.diagnostics.observables import ORDER_PARAMETERS, School
from simengine.random.draws import sincos, sincos_turn

LEAST_DISTANCE = 1e-10
"""Nearer than this there is no direction towards the other."""

LEAST_ANGLE = 1e-10
"""Smaller angles (radians) are no turn."""

COUZIN = {"n_agents": 100, "speed": 3.0, "noise": 0.05, "radius_repulsion": 1.0, "blind_angle": 45.0}
PEER_SWARM = {"n_agents": 150, "box": 25.0, "speed": 1.0, "noise": 0.2, "turning_rate": 4.0, "blind_angle": 30.0}
PEER_TORUS = {
    "n_agents": 200, "box": 25.0, "speed": 1.0, "noise": 0.05, "turning_rate": 2.0, "blind_angle": 150.0,
    "orientation_weight": 0.1, "mill_radius": 6.0,
}  # fmt: skip
PEER_DYNAMIC = {"n_agents": 180, "box": 28.0, "speed": 1.2, "noise": 0.12, "turning_rate": 3.5, "blind_angle": 25.0}
PEER_HIGHLY = {"n_agents": 250, "box": 35.0, "speed": 1.5, "noise": 0.05, "turning_rate": 2.0, "blind_angle": 20.0}


def zones(repulsion: float, orientation: float, attraction: float) -> dict[str, float]:
    """Return the outer radii of the three zones as parameters."""
    return {"radius_repulsion": repulsion, "radius_orientation": orientation, "radius_attraction": attraction}


class Schooling(Scenario):
    """Schooling fish with zones of repulsion, orientation and attraction (Couzin et al. 2002)."""

    paper = "Couzin, Krause, James, Ruxton & Franks (2002) J. theor. Biol. 218, 1-11, doi:10.1006/jtbi.2002.3065"
    default_steps = 2000
    time_step = "dt"
    time_unit = "s"

    rules: Literal["couzin", "dewi-kadita"] = param("couzin", description="rule set")
    regime: Literal["swarm", "torus", "dynamic_parallel", "highly_parallel"] = param(
        "torus", description="canonical configuration, from which the other parameters take their defaults"
    )
    n_agents: int = param(100, low=1, description="number of fish")
    box: float | None = param(None, above=0, description="side of the periodic box; none: open space")
    speed: float = param(3.0, low=0, unit="s-1", description="speed, lengths per unit of time")
    dt: float = param(0.1, above=0, unit="s", description="time step")
    noise: float = param(0.05, low=0, unit="rad", description="standard deviation of the directional noise, per step")
    radius_repulsion: float = param(1.0, above=0, description="outer radius of the zone of repulsion")
    radius_orientation: float = param(3.5, above=0, description="outer radius of the zone of orientation")
    radius_attraction: float = param(17.5, above=0, description="outer radius of the zone of attraction")
    turning_rate: float = param(math.radians(40.0), above=0, unit="rad s-1", description="largest turn per time")
    blind_angle: float = param(
        45.0, low=0, high=180, unit="degree", description="half-angle of the cone behind that is not seen"
    )
    orientation_weight: float = param(1.0, low=0, high=1, description="weight of orientation against attraction")
    mill_radius: float | None = param(None, above=0, description="start as a mill of this radius; none: random start")
    entropies: Literal["calibrated", "dewi-kadita", "both"] = param(
        "calibrated", description="definition of the entropies that are recorded"
    )

    regimes = Regimes(
        by=("rules", "regime"),
        table={
            ("couzin", "swarm"): COUZIN | zones(1.0, 1.0, 15.0),
            ("couzin", "torus"): COUZIN | zones(1.0, 3.5, 17.5),
            ("couzin", "dynamic_parallel"): COUZIN | zones(1.0, 5.0, 19.0),
            ("couzin", "highly_parallel"): COUZIN | zones(1.0, 13.0, 27.0),
            ("dewi-kadita", "swarm"): PEER_SWARM | zones(2.0, 3.0, 15.0),
            ("dewi-kadita", "torus"): PEER_TORUS | zones(1.0, 3.0, 10.0),
            ("dewi-kadita", "dynamic_parallel"): PEER_DYNAMIC | zones(1.0, 10.0, 18.0),
            ("dewi-kadita", "highly_parallel"): PEER_HIGHLY | zones(1.0, 12.0, 20.0),
        },
    )

    agents = population(
        size="n_agents",
        position=vector(3, unit="1", long_name="position"),
        heading=vector(3, unit="1", long_name="heading (unit vector)", unit_length=True),
    )
    near = Space(agents.position, reach="radius_attraction", box="box")

    def check(self) -> None:
        """Refuse zones that are not nested, and the peer's rules without a box."""
        self.require(
            self.radius_repulsion <= self.radius_orientation,
            f"radius_repulsion ({self.radius_repulsion:g}) must not exceed"
            f" radius_orientation ({self.radius_orientation:g})",
        )
        self.require(
            self.radius_orientation <= self.radius_attraction,
            f"radius_orientation ({self.radius_orientation:g}) must not exceed"
            f" radius_attraction ({self.radius_attraction:g})",
        )
        self.require(
            self.rules == "couzin" or self.box is not None,
            "rules='dewi-kadita' needs a box; give box=, or take rules='couzin'",
        )

    def derived(self) -> Mapping[str, float]:
        """Find the largest turn of one step, the cosine that bounds the rear cone, and the length of a step."""
        turn = min(self.turning_rate * self.dt, math.pi)
        return {
            "turn": turn, "turn_cosine": math.cos(turn), "turn_sine": math.sin(turn),
            # Without a cone nobody is hidden, whatever the rounding of a cosine near -1.
            "sight_cosine": -math.cos(math.radians(self.blind_angle)) if self.blind_angle > 0 else -2.0,
            "stride": self.speed * self.dt,
        }  # fmt: skip

    def start(self, agents: Any, draw: Any) -> None:
        """Random positions and headings, or a mill (the peer's start of its torus)."""
        if self.mill_radius is not None:
            self.start_mill(agents, draw)
            return
        agents.heading[:] = draw.unit_vector("heading", 3)
        if self.box is not None:
            agents.position[:] = draw.uniform("position", 0.0, self.box, components=3)
            return
        radius = 0.5 * self.radius_attraction * np.cbrt(draw.uniform("radius"))
        agents.position[:] = radius[:, None] * draw.unit_vector("bearing", 3)

    def start_mill(self, agents: Any, draw: Any) -> None:
        """Let a ring of fish swim round the middle, blurred by normal noise."""
        n, radius = len(agents), self.mill_radius
        blur = draw.normal("mill", components=4)
        angle = 2.0 * np.pi * np.arange(n) / n + 0.1 * blur[:, 0]
        distance = radius + 0.15 * radius * blur[:, 1]
        middle = 0.0 if self.box is None else 0.5 * self.box
        agents.position[:, 0] = middle + distance * np.cos(angle)
        agents.position[:, 1] = middle + distance * np.sin(angle)
        agents.position[:, 2] = middle + 0.3 * radius * blur[:, 2]
        if self.box is not None:
            agents.position[:] = np.mod(agents.position, self.box)
        agents.heading[:] = np.stack([-np.sin(angle), np.cos(angle), 0.1 * blur[:, 3]], axis=1)

    # -- Couzin et al. 2002 --------------------------------------------------------------------------------------

    @gather(near, when={"rules": "couzin"}, avoid=total(3), join=total(3), too_near=count())
    def perceive(me, other, distance, direction, agents, p, acc):
        """Sum up whom to avoid and whom to join; the blind cone hides only whom to join."""
        vx, vy, vz = agents.heading[me, 0], agents.heading[me, 1], agents.heading[me, 2]
        ahead = direction[0] * vx + direction[1] * vy + direction[2] * vz
        if distance >= LEAST_DISTANCE:
            if distance < p.radius_repulsion:
                acc.too_near += 1
                for axis in range(3):
                    acc.avoid[axis] -= direction[axis]
            elif ahead > p.sight_cosine:
                if distance < p.radius_orientation:
                    for axis in range(3):
                        acc.join[axis] += p.orientation_weight * agents.heading[other, axis]
                elif distance < p.radius_attraction:
                    for axis in range(3):
                        acc.join[axis] += direction[axis]

    @update(agents, after=perceive, when={"rules": "couzin"})
    def swim(me, agents, new, p, acc, draw):
        """Blur the wanted direction, turn towards it as far as possible, and move on."""
        vx, vy, vz = agents.heading[me, 0], agents.heading[me, 1], agents.heading[me, 2]
        avoiding = acc.too_near > 0
        wx = acc.avoid[0] if avoiding else acc.join[0]
        wy = acc.avoid[1] if avoiding else acc.join[1]
        wz = acc.avoid[2] if avoiding else acc.join[2]
        wx, wy, wz = normalised(wx, wy, wz, vx, vy, vz)
        sine, cosine = sincos(p.noise * draw.normal("noise_angle"))
        axis_sine, axis_cosine = sincos_turn(draw.uniform("noise_axis"))
        sx, sy, sz = perpendicular(wx, wy, wz, axis_cosine, axis_sine)
        wx, wy, wz = cosine * wx + sine * sx, cosine * wy + sine * sy, cosine * wz + sine * sz
        vx, vy, vz = turned_towards(vx, vy, vz, wx, wy, wz, p.turn_cosine, p.turn_sine)
        new.heading[me, 0], new.heading[me, 1], new.heading[me, 2] = vx, vy, vz
        new.position[me, 0] += p.stride * vx
        new.position[me, 1] += p.stride * vy
        new.position[me, 2] += p.stride * vz

    # -- dewi-kadita 0.0.4 ---------------------------------------------------------------------------------------

    @gather(near, when={"rules": "dewi-kadita"}, avoid=total(3), join=total(3), too_near=count())
    def perceive_ahead(me, other, distance, direction, agents, p, acc):
        """Sum up whom to avoid and whom to join; the blind cone hides both."""
        vx, vy, vz = agents.heading[me, 0], agents.heading[me, 1], agents.heading[me, 2]
        ahead = direction[0] * vx + direction[1] * vy + direction[2] * vz
        if distance >= LEAST_DISTANCE and ahead > p.sight_cosine:
            if distance < p.radius_repulsion:
                acc.too_near += 1
                for axis in range(3):
                    acc.avoid[axis] -= direction[axis]
            elif distance < p.radius_orientation:
                for axis in range(3):
                    acc.join[axis] += p.orientation_weight * agents.heading[other, axis]
            elif distance < p.radius_attraction:
                for axis in range(3):
                    acc.join[axis] += direction[axis]

    @update(agents, after=perceive_ahead, when={"rules": "dewi-kadita"})
    def swim_blurred(me, agents, new, p, acc, draw):
        """Turn by interpolation, add normal noise to the heading, and move on."""
        vx, vy, vz = agents.heading[me, 0], agents.heading[me, 1], agents.heading[me, 2]
        avoiding = acc.too_near > 0
        wx = acc.avoid[0] if avoiding else acc.join[0]
        wy = acc.avoid[1] if avoiding else acc.join[1]
        wz = acc.avoid[2] if avoiding else acc.join[2]
        wx, wy, wz = normalised(wx, wy, wz, vx, vy, vz)
        angle = math.acos(min(1.0, max(-1.0, vx * wx + vy * wy + vz * wz)))
        if angle >= LEAST_ANGLE:
            if angle > p.turn:
                part = p.turn / angle
                wx, wy, wz = (1 - part) * vx + part * wx, (1 - part) * vy + part * wy, (1 - part) * vz + part * wz
                wx, wy, wz = normalised(wx, wy, wz, vx, vy, vz)
            vx, vy, vz = wx, wy, wz
        if p.noise > 0:
            vx += p.noise * draw.normal("noise_x")
            vy += p.noise * draw.normal("noise_y")
            vz += p.noise * draw.normal("noise_z")
            vx, vy, vz = normalised(vx, vy, vz, agents.heading[me, 0], agents.heading[me, 1], agents.heading[me, 2])
        new.heading[me, 0], new.heading[me, 1], new.heading[me, 2] = vx, vy, vz
        new.position[me, 0] += p.stride * vx
        new.position[me, 1] += p.stride * vy
        new.position[me, 2] += p.stride * vz

    observe = [
        School(definition="order-parameters"),
        School(without=ORDER_PARAMETERS, when={"entropies": ("both", "dewi-kadita")}),
        School(definition="calibrated", reach="radius_attraction", when={"entropies": ("both", "calibrated")}),
    ]
