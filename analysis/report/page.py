"""A run or a sweep as one page of HTML that needs nothing beside it: no network, no scripts."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import xarray as xr
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import simengine
from simengine.analysis import contents, pictures
from simengine.analysis.report import observed, sections, wording
from simengine.analysis.report.declared import LIST_ITEM, Declared, declared, is_list, is_set_apart
from simengine.analysis.report.doubts import Doubt, doubts
from simengine.analysis.report.recipe_text import Command, commands
from simengine.analysis.report.rendering import Shown, for_figures, reason, shown
from simengine.errors import InputError, StoreError, nearest_file
from simengine.runs.arguments import shown_path
from simengine.scenario.parameters import shown as as_given
from simengine.store.files import PARTS_SUFFIX, parts_of, write_bytes
from simengine.store.provenance import now

WEIGHTS = {"wrong": "Wrong or missing", "mind": "To be minded", "note": "Good to know"}
_ADDRESS = re.compile(r"(?P<url>https?://[^\s<>\"]*[^\s<>\".,;)])|doi:(?P<doi>10\.\d{4,9}/[^\s<>\"]*[^\s<>\".,;)])"
                      r"|arXiv:(?P<arxiv>\d{4}\.\d{4,5})")  # fmt: skip
_CODE = re.compile(r"``(?P<double>[^`]+)``|`(?P<single>[^`\n]+)`")

Told = Callable[[str], None]


@dataclass(frozen=True)
class Page:
    """All that a page shows, in words."""

    file: str
    title: str
    eyebrow: str
    subtitle: str
    verdict: str
    description: tuple[tuple[str, tuple[str, ...]], ...]
    references: str
    pictures: tuple[Shown, ...]
    observable_headings: tuple[str, ...]
    observables: tuple[observed.Row, ...]
    observables_note: str
    points: observed.Points | None
    diagnostics: tuple[observed.Reading, ...]
    doubts: tuple[Doubt, ...]
    parameters: tuple[sections.ParameterRow, ...]
    parameters_note: str
    interventions: sections.Rows
    policies: sections.Rows
    provenance: sections.Rows
    commands: tuple[Command, ...]
    language: tuple[sections.Model, ...]
    language_note: str
    made: str
    style: Markup
    version: str = simengine.__version__
    diagnostics_note: str = (
        "What a value means shows only beside its null: what the same estimator gives where the structure that it "
        "looks for is absent. z is how many standard deviations of the null lie between them."
    )

    @property
    def weights(self) -> dict[str, str]:
        """What the weights of doubts are called."""
        return WEIGHTS

    @property
    def doubts_in_words(self) -> str:
        """How many doubts there are, and how many notes, which doubt nothing."""
        graver, notes = self._doubts_and_notes
        said = [wording.counted(graver, "doubt") if graver else "No doubts"]
        return ", ".join([*said, wording.counted(notes, "note")] if notes else said)

    @property
    def doubts_heading(self) -> str:
        """What the part of the doubts is called."""
        return "Doubts and notes" if self._doubts_and_notes[1] else "Doubts"

    @property
    def _doubts_and_notes(self) -> tuple[int, int]:
        graver = sum(doubt.weight != "note" for doubt in self.doubts)
        return graver, len(self.doubts) - graver

    @property
    def contents(self) -> list[tuple[str, str]]:
        """The anchors and headings of the parts that there are."""
        graver, notes = self._doubts_and_notes
        parts: list[tuple[str, str, Any]] = [
            ("scenario", "The scenario", self.description or self.references),
            ("pictures", "Pictures", self.pictures),
            ("observables", "Observables", self.observables),
            ("diagnostics", "Diagnostics", self.diagnostics),
            ("doubts", f"Doubts ({graver})" + (f", notes ({notes})" if notes else ""), True),
            ("parameters", "Parameters", self.parameters),
            ("interventions", "Interventions", self.interventions),
            ("policies", "Policies", self.policies),
            ("provenance", "Provenance", self.provenance),
            ("again", "How to do it again", self.commands),
            ("language", "Language models", self.language),
        ]
        return [(anchor, heading) for anchor, heading, there in parts if there]

    @staticmethod
    def details_in_words(doubt: Doubt) -> str:
        """What opens the details of a doubt."""
        return wording.counted(len(doubt.details), "detail")


def write(
    path: str | Path,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    rules: Sequence[pictures.Rule] | None = None,
    told: Told | None = None,
) -> Path:
    """Write a page about a run or a sweep, and return where it is.

    The page holds everything it needs: scenario, pictures for light and dark screens, observables with intervals,
    diagnostics with nulls, doubts, parameters, provenance and the commands that repeat it. No code that the file holds
    is run. Of snapshots, only those that are drawn are read.

    Parameters
    ----------
    path
        A run file, what a killed run left, or the folder of a sweep.
    out
        The page to write. By default the name of ``path`` with ``.html``, in the present folder.
    overwrite
        Whether a file of that name may be replaced.
    rules
        Which pictures there are; by default those of `simengine.analysis.pictures`.
    told
        Called with a line about what is being done.

    Raises
    ------
    InputError
        When there is no run or sweep, or a file of that name exists already; nothing is written then.
    StoreError
        When a file is damaged, or the page cannot be written.
    """
    source = _source(path)
    target = _target(source, out, overwrite)
    tell = told or (lambda line: None)
    tell(f"reading {source.name}")
    with simengine.open(source) as data:
        if "scenario" not in data.attrs and not contents.observables(data):
            raise InputError(f"{shown_path(source)} is no run file: it names no scenario and holds no observable")
        page = described(data, source, rules, tell)
    tell("writing the page")
    text = html(page)
    try:
        write_bytes(target, text.encode("utf-8"))
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def described(
    data: xr.Dataset, path: Path, rules: Sequence[pictures.Rule] | None = None, tell: Told = lambda line: None
) -> Page:
    """Return all that a page says about a Dataset, the pictures drawn."""
    attributes = contents.attributes_of(data)
    about = declared(attributes)
    name = path.name.removesuffix(PARTS_SUFFIX)
    file = path.with_name(name)
    tables = observed.tables(data)
    drawn, left_out = _drawn(data, rules, tell)
    is_sweep = contents.is_sweep(data)
    failed = simengine.failures(path) if is_sweep and bool((data["status"].values == 1).any()) else []
    models = sections.language(data, attributes)
    rows = sections.parameters(data, attributes, about)
    return Page(
        file=name,
        title=wording.class_in_words(str(attributes.get("scenario") or name)),
        eyebrow=f"{'Sweep' if is_sweep else 'Run'} · {name}",
        subtitle=str(attributes.get("title") or ""),
        verdict=sections.verdict(data, attributes),
        description=tuple(map(_block, about.paragraphs)),
        references=str(attributes.get("references") or ""),
        pictures=tuple(drawn),
        observable_headings=tables.headings,
        observables=tables.rows,
        observables_note=tables.note,
        points=tables.points,
        diagnostics=tables.readings,
        doubts=tuple(doubts(data, name, tables.unsteady, failed, left_out)),
        parameters=tuple(rows),
        parameters_note=_parameters_note(rows, about),
        interventions=sections.interventions(attributes),
        policies=sections.policies(attributes),
        provenance=sections.provenance(attributes, file),
        commands=tuple(commands(data, file, about)),
        language=tuple(models),
        language_note=sections.record_note(file) if models else "",
        made=now().replace("T", " ").replace("+00:00", " UTC"),
        style=Markup((files(__package__) / "style.css").read_text(encoding="utf-8")),
    )


def html(page: Page) -> str:
    """Return the text of a page; everything that comes from a file is escaped."""
    environment = Environment(
        loader=PackageLoader("simengine.analysis.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=False,
    )  # fmt: skip
    environment.filters |= {"rich": rich, "linked": linked, "breakable": breakable}
    return environment.get_template("template.html.j2").render(page=page)


def rich(text: str) -> Markup:
    """Return a text of a docstring with its ``code`` marked, escaped."""
    return Markup(_CODE.sub(lambda match: f"<code>{match['double'] or match['single']}</code>", str(escape(text))))


def breakable(name: str) -> Markup:
    """Return a name that may be broken after its underscores, escaped."""
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


def linked(text: str) -> Markup:
    """Return references with their addresses, DOIs and arXiv numbers as links, escaped."""
    found: list[Markup] = []
    end = 0
    for match in _ADDRESS.finditer(text):
        doi, arxiv = match["doi"], match["arxiv"]
        address = match["url"] or (f"https://doi.org/{doi}" if doi else f"https://arxiv.org/abs/{arxiv}")
        found += [escape(text[end : match.start()]), Markup('<a href="{}">{}</a>').format(address, match[0])]
        end = match.end()
    return Markup("").join([*found, escape(text[end:])])


def _block(paragraph: str) -> tuple[str, tuple[str, ...]]:
    """Return a paragraph of a docstring as ``p``, ``pre``, ``ol`` or ``ul`` with its texts."""
    if is_set_apart(paragraph):
        return "pre", (textwrap.dedent(paragraph).strip("\n"),)
    if not is_list(paragraph):
        text = " ".join(paragraph.split())
        return "p", (f"{text.removesuffix('::').rstrip()}:" if text.endswith("::") else text,)
    items: list[str] = []
    for line in paragraph.splitlines():
        item = LIST_ITEM.match(line)
        if item:
            items.append(line[item.end() :])
        else:
            items[-1] += f" {line.strip()}"
    return ("ul" if paragraph[0] in "*-" else "ol"), tuple(items)


def _drawn(data: xr.Dataset, rules: Sequence[pictures.Rule] | None, tell: Told) -> tuple[list[Shown], list[str]]:
    try:
        proposed = pictures.pictures_of(for_figures(data), rules=rules)
    except Exception as error:  # the page is worth more than its pictures
        return [Shown("none", "Pictures", "", problem=reason(error))], []
    drawn = []
    for number, picture in enumerate(proposed, 1):
        tell(f"drawing {number} of {len(proposed)}: {picture.title}")
        drawn.append(shown(picture))
    return drawn, list(_left_out(proposed))


def _left_out(proposed: Iterable[pictures.Picture]) -> Iterable[str]:
    return (f"{wording.as_written(picture.title)}: {picture.left_out}" for picture in proposed if picture.left_out)


def _parameters_note(rows: Sequence[sections.ParameterRow], about: Declared) -> str:
    if not about.parameters:
        return "Defaults are not known here: the scenario is not installed, and its source is not in the file."
    changed = sum(row.differs for row in rows)
    if not changed:
        return f"All {wording.counted(len(rows), 'parameter')} have their defaults."
    if changed == 1:
        return f"1 of {wording.counted(len(rows), 'parameter')} differs from its default, and is marked."
    return f"{changed} of {wording.counted(len(rows), 'parameter')} differ from their defaults, and are marked."


def _source(path: Any) -> Path:
    if not isinstance(path, str | Path) or not str(path):
        raise InputError(f"report: got {as_given(path)}, allowed is the path of a run file or of a sweep's folder")
    found = Path(path)
    try:
        if not (found.exists() or parts_of(found).is_dir()):
            raise InputError(f"there is no run file or sweep {shown_path(found)}{nearest_file(found)}")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {shown_path(found)}: {getattr(error, 'strerror', None) or error}") from None
    return found if found.name and found.name != ".." else found.resolve()


def _target(source: Path, out: str | Path | None, overwrite: bool) -> Path:
    name = source.resolve().name.removesuffix(PARTS_SUFFIX)
    target = Path(f"{name.removesuffix('.nc')}.html") if out is None else Path(out)
    try:
        if target.is_dir():
            raise InputError(f"{target} is a folder, give the name of the page")
        if not target.parent.is_dir():
            raise InputError(f"cannot write {target}: there is no folder {target.parent}")
        if target.exists() and (target.samefile(source) if source.exists() else False):
            raise InputError(f"{target} is the file to be reported on; choose another name")
        if target.exists() and not overwrite:
            raise InputError(
                f"{shown_path(target)} exists; choose another name or replace it (--force, overwrite=True)"
            )
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot write {as_given(str(target))}: {error}") from None
    return target
