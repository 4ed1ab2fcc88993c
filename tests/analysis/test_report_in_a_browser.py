"""What a browser makes of a page: in light and in dark, on a wide and on a narrow screen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import xarray as xr

from simengine.analysis import report
from simengine.store.attributes import encode_attributes

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")

DARK, LIGHT = "--blink-settings=preferredColorScheme=0", "--blink-settings=preferredColorScheme=1"
PAGE_COLOUR = {DARK: (0x0F, 0x14, 0x1A), LIGHT: (255, 255, 255)}

LOOK = """<script>
addEventListener("load", () => {
  const images = [...document.images];
  const wide = document.documentElement;
  const found = {
    headings: [...document.querySelectorAll("h1, h2")].map(one => one.textContent),
    images: images.map(one => [one.naturalWidth, one.naturalHeight, one.alt.length]),
    requests: performance.getEntriesByType("resource").map(one => one.name).filter(name => !name.startsWith("data:")),
    width: innerWidth,
    overflow: wide.scrollWidth - wide.clientWidth,
    anchors: [...document.querySelectorAll("nav a")].every(one => document.querySelector(one.getAttribute("href"))),
    hidden: [...document.querySelectorAll(".scroll")].map(one => one.scrollWidth - one.clientWidth),
    cells: [...document.querySelectorAll("table")].every(one => one.querySelectorAll("th").length > 0),
  };
  document.body.innerHTML = "<output>" + JSON.stringify(found).replaceAll("<", "") + "</output>";
  if (parent !== window) parent.document.body.innerHTML = document.body.innerHTML;
});
</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(1)
    shape = ("snapshot_time", "agent", "axis")
    data = xr.Dataset(
        {
            "order": ("time", rng.uniform(0, 1, 60), {"long_name": "order <of> $all$ & some"}),
            "entropy_of_a_rather_long_name_that_must_break": ("time", np.full(60, 2.0), {"units": "bit"}),
            "entropy_of_a_rather_long_name_that_must_break_null_mean": ("time", np.full(60, 3.0)),
            "entropy_of_a_rather_long_name_that_must_break_null_sd": ("time", np.full(60, 0.1)),
            "position": (shape, rng.uniform(0, 9, (2, 30, 3))),
        },
        {"time": np.arange(60.0), "step": ("time", np.arange(60)), "snapshot_time": [0.0, 59.0],
         "snapshot_step": ("snapshot_time", [0, 59])},
        encode_attributes({"scenario": "Town", "title": "<script>document.title = 'broken'</script>", "seed": 1,
                           "stopped_at": 59, "parameter_word": "x" * 300, "content_hash": "ab" * 32}),
    )  # fmt: skip
    data.to_netcdf(folder / "town.nc")
    return report.write(folder / "town.nc", folder / "town.html")


def browse(page: Path, *words: str) -> str:
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               f"--user-data-dir={page.parent / 'profile'}", *words, page.as_uri()]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def looked_at(page: Path, width: int) -> dict[str, Any]:
    """Return what a script finds in a copy of the page that lets scripts run, in a frame of this width."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8")).replace("</head>", f"{LOOK}</head>")
    copy = page.with_name(f"looked-at-{width}.html")
    # No window is narrower than 500; a frame can be as narrow as a phone.
    frame = f'<iframe width="{width}" height="800" srcdoc="{escape(text, quote=True)}"></iframe>'
    copy.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{frame}</body>", encoding="utf-8")
    shown = browse(copy, "--window-size=1600,900", "--dump-dom")
    found = re.search(r"<body>\s*<output>(.*?)</output>", shown, re.DOTALL)
    assert found is not None, shown[:2000]
    return dict(json.loads(unescape(found[1])))


def test_all_images_are_there_and_nothing_is_asked_of_the_network(page: Path) -> None:
    found = looked_at(page, 1280)
    assert found["headings"][0] == "Town"
    assert {"Pictures", "Observables", "Doubts and notes", "Parameters", "Provenance"} <= {*found["headings"]}
    assert len(found["images"]) >= 3
    assert all(width > 100 and height > 100 and alt for width, height, alt in found["images"])
    assert found["requests"] == []
    assert found["overflow"] <= 0
    assert found["anchors"]
    assert found["cells"]


def test_a_narrow_screen_need_not_be_scrolled_sideways(page: Path) -> None:
    found = looked_at(page, 390)
    assert found["width"] == 390
    assert found["overflow"] <= 0


@pytest.mark.parametrize("mode", [LIGHT, DARK])
def test_the_page_and_its_pictures_are_light_or_dark_as_the_reader_wants(page: Path, mode: str) -> None:
    target = page.with_name(f"screen{mode[-1]}.png")
    browse(page, mode, "--window-size=1280,1600", f"--screenshot={target}")
    pixels = np.round(matplotlib.image.imread(target)[..., :3] * 255).astype(int)
    expected = np.array(PAGE_COLOUR[mode])
    assert pixels[2, 2].tolist() == expected.tolist()
    # Were a picture of the other mode there, a large part of the screen would have its colour.
    other = np.array(PAGE_COLOUR[LIGHT if mode == DARK else DARK])
    assert np.mean(np.abs(pixels - other).max(axis=-1) <= 2) < 0.02
    assert np.mean(np.abs(pixels - expected).max(axis=-1) <= 2) > 0.7


def test_the_table_of_a_sweep_over_two_parameters_needs_no_scroll_bar_on_a_screen_of_1200(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    dims = ("initial_wealth", "noise_of_headings", "replicate")
    shape = (2, 2, 6)
    data = xr.Dataset(
        {
            "order": ((*dims, "time"), rng.uniform(0, 1, (*shape, 2)), {"long_name": "length of the mean heading"}),
            "order_null_mean": ((*dims, "time"), np.full((*shape, 2), 0.3)),
            "order_null_sd": ((*dims, "time"), np.full((*shape, 2), 0.01)),
            "status": (dims, np.zeros(shape, np.int8)),
            "seed": (dims, np.zeros(shape, np.uint64)),
        },
        {"initial_wealth": [2, 10], "noise_of_headings": [0.125, 0.25], "replicate": np.arange(6), "time": [0.0, 9.0]},
        encode_attributes({"scenario": "Town", "scenario_source": None, "replicates": 6, "steps": 9}),
    )
    data.to_netcdf(tmp_path / "town.nc")
    page = report.write(tmp_path / "town.nc", tmp_path / "town.html", rules=[])
    found = looked_at(page, 1200)
    assert len(found["hidden"]) >= 3
    assert max(found["hidden"]) == 0
