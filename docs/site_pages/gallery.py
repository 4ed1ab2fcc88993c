"""The gallery: a page for each installed scenario, from its class and its row in ``scenarios/README.md``."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from simengine.cli.describing import document, value_text
from simengine.runs.registry import listed
from simengine.scenario.scenario import Scenario
from site_pages.docstrings import markdown_of

ROOT = Path(__file__).parents[2]

FAMILIES = {
    "Groups in motion": ("schooling", "guided_schooling", "flocking", "predator_prey"),
    "Opinions": ("voter", "degroot", "friedkin_johnsen", "deffuant_weisbuch", "hegselmann_krause"),
    "Learning from others": ("social_learning", "banerjee_herding", "gaussian_learning", "network_learning"),
    "Contagion": ("granovetter", "watts_cascade", "independent_cascade", "linear_threshold"),
    "Persuasion": ("persuasion", "persuasion_talk", "word_of_mouth", "hearsay"),
    "Exchange and common resources": (
        "wealth_exchange", "commons", "govsim", "harvest", "lab_commons", "gordon_schaefer",
    ),
    "Dilemmas and selection": ("public_goods", "finite_population", "graph_game"),
}  # fmt: skip
"""Scenarios by what they are about; one that is not named here stands below 'Others'."""

_ROW = re.compile(r"^\| \[`(?P<name>\w+)`\]\((?P<file>\S+?)\) \| (?P<cells>.*) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """A row of the table of scenarios."""

    name: str
    file: str
    paper: str
    shows: str
    command: str


@cache
def rows() -> dict[str, Row]:
    """Return the rows of the table of scenarios by name."""
    text = (ROOT / "scenarios" / "README.md").read_text(encoding="utf-8")
    found = [(one["name"], one["file"], *one["cells"].split(" | ", 2)) for one in _ROW.finditer(text)]
    return {name: Row(name, file, paper, shows, command.strip("`")) for name, file, paper, shows, command in found}


@cache
def scenarios() -> dict[str, type[Scenario]]:
    """Return the scenarios that this repository installs, by name."""
    return {
        one.name: one.scenario
        for one in listed()
        if one.scenario is not None and one.scenario.__module__.startswith("simengine.scenarios.")
    }


@cache
def families() -> dict[str, tuple[str, ...]]:
    """Return the names of all scenarios by family."""
    known = {name for names in FAMILIES.values() for name in names}
    others = tuple(name for name in scenarios() if name not in known)
    return FAMILIES | ({"Others": others} if others else {})


@cache
def page_of_file() -> dict[str, str]:
    """Return the page of the first scenario in each file of ``scenarios/``."""
    found: dict[str, str] = {}
    for row in rows().values():
        found.setdefault(f"scenarios/{row.file}", f"gallery/{row.name}.md")
    return found


def navigation() -> dict[str, Any]:
    """Return the gallery's part of the navigation."""
    parts: list[Any] = ["gallery/index.md"]
    for family, names in families().items():
        parts.append({family: [{name: f"gallery/{name}.md"} for name in names]})
    return {"Gallery": parts}


def notes() -> str:
    """Return what ``scenarios/README.md`` says below its table."""
    text = (ROOT / "scenarios" / "README.md").read_text(encoding="utf-8")
    return text[[one.end() for one in _ROW.finditer(text)][-1] :].strip()


def pages(images: set[str], notes: str) -> dict[str, str]:
    """Return the gallery's pages; pictures are shown as far as there are any."""
    found = {"gallery/index.md": _index(images, notes)}
    for name, scenario in scenarios().items():
        found[f"gallery/{name}.md"] = _page(name, scenario, images)
    return found


