"""The commands that follow and pass on what was run; what they do is in the module of each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from simengine.cli import completing, options


def watch(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            show_default=False,
            help="The file of a run, there or to come, or the folder of a sweep.",
            autocompletion=completing.unfinished_runs,
        ),
    ],
    every: Annotated[float, typer.Option(metavar="SECONDS", help="How often to look.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print how far it is and stop.")] = False,
    as_json: options.Json = False,
) -> int:
    """Watch a run or a sweep at work, from another terminal or another machine, until it is finished.

    Only its files are read: whoever writes them does not notice. Rows of a run come to the disk in portions, up to
    half a minute late. The exit code is 0 when it is finished, 1 when it is not and no process is writing, or runs of a
    sweep failed. Without a terminal the state is printed once.

    [bold]Examples[/bold]

      simengine watch school.nc
      simengine watch noise --every 5
      simengine watch school.nc --once --json
    """
    from simengine.cli.watching import perform

    return perform(path, every, once, as_json)


def export(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            show_default=False,
            help="A run file, or the folder of a sweep.",
            autocompletion=completing.left_to_the_shell,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            show_default=False,
            help="What to write: NAME.parquet, NAME.csv or NAME.zarr.",
            autocompletion=completing.left_to_the_shell,
        ),
    ],
    what: Annotated[
        Literal["observables", "snapshots", "decisions"],
        typer.Option(help="Which table; decisions are those of language models."),
    ] = "observables",
    names: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            show_default=False,
            help="Variables, or the decision, to write. By default those with one number in each row.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of this name.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write a run or a sweep as a table (Parquet, CSV) or as a Zarr store, for other programs.

    [bold]Examples[/bold]

      simengine export school.nc --out school.parquet
      simengine export noise --out noise.csv --names polarization,rotation
      simengine export school.nc --out agents.parquet --what snapshots
      simengine export school.nc --out school.zarr
    """
    from simengine.cli.exchanging import show_export

    show_export(path, out, what, names, force, as_json)


def import_(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="An output file of dewi-kadita 0.0.4: NetCDF or CSV.",
            autocompletion=completing.left_to_the_shell,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.nc",
            show_default=False,
            help="The NetCDF file to write.",
            autocompletion=completing.left_to_the_shell,
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file of this name.")] = False,
    as_json: options.Json = False,
) -> None:
    """Read a run of another program and write it as a run file, as far as it says what a run file says.

    [bold]Example[/bold]

      simengine import outputs/netcdf/case1.nc --out case1.nc
    """
    from simengine.cli.exchanging import show_import

    show_import(path, out, force, as_json)
