"""A guard before the HDF5 library, which may crash, hang or give wrong values when a file is damaged.

Files written here are sealed: behind what HDF5 reads stand a mark and the SHA-256 of all bytes before it. HDF5
passes over them, and cuts them off when it changes a file, which is then an ordinary one without a seal.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from pathlib import Path

from simengine.errors import StoreError
from simengine.store.files import damage_errors

_SEAL = b"simengine sha256"
_SEAL_BYTES = len(_SEAL) + hashlib.sha256().digest_size
_FILE_MAGIC = b"\x89HDF\r\n\x1a\n"
# Signature, version, three zeros: no text of a run file holds these, and compressed data never by chance.
_HEAP_MAGIC = b"GCOL\x01\0\0\0"
_HEAP_HEADER = 16
_OBJECT_HEADER = 16
# A second of work: whoever opens a bigger file means to read a part of it.
_READ_AT_MOST = 1 << 30


def seal(path: Path) -> None:
    """Append the seal to a file that is complete."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, os.SEEK_END)
        file.write(_SEAL + digest)


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise StoreError if a file is damaged, as far as can be told before the HDF5 library reads it.

    A sealed file of up to a gibibyte is compared with its seal. In any other HDF5 file its global heaps, where
    texts and references lie, are looked at, in the first and last gibibyte: the commonest damage that the
    library does not survive. Files of other formats pass.
    """
    with damage_errors(f"read {path}"), open(path, "rb") as file:
        if file.read(len(_FILE_MAGIC)) != _FILE_MAGIC:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
            size = len(content)
            with view[max(0, size - _SEAL_BYTES) :] as last:
                is_sealed, digest = bytes(last[: len(_SEAL)]) == _SEAL, bytes(last[len(_SEAL) :])
            if is_sealed and size <= _READ_AT_MOST:
                with view[: size - _SEAL_BYTES] as body:
                    if hashlib.sha256(body).digest() != digest:
                        raise StoreError(f"{path} is damaged: its checksum differs")
                return
            for first, end in ((0, min(size, _READ_AT_MOST)), (max(_READ_AT_MOST, size - _READ_AT_MOST), size)):
                start = content.find(_HEAP_MAGIC, first, end)
                while start >= 0:
                    start = content.find(_HEAP_MAGIC, _end_of_heap(path, content, start), end)


def _end_of_heap(path: str | os.PathLike[str], content: mmap.mmap, start: int) -> int:
    """Return where a heap ends; ``StoreError`` if the library would loop over it forever.

    A heap (HDF5 file format, section III.E) is a chain of objects, each with an index (two bytes), and at its
    ninth byte its size (eight bytes): of the data that follow, or with index 0 of all free space, itself
    included. The library does not notice a chain that does not move on.
    """
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
