"""Sampled designs: Latin hypercubes and Sobol' sequences (scipy), Morris and Saltelli samples (SALib).

All take bounds by parameter, ``noise=(0.0, 1.0)``. Whole numbers are drawn evenly from low to high, both included, once
the scenario is known.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError
from simengine.runs.arguments import whole_number
from simengine.scenario.parameters import shown
from simengine.sweeps.design import MOST_RUNS, Design, joined, refuse_too_many

Bounds = tuple[float, float]


def latin_hypercube(
    n: int, bounds: Mapping[str, Sequence[float]] | None = None, /, *, seed: int = 0, **more: Sequence[float]
) -> Design:
    """Return n points of a Latin hypercube: along each axis one point in each of n equal slices.

    McKay, Beckman & Conover (1979), Technometrics 21, 239-245, through `scipy.stats.qmc.LatinHypercube`.

    Parameters
    ----------
    n
        Number of points.
    bounds, **more
        By parameter, the lowest and the highest value.
    seed
        The sample is a function of it.
    """
    from scipy.stats import qmc

    what = "latin_hypercube"
    n, seed, box = _points(what, n), _seed(what, seed), bounds_of(what, bounds, more)
    return _scaled("latin hypercube", qmc.LatinHypercube(len(box), seed=_generator(seed)).random(n), box, seed)


def sobol(
    n: int, bounds: Mapping[str, Sequence[float]] | None = None, /, *, seed: int = 0, **more: Sequence[float]
) -> Design:
    """Return n points of a scrambled Sobol' sequence, which fill the box evenly; best when n is a power of two.

    Owen (1998), ACM Trans. Model. Comput. Simul. 8, 71-102, through `scipy.stats.qmc.Sobol`. This is a design to
    explore with; for Sobol' indices take `saltelli`.

    Parameters
    ----------
    n
        Number of points; a warning says so when it is no power of two, as the points are then not balanced.
    bounds, **more
        By parameter, the lowest and the highest value.
    seed
        The scrambling is a function of it.
    """
    from scipy.stats import qmc

    n, seed, box = _points("sobol", n), _seed("sobol", seed), bounds_of("sobol", bounds, more)
    _warn_unbalanced("sobol", n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        unit = qmc.Sobol(len(box), seed=_generator(seed)).random(n)
    return _scaled("sobol", unit, box, seed)


def morris(
    n: int,
    bounds: Mapping[str, Sequence[float]] | None = None,
    /,
    *,
    levels: int = 4,
    seed: int = 0,
    **more: Sequence[float],
) -> Design:
    """Return n trajectories that change one parameter at a time, for the elementary effects of Morris.

    Morris (1991), Technometrics 33, 161-174, through SALib: n (k + 1) rows for k parameters. Points that are visited
    more than once are run once; ``details["rows"]`` says which row is which point.

    Parameters
    ----------
    n
        Number of trajectories.
    bounds, **more
        By parameter, the lowest and the highest value.
    levels
        Number of levels of each parameter, even.
    seed
        The sample is a function of it.

    Raises
    ------
    InputError
        For bounds that are none, and when SALib is not installed.
    """
    what = "morris"
    n, seed, box = _points(what, n), _seed(what, seed), bounds_of(what, bounds, more)
    levels = whole_number(f"{what}: levels", levels, 2, 10_000)
    if levels % 2:
        raise InputError(f"{what}: levels: got {levels}, allowed is an even number")
    refuse_too_many(n * (len(box) + 1), what)
    problem = _unit_problem(box)
    rows = _salib(what, "SALib.sample.morris").sample(problem, n, num_levels=levels, seed=seed)
    return _scaled(what, rows, box, seed, n=n, levels=levels, problem=problem_of(box))


def saltelli(
    n: int,
    bounds: Mapping[str, Sequence[float]] | None = None,
    /,
    *,
    second_order: bool = True,
    seed: int = 0,
    **more: Sequence[float],
) -> Design:
    """Return the sample of Saltelli for the Sobol' indices of first, total and (if wanted) second order.

    Saltelli (2002), Comput. Phys. Commun. 145, 280-297, through SALib: n (2 k + 2) rows for k parameters, n (k + 2)
    without the second order. Points that are visited more than once are run once; ``details["rows"]`` says which row is
    which point.

    Parameters
    ----------
    n
        Number of base points; a warning says so when it is no power of two.
    bounds, **more
        By parameter, the lowest and the highest value.
    second_order
        Whether indices of pairs are wanted, too.
    seed
        The sample is a function of it.

    Raises
    ------
    InputError
        For bounds that are none, and when SALib is not installed.
    """
    what = "saltelli"
    n, seed, box = _points(what, n), _seed(what, seed), bounds_of(what, bounds, more)
    if not isinstance(second_order, bool):
        raise InputError(f"{what}: second_order: got {shown(second_order)}, allowed is True or False")
    refuse_too_many(n * ((2 if second_order else 1) * len(box) + 2), what)
    sample = _salib(what, "SALib.sample.sobol").sample
    _warn_unbalanced(what, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        rows = sample(_unit_problem(box), n, calc_second_order=second_order, seed=seed)
    return _scaled(what, rows, box, seed, n=n, second_order=second_order, problem=problem_of(box))


def whole_values(column: Sequence[float], low: int, high: int) -> tuple[int, ...]:
    """Return a sampled column as whole numbers from low to high, each as likely as the others."""
    share = (np.asarray(column, np.float64) - low) / (high - low)
    steps = np.minimum(np.floor(share * (high - low + 1)), high - low).astype(np.int64)
    return tuple((steps + low).tolist())


def bounds_of(what: str, bounds: Any, more: Mapping[str, Any]) -> dict[str, Bounds]:
    """Return lowest and highest value by parameter; ``InputError`` for anything but two ascending, finite numbers."""
    given = joined(what, bounds, more)
    if not given:
        raise InputError(f"{what}: no parameter is given; give bounds, as in {what}(..., noise=(0.0, 1.0))")
    return {name: bounds_from(f"{what}: {name}", pair) for name, pair in given.items()}


def bounds_from(what: str, given: Any) -> Bounds:
    """Return two bounds as they were given, whole numbers as ints."""
    try:
        low, high = (value.item() if isinstance(value, np.generic) else value for value in given)
    except (TypeError, ValueError):
        low = high = None
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (low, high))
    if isinstance(given, str | Mapping | set) or not numbers:
        raise InputError(f"{what}: got {shown(given)}, allowed are two numbers (low, high)")
    try:
        fine = low < high and math.isfinite(float(high) - float(low))
    except OverflowError:
        fine = False
    if not fine:
        raise InputError(f"{what}: got {shown(given)}, allowed are finite numbers (low, high), low below high")
    return low, high


def problem_of(box: Mapping[str, Bounds]) -> dict[str, Any]:
    """Return the parameters and bounds as SALib's analyses want them."""
    return {"num_vars": len(box), "names": list(box), "bounds": [list(pair) for pair in box.values()]}


