"""Answers that fit a JSON schema: the small part of the standard that pydantic models of answers use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simengine.policies.language.backends.drawing import KeyedDraws

DEEPEST = 8
"""Levels after which only required properties of objects are filled, so that schemas naming themselves end."""

NUMBER = {"integer", "number"}


class Filling:
    """Fills a schema: numbers uniformly within their bounds, the rest by two functions of a model.

    Parameters
    ----------
    draws : KeyedDraws
        Where numbers come from.
    choose : callable
        ``choose(texts) -> place``: one of several texts (``enum``, ``boolean``, alternatives).
    write : callable
        ``write() -> text`` for free text.
    labels, shares : sequence of str, callable
        An object with a whole number for each of ``labels`` gets ``shares(labels)``: percentages that sum to 100.

    ``pattern`` and ``format`` are not looked at; what does not fit is told by whoever validates the answer.
    """

    def __init__(
        self, draws: KeyedDraws, choose: Callable[[Sequence[str]], int], write: Callable[[], str],
        labels: Sequence[str] = (), shares: Callable[[Sequence[str]], Sequence[int]] | None = None,
    ) -> None:  # fmt: skip
        self._draws, self._choose, self._write = draws, choose, write
        self._labels, self._shares = tuple(labels), shares
        self._definitions: Mapping[str, Any] = {}

    def value(self, schema: Any) -> Any:
        """Return an answer as plain values."""
        self._definitions = schema if isinstance(schema, Mapping) else {}
        return self._value(schema, 0)

    def _value(self, schema: Any, depth: int) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            listed = list(schema["enum"])
            return listed[self._choose([_word(item) for item in listed])]
        for word in ("anyOf", "oneOf"):
            if word in schema:
                listed = [item for item in schema[word] if self._resolved(item).get("type") != "null"] or schema[word]
                return self._value(listed[self._draws.below(len(listed))], depth)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((item for item in kind if item != "null"), "null")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind in NUMBER:
            return self._number(schema, kind == "integer")
        if kind == "boolean":
            return self._choose(["false", "true"]) == 1
        return None if kind == "null" else self._text(schema)

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        if not isinstance(schema, Mapping):
            return {}
        found: Mapping[str, Any] = schema
        for _ in range(DEEPEST):
            if "allOf" in found:
                parts = [self._resolved(part) for part in found["allOf"]]
                found = {key: value for part in (*parts, found) for key, value in part.items() if key != "allOf"}
            if not str(found.get("$ref", "")).startswith("#/"):
                break
            target: Any = self._definitions
            for name in str(found["$ref"])[2:].split("/"):
                target = target.get(name.replace("~1", "/").replace("~0", "~"), {})
            found = {**target, **{key: value for key, value in found.items() if key != "$ref"}}
        return found

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        if self._shares is not None and self._labels and set(properties) == set(self._labels):
            kinds = {self._resolved(item).get("type") for item in properties.values()}
            if kinds <= NUMBER:
                shares = dict(zip(self._labels, self._shares(self._labels), strict=True))
                return {name: shares[name] for name in properties}
        required = set(schema.get("required", ()))
        wanted = [name for name in properties if depth < DEEPEST or name in required]
        return {name: self._value(properties[name], depth + 1) for name in wanted}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        fixed = list(schema.get("prefixItems", ()))
        least = max(int(schema.get("minItems", 0)), len(fixed))
        most = max(least, int(schema.get("maxItems", least + 2)))
        number = least if depth >= DEEPEST else least + self._draws.below(most - least + 1)
        others = schema.get("items", {})
        return [self._value(fixed[n] if n < len(fixed) else others, depth + 1) for n in range(number)]

    def _number(self, schema: Mapping[str, Any], whole: bool) -> int | float:
        low, high = schema.get("minimum"), schema.get("maximum")
        step = schema.get("multipleOf", 1 if whole else None)
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        start = low if above is None else above if low is None else max(low, above)
        end = high if below is None else below if high is None else min(high, below)
        start = start if start is not None else 0 if end is None or end > 0 else end - 100
        end = end if end is not None else start + 100
        if step:
            first, last = math.ceil(start / step), math.floor(end / step)
            first += int(above is not None and first * step <= above)
            last -= int(below is not None and last * step >= below)
            place = (first + self._draws.below(max(last - first + 1, 1))) * step
            return int(place) if whole else float(place)
        drawn = float(start + (end - start) * self._draws.uniform())
        rounded = float(f"{drawn:.4g}")
        inside = start < rounded < end
        return rounded if inside else drawn if drawn > start or above is None else float((start + end) / 2)

    def _text(self, schema: Mapping[str, Any]) -> str:
        text = self._write()
        least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
        while len(text) < least:
            text += f" {self._write()}" if text else self._write() or "."
        return text if most is None else text[: int(most)]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
