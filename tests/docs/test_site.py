"""The documentation site: its pages, pictures and reference are complete, and it is built without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import simengine
from simengine.runs.registry import installed

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MADE = {"gallery/index.md", "architecture.md", "benchmarks.md", "changelog.md", "contributing.md", "machines.md"}
"""Pages that are made when the site is built, besides those of the reference."""
LARGEST_PICTURE = 60_000


def shipped() -> list[str]:
    return [name for name, entry in installed().items() if entry.value.startswith("simengine.scenarios.")]


def navigation() -> set[str]:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[1]
    return set(re.findall(r"[\w/]+\.md$", text, re.MULTILINE))


def reference_pages() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))


@pytest.fixture
def site_pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("mkdocstrings")
    monkeypatch.syspath_prepend(DOCS)
    import site_pages.gallery
    import site_pages.links
    import site_pages.reference

    return site_pages


class Names(HTMLParser):
    """The anchors, links and images of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(str(found["id"]))
        target = found.get("href") or found.get("src")
        if target and tag in ("a", "img", "link", "script"):
            self.targets.append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from nothing."""
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(ROOT / "mkdocs.yml")]
    done = subprocess.run(
        [*command, "--site-dir", str(folder)], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"NO_COLOR": "1", "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page() -> None:
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    listed = navigation()
    assert not pages - listed
    assert listed - pages <= MADE | {name for name in listed if name.startswith("reference/")}


def test_every_public_name_is_in_the_reference() -> None:
    text = reference_pages()
    assert not [name for name in simengine.__all__ if f"::: simengine.{name}\n" not in text]


def test_every_scenario_has_a_picture_for_light_and_for_dark_pages_that_is_not_too_large() -> None:
    pictures = {path.name: path.stat().st_size for path in (DOCS / "images" / "gallery").glob("*.png")}
    asked = [f"{name}-{mode}.png" for name in shipped() for mode in ("light", "dark")]
    assert not [name for name in asked if name not in pictures]
    assert not [name for name, size in pictures.items() if size > LARGEST_PICTURE]


def test_every_scenario_has_a_page_that_tells_its_paper_parameters_and_command(site_pages: Any) -> None:
    pages = site_pages.gallery.pages(set(), "")
    for name in shipped():
        page = pages[f"gallery/{name}.md"]
        assert "Paper: " in page
        assert "## Parameters" in page
        assert f"simengine run {name}" in page
        assert f"[{name}]({name}.md)" in pages["gallery/index.md"]


def test_every_public_name_of_a_module_is_on_its_page(site_pages: Any) -> None:
    pages = site_pages.reference.pages()
    for uri, (_, module) in site_pages.reference.MODULES.items():
        for path in site_pages.reference.public_names(module).values():
            assert f"::: {path}\n" in pages[uri]


@pytest.mark.parametrize(
    ("source", "uri", "written", "made"),
    [
        ("docs/sweeps.md", "sweeps.md", "[a](../cluster/README.md)", "[a](machines.md)"),
        ("docs/sweeps.md", "sweeps.md", "[a](cluster.md#b)", "[a](cluster.md#b)"),
        ("CHANGELOG.md", "changelog.md", "[a](docs/language.md)", "[a](language.md)"),
        ("scenarios/README.md", "gallery/index.md", "[`a`](voter.py)", "[`a`](voter.md)"),
        ("docs/index.md", "index.md", "[a](https://example.org)", "[a](https://example.org)"),
        ("docs/runs.md", "runs.md", "[a](../pyproject.toml)", "a"),
        ("docs/runs.md", "runs.md", "```\n[a](../README.md)\n```", "```\n[a](../README.md)\n```"),
    ],
)
def test_links_to_files_of_the_repository_lead_to_their_pages(
    site_pages: Any, source: str, uri: str, written: str, made: str
) -> None:
    warned: list[str] = []
    assert site_pages.links.on_the_site(written, source, uri, warned.append) == made
    assert not warned


def test_a_link_to_a_file_that_is_not_there_is_told(site_pages: Any) -> None:
    warned: list[str] = []
    site_pages.links.on_the_site("[a](../nowhere.md)", "docs/runs.md", "runs.md", warned.append)
    assert warned == ["docs/runs.md: there is no 'nowhere.md' to link to"]


def test_docstrings_become_markdown(site_pages: Any) -> None:
    from site_pages.docstrings import markdown_of

    assert "| a | b |" in markdown_of("===  ===\na    b\n===  ===\n1    2\n===  ===")
    assert markdown_of("* one\n\n      x <k>") == "* one\n\n        x <k>"
    assert markdown_of("N <k>, see :class:`Run`") == "N &lt;k>, see `Run`"
    assert "Notes\n-----\nMore is said" in markdown_of(
        "Sum.\n\nParameters\n----------\na\n    It.\n\nMore is said of it."
    )


def test_the_site_is_built_without_a_warning_and_no_link_leads_nowhere(site: Path) -> None:
    pages = {page: Names(page) for page in site.rglob("*.html") if page.name != "404.html"}
    assert len(pages) > 2 * len(shipped())
    for page, names in pages.items():
        for target in names.targets:
            path, _, anchor = target.partition("#")
            if ":" in path:
                continue
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), f"{page.name}: {target}"
            if anchor and file in pages and not anchor.startswith("__"):
                assert anchor in pages[file].anchors, f"{page.name}: {target}"


def test_the_site_needs_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|link)[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*\"", text), page
    index = (site / "reference" / "command_line.html").read_text(encoding="utf-8")
    assert "simengine sweep" in index
