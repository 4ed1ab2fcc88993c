"""A server that nobody here wrote, where one runs: `transformers serve` on a tiny model, or any other.

    pip install "transformers[serving]"
    python -c "from simengine.testing.tiny_model import tiny_model; tiny_model('/tmp/tiny')"
    HF_HUB_OFFLINE=1 transformers serve /tmp/tiny --host 127.0.0.1 --port 8123 --device cpu
    SIMENGINE_TEST_SERVER=http://127.0.0.1:8123/v1 SIMENGINE_TEST_MODEL=/tmp/tiny \
        python -m pytest tests/policies/language/test_other_servers.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from simengine.policies.language.backends.openai import OpenAI
from simengine.policies.language.calls import FATAL, PASSING, Failure, Message, Reply, Request
from simengine.policies.language.doctor import examine

URL, MODEL = os.environ.get("SIMENGINE_TEST_SERVER", ""), os.environ.get("SIMENGINE_TEST_MODEL", "")
pytestmark = pytest.mark.skipif(not (URL and MODEL), reason="SIMENGINE_TEST_SERVER and SIMENGINE_TEST_MODEL name none")
MESSAGES = (Message("system", "Be brief."), Message("user", "Options:\n- yes\n- no\nAnswer with one of them."))


@pytest.fixture
def backend() -> Iterator[OpenAI]:
    made = OpenAI(URL, MODEL, timeout=120.0)
    yield made
    made.close()


def test_it_answers_with_texts_and_counts_tokens(backend: OpenAI) -> None:
    found = backend.complete([Request(MESSAGES, temperature=0.0, max_tokens=8) for _ in range(4)])
    assert all(isinstance(one, Reply) and one.usage.known and one.usage.input > 0 for one in found)
    assert len({one.text for one in found if isinstance(one, Reply)}) == 1


def test_log_probabilities_are_there_or_their_lack_is_told(backend: OpenAI) -> None:
    (found,) = backend.score([Request(MESSAGES, kind="score", labels=("yes", "no"))])
    if isinstance(found, Reply):
        assert len(found.log_probabilities) == 2
    else:
        assert found.kind in ("invalid", "malformed")


def test_an_unknown_model_is_a_failure_and_no_answer() -> None:
    backend = OpenAI(URL, "nobody/has-this-model", timeout=120.0)
    (found,) = backend.complete([Request(MESSAGES, max_tokens=8)])
    backend.close()
    assert isinstance(found, Failure)
    assert found.kind in FATAL | PASSING


def test_it_can_be_examined(backend: OpenAI) -> None:
    report = examine(backend, repeats=2, together=3)
    assert report.problem == ""
    assert report.repeats_certain == 1
    assert report.latency is not None
    assert report.lines()
