"""Calibrated numbers of a school with their standard errors and their null."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.diagnostics.calibrated import (
    CALIBRATED_NAMES,
    FIRST_ENTROPY,
    INDEX,
    SAMPLE,
    SPREAD,
    calibrated_numbers,
    reference_radius,
)
from simengine.diagnostics.chosen import chosen_places
from simengine.diagnostics.school_input import checked_state, is_finite_number
from simengine.diagnostics.school_null import null_of
from simengine.errors import InputError
from simengine.random.streams import Draws
from simengine.scenario.observables import Measured


def calibrated_school(
    position: NDArray[np.float64],
    heading: NDArray[np.float64],
    side: float,
    reach: float,
    chosen: NDArray[np.int64],
) -> dict[str, Measured]:
    """Return the numbers of a school by name, see :func:`~simengine.diagnostics.calibrated.calibrated_numbers`.

    The index is put together here, from the entropies and the means of their nulls; nothing is checked.
    """
    numbers, errors = calibrated_numbers(position, heading, side, reach, chosen)
    null = null_of(len(position), "open" if side == math.inf else "periodic")
    null.mean[SPREAD] *= reference_radius(side, reach)
    null.sd[SPREAD] *= reference_radius(side, reach)
    entropies = slice(FIRST_ENTROPY, INDEX)
    numbers[INDEX] = np.mean(1.0 - numbers[entropies] / null.mean[entropies])
    errors[INDEX] = math.sqrt(np.sum((errors[entropies] / null.mean[entropies]) ** 2)) / (INDEX - FIRST_ENTROPY)
    return {
        name: Measured(*(float(part[k]) for part in (numbers, errors, null.mean, null.sd)))
        for k, name in enumerate(CALIBRATED_NAMES)
    }


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
) -> dict[str, Measured]:
    """Return the calibrated numbers of one state of a school, each with its standard error and its null.

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

    Returns
    -------
    By name, see :mod:`~simengine.diagnostics.calibrated`: value, standard error, mean and standard deviation
    under the null. NaN where there are too few agents.

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
    return calibrated_school(positions, headings, side, 1.0 if reach is None else float(reach), chosen)
