"""The doctor finds out what a server does by asking it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from simengine.policies.language.backends.function import Function
from simengine.policies.language.backends.openai import OpenAI
from simengine.policies.language.calls import Request
from simengine.policies.language.doctor import Report, examine
from simengine.testing.language_faults import Faults
from simengine.testing.language_server import serve

pytest.importorskip("aiohttp")


def examined(url: str, **further: Any) -> Report:
    backend = OpenAI(url, "m", timeout=5.0, **further)
    try:
        return examine(backend, repeats=3, together=4)
    finally:
        backend.close()


def unsteady(body: dict[str, Any], calls: list[int] = []) -> Any:  # noqa: B006
    calls.append(1)
    return f"answer {len(calls)}" if not body.get("logprobs") else {"red": 0.5, "blue": 0.25, "white": 0.25}


def test_a_good_server_gets_the_defaults() -> None:
    with serve(models=["m", "n"], requests_per_minute=6000) as server:
        report = examined(server.url)
        assert report.calls == server.paid.calls
    assert report.problem == ""
    assert report.served == ("m", "n")
    assert set(report.schema.values()) == {"kept"}
    assert report.can_score
    assert report.coverage == pytest.approx(1.0)
    assert (report.repeats_sampled, report.repeats_certain) == (1, 1)
    assert report.samples > 1
    assert report.batch_difference == 0.0
    assert report.usage == ("input", "output")
    assert report.limits["limit_requests"] == 6000.0
    assert report.latency is not None
    assert report.repeatable
    assert report.settings() == {}
    assert json.loads(json.dumps(report.as_dict()))["repeatable"] is True


def test_what_a_server_lacks_is_told_with_the_settings_that_suit_it() -> None:
    with serve(faults=Faults(no_log_probabilities=1.0)) as server:
        report = examined(server.url)
    assert not report.can_score
    assert report.settings() == {"score": False}
    lines = report.lines()
    assert any("log-probabilities   none: the server told no" in line for line in lines)
    assert any("score=False" in line for line in lines if line.startswith("settings"))
    with serve(faults=Faults(missing_usage=1.0)) as server:
        assert examined(server.url).usage == ()


def test_schemas_that_one_way_refuses_are_asked_for_in_another() -> None:
    with serve(faults=Faults(invalid=1.0, only="response_format")) as server:
        report = examined(server.url)
    assert report.schema["response_format"].startswith("status 400")
    assert report.settings() == {"schema": "structured_outputs"}


def test_answers_that_change_are_found_out() -> None:
    with serve(answers=unsteady) as server:
        report = examined(server.url)
    assert (report.repeats_sampled, report.repeats_certain) == (6, 3)
    assert not report.repeatable
    assert report.coverage == pytest.approx(0.75)
    assert any("replayable from their record only" in line for line in report.lines())
    assert any("prefer another elicitation" in line for line in report.lines())


def test_what_stops_every_call_ends_the_examination() -> None:
    with serve(key="word") as server:
        report = examined(server.url)
        assert server.paid.calls == 0
    assert "401" in report.problem
    assert report.lines() == [f"openai/m: {report.problem}"]
    assert not report.can_score
    assert report.as_dict()["coverage"] is None
    assert "no connection" in examined(server.url).problem


def test_backends_of_this_process_are_examined_too() -> None:
    def answer(context: Mapping[str, Any], request: Request) -> Any:
        if request.kind == "score":
            return [1.0, 0.0, 0.0]
        return {"colour": "red", "count": 3} if request.schema else "cat"

    report = examine(Function(answer), repeats=2, together=3)
    assert report.schema == {"schema": "kept"}
    assert report.repeatable
    assert report.usage == ()
    assert any("ask for no samples" in line for line in report.lines())
