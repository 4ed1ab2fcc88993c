"""Compiled functions are kept in files that several processes may write at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.caching import IndexDataCacheFile

from simengine.arrays import jit


def doubled(values):
    return values[0] * 2


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jit, "library", lambda: tmp_path)
    return tmp_path


def test_two_signatures_written_at_the_same_moment_keep_their_own_code(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As two processes do: each reads the index before the other has written it.
    monkeypatch.setattr(IndexDataCacheFile, "_load_index", lambda self: {})
    jit.njit(cache=True)(doubled)(np.array([3], dtype=np.int64))
    jit.njit(cache=True)(doubled)(np.array([1.5]))
    monkeypatch.undo()
    monkeypatch.setattr(jit, "library", lambda: kept)

    again: Any = jit.njit(cache=True)(doubled)
    assert again(np.array([3], dtype=np.int64)) == 6
    assert again(np.array([1.5])) == 3.0
    assert sum(again.stats.cache_hits.values()) == 2


def test_a_function_is_not_compiled_again_for_a_signature_that_was_seen(kept: Path) -> None:
    jit.njit(cache=True)(doubled)(np.array([1.5]))
    again: Any = jit.njit(cache=True)(doubled)
    again(np.array([1.5]))
    again(np.array([2], dtype=np.int64))
    assert sum(again.stats.cache_hits.values()) == 1
    assert sum(again.stats.cache_misses.values()) == 1
