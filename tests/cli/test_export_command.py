"""``simengine export`` and ``import`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simengine.cli import main
from simengine.store import Layout, RunWriter, Variable

LAYOUT = Layout({"village": 2}, {}, (Variable("height", ("time",), unit="m"), Variable("stock", ("time", "village"))))
HEADER = "Time,Polarization,Rotation\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with RunWriter("run.nc", LAYOUT, {"scenario": "Heights"}) as writer:
        for step in range(3):
            writer.record(step, float(step), {"height": step / 4, "stock": [1.0, 2.0]})
    (tmp_path / "case_order_parameters.csv").write_text(f"{HEADER}0.0,0.5,0.25\n0.1,0.75,0.125\n")
    return tmp_path


def test_a_run_is_exported_and_what_is_left_out_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "run.nc", "--out", "run.csv"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("wrote run.csv")
    assert "not in the table, having other dimensions: stock" in printed
    assert (folder / "run.csv").read_text().splitlines()[-1] == "2,2.0,0.5"
    assert main(["export", "run.nc", "--out", "stock.csv", "--names", "stock", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == []


def test_a_file_is_replaced_only_by_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "run.nc", "--out", "run.csv"]) == 0
    assert main(["export", "run.nc", "--out", "run.csv"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["export", "run.nc", "--out", "run.csv", "--force"]) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export run.nc --out run.xls", "allowed are .parquet, .csv, .zarr"),
        ("export rum.nc --out run.csv", "there is no run or sweep rum.nc; did you mean 'run.nc'?"),
        ("export run.nc --out a.csv --what snapshots", "there are no snapshots"),
        ("import run.nc --out ours.nc", "no output file of dewi-kadita"),
        ("import case_order_parameters.csv --out nowhere/ours.nc", "there is no folder nowhere"),
        ("import case_order_parameters.csv --out run.nc", "run.nc exists; to replace it: --force"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    before = sorted(folder.rglob("*"))
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert sorted(folder.rglob("*")) == before


def test_a_file_of_dewi_kadita_is_imported_with_what_it_does_not_say(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "case_order_parameters.csv", "--out", "ours.nc", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["scenario"] == "Schooling"
    assert "seed" in said["not_known"]
    assert main(["export", "ours.nc", "--out", "ours.csv"]) == 0
    assert (folder / "ours.csv").read_text().splitlines()[1] == "0,0.0,0.5,0.25"
