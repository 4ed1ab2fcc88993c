from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import example_sweeps
import numpy as np
import pytest
from example_sweeps import GRID, LATIN, create, do, in_a_child, write

from simengine.errors import StoreError
from simengine.store import content_hash
from simengine.sweeps import compaction
from simengine.sweeps.compaction import compact
from simengine.sweeps.design import Design, full_grid
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.index import write_index
from simengine.sweeps.opening import failures, open_sweep

KILLED = 7


@pytest.fixture
def several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FILE_BYTES", 2500)


def merged_hash(path: Path) -> str:
    with open_sweep(path) as dataset:
        return content_hash(dataset)


def done(path: Path, design: Design = GRID, batch: int = 4, **changes: Any) -> SweepFolder:
    folder = create(path, design, **changes)
    do(folder, batch=batch)
    return folder


@pytest.mark.parametrize("design", [GRID, LATIN], ids=["grid", "points"])
def test_a_finished_sweep_is_what_its_batches_were(tmp_path: Path, design: Design, several_files: None) -> None:
    folder = done(tmp_path / "sweep", design)
    with open_sweep(folder.path) as before:
        before.load()
    listed = failures(folder.path)
    compact(folder)
    assert len(list((folder.path / "data").iterdir())) > 2
    assert not list((folder.path / "batches").iterdir())
    with open_sweep(folder.path) as after:
        hashed = after.attrs.pop("content_hash")
        assert after.identical(before)
        assert content_hash(after) == hashed == content_hash(before)
    assert failures(folder.path) == listed
    assert folder.compacted
    assert SweepFolder.open(folder.path).compacted
    assert not len(folder.missing())


def test_the_content_hash_depends_on_neither_batches_nor_their_order_nor_their_durations(tmp_path: Path) -> None:
    hashes = set()
    for number, batch in enumerate((1, 5, 100)):
        folder = create(tmp_path / str(number))
        keys = folder.missing()
        do(folder, np.random.default_rng(number).permutation(keys) if number else keys, batch)
        hashes.add(merged_hash(folder.path))
        compact(folder)
        hashes.add(merged_hash(folder.path))
    assert len(hashes) == 1


def test_one_changed_value_changes_the_content_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = merged_hash(done(tmp_path / "one").path)
    truly = example_sweeps.outcome

    def otherwise(described: Any, point: dict[str, Any], replicate: int) -> Any:
        seed, found = truly(described, point, replicate)
        if point == {"noise": 0.0, "n_agents": 100} and replicate == 2:
            found.values["histogram"][3, 1] += 1
        return seed, found

    monkeypatch.setattr(example_sweeps, "outcome", otherwise)
    assert merged_hash(done(tmp_path / "other").path) != expected


