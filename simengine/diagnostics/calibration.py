"""Calibrated numbers of a school with their standard errors, intervals, nulls and doubts.

Intervals are normal ones, cut to what is possible. Lengths of mean vectors cannot tell small values from none: where
polarisation or rotation are not above the null (1.96 standard deviations), their interval begins at 0.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.diagnostics.calibrated import (
    CALIBRATED,
    FEWEST,
    FEWEST_APART,
    FIRST_ENTROPY,
    INDEX,
    SAMPLE,
    SAMPLED,
    SHAPE,
    SPREAD,
    Numbers,
    calibrated_numbers,
    reference_radius,
)
from simengine.diagnostics.chosen import chosen_places
from simengine.diagnostics.estimate import QUANTILE, Estimate, flagged, normal_interval
from simengine.diagnostics.school_input import checked_state, is_finite_number
from simengine.diagnostics.school_null import Null, null_of
from simengine.errors import InputError
from simengine.random.streams import Draws

NULL = {
    "open": "independent agents, isotropic headings, places uniform in the reference ball",
    "periodic": "independent agents, isotropic headings, places uniform in the box",
}
"""What the null is, by geometry."""


def calibrated_school(
    position: NDArray[np.float64],
    heading: NDArray[np.float64],
    side: float,
    reach: float,
    chosen: NDArray[np.int64],
    length_unit: str = "1",
) -> dict[str, Estimate]:
    """Return the numbers of a school by name, see :func:`~simengine.diagnostics.calibrated.calibrated_numbers`.

    The index is put together here, from the entropies and the means of their nulls; nothing is checked.
    """
    numbers = calibrated_numbers(position, heading, side, reach, chosen)
    geometry = "open" if side == math.inf else "periodic"
    null = null_of(len(position), geometry)
    null.mean[SPREAD] *= reference_radius(side, reach)
    null.sd[SPREAD] *= reference_radius(side, reach)
    values, errors = numbers.values, numbers.errors
    entropies = slice(FIRST_ENTROPY, INDEX)
    values[INDEX] = np.mean(1.0 - values[entropies] / null.mean[entropies])
    errors[INDEX] = math.sqrt(np.sum((errors[entropies] / null.mean[entropies]) ** 2)) / (INDEX - FIRST_ENTROPY)
    low, high = _intervals(values, errors, null)
    moments = (values, errors, low, high, null.mean, null.sd, null.skewness)
    rows = zip(*(part.tolist() for part in moments), strict=True)
    n = [len(position)] * len(CALIBRATED)
    for k in (*SAMPLED, INDEX):
        n[k] = chosen.size
    found = {}
    for metric, row, size, flags in zip(CALIBRATED, rows, n, _flags(numbers, len(position)), strict=True):
        value, error, least, most, mean, sd, skewness = row
        details = {"null_skewness": skewness, "bins": metric.bins} if metric.bins else {"null_skewness": skewness}
        found[metric.name] = Estimate(
            value, error, (least, most), mean, sd, size, length_unit if metric.unit is None else metric.unit,
            metric.method, flags, NULL[geometry], details,
        )  # fmt: skip
    return found


def _intervals(
    values: NDArray[np.float64], errors: NDArray[np.float64], null: Null
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the intervals: of the spread from 0 on, of all others but the index within [0, 1]."""
    lowest, highest = np.zeros(values.size), np.ones(values.size)
    highest[SPREAD] = math.inf
    lowest[INDEX] = np.mean(1.0 - 1.0 / null.mean[FIRST_ENTROPY:INDEX])
    low, high = (np.clip(end, lowest, highest) for end in normal_interval(values, errors))
    none = values[:SPREAD] <= null.mean[:SPREAD] + QUANTILE * null.sd[:SPREAD]
    low[:SPREAD][none] = 0.0
    return low, high


def _flags(numbers: Numbers, agents: int) -> list[tuple[str, ...]]:
    """Return what the declared validity raises for each number."""
    few = agents < FEWEST
    constant = numbers.apart == 0.0
    # Entropies there are, but of a school at one point no shape.
    constant[[SHAPE, INDEX]] = math.isnan(numbers.values[SHAPE]) and not math.isnan(numbers.apart[FIRST_ENTROPY])
    scarce = few | ((numbers.apart > 0.0) & (numbers.apart < FEWEST_APART))
    beyond = numbers.beyond > 0
    beyond[INDEX] = beyond.any()
    return [
        flagged(
            "few_samples" if marks[0] else None, "constant" if marks[1] else None, "outside_range" if marks[2] else None
        )
        for marks in zip(scarce.tolist(), constant.tolist(), beyond.tolist(), strict=True)
    ]


def chosen_agents(ids: NDArray[np.int64], seed: int, step: int, population: str = "agents") -> NDArray[np.int64]:
    """Return the rows, rising, that stand for all agents where a number is sampled: all up to ``SAMPLE``."""
    if ids.size <= SAMPLE:
        return np.arange(ids.size)
    places: NDArray[np.int64] = chosen_places(ids, Draws(seed, population, "school", [], step).key("sample"), SAMPLE)
    return places


def calibrate(
    position: ArrayLike,
    heading: ArrayLike,
    box: float | None = None,
    reach: float | None = None,
    *,
    seed: int = 0,
    step: int = 0,
    length_unit: str = "1",
) -> dict[str, Estimate]:
    """Return the calibrated numbers of one state of a school.

    Parameters
    ----------
    position
        Shape (N, 3), in any unit of length; the spread has the same unit.
    heading
        Shape (N, 3); directions or velocities, of any non-zero length.
    box
        Side of the periodic cube in which the positions lie, each coordinate within ``[0, box]``, or ``None`` for
        open space.
    reach
        Radius of the reference ball, needed in open space, for instance the distance at which agents see one
        another; without effect in a box.
    seed, step
        What the choice of a sample depends on above :data:`~simengine.diagnostics.calibrated.SAMPLE` agents,
        together with the row numbers, which stand for ids.
    length_unit
        Unit of the positions.

    Returns
    -------
    estimates
        By name, see :mod:`~simengine.diagnostics.calibrated`; entropies are divided by the logarithm of the number of
        bins. ``n`` is the number of agents looked at, ``details`` holds the skewness of the null and the number of
        bins. NaN where there are too few agents.

    Raises
    ------
    InputError
        If the state is no good (:func:`~simengine.diagnostics.school_input.checked_state`), or the reach is missing
        in open space or not positive.
    """
    positions, headings, side = checked_state(position, heading, box)
    if box is None and reach is None:
        raise InputError("reach is missing: in open space the calibrated numbers need the radius of a reference ball")
    if reach is not None and not (is_finite_number(reach) and reach > 0.0):
        raise InputError(f"reach is {reach!r}; expected a positive radius")
    chosen = chosen_agents(np.arange(len(positions)), seed, step)
    radius = 1.0 if reach is None else float(reach)
    return calibrated_school(positions, headings, side, radius, chosen, length_unit)
