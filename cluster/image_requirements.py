"""Print what the image installs: the project's own dependencies, two of its extras, and Ray with its job server."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

EXTRAS = ("sensitivity", "adaptive")


def main(pyproject: str) -> None:
    """Print one requirement a line, read from ``pyproject``."""
    project = tomllib.loads(Path(pyproject).read_text(encoding="utf-8"))["project"]
    requirements = ["ray[default]", *project["dependencies"]]
    for extra in EXTRAS:
        requirements += project["optional-dependencies"][extra]
    print(*requirements, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
