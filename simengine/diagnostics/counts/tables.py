"""From values and labels to symbols 0, 1, ..., and from symbols to tables of joint counts.

A joint table of up to 2^20 cells is dense. Of larger ones only the cells that were seen are kept, sorted by their
packed symbols, so that their size is that of the sample and no order of the samples shows. Tables of parts of the data
add up exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.checks import whole
from simengine.diagnostics.counts.counting import count_in_bins, count_symbols, number_labels, place_in_bins
from simengine.diagnostics.counts.entropies import MOST_STATES, entropy_from_counts, kind_of
from simengine.diagnostics.equal_bins import equal_edges
from simengine.diagnostics.estimate import Estimate, checked_unit, doubted
from simengine.diagnostics.samples import LARGEST, as_array, checked_values
from simengine.errors import InputError

Symbols = NDArray[np.int64]
Counts = NDArray[np.int64]
Edges = NDArray[np.float64]

DENSE = 1 << 20
"""The greatest number of cells of a dense table."""

MOST_BINS = 1 << 24
"""The greatest number of bins: their edges and counts are kept."""

CAP = 1 << 22
"""The greatest number of cells that a sparse table keeps by default."""

_PACKED = 1 << 62


@dataclass(frozen=True, eq=False)
class JointTable:
    """How often each combination of states was seen.

    Attributes
    ----------
    shape
        Number of states of each variable.
    cells
        Packed symbols of the cells, ascending, in row-major order (the last variable runs fastest); None if dense.
    counts
        How often each cell was seen, int64: all cells if dense, shape (product of ``shape``,), else those seen.
    lost
        Number of samples in cells that were left out because the table was full: the rarest cells go first, of
        equally rare ones the last.
    """

    shape: tuple[int, ...]
    cells: Symbols | None
    counts: Counts
    lost: int = 0

    @property
    def n(self) -> int:
        """Number of samples in the table."""
        return int(self.counts.sum())

    @property
    def flag(self) -> str | None:
        """``"table_overflow"`` if cells were left out."""
        return "table_overflow" if self.lost else None

    def dense(self) -> Counts:
        """The counts as an array of shape ``shape``; only of a dense table."""
        if self.cells is not None:
            raise InputError(
                f"a table of shape {self.shape} is too large to be laid out; it has {self.counts.size} cells"
            )
        return self.counts.reshape(self.shape)

    def marginal(self, axes: Sequence[int]) -> JointTable:
        """The table of some of the variables, in the order of ``axes``."""
        axes = [_axis(one, len(self.shape)) for one in axes]
        shape = tuple(self.shape[one] for one in axes)
        if self.cells is None:
            others = tuple(one for one in range(len(self.shape)) if one not in axes)
            kept = sorted(axes)
            summed = self.counts.reshape(self.shape).sum(axis=others) if others else self.counts.reshape(self.shape)
            arranged = np.transpose(summed, [kept.index(one) for one in axes]) if axes else summed
            return JointTable(shape, None, np.ascontiguousarray(arranged, dtype=np.int64).ravel(), self.lost)
        strides = _strides(self.shape)
        parts = [(self.cells // strides[one]) % self.shape[one] for one in axes]
        return _gathered(_packed(parts, shape), self.counts, shape, self.lost, CAP)

    def merge(self, other: JointTable, cap: int = CAP) -> JointTable:
        """The table of both samples."""
        if self.shape != other.shape:
            raise InputError(f"tables of shapes {self.shape} and {other.shape} cannot be merged")
        lost = self.lost + other.lost
        if self.cells is None or other.cells is None:
            return JointTable(self.shape, None, self.counts + other.counts, lost)
        keys, counts = np.concatenate((self.cells, other.cells)), np.concatenate((self.counts, other.counts))
        return _gathered(keys, counts, self.shape, lost, cap)


def joint_table(*variables: Any, states: Sequence[int | None] | None = None, cap: int = CAP) -> JointTable:
    """Count the joint states of variables, each of shape (n,), or (n, d) for a vector whose rows are its states.

    Parameters
    ----------
    variables
        Labels of any type (whole numbers, truth values, texts). Where ``states`` says how many states a variable
        has, its values are the symbols 0 ... states - 1.
    states
        Number of states of each variable; None where they are those that occur.
    cap
        The most cells that a table of more than 2^20 possible ones keeps.
    """
    if not variables:
        raise InputError("a joint table needs at least one variable")
    declared = [None] * len(variables) if states is None else list(states)
    if len(declared) != len(variables):
        raise InputError(f"states has {len(declared)} numbers for {len(variables)} variables")
    pairs = [
        encode(one, number, f"variable {i}") for i, (one, number) in enumerate(zip(variables, declared, strict=True))
    ]
    sizes = {len(symbols) for symbols, _ in pairs}
    if len(sizes) > 1:
        raise InputError(f"the numbers of samples differ: {', '.join(str(len(symbols)) for symbols, _ in pairs)}")
    shape = tuple(number for _, number in pairs)
    keys = _packed([symbols for symbols, _ in pairs], shape)
    if _product(shape) <= DENSE:
        return JointTable(shape, None, count_symbols(keys, _product(shape)))
    return _gathered(keys, None, shape, 0, cap)


def encode(labels: Any, states: int | None = None, word: str = "labels") -> tuple[Symbols, int]:
    """Return symbols 0, 1, ... of shape (n,) in the sorted order of the labels, and how many states there are.

    Parameters
    ----------
    labels
        Shape (n,), or (n, d) for vectors, of whole numbers, truth values or texts.
    states
        Where given, the labels are symbols already, and are only checked to lie in 0 ... states - 1.
    word
        What the labels are called in messages.
    """
    array = checked_values(labels, word, discrete=True)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or array.size == 0:
        raise InputError(f"{word} has shape {array.shape}; expected labels of shape (n,) or (n, d), n at least 1")
    if array.ndim == 2:
        if states is not None:
            raise InputError(f"{word} is a vector of {array.shape[1]} components; states= is for one of whole numbers")
        columns = [encode(array[:, column], None, word) for column in range(array.shape[1])]
        keys = _packed([symbols for symbols, _ in columns], tuple(number for _, number in columns))
        return _numbered(keys)
    if states is not None:
        return _declared(array, states, word), int(states)
    if array.dtype.kind in "biu" and not (array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max):
        return _numbered(np.ascontiguousarray(array, dtype=np.int64))
    kept, symbols = np.unique(array.astype(str) if array.dtype.kind == "O" else array, return_inverse=True)
    return symbols.astype(np.int64), int(kept.size)


def bin_edges(bins: Any, range: tuple[float, float] | None = None) -> Edges:
    """Return the edges of bins, shape (K + 1,): ``bins`` as it is, or that many equal ones over ``range``.

    A number of bins needs a range: edges that follow the data make numbers that cannot be compared or merged.
    """
    given = as_array(bins, "bins")
    if given.ndim == 0:
        if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or not 1 <= bins <= MOST_BINS:
            raise InputError(
                f"bins is {bins!r}; expected edges, or a whole number of at least 1 and at most {MOST_BINS} with range"
            )
        if range is None:
            raise InputError(f"bins={int(bins)} needs range=(low, high): bins are declared, never taken from the data")
        low, high = _ends(range)
        found: Edges = equal_edges(low, high, int(bins))
        if not (np.diff(found) > 0.0).all():
            raise InputError(f"range is {low!r} to {high!r}, too narrow for {int(bins)} bins")
        return found
    if range is not None:
        raise InputError("range= belongs to a number of bins; here bins holds the edges")
    if given.dtype.kind not in "iuf":
        raise InputError("bins holds no numbers; expected edges, or their number with range=(low, high)")
    edges = np.ascontiguousarray(given, dtype=np.float64)
    if edges.ndim != 1 or edges.size < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0.0).all():
        raise InputError("bins are edges: at least two finite numbers that rise")
    return edges


def _ends(range: Any) -> tuple[float, float]:
    """Return the two ends of a range of less than LARGEST, so that its width is a number."""
    ends = as_array(range, "range")
    if ends.shape != (2,) or ends.dtype.kind not in "iuf":
        raise InputError(f"range is {range!r}; expected (low, high)")
    low, high = float(ends[0]), float(ends[1])
    if not -LARGEST < low < high < LARGEST:
        raise InputError(f"range is {low:g} to {high:g}; expected two finite numbers that rise, below {LARGEST:g}")
    return low, high


def binned(
    values: Any, bins: Any, range: tuple[float, float] | None = None, word: str = "values"
) -> tuple[Symbols, int]:
    """Return the bin of each value, in the shape of ``values``, and how many values lie outside (in the end bins).

    Bins are closed on the left, the last one on both sides. For the flag: ``"outside_range" if outside else None``.
    """
    edges = bin_edges(bins, range)
    array = checked_values(values, word, discrete=False)
    symbols, outside = place_in_bins(np.ascontiguousarray(array).ravel(), edges)
    return symbols.reshape(array.shape), int(outside)


def histogram(
    values: Any, bins: Any, range: tuple[float, float] | None = None, word: str = "values"
) -> tuple[Counts, int]:
    """Return how many values each bin holds, shape (K,), and how many lie outside; see :func:`binned`."""
    edges = bin_edges(bins, range)
    array = as_array(values, word)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{word} holds {array.dtype}; expected numbers")
    flat = np.ascontiguousarray(array, dtype=np.float64).ravel()
    counts, outside = count_in_bins(flat, edges)
    # What is no finite number lies outside, so that a second look is seldom needed.
    if outside and not np.isfinite(flat).all():
        checked_values(flat, word, discrete=False)
    return counts, int(outside)


def histogram_entropy(
    values: Any, *, bins: Any, range: tuple[float, float] | None = None, estimator: str = "grassberger",
    unit: str = "nat",
) -> Estimate:  # fmt: skip
    """Estimate the entropy of the bin that a value falls into; all of ``values`` is one sample.

    The null is that all bins are equally likely. Flag ``outside_range`` if values lie outside the bins.
    """
    checked_unit(unit)
    kind_of(estimator)
    counts, outside = histogram(values, bins, range)
    found = entropy_from_counts(counts, estimator=estimator, unit=unit)
    return doubted(found, "outside_range" if outside else None)


def _declared(array: NDArray[Any], states: int, word: str) -> Symbols:
    whole(states, f"states of {word}", 1, MOST_STATES)
    if array.dtype.kind not in "biu":
        raise InputError(f"{word} holds {array.dtype}; with states={states} it holds the symbols 0 to {states - 1}")
    symbols = np.ascontiguousarray(array, dtype=np.int64)
    low, high = int(symbols.min()), int(symbols.max())
    if low < 0 or high >= states:
        raise InputError(f"{word} holds {low if low < 0 else high}; with states={states} it holds 0 to {states - 1}")
    return symbols


def _numbered(labels: Symbols) -> tuple[Symbols, int]:
    low, high = int(labels.min()), int(labels.max())
    if high - low < max(4 * labels.size, 1024):
        symbols, kept = number_labels(labels, low, high - low + 1)
    else:
        kept, symbols = np.unique(labels, return_inverse=True)
    return symbols.astype(np.int64, copy=False), int(kept.size)


def _product(shape: Sequence[int]) -> int:
    found = 1
    for one in shape:
        found *= int(one)
    return found


def _strides(shape: Sequence[int]) -> list[int]:
    return [_product(shape[axis + 1 :]) for axis in range(len(shape))]


def _packed(symbols: Sequence[Symbols], shape: Sequence[int]) -> Symbols:
    """Return one number for each row of symbols, in row-major order."""
    if _product(shape) >= _PACKED:
        raise InputError(f"variables with {' x '.join(map(str, shape))} states have too many combinations to number")
    found = np.zeros(len(symbols[0]), np.int64) if symbols else np.zeros(0, np.int64)
    for one, number in zip(symbols, shape, strict=True):
        found = found * number + one
    return found


def _gathered(keys: Symbols, weights: Counts | None, shape: tuple[int, ...], lost: int, cap: int) -> JointTable:
    """Return the table of packed symbols that come ``weights`` times each; sparse unless it is small."""
    if _product(shape) <= DENSE:
        counts = np.zeros(_product(shape), np.int64)
        np.add.at(counts, keys, 1 if weights is None else weights)
        return JointTable(shape, None, counts, lost)
    if weights is None:
        cells, counts = np.unique(keys, return_counts=True)
    else:
        cells, where = np.unique(keys, return_inverse=True)
        counts = np.zeros(cells.size, np.int64)
        np.add.at(counts, where, weights)
    counts = counts.astype(np.int64, copy=False)
    if cells.size > cap:
        kept = np.sort(np.lexsort((cells, -counts))[:cap])
        lost += int(counts.sum() - counts[kept].sum())
        cells, counts = cells[kept], counts[kept]
    return JointTable(shape, cells, counts, lost)


def _axis(axis: int, dims: int) -> int:
    if not -dims <= axis < dims:
        raise InputError(f"a table of {dims} variables has no axis {axis}")
    return axis % dims
