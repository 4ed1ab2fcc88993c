"""Start states: dicts of arrays, Datasets and run files that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fuzz_values as values
import numpy as np
import pytest
import xarray as xr
from fuzz_oracle import call, cases, check_finished, check_folder, check_process, command, contents, folder
from hypothesis import given
from hypothesis import strategies as st

import simengine
from simengine.errors import RunError

DTYPES = ["f8", "f8", "f8", "i8", "i8", "?", "f4", "f2", ">f8", ">i2", "u1", "u8", "c16", "O", "U3", "S3", "M8[s]",
          "m8[s]",           "longdouble"]  # fmt: skip
FILLS = [0, 0, 1, 1, 2, -1, -2, 5, 0.5, 1e300, -1e300, 5e-324, np.nan, np.inf, 2**53 + 1, -0.0]
FIELDS = {
    "voter": ["opinion"],
    "schooling": ["position", "heading"],
    "flocking": ["position", "heading"],
    "wealth_exchange": ["wealth"],
    "predator_prey": ["position", "prey_position", "predators_energy", "predators_position", "ledger_eaten"],
    "fields": ["place", "heading", "happy", "age", "friend"],
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A scenario with fields of every kind."""
    return simengine.runs.registry.find(values.fields_scenario(tmp_path_factory.mktemp("own")))


