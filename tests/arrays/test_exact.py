import math
import os
import subprocess
import sys
from fractions import Fraction

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.arrays import exact
from simengine.errors import InputError

# The first example of a function includes its compilation.
UNTIMED = settings(deadline=None)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
# Values whose squares stay within the range in which they are exact.
SQUARABLE = st.one_of(st.just(0.0), st.floats(1e-140, 1e140), st.floats(-1e140, -1e-140))
LISTS = st.lists(FINITE, max_size=60)
LARGEST = sys.float_info.max
SMALLEST = 5e-324


def summed(values):
    acc = exact.new_accumulator()
    exact.add_array(acc, np.array(values, dtype=np.float64))
    return acc


def one_by_one(values):
    acc = exact.new_accumulator()
    for value in values:
        exact.add(acc, value)
    return acc


def correctly_rounded(values):
    """The sum in rational arithmetic, which unlike ``math.fsum`` never overflows on the way."""
    total = sum(map(Fraction, values), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def moments_of(values, columns=1):
    moments = exact.ExactMoments(columns)
    moments.update(np.array(values, dtype=np.float64))
    return moments


@UNTIMED
@given(LISTS)
def test_a_sum_is_the_correctly_rounded_one_by_either_path(values):
    expected = correctly_rounded(values)
    assert exact.rounded(summed(values)) == expected
    assert exact.rounded(one_by_one(values)) == expected


@pytest.mark.parametrize("spread", [0, 5, 45, 60, 300])
@pytest.mark.parametrize("scale", [-700, 0, 700])
@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 5000])
def test_long_sums_equal_fsum(size, scale, spread):
    generator = np.random.default_rng(size + spread)
    values = generator.normal(size=size) * 2.0 ** generator.uniform(scale - spread, scale + spread, size)
    for signed in (values, np.abs(values), np.concatenate([values, -values * (1 + 2.0**-52)])):
        assert exact.exact_sum(signed) == math.fsum(signed)
        assert exact.whole_units(summed(signed)) == exact.whole_units(one_by_one(signed))


@UNTIMED
@given(st.lists(st.tuples(FINITE, st.sampled_from([1.0, -1.0])), max_size=30), st.randoms())
def test_cancellation_loses_nothing(pairs, order):
    values = [sign * value for value, sign in pairs for sign in (1.0, -1.0)]
    order.shuffle(values)
    small = [3 * SMALLEST, 1.0, 2.0**-53]
    assert exact.rounded(summed(values + small)) == 1.0 + 2.0**-52
    assert exact.rounded(summed(values)) == 0.0
    assert math.copysign(1.0, exact.rounded(summed(values))) == 1.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0.0),
        ([-0.0], 0.0),
        ([SMALLEST], SMALLEST),
        ([-SMALLEST] * 3, -3 * SMALLEST),
        ([sys.float_info.min, -SMALLEST], sys.float_info.min - SMALLEST),
        ([1.0, 2.0**-53], 1.0),
        ([1.0, 2.0**-53, SMALLEST], 1.0 + 2.0**-52),
        ([1.0 + 2.0**-52, 2.0**-53], 1.0 + 2.0**-51),
        ([-1.0, -(2.0**-53), -SMALLEST], -1.0 - 2.0**-52),
        ([2.0**53, 1.0], 2.0**53),
        ([2.0**53, 1.0, 1e-300], 2.0**53 + 2),
        ([1.0 - 2.0**-53, 2.0**-54], 1.0),
        ([LARGEST, LARGEST, -LARGEST], LARGEST),
        ([LARGEST, 2.0**970], math.inf),
        ([LARGEST, 2.0**969], LARGEST),
        ([LARGEST, 2.0**970, -SMALLEST], LARGEST),
        ([-LARGEST] * 5000, -math.inf),
    ],
)
def test_ties_subnormals_and_the_largest_numbers_are_rounded_as_prescribed(values, expected):
    assert exact.rounded(summed(values)) == expected
    assert exact.rounded(one_by_one(values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([math.inf, 1.0], math.inf),
        ([-math.inf, LARGEST], -math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan, 1.0], math.nan),
        ([math.nan, math.inf], math.nan),
    ],
)
def test_what_is_not_finite_shows_in_the_sum_even_after_a_merge(values, expected):
    merged = summed([2.5])
    exact.merge(merged, summed(values))
    for acc in (summed(values), one_by_one(values), merged):
        assert np.array_equal(exact.rounded(acc), expected, equal_nan=True)


