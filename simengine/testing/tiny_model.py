"""A tiny transformer with random weights, written to a folder as a real model is: for tests of the real path.

It knows nothing: it shows that tokenizer, chat template, decoding, log-probabilities and files work together. Nothing
can be learned from it about the behaviour of language models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simengine.policies.language.backends.local import quiet
from simengine.policies.tiles import library

PAD, BEGIN, END = "<pad>", "<begin>", "<end>"
CONTEXT = 1024
"""Longest text in tokens."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<begin>{{ message['role'] }}\n{{ message['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<begin>assistant\n{% endif %}"
)

TEXT = """\
You are one of several fishers at a lake. Every month each fisher says how many fish he takes. What is left doubles.
You see how many of your neighbours adopted the new tool, and what it costs. Do you adopt it or reject it?
A village shares a pasture. Each herder decides how many animals to send. If all send many, the grass is gone.
The sender knows the state of the world and sends a message. The receiver believes it or not, and acts.
Your signal says high. Two agents before you chose buy, one agent chose sell. The price is 10. What do you choose?
Answer with one word. Answer with one of: yes, no. Answer with one of: cooperate, defect. Answer with JSON only.
The school turns left, then right, then goes straight on. The fish beside you swims slower than you.
An opinion lies between 0 and 1. Yours is 0.25, and that of your friend is 0.75. You trust each other.
The vote is secret. Each member proposes a limit, and the median becomes the rule for everybody.
Probability in per cent: 10, 20, 30, 40, 50, 60, 70, 80, 90, 100. The sum is 100.
user assistant system
"""


def tiny_model(
    folder: str | Path, seed: int = 0, *, hidden: int = 32, layers: int = 2, heads: int = 4, vocabulary: int = 512,
    chat: bool = True,
) -> Path:  # fmt: skip
    """Write a randomly initialised transformer, its tokenizer and configuration to ``folder``; return the folder.

    The architecture is Llama's; the tokenizer is a byte-level BPE trained on a few sentences, so every text can be
    written in its tokens. The same arguments give the same bits.

    Parameters
    ----------
    folder : path
        Where; made if it does not exist.
    seed : int
        Of the weights.
    hidden, layers, heads, vocabulary : int
        Sizes. ``vocabulary`` is the largest number of tokens; at least 260 are needed.
    chat : bool
        Whether the tokenizer has a chat template.

    Raises
    ------
    InputError
        When torch or transformers is not installed.
    """
    torch, tokenizers, transformers = (
        library(name, "a tiny model", "local") for name in ("torch", "tokenizers", "transformers")
    )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(tokenizers, transformers, vocabulary, chat)
    configuration = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=max(heads // 2, 1), max_position_embeddings=CONTEXT,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.2, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(configuration)
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(tokenizers: Any, transformers: Any, vocabulary: int, chat: bool) -> Any:
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, BEGIN, END], initial_alphabet=alphabet, show_progress=False
    )
    trained.train_from_iterator(TEXT.splitlines(), trainer)
    found = transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained, pad_token=PAD, bos_token=BEGIN, eos_token=END, model_max_length=CONTEXT
    )
    if chat:
        found.chat_template = CHAT_TEMPLATE
    return found
