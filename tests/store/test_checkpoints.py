from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from simengine.errors import StoreError
from simengine.store import Checkpoint, checkpoints_of, read_checkpoints, remove_checkpoints, write_checkpoint
from simengine.store.attributes import to_json

any_dtype = arrays_of.scalar_dtypes() | arrays_of.unicode_string_dtypes(max_len=3) | arrays_of.byte_string_dtypes()
any_array = arrays_of.arrays(any_dtype, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def made(step: int = 5, run: str = "r", segments: int = 2) -> Checkpoint:
    arrays = {"agents/position": np.arange(12.0).reshape(4, 3) + step, "count": np.array(step, np.uint64)}
    return Checkpoint(step, run, segments, arrays, {"observables": {"drift": [1.5, None]}})


def assert_same(found: Checkpoint, expected: Checkpoint) -> None:
    assert (found.step, found.run, found.segments) == (expected.step, expected.run, expected.segments)
    assert to_json(found.details) == to_json(expected.details)
    assert list(found.arrays) == list(expected.arrays)
    for name, values in expected.arrays.items():
        assert found.arrays[name].dtype == values.dtype
        assert found.arrays[name].shape == values.shape
        assert found.arrays[name].tobytes() == values.tobytes()


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    written = write_checkpoint(tmp_path / "x.nc", made())
    assert written == tmp_path / "x.nc.checkpoints" / "step-000000000005.npz"
    (found,) = read_checkpoints(tmp_path / "x.nc")
    assert_same(found, made())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays=st.dictionaries(st.text(max_size=6), any_array, max_size=3),
    details=st.dictionaries(st.text(max_size=4), json_values, max_size=3),
    step=st.integers(0, 2**62),
)
def test_any_names_types_shapes_and_details_come_back(tmp_path, arrays, details, step):
    remove_checkpoints(tmp_path / "x.nc")
    checkpoint = Checkpoint(step, "identity", 3, arrays, details)
    write_checkpoint(tmp_path / "x.nc", checkpoint)
    (found,) = read_checkpoints(tmp_path / "x.nc", "identity")
    assert_same(found, checkpoint)


def test_strides_and_memory_order_do_not_matter(tmp_path):
    values = np.arange(24.0).reshape(4, 6)
    arrays = {"fortran": np.asfortranarray(values), "part": values[::2, 1::3], "turned": values.T}
    write_checkpoint(tmp_path / "x.nc", Checkpoint(0, "r", 0, arrays))
    (found,) = read_checkpoints(tmp_path / "x.nc")
    for name, expected in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], expected)


def test_the_arrays_are_an_ordinary_npz_without_pickles(tmp_path):
    with np.load(write_checkpoint(tmp_path / "x.nc", made()), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["0"], made().arrays["agents/position"])


def test_the_last_two_are_kept_the_newest_first(tmp_path):
    for step in range(5):
        write_checkpoint(tmp_path / "x.nc", made(step))
    assert [one.step for one in read_checkpoints(tmp_path / "x.nc")] == [4, 3]
    assert len(os.listdir(tmp_path / "x.nc.checkpoints")) == 2


def test_later_ones_of_a_course_that_was_left_go_with_the_next(tmp_path):
    for step in (8, 9, 3):
        write_checkpoint(tmp_path / "x.nc", made(step))
    assert [one.step for one in read_checkpoints(tmp_path / "x.nc")] == [3]


def test_those_of_other_runs_are_skipped(tmp_path):
    write_checkpoint(tmp_path / "x.nc", made(1, "one"))
    write_checkpoint(tmp_path / "x.nc", made(2, "two"))
    assert [one.step for one in read_checkpoints(tmp_path / "x.nc", "one")] == [1]
    assert [one.step for one in read_checkpoints(tmp_path / "x.nc")] == [2, 1]
    assert read_checkpoints(tmp_path / "x.nc", "three") == []


def test_no_checkpoints_are_an_empty_list(tmp_path):
    assert read_checkpoints(tmp_path / "x.nc") == []
    remove_checkpoints(tmp_path / "x.nc")
    remove_checkpoints(tmp_path / "x.nc", after_segments=1)


def test_removing_takes_all_or_those_that_need_more_segments(tmp_path):
    path = tmp_path / "x.nc"
    write_checkpoint(path, made(1, segments=1))
    write_checkpoint(path, made(2, segments=4))
    remove_checkpoints(path, after_segments=4)
    assert [one.step for one in read_checkpoints(path)] == [2, 1]
    remove_checkpoints(path, after_segments=3)
    assert [one.step for one in read_checkpoints(path)] == [1]
    remove_checkpoints(path)
    assert not checkpoints_of(path).exists()


def test_a_damaged_byte_is_harmless_or_makes_the_checkpoint_none(tmp_path):
    path = tmp_path / "x.nc"
    file = write_checkpoint(path, made())
    whole = file.read_bytes()
    skipped = 0
    for place in range(len(whole)):
        for change in (1, 0xFF):
            damaged = bytearray(whole)
            damaged[place] ^= change
            file.write_bytes(damaged)
            for found in read_checkpoints(path, "r"):
                assert_same(found, made())
                break
            else:
                skipped += 1
    assert skipped > len(whole)


@pytest.mark.parametrize("content", [b"", b"PK", b"text", b"\x89HDF\r\n\x1a\n", b"\0" * 1000])
def test_what_is_no_checkpoint_is_skipped(tmp_path, content):
    path = tmp_path / "x.nc"
    write_checkpoint(path, made(1))
    later = checkpoints_of(path) / "step-000000000009.npz"
    later.write_bytes(content)
    np.savez(checkpoints_of(path) / "step-000000000008.npz", x=np.arange(3))
    (checkpoints_of(path) / "notes.txt").write_text("a note")
    assert [one.step for one in read_checkpoints(path)] == [1]


def test_a_cut_checkpoint_leaves_the_one_before(tmp_path):
    path = tmp_path / "x.nc"
    write_checkpoint(path, made(1))
    file = write_checkpoint(path, made(2))
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        assert [one.step for one in read_checkpoints(path)] == [1]


def test_objects_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(StoreError, match="'x' of a checkpoint holds Python objects"):
        write_checkpoint(tmp_path / "x.nc", Checkpoint(0, "r", 0, {"x": np.array([{}])}))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_others(tmp_path, monkeypatch):
    path = tmp_path / "x.nc"
    write_checkpoint(path, made(1))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot write .*step-000000000002.npz: No space left") as caught:
        write_checkpoint(path, made(2))
    assert "\n" not in str(caught.value)
    assert [one.step for one in read_checkpoints(path)] == [1]
    assert len(os.listdir(checkpoints_of(path))) == 1


def test_a_folder_that_cannot_be_read_is_one_clear_line(tmp_path):
    checkpoints_of(tmp_path / "x.nc").write_text("a file in its place")
    with pytest.raises(StoreError, match="cannot read") as caught:
        read_checkpoints(Path(tmp_path / "x.nc"))
    assert "\n" not in str(caught.value)
