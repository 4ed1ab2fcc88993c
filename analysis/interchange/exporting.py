"""``simengine.export``: what a run or a sweep holds, as a file that other programs read."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import xarray as xr

from simengine.analysis.contents import observables, snapshots
from simengine.analysis.interchange.decision_tables import decisions_table, holds_decisions
from simengine.analysis.interchange.tables import Table, observables_table, snapshots_table
from simengine.analysis.interchange.writing import sidecar_of, write_csv, write_parquet
from simengine.analysis.interchange.zarr_stores import is_store, write_zarr
from simengine.errors import InputError, nearest, nearest_file
from simengine.policies.reports import RECORD_SUFFIX
from simengine.scenario.parameters import shown
from simengine.store.files import parts_of, store_errors
from simengine.sweeps.api import open as open_result

FORMATS = {".parquet": "pyarrow", ".csv": "", ".zarr": "zarr"}
"""Endings of files, and the package that each needs."""

WHATS = ("observables", "snapshots", "decisions")


def export(
    source: str | Path | xr.Dataset, out: str | Path, *, what: str = "observables",
    names: str | Sequence[str] | None = None, overwrite: bool = False,
) -> Path:  # fmt: skip
    """Write a run or a sweep as a table (Parquet, CSV) or as a Zarr store, whole or not at all.

    A table has one row for each time, and for each run of a sweep, with the swept parameters, ``replicate``, ``seed``
    and ``status`` as columns; or for each agent at each snapshot; or for each decision of a language model. It is
    written batch by batch, so that memory does not grow with the file. A Zarr store has all variables and attributes
    of the Dataset, and opens with `xarray.open_zarr`, equal to it.

    Parameters
    ----------
    source
        The file of a run, the folder of a sweep, or a Dataset of either; for decisions also a record of calls, or what
        `simengine.decisions` returned.
    out
        The file to write: ``.parquet`` (units and attributes in the metadata of its schema), ``.csv`` (units and
        attributes in a file with ``.json`` after its name), or ``.zarr``.
    what
        ``"observables"``, ``"snapshots"`` or ``"decisions"``; a Zarr store of a Dataset holds all.
    names
        Variables to write; of decisions, the one to write. By default of a table those that have one number in each of
        its rows.
    overwrite
        Whether a file that is there may be replaced.

    Returns
    -------
    pathlib.Path
        The file that was written.

    Raises
    ------
    InputError
        For another ending, a package that is missing, a name that is not there, or a file that is.
    StoreError
        If it cannot be written; nothing is left of it then.
    """
    path = _checked(out, overwrite)
    if what not in WHATS:
        raise InputError(f"what: got {shown(what)}, allowed are {', '.join(WHATS)}{nearest(str(what), WHATS)}")
    chosen = _names(names)
    with ExitStack() as opened:
        if path.suffix == ".zarr":
            data = _decided(source, chosen) if what == "decisions" else _selected(_dataset(source, opened), chosen)
            with store_errors(f"write {path}"):
                write_zarr(data, path)
            return path
        table = table_of(source, what, chosen, opened)
        with store_errors(f"write {path}"):
            (write_parquet if path.suffix == ".parquet" else write_csv)(table, path)
    return path


def table_of(
    source: str | Path | xr.Dataset, what: str, names: Sequence[str] | None, opened: ExitStack
) -> Table:  # fmt: skip
    """Return a table of a run or a sweep; what is opened for it stays open until ``opened`` is closed."""
    if what == "decisions":
        return decisions_table(source, names)
    data = _dataset(source, opened)
    return (observables_table if what == "observables" else snapshots_table)(data, names)


def _names(names: str | Sequence[str] | None) -> list[str] | None:
    if names is None or isinstance(names, str):
        return None if names is None else [names]
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"names: got {shown(names)}, allowed are the name of a variable, or several in a list")
    return list(dict.fromkeys(names))


def _checked(out: str | Path, overwrite: bool) -> Path:
    if not isinstance(out, str | Path) or not str(out):
        raise InputError(f"out: got {shown(out)}, allowed is the path of a file")
    path = Path(out)
    if path.suffix not in FORMATS:
        raise InputError(
            f"out: {path.name} ends in {path.suffix or 'nothing'}, allowed are {', '.join(FORMATS)}"
            f"{nearest(path.suffix, FORMATS)}"
        )
    package = FORMATS[path.suffix]
    if package and importlib.util.find_spec(package) is None:
        raise InputError(f'{path.suffix} files need {package}: pip install "simengine[export]"')
    if not path.absolute().parent.is_dir():
        raise InputError(f"out: there is no folder {path.parent}")
    if path.is_dir() and (path.suffix != ".zarr" or not is_store(path)):
        raise InputError(f"out: {path} is a folder{'' if path.suffix != '.zarr' else ', and no Zarr store'}")
    if path.suffix == ".zarr" and path.is_file():
        raise InputError(f"out: {path} is a file; a Zarr store is a folder")
    beside = [sidecar_of(path)] if path.suffix == ".csv" else []
    for one in (path, *beside):
        if one.exists() and not overwrite:
            raise InputError(f"{one} exists; to replace it: overwrite=True, or --force on the command line")
    return path


def _dataset(source: str | Path | xr.Dataset, opened: ExitStack) -> xr.Dataset:
    if isinstance(source, xr.Dataset):
        stacked = [str(name) for name, one in source.coords.items() if one.dtype == object and name in source.indexes
                   and source.indexes[name].nlevels > 1]  # fmt: skip
        if stacked:
            raise InputError(f"{stacked[0]} is a stack of several dimensions; undo it first: .unstack({stacked[0]!r})")
        return source
    if not isinstance(source, str | Path):
        raise InputError(f"got {type(source).__name__}, allowed are a Dataset and the path of a run or a sweep")
    if str(source).endswith(RECORD_SUFFIX):
        raise InputError(f"{source} is a record of calls; write it with what='decisions' (--what decisions)")
    path = Path(source)
    if not path.exists() and not parts_of(path).is_dir():
        raise InputError(f"there is no run or sweep {path}{nearest_file(path)}")
    return opened.enter_context(open_result(path))


def _decided(source: str | Path | xr.Dataset, names: Sequence[str] | None) -> xr.Dataset:
    from simengine.policies.language.decisions import decisions

    if isinstance(source, xr.Dataset):
        if not holds_decisions(source):
            raise InputError("this Dataset has no decisions of language models; give the run's file")
        return source
    return decisions(source, None if names is None else names[0])


def _selected(data: xr.Dataset, names: Sequence[str] | None) -> xr.Dataset:
    if names is None:
        return data
    for name in names:
        if name not in data.variables:
            raise InputError(f"names: there is no {name!r}{nearest(name, observables(data) + snapshots(data))}")
    return data[list(names)]
