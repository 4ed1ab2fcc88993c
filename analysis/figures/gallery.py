"""The pictures of the gallery: one of each shipped scenario, for light and for dark pages.

Command: ``python analysis/figures/gallery.py`` (options: names of scenarios, default all; ``--out`` the folder, default
``docs/images/gallery``). Needs ``pip install "simengine[analysis]"``.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import scenes_of_crowds  # noqa: F401 (enters its scenes)
import scenes_of_interests  # noqa: F401
from PIL import Image
from scenes import SCENES, Draw

from simengine.analysis.plots.style import Mode, theme

SIZE, DOTS = (5.4, 3.9), 130
COLOURS, LARGEST = (128, 64, 32), 60_000


def main() -> int:
    """Write the pictures and say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; by default all")
    parser.add_argument("--out", type=Path, default=Path("docs/images/gallery"), metavar="DIR")
    given = parser.parse_args()
    mpl.use("agg")
    for name in given.names or SCENES:
        scene = SCENES[name]
        draw = scene.make()
        sizes = [write(draw, mode, scene.solid, given.out / f"{name}-{mode}.png") for mode in ("light", "dark")]
        print(f"{name:22} {sizes[0] / 1000:5.0f} kB light {sizes[1] / 1000:5.0f} kB dark", flush=True)
    return 0


def write(draw: Draw, mode: Mode, solid: bool, path: Path) -> int:
    """Draw once, write a PNG of as many colours as fit, and return its size in bytes."""
    with theme(mode):
        figure = plt.figure(figsize=SIZE)
        draw(figure.add_subplot(projection="3d" if solid else None))
        page = io.BytesIO()
        figure.savefig(page, dpi=DOTS)
        plt.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = Image.open(page).convert("RGB")
    for colours in COLOURS:
        whole.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= LARGEST:
            break
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
