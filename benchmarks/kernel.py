"""How fast is the generated step of the schooling scenario, against C and against the same step fused by hand?

C is ``benchmarks/c/zone_model.c`` (one thread, AVX-512, -ffast-math); the hand-written kernel is ``hand_kernel.py``,
whose results must be the engine's, bit for bit. Same model, radii and density; 20 steps from a uniform start, one
thread, interleaved; medians of the rounds.

    make -C benchmarks/c && python benchmarks/kernel.py [--agents 100000] [--steps 20] [--rounds 7]
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
from hand_kernel import HandKernel

from simengine.runs.engine import Engine
from simengine.runs.registry import find

C_PROGRAM = Path(__file__).parent / "bin" / "zone_model"
NEIGHBOURS, REACH = 30.0, 5.0


def school(agents: int):
    """The zone model of the C program as a scenario."""
    box = (agents * 4 / 3 * math.pi * REACH**3 / NEIGHBOURS) ** (1 / 3)
    values = {
        "n_agents": agents,
        "box": box,
        "radius_repulsion": 1.0,
        "radius_orientation": 4.0,
        "radius_attraction": REACH,
    }
    return find("schooling")(values | {"speed": 3.0, "noise": 0.05, "blind_angle": 45.0})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("agents", 100_000), ("steps", 20), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    work = options.agents * options.steps
    scenario = school(options.agents)
    rates: dict[str, list[float]] = {"C": [], "by hand": [], "engine": []}
    for round_number in range(options.rounds + 1):
        engine = Engine(scenario, seed=1, threads=1)
        agents = engine.view().populations["agents"]
        hand = HandKernel(scenario, 1, np.array(agents.position), np.array(agents.heading))
        words = subprocess.run(
            [str(C_PROGRAM), str(options.agents), str(options.steps)], capture_output=True, text=True, check=True
        )
        begin = time.perf_counter()
        hand.advance(options.steps)
        middle = time.perf_counter()
        engine.advance(options.steps)
        end = time.perf_counter()
        state = engine.view().populations["agents"]
        assert np.array_equal(hand.by_id(), np.concatenate([state.position.T, state.heading.T])), "results differ"
        if round_number:
            rates["C"].append(float(words.stdout.split()[1]))
            rates["by hand"].append(work / (middle - begin))
            rates["engine"].append(work / (end - middle))
    print(f"{options.agents} agents, {options.steps} steps, {options.rounds} rounds; C: {words.stdout.strip()}")
    print(f"{'':10}{'M agent-steps/s':>18}{'min':>8}{'max':>8}")
    for name, values in rates.items():
        print(f"{name:10}{statistics.median(values) / 1e6:18.2f}{min(values) / 1e6:8.2f}{max(values) / 1e6:8.2f}")
    for other in ("C", "by hand"):
        ratio = statistics.median(a / b for a, b in zip(rates["engine"], rates[other], strict=True))
        print(f"engine / {other:8} {ratio:.3f}")


if __name__ == "__main__":
    main()
