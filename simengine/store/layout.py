"""What a run file will hold, declared before its first row: variables, dimensions, coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError, nearest
from simengine.store.attributes import check_name, encode_attributes, plain

TIME = "time"
SNAPSHOT_TIME = "snapshot_time"
STEP_OF = {TIME: "step", SNAPSHOT_TIME: "snapshot_step"}
_OWN_NAMES = frozenset((*STEP_OF, *STEP_OF.values()))
_NUMBERS = tuple(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))
DTYPES = ("float64", "float32", *_NUMBERS, "bool", "str")
_ENGINE_ATTRIBUTES = frozenset(("units", "long_name"))
_TYPED_AS_VARIABLE = frozenset(("valid_min", "valid_max", "valid_range", "actual_range", "flag_values", "flag_masks"))
# xarray reads these plural words as durations; the singular is the same unit to UDUNITS and stays a number.
_DURATIONS = frozenset(("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"))


@dataclass(frozen=True)
class Variable:
    """A recorded variable.

    Parameters
    ----------
    name
        Its name in the file, an identifier.
    dims
        The first is ``"time"`` (one row per record), ``"snapshot_time"`` (one row per snapshot) or neither
        (static: written once); the others are fixed dimensions of the `Layout`.
    dtype
        One of `DTYPES`. ``"bool"`` is stored as int8 with CF flags, ``"str"`` as text. A missing value is NaN
        for floats, ``""`` for texts, and the smallest (signed) or largest (unsigned) number for integers,
        which then open as floats with NaN; integers of which none is missing open as integers.
    unit
        As UDUNITS spells it; ``"1"`` for pure numbers.
    long_name
        One line for a reader; the name if empty.
    attributes
        Further CF attributes, e.g. ``ancillary_variables``, ``valid_range``, ``flag_values``,
        ``standard_name``.
    volatile
        Whether the content hash leaves this variable out (latencies, costs).
    """

    name: str
    dims: tuple[str, ...]
    dtype: str = "float64"
    unit: str = "1"
    long_name: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    volatile: bool = False

    def __post_init__(self) -> None:
        check_name(self.name, "variable")
        object.__setattr__(self, "dims", tuple(self.dims))
        if self.dtype not in DTYPES:
            raise StoreError(
                f"variable {self.name!r} has dtype {self.dtype!r}, not one of {', '.join(DTYPES)}"
                f"{nearest(str(self.dtype), DTYPES)}"
            )
        for name in self.attributes:
            if name in _ENGINE_ATTRIBUTES:
                raise StoreError(f"give {name!r} of variable {self.name!r} as a field of Variable")
        encode_attributes(self.attributes)

    @property
    def record_dim(self) -> str:
        """The unlimited dimension of the variable, or an empty string for a static one."""
        return self.dims[0] if self.dims and self.dims[0] in STEP_OF else ""

    @property
    def storage_dtype(self) -> np.dtype[Any]:
        """The numpy type of its values in buffers and files (int8 for ``"bool"``, object for ``"str"``)."""
        return np.dtype({"bool": "int8", "str": "object"}.get(self.dtype, self.dtype))

    @property
    def fill_value(self) -> Any:
        """The value that stands for a missing one."""
        dtype = self.storage_dtype
        if dtype.kind == "O":
            return ""
        if dtype.kind == "f":
            return dtype.type(np.nan)
        return np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max

    def file_attributes(self, missing: bool) -> dict[str, Any]:
        """Return its attributes as they stand in a file; ``missing`` says whether some value is missing."""
        dtype = self.storage_dtype
        found: dict[str, Any] = {"long_name": self.long_name or self.name.replace("_", " ")}
        if self.dtype == "bool":
            found |= {"flag_values": np.array([0, 1], dtype), "flag_meanings": "false true"}
        elif self.dtype != "str":
            found["units"] = plain_unit(self.unit)
        found |= encode_attributes(self.attributes)
        found |= typed_attributes(self.attributes, dtype)
        if dtype.kind == "f" or (missing and dtype.kind != "O"):
            found["_FillValue"] = dtype.type(self.fill_value)
        if self.record_dim:
            found["coordinates"] = STEP_OF[self.record_dim]
        return found


@dataclass(frozen=True)
class Layout:
    """Everything a run file will hold.

    Parameters
    ----------
    dimensions
        Lengths of the fixed dimensions; ``time`` and ``snapshot_time`` are unlimited and not listed.
    coordinates
        For a fixed dimension of that name: its values, shape (length,), numbers or texts, and attributes
        (``units``, ``long_name``, ...).
    variables
        All recorded variables, in the order of the file.
    time_unit
        Unit of simulated time, a plain one (``"s"``, ``"1"``), never ``"... since ..."``: simulated time has
        no date.

    Raises
    ------
    StoreError
        If names clash, a dimension is unknown, or a coordinate has another length than its dimension.
    """

    dimensions: Mapping[str, int]
    coordinates: Mapping[str, tuple[NDArray[Any], Mapping[str, Any]]]
    variables: tuple[Variable, ...]
    time_unit: str = "1"

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", tuple(self.variables))
        for name in self.dimensions:
            if check_name(name, "dimension") in _OWN_NAMES:
                raise StoreError(f"dimension {name!r} is the store's own, not a fixed one")
        taken = set(_OWN_NAMES)
        for name in (*self.coordinates, *(variable.name for variable in self.variables)):
            if name in taken:
                raise StoreError(f"{name!r} is declared twice or the store's own, as {sorted(_OWN_NAMES)} are")
            taken.add(name)
        for variable in self.variables:
            if variable.name in self.dimensions:
                raise StoreError(f"variable {variable.name!r} is named like a dimension; make it a coordinate")
            for dim in variable.dims[1:] if variable.record_dim else variable.dims:
                if dim not in self.dimensions:
                    raise StoreError(
                        f"variable {variable.name!r} has unknown dimension {dim!r}{nearest(dim, self.dimensions)}"
                    )
            if len(set(variable.dims)) != len(variable.dims):
                raise StoreError(f"variable {variable.name!r} has dimension {variable.dims} twice")
        for name, (values, attributes) in self.coordinates.items():
            encode_attributes(attributes)
            if name not in self.dimensions or np.shape(values) != (self.dimensions[name],):
                raise StoreError(
                    f"coordinate {name!r} has shape {np.shape(values)}, its dimension has length "
                    f"{self.dimensions.get(name, 'unknown')}"
                )
            if np.asarray(values).dtype.kind not in "iufUO":
                raise StoreError(f"coordinate {name!r} must be numbers or texts, got {np.asarray(values).dtype}")
        if " since " in f" {self.time_unit} ":
            raise StoreError(f"time_unit must be a plain unit such as 's', got {self.time_unit!r}")

    @property
    def record_dims(self) -> tuple[str, ...]:
        """``time``, and ``snapshot_time`` if any variable is recorded along it."""
        used = {variable.record_dim for variable in self.variables}
        return (TIME, SNAPSHOT_TIME) if SNAPSHOT_TIME in used else (TIME,)

    def of(self, record_dim: str) -> tuple[Variable, ...]:
        """Return the variables along an unlimited dimension, or the static ones for an empty string."""
        return tuple(variable for variable in self.variables if variable.record_dim == record_dim)

    def row_shape(self, variable: Variable) -> tuple[int, ...]:
        """Return the shape of one row (of the whole, for a static one)."""
        dims = variable.dims[1:] if variable.record_dim else variable.dims
        return tuple(int(self.dimensions[dim]) for dim in dims)

    def axes(self) -> dict[str, Variable]:
        """Return the store's own coordinates: ``time``, ``step`` and, with snapshots, their counterparts."""
        found = {}
        for dim in self.record_dims:
            of_what = " of the snapshots" if dim == SNAPSHOT_TIME else ""
            found[dim] = Variable(dim, (dim,), "float64", self.time_unit, f"simulated time{of_what}")
            step = STEP_OF[dim]
            found[step] = Variable(step, (dim,), "int64", "1", f"number of the step{of_what}")
        return found

    def axis_attributes(self, name: str) -> dict[str, Any]:
        """Return the attributes of ``time``, ``step`` ... in a file; coordinates have no missing values."""
        attributes = self.axes()[name].file_attributes(missing=False)
        return {key: value for key, value in attributes.items() if key not in ("_FillValue", "coordinates")}

    def coordinate_array(self, name: str) -> NDArray[Any]:
        """Return the values of a fixed coordinate as stored: numbers, or an object array of texts."""
        values = np.asarray(self.coordinates[name][0])
        return values if values.dtype.kind in "iuf" else np.array([str(text) for text in values], dtype=object)

    def coordinate_attributes(self, name: str) -> dict[str, Any]:
        """Return the attributes of a fixed coordinate in a file."""
        given = dict(self.coordinates[name][1])
        if "units" in given:
            given["units"] = plain_unit(given["units"])
        return encode_attributes({"long_name": name.replace("_", " "), **given})

    def header(self) -> dict[str, Any]:
        """Return the layout as JSON-ready values; the first segment keeps the coordinates themselves."""
        return {
            "dimensions": {name: int(length) for name, length in self.dimensions.items()},
            "coordinates": {name: plain(attributes) for name, (_, attributes) in self.coordinates.items()},
            "variables": [
                {**vars(variable), "dims": list(variable.dims), "attributes": plain(variable.attributes)}
                for variable in self.variables
            ],
            "time_unit": self.time_unit,
        }

    @staticmethod
    def from_header(header: Mapping[str, Any], coordinates: Mapping[str, NDArray[Any]]) -> Layout:
        """Return the layout that `header` described, with the coordinate values of the first segment."""
        return Layout(
            dimensions=header["dimensions"],
            coordinates={name: (coordinates[name], given) for name, given in header["coordinates"].items()},
            variables=tuple(Variable(**given) for given in header["variables"]),
            time_unit=header["time_unit"],
        )


def plain_unit(unit: str) -> str:
    """Return a unit that xarray leaves a number: ``"seconds"`` and its like lose their plural."""
    return unit.removesuffix("s") if unit in _DURATIONS else unit


def typed_attributes(attributes: Mapping[Any, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return those attributes that CF wants in the type of their variable (ranges, flags), in that type."""
    found = {}
    for name in _TYPED_AS_VARIABLE & attributes.keys() if dtype.kind in "iuf" else ():
        numbers = np.asarray(attributes[name]).astype(dtype)
        found[name] = dtype.type(numbers.item()) if numbers.size == 1 else numbers
    return found
