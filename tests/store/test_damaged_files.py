"""Whatever is in a file: a Dataset or one clear line, never another exception, a crash or a hang."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from example_runs import fill, in_a_child

from simengine.errors import StoreError
from simengine.store import (
    MemoryWriter,
    RunWriter,
    content_hash,
    open_run,
    parts_of,
    read_header_of,
    usable_segments,
    write_dataset,
)
from simengine.store.integrity import check_file

CASES = int(os.environ.get("SIMENGINE_FUZZ_CASES", "200"))
PER_CHILD = 20


def read_everything(path: Path) -> None:
    """Fail unless reading gives a result or a `StoreError` of one line."""
    for read in (lambda: open_run(path).close(), lambda: content_hash(path)):
        outcome(read)


def outcome(read: Callable[[], Any]) -> str:
    """Return the complaint, empty if there is none."""
    try:
        read()
    except StoreError as error:
        text = str(error)
        assert text
        assert "\n" not in text
        return text
    return ""


def damaged(whole: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, zeroed, exchanged or cut off."""
    content = bytearray(whole)
    place = draw.randrange(len(content))
    match draw.choice(["bytes", "bytes", "bytes", "zeros", "noise", "exchange", "cut"]):
        case "bytes":
            for _ in range(draw.choice([1, 1, 1, 2, 4, 16])):
                content[draw.randrange(len(content))] = draw.choice([0, 255, draw.randrange(256)])
        case "zeros":
            length = len(content[place : place + draw.choice([8, 64, 512, 4096])])
            content[place : place + length] = bytes(length)
        case "noise":
            length = len(content[place : place + draw.choice([8, 64, 512])])
            content[place : place + length] = draw.randbytes(length)
        case "exchange":
            other = draw.randrange(len(content) - 32)
            place = min(place, len(content) - 32)
            here, there = content[place : place + 32], content[other : other + 32]
            content[place : place + 32], content[other : other + 32] = there, here
        case "cut":
            del content[place:]
    return bytes(content)


@pytest.fixture
def run_file(tmp_path, layout, attributes) -> Path:
    """A file with texts, snapshots and missing values, and no more variables than that takes."""
    kinds = ("position", "n_births", "winner", "mass")
    few = replace(layout, variables=tuple(variable for variable in layout.variables if variable.name in kinds))
    with RunWriter(tmp_path / "run.nc", few, attributes) as writer:
        writer.static({"mass": np.arange(6.0)})
        for step in range(12):
            writer.record(step, step / 4, {"winner": "ab" * step, "n_births": None if step % 3 else step})
        writer.snapshot(0, 0.0, {"position": np.random.default_rng(1).random((6, 3))})
        return writer.close()


@pytest.mark.usefixtures("_no_fsync")
def test_a_damaged_run_file_gives_a_dataset_or_one_clear_line(tmp_path, run_file):
    whole = run_file.read_bytes()

    def cases(first: int) -> None:
        for number in range(first, first + PER_CHILD):
            path = tmp_path / "damaged.nc"
            path.write_bytes(damaged(whole, random.Random(number)))
            read_everything(path)

    for first in range(0, CASES, PER_CHILD):
        assert in_a_child(partial(cases, first), seconds=120) == 0, f"cases from {first}"


