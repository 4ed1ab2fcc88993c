from __future__ import annotations

import math
import multiprocessing
import pickle
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.errors import InputError
from simengine.policies.language.buckets import Bucket, FileBucket, Lease, Level, bucket_at
from simengine.policies.language.limits import LEASE_SECONDS, Limits

FREE = (0.0, 0.0)


def test_without_limits_nothing_waits():
    limits = Limits()
    assert [limits.reserve(1e9) for _ in range(1000)] == [0.0] * 1000


@settings(max_examples=30, deadline=None)
@given(
    per_minute=st.sampled_from([1.0, 7.0, 60.0, 600.0, 90_000.0]),
    holders=st.integers(1, 4),
    gaps=st.lists(st.sampled_from([0.0, 0.01, 0.3, 1.0, 5.0]), min_size=50, max_size=300),
)
def test_no_minute_sees_more_requests_than_its_limit_however_many_hold_leases(per_minute, holders, gaps):
    level, now = Level(), 1000.0
    left = [0.0] * holders
    sent: list[float] = []
    for turn, gap in enumerate(gaps):
        now += gap
        holder = turn % holders
        lease = level.take(now, (per_minute, None), (left[holder], math.inf), 1.0, LEASE_SECONDS)
        sent.extend([now] * int(lease.requests))
        left[holder] = 0.0
    for first in sent[:: max(1, len(sent) // 20)]:
        # One request may fall on the minute's edge where a minute has only a few.
        assert sum(first <= one < first + 60 for one in sent) <= max(per_minute, 2)


def test_a_bucket_says_how_long_to_wait_and_then_has_room():
    level = Level()
    rates = (60.0, None)
    assert level.take(0.0, rates, FREE, 1.0, LEASE_SECONDS).requests == 1.0
    lease = level.take(0.0, rates, FREE, 1.0, LEASE_SECONDS)
    assert lease.requests == 0.0
    assert level.take(lease.wait * 0.9, rates, FREE, 1.0, LEASE_SECONDS).requests == 0.0
    assert level.take(lease.wait, rates, FREE, 1.0, LEASE_SECONDS).requests == 1.0


def test_a_call_larger_than_the_bucket_goes_and_later_ones_wait_for_it():
    level = Level()
    rates = (None, 6000.0)
    lease = level.take(0.0, rates, FREE, 1000.0, LEASE_SECONDS)
    assert lease == Lease(0.0, math.inf, 1000.0, 0.0)
    again = level.take(0.0, rates, FREE, 10.0, LEASE_SECONDS)
    assert again.wait > 9.0


def test_a_lease_given_back_is_there_for_the_others():
    level = Level()
    rates = (600.0, None)
    lease = level.take(0.0, rates, FREE, 1.0, LEASE_SECONDS)
    while level.take(0.0, rates, FREE, 1.0, LEASE_SECONDS).requests:
        pass
    assert level.take(0.0, rates, FREE, 1.0, LEASE_SECONDS).wait > 0
    level.give_back(lease.requests, 0.0)
    assert level.take(0.0, rates, FREE, 1.0, LEASE_SECONDS).requests == lease.requests


def test_a_pause_stops_all_and_the_longest_counts():
    clock = [100.0]
    bucket = Bucket(lambda: clock[0])
    bucket.pause(30.0)
    bucket.pause(5.0)
    assert bucket.take((None, None), FREE, 1.0, LEASE_SECONDS).pause == 30.0
    clock[0] = 131.0
    assert bucket.take((None, None), FREE, 1.0, LEASE_SECONDS).pause == 0.0


def test_what_a_call_did_not_use_is_there_for_the_next_one():
    limits = Limits(tokens_per_minute=6000)
    assert limits.reserve(5000) == 0.0
    limits.settle(5000, 10)
    assert limits.reserve(30) == 0.0


def test_estimates_learn_from_what_calls_took():
    limits = Limits()
    for _ in range(200):
        limits.learn(100, 25)
    assert limits.estimate(100) == pytest.approx(25, rel=0.01)
    limits.learn(100, 0)
    assert limits.estimate(100) == pytest.approx(25, rel=0.01)


def test_limits_that_a_server_tells_hold_where_they_are_lower():
    limits = Limits(requests_per_minute=100)
    assert limits.reserve(1) == 0.0
    limits.told({"limit_requests": 1.0, "limit_tokens": 1e6})
    limits.told({"limit_requests": 1.0, "limit_tokens": 1e6})
    assert max(limits.reserve(1) for _ in range(3)) > 1.0
    assert limits.requests_per_minute == 100


@pytest.mark.parametrize("value", [0, -1, True, "many", float("nan")])
def test_limits_that_make_no_sense_are_named(value):
    with pytest.raises(InputError, match=r"requests_per_minute is .*; allowed"):
        Limits(value)


def test_copies_keep_the_numbers_and_share_through_a_file(tmp_path):
    limits = Limits(1.0, None, tmp_path / "limits.db")
    assert limits.reserve(1) == 0.0
    copy = pickle.loads(pickle.dumps(limits))
    assert copy.reserve(1) > 1.0
    limits.pause(500.0)
    assert pickle.loads(pickle.dumps(limits)).reserve(1) > 400.0
    limits.close()
    limits.close()


def test_a_shared_file_needs_a_folder(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        Limits(10, shared=tmp_path / "none" / "limits.db").reserve(1)


def test_ray_limits_need_a_cluster(monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(InputError, match="part of a Ray cluster"):
        bucket_at("ray:calls")


def granted(path, seconds, out) -> None:
    limits = Limits(requests_per_minute=6000, shared=path)
    until, count = time.time() + seconds, 0
    while time.time() < until:
        wait = limits.reserve(1)
        count += wait == 0
        time.sleep(min(wait, 0.01))
    out.put(count)


def test_processes_of_one_machine_share_a_limit(tmp_path):
    path = str(tmp_path / "limits.db")
    FileBucket(path).close()
    fork = multiprocessing.get_context("fork")
    counts = fork.SimpleQueue()
    began = time.time()
    processes = [fork.Process(target=granted, args=(path, 0.8, counts)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    total = sum(counts.get() for _ in processes)
    assert 20 <= total <= 50 + 100 * (time.time() - began)
