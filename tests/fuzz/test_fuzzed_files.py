"""Damaged run files, segments, headers and checkpoints: everything that reads them says so in one line.

The libraries beneath may crash or hang on a damaged file, so each case runs in a forked child with limits.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import os
import resource
import select
import shutil
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import fuzz_values as values
import netCDF4
import numpy as np
import pytest
from fuzz_oracle import call, cases, check_finished, check_folder, check_process, command, contents, folder
from hypothesis import given
from hypothesis import strategies as st

import simengine
from simengine.errors import RunError
from simengine.store.attributes import decode_attributes

SECONDS = 150
MEMORY = 8 << 30
"""What a child may map beyond its parent, who may already hold the shared memory of Ray."""
OUT, PARTS, CHECKPOINTS = "x.nc", "x.nc.parts", "x.nc.checkpoints"


def stops_here(agents):
    import os

    if os.environ.get("SIMENGINE_FUZZ_STOP"):
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with a finished run, an unfinished one, and both with a scenario of the user's own."""
    own = simengine.runs.registry.find(values.fields_scenario(tmp_path_factory.mktemp("own")))
    found: dict[str, Path] = {}
    for label, scenario in (("own", own), ("voter", "voter"), ("schooling", "schooling")):
        for unfinished in (False, True):
            place = tmp_path_factory.mktemp("run")
            tiny = {} if label == "own" else {"n_agents": 40}
            if unfinished:
                os.environ["SIMENGINE_FUZZ_STOP"] = "1"
            try:
                simengine.run(
                    scenario, steps=3, snapshot_every=1, checkpoint_every=1, out=place / OUT, progress=False, threads=1,
                    interventions=[simengine.at(2, apply=stops_here)], **tiny,
                ).close()  # fmt: skip
                assert not unfinished
            except KeyboardInterrupt:
                assert unfinished
            finally:
                os.environ.pop("SIMENGINE_FUZZ_STOP", None)
            found[f"{label}-unfinished" if unfinished else label] = place
            assert (place / (PARTS if unfinished else OUT)).exists()
            assert (place / CHECKPOINTS).exists()
    return found


# -- damage -----------------------------------------------------------------------------------------------------------

Damage = Callable[[Path], None]


@st.composite
def bytes_changed(draw: st.DrawFn) -> Damage:
    """Some bytes flipped, removed, inserted or cut off, often near the beginning, where the structure is."""
    edits = draw(st.lists(
        st.tuples(st.sampled_from(["flip", "flip", "flip", "set", "insert", "delete", "cut", "zero", "double"]),
                  st.floats(0, 1), st.integers(1, 40), st.integers(0, 255), st.booleans()),
        min_size=1, max_size=3,
    ))  # fmt: skip

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        for kind, where, length, byte, early in edits:
            at = int(where * min(len(content), 4096 if early else len(content)))
            if kind == "flip" and at < len(content):
                content[at] ^= 1 << (byte % 8)
            elif kind == "set":
                content[at : at + 1] = bytes([byte])
            elif kind == "insert":
                content[at:at] = bytes([byte]) * length
            elif kind == "delete":
                del content[at : at + length]
            elif kind == "cut":
                del content[at:]
            elif kind == "zero":
                content[at : at + 8 * length] = bytes(len(content[at : at + 8 * length]))
            else:
                content += content[at:]
        path.write_bytes(content)

    return damage


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def other_text(path: Path) -> None:
    path.write_text("{}\n")


def other_netcdf(path: Path) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", 2)
        file.createVariable("time", "f8", ("time",))[:] = [0, 1]
        file.title = "another"


def classic_netcdf(path: Path) -> None:
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("agent", 2)
        file.createVariable("place", "f8", ("agent",))[:] = [0, 1]
        file.setncattr("parameter_n_agents", 2)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


WHOLE = [emptied, removed, a_folder, a_loop, dangling, other_text, other_netcdf, classic_netcdf, a_pipe]
JUNK: list[Any] = [None, -1, 0, 1, 2.5, 1e308, float("nan"), 2**40, 10**30, "", "a\nb", "x", [], [1], {}, {"a": 1},
                   True, "json:{", "json:null", [[]], "3"]  # fmt: skip
ENDLESS = {"steps", "parameter_n_agents"}


