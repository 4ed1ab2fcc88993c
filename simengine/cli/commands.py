"""The commands and their options; what they do is in the module of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def whole(text: str) -> int:
    """Read a whole number, which the run checks further."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"got {text!r}, allowed is a whole number") from None


NAME = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE.py[:CLASS]",
        show_default=False,
        help="An installed scenario (see simengine list), or a Python file that defines one.",
    ),
]


def run(
    context: typer.Context,
    scenario: NAME,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A parameter of the scenario; repeat it for several. See simengine describe.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=whole, help="The most steps to run. By default the scenario's own.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", parser=whole, help="With scenario and parameters, all the result depends on.")
    ] = 0,
    every: Annotated[int, typer.Option(metavar="N", parser=whole, help="Record the observables every N steps.")] = 1,
    snapshot_every: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=whole, help="Record all agents every N steps. By default never.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            show_default=False,
            help="The NetCDF file to write. By default SCENARIO-SEED.nc.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file, or an unfinished run of its name.")] = False,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="A run file with snapshots: begin from its last one, with its parameters unless set here.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole,
            show_default=False,
            help="Never changes the result. By default 1, or all processors for many agents.",
        ),
    ] = None,
    storage_order: Annotated[
        Literal["auto", "by_id", "by_cell"], typer.Option(help="How agents lie in memory. Never changes the result.")
    ] = "auto",
    progress: Annotated[bool, typer.Option("--progress/--no-progress", help="Show a bar in a terminal.")] = True,
) -> None:
    """Run a scenario and write one NetCDF file.

    [bold]Examples[/bold]

      simengine run schooling
      simengine run schooling --steps 2000 --every 10 --seed 7 --out school.nc
      simengine run schooling --set regime=swarm --set n_agents=500
      simengine run my_model.py --snapshot-every 100 -o long.nc
      simengine run my_model.py --start long.nc --steps 500 -o longer.nc
    """
    from simengine.cli.running import Request, perform

    perform(
        Request(
            scenario=scenario,
            settings=tuple(settings or ()),
            stray=tuple(context.args),
            out=out,
            force=force,
            keywords={
                "steps": steps,
                "seed": seed,
                "every": every,
                "snapshot_every": snapshot_every,
                "threads": threads,
                "start": start,
                "progress": progress,
                "storage_order": storage_order,
            },
        )
    )


def list_scenarios() -> None:
    """List the installed scenarios.

    [bold]Example[/bold]

      simengine list
    """
    from simengine.cli.listing import show

    show()


def describe(scenario: NAME) -> None:
    """Show what a scenario declares: parameters, regimes, populations, phases, decisions, observables.

    [bold]Examples[/bold]

      simengine describe schooling
      simengine describe my_model.py
    """
    from simengine.cli.describing import show

    show(scenario)


def usage_error(error: Exception) -> str | None:
    """Return the one line that says what is wrong with the words of a command, or ``None`` for any other error."""
    if not isinstance(error, _usage_errors()):
        return None
    given: Any = error
    message = " ".join(str(given.format_message()).split())
    path = getattr(getattr(given, "ctx", None), "command_path", "simengine")
    unknown = re.search(r"No such option: (--?)(\w[\w-]*)", message)
    if unknown and path.endswith(" run"):
        message += f" (a parameter of the scenario is given as --set {unknown[2].replace('-', '_')}=VALUE)"
    return f"{message} See {path} --help" if message.endswith(".") else f"{message}; see {path} --help"


def _usage_errors() -> type[Exception]:
    """Return the base of the parser's errors, which typer exports only through this one."""
    return next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
