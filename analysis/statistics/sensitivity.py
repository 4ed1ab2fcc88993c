"""Sensitivity of an observable to swept parameters: Sobol' indices, or Morris' elementary effects, by SALib."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from simengine.analysis.contents import attributes_of
from simengine.analysis.statistics.intervals import SEED, checked_level
from simengine.errors import InputError
from simengine.sweeps.sensitivity import for_salib

PARAMETER, OTHER = "parameter", "other"
RESAMPLES = 1000

SOBOL = {"S1": "first-order index", "ST": "total index"}
MORRIS = {
    "mu": "mean elementary effect",
    "mu_star": "mean absolute elementary effect",
    "sigma": "standard deviation of elementary effects",
}


def sensitivity(data: xr.Dataset, values: xr.DataArray, level: float = 0.95) -> xr.Dataset:
    """Return the sensitivity indices of a sweep over a design of `morris` or `saltelli`.

    Parameters
    ----------
    data
        The sweep.
    values
        One number for each of its runs; replicates are averaged, NaN left out.
    level
        Of the intervals, which are bootstrapped over the sample's rows with the same seed every time.

    Returns
    -------
    xarray.Dataset
        Along ``parameter``: ``S1``, ``ST`` (Saltelli et al. 2010, Comput. Phys. Commun. 181, 259-270) and, where the
        design has it, ``S2`` along ``parameter`` and ``other``; or ``mu``, ``mu_star`` (Campolongo et al. 2007,
        Environ. Model. Softw. 22, 1509-1518) and ``sigma`` (Morris 1991, Technometrics 33, 161-174), in the unit of the
        observable. ``..._low`` and ``..._high`` are the ends of intervals.

    Raises
    ------
    InputError
        For another sweep, where a point has no number, or when SALib is not installed.
    """
    checked_level(level)
    design = attributes_of(data).get("design")
    details: Mapping[str, Any] = design.get("details", {}) if isinstance(design, Mapping) else {}
    try:
        problem, x, y = for_salib(data, values)
    except InputError as error:
        raise InputError(str(error).replace("for_salib:", "sensitivity:")) from None
    kind = "morris" if "levels" in details else "sobol"
    try:
        analyze = importlib.import_module(f"SALib.analyze.{kind}").analyze
    except ImportError:
        raise InputError('sensitivity needs SALib: pip install "simengine[sensitivity]"') from None
    if float(np.ptp(y)) == 0.0:
        raise InputError(f"sensitivity: {values.name!r} is {y[0]:g} at every point")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "morris":
            found = analyze(
                problem, x, y, num_resamples=RESAMPLES, conf_level=level, num_levels=int(details["levels"]), seed=SEED
            )  # fmt: skip
        else:
            second = bool(details.get("second_order", True))
            found = analyze(
                problem, y, calc_second_order=second, num_resamples=RESAMPLES, conf_level=level, seed=SEED
            )  # fmt: skip
    table = _morris(found, values) if kind == "morris" else _sobol(found)
    names = [str(name) for name in problem["names"]]
    table = table.assign_coords({PARAMETER: names})
    table = table.assign_coords({OTHER: names}) if OTHER in table.dims else table
    return table.assign_attrs(
        method=f"{kind}, by SALib", observable=str(values.name), when=str(values.attrs.get("when", "")), level=level,
        rows=len(y), resamples=RESAMPLES, seed_of_bootstrap=SEED,
    )  # fmt: skip


def _sobol(found: Mapping[str, Any]) -> xr.Dataset:
    table = xr.Dataset()
    for name, words in SOBOL.items():
        _add(table, name, (PARAMETER,), np.asarray(found[name]), np.asarray(found[f"{name}_conf"]), "1", words)
    if "S2" in found:
        pairs, error = np.asarray(found["S2"]), np.asarray(found["S2_conf"])
        both = (np.where(np.isnan(pairs), pairs.T, pairs), np.where(np.isnan(error), error.T, error))
        _add(table, "S2", (PARAMETER, OTHER), *both, "1", "second-order index")
    return table


def _morris(found: Mapping[str, Any], values: xr.DataArray) -> xr.Dataset:
    table, unit = xr.Dataset(), str(values.attrs.get("units", "1"))
    for name, words in MORRIS.items():
        half = np.asarray(found["mu_star_conf"]) if name == "mu_star" else None
        _add(table, name, (PARAMETER,), np.asarray(found[name]), half, unit, f"{words}, over the parameter's range")
    return table


def _add(
    table: xr.Dataset, name: str, dims: tuple[str, ...], values: Any, half: Any, unit: str, long_name: str
) -> None:
    said = {"units": unit, "long_name": long_name}
    table[name] = (dims, np.asarray(values, np.float64), said)
    if half is not None:
        table[f"{name}_low"] = (
            dims,
            np.asarray(values - half, np.float64),
            said | {"long_name": f"lower end, {long_name}"},
        )
        table[f"{name}_high"] = (
            dims, np.asarray(values + half, np.float64), said | {"long_name": f"upper end, {long_name}"}
        )  # fmt: skip
