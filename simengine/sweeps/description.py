"""What a sweep is besides its points: what each run records, and what its Dataset says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store.attributes import encode_attributes, plain
from simengine.store.layout import TIME, Layout


@dataclass(frozen=True)
class Description:
    """What all runs of a sweep share.

    Parameters
    ----------
    layout
        The recorded series: variables along ``time``, the dimensions and coordinates that they need. Others are not
        kept by a sweep.
    steps, every
        As given to `simengine.sweep`; ``every=None`` records step 0 and the last step only.
    strides
        Of observables that have their own, in steps; they count unless ``every`` is None.
    attributes, volatile
        Global attributes of the merged Dataset; the content hash leaves the volatile ones out.
    parameters
        Attributes of the swept parameters' coordinates (``units``, ``long_name``), by name.
    time_step
        Model time per step, or the name of the swept parameter that says it.
    """

    layout: Layout
    steps: int
    every: int | None
    attributes: Mapping[str, Any]
    volatile: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    time_step: float | str = 1.0
    strides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", series_only(self.layout))
        object.__setattr__(self, "strides", tuple(self.strides))
        if self.steps < 0 or any(stride < 1 for stride in (*self.strides, self.every or 1)):
            raise StoreError(f"no run has {self.steps} steps recorded every {self.every}, {self.strides}")
        encode_attributes(self.attributes)
        encode_attributes(self.volatile)

    @property
    def recorded_steps(self) -> NDArray[np.int64]:
        """Numbers of the steps that a run to the end records, ascending."""
        return recorded_steps(self.steps, self.every, self.strides)

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON-ready values."""
        layout = self.layout
        return {
            "attributes": plain(self.attributes),
            "volatile": plain(self.volatile),
            "steps": int(self.steps),
            "every": None if self.every is None else int(self.every),
            "strides": [int(stride) for stride in self.strides],
            "time_step": plain(self.time_step),
            "parameters": plain(self.parameters),
            "layout": layout.header(),
            "coordinates": {name: _coordinate(layout.coordinate_array(name)) for name in layout.coordinates},
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Description:
        """Return the description that `to_json` gave."""
        coordinates = {name: np.array(values, np.dtype(dtype)) for name, (dtype, values) in said["coordinates"].items()}
        return cls(
            layout=Layout.from_header(said["layout"], coordinates),
            steps=said["steps"], every=said["every"], strides=tuple(said["strides"]),
            attributes=said["attributes"], volatile=said["volatile"], parameters=said["parameters"],
            time_step=said["time_step"],
        )  # fmt: skip


def recorded_steps(steps: int, every: int | None, strides: tuple[int, ...] = ()) -> NDArray[np.int64]:
    """Return the steps at which a run of ``steps`` steps records, ascending.

    The first and the last always; with a number ``every``, also its multiples and those of ``strides``.
    """
    edges = np.array([0, steps], np.int64)
    if every is None:
        return np.unique(edges)
    grids = (np.arange(0, steps + 1, stride, dtype=np.int64) for stride in {every, *strides})
    return np.unique(np.concatenate([edges, *grids]))


def series_only(layout: Layout) -> Layout:
    """Return a layout without snapshots, static variables and the dimensions that only these need."""
    variables = layout.of(TIME)
    used = {dim for variable in variables for dim in variable.dims[1:]}
    return Layout(
        {dim: length for dim, length in layout.dimensions.items() if dim in used},
        {name: given for name, given in layout.coordinates.items() if name in used},
        variables,
        layout.time_unit,
    )


def _coordinate(values: NDArray[Any]) -> list[Any]:
    return ["object" if values.dtype.kind == "O" else values.dtype.str, values.tolist()]
