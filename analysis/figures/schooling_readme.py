"""The four states of a school (Couzin et al. 2002): order and entropy over time, and the torus in three dimensions.

Command: ``python analysis/figures/schooling_readme.py`` (option: the image to write, default
``docs/images/schooling.png``). Needs matplotlib: ``pip install simengine[analysis]``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

import simengine

STEPS, EVERY, SEED, TRAIL = 3000, 10, 1, 14

REGIMES = {
    "swarm": ("swarm", "#8a8f98"),
    "torus": ("torus", "#d55e00"),
    "dynamic_parallel": ("dynamic parallel", "#009e73"),
    "highly_parallel": ("highly parallel", "#0072b2"),
}
"""Name and colour of each regime (colours told apart by the colour-blind: Okabe & Ito)."""

PANELS = {
    "polarization": "Polarisation",
    "rotation": "Rotation",
    "calibrated_velocity_correlation_entropy": "Alignment entropy",
    "calibrated_angular_momentum_entropy": "Angular-momentum entropy",
}

STYLE = {
    "font.size": 15, "axes.titlesize": 16, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#777777",
    "axes.labelcolor": "#333333", "xtick.color": "#555555", "ytick.color": "#555555",
}  # fmt: skip


def draw_series(axes: Any, name: str, title: str, runs: dict[str, Any]) -> None:
    """Draw one number over time, a line for each regime."""
    for regime, run in runs.items():
        axes.plot(run.time, run[name], color=REGIMES[regime][1], linewidth=1.8)
    axes.set(title=title, xlim=(0, STEPS / 10), ylim=(-0.02, 1.04), yticks=[0, 0.5, 1], xticks=[0, 100, 200, 300])
    axes.grid(axis="y", color="#e6e6e6")
    axes.set_axisbelow(True)


def seen_from_above(position: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Return paths (times, fish, 3) as right, up and towards the viewer, 60 degrees above the plane of the mill."""
    x = position - position.mean(axis=(0, 1))
    axis = np.cross(x, heading).mean(axis=(0, 1))
    across, along, up = np.linalg.svd(axis[None])[2][[1, 2, 0]]
    elevation = np.radians(60.0)
    away, lifted = x @ along, x @ up
    return np.stack(
        [
            x @ across,
            np.sin(elevation) * away + np.cos(elevation) * lifted,
            np.sin(elevation) * lifted - np.cos(elevation) * away,
        ],
        axis=-1,
    )


def draw_school(axes: Any, position: np.ndarray, heading: np.ndarray) -> None:
    """Draw each fish with the path it has come, those nearer to the viewer larger and darker."""
    paths = seen_from_above(position, heading)
    depth = paths[-1, :, 2]
    nearness = (depth - depth.min()) / np.ptp(depth)
    shades = mpl.colormaps["Oranges"](0.35 + 0.6 * nearness)
    for fish in np.argsort(depth):
        x, y = paths[:, fish, 0], paths[:, fish, 1]
        width = 1.2 + 2.0 * nearness[fish]
        pieces = np.stack([np.stack([x[:-1], y[:-1]], axis=1), np.stack([x[1:], y[1:]], axis=1)], axis=1)
        fading = np.linspace(0.0, 0.7, len(pieces))
        colours = np.column_stack([np.tile(shades[fish, :3], (len(pieces), 1)), fading])
        axes.add_collection(mpl.collections.LineCollection(pieces, colors=colours, linewidths=width, capstyle="butt"))
        axes.scatter(x[-1], y[-1], s=18 + 34 * nearness[fish], color=shades[fish], linewidths=0, zorder=2)
    right, low = np.abs(paths[..., 0]).max(), paths[..., 1].min()
    axes.plot([-right, 5 - right], [low - 1.2] * 2, color="#333333", linewidth=2.5, solid_capstyle="butt")
    axes.text(2.5 - right, low - 1.6, "5 repulsion radii", ha="center", va="top", size=13, color="#333333")
    axes.set_aspect("equal")
    axes.set_axis_off()


def figure() -> Any:
    """Run the four regimes and draw them."""
    runs = {
        regime: simengine.run(
            "schooling", regime=regime, steps=STEPS, every=EVERY, snapshot_every=1, seed=SEED, progress=False
        )
        for regime in REGIMES
    }
    with plt.rc_context(STYLE):
        drawn = plt.figure(figsize=(13.5, 6.2), facecolor="white")
        grid = drawn.add_gridspec(2, 2, left=0.045, right=0.615, top=0.85, bottom=0.11, hspace=0.42, wspace=0.2)
        for place, (name, title) in enumerate(PANELS.items()):
            axes = drawn.add_subplot(grid[place // 2, place % 2])
            draw_series(axes, name, title, runs)
            if place >= 2:
                axes.set_xlabel("time (s)")
        space = drawn.add_axes((0.655, 0.02, 0.34, 0.9))
        torus = runs["torus"].isel(snapshot_time=slice(-TRAIL, None))
        draw_school(space, torus.position.values, torus.heading.values)
        drawn.text(
            0.825, 0.945, f"The torus, {STEPS / 10:g} s after a random start", ha="center", weight="bold", size=16
        )
        lines = [mpl.lines.Line2D([], [], color=colour, linewidth=4) for _, colour in REGIMES.values()]
        drawn.legend(
            lines, [label for label, _ in REGIMES.values()], loc="upper left", bbox_to_anchor=(0.03, 1.0), ncols=4,
            frameon=False, handlelength=1.2, columnspacing=1.6,
        )  # fmt: skip
    return drawn


def main() -> None:
    """Write the image."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/schooling.png")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure().savefig(target, dpi=110)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
