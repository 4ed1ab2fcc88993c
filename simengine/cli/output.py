"""Writing to the terminal: tables in a terminal, plain aligned columns elsewhere; messages on the error stream."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 200
"""Columns of output that goes to a file or a pipe, where nothing says how wide the page is."""


def complain(message: str) -> None:
    """Write an error message."""
    print(f"simengine: {message}", file=sys.stderr)


def console() -> Console:
    """The standard output: as wide as the terminal, or wide and plain when there is none."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    width = os.environ.get("COLUMNS", "")
    return Console(highlight=False, width=int(width) if width.isdigit() and int(width) > 0 else PLAIN_WIDTH)


def table(page: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print a titled table unless it is empty; the columns in ``right`` are aligned to the right."""
    from rich import box
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    listed = list(rows)
    if not listed:
        return
    filled = [number for number, _ in enumerate(columns) if any(row[number] for row in listed)]
    made = Table(box=box.SIMPLE_HEAD if page.is_terminal else None, show_edge=False, pad_edge=False, header_style="bold")
    for number in filled:
        name = columns[number]
        made.add_column(Text(name), justify="right" if name in right else "left", overflow="fold")
    for row in listed:
        made.add_row(*(Text(row[number]) for number in filled))
    if title:
        page.print(Text(title, style="bold"))
    page.print(Padding(made, (0, 0, 0, 2)))
    page.print()


def paragraph(page: Console, text: str, style: str = "") -> None:
    """Print a text as it is."""
    from rich.text import Text

    page.print(Text(text, style=style))


def number(value: float) -> str:
    """A measured number to six digits."""
    return f"{value:.6g}"


def readable_size(size: float) -> str:
    """A number of bytes."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def readable_rate(rate: float) -> str:
    """A number per second with the usual letter for its size."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:.1f} {letter}"
    return f"{rate:.3g}"


def readable_time(seconds: float) -> str:
    """A duration."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
