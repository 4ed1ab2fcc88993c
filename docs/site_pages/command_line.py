"""The reference of the command line, from what ``simengine COMMAND --help`` is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from simengine.cli import app
from site_pages.gallery import plain, table

_BEGINNING = """---
title: Command line
---

# The command line

Every command prints what stands here with `--help`, and one JSON document with `--json`. Exit codes: 0 fine; 1 a run
or its file could not go on, a repetition differs, or runs of a sweep failed; 2 wrong input, and nothing was written;
130 interrupted. `simengine --install-completion` lets the shell complete scenarios, parameters and values.
"""
_MARKUP = re.compile(r"(?<!\\)\[/?(?:bold|italic|dim|b|i)\]")


def pages() -> dict[str, str]:
    """Return the page of all commands."""
    group = typer.main.get_command(app)
    parts = [_BEGINNING, *(_command(name, command) for name, command in _commands("simengine", group))]
    return {"reference/command_line.md": "\n".join(parts)}


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, one in getattr(command, "commands", {}).items():
        if getattr(one, "commands", None):
            yield from _commands(f"{path} {name}", one)
        else:
            yield f"{path} {name}", one


def _command(name: str, command: Any) -> str:
    arguments, options = [], []
    for one in command.params:
        if getattr(one, "hidden", False):
            continue
        help_text = plain(_clean(getattr(one, "help", "") or ""))
        if type(one).__name__.endswith("Argument"):
            arguments.append((f"`{one.metavar or one.name.upper()}`", help_text))
        else:
            options.append((_spelt(one), _default(one), help_text))
    parts = [f"## {name}\n", _text(command.help or "")]
    if arguments:
        parts.append(table(("argument", "what"), arguments) + "\n")
    if options:
        parts.append(table(("option", "default", "what"), options) + "\n")
    return "\n".join(parts)


def _spelt(option: Any) -> str:
    names = sorted([*option.opts, *option.secondary_opts], key=len)
    value = "" if getattr(option, "is_flag", False) or option.metavar is None else f" {option.metavar}"
    return ", ".join(f"`{name}`" for name in [*names[:-1], names[-1] + value])


def _default(option: Any) -> str:
    shown = option.default is not None and option.show_default is not False and not callable(option.default)
    if not shown or isinstance(option.default, bool) or option.default in ((), [], ""):
        return ""
    return f"`{option.default}`"


def _clean(text: str) -> str:
    return _MARKUP.sub("", text).replace("\\[", "[")


def _text(help_text: str) -> str:
    """Return what a command says of itself: headings bold, its examples as commands."""
    found: list[str] = []
    block: list[str] = []
    for line in [*help_text.replace("\b", "").splitlines(), "end"]:
        words = (
            _MARKUP.sub("**", line).replace("\\[", "[").strip()
            if line.lstrip().startswith("[bold]")
            else _clean(line.strip())
        )
        if words.startswith("simengine ") or (block and line.startswith("   ") and words):
            block.append(words)
            continue
        if block and words:
            found += ["```sh", *block, "```", ""]
            block = []
        if line != "end":
            found.append(words)
    return "\n".join(found)
