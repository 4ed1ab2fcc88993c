"""A table of all observables: where each ended, its stationary mean with an interval, its null, and what doubts it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from simengine.analysis.contents import NULL_MEAN, NULL_SD, REPLICATE, RUN, companion, flags_of
from simengine.analysis.statistics import intervals, per_run
from simengine.analysis.statistics.labelled import MEANS, combined, labelled
from simengine.analysis.statistics.per_run import along, judged, names_of, observable, said, status_counts


def summary(data: xr.Dataset, names: str | Sequence[str] | None, level: float) -> xr.Dataset:
    """Return one row for each observable (and point of a sweep)."""
    intervals.checked_level(level)
    wanted = names_of(data, names)
    over_runs = bool(per_run.run_dims(data))
    tables = [(_of_sweep if over_runs else _of_run)(data, name, level) for name in wanted]
    table = combined(tables, wanted, data)
    texts = ["; ".join(f"{word} {share:.0%}" for word, share in flags_of(data, name).items()) for name in wanted]
    table["flags"] = (
        "observable",
        texts,
        {"long_name": "reasons to doubt it, with the share of records that have each"},
    )
    method = "Student's t over replicates" if over_runs else "batch means of the stationary part"
    return table.assign_attrs({"statistic": "summary", "method": method, "level": level} | status_counts(data))


def null_scores(data: xr.Dataset, name: str) -> xr.DataArray | None:
    """Return how many standard deviations of the null each run's last record lies above the null's mean.

    None where no null was recorded; NaN where it has no spread.
    """
    mean, sd = companion(data, name, NULL_MEAN), companion(data, name, NULL_SD)
    if mean is None or sd is None:
        return None
    last = [per_run.value(data, str(one.name)) for one in (data[name], mean, sd)]
    return (last[0] - last[1]) / last[2].where(last[2] > 0)


def _of_run(data: xr.Dataset, name: str, level: float) -> xr.Dataset:
    values = observable(data, name)
    known = judged(values).item()
    series = np.asarray(values.values, np.float64)
    last = per_run.value(data, name).reset_coords(drop=True)
    found = intervals.batch_means(series[known.start :] if known.holds else series[:0], level)
    table = xr.Dataset({"last": labelled(last, last.values, f"last record of {said(values)}", values)})
    for part, words in MEANS.items():
        table[part] = labelled(last, getattr(found, part), f"{words} {said(values)}, stationary part", values)
    table["n"] = labelled(last, found.n, "number of stationary records", None)
    table["stationary"] = labelled(last, float(known.holds), "whether there is a stationary part", None)
    axis = values["time"] if "time" in values.coords else values["step"]
    since = float(axis.values[known.start]) if known.holds else np.nan
    table["stationary_from"] = labelled(last, since, "time from which on it is stationary", axis)
    table["null_z"] = _score(data, name, last)
    return table


def _of_sweep(data: xr.Dataset, name: str, level: float) -> xr.Dataset:
    values = observable(data, name)
    settled = per_run.settled(data, name)
    over = REPLICATE if REPLICATE in settled.value.dims or RUN in settled.value.dims else str(settled.value.dims[-1])
    arranged = along(settled.value, over)
    base = arranged.isel({over: 0}, drop=True)
    found = intervals.student(np.asarray(arranged.values, np.float64), level)
    last, _, _ = intervals.moments(np.asarray(along(settled.last, over).values, np.float64))
    table = xr.Dataset({"last": labelled(base, last, f"last record of {said(values)}, mean of runs", values)})
    for part, words in MEANS.items():
        table[part] = labelled(base, getattr(found, part), f"{words} {said(values)}, what runs came to", values)
    table["n"] = labelled(base, found.n, "number of runs", None)
    there = settled.stationary.astype(float).where(np.isfinite(settled.value))
    share, _, _ = intervals.moments(np.asarray(along(there, over).values, np.float64))
    table["stationary"] = labelled(base, share, "share of runs that have a stationary part", None)
    scores = null_scores(data, name)
    score = (
        np.full(share.shape, np.nan) if scores is None else intervals.moments(np.asarray(along(scores, over).values))[0]
    )
    table["null_z"] = labelled(
        base, score, "distance of the last record from its null, in its standard deviations", None
    )
    return table


def _score(data: xr.Dataset, name: str, base: xr.DataArray) -> xr.DataArray:
    scores = null_scores(data, name)
    value = np.nan if scores is None else float(scores)
    return labelled(base, value, "distance of the last record from its null, in its standard deviations", None)