@UNTIMED
@given(st.lists(FINITE, max_size=80), st.data())
def test_any_order_and_any_shards_give_the_same_bits(values, data):
    whole = moments_of(values)
    shuffled = data.draw(st.permutations(values))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=6)))
    parts = [moments_of(part) for part in np.split(np.array(shuffled, dtype=np.float64), cuts)]
    merged = exact.ExactMoments()
    for part in data.draw(st.permutations(parts)):
        merged.merge(part)
    assert merged.n == whole.n
    for name, array in whole.state().items():
        assert np.array_equal(merged.state()[name], array)
    for ours, theirs in (
        (merged.mean, whole.mean),
        (merged.variance(), whole.variance()),
        (merged.standard_error, whole.standard_error),
    ):
        assert ours.tobytes() == theirs.tobytes()


def test_a_merge_equals_adding_the_arrays():
    one, two = summed([1.5, -3e200]), summed([2.0**-1060, 7.0])
    together = one + two
    exact.merge(one, two)
    assert exact.whole_units(together) == exact.whole_units(one)
    assert exact.rounded(together) == exact.rounded(one)


def test_carries_are_moved_up_before_a_limb_overflows():
    acc = summed([])
    # Doubling by merging reaches 2**45 copies in 45 steps, far more than a limb holds without carries.
    exact.add(acc, 1.0 - 2.0**-53)
    for _ in range(45):
        exact.merge(acc, acc.copy())
        assert np.abs(acc[: exact.LIMBS].astype(object)).max() < 2**60
    assert exact.whole_units(acc) == 2**45 * exact.whole_units(summed([1.0 - 2.0**-53]))


def test_a_long_loop_of_single_additions_stays_exact():
    acc = exact.new_accumulator()
    count = 3_000_000
    add_repeatedly(acc, 0.1, count)
    assert exact.whole_units(acc) == count * exact.whole_units(summed([0.1]))


@numba.njit
def add_repeatedly(acc, x, count):
    for _ in range(count):
        exact.add(acc, x)


@UNTIMED
@given(LISTS)
def test_moving_carries_does_not_change_the_sum(values):
    acc = summed(values)
    before = exact.whole_units(acc)
    exact.propagate(acc)
    assert exact.whole_units(acc) == before
    assert acc[: exact.LIMBS - 1].min() >= 0
    assert acc[: exact.LIMBS - 1].max() < 2**32


@UNTIMED
@given(FINITE, FINITE)
def test_a_product_is_added_exactly_within_its_range(x, y):
    product = Fraction(x) * Fraction(y)
    acc = exact.new_accumulator()
    exact.add_product(acc, x, y)
    error = abs(Fraction(exact.whole_units(acc), 2**1074) - product)
    if product == 0 or Fraction(2) ** -968 <= abs(product) < Fraction(2) ** 1023:
        assert error == 0
    elif abs(product) < 1:
        assert error < Fraction(2) ** -1020


@pytest.mark.parametrize("x", [1e300, -1.7e308, 2.0**1000 * (1 + 2.0**-52)])
@pytest.mark.parametrize("y", [1.0 / 3.0, 1e-300, 1e-5])
def test_a_product_with_a_huge_factor_is_exact(x, y):
    for first, second in ((x, y), (y, x)):
        product, error = exact.two_product(first, second)
        assert Fraction(product) + Fraction(error) == Fraction(x) * Fraction(y)


@UNTIMED
@given(st.lists(st.tuples(SQUARABLE, SQUARABLE), max_size=40))
def test_arrays_of_products_equal_rational_arithmetic(pairs):
    x = np.array([pair[0] for pair in pairs])
    y = np.array([pair[1] for pair in pairs])
    acc = exact.new_accumulator()
    exact.add_products(acc, x, y)
    expected = sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0))
    assert Fraction(exact.whole_units(acc), 2**1074) == expected


