"""What is needed when a shard dies: the state that was last kept, and what is told of it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import RunError

MOST_IN_MEMORY = 64 * 2**20
MOST_FAULTS_AT_ONE_STEP = 5


class ShardsLost(RunError):  # noqa: N818
    """Some shards have died; ``lost`` says which and how it was noticed."""

    def __init__(self, lost: Mapping[int, str]) -> None:
        self.lost = dict(lost)
        super().__init__("; ".join(how if n < 0 else f"shard {n}: {how}" for n, how in self.lost.items()))

    def __reduce__(self) -> tuple[type[ShardsLost], tuple[dict[int, str]]]:
        return ShardsLost, (self.lost,)


class KeptState:
    """A state to go back to, in memory where it is small and in a temporary file where it is not."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], details: Mapping[str, Any]) -> None:
        self.details, self.step = dict(details), int(details["step"])
        self._names = list(arrays)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._arrays: dict[str, NDArray[Any]] | None = {}
        size = 0
        # Each is read once: a mapping may fetch its arrays.
        for number, name in enumerate(self._names):
            values = arrays[name]
            size += values.nbytes
            if self._arrays is not None and size > MOST_IN_MEMORY:
                self._spill(self._arrays)
                self._arrays = None
            if self._arrays is None:
                np.save(self._file(number), values)
            else:
                self._arrays[name] = values
            del values

    def _spill(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="simengine-kept-")
        for number, values in enumerate(arrays.values()):
            np.save(self._file(number), values)

    def _file(self, number: int) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / f"{number}.npy"

    def close(self) -> None:
        """Remove what lies in files."""
        if self._folder is not None:
            self._folder.cleanup()

    def read(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The arrays, mapped into memory where they lie in a file, and the plain values."""
        if self._arrays is not None:
            return self._arrays, self.details
        mapped = {name: np.load(self._file(n), mmap_mode="r") for n, name in enumerate(self._names)}
        return mapped, self.details


class Faults:
    """What died in a run, and what was done about it."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self._at = (-1, 0)

    def check(self, step: int, lost: ShardsLost) -> None:
        """Give up where shards die at one step again and again."""
        self._at = (step, self._at[1] + 1 if self._at[0] == step else 1)
        if self._at[1] > MOST_FAULTS_AT_ONE_STEP:
            raise RunError(f"shards die again and again at step {step}: {lost}")

    def add(self, step: int, lost: ShardsLost, replaced: list[int], repeated: int, seconds: float) -> str:
        """Note a fault that has been mended; return what to tell the user of it."""
        self.listed.append(
            {"step": step, "what": str(lost), "replaced": replaced, "steps_repeated": repeated, "seconds": seconds}
        )
        whose = ", ".join(map(str, replaced)) or "none"
        return (
            f"simengine: {lost} (after step {step}); replaced: {whose}, steps repeated: {repeated}, "
            f"{seconds:.1f} s; the result is not affected"
        )
