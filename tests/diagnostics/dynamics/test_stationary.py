from __future__ import annotations

import numpy as np

from simengine.diagnostics import active_information_storage, entropy_rate, transfer_entropies, transfer_entropy
from simengine.diagnostics.dynamics.stationary import drifting


def test_random_walks_are_told_from_series_that_settle() -> None:
    # Of random walks 98 % are flagged, of autoregressions of 1000 steps with a memory of ten none.
    random = np.random.default_rng(1)
    steps = random.standard_normal((100, 1000))
    settled = steps.copy()
    for t in range(1, 1000):
        settled[:, t] += 0.9 * settled[:, t - 1]
    assert sum(drifting(one[None]) is not None for one in steps.cumsum(axis=1)) >= 93
    assert not any(drifting(one[None]) for one in (*settled, *steps))
    assert drifting(steps[:, :50].cumsum(axis=1)) == "drifting"
    assert drifting(settled[:, 500:550]) is None


def test_quantities_of_random_walks_are_flagged() -> None:
    x, y = np.random.default_rng(2).standard_normal((2, 500)).cumsum(axis=1)
    assert "drifting" in transfer_entropy(x, y).flags
    assert "drifting" in active_information_storage(x, estimator="gaussian").flags
    assert "drifting" in entropy_rate(x).flags


def test_symbols_whose_halves_differ_are_flagged() -> None:
    random = np.random.default_rng(3)
    changed = np.concatenate([np.zeros(500, int), random.integers(0, 2, 1500)])
    even = random.integers(0, 2, 2000)
    assert "drifting" in entropy_rate(changed).flags
    assert "drifting" not in entropy_rate(even).flags
    flags = transfer_entropies(np.stack([changed, even, even[::-1]])).flags
    assert "drifting" in flags[0, 1]
    assert "drifting" not in flags[1, 2]
