"""Configuration files: TOML of any content, and files that are no TOML."""

from __future__ import annotations

import datetime
import math
from typing import Any

import fuzz_values as values
from fuzz_oracle import cases, check_finished, check_folder, check_process, command, contents, folder
from hypothesis import given
from hypothesis import strategies as st

import simengine

WORDS = values.texts.filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))
MOMENTS = st.sampled_from(
    [datetime.date(2020, 1, 1), datetime.time(1, 2), datetime.datetime(2020, 1, 1), datetime.datetime.max]
)
SCALARS: st.SearchStrategy[Any] = (
    st.booleans()
    | st.sampled_from(
        [math.nan, math.inf, -math.inf, 10**30, -(10**30), 2**63, 2**64, 10**4000, -0.0, 1e308, 0, 1, 2, -1]
    )
    | st.floats()
    | WORDS
    | MOMENTS
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)
STEPS = ANYTHING.filter(values.bounded)
PATHS = st.sampled_from(
    ["x.nc", "none/x.nc", "", ".", "y", "a\nb.nc", "a\0.nc", "ä.nc", "x" * 300, "old.nc", "/dev/null"]
)
KEYS: dict[str, st.SearchStrategy[Any]] = {
    "scenario": st.sampled_from([*values.NAMES, "votr", "fields.py", "fields.py:Fields", "none.py", "old.nc"])
    | ANYTHING,
    "steps": STEPS,
    "seed": ANYTHING | st.integers(0, 2**64),
    "every": ANYTHING,
    "snapshot_every": ANYTHING,
    "checkpoint_every": ANYTHING,
    "threads": st.sampled_from([1, 0, -1, 10**6, 1.0, "1", True, [1]]),
    "out": PATHS,
    "start": PATHS | SCALARS,
    "overwrite": ANYTHING,
    "progress": ANYTHING,
    "storage_order": ANYTHING | st.sampled_from(["auto", "by_id", "by_call"]),
    "policies": ANYTHING,
    "force": st.booleans(),
}


def toml(value: Any) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        try:
            return repr(value)
        except ValueError:
            return "1" + "0" * 4999
    if isinstance(value, str):
        return (
            '"'
            + "".join(letter if letter.isprintable() and letter not in '"\\' else escaped(letter) for letter in value)
            + '"'
        )
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(toml, value)) + "]"


def escaped(letter: str) -> str:
    return f"\\U{ord(letter):08x}"


def plain_value(value: Any) -> bool:
    """Whether TOML has this type."""
    return type(value) in (bool, int, float, str)


@st.composite
def tables(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Parameters with values, as TOML may hold them."""
    found = draw(values.parameters(simengine.runs.registry.find(name)))
    kept = {key: value for key, value in found.items() if plain_value(value) and encodable(key) and encodable(value)}
    if draw(st.integers(0, 5)) == 0:
        kept[draw(WORDS)] = draw(ANYTHING)
    return kept


def encodable(value: Any) -> bool:
    return not isinstance(value, str) or not any("\ud800" <= letter <= "\udfff" for letter in value)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A configuration file that is nearly right, or far from it."""
    name = draw(st.sampled_from(values.NAMES))
    said: dict[str, Any] = {"scenario": name, "steps": draw(st.sampled_from([0, 1, 2])), "out": "x.nc"}
    for key in draw(st.lists(st.sampled_from(list(KEYS)), max_size=2, unique=True)):
        said[key] = draw(KEYS[key])
    if draw(st.integers(0, 9)) == 0:
        said[draw(values.misspelt(list(KEYS)).filter(encodable))] = draw(ANYTHING)
    bare = draw(st.booleans())
    lines = [
        f"{key if bare and key.isidentifier() and key.isascii() else toml(key)} = {toml(value)}"
        for key, value in said.items()
    ]
    table = {**values.TINY[name], **draw(tables(name))}
    lines += draw(
        st.sampled_from([["[parameters]"], ["[parameters]"], ["[ 'parameters' ]"], ["[[parameters]]"], ["[parameter]"]])
    )
    lines += [f"{toml(key)} = {toml(value)}" for key, value in table.items()]
    for _ in range(draw(st.integers(0, 2))):
        when = draw(
            st.sampled_from(
                [{"at": 1}, {"every": 1}, {"at": 0}, {"at": 9}, {}, {"at": 1, "every": 1}, {"at": 1, "apply": "f"}]
            )
        )
        changes = {**when, **draw(tables(name))}
        if when and draw(st.integers(0, 3)) == 0:
            changes[next(iter(when))] = draw(ANYTHING)
        lines += [draw(st.sampled_from(["[[interventions]]", "[[interventions]]", "[interventions]"]))]
        lines += [f"{toml(key)} = {toml(value)}" for key, value in changes.items()]
    return draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n  "])).join(lines) + "\n"


def attempt(content: bytes, more: list[str]) -> None:
    with folder() as place:
        (place / "c.toml").write_bytes(content)
        values.fields_scenario(place)
        (place / "old.nc").write_bytes(b"not a run")
        before = contents(place)
        code, _, complaint = command(["run", "--config", "c.toml", "--no-progress", *more])
        if code:
            check_folder(before, place, began=code == 1)
            assert "c.toml" in complaint or "no scenario" in complaint or code == 1 or more, complaint
        else:
            for path in place.glob("*.nc"):
                if path.name != "old.nc":
                    check_finished(path)
    check_process(10)


@cases(0.15)
@given(
    text=documents(),
    more=st.sampled_from([[], [], [], ["--steps", "1"], ["--json"], ["voter"], ["--set", "n_agents=3"]]),
)
def test_any_configuration_is_carried_out_or_refused_in_one_line(text, more):
    attempt(text.encode(), more)


LINES = st.sampled_from([
    b"steps = 1", b"steps = ", b"[parameters]", b"[parameters", b"[[interventions]]", b"scenario = 'voter'",
    b"out = 'x.nc'",
    b"at = 1", b"= 1", b"a.b.c = 1", b"steps.a = 1", b"parameters.n_agents = 3", b"[parameters.n_agents]", b'"" = 1',
    b"n_agents = 3", b"scenario = '''vo\nter'''", b"# x", b"\xef\xbb\xbf", b"a = [" * 2000, b"x = '\xff'",
    b"steps = 1_0__0",
    b"seed = 0xffffffffffffffff", b"seed = " + b"9" * 5000, b"seed = 1e500",
    b"interventions = [{at = 1, n_agents = 2}]",
    b"\r",
    b"interventions = 3", b"parameters = 3", b"parameters = []", b"start = '.'", b"a." * 3000 + b"b = 1",
])  # fmt: skip


@cases(0.03)
@given(content=st.binary(max_size=60) | st.lists(LINES | st.binary(max_size=6), max_size=8).map(b"\n".join))
def test_bytes_that_are_no_configuration_are_refused_in_one_line(content):
    attempt(content, [])


def test_a_folder_or_nothing_in_the_place_of_a_configuration_is_refused():
    with folder() as place:
        (place / "c.toml").mkdir()
        for name in ("c.toml", "none.toml", "", ".", "a\0b", "x" * 5000, "a\nb"):
            code, _, _ = command(["run", "--config", name])
            assert code == 2
            assert set(contents(place)) == {"c.toml"}