@UNTIMED
@given(st.lists(SQUARABLE, min_size=2, max_size=40))
def test_mean_and_variance_equal_rational_arithmetic(values):
    exactly = [Fraction(value) for value in values]
    n = len(values)
    mean = sum(exactly) / n
    deviations = sum((value - mean) ** 2 for value in exactly)
    moments = moments_of(values)
    assert moments.n == n
    assert moments.sum[0] == float(sum(exactly))
    assert moments.mean[0] == exact.exact_mean(values) == float(mean)
    assert moments.variance()[0] == float(deviations / (n - 1))
    assert moments.variance(ddof=0)[0] == float(deviations / n)
    assert moments.sum_of_squares[0] == float(sum(value**2 for value in exactly))


@UNTIMED
@given(st.fractions(min_value=0, max_value=Fraction(2) ** 1000))
def test_a_root_is_the_float_nearest_to_the_true_one(value):
    result = exact.root(value)
    below = (Fraction(math.nextafter(result, 0.0)) + Fraction(result)) / 2
    above = (Fraction(math.nextafter(result, math.inf)) + Fraction(result)) / 2
    assert result == below == 0 or below**2 <= value <= above**2


def test_a_large_offset_costs_a_variance_nothing():
    values = 1e15 + np.array([0.0, 1.0, 2.0, 3.0])
    moments = moments_of(values)
    assert moments.variance()[0] == 5.0 / 3.0
    assert moments.standard_deviation()[0] == math.sqrt(5.0 / 3.0)
    assert moments.standard_error[0] == math.sqrt(5.0 / 12.0)


def test_columns_are_followed_apart():
    values = np.random.default_rng(5).normal(size=(3000, 3))
    moments = moments_of(values, columns=3)
    for column in range(3):
        single = moments_of(values[:, column])
        assert moments.mean[column] == single.mean[0]
        assert moments.variance()[column] == single.variance()[0]
        assert moments.standard_error[column] == single.standard_error[0]


def test_without_enough_observations_moments_are_not_a_number():
    assert np.isnan(exact.ExactMoments().mean[0])
    assert math.isnan(exact.exact_mean([]))
    assert np.isnan(moments_of([1.0]).variance()[0])
    assert np.isnan(moments_of([1.0]).standard_error[0])
    assert moments_of([1.0]).variance(ddof=0)[0] == 0.0


def test_a_variance_beyond_the_largest_float_is_infinite():
    moments = moments_of([1.3e154, -1.3e154])
    assert moments.variance()[0] == math.inf
    assert moments.standard_deviation()[0] == pytest.approx(1.3e154 * math.sqrt(2.0), rel=1e-15)


def test_what_is_not_finite_shows_in_the_moments():
    assert moments_of([1.0, math.inf]).mean[0] == math.inf
    assert np.isnan(moments_of([1.0, math.inf]).variance()[0])
    assert np.isnan(moments_of([1.0, math.nan]).mean[0])


@UNTIMED
@given(LISTS, LISTS)
def test_moments_continue_from_a_kept_state(before, after):
    kept = exact.ExactMoments.from_state(moments_of(before).state())
    kept.update(np.array(after, dtype=np.float64))
    whole = moments_of(before + after)
    assert all(np.array_equal(kept.state()[name], array) for name, array in whole.state().items())


def test_arrays_of_any_shape_and_layout_are_summed():
    values = np.random.default_rng(6).normal(size=(40, 50))
    assert exact.exact_sum(values) == exact.exact_sum(values.T) == math.fsum(values.ravel())
    assert exact.exact_sum(values[::3, ::2]) == math.fsum(values[::3, ::2].ravel())
    assert exact.exact_mean(values) == float(sum(map(Fraction, values.ravel())) / values.size)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: exact.ExactMoments(0),
        lambda: exact.ExactMoments(2).update(np.zeros(3)),
        lambda: exact.ExactMoments(2).update(np.zeros((3, 1))),
        lambda: exact.ExactMoments(2).merge(exact.ExactMoments(1)),
    ],
)
def test_columns_that_do_not_match_are_named_errors(mistake):
    with pytest.raises(InputError):
        mistake()


def test_sums_are_the_same_without_compilation():
    script = (
        "import numpy as np; from simengine.arrays.exact import *;"
        "x = np.random.default_rng(7).normal(size=300) * 2.0 ** np.arange(-150, 150);"
        "m = ExactMoments(); m.update(x); m.update(x[:5]);"
        "print(exact_sum(x).hex(), m.mean[0].hex(), m.variance()[0].hex())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", script],
            env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for disabled in "01"
    }
    assert len(answers) == 1
