"""A run that was killed and resumed has the result of an undisturbed one, whenever it was killed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray
from dying_runs import CASES, Moody, Nursery, carry_out, full_after, policies_of, prepared

import simengine
from simengine import InputError, StoreError
from simengine.store import checkpoints_of, content_hash, decode_attributes, parts_of
from simengine.store.header import read_header, write_header

KINDS = {
    "while a checkpoint is written": lambda label: label.startswith("half-way") and "step-" in label,
    "while a segment is written": lambda label: label.startswith("half-way") and "segment-" in label,
    "between steps": lambda label: " record " in label,
    "around the calls that make a file durable": lambda label: " replace " in label or " fsync " in label,
    "while files are removed": lambda label: " unlink " in label or " rmdir " in label or " rename " in label,
    "while the file is put together": lambda label: "run.nc.tmp" in label,
}
BY_THE_CLOCK = 2
OTHER_THREADS = 2
_undisturbed: dict[str, xarray.Dataset] = {}
_moments: dict[str, list[str]] = {}


@pytest.fixture(scope="module")
def nursery(kernel_cache: Path) -> Iterator[Nursery]:
    with prepared() as nursery:
        yield nursery


def undisturbed(case: str) -> xarray.Dataset:
    """The result of a case that nothing happened to, in memory."""
    if case not in _undisturbed:
        _undisturbed[case] = carry_out(case, None)
    return _undisturbed[case]


def moments(nursery: Nursery, case: str, folder: Path) -> list[str]:
    """The moments of a case, in order."""
    if case not in _moments:
        path = fresh(folder, f"moments of {case}")
        answer = nursery.child(case, path)
        assert answer["error"] is None
        assert content_hash(path) == undisturbed(case).attrs["content_hash"]
        _moments[case] = answer["moments"]
    return _moments[case]


def fresh(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name / "run.nc"


def finished(case: str, path: Path, threads: int = OTHER_THREADS) -> str:
    """Resume a run, or begin it where nothing of it was left, and return its hash."""
    if parts_of(path).is_dir() or path.is_file():
        result = simengine.resume(path, threads=threads, progress=False, policies=policies_of(case))
    else:
        with pytest.raises(InputError, match="there is no run"):
            simengine.resume(path)
        result = carry_out(case, path, threads=threads)
    with result:
        assert "unfinished" not in result.attrs
    kept = {f"{path.name}.checkpoints"} if "checkpoint_every" in CASES[case] else set()
    assert {entry.name for entry in path.parent.iterdir()} == {path.name} | kept
    return content_hash(path)


def assert_what_is_left_is_right(case: str, path: Path) -> None:
    """Check that what a killed run left opens, and holds the first rows of the undisturbed one."""
    if not (parts_of(path).is_dir() or path.is_file()):
        return
    expected = undisturbed(case)
    with simengine.open(path) as found:
        for name in found.variables:
            dim = next((dim for dim in found[name].dims if dim in ("time", "snapshot_time")), None)
            rows = {} if dim is None else {dim: slice(found.sizes[dim])}
            np.testing.assert_array_equal(found[name], expected[name].isel(rows), err_msg=str(name))


def drawn(labels: list[str], each: int, seed: int) -> list[int]:
    """Numbers of moments, so many of each kind."""
    draw = random.Random(seed)
    numbers = []
    for fits in KINDS.values():
        fitting = [number for number, label in enumerate(labels, 1) if fits(label)]
        assert fitting
        numbers += draw.sample(fitting, each)
    return numbers


@pytest.mark.parametrize(
    "case", ["flocking", *(pytest.param(case, marks=pytest.mark.slow) for case in ("schooling", "predator_prey"))]
)
def test_a_run_killed_at_any_of_twenty_moments_and_resumed_has_the_same_result(
    case: str, nursery: Nursery, tmp_path: Path
) -> None:
    labels = moments(nursery, case, tmp_path)
    numbers = drawn(labels, 3, seed=1)
    found = {}
    for number in numbers:
        path = fresh(tmp_path, str(number))
        assert nursery.child(case, path, last=number)["killed"], labels[number - 1]
        assert_what_is_left_is_right(case, path)
        found[labels[number - 1], number] = finished(case, path)
    # By the parent's clock: may also hit the ends of the process, or find it finished on a fast machine.
    for seconds in np.random.default_rng(1).uniform(0.02, 0.3, BY_THE_CLOCK):
        path = fresh(tmp_path, f"{seconds}")
        nursery.child(case, path, seconds=float(seconds))
        assert_what_is_left_is_right(case, path)
        found["clock", seconds] = finished(case, path)
    expected = undisturbed(case).attrs["content_hash"]
    assert len(found) == 20
    assert not [moment for moment, other in found.items() if other != expected]


@pytest.mark.parametrize(
    ("case", "seed"),
    [
        ("wealth_exchange", 2),
        ("interventions", 3),
        ("given start", 4),
        ("own", 5),
        ("own with a policy", 6),
        pytest.param("adaptive voter", 7, marks=pytest.mark.slow),
    ],
)
def test_interventions_given_starts_own_scenarios_and_policies_survive_too(
    case: str, seed: int, nursery: Nursery, tmp_path: Path
) -> None:
    labels = moments(nursery, case, tmp_path)
    made = [n for n, label in enumerate(labels, 1) if label.startswith("after replace step-")]
    # What a checkpoint lacks shows only in runs that go on from one before the last.
    for number in random.Random(seed).sample(range(made[0] + 1, made[-1]), 4):
        path = fresh(tmp_path, str(number))
        assert nursery.child(case, path, last=number)["killed"]
        assert_what_is_left_is_right(case, path)
        assert finished(case, path) == undisturbed(case).attrs["content_hash"], labels[number - 1]


@pytest.mark.parametrize("case", ["predator_prey", "interventions", "own with a policy"])
def test_a_resumed_run_may_be_killed_again_and_says_so(case: str, nursery: Nursery, tmp_path: Path) -> None:
    labels = moments(nursery, case, tmp_path)
    draw = random.Random(3)
    begun = next(number for number, label in enumerate(labels, 1) if "record step 0" in label)
    merging = next(number for number, label in enumerate(labels, 1) if "_copy_rows" in label)
    for n in range(2):
        path = fresh(tmp_path, str(n))
        assert nursery.child(case, path, last=draw.randint(begun, merging))["killed"]
        # The header is written anew at moments 1 to 16 of a resumed run.
        for last in (draw.randint(1, 16), draw.randint(17, 40)):
            assert nursery.child(case, path, resume=True, last=last)["killed"]
        assert_what_is_left_is_right(case, path)
        assert finished(case, path) == undisturbed(case).attrs["content_hash"]
        with xarray.open_dataset(path) as found:
            assert len(decode_attributes(found.attrs)["resumed_at_step"]) >= 2


@pytest.fixture(scope="module")
def killed_late(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of flocking that was killed as it began to put its file together."""
    folder = tmp_path_factory.mktemp("killed")
    labels = moments(nursery, "flocking", folder)
    path = fresh(folder, "late")
    last = next(number for number, label in enumerate(labels, 1) if "_copy_rows" in label)
    assert nursery.child("flocking", path, last=last)["killed"]
    return path.parent