def _unit_problem(box: Mapping[str, Bounds]) -> dict[str, Any]:
    return problem_of(dict.fromkeys(box, (0.0, 1.0)))


def _scaled(kind: str, unit: NDArray[np.float64], box: Mapping[str, Bounds], seed: int, **details: Any) -> Design:
    columns = {}
    for share, (name, (low, high)) in zip(np.asarray(unit).T, box.items(), strict=True):
        # Rounding may carry a value past the end.
        columns[name] = tuple(np.clip(low + share * (float(high) - float(low)), low, high).tolist())
    said = {"n": len(unit), "seed": seed, "bounds": {name: list(pair) for name, pair in box.items()}, **details}
    return Design(kind, tuple(box), columns, None, said)


def _points(what: str, n: Any) -> int:
    return whole_number(f"{what}: n", n, 1, MOST_RUNS)


def _seed(what: str, seed: Any) -> int:
    return whole_number(f"{what}: seed", seed, 0, 2**63 - 1)


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _warn_unbalanced(what: str, n: int) -> None:
    if n & (n - 1):
        better = 1 << n.bit_length()
        warnings.warn(f"{what}: {n} is no power of two, so the points are not balanced; {better} is", stacklevel=3)


def _salib(what: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"{what} needs SALib, which is not installed: pip install simengine[sensitivity]") from None
