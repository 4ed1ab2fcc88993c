"""Which estimator to take: every one is tried on the data, and its doubts say why it is not to be taken.

The validity of an estimator is what its flags say, so that this module has no rules of its own: an estimator is valid
for data that raise no flag.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, overload

import numpy as np

from simengine.diagnostics.continuous import margins
from simengine.diagnostics.counts.entropies import ESTIMATORS as COUNTED
from simengine.diagnostics.counts.tables import joint_table
from simengine.diagnostics.estimate import Estimate
from simengine.diagnostics.flags import FLAGS
from simengine.diagnostics.information import AUTO, conditional_mutual_information, entropy, mutual_information
from simengine.diagnostics.samples import Array, Dims, is_discrete, samples
from simengine.errors import InputError

QUERIES = 5000
"""Samples that ask for their neighbours: enough to tell which estimator to take."""

LINEAR = ("gaussian", "copula")
OF_NUMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "entropy": ("kozachenko-leonenko", "gaussian"),
        "mutual_information": ("ksg-1", "ksg-2", "atom-aware", "gao", "ross", *LINEAR),
        "conditional_mutual_information": ("frenzel-pompe", *LINEAR),
    }
)
"""Estimators of each quantity beside those that count."""

USES: Mapping[str, str] = MappingProxyType(
    {
        "grassberger": "counts of states, corrected for the number of samples; the best default of labels",
        "plug-in": "counts of states, not corrected: for many samples of each state",
        "miller-madow": "counts of states, corrected to first order: for many samples of each state",
        "grassberger-1988": "counts of states, the older correction",
        "chao-shen": "counts of states, corrected for those not seen",
        "james-stein": "counts of states, shrunk towards even shares; where the number of states is known",
        "nsb": "counts of states, Bayesian; where the number of states is known",
        "kozachenko-leonenko": "distances of nearest neighbours; any smooth density in few dimensions",
        "ksg-1": "nearest neighbours; any smooth dependence in few dimensions",
        "ksg-2": "nearest neighbours, less bias and more scatter than ksg-1",
        "gao": "nearest neighbours that count ties; consistent, but slow to get there",
        "atom-aware": "counts for what sits on exact values, nearest neighbours for the rest",
        "ross": "nearest neighbours of numbers within each label",
        "frenzel-pompe": "nearest neighbours; any smooth dependence in few dimensions",
        "gaussian": "correlations; jointly normal variables in any number of dimensions",
        "copula": "correlations of normal scores; monotone functions of jointly normal variables",
    }
)
"""What an estimator reads from the data, and what it is for."""


@dataclass(frozen=True)
class Advice:
    """An estimator on these data.

    ``valid`` if it raises no flag, ``why`` in words; ``estimate`` is None where it cannot take such data at all.
    """

    estimator: str
    valid: bool
    flags: tuple[str, ...]
    why: str
    estimate: Estimate | None = None


class Recommendations(Sequence[Advice]):
    """What is advised, the best first: what ``estimator="auto"`` takes, then others that are valid, then the rest.

    ``quantity`` is the function that they are for, and ``data`` says in words what was seen.
    """

    def __init__(self, quantity: str, data: str, advice: Sequence[Advice]):
        self.quantity = quantity
        self.data = data
        self._advice = tuple(advice)

    @property
    def best(self) -> Advice:
        """The first: the one that ``estimator="auto"`` takes."""
        return self._advice[0]

    @property
    def valid(self) -> list[str]:
        """Names of the estimators that may be taken."""
        return [one.estimator for one in self._advice if one.valid]

    def __len__(self) -> int:
        return len(self._advice)

    def __iter__(self) -> Iterator[Advice]:
        return iter(self._advice)

    @overload
    def __getitem__(self, index: int) -> Advice: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Advice]: ...

    def __getitem__(self, index: int | slice) -> Advice | Sequence[Advice]:
        return self._advice[index]

    def __repr__(self) -> str:
        width = max(len(one.estimator) for one in self._advice)
        lines = [f"{self.quantity} of {self.data}"]
        tried = [one for one in self._advice if one.estimate is not None]
        for one in tried:
            mark, auto = "yes" if one.valid else "no ", "  (auto)" if one is self.best else ""
            value = "" if one.estimate is None else f"{float(one.estimate.value):9.4g}"
            lines.append(f"  {mark}  {one.estimator:{width}} {value}{auto}  {one.why}")
        refused: dict[str, list[str]] = {}
        for one in self._advice:
            if one.estimate is None:
                refused.setdefault(one.why, []).append(one.estimator)
        lines += [f"  no   {', '.join(names)}: {why}" for why, names in refused.items()]
        return "\n".join(lines)


def recommend(
    x: Any, y: Any = None, *, given: Any = None, data: Any = None, dim: Dims = None, components: str | None = None,
    k: int = 4, seed: int = 0,
) -> Recommendations:  # fmt: skip
    """Say which estimators may be taken for these data, and why the others may not.

    Of one variable the quantity is its entropy, of two their mutual information, with ``given`` the conditional one.

    Parameters
    ----------
    x, y, given
        Samples, see :mod:`~simengine.diagnostics.samples`, without a batch.
    data, dim, components, k, seed
        As of :func:`~simengine.diagnostics.information.mutual_information`.

    Returns
    -------
    recommendations
        Printed as a table; the first is what ``estimator="auto"`` takes.

    Raises
    ------
    InputError
        If samples are no good, or come in batches.
    """
    if y is None and given is not None:
        raise InputError("given= needs two variables before it: recommend(x, y, given=z)")
    variables = {name: one for name, one in (("x", x), ("y", y), ("given", given)) if one is not None}
    blocks = samples(*variables.values(), data=data, dim=dim, components=components, names=tuple(variables))
    if blocks.batch:
        raise InputError(f"the data have a batch of shape {blocks.batch}; recommend takes one sample of it")
    arrays = blocks.arrays
    function = (entropy, mutual_information, conditional_mutual_information)[len(arrays) - 1]
    quantity = function.__name__
    options: dict[str, Any] = {"k": k, "seed": seed, "queries": QUERIES if len(arrays[0]) > QUERIES else None}

    def tried(name: str) -> Estimate | InputError:
        try:
            with np.errstate(all="ignore"):
                return function(*arrays, estimator=name, **options)
        except InputError as error:
            return error

    auto = tried(AUTO)
    if isinstance(auto, InputError):
        raise auto
    first = auto.method.removesuffix(" by label").split(" and ")[0]
    takes, refused = _by_kind(quantity, [is_discrete(one) for one in arrays])
    found = [_advice(name, tried(name), auto.flags if name == first else ()) for name in takes]
    ordered = sorted(found, key=lambda one: (one.estimator != first, not one.valid, one.estimate is None))
    ordered += [Advice(name, False, (), why) for name, why in refused.items()]
    words = [_seen(one, name) for one, name in zip(arrays, variables, strict=True)]
    return Recommendations(quantity, f"{len(arrays[0])} samples of {', '.join(words)}", ordered)


def _by_kind(quantity: str, labels: Sequence[bool]) -> tuple[list[str], dict[str, str]]:
    """Names of the estimators that take such variables, and why the others do not; ``labels`` of each variable."""
    if quantity == "conditional_mutual_information" and labels[2] and not all(labels):
        # Label by label.
        quantity, labels = "mutual_information", labels[:2]
    numbers = [name for name in OF_NUMBERS[quantity] if name != "ross"]
    ross = ["ross"] if quantity == "mutual_information" else []
    need_labels = "counts labels; numbers have to be put into bins: bins="
    need_numbers = "takes numbers, not labels"
    if all(labels):
        return list(COUNTED), dict.fromkeys([*numbers, *ross], need_numbers)
    if any(labels):
        return ross, dict.fromkeys(COUNTED, need_labels) | dict.fromkeys(numbers, need_numbers)
    refused = dict.fromkeys(ross, "takes numbers on one side and labels on the other")
    return numbers, refused | dict.fromkeys(COUNTED, need_labels)


def _advice(name: str, found: Estimate | InputError, of_auto: Sequence[str]) -> Advice:
    if isinstance(found, InputError):
        return Advice(name, False, (), str(found))
    if found.flags:
        return Advice(name, False, found.flags, "; ".join(f"{flag}: {FLAGS[flag]}" for flag in found.flags), found)
    extra = [flag for flag in of_auto if flag not in found.flags]
    besides = "".join(f"; auto also says {flag}: {FLAGS[flag]}" for flag in extra)
    return Advice(name, True, (), USES.get(name, name) + besides, found)


def _seen(points: Array, name: str) -> str:
    """Describe the values of a variable."""
    if is_discrete(points):
        counts = joint_table(points[:, 0] if points.shape[1] == 1 else points).counts
        once = int(np.count_nonzero(counts == 1))
        seen = int(np.count_nonzero(counts))
        return f"{name} (labels, {seen} states{f', {once} of them seen once' if once else ''})"
    numbers = np.asarray(points, dtype=np.float64)
    held, repeated = margins.shares(numbers)
    size = "numbers" if points.shape[1] == 1 else f"vectors of {points.shape[1]}"
    words = [
        size,
        f"{100 * held:.0f} % on exact values" if held else "",
        f"{100 * repeated:.0f} % repeated" if repeated and not held else "",
        "whole: astype(int) makes them labels, to be counted"
        if repeated and (numbers == np.floor(numbers)).all()
        else "",
        "some very far out" if margins.heavy_tailed(numbers) else "",
        "constant" if not margins.varying(numbers).shape[1] else "",
    ]
    return f"{name} ({', '.join(word for word in words if word)})"
