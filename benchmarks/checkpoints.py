"""What do checkpoints every 100 steps cost a run? Schooling (Couzin et al. 2002) in a periodic box, one thread.

Runs with and without them take turns in one process, into a temporary folder; figures are the median of the ratios of
neighbours. The time is that of all of `simengine.run`: steps, segments and the file put together at the end. Nothing
but the first and the last state is recorded, which lets checkpoints look as expensive as they can. On a busy machine
look at the share of the time that went into writing checkpoints, taken within the same run.

    python benchmarks/checkpoints.py [--rounds 7] [--agents 250 1000 100000]
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
from simengine.runs.session import Session

STRIDE = 100
STEPS = {250: 10_000, 1_000: 5_000, 100_000: 200}
RESULTS = Path(__file__).parent / "results" / "checkpoints.json"


saving: list[float] = []


def timed(save):
    """Note how long every checkpoint takes."""

    def wrapped(session: Session, path: Path) -> None:
        begin = time.perf_counter()
        save(session, path)
        saving.append(time.perf_counter() - begin)

    return wrapped


def seconds(agents: int, steps: int, folder: Path, checkpoint_every: int | None) -> float:
    """Return how long a run takes."""
    scenario = school(agents)
    saving.clear()
    begin = time.perf_counter()
    simengine.run(
        type(scenario), steps=steps, every=steps, out=folder / "run.nc", overwrite=True, threads=1, progress=False,
        checkpoint_every=checkpoint_every, **scenario.given,
    ).close()  # fmt: skip
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--agents", type=int, nargs="+", choices=STEPS, default=list(STEPS))
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    Session.save = timed(Session.save)
    print(
        f"{'agents':>9}{'steps':>9}{'without, s':>12}{'with / without':>16}{'share of checkpoints':>22}{'ms each':>9}"
    )
    for agents in options.agents:
        steps = STEPS[agents]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            seconds(agents, STRIDE, folder, None)
            plain, ratios, shares, costs = [], [], [], []
            for number in range(options.rounds):
                found = {}
                for stride in (None, STRIDE) if number % 2 else (STRIDE, None):
                    found[stride] = seconds(agents, steps, folder, stride)
                    if stride is not None:
                        shares.append(sum(saving) / found[stride])
                        costs.append(statistics.median(saving) * 1e3)
                plain.append(found[None])
                ratios.append(found[STRIDE] / found[None])
        results[str(agents)] = {
            "steps": steps, "seconds_without": plain, "ratios": ratios, "shares": shares, "milliseconds_each": costs,
        }  # fmt: skip
        medians = [statistics.median(values) for values in (plain, ratios, shares, costs)]
        print("{:9}{:9}{:12.3f}{:16.3f}{:13.3f}{:9.2f}".format(agents, steps, *medians), flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
