"""Cost of keeping, finishing and opening a sweep of 1,000, 10,000 and 100,000 runs whose outcomes are made up.

Run ``python benchmarks/sweep_opening.py [runs ...]``. Each size has a process of its own, so that its memory is its
own. Runs have eight series at two steps, as a sweep records by default, and come in batches of 500. "driver" is what
the driver does with each batch that a worker wrote; its memory is that of the whole process, which here also writes
the batches.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from simengine.store.layout import Layout, Variable
from simengine.sweeps.batches import write_batch
from simengine.sweeps.compaction import compact
from simengine.sweeps.description import Description
from simengine.sweeps.design import full_grid
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.opening import open_sweep
from simengine.sweeps.outcomes import Outcome
from simengine.sweeps.seeds import run_seed

SIZES = (1_000, 10_000, 100_000)
N_SERIES = 8
BATCH = 500
REPLICATES = 20
OPENINGS = 5


def main(sizes: list[int]) -> None:
    columns = ("write", "driver", "resume", "open half", "finish", "open", "one cell", "load all")
    print(f"{'runs':>8} " + " ".join(f"{name:>10}" for name in columns) + "   memory MB   disk MB")
    found = {}
    for runs in sizes:
        command = [sys.executable, __file__, "--one", str(runs)]
        found[runs] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        told = found[runs]
        print(
            f"{runs:>8} "
            + " ".join(f"{told[name]:>9.3f}s" for name in columns)
            + f"   {told['memory']:>9.0f} {told['disk']:>9.1f}"
        )
    print("\nmicroseconds per run")
    for runs, told in found.items():
        print(f"{runs:>8} " + " ".join(f"{told[name] / runs * 1e6:>10.1f}" for name in columns))


def one(runs: int) -> dict[str, float]:
    """Return seconds of each part for a sweep of so many runs, its memory and its size on the disk."""
    points = runs // REPLICATES
    design = full_grid({"noise": tuple(np.linspace(0, 1, points // 5).tolist()), "n_agents": tuple(range(10, 60, 10))})
    layout = Layout({}, {}, tuple(Variable(f"series_{i}", ("time",)) for i in range(N_SERIES)), "s")
    told = dict.fromkeys(("write", "driver", "resume", "open half", "finish", "open", "one cell", "load all"), 0.0)
    clock = _Clock(told)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "sweep")
        folder = SweepFolder.create(path, Description(layout, 100, None, {"sweep_seed": 0}), design, REPLICATES)
        keys = folder.missing()
        for first in range(0, len(keys), BATCH):
            batch = keys[first : first + BATCH].tolist()
            seeds = [run_seed(0, design.point(point), replicate) for point, replicate in batch]
            outcomes = [outcome(seed) for seed in seeds]
            with clock("write"):
                listed = [(*key, seed) for key, seed in zip(batch, seeds, strict=True)]
                record = write_batch(path, f"{first:08d}", layout, listed, outcomes)
            with clock("driver"):
                folder.journal(record)
            if first <= len(keys) // 2 < first + BATCH:
                folder.release()
                with clock("resume"):
                    folder = SweepFolder.open(path)
                    folder.lock()
                with clock("open half"):
                    open_sweep(path).close()
        with clock("finish"):
            compact(folder)
        for _ in range(OPENINGS):
            with clock("open"), open_sweep(path):
                pass
        told["open"] /= OPENINGS
        with open_sweep(path) as dataset, clock("one cell"):
            dataset["series_3"].isel(noise=points // 10, n_agents=2).load()
        with open_sweep(path) as dataset, clock("load all"):
            dataset.load()
        told["disk"] = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
    told["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return told


def outcome(seed: int) -> Outcome:
    """Return what a run might come back with."""
    draw = np.random.default_rng(seed)
    return Outcome(
        {f"series_{i}": values for i, values in enumerate(draw.random((N_SERIES, 2)))},
        np.array([0, 100]), 100, "steps", None, 1e-3,
    )  # fmt: skip


class _Clock:
    def __init__(self, told: dict[str, float]) -> None:
        self.told = told

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.told[name] += time.perf_counter() - begun


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(int(sys.argv[2]))))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
