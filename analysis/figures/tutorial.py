"""The pictures of the tutorial: the mill of its first run, and its phase diagram, for light and for dark pages.

Command: ``python analysis/figures/tutorial.py`` (option: the folder, default ``docs/images/tutorial``). Needs
``pip install "simengine[analysis]"``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
from gallery import write

import simengine
from simengine.analysis import plots


def main() -> None:
    """Write the pictures."""
    mpl.use("agg")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/tutorial")
    run = simengine.run("schooling", steps=2000, every=10, snapshot_every=50, seed=1, progress=False)
    states = simengine.sweep(
        "schooling", {"radius_orientation": [1, 2, 3.5, 5, 13], "noise": [0.05, 0.3, 0.8]}, replicates=3, steps=1000,
        every=10, seed=1, n_agents=60, workers=1, progress=False,
    )  # fmt: skip
    phases = states.sim.phases()
    for mode in ("light", "dark"):
        write(lambda ax: plots.school(run, ax=ax), mode, True, folder / f"school-{mode}.png")
        write(
            lambda ax: plots.phase_diagram(states, "rotation", labels=phases, ax=ax),
            mode,
            False,
            folder / f"states-{mode}.png",
        )


if __name__ == "__main__":
    main()
