"""Models of the transformers library in this process: real decoding and real log-probabilities, without a server."""

from __future__ import annotations

import importlib.metadata
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simengine.errors import InputError, nearest
from simengine.policies.language.backends.labels import Tokens, paths, readings, spellings, summed
from simengine.policies.language.backends.loaded import Loaded, Row, tiles
from simengine.policies.language.calls import Capabilities, Failure, Reply, Request, Usage
from simengine.policies.tiles import library

BATCH = 64
"""Requests taken at once: the more there are, the fewer rows of larger tiles stay empty."""
NO_NUMBER = "the model answers with something that is not a number: its weights or their dtype do not fit"
TILE_ON_CPU, TILE_ELSEWHERE = 1, 8
DTYPES = ("float32", "bfloat16", "float16", "auto")
_LOADING = threading.Lock()


class Local:
    """A causal language model of the transformers library, evaluated in this process.

    Parameters
    ----------
    path_or_model : path, str, model or (model, tokenizer)
        A folder that ``save_pretrained`` wrote, a name that ``from_pretrained`` knows, or a model in memory (which is
        put into evaluation mode) with its tokenizer. A path is loaded when it is first needed, anew in every process.
    tokenizer : object, optional
        The tokenizer of a model in memory.
    device : str
        ``"cpu"``, or a device of CUDA: the same code, for which nothing is promised about bits.
    tile : int, optional
        Rows evaluated at once: by default 1 on the processor, where one text already keeps a thread busy, and 8
        elsewhere. Empty rows cost as much as full ones.
    dtype : str
        Of the weights of a path: "float32", "bfloat16", "float16", or "auto" (as they were saved).
    template : mapping, optional
        Further arguments of the chat template, ``{"enable_thinking": False}`` say.

    Notes
    -----
    Equal requests get equal bits whatever else is asked: a text is padded on its left to a multiple of 32 tokens, the
    request's key gives its row in a tile of fixed size, and one thread does the sums (see `simengine.policies.tiles`).
    On another kind of processor, with another tile, or another version of torch or transformers, bits may differ.

    *score* gives the log-probability of the whole label after the prompt, summed over its tokens, written with and
    without a space before it; it is neither divided by the number of tokens nor does it include an end of text. Where
    one label begins another ("1", "10"), the shorter one has what the longer one leaves. So labels exclude one another,
    and their sum, the coverage, is at most one. Other splits of a label than the tokenizer's are not counted.

    *complete* draws token by token from the request's key; temperature 0 takes the most probable one. No schema is
    enforced: validation and one re-ask are for the layers above.

    A model without a chat template gets the messages' texts and "Answer:"; one whose template knows no system message
    gets it in front of the first user message.
    """

    def __init__(
        self, path_or_model: Any, *, tokenizer: Any = None, device: str = "cpu", tile: int | None = None,
        dtype: str = "float32", template: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if isinstance(path_or_model, tuple) and len(path_or_model) == 2:
            path_or_model, tokenizer = path_or_model
        self._model = None if isinstance(path_or_model, str | Path) else path_or_model
        self.path = str(path_or_model) if self._model is None else ""
        if self._model is not None and (tokenizer is None or not hasattr(path_or_model, "generate")):
            raise InputError("a local model: give a path, or a model of transformers and its tokenizer")
        default = TILE_ON_CPU if device == "cpu" else TILE_ELSEWHERE
        tile = default if tile is None else tile
        if isinstance(tile, bool) or not isinstance(tile, int) or tile < 1:
            raise InputError(f"tile of a local model: got {tile!r}, allowed is a whole number of at least 1")
        if dtype not in DTYPES:
            allowed = f"allowed are {', '.join(DTYPES)}{nearest(str(dtype), DTYPES)}"
            raise InputError(f"dtype of a local model: got {dtype!r}, {allowed}")
        self._tokenizer, self.device, self.tile, self.dtype = tokenizer, device, tile, dtype
        self.template = dict(template or {})
        self._open: Loaded | None = None

    def __repr__(self) -> str:
        return f"Local({self.path or type(self._model).__name__!r}, device={self.device!r}, tile={self.tile})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}

    def capabilities(self) -> Capabilities:
        """What it can do; loads the model, whose weights are part of its name."""
        opened = self._opened()
        return Capabilities(
            opened.name, score=True, schema=False, batch=BATCH, deterministic=self.device == "cpu",
            label=f"{opened.title}, transformers in this process",
            limits={} if opened.longest is None else {"context_tokens": float(opened.longest)},
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """Return what an answer depends on, as plain values: weights, tokenizer, template and versions."""
        opened = self._opened()
        return {
            "backend": "transformers in this process",
            "model": opened.name,
            "architecture": type(opened.model).__name__,
            "weights_sha256": opened.weights,
            "tokenizer_sha256": opened.tokens,
            "chat_template": bool(opened.tokenizer.chat_template),
            "device": self.device,
            "dtype": str(opened.model.dtype).removeprefix("torch."),
            "attention": getattr(opened.model.config, "_attn_implementation", None),
            "tile": self.tile,
            "version_torch": importlib.metadata.version("torch"),
            "version_transformers": importlib.metadata.version("transformers"),
        }

    def score(self, requests: Sequence[Request]) -> Sequence[Reply | Failure]:
        """Answer with the log-probabilities of labels."""
        opened = self._opened()
        found: list[Reply | Failure | None] = [None] * len(requests)
        rows: list[Row] = []
        asked: dict[int, _Scored] = {}
        for place, request in enumerate(requests):
            prompt = opened.prompt(request.messages)
            written = [spellings(opened.tokens_of, label) for label in request.labels]
            needed = paths(written)
            if isinstance(prompt, Failure):
                found[place] = prompt
                continue
            if failure := opened.too_long(len(prompt) + max(len(path) + 1 for path in needed)):
                found[place] = failure
                continue
            asked[place] = _Scored(len(prompt), written, readings(written, needed))
            first = int(request.key(opened.name)[:15], 16)
            rows += [Row(place, (first + n) % self.tile, prompt, path) for n, path in enumerate(needed)]
        chances: dict[int, dict[tuple[Tokens, int], float]] = {place: {} for place in asked}
        for tile in tiles(rows, self.tile):
            values = opened.log_probabilities(tile, self.tile)
            for row in tile:
                for before, token in asked[row.place].read[row.path]:
                    chances[row.place][before, token] = float(values[row.row, len(before), token])
        for place, scored in asked.items():
            known = chances[place]
            if any(map(math.isnan, known.values())):
                found[place] = Failure("invalid", NO_NUMBER)
                continue
            spelled = [path for label in scored.written for path in label]
            raw = {path: math.fsum(known[path[:n], token] for n, token in enumerate(path)) for path in spelled}
            found[place] = Reply(
                log_probabilities=summed(scored.written, raw), usage=Usage(scored.tokens, output=1), model=opened.name,
                fingerprint=opened.weights[:16],
            )  # fmt: skip
        return [reply for reply in found if reply is not None]

    def complete(self, requests: Sequence[Request]) -> Sequence[Reply | Failure]:
        """Answer with texts."""
        opened = self._opened()
        found: list[Reply | Failure | None] = [None] * len(requests)
        rows = []
        for place, request in enumerate(requests):
            prompt = opened.prompt(request.messages)
            if isinstance(prompt, Failure):
                found[place] = prompt
            elif failure := opened.too_long(len(prompt) + request.max_tokens):
                found[place] = failure
            else:
                rows.append(Row(place, int(request.key(opened.name)[:15], 16) % self.tile, prompt, ()))
        for tile in tiles(rows, self.tile):
            written = opened.decoded(tile, [requests[row.place] for row in tile], self.tile)
            for row, (tokens, finish) in zip(tile, written, strict=True):
                found[row.place] = Failure("invalid", NO_NUMBER) if finish == "error" else Reply(
                    opened.text(tokens), finish=finish, model=opened.name, fingerprint=opened.weights[:16],
                    usage=Usage(len(row.prompt), output=len(tokens) + (finish == "stop")),
                )  # fmt: skip
        return [reply for reply in found if reply is not None]

    def close(self) -> None:
        """Give back the memory of a model that was loaded from a path; it is loaded again when asked again."""
        self._open = None

    def _opened(self) -> Loaded:
        with _LOADING:
            if self._open is None:
                model, tokenizer = (self._model, self._tokenizer) if self._model is not None else self._loaded()
                self._open = Loaded(model, tokenizer, self.device, self.template)
        return self._open

    def _loaded(self) -> tuple[Any, Any]:
        library("torch", "a local model", "local")
        transformers = library("transformers", "a local model", "local")
        if Path(self.path).exists() and not (Path(self.path) / "config.json").exists():
            raise InputError(f"{self.path} is no folder of a model: it holds no config.json")
        try:
            with quiet():
                tokenizer = transformers.AutoTokenizer.from_pretrained(self.path)
                model = transformers.AutoModelForCausalLM.from_pretrained(self.path, dtype=self.dtype)
        except (OSError, ValueError, ImportError) as error:
            raise InputError(f"a local model could not be loaded from {self.path}: {error}") from error
        return model, tokenizer


@dataclass(frozen=True)
class _Scored:
    tokens: int
    written: list[tuple[Tokens, ...]]
    read: Mapping[Tokens, list[tuple[Tokens, int]]]


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of transformers meanwhile."""
    logging = library("transformers", "a local model", "local").utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
