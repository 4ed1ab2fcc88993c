"""Full disks, read-only folders, files deleted under a run: one clear line, nothing lost, and the run can go on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray
from dying_runs import CASES, Nursery, carry_out, full_after, prepared

import simengine
from simengine import InputError, StoreError
from simengine.runs.recorder import Recorder
from simengine.store import checkpoints_of, content_hash, parts_of, writer

CASE = "flocking"
_found: list[xarray.Dataset] = []


@pytest.fixture(autouse=True)
def segments_by_checkpoints_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no clock close segments, so that a slow machine writes the same ones."""
    monkeypatch.setattr(writer, "clock", SimpleNamespace(monotonic=lambda: 0.0))


def undisturbed() -> xarray.Dataset:
    if not _found:
        _found.append(carry_out(CASE, None))
    return _found[0]


def finished(path: Path) -> str:
    """Finish a run when the trouble is over, or begin it where nothing of it is left, and return its hash."""
    if parts_of(path).is_dir():
        simengine.resume(path, threads=1, progress=False).close()
    else:
        carry_out(CASE, path).close()
    assert {entry.name for entry in path.parent.iterdir()} <= {path.name, f"{path.name}.checkpoints"}
    return content_hash(path)


def assert_one_clear_line(text: str, *words: str) -> None:
    assert "\n" not in text
    assert len(text) < 600
    assert not [word for word in words if word not in text], text


def assert_closed_segments_open(path: Path) -> None:
    """Check that what is left opens and holds rows of the undisturbed run."""
    if not parts_of(path).is_dir():
        return
    assert not list(parts_of(path).glob("*.tmp"))
    with simengine.open(path) as found:
        assert found.attrs["unfinished"] == 1
        expected = undisturbed().sel(time=found.time)
        np.testing.assert_array_equal(found.polarization, expected.polarization)


@pytest.mark.parametrize("calls", [0, 1, 3, 5, 6, 7, 8, 9, 11, 14, 17, 20])
def test_a_disk_that_fills_up_is_one_line_and_the_run_can_be_resumed(calls: int, tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    with full_after(calls), pytest.raises(StoreError) as caught:
        carry_out(CASE, path)
    assert_one_clear_line(str(caught.value), "cannot write", str(path), "No space left on device")
    assert not path.exists()
    assert_closed_segments_open(path)
    assert finished(path) == undisturbed().attrs["content_hash"]


@pytest.mark.parametrize("calls", [0, 2, 4, 5, 6, 9, 12])
def test_a_disk_that_fills_up_while_a_run_is_resumed_harms_nothing(calls: int, tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    with full_after(12), pytest.raises(StoreError):
        carry_out(CASE, path)
    with full_after(calls), pytest.raises(StoreError) as caught:
        simengine.resume(path, threads=1, progress=False)
    assert_one_clear_line(str(caught.value), str(path), "No space left on device")
    assert_closed_segments_open(path)
    assert finished(path) == undisturbed().attrs["content_hash"]


@pytest.fixture(scope="module")
def nursery(kernel_cache: Path) -> Iterator[Nursery]:
    with prepared() as nursery:
        yield nursery


@pytest.mark.parametrize("largest", [500, 4_000, 15_000, 25_000])
def test_files_that_cannot_grow_are_one_line_and_the_run_can_be_resumed(
    largest: int, nursery: Nursery, tmp_path: Path
) -> None:
    path = tmp_path / "run.nc"
    kind, text = nursery.child(CASE, path, largest_file=largest)["error"]
    assert kind == "StoreError"
    assert_one_clear_line(text, "cannot write", str(path))
    assert_closed_segments_open(path)
    assert finished(path) == undisturbed().attrs["content_hash"]


# -- real disks ---------------------------------------------------------------------------------------------------


def mounted(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not (os.name == "posix" and os.geteuid() == 0 and shutil.which("mount")):
        pytest.skip("only root can mount a small disk")
    if not mounted("-t", "tmpfs", "-o", "size=1m", "none", str(folder)):
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=False)


@pytest.mark.parametrize("free", [2_000, 30_000, 50_000, 70_000, 90_000])
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(free: int, disk: Path, nursery: Nursery) -> None:
    path = disk / "run" / "run.nc"
    path.parent.mkdir()
    (disk / "other").write_bytes(bytes(shutil.disk_usage(disk).free // 4096 * 4096 - free))
    kind, text = nursery.child(CASE, path)["error"]
    assert kind == "StoreError"
    assert_one_clear_line(text, "cannot write", str(path), "No space left on device")
    assert_closed_segments_open(path)
    (disk / "other").unlink()
    assert finished(path) == undisturbed().attrs["content_hash"]


def test_a_disk_that_becomes_read_only_is_one_line_and_the_run_can_be_resumed(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = disk / "run.nc"
    at_step(14, lambda: mounted("-o", "remount,ro", str(disk)), monkeypatch)
    with pytest.raises(StoreError) as caught:
        carry_out(CASE, path)
    assert_one_clear_line(str(caught.value), "cannot write", str(path), "Read-only file system")
    assert_closed_segments_open(path)
    with pytest.raises(StoreError) as caught:
        simengine.resume(path, progress=False)
    assert_one_clear_line(str(caught.value), str(path), "Read-only file system")
    assert mounted("-o", "remount,rw", str(disk))
    assert finished(path) == undisturbed().attrs["content_hash"]


def test_a_folder_that_cannot_be_written_is_the_users_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(path: Any, mode: int = 0o777) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    path = tmp_path / "run.nc"
    carry_out(CASE, None)
    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(InputError) as caught:
        carry_out(CASE, path)
    assert_one_clear_line(str(caught.value), "out: cannot write", str(path), "Permission denied")
    assert list(tmp_path.iterdir()) == []


# -- files deleted under a run ------------------------------------------------------------------------------------


def at_step(step: int, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something as a step is about to be recorded, once."""
    original, done = Recorder.record, []

    def record(recorder: Recorder, last: bool = False) -> None:
        if recorder.engine.step == step and not done:
            done.append(act())
        original(recorder, last)

    monkeypatch.setattr(Recorder, "record", record)


@pytest.mark.parametrize("gone", ["", "header.json", "segment-000000.nc", "segment-000001.nc"])
def test_segments_deleted_under_a_run_are_one_line_and_the_run_can_be_resumed(
    gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.nc"
    victim = parts_of(path) / gone
    at_step(14, lambda: victim.unlink() if gone else shutil.rmtree(victim), monkeypatch)
    with pytest.raises(StoreError) as caught:
        carry_out(CASE, path)
    assert_one_clear_line(str(caught.value), gone or str(victim), "vanished while the run was writing there")
    with simengine.open(path) as found:
        kept = [12, 14, 16, 18, 20] if gone in ("", "segment-000001.nc") else range(0, 22, 2)
        np.testing.assert_array_equal(found.step, kept)
    assert_closed_segments_open(path)
    assert finished(path) == undisturbed().attrs["content_hash"]


def test_checkpoints_deleted_under_a_run_do_not_disturb_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.nc"
    at_step(14, lambda: shutil.rmtree(checkpoints_of(path)), monkeypatch)
    with carry_out(CASE, path) as found:
        assert found.attrs["content_hash"] == undisturbed().attrs["content_hash"]
    assert len(list(checkpoints_of(path).iterdir())) == 2
    assert CASES[CASE]["checkpoint_every"] == 11
