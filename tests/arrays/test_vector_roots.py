"""Square roots by Newton's method must be the processor's own, so that results do not depend on how they are taken."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from simengine.arrays import vector


@njit(error_model="numpy")
def roots_of(x, root, inverse):
    for k in range(0, x.shape[1], vector.WIDTH):
        a, b = vector.root_and_inverse(vector.load(x, 0, k))
        vector.store(root, 0, k, a)
        vector.store(inverse, 0, k, b)


def numbers(kind: str, generator: np.random.Generator) -> np.ndarray:
    n = (1, 1 << 18)
    if kind == "uniform":
        return generator.uniform(0.0, 1e3, n)
    if kind == "many magnitudes":
        return np.exp(generator.uniform(-300.0, 300.0, n))
    middle = generator.integers(2**52, 2**53, n) + 0.5
    square = middle * middle * 2.0**-104
    return np.nextafter(square, np.where(generator.random(n) < 0.5, 0.0, np.inf))


@pytest.mark.parametrize("kind", ["uniform", "many magnitudes", "next to squares of midpoints"])
def test_roots_and_their_inverses_are_rounded_as_by_the_processor(kind: str) -> None:
    generator = np.random.default_rng(3)
    for _ in range(4):
        x = numbers(kind, generator)
        root, inverse = np.empty_like(x), np.empty_like(x)
        roots_of(x, root, inverse)
        np.testing.assert_array_equal(root, np.sqrt(x))
        np.testing.assert_array_equal(inverse, 1.0 / np.sqrt(x))


def test_the_root_of_nothing_is_nothing_and_its_inverse_infinite() -> None:
    x = np.array([[0.0, 1.0, 4.0, 0.0, 9.0, 0.25, 0.0, 1e-12]])
    root, inverse = np.empty_like(x), np.empty_like(x)
    roots_of(x, root, inverse)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(root, np.sqrt(x))
        np.testing.assert_array_equal(inverse, 1.0 / np.sqrt(x))