@st.composite
def attributes_changed(draw: st.DrawFn) -> Damage:
    """A run file that is whole, with some attribute removed or replaced, or a variable renamed."""
    position, what, value = draw(st.integers(0, 200)), draw(st.integers(0, 3)), draw(st.sampled_from(JUNK))

    def damage(path: Path) -> None:
        with netCDF4.Dataset(path, "a") as file:
            names = sorted(file.ncattrs())
            name = names[position % len(names)]
            if what == 0:
                file.delncattr(name)
            elif what == 3:
                listed = sorted(set(file.variables) - {"time"})
                if listed:
                    file.renameVariable(listed[position % len(listed)], "renamed")
            elif not (name in ENDLESS and isinstance(value, int | float) and value > 10):
                stored = (
                    value
                    if isinstance(value, int | float | str) and not isinstance(value, bool)
                    else "json:" + json.dumps(value)
                )
                with suppress(OverflowError, ValueError, TypeError):
                    file.setncattr(name, stored)

    return damage


@st.composite
def json_changed(draw: st.DrawFn) -> Damage:
    """A header that is valid JSON, with something in it removed or replaced."""
    position, value, deep = draw(st.integers(0, 10**6)), draw(st.sampled_from([*JUNK, ...])), draw(st.booleans())
    signed = draw(st.integers(0, 3)) > 0

    def damage(path: Path) -> None:
        text = path.read_text()
        try:
            held = json.loads(text)
        except ValueError:
            held = json.loads(text.partition("\n")[2] or "{}")
        places: list[tuple[Any, Any]] = []

        def walk(node: Any) -> None:
            for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
                if signed and key == "layout":
                    # No accident changes this part and its checksum alike.
                    continue
                places.append((node, key))
                if deep and isinstance(inner, dict | list):
                    walk(inner)

        walk(held)
        if places:
            node, key = places[position % len(places)]
            if value is ...:
                del node[key]
            elif not (key in ENDLESS and isinstance(value, int | float) and value > 10):
                node[key] = value
        if signed and isinstance(held, dict) and "sha256" in held:
            # With its checksum put right the damage goes further.
            held.pop("sha256")
            held["sha256"] = hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps(held))

    return damage


def damages(path: str) -> st.SearchStrategy[Damage]:
    """Damage for a file of this name."""
    some = bytes_changed() | bytes_changed() | st.sampled_from(WHOLE)
    if path.endswith(".json"):
        return some | json_changed() | json_changed()
    return some | attributes_changed() if path == OUT else some


# -- what is done with the file ---------------------------------------------------------------------------------------


def opened(path: Path) -> BaseException | None:
    dataset, error = call(simengine.open, path)
    if error is None:
        dataset.close()
    return error


def finished(path: Path) -> BaseException | None:
    dataset, error = call(simengine.resume, path, progress=False, threads=1)
    if error is None:
        dataset.close()
    return error


def changed_finished(path: Path) -> BaseException | None:
    dataset, error = call(simengine.resume, path, progress=False, allow_changes=True)
    if error is None:
        dataset.close()
    return error


def repeated(path: Path) -> BaseException | None:
    comparison, error = call(simengine.rerun, path, progress=False)
    if error is None:
        str(comparison)
    return error


def parted(path: Path) -> BaseException | None:
    dataset, error = call(simengine.branch, path, at=2, out=path.with_name("b.nc"), progress=False)
    if error is None:
        dataset.close()
        check_finished(path.with_name("b.nc"))
    return error


def parted_in_memory(path: Path) -> BaseException | None:
    dataset, error = call(simengine.branch, path, at=1, progress=False)
    if error is None:
        dataset.close()
    return error


def begun_from(path: Path) -> BaseException | None:
    dataset, error = call(simengine.run, "schooling", start=path, steps=0, out=path.with_name("b.nc"), progress=False)
    if error is None:
        dataset.close()
    return error


DEEDS: list[Callable[[Path], BaseException | None]] = [
    opened, finished, changed_finished, repeated, parted, parted_in_memory, begun_from,
]  # fmt: skip
LINES = [
    ["resume", OUT], ["resume", PARTS], ["resume", OUT, "--allow-changes"], ["rerun", OUT], ["rerun", OUT, "--json"],
    ["branch", OUT, "--at", "1"], ["branch", OUT, "--at", "2", "--out", "b.nc"],
    ["run", "schooling", "--start", OUT, "--steps", "0", "--out", "b.nc"],
    ["run", "voter", "--out", OUT, "--steps", "1"],
    ["run", "voter", "--out", OUT, "--steps", "1", "--force"],
]  # fmt: skip


def too_long(path: Path) -> bool:
    """Whether a file now asks for a run that takes forever, which is nobody's mistake but that of who damaged it."""
    with suppress(Exception), simengine.open(path) as dataset:
        said = decode_attributes(dataset.attrs)
        asked = [said.get("steps", 0), *(said.get(f"parameter_{name}", 0) for name in values.SIZES)]
        return any(isinstance(one, int | float) and one > 1000 for one in asked)
    return False


