"""``simengine init``: a small scenario to begin from, and a test of it."""

from __future__ import annotations

import keyword
import os
import re
import shlex
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import simengine
from simengine.cli import completing
from simengine.cli.output import console, paragraph
from simengine.cli.templates import SCENARIO, TEST
from simengine.errors import InputError
from simengine.store.files import TEMPORARY_SUFFIX

LONGEST_NAME = 200


def begin(name: str, folder: Path, force: bool) -> None:
    """Write both files, or nothing, and say what can be done with them."""
    check_name(name, folder)
    try:
        missing = "it is a file, not a folder" if folder.exists() else "it does not exist; make it first"
        reason = "" if folder.is_dir() else missing
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        raise InputError(f"cannot write to {str(folder)!r}: {reason}")
    texts = {folder / f"{name}.py": SCENARIO, folder / f"test_{name}.py": TEST}
    for path in texts:
        if path.is_dir():
            raise InputError(f"cannot write {path}: it is a folder")
        if path.exists() and not force:
            raise InputError(f"{path} exists; choose another name, or replace it (--force)")
    write_all({path: text.replace("CLASS", class_name(name)).replace("MODULE", name) for path, text in texts.items()})
    scenario, test = (shlex.quote(str(path)) for path in texts)
    page = console()
    paragraph(page, f"{scenario} and {test} are written. To go on:\n")
    for command in (f"simengine run {scenario}", f"simengine describe {scenario}", f"python -m pytest {test}"):
        paragraph(page, f"  {command}")


def check_name(name: str, folder: Path) -> None:
    """Refuse a name that is no module's, or that would hide another module or scenario."""
    allowed = "give the name of a Python module, such as my_model"
    if not name.isidentifier() or not name.isascii():
        better = re.sub(r"\W+", "_", name.removesuffix(".py"), flags=re.ASCII).strip("_").lower()
        hint = f"; did you mean {better!r}?" if better.isidentifier() else ""
        raise InputError(f"{name!r} is no name: {allowed}{hint}")
    cls = class_name(name)
    if keyword.iskeyword(name) or keyword.iskeyword(cls):
        raise InputError(f"{name!r} is a word of Python: {allowed}")
    if name in completing.installed():
        raise InputError(f"{name!r} is an installed scenario: choose another name")
    if name in sys.stdlib_module_names or _is_installed(name, folder):
        raise InputError(f"{name!r} is a Python module, which the new file would hide: choose another name")
    if len(name) > LONGEST_NAME:
        raise InputError(f"{name!r} is too long: {allowed}")
    if not cls.isidentifier() or cls in simengine.__all__:
        raise InputError(f"{name!r} is no name for a scenario, whose class would be called {cls!r}: {allowed}")


def class_name(name: str) -> str:
    """Return the name in CamelCase: ``my_model`` to ``MyModel``."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _is_installed(name: str, folder: Path) -> bool:
    """Whether a module of that name can be imported from anywhere but the folder."""
    try:
        found = find_spec(name)
    except (ImportError, ValueError):
        return True
    if found is None or found.origin is None:
        return False
    return Path(found.origin).resolve().parent != folder.resolve()


def write_all(texts: dict[Path, str]) -> None:
    """Write files, each whole, and none when one of them cannot be written."""
    temporary = {path: path.with_name(path.name + TEMPORARY_SUFFIX) for path in texts}
    try:
        for path, text in texts.items():
            temporary[path].write_text(text, encoding="utf-8")
        for path in texts:
            os.replace(temporary[path], path)
    except OSError as error:
        raise InputError(f"cannot write {error.filename}: {error.strerror}") from None
    finally:
        for path in temporary.values():
            with suppress(OSError):
                path.unlink()
