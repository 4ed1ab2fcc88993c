from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.errors import InputError
from simengine.sweeps.seeds import LARGEST_SEED, run_seed

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(), max_size=5),
)  # fmt: skip
POINTS = st.dictionaries(st.text("abcdef_", min_size=1, max_size=4), VALUES, min_size=1, max_size=4)
SEEDS = st.integers(0, 2**64 - 1)
REPLICATES = st.integers(0, 10**6)


@given(SEEDS, POINTS, REPLICATES, st.randoms())
def test_the_order_of_parameters_does_not_matter(seed: int, point: dict[str, Any], replicate: int, chance: Any) -> None:
    names = list(point)
    chance.shuffle(names)
    assert run_seed(seed, {name: point[name] for name in names}, replicate) == run_seed(seed, point, replicate)


@given(SEEDS, POINTS, REPLICATES)
def test_a_seed_is_one_that_every_run_takes(seed: int, point: dict[str, Any], replicate: int) -> None:
    found = run_seed(seed, point, replicate)
    assert type(found) is int
    assert 0 <= found <= LARGEST_SEED < 2**63


@given(SEEDS, st.integers(-(2**53), 2**53), REPLICATES)
def test_numbers_count_by_value_not_by_type(seed: int, number: int, replicate: int) -> None:
    expected = run_seed(seed, {"x": number}, replicate)
    for same in (float(number), np.int64(number), np.float64(number)):
        assert run_seed(np.uint64(seed), {"x": same}, np.int64(replicate)) == expected  # type: ignore[arg-type]


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.text(), st.booleans())
def test_numpy_values_count_as_plain_ones(number: float, text: str, switch: bool) -> None:
    plain = {"a": number, "b": text, "c": switch}
    assert run_seed(1, {"a": np.float32(number), "b": np.str_(text), "c": np.bool_(switch)}, 0) == run_seed(1, plain, 0)


def test_the_two_zeros_are_one_value_and_booleans_are_no_numbers() -> None:
    assert run_seed(0, {"x": 0.0}, 0) == run_seed(0, {"x": -0.0}, 0) == run_seed(0, {"x": 0}, 0)
    values = (1, True, "1", "true", None, "none", 0, False, "", "null")
    assert len({run_seed(0, {"x": value}, 0) for value in values}) == len(values)


@given(SEEDS, POINTS, REPLICATES, SEEDS, POINTS, REPLICATES)
def test_different_runs_have_different_seeds(
    seed: int, point: dict[str, Any], replicate: int, other_seed: int, other: dict[str, Any], other_replicate: int
) -> None:
    expected = run_seed(seed, point, replicate)
    assert other_seed == seed or run_seed(other_seed, point, replicate) != expected
    assert other_replicate == replicate or run_seed(seed, point, other_replicate) != expected
    same = {key: str(type(value)) for key, value in other.items()} == {
        key: str(type(value)) for key, value in point.items()
    }
    assert (same and other == point) or other.keys() == point.keys() or run_seed(seed, other, replicate) != expected


def test_names_and_values_are_not_mixed_up() -> None:
    points: list[dict[str, Any]] = [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 1}, {"b": 1}, {"a": "1,b"}, {"ab": 1}, {}]
    seeds = {run_seed(seed, point, replicate) for point in points for seed in (1, 2) for replicate in (1, 2)}
    assert len(seeds) == 4 * len(points)


def test_a_hundred_thousand_runs_have_no_seed_twice_and_all_bits_in_use() -> None:
    # Two of 1e5 numbers of 63 bits agree with probability 5e-10; each bit is set in half of them within 6 standard
    # deviations, which fails for one of 63 with probability 1.2e-7.
    seeds = np.array([run_seed(7, {"noise": i / 1000}, r) for i in range(1000) for r in range(100)], np.uint64)
    assert len(np.unique(seeds)) == 100_000
    bits = (seeds[:, None] >> np.arange(63, dtype=np.uint64)) & np.uint64(1)
    assert (np.abs(bits.mean(axis=0) - 0.5) < 6 * 0.5 / np.sqrt(100_000)).all()
    # Seeds of neighbouring replicates are unrelated: the correlation of n pairs has a standard deviation of n**-0.5.
    shares = seeds.astype(np.float64) / 2.0**63
    assert abs(np.corrcoef(shares[:-1], shares[1:])[0, 1]) < 6 / np.sqrt(100_000)


def test_a_seed_is_the_same_in_another_process_and_never_changes() -> None:
    expected = run_seed(2024, {"noise": 0.1, "n_agents": 50, "order": "one_by_one", "box": None, "flag": True}, 3)
    script = (
        "from simengine.sweeps.seeds import run_seed;"
        "print(run_seed(2024, {'flag': True, 'order': 'one_by_one', 'box': None, 'n_agents': 50, 'noise': .1}, 3))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(found.stdout) == expected == FROZEN


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -np.inf, [1], 1j, object()])
def test_a_value_that_is_no_parameters_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="x: got"):
        run_seed(0, {"x": value}, 0)


FROZEN = 885748270126227285
"""Recorded once: sweeps that were begun with an earlier version must find the same seeds when they are resumed."""
