"""OpenAI-compatible servers: what is sent, how answers and failures are read, and that keys stay hidden."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import math
import pickle
import shutil
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.errors import InputError
from simengine.policies.language.backends.keys import Key, without_secrets
from simengine.policies.language.backends.openai import OpenAI
from simengine.policies.language.backends.openai_reading import failure_of, limits_of, reply_of, span_of, wait_of
from simengine.policies.language.backends.token_mass import log_masses, tokens_needed
from simengine.policies.language.calls import FATAL, PASSING, Backend, Concurrent, Failure, Message, Reply, Request
from simengine.testing.language_answers import answer_to, distribution_of
from simengine.testing.language_faults import Faults
from simengine.testing.language_server import Server, serve

pytest.importorskip("aiohttp")

SECRET = "sk-verysecret0123456789"
LABELS = ("cooperate", "compete", "leave")
OPTIONS = "What do you do?\n\nOptions:\n" + "\n".join(f"- {label}" for label in LABELS)
MESSAGES = (Message("system", "You are a fisher."), Message("user", OPTIONS))
SCHEMA = json.dumps({"type": "object", "properties": {"fish": {"type": "integer", "minimum": 0, "default": 1}}})


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve(bodies=True) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.set_faults()
    running.reset()
    return running


@pytest.fixture
def backend(server: Server) -> Iterator[OpenAI]:
    made = OpenAI(server.url, "m", key=SECRET, timeout=5.0)
    yield made
    made.close()


def asked(sample: str = "", **further: Any) -> Request:
    return Request(MESSAGES, sample=sample, **further)


def scored(labels: tuple[str, ...] = LABELS) -> Request:
    return Request(MESSAGES, kind="score", labels=labels)


def plain(text: str) -> str:
    return text


def test_it_is_a_backend_that_answers_single_calls_too(backend: OpenAI) -> None:
    assert isinstance(backend, Backend)
    assert isinstance(backend, Concurrent)
    assert backend.capabilities().model == "openai/m"
    assert backend.models() == ["loopback"]


def test_texts_are_answered_in_the_order_of_the_requests(backend: OpenAI, server: Server) -> None:
    found = backend.complete([asked(str(number)) for number in range(40)])
    expected = [answer_to(backend.body_of(asked(str(number)))).text for number in range(40)]
    assert [one.text for one in found if isinstance(one, Reply)] == expected
    assert len(set(expected)) > 1
    assert all(one.usage.known and one.fingerprint for one in found if isinstance(one, Reply))


def test_samples_differ_by_their_seed_and_repeat(backend: OpenAI) -> None:
    bodies = [backend.body_of(asked(sample)) for sample in ("0", "1", "0")]
    assert bodies[0] == bodies[2]
    assert bodies[0]["seed"] != bodies[1]["seed"]
    assert "seed" not in OpenAI("http://localhost/v1", "m", seed=False).body_of(asked())


@pytest.mark.parametrize("letters", [0, 3, 4])
def test_labels_get_the_probabilities_that_the_model_has(letters: int) -> None:
    with serve(letters=letters) as told:
        backend = OpenAI(told.url, "m")
        (found,) = backend.score([scored()])
        expected = distribution_of(backend.body_of(scored()), LABELS)
        backend.close()
    assert isinstance(found, Reply)
    assert [math.exp(value) for value in found.log_probabilities] == pytest.approx(list(expected.values()))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("rate_limit", "rate_limit"),
        ("rate_limit_wait", "rate_limit"),
        ("quota", "quota"),
        ("authentication", "authentication"),
        ("unknown_model", "unknown_model"),
        ("invalid", "invalid"),
        ("too_long", "too_long"),
        ("server_error", "transient"),
        ("reset", "transient"),
        ("hang", "timeout"),
        ("lost", "transient"),
        ("slow", None),
        ("cut", "transient"),
        ("garbage", "transient"),
        ("wrong_schema", None),
        ("empty", None),
        ("too_short", None),
        ("refusal", "refusal"),
        ("content_filter", "refusal"),
        ("missing_usage", None),
        ("duplicate", None),
    ],
)
def test_every_fault_is_a_failure_of_its_kind_or_an_answer(server: Server, fault: str, kind: str | None) -> None:
    server.set_faults(Faults(script=[fault], slow_seconds=0.05, retry_after=2.5))
    backend = OpenAI(server.url, "m", timeout=0.3 if fault == "hang" else 5.0)
    first, second = backend.complete([asked("0")])[0], backend.complete([asked("1")])[0]
    backend.close()
    assert isinstance(second, Reply)
    if kind is None:
        assert isinstance(first, Reply)
        assert first.usage.known == (fault != "missing_usage")
        assert first.usage.input > 0
    else:
        assert isinstance(first, Failure)
        assert first.kind == kind
        assert first.retry_after == (2.5 if fault == "rate_limit_wait" else None)
        assert "\n" not in first.message
    assert server.paid.calls == 2


def test_a_server_without_log_probabilities_is_told_with_what_to_do(backend: OpenAI, server: Server) -> None:
    server.set_faults(Faults(no_log_probabilities=1.0))
    (found,) = backend.score([scored()])
    assert isinstance(found, Failure)
    assert found.kind == "invalid"
    assert "score=False" in found.message


def test_answers_that_come_twice_never_become_the_next_ones(backend: OpenAI, server: Server) -> None:
    server.set_faults(Faults(seed=1, duplicate=0.5))
    requests = [asked(str(number)) for number in range(60)]
    expected = [answer_to(backend.body_of(one)).text for one in requests]
    assert [one.text for one in backend.complete(requests) if isinstance(one, Reply)] == expected
    one_by_one = [backend.complete([one])[0] for one in requests]
    assert [one.text for one in one_by_one if isinstance(one, Reply)] == expected


def test_connections_are_kept_and_used_again(server: Server) -> None:
    backend = OpenAI(server.url, "m", connections=4)
    for _ in range(5):
        backend.complete([asked(str(number)) for number in range(20)])
    backend.close()
    paid = server.paid
    assert paid.total == 100
    assert paid.connections <= 4
    assert paid.most_at_once <= 4


def test_it_answers_in_any_event_loop_and_again_after_closing(server: Server) -> None:
    backend = OpenAI(server.url, "m")

    async def one() -> Reply | Failure:
        found = await backend.answer(asked(), timeout=5.0, idempotency="abc")
        within = backend.complete([asked()])
        await backend.leave()
        return found if within == [found] else Failure("malformed", "another answer")

    found = [asyncio.run(one()), asyncio.run(one()), backend.complete([asked()])[0]]
    backend.close()
    assert backend.complete([asked()])[0] == found[0] == found[1] == found[2]
    backend.close()
    assert [call.identity for call in server.log()].count("abc") == 2


def test_a_backend_that_nobody_closes_leaves_without_a_warning(server: Server) -> None:
    script = f"""
    from simengine.policies.language.backends.openai import OpenAI
    from simengine.policies.language.calls import Message, Reply, Request
    request = Request((Message("user", "Options:\\n- yes\\n- no"),))
    assert isinstance(OpenAI({server.url!r}, "m").complete([request])[0], Reply)
    kept = OpenAI({server.url!r}, "m")
    assert isinstance(kept.complete([request])[0], Reply)
    """
    command = [sys.executable, "-W", "always", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_it_loads_no_client_before_the_first_call() -> None:
    script = """
    import sys, simengine.policies.language.backends.openai, simengine.policies.language.doctor
    print([name for name in ("aiohttp", "pydantic", "numba", "numpy") if name in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_time_without_end_may_be_given(backend: OpenAI) -> None:
    async def answered() -> Reply | Failure:
        found = await backend.answer(asked(), timeout=math.inf)
        await backend.leave()
        return found

    assert isinstance(asyncio.run(answered()), Reply)


def test_more_requests_than_connections_wait_without_running_out_of_time() -> None:
    with serve(latency=0.1) as slow:
        backend = OpenAI(slow.url, "m", connections=2, timeout=0.5)
        found = backend.complete([asked(str(number)) for number in range(16)])
        backend.close()
    assert all(isinstance(one, Reply) for one in found)


def test_a_server_that_is_not_there_is_a_passing_failure_without_its_key() -> None:
    with serve() as gone:
        url = gone.url
    backend = OpenAI(url, "m", key=SECRET)
    (found,) = backend.complete([asked()])
    backend.close()
    assert isinstance(found, Failure)
    assert (found.kind, found.status) == ("transient", None)
    assert found.message == f"{url}: no connection (Connection refused)"


def test_an_address_without_its_version_is_told() -> None:
    with serve() as told:
        backend = OpenAI(told.url + "1", "m")
        (found,) = backend.complete([asked()])
        backend.close()
    assert isinstance(found, Failure)
    assert found.kind == "unknown_model"
    assert "/v11/v1?" in found.message


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "OPENAI_BASE_URL"),
        ("localhost:8000", "http://"),
        ("http://me:word@host/v1", "user or a password"),
        ("https://host/v1?api-key=abc", "secret"),
        ("http://host:port/v1", "cannot be read"),
    ],
)
def test_wrong_addresses_are_refused_in_one_line(url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InputError, match=words):
        OpenAI(url, "m")