def deed(number: int, path: Path) -> None:
    """Do one thing with a damaged file and check what must hold."""
    before = contents(path.parent)
    if number < len(DEEDS):
        does = DEEDS[number]
        if does not in (opened, begun_from) and too_long(path):
            return
        error = does(path)
        resumes = does in (finished, changed_finished)
        if error is not None and not resumes:
            check_folder(before, path.parent, began=isinstance(error, RunError))
        return
    words = LINES[number - len(DEEDS)]
    if words[0] != "run" and too_long(path):
        return
    code, _, _ = command([*words, "--no-progress"])
    if code and words[0] not in ("resume",) and "--force" not in words:
        check_folder(before, path.parent, began=code == 1)


def mapped() -> int:
    """Bytes of address space that this process has mapped."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def in_child(what: Callable[[], None]) -> str:
    """Run something in a forked child with limits of time and memory; how it failed, or nothing."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        faulthandler.disable()
        said = ""
        try:
            limit = mapped() + MEMORY
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            what()
        except BaseException:
            said = traceback.format_exc()
        os.write(write, b"." + said.encode(errors="replace")[-60_000:])
        os._exit(0)
    os.close(write)
    said = b""
    try:
        while select.select([read], [], [], SECONDS)[0]:
            block = os.read(read, 65_536)
            if not block:
                break
            said += block
        else:
            os.kill(child, signal.SIGKILL)
            return f"not done after {SECONDS} s"
    finally:
        os.close(read)
        _, status = os.waitpid(child, 0)
    if not said:
        return f"the process died: {signal.Signals(status).name if status < 64 else status}"
    return said[1:].decode()


@pytest.fixture(scope="module", autouse=True)
def loaded(templates: dict[str, Path]) -> None:
    """Do everything once with undamaged files, so that children find the kernels in memory."""
    for label, place in templates.items():
        for number in FINISHED_DEEDS if label == "own" else [1]:
            with folder() as work:
                shutil.copytree(place, work / "r")
                os.chdir(work / "r")
                deed(number, work / "r" / OUT)


def victims(place: Path) -> list[str]:
    return sorted(str(file.relative_to(place)) for file in place.rglob("*") if file.is_file())


def suffer(data: st.DataObject, place: Path, deeds: list[int]) -> None:
    names = victims(place)
    damaged = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    harm = [(name, data.draw(damages(name))) for name in damaged]
    number = data.draw(st.sampled_from(deeds))
    with folder() as work:
        shutil.copytree(place, work / "r")
        os.chdir(work / "r")
        for name, damage in harm:
            damage(work / "r" / name)
        said = in_child(lambda: deed(number, work / "r" / OUT))
        assert not said, said
    check_process(50)


FINISHED_DEEDS = [number for number, does in enumerate(DEEDS) if does is not changed_finished] + [
    len(DEEDS) + number for number in range(len(LINES))
]
UNFINISHED_DEEDS = [0, 1, 1, 1, 2, 2, 3, 4, 6, *(len(DEEDS) + number for number in (0, 0, 1, 2, 3, 5, 7, 8, 9))]


@cases(0.06)
@given(data=st.data(), label=st.sampled_from(["own", "voter", "schooling"]))
def test_a_damaged_run_file_is_refused_in_one_line_or_read(data, label, templates):
    suffer(data, templates[label], FINISHED_DEEDS)


@cases(0.05)
@given(data=st.data(), label=st.sampled_from(["own", "voter", "schooling"]))
def test_a_damaged_unfinished_run_is_refused_in_one_line_or_goes_on(data, label, templates):
    suffer(data, templates[f"{label}-unfinished"], UNFINISHED_DEEDS)


def test_undamaged_files_do_all_of_it(templates):
    for label, deeds in (("own", FINISHED_DEEDS), ("own-unfinished", [1])):
        for number in deeds:
            with folder() as work:
                shutil.copytree(templates[label], work / "r")
                os.chdir(work / "r")
                assert in_child(lambda: deed(number, Path.cwd() / OUT)) == ""  # noqa: B023


def test_what_crashes_or_hangs_is_seen(monkeypatch):
    monkeypatch.setattr("test_fuzzed_files.SECONDS", 0.3)
    assert "SIGSEGV" in in_child(lambda: os.kill(os.getpid(), signal.SIGSEGV))
    assert "not done" in in_child(lambda: signal.pause())
    assert "Traceback" in in_child(lambda: np.zeros(1)[2])
