"""How long until a new process has taken its first step, and how long does ``import simengine`` take?

The kernel is compiled once before; each figure is the median of fresh processes.

    python benchmarks/start_up.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

CASES = {
    "python -c pass": "pass",
    "import simengine": "import simengine",
    "first step of schooling": "import simengine; simengine.run('schooling', steps=1)",
    "first step of wealth_exchange": "import simengine; simengine.run('wealth_exchange', steps=1)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"{'':32}{'median s':>9}{'min':>7}{'max':>7}")
    for name, code in CASES.items():
        times = []
        for round_number in range(options.rounds + 1):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            if round_number:
                times.append(time.perf_counter() - begin)
        print(f"{name:32}{statistics.median(times):9.2f}{min(times):7.2f}{max(times):7.2f}")


if __name__ == "__main__":
    main()
