"""The commands about sweeps and their options; what they do is in `simengine.cli.sweeping`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simengine.cli import completing, options
from simengine.cli.commands import given
from simengine.cli.options import whole

SWEEP_KEYWORDS = ("steps", "every", "seed", "start", "replicates", "address", "workers", "progress", "allow_changes")


def sweep(
    context: typer.Context,
    scenario: options.ScenarioOrNone = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="NAME=VALUES",
            show_default=False,
            help="Values of a parameter: 50,100,200, or 0:1:11 for 11 values from 0 to 1. Repeat it for several "
            "parameters: every combination is run.",
            autocompletion=completing.settings,
        ),
    ] = None,
    settings: options.Settings = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            show_default=False,
            help="Keywords of the sweep, \\[parameters] and \\[grid], \\[points] or \\[sample] from a file; what is "
            "given here as well comes first.",
            autocompletion=completing.left_to_the_shell,
        ),
    ] = None,
    replicates: Annotated[
        int, typer.Option(metavar="N", parser=whole, help="Runs of every point, with seeds of their own.")
    ] = 1,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole,
            help="The most steps of a run. By default the scenario's own.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole,
            help="Record the observables every N steps. By default only at the first and the last.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", parser=whole, help="With the parameters and the replicate, gives a run's seed.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            show_default=False,
            help="The folder to write. By default SCENARIO-sweep-SEED.",
            autocompletion=completing.left_to_the_shell,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="A start state for all runs: a run file with snapshots, or a graph for a network: "
            "acquaintances=karate.graphml.",
            autocompletion=completing.left_to_the_shell,
        ),
    ] = None,
    workers: options.Workers = None,
    address: options.Address = None,
    extend: Annotated[
        bool,
        typer.Option("--extend", help="Add the points that are new, or replicates up to N, to the sweep in DIR."),
    ] = False,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes",
            help="Extend although versions, the processor or the scenario have changed since.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say how many runs there are, and after a short trial how long they and how large."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the sweep in DIR.")] = False,
    progress: options.Progress = True,
    as_json: options.Json = False,
) -> int:
    """Run a scenario with many parameters and seeds, on all processors or a cluster, and write one folder.

    The exit code is 1 when runs failed; the others are done then all the same.

    [bold]Examples[/bold]

      simengine sweep voter --grid n_agents=100,400,900 --replicates 20
      simengine sweep schooling --grid noise=0:1:11 --set n_agents=100 --steps 500 --out noise
      simengine sweep schooling --grid noise=0:1:11 --replicates 50 --out noise --extend
      simengine sweep my_model.py --grid reach=0.1,0.2 --address auto --out reach --dry-run
      simengine sweep --config sweep.toml
    """
    from simengine.cli.sweeping import Request, perform

    request = Request(
        scenario=scenario,
        grid=tuple(grid or ()),
        settings=tuple(settings or ()),
        stray=tuple(context.args),
        config=config,
        out=out,
        keywords=given(context, *SWEEP_KEYWORDS) | ({"overwrite": True} if force else {}),
        extend=extend,
        dry_run=dry_run,
        as_json=as_json,
    )
    return perform(request)


def status(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            show_default=False,
            help="The folder of a sweep.",
            autocompletion=completing.sweeps,
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Say how far a sweep is, also while it runs in another shell.

    [bold]Example[/bold]

      simengine status noise
    """
    from simengine.cli.sweeping import show_status

    show_status(path, as_json)
