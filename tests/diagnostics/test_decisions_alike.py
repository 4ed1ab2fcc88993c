"""How alike agents decide: copies, independent agents, and what lies between."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray
from scipy.linalg import hadamard

from simengine.diagnostics.decisions.alike import decision_channels, decision_redundancy
from simengine.errors import InputError


def orthogonal(channels: int, copies: int) -> np.ndarray:
    """Agents that follow channels whose choices are exactly uncorrelated over 64 occasions."""
    return np.repeat((hadamard(64)[1 : channels + 1] > 0).astype(np.int64), copies, axis=0)


def mixed(seed: int, agents: int, occasions: int, copied: float) -> np.ndarray:
    """Agents that each follow a common coin with some probability, and toss their own elsewhere."""
    rng = np.random.default_rng(seed)
    common, own = rng.integers(0, 2, occasions), rng.integers(0, 2, (agents, occasions))
    return np.where(rng.random((agents, occasions)) < copied, common, own)


@pytest.mark.parametrize(("channels", "copies"), [(1, 5), (2, 1), (4, 6), (16, 2)])
def test_independent_channels_are_as_many_whatever_the_number_of_copies(channels: int, copies: int) -> None:
    found = decision_channels(orthogonal(channels, copies), estimator="plug-in", shuffles=2)
    assert found.value == pytest.approx(channels)
    assert found.details["participation_ratio"] == pytest.approx(channels)
    assert found.details["share"] == pytest.approx(1 / copies)


def test_channels_are_those_of_choices_of_several_options_too() -> None:
    # All pairs of three options are as frequent: exactly uncorrelated.
    first, second = np.meshgrid(range(3), range(3))
    rows = np.array([first.ravel(), second.ravel()] * 2)
    assert decision_channels(np.tile(rows, 10), estimator="plug-in").value == pytest.approx(2.0)
    assert decision_channels(np.eye(3)[np.tile(rows, 10)], estimator="plug-in").value == pytest.approx(2.0)


# Of independent agents the mean of 30 repetitions is within four errors of their number; each interval is nominal.
def test_the_bias_from_few_occasions_is_taken_off() -> None:
    found = [decision_channels(mixed(seed, 10, 120, 0.0), shuffles=2) for seed in range(30)]
    values, errors = (np.array([getattr(one, name) for one in found]) for name in ("value", "standard_error"))
    plain = np.array([one.details["of_these"] for one in found])
    assert plain.mean() == pytest.approx(10.0 * math.exp(-9.0 / 240), abs=0.05)
    assert abs(values.mean() - 10.0) < 0.05
    assert abs(np.mean([one.null_mean for one in found]) - 10.0) < 0.05
    assert np.count_nonzero(np.abs(values - 10.0) < 1.96 * errors) >= 24


def test_channels_with_noise_are_those_of_the_matrix_of_correlations() -> None:
    shares = np.full(10, (1 - 0.36) / 10)
    shares[0] += 0.36
    truth = math.exp(-float(shares @ np.log(shares)))
    found = decision_channels(mixed(3, 10, 4000, 0.6), shuffles=3)
    assert found.interval[0] < truth < found.interval[1]
    assert found.null_mean == pytest.approx(10.0, abs=0.05)
    assert found.z < -10.0


def test_agents_that_never_change_are_no_channels() -> None:
    choices = np.vstack([orthogonal(2, 2), np.zeros((3, 64), int)])
    found = decision_channels(choices, estimator="plug-in")
    assert found.value == pytest.approx(2.0)
    assert (found.details["constant_agents"], found.details["agents"]) == (3, 7)
    none = decision_channels(np.zeros((3, 64), int))
    assert (none.value, "constant" in none.flags) == (1.0, True)


def test_too_few_occasions_are_flagged() -> None:
    assert {"few_samples", "saturated"} <= set(decision_channels(mixed(1, 60, 20, 0.0)).flags)
    assert decision_channels(mixed(1, 4, 200, 0.0)).reliable


def test_copies_share_all_of_a_choice() -> None:
    coin = np.tile([0, 1], 100)
    coin = np.random.default_rng(1).permutation(coin)
    found = decision_redundancy(np.tile(coin, (5, 1)))
    assert found.details["plug_in"] == pytest.approx(math.log(2))
    assert found.details["share"] == pytest.approx(1.0, abs=0.02)
    assert found.details["subtracted_bias"] == pytest.approx(1 / 400, abs=0.001)


def information(copied: float) -> float:
    q = copied**2
    return 0.5 * ((1 + q) * math.log(1 + q) + (1 - q) * math.log(1 - q))


# Measured over 200 repetitions: 88 to 96 % of intervals hold the truth; fewer than 75 % of 40 with probability < 1 %.
@pytest.mark.parametrize("copied", [0.0, 0.6])
def test_redundancy_is_found_without_bias(copied: float) -> None:
    found = [decision_redundancy(mixed(seed, 8, 150, copied), shuffles=20) for seed in range(40)]
    values = np.array([float(one) for one in found])
    assert abs(values.mean() - information(copied)) < 4.0 * values.std() / math.sqrt(40)
    held = sum(one.interval[0] <= information(copied) <= one.interval[1] for one in found)
    assert held >= 30


def test_pairs_tell_who_copies_whom() -> None:
    choices = mixed(5, 4, 300, 0.0)
    choices[3] = choices[0]
    pairs = decision_redundancy(choices).details["pairs"]
    assert pairs[0, 3] == pytest.approx(math.log(2), abs=0.02)
    assert np.isnan(np.diag(pairs)).all()
    assert np.nanmax(np.abs(pairs[1])) < 0.03


def test_memory_of_ones_own_is_not_redundancy() -> None:
    # Independent agents that stay with a choice for about 20 steps: 2.5 to 97.5 % of the null, and far above 1 / 2T.
    rng = np.random.default_rng(7)
    choices = np.cumsum(rng.random((8, 600)) < 0.05, axis=1) % 2
    found = decision_redundancy(choices, block=60)
    assert found.details["subtracted_bias"] > 4 / 1200
    assert abs(found.z) < 3.0


def test_rows_and_tables_give_the_same() -> None:
    choices = mixed(6, 5, 80, 0.5)
    agent, occasion = np.meshgrid(range(5), range(80), indexing="ij")
    order = np.random.default_rng(1).permutation(400)
    data = xarray.Dataset(
        {
            name: ("row", values.ravel()[order])
            for name, values in {"action": choices, "agent": agent, "step": occasion}.items()
        }
    )
    rows = decision_redundancy("action", agent="agent", occasion="step", data=data)
    assert rows.value == decision_redundancy(choices).value
    some = decision_redundancy("action", agent="agent", occasion="step", data=data.isel(row=slice(1, None)))
    assert some.details["occasions_left_out"] == 1


def test_bad_tables_are_refused() -> None:
    with pytest.raises(InputError, match="agent and occasion belong together"):
        decision_redundancy(np.zeros((3, 4), int), agent=np.zeros(3, int))
    with pytest.raises(InputError, match="agent 0 decides 2 times on occasion 0"):
        decision_channels([0, 1, 1], agent=[0, 0, 1], occasion=[0, 0, 0])
    with pytest.raises(InputError, match="no occasion on which all agents decide"):
        decision_channels([0, 1], agent=[0, 1], occasion=[0, 1])
    with pytest.raises(InputError, match="of 1 agents on 4 occasions"):
        decision_channels(np.zeros((1, 4), int))
    with pytest.raises(InputError, match="holds fractions"):
        decision_channels(np.full((2, 4), 0.5))
