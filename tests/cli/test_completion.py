from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simengine.cli import completing, main
from simengine.runs import registry

MODEL = '''
from typing import Literal
import simengine
from simengine import Scenario, field, param, population

raise SystemExit("completing must not run this")

Mood = Literal["glad", "sad"]

class Model(Scenario):
    """Some model."""
    n_agents: int = param(5, description="how many")
    noise: float = param(0.25)
    mood: Mood = simengine.param("glad")
    wild: bool = param(False)
    gait: Literal["slow", "quick"] | None = param(None)
    agents = population(size="n_agents", x=field())

class Other(Model):
    extra: int = param(2 * 3)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "test_model.py").write_text(MODEL)
    (tmp_path / "other.py").write_text("x = 1\n")
    (tmp_path / "broken.py").write_text("class Broken(Scenario\n")
    return tmp_path


def bash(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    """What bash is offered for the last word of a line; words are cut as bash cuts them: at blanks, = and :."""
    words = line.replace("=", "\n=\n").replace(":", "\n:\n").replace(" ", "\n").replace("\n\n", "\n").split("\n")
    if words[-2:-1] in (["="], [":"]) and not words[-1]:
        words.pop()
    monkeypatch.setenv("COMP_WORDS", "\n".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setenv(completing.VARIABLE, "complete_bash")
    assert main() == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out.splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("simengine re", ["resume", "rerun", "report"]),
        ("simengine run vo", ["voter"]),
        ("simengine run mo", ["model.py"]),
        ("simengine describe model.py:", ["Model", "Other"]),
        ("simengine run model.py:O", ["Other"]),
        ("simengine run model.py --set n", ["n_agents=", "noise="]),
        ("simengine run model.py --set no", ["noise=", "noise=0.25"]),
        ("simengine run model.py --set noise=", ["0.25"]),
        ("simengine run model.py:Model --set mood=", ["glad", "sad"]),
        ("simengine run model.py:Model --set mood=s", ["sad"]),
        ("simengine run model.py:Other --set ga", ["gait=", "gait=slow", "gait=quick", "gait=none"]),
        ("simengine run model.py:Other --set ex", ["extra="]),
        ("simengine run model.py --set=wild=", ["true", "false"]),
        ("simengine run --seed 3 model.py --steps 4 --set wi", ["wild=", "wild=true", "wild=false"]),
        ("simengine run model.py --set wild=true --set mood=g", ["glad"]),
        ("simengine run schooling --set regime=to", ["torus"]),
        ("simengine run model.py --at 500:no", ["noise=", "noise=0.25"]),
        ("simengine run model.py --at 500:noise=1,mood=s", ["noise=1,mood=sad"]),
        ("simengine run model.py --storage-order by", ["by_id", "by_cell"]),
        ("simengine run model.py --out ", []),
        ("simengine run nowhere.py --set n", []),
        ("simengine run broken.py --set n", []),
        ("simengine run --set n", []),
        ("simengine rerun ", []),
        ("simengine branch nowhere.nc --set n", []),
        ("simengine nonsense --set n", []),
    ],
)
def test_bash_is_offered_what_can_follow(folder, monkeypatch, capsys, line, expected):
    found = bash(monkeypatch, capsys, line)
    # What comes after a comma: bash takes over the whole word behind the last equals sign.
    assert found == [word.rpartition("mood=")[2] if "," in line else word for word in expected]


def test_scenarios_are_those_installed_and_the_files_of_the_folder(folder, monkeypatch, capsys):
    assert bash(monkeypatch, capsys, "simengine run ") == [*registry.installed(), "model.py"]


def test_the_entry_points_are_those_of_the_registry():
    assert completing.GROUP == registry.GROUP
    assert {name: entry.value for name, entry in registry.installed().items()} == completing.installed()


@pytest.mark.parametrize("name", registry.installed())
def test_every_installed_scenario_offers_all_its_parameters(name, folder, monkeypatch, capsys):
    expected = [f"{parameter}=" for parameter in registry.find(name).declaration.parameters.parameters]
    found = bash(monkeypatch, capsys, f"simengine run {name} --set ")
    assert [word for word in found if word.endswith("=")] == expected


def test_the_scenario_may_stand_in_the_config_file(folder, monkeypatch, capsys):
    (folder / "there").mkdir()
    (folder / "there" / "x.toml").write_text('scenario = "../model.py:Other"\n')
    assert bash(monkeypatch, capsys, "simengine run --config there/x.toml --set ex") == ["extra="]
    assert bash(monkeypatch, capsys, "simengine run --config none.toml --set ex") == []


def test_unfinished_runs_are_offered_to_resume(folder, monkeypatch, capsys):
    (folder / "runs" / "long.nc.parts").mkdir(parents=True)
    (folder / "runs" / "done.nc").write_bytes(b"")
    assert bash(monkeypatch, capsys, "simengine resume runs/") == ["runs/long.nc"]
    assert bash(monkeypatch, capsys, "simengine resume ru") == []


def test_a_branch_is_offered_the_parameters_of_its_file(folder, monkeypatch, capsys):
    import simengine

    simengine.run("voter", steps=1, n_agents=7, progress=False, out="x.nc")
    assert bash(monkeypatch, capsys, "simengine branch x.nc --set n_a") == ["n_agents=", "n_agents=7"]


@pytest.mark.parametrize(
    ("shell", "action", "line", "expected"),
    [
        ("zsh", "", "simengine run vo", """_arguments '*: :(("voter"))'\n"""),
        ("zsh", "", "simengine run model.py --set n_", """_arguments '*: :(("n_agents=":"how many"\n"""),
        ("zsh", "", "simengine rerun ", "_files\n"),
        ("fish", "get-args", "simengine run vo", "voter\n"),
        ("fish", "get-args", "simengine run model.py --set mood=s", "mood=sad\n"),
        ("fish", "get-args", "simengine run model.py --set n_", "n_agents=\thow many\n"),
    ],
)
def test_other_shells_are_offered_the_same(folder, monkeypatch, capsys, shell, action, line, expected):
    monkeypatch.setenv(completing.VARIABLE, f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", action)
    assert main() == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(expected)
    assert printed.err == ""


def test_fish_is_told_when_files_may_follow(folder, monkeypatch, capsys):
    monkeypatch.setenv(completing.VARIABLE, "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "is-args")
    for line, code in (("simengine run vo", 0), ("simengine rerun ", 1)):
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        assert main() == code
        assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("instruction", ["complete_nothing", "complete_bash", "x"])
def test_nonsense_prints_nothing(folder, monkeypatch, capsys, instruction):
    monkeypatch.setenv(completing.VARIABLE, instruction)
    monkeypatch.delenv("COMP_WORDS", raising=False)
    main()
    assert capsys.readouterr() == ("", "")


def test_completing_loads_no_heavy_library(folder):
    script = (
        "import sys; from simengine.cli import main; main(); "
        "print([name for name in ('numpy', 'numba', 'xarray', 'scipy', 'ray', 'netCDF4') if name in sys.modules])"
    )
    words = "simengine\nrun\nschooling\n--set\nregime\n=\nto"
    environment = os.environ | {completing.VARIABLE: "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "6"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == ["torus", "[]"]


def test_a_script_for_the_shell_can_be_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--show-completion", "bash"])
    assert ended.value.code == 0
    assert f"{completing.VARIABLE}=complete_bash" in capsys.readouterr().out
