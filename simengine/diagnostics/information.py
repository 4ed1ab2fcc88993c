"""Entropy and information of any variables: labels are counted, numbers looked up among their neighbours.

``estimator="auto"`` chooses by what the variables are:

==========================  =================================================================
labels (whole numbers,      tables of counts: "grassberger" for entropies, "miller-madow" for
truth values, texts)        information (:mod:`~simengine.diagnostics.counts`)
numbers and labels          "ross" (:mod:`~simengine.diagnostics.continuous.mixed`)
numbers, partly on exact    "atom-aware" (:mod:`~simengine.diagnostics.continuous.atoms`)
values
numbers                     "kozachenko-leonenko", "ksg-1", "frenzel-pompe"; in more than six
                            dimensions "gaussian" or "copula", flagged ``high_dimension``
numbers with ``bins``       tables of counts
==========================  =================================================================

Whole numbers are labels, whatever they count; give them as float64 to look up their neighbours.

Samples are taken as independent. Successive samples of a series are not: errors are then too small, and what two
series do together by chance looks like information (``serial_dependence``, :mod:`~simengine.diagnostics.serial`).
For series there are :func:`~simengine.diagnostics.dynamics.transfer.transfer_entropy` and its like.

Each module says when its estimators are valid; where they are not, the estimate is flagged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.continuous import margins
from simengine.diagnostics.continuous.atoms import atom_aware_mutual_information
from simengine.diagnostics.continuous.conditional import (
    linear_conditional_information,
    neighbour_conditional_information,
)
from simengine.diagnostics.continuous.differential import linear_entropy, neighbour_entropy
from simengine.diagnostics.continuous.gaussian import information_interval
from simengine.diagnostics.continuous.mutual import (
    MOST_DIMENSIONS,
    Options,
    labelled_mutual_information,
    linear_mutual_information,
    neighbour_mutual_information,
)
from simengine.diagnostics.counts.entropies import ESTIMATORS as COUNTED
from simengine.diagnostics.counts.entropies import MOST_STATES, entropy_from_counts
from simengine.diagnostics.counts.information import (
    conditional_entropy_of_symbols,
    joint_entropy_of_symbols,
    mutual_information_of_symbols,
)
from simengine.diagnostics.counts.tables import binned, encode
from simengine.diagnostics.estimate import Estimate, checked_unit, choose, doubted, flagged, normal_interval, stacked
from simengine.diagnostics.samples import Blocks, Dims, is_discrete, samples
from simengine.diagnostics.serial import correlation, serial_flag
from simengine.errors import InputError

Array = NDArray[Any]

AUTO = "auto"
_GRASSBERGER, _MILLER_MADOW = "grassberger", "miller-madow"


def entropy(
    x: Any = None, *, estimator: str = AUTO, unit: str = "nat", data: Any = None, dim: Dims = None,
    components: str | None = None, counts: Any = None, states: int | None = None, bins: Any = None,
    range: Any = None, k: int = 4, whiten: bool = True, correct: bool = True, reliability: bool = True,
    queries: int | None = None, seed: int = 0, threads: int = 1,
) -> Estimate:  # fmt: skip
    """Estimate the entropy of a variable: of labels in nats, of numbers the differential entropy.

    Parameters
    ----------
    x
        Samples, see :mod:`~simengine.diagnostics.samples`; a vector's components count together.
    estimator
        Of labels, counts and bins: one of :func:`~simengine.diagnostics.counts.entropies.entropy_from_counts`. Of
        numbers: "kozachenko-leonenko" or "gaussian". By default as the table of its module,
        :mod:`simengine.diagnostics.information`, says.
    unit
        "nat" or "bit".
    data, dim, components
        Where the samples are, see :mod:`~simengine.diagnostics.samples`.
    counts
        In place of ``x``: how often each state was seen, along the last axis.
    states
        Size of the alphabet, where more states are possible than occur.
    bins, range
        Numbers are counted in bins: edges, or a number of equal bins over the range.
    k, whiten
        Neighbours, and whether they are looked for in whitened data.
    correct, reliability, queries, seed, threads
        As in :func:`mutual_information`.

    Raises
    ------
    InputError
        If samples or options are no good.
    """
    checked_unit(unit)
    _check_name(estimator, "entropy")
    checks.truth(whiten, "whiten")
    options = Options(k, correct=correct, reliability=reliability, queries=queries, seed=seed, threads=threads)
    if (x is None) == (counts is None):
        raise InputError("entropy takes either samples x or counts=, one of the two")
    if counts is not None:
        name = _GRASSBERGER if estimator == AUTO else estimator
        return entropy_from_counts(counts, estimator=name, states=states, unit=unit)
    blocks, outside = _binned(samples(x, data=data, dim=dim, components=components, names=("x",)), ("x",), bins, range)

    def of_numbers(name: str, points: Array) -> Estimate:
        found = choose(
            {
                "kozachenko-leonenko": partial(neighbour_entropy, options=options, whiten=whiten),
                "gaussian": linear_entropy,
                **dict.fromkeys(COUNTED, _fractions),
            },
            name, "entropy",
        )(_numbers(points, "x"))  # fmt: skip
        return found  # type: ignore[no-any-return]

    def one(points: Array) -> Estimate:
        if is_discrete(points) and (estimator == AUTO or estimator in COUNTED):
            return _counted(points, _GRASSBERGER if estimator == AUTO else estimator, states)
        if estimator == AUTO:
            if points.shape[1] <= MOST_DIMENSIONS:
                return of_numbers("kozachenko-leonenko", points)
            return doubted(of_numbers("gaussian", points), "high_dimension")
        return of_numbers(estimator, points)

    return _together([one(points) for (points,) in blocks], blocks, outside, 1).to(unit)


def mutual_information(
    x: Any, y: Any, *, estimator: str = AUTO, unit: str = "nat", data: Any = None, dim: Dims = None,
    components: str | None = None, states: Any = None, bins: Any = None, range: Any = None, k: int = 4,
    scale: str = margins.NORMAL_SCORES, correct: bool = True, reliability: bool = True,
    queries: int | None = None, shuffles: int = 0, seed: int = 0, threads: int = 1,
) -> Estimate:  # fmt: skip
    """Estimate the mutual information of two variables, each of labels or numbers, scalars or vectors.

    Parameters
    ----------
    x, y
        Samples, see :mod:`~simengine.diagnostics.samples`.
    estimator
        Of labels: one of :func:`~simengine.diagnostics.counts.entropies.entropy_from_counts`. Of numbers: "ksg-1",
        "ksg-2" (Kraskov et al. 2004), "gao" (2017), "atom-aware", "gaussian", "copula". Of numbers and labels:
        "ross" (2014). By default as the table of :mod:`simengine.diagnostics.information` says.
    unit
        "nat" or "bit".
    data, dim, components
        Where the samples are, see :mod:`~simengine.diagnostics.samples`.
    states
        Sizes of the alphabets of labels: a pair, or one number for both.
    bins, range
        Numbers are counted in bins: edges, or a number of equal bins over the range; {"x": ..., "y": ...} for each.
    k
        Number of neighbours.
    scale
        "normal-scores" (ranks; the information is the same, and tails do no harm), "standard" or "none".
    correct
        Take off the bias that can be seen, :mod:`~simengine.diagnostics.continuous.pipeline`; False gives the
        textbook value.
    reliability
        Run the subsample protocol, :mod:`~simengine.diagnostics.reliability`.
    queries
        How many of the samples ask for their neighbours (among all): less work, the same expectation, and the
        larger error is told.
    shuffles
        How often one variable is shuffled for the null of neighbour estimators; those of counts and of normal
        variables have theirs in closed form.
    seed
        Of queries, parts and shuffles.
    threads
        Number of threads; no value depends on it.

    Returns
    -------
    estimate
        In ``details``: ``k``, ``local`` (one value for each sample), ``uncorrected``, ``subtracted_bias``,
        ``extrapolated`` and ``parts`` of the protocol.

    Raises
    ------
    InputError
        If samples or options are no good.
    """
    checked_unit(unit)
    _check_name(estimator, "mutual_information")
    options = Options(k, scale, correct, reliability, queries, shuffles, seed, threads)
    sizes = _sizes(states, 2)
    found = samples(x, y, data=data, dim=dim, components=components, names=("x", "y"))
    blocks, outside = _binned(found, ("x", "y"), bins, range)
    return _together([_mutual(a, b, estimator, sizes, options) for a, b in blocks], blocks, outside, 2).to(unit)


def conditional_mutual_information(
    x: Any, y: Any, given: Any, *, estimator: str = AUTO, unit: str = "nat", data: Any = None, dim: Dims = None,
    components: str | None = None, states: Any = None, bins: Any = None, range: Any = None, k: int = 4,
    scale: str = margins.NORMAL_SCORES, correct: bool = True, reliability: bool = True,
    queries: int | None = None, shuffles: int = 0, seed: int = 0, threads: int = 1,
) -> Estimate:  # fmt: skip
    """Estimate the mutual information of x and y given a third variable.

    Parameters
    ----------
    x, y, given
        Samples, see :mod:`~simengine.diagnostics.samples`. All labels are counted, all numbers go to
        "frenzel-pompe" (2007). Numbers given labels are taken label by label, as :func:`mutual_information` would.
    estimator
        Of labels: one of :func:`~simengine.diagnostics.counts.entropies.entropy_from_counts`. Of numbers:
        "frenzel-pompe", "gaussian" or "copula". Of numbers given labels: as in :func:`mutual_information`.
    unit, data, dim, components, states, bins, range, k, scale, correct, reliability, queries, shuffles, seed, threads
        As in :func:`mutual_information`; ``states`` are three numbers, ``bins`` names "x", "y" and "given". The
        null of ``shuffles`` permutes x among neighbours in ``given``.
    """
    checked_unit(unit)
    _check_name(estimator, "conditional_mutual_information")
    options = Options(k, scale, correct, reliability, queries, shuffles, seed, threads)
    sizes = _sizes(states, 3)
    names = ("x", "y", "given")
    found = samples(x, y, given, data=data, dim=dim, components=components, names=names)
    blocks, outside = _binned(found, names, bins, range)
    estimates = [_conditional(a, b, c, estimator, sizes, options) for a, b, c in blocks]
    return _together(estimates, blocks, outside, 2).to(unit)


def joint_entropy(
    *variables: Any, estimator: str = AUTO, unit: str = "nat", data: Any = None, dim: Dims = None,
    components: str | None = None, bins: Any = None, range: Any = None, k: int = 4, reliability: bool = True,
    seed: int = 0,
) -> Estimate:  # fmt: skip
    """Estimate the entropy of several variables together, all of labels or all of numbers; see :func:`entropy`."""
    checked_unit(unit)
    _check_name(estimator, "joint_entropy")
    Options(k, reliability=reliability, seed=seed)
    if not variables:
        raise InputError("joint_entropy needs at least one variable")
    names = tuple(f"variable {number}" for number, _ in enumerate(variables))
    found = samples(*variables, data=data, dim=dim, components=components, names=names)
    blocks, outside = _binned(found, names, bins, range)

    def one(parts: tuple[Array, ...]) -> Estimate:
        labels = [is_discrete(part) for part in parts]
        if all(labels) and (estimator == AUTO or estimator in COUNTED):
            return joint_entropy_of_symbols(*parts, estimator=_GRASSBERGER if estimator == AUTO else estimator)
        if any(labels) and estimator == AUTO:
            raise InputError("joint_entropy: labels and numbers together have no entropy of one kind; give bins=")
        numbers = np.hstack([_numbers(part, name) for part, name in zip(parts, names, strict=True)])
        return entropy(numbers, estimator=estimator, k=k, reliability=reliability, seed=seed)

    return _together([one(parts) for parts in blocks], blocks, outside, len(names), every=False).to(unit)


def conditional_entropy(
    x: Any, given: Any, *, estimator: str = AUTO, unit: str = "nat", data: Any = None, dim: Dims = None,
    components: str | None = None, bins: Any = None, range: Any = None, k: int = 4, reliability: bool = True,
    seed: int = 0,
) -> Estimate:  # fmt: skip
    """Estimate the entropy of x given another variable.

    Labels are counted. For numbers x it is the differential entropy less the mutual information, so that their
    biases do not add up, each as :func:`entropy` and :func:`mutual_information` take it ("auto" only).
    """
    checked_unit(unit)
    _check_name(estimator, "conditional_entropy")
    Options(k, reliability=reliability, seed=seed)
    names = ("x", "given")
    found = samples(x, given, data=data, dim=dim, components=components, names=names)
    blocks, outside = _binned(found, names, bins, range)

    def one(a: Array, b: Array) -> Estimate:
        if is_discrete(a) and is_discrete(b):
            name = _GRASSBERGER if estimator == AUTO else estimator
            return conditional_entropy_of_symbols(_labels(a), _labels(b), estimator=name)
        if estimator != AUTO:
            raise InputError(f"conditional_entropy: estimator {estimator!r} counts labels; numbers need bins=, or auto")
        whole = entropy(a, k=k, reliability=reliability, seed=seed)
        shared = mutual_information(a, b, k=k, reliability=reliability, seed=seed)
        value = float(whole.value) - float(shared.value)
        error = math.hypot(float(whole.standard_error), float(shared.standard_error))
        interval = information_interval if is_discrete(a) else normal_interval
        return Estimate(
            value, error, interval(value, error), n=len(a), method=f"{whole.method} - {shared.method}",
            flags=tuple(sorted({*whole.flags, *shared.flags})),
            details={"entropy": float(whole.value), "mutual_information": float(shared.value)},
        )  # fmt: skip

    return _together([one(a, b) for a, b in blocks], blocks, outside, 1).to(unit)


def _mutual(a: Array, b: Array, estimator: str, states: list[int | None] | None, options: Options) -> Estimate:
    """One estimate of mutual information."""
    discrete = is_discrete(a), is_discrete(b)
    name = estimator
    if name == AUTO:
        if all(discrete):
            name = _MILLER_MADOW
        elif any(discrete):
            name = "ross"
        elif a.shape[1] + b.shape[1] > MOST_DIMENSIONS:
            return doubted(linear_mutual_information(_numbers(a, "x"), _numbers(b, "y"), copula=True), "high_dimension")
        else:
            name = "atom-aware" if _has_atoms(a) or _has_atoms(b) else "ksg-1"
    if name in COUNTED:
        if not all(discrete):
            _fractions(a)
        return mutual_information_of_symbols(_labels(a), _labels(b), estimator=name, states=states)
    if name == "ross":
        if discrete[0] == discrete[1]:
            raise InputError("ross: one of x and y holds labels, the other numbers; here both are of one kind")
        labels, numbers, word = (a, b, "y") if discrete[0] else (b, a, "x")
        return labelled_mutual_information(_numbers(numbers, word), encode(_labels(labels))[0], options)
    neighbours = neighbour_mutual_information
    estimators: dict[str, Callable[[Array, Array], Estimate]] = {
        "ksg-1": lambda x, y: neighbours(x, y, options, "ksg-1"),
        "ksg-2": lambda x, y: neighbours(x, y, options, "ksg-2"),
        "gao": lambda x, y: neighbours(x, y, options, "gao"),
        "atom-aware": lambda x, y: atom_aware_mutual_information(x, y, options),
        "gaussian": lambda x, y: linear_mutual_information(x, y, copula=False),
        "copula": lambda x, y: linear_mutual_information(x, y, copula=True),
    }
    known = {**estimators, "ross": _fractions, **dict.fromkeys(COUNTED, _fractions)}
    choose(known, name, "mutual_information")
    return estimators[name](_numbers(a, "x"), _numbers(b, "y"))


def _conditional(
    a: Array, b: Array, c: Array, estimator: str, states: list[int | None] | None, options: Options
) -> Estimate:
    """One estimate of conditional mutual information."""
    discrete = is_discrete(a), is_discrete(b), is_discrete(c)
    if all(discrete) and (estimator == AUTO or estimator in COUNTED):
        name = _MILLER_MADOW if estimator == AUTO else estimator
        parts = [_labels(part) for part in (a, b, c)]
        return mutual_information_of_symbols(*parts[:2], given=parts[2], estimator=name, states=states)
    if discrete[2] and not all(discrete):
        return _by_label(a, b, encode(_labels(c))[0], estimator, options)
    if any(discrete) and estimator == AUTO:
        raise InputError(
            "conditional_mutual_information: labels beside numbers given numbers; give numbers for the labels, or bins="
        )
    estimators: dict[str, Callable[[Array, Array, Array], Estimate]] = {
        "frenzel-pompe": lambda x, y, z: neighbour_conditional_information(x, y, z, options),
        "gaussian": lambda x, y, z: linear_conditional_information(x, y, z, copula=False),
        "copula": lambda x, y, z: linear_conditional_information(x, y, z, copula=True),
    }
    known = {**estimators, **dict.fromkeys(COUNTED, _fractions)}
    high = a.shape[1] + b.shape[1] + c.shape[1] > MOST_DIMENSIONS
    name = ("copula" if high else "frenzel-pompe") if estimator == AUTO else estimator
    choose(known, name, "conditional_mutual_information")
    if name in COUNTED:
        _fractions(a)
    found = estimators[name](_numbers(a, "x"), _numbers(b, "y"), _numbers(c, "given"))
    return doubted(found, "high_dimension") if high and estimator == AUTO else found


def _by_label(a: Array, b: Array, labels: NDArray[np.int64], estimator: str, options: Options) -> Estimate:
    """The mean over labels of the mutual information among the samples of each."""
    n = len(a)
    value, variance, null_mean, null_variance, left_out = 0.0, 0.0, 0.0, 0.0, 0.0
    doubtful: dict[str, float] = {}
    inside, methods = np.zeros(int(labels.max()) + 1), set()
    for label in range(int(labels.max()) + 1):
        rows = np.flatnonzero(labels == label)
        share = len(rows) / n
        if len(rows) <= 4 * options.k:
            left_out += share
            continue
        one = _mutual(a[rows], b[rows], estimator, None, options)
        inside[label] = float(one.value)
        value += share * float(one.value)
        variance += share**2 * float(one.standard_error) ** 2
        null_mean += share * float(one.null_mean)
        null_variance += share**2 * float(one.null_sd) ** 2
        doubtful |= {flag: doubtful.get(flag, 0.0) + share for flag in one.flags}
        methods.add(one.method)
    spread = float(inside[labels].var()) if np.isfinite(inside).all() else math.nan
    error = math.sqrt(variance + spread / n)
    # What is doubtful of a few samples only does not make all of it so, however many labels they are spread over.
    flags = [flag for flag, share in doubtful.items() if share > 0.05]
    if not methods:
        value = error = null_mean = math.nan
    return Estimate(
        value, error, information_interval(value, error), null_mean, math.sqrt(null_variance), n=n,
        method=" and ".join(sorted(methods)) + " by label",
        flags=flagged("few_samples" if left_out > 0.01 else None, *flags),
        null="x and y independent given the label" if not math.isnan(null_mean) else "", details={"by_label": inside},
    )  # fmt: skip


def _counted(points: Array, estimator: str, states: int | None) -> Estimate:
    symbols, seen = encode(_labels(points))
    counts = np.bincount(symbols, minlength=seen)
    found = entropy_from_counts(counts, estimator=estimator, states=states)
    if states is not None:
        return found
    # More states than were seen may be possible.
    return replace(found, interval=normal_interval(found.value, found.standard_error, lowest=0.0))


def _has_atoms(points: Array) -> bool:
    return margins.atom_share(points) > 0.0


def _labels(points: Array) -> Array:
    return points[:, 0] if points.shape[1] == 1 else points


def _numbers(points: Array, word: str) -> NDArray[np.float64]:
    if points.dtype.kind not in "biuf":
        raise InputError(f"{word} holds texts; this estimator needs numbers")
    return np.ascontiguousarray(points, np.float64)


def _fractions(*_: Array) -> Estimate:
    raise InputError("estimators of counts need labels; numbers have fractions: give whole numbers, or bins=")


def _sizes(states: Any, variables: int) -> list[int | None] | None:
    if states is None:
        return None
    several = isinstance(states, list | tuple | np.ndarray)
    sizes = list(states) if several else [states] * variables
    if len(sizes) != variables:
        raise InputError(f"states has {len(sizes)} numbers; expected one, or {variables}, one for each variable")
    return [None if one is None else checks.whole(one, "states", 1, MOST_STATES) for one in sizes]


def _check_name(estimator: Any, what: str) -> None:
    """Refuse what cannot be the name of an estimator; which names fit depends on the data."""
    if not isinstance(estimator, str):
        raise InputError(f"{what}: estimator is {estimator!r}; expected the name of one")


def _binned(blocks: Blocks, names: tuple[str, ...], bins: Any, range: Any) -> tuple[Blocks, bool]:
    """Turn numbers into bins, where there are any; and whether values lie outside of these."""
    if bins is None:
        if range is not None:
            raise InputError("range= belongs to bins=, the number of bins")
        return blocks, False
    for what, option in (("bins", bins), ("range", range)):
        if isinstance(option, Mapping) and not set(option) <= set(names):
            raise InputError(f"{what} names {', '.join(map(str, option))}; the variables are {', '.join(names)}")
    arrays, beyond = [], 0
    all_whole = all(array.dtype.kind in "iu" for array in blocks.arrays)
    for array, name in zip(blocks.arrays, names, strict=True):
        own = bins.get(name) if isinstance(bins, Mapping) else bins
        # One number of bins for all is not meant for labels beside numbers, unless these are whole numbers too.
        whole = array.dtype.kind in "iu" and (isinstance(bins, Mapping) or all_whole)
        if own is None or (is_discrete(array) and not whole):
            arrays.append(array)
            continue
        symbols, outside = binned(
            array.astype(np.float64), own, range.get(name) if isinstance(range, Mapping) else range, name
        )
        arrays.append(symbols)
        beyond += outside
    return replace(blocks, arrays=tuple(arrays)), beyond > 0


def _together(
    estimates: list[Estimate], blocks: Blocks, outside: bool, compared: int, *, every: bool = True
) -> Estimate:
    """Put the estimates of all batches together; ``compared`` variables hang together, ``every`` one or any."""
    if outside:
        estimates = [doubted(one, "outside_range") for one in estimates]
    found = []
    for one, parts in zip(estimates, blocks, strict=True):
        memory = [correlation(part, is_discrete(part)) for part in parts[:compared]]
        flag = serial_flag(*memory) if every else serial_flag(max(memory, key=abs))
        found.append(doubted(one, flag) if flag else one)
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)
