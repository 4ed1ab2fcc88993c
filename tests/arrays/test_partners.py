from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simengine.arrays.partners import match_pairs, pick_rank, pick_weighted, shuffle

keys = st.integers(0, 2**64 - 1).map(np.uint64)


@given(keys, st.integers(0, 2**62), st.integers(1, 30), st.data())
def test_picks_without_replacement_are_distinct_and_kept_sorted(
    key: np.uint64, identity: int, candidates: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, candidates))
    chosen = np.full(k, -1, np.int64)
    picks = [int(pick_rank(key, identity, pick, candidates, chosen)) for pick in range(k)]
    assert len(set(picks)) == k
    assert all(0 <= pick < candidates for pick in picks)
    assert chosen.tolist() == sorted(picks)


@given(keys, st.lists(st.sampled_from([0.0, 1e-300, 0.5, 1.0, 1e300]), min_size=1, max_size=12))
def test_weighted_picks_take_everyone_of_positive_weight_once_and_nobody_else(
    key: np.uint64, weights: list[float]
) -> None:
    left = np.array(weights)
    picks = [int(pick_weighted(key, 3, pick, len(weights), left)) for pick in range(len(weights) + 1)]
    taken = [pick for pick in picks if pick >= 0]
    assert sorted(taken) == [index for index, weight in enumerate(weights) if weight > 0]
    assert picks[len(taken) :] == [-1] * (len(picks) - len(taken))


@given(keys, st.permutations(range(12)), st.integers(0, 12))
def test_shuffles_and_pairs_follow_ids_and_not_slots(key: np.uint64, slots: list[int], living: int) -> None:
    by_id, mates = [], []
    for order in (np.arange(12), np.array(slots)):
        ids = np.empty(12, np.int64)
        ids[order] = np.arange(12)
        sequence, mate = np.full(12, -1, np.int64), np.full(12, -1, np.int64)
        shuffle(key, order, ids, living, sequence)
        match_pairs(key, order, ids, living, mate)
        assert sorted(ids[sequence[:living]].tolist()) == list(range(living))
        by_id.append(ids[sequence[:living]].tolist())
        mates.append([int(ids[mate[order[i]]]) if mate[order[i]] >= 0 else -1 for i in range(living)])
    assert by_id[0] == by_id[1]
    assert mates[0] == mates[1]
    assert all(mates[0][mate] == i for i, mate in enumerate(mates[0]) if mate >= 0)
    assert mates[0].count(-1) == living % 2
