from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from example_sweeps import GRID, LAYOUT, create, description, outcome, write

from simengine.errors import StoreError
from simengine.store.layout import Layout, Variable
from simengine.sweeps.batches import batch_path, read_record, write_batch
from simengine.sweeps.blocks import Block
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.outcomes import Outcome
from simengine.sweeps.run_table import DONE, FAILED


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return create(tmp_path / "sweep")


def everything(block: Block, name: str, runs: int, length: int = 5) -> np.ndarray:
    variable = next(variable for variable in LAYOUT.variables if variable.name == name)
    inner = (length, *LAYOUT.row_shape(variable))
    out = np.full((runs, *inner), variable.fill_value, variable.storage_dtype)
    block.read(name, np.arange(runs), [np.arange(n) for n in inner], out)
    return out


def test_a_batch_gives_back_what_its_runs_recorded(folder: SweepFolder) -> None:
    write(folder, [(0, 0), (1, 2)], "b")
    block = Block(batch_path(folder.path, "b"))
    for row, (point, replicate) in enumerate([(0, 0), (1, 2)]):
        _, found = outcome(folder.description, GRID.point(point), replicate)
        for name, values in found.values.items():
            read = everything(block, name, 2)[row]
            assert read.dtype == values.dtype
            np.testing.assert_array_equal(read, values)


def test_a_run_that_stopped_between_two_records_has_its_last_one_at_the_later_one(folder: SweepFolder) -> None:
    write(folder, [(0, 0), (2, 0)], "b")
    block = Block(batch_path(folder.path, "b"))
    _, found = outcome(folder.description, GRID.point(2), 0)
    assert found.steps.tolist() == [0, 10, 20, 21]
    order = everything(block, "order", 2)[1]
    np.testing.assert_array_equal(order, [*found.values["order"], np.nan])
    assert block.table().stopped_at.tolist() == [40, 21]
    assert block.table().reasons == ("", "steps", "unchanged opinion")


def test_only_rows_and_records_that_are_asked_for_are_read_in_the_order_asked_for(folder: SweepFolder) -> None:
    write(folder, [(0, r) for r in range(3)] + [(1, r) for r in range(3)], "b")
    block = Block(batch_path(folder.path, "b"))
    whole = everything(block, "histogram", 6)
    out = np.zeros((3, 2, 2), np.int64)
    block.read("histogram", np.array([5, 0, 3]), [np.array([4, 1]), np.array([2, 0])], out)
    np.testing.assert_array_equal(out, whole[np.ix_([5, 0, 3], [4, 1], [2, 0])])


def test_a_failed_run_has_no_values_but_its_reason(folder: SweepFolder) -> None:
    record = write(folder, [(4, 0), (4, 1)], "b")
    assert record.status.tolist() == [DONE, FAILED]
    block = Block(batch_path(folder.path, "b"))
    assert block.failures() == [
        {"row": 1, "kind": "ValueError", "message": "too noisy", "traceback": "Traceback ..."}
    ]  # fmt: skip
    assert np.isnan(everything(block, "order", 2)[1]).all()


def test_a_batch_of_failed_runs_only_can_be_read(folder: SweepFolder) -> None:
    write(folder, [(4, 1), (5, 1)], "b")
    block = Block(batch_path(folder.path, "b"))
    assert block.table().status.tolist() == [FAILED, FAILED]
    assert (everything(block, "n_groups", 2) == np.iinfo(np.int64).min).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": np.zeros(4)}, "'order' has shape"),
        ({"histogram": np.zeros((5, 2), np.int64)}, "'histogram' has shape"),
        ({"n_groups": np.zeros(5)}, "'n_groups' is float64, the sweep has int64"),
        ({"n_group": np.zeros(5)}, "did you mean 'n_groups'"),
    ],
)
def test_a_run_whose_values_do_not_fit_fails_and_the_others_stay(
    folder: SweepFolder, change: dict[str, np.ndarray], message: str
) -> None:
    seed, good = outcome(folder.description, GRID.point(0), 0)
    bad = Outcome({**good.values, **change}, good.steps, 40, "steps")
    record = write_batch(folder.path, "b", LAYOUT, [(0, 0, seed), (0, 1, seed)], [bad, good])
    assert record.status.tolist() == [FAILED, DONE]
    assert message in Block(batch_path(folder.path, "b")).failures()[0]["message"]


