"""``simengine list``: the installed scenarios, one line each."""

from __future__ import annotations

from simengine.cli.output import console, paragraph, table
from simengine.runs import registry


def show() -> None:
    """Print every registered scenario with its summary, or with what is wrong with it."""
    found = registry.listed()
    page = console()
    rows = [(entry.name, entry.scenario.summary() if entry.scenario else f"(broken) {entry.error}") for entry in found]
    if not rows:
        paragraph(page, "no scenarios are installed")
        return
    table(page, "", ("scenario", "summary"), rows)
    paragraph(page, "simengine describe NAME says more; simengine run NAME runs it")
