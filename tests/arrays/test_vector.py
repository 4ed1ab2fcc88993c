import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from simengine.arrays import vector

FLAGS = {"cache": False, "error_model": "numpy"}


@njit(**FLAGS)
def arithmetic(table, out):
    a = vector.load(table, 0, 1)
    b = vector.load(table, 1, 1)
    vector.store(out, 0, 0, a + b)
    vector.store(out, 1, 0, a - b)
    vector.store(out, 2, 0, a * b)
    vector.store(out, 3, 0, a / b)
    vector.store(out, 4, 0, -a)
    vector.store(out, 5, 0, abs(a))
    vector.store(out, 6, 0, np.sqrt(abs(b)))
    vector.store(out, 7, 0, 1.0 - a * 3)


@njit(**FLAGS)
def comparisons(table, out):
    a = vector.load(table, 0, 0)
    b = vector.load(table, 1, 0)
    one, none = vector.repeated(1.0), vector.repeated(0.0)
    vector.store(out, 0, 0, vector.select(a < b, one, none))
    vector.store(out, 1, 0, vector.select(a <= b, one, none))
    vector.store(out, 2, 0, vector.select(a > b, one, none))
    vector.store(out, 3, 0, vector.select(a >= b, one, none))
    vector.store(out, 4, 0, vector.select(a == b, one, none))
    vector.store(out, 5, 0, vector.select(a != b, one, none))
    vector.store(out, 6, 0, vector.select((a < 0.0) & ~(b < 0.0), 1.0, 0.0 * one))
    vector.store(out, 7, 0, vector.select((a < 0.0) | (b < 0.0) ^ True, a, b))


@njit(**FLAGS)
def total(table, row):
    return vector.total(vector.load(table, row, 0))


@njit(**FLAGS)
def keep_below(table, limit, length, survivors):
    end = 0
    for k in range(0, length, vector.WIDTH):
        places = vector.count_from(k)
        end = vector.keep(survivors, end, places, vector.load(table, 0, k) < limit)
    return end


@njit(**FLAGS)
def pick_all(table, row, places, out):
    for k in range(0, places.shape[0], vector.WIDTH):
        vector.store(out, 0, k, vector.pick(table, row, vector.load_places(places, k)))


@njit(**FLAGS)
def scalar_choice(where, a, b):
    return vector.select(where, a, b)


def tables(seed=1, rows=8, columns=8):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_arithmetic_gives_in_each_lane_what_numpy_gives():
    table, out = tables(columns=9), np.empty((8, 8))
    arithmetic(table, out)
    a, b = table[0, 1:], table[1, 1:]
    expected = [a + b, a - b, a * b, a / b, -a, abs(a), np.sqrt(abs(b)), 1.0 - a * 3]
    np.testing.assert_array_equal(out, expected)


def test_comparisons_and_masks_follow_numpy_even_for_nan_and_infinity():
    a = np.array([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, -1.0, 2.0])
    b = np.array([-0.0, 1.0, 1.0, 1.0, np.inf, np.nan, -1.0, -2.0])
    out = np.empty((8, 8))
    comparisons(np.stack([a, b]), out)
    both = (a < 0) & ~(b < 0)
    either = np.where((a < 0) | ((b < 0) ^ True), a, b)
    expected = [a < b, a <= b, a > b, a >= b, a == b, a != b, both, either]
    np.testing.assert_array_equal(out, np.array(expected, dtype=float))


def test_total_adds_halves_in_the_documented_order():
    for seed in range(20):
        v = tables(seed)[0] * 10.0 ** np.arange(8)
        expected = ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
        assert total(v.reshape(1, 8), 0) == expected


def test_keep_appends_the_chosen_places_in_ascending_order():
    table = tables(columns=800)
    for limit in (-10.0, -1.0, 0.0, 10.0):
        survivors = np.full(800 + vector.WIDTH, -1, dtype=np.int32)
        found = keep_below(table, limit, 800, survivors)
        np.testing.assert_array_equal(survivors[:found], np.nonzero(table[0] < limit)[0])


def test_pick_reads_the_named_columns_of_the_named_row():
    table, out = tables(columns=100), np.empty((1, 64))
    places = np.random.default_rng(2).integers(0, 100, 64).astype(np.int32)
    pick_all(table, 3, places, out)
    np.testing.assert_array_equal(out[0], table[3, places])


@pytest.mark.parametrize("where", [True, False])
def test_select_also_chooses_between_plain_numbers(where):
    assert scalar_choice(where, 1.5, 2.5) == (1.5 if where else 2.5)


def test_without_compilation_the_same_tests_hold():
    names = [name for name in globals() if name.startswith("test_") and "without" not in name]
    chosen = [f"{__file__}::{name}" for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
