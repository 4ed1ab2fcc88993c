"""What do checkpoints every 100 steps cost a run? Schooling (Couzin et al. 2002) in a periodic box, one thread.

Runs with and without them take turns in one process, into a temporary folder; figures are the median of the ratios of
neighbours. The time is that of all of `simengine.run`: steps, segments and the file put together at the end. Nothing
but the first and the last state is recorded, which lets checkpoints look as expensive as they can.

    python benchmarks/checkpoints.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from kernel import school

import simengine

STRIDE = 100
STEPS = {250: 10_000, 1_000: 5_000, 100_000: 200}
RESULTS = Path(__file__).parent / "results" / "checkpoints.json"


def seconds(agents: int, steps: int, folder: Path, checkpoint_every: int | None) -> float:
    """Return how long a run takes."""
    scenario = school(agents)
    begin = time.perf_counter()
    simengine.run(
        type(scenario), steps=steps, every=steps, out=folder / "run.nc", overwrite=True, threads=1, progress=False,
        checkpoint_every=checkpoint_every, **scenario.given,
    ).close()  # fmt: skip
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    results = {}
    print(f"{'agents':>9}{'steps':>9}{'without, s':>12}{'with / without':>16}{'ms a checkpoint':>17}")
    for agents, steps in STEPS.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            seconds(agents, STRIDE, folder, None)
            plain, ratios, costs = [], [], []
            for number in range(rounds):
                strides = (None, STRIDE) if number % 2 else (STRIDE, None)
                found = {stride: seconds(agents, steps, folder, stride) for stride in strides}
                plain.append(found[None])
                ratios.append(found[STRIDE] / found[None])
                costs.append((found[STRIDE] - found[None]) / (steps / STRIDE) * 1e3)
        results[str(agents)] = {
            "steps": steps, "seconds_without": plain, "ratios": ratios, "milliseconds_a_checkpoint": costs,
        }  # fmt: skip
        ratio, cost = statistics.median(ratios), statistics.median(costs)
        print(f"{agents:9}{steps:9}{statistics.median(plain):12.3f}{ratio:16.3f}{cost:17.2f}", flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
