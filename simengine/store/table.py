"""Rows in memory: checked, typed and buffered until they are written as one block per variable."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError, nearest
from simengine.store.layout import STEP_OF, Layout, Variable

_FIRST_ROWS = 64


class Column:
    """The buffered rows of one variable: an array of shape (capacity, *row shape)."""

    def __init__(self, variable: Variable, shape: tuple[int, ...], capacity: int) -> None:
        self.variable = variable
        self.name = variable.name
        self.dtype = variable.storage_dtype
        self.kind = self.dtype.kind
        self.fill = variable.fill_value
        self.shape = shape
        self.rows: NDArray[Any] = np.empty((capacity, *shape), self.dtype)
        # The first row with a missing value, and the first that held the fill value as a number.
        self._missing_from: int | None = None
        self._fill_from: int | None = None
        self._is_real = self.kind == "f" and shape == ()

    @property
    def missing(self) -> bool:
        """Whether some value was missing in any row so far, written ones included."""
        return self._missing_from is not None

    @property
    def held_fill(self) -> bool:
        """Whether some row so far held, as a number, the integer that marks missing values."""
        return self._fill_from is not None

    def put(self, index: int, value: Any) -> None:
        """Store one row; ``None`` stands for a missing one, masked entries of an array for missing values.

        Raises
        ------
        StoreError
            If the shape differs, the values do not fit the dtype without loss, or an integer that marks
            missing values was recorded as a number in a variable that also has missing rows.
        """
        if self._is_real and isinstance(value, float):
            self.rows[index] = value
            return
        if value is None:
            if self._fill_from is not None:
                raise self._ambiguous()
            if self._missing_from is None:
                self._missing_from = index
            self.rows[index] = self.fill
            return
        array = self.stored(index, value, self.shape)
        self.rows[index] = array.item() if self.kind == "O" and not self.shape else array

    def stored(self, index: int, value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return values of row ``index`` as they are stored, and remember which were missing.

        ``shape`` is that of the row, or of the block of it that is given. Errors as those of `put`.
        """
        array = np.asarray(value)
        if array.dtype != self.dtype or self.kind == "O":
            array = self._converted(array)
        if array.shape != shape:
            raise StoreError(f"variable {self.name!r} has rows of shape {shape}, got {array.shape}")
        absent = np.ma.getmaskarray(value) if isinstance(value, np.ma.MaskedArray) else np.False_
        if self._missing_from is None and absent.any():
            self._missing_from = index
        if self._fill_from is None and self.kind in "iu" and bool(((array == self.fill) & ~absent).any()):
            self._fill_from = index
        if self._fill_from is not None and self._missing_from is not None:
            raise self._ambiguous()
        if absent.any():
            array = np.where(absent, self.fill, array)
        return array.astype(self.dtype, copy=False)

    def mark_written(self, missing: bool, held_fill: bool) -> None:
        """Remember of rows that are no longer here whether they had missing values or held the fill value."""
        self._missing_from = -1 if missing else None
        self._fill_from = -1 if held_fill else None

    def forget_from(self, index: int) -> None:
        """Undo what `put` remembered of row ``index`` and all later ones."""
        if self._missing_from is not None and self._missing_from >= index:
            self._missing_from = None
        if self._fill_from is not None and self._fill_from >= index:
            self._fill_from = None

    def resize(self, capacity: int) -> None:
        """Make room for ``capacity`` rows, keeping those that are there."""
        rows = np.empty((capacity, *self.shape), self.dtype)
        rows[: len(self.rows)] = self.rows
        self.rows = rows

    def _converted(self, array: NDArray[Any]) -> NDArray[Any]:
        if self.kind == "O":
            return self._texts(array)
        if array.dtype.kind == "b" or (self.kind == "f" and array.dtype.kind in "fiu"):
            return array
        if array.dtype.kind in "iu" and self.kind in "iu" and self.variable.dtype != "bool":
            limits = np.iinfo(self.dtype)
            if array.size == 0 or (int(array.min()) >= limits.min and int(array.max()) <= limits.max):
                return array.astype(self.dtype)
            raise StoreError(
                f"variable {self.name!r} is {self.dtype}: {array.min()} to {array.max()} does not fit "
                f"{limits.min} to {limits.max}"
            )
        raise StoreError(f"variable {self.name!r} is {self.variable.dtype}, got {array.dtype} {_shown(array)}")

    def _texts(self, array: NDArray[Any]) -> NDArray[Any]:
        for text in array.flat:
            if not isinstance(text, str):
                raise StoreError(f"variable {self.name!r} is text, got {type(text).__name__} {text!r}")
            if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
                raise StoreError(f"variable {self.name!r} cannot hold {text!r}: NUL or lone surrogate")
        return array.astype(object)

    def _ambiguous(self) -> StoreError:
        return StoreError(
            f"variable {self.name!r} holds {self.fill}, which marks missing rows in {self.dtype}, and has "
            "such rows; choose a wider dtype"
        )


