"""``ds.sim``: what can be asked of the Dataset of a run or a sweep."""

from __future__ import annotations

import xarray as xr


@xr.register_dataset_accessor("sim")
class Sim:
    """Statistics of a run or a sweep: its stationary part, intervals, phases, comparisons, sensitivity."""

    def __init__(self, data: xr.Dataset) -> None:
        self._data = data
