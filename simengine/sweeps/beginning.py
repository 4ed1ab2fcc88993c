"""The start state that all runs of a sweep share, where one was given: arrays and graphs, kept in the folder."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, StoreError
from simengine.runs.layout import start_values
from simengine.runs.recipe import recalled_start
from simengine.runs.start import Start, network_names
from simengine.scenario.scenario import Scenario
from simengine.store.files import read_bytes, write_bytes
from simengine.sweeps.design import Design

START_FILE = "start.npz"
NO_START = "scenario"
SHOWN_DIGITS = 16


def label(scenario: type[Scenario], start: Start) -> str:
    """What the sweep's files say of it: where it is from, and a hash of it."""
    values = start_values(scenario, start)
    return f"{start.label}, sha256 {digest(values)}" if values else NO_START


def check_start(scenario: type[Scenario], start: Start, fixed: Mapping[str, Any], design: Design) -> None:
    """Refuse a start state that does not fit the number of agents at some point (``InputError``)."""
    networks = network_names(scenario)
    given = {name: networks[name].source for name in start.edges}
    given |= {name: scenario.declaration.populations[name] for name in start.arrays}
    for name, population in given.items():
        size = population.size
        if isinstance(size, str):
            default = scenario.declaration.parameters.parameters[size].default
            sizes = set(design.columns[size]) if size in design.names else {fixed.get(size, default)}
        else:
            sizes = {size}
        for agents in sorted(sizes):
            if name in start.edges:
                start.edges[name].check(int(agents), networks[name], f"start: {name}")
                continue
            for field_name, values in start.arrays[name].items():
                if len(values) != agents:
                    raise InputError(
                        f"start: {name}.{field_name} has {len(values)} values, but there are {agents} {name}"
                    )


def digest(values: Mapping[str, NDArray[Any]]) -> str:
    """A hash of arrays by name."""
    found = hashlib.sha256()
    for name in sorted(values):
        array = np.ascontiguousarray(values[name])
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        found.update(array.tobytes())
    return found.hexdigest()[:SHOWN_DIGITS]


def write_start(folder: Path, scenario: type[Scenario], start: Start) -> None:
    """Write it, whole or not at all; nothing where none was given."""
    values = start_values(scenario, start)
    if values:
        packed = io.BytesIO()
        np.savez_compressed(packed, allow_pickle=False, **values)
        write_bytes(folder / START_FILE, packed.getvalue())


def read_start(folder: Path, scenario: type[Scenario], said: str) -> Start:
    """Return the start state of the sweep in a folder, which the sweep calls ``said``.

    Raises
    ------
    StoreError
        When it is not there, or is another one.
    """
    if said == NO_START:
        return Start()
    path = folder / START_FILE
    if not path.is_file():
        raise StoreError(f"{path} is missing: the start state that all runs of the sweep share")
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as packed:
            values = {name: packed[name] for name in packed.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path} is damaged: {error}") from None
    if not said.endswith(digest(values)):
        raise StoreError(f"{path} is damaged: it holds another start state than the sweep was begun with")
    return recalled_start(scenario, said.partition(",")[0], values)
