from __future__ import annotations

import json
import math
from typing import Any

import netCDF4
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simengine.errors import StoreError
from simengine.store import Layout, MemoryWriter, RunWriter, decode_attributes, encode_attributes
from simengine.store.attributes import check_name

texts = st.text(max_size=12) | st.sampled_from(["json:", "json:null", "json:x", "", "a\0b", "\ud800", "line\nline"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("coordinates", "dtype", "CLASS", "NAME", "Conventions")
)


def same(first: Any, second: Any) -> bool:
    """Equal in value and type, NaN equal to NaN, 0.0 unlike -0.0."""
    if isinstance(first, float) and isinstance(second, float):
        both_nan = math.isnan(first) and math.isnan(second)
        return both_nan or (first == second and math.copysign(1, first) == math.copysign(1, second))
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    return type(first) is type(second) and first == second


@given(st.dictionaries(names, values, max_size=4))
def test_encoding_attributes_has_an_inverse(attributes):
    assert same(decode_attributes(encode_attributes(attributes)), attributes)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attributes=st.dictionaries(names, values, max_size=4))
def test_attributes_survive_a_file_and_equal_those_in_memory(tmp_path, attributes):
    layout = Layout({}, {}, (), "1")
    with RunWriter(tmp_path / "run.nc", layout, attributes, overwrite=True) as writer:
        path = writer.close()
    with xr.open_dataset(path) as run, MemoryWriter(layout, attributes) as memory:
        found = decode_attributes(run.attrs)
        assert same({name: found[name] for name in attributes}, attributes)
        xr.testing.assert_identical(run, memory.close())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attributes=st.dictionaries(names, values, max_size=4))
def test_the_header_of_an_unfinished_run_keeps_attributes(tmp_path, attributes):
    from simengine.store import open_run

    writer = RunWriter(tmp_path / "run.nc", Layout({}, {}, (), "1"), attributes, overwrite=True)
    writer.record(0, 0.0, {})
    writer.abandon()
    found = decode_attributes(open_run(tmp_path / "run.nc").attrs)
    assert same({name: found[name] for name in attributes}, attributes)


def test_a_long_attribute_survives(tmp_path):
    text = "source " * 100_000
    with RunWriter(tmp_path / "run.nc", Layout({}, {}, (), "1"), {"source": text}):
        pass
    assert xr.load_dataset(tmp_path / "run.nc").attrs["source"] == text


def test_other_tools_read_json_behind_the_prefix(tmp_path):
    with RunWriter(tmp_path / "run.nc", Layout({}, {}, (), "1"), {"policy": {"b": [1, None], "a": True}}):
        pass
    with netCDF4.Dataset(tmp_path / "run.nc") as file:
        prefix, text = file.policy[:5], file.policy[5:]
    assert prefix == "json:"
    assert json.loads(text) == {"a": True, "b": [1, None]}


@pytest.mark.parametrize("value", [object(), {1, 2}, {"a": print}, {3: "x"}, 1j])
def test_what_no_file_can_hold_is_refused(value):
    with pytest.raises(StoreError, match="attribute"):
        encode_attributes({"x": value})


@pytest.mark.parametrize("name", ["", "two words", "_FillValue", "a-b", "a/b", "1st", "coordinates", "NAME", 3])
def test_names_that_files_cannot_carry_are_refused(name):
    with pytest.raises(StoreError, match="attribute name"):
        check_name(name, "attribute")
