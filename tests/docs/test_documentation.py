"""The code in README and docs runs as it is printed."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


def block(name: str, holding: str) -> str:
    """The first Python block of a page that holds some text."""
    return next(text for text in blocks(name) if holding in text)


def finished(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def own_scenario(tmp_path: Path) -> Path:
    (tmp_path / "bounded_confidence.py").write_text(block("README.md", "class BoundedConfidence"), encoding="utf-8")
    return tmp_path


def test_the_scenario_of_the_readme_runs_from_the_command_line(own_scenario: Path) -> None:
    command = "run bounded_confidence.py --set bound=0.1 --snapshot-every 1"
    printed = finished([sys.executable, "-m", "simengine", *command.split()], own_scenario)
    assert "unchanged within" in printed
    assert (own_scenario / "bounded_confidence-0.nc").exists()


def test_the_unit_test_of_the_readme_passes(own_scenario: Path) -> None:
    (own_scenario / "test_own.py").write_text(block("README.md", "def test_an_agent"), encoding="utf-8")
    assert "1 passed" in finished([sys.executable, "-m", "pytest", "-q", "test_own.py"], own_scenario)


def test_the_first_command_of_the_readme_gives_a_mill(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search(r"&& simengine (run schooling .*)", text)
    assert command is not None
    finished([sys.executable, "-m", "simengine", *command[1].split()], tmp_path)
    import simengine

    with simengine.open(tmp_path / "school.nc") as run:
        assert float(run.rotation[-20:].mean()) > 0.65
        assert float(run.polarization[-20:].mean()) < 0.35


def test_the_policy_of_the_authors_page_runs(tmp_path: Path) -> None:
    (tmp_path / "fashion.py").write_text(block("docs/authoring.md", "class Fashion"), encoding="utf-8")
    assert 0.0 < float(finished([sys.executable, "fashion.py"], tmp_path)) < 1.0


def test_the_words_of_the_authors_page_run(tmp_path: Path) -> None:
    (tmp_path / "herders.py").write_text(block("docs/authoring.md", "class Herders"), encoding="utf-8")
    asked, situations = map(int, finished([sys.executable, "herders.py"], tmp_path).split())
    assert 0 < situations < asked < 400


def test_the_network_of_the_authors_page_runs(tmp_path: Path) -> None:
    text = block("docs/authoring.md", "class Circles") + "print(float(run.disagreement[-1] / run.disagreement[0]))\n"
    (tmp_path / "circles.py").write_text(text, encoding="utf-8")
    assert 0.0 < float(finished([sys.executable, "circles.py"], tmp_path)) < 0.1


def test_the_simulation_of_the_readme_runs_and_can_be_repeated(tmp_path: Path) -> None:
    text = "import simengine\n" + block("README.md", "simengine.Simulation")
    (tmp_path / "by_hand.py").write_text(text + 'print(simengine.rerun("by_hand.nc"))\n', encoding="utf-8")
    assert finished([sys.executable, "by_hand.py"], tmp_path) == "equal, bit for bit\n"


def test_the_diagnostics_of_the_readme_are_measured(tmp_path: Path) -> None:
    text = "import simengine\n" + block("README.md", "diagnostics.heading_entropy")
    (tmp_path / "measure.py").write_text(text, encoding="utf-8")
    assert "<Estimate" in finished([sys.executable, "measure.py"], tmp_path)


def test_the_language_models_of_the_readme_answer(tmp_path: Path) -> None:
    text = "import simengine\n" + block("README.md", "Language(Surrogate())") + "print(answers.sizes['row'])\n"
    (tmp_path / "mixed.py").write_text(text, encoding="utf-8")
    assert int(finished([sys.executable, "mixed.py"], tmp_path)) > 1000


PAGES = (
    "docs/runs.md",
    "docs/diagnostics.md",
    "docs/decisions.md",
    "docs/language.md",
    "docs/sweeps.md",
    "docs/cluster.md",
    "docs/games.md",
)


@pytest.mark.parametrize(("page", "number"), [(page, n) for page in PAGES for n in range(len(blocks(page)))])
def test_the_code_of_a_page_runs(page: str, number: int, tmp_path: Path) -> None:
    code = blocks(page)[number]
    if "import torch" in code:
        pytest.importorskip("torch")
    (tmp_path / "page.py").write_text(code, encoding="utf-8")
    finished([sys.executable, "page.py"], tmp_path)


def test_the_commands_of_the_page_of_sweeps_run_and_so_does_its_file(tmp_path: Path) -> None:
    text = (ROOT / "docs/sweeps.md").read_text(encoding="utf-8")
    for command in re.findall(r"^simengine (.*)$", text, re.MULTILINE):
        printed = finished([sys.executable, "-m", "simengine", *command.split()], tmp_path)
    assert "20 points x 8 replicates" in printed
    filed = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert filed is not None
    (tmp_path / "wealth.toml").write_text(filed[1], encoding="utf-8")
    printed = finished([sys.executable, "-m", "simengine", "sweep", "--config", "wealth.toml"], tmp_path)
    assert "100 of 100 done" in printed
    finished([sys.executable, "-m", "simengine", "resume", "filed"], tmp_path)


@pytest.mark.parametrize("module", ["simengine.diagnostics", "simengine.diagnostics.streaming"])
def test_every_diagnostic_is_on_the_page(module: str) -> None:
    text = (ROOT / "docs/diagnostics.md").read_text(encoding="utf-8")
    assert not [name for name in importlib.import_module(module).__all__ if f"`{name}`" not in text]
