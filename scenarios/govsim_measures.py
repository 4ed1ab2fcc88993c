"""What GovSim measures of communities that share a stock: survival, gain, efficiency, equality and over-usage.

Piatti et al. (2024), arXiv:2404.16698. A month begins with stock h(t), of which amounts r_i(t) are taken; what is left
then doubles. f(t) = floor(h(t) / 2) is the most that can be taken without the stock being lower a month later.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from simengine import InputError, Output, observable, stop_when

__all__ = ["by_community", "efficiency", "equality", "over_usage", "survival_months", "threshold"]

Array = NDArray[Any]


def threshold(stock: ArrayLike) -> Array:
    """Return f = floor(h / 2), the most that can be taken of a stock h that doubles without lowering it."""
    half: Array = np.asarray(stock) // 2
    return half


def survival_months(
    left: ArrayLike, *, collapse_below: int = 5, reading: Literal["harvests", "formula"] = "harvests"
) -> Array:
    """Return for how many months a stock survived.

    Parameters
    ----------
    left
        Stock at the end of each month, before it doubles; shape (..., months).
    collapse_below
        Stock C below which a community collapses.
    reading
        ``"harvests"``: months harvested, the month of the collapse included. The published tables are made so (a
        community that takes everything at once survives for 1.0 month), by a count of months that begins at 0 and adds
        one to that of the collapse. ``"formula"``: as the paper writes it, the last month t with h(t) > C, read of
        stocks at the end of months: one month less for whoever collapses, and nothing left over at C itself.
    """
    left = np.asarray(left)
    months = left.shape[-1]
    if reading not in {"harvests", "formula"}:
        raise InputError(f"survival_months: reading is 'harvests' or 'formula', not {reading!r}")
    if reading == "harvests":
        collapsed = left < collapse_below
        survived: Array = np.where(collapsed.any(axis=-1), collapsed.argmax(axis=-1) + 1, months)
    else:
        stands = left > collapse_below
        survived = np.where(stands.any(axis=-1), months - stands[..., ::-1].argmax(axis=-1), 0)
    return survived


def efficiency(harvest: ArrayLike, months: int, first_threshold: ArrayLike = 50) -> Array:
    """Return 1 - max(0, T f(0) - sum_i R_i) / (T f(0)) from the whole harvest of T months; nan where f(0) is 0.

    That is sum_i R_i / (T f(0)), but 1 at most. With five agents, f(0) = 50 and 12 months it is their mean gain divided
    by 120.
    """
    most = months * np.asarray(first_threshold, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(most > 0, np.minimum(np.asarray(harvest) / most, 1.0), math.nan)


def equality(gains: ArrayLike) -> Array:
    """Return 1 - sum_ij |R_i - R_j| / (2 N sum_i R_i), one less the Gini coefficient; 1 where nobody gained anything.

    ``gains`` has the shape (..., members), with nan for places that nobody holds.
    """
    gains = np.asarray(gains, np.float64)
    number = (~np.isnan(gains)).sum(axis=-1)
    gaps = np.nansum(np.abs(gains[..., :, None] - gains[..., None, :]), axis=(-2, -1))
    scale = 2.0 * number * np.nansum(gains, axis=-1)
    gini: Array = np.divide(gaps, scale, out=np.zeros_like(scale), where=scale > 0)
    return 1.0 - gini


def over_usage(amounts: ArrayLike, stocks: ArrayLike, *, reading: Literal["group", "member"] = "group") -> Array:
    """Return the share of harvests that exceed the threshold, #(r_i(t) > f(t)) / (N m).

    Parameters
    ----------
    amounts
        What each member took each month, shape (..., months, members); nan where it harvested nothing because it was
        not there, or the community had collapsed.
    stocks
        Stock before each harvest, shape (..., months).
    reading
        ``"group"`` compares with f(t), what all together may take; ``"member"`` with floor(f(t) / N), each one's share
        of it. The paper's symbols say the first; its tables do not tell.
    """
    if reading not in {"group", "member"}:
        raise InputError(f"over_usage: reading is 'group' or 'member', not {reading!r}")
    amounts = np.asarray(amounts, np.float64)
    there = ~np.isnan(amounts)
    limit = threshold(stocks)
    if reading == "member":
        limit = limit // np.maximum(there.sum(axis=-1), 1)
    over = there & (np.nan_to_num(amounts) > limit[..., None])
    share: Array = over.sum(axis=(-2, -1)) / np.maximum(there.sum(axis=(-2, -1)), 1)
    return share


def by_seat(agents: Any, values: Any, communities: int) -> Array:
    """Return values of agents as a table of communities and seats, nan where nobody sits."""
    table = np.full((communities, int(agents.seat.max()) + 1), math.nan)
    table[agents.community, agents.seat] = values
    return table


def of_each(agents: Any, communities: Any, p: Any) -> dict[str, Array]:
    """Return the measures of each community."""
    number = len(communities.stock)
    gained = by_seat(agents, agents.gained, number)
    first = np.where(communities.at_start < 0, communities.stock, communities.at_start)
    harvests = np.maximum(np.nansum(by_seat(agents, agents.harvests, number), axis=-1), 1.0)
    return {
        "survival": communities.months,
        "gain": np.nanmean(gained, axis=-1),
        "efficiency": efficiency(communities.harvested, p.months, threshold(first)),
        "equality": equality(gained),
        "over_usage": np.nansum(by_seat(agents, agents.over_group, number), axis=-1) / harvests,
        "over_usage_member": np.nansum(by_seat(agents, agents.over_member, number), axis=-1) / harvests,
    }


def by_community(run: xarray.Dataset) -> xarray.Dataset:
    """Return the measures of each community, dims (snapshot_time, community), from a run with snapshots.

    The names are those of the means that are recorded.
    """
    if "communities_months" not in run:
        raise InputError("by_community: the run has no snapshots; run it with snapshot_every=1")
    parameters = SimpleNamespace(months=int(run.attrs["parameter_months"]))
    rows = []
    for moment in range(run.sizes["snapshot_time"]):
        now = {str(name): values.values for name, values in run.isel(snapshot_time=moment, time=-1).items()}
        agents = SimpleNamespace(**now, community=now["agents_community"])
        fields = {name.removeprefix("communities_"): now[name] for name in now if name.startswith("communities_")}
        rows.append(of_each(agents, SimpleNamespace(**fields), parameters))
    found = {
        name: (
            ("snapshot_time", "community"),
            np.stack([row[name] for row in rows]),
            {"units": unit, "long_name": text},
        )
        for name, (unit, text) in MEANINGS.items()
    }
    return xarray.Dataset(found, coords={name: run[name] for name in ("snapshot_time", "community")})


MEANINGS = {
    "survival": ("months", "months harvested, that of the collapse included"),
    "gain": ("1", "units of the resource that a member has gained, mean"),
    "efficiency": ("1", "harvest of all as a share of the most that could have been sustained for all months"),
    "equality": ("1", "one less the Gini coefficient of gains"),
    "over_usage": ("1", "share of harvests above the threshold of the whole community"),
    "over_usage_member": ("1", "share of harvests above a member's share of the threshold"),
}

OVERALL = (
    Output("survival_rate", long_name="share of communities that have harvested in all months"),
    Output("collapsed", long_name="share of communities that have collapsed"),
    *(Output(name, unit, f"{text}, mean of communities") for name, (unit, text) in MEANINGS.items()),
)


@observable(outputs=OVERALL)
def outcomes(agents: Any, communities: Any, p: Any) -> dict[str, float]:
    """The published measures, means over communities."""
    return {
        "survival_rate": float((communities.months == p.months).mean()),
        "collapsed": float(communities.collapsed.mean()),
        **{name: float(values.mean()) for name, values in of_each(agents, communities, p).items()},
    }


@observable
def mean_stock(communities: Any) -> float:
    """Mean stock at the beginning of a month."""
    return float(communities.stock.mean())


@observable
def imbalance(communities: Any, p: Any) -> float:
    """Largest |R(t) + harvest - growth - R(0)|, relative to the larger of capacity and harvest."""
    first = np.where(communities.at_start < 0, communities.stock, communities.at_start)
    gap = np.abs(communities.stock + communities.harvested - communities.grown - first)
    return float((gap / np.maximum(p.capacity, communities.harvested)).max())


@stop_when
def all_is_over(communities: Any, p: Any) -> bool:
    """Every community has collapsed or has had all its months."""
    return bool(((communities.collapsed == 1) | (communities.months >= p.months)).all())
