"""Imports go downward only, the public names are where they are said to be, and importing costs little."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import simengine

ROOT = Path(__file__).resolve().parents[1]
LAYERS = [
    {"errors"},
    {"random", "arrays"},
    {"scenario", "relations"},
    {"compile"},
    {"diagnostics"},
    {"store"},
    {"policies"},
    {"shards"},
    {"runs"},
    {"sweeps"},
    {"testing"},
    {"scenarios", "analysis"},
    {"cli", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules() -> Iterator[tuple[str, Path]]:
    for folder in ("simengine", "scenarios", "analysis"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            layer = parts[1] if parts[0] == "simengine" else parts[0]
            if layer != "__init__":
                yield layer, path


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every import of the file, those inside functions included; the public names count as their homes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.lineno, node.module or ""
            if node.module == "simengine":
                yield from ((node.lineno, simengine._MODULE_OF.get(a.name, f"simengine.{a.name}")) for a in node.names)


@pytest.mark.parametrize(
    ("layer", "path"), [pytest.param(*found, id=str(found[1].relative_to(ROOT))) for found in modules()]
)
def test_a_module_imports_only_from_its_layer_and_those_below(layer: str, path: Path) -> None:
    assert layer in LEVEL, f"{path} is in no layer"
    for line, name in imported(path):
        parts = name.split(".")
        if parts[0] == "simengine" and len(parts) > 1 and parts[1] in LEVEL:
            assert LEVEL[parts[1]] <= LEVEL[layer], f"{path}:{line}: {layer} imports {name}"


def test_the_public_names_are_those_that_have_a_home() -> None:
    assert sorted(simengine.__all__) == sorted(simengine._MODULE_OF)
    assert len(set(simengine.__all__)) == len(simengine.__all__)


@pytest.mark.parametrize("name", simengine.__all__)
def test_a_public_name_is_found_and_explained(name: str) -> None:
    value = getattr(simengine, name)
    assert getattr(importlib.import_module(simengine._MODULE_OF[name]), name) is value
    if callable(value):
        assert (inspect.getdoc(value) or "").strip(), f"{name} has no docstring"


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        simengine.nothing_of_the_kind  # noqa: B018


def test_importing_the_package_loads_no_heavy_library() -> None:
    heavy = ("numba", "xarray", "ray", "netCDF4", "pydantic", "scipy", "numpy", "torch", "pandas", "networkx")
    script = f"import simengine, sys; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
