from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import simengine
from simengine.cli import main
from simengine.store.attributes import encode_attributes


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    coords = {"time": np.arange(5.0), "step": ("time", np.arange(5))}
    attributes = encode_attributes({"scenario": "Town", "title": "A town.", "seed": 3, "stopped_at": 4})
    xr.Dataset({"level": ("time", np.arange(5.0))}, coords, attributes).to_netcdf("town.nc")
    return tmp_path / "town.nc"


def said(capsys: pytest.CaptureFixture[str], line: str, code: int = 0) -> Any:
    assert main(line.split()) == code
    return capsys.readouterr()


def test_a_page_is_written_beside_its_name_is_told_and_kept(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = said(capsys, "report town.nc")
    assert printed.out.startswith("town.html (")
    assert "kB" in printed.out
    assert printed.err == ""
    assert "A town." in Path("town.html").read_text()
    again = said(capsys, "report town.nc", 2)
    assert again.out == ""
    assert again.err.count("\n") == 1
    assert "town.html exists" in again.err
    found = json.loads(said(capsys, "report town.nc --force --json").out)
    assert found["report"] == "town.html"
    assert found["bytes"] == Path("town.html").stat().st_size


@pytest.mark.parametrize(
    ("words", "line"),
    [("absent.nc", "there is no run file or sweep"), ("town.nc --out no/where.html", "there is no folder no"),
     ("town.nc --out .", "is a folder")],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(
    run_file: Path, capsys: pytest.CaptureFixture[str], words: str, line: str
) -> None:
    printed = said(capsys, f"report {words}", 2)
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert line in printed.err
    assert [found.name for found in run_file.parent.iterdir()] == ["town.nc"]


def test_a_page_is_opened_in_the_browser_when_that_is_asked(
    run_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def browse(address: str) -> bool:
        opened.append(address)
        return False

    monkeypatch.setattr(webbrowser, "open", browse)
    printed = said(capsys, "report town.nc --open --out page.html")
    assert opened == [(run_file.parent / "page.html").as_uri()]
    assert "no browser was found" in printed.err


def test_a_killed_run_and_a_sweep_have_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "town.py").write_text(TOWN)
    grid = {"noise": [0.1, 0.2], "n_agents": [5, 10]}
    simengine.sweep("town.py", grid, replicates=2, steps=6, every=2, out="sweep", workers=1, progress=False).close()
    said(capsys, "report sweep")
    text = Path("sweep.html").read_text()
    for words in ("diagram-level", "4 points, 2 replicates each", "--grid noise=0.1,0.2", "2 replicates of each point"):
        assert words in text
    assert "could not be drawn" not in text
    with pytest.raises(ValueError, match="it ended"):
        simengine.run("town.py", steps=50, n_agents=5, ends=20, out="town.nc", checkpoint_every=5, progress=False)
    said(capsys, "report town.nc")
    text = Path("town.html").read_text()
    for words in ("An unfinished run", "simengine resume town.nc", "They wander.", "how far they go"):
        assert words in text
    assert str(tmp_path) not in text


TOWN = '''"""Towns."""

from simengine import Scenario, field, observable, param, population, update


@observable
def level(agents, step, p):
    """Mean level of all."""
    if step >= p.ends:
        raise ValueError("it ended")
    return float(agents.level.mean())


class Town(Scenario):
    """People.

    They wander.
    """

    n_agents: int = param(10, low=2)
    noise: float = param(0.1, low=0, description="how far they go")
    ends: int = param(1000)
    agents = population(size="n_agents", level=field())

    @update(agents)
    def wander(me, agents, new, p, draw):
        new.level[me] = agents.level[me] + p.noise * draw.normal("step")

    observe = [level]
'''