@pytest.fixture
def left(killed_late: Path, tmp_path: Path) -> Path:
    """A copy of that run, to be changed."""
    shutil.copytree(killed_late, tmp_path / "left")
    return tmp_path / "left" / "run.nc"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damaged", "goes_on_from"),
    [
        ([], 24),
        (["step-000000000024.npz"], 22),
        (["step-000000000024.npz", "step-000000000022.npz"], 0),
        (["segment-000004.nc"], 24),
        (["segment-000003.nc"], 22),
        (["segment-000003.nc", "step-000000000022.npz"], 0),
        (["segment-000001.nc"], 0),
    ],
)
def test_damaged_checkpoints_and_segments_cost_time_and_nothing_else(
    damaged: list[str], goes_on_from: int, left: Path
) -> None:
    for name in damaged:
        damage((checkpoints_of(left) if name.startswith("step") else parts_of(left)) / name)
    assert finished("flocking", left, threads=1) == undisturbed("flocking").attrs["content_hash"]
    with xarray.open_dataset(left) as found:
        assert decode_attributes(found.attrs)["resumed_at_step"] == [goes_on_from]


def test_a_run_without_its_checkpoints_begins_anew(left: Path) -> None:
    shutil.rmtree(checkpoints_of(left))
    assert finished("flocking", left, threads=1) == undisturbed("flocking").attrs["content_hash"]


def test_checkpoints_of_another_run_are_not_used(left: Path, nursery: Nursery, tmp_path: Path) -> None:
    other = fresh(tmp_path, "other")
    assert nursery.child("flocking", other, seed=12)["error"] is None
    shutil.rmtree(checkpoints_of(left))
    shutil.copytree(checkpoints_of(other), checkpoints_of(left))
    assert finished("flocking", left, threads=1) == undisturbed("flocking").attrs["content_hash"]


def test_a_finished_run_is_just_opened(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    carry_out("wealth_exchange", path).close()
    before, changed = path.read_bytes(), path.stat().st_mtime_ns
    with simengine.resume(path) as found:
        assert found.attrs["content_hash"] == undisturbed("wealth_exchange").attrs["content_hash"]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, changed)


