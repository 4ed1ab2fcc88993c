from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simengine.errors import InputError
from simengine.scenarios.schooling import Schooling
from simengine.sweeps import designs
from simengine.sweeps.search import Search
from simengine.sweeps.sweep_file import KEYS, read_sweep_file

OWN = '''
from simengine import Scenario, field, param, population

class Own(Scenario):
    """Does nothing."""

    noise: float = param(0.0)
    agents = population(size=1, x=field(float))
'''


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(text: str) -> Path:
        path = tmp_path / "sweep.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_every_keyword_of_a_sweep_is_an_entry(write: Any, tmp_path: Path) -> None:
    found = read_sweep_file(
        write(
            'scenario = "schooling"\nreplicates = 3\nsteps = 20\nevery = 5\nseed = 9\nout = "results/a"\n'
            'start = "results/begun.nc"\n'
            'address = "auto"\nworkers = 2\noverwrite = true\nprogress = false\n'
            '[parameters]\nspeed = 2\nmill_radius = "none"\nregime = "swarm"\n'
            '[grid]\nnoise = "0:1:11"\nn_agents = [50, 100]\nbox = ["none", 25.0]\n'
        )
    )
    assert found.pop("design") == designs.grid(noise=[i / 10 for i in range(11)], n_agents=[50, 100], box=[None, 25.0])
    assert found == {
        "scenario": "schooling", "replicates": 3, "steps": 20, "every": 5, "seed": 9,
        "start": str(tmp_path / "results/begun.nc"),
        "out": str(tmp_path / "results/a"), "address": "auto", "workers": 2, "overwrite": True, "progress": False,
        "speed": 2, "mill_radius": None, "regime": "swarm",
    }  # fmt: skip
    assert set(found) - {"speed", "mill_radius", "regime"} == set(KEYS) - {"parameters", "grid", "points", "sample"}


def test_points_stand_as_rows_or_as_columns(write: Any) -> None:
    rows = 'scenario = "schooling"\n[[points]]\nnoise = 0.1\nbox = "none"\n[[points]]\nbox = 3\nnoise = 0.2\n'
    columns = 'scenario = "schooling"\n[points]\nnoise = [0.1, 0.2]\nbox = ["none", 3]\n'
    expected = designs.points([{"noise": 0.1, "box": None}, {"noise": 0.2, "box": 3}])
    assert read_sweep_file(write(rows))["design"] == expected
    assert read_sweep_file(write(columns))["design"] == expected


def test_a_sample_has_the_arguments_of_its_function(write: Any) -> None:
    text = (
        'scenario = "schooling"\n[sample]\nmethod = "{}"\nn = 8\nseed = 4\n{}'
        "[sample.bounds]\nnoise = [0, 1]\nspeed = [1.0, 2.0]\n"
    )
    bounds = {"noise": [0, 1], "speed": [1.0, 2.0]}
    for method, more, keywords in (
        ("latin_hypercube", "", {}),
        ("sobol", "", {}),
        ("morris", "levels = 6\n", {"levels": 6}),
        ("saltelli", "second_order = false\n", {"second_order": False}),
    ):
        if method in ("morris", "saltelli"):
            pytest.importorskip("SALib")
        found = read_sweep_file(write(text.format(method, more)))["design"]
        assert found == getattr(designs, method)(8, bounds, seed=4, **keywords)


def test_a_search_is_a_sample_too(write: Any) -> None:
    pytest.importorskip("optuna")
    found = read_sweep_file(
        write(
            'scenario = "schooling"\n[sample]\nmethod = "optuna"\nn_points = 20\nmaximise = "polarization"\nbatch = 4\n'
            '[sample.bounds]\nnoise = [0.0, 1.0]\nregime = ["swarm", "torus"]\n'
        )
    )["design"]
    assert isinstance(found, Search)
    assert found == designs.optuna(
        noise=(0.0, 1.0), regime=["swarm", "torus"], n_points=20, maximise="polarization", batch=4
    )


