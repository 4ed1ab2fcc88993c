"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simengine.cli import completing


def whole(text: str) -> int:
    """Read a whole number, which the run checks further."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"got {text!r}, allowed is a whole number") from None


SCENARIO_METAVAR = "NAME|FILE.py[:CLASS]"
SCENARIO_HELP = "An installed scenario (see simengine list), or a Python file that defines one."

Scenario = Annotated[
    str,
    typer.Argument(
        metavar=SCENARIO_METAVAR, show_default=False, help=SCENARIO_HELP, autocompletion=completing.scenarios
    ),
]
ScenarioOrNone = Annotated[
    str | None,
    typer.Argument(
        metavar=SCENARIO_METAVAR,
        show_default=False,
        help=f"{SCENARIO_HELP} May stand in the --config file instead.",
        autocompletion=completing.scenarios,
    ),
]
RunFile = Annotated[
    Path,
    typer.Argument(metavar="FILE", show_default=False, help="A run file.", autocompletion=completing.left_to_the_shell),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A parameter of the scenario; repeat it for several. See simengine describe.",
        autocompletion=completing.settings,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole,
        show_default=False,
        help="Never changes the result. By default 1, or all processors for many agents.",
    ),
]
CheckpointEvery = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole,
        show_default=False,
        help="Keep the whole state every N steps (the last two), also after the run, for resume and branch. "
        "By default now and then, while the run lasts.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole,
        show_default=False,
        help="Runs at a time. By default one in this process while that is quick enough, or all processors.",
    ),
]
Shards = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        parser=whole,
        show_default=False,
        help="Spread the agents over K Ray actors, each with --threads threads (1). Never changes the result.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT|auto",
        show_default=False,
        help="The Ray cluster to work on. By default a Ray of this machine, started when it is needed.",
        autocompletion=completing.left_to_the_shell,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file, or an unfinished run of its name.")]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show a bar in a terminal.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
