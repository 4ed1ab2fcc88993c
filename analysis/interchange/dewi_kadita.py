"""Output files of dewi-kadita 0.0.4 (arXiv 2602.07948) as Datasets like those of our own runs.

Its NetCDF files hold, for every saved frame, positions (also as x, y, z), velocities, order parameters and, where they
were asked for, seven entropies and an index; in global attributes most of the model's parameters. Not in them are the
seed, the weight of orientation and how the run was begun, so that no file can be repeated. Its CSV files hold the
series alone, with nine digits, or the last frame.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.diagnostics.schooling import METRICS
from simengine.errors import InputError
from simengine.scenario.scenario import Scenario
from simengine.store.attributes import encode_attributes
from simengine.store.files import damage_errors, is_netcdf
from simengine.store.integrity import check_file

SOURCE = "dewi-kadita"
RULES = "dewi-kadita"
PARAMETERS = {
    "n_fish": "n_agents",
    "box_size": "box",
    "speed": "speed",
    "dt": "dt",
    "noise": "noise",
    "r_repulsion": "radius_repulsion",
    "r_orientation": "radius_orientation",
    "r_attraction": "radius_attraction",
    "blind_angle": "blind_angle",
}
"""Our names of its parameters that mean the same; ``max_turn`` is per step, our ``turning_rate`` per time."""

STATES, COMPONENTS = ("time", "positions", "velocities"), ("x", "y", "z", "vx", "vy", "vz")
SERIES_COLUMNS = ("time", "polarization", "rotation")
STATE_COLUMNS = ("fish_id", *COMPONENTS)
LEAST_SPEED = 1e-10
"""Below this it takes a velocity for no direction; here the heading is missing then."""


def import_dewi_kadita(path: str | Path) -> xr.Dataset:
    """Read an output file of dewi-kadita 0.0.4.

    Parameters
    ----------
    path
        A NetCDF file, or one of the CSV files ``NAME_order_parameters.csv``, ``NAME_entropy_timeseries.csv``,
        ``NAME_final_state.csv``.

    Returns
    -------
    xarray.Dataset
        As a run of the scenario Schooling with ``rules="dewi-kadita"``, in memory: order parameters and entropies along
        ``time``, ``position`` and ``heading`` along ``snapshot_time``, ``agent`` and ``axis``; parameters as attributes
        ``parameter_NAME``. The attribute ``not_mapped`` lists what the file holds and has no place here,
        ``not_known`` what it does not say; parameters among these have no attribute, but for ``regime``: the
        configuration whose parameters these are.

    Raises
    ------
    InputError
        If the file is not one of dewi-kadita.
    StoreError
        If it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if is_netcdf(path):
        return _netcdf(path)
    return _csv(path)


# -- NetCDF -----------------------------------------------------------------------------------------------------------


def _netcdf(path: Path) -> xr.Dataset:
    check_file(path)
    with damage_errors(f"read {path}"), xr.open_dataset(path.absolute(), engine="netcdf4", decode_times=False) as file:
        refusal = _refusal(file)
        given = dict(file.attrs)
        series = {name: file[name].values for name in _series_names() if name in file.variables}
        states = {name: file[name].values for name in STATES if name in file.variables}
        known = {"time", "fish", "spatial", *STATES, *COMPONENTS, *series}
        strange = [str(name) for name in file.variables if name not in known]
    if refusal:
        raise InputError(f"{path} is no output file of dewi-kadita 0.0.4: {refusal}")
    time, position, velocity = (states[name] for name in STATES)
    dt = float(given["dt"])
    parameters: dict[str, Any] = {ours: _plain(given[theirs]) for theirs, ours in PARAMETERS.items()}
    parameters["turning_rate"] = float(given["max_turn"]) / dt
    every = int(given.get("save_interval", 1))
    mapped = {*PARAMETERS, "max_turn", "n_steps", "save_interval", "scenario_name", "history", "source", "Conventions"}
    attributes = {
        "steps": int(given["n_steps"]), "every": every, "snapshot_every": every, "stopped_at": int(given["n_steps"]),
        "stop_reason": "steps", "import_title": str(given.get("scenario_name", "")),
        "history": f"{given.get('history', '')} by dewi-kadita; imported from {path.name}".strip(),
        # Of the summaries each is a function of the series.
        "not_mapped": [name for name in given if name not in mapped] + strange,
    }  # fmt: skip
    return _dataset(time, series, parameters, attributes, dt, position, velocity)


def _refusal(file: xr.Dataset) -> str:
    """Why a Dataset is not of dewi-kadita, empty where it is."""
    source = str(file.attrs.get("source", "not said"))
    if not source.startswith(SOURCE):
        return f"its source is {source!r}"
    absent = [name for name in ("time", "fish", "spatial") if name not in file.sizes]
    if absent:
        return f"it has no dimension {', '.join(absent)}"
    absent = [name for name in (*PARAMETERS, "max_turn", "n_steps") if name not in file.attrs]
    absent += [name for name in STATES if name not in file.variables]
    return f"it does not hold {', '.join(absent)}" if absent else ""


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


# -- CSV --------------------------------------------------------------------------------------------------------------