def test_compacting_twice_changes_nothing(tmp_path: Path) -> None:
    folder = done(tmp_path / "sweep")
    compact(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    compact(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")} == before


def test_a_sweep_is_extended_and_finished_again(tmp_path: Path, several_files: None) -> None:
    folder = done(tmp_path / "sweep")
    compact(folder)
    folder.extend(full_grid({"noise": (0.25,), "n_agents": (50, 100)}), replicates=4)
    assert not folder.compacted
    with open_sweep(folder.path) as half:
        assert int((half["status"] == 2).sum()) == 2 * 4 + 6
        assert half.attrs["unfinished"] == 1
    do(folder)
    compact(folder)
    names = {path.name for path in (folder.path / "data").iterdir()}
    assert all(name.startswith("0002-") for name in names)
    whole = create(tmp_path / "whole", full_grid({"noise": (0.0, 0.25, 0.5, 1.0), "n_agents": (50, 100)}), 4)
    do(whole)
    assert merged_hash(folder.path) == merged_hash(whole.path)
    assert failures(folder.path) == [
        {**failure, "point": {6: 4, 7: 5}[failure["point"]]} for failure in failures(whole.path)
    ]  # fmt: skip


def test_what_is_missing_can_still_be_done_after_a_compaction(tmp_path: Path) -> None:
    expected = merged_hash(done(tmp_path / "undisturbed").path)
    folder = create(tmp_path / "sweep")
    do(folder, folder.missing()[5:12])
    compact(folder)
    assert not folder.compacted
    folder.release()
    folder = SweepFolder.open(tmp_path / "sweep")
    folder.lock()
    assert len(folder.missing()) == 11
    do(folder)
    compact(folder)
    assert folder.compacted
    assert merged_hash(folder.path) == expected


def killed_at(call: int, task: Callable[[], object]) -> int:
    """Do something in a child that is killed before it changes the disk for the ``call``-th time."""

    def counted() -> None:
        left = [call]
        for name in ("replace", "unlink", "fsync", "mkdir", "truncate", "rmdir"):
            truly = getattr(os, name) if name != "fsync" else lambda _: None

            def otherwise(*given: Any, truly: Any = truly, **more: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(KILLED)
                return truly(*given, **more)

            setattr(os, name, otherwise)
        task()

    return in_a_child(counted)


def test_killed_between_any_two_steps_a_finishing_sweep_is_whole(tmp_path: Path, several_files: None) -> None:
    folder = done(tmp_path / "whole", batch=6)
    expected = merged_hash(folder.path)
    folder.release()
    path = tmp_path / "sweep"

    def finish() -> None:
        folder = SweepFolder.open(path)
        folder.lock()
        compact(folder)

    states = set()
    code = KILLED
    for call in range(200):
        shutil.copytree(tmp_path / "whole", path)
        code = killed_at(call, finish)
        found = SweepFolder.open(path)
        states.add((found.index is not None, len(found.lines), len(list((path / "batches").iterdir()))))
        assert not len(found.missing())
        if call % 2 or code == 0:
            assert merged_hash(path) == expected
        # A driver that comes after a killed one removes what nobody needs.
        found.lock()
        if not call % 2:
            assert merged_hash(path) == expected
        assert not list(path.rglob("*.tmp"))
        if found.index is not None:
            assert not list((path / "batches").iterdir())
            assert {file.name for file in (path / "data").iterdir()} == found.index.names
        else:
            assert not list(path.glob("data/*"))
        found.release()
        shutil.rmtree(path)
        if code != KILLED:
            break
    assert code == 0
    assert {(False, 3, 3), (True, 0, 3), (True, 0, 2), (True, 0, 0)} <= states


def test_a_full_disk_leaves_the_batches_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = done(tmp_path / "sweep")
    expected = merged_hash(folder.path)
    truly = os.replace

    def full(source: Any, target: Any) -> None:
        if "index" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        truly(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match="No space left"):
        compact(folder)
    assert not list((folder.path / "data").iterdir())
    assert merged_hash(folder.path) == expected
    monkeypatch.setattr(os, "replace", truly)
    compact(folder)
    assert merged_hash(folder.path) == expected


def test_a_late_batch_of_runs_that_are_there_is_removed(tmp_path: Path) -> None:
    folder = done(tmp_path / "sweep")
    compact(folder)
    record = write(folder, [(0, 0)], "late")
    folder.release()
    folder = SweepFolder.open(folder.path)
    folder.lock()
    assert folder.compacted
    assert not list((folder.path / "batches").iterdir())
    folder.journal(record)
    assert folder.compacted


def test_a_damaged_batch_stops_finishing_and_nothing_is_removed(tmp_path: Path) -> None:
    folder = done(tmp_path / "sweep")
    path = folder.path / "batches" / f"{folder.lines[0].record.name}.nc"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    batches = sorted((folder.path / "batches").iterdir())
    with pytest.raises(StoreError, match="damaged"):
        compact(folder)
    assert sorted((folder.path / "batches").iterdir()) == batches
    assert not list((folder.path / "data").iterdir())


def test_damaged_results_are_told_in_one_line(tmp_path: Path) -> None:
    folder = done(tmp_path / "sweep")
    compact(folder)
    for path in (folder.path / "index.json", *(folder.path / "data").iterdir()):
        content = path.read_bytes()
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged"), open_sweep(folder.path) as dataset:
            dataset.load()
        path.write_bytes(content)
    with open_sweep(folder.path) as dataset:
        dataset.load()


def test_an_interrupt_right_after_the_index_was_written_leaves_what_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = merged_hash(done(tmp_path / "undisturbed").path)
    folder = done(tmp_path / "interrupted")

    def interrupted(*arguments: Any) -> None:
        write_index(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(compaction, "write_index", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compact(folder)
    monkeypatch.undo()
    assert merged_hash(folder.path) == wanted
    folder.release()
    with SweepFolder.open(folder.path) as again:
        assert len(again.missing()) == 0
