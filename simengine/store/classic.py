"""NetCDF files in the classic format with 64-bit data (CDF-5), written in order, one block after another.

The format (NetCDF user guide, "File Format Specifications") is a short header followed by the values of each variable
in one piece. So a file larger than memory can be written by the operating system's own calls, which say what is wrong
when a disk is full; the NetCDF library would leave a file that it can neither write nor close.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC = b"CDF\x05"
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_CHARACTERS = 2
_TYPES = {"i1": 1, "i2": 3, "i4": 4, "f4": 5, "f8": 6, "u1": 7, "u2": 8, "u4": 9, "i8": 10, "u8": 11}


@dataclass(frozen=True)
class ClassicVariable:
    """A variable of numbers: its dimensions and type."""

    dims: tuple[str, ...]
    dtype: np.dtype[np.generic]

    def nbytes(self, dimensions: Mapping[str, int]) -> int:
        """How many bytes its values take."""
        number = 1
        for dim in self.dims:
            number *= dimensions[dim]
        return number * self.dtype.itemsize


def holds(dtype: np.dtype[np.generic]) -> bool:
    """Whether a classic file has this type; texts are none."""
    return f"{dtype.kind}{dtype.itemsize}" in _TYPES


def header(
    dimensions: Mapping[str, int], variables: Mapping[str, ClassicVariable], attributes: Mapping[str, str]
) -> bytes:
    """Return what stands before the first values; texts of equal length give headers of equal length."""
    numbers = {name: number for number, name in enumerate(dimensions)}
    listed = b"".join(_name(name) + _count(length) for name, length in dimensions.items())
    texts = {name: text.encode() for name, text in attributes.items()}
    said = b"".join(
        _name(name) + struct.pack(">i", _CHARACTERS) + _count(len(text)) + _padded(text) for name, text in texts.items()
    )
    start = MAGIC + _count(0) + _list(_DIMENSIONS, len(dimensions), listed) + _list(_ATTRIBUTES, len(texts), said)

    def described(begin: int) -> bytes:
        found = b""
        for name, variable in variables.items():
            size = variable.nbytes(dimensions)
            room = size + -size % 4
            found += _name(name) + _count(len(variable.dims)) + b"".join(_count(numbers[dim]) for dim in variable.dims)
            found += _list(0, 0, b"") + struct.pack(">i", _TYPES[f"{variable.dtype.kind}{variable.dtype.itemsize}"])
            found += _count(room) + _count(begin)
            begin += room
        return _list(_VARIABLES, len(variables), found)

    return start + described(len(start) + len(described(0)))


def write_values(file: BinaryIO, values: NDArray[np.generic]) -> None:
    """Write the next values of the variable that is being written."""
    file.write(np.ascontiguousarray(values, values.dtype.newbyteorder(">")).reshape(-1).view(np.uint8).data)


def end_variable(file: BinaryIO, nbytes: int) -> None:
    """Fill up after the last value of a variable of so many bytes."""
    file.write(b"\0" * (-nbytes % 4))


def _count(number: int) -> bytes:
    return struct.pack(">q", number)


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (-len(text) % 4)


def _name(name: str) -> bytes:
    encoded = name.encode()
    return _count(len(encoded)) + _padded(encoded)


def _list(tag: int, number: int, content: bytes) -> bytes:
    return struct.pack(">i", tag if number else 0) + _count(number) + content
