from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import simengine
from simengine.cli import main
from simengine.cli.output import readable_rate, readable_size, readable_time
from simengine.runs import registry

MODEL = '''
"""How walkers walk, in a file of its own."""

from typing import Literal
from simengine import (
    Everyone, Measured, Regimes, Scenario, count, decision, every, events, field, gather, observable, param, population,
    stop_when, unchanged, update,
)

def tired(step):
    return step >= 40

class Walkers(Scenario):
    """Walkers on a line (Nobody 1900)."""

    paper = "Nobody (1900) J. walk. 1, 1-2"
    default_steps = 50
    time_unit = "s"

    n_agents: int = param(5, low=1, description="number of walkers")
    speed: float = param(1.0, low=0, below=10, unit="m s-1", description="how fast")
    gait: Literal["slow", "quick"] = param("slow")
    limit: float | None = param(None, above=0)
    regimes = Regimes(by=("gait",), table={("quick",): {"speed": 3.0}})

    agents = population(size="n_agents", place=field(unit="m", long_name="where"), turn=field(int))
    everyone = Everyone(agents)

    @gather(everyone, crowd=count())
    def look(me, other, agents, acc):
        """See who is there."""
        acc.crowd += 1

    @decision(agents.turn, options=("stay", "go"), after=look)
    def choose(me, agents, acc):
        """Go when there is company."""
        return 1 if acc.crowd > 1 else 0

    @update(agents, order=events(3))
    def walk(me, agents, new, p):
        """Walk on."""
        new.place[me] += p.speed * agents.turn[me]

    @observable(unit="m", uncertain=True)
    def middle(agents):
        """Mean place of the walkers."""
        return Measured(agents.place.mean(), standard_error=0.5)

    @observable
    def walkers(agents, p):
        return len(agents)

    observe = [middle, every(2, walkers)]
    stop = (stop_when(tired), unchanged(agents.place))
'''


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "walkers.py"
    path.write_text(MODEL)
    return path


def output(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code = main(list(map(str, arguments)))
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["-h"], [], ["init", "--help"], ["run", "--help"], ["resume", "-h"], ["rerun", "-h"],
        ["branch", "-h"], ["list", "-h"], ["describe", "--help"],
    ],
)  # fmt: skip
def test_help_is_everywhere_and_shows_an_example(arguments, capsys):
    assert "simengine " in output(capsys, *arguments).split("Example", 1)[1]


