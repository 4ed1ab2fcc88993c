"""What must hold whatever a user gives: success, or one clear line; no half-written file; a process that goes on."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings

import simengine
from simengine.cli import main
from simengine.errors import InputError, RunError, ScenarioError, StoreError

LONGEST_LINE = 400
CASES = int(os.environ.get("SIMENGINE_FUZZ_CASES", "300"))
NIGHTLY = "SIMENGINE_FUZZ_CASES" in os.environ

ran: dict[str, int] = {}
_plain: dict[str, str] = {}


class MisbehaviourError(Exception):
    """What functions of the user raise on purpose: in Python it reaches the caller as it is."""


def cases(share: float) -> settings:
    """Return settings with a share of all cases; the few of everyday are the same ones every time."""
    return settings(
        max_examples=max(1, round(share * CASES)), deadline=None, derandomize=not NIGHTLY, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder with a short name, which is the working directory meanwhile."""
    made = Path(tempfile.mkdtemp(prefix="f"))
    before = os.getcwd()
    os.chdir(made)
    try:
        yield made
    finally:
        os.chdir(before)
        shutil.rmtree(made, ignore_errors=True)


def tree(place: Path) -> set[str]:
    """Every file and folder beneath a place."""
    found = set()
    for here, folders, files in os.walk(place):
        found |= {os.path.relpath(os.path.join(here, name), place) for name in (*folders, *files)}
    return found


def contents(place: Path) -> dict[str, bytes | None]:
    """What every ordinary file beneath a place holds; nothing of folders, links and others."""
    return {name: (place / name).read_bytes() if (place / name).is_file() else None for name in tree(place)}


def check_text(text: str) -> None:
    """A message is one line of printable characters that can be read at once."""
    assert text.strip(), "an empty message"
    assert len(text.splitlines()) == 1, f"several lines: {text!r}"
    assert text.isprintable(), f"control characters: {text!r}"
    assert len(text) < LONGEST_LINE, f"{len(text)} characters: {text!r}"
    assert "Traceback" not in text, text


def check_folder(before: dict[str, bytes | None], place: Path, *, began: bool) -> None:
    """After a failure nothing is new but the rows of a run that began; nothing that was there has changed."""
    after = tree(place)
    new = after - before.keys()
    assert not [name for name in new if ".tmp" in name], new
    rows = {name for name in new if name.partition("/")[0].endswith((".parts", ".checkpoints"))} if began else set()
    assert not new - rows, f"left behind: {sorted(new - rows)}"
    for name, held in before.items():
        assert name in after, f"gone: {name}"
        assert held is None or (place / name).read_bytes() == held, f"changed: {name}"


def call(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> tuple[Any, BaseException | None]:
    """Call something of simengine; its result, or the one-line error that it refused with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(*arguments, **keywords), None
        except (InputError, ScenarioError, StoreError, RunError) as error:
            check_text(str(error))
            return None, error


def command(words: Sequence[str]) -> tuple[int, str, str]:
    """Run a command line in this process; its exit code and what it printed, checked."""
    printed, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(complained):
        code = main(list(words))
    said, complaint = printed.getvalue(), complained.getvalue()
    assert code in (0, 1, 2), code
    assert "Traceback" not in said + complaint, complaint
    for line in complaint.splitlines():
        assert line.startswith("simengine: "), complaint
        check_text(line)
    lines = [line for line in complaint.splitlines() if not line.startswith("simengine: warning: ")]
    differs = bool(words) and words[0] == "rerun" and code == 1 and not lines
    assert len(lines) == (0 if code == 0 or differs else 1), (code, complaint)
    if code == 2 and "--json" not in words:
        assert not said, said
    return code, said, complaint


def remember_plain_run() -> None:
    """Note what a small run gives, before anything was done to the process."""
    _plain.setdefault("hash", _plain_hash())


def check_process(every: int = 1) -> None:
    """The process is as it was: a small plain run still gives what it gave (every so many calls)."""
    ran["all"] = ran.get("all", 0) + 1
    assert np.geterr() == {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
    if ran["all"] % every == 0:
        assert _plain_hash() == _plain["hash"]


def _plain_hash() -> str:
    with simengine.run("voter", n_agents=10, steps=2, seed=5, progress=False) as dataset:
        held = [dataset[name].values.tobytes() for name in sorted(dataset.variables)]
    return hashlib.sha256(b"".join(held)).hexdigest()


def check_finished(path: Path) -> None:
    """A file that a success has left opens, holds rows, and nothing of its making lies beside it."""
    assert not path.with_name(path.name + ".parts").exists()
    with simengine.open(path) as dataset:
        assert "content_hash" in dataset.attrs
        assert dataset.sizes["time"] >= 1
