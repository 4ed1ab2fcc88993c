from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "engine", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("engine")


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