def test_an_unfinished_run_takes_the_place_of_the_finished_one_that_it_overwrites(
    nursery: Nursery, tmp_path: Path
) -> None:
    path = tmp_path / "run.nc"
    carry_out("flocking", path, seed=12).close()
    last = next(n for n, label in enumerate(moments(nursery, "flocking", tmp_path), 1) if "record step 12" in label)
    assert nursery.child("flocking", path, last=last, overwrite=True)["killed"]
    assert finished("flocking", path, threads=1) == undisturbed("flocking").attrs["content_hash"]


def test_a_file_overwritten_by_a_run_that_was_killed_at_once_is_as_before(nursery: Nursery, tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    carry_out("flocking", path, seed=12).close()
    before = path.read_bytes()
    assert nursery.child("flocking", path, last=6, overwrite=True)["killed"]
    assert path.read_bytes() == before


def test_what_is_no_run_is_one_clear_line(tmp_path: Path) -> None:
    text, other, folder = tmp_path / "text.nc", tmp_path / "other.nc", tmp_path / "folder"
    text.write_text("no run")
    xarray.Dataset({"x": ("y", [1.0])}).to_netcdf(other)
    folder.mkdir()
    for path in (text, other, folder, tmp_path / "none.nc", tmp_path / "none" / "run.nc", "", 7):
        with pytest.raises(InputError) as caught:
            simengine.resume(path)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    assert {entry.name for entry in tmp_path.iterdir()} == {"text.nc", "other.nc", "folder"}


def test_policies_that_the_file_cannot_keep_are_to_be_given_again(nursery: Nursery, tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    labels = moments(nursery, "own with a policy", tmp_path)
    last = next(number for number, label in enumerate(labels, 1) if "record step 20" in label)
    assert nursery.child("own with a policy", path, last=last)["killed"]
    before = sorted(entry.name for entry in parts_of(path).iterdir())
    with pytest.raises(InputError, match=r"Moody.*give it again: policies="):
        simengine.resume(path, progress=False)
    assert sorted(entry.name for entry in parts_of(path).iterdir()) == before
    with simengine.resume(path, progress=False, policies={"agents.change": Moody()}) as found:
        assert found.attrs["content_hash"] == undisturbed("own with a policy").attrs["content_hash"]


def test_a_run_of_another_version_is_gone_on_with_only_when_allowed_and_says_so(left: Path) -> None:
    parts = parts_of(left)
    header = read_header(parts)
    version = header.stable["version_simengine"]
    write_header(parts, header.with_attributes({"version_simengine": "0.0.0"}, {}))
    before = (parts / "header.json").read_bytes()
    with pytest.raises(InputError, match=rf"simengine \(0\.0\.0 then, {version} now\).*allow_changes=True") as caught:
        simengine.resume(left, progress=False)
    assert "\n" not in str(caught.value)
    assert (parts / "header.json").read_bytes() == before
    with simengine.resume(left, progress=False, allow_changes=True) as found:
        assert decode_attributes(found.attrs)["changed_since_begun"] == {"version_simengine": ["0.0.0", version]}
        np.testing.assert_array_equal(found.polarization, undisturbed("flocking").polarization)


def test_changes_are_known_also_when_the_resumed_run_died_before_its_end(left: Path) -> None:
    parts = parts_of(left)
    header = read_header(parts)
    version = header.stable["version_simengine"]
    write_header(parts, header.with_attributes({"version_simengine": "0.0.0"}, {}))
    with full_after(6), pytest.raises(StoreError):
        simengine.resume(left, progress=False, allow_changes=True)
    write_header(parts, read_header(parts).with_attributes({"version_simengine": version}, {}))
    with simengine.resume(left, progress=False) as found:
        attributes = decode_attributes(found.attrs)
    assert attributes["changed_since_begun"] == {"version_simengine": ["0.0.0", version]}
    assert len(attributes["resumed_at_step"]) == 2


@pytest.mark.parametrize("name", ["header.json", "segment-000000.nc"])
def test_a_damaged_head_of_a_run_is_one_clear_line_and_changes_nothing(name: str, left: Path) -> None:
    damage(parts_of(left) / name)
    before = {file: file.read_bytes() for file in left.parent.rglob("*") if file.is_file()}
    with pytest.raises(StoreError, match=rf"{name}.*") as caught:
        simengine.resume(left, progress=False)
    assert "\n" not in str(caught.value)
    assert {file: file.read_bytes() for file in left.parent.rglob("*") if file.is_file()} == before


def test_the_folder_of_an_unfinished_run_stands_for_it(left: Path) -> None:
    with simengine.resume(parts_of(left), progress=False) as found:
        assert found.attrs["content_hash"] == undisturbed("flocking").attrs["content_hash"]
    assert left.is_file()
