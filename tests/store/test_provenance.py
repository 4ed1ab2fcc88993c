from __future__ import annotations

from datetime import datetime
from importlib.metadata import version

from simengine.store import Layout, MemoryWriter, content_hash, provenance
from simengine.store.provenance import finished


def test_versions_are_those_installed():
    stable, _ = provenance()
    for package in ("numpy", "numba", "llvmlite", "scipy", "xarray", "netCDF4", "simengine"):
        assert stable[f"version_{package}"] == version(package)


def test_the_origin_names_machine_and_cpu_target_and_leaves_out_what_is_not_given():
    stable, volatile = provenance(cpu_target="x86-64-v3", threads=4)
    assert stable["cpu_target"] == "x86-64-v3"
    assert stable["machine"]
    assert volatile["threads"] == 4
    bare_stable, bare_volatile = provenance()
    assert "cpu_target" not in bare_stable
    assert "threads" not in bare_volatile


def test_times_are_universal_time_in_iso_format():
    _, volatile = provenance()
    for text in (volatile["started_at"], finished()["finished_at"]):
        assert datetime.fromisoformat(text).utcoffset().total_seconds() == 0


def test_only_the_stable_origin_counts_for_the_content_hash():
    stable, volatile = provenance(threads=1)

    def hash_of(stable, volatile):
        return content_hash(MemoryWriter(Layout({}, {}, ()), stable, volatile=volatile).close({}, finished()))

    assert hash_of(stable, volatile) == hash_of(stable, volatile | {"threads": 9, "host": "other"})
    assert hash_of(stable, volatile) != hash_of(stable | {"version_numpy": "0"}, volatile)
