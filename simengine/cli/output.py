"""Writing to the terminal: tables in a terminal, plain aligned columns elsewhere, JSON documents when asked for.

Messages go to the error stream.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from simengine.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 10_000
"""Columns of output that goes to a file or a pipe: so many that no line is broken."""


_DOCUMENTS: list[TextIO] = []
"""The standard output, while it is kept for a document."""


class Interrupted(Exception):  # noqa: N818
    """The user stopped a run; the text says what stays readable."""


def complain(message: str) -> None:
    """Write an error message."""
    print(f"simengine: {one_line(message)}", file=sys.stderr)


def warn(message: Warning | str, *place: Any, **where: Any) -> None:
    """Write a warning as one line; takes the place of `warnings.showwarning`."""
    complain(f"warning: {message}")


@contextmanager
def reserved_for_json(stream: TextIO) -> Iterator[None]:
    """Keep the standard output for the document: what else is printed, by a scenario say, goes to the error stream."""
    _DOCUMENTS.append(stream)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _DOCUMENTS.pop()


def print_json(document: Mapping[str, Any]) -> None:
    """Print a document as JSON on the standard output."""
    stream = _DOCUMENTS[-1] if _DOCUMENTS else sys.stdout
    print(json.dumps(jsonable(document), indent=2, allow_nan=False), file=stream)
    stream.flush()


def jsonable(value: Any) -> Any:
    """Return a value as JSON can hold it: NaN and infinities are null, numpy's scalars and arrays Python's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def console() -> Console:
    """Return the standard output: as wide as the terminal, or wide and plain when there is none."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=PLAIN_WIDTH)


def table(
    page: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()
) -> None:
    """Print a titled table unless it is empty; the columns in ``right`` are aligned to the right."""
    from rich import box
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    listed = list(rows)
    if not listed:
        return
    filled = [number for number, _ in enumerate(columns) if any(row[number] for row in listed)]
    made = Table(
        box=box.SIMPLE_HEAD if page.is_terminal else None, show_header=any(columns), show_edge=False, pad_edge=False,
        header_style="bold",
    )  # fmt: skip
    for number in filled:
        name = columns[number]
        made.add_column(Text(name), justify="right" if name in right else "left", overflow="fold")
    for row in listed:
        made.add_row(*(Text(row[number]) for number in filled))
    if title:
        page.print(Text(title, style="bold"))
    with page.capture() as printed:
        page.print(Padding(made, (0, 0, 0, 2), expand=False))
    page.file.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()) + "\n")


def paragraph(page: Console, text: str, style: str = "") -> None:
    """Print a text as it is."""
    from rich.text import Text

    page.print(Text(text, style=style))


def number(value: float) -> str:
    """Return a measured number to six digits."""
    return f"{value:.6g}"


def readable_size(size: float) -> str:
    """Return a number of bytes with its unit."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def readable_rate(rate: float) -> str:
    """Return a number per second with the usual letter for its size."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:.1f} {letter}"
    return f"{rate:.3g}"


def readable_time(seconds: float) -> str:
    """Return a duration with its units."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
