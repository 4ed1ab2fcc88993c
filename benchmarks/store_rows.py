"""Cost of recording one row of 64 float64 values: streamed in segments against appending to a NetCDF file.

Run ``python benchmarks/store_rows.py [rows]``. All write to a temporary folder, interleaved; the streamed
time includes all segments; the final merge with compression and content hash is a line of its own.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import netCDF4
import numpy as np

from simengine.store import Layout, RunWriter, Variable

N_VALUES = 64
REPEATS = 5


def streamed(path: Path, rows: list[dict[str, float]]) -> tuple[float, float]:
    """Return seconds for recording all rows into closed segments, and for the merge."""
    variables = tuple(Variable(name, ("time",)) for name in rows[0])
    begin = time.perf_counter()
    writer = RunWriter(path, Layout({}, {}, variables, "s"), {"seed": 1})
    for step, row in enumerate(rows):
        writer.record(step, float(step), row)
    writer.flush()
    recorded = time.perf_counter()
    writer.close()
    return recorded - begin, time.perf_counter() - recorded


def appended(path: Path, rows: list[dict[str, float]]) -> float:
    """Return seconds for appending all rows to 64 variables of one NetCDF file."""
    begin = time.perf_counter()
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", None)
        variables = {name: file.createVariable(name, "f8", ("time",)) for name in rows[0]}
        for step, row in enumerate(rows):
            for name, value in row.items():
                variables[name][step] = value
    return time.perf_counter() - begin


def appended_as_block(path: Path, rows: list[dict[str, float]]) -> float:
    """Return seconds for appending each row as one array to one variable of 64 columns."""
    begin = time.perf_counter()
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", None)
        file.createDimension("value", N_VALUES)
        variable = file.createVariable("values", "f8", ("time", "value"))
        for step, row in enumerate(rows):
            variable[step] = list(row.values())
    return time.perf_counter() - begin


def main(n_rows: int) -> None:
    values = np.cumsum(np.random.default_rng(1).standard_normal((n_rows, N_VALUES)), axis=0)
    rows = [{f"x{index}": float(value) for index, value in enumerate(row)} for row in values]
    few = rows[: max(1, n_rows // 20)]
    times: dict[str, list[float]] = {
        "streamed": [],
        "merge": [],
        "append, 64 variables": [],
        "append, 1 variable": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(REPEATS):
            record, merge = streamed(Path(folder, f"s{repeat}.nc"), rows)
            times["streamed"].append(record / len(rows))
            times["merge"].append(merge / len(rows))
            times["append, 64 variables"].append(appended(Path(folder, f"a{repeat}.nc"), few) / len(few))
            times["append, 1 variable"].append(appended_as_block(Path(folder, f"b{repeat}.nc"), few) / len(few))
    base = statistics.median(times["streamed"])
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:22} {median * 1e6:9.1f} us per row   {median / base:7.2f} x streamed")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
