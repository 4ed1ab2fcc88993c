"""What README and docs print runs as it is printed: every block of code and every command, page by page, in order."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from printed import ROOT, blocks, commands, run_page

PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
WITH_BLOCKS = [page for page in PAGES if blocks(page)]
REASONS = {"a fragment", "a cluster", "hours of computing", "a hosted model", "an example of what is wrong"}


def test_pages_say_why_a_block_is_not_run() -> None:
    reasons = {block.why for page in PAGES for block in blocks(page)} - {None}
    assert reasons <= REASONS


@pytest.mark.parametrize("page", [page for page in WITH_BLOCKS if page != "README.md"])
def test_all_that_a_page_prints_runs(page: str, tmp_path: Path) -> None:
    if any("import torch" in block.text for block in blocks(page)):
        pytest.importorskip("torch")
    run_page(page, tmp_path)


def test_all_that_the_readme_prints_runs_and_its_school_is_a_mill(tmp_path: Path) -> None:
    import simengine

    printed = run_page("README.md", tmp_path)
    assert "1 passed" in printed
    with simengine.open(tmp_path / "school.nc") as run:
        assert float(run.rotation[-20:].mean()) > 0.65
        assert float(run.polarization[-20:].mean()) < 0.35


def test_what_the_readme_installs_and_tests_is_what_is_run_for_every_change() -> None:
    printed = [line for block in blocks("README.md") for line in commands(block) if "python3 -m venv" in line]
    (tested,) = [line for line in printed if "pytest" in line]
    run = (ROOT / ".ci/run").read_text(encoding="utf-8")
    (extras,) = re.findall(r'-c constraints.txt -e "(.*?)"', tested)
    assert f'-c constraints.txt -e "{extras}"' in run
    assert tested.split("&&")[-1].strip() in run


@pytest.mark.parametrize("module", ["simengine.diagnostics", "simengine.diagnostics.streaming"])
def test_every_diagnostic_is_on_the_page(module: str) -> None:
    text = (ROOT / "docs/diagnostics.md").read_text(encoding="utf-8")
    assert not [name for name in importlib.import_module(module).__all__ if f"`{name}`" not in text]
