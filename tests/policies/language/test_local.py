"""A model in this process: its numbers are those of the library, and nothing but the request decides them."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from simengine.errors import InputError  # noqa: E402
from simengine.policies.language.backends.drawing import KeyedDraws  # noqa: E402
from simengine.policies.language.backends.labels import paths, readings, spellings, summed  # noqa: E402
from simengine.policies.language.backends.loaded import BLOCK, Row, chosen, merged  # noqa: E402
from simengine.policies.language.backends.local import Local  # noqa: E402
from simengine.policies.language.calls import Backend, Failure, Message, Reply, Request  # noqa: E402
from simengine.testing.tiny_model import CONTEXT, tiny_model  # noqa: E402

LABELS = ("yes", "no", "1", "10", "a limit that nobody proposed", "no")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def exact(folder: Path) -> Local:
    return Local(folder, tile=3)


def request(number: int, **fields: Any) -> Request:
    question = f"{number} of 5 neighbours chose it. " * (1 + number % 4) + "Do you?"
    return Request((Message("system", "You are a fisher at a lake."), Message("user", question)), **fields)


def replies(answers: Sequence[Reply | Failure]) -> list[Reply]:
    assert all(isinstance(answer, Reply) for answer in answers), answers
    return [answer for answer in answers if isinstance(answer, Reply)]


def plain(model: Local) -> tuple[Any, Any]:
    """The library's own model and tokenizer."""
    load = transformers.AutoModelForCausalLM.from_pretrained
    return load(model.path).eval(), transformers.AutoTokenizer.from_pretrained(model.path)


def prompt_of(tokenizer: Any, asked: Request) -> list[int]:
    messages = [{"role": message.role, "content": message.text} for message in asked.messages]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("tile", [1, 4])
def test_an_answer_has_the_same_bits_in_any_company_and_order(folder: Path, tile: int) -> None:
    model = Local(folder, tile=tile)
    scored = [request(n, kind="score", labels=LABELS[: 2 + n % 4]) for n in range(9)]
    written = [request(n, sample=str(n), max_tokens=3 + n % 5, temperature=n % 3 / 2) for n in range(9)]
    for answer, asked in ((model.score, scored), (model.complete, written)):
        wanted = list(answer(asked))
        assert [answer([one])[0] for one in asked] == wanted
        for seed in range(2):
            order = random.Random(seed).sample(range(9), 9)
            parts = [order[:4], order[4:5], order[5:], order[:2]]
            for part in parts:
                assert list(answer([asked[place] for place in part])) == [wanted[place] for place in part]


def test_threads_and_other_settings_of_torch_change_nothing_and_are_put_back(folder: Path) -> None:
    model, asked = Local(folder), [request(3, kind="score", labels=LABELS)]
    wanted = model.score(asked)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu"):
            assert model.score(asked) == wanted
        assert torch.get_num_threads() == 2
        assert torch.get_float32_matmul_precision() == "medium"
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.is_grad_enabled()
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("highest")


def test_log_probabilities_are_those_of_the_labels_tokens(exact: Local) -> None:
    model, tokenizer = plain(exact)
    asked = request(2, kind="score", labels=LABELS)
    found = replies(exact.score([asked]))[0].log_probabilities
    prompt = prompt_of(tokenizer, asked)

    def probability(tokens: Sequence[int]) -> float:
        with torch.no_grad():
            chances = torch.log_softmax(model(torch.tensor([[*prompt, *tokens]])).logits[0], dim=-1)
        return math.exp(sum(float(chances[len(prompt) - 1 + n, token]) for n, token in enumerate(tokens)))

    def spelled(label: str) -> list[list[int]]:
        return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (label, f" {label}")]

    wanted = {label: sum(map(probability, spelled(label))) for label in LABELS}
    ones, tens = spelled("1"), spelled("10")
    # Splitting "10" after its 1 makes it a continuation of "1".
    wanted["1"] -= sum(probability(ten) for ten in tens if any(ten[: len(one)] == one for one in ones))
    assert any(len(tokens) > 3 for tokens in spelled(LABELS[4]))
    assert [math.exp(value) for value in found] == pytest.approx([wanted[label] for label in LABELS], rel=1e-4)
    assert math.fsum(wanted[label] for label in set(LABELS)) < 1.0


def test_greedy_text_is_what_the_library_generates(exact: Local) -> None:
    model, tokenizer = plain(exact)
    for n in range(3):
        asked = request(n, temperature=0.0, max_tokens=12)
        prompt = torch.tensor([prompt_of(tokenizer, asked)])
        generated = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=12)
        wanted = tokenizer.decode(generated[0, prompt.shape[1] :], skip_special_tokens=True).strip()
        reply = replies(exact.complete([asked]))[0]
        assert reply.text == wanted
        assert (reply.usage.input, reply.usage.known) == (prompt.shape[1], True)


