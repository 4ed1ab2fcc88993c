from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_sweeps import GRID, LATIN, create, description, do, in_a_child, outcome, write
from hypothesis import given
from hypothesis import strategies as st

from simengine.errors import InputError, StoreError
from simengine.store import content_hash
from simengine.store.writers import is_written
from simengine.sweeps import standing
from simengine.sweeps.batches import BatchRecord, batch_path, write_batch
from simengine.sweeps.design import full_grid
from simengine.sweeps.folder import SweepFolder, is_sweep
from simengine.sweeps.journal import append_line, read_journal
from simengine.sweeps.opening import open_sweep
from simengine.sweeps.standing import is_locked

N_RUNS = 18


@pytest.fixture
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def reopened(folder: SweepFolder) -> SweepFolder:
    """The sweep as a driver that comes later has it."""
    folder.release()
    found = SweepFolder.open(folder.path)
    found.lock()
    return found


def merged_hash(path: Path) -> str:
    with open_sweep(path) as dataset:
        return content_hash(dataset)


def test_a_new_sweep_misses_all_runs_by_point(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    missing = folder.missing()
    assert missing.dtype == np.int64
    assert missing.tolist() == [[point, replicate] for point in range(6) for replicate in range(3)]
    assert is_sweep(folder.path)
    assert not is_sweep(tmp_path)
    assert not len(folder.done())


def test_what_was_created_can_be_read_by_another(tmp_path: Path) -> None:
    create(tmp_path / "sweep", LATIN, strides=(7,), time_step="noise")
    found = SweepFolder.open(tmp_path / "sweep")
    assert found.design == LATIN
    assert found.replicates == 3
    described = description(strides=(7,), time_step="noise")
    assert found.description.to_json() == described.to_json()
    assert found.description.recorded_steps.tolist() == described.recorded_steps.tolist()


def test_runs_count_once_their_batch_is_in_the_journal(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    record = write(folder, [(0, 0), (0, 1), (4, 1)])
    assert len(folder.missing()) == N_RUNS
    folder.journal(record)
    assert folder.done().tolist() == [[0, 0], [0, 1]]
    assert folder.failed().tolist() == [[4, 1]]
    assert [4, 1] not in folder.missing().tolist()
    assert [4, 1] in folder.missing(failed=True).tolist()
    other = SweepFolder.open(folder.path)
    assert other.missing().tolist() == folder.missing().tolist()


def test_a_journal_torn_at_any_byte_loses_no_run(tmp_path: Path, no_fsync: None) -> None:
    folder = create(tmp_path / "sweep", replicates=1)
    do(folder, batch=2)
    assert not len(folder.missing())
    whole = (folder.path / "journal").read_bytes()
    folder.release()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole)):
        (folder.path / "journal").write_bytes(whole[:length])
        reader = SweepFolder.open(folder.path, check=False)
        assert len(reader.lines) == sum(end <= length for end in ends)
        if length % 40 == 0 or length + 1 in ends or length in ends:
            driver = SweepFolder.open(folder.path)
            driver.lock()
            assert not len(driver.missing())
            driver.release()
            journal = read_journal(folder.path)
            assert (len(journal.lines), journal.damaged) == (3, 0)


