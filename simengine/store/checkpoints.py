"""Checkpoints of a run beside its file: the state after some step, whole or not there.

``OUT.checkpoints/step-000000000500.npz`` is an ordinary npz file without compression and without pickles:
``0.npy``, ``1.npy`` and so on hold the arrays, ``metadata.json`` their names and all else. The archive's CRC-32
of each is compared before its content is looked at.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store.attributes import plain
from simengine.store.files import TEMPORARY_SUFFIX, fsync, remove_folder, store_errors, write_whole

CHECKPOINTS_SUFFIX = ".checkpoints"
CHECKPOINT_SUFFIX = ".npz"
KEPT = 2

_FORMAT = 1
_METADATA = "metadata.json"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after so many steps.

    Parameters
    ----------
    step
        Number of steps made.
    run
        Identity of the run, such as a hash of its scenario, parameters and seed.
    segments
        Number of closed segments that hold the rows recorded before this step.
    arrays
        The state, numbers and texts of fixed width, under any names. `write_checkpoint` asks for each once, one after
        the other, so that a mapping that fetches them needs room for one.
    details
        Whatever else is needed: None, bool, int, float, str, lists and dicts of these.
    """

    step: int
    run: str
    segments: int
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


def checkpoints_of(path: str | os.PathLike[str]) -> Path:
    """Return the folder that holds the checkpoints of a run file while it is being written."""
    path = Path(path)
    return path.parent / f"{path.name}{CHECKPOINTS_SUFFIX}"


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> Path:
    """Write a checkpoint of the run whose file is to be ``path``, and return the checkpoint's own file.

    Of the others the newest earlier one is kept; later ones belong to a course that the run has left, and go.

    Raises
    ------
    StoreError
        If it cannot be written, with the others as they were, or an array holds Python objects.
    """
    folder = checkpoints_of(path)
    names = list(checkpoint.arrays)
    metadata = {
        "format": _FORMAT,
        "step": int(checkpoint.step),
        "run": str(checkpoint.run),
        "segments": int(checkpoint.segments),
        "arrays": names,
        "details": plain(checkpoint.details),
    }
    content = json.dumps(metadata).encode()
    target = folder / f"step-{checkpoint.step:012d}.npz"
    with store_errors(f"write {target}"):
        if not folder.is_dir():
            folder.mkdir()
            fsync(folder.parent)
        try:
            write_whole(target, lambda temporary: _write(temporary, checkpoint.arrays, names, content))
        except BaseException:
            with suppress(OSError):
                folder.rmdir()
            raise
    # A file that cannot be removed is no failure of the run: readers take the newest.
    with suppress(OSError):
        _thin(folder, checkpoint.step)
    return target


def read_checkpoints(path: str | os.PathLike[str], run: str | None = None) -> list[Checkpoint]:
    """Return the checkpoints of the run whose file is to be ``path``, the newest first.

    Damaged ones, those of another format and, with ``run``, those of another run are left out.

    Raises
    ------
    StoreError
        If the folder is there and cannot be read.
    """
    folder = checkpoints_of(path)
    with store_errors(f"read {folder}"):
        files = list(_steps(folder)) if folder.exists() else []
    found = [_read(file, run) for file in files]
    return sorted((one for one in found if one is not None), key=lambda one: -one.step)


def read_checkpoint(file: Path) -> Checkpoint:
    """Return the checkpoint in a file of its own.

    Raises
    ------
    StoreError
        If there is none, or it is damaged or of another format.
    """
    with store_errors(f"read {file}"):
        if not file.is_file():
            raise StoreError(f"there is no checkpoint {file}")
    found = _read(file, None)
    if found is None:
        raise StoreError(f"{file} is no checkpoint of a run, or is damaged")
    return found


def checkpoint_files(folder: Path) -> list[Path]:
    """Return the files of the checkpoints in a folder, the oldest first.

    Raises
    ------
    StoreError
        If the folder cannot be read.
    """
    with store_errors(f"read {folder}"):
        return sorted(_steps(folder))


def remove_checkpoints(path: str | os.PathLike[str], after_segments: int | None = None) -> None:
    """Remove the checkpoints of a run file: all, or those that need more than ``after_segments`` segments.

    Raises
    ------
    StoreError
        If some cannot be removed.
    """
    folder = checkpoints_of(path)
    with store_errors(f"remove {folder}"):
        if after_segments is None:
            remove_folder(folder)
            return
        for file in list(_steps(folder)) if folder.is_dir() else []:
            checkpoint = _read(file, None)
            if checkpoint is None or checkpoint.segments > after_segments:
                file.unlink()


def _write(path: Path, arrays: Mapping[str, NDArray[Any]], names: list[str], metadata: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, name in enumerate(names):
            array = _contiguous(name, arrays[name])
            with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                header = np.lib.format.header_data_from_array_1_0(array)
                np.lib.format.write_array_header_2_0(member, header)
                if array.nbytes:
                    member.write(array.reshape(-1).view(np.uint8).data)
            # A mapping may fetch its arrays: the next one comes when this one has gone.
            del array
        archive.writestr(_METADATA, metadata)


def _read(file: Path, run: str | None) -> Checkpoint | None:
    try:
        if not file.is_file():
            return None
        with zipfile.ZipFile(file) as archive:
            metadata = json.loads(archive.read(_METADATA))
            if metadata["format"] != _FORMAT or run not in (None, metadata["run"]):
                return None
            arrays = {}
            for number, name in enumerate(metadata["arrays"]):
                member = io.BytesIO(archive.read(f"{number}.npy"))
                arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
            return Checkpoint(metadata["step"], metadata["run"], metadata["segments"], arrays, metadata["details"])
    except Exception:
        # Damage makes the readers of zip archives and arrays raise errors of nearly any class.
        return None


def _contiguous(name: str, values: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(values, order="C")
    if array.dtype.hasobject:
        raise StoreError(f"array {name!r} of a checkpoint holds Python objects; give numbers or texts")
    return array


def _steps(folder: Path) -> dict[Path, int]:
    """Return the files of checkpoints with the steps in their names."""
    found = {}
    for file in folder.iterdir():
        digits = file.name.removeprefix("step-").removesuffix(".npz")
        if digits.isdecimal() and file.name == f"step-{digits}.npz":
            found[file] = int(digits)
    return found


def _thin(folder: Path, step: int) -> None:
    steps = _steps(folder)
    earlier = sorted((one for one in steps.values() if one < step), reverse=True)[: KEPT - 1]
    for file, one in steps.items():
        if one != step and one not in earlier:
            file.unlink()
    for leftover in folder.glob("step-*" + TEMPORARY_SUFFIX):
        leftover.unlink()
