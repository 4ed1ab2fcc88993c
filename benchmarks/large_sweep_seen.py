"""How long until a sweep of 10,000 runs is open and its phase diagram is drawn, in a new process.

Run ``python benchmarks/large_sweep_seen.py`` (option: the number of replicates, 20 by default: 10,000 runs). The sweep
is a real one: wealth exchange over 25 values of the initial wealth and 20 numbers of agents. "open" is from the start
of Python to the Dataset, "phase diagram" from there to the PNG on the disk.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import simengine

SEEN = """
import sys, time
began = time.perf_counter()
import simengine
ds = simengine.open(sys.argv[1])
opened = time.perf_counter()
import matplotlib
matplotlib.use("agg")
from simengine.analysis import plots
plots.phase_diagram(ds, "gini").figure.savefig(sys.argv[2])
drawn = time.perf_counter()
print(opened - began, drawn - opened)
"""
ROUNDS = 5


def main(replicates: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder, picture = Path(temporary, "sweep"), Path(temporary, "phase.png")
        grid = {"initial_wealth": range(1, 26), "n_agents": range(20, 120, 5)}
        began = time.perf_counter()
        ds = simengine.sweep("wealth_exchange", grid, replicates=replicates, steps=50, out=folder, progress=False)
        print(f"{ds.status.size} runs swept in {time.perf_counter() - began:.0f} s")
        ds.close()
        print(f"{'open':>8} {'phase diagram':>14}   (asked: < 3 s, < 5 s)")
        for _ in range(ROUNDS):
            command = [sys.executable, "-c", SEEN, str(folder), str(picture)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            print(f"{float(told[0]):>7.2f}s {float(told[1]):>13.2f}s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
