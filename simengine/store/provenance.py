"""Where a result comes from: versions and machine type (part of it), host and times (not part of it)."""

from __future__ import annotations

import functools
import platform
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

_PACKAGES = ("simengine", "numpy", "numba", "llvmlite", "scipy", "networkx", "xarray", "netCDF4")


def provenance(*, cpu_target: str = "", threads: int | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return global attributes on the origin of a run that starts now.

    Parameters
    ----------
    cpu_target
        Name of the CPU that kernels are compiled for; left out if empty.
    threads
        Number of threads that kernels use; left out if None.

    Returns
    -------
    stable
        ``version_python``, ``version_numpy`` and so on (packages that are not installed are left out),
        ``system``, ``machine``, ``cpu_target``: a run on another machine type is another result.
    volatile
        ``host``, ``started_at`` (UTC, ISO 8601), ``history``, ``platform``, ``threads``: no result depends
        on them.
    """
    stable = {**versions(), "system": platform.system(), "machine": platform.machine()}
    if cpu_target:
        stable["cpu_target"] = cpu_target
    started = now()
    volatile: dict[str, Any] = {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "started_at": started,
        "history": f"{started} computed by simengine {stable.get('version_simengine', '')}".rstrip(),
    }
    if threads is not None:
        volatile["threads"] = threads
    return stable, volatile


def finished() -> dict[str, Any]:
    """Return the volatile attributes of a run that ends now: ``finished_at``."""
    return {"finished_at": now()}


def now() -> str:
    """Return the current time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@functools.cache
def versions() -> Mapping[str, str]:
    """Return ``version_*`` of Python and the packages that results may depend on."""
    found = {"version_python": ".".join(map(str, sys.version_info[:3]))}
    for package in _PACKAGES:
        try:
            found[f"version_{package}"] = version(package)
        except PackageNotFoundError:
            continue
    return MappingProxyType(found)
