"""Whether somebody writes in a folder is seen without touching the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simengine.store import writers
from simengine.store.writers import is_written


def test_whether_a_process_of_another_machine_writes_is_not_known(tmp_path: Path) -> None:
    assert is_written(tmp_path, "elsewhere") is None
    assert is_written(tmp_path / "nothing") is None


@pytest.mark.parametrize(("kind", "expected"), [("nfs4", None), ("ext4", False), ("overlay", False)])
def test_the_absence_of_a_lock_says_nothing_on_a_disk_of_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, expected: bool | None
) -> None:
    system = tmp_path / "proc"
    (system / "self").mkdir(parents=True)
    (system / "locks").write_text("1: FLOCK  ADVISORY  WRITE 4711 08:01:1 0 EOF\n")
    (system / "self" / "mountinfo").write_text(
        f"1 0 8:1 / / rw - ext2 /dev/a rw\n2 1 8:2 / {tmp_path} rw shared:1 - {kind} disk rw\n"
    )
    monkeypatch.setattr(writers, "PROCESSES", system)
    assert is_written(tmp_path, os.uname().nodename) is expected
    (system / "4711" / "fd").mkdir(parents=True)
    (system / "4711" / "fd" / "3").symlink_to(tmp_path)
    assert is_written(tmp_path, os.uname().nodename) is (kind != "ext4")


def test_a_process_that_was_killed_holds_no_lock(tmp_path: Path) -> None:
    code = (
        "import fcntl, os, sys, time; folder = os.open(sys.argv[1], os.O_RDONLY);"
        "fcntl.flock(folder, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"
    )
    host = os.uname().nodename
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_written(tmp_path, host) is True
        process.kill()
    assert is_written(tmp_path, host) is False
