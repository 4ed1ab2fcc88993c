"""Compiled kernels are found again by another process, and never when something they depend on has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simengine.arrays import jit
from simengine.compile import cache

SCENARIO = """
from simengine import Scenario, field, param, population, update

FACTOR = {factor}


def helped(x):
    return {helper}


class Counting(Scenario):
    n_agents: int = param(3)
    agents = population(size="n_agents", value=field(default=1.0))

    @update(agents)
    def act(me, agents, new):
        new.value[me] = FACTOR * helped(agents.value[me])
"""

REPORT = """
import sys
from simengine.runs.engine import Engine
from simengine.runs.registry import load_file

engine = Engine(load_file(__import__("pathlib").Path(sys.argv[1]))({}), 0, 1)
engine.advance(1)
stats = engine.kernel.module.advance.stats
hits, misses = sum(stats.cache_hits.values()), sum(stats.cache_misses.values())
print(engine.kernel.path, hits, misses, engine.state["agents"].values("value")[0])
"""


def start(folder: Path, cached: Path | str, factor: float = 2.0, helper: str = "x + 1.0") -> subprocess.Popen[str]:
    path = folder / "counting.py"
    path.write_text(SCENARIO.format(factor=factor, helper=helper), encoding="utf-8")
    environment = os.environ | {"SIMENGINE_CACHE_DIR": str(cached)}
    return subprocess.Popen(
        [sys.executable, "-c", REPORT, str(path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[Path, int, int, float]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    path, hits, misses, value = out.split()
    return Path(path), int(hits), int(misses), float(value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose cache two processes have filled at the same time."""
    folder = tmp_path_factory.mktemp("kernels")
    found = [finish(process) for process in [start(folder, folder / "cache"), start(folder, folder / "cache")]]
    assert found[0][0] == found[1][0]
    assert [f[3] for f in found] == [4.0, 4.0]
    return folder


def test_another_process_compiles_nothing_again(folder: Path) -> None:
    path, hits, misses, value = finish(start(folder, folder / "cache"))
    assert path.is_relative_to(folder / "cache")
    assert (hits, misses, value) == (1, 0, 4.0)


def test_a_changed_constant_or_helper_is_another_kernel(folder: Path) -> None:
    first = finish(start(folder, folder / "cache"))
    constant = finish(start(folder, folder / "cache", factor=3.0))
    helper = finish(start(folder, folder / "cache", helper="x + 2.0"))
    assert len({first[0], constant[0], helper[0]}) == 3
    assert (first[3], constant[3], helper[3]) == (4.0, 6.0, 6.0)


def test_a_folder_that_cannot_be_written_to_is_replaced_by_a_temporary_one(folder: Path) -> None:
    blocked = folder / "a file"
    blocked.write_text("", encoding="utf-8")
    path, _, _, value = finish(start(folder, blocked / "cache"))
    assert not path.is_relative_to(blocked)
    assert value == 4.0


def test_a_changed_engine_is_another_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "simengine"
    for name in cache.KERNEL_PACKAGES:
        (package / name).mkdir(parents=True)
        (package / name / "module.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(jit, "__file__", str(package / "arrays" / "jit.py"))
    digests = {cache.engine_digest.__wrapped__()}
    for name in cache.KERNEL_PACKAGES:
        (package / name / "module.py").write_text("x = 2\n", encoding="utf-8")
        digests.add(cache.engine_digest.__wrapped__())
    assert len(digests) == 1 + len(cache.KERNEL_PACKAGES)


def test_changed_surroundings_are_noticed_within_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    import test_lowering

    from simengine.runs.engine import Engine

    values = []
    for weights in ((0.5, 2, 3.0, 0.25), (0.75, 2, 3.0, 0.25)):
        monkeypatch.setattr(test_lowering, "WEIGHTS", weights)
        engine = Engine(test_lowering.Grammar({}), 0)
        engine.advance(1)
        values.append(engine.state["agents"].values("y").copy())
    assert (values[0] != values[1]).all()
