"""From arrays to the Dataset that `xarray.open_dataset` would give for the same file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.store.attributes import CONTENT_HASH, VOLATILE_LIST, encode_attributes
from simengine.store.layout import Layout

CONVENTIONS = "CF-1.11"


def global_attributes(layout: Layout, stable: Mapping[str, Any], volatile: Mapping[str, Any]) -> dict[str, Any]:
    """Return the global attributes of a file, encoded, with the list of what its content hash leaves out."""
    variables = (variable.name for variable in layout.variables if variable.volatile)
    names = {*volatile, *variables, VOLATILE_LIST, CONTENT_HASH}
    own = {"Conventions": CONVENTIONS, VOLATILE_LIST: " ".join(sorted(names))}
    given = {**stable, **volatile}
    for name in (VOLATILE_LIST, CONTENT_HASH):
        given.pop(name, None)
    return encode_attributes({**own, **given})


def assemble(
    layout: Layout,
    arrays: Mapping[str, NDArray[Any]],
    missing: Collection[str],
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Return the Dataset of a run.

    Parameters
    ----------
    layout
        What was declared.
    arrays
        Values by name as stored (fill values for missing ones), with time, step and so on. Names that are
        absent are empty along their unlimited dimension; a static variable that is absent is missing.
    missing
        Names of the variables with missing values.
    attributes
        Encoded global attributes.
    """
    raw: dict[str, tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]] = {}
    for name in layout.coordinates:
        raw[name] = ((name,), layout.coordinate_array(name), layout.coordinate_attributes(name))
    for name, axis in layout.axes().items():
        values = arrays.get(name, np.empty(0, axis.storage_dtype))
        raw[name] = (axis.dims, values, layout.axis_attributes(name))
    for variable in layout.variables:
        shape = layout.row_shape(variable)
        if variable.record_dim:
            values = arrays.get(variable.name, np.empty((0, *shape), variable.storage_dtype))
        else:
            values = arrays.get(variable.name, np.full(shape, variable.fill_value, variable.storage_dtype))
        file_attributes = variable.file_attributes(variable.name in missing)
        # xarray opens texts of a file with a fixed width.
        values = values.astype(np.str_) if values.dtype.kind == "O" else values
        raw[variable.name] = (variable.dims, values, file_attributes)
    variables = {name: xr.Variable(dims, values, given) for name, (dims, values, given) in raw.items()}
    return xr.decode_cf(xr.Dataset(variables, attrs=dict(attributes))).load()
