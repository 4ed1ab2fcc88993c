"""Tiles: modules of torch evaluated in batches of one fixed shape, each item in a row of its own choice.

Libraries of linear algebra choose their kernels by shape, and treat the last rows of a batch apart, so that the same
item may get other bits in a batch of another size or at another place. Here an item always has the same row of a tile
of the same shape, on one thread; what stands in the other rows enters none of its sums. So its result does not depend
on who else was asked, in which order, or in which process. On another kind of processor, or with another version of
torch, the bits may differ.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError

ALIGNMENT = 64
"""Bytes; kernels may take another path, and round differently, where weights do not start at such an address."""

_EVALUATING = threading.RLock()


def library(name: str, what: str, extra: str) -> Any:
    """Return an optional library; ``InputError`` says what needs it and how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{what} needs {name}, which is not installed: pip install 'simengine[{extra}]'") from None


def tile_of(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the tile of each item, given its row: items of the same row take one tile after the other, in order.

    Neighbouring ids with rows ``id % tile`` fill tiles completely; n ids from nowhere need little more than n / tile.
    """
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.searchsorted(ordered, ordered, side="left")
    found = np.empty(len(rows), np.int64)
    found[order] = np.arange(len(rows)) - first
    return found


@contextmanager
def evaluating(device: str = "cpu") -> Iterator[Any]:
    """Give torch with one thread, deterministic kernels, full precision and no gradients; put back what was set.

    These are settings of the process: one evaluation runs at a time.
    """
    if device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch = importlib.import_module("torch")
    with _EVALUATING:
        threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
        deterministic = torch.are_deterministic_algorithms_enabled()
        warns = torch.is_deterministic_algorithms_warn_only_enabled()
        cudnn = torch.backends.cudnn
        try:
            torch.set_num_threads(1)
            torch.set_float32_matmul_precision("highest")
            torch.use_deterministic_algorithms(True)
            with (
                cudnn.flags(enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=False),
                torch.autocast(torch.device(device).type, enabled=False),
                torch.no_grad(),
            ):
                yield torch
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warns)
            torch.set_float32_matmul_precision(precision)
            torch.set_num_threads(threads)


def settle(module: Any) -> None:
    """Make a module ready to be evaluated: no training mode, no gradients, every tensor at an aligned address."""
    module.eval()
    module.requires_grad_(False)
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % ALIGNMENT:
            tensor.data = tensor.data.clone()


def weights_digest(state: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a state_dict: name, dtype, shape and bytes of every tensor, by name."""
    torch = importlib.import_module("torch")
    found = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        if not isinstance(value, torch.Tensor):
            found.update(f"{name}\0{value!r}\0".encode())
            continue
        found.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
