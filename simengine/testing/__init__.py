"""Assertions for authors of scenarios: what a simulation promises, checked for a scenario of one's own.

Each takes a scenario (a class, a name or a path), ``steps``, ``seed`` and the scenario's parameters by keyword, and
raises ``AssertionError`` with one line that says what differs, where, and both values::

    from simengine import testing

    def test_a_run_can_be_repeated_cut_and_shared_out():
        testing.check("voter", n_agents=200)

    def test_no_money_is_made_or_lost():
        testing.conserves("wealth_exchange", lambda agents: agents.wealth.sum(), steps=100, n_agents=50)
"""

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
