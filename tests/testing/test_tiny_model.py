"""The tiny model: written and loaded as a real one, the same from the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from simengine.policies.tiles import weights_digest  # noqa: E402
from simengine.testing.tiny_model import CONTEXT, TEXT, tiny_model  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "new" / "model")


def test_it_is_loaded_by_the_path_of_any_model(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert model.num_parameters() < 100_000
    assert model.config.max_position_embeddings == CONTEXT
    assert {tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id} == {0, 1, 2}
    tokens = tokenizer("Do you adopt it?", return_tensors="pt")
    assert model(**tokens).logits.shape == (1, tokens["input_ids"].shape[1], len(tokenizer))


def test_its_tokens_write_any_text_and_known_words_briefly(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in (TEXT, "Ünïcödé 鱼 \t{}", "yes"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer(TEXT)["input_ids"]) < len(TEXT) / 2


def test_its_chat_template_tells_roles_apart(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "system", "content": "Rules."}, {"role": "user", "content": "Which?"}]
    found = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert found == "<begin>system\nRules.<end>\n<begin>user\nWhich?<end>\n<begin>assistant\n"


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(folder: Path, tmp_path: Path) -> None:
    again, other = tiny_model(tmp_path / "again"), tiny_model(tmp_path / "other", seed=1, chat=False)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    load = transformers.AutoModelForCausalLM.from_pretrained
    assert weights_digest(load(again).state_dict()) == weights_digest(load(folder).state_dict())
    assert weights_digest(load(other).state_dict()) != weights_digest(load(folder).state_dict())
    assert transformers.AutoTokenizer.from_pretrained(other).chat_template is None
