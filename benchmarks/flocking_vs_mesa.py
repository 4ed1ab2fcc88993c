"""How much faster than Mesa is the flocking model of the public framework comparison?

Mesa's own shipped boid flockers with the settings of the comparison (small: 200 birds, 100 x 100, vision 5; large: 400,
150 x 150, vision 15; 100 steps), set-up included on both sides, our kernel compiled before, birds acting one after
another in a fresh order on both sides. `run` is `simengine.run`, observables and Dataset included; `bare` is set-up and
steps alone (Mesa records nothing); the neighbours are those of the last step.
MASON 22 took 18-20 ms and 43-67 ms on a machine of this kind (published ratios
and own measurement of its entry; it cannot be installed from a Python registry).

    pip install -c constraints.txt -e ".[peers]" && python benchmarks/flocking_vs_mesa.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time

import simengine
from simengine.runs.engine import Engine
from simengine.runs.registry import find

SETTINGS = {"small": (200, 100.0, 5.0), "large": (400, 150.0, 15.0)}
MASON_MILLISECONDS = {"small": "18-20", "large": "43-67"}
STEPS = 100


def mesa_run(regime: str, seed: int) -> float:
    """Seconds of one run of Mesa's boids."""
    from mesa.examples.basic.boid_flockers.model import BoidFlockers

    birds, side, vision = SETTINGS[regime]
    begin = time.perf_counter()
    model = BoidFlockers(
        population_size=birds, width=side, height=side, speed=1, vision=vision, separation=1,
        cohere=0.03, separate=0.015, match=0.05, seed=seed,
    )  # fmt: skip
    for _ in range(STEPS):
        model.step()
    return time.perf_counter() - begin


def our_run(regime: str, seed: int, order: str = "shuffled") -> tuple[float, float]:
    """Seconds of one run of ours, and its mean number of neighbours at the end."""
    begin = time.perf_counter()
    run = simengine.run("flocking", regime=regime, order=order, steps=STEPS, every=STEPS, seed=seed, progress=False)
    return time.perf_counter() - begin, float(run.mean_neighbours[-1])


def bare_run(regime: str, seed: int) -> float:
    """Seconds of set-up and steps alone, nothing recorded, as on Mesa's side."""
    begin = time.perf_counter()
    Engine(find("flocking")(regime=regime), seed).advance(STEPS)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for regime in SETTINGS:
        for order in ("shuffled", "synchronous"):
            our_run(regime, 0, order)
    heads = ("Mesa ms", "run ms", "ratio", "bare ms", "ratio", "sync run ms", "MASON ms", "neighbours")
    print(" " * 8 + "".join(f"{head:>12}" for head in heads))
    for regime in SETTINGS:
        mesa, ours, bare, synchronous, met = [], [], [], [], []
        for seed in range(options.rounds):
            mesa.append(mesa_run(regime, seed))
            repeated = [our_run(regime, seed * 10 + k) for k in range(5)]
            ours.append(statistics.median(seconds for seconds, _ in repeated))
            met.append(statistics.mean(neighbours for _, neighbours in repeated))
            bare.append(statistics.median(bare_run(regime, seed * 10 + k) for k in range(5)))
            synchronous.append(our_run(regime, seed, "synchronous")[0])
        ratio = statistics.median(a / b for a, b in zip(mesa, ours, strict=True))
        bare_ratio = statistics.median(a / b for a, b in zip(mesa, bare, strict=True))
        print(
            f"{regime:8}{statistics.median(mesa) * 1e3:12.0f}{statistics.median(ours) * 1e3:12.2f}{ratio:12.0f}"
            f"{statistics.median(bare) * 1e3:12.2f}{bare_ratio:12.0f}{statistics.median(synchronous) * 1e3:12.2f}"
            f"{MASON_MILLISECONDS[regime]:>12}{statistics.mean(met):12.1f}"
        )


if __name__ == "__main__":
    main()
