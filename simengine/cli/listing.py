"""``simengine list``: the installed scenarios, one line each."""

from __future__ import annotations

from simengine.cli.output import console, paragraph, print_json, table
from simengine.runs import registry


def show(as_json: bool) -> None:
    """Print every registered scenario with its summary, or with what is wrong with it."""
    scenarios = {
        entry.name: {
            "class": entry.scenario.__name__ if entry.scenario else None,
            "summary": entry.scenario.summary() if entry.scenario else None,
            "error": entry.error or None,
        }
        for entry in registry.listed()
    }
    if as_json:
        print_json({"scenarios": scenarios})
        return
    page = console()
    if not scenarios:
        paragraph(page, "no scenarios are installed")
        return
    rows = [(name, said["summary"] or f"(broken) {said['error']}") for name, said in scenarios.items()]
    table(page, "", ("scenario", "summary"), rows)
    paragraph(page, "simengine describe NAME says more; simengine run NAME runs it")