@pytest.mark.usefixtures("_no_fsync")
def test_a_damaged_folder_of_segments_gives_its_whole_ones_or_one_clear_line(tmp_path, layout, attributes):
    path = tmp_path / "run.nc"
    writer = RunWriter(path, layout, attributes, segment_rows=10)
    fill(writer)
    writer.flush()
    undamaged = open_run(path)
    files = sorted(parts_of(path).iterdir())
    assert len(files) == 6
    for number in range(max(1, CASES // 4)):
        draw = random.Random(number)
        file = draw.choice(files)
        whole = file.read_bytes()
        file.write_bytes(damaged(whole, draw))
        meaning = json.loads if file.suffix == ".json" else bytes
        try:
            changed = meaning(file.read_bytes()) != meaning(whole)
        except ValueError:
            changed = True
        kept: list[xr.Dataset] = []
        complaint = outcome(lambda kept=kept: kept.append(open_run(path)))
        if kept and changed:
            assert kept[0].sizes["time"] == 30
            assert kept[0].attrs["lost_segments"] == f"json:[{file.stem[-1]}]"
            np.testing.assert_array_equal(kept[0].polarization, np.cos(kept[0].step))
        elif changed:
            assert file.name in complaint
            assert outcome(lambda: read_header_of(path))
        else:
            xr.testing.assert_identical(kept[0], undamaged)
        assert usable_segments(path) == (4 if not changed else max(0, int(file.stem[-1]) - 1) if kept else 0)
        file.write_bytes(whole)


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: [],
        lambda content: None,
        lambda content: {},
        lambda content: {**content, "format": 1},
        lambda content: {**content, "format": None},
        lambda content: {**content, "layout": 3},
        lambda content: {**content, "layout": {**content["layout"], "variables": [{}]}},
        lambda content: {**content, "attributes": {**content["attributes"], "noise": 0.2}},
        lambda content: {**content, "sha256": 5},
        lambda content: {name: value for name, value in content.items() if name != "volatile"},
    ],
)
def test_a_header_that_was_edited_is_one_clear_line(tmp_path, layout, attributes, harm):
    path = tmp_path / "run.nc"
    RunWriter(path, layout, attributes)
    header = parts_of(path) / "header.json"
    header.write_text(json.dumps(harm(json.loads(header.read_text()))))
    for read in (open_run, read_header_of):
        assert "run.nc.parts" in outcome(lambda read=read: read(path))


def other_netcdf(path: Path, form: str) -> None:
    with netCDF4.Dataset(path, "w", format=form) as file:
        file.createDimension("x", 3)
        file.createVariable("y", "f4", ("x",))[:] = 1.5


def group_only(path: Path) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createGroup("group").createDimension("x", 2)


def odd_types(path: Path) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 2)
        pair = file.createCompoundType(np.dtype([("a", "f8"), ("b", "i4")]), "pair")
        file.createVariable("pairs", pair, ("x",))
        file.createVariable("ragged", file.createVLType("i4", "row"), ("x",))
        file.provenance_volatile = 5


def odd_times(path: Path) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", 2)
        variable = file.createVariable("time", "f8", ("time",))
        variable.units = "days since the flood"
        variable[:] = [1, 2]


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"),
        lambda path: path.write_bytes(b"CDF\x01"),
        lambda path: path.write_text("step,order\n0,1\n"),
        lambda path: path.write_bytes(random.Random(1).randbytes(5000)),
        lambda path: np.arange(3.0).tofile(path),
        *(partial(other_netcdf, form=form) for form in ("NETCDF3_CLASSIC", "NETCDF3_64BIT_DATA", "NETCDF4_CLASSIC")),
        group_only,
        odd_types,
        odd_times,
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_files_of_other_programs_give_a_dataset_or_one_clear_line(tmp_path, make):
    make(tmp_path / "other.nc")
    assert in_a_child(lambda: read_everything(tmp_path / "other.nc")) == 0


def unsealed(path: Path) -> Path:
    """A file after another program changed it."""
    with netCDF4.Dataset(path, "a") as file:
        file.note = "changed"
    return path


def test_any_changed_byte_of_a_file_is_damage(run_file):
    whole = run_file.read_bytes()
    draw = random.Random(1)
    for place in (0, 8, 9, len(whole) - 49, len(whole) - 1, *(draw.randrange(len(whole) - 48) for _ in range(200))):
        content = bytearray(whole)
        content[place] ^= 1 << draw.randrange(8)
        run_file.write_bytes(content)
        assert outcome(lambda: open_run(run_file))
    run_file.write_bytes(whole)
    open_run(run_file).close()


def test_a_file_that_another_program_changed_is_no_damaged_one(run_file):
    before = content_hash(run_file)
    with netCDF4.Dataset(run_file, "a") as file:
        file["mass"][0] = 17.0
    with open_run(run_file) as run:
        assert float(run.mass[0]) == 17.0
    assert content_hash(run_file) != before
    with open_run(unsealed(run_file)) as run:
        assert run.note == "changed"


def test_a_heap_that_the_library_would_never_leave_is_damage(run_file):
    whole = unsealed(run_file).read_bytes()
    heap = whole.index(b"GCOL\x01")
    check_file(run_file)
    stuck = bytearray(whole)
    stuck[heap + 16 : heap + 32] = bytes(16)
    endless = bytearray(whole)
    endless[heap + 24 : heap + 32] = (2**64 - 16).to_bytes(8, "little")
    beyond = bytearray(whole)
    beyond[heap + 8 : heap + 16] = (2**40).to_bytes(8, "little")
    for content in (stuck, endless, beyond):
        run_file.write_bytes(content)
        for read in (open_run, content_hash):
            assert "is no chain" in outcome(lambda read=read: read(run_file))


