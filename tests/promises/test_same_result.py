"""A result is a function of scenario, parameters and seed: not of threads, strides or storage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray

import simengine

STEPS, STRIDE = 30, 10
CASES: dict[str, dict[str, Any]] = {
    "wealth_exchange": {"n_agents": 300, "initial_wealth": 2},
    "wealth_exchange one by one": {"n_agents": 100, "initial_wealth": 2, "order": "one_by_one"},
    "voter": {"n_agents": 200, "n_opinions": 3},
    "flocking shuffled": {"n_agents": 150, "box": 50.0},
    "flocking synchronous, pairs": {"n_agents": 150, "box": 50.0, "order": "synchronous"},
    "flocking synchronous, cells": {"n_agents": 900, "box": 100.0, "order": "synchronous"},
    "predator_prey": {"n_prey": 600, "n_predators": 60, "box": 30.0, "prey_capacity": 3000, "predator_capacity": 2000},
    "schooling": {"n_agents": 80},
    "schooling cells": {"n_agents": 700, "radius_attraction": 6.0},
    "schooling dewi-kadita": {"n_agents": 80, "rules": "dewi-kadita"},
}
OTHERS = {
    "two threads": {"threads": 2},
    "three threads": {"threads": 3},
    "every tenth step": {"every": STRIDE},
    "stored by cell": {"storage_order": "by_cell"},
    "stored by cell, two threads, every tenth step": {"storage_order": "by_cell", "threads": 2, "every": STRIDE},
}
_found: dict[str, xarray.Dataset] = {}


def result(case: str, **options: Any) -> xarray.Dataset:
    return simengine.run(
        case.split()[0], seed=7, steps=STEPS, snapshot_every=STRIDE, progress=False,
        **({"threads": 1, "every": 1, "storage_order": "by_id"} | CASES[case] | options),
    )  # fmt: skip


def plain(case: str) -> xarray.Dataset:
    if case not in _found:
        _found[case] = result(case)
    return _found[case]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("case", CASES)
def test_threads_strides_and_storage_do_not_show_in_a_result(case: str, other: str) -> None:
    expected, found = plain(case), result(case, **OTHERS[other])
    assert found.attrs["stopped_at"] == expected.attrs["stopped_at"] == STEPS
    expected = expected.sel(time=found.time)
    assert set(found.variables) == set(expected.variables)
    for name in found.variables:
        mine, theirs = found[name].values, expected[name].values
        assert mine.dtype == theirs.dtype, name
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_another_seed_gives_another_result(case: str) -> None:
    other = simengine.run(case.split()[0], seed=8, steps=STEPS, snapshot_every=STRIDE, progress=False, **CASES[case])
    last = plain(case).isel(snapshot_time=-1)
    fields = [name for name in last.data_vars if "snapshot_time" in other[name].dims]
    assert any(not np.array_equal(last[name], other[name].isel(snapshot_time=-1)) for name in fields)
