from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# The processes of a parallel session share the processors. Threads of a linear algebra library that wait for one
# another then burn most of the time, and what Ray starts would get what all others leave. Read when they are loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from simengine.shards.ray_cluster import Cluster, connect

settings.register_profile(
    "engine", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("engine")

GARBAGE_THRESHOLDS = 50_000, 20, 20
"""The compiler makes and keeps objects by the million; looking through all of them for garbage takes a tenth of it."""


def pytest_collection_finish() -> None:
    """Look for garbage less often, and never among what was imported and collected."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@pytest.fixture(autouse=True)
def numpy_warns() -> None:
    """Numpy's error state is the usual one, whatever libraries did to it when they were imported (dit silences all)."""
    np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")


@pytest.fixture(scope="session", autouse=True)
def kernel_cache() -> Iterator[Path]:
    """One folder of compiled kernels for the whole suite, kept between sessions unless the user has chosen one."""
    chosen = os.environ.get("SIMENGINE_CACHE_DIR")
    folder = Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"simengine-tests-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["SIMENGINE_CACHE_DIR"] = str(folder)
    yield folder
    if chosen is None:
        del os.environ["SIMENGINE_CACHE_DIR"]


@pytest.fixture(scope="session")
def ray_session(kernel_cache: Path) -> Iterator[Cluster]:
    """The one Ray of the whole suite: local, with two processors; started by the first test that asks for it."""
    with connect("local", workers=2) as cluster:
        yield cluster
