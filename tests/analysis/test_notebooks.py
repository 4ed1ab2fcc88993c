"""The notebooks: complete, valid, without outputs, and each ends with a comparison that can fail.

They are executed by ``pytest --nbmake analysis/notebooks``.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")

FOLDER = Path(__file__).resolve().parents[2] / "analysis" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
REQUIRED = {
    "first_steps", "your_own_scenario", "a_sweep_on_a_cluster", "language_agents_and_their_twins",
    "trusting_an_entropy", "schooling", "social_learning", "opinion_dynamics", "contagion", "persuasion", "commons",
    "social_dilemmas", "evolution",
}  # fmt: skip
ABSOLUTE = re.compile(r"""["'`(=\s](/(?:home|root|work|tmp|usr|opt|mnt|Users|var)\b|[A-Za-z]:\\)""")
LONGEST_CELL = 60

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@cache
def notebook(path: Path) -> Any:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def texts(path: Path, kind: str) -> list[str]:
    return [cell.source for cell in notebook(path).cells if cell.cell_type == kind]


def code(path: Path) -> ast.Module:
    """The code of a notebook, whose lines beginning with % are for IPython."""
    return ast.parse("\n".join(re.sub(r"^%", "# %", text, flags=re.MULTILINE) for text in texts(path, "code")))


def test_every_family_and_every_way_of_working_has_a_notebook() -> None:
    assert {path.stem for path in NOTEBOOKS} >= REQUIRED


def test_the_table_of_notebooks_names_each_of_them() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((\w+)\.ipynb\)", text)) == sorted(path.stem for path in NOTEBOOKS)


@each
def test_a_notebook_is_valid_and_its_cells_have_ids(path: Path) -> None:
    found = notebook(path)
    nbformat.validate(found)
    assert (found.nbformat, found.nbformat_minor) == (4, 5)
    ids = [cell.id for cell in found.cells]
    assert len(set(ids)) == len(ids)


@each
def test_a_notebook_asks_for_the_python_that_everybody_has(path: Path) -> None:
    assert notebook(path).metadata.kernelspec == {"name": "python3", "display_name": "Python 3", "language": "python"}


@each
def test_a_notebook_holds_no_outputs(path: Path) -> None:
    for cell in notebook(path).cells:
        assert "attachments" not in cell
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert "execution" not in cell.metadata


@each
def test_a_notebook_begins_with_one_title(path: Path) -> None:
    cells = notebook(path).cells
    assert cells[0].cell_type == "markdown"
    assert re.match(r"# \S", cells[0].source)
    titles = [line for text in texts(path, "markdown") for line in text.splitlines() if line.startswith("# ")]
    assert len(titles) == 1


@each
def test_a_notebook_says_what_does_not_come_out_and_how_close_it_is(path: Path) -> None:
    text = "\n".join(texts(path, "markdown"))
    assert re.search(r"^## How close is it", text, flags=re.MULTILINE)


@each
def test_the_comparison_of_a_notebook_can_fail_and_says_how_often_it_does_by_chance(path: Path) -> None:
    cells = notebook(path).cells
    (start,) = [n for n, cell in enumerate(cells) if cell.source.find("## How close is it") >= 0]
    last = "\n".join(cell.source for cell in cells[start:] if cell.cell_type == "code")
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(last)))
    said = "\n".join(cell.source for cell in cells[start:]).lower()
    assert re.search(r"by chance|\bseeds?\b", said)


@each
def test_code_stands_between_texts_and_cells_are_short(path: Path) -> None:
    kinds = [cell.cell_type for cell in notebook(path).cells]
    assert kinds.count("markdown") >= 4
    assert max(len(text.splitlines()) for text in texts(path, "code")) <= LONGEST_CELL


@each
def test_a_notebook_names_no_path_of_one_machine(path: Path) -> None:
    for cell in notebook(path).cells:
        assert not ABSOLUTE.search(cell.source), cell.source


@each
def test_a_notebook_needs_an_installed_simengine_only(path: Path) -> None:
    roots = {
        name.split(".")[0]
        for node in ast.walk(code(path))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "simengine" in roots
    assert not roots & {"analysis", "scenarios", "benchmarks", "tests", "sys"}
