"""``simengine report``: one page about a run or a sweep."""

from __future__ import annotations

import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from simengine.analysis import report
from simengine.cli.output import console, paragraph, print_json, readable_size, readable_time, warn


def perform(path: Path, out: Path | None, *, show: bool, force: bool, progress: bool, as_json: bool) -> None:
    """Write the page, say where it is, and open it if that is wanted."""
    begun = time.perf_counter()
    with _told(progress) as told:
        written = report.write(path, out, overwrite=force, told=told)
    seconds, size = time.perf_counter() - begun, written.stat().st_size
    if as_json:
        print_json({"file": str(path), "report": str(written), "bytes": size, "seconds": seconds})
    else:
        paragraph(console(), f"{written} ({readable_size(size)}, {readable_time(seconds)})")
    if show and not webbrowser.open(written.resolve().as_uri()):
        warn(f"no browser was found; open {written} yourself")


@contextmanager
def _told(progress: bool) -> Iterator[Callable[[str], None] | None]:
    """Give a function that shows in a terminal what is being done, in one line of the error stream."""
    if not progress or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as line:
        yield lambda text: line.update(text.replace("[", r"\["))
