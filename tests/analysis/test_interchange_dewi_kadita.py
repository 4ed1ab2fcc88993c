"""Files that dewi-kadita 0.0.4 wrote become Datasets like those of our own runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simengine.analysis.interchange import import_dewi_kadita
from simengine.diagnostics.schooling import METRIC_NAMES, measure
from simengine.errors import InputError
from simengine.store import decode_attributes, open_run, write_dataset

pytest.importorskip("dewi_kadita")

from dewi_kadita.core.metrics import compute_metrics_timeseries
from dewi_kadita.core.solver import CouzinSolver
from dewi_kadita.core.systems import CouzinSystem
from dewi_kadita.io.data_handler import DataHandler

SWARM = {
    "n_fish": 150, "box_size": 25.0, "speed": 1.0, "r_repulsion": 2.0, "r_orientation": 3.0, "r_attraction": 15.0,
    "max_turn": 0.4, "noise": 0.2, "blind_angle": 30.0,
}  # fmt: skip


def written(folder: Path, n_steps: int = 6, save_interval: int = 2, **changes: Any) -> tuple[Path, dict[str, Any]]:
    """Let the package run and write all its files; return the NetCDF file and what it computed."""
    given = SWARM | {"n_fish": 20} | changes
    system = CouzinSystem(seed=42, **given)
    result = CouzinSolver(dt=0.1, use_numba=False).solve(system, n_steps, save_interval, verbose=False)
    metrics = compute_metrics_timeseries(
        result["positions"], result["velocities"], result["time"], given["box_size"], verbose=False
    )
    DataHandler.save_netcdf(str(folder / "case.nc"), result, {"scenario_name": "Case"}, metrics)
    DataHandler.save_order_parameters_csv(str(folder / "case_order_parameters.csv"), result)
    DataHandler.save_entropy_metrics_csv(str(folder / "case_entropy_timeseries.csv"), metrics)
    DataHandler.save_entropy_summary_csv(str(folder / "case_entropy_summary.csv"), metrics)
    DataHandler.save_trajectory_csv(str(folder / "case_final_state.csv"), result)
    return folder / "case.nc", {**result, **metrics}


def test_a_file_has_our_names_dimensions_units_and_parameters(tmp_path: Path) -> None:
    path, computed = written(tmp_path)
    data = import_dewi_kadita(path)
    assert dict(data.sizes) == {"time": 4, "snapshot_time": 4, "agent": 20, "axis": 3}
    np.testing.assert_array_equal(data["step"], [0, 2, 4, 6])
    np.testing.assert_array_equal(data["position"], computed["positions"])
    np.testing.assert_allclose(data["heading"], computed["velocities"] / SWARM["speed"], rtol=0, atol=1e-15)
    assert set(METRIC_NAMES) <= set(data.data_vars)
    assert data["time"].attrs["units"] == "s"
    attributes = decode_attributes(data.attrs)
    assert (attributes["scenario"], attributes["parameter_rules"]) == ("Schooling", "dewi-kadita")
    assert (attributes["parameter_n_agents"], attributes["parameter_radius_attraction"]) == (20, 15.0)
    assert attributes["parameter_turning_rate"] == pytest.approx(4.0)
    assert (attributes["steps"], attributes["every"], attributes["time_step"]) == (6, 2, 0.1)
    assert attributes["not_known"] == ["seed", "regime", "orientation_weight", "mill_radius"]
    assert {"email", "mean_polarization"} <= set(attributes["not_mapped"])


def test_the_configuration_whose_parameters_a_file_has_is_named(tmp_path: Path) -> None:
    path, _ = written(tmp_path, n_steps=1, save_interval=1, n_fish=150)
    assert import_dewi_kadita(path).attrs["parameter_regime"] == "swarm"


def test_our_diagnostics_of_its_positions_are_the_numbers_in_its_file(tmp_path: Path) -> None:
    path, _ = written(tmp_path)
    data = import_dewi_kadita(path)
    for place in range(data.sizes["snapshot_time"]):
        position, heading = (data[name].isel(snapshot_time=place).values for name in ("position", "heading"))
        found = measure(position, heading, data.attrs["parameter_box"])
        for name in METRIC_NAMES:
            assert found[name] == pytest.approx(float(data[name][place]), rel=1e-12, abs=1e-12), name


def test_what_is_imported_is_written_and_opened_as_a_run_file(tmp_path: Path) -> None:
    path, _ = written(tmp_path)
    data = import_dewi_kadita(path)
    with open_run(write_dataset(data, tmp_path / "ours.nc")) as again:
        np.testing.assert_array_equal(again["position"], data["position"])
        assert again.attrs["parameter_box"] == 25.0
        assert len(again.attrs["content_hash"]) == 64


def test_its_csv_files_hold_the_same_numbers_with_nine_digits(tmp_path: Path) -> None:
    path, _ = written(tmp_path)
    data = import_dewi_kadita(path)
    for name, metrics in (("order_parameters", ("polarization", "rotation")), ("entropy_timeseries", METRIC_NAMES)):
        found = import_dewi_kadita(tmp_path / f"case_{name}.csv")
        assert set(found.data_vars) == set(metrics)
        np.testing.assert_array_equal(found["step"], [0, 1, 2, 3])
        for metric in metrics:
            np.testing.assert_allclose(found[metric], data[metric], rtol=1e-8)
        assert "box" in decode_attributes(found.attrs)["not_known"]
    state = import_dewi_kadita(tmp_path / "case_final_state.csv")
    np.testing.assert_allclose(state["position"][0], data["position"][-1], rtol=1e-8)
    assert state.attrs["parameter_n_agents"] == 20


def test_files_of_others_are_refused_in_one_line(tmp_path: Path) -> None:
    path, _ = written(tmp_path, n_steps=1, save_interval=1)
    ours = write_dataset(import_dewi_kadita(path), tmp_path / "ours.nc")
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    (tmp_path / "words.csv").write_text("Time,Polarization,Rotation\n0,much,little\n")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.csv").write_text("")
    names = [ours.name, "text.csv", "words.csv", "bytes.csv", "empty.csv", "case_entropy_summary.csv"]
    for name in names:
        with pytest.raises(InputError, match="no output file of dewi-kadita") as caught:
            import_dewi_kadita(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="there is no file"):
        import_dewi_kadita(tmp_path / "nothing.nc")
