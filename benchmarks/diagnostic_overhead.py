"""What do streamed diagnostics cost a step of a large school?

Schooling (Couzin et al. 2002) in a periodic box with about 32 neighbours in the zone of attraction, one thread. Ten
observables of classes A and B (whole-number counts, exact sums) measure every step; the cost of each is its update and
its estimate, the least of many rounds, as a share of a step in the same process. Below them are some that cost more.

    python benchmarks/diagnostic_overhead.py [--agents 100000] [--rounds 30]
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from typing import Any

from simengine.diagnostics import streaming
from simengine.diagnostics.streaming import field
from simengine.runs.engine import Engine
from simengine.scenarios.schooling import Schooling

ATTRACTION, NEIGHBOURS = 5.0, 32

HEADING = [field(f"agents.heading.{axis}", bins=16, range=(-1, 1)) for axis in range(3)]
PLACE = [field(f"agents.position.{axis}", bins=32, range=(0, "box")) for axis in range(3)]

TEN = [
    streaming.heading_polarization("agents.heading"),
    *(streaming.entropy(one) for one in HEADING),
    *(streaming.entropy(one) for one in PLACE),
    streaming.effective_opinions(HEADING[0]),
    streaming.drift(PLACE[0]),
    streaming.opinion_polarization(HEADING[2]),
]

COSTLIER = [
    streaming.mutual_information(HEADING[0], HEADING[1]),
    streaming.active_information_storage(HEADING[2], window=20),
    streaming.heading_entropy("agents.heading"),
    streaming.differential_entropy("agents.heading.0", "agents.heading.1", sample=1000),
]


def school(agents: int) -> Engine:
    """A school some steps after a uniform start."""
    side = ATTRACTION * (4.0 / 3.0 * math.pi * agents / NEIGHBOURS) ** (1.0 / 3.0)
    scenario = Schooling({
        "n_agents": agents, "box": side, "radius_repulsion": 1.0, "radius_orientation": 3.0,
        "radius_attraction": ATTRACTION,
    })  # fmt: skip
    engine = Engine(scenario, 1, 1)
    engine.advance(5)
    return engine


def step_seconds(engine: Engine, steps: int = 5) -> float:
    begin = time.process_time()
    engine.advance(engine.step + steps)
    return (time.process_time() - begin) / steps


def measured(engine: Engine, observables: list[Any], states: dict[str, Any]) -> dict[str, float]:
    """Seconds of each observable in one moment, which they share."""
    view = engine.view()
    seconds = {}
    for one in observables:
        begin = time.process_time()
        state = one.update(states.get(one.name, one.begin()) if one.lasting else one.begin(), view)
        one.finalise(state, view)
        seconds[one.name] = time.process_time() - begin
        states[one.name] = state
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    engine = school(options.agents)
    observables = [*TEN, *COSTLIER]
    for one in observables:
        one.prepare()
    states: dict[str, Any] = {}
    measured(engine, observables, states)
    steps, rounds = [], []
    for _ in range(options.rounds):
        steps.append(step_seconds(engine, 1))
        rounds.append(measured(engine, observables, states))
    step = min(steps)
    median = statistics.median(steps)
    print(f"{options.agents} fish, one thread: a step takes {step * 1e3:.2f} ms (median {median * 1e3:.2f})")
    least = {one.name: min(found[one.name] for found in rounds) for one in observables}
    ten = [one.name for one in TEN]
    for name in ten:
        print(f"  {name:32} {least[name] * 1e3:7.3f} ms  {least[name] / step:6.2%}")
    whole = min(sum(found[name] for name in ten) for found in rounds)
    shares = sorted(sum(found[name] for name in ten) / took for found, took in zip(rounds, steps, strict=True))
    median = statistics.median(shares)
    print(f"  {'all ten':32} {whole * 1e3:7.3f} ms  {whole / step:6.2%}  (median of rounds {median:.2%})")
    print("not among the ten:")
    for one in COSTLIER:
        print(f"  {one.name:32} {least[one.name] * 1e3:7.3f} ms  {least[one.name] / step:6.2%}")


if __name__ == "__main__":
    main()
