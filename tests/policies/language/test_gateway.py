from __future__ import annotations

import asyncio
import gc
import hashlib
import multiprocessing
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from simengine.errors import InputError, RunError, StoreError
from simengine.policies.language.backends.replay import Replay
from simengine.policies.language.calls import Capabilities, Failure, Message, Reply, Request, Usage
from simengine.policies.language.dispatch import Call
from simengine.policies.language.gateway import Gateway, Outcome, Pending
from simengine.policies.language.limits import Limits
from simengine.policies.language.record import Record
from simengine.policies.language.retries import Retries
from simengine.policies.language.spending import Budget, BudgetSpent, Prices

QUICK = Retries(base=0.001, longest=0.01, cooldown=0.01)
LABEL = "agents.act"


def asks(*texts: str, **settings) -> list[Request]:
    return [Request((Message("system", "Be brief."), Message("user", text)), **settings) for text in texts]


def said(request: Request) -> str:
    return request.messages[-1].text


def plain(request: Request, attempt: int) -> Reply | Failure:
    """The answer of a server that has no troubles."""
    return Reply(f"to {said(request)}", usage=Usage(10, 2, 3, 1))


class Server:
    """A backend with coroutines: ``answers(request, attempt)``, after ``delay(request, attempt)`` seconds."""

    def __init__(self, answers=plain, delay=lambda request, attempt: 0.0):
        self.answers, self.delay = answers, delay
        self.attempts: Counter[str] = Counter()
        self.keys: list[str] = []
        self.active = self.most_active = self.cancelled = 0
        self.left = False

    def capabilities(self) -> Capabilities:
        return Capabilities("test/server")

    def complete(self, requests):
        raise AssertionError("a backend with coroutines is asked by them")

    score = complete

    def close(self) -> None:
        raise AssertionError("the backend belongs to whoever made it")

    async def answer(self, request, *, timeout, idempotency=""):
        attempt = self.attempts[said(request)]
        self.attempts[said(request)] += 1
        self.keys.append(idempotency)
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        try:
            await asyncio.sleep(self.delay(request, attempt))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.active -= 1
        return self.answers(request, attempt)

    async def leave(self) -> None:
        self.left = True


class Desk:
    """A backend without coroutines."""

    def __init__(self, answers=plain, batch=4, deterministic=False, wait=0.0):
        self.answers, self.batch, self.deterministic, self.wait = answers, batch, deterministic, wait
        self.batches: list[tuple[str, int]] = []
        self.threads: set[int] = set()
        self.attempts: Counter[str] = Counter()

    def capabilities(self) -> Capabilities:
        return Capabilities("test/desk", batch=self.batch, deterministic=self.deterministic)

    def _answered(self, kind, requests):
        self.batches.append((kind, len(requests)))
        self.threads.add(threading.get_ident())
        time.sleep(self.wait)
        found = []
        for request in requests:
            found.append(self.answers(request, self.attempts[said(request)]))
            self.attempts[said(request)] += 1
        return [answer for answer in found if answer is not None]

    def complete(self, requests):
        return self._answered("complete", requests)

    def score(self, requests):
        return self._answered("score", requests)

    def close(self) -> None:
        pass


