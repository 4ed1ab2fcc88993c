"""What the past of a series tells about its own future.

Active information storage I(Y_t ; Y_{t-1}, ..., Y_{t-k}) (Lizier et al. 2012), and predictive information, the excess
entropy E = sum over k of h_k - h (Crutchfield & Feldman 2003; Bialek et al. 2001). Under independence 2 n times the
storage is chi-square of (|Y| - 1)(|Y|^k - 1) degrees of freedom. The validity is told in
:mod:`~simengine.diagnostics.dynamics.dependence`, ``linear`` and ``nearest``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.dynamics import blocks as of_blocks
from simengine.diagnostics.dynamics import embedding
from simengine.diagnostics.dynamics.dependence import MANY, answer, nothing
from simengine.diagnostics.dynamics.linear import by_regression
from simengine.diagnostics.dynamics.memory import long_run_variance
from simengine.diagnostics.dynamics.nearest import by_neighbours
from simengine.diagnostics.dynamics.stationary import drifting
from simengine.diagnostics.dynamics.windows import ESTIMATORS, check, chosen, each, information
from simengine.diagnostics.estimate import Estimate, doubted
from simengine.diagnostics.samples import Dims, checked_values, series
from simengine.errors import InputError

Array = NDArray[Any]


def active_information_storage(
    values: Any, *, estimator: str = "auto", history: int = 1, lag: int = 1, local: bool = False, bins: Any = None,
    range: tuple[float, float] | None = None, k: int = 4, unit: str = "nat", data: Any = None, dim: Dims = None,
    pool: Dims = None,
) -> Estimate:  # fmt: skip
    """Estimate the information of the past ``history`` values about the one ``lag`` steps after the newest.

    Parameters are those of :func:`~simengine.diagnostics.dynamics.transfer.transfer_entropy`.
    """
    check(estimator, ESTIMATORS, unit, k=k, local=local)
    blocks = series(values, data=data, dim=dim, pool=pool)
    length, newest = checks.whole(history, "history"), checks.whole(lag, "lag")
    first = embedding.first_window(blocks.arrays[0].shape[-1], [newest + length - 1])

    def estimate(one: Array) -> Estimate:
        return information(
            one, [one], [(length, newest)], first, estimator, bins=bins, span=range, k=k, local=local, shuffles=0,
            seed=0,
        )  # fmt: skip

    return each(estimate, blocks, unit)


def predictive_information(
    values: Any, *, estimator: str = "auto", form: str = "past-future", history: int = 1, local: bool = False,
    bins: Any = None, range: tuple[float, float] | None = None, k: int = 4, unit: str = "nat", data: Any = None,
    dim: Dims = None, pool: Dims = None,
) -> Estimate:  # fmt: skip
    """Estimate the information of the past about the future of a series, its excess entropy.

    Further parameters are those of :func:`~simengine.diagnostics.dynamics.transfer.transfer_entropy`.

    Parameters
    ----------
    form
        ``"past-future"``: of the last ``history`` values about as many next ones, 2 H(k) - H(2 k).
        ``"block"``: (k + 1) H(k) - k H(k + 1), the sum of h_j - h_k over j < k; symbols only. Exact for a process
        whose memory is at most k steps, as is the first form.
    estimator
        ``"counts"``, ``"plug-in"``, ``"gaussian"``, ``"copula"`` or ``"ksg"``.
    """
    check(estimator, ESTIMATORS, unit, k=k, local=local)
    blocks = series(values, data=data, dim=dim, pool=pool)
    length = checks.whole(history, "history")
    checks.one_of(form, ("past-future", "block"), "form")
    coefficients = (
        {length: 2.0, 2 * length: -1.0} if form == "past-future" else {length: length + 1.0, length + 1: -float(length)}
    )
    embedding.first_window(blocks.arrays[0].shape[-1], [max(coefficients) - 1])

    def estimate(one: Array) -> Estimate:
        labels, beyond = embedding.as_symbols(one, bins, range)
        symbolic = embedding.discrete(labels)
        method = chosen(estimator, symbolic, 2 * length)
        if method in ("counts", "plug-in"):
            found = _by_blocks(labels, coefficients, method, local)
        elif form == "block" or method not in ("gaussian", "copula", "ksg"):
            raise InputError(
                f"form {form!r} by {estimator!r} (symbols: {symbolic}): block takes symbols, counts or plug-in"
            )
        else:
            found = _by_columns(checked_values(one, "values", False), length, method, k, local, coefficients)
        return doubted(found, "outside_range" if beyond else None, drifting(labels))

    return each(estimate, blocks, unit, per="")


def _by_blocks(values: Array, coefficients: dict[int, float], method: str, local: bool) -> Estimate:
    codes, states = embedding.symbols(values)
    if states == 1:
        n = codes.shape[0] * (codes.shape[1] - max(coefficients) + 1)
        return nothing(n, method, local and (codes.shape[0], -1))
    found = of_blocks.of_words(codes, states, coefficients)
    known = of_blocks.chi_squares(found, of_blocks.weights(coefficients))
    bias, scatter, dof = known["bias"], known["scatter"], known["dof"]
    variance, memory, ended = long_run_variance(found.local)
    details: dict[str, Any] = {"plug_in": found.plug_in, "bias": bias, "dof": dof, "memory": memory}
    if local:
        details["local"] = found.local
    null = (bias if method == "plug-in" else 0.0, math.sqrt(0.5 * scatter) / found.n, "independent: chi-squares")
    return answer(
        found.plug_in - (0.0 if method == "plug-in" else bias), variance, dof, found.n, method, details, null=null,
        flags=(
            "many_states" if of_blocks.most(states, max(coefficients)) > 0.5 * MANY * found.n else None,
            None if ended else "short_series",
        ), scatter=scatter,
    )  # fmt: skip


def _by_columns(
    values: NDArray[np.float64], length: int, method: str, k: int, local: bool, coefficients: dict[int, float]
) -> Estimate:
    rows, steps = values.shape
    if method != "gaussian":
        values = embedding.normal_scores(values)
    first = 2 * length - 1
    future = embedding.columns(values, length, 0, first)
    past = embedding.columns(values, length, length, first)
    none = np.empty((rows * (steps - first), 0))
    if method == "ksg":
        return by_neighbours(future, past, none, rows, k, local=local)
    return by_regression(future, past, none, rows, method, local=local, weights=of_blocks.weights(coefficients))
