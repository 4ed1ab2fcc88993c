"""Run files: NetCDF-4 in closed segments, opened by `xarray.open_dataset`, compared by a content hash."""

from simengine.store.attributes import decode_attributes, encode_attributes
from simengine.store.hashing import content_hash
from simengine.store.layout import Layout, Variable
from simengine.store.provenance import provenance
from simengine.store.reading import open_run
from simengine.store.whole import write_dataset
from simengine.store.writer import MemoryWriter, RunWriter, finish_run

__all__ = [
    "Layout",
    "MemoryWriter",
    "RunWriter",
    "Variable",
    "content_hash",
    "decode_attributes",
    "encode_attributes",
    "finish_run",
    "open_run",
    "provenance",
    "write_dataset",
]
