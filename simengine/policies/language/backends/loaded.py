"""A loaded model of transformers: conversations to tokens, tiles of them to log-probabilities or texts."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.policies.language.backends.drawing import KeyedDraws
from simengine.policies.language.backends.labels import Tokens
from simengine.policies.language.calls import Failure, Message, Request
from simengine.policies.tiles import evaluating, settle, tile_of, weights_digest

BLOCK = 32
"""Texts are padded to a multiple of so many tokens: the shape of a tile follows from the text alone."""
CUE = "\n\nAnswer:"
"""What ends the prompt of a model without a chat template."""


@dataclass(frozen=True)
class Row:
    """A prompt, and tokens said after it, in a row of a tile, for the request at a place."""

    place: int
    row: int
    prompt: Tokens
    path: Tokens

    @property
    def shape(self) -> tuple[int, int]:
        """Columns of the tile, and how many last ones are looked at: both follow from the request alone."""
        return -(-(len(self.prompt) + len(self.path)) // BLOCK) * BLOCK, len(self.path) + 1


def tiles(rows: Sequence[Row], size: int) -> Iterator[list[Row]]:
    """Give rows by tile: those of a tile have one shape and different places."""
    by_shape: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        by_shape.setdefault(row.shape, []).append(row)
    for _, same in sorted(by_shape.items()):
        numbers = tile_of(np.array([row.row for row in same], np.int64))
        for number in range(int(numbers.max()) + 1):
            yield [row for row, its in zip(same, numbers, strict=True) if its == number]


class Loaded:
    """A loaded model with its tokenizer, and what follows from them."""

    def __init__(self, model: Any, tokenizer: Any, device: str, template: Mapping[str, Any]) -> None:
        self.model, self.tokenizer, self.device, self.template = model.to(device), tokenizer, device, dict(template)
        settle(model)
        self.title = type(model).__name__
        self.weights = weights_digest(model.state_dict())
        self.tokens = _tokenizer_digest(tokenizer)
        configuration = {
            name: value for name, value in model.config.to_dict().items()
            if name not in {"transformers_version", "_name_or_path", "torch_dtype", "dtype"}
        }  # fmt: skip
        generation = getattr(model, "generation_config", None)
        ends = [getattr(generation, "eos_token_id", None), model.config.eos_token_id, tokenizer.eos_token_id]
        self.ends = frozenset(
            int(end)
            for item in ends
            if item is not None
            for end in (item if isinstance(item, list | tuple) else [item])
        )
        parts = [self.weights, self.tokens, configuration, self.template, sorted(self.ends), BLOCK, CUE]
        text = json.dumps(parts, sort_keys=True, default=str)
        self.name = f"transformers/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        positions = getattr(model.config, "max_position_embeddings", None) or getattr(model.config, "n_positions", None)
        self.longest: int | None = positions
        accepted = inspect.signature(model.forward).parameters
        self._positions, self._keeps = "position_ids" in accepted, "logits_to_keep" in accepted

    def prompt(self, messages: Sequence[Message]) -> Tokens | Failure:
        """Return the tokens of a conversation up to where the answer begins."""
        if not self.tokenizer.chat_template:
            text = "\n\n".join(message.text for message in messages) + CUE
            return tuple(self.tokenizer(text)["input_ids"])
        reason = "the chat template leaves out a message"
        for conversation in (list(messages), merged(messages)):
            try:
                rendered = str(self._rendered(conversation))
            except Exception as error:
                # Templates are programs of their authors: jinja's errors, and any other.
                reason = f"the chat template refuses the messages: {type(error).__name__}: {error}"
                continue
            if all(message.text.strip() in rendered for message in messages):
                return tuple(self.tokenizer(rendered, add_special_tokens=False)["input_ids"])
        return Failure("invalid", reason)

    def _rendered(self, messages: Sequence[Message]) -> Any:
        begun = bool(messages) and messages[-1].role == "assistant"
        return self.tokenizer.apply_chat_template(
            [{"role": message.role, "content": message.text} for message in messages], tokenize=False,
            add_generation_prompt=not begun, continue_final_message=begun, **self.template,
        )  # fmt: skip

    def tokens_of(self, text: str) -> Tokens:
        """Return the tokens of a text that follows another."""
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def text(self, tokens: Sequence[int]) -> str:
        """Return tokens as a text."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()

    def too_long(self, tokens: int) -> Failure | None:
        """Return why a conversation of so many tokens does not fit, if it does not."""
        if self.longest is None or tokens <= self.longest:
            return None
        return Failure("too_long", f"{tokens} tokens with the answer; the model reads {self.longest}")

    def log_probabilities(self, rows: Sequence[Row], size: int) -> NDArray[np.float64]:
        """Return those of the token after the prompt, and after each of the path: (tile, places, vocabulary)."""
        keep = rows[0].shape[1]
        with evaluating(self.device) as torch:
            logits = self._forward(torch, *self._filled(torch, rows, size), keep=keep).logits[:, -keep:]
            found: NDArray[np.float64] = torch.log_softmax(logits.double(), dim=-1).cpu().numpy()
        return found

    def decoded(self, rows: Sequence[Row], requests: Sequence[Request], size: int) -> list[tuple[list[int], str]]:
        """Return the tokens that the model says to each, without the one that ends it, and why it ended."""
        draws = [KeyedDraws(request.key(self.name)) for request in requests]
        said: list[list[int]] = [[] for _ in rows]
        finish = ["" if request.max_tokens > 0 else "length" for request in requests]
        with evaluating(self.device) as torch:
            tokens, seen = self._filled(torch, rows, size)
            past = None
            while not all(finish):
                out = self._forward(torch, tokens, seen, keep=1, past=past, again=True)
                past = out.past_key_values
                logits = out.logits[:, -1].double().cpu().numpy()
                following = [0] * size
                for n, (row, request) in enumerate(zip(rows, requests, strict=True)):
                    if finish[n]:
                        continue
                    if np.isnan(logits[row.row]).any():
                        finish[n] = "error"
                        continue
                    token = chosen(logits[row.row], request.temperature, draws[n])
                    if token in self.ends:
                        finish[n] = "stop"
                        continue
                    said[n].append(token)
                    following[row.row] = token
                    finish[n] = "length" if len(said[n]) >= request.max_tokens else ""
                tokens = torch.tensor(following, device=self.device)[:, None]
                seen = torch.cat([seen, torch.ones_like(tokens)], dim=1)
        return list(zip(said, finish, strict=True))

    def _filled(self, torch: Any, rows: Sequence[Row], size: int) -> tuple[Any, Any]:
        """Return the tokens of a tile, padded on the left, and which are seen (of an empty row its last one)."""
        columns = rows[0].shape[0]
        tokens, seen = np.zeros((size, columns), np.int64), np.zeros((size, columns), np.int64)
        seen[:, -1] = 1
        for row in rows:
            text = (*row.prompt, *row.path)
            tokens[row.row, columns - len(text) :] = text
            seen[row.row, columns - len(text) :] = 1
        return torch.tensor(tokens, device=self.device), torch.tensor(seen, device=self.device)

    def _forward(self, torch: Any, tokens: Any, seen: Any, *, keep: int, past: Any = None, again: bool = False) -> Any:
        options: dict[str, Any] = {"logits_to_keep": keep} if self._keeps else {}
        if self._positions:
            options["position_ids"] = (seen.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        return self.model(input_ids=tokens, attention_mask=seen, past_key_values=past, use_cache=again, **options)


def merged(messages: Sequence[Message]) -> list[Message]:
    """Messages without a system's, which goes to the user, and without two of one role in succession."""
    found: list[Message] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        if found and found[-1].role == role:
            found[-1] = Message(found[-1].role, f"{found[-1].text}\n\n{message.text}")
        else:
            found.append(Message("assistant" if role == "assistant" else "user", message.text))
    return found


def chosen(logits: NDArray[np.float64], temperature: float, draws: KeyedDraws) -> int:
    """Return a token, drawn from the softmax of logits at a temperature, or the first of the largest at zero."""
    if temperature <= 0.0:
        return int(np.argmax(logits))
    weights = np.exp((logits - logits.max()) / temperature)
    cumulative = np.cumsum(weights)
    return int(min(np.searchsorted(cumulative, draws.uniform() * cumulative[-1], side="right"), len(weights) - 1))


def _tokenizer_digest(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    text = json.dumps([type(tokenizer).__name__, vocabulary, tokenizer.chat_template], default=str)
    return hashlib.sha256(text.encode()).hexdigest()
