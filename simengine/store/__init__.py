"""Run files: NetCDF-4 in closed segments, opened by `xarray.open_dataset`, compared by a content hash."""

from simengine.store.attributes import decode_attributes, encode_attributes
from simengine.store.checkpoints import (
    CHECKPOINTS_SUFFIX,
    Checkpoint,
    checkpoints_of,
    read_checkpoints,
    remove_checkpoints,
    write_checkpoint,
)
from simengine.store.files import PARTS_SUFFIX, parts_of
from simengine.store.hashing import content_hash
from simengine.store.header import Header, read_header_of
from simengine.store.layout import Layout, Variable
from simengine.store.memory import MemoryWriter
from simengine.store.parts import usable_segments
from simengine.store.provenance import provenance
from simengine.store.reading import open_run
from simengine.store.whole import write_dataset
from simengine.store.writer import RunWriter, finish_run

__all__ = [
    "CHECKPOINTS_SUFFIX",
    "PARTS_SUFFIX",
    "Checkpoint",
    "Header",
    "Layout",
    "MemoryWriter",
    "RunWriter",
    "Variable",
    "checkpoints_of",
    "content_hash",
    "decode_attributes",
    "encode_attributes",
    "finish_run",
    "open_run",
    "parts_of",
    "provenance",
    "read_checkpoints",
    "read_header_of",
    "remove_checkpoints",
    "usable_segments",
    "write_checkpoint",
    "write_dataset",
]
