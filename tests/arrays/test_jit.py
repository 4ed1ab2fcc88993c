"""Compiled functions are kept in files that several processes may write at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.caching import IndexDataCacheFile

from simengine.arrays import jit


def doubled(values):
    return values[0] * 2


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jit, "library", lambda module: tmp_path)
    return tmp_path


def test_two_signatures_written_at_the_same_moment_keep_their_own_code(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As two processes do: each reads the index before the other has written it.
    monkeypatch.setattr(IndexDataCacheFile, "_load_index", lambda self: {})
    jit.njit(cache=True)(doubled)(np.array([3], dtype=np.int64))
    jit.njit(cache=True)(doubled)(np.array([1.5]))
    monkeypatch.undo()
    monkeypatch.setattr(jit, "library", lambda module: kept)

    again: Any = jit.njit(cache=True)(doubled)
    assert again(np.array([3], dtype=np.int64)) == 6
    assert again(np.array([1.5])) == 3.0
    assert sum(again.stats.cache_hits.values()) == 2


def test_a_function_is_not_compiled_again_for_a_signature_that_was_seen(kept: Path) -> None:
    jit.njit(cache=True)(doubled)(np.array([1.5]))
    again: Any = jit.njit(cache=True)(doubled)
    again(np.array([1.5]))
    again(np.array([2], dtype=np.int64))
    assert sum(again.stats.cache_hits.values()) == 1
    assert sum(again.stats.cache_misses.values()) == 1


def test_machine_code_depends_on_every_source_that_its_module_imports_and_on_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "simengine"
    texts = {
        "arrays/jit.py": "",
        "top/__init__.py": "",
        "top/caller.py": "from simengine.top import (\n    helper,\n)\nimport simengine.other\n",
        "top/helper.py": "    from simengine.top.deep.thing import name\n",
        "top/deep/thing.py": "name = 1\n",
        "other.py": "from simengine.top import caller\n",
        "unrelated.py": "",
    }
    for name, text in texts.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(jit, "__file__", str(package / "arrays" / "jit.py"))
    found = {str(path.relative_to(package)) for path in jit.sources("simengine.top.caller")}
    assert found == {"top/__init__.py", "top/caller.py", "top/helper.py", "top/deep/thing.py", "other.py"}

    def folder() -> Path:
        jit._imported.cache_clear()
        return jit.library.__wrapped__("simengine.top.caller")

    before = folder()
    (package / "unrelated.py").write_text("x = 1\n", encoding="utf-8")
    assert folder() == before
    (package / "top/deep/thing.py").write_text("name = 2\n", encoding="utf-8")
    assert folder() != before


NUMBERED = """
import sys
from simengine.arrays import jit
from numba.core.bytecode import FunctionIdentity
print(next(FunctionIdentity._unique_ids))
"""


def test_no_two_processes_give_their_machine_code_the_same_names() -> None:
    # Two names would agree by chance once in 2**62.
    numbers = [
        int(subprocess.run([sys.executable, "-c", NUMBERED], capture_output=True, text=True, check=True).stdout)
        for _ in range(2)
    ]
    assert abs(numbers[0] - numbers[1]) > 2**31
