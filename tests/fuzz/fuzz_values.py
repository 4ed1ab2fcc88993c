"""Right, nearly right and absurd values for everything that a user can give."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import math
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from simengine.runs import registry
from simengine.scenario.parameters import Parameter
from simengine.scenario.scenario import Scenario

FIELDS = """
from typing import Literal
from simengine import Scenario, decision, field, observable, param, population, reference, update, vector

@observable(unit="1", long_name="share of the happy")
def happiness(agents):
    return agents.happy.mean() if len(agents) else 0.0

class Fields(Scenario):
    '''Fields and parameters of every kind.'''
    n_agents: int = param(5, low=0)
    speed: float = param(1.0, low=0, below=10)
    reach: float | None = param(None, above=0)
    turns: int = param(2, low=-3, high=3)
    jolly: bool = param(True)
    gait: Literal["slow", "quick"] = param("slow")
    motto: str = param("on")
    agents = population(
        size="n_agents", place=field(), heading=vector(2, unit_length=True), happy=field(bool), age=field(int),
        friend=reference(),
    )
    observe = [happiness]

    def start(self, agents):
        agents.heading[:] = 1.0
        agents.friend[:] = -1

    @decision(agents.age, options=("left", "right"))
    def side(me, agents, p):
        return me % 2

    @update(agents)
    def walk(me, agents, new, p):
        new.place[me] += p.speed
        new.age[me] += p.turns
"""

SIZES = {"n_agents", "n_prey", "n_predators", "prey_capacity", "predator_capacity"}
TINY: dict[str, dict[str, Any]] = {
    "voter": {"n_agents": 6},
    "schooling": {"n_agents": 6},
    "flocking": {"n_agents": 6},
    "wealth_exchange": {"n_agents": 6},
    "predator_prey": {"n_prey": 6, "n_predators": 3, "prey_capacity": 60, "predator_capacity": 40},
}
LIGHT = ("voter", "wealth_exchange", "schooling")
NAMES = tuple(TINY)


class Colour(enum.IntEnum):
    """A whole number of another class."""

    RED = 3


class Whole(int):
    """A whole number whose text is several lines."""

    def __repr__(self) -> str:
        return "Whole\nnumber"


class Unspeakable:
    """A thing that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no text\nat all")


class Stubborn:
    """A thing that cannot be compared, hashed, counted or shown in a line."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        raise RuntimeError("not countable")

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")

    def __repr__(self) -> str:
        return "line\nline\x1b[31m\0"


TEXTS = [
    "", " ", "nan", "inf", "-inf", "none", "None", "null", "true", "1", "1.5", "1e400", "0x10", "1_0", "٣", "½", "1,5",
    "quik", "slow\n", "a\nb", "a\0b", "\x1b[31mred", "\u202eabc", "ä" * 40, "x" * 10_000, "🐟", "%s{}", "--help", "=",
    "'\"",     "\udcff", "[bold]x[/bold]", "[/]", "../..", "$HOME", "simengine: x",
]  # fmt: skip
ODD: list[Any] = [
    math.nan, math.inf, -math.inf, -0.0, 0, -1, 1, 2, 0.5, 1e308, -1e308, 5e-324, 10**30, -(10**30), 2**63, 2**63 - 1,
    -(2**63), 2**64, 10**4000, 1e17, True, False, None, b"", b"3", b"\xff\n", bytearray(b"x"), [], [1], (), {},
    {"a": 1},
    set(), frozenset(), range(3), object(), Ellipsis, NotImplemented, int, len, 1j, decimal.Decimal("0.1"),
    decimal.Decimal("sNaN"), fractions.Fraction(1, 3), datetime.date(2020, 1, 1), Path("x"), Colour.RED, Whole(2),
    Unspeakable(), Stubborn(), lambda: 1, np.float64(0.5), np.float32(0.25), np.float16(1), np.longdouble("1e400"),
    np.int8(3), np.uint64(2**64 - 1), np.bool_(True), np.str_("slow"), np.bytes_(b"slow"), np.datetime64("2020-01-01"),
    np.datetime64("NaT"), np.timedelta64(3), np.array(2), np.array(2.0), np.array([2]), np.array([]), np.ones((2, 2)),
    np.array("slow"), np.array(None), np.ma.masked, np.ma.array(3, mask=True), np.complex128(1), np.nan, np.void(b"ab"),
    np.array((1, 2.0), dtype="i4,f8"), np.array(3, dtype=">i4"), memoryview(b"abc"), Exception("a\nb"),
]  # fmt: skip

# No text with a slash (a path anywhere in the file system), nor a number of steps that would take years.
letters = st.text(
    st.characters(exclude_characters="/\\", exclude_categories=())
    | st.sampled_from("\0\n\r\t\x1b\u2028=,:-. \"'0123456789"),
    max_size=12,
).filter(lambda text: bounded(text))  # fmt: skip
texts = st.sampled_from(TEXTS) | letters
numbers = (
    st.floats(allow_nan=True, allow_infinity=True)
    | st.integers(-(2**70), 2**70)
    | st.integers(-5, 5)
    | st.sampled_from(np.arange(3).astype(">i2").tolist())
)
# By number, since the strategies of hypothesis hash what they choose from.
odd = (
    # A function of its own: hypothesis shows a bound method with what it is bound to, and some of that cannot be shown.
    st.integers(0, len(ODD) - 1).map(lambda number: ODD[number])
    | texts
    | numbers
    | st.binary(max_size=4)
    | st.lists(st.integers(0, 3), max_size=3)
)


def bounded(value: Any, most: float = 5) -> bool:
    """Whether a value, taken for a number of steps or agents, is small or hopelessly large."""
    try:
        number = float(value)
    except OverflowError:
        return True
    except (TypeError, ValueError, RuntimeError):
        return True
    return not number > most or number >= 2.0**62


def numbered(value: Any) -> bool:
    """The same for sizes of populations: small, or beyond any machine's memory."""
    try:
        return not 300 < float(value) < 1e13
    except (OverflowError, TypeError, ValueError, RuntimeError):
        return True


