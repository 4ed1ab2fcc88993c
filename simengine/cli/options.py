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


ABOUT_MODELS = "Language models"


def fraction(text: str) -> float:
    """Read a number, which the run checks further."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"got {text!r}, allowed is a number") from None


Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="POPULATION[.DECISION]=language",
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="Let a language model answer a decision, or all of a population; repeat it for several.",
        autocompletion=completing.decisions,
    ),
]
Share = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        parser=fraction,
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="Of this share of the agents, 0 to 1; the others follow the rule.",
    ),
]
Backend = Annotated[
    str | None,
    typer.Option(
        metavar="openai|transformers|surrogate",
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="A server that speaks OpenAI's chat completions, a model in this process, or an n-gram (not an LLM).",
        autocompletion=completing.backends,
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="The server, http://localhost:8000/v1. By default $OPENAI_BASE_URL.",
        autocompletion=completing.left_to_the_shell,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FOLDER",
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="The model's name at the server, or its folder.",
        autocompletion=completing.left_to_the_shell,
    ),
]
KeyEnvironment = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="The environment variable that holds the key. By default OPENAI_API_KEY. Keys are never written anywhere.",
        autocompletion=completing.left_to_the_shell,
    ),
]
Schema = Annotated[
    str | None,
    typer.Option(
        metavar="WAY",
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="How the server is asked to keep to a schema: response_format, structured_outputs (vLLM) or prompt (by "
        "words). simengine llm doctor says which it keeps. By default response_format.",
        autocompletion=completing.schemas,
    ),
]
Elicitation = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="How answers are asked for: label_probabilities, samples, percentages, single, structured. "
        "By default what suits decision and backend.",
        autocompletion=completing.elicitations,
    ),
]
Connections = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole,
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="Calls under way at once. Never changes the result. By default 64.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="calls=N,tokens=N",
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="Stop before more is spent; simengine resume goes on with a larger budget.",
        autocompletion=completing.left_to_the_shell,
    ),
]
RequestsPerMinute = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        parser=fraction,
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="Send no more requests than this.",
    ),
]
TokensPerMinute = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        parser=fraction,
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="Send and receive no more tokens than this.",
    ),
]
AnswersCache = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="Answers that several runs share: none asks what another one has asked.",
        autocompletion=completing.left_to_the_shell,
    ),
]
MostFallbacks = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        parser=fraction,
        show_default=False,
        rich_help_panel=ABOUT_MODELS,
        help="Fail when a larger share of decisions than this had no answer. By default 0.01.",
    ),
]
