"""What MkDocs builds beside the pages in this folder, and how links to files of the repository become links of it.

Pages of the root (changelog, map of the code, ...), the gallery of scenarios, the reference of modules and of the
command line are generated when the site is built, so that they are never older than the code.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from site_pages import command_line, gallery, links, reference

log = logging.getLogger("mkdocs.hooks.simengine")

_SOURCES: dict[str, str] = {}
"""Generated pages, and the file of the repository that the links in each are relative to."""


@event_priority(100)  # before mkdocstrings reads its settings
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the scenarios into the navigation, and the layers in one folder, as an installed package has them."""
    nav: list[dict[str, Any]] = config.nav or []
    config.nav = [gallery.navigation() if "Gallery" in entry else entry for entry in nav]
    whole = _whole_package()
    handlers = config.plugins["mkdocstrings"].config["handlers"]
    handlers["python"] = {**handlers["python"], "paths": [whole]}
    return config


@cache
def _whole_package() -> str:
    folder = tempfile.mkdtemp(prefix="simengine-docs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    reference.gather_layers(Path(folder))
    return folder


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    _SOURCES.clear()
    for uri, repository_file in links.PAGES.items():
        _SOURCES[uri] = repository_file
        text = (links.ROOT / repository_file).read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=text))
    images = {file.src_uri for file in files if file.src_uri.startswith("images/")}
    notes = links.on_the_site(gallery.notes(), "scenarios/README.md", "gallery/index.md", log.warning)
    for uri, text in (gallery.pages(images, notes) | reference.pages() | command_line.pages()).items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the repository lead to the pages that are made of them."""
    uri = page.file.src_uri
    return links.on_the_site(markdown, _SOURCES.get(uri, f"docs/{uri}"), uri, log.warning)
