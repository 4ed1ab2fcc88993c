"""What both writers of a run share: the declared layout, the tables of rows, the attributes."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store.attributes import encode_attributes
from simengine.store.blocks import together
from simengine.store.header import Header
from simengine.store.layout import SNAPSHOT_TIME, TIME, Layout
from simengine.store.table import Table, checked_static

Result = TypeVar("Result")


class Writer(Generic[Result]):
    """What both writers share: the declared layout, the tables of rows, the attributes."""

    def __init__(self, header: Header, max_rows: int | None, max_bytes: int | None) -> None:
        self.header = header
        self.layout = header.layout
        self._tables = {dim: Table(self.layout, dim, max_rows, max_bytes) for dim in self.layout.record_dims}
        self._static: dict[str, NDArray[Any]] = {}
        self._static_missing: set[str] = set()
        self._open = True
        self._result: Result | None = None

    def record(self, step: int, time: float, row: Mapping[str, Any]) -> None:
        """Add one row of the time series.

        Parameters
        ----------
        step
            Number of the step, larger than that of the row before.
        time
            Simulated time in the layout's ``time_unit``.
        row
            Scalars or arrays by variable name, copied. Absent names are missing values.

        Raises
        ------
        StoreError
            If the row does not fit the layout (it is then not recorded) or rows cannot be written.
        """
        self._add(TIME, step, time, row)

    def snapshot(self, step: int, time: float, row: Mapping[str, Any]) -> None:
        """Add one row along ``snapshot_time``; otherwise like `record`.

        Values may be `Blocks`, which a writer of a file asks for one block after another where they are large.
        """
        self._add(SNAPSHOT_TIME, step, time, together(row))

    def static(self, values: Mapping[str, Any]) -> None:
        """Set variables that have no unlimited dimension; the last value given holds."""
        self._check_open()
        checked, missing = checked_static(self.layout, values)
        self._static |= checked
        self._static_missing = (self._static_missing - set(checked)) | missing

    def flush(self) -> None:
        """Close the current segment: all rows given so far survive the process."""

    def close(self, attributes: Mapping[str, Any] = {}, volatile: Mapping[str, Any] = {}) -> Result:
        """Finish the run and return its result.

        Parameters
        ----------
        attributes
            Final global attributes, such as why the run stopped; they replace earlier ones of the same name.
        volatile
            Likewise, left out of the content hash.
        """
        if self._result is None:
            self._check_open()
            encode_attributes(attributes)
            encode_attributes(volatile)
            self._result = self._finish(self.header.with_attributes(attributes, volatile))
            self._open = False
        return self._result

    def abandon(self) -> None:
        """Stop without finishing, because of an error; what was recorded is kept where there is a file."""
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            if self._open:
                self.close()
        elif self._open:
            try:
                self.abandon()
            except StoreError as second:
                if str(second) != str(error):
                    error.add_note(str(second))

    def _finish(self, header: Header) -> Result:
        raise NotImplementedError

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError("the writer is closed; nothing more can be recorded")

    def _add(self, dim: str, step: int, time: float, row: Mapping[str, Any]) -> None:
        self._check_open()
        if dim not in self._tables:
            raise StoreError(f"no variable is declared along {dim!r}")
        table = self._tables[dim]
        self._make_room(table)
        table.add(step, time, row)
        self._added(table)

    def _make_room(self, table: Table) -> None:
        """Prepare for a new row."""

    def _added(self, table: Table) -> None:
        """React to a new row."""


def begun(
    layout: Layout, attributes: Mapping[str, Any], volatile: Mapping[str, Any], static: Mapping[str, Any]
) -> Header:
    """Return the header of a run that starts now, all values checked."""
    encode_attributes(attributes)
    encode_attributes(volatile)
    checked, missing = checked_static(layout, static)
    return Header(layout, dict(attributes), dict(volatile), checked, frozenset(missing))
