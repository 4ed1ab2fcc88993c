"""Any number of shards gives the states of one process: random scenarios, and the shipped ones.

The shards are threads, and the compiled step is left out, so that hundreds of scenarios take seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("random_scenarios.py")


def agreement(folder: Path, *words: str) -> str:
    """What the program of random scenarios says at the end."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "SIMENGINE_CACHE_DIR": str(folder)}
    command = [sys.executable, str(PROGRAM), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stdout[-9000:] + done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def agreed(said: str) -> int:
    return int(said.split()[0])


def test_any_shards_equal_one_process_over_random_scenarios(tmp_path: Path) -> None:
    assert agreed(agreement(tmp_path, "0", "40", "any")) >= 36


def test_any_regions_equal_one_process_over_random_scenarios_in_a_box(tmp_path: Path) -> None:
    assert agreed(agreement(tmp_path, "0", "12", "space")) >= 9


def test_any_shards_equal_one_process_in_every_regime_of_the_shipped_scenarios(tmp_path: Path) -> None:
    assert agreement(tmp_path, "shipped") == "5 agree"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 3000, 500))
def test_any_shards_equal_one_process_over_many_random_scenarios(first: int, tmp_path: Path) -> None:
    assert agreed(agreement(tmp_path, str(first), str(first + 500), "any")) >= 450


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1400, 200))
def test_any_regions_equal_one_process_over_many_random_scenarios(first: int, tmp_path: Path) -> None:
    assert agreed(agreement(tmp_path, str(first), str(first + 200), "space")) >= 160