def _csv(path: Path) -> xr.Dataset:
    columns = _read_csv(path)
    attributes: dict[str, Any] = {"history": f"imported from {path.name} of dewi-kadita", "not_mapped": []}
    if tuple(columns) == STATE_COLUMNS:
        position = np.stack([columns[name] for name in ("x", "y", "z")], axis=1)[None]
        velocity = np.stack([columns[name] for name in ("vx", "vy", "vz")], axis=1)[None]
        parameters = {"n_agents": position.shape[1]}
        return _dataset(None, {}, parameters, attributes, None, position, velocity)
    series = {name: columns[name] for name in _series_names() if name in columns}
    return _dataset(columns["time"], series, {}, attributes, None, None, None)


def _read_csv(path: Path) -> dict[str, NDArray[np.float64]]:
    """The columns of a CSV file of dewi-kadita, by their names in lower case."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        names = [name.lower() for name in rows[0]] if rows else []
        allowed = {"time", *_series_names()}
        is_series = set(SERIES_COLUMNS) <= set(names) <= allowed
        if not is_series and tuple(names) != STATE_COLUMNS:
            raise InputError(
                f"{path} is no output file of dewi-kadita: its columns are {', '.join(names[:8]) or 'none'}"
            )
        values = np.array([[float(value) for value in row] for row in rows[1:]], np.float64).reshape(-1, len(names))
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no output file of dewi-kadita: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    return {name: values[:, column] for column, name in enumerate(names)}


# -- both -------------------------------------------------------------------------------------------------------------


def _series_names() -> tuple[str, ...]:
    return tuple(metric.name for metric in METRICS)


def _dataset(
    time: NDArray[np.float64] | None, series: Mapping[str, NDArray[np.float64]], parameters: Mapping[str, Any],
    attributes: Mapping[str, Any], dt: float | None, position: NDArray[np.float64] | None,
    velocity: NDArray[np.float64] | None,
) -> xr.Dataset:  # fmt: skip
    from simengine.runs import registry

    scenario = registry.find("schooling")
    declared = scenario.declaration.parameters.parameters
    time = np.zeros(1) if time is None else np.asarray(time, np.float64)
    dt = _time_step(time) if dt is None else dt
    step = np.rint(time / dt).astype(np.int64) if dt else np.arange(len(time))
    variables: dict[str, Any] = {}
    for metric in METRICS:
        if metric.name in series:
            said = {"units": "1" if metric.unit is None else metric.unit, "long_name": metric.long_name}
            variables[metric.name] = ("time", np.asarray(series[metric.name], np.float64), said)
    units = {"units": scenario.time_unit}
    coordinates: dict[str, Any] = {}
    if variables:
        coordinates["time"] = ("time", time, {**units, "long_name": "simulated time"})
        coordinates["step"] = ("time", step, {"units": "1", "long_name": "number of the step"})
    if position is not None and velocity is not None:
        dims = ("snapshot_time", "agent", "axis")
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
        heading = np.divide(velocity, speed, out=np.full_like(velocity, np.nan), where=speed >= LEAST_SPEED)
        variables["position"] = (dims, position, {"units": "1", "long_name": "position"})
        variables["heading"] = (dims, heading, {"units": "1", "long_name": "heading (unit vector)"})
        coordinates["snapshot_time"] = (
            "snapshot_time", time, {**units, "long_name": "simulated time of the snapshots"},
        )  # fmt: skip
        coordinates["snapshot_step"] = (
            "snapshot_time", step, {"units": "1", "long_name": "number of the step of the snapshots"},
        )  # fmt: skip
        coordinates["agent"] = ("agent", np.arange(position.shape[1]), {"units": "1", "long_name": "agent id"})
        coordinates["axis"] = ("axis", np.array(["x", "y", "z"]), {"long_name": "axis of space"})
    values = {"rules": RULES, "entropies": RULES, **parameters}
    regime = _regime(scenario, values)
    if regime is not None:
        values["regime"] = regime
    unknown = ["seed", *(name for name in declared if name not in values)]
    stable = {
        "Conventions": "CF-1.11", "title": scenario.summary(), "scenario": scenario.__name__,
        "scenario_module": scenario.__module__, "source": "dewi-kadita 0.0.4",
        "references": "arXiv 2602.07948", "time_step": dt,
        **{f"parameter_{name}": value for name, value in values.items()},
        "parameter_units": {name: declared[name].unit for name in values},
        "not_known": unknown, **attributes,
    }  # fmt: skip
    return xr.Dataset(variables, coords=coordinates, attrs=encode_attributes(stable))


def _time_step(time: NDArray[np.float64]) -> float | None:
    """The time between frames, which is that of a step where every step was saved; None for a single frame."""
    return float(np.median(np.diff(time))) if len(time) > 1 else None


def _regime(scenario: type[Scenario], values: Mapping[str, Any]) -> str | None:
    """The configuration of which the parameters are those that the file says, None where there is none."""
    if "box" not in values or scenario.regimes is None:
        return None
    for (rules, regime), expected in scenario.regimes.table.items():
        shared = expected.keys() & values.keys()
        if rules == RULES and all(math.isclose(float(expected[name]), float(values[name])) for name in shared):
            return str(regime)
    return None
