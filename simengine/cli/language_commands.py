"""The commands about language models and their options; what they do is in `simengine.cli.language`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simengine.cli import completing, options
from simengine.cli.commands import given, language_given
from simengine.cli.options import fraction, whole

SHOWN = 5

app = typer.Typer(name="llm", rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]})


@app.callback(invoke_without_command=True)
def language(context: typer.Context) -> None:
    """Look at language models: what a server does, what a run would cost, what was asked and answered.

    [bold]Examples[/bold]

      simengine llm doctor http://localhost:8000/v1 --model my-model
      simengine llm cost social_learning --policy agents.act=language
      simengine llm calls herd.nc --last 3
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def doctor(
    base_url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]",
            show_default=False,
            help="The server, http://localhost:8000/v1. By default $OPENAI_BASE_URL.",
            autocompletion=completing.left_to_the_shell,
        ),
    ] = None,
    model: options.Model = None,
    backend: Annotated[
        str,
        typer.Option(
            metavar="openai|transformers|surrogate",
            help="A server that speaks OpenAI's chat completions, a model in this process, or an n-gram (not an LLM).",
            autocompletion=completing.backends,
        ),
    ] = "openai",
    key_env: options.KeyEnvironment = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole,
            show_default=False,
            help="How often an equal request is put, to see whether its answers are equal. By default 5.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Ask a server some tens of short questions, and say what it does.

    Does it keep to a schema, tell log-probabilities, repeat an answer with a seed, answer alone as among others; how
    fast is it, and which limits does it tell. The exit code is 1 when it cannot be used.

    [bold]Examples[/bold]

      simengine llm doctor http://localhost:8000/v1 --model my-model
      simengine llm doctor https://api.openai.com/v1 --model my-model --key-env MY_KEY --repeats 3
      simengine llm doctor --backend transformers --model my_folder
    """
    from simengine.cli.language import examine
    from simengine.cli.language_options import Reached

    return examine(Reached(backend, base_url, model, key_env), repeats, as_json)


@app.command(context_settings={"allow_extra_args": True})
def cost(
    context: typer.Context,
    scenario: options.Scenario,
    settings: options.Settings = None,
    policies: options.Policies = None,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=whole, help="The most steps to run. By default the scenario's own.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", parser=whole, help="Of the run, whose agents it chooses.")] = 0,
    share: options.Share = None,
    elicitation: options.Elicitation = None,
    requests_per_minute: options.RequestsPerMinute = None,
    tokens_per_minute: options.TokensPerMinute = None,
    input_price: Annotated[
        float | None,
        typer.Option(metavar="X", parser=fraction, show_default=False, help="Of a million tokens sent."),
    ] = None,
    output_price: Annotated[
        float | None,
        typer.Option(metavar="X", parser=fraction, show_default=False, help="Of a million tokens received."),
    ] = None,
    cached_price: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            parser=fraction,
            show_default=False,
            help="Of a million tokens sent that the server has in its cache. By default as others.",
        ),
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Of the prices. By default USD.")
    ] = None,
    progress: options.Progress = True,
    as_json: options.Json = False,
) -> None:
    """Say what a run with language models would take: calls, tokens, time and money. Nobody is called.

    The run is tried in memory with the surrogate, an n-gram, in the model's place. The number of calls is exact where
    it does not depend on what is answered, and an estimate otherwise; tokens are a quarter of the characters.

    [bold]Examples[/bold]

      simengine llm cost social_learning --policy agents.act=language
      simengine llm cost social_learning --policy agents.act=language --share 0.1 --input-price 0.5 --output-price 2
      simengine llm cost commons --policy agents=language --steps 20 --requests-per-minute 500
    """
    from simengine.cli.language import Trial, forecast

    prices = given(context, "input_price", "output_price", "cached_price", "currency")
    forecast(
        Trial(
            scenario=scenario,
            settings=tuple(settings or ()),
            stray=tuple(context.args),
            policies=tuple(policies or ()),
            language=language_given(context),
            prices={name.removesuffix("_price"): value for name, value in prices.items()},
            keywords=given(context, "steps", "seed", "progress"),
            as_json=as_json,
        )
    )


@app.command()
def calls(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            show_default=False,
            help="A run's file, finished or not, or the record of calls beside it.",
            autocompletion=completing.left_to_the_shell,
        ),
    ],
    decision: Annotated[
        str | None,
        typer.Option(
            metavar="[POPULATION.]DECISION",
            show_default=False,
            help="Of this decision alone.",
            autocompletion=completing.recorded_decisions,
        ),
    ] = None,
    last: Annotated[int, typer.Option(metavar="N", parser=whole, help="How many, the latest.")] = SHOWN,
    as_json: options.Json = False,
) -> None:
    """Show what language models were asked and answered in a run: the last calls of its record, which is only read.

    [bold]Examples[/bold]

      simengine llm calls herd.nc
      simengine llm calls herd.nc --decision act --last 20 --json
    """
    from simengine.cli.language import show_calls

    show_calls(path, decision, last, as_json)
