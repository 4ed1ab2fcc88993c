"""Reference pages of modules, from the names that each makes public, and the folder in which all layers are found."""

from __future__ import annotations

import importlib
import inspect
import shutil
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]

MODULES = {
    "reference/diagnostics.md": ("Diagnostics", "simengine.diagnostics"),
    "reference/streaming.md": ("Streamed diagnostics", "simengine.diagnostics.streaming"),
    "reference/designs.md": ("Designs of sweeps", "simengine.designs"),
    "reference/graphs.md": ("Graphs", "simengine.graphs"),
    "reference/plots.md": ("Plots", "simengine.analysis.plots"),
    "reference/reports.md": ("Reports", "simengine.analysis.report"),
    "reference/exchange.md": ("Other programs", "simengine.analysis.interchange"),
    "reference/biases.md": ("Biases of learners", "simengine.analysis.biases"),
    "reference/games.md": ("Games between strategies", "simengine.analysis.games"),
    "reference/testing.md": ("Assertions for authors", "simengine.testing"),
}
"""Pages, their titles and the modules whose public names they list."""

GROUPS = {
    "simengine.diagnostics": {
        "": "Tools",
        "counts": "From counts",
        "decisions": "Decisions",
        "dynamics": "Processes in time",
        "multivariate": "Many variables",
        "populations": "Opinions, policies, space and networks",
        "information": "Entropy and information of samples",
    }
}
"""Headings by the part of the package that a name comes from."""


def gather_layers(folder: Path) -> None:
    """Copy all packages into one folder, ``simengine``, where an installed distribution has them."""
    source = shutil.ignore_patterns("__pycache__", "*.csv")
    shutil.copytree(ROOT / "simengine", folder / "simengine", ignore=source)
    for layer in ("analysis", "scenarios"):
        shutil.copytree(ROOT / layer, folder / "simengine" / layer, ignore=source)


def pages() -> dict[str, str]:
    """Return the pages of modules."""
    return {uri: _page(title, name) for uri, (title, name) in MODULES.items()}


def public_names(module: str) -> dict[str, str]:
    """Return the names that a module makes public, and under which dotted path each is defined.

    A module that names none has the functions and classes that it defines.
    """
    imported = _imported(module)
    if hasattr(imported, "__all__"):
        return {name: _where(imported, name) for name in imported.__all__ if not name.startswith("_")}
    return {
        name: f"{imported.__name__}.{name}"
        for name, value in vars(imported).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == imported.__name__
    }


def _imported(module: str) -> ModuleType:
    package, _, name = module.rpartition(".")
    return (
        getattr(importlib.import_module(package), name) if package == "simengine" else importlib.import_module(module)
    )


def _page(title: str, module: str) -> str:
    imported = _imported(module)
    homes: dict[str, list[str]] = {}
    headings = GROUPS.get(module, {})
    for path in public_names(module).values():
        part = path.removeprefix(f"{imported.__name__}.").split(".")[0]
        heading = headings.get(part, headings.get("", ""))
        homes.setdefault(heading, []).append(path)
    parts = [f"---\ntitle: {title}\n---\n\n# {title}\n\n```python\n{_import(module)}\n```\n"]
    hidden = "".join(f"      {option}: false\n" for option in ("members", "show_root_heading", "show_root_toc_entry"))
    parts.append(f"::: {imported.__name__}\n    options:\n{hidden}")
    for heading in sorted(homes, key=lambda one: [*headings.values(), ""].index(one)):
        if heading:
            parts.append(f"## {heading}\n")
        level = 3 if heading else 2
        parts += [f"::: {path}\n    options:\n      heading_level: {level}\n" for path in homes[heading]]
    return "\n".join(parts)


def _import(module: str) -> str:
    package, _, name = module.rpartition(".")
    return f"from {package} import {name}"


def _where(module: ModuleType, name: str) -> str:
    """Return the dotted path under which a public name is defined."""
    home = getattr(module, "_MODULE_OF", {}).get(name)
    if home is not None:
        return f"{home if home.startswith('simengine.') else f'{module.__name__}.{home}'}.{name}"
    home = getattr(getattr(module, name), "__module__", None)
    if isinstance(home, str) and home.startswith("simengine.") and _defines(home, name):
        return f"{home}.{name}"
    return f"{module.__name__}.{name}"


def _defines(home: str, name: str) -> bool:
    text = inspect.getsource(sys.modules[home])
    return any(f"{word} {name}" in text for word in ("def", "class")) or f"\n{name} = " in text or f"\n{name}: " in text
