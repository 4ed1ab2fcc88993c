"""How does the cost per agent-step grow from 1e5 to 1e6 agents, and how much memory do 1e6 take?

Schooling (Couzin et al. 2002) in a periodic box at constant density, about 30 neighbours, one thread and all
processors. Every size runs in a process of its own, whose peak memory is read at the end.

    python benchmarks/scale.py [--steps 20]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time


def measure(agents: int, steps: int, threads: int) -> None:
    """Run one size and print its figures as JSON."""
    from kernel import school

    from simengine.runs.engine import Engine

    engine = Engine(school(agents), seed=1, threads=threads)
    engine.advance(2)
    begin = time.perf_counter()
    engine.advance(2 + steps)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"ns": seconds / steps / agents * 1e9, "gigabytes": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(options.one[0], options.steps, options.one[1])
        return
    processors = len(os.sched_getaffinity(0))
    print(f"{'agents':>9}{'threads':>9}{'ns an agent-step':>19}{'peak memory, GB':>18}")
    for threads in (1, processors):
        costs = {}
        for agents in (100_000, 1_000_000):
            command = [sys.executable, __file__, "--steps", str(options.steps), "--one", str(agents), str(threads)]
            found = [
                json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3)
            ]
            best = sorted(found, key=lambda row: row["ns"])[1]
            costs[agents] = best["ns"]
            print(f"{agents:9}{threads:9}{best['ns']:19.0f}{best['gigabytes']:18.2f}")
        print(f"cost per agent-step, 1e6 / 1e5, {threads} threads: {costs[1_000_000] / costs[100_000]:.2f}")


if __name__ == "__main__":
    main()
