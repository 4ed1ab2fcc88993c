"""Graphs in files: edge lists as text, GraphML and GML, compressed or not."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, nearest

Array = NDArray[Any]
EDGE_LISTS = (".txt", ".edges", ".edgelist", ".csv", ".tsv")
SUFFIXES = (*EDGE_LISTS, ".graphml", ".gml")
HEADERS = {"source", "target", "from", "to", "node1", "node2"}


@dataclass(frozen=True)
class GraphFile:
    """A graph read from a file: agents by id, and what the file calls them.

    ``labels`` are the file's names of the agents 0, 1, ...: ascending where all of them are whole numbers, otherwise
    in the order in which the file mentions them. ``fields`` are the numbers that it gives for edges; the third column
    of an edge list is ``weight`` where no header names it. Where
    some edges have none it is not a number. ``directed`` is None where the file does not say; ``texts`` are attributes
    of edges that are no numbers.
    """

    source: Array
    target: Array
    labels: tuple[Any, ...]
    fields: dict[str, Array] = field(default_factory=dict)
    directed: bool | None = None
    texts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.source)


def read(path: str | Path) -> GraphFile:
    """Read a graph from a file.

    An edge list has one edge a line, two names and perhaps numbers, separated by blanks, tabs, commas or semicolons;
    lines that begin with ``#`` or ``%`` are comments, and a first line that begins with ``source`` (or ``from``,
    ``node1``) names the columns. Names end in one of ``.txt .edges .edgelist .csv .tsv .graphml .gml``, perhaps
    followed by ``.gz``.

    Raises
    ------
    InputError
        For a file that is not there, of another kind, or damaged: which line, and why.
    """
    path = Path(path)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in SUFFIXES:
        hint = nearest(suffix, SUFFIXES) or f"; it ends in {' '.join(SUFFIXES)}, perhaps followed by .gz"
        raise InputError(f"{path.name!r} is not known as a file of a graph{hint}")
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise InputError(f"there is no file {str(path)!r}{nearest(path.name, beside)}")
    try:
        return _edge_list(path) if suffix in EDGE_LISTS else _with_networkx(path, suffix)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}") from None


def _with_networkx(path: Path, suffix: str) -> GraphFile:
    import networkx

    try:
        graph = networkx.read_graphml(path) if suffix == ".graphml" else networkx.read_gml(path, label="id")
    except OSError:
        raise
    except Exception as error:
        raise InputError(f"{path.name} holds no graph in {suffix[1:]}: {' '.join(str(error).split())}") from None
    labels = _ordered(list(graph.nodes))
    number = {label: agent for agent, label in enumerate(labels)}
    ends = np.array([(number[one], number[other]) for one, other in graph.edges()], np.int64).reshape(-1, 2)
    names = {name for _, _, values in graph.edges(data=True) for name in values}
    fields, texts = {}, []
    for name in sorted(map(str, names)):
        edges: list[tuple[Any, Any, Any]] = list(graph.edges(data=name))
        values = [math.nan if value is None else value for _, _, value in edges]
        if all(isinstance(value, int | float) for value in values):
            fields[name] = np.array(values)
        else:
            texts.append(name)
    return GraphFile(ends[:, 0], ends[:, 1], tuple(labels), fields, graph.is_directed(), tuple(texts))


def _edge_list(path: Path) -> GraphFile:
    names, width, skipped = _heading(path)
    quick = _numbers(path, width, skipped)
    if quick is None:
        rows = list(_rows(path, width, skipped))
        first, second = [row[0] for row in rows], [row[1] for row in rows]
        _refuse_unknown_heading(path, list(zip(first, second, strict=True)))
        labels: list[Any] = _ordered(
            list(dict.fromkeys(label for pair in zip(first, second, strict=True) for label in pair))
        )
        number = {label: agent for agent, label in enumerate(labels)}
        source, target = (np.array([number[label] for label in end], np.int64) for end in (first, second))
        columns = [np.array([row[2 + at] for row in rows], np.float64) for at in range(width - 2)]
    else:
        found, ends = np.unique(quick[:2].astype(np.int64), return_inverse=True)
        labels = found.tolist()
        source, target = ends.reshape(2, -1)
        columns = list(quick[2:])
    return GraphFile(source, target, tuple(labels), dict(zip(names, columns, strict=True)))


def _open(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _words(line: str) -> list[str]:
    for separator in ",;\t":
        if separator in line:
            return [word.strip().strip('"') for word in line.rstrip("\n").split(separator)]
    return line.split()


def _heading(path: Path) -> tuple[list[str], int, int]:
    """The names of the columns after the ends, the number of columns, and the lines before the first edge."""
    with _open(path) as lines:
        for number, line in enumerate(lines):
            text = line.strip()
            if not text or text[0] in "#%":
                continue
            words = _words(text)
            if len(words) < 2:
                raise InputError(f"{path.name}, line {number + 1}: {text[:40]!r} is no edge, which has two ends")
            if words[0].lower() in HEADERS:
                return words[2:], len(words), number + 1
            names = ["weight", *(f"column_{at}" for at in range(4, len(words) + 1))]
            return names[: len(words) - 2], len(words), number
    return [], 2, 0


def _numbers(path: Path, width: int, skipped: int) -> Array | None:
    """All columns where everything is a number and the ends are whole ones; None where not."""
    with _open(path) as lines:
        edges = (line for at, line in enumerate(lines) if at >= skipped and line.strip())
        text = next((line for line in edges if line.lstrip()[0] not in "#%"), "")
    separator = next((one for one in ",;\t" if one in text), None)
    if not text:
        return None
    try:
        found: Array = np.loadtxt(
            path, comments=("#", "%"), delimiter=separator, skiprows=skipped, ndmin=2, encoding="utf-8-sig"
        ).T
    except (ValueError, IndexError):
        return None
    if not found.size or len(found) != width:
        return None
    ends = found[:2]
    return None if (ends != np.floor(ends)).any() or np.abs(ends).max() > 2**53 else found


def _rows(path: Path, width: int, skipped: int) -> Iterator[list[Any]]:
    with _open(path) as lines:
        for number, line in enumerate(lines):
            text = line.strip()
            if number < skipped or not text or text[0] in "#%":
                continue
            words: list[Any] = _words(text)
            if len(words) != width:
                raise InputError(f"{path.name}, line {number + 1}: {len(words)} columns in place of {width}")
            for at in range(2, width):
                try:
                    words[at] = float(words[at])
                except ValueError:
                    raise InputError(f"{path.name}, line {number + 1}: {words[at]!r} is no number") from None
            yield words


def _refuse_unknown_heading(path: Path, edges: list[tuple[str, str]]) -> None:
    """Refuse two words above whole numbers: a heading would be taken for an edge, and make two agents more."""

    def numbered(edge: tuple[str, str]) -> list[bool]:
        return [end.lstrip("-").isdecimal() for end in edge]

    if len(edges) > 1 and not any(numbered(edges[0])) and all(all(numbered(edge)) for edge in edges[1:]):
        raise InputError(
            f"{path.name} begins with {' '.join(edges[0])!r} and goes on with numbers; "
            "a heading begins with source, from or node1"
        )


def _ordered(labels: list[Any]) -> list[Any]:
    """Labels in the order of the agents: by number where they are whole numbers, else as they came."""
    try:
        return sorted(labels, key=int)
    except (TypeError, ValueError):
        return labels
