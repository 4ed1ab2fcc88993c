"""The command line: ``simengine run``, ``list`` and ``describe``.

Exit codes: 0 fine, 1 a run or its file could not go on, 2 wrong input (nothing was written), 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated

import typer

from simengine import __version__
from simengine.cli import commands
from simengine.cli.output import Interrupted, complain
from simengine.errors import InputError, ScenarioError, SimengineError

FINE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="simengine",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", context_settings={"allow_extra_args": True})(commands.run)
app.command("list")(commands.list_scenarios)
app.command("describe")(commands.describe)


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
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    _end_like_an_interrupt()
    try:
        code = app(args=arguments, prog_name="simengine", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else FINE
    except (InputError, ScenarioError) as error:
        complain(str(error))
        return WRONG_INPUT
    except SimengineError as error:
        complain(str(error))
        return FAILED
    except (Interrupted, KeyboardInterrupt, typer.Abort) as error:
        complain(str(error) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has left; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        message = commands.usage_error(error)
        if message is None:
            raise
        complain(message)
        return WRONG_INPUT