@pytest.mark.parametrize("steps", [[0, 11, 20, 30, 40], [0, 10, 20, 30, 50], [0, 20, 10, 30, 40], [0, 10, 20, 29, 30]])
def test_a_run_with_other_steps_fails(folder: SweepFolder, steps: list[int]) -> None:
    seed, good = outcome(folder.description, GRID.point(0), 0)
    bad = Outcome(good.values, np.array(steps), steps[-1], "steps")
    record = write_batch(folder.path, "b", LAYOUT, [(0, 0, seed), (0, 1, seed)], [bad, good])
    assert record.status.tolist() == [FAILED, DONE]


def test_a_repeated_batch_has_the_same_digest_whatever_it_took(folder: SweepFolder) -> None:
    seed, found = outcome(folder.description, GRID.point(0), 0)
    first = write_batch(folder.path, "b", LAYOUT, [(0, 0, seed)], [found])
    found.seconds = 99.0
    assert write_batch(folder.path, "b", LAYOUT, [(0, 0, seed)], [found]).digest == first.digest
    found.values = {**found.values, "order": found.values["order"] + 1e-12}
    assert write_batch(folder.path, "b", LAYOUT, [(0, 0, seed)], [found]).digest != first.digest


def test_the_record_can_be_had_from_the_file_alone(folder: SweepFolder) -> None:
    record = write(folder, [(0, 2), (1, 0), (4, 1)], "b")
    found, sweep = read_record(batch_path(folder.path, "b"))
    assert sweep == folder.contents.id
    assert found.point.tolist() == [0, 1, 4]
    assert found.replicate.tolist() == [2, 0, 1]
    assert (found.digest, found.size, found.name) == (record.digest, record.size, "b")


def test_damage_is_told_before_a_value_is_read(folder: SweepFolder) -> None:
    record = write(folder, [(0, 0)], "b")
    path = batch_path(folder.path, "b")
    content = bytearray(path.read_bytes())
    for place in range(0, record.size, record.size // 40):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(StoreError):
            read_record(path)
    path.write_bytes(content[: record.size // 2])
    with pytest.raises(StoreError):
        read_record(path)


def test_a_batch_that_cannot_be_written_leaves_nothing(folder: SweepFolder) -> None:
    shutil.rmtree(folder.path / "batches")
    with pytest.raises(StoreError, match="cannot write"):
        write(folder, [(0, 0)], "b")
    assert not (folder.path / "batches").exists()


def test_observables_with_a_stride_of_their_own_have_gaps_that_are_fill_values(tmp_path: Path) -> None:
    layout = Layout({}, {}, (Variable("fast", ("time",), "int64"), Variable("slow", ("time",))))
    folder = create(tmp_path / "sweep", layout=layout, strides=(15,))
    assert description(strides=(15,)).recorded_steps.tolist() == [0, 10, 15, 20, 30, 40]
    coarse = Outcome(
        {"fast": np.arange(5), "slow": np.arange(5.0)}, np.array([0, 10, 20, 30, 40]), 40, "steps"
    )  # fmt: skip
    record = write_batch(folder.path, "b", layout, [(0, 0, 1)], [coarse])
    assert record.status.tolist() == [DONE]
    block = Block(batch_path(folder.path, "b"))
    assert block.missing == {"fast"}
    out = np.full((1, 6), np.iinfo(np.int64).min)
    block.read("fast", np.array([0]), [np.arange(6)], out)
    assert out[0].tolist() == [0, 1, np.iinfo(np.int64).min, 2, 3, 4]


def test_tiny_batches_are_small_files(folder: SweepFolder) -> None:
    assert write(folder, [(0, 0)], "b").size < 40_000
