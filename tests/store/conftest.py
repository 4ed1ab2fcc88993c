from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from example_runs import N_AGENTS

from simengine.store import Layout, Variable


@pytest.fixture(autouse=True)
def _every_warning_fails() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


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