def test_a_text_is_drawn_from_its_own_key(folder: Path) -> None:
    model = Local(folder)
    asked = [request(1, sample=str(n), max_tokens=4) for n in range(6)]
    found = [reply.text for reply in replies(model.complete(asked))]
    assert len(set(found)) == 6
    assert [reply.text for reply in replies(model.complete([replace(one, salt="x") for one in asked]))] != found


def test_tokens_are_drawn_in_proportion_to_their_probabilities() -> None:
    logits = np.log(np.array([0.1, 0.4, 0.0001, 0.4999]))
    drawn = [chosen(logits, 1.0, KeyedDraws(str(n))) for n in range(4000)]
    expected = [400, 1600.4, 1999.6]
    # Fails with probability 1e-4 for other keys.
    counts = [drawn.count(0), drawn.count(1) + drawn.count(2), drawn.count(3)]
    assert stats.chisquare(counts, expected).pvalue > 1e-4
    cold = [chosen(logits, 0.5, KeyedDraws(str(n))) for n in range(4000)]
    squares = np.array([0.01, 0.16 + 1e-8, 0.4999**2])
    counts = [cold.count(0), cold.count(1) + cold.count(2), cold.count(3)]
    assert stats.chisquare(counts, 4000 * squares / squares.sum()).pvalue > 1e-4
    assert chosen(np.array([0.0, 2.0, 2.0]), 0.0, KeyedDraws("")) == 1


def test_a_text_stops_at_an_end_of_the_model(folder: Path) -> None:
    model = Local(folder)
    asked = request(0, temperature=0.0, max_tokens=5)
    whole = replies(model.complete([asked]))[0]
    assert (whole.finish, whole.usage.output) == ("length", 5)
    opened = model._opened()
    said: list[int] = []
    text = opened.text
    opened.text = lambda tokens: said.extend(tokens) or text(tokens)  # type: ignore[method-assign, func-returns-value]
    model.complete([asked])
    opened.ends = frozenset({said[2]})
    first = said.index(said[2])
    stopped = replies(model.complete([asked]))[0]
    assert (stopped.finish, stopped.usage.output) == ("stop", first + 1)
    assert stopped.text == text(said[:first])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_short_numbers_stay_near_the_long_ones(folder: Path, dtype: str) -> None:
    asked = [request(n, kind="score", labels=("yes", "no")) for n in range(3)]
    for short, long in zip(Local(folder, dtype=dtype).score(asked), Local(folder).score(asked), strict=True):
        assert isinstance(short, Reply)
        assert isinstance(long, Reply)
        assert short.log_probabilities == pytest.approx(long.log_probabilities, abs=0.2)


def test_what_is_not_a_number_is_a_failure(folder: Path) -> None:
    model = Local(folder)
    with torch.no_grad():
        model._opened().model.lm_head.weight[0] = math.nan
    for answer in (*model.score([request(0, kind="score", labels=("yes",))]), *model.complete([request(0)])):
        assert isinstance(answer, Failure)
        assert "not a number" in answer.message


def test_what_does_not_fit_is_told_and_the_rest_is_answered(folder: Path) -> None:
    model = Local(folder)
    long = Request((Message("user", "fish " * CONTEXT),), "score", ("yes",))
    short = request(0, kind="score", labels=("yes",))
    found = model.score([long, short, long])
    assert [getattr(answer, "kind", "") for answer in found] == ["too_long", "", "too_long"]
    assert found[1] == model.score([short])[0]
    assert isinstance(model.complete([replace(request(0), max_tokens=CONTEXT)])[0], Failure)


def test_a_model_is_called_by_all_that_its_answers_depend_on(folder: Path, tmp_path: Path) -> None:
    name = Local(folder).capabilities().model
    assert name.startswith("transformers/")
    assert len(name) == len("transformers/") + 16
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in folder.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    assert Local(moved).capabilities().model == name
    others = [
        Local(tiny_model(tmp_path / "seed", seed=1)),
        Local(tiny_model(tmp_path / "plain", chat=False)),
        Local(folder, dtype="bfloat16"),
        Local(folder, template={"enable_thinking": False}),
    ]
    assert len({name, *(other.capabilities().model for other in others)}) == 5


def test_a_model_in_memory_answers_as_its_files_do(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder), tokenizer
    loaded[0].train()
    asked = [request(n, kind="score", labels=("yes", "no")) for n in range(2)]
    assert Local(loaded).score(asked) == Local(folder).score(asked)
    assert Local(loaded[0], tokenizer=loaded[1]).capabilities() == Local(folder).capabilities()
    assert not loaded[0].training