class Table:
    """Rows along one unlimited dimension, with their step numbers and times.

    Parameters
    ----------
    layout, dim
        The layout, and ``"time"`` or ``"snapshot_time"``.
    max_rows, max_bytes
        When either is reached the table is `full`; None for a table that grows without limit.
    """

    def __init__(self, layout: Layout, dim: str, max_rows: int | None = None, max_bytes: int | None = None) -> None:
        self.dim = dim
        variables = layout.of(dim)
        shapes = [layout.row_shape(variable) for variable in variables]
        self.row_bytes = row_bytes = 16 + sum(
            variable.storage_dtype.itemsize * int(np.prod(shape, dtype=np.int64))
            for variable, shape in zip(variables, shapes, strict=True)
        )
        limits = [limit for limit in (max_rows, max_bytes and max_bytes // row_bytes) if limit is not None]
        self._limit = max(1, min(limits)) if limits else None
        self._max_bytes = max_bytes
        # No room for large rows before the first one comes: they may all pass by.
        self._capacity = min(_FIRST_ROWS, (1 << 20) // row_bytes, self._limit or _FIRST_ROWS)
        axes = layout.axes()
        self._time = Column(axes[dim], (), self._capacity)
        self._step = Column(axes[STEP_OF[dim]], (), self._capacity)
        self._columns = [
            Column(variable, shape, self._capacity) for variable, shape in zip(variables, shapes, strict=True)
        ]
        self._names = frozenset(column.name for column in self._columns)
        self._texts = [column for column in self._columns if column.kind == "O"]
        self._text_bytes = 0
        self._last_step: int | None = None
        self.count = 0

    def add(self, step: int, time: float, row: Mapping[str, Any]) -> None:
        """Add one row; names that are absent (or None) are missing in it.

        Raises
        ------
        StoreError
            If a name is unknown, a shape or type differs, or the step is not later than the last; the row is
            then not there at all.
        """
        self._check_row(step, row)
        index = self.count
        if index == self._capacity:
            self._grow()
        try:
            for column in self._columns:
                column.put(index, row.get(column.name))
            self._time.put(index, time)
            self._step.put(index, step)
        except BaseException:
            for column in self._columns:
                column.forget_from(index)
            raise
        for column in self._texts:
            self._text_bytes += sum(map(len, np.asarray(column.rows[index]).flat))
        self._last_step = int(step)
        self.count = index + 1

    def _check_row(self, step: int, row: Mapping[str, Any]) -> None:
        if self._last_step is not None and step <= self._last_step:
            raise StoreError(f"step {step} along {self.dim!r} is not later than the last, {self._last_step}")
        if not row.keys() <= self._names:
            name = next(name for name in row if name not in self._names)
            raise StoreError(f"no variable {name!r} along {self.dim!r}{nearest(str(name), self._names)}")

    @contextmanager
    def passing(self, step: int, row: Mapping[str, Any]) -> Iterator[list[Column]]:
        """Let a row go by without keeping it: give the columns, whose `Column.stored` the values pass through.

        The table must be empty. If the context fails it is as if the row had never come; otherwise the rows to come
        follow it.

        Raises
        ------
        StoreError
            If a name is unknown or the step is not later than the last.
        """
        self._check_row(step, row)
        try:
            yield self._columns
        except BaseException:
            for column in self._columns:
                column.forget_from(self.count)
            raise
        self.continue_after(int(step), self.missing(), self.held_fills())

    @property
    def full(self) -> bool:
        """Whether the rows should be written before the next one is added."""
        if self._max_bytes is not None and self._text_bytes > self._max_bytes:
            return True
        return self._limit is not None and self.count >= self._limit

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all recorded rows by variable name, time and step included; views of the buffers."""
        return {column.name: column.rows[: self.count] for column in (self._time, self._step, *self._columns)}

    def missing(self) -> set[str]:
        """Return the variables of which some row was missing since the table began."""
        return {column.name for column in self._columns if column.missing}

    def held_fills(self) -> set[str]:
        """Return the variables that held, as a number, what would mark missing rows."""
        return {column.name for column in self._columns if column.held_fill}

    def clear(self) -> None:
        """Forget the rows; they were written."""
        self.continue_after(self._last_step, self.missing(), self.held_fills())
        self.count = 0
        self._text_bytes = 0

    def continue_after(self, last_step: int | None, missing: Collection[str], held_fills: Collection[str]) -> None:
        """Let the rows to come follow those that another table has written.

        Parameters
        ----------
        last_step
            Number of the last step written, None if there is none.
        missing, held_fills
            What `missing` and `held_fills` returned then.
        """
        self._last_step = last_step
        for column in self._columns:
            column.mark_written(column.name in missing, column.name in held_fills)

    def mark(self) -> tuple[int, int | None, int]:
        """Return where the table stands, for `rollback`."""
        return self.count, self._last_step, self._text_bytes

    def rollback(self, mark: tuple[int, int | None, int]) -> None:
        """Forget the rows that were added since ``mark``."""
        self.count, self._last_step, self._text_bytes = mark
        for column in self._columns:
            column.forget_from(self.count)

    def _grow(self) -> None:
        wanted = max(1, 2 * self._capacity)
        self._capacity = min(wanted, self._limit or wanted)
        for column in (self._time, self._step, *self._columns):
            column.resize(self._capacity)


def checked_static(layout: Layout, values: Mapping[str, Any]) -> tuple[dict[str, NDArray[Any]], set[str]]:
    """Return the values of static variables, checked like a row and copied, and the names with missing ones.

    Raises
    ------
    StoreError
        If a name is unknown, or a shape or type differs.
    """
    declared = {variable.name: variable for variable in layout.of("")}
    found = {}
    missing = set()
    for name, value in values.items():
        if name not in declared:
            raise StoreError(f"no static variable {name!r}{nearest(str(name), declared)}")
        column = Column(declared[name], layout.row_shape(declared[name]), 1)
        column.put(0, value)
        found[name] = column.rows[0] if column.shape else np.asarray(column.rows[0], column.dtype)
        if column.missing:
            missing.add(name)
    return found, missing


def _shown(array: NDArray[Any]) -> str:
    return repr(array.item()) if array.ndim == 0 else f"array of shape {array.shape}"
