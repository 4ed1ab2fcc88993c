"""The command line: ``simengine run``, ``sweep``, ``resume``, ``rerun``, ``branch``, ``list``, ``llm`` and others.

Exit codes: 0 fine, 1 a run or its file could not go on, its repetition differs, or runs of a sweep failed, 2 wrong
input (nothing was written), 130 interrupted. With ``--json`` the standard output holds one JSON document,
``{"error": ...}`` after an error.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Annotated

import typer

from simengine import __version__
from simengine.cli import analysis_commands, commands, completing, exchange_commands, language_commands, sweep_commands
from simengine.cli.output import Interrupted, complain, print_json, reserved_for_json
from simengine.errors import InputError, ScenarioError, SimengineError

FINE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="simengine",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
WITH_SETTINGS = {"allow_extra_args": True}
app.command("init")(commands.init)
app.command("run", context_settings=WITH_SETTINGS)(commands.run)
app.command("sweep", context_settings=WITH_SETTINGS)(sweep_commands.sweep)
app.command("status")(sweep_commands.status)
app.command("resume")(commands.resume)
app.command("rerun")(commands.rerun)
app.command("branch", context_settings=WITH_SETTINGS)(commands.branch)
app.command("watch")(exchange_commands.watch)
app.command("export")(exchange_commands.export)
app.command("import")(exchange_commands.import_)
app.command("report")(analysis_commands.report)
app.command("list")(commands.list_scenarios)
app.command("describe")(commands.describe)
app.add_typer(language_commands.app)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"simengine {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def simengine(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Simulate multi-agent social systems.

    [bold]Examples[/bold]

      simengine list
      simengine describe schooling
      simengine run schooling --steps 500 --every 10 --out school.nc
      simengine sweep schooling --grid noise=0:1:11 --replicates 20 --out noise
      simengine status noise
      simengine watch school.nc
      simengine export school.nc --out school.parquet
      simengine resume school.nc
      simengine report school.nc --open
      simengine rerun school.nc
      simengine branch school.nc --at 300 --set noise=0.3
      simengine llm doctor http://localhost:8000/v1 --model my-model
      simengine init my_model
      simengine run my_model.py --set n_agents=1e4 --seed 7

    Every command has its own --help.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _end_like_an_interrupt() -> None:
    """Let SIGTERM, which batch systems send before they kill, end a run as Ctrl-C does: what was recorded is kept."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors go to the error stream, one line each."""
    if os.environ.get(completing.VARIABLE):
        return _complete()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    _end_like_an_interrupt()
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words and not {"--help", "-h"} & {*words}
    try:
        with reserved_for_json(sys.stdout) if as_json else nullcontext():
            code = app(args=arguments, prog_name="simengine", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else FINE
    except BrokenPipeError:
        return _abandoned()
    except (Exception, KeyboardInterrupt) as error:
        message, code = _judged(error)
        try:
            if as_json:
                print_json({"error": message or f"{type(error).__name__}: {error}"})
        except BrokenPipeError:
            _abandoned()
        if message is None:
            raise
        complain(message)
        return code


def _judged(error: BaseException) -> tuple[str | None, int]:
    """Return the line that says what went wrong, ``None`` where nobody knows, and the exit code."""
    if isinstance(error, InputError | ScenarioError):
        return str(error), WRONG_INPUT
    if isinstance(error, SimengineError):
        return str(error), FAILED
    if isinstance(error, Interrupted | KeyboardInterrupt | typer.Abort):
        return str(error) or "interrupted", INTERRUPTED
    return (commands.usage_error(error) if isinstance(error, Exception) else None), WRONG_INPUT


def _abandoned() -> int:
    """Go quietly when whoever read the output has left: Python would complain again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _complete() -> int:
    """Print what the shell may complete the command line with, and nothing else, whatever goes wrong."""
    words, code = StringIO(), FINE
    done = ""
    try:
        with redirect_stdout(words), redirect_stderr(StringIO()):
            if os.environ[completing.VARIABLE] == completing.BASH:
                done = completing.bash_words()
            app(args=[], prog_name="simengine")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else FAILED
    except Exception:
        return FAILED
    for word in filter(None, words.getvalue().splitlines()):
        print(completing.bash_rest(word, done))
    return code
