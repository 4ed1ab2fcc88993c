"""How ``draw.uniform("signal")`` in an author's function becomes a call of a compiled draw."""

from __future__ import annotations

import ast

from simengine.errors import ScenarioError, nearest

SIGNATURES: dict[str, tuple[tuple[str, float | int | None], ...]] = {
    "uniform": (("low", 0.0), ("high", 1.0)),
    "normal": (("mean", 0.0), ("sd", 1.0)),
    "integer": (("low", None), ("high", None)),
    "choice": (("options", None),),
    "chance": (("probability", None),),
    "unit_vector": (("dimensions", None),),
}
"""The draws an author may name in a phase, with their arguments after the name and the defaults."""

PAIRED = frozenset({"uniform", "normal", "chance"})


def lower(
    method: str,
    key: ast.expr,
    identity: ast.expr,
    partner: ast.expr | None,
    symmetric: bool,
    positional: list[ast.expr],
    keywords: dict[str, ast.expr],
) -> ast.expr:
    """Return the expression that draws; ``ScenarioError`` when the call does not fit."""
    if method not in SIGNATURES:
        raise ScenarioError(f"draw has no {method!r}{nearest(method, SIGNATURES)}; draws: {', '.join(SIGNATURES)}")
    values = _bind(method, positional, keywords)
    suffix = "" if partner is None else "_symmetric" if symmetric else "_pair"
    if partner is not None and method not in PAIRED:
        raise ScenarioError(f"draw.{method} takes no partner; the ones that do: {', '.join(sorted(PAIRED))}")
    keyed = [key, identity] + ([partner] if partner is not None else [])
    if method == "uniform":
        base = _call(f"uniform{suffix}", keyed)
        if not positional and not keywords:
            return base
        if partner is None:
            return _call("uniform_between", [*keyed, *values])
        low, high = values
        return ast.BinOp(low, ast.Add(), ast.BinOp(ast.BinOp(high, ast.Sub(), low), ast.Mult(), base))
    if method == "normal":
        return _call(f"normal{suffix}", [*keyed, *values])
    if method == "integer":
        return _call("integer", [*keyed, *values])
    if method == "choice":
        return _call("integer", [*keyed, ast.Constant(0), *values])
    if method == "chance":
        return ast.Compare(_call(f"uniform{suffix}", keyed), [ast.Lt()], values)
    dimensions = values[0]
    if not (isinstance(dimensions, ast.Constant) and dimensions.value in {2, 3}):
        raise ScenarioError("draw.unit_vector takes 2 or 3 dimensions, written as a number")
    return _call(f"unit_vector_{dimensions.value}", keyed)


def _bind(method: str, positional: list[ast.expr], keywords: dict[str, ast.expr]) -> list[ast.expr]:
    names = SIGNATURES[method]
    if len(positional) > len(names):
        raise ScenarioError(f"draw.{method} takes a name and {', '.join(name for name, _ in names)}")
    given = dict(zip((name for name, _ in names), positional, strict=False)) | keywords
    values = []
    for name, default in names:
        if name in given:
            values.append(given.pop(name))
        elif default is not None:
            values.append(ast.Constant(default))
        else:
            raise ScenarioError(f"draw.{method} needs {name}")
    if given:
        raise ScenarioError(f"draw.{method} has no argument {next(iter(given))!r}")
    return values


def _call(function: str, arguments: list[ast.expr]) -> ast.expr:
    return ast.Call(ast.Name(f"_draw_{function}", ast.Load()), arguments, [])
