from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from simengine import Scenario
from simengine.errors import InputError, ScenarioError
from simengine.runs import registry
from simengine.scenarios.schooling import Schooling

MODEL = """
from simengine import Scenario, field, population

class Alone(Scenario):
    agents = population(size=3, x=field())
"""


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The registered scenarios of this test."""
    registered: list[EntryPoint] = []
    monkeypatch.setattr(registry, "_registered", registry._registered.__wrapped__)
    monkeypatch.setattr(registry, "entry_points", lambda group: registered)
    return registered


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, registry.GROUP)


def test_a_class_stands_for_itself():
    assert registry.find(Schooling) is Schooling


def test_a_name_stands_for_the_installed_class():
    assert registry.find("schooling") is Schooling
    assert registry.installed()["schooling"].value == "simengine.scenarios.schooling:Schooling"


@pytest.mark.parametrize("given", [Scenario, int, 3, None])
def test_what_is_no_scenario_is_refused(given):
    with pytest.raises(InputError, match="scenario"):
        registry.find(given)


@pytest.mark.parametrize("form", [str, Path])
def test_a_file_is_found_by_text_or_path(form, tmp_path):
    path = tmp_path / "alone.py"
    path.write_text(MODEL)
    assert registry.find(form(path)).__name__ == "Alone"


def test_a_file_with_several_scenarios_needs_a_class(tmp_path):
    path = tmp_path / "alone.py"
    path.write_text(MODEL + "\nclass Second(Alone):\n    pass\n")
    with pytest.raises(InputError, match=r"several scenarios \(Alone, Second\)"):
        registry.find(path)
    assert registry.find(f"{path}:Second").__name__ == "Second"
    with pytest.raises(InputError, match="no scenario 'Secnd'; did you mean 'Second'"):
        registry.find(f"{path}:Secnd")
    with pytest.raises(InputError, match="no scenario 'Xyzzy'; it defines Alone, Second"):
        registry.find(f"{path}:Xyzzy")


def test_imported_scenarios_do_not_count_as_the_files_own(tmp_path):
    path = tmp_path / "alone.py"
    path.write_text("from simengine.scenarios.schooling import Schooling\n" + MODEL)
    assert registry.find(path).__name__ == "Alone"


def test_a_file_may_import_its_neighbours_and_leaves_no_trace(tmp_path):
    (tmp_path / "neighbour_of_alone.py").write_text("SIZE = 7\n")
    path = tmp_path / "alone.py"
    path.write_text(MODEL.replace("size=3", "size=SIZE").replace("\n", "\nfrom neighbour_of_alone import SIZE\n", 1))
    before = list(sys.path)
    found = registry.find(path)
    assert found.declaration.populations["agents"].size == 7
    assert sys.path == before
    assert not [made for made in tmp_path.rglob("alone*.pyc") if not made.name.startswith("neighbour")]


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "alone.py"
    path.write_text(MODEL)
    assert registry.find(path).declaration.populations["agents"].size == 3
    path.write_text(MODEL.replace("size=3", "size=4"))
    assert registry.find(path).declaration.populations["agents"].size == 4


def test_a_file_that_fails_leaves_no_half_made_module(tmp_path):
    path = tmp_path / "half_made.py"
    path.write_text("x = 1\nraise ValueError('no')\n")
    with pytest.raises(InputError, match=r"half_made\.py does not import: ValueError: no \(line 2: raise ValueError"):
        registry.find(path)
    assert "simengine_file_half_made" not in sys.modules


def test_a_wrong_declaration_names_the_line_of_the_file(tmp_path):
    path = tmp_path / "alone.py"
    path.write_text(MODEL + "    other = agents.y\n")
    with pytest.raises(ScenarioError, match=r"alone\.py:6: population .* has no field 'y'"):
        registry.find(path)


def test_an_installed_scenario_that_does_not_load_is_listed_with_its_error(entries):
    entries += [entry("good", "simengine.scenarios.schooling:Schooling"), entry("bad", "no_such_module_anywhere:X")]
    bad, good = registry.listed()
    assert (good.name, good.scenario, good.error) == ("good", Schooling, "")
    assert bad.scenario is None
    assert "bad" in bad.error
    assert "ModuleNotFoundError" in bad.error
    with pytest.raises(InputError, match=r"'bad' \(no_such_module_anywhere:X\) does not load: ModuleNotFoundError"):
        registry.find("bad")


def test_an_entry_that_is_no_scenario_is_refused(entries):
    entries.append(entry("pi", "math:pi"))
    with pytest.raises(InputError, match=r"'pi' \(math:pi\) is not a scenario class"):
        registry.find("pi")


def test_one_name_for_two_scenarios_is_refused_but_the_same_twice_is_not(entries):
    entries += [entry("school", "simengine.scenarios.schooling:Schooling")] * 2
    assert registry.find("school") is Schooling
    entries.append(entry("school", "math:pi"))
    with pytest.raises(InputError, match="'school' is registered more than once: math:pi, simengine"):
        registry.find("school")


def test_the_name_of_a_file_of_several_scenarios_says_which_it_holds() -> None:
    with pytest.raises(
        InputError, match=r"opinion_dynamics holds several scenarios; name one: deffuant_weisbuch, degroot"
    ):
        registry.find("opinion_dynamics")
