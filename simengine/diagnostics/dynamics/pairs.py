"""Transfer entropies between many agents at once: all ordered pairs, or an edge list.

By counts as in :mod:`~simengine.diagnostics.dynamics.transfer`, from kernels that count each pair in a fraction of a
microsecond per thousand steps. Where the coupling is weak, successive local values are as good as independent, and the
error is that of independent windows; pairs of a transfer entropy above ``STRONG`` get the long-run variance.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.dynamics import embedding, pair_kernels
from simengine.diagnostics.dynamics.dependence import FEWEST, MANY
from simengine.diagnostics.dynamics.stationary import FLAG, drifting
from simengine.diagnostics.dynamics.windows import ESTIMATORS, check, chosen, information
from simengine.diagnostics.estimate import Estimate, flagged, stacked
from simengine.diagnostics.samples import Dims, as_array, checked_values, series
from simengine.errors import InputError

Codes = NDArray[np.int64]

STRONG = 0.02
"""Nats a step above which successive local values may hang together."""

# Cells of a joint table up to which bits are counted for each, and up to which a table is filled.
_BIT_CELLS, _TABLE_CELLS = 128, 4096
_ITSELF = flagged("itself")
_NAMES = ("value", "standard_error", "null_mean", "null_sd")


def transfer_entropies(
    agents: Any, edges: ArrayLike | None = None, *, estimator: str = "auto", lag: int = 1, source_history: int = 1,
    target_history: int = 1, bins: Any = None, range: tuple[float, float] | None = None, k: int = 4, unit: str = "nat",
    data: Any = None, dim: Dims = None, pool: Dims = None,
) -> Estimate:  # fmt: skip
    """Estimate the transfer entropies between agents.

    Parameters
    ----------
    agents
        Series of all agents, shape (agents, T), or (agents, m, T) for m realisations; or a DataArray, or the name of
        a variable of ``data``, with time along ``dim``, realisations along ``pool`` and agents along the one other dim.
    edges
        Pairs (source, target) of agents' positions, shape (edges, 2); all ordered pairs by default.
    estimator, lag, source_history, target_history, bins, range, k
        See :func:`~simengine.diagnostics.dynamics.transfer.transfer_entropy`.

    Returns
    -------
    estimate
        Arrays of shape (agents, agents), source first, with NaN on the diagonal, flagged ``itself``; or of shape
        (edges,).
    """
    check(estimator, ESTIMATORS, unit, k=k)
    values, names = _agents(agents, data, dim, pool)
    values, outside = embedding.as_symbols(values, bins, range)
    count, _, steps = values.shape
    lags = {"lag": lag, "source_history": source_history, "target_history": target_history}
    u, l_source, l_target = (checks.whole(value, word) for word, value in lags.items())
    first = embedding.first_window(steps, [u + l_source - 1, l_target])
    pairs = _edges(edges, count)
    method = chosen(estimator, embedding.discrete(values), 1 + l_source + l_target)
    if method in ("counts", "plug-in"):
        found = _by_counts(values, pairs, (u, l_source, l_target), first, method, outside)
    else:
        pasts = [(l_source, u), (l_target, 1)]
        single = [
            information(
                values[j], [values[i], values[j]], pasts, first, method, bins=None, span=None, k=k, local=False,
                shuffles=0, seed=0,
            )
            if edges is not None or i != j
            else Estimate(math.nan, method=method, flags=_ITSELF)
            for i, j in pairs.tolist()
        ]  # fmt: skip
        found = stacked(single, (len(pairs),))
    found = _arranged(found, pairs, None if edges is not None else count, names).to(unit)
    return replace(found, unit=f"{found.unit}/step")


def _agents(agents: Any, data: Any, dim: Dims, pool: Dims) -> tuple[NDArray[Any], dict[str, Any]]:
    """Bring series to shape (agents, m, T), with the agents' labels where they have any."""
    if isinstance(agents, str) or hasattr(agents, "dims"):
        blocks = series(agents, data=data, dim=dim, pool=pool, names=("agents",))
        if len(blocks.batch) != 1:
            said = ", ".join(str(one) for one in blocks.dims) or "none"
            raise InputError(f"agents has the dims {said} beside time and realisations; expected one, that of agents")
        label = blocks.coords.get(blocks.dims[0])
        return blocks.arrays[0], {} if label is None else {"label": np.asarray(label)}
    array = checked_values(agents, "agents")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise InputError(f"agents has shape {array.shape}; expected (agents, T), or (agents, m, T)")
    return (array[:, None, :] if array.ndim == 2 else array), {}


def _edges(edges: ArrayLike | None, count: int) -> Codes:
    if edges is None:
        pairs = np.empty((count, count, 2), np.int64)
        pairs[..., 0], pairs[..., 1] = np.arange(count)[:, None], np.arange(count)
        return pairs.reshape(-1, 2)
    found = as_array(edges, "edges")
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.kind not in "iu" or not len(found):
        raise InputError(f"edges has shape {found.shape} of {found.dtype}; expected whole numbers (edges, 2)")
    if found.min() < 0 or found.max() >= count:
        raise InputError(f"edges names agent {found.max() if found.min() >= 0 else found.min()} of {count}")
    return np.ascontiguousarray(found, np.int64)


