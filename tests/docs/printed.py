"""Runs what a page prints, code and commands, from top to bottom, in one folder and one process, as a reader does.

A Python or TOML block that begins with ``# NAME.py`` or ``# NAME.toml`` is a file of this name. Commands for a server
of language models are sent to one that answers at random. What cannot be run on any machine stands below
``<!-- not run: why -->``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = "http://localhost:8000/v1"
OF_THE_TESTS = ("python3 -m venv", ". .venv", "pip install", "pytest -n auto")
"""Commands that prepare and run all tests: .ci/run executes them."""

_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>.*?) -->\n+)?^```(?P<language>python|sh|toml)\n(?P<text>.*?)^```", re.M | re.S
)

_BEGINNING = '''
import os
import shlex
import subprocess
import sys


def command(line):
    """Run one command of a shell; ``simengine`` in this process."""
    print("$", line, flush=True)
    words = shlex.split(line, comments=True)
    if words[0] == "export":
        os.environ.update([words[1].split("=", 1)])
        return
    if words[0] == "simengine":
        from simengine.cli import main

        code = main(words[1:])
    else:
        code = subprocess.run([sys.executable, "-m", *words] if words[0] == "pytest" else words).returncode
    assert code == 0, f"{line}: exit code {code}"

'''


@dataclass(frozen=True)
class Block:
    """A block of a page; ``why`` says why it is not run."""

    language: str
    text: str
    why: str | None

    @property
    def file(self) -> str | None:
        """The file that it is to be, if it says so."""
        found = re.match(r"# (\w+\.(?:py|toml))\n", self.text)
        return found[1] if found else None


def blocks(page: str) -> list[Block]:
    """Return the Python and shell blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(found["language"], found["text"], found["why"]) for found in _BLOCK.finditer(text)]


def commands(block: Block) -> list[str]:
    """Return the commands of a shell block, continued lines joined."""
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def script(page: str) -> str:
    """Return the page as one Python script; files that it prints are written by it when their turn comes."""
    parts = [_BEGINNING]
    serves = False
    for block in blocks(page):
        if block.why is not None:
            continue
        if block.language == "sh":
            for one in " && ".join(commands(block)).split(" && "):
                if not one.startswith(OF_THE_TESTS):
                    serves = serves or SERVER in one
                    parts.append(f"command({_on_the_server(one)})\n")
        elif block.file is not None:
            parts.append(f"open({block.file!r}, 'w', encoding='utf-8').write({block.text!r})\n")
        else:
            parts.append(block.text)
    if serves:
        parts.insert(1, "from simengine.testing.language_server import serve\n\nSERVED = serve().__enter__()\n\n")
        parts.append("SERVED.close()\n")
    return "\n".join(parts)


def _on_the_server(line: str) -> str:
    return f"{line!r}.replace({SERVER!r}, SERVED.url)" if SERVER in line else repr(line)


def finished(arguments: list[str], folder: Path) -> str:
    """Run Python in a folder and return what it printed; its errors where it fails."""
    environment = os.environ | {"NO_COLOR": "1", "MPLBACKEND": "agg", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def run_page(page: str, folder: Path) -> str:
    """Run a page in a folder and return all that it printed."""
    (folder / "page.py").write_text(script(page), encoding="utf-8")
    return finished(["page.py"], folder)
