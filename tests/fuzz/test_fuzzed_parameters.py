"""Parameters and keywords of a run, from Python and as words of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fuzz_values as values
import pytest
from fuzz_oracle import call, cases, check_finished, check_folder, check_process, command, contents, folder
from hypothesis import given
from hypothesis import strategies as st

import simengine
from simengine.errors import RunError
from simengine.scenario.parameters import RUN_KEYWORDS

UNSPEAKABLE = st.builds(values.Unspeakable)
KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "steps": values.odd.filter(values.bounded),
    "seed": values.odd | st.integers(0, 2**64),
    "every": values.odd | st.integers(0, 3),
    "snapshot_every": values.odd | st.integers(0, 3),
    "threads": st.sampled_from([None, 1, 1, 0, -1, 1.0, "1", 10**6, True, b"1"]) | UNSPEAKABLE,
    "storage_order": values.odd | st.sampled_from(["auto", "by_id", "by_cell", "by_call"]),
    "checkpoint_every": values.odd | st.integers(0, 3),
    "policies": values.odd
    | st.dictionaries(values.texts | st.sampled_from(["agents.side", "side"]), values.odd, max_size=2),
    "start": values.odd,
    "interventions": values.odd,
    "out": values.odd,
    "progress": st.sampled_from([True, False, None, 0, ""]),
    "overwrite": st.sampled_from([True, False, 1, 0, None]),
    # Nothing that would start Ray: that has tests of its own.
    "shards": st.sampled_from([None, None, 0, -1, 1.5, "many", b"1"]) | UNSPEAKABLE,
    "address": st.sampled_from([None, None, "", " ", 6379, b"auto"]) | UNSPEAKABLE,
}  # fmt: skip


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The shipped scenarios, and one with fields and parameters of every kind."""
    own = simengine.runs.registry.find(values.fields_scenario(tmp_path_factory.mktemp("own")))
    return [own, *values.NAMES]


@cases(0.20)
@given(data=st.data())
def test_any_parameters_and_keywords_from_python_are_taken_or_refused_in_one_line(data, scenarios):
    scenario = data.draw(st.sampled_from(scenarios))
    cls = simengine.runs.registry.find(scenario)
    tiny = values.TINY.get(scenario, {}) if isinstance(scenario, str) else {}
    given = data.draw(values.parameters(cls))
    keywords: dict[str, Any] = {"steps": data.draw(values.few_steps), "progress": False}
    for name in data.draw(st.lists(st.sampled_from(sorted(KEYWORDS)), max_size=2, unique=True)):
        keywords[name] = data.draw(KEYWORDS[name])
    with folder() as place:
        if data.draw(st.booleans()):
            keywords.setdefault("out", place / "x.nc")
        before = contents(place)
        arguments = {**tiny, **{name: value for name, value in given.items() if name not in keywords}, **keywords}
        dataset, error = call(simengine.run, scenario, **arguments)
        if error is None:
            dataset.close()
            if keywords.get("out") is not None:
                check_finished(Path(keywords["out"]))
        else:
            check_folder(before, place, began=isinstance(error, RunError))
    check_process(10)


@cases(0.03)
@given(scenario=values.odd, steps=values.few_steps)
def test_anything_in_the_place_of_a_scenario_is_refused_in_one_line(scenario, steps):
    with folder() as place:
        dataset, error = call(simengine.run, scenario, steps=steps, out="x.nc", progress=False)
        assert error is not None
        check_folder({}, place, began=False)
        assert dataset is None
    check_process(10)


WORDS = [
    "--set", "--set", "--steps", "--seed", "--every", "--snapshot-every", "--checkpoint-every", "--threads", "--start",
    "--storage-order", "--progress", "--no-progress", "--json", "--force", "--at", "--config", "--out", "-o", "--help",
    "--version", "--", "-", "-x", "--Set", "--step", "--set=", "--set=n_agents=3", "--steps=2", "run", "describe", "",
]  # fmt: skip
NUMERALS = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "1.5",
    "1e0",
    "2**3",
    str(2**63),
    str(2**64),
    str(10**30),
    "9" * 5000,
    "٢",
    " 2 ",
    "nan",
]
COMMANDS = ["run", "run", "run", "run", "describe", "list", "init", "resume", "rerun", "branch", "rnu", ""]


@st.composite
def settings_words(draw: st.DrawFn, name: str) -> list[str]:
    """``--set`` with something behind it."""
    known = simengine.runs.registry.find(name).declaration.parameters.parameters
    parameter = draw(st.sampled_from(list(known)))
    value = draw(value_text(known[parameter]))
    key = draw(
        st.sampled_from([parameter] * 6 + ["", parameter[:-1], f" {parameter} ", parameter.upper()]) | values.texts
    )
    text = draw(
        st.sampled_from(
            [f"{key}={value}"] * 8 + [f"{key}:{value}", key, f"{key}=={value}", f"{key}={value},{key}={value}"]
        )
    )
    return draw(
        st.sampled_from([["--set", text]] * 6 + [["--set", text, "--set", text], ["--set=" + text], [text], ["--set"]])
    )


def value_text(parameter: Any) -> st.SearchStrategy[str]:
    """A value as a word of the command line."""
    found = (
        values.near(parameter).map(str) | values.texts | st.floats().map(repr) | st.integers(-(2**70), 2**70).map(str)
    )
    return found.filter(values.numbered) if parameter.base_type is int else found


@st.composite
def words(draw: st.DrawFn) -> list[str]:
    """A command line that is nearly right, or far from it."""
    name = draw(st.sampled_from(values.NAMES))
    found = [draw(st.sampled_from(COMMANDS)), draw(st.sampled_from([name] * 9 + ["x.nc", "x.py"]) | values.texts)]
    for size, value in values.TINY[name].items():
        if found[0] == "run":
            found += ["--set", f"{size}={value}"]
    found += ["--steps", draw(st.sampled_from(["0", "1", "2"]))] if found[0] == "run" else []
    for kind in draw(st.lists(st.integers(0, 4), max_size=4)):
        if kind <= 1:
            found += draw(settings_words(name))
        elif kind == 2:
            found += [draw(st.sampled_from(WORDS)), draw(st.sampled_from(NUMERALS) | values.texts)]
        elif kind == 3:
            found += [
                draw(st.sampled_from(["--steps", "--seed", "--every", "--snapshot-every"])),
                draw(st.sampled_from(NUMERALS)),
            ]
        else:
            found.append(draw(st.sampled_from(WORDS) | values.texts))
    return found


@cases(0.20)
@given(words=words())
def test_any_words_of_a_command_line_are_done_or_refused_in_one_line(words):
    with folder() as place:
        code, _, _ = command(words)
        if code:
            check_folder({}, place, began=code == 1)
        else:
            for path in place.glob("*.nc"):
                check_finished(path)
    check_process(10)


def test_every_keyword_of_a_run_is_fuzzed():
    assert set(RUN_KEYWORDS) <= {*KEYWORDS, "scenario"}
