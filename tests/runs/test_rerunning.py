"""``simengine.rerun``: a run file is enough to repeat its run, and a difference is found and named."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

import simengine
from simengine import InputError, Policy, StoreError, at

run = functools.partial(simengine.run, progress=False)
rerun = functools.partial(simengine.rerun, progress=False)
SCHOOL: dict[str, Any] = {"n_agents": 30, "seed": 5, "steps": 20, "every": 5, "snapshot_every": 10}
HUNT: dict[str, Any] = {
    "n_prey": 200, "n_predators": 30, "box": 15.0, "prey_capacity": 2000, "predator_capacity": 1000, "seed": 5,
    "steps": 12, "every": 3, "snapshot_every": 5,
}  # fmt: skip

MODEL = '''
from helpers import RISE
from simengine import Scenario, at, decision, field, observable, param, population, stop_when, update

LIMIT = 900.0

def high(agents):
    return agents.value.max() > LIMIT

class Risers(Scenario):
    """Values that rise."""

    n_agents: int = param(5, low=1)
    pace: float = param(1.0)
    agents = population(size="n_agents", value=field(), choice=field(int))

    def start(self, agents, draw):
        agents.value[:] = draw.normal("value")

    @decision(agents.choice, options=("rest", "rise"))
    def choose(me, agents):
        return 1

    @update(agents)
    def rise(me, agents, new, p):
        new.value[me] = agents.value[me] + RISE * p.pace * agents.choice[me]

    @observable
    def mean_value(agents):
        return float(agents.value.mean())

    observe = [mean_value]
    stop = stop_when(high)
'''


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("school") / "school.nc"
    run("schooling", **SCHOOL, out=path, interventions=[at(7, noise=0.3)]).close()
    return path


@pytest.fixture(scope="module")
def hunt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hunt") / "hunt.nc"
    run("predator_prey", **HUNT, out=path).close()
    return path


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own scenario that imports a module beside it."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    (folder / "helpers.py").write_text("RISE = 0.5\n")
    (folder / "risers.py").write_text(MODEL)
    return folder / "risers.py"


def tampered(path: Path, folder: Path, change: Any) -> Path:
    """A copy of a file with something changed in it."""
    copy = folder / "tampered.nc"
    copy.write_bytes(path.read_bytes())
    with netCDF4.Dataset(copy, "a") as file:
        file.set_auto_maskandscale(False)
        change(file)
    return copy


# -- equal --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"threads": 1}])
def test_an_untouched_file_is_repeated_bit_for_bit(school: Path, hunt: Path, options: dict[str, Any]) -> None:
    for path in (school, hunt):
        found = rerun(path, **options)
        assert found.equal
        assert found
        assert str(found) == "equal, bit for bit"
        assert (found.variable, found.step, found.time, found.changes) == (None, None, None, {})


def test_a_run_that_stopped_early_and_one_with_a_start_state_are_repeated(tmp_path: Path) -> None:
    run("voter", n_agents=10, seed=3, snapshot_every=50, out=tmp_path / "x.nc")
    assert rerun(tmp_path / "x.nc")
    run("voter", n_opinions=5, seed=4, start=tmp_path / "x.nc", out=tmp_path / "y.nc")
    (tmp_path / "x.nc").unlink()
    assert rerun(tmp_path / "y.nc")


# -- different ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, 2, 4])
def test_a_changed_value_is_found_with_its_step_time_and_both_values(school: Path, row: int, tmp_path: Path) -> None:
    with simengine.open(school) as whole:
        true = float(whole["rotation"][row])
    found = rerun(tampered(school, tmp_path, lambda file: file["rotation"].__setitem__(row, 0.125)))
    assert not found
    assert (found.variable, found.step) == ("rotation", 5 * row)
    assert found.time == pytest.approx(0.5 * row)
    assert (float(found.expected), float(found.found)) == (0.125, true)
    text = f"differs first in rotation at step {5 * row} (time {0.5 * row:g}): 0.125 in the file, {true} now"
    assert str(found) == text


def test_of_several_differences_the_earliest_is_named(school: Path, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        file["polarization"][3] = 0.5
        file["spread"][1] = 0.5
        file["position"][1, 7, 2] = 0.5

    found = rerun(tampered(school, tmp_path, change))
    assert (found.variable, found.step) == ("spread", 5)


def test_a_changed_place_in_a_snapshot_is_found(school: Path, hunt: Path, tmp_path: Path) -> None:
    found = rerun(tampered(school, tmp_path, lambda file: file["position"].__setitem__((1, 7, 2), 0.5)))
    assert (found.variable, found.step, found.time) == ("position", 10, 1.0)
    assert str(found.expected) == "0.5 (place 7, 2)"
    found = rerun(tampered(hunt, tmp_path, lambda file: file["predators_energy"].__setitem__((2, 3), 77)))
    assert (found.variable, found.step) == ("predators_energy", 10)
    assert "77" in str(found.expected)


def test_the_last_bit_and_the_sign_of_zero_count(school: Path, tmp_path: Path) -> None:
    def nudge(file: Any) -> None:
        file["spread"][2] = np.nextafter(file["spread"][2], np.inf)

    assert rerun(tampered(school, tmp_path, nudge)).variable == "spread"
    run("wealth_exchange", n_agents=10, steps=4, out=tmp_path / "x.nc")
    found = rerun(tampered(tmp_path / "x.nc", tmp_path, lambda file: file["gini"].__setitem__(0, -0.0)))
    assert (found.variable, found.step) == ("gini", 0)
    found = rerun(tampered(tmp_path / "x.nc", tmp_path, lambda file: file["gini"].__setitem__(0, np.nan)))
    assert (found.variable, found.step) == ("gini", 0)


def test_a_changed_start_state_is_another_run(tmp_path: Path) -> None:
    start = {"opinion": np.arange(12) % 3}
    run("voter", n_opinions=3, start=start, seed=3, steps=5, out=tmp_path / "x.nc")
    found = rerun(tampered(tmp_path / "x.nc", tmp_path, lambda file: file["start_opinion"].__setitem__(0, 2)))
    assert not found
    assert found.step == 0


def test_a_changed_attribute_is_found(school: Path, tmp_path: Path) -> None:
    found = rerun(tampered(school, tmp_path, lambda file: file.setncattr("title", "Other fish")))
    assert (found.variable, found.expected) == ("attribute title", "Other fish")
    found = rerun(tampered(school, tmp_path, lambda file: file["position"].setncattr("units", "m")))
    assert (found.variable, found.expected, found.found) == ("attribute units of position", "m", "1")


def test_missing_and_further_rows_and_variables_are_found(school: Path, tmp_path: Path) -> None:
    def add(file: Any) -> None:
        file.createVariable("weight", "f8", ("time",))[:] = 1.0

    def append(file: Any) -> None:
        for name, variable in file.variables.items():
            if variable.dimensions[:1] == ("time",):
                variable[5] = 25 if name == "step" else variable[4] + 0.5

    found = rerun(tampered(school, tmp_path, add))
    assert (found.variable, found.expected, found.found) == ("weight", "there", "missing")
    found = rerun(tampered(school, tmp_path, append))
    assert (found.step, found.expected, found.found) == (25, "a row", "none")


def test_changed_versions_are_named_and_do_not_count(school: Path, tmp_path: Path) -> None:
    def age(file: Any) -> None:
        file.setncattr("version_numpy", "1.0.0")
        file.setncattr("cpu_target", "abacus")

    found = rerun(tampered(school, tmp_path, age))
    assert found
    assert found.changes["version_numpy"] == ("1.0.0", np.__version__)
    assert "since then changed: " in str(found)
    assert f"version numpy (1.0.0 then, {np.__version__} now)".removeprefix("version ") in str(found)
    assert "cpu target (abacus then, " in str(found)


# -- the user's own source ----------------------------------------------------------------------------------------


def test_the_recorded_source_is_used_when_the_authors_file_has_changed_or_gone(model: Path, tmp_path: Path) -> None:
    for n, disturb in enumerate((lambda: None, edit(model), edit(model.parent / "helpers.py"), remove(model))):
        if n == 0:
            run(model, steps=6, seed=2, out=tmp_path / "x.nc", interventions=[at(3, pace=2.0)])
        disturb()
        assert rerun(tmp_path / "x.nc"), n
    found = simengine.branch(tmp_path / "x.nc", at=4, pace=3.0, progress=False)
    with simengine.open(tmp_path / "x.nc") as whole:
        np.testing.assert_array_equal(found["mean_value"][:5], whole["mean_value"][:5])
        assert found["mean_value"][6] > whole["mean_value"][6]


def test_another_scenario_may_take_the_place_of_the_recorded_one(model: Path, tmp_path: Path) -> None:
    run(model, steps=6, seed=2, out=tmp_path / "x.nc")
    assert rerun(tmp_path / "x.nc", scenario=model)
    other = tmp_path / "other.py"
    other.write_text(MODEL.replace("RISE * p.pace", "2.0 * RISE * p.pace"))
    found = rerun(tmp_path / "x.nc", scenario=other)
    assert not found
    assert (found.variable, found.step) == ("mean_value", 1)
    assert "scenario_source_hash" in found.changes
    assert str(found).endswith("since then changed: scenario")
    with pytest.raises(InputError, match="unknown parameter 'pace' of Voter"):
        rerun(tmp_path / "x.nc", scenario="voter")


def test_policies_that_a_file_does_not_keep_are_given_again(model: Path, tmp_path: Path) -> None:
    class Lazy:
        def __call__(self, asked: Any) -> Any:
            return (asked.ids % 2).astype(int)

    half = {"agents.choose": Policy(Lazy(), share=0.5)}
    run(model, steps=6, seed=2, policies=half, out=tmp_path / "x.nc")
    with pytest.raises(InputError, match=r"does not keep the function .*Lazy.*give it again: policies="):
        rerun(tmp_path / "x.nc")
    assert rerun(tmp_path / "x.nc", policies=half)
    everybody = rerun(tmp_path / "x.nc", policies={"agents.choose": Lazy()})
    assert not everybody
    run(model, steps=6, seed=2, policies={"choose": Policy(keen, ids=[1, 2])}, out=tmp_path / "y.nc")
    assert rerun(tmp_path / "y.nc")


# -- what is refused ----------------------------------------------------------------------------------------------


def test_what_is_no_run_file_is_refused_in_one_line(school: Path, tmp_path: Path) -> None:
    (tmp_path / "text.nc").write_text("not a file of numbers")
    with netCDF4.Dataset(tmp_path / "other.nc", "w") as file:
        file.createDimension("x", 3)
    (tmp_path / "cut.nc").write_bytes(school.read_bytes()[:5000])
    unseeded = tampered(school, tmp_path, lambda file: file.delncattr("seed"))
    for path, error, message in (
        (tmp_path / "nowhere.nc", InputError, r"there is no run file .*nowhere\.nc"),
        (tmp_path / "text.nc", StoreError, r"text\.nc"),
        (tmp_path / "cut.nc", StoreError, r"cut\.nc"),
        (tmp_path / "other.nc", StoreError, r"other\.nc does not say how it was made: it has no attribute"),
        (unseeded, StoreError, "does not say how it was made: it has no attribute 'seed'"),
        (tmp_path, InputError, "there is no run file"),
        (7, InputError, "got 7, allowed is the path of a run's file"),
    ):
        with pytest.raises(error, match=message) as found:
            rerun(path)
        assert "\n" not in str(found.value)


def test_a_scenario_that_is_not_installed_any_more_is_named(school: Path, tmp_path: Path) -> None:
    gone = tampered(school, tmp_path, lambda file: file.setncattr("scenario_module", "gone_away"))
    with pytest.raises(InputError, match="cannot find its scenario Schooling"):
        rerun(gone)
    assert rerun(gone, scenario="schooling")


def keen(asked: Any) -> Any:
    return np.ones(len(asked.ids), int)


def edit(path: Path) -> Any:
    return lambda: path.write_text(path.read_text().replace("RISE * p.pace", "9.0 * p.pace").replace("0.5", "7.5"))


def remove(path: Path) -> Any:
    return path.unlink