def test_paths_are_relative_to_the_file(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    path = write('scenario = "own.py"\nout = "there"\n[grid]\nnoise = [1]\n')
    monkeypatch.chdir("/")
    found = read_sweep_file(path)
    assert found["scenario"] == str(tmp_path / "own.py")
    assert found["out"] == str(tmp_path / "there")


def test_a_scenario_given_elsewhere_takes_the_place_of_the_files(write: Any) -> None:
    found = read_sweep_file(write('scenario = "nothing.py"\n[grid]\nnoise = [1]\n'), Schooling)
    assert found["scenario"] is Schooling


def test_a_file_may_leave_the_design_to_others(write: Any) -> None:
    path = write('scenario = "schooling"\nsteps = 3\n')
    assert read_sweep_file(path, needs_design=False) == {"scenario": "schooling", "steps": 3}
    with pytest.raises(InputError, match=r"sweep.toml: it has no design; give \[grid\], \[\[points\]\] or \[sample\]"):
        read_sweep_file(path)


HEAD = 'scenario = "schooling"\n'


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[grid]\nnoise = [1]\n", 0, 'it names no scenario; give scenario = "NAME"'),
        ('scenario = "scholing"\n', 1, "did you mean 'schooling'"),
        ('scenario = "missing.py"\n', 1, "no scenario file"),
        ("scenario = 3\n", 1, "scenario: got 3, allowed is a text"),
        (HEAD + "replicats = 3\n", 2, "unknown key 'replicats'; did you mean 'replicates'"),
        (HEAD + "replicates = 2.5\n", 2, "replicates: got 2.5, allowed is a whole number"),
        (HEAD + "steps = true\n", 2, "steps: got True, allowed is a whole number"),
        (HEAD + "noise = 1\n", 2, r"unknown key 'noise'.*under \[parameters\]"),
        (HEAD + "[set]\nnoise = 1\n", 2, r"fixed parameters stand in a table, \[parameters\]"),
        (HEAD + "[parameters]\nspeed = 1\nnois = 1\n", 4, "unknown parameter 'nois'.*did you mean 'noise'"),
        (HEAD + "[parameters]\nnoise = -1\n", 3, "got -1, allowed is float, 0 <= value"),
        (HEAD + "[parameters]\nsteps = 5\n", 3, "'steps' is no parameter but a keyword of the sweep"),
        (HEAD + "[grid]\n", 2, "no parameter is given"),
        (HEAD + "[grid]\nspeed = [1]\nnoise = []\n", 4, "noise: the list of values is empty"),
        (HEAD + "[grid]\nnoise = 0.1\n", 3, r"noise: got 0.1, allowed is a list.*\[parameters\]"),
        (HEAD + '[grid]\nnoise = "0:1"\n', 3, "0:1 is neither A:B:N"),
        (HEAD + "[grid]\nnoise = [0.1, -1]\n", 3, "got -1"),
        (HEAD + "[grid]\nnoise = [[1]]\n", 3, "noise"),
        (HEAD + "[grid]\nnoise = [1979-05-27]\n", 3, "noise"),
        (HEAD + "[grid]\nnoise = [1]\n[[points]]\nnoise = 1\n", 0, r"it has \[grid\] and \[points\]; a sweep has one"),
        (HEAD + "[[points]]\nnoise = 1\n[[points]]\nnoise = -1\n", 5, "got -1"),
        (HEAD + "[[points]]\nnoise = 1\n[[points]]\nspeed = 1\n", 2, "point 1 lacks noise"),
        (HEAD + "points = [1]\n", 2, "got 1, allowed are tables"),
        (HEAD + "[points]\nnoise = 1\n", 3, "noise: got 1, allowed is a list"),
        (HEAD + "[points]\nnoise = [1]\nspeed = [1, 2]\n", 2, "differ in length .noise: 1, speed: 2"),
        (HEAD + "[sample]\nn = 3\n", 2, "method: allowed is one of latin_hypercube"),
        (HEAD + '[sample]\nmethod = "sobl"\n', 3, "got 'sobl'.*did you mean 'sobol'"),
        (HEAD + '[sample]\nmethod = "sobol"\nlevels = 3\n', 4, "'levels' is no argument of sobol"),
        (HEAD + '[sample]\nmethod = "sobol"\nn = 2.5\n', 4, "n: got 2.5"),
        (HEAD + '[sample]\nmethod = "sobol"\n[sample.bounds]\nnoise = [0, 1]\n', 2, "sobol needs a number: n = "),
        (HEAD + '[sample]\nmethod = "sobol"\nn = 4\n', 2, "no parameter is given"),
        (HEAD + '[sample]\nmethod = "sobol"\nn = 4\nbounds = 3\n', 2, "bounds: got 3, allowed is a table"),
        (HEAD + '[sample]\nmethod = "sobol"\nn = 4\n[sample.bounds]\nnois = [0, 1]\n', 6, "did you mean 'noise'"),
        (HEAD + '[sample]\nmethod = "sobol"\nn = 4\n[sample.bounds]\nnoise = [1, 0]\n', 2, "noise: got .*low below"),
        (HEAD + "steps = \n", 2, "no valid TOML"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(write: Any, text: str, line: int, message: str) -> None:
    place = rf"sweep\.toml:{line}: " if line else r"sweep\.toml: "
    with pytest.raises(InputError, match=rf"{place}.*{message}") as caught:
        read_sweep_file(write(text))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_sweep_file(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot read"):
        read_sweep_file(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="it is not UTF-8 text"):
        read_sweep_file(tmp_path / "bytes.toml")
