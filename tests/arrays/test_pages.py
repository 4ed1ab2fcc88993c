from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from simengine.arrays.pages import HUGE_PAGE, LARGE, zeros


@pytest.mark.parametrize("dtype", [np.float64, np.int32, bool, "int64"])
@pytest.mark.parametrize("shape", [0, 7, (3, 5), LARGE // 8 + 3, (2, LARGE // 3 + 1)])
def test_an_array_of_zeros_is_numpys(shape: int | tuple[int, ...], dtype: type | str) -> None:
    found = zeros(shape, dtype)
    expected = np.zeros(shape, dtype)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert found.flags.aligned
    assert not found.any()
    found[...] = 1
    assert found.all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)), found)


def test_a_large_array_begins_with_a_page() -> None:
    assert zeros(LARGE, np.uint8).ctypes.data % HUGE_PAGE == 0


def test_arrays_do_not_share_memory_and_outlive_what_made_them() -> None:
    first, second = zeros(LARGE, np.uint8), zeros(LARGE, np.uint8)
    first[:] = 1
    part = second[LARGE // 2 :]
    del second
    assert not part.any()


def test_a_child_process_writes_into_memory_of_its_own() -> None:
    mine = zeros(LARGE, np.uint8)
    child = os.fork()
    if child == 0:
        mine[:] = 1
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not mine.any()