def test_it_is_a_backend_that_pickles_and_opens_again(folder: Path) -> None:
    model = Local(folder)
    assert isinstance(model, Backend)
    asked = [request(0, kind="score", labels=("yes", "no"))]
    assert len(pickle.dumps(model)) < 1000
    wanted = model.score(asked)
    assert len(pickle.dumps(model)) < 1000
    assert pickle.loads(pickle.dumps(model)).score(asked) == wanted
    model.close()
    assert model.score(asked) == wanted
    described = model.describe()
    assert described["model"] == model.capabilities().model
    assert len(described["weights_sha256"]) == 64
    assert described["version_torch"] == torch.__version__


def test_a_system_message_reaches_a_model_whose_template_refuses_or_drops_it(folder: Path) -> None:
    refuses = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    )
    told = "{{ m['role'] }}: {{ m['content'] }}\n"
    drops = "{% for m in messages %}{% if m['role'] != 'system' %}" + told + "{% endif %}{% endfor %}"
    for template, number in ((refuses, 1), (drops, 2)):
        model = Local(folder)
        opened = model._opened()
        opened.tokenizer.chat_template = template
        asked = request(number)
        tokens = opened.prompt(asked.messages)
        assert isinstance(tokens, tuple)
        wanted = f"user: You are a fisher at a lake.\n\n{asked.messages[1].text}\n"
        assert opened.tokenizer.decode(list(tokens)) == wanted
    opened.tokenizer.chat_template = "{{ raise_exception('never') }}"
    failure = opened.prompt(asked.messages)
    assert isinstance(failure, Failure)
    assert failure.kind == "invalid"
    assert "never" in failure.message


def test_a_model_without_a_template_is_asked_in_plain_text(folder: Path, tmp_path: Path) -> None:
    model = Local(tiny_model(tmp_path, chat=False))
    opened = model._opened()
    tokens = opened.prompt((Message("system", "Rules."), Message("user", "Which?")))
    assert isinstance(tokens, tuple)
    assert opened.tokenizer.decode(list(tokens)) == "Rules.\n\nWhich?\n\nAnswer:"
    assert replies(model.score([request(1, kind="score", labels=("yes", "no"))]))


def test_messages_are_merged_without_losing_a_word() -> None:
    found = merged([Message("system", "a"), Message("user", "b"), Message("assistant", "c"), Message("user", "d")])
    told = [(message.role, message.text) for message in found]
    assert told == [("user", "a\n\nb"), ("assistant", "c"), ("user", "d")]


def test_tiles_follow_from_the_text_alone(folder: Path) -> None:
    opened = Local(folder)._opened()
    tokens = opened.prompt(request(0).messages)
    assert isinstance(tokens, tuple)
    assert Row(0, 0, tokens, ()).shape[0] == -(-len(tokens) // BLOCK) * BLOCK
    assert Row(0, 0, tokens[:BLOCK], (5, 6)).shape == (2 * BLOCK, 3)


def test_labels_that_begin_one_another_share_what_is_read() -> None:
    tokens = {"a": (1,), " a": (9, 1), "ab": (1, 2), " ab": (9, 1, 2), "abc": (1, 2, 3), " abc": (1, 2, 3)}
    written = [spellings(tokens.__getitem__, label) for label in ("a", "ab", "abc")]
    assert written == [((1,), (9, 1)), ((1, 2), (9, 1, 2)), ((1, 2, 3),)]
    needed = paths(written)
    assert needed == [(1, 2), (9, 1)]
    read = readings(written, needed)
    assert read == {(1, 2): [((), 1), ((), 9), ((1,), 2), ((1, 2), 3)], (9, 1): [((9,), 1), ((9, 1), 2)]}
    chances = {(1,): 0.5, (9, 1): 0.2, (1, 2): 0.3, (9, 1, 2): 0.05, (1, 2, 3): 0.1}
    found = summed(written, {path: math.log(chance) for path, chance in chances.items()})
    assert [math.exp(value) for value in found] == pytest.approx([0.2 + 0.15, 0.2 + 0.05, 0.1])
    assert summed([()], {}) == (-math.inf,)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["no/such/folder"], {}, "could not be loaded from no/such/folder"),
        ([3], {}, "a path, or a model of transformers and its tokenizer"),
        (["x"], {"tile": 0}, "whole number of at least 1"),
        (["x"], {"dtype": "float23"}, "did you mean 'float32'"),
    ],
)
def test_what_is_no_model_is_told_in_a_line(
    arguments: list[Any], options: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=message):
        Local(*arguments, **options).capabilities()


def test_a_folder_without_a_model_and_a_missing_library_are_told(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"holds no config\.json"):
        Local(tmp_path).capabilities()
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match=r"needs transformers.*pip install 'simengine\[local\]'"):
        Local(folder).capabilities()
