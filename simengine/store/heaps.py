"""A guard before the HDF5 library: it never returns from a damaged global heap, where texts and references lie."""

from __future__ import annotations

import mmap
import os

from simengine.errors import StoreError
from simengine.store.files import damage_errors

_FILE_MAGIC = b"\x89HDF\r\n\x1a\n"
# Signature, version, three zeros: no text of a run file holds these, and compressed data never by chance.
_HEAP_MAGIC = b"GCOL\x01\0\0\0"
_HEAP_HEADER = 16
_OBJECT_HEADER = 16
_SEARCHED = 1 << 30


def check_heaps(path: str | os.PathLike[str]) -> None:
    """Raise StoreError if a global heap of an HDF5 file is such that the library would loop over it forever.

    A heap (HDF5 file format, section III.E) is a chain of objects, each with an index (two bytes), and at its
    ninth byte its size (eight bytes): of the data that follow, or with index 0 of all free space, itself
    included. The library does not notice a chain that does not move on. Heaps are found by their signature,
    in the first and last gibibyte; files of other formats pass.
    """
    with damage_errors(f"read {path}"), open(path, "rb") as file:
        if file.read(len(_FILE_MAGIC)) != _FILE_MAGIC:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            size = len(content)
            for first, last in ((0, min(size, _SEARCHED)), (max(_SEARCHED, size - _SEARCHED), size)):
                start = content.find(_HEAP_MAGIC, first, last)
                while start >= 0:
                    start = content.find(_HEAP_MAGIC, _end_of_heap(path, content, start), last)


def _end_of_heap(path: str | os.PathLike[str], content: mmap.mmap, start: int) -> int:
    size = int.from_bytes(content[start + 8 : start + _HEAP_HEADER], "little")
    end, place = start + size, start + _HEAP_HEADER
    step = _OBJECT_HEADER
    while place + _OBJECT_HEADER <= end <= len(content) and step >= _OBJECT_HEADER:
        index = int.from_bytes(content[place : place + 2], "little")
        length = int.from_bytes(content[place + 8 : place + _OBJECT_HEADER], "little")
        step = _OBJECT_HEADER + (length + 7) // 8 * 8 if index else length
        place += step
    if step < _OBJECT_HEADER or not start + _HEAP_HEADER <= place <= end <= len(content):
        raise StoreError(f"{path} is damaged: its heap at byte {start} is no chain")
    return end
