from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from simengine.errors import StoreError
from simengine.store import Layout, RunWriter, Variable, content_hash, finish_run, open_run

LAYOUT = """
import os, resource, signal, sys
import numpy as np
from simengine.errors import StoreError
from simengine.store import Layout, RunWriter, Variable, open_run

layout = Layout({"agent": 50_000}, {}, (
    Variable("position", ("snapshot_time", "agent")), Variable("order", ("time",)),
), "s")

def record(writer, step):
    writer.record(step, float(step), {"order": step / 2})
    if step % 5 == 0:
        writer.snapshot(step, float(step), {"position": np.random.default_rng(step).random(50_000)})
"""


def in_another_process(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    code = LAYOUT + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def small_layout() -> Layout:
    return Layout({}, {}, (Variable("order", ("time",)),), "1")


def test_a_killed_process_leaves_all_closed_segments(tmp_path):
    path = tmp_path / "run.nc"
    killed = in_another_process(
        """
        writer = RunWriter(sys.argv[1], layout, {"seed": 7, "policy": {"kind": "rule"}}, segment_rows=10)
        for step in range(37):
            record(writer, step)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        path,
    )
    assert killed.returncode == -signal.SIGKILL
    run = open_run(path)
    assert run.attrs["seed"] == 7
    np.testing.assert_array_equal(run.step, np.arange(30))
    np.testing.assert_array_equal(run.order, np.arange(30) / 2)
    assert run.sizes["snapshot_time"] == 6
    np.testing.assert_array_equal(run.position[3], np.random.default_rng(15).random(50_000))
    assert xr.load_dataset(finish_run(path)).sizes["time"] == 30


def test_a_process_killed_while_it_writes_leaves_no_half_segment(tmp_path):
    path = tmp_path / "run.nc"
    killed = in_another_process(
        """
        replace, names = os.replace, []
        def dying(source, target):
            names.append(target)
            if len(names) == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)
        os.replace = dying
        writer = RunWriter(sys.argv[1], layout, {}, segment_rows=10)
        for step in range(100):
            record(writer, step)
        """,
        path,
    )
    assert killed.returncode == -signal.SIGKILL
    assert [name for name in os.listdir(f"{path}.parts") if name.endswith(".tmp")]
    np.testing.assert_array_equal(open_run(path).step, np.arange(20))


def test_a_process_killed_in_the_merge_leaves_the_old_file_and_the_segments(tmp_path):
    path = tmp_path / "run.nc"
    with RunWriter(path, small_layout(), {}) as writer:
        writer.record(0, 0.0, {"order": 1.0})
    before = content_hash(path)
    killed = in_another_process(
        """
        writer = RunWriter(sys.argv[1], layout, {}, overwrite=True)
        record(writer, 0)
        writer.flush()
        os.replace = lambda source, target: os.kill(os.getpid(), signal.SIGKILL)
        writer.close()
        """,
        path,
    )
    assert killed.returncode == -signal.SIGKILL
    assert content_hash(path) == before
    assert open_run(f"{path}.parts").sizes["time"] == 1


@pytest.mark.parametrize(
    ("limit", "recorded"),
    [
        (100_000, "0 0"),  # room for the header, not for a segment with a snapshot
        (1_500_000, "100 20"),  # room for every segment, not for the merged file
    ],
)
def test_a_full_disk_is_one_clear_line_and_keeps_closed_segments(tmp_path, limit, recorded):
    path = tmp_path / "run.nc"
    done = in_another_process(
        """
        path, limit = sys.argv[1], int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            with RunWriter(path, layout, {"seed": 7}, segment_rows=10) as writer:
                for step in range(100):
                    record(writer, step)
        except StoreError as error:
            print(error)
        run = open_run(path)
        print(run.sizes["time"], run.sizes["snapshot_time"], run.attrs["seed"])
        half = [name for name in os.listdir(path + ".parts") if name.endswith(".tmp")]
        print(os.listdir(os.path.dirname(path)), half)
        """,
        path,
        limit,
    )
    assert done.returncode == 0, done.stderr
    message, counts, files = done.stdout.splitlines()
    assert message.startswith(f"cannot write {path}")
    assert counts == f"{recorded} 7"
    assert files == "['run.nc.parts'] []"


def test_a_segment_that_could_not_be_written_is_written_when_there_is_room_again(tmp_path):
    path = tmp_path / "run.nc"
    done = in_another_process(
        """
        path = sys.argv[1]
        writer = RunWriter(path, layout, {}, segment_rows=10)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
        failures = 0
        for step in range(10):
            try:
                record(writer, step)
            except StoreError:
                failures += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for step in range(10, 30):
            record(writer, step)
        writer.close()
        print(failures)
        """,
        path,
    )
    assert done.stdout == "1\n", done.stderr
    np.testing.assert_array_equal(xr.load_dataset(path).step, np.arange(30))


def test_places_that_cannot_be_written_are_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (
        tmp_path / "file" / "run.nc",
        tmp_path / "none" / "run.nc",
        tmp_path / "folder",
        Path("/proc/run.nc"),
    ):
        with pytest.raises(StoreError, match=f"cannot write {path}") as caught:
            RunWriter(path, small_layout(), {})
        assert "\n" not in str(caught.value)


def test_places_without_a_run_are_one_clear_line(tmp_path):
    (tmp_path / "text.nc").write_text("not a file of ours")
    (tmp_path / "empty.nc.parts").mkdir()
    for name in ("none.nc", "text.nc", "empty.nc", "empty.nc.parts"):
        with pytest.raises(StoreError, match=name) as caught:
            open_run(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_finished_file_takes_precedence_over_leftover_segments(tmp_path):
    path = tmp_path / "run.nc"
    with RunWriter(path, small_layout(), {}) as writer:
        writer.record(0, 0.0, {"order": 1.0})
    leftover = RunWriter(path, small_layout(), {}, overwrite=True)
    for step in range(3):
        leftover.record(step, step, {})
    leftover.abandon()
    with open_run(path) as run:
        assert run.sizes["time"] == 1
    assert open_run(f"{path}.parts").sizes["time"] == 3
