"""The commands about what was run already, and their options: ``simengine report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simengine.cli import completing, options


def report(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            show_default=False,
            help="A run file, also one whose run is not finished, or the folder of a sweep.",
            autocompletion=completing.left_to_the_shell,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.html",
            show_default=False,
            help="The page to write. By default the name of FILE with .html, in this folder.",
            autocompletion=completing.left_to_the_shell,
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the page if it is there already.")] = False,
    progress: Annotated[bool, typer.Option("--progress/--no-progress", help="Say in a terminal what is done.")] = True,
    as_json: options.Json = False,
) -> None:
    """Write one page about a run or a sweep: pictures, numbers with intervals, doubts, and how to do it again.

    The page is one file that needs nothing beside it, no network and no scripts. Nothing that FILE holds is run.

    [bold]Examples[/bold]

      simengine report school.nc
      simengine report noise --out noise.html --open
    """
    from simengine.cli.reporting import perform

    perform(path, out, show=show, force=force, progress=progress, as_json=as_json)
