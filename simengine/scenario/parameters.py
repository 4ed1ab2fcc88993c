"""Parameters of a scenario: typed, bounded, with units; checked once, at the door."""

from __future__ import annotations

import math
import reprlib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import pydantic

from simengine.errors import InputError, ScenarioError, nearest

RUN_KEYWORDS = (
    "scenario", "steps", "seed", "every", "snapshot_every", "out", "threads", "start", "progress", "policies",
    "overwrite", "storage_order", "checkpoint_every", "interventions", "shards", "address",
)  # fmt: skip
RESERVED = frozenset(RUN_KEYWORDS) | {
    "design", "replicates", "workers", "at", "apply", "given", "changed", "recorded",
}  # fmt: skip
SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
PLAIN_TYPES = (int, float, bool, str)
LOWEST_INT, HIGHEST_INT = -(2**63), 2**63 - 1
SHOWN_LENGTH = 80


@dataclass(frozen=True)
class Parameter:
    """One declared parameter; bounds ``low`` and ``high`` are inclusive, ``above`` and ``below`` exclusive."""

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
        left = "" if self.low is None else f"{self.low:.15g} <= "
        left = left if self.above is None else f"{self.above:.15g} < "
        right = "" if self.high is None else f" <= {self.high:.15g}"
        right = right if self.below is None else f" < {self.below:.15g}"
        return f"{left}value{right}" if left or right else ""

    @property
    def allowed(self) -> str:
        """Type and bounds in words, for messages."""
        return self.type_name + (f", {self.bounds}" if self.bounds else "")


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
            _check_declaration(owner, parameter)
            base: Any = parameter.base_type
            annotation = typing.Annotated[base, pydantic.Field(**_constraints(parameter))]
            default = _plain(parameter, parameter.default)
            fields[name] = (annotation | None if parameter.optional else annotation, default)
        self._model = pydantic.create_model(
            f"{owner}Parameters",
            __config__=pydantic.ConfigDict(
                extra="forbid", frozen=True, strict=True, validate_default=True, protected_namespaces=()
            ),
            **fields,
        )
        try:
            self._model()
        except pydantic.ValidationError as error:
            parameter = self.parameters[str(error.errors()[0]["loc"][0])]
            raise ScenarioError(
                f"{owner}.{parameter.name}: its default {shown(parameter.default)} is not allowed; "
                f"allowed is {parameter.allowed}"
            ) from None

    def check_names(self, names: typing.Iterable[str]) -> None:
        """Raise ``InputError`` for the first name that is no parameter, with the nearest right one."""
        for name in names:
            if name not in self.parameters:
                listed = f"; parameters: {', '.join(self.parameters)}" if self.parameters else "; it has no parameters"
                hint = nearest(str(name), [*self.parameters, *RUN_KEYWORDS]) or listed
                if name in RUN_KEYWORDS:
                    hint = ": it is a keyword of run(), and not known here"
                raise InputError(f"unknown parameter {name!r} of {self.owner}{hint}")

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters with their defaults filled in, converted and checked; ``InputError`` otherwise.

        Types are taken strictly (a text is no number, a boolean no count), but a whole float is a valid ``int``
        and an ``int`` a valid ``float``; numpy scalars count as Python's.
        """
        self.check_names(values)
        try:
            model = self._model(**{name: _plain(self.parameters[name], value) for name, value in values.items()})
        except pydantic.ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise self._refusal(self.parameters[name], values.get(name)) from None
        return {name: getattr(model, name) for name in self.parameters}

    def _refusal(self, parameter: Parameter, given: Any) -> InputError:
        allowed = parameter.allowed
        text = given if isinstance(given, str) else shown(given)
        if parameter.base_type is float and text.strip().lower().lstrip("+-") in {"nan", "inf", "infinity"}:
            allowed = f"a finite {allowed}"
        elif parameter.base_type is int and isinstance(given, int) and not LOWEST_INT <= given <= HIGHEST_INT:
            allowed = f"a 64-bit {allowed}"
        hint = nearest(text, map(str, parameter.options)) if parameter.options else ""
        return InputError(
            f"parameter {parameter.name!r} of {self.owner}: got {shown(given)}, allowed is {allowed}{hint}"
        )


def shown(value: Any) -> str:
    """Return a value in one short line, for messages; its type where it cannot be shown."""
    try:
        text = " ".join(reprlib.repr(value).split())
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 3]}..."


def _check_declaration(owner: str, parameter: Parameter) -> None:
    where = f"{owner}.{parameter.name}"
    if parameter.name in RESERVED:
        raise ScenarioError(f"{where}: the name is a keyword of run or sweep; choose another")
    if parameter.options is None and parameter.base_type not in PLAIN_TYPES:
        raise ScenarioError(
            f"{where}: a parameter is int, float, bool, str or Literal[...] (or one of them | None), "
            f"not {parameter.type_name}"
        )
    if parameter.bounds and parameter.base_type not in (int, float):
        raise ScenarioError(f"{where}: only int and float parameters have bounds")


def _constraints(parameter: Parameter) -> dict[str, Any]:
    limits = {"ge": parameter.low, "le": parameter.high, "gt": parameter.above, "lt": parameter.below}
    found: dict[str, Any] = {key: value for key, value in limits.items() if value is not None}
    if parameter.base_type is float:
        found["allow_inf_nan"] = False
    elif parameter.base_type is int:
        found["ge"] = max(found.get("ge", LOWEST_INT), LOWEST_INT)
        found["le"] = min(found.get("le", HIGHEST_INT), HIGHEST_INT)
    return found


def _plain(parameter: Parameter, value: Any) -> Any:
    """Turn numpy scalars into Python ones, and for an ``int`` parameter whole floats into ints (10.0 from a file)."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if parameter.base_type is int and isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value


def parse_value(parameter: Parameter, text: str) -> Any:
    """Turn the text of a command-line setting into a value; ``none`` stands for ``None``.

    A text that is no value of the parameter's type is returned as it is, for `ParameterSet.validate` to refuse.
    """
    word = text.strip()
    if parameter.optional and word.lower() in {"none", "null"}:
        return None
    base = parameter.base_type
    if parameter.options is not None:
        return next((option for option in parameter.options if str(option) == word), text)
    if base is bool:
        return SWITCHES.get(word.lower(), text)
    if base in (int, float):
        try:
            return base(word)
        except ValueError:
            return _whole(word, text) if base is int else text
    return text


def _whole(word: str, text: str) -> Any:
    """Read an ``int`` written as a float, such as 1e6."""
    try:
        number = float(word)
    except ValueError:
        return text
    return int(number) if number.is_integer() else text


def collect(owner: type, annotations: Mapping[str, Any], namespace: Mapping[str, Any]) -> dict[str, Parameter]:
    """Find the declared parameters of a class body and give each its name and type."""
    found: dict[str, Parameter] = {}
    for name, value in namespace.items():
        if not isinstance(value, Parameter):
            continue
        if name not in annotations:
            raise ScenarioError(
                f"{owner.__name__}.{name}: a parameter needs a type, as in `{name}: float = param(...)`"
            )
        annotation = annotations[name]
        if isinstance(annotation, types.UnionType | type) or get_origin(annotation) is not None:
            found[name] = Parameter(
                name,
                annotation,
                value.default,
                value.low,
                value.high,
                value.above,
                value.below,
                value.unit,
                value.description,
            )
        else:
            raise ScenarioError(f"{owner.__name__}.{name}: {annotation!r} is not a type")
    return found
