"""Docstrings as Markdown: tables, lists and literal blocks of reStructuredText, and signs that HTML would swallow."""

from __future__ import annotations

import re
from typing import Any

import griffe

_RULE = re.compile(r"\s*=+(?: +=+)+\s*$")
_ITEM = re.compile(r"(?P<indent> *)(?P<marker>[*-]|\d+\.)(?P<gap> +)(?=\S)")
_CODE = re.compile(r"(``.+?``|`[^`\n]+`)")
_UNDERLINE = re.compile(r"---+$")
_OF_NAMES = ("Parameters", "Attributes", "Returns", "Raises", "Other Parameters", "Yields")
_SENTENCE = re.compile(r"[A-Z`(\[][^:\n]*\s\S+\s\S+|.*\w\s\w+\s\w+")
_ROLE = re.compile(r":(?:class|mod|func|meth|attr|data|exc):`~?([^`]+)`")


def markdown_of(docstring: str) -> str:
    """Return a docstring, without its common indentation, as Markdown."""
    lines = _tables(_sections(_ROLE.sub(r"`\1`", docstring).splitlines()))
    return "\n".join(_lists(lines))


def _sections(lines: list[str]) -> list[str]:
    """Return the lines with a heading of its own over a paragraph that follows a section of names."""
    found: list[str] = []
    of_names = False
    for place, line in enumerate(lines):
        if place + 1 < len(lines) and _UNDERLINE.match(lines[place + 1]):
            of_names = line.strip() in _OF_NAMES
        if of_names and place and not lines[place - 1].strip() and _SENTENCE.match(line):
            found += ["Notes", "-----"]
            of_names = False
        found.append(line)
    return found


def _tables(lines: list[str]) -> list[str]:
    """Return the lines with simple tables of reStructuredText as tables of Markdown."""
    found: list[str] = []
    place = 0
    while place < len(lines):
        rules = [n for n in range(place, len(lines)) if _RULE.match(lines[n])][:3]
        if len(rules) < 3 or not _RULE.match(lines[place]):
            found.append(lines[place])
            place += 1
            continue
        starts = [one.start() for one in re.finditer(r"=+", lines[place])]
        ends = [*starts[1:], None]
        cells = [
            [line[start:end].strip().replace("|", "\\|") for start, end in zip(starts, ends, strict=True)]
            for line in [*lines[rules[0] + 1 : rules[1]], *lines[rules[1] + 1 : rules[2]]]
        ]
        rows = [f"| {' | '.join(row)} |" for row in cells]
        found += ["", rows[0], "|" + "---|" * len(starts), *rows[1:], ""]
        place = rules[2] + 1
    return found


def _lists(lines: list[str]) -> list[str]:
    """Return the lines with what belongs to an item of a list indented by four, as Markdown asks."""
    found: list[str] = []
    items: list[tuple[int, int]] = []  # where an item's text begins, and where it is to begin
    after_blank = True
    for line in lines:
        if not line.strip():
            found.append("")
            after_blank = True
            continue
        indent = len(line) - len(line.lstrip())
        while items and indent < items[-1][0]:
            items.pop()
        old, new = items[-1] if items else (0, 0)
        item = _ITEM.match(line)
        if item and indent - old < 4:
            if not after_blank and found and not _ITEM.match(found[-1]) and not items:
                found.append("")
            found.append(" " * new + f"{item['marker']} " + _escaped(line[item.end() :]))
            items.append((item.end(), new + 4))
        else:
            if items and after_blank and indent >= old + 2:
                indent = max(indent, old + 4)
            if not items and not after_blank and indent == 0 and found and _ITEM.match(found[-1]):
                found.append("")
            is_code = indent - old >= 4
            found.append(" " * (new + indent - old) + (line.strip() if is_code else _escaped(line.strip())))
        after_blank = False
    return found


def _escaped(line: str) -> str:
    """Return a line whose signs ``<`` outside of code are no tags."""
    if line.endswith("::"):
        line = line[:-1]
    return "".join(
        part if part.startswith("`") else part.replace("<", "&lt;") for part in _CODE.split(line) if part is not None
    )


class Markdown(griffe.Extension):
    """Docstrings of the reference as Markdown, before they are rendered."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Replace what the docstring of an object says."""
        if obj.docstring is not None:
            obj.docstring.value = markdown_of(obj.docstring.value)
