from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import simengine
from simengine.cli import main, starting
from simengine.errors import InputError
from simengine.runs import registry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_scenario_runs_and_its_tests_pass_as_they_are(folder, capsys):
    assert main(["init", "my_model"]) == 0
    printed = capsys.readouterr().out
    for command in ("simengine run my_model.py", "simengine describe my_model.py", "python -m pytest test_my_model.py"):
        assert f"  {command}\n" in printed
        module, *arguments = command.removeprefix("python -m ").split()
        done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    assert Path("my_model-0.nc").exists()


def test_the_class_has_the_name_in_camel_case(folder):
    assert main(["init", "rumours_2_spread"]) == 0
    assert registry.find("rumours_2_spread.py").__name__ == "Rumours2Spread"


def test_the_scenario_shows_something_and_explains_all_its_parameters(folder):
    assert main(["init", "my_model"]) == 0
    text = Path("my_model.py").read_text()
    assert len(text.splitlines()) <= 60
    assert max(map(len, text.splitlines())) <= 120
    found = registry.find("my_model.py")
    assert all(parameter.description for parameter in found.declaration.parameters.parameters.values())
    run = simengine.run(found)
    assert run.participation[0] < 0.1
    assert run.participation[-1] > 0.9
    assert run.attrs["stop_reason"] != "steps"


def test_another_folder_may_be_given(folder, capsys):
    (folder / "my models").mkdir()
    assert main(["init", "first", "--folder", "my models"]) == 0
    assert (folder / "my models" / "test_first.py").exists()
    assert "simengine run 'my models/first.py'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my-model", "'my-model' is no name: give the name of a Python module, such as my_model; did you mean"),
        ("my_model.py", "did you mean 'my_model'?"),
        ("2nd", "'2nd' is no name"),
        ("", "'' is no name"),
        ("../other", "'../other' is no name"),
        ("naïve", "'naïve' is no name"),
        ("class", "'class' is a word of Python"),
        ("none", "'none' is a word of Python"),
        ("random", "'random' is a Python module"),
        ("numpy", "'numpy' is a Python module"),
        ("simengine", "'simengine' is a Python module"),
        ("voter", "'voter' is an installed scenario"),
        ("space", "whose class would be called 'Space'"),
        ("__", "whose class would be called ''"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_gets_one_line(folder, capsys, name, expected):
    assert main(["init", "--", name]) == 2
    printed = capsys.readouterr().err
    assert expected in printed
    assert printed.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_existing_files_stay_unless_they_may_be_replaced(folder, capsys):
    Path("test_my_model.py").write_text("mine\n")
    assert main(["init", "my_model"]) == 2
    assert "test_my_model.py exists" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["test_my_model.py"]
    assert Path("test_my_model.py").read_text() == "mine\n"
    assert main(["init", "my_model", "--force"]) == 0
    assert main(["init", "my_model", "--force"]) == 0
    assert "MyModel" in Path("test_my_model.py").read_text()


def test_a_folder_in_the_way_is_refused(folder, capsys):
    Path("my_model.py").mkdir()
    assert main(["init", "my_model", "--force"]) == 2
    assert "my_model.py: it is a folder" in capsys.readouterr().err


@pytest.mark.parametrize(("where", "expected"), [("nowhere", "does not exist"), ("file", "is a file, not a folder")])
def test_a_missing_folder_is_refused(folder, capsys, where, expected):
    Path("file").write_text("")
    assert main(["init", "my_model", "--folder", where]) == 2
    assert expected in capsys.readouterr().err


def test_nothing_is_left_when_the_second_file_cannot_be_written(folder, monkeypatch):
    write = Path.write_text

    def fails(path: Path, *arguments: object, **keywords: object) -> int:
        if path.name.startswith("test_"):
            raise OSError(28, "No space left on device", str(path))
        return write(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "write_text", fails)
    with pytest.raises(InputError, match="No space left on device"):
        starting.begin("my_model", folder, False)
    assert os.listdir(folder) == []