def fields_scenario(folder: Path) -> Path:
    """Write a scenario with fields and parameters of every kind to a file."""
    path = folder / "fields.py"
    path.write_text(FIELDS)
    return path


def declared(name: str) -> type[Scenario]:
    """An installed scenario."""
    return registry.find(name)


def near(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Values at, just within and just beyond the bounds of a parameter, and others of its type."""
    edges = [edge for edge in (parameter.low, parameter.high, parameter.above, parameter.below) if edge is not None]
    found: list[Any] = [parameter.default, str(parameter.default)]
    for edge in edges:
        found += [edge, edge - 1, edge + 1, np.nextafter(edge, -np.inf), np.nextafter(edge, np.inf), float(edge)]
        found += [np.float32(edge), str(edge), f" {edge} "]
    found += list(parameter.options or ())
    found += [str(option)[:-1] for option in parameter.options or ()]
    inside = st.floats(0, 20) if parameter.base_type is float else st.integers(0, 20)
    return st.sampled_from(found) | inside


def value_of(parameter: Parameter) -> st.SearchStrategy[Any]:
    """A value for a parameter, right or wrong, that no machine would work on for long."""
    found = near(parameter) | near(parameter) | odd
    return found.filter(numbered) if parameter.name in SIZES or parameter.base_type is int else found


def misspelt(names: list[str]) -> st.SearchStrategy[str]:
    """A name that is not quite one of these, or a keyword of something else."""
    cut = st.sampled_from(names).map(lambda name: name[:-1])
    twice = st.sampled_from(names).map(lambda name: name[0] + name)
    others = st.sampled_from(
        ["", " ", "self", "class", "given", "values", "at", "apply", "design", "n", "a b", "🐟", "x\ny"]
    )
    return cut | twice | others | letters


@st.composite
def parameters(draw: st.DrawFn, scenario: type[Scenario], most: int = 3) -> dict[Any, Any]:
    """Some parameters of a scenario with values, now and then under a name that does not exist."""
    known = scenario.declaration.parameters.parameters
    found: dict[Any, Any] = {}
    for name in draw(st.lists(st.sampled_from(list(known)), max_size=most, unique=True)):
        found[name] = draw(value_of(known[name]))
    if draw(st.integers(0, 7)) == 0:
        found[draw(misspelt(list(known)))] = draw(odd)
    return found


few_steps = st.sampled_from([0, 1, 1, 2, 3])
