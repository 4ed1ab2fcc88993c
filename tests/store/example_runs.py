"""An example of a run, and what runs a function in a child process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simengine.store import MemoryWriter, RunWriter

N_AGENTS = 6


def in_a_child(do: Callable[[], object], seconds: int = 60) -> int:
    """Do something in a process of its own: 0, 1 after an exception, or minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(seconds)
            do()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fill(writer: RunWriter | MemoryWriter, steps: int = 40, first: int = 0, changes: Mapping[str, float] = {}) -> None:
    """Record ``steps`` steps, each a pure function of its number; every tenth has a snapshot."""
    writer.static({"mass": np.arange(N_AGENTS) / 8})
    for step in range(first, first + steps):
        row: dict[str, Any] = {
            "polarization": np.cos(step),
            "polarization_standard_error": 0.01,
            "polarization_null_mean": np.float64(step) / 1024,
            "n_groups": 2**60 + step,
            "settled": step > 20,
            "winner": "ab" * (step % 4),
            "latency": 1 / (1 + step),
        }
        if step % 3 == 0:
            row["n_births"] = np.int32(step)
        for name, change in changes.items():
            row[name] += change
        writer.record(step, step / 4, row)
        if step % 10 == 0:
            draw = np.random.default_rng(step)
            position = draw.random((N_AGENTS, 3))
            heading = position.astype(np.float32)
            writer.snapshot(step, step / 4, {"position": position, "heading": heading, "caste": np.arange(N_AGENTS)})