@pytest.fixture
def gateway():
    made = []

    def make(backend=None, record=None, **settings):
        settings = {"retries": QUICK, **settings}
        made.append(Gateway(backend or Server(), Record(None) if record is None else record, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close(0.0)


def answers(outcomes: list[Outcome]) -> list[str]:
    return [getattr(outcome.answer, "text", None) or outcome.answer.kind for outcome in outcomes]


def scattered(request: Request, attempt: int) -> float:
    return hashlib.sha256(said(request).encode()).digest()[0] / 256 * 0.03


@pytest.mark.parametrize("connections", [1, 7, 512])
def test_outcomes_and_record_are_the_same_for_any_number_of_connections_and_order_of_arrival(gateway, connections):
    def troubled(request, attempt):
        trouble = hashlib.sha256(said(request).encode()).digest()[1] % 8
        if trouble == 0 and attempt < 2:
            return Failure("rate_limit", "later", 429)
        if trouble == 1 and attempt < 1:
            return Failure("transient", "reset")
        return Failure("refusal", "no") if trouble == 2 else plain(request, attempt)

    delay = scattered if connections > 1 else lambda request, attempt: 0.0
    server = Server(troubled, delay)
    way = gateway(server, connections=connections)
    outcomes = way.submit(asks(*[f"q{n}" for n in range(60)]), step=0, label=LABEL).result()
    reference = [troubled(request, 9) for request in asks(*[f"q{n}" for n in range(60)])]
    assert [outcome.answer for outcome in outcomes] == reference
    assert all(outcome.fresh and outcome.source == "network" for outcome in outcomes)
    assert server.most_active <= connections
    straight = gateway(Server(lambda request, attempt: troubled(request, 9)))
    straight.submit(asks(*[f"q{n}" for n in range(60)]), step=0, label=LABEL).result()
    assert way.record.digest() == straight.record.digest()


def test_equal_requests_are_one_call(gateway):
    server = Server(delay=lambda request, attempt: 0.02)
    way = gateway(server)
    first = way.submit(asks("a", "b", "a"), step=0, label=LABEL)
    second = way.submit(asks("b", "c"), step=0, label="agents.plan")
    assert answers(first.result()) == ["to a", "to b", "to a"]
    assert answers(second.result()) == ["to b", "to c"]
    assert all(outcome.fresh for outcome in first.result() + second.result())
    assert server.attempts == {"a": 1, "b": 1, "c": 1}
    assert way.ledger.total.calls == 3


def test_samples_and_orders_are_calls_of_their_own(gateway):
    server = Server()
    way = gateway(server)
    way.submit(asks("a") + asks("a", sample="1") + asks("a", order=1), step=0, label=LABEL).result()
    assert server.attempts == {"a": 3}
    assert len(set(server.keys)) == 3


def test_no_requests_are_no_work(gateway):
    way = gateway()
    pending = way.submit([], step=0, label=LABEL)
    assert pending.done()
    assert pending.result() == []


def test_an_answer_is_in_the_file_before_it_is_seen(gateway, tmp_path):
    way = gateway(record=Record(tmp_path / "calls.db"))
    requests = asks("a", "b")
    way.submit(requests, step=3, label=LABEL).result()
    other = Record(tmp_path / "calls.db")
    assert set(other.get([request.key("test/server") for request in requests])) == {
        request.key("test/server") for request in requests
    }
    assert {(entry.step, entry.label, entry.attempts) for entry in other.entries()} == {(3, LABEL, 1)}
    assert [entry.order for entry in sorted(other.entries(), key=lambda entry: entry.answer.text)] == [0, 1]


def test_an_answer_is_fresh_at_the_step_that_first_asked_for_it_in_a_first_and_in_a_resumed_run(gateway, tmp_path):
    asked = {0: asks("a", "b"), 1: asks("b", "c"), 2: asks("a", "d")}

    def freshness(way, steps):
        return {
            step: [outcome.fresh for outcome in way.submit(asked[step], step=step, label=LABEL).result()]
            for step in steps
        }

    expected = {0: [True, True], 1: [False, True], 2: [False, True]}
    first = gateway(record=Record(tmp_path / "calls.db"))
    assert freshness(first, (0, 1, 2)) == expected
    first.close()
    server = Server()
    resumed = gateway(server, record=Record(tmp_path / "calls.db"))
    assert freshness(resumed, (1, 2)) == {1: expected[1], 2: expected[2]}
    assert not server.attempts
    replayed = gateway(Replay(Record(tmp_path / "calls.db")))
    assert freshness(replayed, (0, 1, 2)) == expected


def test_a_run_that_goes_another_way_after_a_checkpoint_asks_first_when_it_asks_first(gateway):
    record = Record(None)
    gateway(record=record).submit(asks("late"), step=9, label=LABEL).result()
    way = gateway(record=record)
    assert way.submit(asks("late"), step=4, label=LABEL).result()[0].fresh
    assert not way.submit(asks("late"), step=9, label=LABEL).result()[0].fresh


def test_a_passing_trouble_is_mended_by_retries_that_are_counted(gateway):
    server = Server(lambda request, attempt: Failure("transient", "reset") if attempt < 3 else plain(request, attempt))
    way = gateway(server)
    assert answers(way.submit(asks("a"), step=0, label=LABEL).result()) == ["to a"]
    assert server.attempts == {"a": 4}
    assert len(set(server.keys)) == 1
    assert way.ledger.as_dict() == {
        LABEL: {
            "calls": 1, "attempts": 4, "input": 10, "cached_input": 2, "output": 3, "reasoning": 1, "estimated": 0,
        }
    }  # fmt: skip


def test_a_failure_that_stays_is_an_outcome_of_its_step_and_a_later_step_asks_again(gateway):
    record = Record(None)
    down = Server(lambda request, attempt: Failure("transient", "reset", 503))
    way = gateway(down, record)
    (outcome,) = way.submit(asks("a"), step=2, label=LABEL).result()
    assert outcome.answer == Failure("transient", "reset", 503)
    assert down.attempts == {"a": 4}
    up = Server()
    resumed = gateway(up, record)
    assert resumed.submit(asks("a"), step=2, label=LABEL).result()[0].answer == outcome.answer
    assert not up.attempts
    assert resumed.submit(asks("a"), step=3, label=LABEL).result() == [Outcome(plain(*asks("a"), 0), True, "network")]
    replayed = gateway(Replay(record))
    assert [answers(replayed.submit(asks("a"), step=step, label=LABEL).result()) for step in (2, 3)] == [
        ["transient"], ["to a"],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["refusal", "malformed", "too_long"])
def test_what_belongs_to_the_request_is_recorded_and_not_repeated(gateway, kind):
    server = Server(lambda request, attempt: Failure(kind, "no"))
    way = gateway(server)
    for step in (0, 1):
        (outcome,) = way.submit(asks("a"), step=step, label=LABEL).result()
        assert outcome.answer.kind == kind
    assert not outcome.fresh
    assert server.attempts == {"a": 1}


@pytest.mark.parametrize("kind", ["quota", "authentication", "unknown_model", "invalid"])
def test_what_every_call_would_meet_stops_at_once_and_is_not_recorded(gateway, kind):
    waits = {"slow": 30.0, "bad": 0.01, "good": 0.0}
    server = Server(
        lambda request, attempt: Failure(kind, "words", 402) if said(request) == "bad" else plain(request, 0),
        lambda request, attempt: waits[said(request)],
    )
    way = gateway(server)
    began = time.monotonic()
    other = way.submit(asks("slow"), step=0, label=LABEL)
    with pytest.raises(RunError, match=r"\(status 402\): words"):
        way.submit(asks("good", "bad"), step=0, label=LABEL).result()
    with pytest.raises(RunError):
        other.result()
    with pytest.raises(RunError):
        way.submit(asks("more"), step=0, label=LABEL)
    assert time.monotonic() - began < 10
    assert [entry.answer.text for entry in way.record.entries()] == ["to good"]
    assert "more" not in server.attempts


def test_calls_turned_away_wait_and_do_not_count_as_retries(gateway):
    server = Server(lambda request, attempt: Failure("rate_limit", "busy", 429) if attempt < 6 else plain(request, 0))
    way = gateway(server, retries=Retries(base=0.001, longest=0.01, attempts=1, share=0.0, spare=0))
    outcomes = way.submit(asks(*"abcdefgh"), step=0, label=LABEL).result()
    assert answers(outcomes) == [f"to {letter}" for letter in "abcdefgh"]
    assert set(server.attempts.values()) == {7}


def test_everybody_waits_as_long_as_a_server_asks(gateway):
    began = []

    def busy(request, attempt):
        began.append(time.monotonic())
        return Failure("rate_limit", "busy", 429, 0.3) if len(began) == 1 else plain(request, attempt)

    way = gateway(Server(busy), connections=1)
    way.submit(asks("a", "b"), step=0, label=LABEL).result()
    assert began[1] - began[0] >= 0.29


def test_a_server_that_asks_to_wait_for_hours_stops_the_run(gateway):
    way = gateway(Server(lambda request, attempt: Failure("rate_limit", "busy", 429, 7200.0)))
    with pytest.raises(RunError, match="asks to wait 7200 s"):
        way.submit(asks("a"), step=0, label=LABEL).result()
    assert len(way.record) == 0


def test_an_outage_pauses_the_step_and_fails_no_call(gateway):
    total = [0]

    def down_at_first(request, attempt):
        total[0] += 1
        return Failure("transient", "no connection") if total[0] <= 30 else plain(request, attempt)

    way = gateway(Server(down_at_first), connections=32, retries=Retries(
        base=0.001, longest=0.02, cooldown=0.005, share=0.0, spare=20
    ))  # fmt: skip
    texts = [f"q{n}" for n in range(40)]
    assert answers(way.submit(asks(*texts), step=0, label=LABEL).result()) == [f"to {text}" for text in texts]


def test_an_outage_without_end_stops_the_run_and_records_no_failure_of_its_calls(gateway):
    server = Server(lambda request, attempt: Failure("transient", "no connection"))
    way = gateway(server, retries=Retries(base=0.001, longest=0.01, cooldown=0.005, patience=0.1, window=10))
    with pytest.raises(RunError, match=r"no answer for .* \(no connection\); .* resume later"):
        way.submit(asks(*[f"q{n}" for n in range(40)]), step=0, label=LABEL).result()
    assert len(way.record) == 0


def test_the_retry_budget_bounds_the_load(gateway):
    def one_in_three(request, attempt):
        return Failure("transient", "reset") if int(said(request)) % 3 == 0 else plain(request, attempt)

    server = Server(one_in_three)
    way = gateway(server, retries=Retries(base=0.0, share=0.1, spare=5, failing=2.0))
    way.submit(asks(*map(str, range(300))), step=0, label=LABEL).result()
    assert sum(server.attempts.values()) == 300 + 35


def test_a_call_without_answer_fails_after_its_deadline_even_if_the_backend_does_not_look_at_it(gateway):
    way = gateway(Server(delay=lambda request, attempt: 60.0), retries=QUICK)
    began = time.monotonic()
    (outcome,) = way.submit(asks("a"), step=0, label=LABEL, deadline=0.05).result()
    assert outcome.answer.kind == "timeout"
    assert time.monotonic() - began < 20


def test_a_straggler_is_sent_once_more_and_the_first_reply_counts(gateway):
    server = Server(delay=lambda request, attempt: 30.0 if said(request) == "a" and attempt == 0 else 0.0)
    way = gateway(server, hedge_after=0.05)
    assert answers(way.submit(asks("a", "b"), step=0, label=LABEL).result()) == ["to a", "to b"]
    assert server.attempts == {"a": 2, "b": 1}
    assert server.cancelled == 1
    assert len(set(server.keys)) == 2
    assert way.ledger.total.attempts == 3


def test_a_hedge_that_fails_leaves_the_first_attempt_to_answer(gateway):
    server = Server(
        lambda request, attempt: Failure("transient", "reset") if attempt else plain(request, 0),
        lambda request, attempt: 0.2 if attempt == 0 else 0.0,
    )
    way = gateway(server, hedge_after=0.05)
    assert answers(way.submit(asks("a"), step=0, label=LABEL).result()) == ["to a"]
    assert server.attempts == {"a": 2}


def test_nothing_is_sent_that_may_pass_the_budget_and_a_resumed_run_counts_what_was_paid(gateway):
    record = Record(None)
    server = Server()
    way = gateway(server, record, budget=Budget(calls=3))
    way.submit(asks("a", "b"), step=0, label=LABEL).result()
    with pytest.raises(BudgetSpent, match=r"2 of 3 calls spent, and the next decisions would take 2 calls more"):
        way.submit(asks("a", "c", "d"), step=1, label=LABEL)
    assert way.submit(asks("c"), step=1, label=LABEL).result()
    resumed = gateway(server, record, budget=Budget(calls=3))
    assert resumed.ledger == way.ledger
    with pytest.raises(BudgetSpent):
        resumed.submit(asks("d"), step=1, label=LABEL)
    assert answers(resumed.submit(asks("a", "b", "c"), step=1, label=LABEL).result()) == ["to a", "to b", "to c"]
    assert set(server.attempts) == {"a", "b", "c"}


def test_calls_under_way_count_against_the_budget(gateway):
    way = gateway(Server(delay=lambda request, attempt: 0.2), budget=Budget(calls=2))
    pending = way.submit(asks("a", "b"), step=0, label=LABEL)
    with pytest.raises(BudgetSpent):
        way.submit(asks("c"), step=0, label=LABEL)
    assert answers(pending.result()) == ["to a", "to b"]


def test_tokens_and_money_are_bounded_by_the_dearest_answer(gateway):
    way = gateway(budget=Budget(tokens=100))
    with pytest.raises(BudgetSpent, match="tokens"):
        way.submit(asks("a", max_tokens=100), step=0, label=LABEL)
    assert way.submit(asks("a", max_tokens=20), step=0, label=LABEL).result()
    dear = gateway(budget=Budget(money=1e-3), prices=Prices(10.0, 100.0))
    with pytest.raises(BudgetSpent, match="USD"):
        dear.submit(asks("a"), step=0, label=LABEL)
    with pytest.raises(InputError, match="needs prices"):
        gateway(budget=Budget(money=1.0))


def test_a_shared_cache_gives_replies_that_cost_nothing_and_takes_new_ones(gateway, tmp_path):
    cache = Record(tmp_path / "shared.db")

    def refusing(request, attempt):
        return Failure("refusal", "no") if said(request) == "no" else plain(request, attempt)

    first = gateway(Server(refusing), cache=cache)
    first.submit(asks("a", "no"), step=0, label=LABEL).result()
    server = Server()
    second = gateway(server, Record(tmp_path / "second.db"), cache=Record(tmp_path / "shared.db"))
    outcomes = second.submit(asks("a", "b", "no"), step=5, label=LABEL).result()
    assert [outcome.source for outcome in outcomes] == ["cache", "network", "network"]
    assert all(outcome.fresh for outcome in outcomes)
    assert server.attempts == {"b": 1, "no": 1}
    assert second.ledger.total.calls == 2
    assert len(cache) == 3
    alone = gateway(Replay(Record(tmp_path / "second.db")))
    assert answers(alone.submit(asks("a", "b", "no"), step=5, label=LABEL).result()) == ["to a", "to b", "to no"]


def test_backends_without_coroutines_get_batches_of_one_kind_in_one_thread(gateway):
    desk = Desk(batch=4)
    way = gateway(desk)
    requests = asks(*"abcdefgh") + asks(*"ijk", kind="score", labels=("x", "y"))
    outcomes = way.submit(requests, step=0, label=LABEL).result()
    assert answers(outcomes) == [f"to {letter}" for letter in "abcdefghijk"]
    assert sum(size for kind, size in desk.batches if kind == "score") == 3
    assert sum(size for kind, size in desk.batches if kind == "complete") == 8
    assert all(size <= 4 for _, size in desk.batches)
    assert len(desk.threads) == 1
    assert threading.get_ident() not in desk.threads


def test_a_backend_without_coroutines_is_retried_unless_it_would_fail_again_in_the_same_way(gateway):
    def at_first(request, attempt):
        return Failure("transient", "busy") if attempt == 0 else plain(request, attempt)

    passing, certain = Desk(at_first), Desk(at_first, deterministic=True)
    assert answers(gateway(passing).submit(asks("a"), step=0, label=LABEL).result()) == ["to a"]
    way = gateway(certain)
    assert answers(way.submit(asks(*"abcdefghijklmnopqrstuvwxyz"), step=0, label=LABEL).result()) == ["transient"] * 26
    assert set(certain.attempts.values()) == {1}


def test_a_slow_backend_in_this_process_has_no_deadline(gateway):
    way = gateway(Desk(wait=0.1), deadline=0.01)
    assert answers(way.submit(asks(*"abcdefgh"), step=0, label=LABEL).result()) == [f"to {one}" for one in "abcdefgh"]


@pytest.mark.parametrize("backend", [Server, Desk])
def test_an_error_in_a_backend_stops_the_run_and_names_it(gateway, backend):
    def wrong(request, attempt):
        raise ZeroDivisionError("oh")

    with pytest.raises(RunError, match=r"ZeroDivisionError in .*: oh"):
        gateway(backend(wrong)).submit(asks("a"), step=0, label=LABEL).result()


def test_a_backend_that_loses_answers_is_told_so(gateway):
    way = gateway(Desk(lambda request, attempt: None if said(request) == "b" else plain(request, attempt)))
    with pytest.raises(RunError, match=r"gave . answers to . requests"):
        way.submit(asks("a", "b", "c"), step=0, label=LABEL).result()


def test_a_record_that_cannot_be_written_stops_the_run(gateway, monkeypatch):
    way = gateway()

    def full(entries):
        raise StoreError("no space left")

    monkeypatch.setattr(way.record, "put", full)
    with pytest.raises(StoreError, match="no space left"):
        way.submit(asks("a"), step=0, label=LABEL).result()


def test_closing_waits_a_little_for_paid_answers_and_frees_who_waits(gateway):
    server = Server(delay=lambda request, attempt: 0.1 if said(request) == "soon" else 60.0)
    way = gateway(server)
    pending = way.submit(asks("soon", "late"), step=0, label=LABEL)
    time.sleep(0.03)
    way.close(grace=0.5)
    way.close()
    with pytest.raises(RunError, match="closed"):
        pending.result()
    assert [entry.answer.text for entry in way.record.entries()] == ["to soon"]
    assert server.left
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("simengine-language")]
    server.delay = lambda request, attempt: 0.0
    assert answers(way.submit(asks("late"), step=0, label=LABEL).result()) == ["to late"]


def test_a_copy_starts_for_itself(gateway, tmp_path):
    way = gateway(Desk(), Record(tmp_path / "calls.db"), limits=Limits(1e6), budget=Budget(calls=9))
    copy = pickle.loads(pickle.dumps(way))
    assert answers(copy.submit(asks("a"), step=0, label=LABEL).result()) == ["to a"]
    assert len(Record(tmp_path / "calls.db")) == 1
    copy.close()


def test_a_forked_process_starts_for_itself(gateway, tmp_path):
    way = gateway(Server(), Record(tmp_path / "calls.db"))
    way.submit(asks("a"), step=0, label=LABEL).result()

    def child():
        way.submit(asks("a", "b"), step=0, label=LABEL).result()
        way.close()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert answers(way.submit(asks("b", "c"), step=0, label=LABEL).result()) == ["to b", "to c"]
    assert set(way.backend.attempts) == {"a", "c"}


LEFT_OPEN = """
import asyncio, sys
from simengine.policies.language.calls import Capabilities, Message, Reply, Request
from simengine.policies.language.gateway import Gateway
from simengine.policies.language.record import Record
class Slow:
    def capabilities(self): return Capabilities("test/slow")
    def complete(self, requests): pass
    def score(self, requests): pass
    def close(self): pass
    async def leave(self): pass
    async def answer(self, request, *, timeout, idempotency=""):
        await asyncio.sleep(0 if request.messages[0].text == "quick" else 60)
        return Reply("x")
gateway = Gateway(Slow(), Record(sys.argv[1]))
gateway.submit([Request((Message("user", "quick"),))], step=0, label="l").result()
gateway.submit([Request((Message("user", "slow"),))], step=0, label="l")
"""


def test_a_process_ends_though_calls_are_under_way(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN, str(tmp_path / "calls.db")], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(Record(tmp_path / "calls.db")) == 1


def test_threads_share_a_gateway(gateway):
    server = Server(delay=scattered)
    way = gateway(server)
    found = {}

    def work(name):
        texts = [f"q{number}" for number in range(name, name + 20)]
        found[name] = (texts, answers(way.submit(asks(*texts), step=0, label=LABEL).result()))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert all(given == [f"to {text}" for text in texts] for texts, given in found.values())
    assert set(server.attempts.values()) == {1}


def test_nothing_piles_up_over_a_thousand_steps(gateway):
    way = gateway()
    for step in range(1000):
        way.submit(asks(f"{step % 700} a", f"{step} b"), step=step, label=LABEL).result()
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, Call | Pending)]
    assert not way._under_way
    assert not way._waiting
    assert list(way.ledger.labels) == [LABEL]


def test_a_run_that_only_used_a_cache_can_be_replayed(gateway):
    cache = Record(None)
    gateway(cache=cache).submit(asks("a"), step=0, label=LABEL).result()
    way = gateway(cache=cache)
    assert way.ledger.total.calls == 0
    way.submit(asks("a"), step=0, label=LABEL).result()
    assert answers(gateway(Replay(way.record)).submit(asks("a"), step=0, label=LABEL).result()) == ["to a"]


def test_two_processes_that_ask_the_same_hand_out_the_same(gateway, tmp_path):
    ways = [
        gateway(
            Server(lambda request, attempt, name=name: Reply(f"{name} to {said(request)}"), delay=lambda *_: 0.05),
            Record(tmp_path / "calls.db"),
        )
        for name in ("one", "other")
    ]
    pending = [way.submit(asks(*"abcd"), step=0, label=LABEL) for way in ways]
    assert pending[0].result() == pending[1].result()


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"connections": 0}, "connections"), ({"deadline": 0}, "deadline"), ({"hedge_after": -1}, "hedge_after")],
)
def test_settings_that_make_no_sense_are_named(settings, words):
    with pytest.raises(InputError, match=words):
        Gateway(Desk(), Record(None), **settings)
