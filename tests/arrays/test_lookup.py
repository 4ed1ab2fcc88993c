from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simengine.arrays.lookup import group_members, keep_living, living_slot_of, merge_newborn, rank_of, slot_of

ids_and_order = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 20), unique=True, max_size=30)


def stored(identities: list[int], spare: int = 2) -> tuple[np.ndarray, np.ndarray, int]:
    """Ids in arbitrary slots with some left over, and the slots of the living by id."""
    ids = np.full(len(identities) + spare, -1, np.int64)
    ids[: len(identities)] = identities
    order = np.full(len(ids), -1, np.int64)
    order[: len(identities)] = np.argsort(ids[: len(identities)])
    return ids, order, len(identities)


@given(ids_and_order, st.integers(-1, 2**63 - 1))
def test_an_id_is_found_where_it_is_stored_and_nowhere_else(identities: list[int], stranger: int) -> None:
    ids, order, living = stored(identities)
    for slot, identity in enumerate(identities):
        assert slot_of(order, ids, living, identity) == slot
        assert rank_of(order, ids, living, identity) == sorted(identities).index(identity)
    if stranger not in identities:
        assert slot_of(order, ids, living, stranger) == -1
        assert rank_of(order, ids, living, stranger) == -1


@given(ids_and_order, st.randoms())
def test_the_dead_are_dropped_and_nobody_else(identities: list[int], random: object) -> None:
    ids, order, living = stored(identities)
    alive = np.array([random.random() < 0.6 for _ in ids])  # type: ignore[attr-defined]
    for slot, identity in enumerate(identities):
        assert living_slot_of(order, ids, alive, living, identity) == (slot if alive[slot] else -1)
    kept = keep_living(order, alive, living)
    assert ids[order[:kept]].tolist() == sorted(i for slot, i in enumerate(identities) if alive[slot])


@given(ids_and_order, st.data())
def test_the_newborn_are_merged_by_id(identities: list[int], data: st.DataObject) -> None:
    born = data.draw(st.integers(0, len(identities)))
    old = len(identities) - born
    ids = np.array(identities, np.int64)
    order = np.full(len(ids), -1, np.int64)
    order[:old] = np.argsort(ids[:old])
    newborn = np.arange(old, len(ids) + 3)
    assert merge_newborn(order, ids, old, newborn, born) == len(ids)
    assert ids[order].tolist() == sorted(identities)


@given(ids_and_order, ids_and_order, st.data())
def test_members_are_listed_by_group_and_id(people: list[int], groups: list[int], data: st.DataObject) -> None:
    ids, order, living = stored(people)
    group_ids, group_order, number = stored(groups)
    named = np.array([data.draw(st.sampled_from([*groups, -1, 12345])) for _ in ids], np.int64)
    starts, members = np.full(len(group_ids) + 2, 99, np.int64), np.full(len(ids), 99, np.int64)
    group_of, place_of = np.full(len(ids), 99, np.int64), np.full(len(ids), 99, np.int64)
    group_members(order, living, named, group_order, group_ids, number, starts, members, group_of, place_of)
    for slot, group in enumerate(groups):
        found = ids[members[starts[slot] : starts[slot + 1]]].tolist()
        assert found == sorted(person for at, person in enumerate(people) if named[at] == group)
    assert starts[0] == 0
    assert (np.diff(starts[: number + 1]) >= 0).all()
