import math

import numpy as np
import pytest

from simengine.random import draws, elementary

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="needs extended precision to measure against"
)
TWO_PI = np.longdouble("6.283185307179586476925286766559")


def error_in_ulp(got, expected):
    """Largest error against extended precision, in units in the last place of the expected ``float64``."""
    return float(np.max(np.abs(got - expected) / np.spacing(np.abs(expected.astype(np.float64)))))


def test_the_logarithm_of_the_unit_interval_is_off_by_at_most_1_ulp():
    generator = np.random.default_rng(0)
    u = np.concatenate(
        [
            1.0 - generator.random(200_000),
            1.0 - generator.random(100_000) * 2.0 ** -generator.integers(0, 45, 100_000),
            2.0 ** -(generator.random(200_000) * 53),
            generator.uniform(0.70, 0.72, 100_000),
            2.0 ** -np.arange(54.0),
        ]
    )
    u = u[u < 1.0]
    assert error_in_ulp(elementary.log_unit(u), np.log(u.astype(np.longdouble))) <= 1.0


def test_the_logarithm_of_one_is_zero():
    assert elementary.log_unit(1.0) == 0.0


def test_sine_and_cosine_of_a_turn_are_off_by_at_most_1_7_ulp():
    generator = np.random.default_rng(1)
    u = generator.random(400_000)
    u = np.concatenate([u, u * 2.0 ** -generator.integers(0, 40, u.size)])
    quarter = np.floor(4 * u + 0.5)
    angle = (u - quarter / 4).astype(np.longdouble) * TWO_PI
    s, c = np.sin(angle), np.cos(angle)
    which = quarter.astype(int) % 4
    sine, cosine = elementary.sincos_turn(u)
    assert error_in_ulp(sine, np.choose(which, [s, c, -s, -c])) <= 1.7
    assert error_in_ulp(cosine, np.choose(which, [c, -s, -c, s])) <= 1.7


@pytest.mark.parametrize(("turn", "sine", "cosine"), [(0, 0, 1), (0.25, 1, 0), (0.5, 0, -1), (0.75, -1, 0)])
def test_quarter_turns_come_out_exactly(turn, sine, cosine):
    assert elementary.sincos_turn(turn) == (sine, cosine)


def test_sine_and_cosine_in_radians_are_off_by_at_most_0_9_ulp():
    generator = np.random.default_rng(2)
    multiples = np.arange(1.0, 60_000.0) * (math.pi / 2)
    for x in (
        generator.uniform(-10, 10, 300_000),
        generator.uniform(-1e6, 1e6, 300_000),
        multiples,
        np.nextafter(multiples, 0),
        2.0 ** -generator.uniform(0, 300, 1000),
    ):
        sine, cosine = elementary.sincos(x)
        assert error_in_ulp(sine, np.sin(x.astype(np.longdouble))) <= 0.9
        assert error_in_ulp(cosine, np.cos(x.astype(np.longdouble))) <= 0.9


def test_compiled_functions_give_the_same_bits_as_plain_ones():
    generator = np.random.default_rng(4)
    for x in generator.uniform(2.0**-53, 1.0, 300):
        assert draws.log_unit(x) == elementary.log_unit(x)
        assert draws.sincos_turn(x) == elementary.sincos_turn(x)
        assert draws.sincos(1e5 * x) == elementary.sincos(1e5 * x)
