"""Every public diagnostic is found, explained and answers with an estimate or says otherwise."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import simengine.diagnostics
from simengine.diagnostics import streaming


@pytest.mark.parametrize("name", simengine.diagnostics.__all__)
def test_a_public_diagnostic_is_found_and_explained(name: str) -> None:
    value = getattr(simengine.diagnostics, name)
    if callable(value):
        assert (inspect.getdoc(value) or "").strip(), f"{name} has no docstring"


def test_no_public_name_is_that_of_a_module() -> None:
    for package in (simengine.diagnostics, streaming):
        modules = {path.stem for folder in package.__path__ for path in Path(folder).iterdir()}
        assert not modules & set(package.__all__)


@pytest.mark.parametrize("name", streaming.__all__)
def test_a_streamed_diagnostic_is_found_and_explained(name: str) -> None:
    assert (inspect.getdoc(getattr(streaming, name)) or "").strip(), f"{name} has no docstring"


def test_a_misspelt_diagnostic_is_an_attribute_error_with_the_nearest_name() -> None:
    with pytest.raises(AttributeError, match="did you mean 'entropy_rate'"):
        simengine.diagnostics.entropy_rat  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'entropy'"):
        streaming.entrpy  # noqa: B018


@pytest.mark.parametrize("scenario", ["voter", "wealth_exchange", "flocking"])
def test_a_scenario_that_records_entropies_does_not_load_what_it_does_not_need(scenario: str) -> None:
    script = (
        f"import sys, simengine; simengine.run({scenario!r}, steps=1, progress=False);"
        " print([name for name in ('scipy.stats', 'scipy.optimize', 'sklearn') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