@pytest.fixture(scope="module")
def files(own: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Run files of several scenarios, with and without snapshots."""
    place, found = tmp_path_factory.mktemp("runs"), []
    for scenario in (own, "voter", "schooling", "predator_prey"):
        tiny = values.TINY.get(scenario, {}) if isinstance(scenario, str) else {}
        for stride in (None, 1):
            path = place / f"{getattr(scenario, '__name__', scenario)}{stride or ''}.nc"
            simengine.run(scenario, steps=1, snapshot_every=stride, out=path, progress=False, **tiny).close()
            found.append(path)
    return found


@st.composite
def arrays(draw: st.DrawFn, likely: int = 5) -> Any:
    """An array of any shape, type and layout in memory, or something that is none."""
    if draw(st.integers(0, 7)) == 0:
        return draw(values.odd)
    length = draw(st.sampled_from([likely] * 6 + [0, 1, likely + 1]))
    shape = draw(
        st.sampled_from(
            [(length,)] * 3
            + [(length, 2)] * 2
            + [(length, 3)] * 2
            + [(), (2, length), (length, 1), (length, 2, 1), (0, 0)]
        )
    )
    made = np.full(shape, draw(st.sampled_from([0, 1, 1])), "f8")
    if made.size:
        for _ in range(draw(st.integers(0, 2))):
            made.flat[draw(st.integers(0, made.size - 1))] = draw(st.sampled_from(FILLS) | st.floats())
    with np.errstate(all="ignore"):
        try:
            made = made.astype(draw(st.sampled_from(DTYPES)))
        except (ValueError, TypeError, OverflowError):
            made = made.astype("O")
    form = draw(st.integers(0, 9))
    if form == 0 and made.dtype.kind != "O":
        return np.ma.masked_array(made, mask=np.ones(made.shape, bool))
    if form == 1:
        return made.tolist()
    if form == 2:
        return np.repeat(made, 2, axis=0)[::2] if made.ndim else made
    if form == 3:
        return np.asfortranarray(made)
    if form == 4 and made.ndim:
        return made[::-1]
    if form == 5:
        return xr.DataArray(made)
    if form == 6 and made.ndim:
        return [*made.tolist()[:-1], draw(values.odd)]
    if form == 7:
        made.flags.writeable = False
    return made


@st.composite
def starts(draw: st.DrawFn, name: str) -> dict[Any, Any]:
    """A dict that is nearly a start state of a scenario."""
    known = FIELDS[name]
    likely = draw(st.sampled_from([5, 5, 1, 0]))
    chosen = draw(st.lists(st.sampled_from(known), max_size=3, unique=True))
    found: dict[Any, Any] = {field: draw(arrays(likely)) for field in chosen}
    extra = draw(st.integers(0, 11))
    if extra == 0:
        found[draw(values.misspelt(known))] = draw(arrays(likely))
    elif extra == 1:
        found[draw(st.sampled_from(["agents", "prey", "predators", "ledger"]))] = draw(
            st.dictionaries(st.sampled_from([*known, "energy", "eaten"]) | values.texts, arrays(likely), max_size=2)
            | values.odd
        )
    elif extra == 2:
        found[draw(st.sampled_from([3, None, b"a", ("a",), 1.5]))] = draw(arrays(likely))
    return found


def attempt(scenario: Any, start: Any, **keywords: Any) -> None:
    with folder() as place:
        (place / "old.txt").write_text("kept")
        before = contents(place)
        dataset, error = call(simengine.run, scenario, start=start, out="x.nc", progress=False, **keywords)
        if error is None:
            dataset.close()
            check_finished(place / "x.nc")
        else:
            check_folder(before, place, began=isinstance(error, RunError))
    check_process(10)


@cases(0.12)
@given(data=st.data(), name=st.sampled_from(list(FIELDS)), steps=st.sampled_from([0, 1]))
def test_any_dict_of_arrays_is_taken_or_refused_in_one_line(data, name, steps, own):
    room = {name: value for name, value in values.TINY.get(name, {}).items() if "capacity" in name}
    attempt(own if name == "fields" else name, data.draw(starts(name)), steps=steps, **room)


@st.composite
def datasets(draw: st.DrawFn, files: list[Path]) -> Any:
    """A Dataset of a run that something was done to, or one of one's own."""
    if draw(st.integers(0, 3)) == 0:
        dims = draw(st.sampled_from([("agent",), ("agent", "axis"), ("x",), ("snapshot_time", "agent"), ()]))
        made = np.ones([2] * len(dims))
        coordinates = {"agent_id": ("agent", [0, 1])} if "agent" in dims and draw(st.booleans()) else {}
        keys = st.sampled_from(["parameter_n_agents", "parameter_speed", "title", "seed"])
        said = st.sampled_from([1, "json:{", "json:null", np.nan, [1], "a\nb", b"x", 10**30])
        attributes = draw(st.dictionaries(keys, said))
        return xr.Dataset(
            {draw(st.sampled_from(["position", "place", "opinion", "friend"])): (dims, made)}, coordinates, attributes
        )
    with simengine.open(draw(st.sampled_from(files))) as opened:
        dataset = opened.load()
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(map(str, dataset.variables))))
        what = draw(st.integers(0, 8) if dataset.dims else st.sampled_from([0, 6, 7]))
        if what == 0:
            dataset = dataset.drop_vars(name)
        elif what == 1:
            held = {*map(str, dataset.variables), *map(str, dataset.dims)} - {name}
            wanted = draw(st.sampled_from(["position", "place", "heading", "q", "agent_id", "friend"]))
            dataset = dataset.rename({name: wanted}) if wanted not in held else dataset
        elif what == 2:
            dataset = dataset.isel(
                {draw(st.sampled_from(sorted(map(str, dataset.dims)))): slice(0, draw(st.integers(0, 1)))}
            )
        elif what == 3:
            dim = draw(st.sampled_from(sorted(map(str, dataset.dims))))
            dataset = dataset.isel({dim: 0 if dataset.sizes[dim] else slice(0)})
        elif what == 4:
            dataset = dataset.transpose(*reversed(list(dataset.dims)))
        elif what == 5 and dataset[name].dtype.kind in "fiu" and name not in dataset.indexes:
            dataset[name] = dataset[name].astype(draw(st.sampled_from(["f4", "i2", "c16", "O", "U8"])))
        elif what == 6 and dataset[name].dtype.kind == "f" and name not in dataset.indexes:
            dataset[name] = dataset[name] * draw(st.sampled_from([np.nan, 0.0, 1e308, -1.0]))
        elif what == 7:
            key = draw(st.sampled_from(sorted(map(str, dataset.attrs))))
            dataset.attrs[key] = draw(
                st.sampled_from([1, -1, "json:{", "json:null", "json:[1]", "a\nb", [1, 2], 10**30, np.nan, b"x", None])
            )
        elif what == 8 and name in dataset.coords:
            dataset = dataset.reset_coords(name) if name not in dataset.indexes else dataset
    return dataset


@cases(0.04)
@given(
    data=st.data(),
    name=st.sampled_from(["fields", "schooling", "voter", "predator_prey"]),
    steps=st.sampled_from([0, 1]),
)
def test_any_dataset_is_taken_or_refused_in_one_line(data, name, steps, own, files):
    attempt(own if name == "fields" else name, data.draw(datasets(files)), steps=steps)


@cases(0.02)
@given(
    data=st.data(),
    name=st.sampled_from(list(FIELDS)),
    more=st.sampled_from([[], ["--set", "n_agents=4"], ["--seed", "3"]]),
)
def test_a_run_file_of_any_scenario_is_taken_or_refused_in_one_line(data, name, more, files):
    with folder() as place:
        own = str(values.fields_scenario(place))
        before = contents(place)
        start = data.draw(st.sampled_from([*map(str, files), ".", "", own, "none.nc"]))
        words = ["run", own if name == "fields" else name, "--start", start, "--steps", "1", "--out", "x.nc", *more]
        code, _, _ = command(words)
        if code:
            check_folder(before, place, began=code == 1)
        else:
            check_finished(place / "x.nc")
    check_process(10)
