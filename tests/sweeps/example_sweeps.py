"""An example of a sweep without a scenario: outcomes that are a pure function of the point and the seed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from simengine.store.layout import Layout, Variable
from simengine.sweeps.batches import BatchRecord, write_batch
from simengine.sweeps.description import Description
from simengine.sweeps.design import Design, full_grid
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.outcomes import Failure, Outcome
from simengine.sweeps.seeds import run_seed

LAYOUT = Layout(
    dimensions={"bin": 3},
    coordinates={"bin": (np.array([0.5, 1.5, 2.5]), {"units": "m", "long_name": "middle of the bin"})},
    variables=(
        Variable("order", ("time",), unit="m s-1", long_name="order parameter"),
        Variable("n_groups", ("time",), "int64"),
        Variable("settled", ("time",), "bool"),
        Variable("histogram", ("time", "bin"), "int64", long_name="agents by distance"),
        Variable("winner", ("time",), "str"),
    ),
    time_unit="s",
)
GRID = full_grid({"noise": (0.0, 0.5, 1.0), "n_agents": (50, 100)})
LATIN = Design("latin hypercube", ("noise", "rule"), {"noise": (0.3, 0.1, 0.2), "rule": ("a", "b", "a")})


def description(steps: int = 40, every: int | None = 10, **changes: Any) -> Description:
    given: dict[str, Any] = {
        "layout": LAYOUT,
        "steps": steps,
        "every": every,
        "attributes": {"title": "An example", "scenario": "Example", "sweep_seed": 7, "parameter_bound": 0.25},
        "volatile": {"host": "here"},
        "parameters": {"noise": {"units": "rad", "long_name": "noise"}},
        "time_step": 0.25,
    }
    return Description(**{**given, **changes})


def outcome(described: Description, point: dict[str, Any], replicate: int) -> tuple[int, Outcome]:
    """Return seed and outcome of a run; noise 0.5 stops early, the last replicate but one of noise 1.0 fails."""
    seed = run_seed(7, point, replicate)
    if point["noise"] == 1.0 and replicate == 1:
        return seed, Outcome(
            {}, np.empty(0, np.int64), 3, "failed", Failure("ValueError", "too noisy", "Traceback ...")
        )
    steps = described.recorded_steps
    reason = "steps"
    if point["noise"] == 0.5 and described.steps:
        stop = described.steps // 2 + 1
        steps, reason = np.append(steps[steps < stop], stop), "unchanged opinion"
    draw = np.random.default_rng(seed)
    values = {
        "order": draw.random(len(steps)),
        "n_groups": 2**60 + draw.integers(0, 9, len(steps)),
        "settled": (draw.random(len(steps)) < 0.5).astype(np.int8),
        "histogram": draw.integers(0, 99, (len(steps), 3)),
        "winner": np.array(["ab" * int(n) for n in draw.integers(0, 3, len(steps))], object),
    }
    return seed, Outcome(values, steps, int(steps[-1]), reason, None, 0.25)


def write(folder: SweepFolder, keys: Iterable[Iterable[int]], name: str = "") -> BatchRecord:
    """Do the runs of a batch and write it; it is not in the journal yet."""
    runs, outcomes = [], []
    for point, replicate in keys:
        seed, found = outcome(folder.description, folder.design.point(point), replicate)
        runs.append((point, replicate, seed))
        outcomes.append(found)
    name = name or "-".join(map(str, (runs[0][0], runs[0][1], len(runs))))
    return write_batch(folder.path, name, folder.description.layout, runs, outcomes)


def do(folder: SweepFolder, keys: Any = None, batch: int = 4) -> None:
    """Do runs, by default all that are missing, in batches."""
    keys = folder.missing() if keys is None else np.asarray(keys)
    for first in range(0, len(keys), batch):
        folder.journal(write(folder, keys[first : first + batch].tolist()))


def create(path: Path, design: Design = GRID, replicates: int = 3, **changes: Any) -> SweepFolder:
    return SweepFolder.create(path, description(**changes), design, replicates)


def in_a_child(task: Callable[[], object], seconds: int = 60) -> int:
    """Do something in a process of its own: 0, 1 after an exception, or minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(seconds)
            task()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
