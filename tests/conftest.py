from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from simengine.shards.ray_cluster import Cluster, connect

settings.register_profile(
    "engine", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("engine")


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
