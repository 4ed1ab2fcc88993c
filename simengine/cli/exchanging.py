"""``simengine export`` and ``import``: files for other programs, and from them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from simengine.analysis.interchange import export, import_dewi_kadita
from simengine.analysis.interchange.exporting import table_of
from simengine.cli.output import console, paragraph, print_json, readable_size
from simengine.errors import InputError
from simengine.store.attributes import decode_attributes
from simengine.store.files import is_netcdf
from simengine.store.whole import write_dataset


def show_export(path: Path, out: Path, what: str, names: str | None, force: bool, as_json: bool) -> None:
    """Export and say what was written, and what was left out of a table."""
    chosen = None if names is None else [name.strip() for name in names.split(",") if name.strip()]
    written = export(path, out, what=what, names=chosen, overwrite=force)
    left_out: list[str] = []
    if chosen is None and what != "decisions" and written.suffix != ".zarr":
        with ExitStack() as opened:
            left_out = list(table_of(path, what, None, opened).left_out)
    size = sum(one.stat().st_size for one in ([written] if written.is_file() else written.rglob("*")) if one.is_file())
    if as_json:
        print_json({"file": str(written), "bytes": size, "left_out": left_out})
        return
    page = console()
    paragraph(page, f"wrote {written} ({readable_size(size)})")
    if left_out:
        paragraph(page, f"not in the table, having other dimensions: {', '.join(left_out)}; write them with --names")


def show_import(path: Path, out: Path, force: bool, as_json: bool) -> None:
    """Import and say what was written, and what could not be mapped."""
    if out.exists() and not force:
        raise InputError(f"{out} exists; to replace it: --force")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out: there is no folder {out.parent}")
    if out.is_dir() or (out.exists() and not is_netcdf(out)):
        raise InputError(f"--out: {out} is no run file; choose another name")
    data = import_dewi_kadita(path)
    write_dataset(data, out, overwrite=force)
    attributes = decode_attributes(data.attrs)
    said: dict[str, Any] = {
        "file": str(out), "scenario": attributes["scenario"], "sizes": {str(k): v for k, v in data.sizes.items()},
        "not_known": attributes["not_known"], "not_mapped": attributes["not_mapped"],
    }  # fmt: skip
    if as_json:
        print_json(said)
        return
    page = console()
    sizes = ", ".join(f"{length} {dim}" for dim, length in said["sizes"].items())
    paragraph(page, f"wrote {out}: {said['scenario']} by the rules of dewi-kadita ({sizes})")
    paragraph(page, f"the file does not say: {', '.join(said['not_known'])}")
    if said["not_mapped"]:
        paragraph(page, f"left out: {', '.join(said['not_mapped'])}")
