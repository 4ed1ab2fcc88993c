"""One page about a run or a sweep, complete in itself."""

from __future__ import annotations

import importlib.util

from simengine.errors import InputError

for _needed in ("jinja2", "matplotlib"):
    if importlib.util.find_spec(_needed) is None:
        raise InputError(f'reports need {_needed}: pip install "simengine[analysis]"')

from simengine.analysis.report.page import write  # noqa: E402 (what is missing is told first)

__all__ = ["write"]
