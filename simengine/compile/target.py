"""The processor that kernels are compiled for: pinned once, and stored with every result."""

from __future__ import annotations

import os
from functools import cache

# LLVM keeps to 256-bit registers by default on processors that have 512-bit ones; the neighbour search gains from all.
WIDE_REGISTERS = "-prefer-256-bit"


@cache
def pin() -> tuple[str, str]:
    """Fix numba's processor name and features (a user's own ``NUMBA_CPU_NAME`` wins) and return them."""
    import llvmlite.binding as llvm
    from numba.core import config

    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if os.environ.get("NUMBA_CPU_NAME") else llvm.get_host_cpu_features().flatten()
        features = f"{features},{WIDE_REGISTERS}" if features else WIDE_REGISTERS
    config.CPU_NAME = name  # type: ignore[attr-defined]
    config.CPU_FEATURES = features  # type: ignore[attr-defined]
    return name, features


def describe() -> str:
    """The pinned processor as one text."""
    return " ".join(pin())


def cpu_name() -> str:
    """The pinned processor's name, stored in every file."""
    return pin()[0]
