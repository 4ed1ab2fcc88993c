"""Room for large arrays in huge pages of memory.

An array that is read here and there costs a look into the table of pages for each read, which takes longer than the
read itself; with pages of 2 MiB instead of 4 KiB the processor remembers where they are. Memory that was freed and is
taken again keeps its small pages, so large arrays get memory of their own.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE = 1 << 22
HUGE_PAGE = 1 << 21


def zeros(shape: int | tuple[int, ...], dtype: Any = np.float64) -> NDArray[Any]:
    """Return an array of zeros, like numpy's; a large one in huge pages, where the system has them."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(shape, kind)
    memory = mmap.mmap(-1, size + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:
        return np.zeros(shape, kind)
    address: int = np.frombuffer(memory, np.uint8).ctypes.data
    found: NDArray[Any] = np.frombuffer(memory, np.uint8, size, -address % HUGE_PAGE).view(kind).reshape(shape)
    return found
