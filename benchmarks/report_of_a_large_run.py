"""A report of a run file of a gigabyte: seconds, bytes of the page, and memory at the most

    python benchmarks/report_of_a_large_run.py [gigabytes] [folder]

A school in a box is run with a snapshot of all agents at every step until the file is that large (positions and
headings hardly compress); then its page is made, twice, in a process of its own. Asked for a run of a gigabyte: less
than 30 s and 5 MB. The file stays in the folder, if one is named, and is used again.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import simengine

N_AGENTS, BOX = 100_000, 300.0
BYTES_OF_A_SNAPSHOT = 46 * N_AGENTS

MEASURED = """
import json, resource, sys, threading, time
begun, most = time.perf_counter(), 0
def watch():
    global most
    while True:
        with open("/proc/self/status") as status:
            found = [int(line.split()[1]) for line in status if line.startswith("RssAnon")]
        most = max(most, *found)
        time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
from simengine.analysis import report
imported = time.perf_counter() - begun
page = report.write(sys.argv[1], sys.argv[2], overwrite=True)
print(json.dumps({
    "seconds": time.perf_counter() - begun, "importing": imported, "bytes": page.stat().st_size,
    "own": most * 1024, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
"""


def make(path: Path, gigabytes: float) -> None:
    """Run the school, unless its file is there already."""
    if path.exists():
        return
    begun = time.perf_counter()
    steps = max(2, round(gigabytes * 1e9 / BYTES_OF_A_SNAPSHOT))
    simengine.run(
        "schooling", n_agents=N_AGENTS, box=BOX, steps=steps, every=10, snapshot_every=1, seed=1,
        out=path, progress=False,
    ).close()  # fmt: skip
    print(f"made {path.stat().st_size / 1e9:.2f} GB, {steps} snapshots, in {time.perf_counter() - begun:.0f} s")


def measure(path: Path) -> dict[str, float]:
    """Make the page in a process of its own and return what it took."""
    words = [sys.executable, "-c", MEASURED, str(path), str(path.with_suffix(".html"))]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(gigabytes: float = 1.0, folder: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(folder or temporary) / f"school-{gigabytes:g}GB.nc"
        make(path, gigabytes)
        print(f"file {path.stat().st_size / 1e9:.2f} GB; this process {own_memory():.0f} MB at the most")
        for which in ("first", "again"):
            found = measure(path)
            own, all_pages = found["own"] / 1e6, found["memory"] / 1e6
            print(
                f"{which}: {found['seconds']:.1f} s (importing {found['importing']:.1f} s), page "
                f"{found['bytes'] / 1e6:.2f} MB, memory {own:.0f} MB at the most, {all_pages:.0f} MB with pages of the "
                "file that the system may take back"
            )


def own_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main(*(float(word) if number == 0 else word for number, word in enumerate(sys.argv[1:3])))  # type: ignore[arg-type]
