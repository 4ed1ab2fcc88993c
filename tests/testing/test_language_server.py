"""The loopback server answers alike for ever, does the faults it is told, counts what it is paid, leaves cleanly."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import BadStatusLine, HTTPConnection, IncompleteRead
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.errors import InputError
from simengine.testing.language_answers import answer_to, labels_of
from simengine.testing.language_faults import KINDS, UNPAID, Faults
from simengine.testing.language_server import Server, serve

OPTIONS = "What do you do?\n\nOptions:\n- cooperate\n- defect\nAnswer with exactly one of these options."
PERCENT = {"type": "integer", "minimum": 0, "maximum": 100}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def begun_again(request: pytest.FixtureRequest) -> None:
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        running.set_faults()
        running.reset()


def body_of(text: str = OPTIONS, **further: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]} | further


def ask(server: Server, body: dict[str, Any] | None = None, key: str = "", **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        sent = headers | ({"Idempotency-Key": key} if key else {})
        connection.request("POST", "/v1/chat/completions", json.dumps(body or body_of()), sent)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def text_of(answer: tuple[int, Any]) -> str:
    assert answer[0] == 200, answer
    return str(answer[1]["choices"][0]["message"]["content"])


def with_schema(schema: dict[str, Any], **further: Any) -> dict[str, Any]:
    return body_of("Say.", response_format={"type": "json_schema", "json_schema": {"schema": schema}}, **further)


def test_it_starts_at_once_and_its_process_ends_with_it() -> None:
    with serve() as running:
        pid = running.pid
        os.kill(pid, 0)
        assert text_of(ask(running)) in ("cooperate", "defect")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    running.close()
    assert "closed" in repr(running)


def test_it_ends_when_the_process_that_started_it_is_killed() -> None:
    script = """
    import time
    from simengine.testing.language_server import serve
    server = serve()
    print(server.pid, flush=True)
    time.sleep(60)
    """
    owner = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 10.0
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "the server outlived its owner"
        time.sleep(0.02)


def test_equal_requests_get_equal_answers_from_any_server_in_any_order(server: Server) -> None:
    bodies = [body_of(seed=number, logprobs=True, top_logprobs=5) for number in range(20)]
    first = [ask(server, body)[1]["choices"] for body in bodies]
    with serve() as other:
        second = [ask(other, body)[1]["choices"] for body in reversed(bodies)][::-1]
    assert first == second
    assert len({one[0]["message"]["content"] for one in first}) == 2


def test_texts_are_drawn_with_the_probabilities_that_it_tells(server: Server) -> None:
    told = answer_to(body_of(logprobs=True, top_logprobs=20)).log_probabilities
    assert told is not None
    masses = {}
    for one in told[0]["top_logprobs"]:
        label = one["token"].strip()
        masses[label] = masses.get(label, 0.0) + math.exp(one["logprob"])
    assert math.fsum(masses.values()) == pytest.approx(1.0)
    drawn = [answer_to(body_of(seed=number)).text for number in range(2000)]
    p = masses["defect"]
    # Five standard errors of 2,000 draws: wrong once in two million seeds.
    assert abs(drawn.count("defect") / 2000 - p) < 5 * math.sqrt(p * (1 - p) / 2000)
    likeliest = max(masses, key=masses.__getitem__)
    assert {answer_to(body_of(seed=number, temperature=0)).text for number in range(20)} == {likeliest}


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (OPTIONS, ["cooperate", "defect"]),
        ("Rules:\n- be brief\nOptions:\n- yes\n- no\n", ["yes", "no"]),
        ("Choose.\na) turn left\nb) go straight on", ["turn left", "go straight on"]),
        ("Answer with one of: yes, no or perhaps.", ["yes", "no", "perhaps"]),
        ("Is it 'high' or 'low'?", ["high", "low"]),
        ("Tell me a story", []),
    ],
)
def test_labels_are_found_where_a_prompt_names_them(text: str, labels: list[str]) -> None:
    assert labels_of(body_of(text)) == labels


def test_percentages_of_a_schema_add_up_to_100(server: Server) -> None:
    schema = {"type": "object", "properties": {"a": PERCENT, "b": PERCENT, "c": PERCENT}}
    found = [json.loads(text_of(ask(server, with_schema(schema, seed=seed)))) for seed in range(5)]
    assert all(sum(one.values()) == 100 and set(one) == set("abc") for one in found)


LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "string"}),
    st.just({"type": "null"}),
    st.integers(1, 9).map(lambda most: {"type": "string", "maxLength": most}),
    st.lists(st.sampled_from(["red", "blue", 3]), min_size=1).map(lambda words: {"enum": words}),
    st.tuples(st.integers(-5, 5), st.integers(6, 9)).map(
        lambda ends: {"type": "integer", "minimum": ends[0], "maximum": ends[1]}
    ),
    st.tuples(st.floats(-2, 0), st.floats(1, 2)).map(
        lambda ends: {"type": "number", "exclusiveMinimum": ends[0], "maximum": ends[1]}
    ),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("xyz"), inner, min_size=1).map(
            lambda held: {"type": "object", "properties": held, "required": list(held)}
        ),
        inner.map(lambda one: {"type": "array", "items": one, "minItems": 3}),
        st.lists(inner, min_size=1, max_size=3).map(lambda several: {"anyOf": several}),
    ),
    max_leaves=6,
)


@given(SCHEMAS, st.integers(0, 99))
def test_what_it_fills_in_fits_any_schema(schema: dict[str, Any], seed: int) -> None:
    wrapped = {"type": "object", "properties": {"answer": {"$ref": "#/$defs/it"}}, "$defs": {"it": schema}}
    text = answer_to(with_schema(wrapped, seed=seed)).text
    jsonschema.validate(json.loads(text), wrapped)


@pytest.mark.parametrize("fault", sorted(KINDS))
def test_each_fault_happens_when_it_is_told_is_logged_and_charged_or_not(server: Server, fault: str) -> None:
    server.set_faults(Faults(script=[fault], slow_seconds=0.05, retry_after=3))
    body = body_of(logprobs=True, top_logprobs=5)
    if fault == "hang":
        connection = HTTPConnection("127.0.0.1", server.port, timeout=0.1)
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()
    elif fault in ("reset", "lost"):
        with pytest.raises((ConnectionResetError, BadStatusLine)):
            ask(server, body)
    elif fault == "cut":
        with pytest.raises(IncompleteRead):
            ask(server, body)
    elif fault == "garbage":
        with pytest.raises(json.JSONDecodeError):
            ask(server, body)
    else:
        status, told = ask(server, body)
        assert (status == 200) == (fault not in UNPAID)
        if fault == "missing_usage":
            assert "usage" not in told
        if fault == "wrong_schema":
            assert text_of((status, told)) not in ("cooperate", "defect")
    assert ask(server, body)[0] == 200
    first, second = server.log()
    assert (first.fault, first.paid, first.attempt) == (fault, fault not in UNPAID, 0)
    assert (second.fault, second.paid, second.attempt, second.identity) == ("", True, 1, first.identity)
    assert server.paid.total == 1 + (fault not in UNPAID)
    assert server.paid.twice == ({first.identity: 2} if fault not in UNPAID else {})


def test_faults_do_not_depend_on_the_order_of_arrival(server: Server) -> None:
    server.set_faults(Faults(seed=7, rate_limit=0.3, server_error=0.2, refusal=0.1))
    keys = [f"key {number}" for number in range(60)]

    def faults(order: list[str], threads: int) -> dict[tuple[str, int], str]:
        server.reset()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda key: [ask(server, key=key) for _ in range(2)], order))
        return {(one.identity, one.attempt): one.fault for one in server.log()}

    one_by_one = faults(keys, 1)
    assert one_by_one == faults(keys[::-1], 8)
    assert set(one_by_one.values()) == {"", "rate_limit", "server_error", "refusal"}


def test_probabilities_of_faults_are_kept() -> None:
    faults = Faults(seed=3, rate_limit=0.2, reset=0.05)
    found = [faults.of(f"request {number}", 0, 10**9) for number in range(10_000)]
    # Five standard errors: 0.02 and 0.011.
    assert abs(found.count("rate_limit") / 10_000 - 0.2) < 0.02
    assert abs(found.count("reset") / 10_000 - 0.05) < 0.011
    assert len(found) == sum(found.count(kind) for kind in ("", "rate_limit", "reset"))


def test_scripts_go_before_probabilities_and_meet_only_what_they_are_told() -> None:
    faults = Faults(script=["", "reset"], attempts=["cut"], refusal=1.0, only="fish")
    assert [faults.of("x", attempt, arrival, b"a fish") for arrival, attempt in ((0, 0), (1, 0), (2, 0), (3, 1))] == [
        "",
        "reset",
        "cut",
        "refusal",
    ]
    assert faults.of("x", 0, 1, b"a bird") == ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"refusals": 0.1}, "did you mean 'refusal'"),
        ({"reset": 1.5}, "between 0 and 1"),
        ({"reset": 0.6, "cut": 0.6}, "more than 1"),
        ({"script": ["rest"]}, "did you mean 'reset'"),
    ],
)
def test_wrong_faults_are_told_in_one_line(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Faults.from_dict(values)


def test_a_running_server_refuses_wrong_faults_and_goes_on(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", "/server/faults", '{"refusals": 1}')
    assert connection.getresponse().status == 400
    connection.close()
    assert ask(server)[0] == 200


def test_an_idempotency_key_is_charged_again_unless_it_is_honoured(server: Server) -> None:
    server.set_faults(Faults(attempts=["lost"]))
    with pytest.raises((ConnectionResetError, BadStatusLine)):
        ask(server, key="one")
    ask(server, key="one")
    assert server.paid.twice == {"one": 2}
    server.set_faults()
    with serve(honour_idempotency=True, faults=Faults(attempts=["lost", "refusal"])) as honest:
        with pytest.raises((ConnectionResetError, BadStatusLine)):
            ask(honest, key="one")
        answers = [text_of(ask(honest, key="one")) for _ in range(2)]
        assert answers == [text_of(ask(server))] * 2
        assert (honest.paid.total, honest.paid.by_key) == (1, {"one": 1})
        assert [(one.fault, one.stored) for one in honest.log()] == [("lost", False), ("", True), ("", True)]


def test_who_left_before_the_answer_is_not_charged() -> None:
    with serve(latency=0.2) as slow:
        connection = HTTPConnection("127.0.0.1", slow.port)
        connection.request("POST", "/v1/chat/completions", json.dumps(body_of()))
        time.sleep(0.05)
        connection.close()
        assert ask(slow)[0] == 200
        assert slow.paid.total == 1
        assert [one.fault for one in slow.log()] == ["gone", ""]


def test_calls_beyond_the_limits_are_told_to_wait() -> None:
    with serve(requests_per_minute=3) as limited:
        connection = HTTPConnection("127.0.0.1", limited.port)
        told = []
        for _ in range(4):
            connection.request("POST", "/v1/chat/completions", json.dumps(body_of()))
            answer = connection.getresponse()
            answer.read()
            told.append((answer.status, answer.getheader("x-ratelimit-remaining-requests")))
            wait = answer.getheader("Retry-After")
        assert told == [(200, "2"), (200, "1"), (200, "0"), (429, "0")]
        assert wait is not None
        assert 10.0 < float(wait) <= 20.0
        assert [one.fault for one in limited.log()] == ["", "", "", "throttled"]
        connection.close()


def test_calls_beyond_those_allowed_at_once_are_refused() -> None:
    with serve(latency=0.3, at_once=2) as busy, ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda number: ask(busy, key=str(number))[0], range(6)))
        assert busy.paid.most_at_once == 6
    assert 200 in statuses
    assert 429 in statuses


def test_latency_is_waited_for_and_drawn_by_the_request() -> None:
    with serve(latency=(0.05, 0.06)) as slow:
        began = time.perf_counter()
        ask(slow)
        assert time.perf_counter() - began >= 0.05


def text_answers(body: dict[str, Any]) -> Any:
    asked = body["messages"][-1]["content"]
    if asked == "fail":
        raise RuntimeError("no idea")
    return {"text": "just this", "values": {"x": [1, 2]}}.get(asked, {"a": 0.25, "b": 0.75})


def test_answers_may_be_a_function_of_the_request() -> None:
    with serve(answers=text_answers) as told:
        assert text_of(ask(told, body_of("text"))) == "just this"
        assert json.loads(text_of(ask(told, body_of("values")))) == {"x": [1, 2]}
        assert text_of(ask(told, body_of("drawn", temperature=0))) == "b"
        percent = {"type": "object", "properties": {"a": PERCENT, "b": PERCENT}}
        assert json.loads(text_of(ask(told, with_schema(percent)))) == {"a": 25, "b": 75}
        status, said = ask(told, body_of("fail"))
        assert status == 400
        assert "RuntimeError: no idea" in said["error"]["message"]


def test_answers_may_be_named_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def answer(body):\n    return 'from a file'\n")
    with serve(answers=f"{path}:answer") as told:
        assert text_of(ask(told)) == "from a file"
    with pytest.raises(InputError, match="cannot be imported: AttributeError"):
        serve(answers=f"{path}:other")
    with pytest.raises(InputError, match="module:function"):
        serve(answers="nothing")


def test_answers_that_another_process_cannot_import_are_refused() -> None:
    with pytest.raises(InputError, match="top of a module"):
        serve(answers=lambda body: "x")


def test_a_port_that_is_taken_is_told(server: Server) -> None:
    with pytest.raises(InputError, match=f"port {server.port}"):
        serve(port=server.port)


def test_it_listens_on_this_machine_only(server: Server) -> None:
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError, match=r".*"):
            socket.create_connection((str(address), server.port), timeout=1)


def test_wrong_requests_get_the_errors_that_servers_send() -> None:
    with serve(models=["m"], key="word") as strict:
        good = {"Authorization": "Bearer word"}
        assert ask(strict)[0] == 401
        assert ask(strict, **good)[0] == 200
        assert ask(strict, body_of() | {"model": "n"}, **good)[1]["error"]["code"] == "model_not_found"
        assert ask(strict, {"model": "m"}, **good)[0] == 400
        assert ask(strict, body_of(stream=True), **good)[0] == 400


def test_tokens_of_a_few_letters_say_the_same_and_their_chances_multiply() -> None:
    body = body_of(logprobs=True, top_logprobs=20, seed=5)
    whole, cut = answer_to(body), answer_to(body, letters=3)
    assert whole.text == cut.text
    assert whole.log_probabilities is not None
    assert cut.log_probabilities is not None
    assert cut.tokens > whole.tokens == 1
    chance = math.fsum(one["logprob"] for one in cut.log_probabilities)
    assert chance == pytest.approx(whole.log_probabilities[0]["logprob"])
    assert answer_to(body | {"max_tokens": 1}, letters=3).finish == "length"


def test_the_log_is_bounded_and_holds_bodies_on_request() -> None:
    with serve(keep=2, bodies=True) as kept:
        for seed in range(4):
            ask(kept, body_of(seed=seed))
        assert [one.body["seed"] for one in kept.log() if one.body] == [0, 1]
        assert [one.number for one in kept.log(1)] == [1]
        assert (kept.paid.left_out, kept.paid.calls) == (2, 4)


def test_from_a_shell_it_prints_its_address_serves_and_leaves_when_interrupted() -> None:
    command = [sys.executable, "-m", "simengine.testing.language_server", "--port", "0", "--script", "refusal"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    port = int(address.removeprefix("http://127.0.0.1:").removesuffix("/v1"))
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/v1/chat/completions", json.dumps(body_of()))
    assert json.loads(connection.getresponse().read())["choices"][0]["message"]["refusal"]
    connection.close()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "1 calls, 1 paid" in said


@pytest.mark.slow
def test_the_kit_of_openai_speaks_with_it() -> None:
    openai = pytest.importorskip("openai")
    with serve(key="word", faults=Faults(script=["rate_limit_wait"], retry_after=0.01)) as server:
        with openai.OpenAI(base_url=server.url, api_key="word", max_retries=1) as client:
            answer = client.chat.completions.create(
                model="m", messages=body_of()["messages"], logprobs=True, top_logprobs=4
            )
        assert answer.choices[0].message.content in ("cooperate", "defect")
        assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 4
        assert [one.fault for one in server.log()] == ["rate_limit_wait", ""]


def test_the_shell_command_explains_itself_and_refuses_what_it_does_not_know() -> None:
    command = [sys.executable, "-m", "simengine.testing.language_server"]
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--latency" in told
    assert "rate_limit_wait" in told
    wrong = subprocess.run([*command, "--fault", "rest=0.1"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "did you mean 'reset'" in wrong.stderr


def test_starting_it_loads_no_numerical_library() -> None:
    script = """
    import sys, simengine.testing.language_server
    print([name for name in ("numpy", "numba", "pydantic", "aiohttp") if name in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
