from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import simengine
from simengine.cli import config, main
from simengine.errors import InputError
from simengine.runs import registry

VOTER = 'scenario = "voter"\n'


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Where the command runs, and the keywords with which `simengine.run` would have been called."""
    monkeypatch.chdir(tmp_path)
    found: list[dict[str, Any]] = []

    def run(scenario: Any, **keywords: Any) -> None:
        found.append({"scenario": scenario, **keywords})
        raise simengine.RunError("not run")

    monkeypatch.setattr(simengine, "run", run)
    return found


def asked(calls: list[dict[str, Any]], text: str, *arguments: str, folder: str = ".") -> dict[str, Any]:
    """Return the keywords that a file and a command line make together."""
    Path(folder).mkdir(exist_ok=True)
    path = Path(folder) / "run.toml"
    path.write_text(text, encoding="utf-8")
    assert main(["run", "--config", str(path), *arguments]) == 1
    return calls.pop()


def complaint(capsys: pytest.CaptureFixture[str], text: str, *arguments: str) -> str:
    Path("run.toml").write_text(text, encoding="utf-8")
    assert main(["run", "--config", "run.toml", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("simengine: ").rstrip()


def test_a_run_from_a_file_is_the_run_of_its_words(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(VOTER + 'steps = 4\nseed = 3\nout = "x.nc"\n[parameters]\nn_agents = 12\n')
    assert main(["run", "--config", "run.toml"]) == 0
    with xr.open_dataset("x.nc") as dataset:
        there = simengine.run("voter", steps=4, seed=3, n_agents=12)
        assert dataset.attrs["content_hash"] == there.attrs["content_hash"]


def test_the_command_line_comes_before_the_file_and_the_file_before_the_defaults(calls):
    text = (
        VOTER + "seed = 3\nsteps = 7\nevery = 2\nprogress = false\n[parameters]\nn_agents = 12\ninitial_share = 0.1\n"
    )
    found = asked(calls, text, "--seed", "0", "--set", "n_agents=9", "--every", "5")
    assert found == {
        "scenario": registry.find("voter"), "seed": 0, "steps": 7, "every": 5, "progress": False, "n_agents": 9,
        "initial_share": 0.1, "out": Path("voter-0.nc"),
    }  # fmt: skip


def test_a_scenario_on_the_command_line_takes_the_place_of_the_files(calls):
    assert asked(calls, VOTER, "wealth_exchange")["scenario"] is registry.find("wealth_exchange")


def test_what_nobody_gives_is_left_to_the_run(calls):
    assert asked(calls, VOTER).keys() == {"scenario", "out"}


def test_paths_are_relative_to_the_files_folder(calls, tmp_path):
    (tmp_path / "there").mkdir()
    model = "from simengine import *\nclass Model(Scenario):\n    agents = population(size=2, x=field())\n"
    (tmp_path / "there" / "model.py").write_text(model)
    text = 'scenario = "model.py:Model"\nout = "results/x.nc"\nstart = "/data/s.nc"\n'
    found = asked(calls, text, folder="there")
    assert found["scenario"].__name__ == "Model"
    assert found["out"] == Path("there/results/x.nc")
    assert found["start"] == Path("/data/s.nc")
    assert asked(calls, text, "--out", "x.nc", folder="there")["out"] == Path("x.nc")


def test_none_stands_for_none_where_a_parameter_may_be(calls):
    assert asked(calls, 'scenario = "schooling"\n[parameters]\nbox = "none"\n')["box"] is None


def test_interventions_of_the_file_come_before_those_of_the_command_line(calls):
    text = VOTER + "[[interventions]]\nat = 5\ninitial_share = 0.2\n[[interventions]]\nevery = 9\ninitial_share = 0.3\n"
    found = asked(calls, text, "--at", "5:initial_share=0.4", "--at", "7:initial_share=1,n_opinions=3")
    assert found["interventions"] == [
        simengine.at(5, initial_share=0.2), simengine.every(9, initial_share=0.3), simengine.at(5, initial_share=0.4),
        simengine.at(7, initial_share=1.0, n_opinions=3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (VOTER + "sed = 3\n", "run.toml:2: unknown key 'sed'; did you mean 'seed'?"),
        (VOTER + "\n\nforce = true\n", "run.toml:4: unknown key 'force'; overwrite = true"),
        (VOTER + "policies = 3\n", "run.toml:2: unknown key 'policies'; policies are given in Python"),
        (VOTER + "zzz = 3\n", "run.toml:2: unknown key 'zzz'; known are scenario, steps, "),
        (VOTER + '# steps\nsteps = "10"\n', "run.toml:3: steps: got '10', allowed is a whole number"),
        (VOTER + "steps = true\n", "run.toml:2: steps: got True, allowed is a whole number"),
        (VOTER + "steps = -1\n", "run.toml:2: steps: got -1, allowed is a whole number, at least 0"),
        (VOTER + "overwrite = 1\n", "run.toml:2: overwrite: got 1, allowed is true or false"),
        (VOTER + 'storage_order = "by_sell"\n', "run.toml:2: storage_order: got 'by_sell', allowed is one of 'auto'"),
        ("scenario = 3\n", "run.toml:1: scenario: got 3, allowed is a text"),
        ('scenario = "vota"\n', "run.toml:1: unknown scenario 'vota'; did you mean 'voter'?"),
        ('seed = 1\nscenario = "nowhere.py"\n', "run.toml:2: no scenario file 'nowhere.py'"),
        ("seed = 1\n", "no scenario is given: simengine run NAME, or a --config file with scenario = NAME"),
        ('scenario = "voter\n', "run.toml:1: no valid TOML: "),
        (VOTER + "[parameters]\nn_agent = 3\n", "run.toml:3: unknown parameter 'n_agent' of Voter; did you mean"),
        (VOTER + "[parameters]\nsteps = 3\n", "run.toml:3: 'steps' is no parameter but a keyword of the run"),
        (VOTER + "seed = 2\n[parameters]\n'n_agents'=1\n", "run.toml:4: parameter 'n_agents' of Voter: got 1, allowed"),
        (VOTER + "[parameters]\nn_agents = '50'\n", "run.toml:3: parameter 'n_agents' of Voter: got '50', allowed"),
        (VOTER + "[parameters]\ninitial_share = nan\n", "run.toml:3: parameter 'initial_share' of Voter: got nan"),
        (VOTER + "parameters.n_agents = 1\n", "run.toml:2: parameter 'n_agents' of Voter: got 1"),
        (VOTER + "parameters = {initial_share = 1, n_agents = 1}\n", "run.toml:2: parameter 'n_agents' of Voter"),
        (VOTER + "parameters = 3\n", "run.toml:2: parameters: got 3, allowed is a table: [parameters]"),
        (VOTER + "[interventions]\nat = 3\n", "run.toml:2: interventions: got {'at': 3}, allowed is tables"),
        (VOTER + "[[interventions]]\nn_agents = 3\n", "run.toml:2: an intervention has either at = STEP or every"),
        (VOTER + "[[interventions]]\nat = 1\nevery = 1\n", "run.toml:2: an intervention has either at = STEP or every"),
        (VOTER + "[[interventions]]\nat = 1\napply = 'f'\n", "run.toml:2: functions are applied in Python"),
        (VOTER + "[[interventions]]\nat = 1\n", "run.toml:3: at(1) changes nothing"),
        (VOTER + "[[interventions]]\nevery = 0\nn_opinions = 3\n", "run.toml:3: every(): got 0, allowed is a whole"),
        (
            VOTER + "[[interventions]]\nat = 1\nn_opinions = 3\n[[interventions]]\nat = 2\nn_opinion = 3\n",
            "run.toml:7: unknown parameter 'n_opinion' of Voter; did you mean 'n_opinions'?",
        ),
        (
            VOTER + "steps = 3\n[[interventions]]\nat = 9\nn_opinions = 3\n",
            "run.toml:3: interventions: at(9, n_opinions=3) never acts: the run has 3 steps",
        ),
    ],
)
def test_a_wrong_file_gets_one_line_with_its_place(tmp_path, monkeypatch, capsys, text, expected):
    monkeypatch.chdir(tmp_path)
    assert complaint(capsys, text).startswith(expected)
    assert list(tmp_path.iterdir()) == [tmp_path / "run.toml"]


def test_what_the_command_line_gets_wrong_is_not_the_files_fault(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert complaint(capsys, VOTER + "steps = 3\n", "--steps", "-1").startswith("steps: got -1")
    assert complaint(capsys, VOTER, "--set", "n_agents=1").startswith("parameter 'n_agents' of Voter: got 1")


def test_a_file_that_cannot_be_read_gets_one_line(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for path, expected in (("none.toml", "no configuration file"), ("bytes.toml", "not UTF-8"), (".", "cannot read")):
        with pytest.raises(InputError, match=expected):
            config.read(tmp_path / path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", "give it as STEP:NAME=VALUE"),
        ("x:n_opinions=3", "give it as STEP:NAME=VALUE"),
        ("5:", "give it as STEP:NAME=VALUE"),
        ("5:n_opinions", "'n_opinions' is not NAME=VALUE"),
        ("5:n_opinion=3", "unknown parameter 'n_opinion' of Voter; did you mean 'n_opinions'?"),
        ("5:n_opinions=1", "parameter 'n_opinions' of Voter: got 1, allowed is int, 2 <= value"),
        ("5:n_opinions=3,n_opinions=4", "n_opinions is set twice"),
    ],
)
def test_a_wrong_intervention_on_the_command_line_gets_one_line(tmp_path, monkeypatch, capsys, text, expected):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "voter", "--at", text]) == 2
    assert capsys.readouterr().err.startswith(f"simengine: --at {text!r}: {expected}")


def test_an_intervention_on_the_command_line_acts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "schooling", "--set", "n_agents=10", "--steps", "20", "--snapshot-every", "20"]
    assert main([*arguments, "--at", "10:speed=0", "--out", "x.nc", "--json"]) == 0
    there = simengine.run(
        "schooling", n_agents=10, steps=20, snapshot_every=20, interventions=[simengine.at(10, speed=0.0)]
    )
    assert json.loads(capsys.readouterr().out)["content_hash"] == there.attrs["content_hash"]


def test_a_combination_that_a_file_alone_gives_is_told_with_the_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("few.toml").write_text('scenario = "predator_prey"\n[parameters]\nn_predators = 150\npredator_capacity = 40\n')
    assert main(["run", "--config", "few.toml"]) == 2
    assert capsys.readouterr().err == "simengine: few.toml: n_predators (150) exceeds predator_capacity (40)\n"
    assert main(["run", "--config", "few.toml", "--set", "n_predators=200"]) == 2
    assert capsys.readouterr().err == "simengine: n_predators (200) exceeds predator_capacity (40)\n"


@pytest.mark.parametrize("key", ["(", ")", "*", "[", "\\\\"])
def test_a_key_of_odd_letters_is_an_unknown_key(tmp_path, monkeypatch, capsys, key):
    monkeypatch.chdir(tmp_path)
    Path("odd.toml").write_text(f'scenario = "voter"\n"{key}" = 1\n')
    assert main(["run", "--config", "odd.toml"]) == 2
    assert capsys.readouterr().err.startswith("simengine: odd.toml:")
