"""Large snapshots come in blocks and go straight to the disk."""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from example_runs import in_a_child

from simengine.errors import RunError, StoreError
from simengine.store import Layout, MemoryWriter, RunWriter, Variable, content_hash, open_run, usable_segments
from simengine.store.blocks import Blocks
from simengine.store.files import parts_of
from simengine.store.segments import segment_path

AGENTS = 501
SMALL = 2048
"""Bytes of a segment, and with it of a block: a snapshot takes many."""


def layout_of(agents: int = AGENTS) -> Layout:
    dims = ("snapshot_time", "agent")
    return Layout(
        {"agent": agents, "axis": 3},
        {"agent": (np.arange(agents), {"units": "1"})},
        (
            Variable("total", ("time",)),
            Variable("births", ("time",), "int64"),
            Variable("position", (*dims, "axis"), "float64", "m"),
            Variable("weight", dims, "float32"),
            Variable("caste", dims, "uint8"),
            Variable("partner", dims, "int64"),
            Variable("awake", dims, "bool"),
        ),
        "s",
    )


def values_at(step: int, agents: int = AGENTS) -> dict[str, Any]:
    draw = np.random.default_rng(step)
    caste = np.ma.masked_array(draw.integers(0, 9, agents), np.arange(agents) > agents - step)
    return {
        "position": draw.random((agents, 3)), "weight": draw.random(agents, np.float32), "caste": caste,
        "partner": draw.integers(-1, 2**60, agents), "awake": draw.random(agents) < 0.5,
    }  # fmt: skip


def in_blocks(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Blocks.of(values) for name, values in row.items()}


def fill(writer: RunWriter | MemoryWriter, blocks: bool, first: int = 0, end: int = 6) -> None:
    for step in range(first, end):
        writer.record(step, step / 2, {"total": float(step)} | ({"births": step} if step % 2 else {}))
        if step % 2 == 0:
            row = values_at(step)
            if step == 4:
                del row["weight"]
            writer.snapshot(step, step / 2, in_blocks(row) if blocks else row)


def test_rows_in_blocks_give_the_same_file_and_the_same_dataset(tmp_path: Path) -> None:
    hashes = []
    for number, (size, blocks) in enumerate([(1 << 26, False), (1 << 26, True), (SMALL, False), (SMALL, True)]):
        with RunWriter(tmp_path / f"{number}.nc", layout_of(), {"seed": 1}, segment_bytes=size) as writer:
            fill(writer, blocks)
            hashes.append(content_hash(writer.close({"stopped_at": 5})))
    memory = MemoryWriter(layout_of(), {"seed": 1})
    fill(memory, True)
    assert {*hashes, memory.close({"stopped_at": 5}).attrs["content_hash"]} == {hashes[0]}
    with xr.open_dataset(tmp_path / "3.nc") as run:
        np.testing.assert_array_equal(run.position[1], values_at(2)["position"])
        np.testing.assert_array_equal(run.awake[2], values_at(4)["awake"])
        assert np.isnan(run.weight[2]).all()
        assert int(np.isnan(run.caste[2]).sum()) == 3
        assert run.partner.dtype == np.int64


def test_a_segment_of_one_row_is_ordinary_netcdf_that_says_what_is_missing(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "x.nc", layout_of(), {}, segment_bytes=SMALL) as writer:
        fill(writer, True)
        writer.flush()
        path = segment_path(parts_of(tmp_path / "x.nc"), writer.segments - 1)
        with netCDF4.Dataset(path) as file:
            np.testing.assert_array_equal(file["position"][0], values_at(4)["position"])
            assert file["snapshot_step"][0] == 4
            assert file.missing_values_in.split() == ["births", "caste", "weight"]
        with open_run(tmp_path / "x.nc") as run:
            np.testing.assert_array_equal(run.snapshot_step, [0, 2, 4])


def test_one_block_of_one_variable_is_fetched_at_a_time(tmp_path: Path) -> None:
    fetched: list[tuple[str, int, int]] = []

    def following(name: str, values: Any) -> Blocks:
        def fetch(first: int, end: int) -> Any:
            fetched.append((name, first, end))
            return values[first:end]

        return Blocks(values.shape, fetch)

    with RunWriter(tmp_path / "x.nc", layout_of(), {}, segment_bytes=SMALL) as writer:
        writer.snapshot(0, 0.0, {name: following(name, values) for name, values in values_at(0).items()})
    assert [name for n, (name, *_) in enumerate(fetched) if n == 0 or fetched[n - 1][0] != name] == list(values_at(0))
    for name, values in values_at(0).items():
        spans = [span for of, *span in fetched if of == name]
        assert [first for first, _ in spans] == [0, *(end for _, end in spans[:-1])]
        assert spans[-1][1] == AGENTS
        item = values.nbytes // AGENTS if values.dtype != np.int64 or name == "partner" else 1
        assert max(end - first for first, end in spans) * item <= SMALL