def test_other_wrong_words_are_refused_too() -> None:
    for wrong in (
        {"model": ""},
        {"schema": "prompts"},
        {"logprob_count": 21},
        {"timeout": 0.0},
        {"extra": {"api_key": "x"}},
        {"extra": {"x": object()}},
    ):
        with pytest.raises(InputError):
            OpenAI(**{"base_url": "http://localhost/v1", "model": "m"} | wrong)


def test_address_and_key_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
    monkeypatch.setenv("OTHER_KEY", SECRET)
    with serve(key=SECRET) as locked:
        backend = OpenAI(locked.url, "m", key_env="OTHER_KEY")
        assert isinstance(backend.complete([asked()])[0], Reply)
        backend.close()
    assert OpenAI(model="m").base_url == server.url


def test_a_query_in_the_address_stays_behind_the_path(server: Server) -> None:
    backend = OpenAI(f"{server.url}/chat/completions?api-version=2024-10-21", "m")
    assert isinstance(backend.complete([asked()])[0], Reply)
    backend.close()
    assert backend.base_url == server.url


class Echo(BaseHTTPRequestHandler):
    """A server that tells in its error what it was sent."""

    status = 401

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        sent = " ".join(self.headers.values())
        body = json.dumps({"error": {"message": f"bad key {sent}", "code": "invalid_api_key"}}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_keys_show_nowhere(echo: HTTPServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_WORD", "gateway-secret-word")
    headers = {"X-Api-Key": "another-secret-word", "X-Gate": "gate ${GATE_WORD}", "X-Title": "open"}
    with caplog.at_level(logging.DEBUG):
        backend = OpenAI(f"http://127.0.0.1:{echo.server_port}/v1", "m", key=SECRET, headers=headers)
        (found,) = backend.complete([asked()])
        backend.close()
    assert isinstance(found, Failure)
    assert found.kind == "authentication"
    assert "***" in found.message
    shown = [repr(backend), repr(vars(backend)), str(backend.__dict__), found.message, caplog.text]
    shown += [str(pickle.dumps(backend)), repr(backend.__getstate__()), str(backend.capabilities())]
    for secret in (SECRET, "another-secret-word", "gateway-secret-word"):
        assert not any(secret in text for text in shown)
    assert "open" in found.message


def test_a_pickled_backend_reads_its_key_where_it_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", SECRET)
    with serve(key=SECRET) as locked:
        backend = OpenAI(locked.url, "m", key_env="SOME_KEY", headers={"X-Title": "open"})
        assert isinstance(backend.complete([asked()])[0], Reply)
        pickled = pickle.dumps(backend)
        backend.close()
        assert SECRET.encode() not in pickled
        there = pickle.loads(pickled)
        assert isinstance(there.complete([asked()])[0], Reply)
        there.close()
        monkeypatch.delenv("SOME_KEY")
        keyless = pickle.loads(pickled)
        (found,) = keyless.complete([asked()])
        keyless.close()
        assert isinstance(found, Failure)
        assert found.kind == "authentication"
        assert "SOME_KEY" in found.message


def test_a_key_given_as_a_text_stays_in_its_process_and_its_copies() -> None:
    with serve(key=SECRET) as locked:
        backend = OpenAI(locked.url, "m", key=SECRET, key_env="A_VARIABLE_THAT_IS_NOT_SET")
        twin = copy.deepcopy(backend)
        assert isinstance(twin.complete([asked()])[0], Reply)
        twin.close()
        there = pickle.loads(pickle.dumps(backend))
        (found,) = there.complete([asked()])
        there.close()
    assert isinstance(found, Failure)
    assert found.kind == "authentication"


def test_a_header_whose_variable_is_missing_stops_before_the_call(server: Server) -> None:
    backend = OpenAI(server.url, "m", headers={"api-key": "${NO_SUCH_VARIABLE_HERE}"})
    (found,) = backend.complete([asked()])
    backend.close()
    assert isinstance(found, Failure)
    assert found.kind in FATAL
    assert "NO_SUCH_VARIABLE_HERE" in found.message
    assert server.paid.calls == 0


def test_what_is_written_like_a_key_is_blacked_out() -> None:
    assert without_secrets("Incorrect API key: sk-proj-abc***xyz.", []) == "Incorrect API key: ***"
    assert without_secrets("sent Bearer abc.def", []) == "sent ***"
    assert repr(Key("word")) == str(Key("word")) == "***"


def test_proxies_of_the_environment_are_used_except_for_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    far = OpenAI("http://models.invalid/v1", "m")
    found = far.complete([asked()])[0]
    far.close()
    assert isinstance(found, Reply)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    near = OpenAI(server.url, "m")
    assert near.complete([asked()])[0] == found
    near.close()


def test_certificates_are_verified(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *names], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        backend = OpenAI(f"https://127.0.0.1:{server.server_port}/v1", "m", key=SECRET)
        (found,) = backend.complete([asked()])
        backend.close()
        server.shutdown()
        thread.join()
    assert isinstance(found, Failure)
    assert found.kind in FATAL
    assert "secure" in found.message


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (429, {"code": "insufficient_quota", "message": "quota"}, "quota"),
        (429, {"code": "billing_hard_limit_reached", "message": "x"}, "quota"),
        (429, {"code": None, "type": "requests", "message": "Rate limit reached for requests"}, "rate_limit"),
        (402, {"message": "Insufficient credits"}, "quota"),
        (401, {"code": "invalid_api_key", "message": "x"}, "authentication"),
        (403, {"message": "Country not supported"}, "authentication"),
        (404, {"code": "model_not_found", "message": "The model does not exist"}, "unknown_model"),
        (400, {"code": "context_length_exceeded", "message": "x"}, "too_long"),
        (400, {"message": "This model's maximum context length is 4096 tokens. However, you requested"}, "too_long"),
        (400, {"type": "exceed_context_size_error", "message": "the request exceeds the available size"}, "too_long"),
        (413, {"message": "Payload"}, "too_long"),
        (400, {"code": "content_filter", "message": "triggering content management policy"}, "refusal"),
        (400, {"code": "unsupported_parameter", "message": "'max_tokens' ... use max_completion_tokens"}, "invalid"),
        (422, {"message": "extra fields not permitted"}, "invalid"),
        (408, {"message": "x"}, "transient"),
        (500, {"message": "x"}, "transient"),
        (529, {"type": "overloaded_error", "message": "Overloaded"}, "transient"),
        (501, {"message": "x"}, "invalid"),
    ],
)
def test_statuses_and_codes_of_many_servers_tell_the_kind(status: int, error: dict[str, Any], kind: str) -> None:
    found = failure_of(status, json.dumps({"error": error}).encode(), {"retry-after": "7"}, plain)
    assert (found.kind, found.status) == (kind, status)
    assert found.retry_after == (7.0 if kind in PASSING else None)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>502 Bad Gateway</html>", b'{"detail": "Not Found"}', b'{"error": "loading model"}', b"[1]", b"\xff"],
)
def test_error_bodies_of_any_form_are_read(body: bytes) -> None:
    found = failure_of(503, body, {}, plain)
    assert found.kind == "transient"
    assert "\n" not in found.message


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["error", "choices", "message", "content", "code", "usage", "logprobs", "refusal"]), inner
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()), st.sampled_from([200, 400, 429, 500]))  # fmt: skip
def test_no_body_makes_the_reader_fall(body: bytes, status: int) -> None:
    for request in (asked(), scored()):
        found = reply_of(request, body, plain) if status == 200 else failure_of(status, body, {}, plain)
        assert isinstance(found, Reply | Failure)


