"""Parameters of a scenario: typed, bounded, with units; checked once, at the door."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import pydantic

from simengine.errors import InputError, ScenarioError, nearest

RESERVED = frozenset(
    {
        "scenario", "steps", "seed", "every", "snapshot_every", "out", "threads", "start", "progress", "policies",
        "overwrite", "storage_order", "design", "replicates", "address", "workers", "shards", "checkpoint_every",
        "interventions", "resume",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: its type, default, bounds (``low``/``high`` inclusive, ``above``/``below`` exclusive) and unit."""

    name: str
    annotation: Any
    default: Any
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    unit: str = "1"
    description: str = ""

    @property
    def optional(self) -> bool:
        """Whether ``None`` is allowed."""
        return type(None) in get_args(self.annotation)

    @property
    def base_type(self) -> Any:
        """The annotation without ``None``."""
        members = [member for member in get_args(self.annotation) if member is not type(None)]
        return members[0] if self.optional and len(members) == 1 else self.annotation

    @property
    def options(self) -> tuple[Any, ...] | None:
        """The allowed values of a ``Literal`` parameter, otherwise ``None``."""
        return get_args(self.base_type) if get_origin(self.base_type) is Literal else None

    @property
    def type_name(self) -> str:
        """A short name of the type for help texts."""
        if self.options is not None:
            name = " | ".join(str(option) for option in self.options)
        else:
            name = getattr(self.base_type, "__name__", str(self.base_type))
        return f"{name} | none" if self.optional else name

    @property
    def bounds(self) -> str:
        """The bounds in words, for instance ``0 <= value < 1``; empty when there are none."""
        left = "" if self.low is None else f"{self.low:g} <= "
        left = left if self.above is None else f"{self.above:g} < "
        right = "" if self.high is None else f" <= {self.high:g}"
        right = right if self.below is None else f" < {self.below:g}"
        return f"{left}value{right}" if left or right else ""


def param(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    unit: str = "1",
    description: str = "",
) -> Any:
    """Declare a parameter of a scenario: ``bound: float = param(0.2, low=0, high=1)``.

    ``low`` and ``high`` are inclusive bounds, ``above`` and ``below`` exclusive ones. The annotation gives the
    type: ``int``, ``float``, ``bool``, ``str``, ``Literal[...]``, or any of these ``| None``.
    """
    return Parameter("", None, default, low, high, above, below, unit, description)


class ParameterSet:
    """The parameters of one scenario class and their validation."""

    def __init__(self, owner: str, parameters: Mapping[str, Parameter]) -> None:
        self.owner = owner
        self.parameters = dict(parameters)
        fields: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name in RESERVED:
                raise ScenarioError(f"{owner}.{name}: the name is a keyword of run or sweep; choose another")
            constraints = {
                "ge": parameter.low, "le": parameter.high, "gt": parameter.above, "lt": parameter.below,
            }  # fmt: skip
            constraints = {key: value for key, value in constraints.items() if value is not None}
            if parameter.base_type is float:
                constraints["allow_inf_nan"] = False
            annotation = typing.Annotated[parameter.base_type, pydantic.Field(**constraints)]
            fields[name] = (annotation | None if parameter.optional else annotation, parameter.default)
        self._model = pydantic.create_model(
            f"{owner}Parameters", __config__=pydantic.ConfigDict(extra="forbid", frozen=True), **fields
        )

    def check_names(self, names: typing.Iterable[str]) -> None:
        """Raise ``InputError`` for the first name that is no parameter, with the nearest right one."""
        for name in names:
            if name not in self.parameters:
                hint = nearest(name, self.parameters) or f"; parameters: {', '.join(self.parameters)}"
                raise InputError(f"unknown parameter {name!r} of {self.owner}{hint}")

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters with their defaults filled in, converted and checked; ``InputError`` otherwise."""
        self.check_names(values)
        try:
            model = self._model(**{name: _plain(value) for name, value in values.items()})
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            parameter = self.parameters[name]
            allowed = parameter.type_name + (f", {parameter.bounds}" if parameter.bounds else "")
            given = values[name]
            hint = nearest(str(given), map(str, parameter.options)) if parameter.options else ""
            raise InputError(f"parameter {name!r} of {self.owner}: got {given!r}, allowed is {allowed}{hint}") from None
        return {name: getattr(model, name) for name in self.parameters}


def _plain(value: Any) -> Any:
    """Turn numpy scalars into Python ones and whole floats into ints, so that 10.0 from a file is a valid count."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 2**53:
        return value
    return value


def parse_value(parameter: Parameter, text: str) -> Any:
    """Turn the text of a command-line setting into a value; ``none`` stands for ``None``."""
    if parameter.optional and text.strip().lower() in {"none", "null"}:
        return None
    base = parameter.base_type
    if base is bool:
        lowered = text.strip().lower()
        if lowered in {"true", "yes", "on", "1"}:
            return True
        if lowered in {"false", "no", "off", "0"}:
            return False
        return text
    if base in (int, float):
        try:
            return base(text)
        except ValueError:
            return text
    return text


def collect(owner: type, annotations: Mapping[str, Any], namespace: Mapping[str, Any]) -> dict[str, Parameter]:
    """Find the declared parameters of a class body and give each its name and type."""
    found: dict[str, Parameter] = {}
    for name, value in namespace.items():
        if not isinstance(value, Parameter):
            continue
        if name not in annotations:
            raise ScenarioError(f"{owner.__name__}.{name}: a parameter needs a type, as in `{name}: float = param(...)`")
        annotation = annotations[name]
        if isinstance(annotation, types.UnionType | type) or get_origin(annotation) is not None:
            found[name] = Parameter(
                name, annotation, value.default, value.low, value.high, value.above, value.below, value.unit, value.description
            )
        else:
            raise ScenarioError(f"{owner.__name__}.{name}: {annotation!r} is not a type")
    return found