def test_long_texts_and_many_of_them_pass_the_guard(tmp_path):
    texts = np.array(["GCOL\x01" * (number % 7) + "x" * (number % 5000) for number in range(3000)], dtype=object)
    run = xr.Dataset({"text": ("i", texts)}, attrs={"note": "GCOL\x01", "notes": ["GCOL\x01", "GCOL\x01\0\0\0"]})
    path = write_dataset(run, tmp_path / "texts.nc")
    with netCDF4.Dataset(path, "a") as file:
        file["text"][5] = "another, longer by far" * 1000
    check_file(path)
    assert str(open_run(path).text[5].values).startswith("another")


class TestVanished:
    """What was written is deleted under a running writer."""

    def begin(self, path: Path, layout, attributes, closed: int = 2) -> RunWriter:
        static = {"mass": np.arange(6) / 8}
        writer = RunWriter(path, layout, attributes, static=static, segment_rows=5)
        fill(writer, 5 * closed + 3)
        return writer

    @pytest.mark.parametrize("closed", [0, 2])
    def test_a_deleted_folder_is_one_clear_line_and_keeps_the_rows_in_memory(
        self, tmp_path, layout, attributes, closed
    ):
        path = tmp_path / "run.nc"
        writer = self.begin(path, layout, attributes, closed)
        shutil.rmtree(parts_of(path))
        with pytest.raises(
            StoreError, match=r"run.nc.parts vanished .* the last .* rows, which were in memory, are in"
        ):
            writer.close()
        for again in (writer.close, writer.flush, lambda: fill(writer, 1, first=90)):
            with pytest.raises(StoreError, match="vanished"):
                again()
        writer.abandon()
        kept = open_run(path)
        np.testing.assert_array_equal(kept.step, np.arange(5 * closed, 5 * closed + 3))
        assert usable_segments(path) == (0 if closed else 1)
        np.testing.assert_array_equal(read_header_of(path).static["mass"], np.arange(6) / 8)
        resumed = RunWriter.resume(path, 0)
        fill(resumed, 20)
        with MemoryWriter(layout, attributes) as memory:
            fill(memory, 20)
        assert content_hash(resumed.close()) == content_hash(memory.close())

    @pytest.mark.parametrize(
        ("name", "usable"), [("segment-000001.nc", 0), ("segment-000000.nc", 3), ("header.json", 3)]
    )
    def test_a_deleted_file_is_named_at_the_next_flush(self, tmp_path, layout, attributes, name, usable):
        path = tmp_path / "run.nc"
        writer = self.begin(path, layout, attributes)
        (parts_of(path) / name).unlink()

        def goes_on() -> None:
            with writer:
                fill(writer, 10, first=13)

        with pytest.raises(StoreError, match=f"{name} of .*run.nc.parts vanished") as caught:
            goes_on()
        assert "\n" not in str(caught.value)
        assert not hasattr(caught.value, "__notes__")
        assert usable_segments(path) == usable
        assert int(open_run(path).step[-1]) == 14

    def test_rows_that_can_be_written_nowhere_are_told(self, tmp_path, layout, attributes):
        (tmp_path / "results").mkdir()
        writer = self.begin(tmp_path / "results" / "run.nc", layout, attributes)
        shutil.rmtree(tmp_path / "results")
        with pytest.raises(StoreError, match=r"vanished .* could not be written: No such file or directory"):
            writer.flush()

    def test_a_folder_that_became_read_only_keeps_its_segments_and_is_continued_later(
        self, tmp_path, layout, attributes, monkeypatch
    ):
        path = tmp_path / "run.nc"
        writer = self.begin(path, layout, attributes)

        def refuse(*_: Any) -> None:
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", refuse)
            with pytest.raises(StoreError, match=r"cannot write .*run.nc.parts: Permission denied") as caught:
                writer.flush()
            assert "\n" not in str(caught.value)
            with pytest.raises(StoreError, match="Permission denied"):
                writer.abandon()
        assert open_run(path).sizes["time"] == 10
        assert usable_segments(path) == 2
        resumed = RunWriter.resume(path, 2)
        fill(resumed, 10, first=10)
        assert xr.load_dataset(resumed.close()).sizes["time"] == 20
