"""Links that are right on the repository's own pages, made right for the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from site_pages import gallery

ROOT = Path(__file__).parents[2]

PAGES = {
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "machines.md": "cluster/README.md",
    "benchmarks.md": "benchmarks/README.md",
}
"""Pages of the site that are files of the repository."""

_PAGE_OF = {file: uri for uri, file in PAGES.items()} | {
    "README.md": "index.md",
    "scenarios/README.md": "gallery/index.md",
}
_FENCED = re.compile(r"^(```+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|`[^`]*`)+)\]\((?P<target>[^()\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z]+:|#|/")


def on_the_site(markdown: str, source: str, uri: str, warn: Callable[[str], None]) -> str:
    """Return a page with its relative links leading to pages of the site.

    Parameters
    ----------
    markdown
        The text of the page.
    source
        The file of the repository that its links are relative to.
    uri
        Where the page lies on the site.
    warn
        Is told of links to files that do not exist; links to files that are no page become plain text.
    """

    def replaced(found: re.Match[str]) -> str:
        text, target = found["text"], found["target"]
        if _ELSEWHERE.match(target):
            return found[0]
        path, _, fragment = target.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        page = page_of(file)
        if page is not None:
            relative = posixpath.relpath(page, posixpath.dirname(uri) or ".")
            return f"[{text}]({relative}{'#' if fragment else ''}{fragment})"
        if not (ROOT / file).exists():
            warn(f"{source}: there is no {file!r} to link to")
        return text

    parts, end = [], 0
    for fence in _FENCED.finditer(markdown):
        parts += [_LINK.sub(replaced, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(replaced, markdown[end:])])


def page_of(file: str) -> str | None:
    """Return the page that a file or folder of the repository has on the site."""
    if file.startswith("docs/"):
        return file.removeprefix("docs/")
    if file in gallery.page_of_file():
        return gallery.page_of_file()[file]
    return _PAGE_OF.get(file, _PAGE_OF.get(f"{file}/README.md"))
