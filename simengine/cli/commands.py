"""The commands and their options; what they do is in the module of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from simengine.cli import completing, options
from simengine.cli.language_options import OF_LANGUAGE
from simengine.cli.options import whole

RUN_KEYWORDS = (
    "steps", "seed", "every", "snapshot_every", "checkpoint_every", "out", "start", "threads", "storage_order",
    "shards", "address", "progress",
)  # fmt: skip


def given(context: typer.Context, *names: str) -> dict[str, Any]:
    """Return the options that were given on the command line, for others to have defaults of their own."""
    found = {}
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            found[name] = context.params[name]
    return found


def language_given(context: typer.Context) -> dict[str, Any]:
    """Return the options about language models that were given."""
    return {name: context.params[name] for name in OF_LANGUAGE if context.params.get(name) is not None}


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="Its name, as in Python: my_model.")],
    folder: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where to write.", autocompletion=completing.left_to_the_shell),
    ] = Path("."),
    force: Annotated[bool, typer.Option("--force", help="Replace files of these names.")] = False,
) -> None:
    """Write a small scenario to begin from, NAME.py, and a test of it, test_NAME.py.

    [bold]Example[/bold]

      simengine init my_model
    """
    from simengine.cli.starting import begin

    begin(name, folder, force)


def run(
    context: typer.Context,
    scenario: options.ScenarioOrNone = None,
    settings: options.Settings = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            show_default=False,
            help="Keywords of the run, \\[parameters] and \\[[interventions]] from a file; what is given here as well "
            "comes first.",
            autocompletion=completing.left_to_the_shell,
        ),
    ] = None,
    interventions: Annotated[
        list[str] | None,
        typer.Option(
            "--at",
            metavar="STEP:NAME=VALUE,...",
            show_default=False,
            help="An intervention: after so many steps, parameters get other values; repeat it for several.",
            autocompletion=completing.interventions,
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
    checkpoint_every: options.CheckpointEvery = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            show_default=False,
            help="The NetCDF file to write. By default SCENARIO-SEED.nc.",
            autocompletion=completing.left_to_the_shell,
        ),
    ] = None,
    force: options.Force = False,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="A run file with snapshots: begin from its last one, with its parameters unless set here. "
            "Or a graph for a network: acquaintances=karate.graphml (GraphML, GML or an edge list).",
            autocompletion=completing.left_to_the_shell,
        ),
    ] = None,
    threads: options.Threads = None,
    shards: options.Shards = None,
    address: options.Address = None,
    storage_order: Annotated[
        Literal["auto", "by_id", "by_cell"], typer.Option(help="How agents lie in memory. Never changes the result.")
    ] = "auto",
    policies: options.Policies = None,
    share: options.Share = None,
    backend: options.Backend = None,
    base_url: options.BaseUrl = None,
    model: options.Model = None,
    key_env: options.KeyEnvironment = None,
    schema: options.Schema = None,
    elicitation: options.Elicitation = None,
    connections: options.Connections = None,
    budget: options.Budget = None,
    requests_per_minute: options.RequestsPerMinute = None,
    tokens_per_minute: options.TokensPerMinute = None,
    answers_cache: options.AnswersCache = None,
    most_fallbacks: options.MostFallbacks = None,
    progress: options.Progress = True,
    as_json: options.Json = False,
) -> None:
    """Run a scenario and write one NetCDF file.

    [bold]Examples[/bold]

      simengine run schooling
      simengine run schooling --steps 2000 --every 10 --seed 7 --out school.nc
      simengine run schooling --set regime=swarm --set n_agents=500
      simengine run schooling --at 500:noise=0.3,speed=2 --at 800:noise=0.05
      simengine run --config long.toml --set noise=0.2
      simengine run my_model.py --snapshot-every 100 -o long.nc
      simengine run my_model.py --start long.nc --steps 500 -o longer.nc
      simengine run degroot --start acquaintances=friends.csv
      simengine run schooling --set n_agents=1000000 --set box=700 --shards 4 --address auto
      simengine run social_learning --policy agents.act=language --backend openai --model my-model --share 0.1
    """
    from simengine.cli.running import Request, perform

    keywords = given(context, *RUN_KEYWORDS) | ({"overwrite": True} if force else {})
    perform(
        Request(
            scenario=scenario,
            settings=tuple(settings or ()),
            interventions=tuple(interventions or ()),
            stray=tuple(context.args),
            config=config,
            keywords=keywords,
            as_json=as_json,
            policies=tuple(policies or ()),
            language=language_given(context),
        )
    )


def resume(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            show_default=False,
            help="The file that the run was to write, or the folder of a sweep.",
            autocompletion=completing.unfinished_runs,
        ),
    ],
    threads: options.Threads = None,
    shards: options.Shards = None,
    workers: options.Workers = None,
    address: options.Address = None,
    backend: options.Backend = None,
    base_url: options.BaseUrl = None,
    model: options.Model = None,
    key_env: options.KeyEnvironment = None,
    schema: options.Schema = None,
    connections: options.Connections = None,
    budget: options.Budget = None,
    requests_per_minute: options.RequestsPerMinute = None,
    tokens_per_minute: options.TokensPerMinute = None,
    answers_cache: options.AnswersCache = None,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes",
            help="Go on although versions, the processor or the scenario have changed since.",
        ),
    ] = False,
    progress: options.Progress = True,
    as_json: options.Json = False,
) -> int:
    """Finish a run or a sweep that was interrupted or killed, as if nothing had happened.

    [bold]Examples[/bold]

      simengine resume school.nc
      simengine resume school.nc --shards 4
      simengine resume noise
      simengine resume herd.nc --backend openai --base-url http://localhost:8000/v1 --model my-model
    """
    from simengine.cli.continuing import resume as finish

    keywords = given(context, "threads", "shards", "workers", "address", "allow_changes", "progress")
    return finish(path, keywords, as_json, language_given(context))


def rerun(
    context: typer.Context,
    path: options.RunFile,
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar=options.SCENARIO_METAVAR,
            show_default=False,
            help="The scenario, in place of the one that the file names or keeps.",
            autocompletion=completing.scenarios,
        ),
    ] = None,
    threads: options.Threads = None,
    shards: options.Shards = None,
    address: options.Address = None,
    progress: options.Progress = True,
    as_json: options.Json = False,
) -> int:
    """Repeat the run of a file from the file alone, and say whether the same comes out: exit code 0 if so, otherwise 1.

    A file of your own scenario keeps its source, which is run: rerun only files that you trust like a program.

    [bold]Example[/bold]

      simengine rerun school.nc
    """
    from simengine.cli.continuing import rerun as repeat

    keywords = given(context, "scenario", "threads", "shards", "address", "progress")
    return 0 if repeat(path, keywords, as_json) else 1


def branch(
    context: typer.Context,
    path: options.RunFile,
    step: Annotated[
        int, typer.Option("--at", metavar="N", parser=whole, show_default=False, help="After how many steps.")
    ],
    settings: options.Settings = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole,
            show_default=False,
            help="The most steps, those before the branch included. By default as in the file.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            show_default=False,
            help="The NetCDF file to write. By default FILE-branch-N.nc.",
            autocompletion=completing.left_to_the_shell,
        ),
    ] = None,
    force: options.Force = False,
    checkpoint_every: options.CheckpointEvery = None,
    threads: options.Threads = None,
    shards: options.Shards = None,
    address: options.Address = None,
    backend: options.Backend = None,
    base_url: options.BaseUrl = None,
    model: options.Model = None,
    key_env: options.KeyEnvironment = None,
    schema: options.Schema = None,
    connections: options.Connections = None,
    budget: options.Budget = None,
    requests_per_minute: options.RequestsPerMinute = None,
    tokens_per_minute: options.TokensPerMinute = None,
    answers_cache: options.AnswersCache = None,
    progress: options.Progress = True,
    as_json: options.Json = False,
) -> None:
    """Let the run of a file take another course from a step on, with the same random numbers.

    [bold]Examples[/bold]

      simengine branch school.nc --at 500 --set noise=0.3
      simengine branch school.nc --at 500 --set speed=2 --steps 3000 --out faster.nc
      simengine branch herd.nc --at 20 --set loss=2 --backend openai --base-url URL --model my-model

    What language models were asked before is answered from the record beside FILE; --backend says who is asked the
    rest.
    """
    from simengine.cli.continuing import BranchRequest
    from simengine.cli.continuing import branch as part

    keywords = given(context, "steps", "checkpoint_every", "threads", "shards", "address", "progress")
    part(
        BranchRequest(
            path=path,
            step=step,
            settings=tuple(settings or ()),
            stray=tuple(context.args),
            out=out,
            keywords=keywords | ({"overwrite": True} if force else {}),
            as_json=as_json,
            language=language_given(context),
        )
    )


def list_scenarios(as_json: options.Json = False) -> None:
    """List the installed scenarios.

    [bold]Example[/bold]

      simengine list
    """
    from simengine.cli.listing import show

    show(as_json)


def describe(scenario: options.Scenario, as_json: options.Json = False) -> None:
    """Show what a scenario declares: parameters, regimes, populations, phases, decisions, observables.

    [bold]Examples[/bold]

      simengine describe schooling
      simengine describe my_model.py
    """
    from simengine.cli.describing import show

    show(scenario, as_json)


def usage_error(error: Exception) -> str | None:
    """Return the one line that says what is wrong with the words of a command, or ``None`` for any other error."""
    if not isinstance(error, _usage_errors()):
        return None
    shown: Any = error
    message = " ".join(str(shown.format_message()).split())
    path = getattr(getattr(shown, "ctx", None), "command_path", "simengine")
    unknown = re.search(r"No such option: (--?)(\w[\w-]*)", message)
    if unknown and path.endswith((" run", " branch", " sweep")):
        message += f" (a parameter of the scenario is given as --set {unknown[2].replace('-', '_')}=VALUE)"
    return f"{message} See {path} --help" if message.endswith(".") else f"{message}; see {path} --help"


def _usage_errors() -> type[Exception]:
    """Return the base of the parser's errors, which typer exports only through this one."""
    return next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
