"""How long a sweep will take and how large it will be: from a short trial of runs all over its design."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from simengine.shards.ray_cluster import processors
from simengine.sweeps.manner import Manner
from simengine.sweeps.portions import Portions
from simengine.sweeps.request import Request
from simengine.sweeps.runner import Runner
from simengine.sweeps.scheduling import RAY_START_SECONDS, ray_pays
from simengine.sweeps.seeds import run_seed
from simengine.sweeps.worker import size_of

TRIAL_SECONDS = 3.0
"""How long the runs that are tried may take together."""

ENOUGH_SECONDS = 0.5
"""The same once every point that is tried has had its turn."""

PATIENCE_SECONDS = 20.0
"""How long the trial may take with compiling, which costs the sweep itself next to nothing."""

MOST_TRIED = 200

OF_A_RUN_BYTES = 48
"""On the disk, for what is known of a run besides its values."""

OF_A_SWEEP_BYTES = 100_000


def estimated(request: Request, manner: Manner) -> dict[str, Any]:
    """Do some runs, of points evenly spread over the design, and say what all of them would take."""
    points = len(request.design) if request.adaptive is None else request.adaptive.most_points
    known = points if points is not None else len(request.design)
    runner = Runner(request.scenario, request.fixed, steps=request.steps, every=request.every, start=request.start)
    tried = np.unique(np.linspace(0, len(request.design) - 1, min(MOST_TRIED, len(request.design))).astype(int))
    # In an order whose first part is spread over the design, too.
    tried = tried[np.argsort([int(f"{place:b}"[::-1], 2) / (1 << place.bit_length()) for place in range(len(tried))])]
    trial = [(number, replicate) for replicate in range(request.replicates) for number in tried.tolist()]
    begun, seconds, sizes, failed, reason = time.perf_counter(), [], [], 0, ""
    for number, replicate in trial[:MOST_TRIED]:
        point = request.design.point(number)
        runner.prepare(point)
        outcome = runner.run(point, run_seed(request.seed, point, replicate))
        seconds.append(outcome.seconds)
        if outcome.failure is not None:
            failed += 1
            reason = reason or f"{outcome.failure.kind}: {outcome.failure.message}"
        else:
            sizes.append(size_of(outcome))
        enough = ENOUGH_SECONDS if len(seconds) >= len(tried) else TRIAL_SECONDS
        if sum(seconds) > enough or time.perf_counter() - begun > PATIENCE_SECONDS:
            break
    # The first run of a process takes longer than any other.
    each = float(np.mean(seconds[1:] if len(seconds) > len(tried) else seconds))
    return {
        "points": points, "replicates": request.replicates,
        "runs": None if points is None else points * request.replicates,
        **_costs(request, manner, known * request.replicates, each, sizes),
        "tried": len(seconds), "failed": failed, "failure": reason or None,
    }  # fmt: skip


def _costs(request: Request, manner: Manner, runs: int, each: float, sizes: list[int]) -> dict[str, Any]:
    """Return seconds and bytes of so many runs of the mean cost."""
    portions = Portions(np.zeros((runs, 2), np.int64))
    portions.learn(1, each)
    workers = manner.workers or processors()
    asked = manner.address is not None or (manner.workers or 0) > 1
    on_ray = asked or (manner.workers is None and ray_pays(portions, workers))
    workers = workers if on_ray else 1
    total = portions.seconds / workers + (RAY_START_SECONDS if on_ray else 0.0)
    values = int(runs * (float(np.mean(sizes)) if sizes else 0.0))
    return {
        "workers": workers,
        "seconds_per_run": each,
        "runs_per_second": workers / each if each > 0 else None,
        "seconds": total,
        "bytes": values + OF_A_RUN_BYTES * runs + OF_A_SWEEP_BYTES,
    }