def _by_counts(
    values: NDArray[Any], pairs: Codes, lags: tuple[int, int, int], first: int, method: str, outside: bool
) -> Estimate:
    count, rows, steps = values.shape
    codes, states = embedding.symbols(values)
    u, l_source, l_target = lags
    flat = codes.reshape(count * rows, steps)
    sources, source_states = embedding.history(flat, states, l_source, u, first)
    pasts, past_states = embedding.history(flat, states, l_target, 1, first)
    n = rows * (steps - first)
    sources, pasts = sources.reshape(count, n), pasts.reshape(count, n)
    presents = codes[:, :, first:].reshape(count, n)
    table, ended = _numbers(sources, source_states, presents, states, pasts, past_states, rows, pairs)
    plug_in, bias, dof, freedom, _ = table.T
    value, error, low, high = pair_kernels.errors(table, n, method == "counts")
    null_mean = freedom / (2.0 * n) if method == "plug-in" else np.zeros(len(pairs))
    of_agents = codes.reshape(count, rows * steps)
    varies = (of_agents != of_agents[:, :1]).any(axis=1)
    constant = ~(varies[pairs[:, 0]] & varies[pairs[:, 1]])
    most = (source_states - 1.0) * (states - 1.0) * past_states
    unsteady = np.array([drifting(one) is not None for one in values])
    doubts = int(most > MANY * n) + constant * 2 + ~ended * 4 + (unsteady[pairs[:, 0]] | unsteady[pairs[:, 1]]) * 8
    few = "few_samples" if n < FEWEST else None
    beyond = "outside_range" if outside else None
    names = np.empty(16, object)
    for kind in np.arange(len(names)):
        names[kind] = flagged(
            "many_states" if kind & 1 else None, "constant" if kind & 2 else None,
            "degenerate_null" if kind & 2 else None, "short_series" if kind & 4 else None,
            FLAG if kind & 8 else None, few, beyond,
        )  # fmt: skip
    return Estimate(
        value, error, (low, high), null_mean, np.sqrt(0.5 * freedom) / n, np.full(len(pairs), float(n)), "nat", method,
        names[doubts], "no dependence: chi-square",
        {"plug_in": plug_in.copy(), "bias": bias.copy(), "dof": dof.copy()},
    )  # fmt: skip


def _numbers(
    sources: Codes, source_states: int, presents: Codes, states: int, pasts: Codes, past_states: int, rows: int,
    pairs: Codes,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
    n = sources.shape[1]
    cells = source_states * states * past_states
    general = (sources, source_states, presents, states, pasts, past_states, rows)
    if cells > _TABLE_CELLS:
        return pair_kernels.by_windows(*general, pairs)
    logs = pair_kernels.logarithms(n)
    if cells <= _BIT_CELLS:
        past_bits = pair_kernels.bit_rows(sources, source_states)
        target_bits = pair_kernels.joint_bits(
            pair_kernels.bit_rows(pasts, past_states), pair_kernels.bit_rows(presents, states)
        )
        totals = np.bitwise_count(target_bits).sum(axis=2, dtype=np.int64)
        found = pair_kernels.by_bits(past_bits, target_bits, totals, states, n, pairs, logs)
    else:
        targets = pasts * states + presents
        found = pair_kernels.by_table(sources, source_states, targets, past_states * states, states, pairs, logs)
    ended = np.ones(len(pairs), bool)
    noise = 3.0 * np.sqrt(0.5 * found[:, pair_kernels.FREEDOM]) / n
    strong = np.flatnonzero(found[:, pair_kernels.PLUG_IN] - found[:, pair_kernels.BIAS] > STRONG + noise)
    if strong.size:
        found[strong], ended[strong] = pair_kernels.by_windows(*general, pairs[strong])
    return found, ended


def _arranged(found: Estimate, pairs: Codes, count: int | None, names: dict[str, Any]) -> Estimate:
    """Put the pairs into a square with an empty diagonal, or name the edges."""
    labels = names.get("label")
    if count is None:
        coords: dict[Hashable, Any] = {
            end: ("edge", pairs[:, at] if labels is None else labels[pairs[:, at]])
            for at, end in enumerate(("source", "target"))
        }
        return replace(found, dims=("edge",), coords=coords)

    def square(values: Any) -> Any:
        filled = values.reshape(count, count)
        if filled.dtype == object:
            for i in np.arange(count):
                filled[i, i] = _ITSELF
        else:
            np.fill_diagonal(filled, np.nan)
        return filled

    low, high = found.interval
    details = {name: square(one) if np.shape(one) == (len(pairs),) else one for name, one in found.details.items()}
    known: dict[Hashable, Any] = {} if labels is None else {"source": labels, "target": labels}
    return replace(
        found, **{name: square(getattr(found, name)) for name in (*_NAMES, "n")}, interval=(square(low), square(high)),
        flags=square(found.flags), details=details, dims=("source", "target"), coords=known,
    )  # fmt: skip
