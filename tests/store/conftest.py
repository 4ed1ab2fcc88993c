from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from simengine.store import Layout, MemoryWriter, RunWriter, Variable

N_AGENTS = 6


@pytest.fixture(autouse=True)
def _every_warning_fails() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


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


@pytest.fixture
def layout() -> Layout:
    """A run as scenarios record them: a calibrated series, snapshots, static values, every kind of number."""
    spread = ("polarization_standard_error", "polarization_null_mean", "polarization_null_sd")
    return Layout(
        dimensions={"agent": N_AGENTS, "axis": 3},
        coordinates={
            "agent": (np.arange(N_AGENTS, dtype=np.uint64) + 100, {"long_name": "agent id"}),
            "axis": (np.array(["x", "y", "z"]), {"long_name": "Cartesian axis"}),
        },
        variables=(
            Variable("position", ("snapshot_time", "agent", "axis"), unit="m", long_name="position of the agent"),
            Variable("heading", ("snapshot_time", "agent", "axis"), "float32", long_name="unit vector of motion"),
            Variable("caste", ("snapshot_time", "agent"), "uint8", attributes={"valid_range": [0, 9]}),
            Variable(
                "polarization",
                ("time",),
                attributes={"ancillary_variables": " ".join(spread), "valid_range": [0.0, 1.0]},
            ),
            *(Variable(name, ("time",)) for name in spread),
            Variable("n_groups", ("time",), "int64"),
            Variable("n_births", ("time",), "int16"),
            Variable("settled", ("time",), "bool"),
            Variable("winner", ("time",), "str"),
            Variable("mass", ("agent",), unit="kg"),
            Variable("latency", ("time",), unit="seconds", volatile=True),
        ),
        time_unit="s",
    )


@pytest.fixture
def attributes() -> dict[str, Any]:
    return {
        "title": "A run",
        "seed": 2**63 + 5,
        "noise": 0.1,
        "bound": float("inf"),
        "periodic": True,
        "teacher": None,
        "box": [1.0, 2.0, 4.0],
        "shape": (3, 4),
        "names": ["a", "b"],
        "policy": {"kind": "rule", "weights": [1, 2.5, None]},
    }


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
