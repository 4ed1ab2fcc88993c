"""Assertions for authors of scenarios: what a simulation promises, checked for a scenario of one's own.

Each takes a scenario (a class, a name or a path), ``steps``, ``seed`` and the scenario's parameters by keyword, and
raises ``AssertionError`` with one line that says what differs, where, and both values::

    from simengine import testing

    def test_a_run_can_be_repeated_cut_and_shared_out():
        testing.check("voter", n_agents=200)

    def test_no_money_is_made_or_lost():
        testing.conserves("wealth_exchange", lambda agents: agents.wealth.sum(), steps=100, n_agents=50)

A language model's server to test against, with faults to order, is `simengine.testing.language_server`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simengine.testing.checking import check
    from simengine.testing.conserving import conserves
    from simengine.testing.relabelling import relabelling_invariant
    from simengine.testing.repeating import any_storage_order, any_stride, any_threads, same_run, split_equals_whole
    from simengine.testing.sharding import any_shards

__all__ = [
    "any_shards",
    "any_storage_order",
    "any_stride",
    "any_threads",
    "check",
    "conserves",
    "relabelling_invariant",
    "same_run",
    "split_equals_whole",
]

# The language server is a program of this package that starts in a fraction of a second: nothing is loaded unasked.
_MODULE_OF = {
    "any_shards": "sharding",
    "any_storage_order": "repeating",
    "any_stride": "repeating",
    "any_threads": "repeating",
    "check": "checking",
    "conserves": "conserving",
    "relabelling_invariant": "relabelling",
    "same_run": "repeating",
    "split_equals_whole": "repeating",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
