"""Transfer entropy: what the past of one series tells about the next value of another, beyond its own past.

TE(X -> Y) = I(Y_t ; X_{t-u}, ..., X_{t-u-l+1} | Y_{t-1}, ..., Y_{t-k}, past of others), in nats per step, with
u = ``lag``, l = ``source_history``, k = ``target_history`` (Schreiber 2000; Wibral et al. 2013). Not a measure of
causal effect: common drivers that are not given raise it.

By counts for symbols, with 2 n TE ~ chi-square of (|Y| - 1)(|X|^l - 1)|Y|^k degrees of freedom as the null (Barnett
& Bossomaier 2012); by regressions for Gaussian series (half of Granger's causality); by nearest neighbours, or a
Gaussian copula, for others. The validity of each is told in its module.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.dynamics import embedding
from simengine.diagnostics.dynamics.windows import ESTIMATORS, check, each, information
from simengine.diagnostics.estimate import Estimate
from simengine.diagnostics.samples import Dims, series

Array = NDArray[Any]


def transfer_entropy(
    source: Any, target: Any, *, estimator: str = "auto", lag: int = 1, source_history: int = 1,
    target_history: int = 1, given: Any = None, given_history: int = 1, shuffles: int = 0, seed: int = 0,
    local: bool = False, bins: Any = None, range: tuple[float, float] | None = None, k: int = 4, unit: str = "nat",
    data: Any = None, dim: Dims = None, pool: Dims = None,
) -> Estimate:  # fmt: skip
    """Estimate the transfer entropy from one series to another.

    Parameters
    ----------
    source, target
        Series of shape (T,), (m, T) for m realisations, DataArrays, or names of variables of ``data``; see
        :mod:`simengine.diagnostics.samples`.
    estimator
        ``"counts"`` (symbols, bias taken off), ``"plug-in"``, ``"grassberger"``, ``"chao-shen"``, ``"gaussian"``,
        ``"copula"``, ``"ksg"``; ``"auto"`` takes counts for symbols, else ksg, in more than six dimensions copula.
    lag
        Steps from the newest source value to the target's.
    source_history, target_history
        Numbers of past values of either.
    given
        A further series, or a list of them, whose past of ``given_history`` values is known too.
    shuffles
        Take off the mean over so many shuffles of the source's past (effective transfer entropy; Marschinski & Kantz
        2002) in place of the analytic bias; the null is then theirs.
    local
        Put the local values, shape (m, windows), into ``details["local"]``.
    bins, range
        Edges of bins, or a number of them and their range, that make symbols of numbers.
    k
        Neighbours of ksg.

    Returns
    -------
    estimate
        In nats (or bits) per step.

    Raises
    ------
    InputError
        If series do not fit together, or are shorter than the histories.
    """
    check(estimator, ESTIMATORS, unit, k=k, local=local, seed=seed)
    checks.repeats(shuffles)
    others = list(given) if isinstance(given, list | tuple) else [] if given is None else [given]
    names = ["source", "target", *(f"given[{i}]" for i, _ in enumerate(others))]
    blocks = series(source, target, *others, data=data, dim=dim, pool=pool, names=names)
    lengths = {"lag": lag, "source_history": source_history, "target_history": target_history}
    lengths |= {"given_history": given_history}
    u, l_source, l_target, l_given = (checks.whole(value, word) for word, value in lengths.items())
    _, steps = blocks.arrays[0].shape[-2:]
    reaches = [u + l_source - 1, l_target, *([l_given] if others else [])]
    first = embedding.first_window(steps, reaches)
    pasts = [(l_source, u), (l_target, 1), *((l_given, 1) for _ in others)]

    def estimate(*arrays: Array) -> Estimate:
        return information(
            arrays[1], list(arrays), pasts, first, estimator, bins=bins, span=range, k=k, local=local,
            shuffles=shuffles, seed=seed,
        )  # fmt: skip

    return each(estimate, blocks, unit)
