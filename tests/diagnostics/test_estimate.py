"""An estimate converts, indexes, explains itself and becomes a Dataset."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simengine import InputError
from simengine.diagnostics.estimate import Estimate, doubted, flagged, normal_interval, positive_interval, stacked

ONE = Estimate(1.0, 0.1, (0.8, 1.2), 0.5, 0.25, 40, "nat", "plug-in", ("ties",), "nothing to find", {"k": 4})


def test_nats_become_bits_and_back_in_every_part() -> None:
    bits = ONE.to("bit")
    assert bits.value == pytest.approx(1 / math.log(2))
    assert bits.interval == pytest.approx((0.8 / math.log(2), 1.2 / math.log(2)))
    assert bits.null_sd == pytest.approx(0.25 / math.log(2))
    assert bits.to("nat").value == pytest.approx(1.0)
    assert Estimate(1.0, unit="nat/step").to("bit").unit == "bit/step"
    with pytest.raises(InputError, match="cannot be given in 'bit'"):
        Estimate(1.0, unit="1").to("bit")


def test_the_distance_from_the_null_is_in_its_standard_deviations() -> None:
    assert ONE.z == pytest.approx(2.0)
    assert math.isnan(Estimate(1.0).z)


def test_an_estimate_explains_its_doubts() -> None:
    assert not ONE.reliable
    text = ONE.explained()
    assert "ties: values are repeated" in text
    assert "2.0 sd away" in text
    assert "flags: ties" in repr(ONE)


def test_unknown_flags_are_refused_with_the_nearest_name() -> None:
    assert flagged("ties", None, "atoms", "ties") == ("atoms", "ties")
    with pytest.raises(KeyError, match="did you mean 'atoms'"):
        flagged("atom")
    assert doubted(ONE, "atoms").flags == ("atoms", "ties")


def test_several_estimates_are_arrays_that_can_be_taken_apart() -> None:
    many = stacked(
        [ONE, doubted(ONE, "atoms"), Estimate(2.0, flags=(), details={"k": 5})], (3,), ("time",), {"time": [1, 2, 3]}
    )
    assert many.shape == (3,)
    assert many.value.tolist() == [1.0, 1.0, 2.0]
    assert many.reliable.tolist() == [False, False, True]
    assert many[1].flags == ("atoms", "ties")
    assert many[2].value == 2.0
    assert many[1:].shape == (2,)
    assert many.details["k"].tolist() == [4, 4, 5]
    dataset = many.to_dataset("entropy")
    assert dataset.entropy.dims == ("time",)
    assert dataset.entropy_flags.values.tolist() == ["ties", "atoms ties", ""]
    with pytest.raises(InputError, match="one estimate, not several"):
        ONE[0]


def test_intervals_are_cut_to_what_is_possible() -> None:
    assert normal_interval(0.1, 0.2, lowest=0.0) == (0.0, pytest.approx(0.1 + 0.2 * 1.959963984540054))
    low, high = normal_interval(np.array([0.1, 0.9]), np.array([0.2, 0.2]), 0.0, 1.0)
    assert low.tolist()[0] == 0.0
    assert high.tolist()[1] == 1.0


def test_an_estimate_is_printed_by_the_format_of_its_value() -> None:
    assert f"{ONE:.3f}" == f"{float(ONE):.3f}"
    assert f"{ONE}" == repr(ONE)


def test_details_that_are_arrays_belong_to_their_own_estimate() -> None:
    several = stacked([Estimate(float(i), details={"local": np.full(2, i)}) for i in range(3)], (3,))
    assert several[2].details["local"].tolist() == [2, 2]


def test_several_methods_are_all_named() -> None:
    several = stacked([Estimate(1.0, method=method) for method in ("", "ksg-1", "atom-aware", "ksg-1")], (4,))
    assert several.method == "ksg-1 or atom-aware"


def test_the_interval_of_something_positive_with_a_far_larger_error_holds_everything() -> None:
    assert positive_interval(1e-30, 1.0) == (0.0, math.inf)
    low, high = positive_interval(2.0, 0.5)
    assert math.isclose(low * high, 4.0)
    assert low < 2.0 < high
    assert positive_interval(0.0, 1.0) == (0.0, 0.0)
