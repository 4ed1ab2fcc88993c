from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cf_units
import netCDF4
import pytest
import xarray as xr
from compliance_checker.cf.cf_1_11 import CF1_11Check
from compliance_checker.runner import CheckSuite
from example_runs import fill

from simengine.store import RunWriter, provenance, write_dataset

# The checker wants a dimension named "time" to be calendar time. CF itself (section 4.4) tells calendar time
# by unit, standard name or axis; simulated time has no date, so `time` has a plain unit and none of these.
NO_CALENDAR = "Coordinate variable 'time' should have standard_name='time', found: 'None'"


@pytest.fixture
def run_file(tmp_path, layout, attributes) -> Path:
    stable, volatile = provenance(cpu_target="x86-64-v3", threads=2)
    with RunWriter(tmp_path / "run.nc", layout, {**attributes, **stable}, volatile=volatile) as writer:
        fill(writer)
        return writer.close()


def complaints(path: Path) -> Iterator[str]:
    """All messages of the checker, of any priority, and all of its own failures."""
    suite = CheckSuite()
    suite.checkers = {"cf:1.11": CF1_11Check}
    results, failures = suite.run_all(suite.load_dataset(str(path)), ["cf:1.11"])["cf:1.11"]
    assert len(results) > 20
    yield from (str(failure) for failure in failures)
    for result in results:
        points, possible = result.value if isinstance(result.value, tuple) else (int(result.value), 1)
        if points < possible:
            yield from result.msgs or [str(result.name)]


@pytest.mark.filterwarnings("ignore")
def test_the_cf_checker_complains_of_nothing_but_time_without_a_date(run_file):
    assert set(complaints(run_file)) == {NO_CALENDAR}


@pytest.mark.filterwarnings("ignore")
def test_the_cf_checker_has_no_complaint_if_time_has_another_name(run_file):
    renamed = xr.load_dataset(run_file).rename(time="model_time")
    assert list(complaints(write_dataset(renamed, run_file, overwrite=True))) == []


def test_all_units_in_a_file_are_those_of_udunits(run_file):
    with netCDF4.Dataset(run_file) as file:
        units = [variable.units for variable in file.variables.values() if "units" in variable.ncattrs()]
    assert len(units) > 10
    for unit in units:
        assert not cf_units.Unit(unit).is_unknown()


def test_the_file_names_the_conventions_that_it_follows(run_file):
    with netCDF4.Dataset(run_file) as file:
        assert file.Conventions == "CF-1.11"