def picture(name: str, images: set[str], title: str) -> str:
    """Return the picture of a scenario, for light and for dark pages; nothing if there is none."""
    there = [mode for mode in ("light", "dark") if f"images/gallery/{name}-{mode}.png" in images]
    return " ".join(f"![{title}](../images/gallery/{name}-{mode}.png#only-{mode}){{ loading=lazy }}" for mode in there)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table without the columns that are empty in every line."""
    lines = [list(line) for line in lines]
    used = [n for n in range(len(head)) if any(line[n] for line in lines)]
    drawn = [f"| {' | '.join(head[n] for n in used)} |", "|" + "---|" * len(used)]
    drawn += [f"| {' | '.join(line[n] for n in used)} |" for line in lines]
    return "\n".join(drawn)


def plain(text: Any) -> str:
    """Return text for a cell of a table."""
    return html.escape(str(text or ""), quote=False).replace("|", "&#124;").replace("\n", " ").replace("*", "\\*")


def code(text: Any) -> str:
    """Return code for a cell of a table."""
    return f"`{text}`" if text not in (None, "") else ""


def _index(images: set[str], notes: str) -> str:
    parts = [
        "# Gallery\n",
        f"{len(scenarios())} scenarios are installed with simengine. Each is one file that can be held beside its "
        "paper; its page here shows what it declares, a command to begin with, and its source. Any of them can be "
        "[run](../runs.md), [swept](../sweeps.md), [spread over machines](../cluster.md) and [answered by language "
        "models](../language.md); [one of your own](../authoring.md) is a file like these.\n",
    ]
    for family, names in families().items():
        parts.append(f'## {family}\n\n<div class="grid cards" markdown>\n')
        for name in names:
            row = rows()[name]
            shown = picture(name, images, row.shows)
            image = f"    [{shown}]({name}.md)\n\n" if shown else ""
            parts.append(
                f"-   **[{name}]({name}.md)**, {row.paper}\n\n{image}    {row.shows[:1].upper()}{row.shows[1:]}\n"
            )
        parts.append("</div>\n")
    parts.append(f"## Notes\n\n{notes}\n")
    return "\n".join(parts)


def _page(name: str, scenario: type[Scenario], images: set[str]) -> str:
    said, row = document(scenario), rows()[name]
    source = Path(str(said["source"])).read_text(encoding="utf-8")
    title, _, model = str(said["description"]).partition("\n")
    sections = {
        "What it shows": f"{row.shows[:1].upper()}{row.shows[1:]}.\n\n{picture(name, images, row.shows)}\n\n"
        f"```sh\n{row.command}\n```",
        "The model": f"{markdown_of(title)}\n\n{markdown_of(model)}".strip(),
        "Parameters": _parameters(said),
        "Regimes": _regimes(said["regimes"]),
        "Populations": _populations(said),
        "A step": _step(said),
        "Observables": _observables(said),
        "When a run stops": "\n".join(f"- {plain(reason)}" for reason in said["stops"]),
    }
    parts = [f"---\ntitle: {name}\n---\n\n# {name}\n", f"Paper: {_linked(str(said['reference'] or row.paper))}\n"]
    parts += [f"## {heading}\n\n{text}\n" for heading, text in sections.items() if text]
    indented = "\n".join(f"    {line}" for line in f"```python\n{source.rstrip()}\n```".splitlines())
    parts.append(f'## Source {{ data-search-exclude }}\n\n??? note "scenarios/{row.file}"\n\n{indented}\n')
    return "\n".join(parts)


def _linked(paper: str) -> str:
    """Return a reference with its identifiers as links."""
    text = re.sub(r"doi:(10\.\S+)", r"[doi:\1](https://doi.org/\1)", paper)
    text = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    return re.sub(r"(?<!\()(https://\S+)$", r"<\1>", text)


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(code(f"{name}={value_text(value)}") for name, value in values.items())


def _parameters(said: Mapping[str, Any]) -> str:
    lines = [
        (
            code(name), plain(facts["description"]), code(value_text(facts["default"])),
            plain(facts["type"]), plain(facts["bounds"]), _unit(facts["unit"]),
        )
        for name, facts in said["parameters"].items()
    ]  # fmt: skip
    rest = f"A run takes {said['default_steps']} steps where nothing else is asked for"
    step = said["time_step"]
    long = code(step) if isinstance(step, str) else f"{step:g}"
    unit = "" if said["time_unit"] == "1" else f" {said['time_unit']}"
    rest += f"; a step is {long}{unit} of time."
    return f"{table(('name', 'what', 'default', 'values', 'bounds', 'unit'), lines)}\n\n{rest}"


def _regimes(regimes: Sequence[Mapping[str, Any]]) -> str:
    lines = [(_settings(one["when"]), _settings(one["defaults"])) for one in regimes]
    return table(("regime", "defaults"), lines) if lines else ""


def _populations(said: Mapping[str, Any]) -> str:
    populations = [
        (code(name), code(facts["start"]), code(facts["capacity"]), code(facts["dimension"]))
        for name, facts in said["populations"].items()
    ]
    fields = [
        (
            code(name),
            plain(facts["long_name"]),
            plain(facts["type"]),
            _unit(facts["unit"]),
        )
        for name, facts in said["fields"].items()
    ]
    relations = [
        (code(name), plain(facts["kind"]), plain(facts["who_sees_whom"])) for name, facts in said["relations"].items()
    ]
    parts = [
        table(("population", "size", "capacity", "dimension in files"), populations),
        table(("field", "what", "type", "unit"), fields),
    ]
    if relations:
        parts.append(table(("relation", "kind", "who sees whom"), relations))
    return "\n\n".join(parts)


def _step(said: Mapping[str, Any]) -> str:
    lines = [
        (
            str(n), code(phase["name"]), plain(phase["kind"]), plain(phase["what"]), plain(phase["order"]),
            ", ".join(code(one) for one in phase["after"]), _when(phase["when"]),
        )
        for n, phase in enumerate(said["phases"], 1)
    ]  # fmt: skip
    parts = [table(("", "phase", "kind", "what", "order", "after", "only if"), lines)]
    if said["decisions"]:
        decisions = [
            (code(name), ", ".join(code(option) for option in facts["options"]), plain(facts["rule"]))
            for name, facts in said["decisions"].items()
        ]
        parts.append("Decisions, which a policy may take in place of the rule:")
        parts.append(table(("decision", "options", "rule"), decisions))
    return "\n\n".join(parts)


def _when(when: Mapping[str, Any]) -> str:
    return ", ".join(
        " or ".join(
            code(f"{name}={value_text(one)}") for one in (value if isinstance(value, tuple | list) else (value,))
        )
        for name, value in when.items()
    )


def _unit(unit: str) -> str:
    return "" if unit == "1" else plain(unit)


def _observables(said: Mapping[str, Any]) -> str:
    lines = []
    for name, facts in said["observables"].items():
        with_it = [word for word, there in (("error", facts["uncertain"]), ("null", facts["null"])) if there]
        dims = [dim for dim in facts["dims"] if dim != "time"]
        along = ", ".join(code(dim) for dim in dims)
        lines.append(
            (
                code(name),
                plain(facts["long_name"]),
                _unit(facts["unit"]),
                along,
                _when(facts["when"]),
                " and ".join(with_it),
            )
        )
    return table(("variable", "what", "unit", "of each", "only if", "with"), lines)