def test_what_is_in_memory_does_not_grow_with_the_snapshot(tmp_path: Path) -> None:
    agents = 1 << 23
    layout = Layout({"agent": agents}, {}, (Variable("place", ("snapshot_time", "agent")),), "s")
    tracemalloc.start()
    with RunWriter(tmp_path / "x.nc", layout, {}) as writer:
        writer.snapshot(0, 0.0, {"place": Blocks((agents,), lambda first, end: np.arange(first, end, dtype=float))})
        writer.close()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The row has 64 MiB; the largest thing held is a block of 8 MiB with its copies, as it is hashed.
    assert most < 40 << 20
    with xr.open_dataset(tmp_path / "x.nc") as run:
        assert float(run.place[0, -1]) == agents - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position": Blocks((AGENTS, 2), lambda first, end: np.zeros((end - first, 2)))}, "rows of shape"),
        ({"weight": Blocks((AGENTS,), lambda first, end: np.zeros(3))}, "rows of shape"),
        ({"caste": Blocks((AGENTS,), lambda first, end: np.full(end - first, 256))}, "does not fit"),
        ({"weigth": Blocks((AGENTS,), lambda first, end: np.zeros(end - first))}, "did you mean 'weight'"),
    ],
)
def test_a_row_that_does_not_fit_was_never_there(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    expected = MemoryWriter(layout_of(), {})
    with RunWriter(tmp_path / "x.nc", layout_of(), {}, segment_bytes=SMALL) as writer:
        for each in (expected, writer):
            fill(each, True)
        with pytest.raises(StoreError, match=message):
            writer.snapshot(6, 3.0, in_blocks(values_at(6)) | change)
        with pytest.raises(StoreError, match="not later than the last"):
            writer.snapshot(4, 3.0, in_blocks(values_at(4)))
        for each in (expected, writer):
            each.snapshot(6, 3.0, in_blocks(values_at(6)))
        digest = content_hash(writer.close())
    assert digest == expected.close().attrs["content_hash"]


def test_an_error_of_who_has_the_values_is_passed_on_and_leaves_no_segment(tmp_path: Path) -> None:
    def lost(first: int, end: int) -> Any:
        if first:
            raise RunError("nobody answers")
        return np.zeros(end - first, int)

    with RunWriter(tmp_path / "x.nc", layout_of(), {}, segment_bytes=SMALL) as writer:
        fill(writer, True)
        writer.flush()
        before = writer.segments
        with pytest.raises(RunError, match="nobody answers"):
            writer.snapshot(6, 3.0, in_blocks(values_at(6)) | {"partner": Blocks((AGENTS,), lost)})
        assert writer.segments == before == usable_segments(tmp_path / "x.nc")
        assert not list(parts_of(tmp_path / "x.nc").glob("*.tmp"))


def test_a_process_killed_within_a_row_leaves_the_rows_before_it_and_can_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "x.nc"

    def die(first: int, end: int) -> Any:
        if first:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.zeros(end - first, int)

    def run() -> None:
        writer = RunWriter(path, layout_of(), {}, segment_bytes=SMALL)
        fill(writer, True, end=4)
        writer.flush()
        writer.snapshot(4, 2.0, in_blocks(values_at(4)) | {"partner": Blocks((AGENTS,), die)})

    assert in_a_child(run) == -signal.SIGKILL
    with RunWriter.resume(path, usable_segments(path), segment_bytes=SMALL) as writer:
        fill(writer, True, first=4)
        digest = content_hash(writer.close())
    whole = MemoryWriter(layout_of(), {})
    fill(whole, False)
    assert digest == whole.close().attrs["content_hash"]


@pytest.mark.parametrize("place", [0, 100, -200, -5])
def test_damage_of_a_large_segment_is_told(tmp_path: Path, place: int) -> None:
    path = tmp_path / "x.nc"
    with RunWriter(path, layout_of(), {}, segment_bytes=SMALL) as writer:
        fill(writer, True, end=1)
        writer.flush()
        segment = segment_path(parts_of(path), 2)
        content = bytearray(segment.read_bytes())
        content[place] ^= 1
        segment.write_bytes(content)
        assert usable_segments(path) == 1
        with pytest.raises(StoreError, match=r"segment-000002\.nc is damaged"):
            writer.close()
        writer.abandon()
