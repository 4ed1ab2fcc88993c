from __future__ import annotations

import cf_units
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.errors import ScenarioError
from simengine.store.layout import plain_unit
from simengine.store.units import _PREFIX_NAMES, _PREFIX_SYMBOLS, check_unit, known_units

names = st.sampled_from(sorted(known_units()))
prefixed = st.tuples(st.sampled_from(sorted(_PREFIX_SYMBOLS | _PREFIX_NAMES | {""})), names).map("".join)
powers = st.sampled_from(["", "2", "-1", "^2", "^-3", "+2"])
factors = st.tuples(prefixed, powers).map("".join) | st.sampled_from(["1", "10", "0.5", "1e-3"])
separators = st.sampled_from([" ", "/", " / ", "*", ".", " per "])


@st.composite
def unit_texts(draw):
    text = draw(factors)
    for _ in range(draw(st.integers(0, 3))):
        text += draw(separators) + draw(factors)
    return text


def accepted(text: str) -> bool:
    try:
        check_unit(text)
    except ScenarioError:
        return False
    return True


@pytest.mark.parametrize("name", sorted(known_units()))
def test_every_known_unit_is_one_of_udunits(name):
    check_unit(name)
    cf_units.Unit(name)


@given(unit_texts())
def test_udunits_reads_whatever_is_accepted(text):
    if accepted(text):
        cf_units.Unit(text)


@given(st.text(alphabet="ms1-2^/*. kgd%", max_size=8))
def test_udunits_reads_whatever_is_accepted_of_near_nonsense(text):
    if accepted(text):
        cf_units.Unit(text)


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "m",
        "m s-1",
        "m/s",
        "m/s^2",
        "kg.m2.s-2",
        "rad s-1",
        "rad per s",
        "percent",
        "%",
        "bit",
        "nat",
        "km",
        "1/s",
    ],
)
def test_units_of_scenarios_are_accepted(text):
    check_unit(text)
    cf_units.Unit(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metr", "did you mean 'metre'"),
        ("furlongs", "not understood at 'furlongs'"),
        ("agents", "'1' stands for pure numbers|did you mean"),
        ("", "or '1' for a pure number"),
        (" m", "blanks"),
        ("s since 2000-01-01", "'since'"),
        ("m//s", "not understood"),
        ("kkm", "'kkm'"),
        (None, "must be a text"),
    ],
)
def test_what_is_no_unit_is_named(text, message):
    with pytest.raises(ScenarioError, match=message):
        check_unit(text)


@pytest.mark.parametrize("unit", ["days", "hours", "seconds", "milliseconds"])
def test_durations_stay_numbers_and_keep_their_meaning(unit):
    assert plain_unit(unit) == unit[:-1]
    assert cf_units.Unit(plain_unit(unit)) == cf_units.Unit(unit)
