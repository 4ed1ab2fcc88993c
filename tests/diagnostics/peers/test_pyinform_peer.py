"""The numbers of PyInform: symbols in time, in bits."""

import numpy as np
import pytest

from simengine.diagnostics.dynamics.rate import entropy_rate
from simengine.diagnostics.dynamics.storage import active_information_storage
from simengine.diagnostics.dynamics.transfer import transfer_entropy

pyinform = pytest.importorskip("pyinform")


def coupled(n=500, states=2, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, states, n)
    kept = rng.random(n) < 0.7
    return x, np.where(kept, np.roll(x, 1), rng.integers(0, states, n))


@pytest.mark.parametrize("states", [2, 3])
@pytest.mark.parametrize("history", [1, 2])
def test_transfer_is_the_peers(states, history):
    x, y = coupled(states=states)
    found = transfer_entropy(x, y, estimator="plug-in", target_history=history, unit="bit")
    assert found.value == pytest.approx(pyinform.transfer_entropy(x, y, history), abs=1e-9)


def test_transfer_given_a_third_series_is_the_peers():
    x, y = coupled()
    z, _ = coupled(seed=2)
    found = transfer_entropy(x, y, given=z, estimator="plug-in", unit="bit")
    assert found.value == pytest.approx(pyinform.transfer_entropy(x, y, 1, condition=z), abs=1e-9)


def test_transfer_of_pooled_series_is_the_peers():
    pairs = [coupled(200, seed=seed) for seed in range(4)]
    x, y = (np.stack(part) for part in zip(*pairs, strict=True))
    found = transfer_entropy(x, y, estimator="plug-in", unit="bit")
    assert found.value == pytest.approx(pyinform.transfer_entropy(x, y, 1), abs=1e-9)


def test_local_transfer_is_the_peers():
    x, y = coupled(300)
    found = transfer_entropy(x, y, estimator="plug-in", local=True)
    theirs = pyinform.transfer_entropy(x, y, 1, local=True)
    np.testing.assert_allclose(np.ravel(found.details["local"]) / np.log(2.0), np.ravel(theirs), atol=1e-9)


@pytest.mark.parametrize("history", [1, 2, 3])
def test_storage_and_rate_are_the_peers(history):
    _, y = coupled()
    stored = active_information_storage(y, history=history, estimator="plug-in", unit="bit")
    assert stored.value == pytest.approx(pyinform.active_info(y, history), abs=1e-9)
    rate = entropy_rate(y, history=history, estimator="plug-in", unit="bit")
    assert rate.value == pytest.approx(pyinform.entropy_rate(y, history), abs=1e-9)


def test_long_histories_of_many_states_cost_the_states_seen_and_not_those_possible():
    # 9 ^ 12 states: beyond the memory that the peer's table would take.
    series = np.random.default_rng(3).integers(0, 9, 400)
    found = active_information_storage(series, history=12, estimator="plug-in")
    assert found.flags
    assert np.isfinite(found.value)
