"""What SALib's analyses want, from the Dataset of a sweep over a Morris or Saltelli sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, nearest
from simengine.scenario.parameters import shown
from simengine.store.attributes import decode

if TYPE_CHECKING:
    import xarray

DESIGN = "design"


class SalibInput(NamedTuple):
    """The arguments of the functions of ``SALib.analyze``.

    ``problem`` names parameters and bounds; ``x`` has a row of parameters for each row of the sample, shape
    (rows, parameters), float64; ``y`` has the value there, shape (rows,), float64.
    """

    problem: dict[str, Any]
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def for_salib(dataset: xarray.Dataset, variable: str | xarray.DataArray) -> SalibInput:
    """Return what ``SALib.analyze.morris`` and ``.sobol`` take, with the replicates averaged.

    A sample visits some points more than once; each is run once, and here it is in all its rows again.

    Parameters
    ----------
    dataset
        A finished sweep over a design of `morris` or `saltelli`.
    variable
        Name of a recorded variable, of which the last record of each run counts, or an array of one number per run.

    Raises
    ------
    InputError
        For another sweep, for what is not one number per run, and when a point has no number at all, as where all its
        runs failed.
    """
    details = _details(dataset)
    values = _last(dataset, variable) if isinstance(variable, str) else variable
    if tuple(getattr(values, "dims", ())) != ("run",):
        raise InputError(f"for_salib: {_named(variable)} has not one number for each run")
    number = np.asarray(dataset["point"].values, np.int64)
    measured = np.asarray(values.values, np.float64)
    there = np.isfinite(measured)
    points = int(number.max()) + 1
    counts = np.bincount(number[there], minlength=points)
    if not counts.all():
        raise InputError(
            f"for_salib: {_named(variable)} has no number at {int((counts == 0).sum())} of {points} points: runs are "
            "missing or failed"
        )
    means = np.bincount(number[there], measured[there], points) / counts
    _, first = np.unique(number, return_index=True)
    problem = dict(details["problem"])
    x = np.stack([np.asarray(dataset[name].values, np.float64)[first] for name in _columns(dataset, problem)], axis=1)
    rows = np.asarray(details.get("rows", range(points)), np.int64)
    if int(rows.max()) >= points:
        raise InputError(
            f"for_salib: allowed are all runs of the sweep; of {int(rows.max()) + 1} points there are {points} here"
        )
    return SalibInput(problem, x[rows], means[rows])


def _details(dataset: Any) -> Mapping[str, Any]:
    said = decode(getattr(dataset, "attrs", {}).get(DESIGN))
    said = said if isinstance(said, Mapping) else {}
    details: Mapping[str, Any] = said.get("details", {})
    if "problem" not in details:
        got = f", not over a design of {said['kind']}" if "kind" in said else ""
        raise InputError(f"for_salib: allowed is the Dataset of a sweep over a morris or saltelli design{got}")
    if "design_extended" in dataset.attrs:
        raise InputError("for_salib: points were added to the sample of this sweep")
    return details


def _last(dataset: xarray.Dataset, name: str) -> xarray.DataArray:
    if name not in dataset.data_vars:
        recorded = [str(found) for found, values in dataset.data_vars.items() if "time" in values.dims]
        raise InputError(f"for_salib: there is no variable {name!r}{nearest(name, recorded)}")
    values = dataset[name]
    if "time" not in values.dims:
        return values
    stopped_at = dataset["run_stopped_at" if "run_stopped_at" in dataset else "stopped_at"]
    return values.isel(time=(dataset["step"] >= stopped_at).argmax("time"))


def _columns(dataset: xarray.Dataset, problem: Mapping[str, Any]) -> list[str]:
    renamed = [f"parameter_{name}" for name in problem["names"]]
    return [other if other in dataset.coords else name for name, other in zip(problem["names"], renamed, strict=True)]


def _named(variable: Any) -> str:
    return repr(variable) if isinstance(variable, str) else shown(getattr(variable, "name", variable))
