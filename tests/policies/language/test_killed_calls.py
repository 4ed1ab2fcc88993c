"""Calls over a real connection: a process killed while they are under way, and a server with troubles."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from simengine.policies.language.backends.openai import OpenAI
from simengine.policies.language.calls import Failure, Message, Request
from simengine.policies.language.gateway import Gateway
from simengine.policies.language.record import Record
from simengine.policies.language.retries import Retries
from simengine.testing.language_faults import Faults
from simengine.testing.language_server import serve

pytest.importorskip("aiohttp")

STEPS, CALLS = 3, 60

ASKING = f"""
import sys
from simengine.policies.language.backends.openai import OpenAI
from simengine.policies.language.calls import Message, Request
from simengine.policies.language.gateway import Gateway
from simengine.policies.language.record import Record
gateway = Gateway(OpenAI(sys.argv[1], "tiny"), Record(sys.argv[2]), connections=8)
for step in range({STEPS}):
    requests = [Request((Message("user", f"{{step}} {{number}}"),)) for number in range({CALLS})]
    gateway.submit(requests, step=step, label="agents.act").result()
gateway.close()
gateway.record.close()
"""


def asking(url, path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", ASKING, url, str(path)])


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_record_and_pays_no_call_twice(tmp_path):
    jitter = random.Random(5)
    with serve(latency=(0.01, 0.04), honour_idempotency=True) as server:
        assert asking(server.url, tmp_path / "whole.db").wait(60) == 0
        expected = Record(tmp_path / "whole.db").digest()
        interrupted = 0
        for trial in range(20):
            server.reset()
            path = tmp_path / f"{trial}.db"
            process = asking(server.url, path)
            enough = jitter.randrange(1, STEPS * CALLS - 20)
            while server.paid.total < enough:
                time.sleep(0.002)
            process.kill()
            assert process.wait(30) == -signal.SIGKILL
            before = len(Record(path))
            assert before < STEPS * CALLS
            interrupted += before > 0
            assert asking(server.url, path).wait(60) == 0
            assert Record(path).digest() == expected
            assert server.paid.twice == {}
            assert server.paid.total == STEPS * CALLS
            # Answered and recorded calls were not sent again at all.
            assert server.paid.calls <= STEPS * CALLS + 8 + 8
        assert interrupted >= 10


def requests(number: int) -> list[Request]:
    return [Request((Message("user", f"question {one}"),)) for one in range(number)]


@pytest.mark.parametrize("connections", [1, 64])
def test_a_troubled_server_costs_attempts_and_no_answers(connections):
    quick = Retries(base=0.002, longest=0.05, cooldown=0.01)
    faults = Faults(seed=3, rate_limit=0.2, reset=0.05)
    with serve(faults=faults) as server, serve() as calm:
        found = []
        for url, width in ((server.url, connections), (calm.url, 64)):
            with Gateway(OpenAI(url, "tiny"), Record(None), connections=width, retries=quick) as gateway:
                outcomes = gateway.submit(requests(200), step=0, label="agents.act").result()
                assert not [outcome for outcome in outcomes if isinstance(outcome.answer, Failure)]
                found.append((gateway.record.digest(), gateway.ledger.total))
        assert found[0][0] == found[1][0]
        assert found[0][1].attempts == server.paid.calls
        assert found[0][1].calls == 200
        troubles = Counter(served.fault for served in server.log() if served.fault)
        assert sum(troubles.values()) == found[0][1].attempts - 200