def test_every_keyword_of_run_is_an_option(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    printed = output(capsys, "run", "--help")
    for option in (
        "--set", "--steps", "--seed", "--every", "--snapshot-every", "--out", "-o", "--threads", "--start",
        "--no-progress", "--force", "--storage-order", "--checkpoint-every", "--at", "--config", "--json",
    ):  # fmt: skip
        assert option in printed


def test_version_is_that_of_the_package(capsys):
    assert output(capsys, "--version") == f"simengine {simengine.__version__}\n"


def test_help_loads_neither_numba_nor_xarray():
    script = (
        "import sys; from simengine.cli import main; main(['--help']); main(['run', '--help']); "
        "print([name for name in ('numpy', 'numba', 'xarray', 'scipy', 'ray', 'netCDF4') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "simengine", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"simengine {simengine.__version__}\n"


def test_a_run_writes_scenario_and_seed_into_the_file_name(model, capsys):
    printed = output(capsys, "run", model, "--steps", 6, "--seed", 3)
    assert "walkers-3.nc" in printed
    with xr.open_dataset("walkers-3.nc") as dataset:
        assert dataset.attrs["seed"] == 3
        assert dataset.sizes["time"] == 7


def test_settings_and_options_reach_the_run(model, tmp_path, capsys):
    out = tmp_path / "x.nc"
    output(
        capsys, "run", model, "--steps", 8, "--every", 4, "--snapshot-every", 8, "--threads", 1, "--no-progress",
        "--set", "n_agents=1e1", "--set", "speed=2.5", "--set", "limit=none", "--storage-order", "by_id", "-o", out,
    )  # fmt: skip
    there = simengine.run(model, steps=8, every=4, snapshot_every=8, n_agents=10, speed=2.5)
    with xr.open_dataset(out) as dataset:
        assert dataset.attrs["content_hash"] == there.attrs["content_hash"]
        xr.testing.assert_identical(dataset.drop_attrs(), there.drop_attrs())


def test_a_class_of_a_file_can_be_chosen(model, capsys):
    model.write_text(MODEL + "\nclass Others(Walkers):\n    pass\n")
    assert "Others" in output(capsys, "run", f"{model}:Others", "--steps", 2)
    assert Path("walkers-0.nc").exists()


def test_a_run_begins_from_the_last_snapshot_of_another_with_its_parameters(model, capsys):
    output(capsys, "run", model, "--steps", 5, "--snapshot-every", 5, "--set", "speed=2", "-o", "first.nc")
    output(capsys, "run", model, "--steps", 0, "--snapshot-every", 1, "--start", "first.nc", "-o", "second.nc")
    with xr.open_dataset("first.nc") as first, xr.open_dataset("second.nc") as second:
        np.testing.assert_array_equal(second["place"][0], first["place"][-1])
        assert second.attrs["parameter_speed"] == 2.0


def test_the_summary_tells_what_was_run_and_measured(model, capsys):
    printed = output(capsys, "run", model, "--set", "gait=quick")
    with xr.open_dataset("walkers-0.nc") as dataset:
        middle, steps = dataset["middle"].values, dataset["step"].values
    lines = printed.splitlines()
    assert any("Walkers on a line" in line for line in lines)
    assert any("40 (stopped: tired)" in line for line in lines)
    assert any(line.split() == ["populations", "5", "agents"] for line in lines)
    assert "agent-steps/s" in printed
    row = next(line for line in lines if line.strip().startswith("middle"))
    assert f"{middle[-1]:.6g} +- 0.5" in row
    assert f"{middle[steps >= 20].mean():.6g}" in row
    assert "Mean place of the walkers" in row
    assert "middle_standard_error" not in printed
    assert lines[-1] == 'Open it with: xarray.open_dataset("walkers-0.nc")'


def test_output_to_a_pipe_is_plain_text(model, capsys):
    for arguments in (["run", model, "--steps", 2], ["describe", model], ["list"]):
        printed = output(capsys, *arguments)
        assert "\x1b" not in printed
        assert printed.isascii()
        assert all(line == line.rstrip() for line in printed.splitlines())


def test_a_reader_who_leaves_is_no_error(model):
    script = f"{sys.executable} -m simengine describe {model} | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    assert done.stdout == "Walkers\n"


def test_a_warning_is_one_line_on_the_error_stream(model, capsys):
    warning = "    def start(self, agents):\n        import warnings\n        warnings.warn('odd start')\n"
    model.write_text(MODEL + warning)
    assert main(["run", str(model), "--steps", "1"]) == 0
    assert capsys.readouterr().err == "simengine: warning: odd start\n"


def test_describe_shows_everything_that_is_declared(model, capsys):
    lines = [" ".join(line.split()) for line in output(capsys, "describe", model).splitlines()]
    for expected in (
        "Walkers on a line (Nobody 1900).",
        "How walkers walk, in a file of its own.",
        "reference Nobody (1900) J. walk. 1, 1-2",
        "speed float 1 0 <= value < 10 m s-1 how fast",
        "gait slow | quick slow 1",
        "limit float | none none 0 < value 1",
        "quick speed=3",
        "agents n_agents agent",
        "agents.place float m place where",
        "everyone Everyone agents see agents",
        "1 look gather agents over everyone See who is there.",
        "2 choose decision agents synchronous look Go when there is company.",
        "3 walk update agents events(3) Walk on.",
        "agents.choose stay | go Go when there is company.",
        "middle m time Mean place of the walkers (with error)",
        "walkers 1 time 2 steps walkers",
        "tired",
        "agents.place unchanged within 0",
    ):
        assert expected in lines


def test_list_shows_installed_scenarios_and_broken_ones_with_their_error(capsys, monkeypatch):
    entries = (
        EntryPoint("broken", "no_such_module_anywhere:Thing", registry.GROUP),
        EntryPoint("schooling", "simengine.scenarios.schooling:Schooling", registry.GROUP),
    )
    monkeypatch.setattr(registry, "_registered", registry._registered.__wrapped__)
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    lines = output(capsys, "list").splitlines()
    assert any(line.split()[:2] == ["schooling", "Schooling"] for line in lines)
    assert any("(broken)" in line and "ModuleNotFoundError" in line for line in lines)


def test_every_installed_scenario_can_be_described(capsys):
    for found in registry.listed():
        assert found.scenario is not None, found.error
        assert found.scenario.__name__ in output(capsys, "describe", found.name)


def test_run_stays_a_function_whatever_is_imported_before():
    script = "import simengine; simengine.open; import simengine.runs.registry; print(simengine.run.__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "run\n"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (readable_size(12), "12 B"),
        (readable_size(55_800), "55.8 kB"),
        (readable_size(3.2e9), "3.2 GB"),
        (readable_rate(12.3456), "12.3"),
        (readable_rate(327_200), "327.2 k"),
        (readable_rate(4.2e9), "4.2 G"),
        (readable_time(1.5), "1.50 s"),
        (readable_time(61), "1 min 1 s"),
        (readable_time(7260), "2 h 1 min"),
    ],
)
def test_figures_are_written_for_readers(shown, expected):
    assert shown == expected