def test_an_error_inside_a_good_status_is_the_failure_that_it_tells() -> None:
    body = json.dumps({"error": {"code": 429, "message": "upstream is busy"}}).encode()
    found = reply_of(asked(), body, plain)
    assert isinstance(found, Failure)
    assert found.kind == "rate_limit"


def test_tokens_spent_on_thoughts_alone_are_told() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 64, "completion_tokens_details": {"reasoning_tokens": 64}}
    body = {"choices": [{"message": {"content": ""}, "finish_reason": "length"}], "usage": usage}
    found = reply_of(asked(), json.dumps(body).encode(), plain)
    assert isinstance(found, Failure)
    assert found.kind == "malformed"
    assert "64 of them for reasoning" in found.message


def test_usage_is_read_in_all_its_parts() -> None:
    usage = {
        "prompt_tokens": 90,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    body = {"choices": [{"message": {"content": "yes"}}], "usage": usage, "model": "m-1", "system_fingerprint": "fp"}
    found = reply_of(asked(), json.dumps(body).encode(), plain)
    assert isinstance(found, Reply)
    assert (found.usage.input, found.usage.cached_input, found.usage.output, found.usage.reasoning) == (90, 64, 7, 5)
    assert (found.model, found.fingerprint, found.finish) == ("m-1", "fp", "stop")


def test_waits_are_read_in_seconds_milliseconds_and_dates() -> None:
    assert wait_of({"retry-after": "2.5"}) == 2.5
    assert wait_of({"retry-after": "2", "retry-after-ms": "150"}) == 0.15
    wait = wait_of({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert wait is not None
    assert 25.0 < wait <= 30.0
    assert wait_of({"retry-after": formatdate(0, usegmt=True)}) == 0.0
    assert wait_of({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2s"}) == 62.0
    assert wait_of({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "1m2s"}) is None
    assert wait_of({"retry-after": "soon"}) is None
    assert [span_of(text) for text in ("20ms", "6m0s", "1.5s", "3", "")] == [0.02, 360.0, 1.5, 3.0, None]


def test_limits_are_read_from_headers() -> None:
    with serve(requests_per_minute=600) as limited:
        backend = OpenAI(limited.url, "m")
        backend.complete([asked()])
        backend.close()
    limits = backend.capabilities().limits
    assert (limits["limit_requests"], limits["remaining_requests"]) == (600.0, 599.0)
    assert limits_of({"x-ratelimit-limit-tokens": "many"}) == {}


def test_schemas_are_asked_for_in_three_ways() -> None:
    def body(way: Any) -> dict[str, Any]:
        return OpenAI("http://localhost/v1", "m", schema=way).body_of(asked(schema=SCHEMA))

    strict = {"type": "object", "additionalProperties": False, "required": ["fish"]}
    strict |= {"properties": {"fish": {"type": "integer", "minimum": 0}}}
    assert body("response_format")["response_format"]["json_schema"]["schema"] == strict
    assert body("structured_outputs")["structured_outputs"] == {"json": strict}
    assert body("prompt")["messages"][-1]["content"].endswith(SCHEMA)


def test_further_fields_are_sent_left_out_and_told_in_the_model_name() -> None:
    extra = {"top_p": 0.5, "max_tokens": None, "max_completion_tokens": 99}
    backend = OpenAI("http://localhost/v1", "m", extra=extra)
    body = backend.body_of(asked())
    assert (body["top_p"], body["max_completion_tokens"]) == (0.5, 99)
    assert "max_tokens" not in body
    assert backend.capabilities().model == "openai/m?max_completion_tokens=99&max_tokens=null&top_p=0.5"


def test_what_a_server_does_not_know_is_told_with_a_remedy() -> None:
    error = {"message": "Unsupported parameter: 'max_tokens'; use 'max_completion_tokens' instead."}
    found = failure_of(400, json.dumps({"error": error}).encode(), {}, plain)
    assert "'max_completion_tokens': N" in found.message


def place(chosen: str, **chances: float) -> dict[str, Any]:
    top = [{"token": token.replace("_", " "), "logprob": math.log(p)} for token, p in chances.items()]
    logprob = next(one["logprob"] for one in top if one["token"] == chosen)
    return {"token": chosen, "logprob": logprob, "top_logprobs": top}


def masses(places: list[dict[str, Any]], labels: tuple[str, ...]) -> tuple[list[float], float]:
    found, undecided = log_masses(places, labels)
    return [math.exp(value) for value in found], undecided


def test_forms_of_a_label_add_up() -> None:
    found, undecided = masses([place("yes", yes=0.3, _yes=0.2, Yes=0.1, no=0.2, n=0.05, maybe=0.1)], ("yes", "no"))
    assert found == pytest.approx([0.6, 0.25])
    assert undecided == 0.0


def test_a_token_that_begins_several_labels_is_divided_by_what_follows() -> None:
    first = place("share", share=0.5, _share=0.2, keep=0.3)
    second = place("_ten".replace("_", " "), _ten=0.75, _two=0.25)
    found, undecided = masses([first, second], ("share ten", "share two", "keep"))
    assert found == pytest.approx([0.525, 0.175, 0.3])
    assert undecided == 0.0


def test_a_shared_beginning_that_was_not_followed_is_undecided() -> None:
    found, undecided = masses([place("keep", share=0.7, keep=0.3)], ("share ten", "share two", "keep"))
    assert found == pytest.approx([0.0, 0.0, 0.3])
    assert undecided == pytest.approx(0.7)


def test_a_label_that_begins_another_is_told_by_how_the_answer_ends() -> None:
    labels = ("yes", "yes but")
    ended = place("<|end|>", **{"<|end|>": 0.6, " but": 0.4})
    assert masses([place("yes", yes=1.0), ended], labels)[0] == pytest.approx([0.6, 0.4])
    assert masses([place("yes", yes=1.0)], labels) == ([0.0, 0.0], 1.0)


def test_the_word_i_begins_no_label() -> None:
    found, _ = masses([place("I", I=0.9, in_=0.1)], ("invest", "save"))
    assert found == pytest.approx([0.0, 0.0], abs=0.11)
    assert masses([place("A", A=0.9, B=0.1)], ("A", "B"))[0] == pytest.approx([0.9, 0.1])


def test_labels_that_differ_in_case_only_are_told_apart() -> None:
    assert masses([place("A", A=0.9, a=0.1)], ("A", "a"))[0] == pytest.approx([0.9, 0.1])


def test_as_many_tokens_are_asked_for_as_tell_labels_apart() -> None:
    assert tokens_needed(("yes", "no")) == 1
    assert tokens_needed(("share ten", "Share two", "keep")) == 8
    assert tokens_needed(("only",)) == 1


@given(
    st.lists(st.text("ab c", min_size=1, max_size=6).map(str.strip).filter(bool), min_size=2, max_size=5, unique=True),
    st.integers(1, 4),
    st.integers(0, 9),
)
def test_no_label_gets_more_than_the_model_gave_it(labels: list[str], letters: int, seed: int) -> None:
    body = {"model": "m", "seed": seed, "logprobs": True, "top_logprobs": 20, "max_tokens": tokens_needed(labels)}
    text = "Options:\n" + "\n".join(f"- {label}" for label in labels)
    body["messages"] = [{"role": "user", "content": text}]
    told = answer_to(body, letters=letters).log_probabilities
    assert told is not None
    found, undecided = log_masses(told, labels)
    chances = distribution_of(body, labels)
    for label, value in zip(labels, found, strict=True):
        assert math.exp(value) <= chances[label] + 1e-9
    assert math.fsum(map(math.exp, found)) + undecided <= 1.0 + 1e-9