def test_a_damaged_line_is_told_and_its_batch_found_again(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    do(folder)
    content = bytearray((folder.path / "journal").read_bytes())
    content[30] ^= 1
    (folder.path / "journal").write_bytes(content)
    folder.release()
    found = SweepFolder(folder.path, folder.contents)
    with pytest.warns(UserWarning, match="1 lines of the journal are damaged"):
        found.lock()
    assert not len(found.missing())


def test_a_whole_batch_without_a_line_is_adopted_a_half_written_one_is_not(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    record = write(folder, [(0, 0), (0, 1)])
    half = batch_path(folder.path, "half.nc.tmp").with_suffix("")
    half.write_bytes(batch_path(folder.path, record.name).read_bytes()[:5000])
    damaged = batch_path(folder.path, "damaged")
    damaged.write_bytes(half.read_bytes())
    assert len(SweepFolder.open(folder.path).missing()) == N_RUNS
    found = reopened(folder)
    assert found.done().tolist() == [[0, 0], [0, 1]]
    assert not half.exists()
    assert len(read_journal(folder.path).lines) == 1
    assert reopened(found).done().tolist() == [[0, 0], [0, 1]]


def test_a_batch_of_another_sweep_is_not_adopted(tmp_path: Path) -> None:
    folder, other = create(tmp_path / "sweep"), create(tmp_path / "other")
    record = write(other, [(0, 0)])
    shutil.copy(batch_path(other.path, record.name), batch_path(folder.path, record.name))
    assert len(reopened(folder).missing()) == N_RUNS


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_a_damaged_batch_counts_as_missing_with_a_warning_and_can_be_done_again(tmp_path: Path, damage: str) -> None:
    folder = create(tmp_path / "sweep")
    do(folder)
    expected = merged_hash(folder.path)
    path = batch_path(folder.path, folder.lines[1].record.name)
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "flipped" else content[:-100])
    folder.release()
    with pytest.warns(UserWarning, match="count as missing"):
        found = SweepFolder.open(folder.path)
    assert found.missing().tolist() == [[1, 1], [1, 2], [2, 0], [2, 1]]
    with pytest.warns(UserWarning, match="count as missing"):
        found.lock()
    do(found)
    found.release()
    assert merged_hash(found.path) == expected
    again = SweepFolder.open(found.path)
    assert not len(again.missing())


def test_a_batch_that_is_not_what_the_journal_says_counts_as_missing(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    seed, found = outcome(folder.description, GRID.point(0), 0)
    layout = folder.description.layout
    folder.journal(write_batch(folder.path, "b", layout, [(0, 0, seed)], [found]))
    found.values = {**found.values, "order": found.values["order"] + 1}
    write_batch(folder.path, "b", layout, [(0, 0, seed)], [found])
    with pytest.warns(UserWarning, match="is not what the journal says"):
        assert len(SweepFolder.open(folder.path).missing()) == N_RUNS


def test_runs_done_twice_count_once_and_the_first_of_them(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    folder.journal(write(folder, [(0, 0), (0, 1)], "first"))
    folder.journal(write(folder, [(0, 1), (0, 2)], "second"))
    folder.journal(write(folder, [(0, 0), (0, 2)], "nothing-new"))
    assert folder.done().tolist() == [[0, 0], [0, 1], [0, 2]]
    assert [line.record.name for line in folder.lines] == ["first", "second"]
    holdings = SweepFolder.open(folder.path).holdings
    assert holdings.source[0].tolist() == [0, 0, 1]
    assert holdings.row[0].tolist() == [0, 1, 1]
    with open_sweep(folder.path) as dataset:
        _, expected = outcome(folder.description, GRID.point(0), 1)
        np.testing.assert_array_equal(dataset["order"][0, 0, 1], expected.values["order"])


def test_the_same_batch_written_and_told_twice_changes_nothing(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    folder.journal(write(folder, [(0, 0)], "b"))
    folder.journal(write(folder, [(0, 0)], "b"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(SweepFolder.open(folder.path).lines) == 1


def test_a_failed_run_gives_way_to_one_that_was_done(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    folder.journal(write(folder, [(4, 0), (4, 1)]))
    seed, found = outcome(folder.description, GRID.point(0), 0)
    again = write_batch(folder.path, "again", folder.description.layout, [(4, 1, seed)], [found])
    folder.journal(again)
    assert not len(folder.failed())
    assert SweepFolder.open(folder.path).holdings.source[4].tolist() == [0, 1, -1]


def test_runs_of_no_point_are_refused(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    record = write(folder, [(0, 0)])
    with pytest.raises(StoreError, match="not of the sweep"):
        folder.journal(BatchRecord("x", record.point + 6, record.replicate, record.status, "", 1, 0.0))


def test_more_replicates_leave_those_that_are_there(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    do(folder)
    assert folder.extend(replicates=5) == 12
    assert folder.missing().tolist() == [[point, replicate] for point in range(6) for replicate in (3, 4)]
    do(folder)
    folder.release()
    whole = create(tmp_path / "whole", replicates=5)
    do(whole)
    assert merged_hash(folder.path) == merged_hash(whole.path)


def test_a_grid_with_new_values_grows_and_repeats_nothing(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    do(folder)
    added = folder.extend(full_grid({"n_agents": (50, 100), "noise": (0.25, 0.5, 1.5)}))
    assert added == 4 * 3
    assert folder.missing()[:, 0].tolist() == [p for p in range(6, 10) for _ in range(3)]
    do(folder)
    with open_sweep(folder.path) as dataset:
        assert dict(dataset["order"].sizes) == {"noise": 5, "n_agents": 2, "replicate": 3, "time": 5}
        assert dataset["noise"].values.tolist() == [0.0, 0.25, 0.5, 1.0, 1.5]
    whole = create(tmp_path / "whole", full_grid({"noise": (0.0, 0.25, 0.5, 1.0, 1.5), "n_agents": (50, 100)}))
    do(whole)
    assert merged_hash(folder.path) == merged_hash(whole.path)


def test_points_that_fill_no_grid_open_as_runs(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    assert folder.extend(full_grid({"noise": (0.75,), "n_agents": (50,)})) == 3
    do(folder)
    with open_sweep(folder.path) as dataset:
        assert dict(dataset["order"].sizes) == {"run": 21, "time": 5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replicates": 2}, "cannot be extended to 2"),
        ({"design": full_grid({"nois": (1.0,), "n_agents": (50,)})}, "did you mean 'noise'"),
        ({"design": full_grid({"noise": (1.0,)})}, "need values of n_agents"),
    ],
)
def test_what_cannot_extend_a_sweep_is_refused_in_one_line(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    folder = create(tmp_path / "sweep")
    before = (folder.path / "sweep.json").read_bytes()
    with pytest.raises(InputError, match=message):
        folder.extend(**arguments)
    assert (folder.path / "sweep.json").read_bytes() == before


def test_asking_how_far_a_sweep_is_never_touches_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = create(tmp_path / "sweep")
    if is_written(folder.path, os.uname().nodename) is None:
        pytest.skip("this system does not list who holds which lock")
    monkeypatch.setattr(standing, "is_locked", lambda path: pytest.fail("the lock was tried"))
    assert folder.status()["running"]
    folder.release()
    assert not SweepFolder.open(folder.path).status()["running"]


def test_one_process_at_a_time_adds_to_a_sweep(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    assert is_locked(folder.path)
    assert folder.status()["running"]

    def other() -> None:
        with pytest.raises(StoreError, match="another process is carrying out the sweep"):
            SweepFolder.open(folder.path).lock()

    assert in_a_child(other) == 0
    folder.release()
    assert not is_locked(folder.path)
    with pytest.raises(StoreError, match="reading only"):
        folder.journal(write(folder, [(0, 0)]))


@pytest.mark.parametrize("content", ["sweep", "file", "folder", "no parent"])
def test_a_sweep_takes_no_place_of_something_else(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sweep"
    if content == "sweep":
        create(path).release()
    elif content == "file":
        path.write_text("mine")
    elif content == "folder":
        path.mkdir()
        (path / "mine").write_text("mine")
    else:
        path = tmp_path / "nowhere" / "sweep"
    with pytest.raises(InputError, match=r"^out: "):
        create(path)
    if content != "sweep":
        with pytest.raises(InputError, match=r"^out: "):
            SweepFolder.create(path, description(), GRID, 1, overwrite=True)


def test_overwriting_replaces_the_whole_sweep(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    do(folder)
    folder.release()
    fresh = SweepFolder.create(tmp_path / "sweep", description(), GRID, 3, overwrite=True)
    assert len(fresh.missing()) == N_RUNS
    assert fresh.contents.id != folder.contents.id
    assert not list((fresh.path / "batches").iterdir())


@pytest.mark.parametrize("damage", [b"", b"{", b'{"id": "' + b"0" * 32 + b'", "format": 1}'])
def test_a_damaged_description_is_told_in_one_line(tmp_path: Path, damage: bytes) -> None:
    folder = create(tmp_path / "sweep")
    (folder.path / "sweep.json").write_bytes(damage)
    with pytest.raises(StoreError, match=r"damaged|holds no sweep"):
        SweepFolder.open(folder.path)


def test_the_status_counts_what_the_journal_says(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    do(folder, folder.missing()[:14])
    said = folder.status()
    assert (said["runs"], said["done"], said["failed"], said["missing"], said["batches"]) == (18, 13, 1, 4, 4)
    assert (said["scenario"], said["design"], said["points"], said["replicates"]) == ("Example", "grid", 6, 3)
    assert said["seconds"] == 13 * 0.25
    assert said["bytes"] > 10_000


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=40, unique=True),
    st.booleans(),
)
def test_the_journal_gives_back_any_runs_in_their_order(keys: list[tuple[int, int]], ordered: bool) -> None:
    point, replicate = np.array(sorted(keys) if ordered else keys, np.int64).T
    status = (point % 3 == 0).astype(np.int8)
    with tempfile.TemporaryDirectory() as folder:
        append_line(Path(folder), BatchRecord("b", point, replicate, status, "d", 5, 0.1))
        record = read_journal(Path(folder)).lines[0].record
    assert record.point.tolist() == point.tolist()
    assert record.replicate.tolist() == replicate.tolist()
    assert record.status.tolist() == status.tolist()


def test_a_driver_killed_at_any_moment_loses_and_repeats_nothing(tmp_path: Path) -> None:
    undisturbed = create(tmp_path / "undisturbed")
    do(undisturbed, batch=1)
    expected = merged_hash(undisturbed.path)
    create(tmp_path / "sweep").release()

    def go_on() -> None:
        folder = SweepFolder.open(tmp_path / "sweep")
        folder.lock()
        do(folder, batch=1)

    before, kills = 0, 0
    for trial in range(20):
        child = os.fork()
        if child == 0:
            try:
                go_on()
            finally:
                os._exit(0)
        time.sleep(0.01 + 0.007 * (trial % 7))
        os.kill(child, signal.SIGKILL)
        kills += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0
        present = N_RUNS - len(SweepFolder.open(tmp_path / "sweep").missing())
        assert present >= before
        before = present
    assert kills
    go_on()
    assert merged_hash(tmp_path / "sweep") == expected
    lines = read_journal(tmp_path / "sweep").lines
    assert sum(len(line.record.point) for line in lines) == N_RUNS
