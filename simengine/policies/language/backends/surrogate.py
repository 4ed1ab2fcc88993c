"""The surrogate: a back-off n-gram over a scenario's own text. A surrogate, not an LLM.

It stands in for a language model where none is to be had: it answers every kind of request offline, at almost no
cost, with real log-probabilities, and equal requests always get equal answers. It makes no claim about behaviour: what
it prefers follows from which words its texts hold, not from what they mean.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from simengine.policies.language.backends.drawing import KeyedDraws, tempered
from simengine.policies.language.backends.filling import Filling
from simengine.policies.language.calls import Capabilities, Failure, Message, Reply, Request, Usage

LABEL = "surrogate, not an LLM"
MODEL = "surrogate/ngram"
ORDER = 3
"""Words of an n-gram: a word is predicted from the ``ORDER - 1`` before it."""
BACK_OFF = 1.0
"""Weight of the shorter history, in observations: the concentration of the hierarchical Dirichlet prior."""
BATCH = 256
BEGIN, END = "<begin>", "<end>"

History = tuple[str, ...]
Followers = Mapping[History, Mapping[str, int]]

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['\u2019][^\W\d_]+)*|_+|[^\w\s]")
_CLOSING = frozenset(".,;:!?)]}%\u2019\u201d")
_OPENING = frozenset("([{\u201c\u2018")


class Surrogate:
    """A back-off n-gram over the words of the request itself and of ``text``: a surrogate, not an LLM.

    A word follows a history h with probability (c(h, w) + a P(w | shorter h)) / (c(h) + a), down to the uniform
    distribution over the words that occur (a = 1 observation; MacKay and Peto 1995, eq. 20). So every label has a
    probability: that of its words after the prompt's last words, and of the line's end after them, which makes the
    labels exclude one another; their sum, the coverage, is below one. Lines of texts are sentences, case is ignored.

    Parameters
    ----------
    text : str or iterable of str, optional
        What it reads besides the requests, a scenario's own text say. It belongs to the model's name, and by it
        to the key of every request.

    Notes
    -----
    A request with labels is answered by one of them, one with a schema by JSON that fits it (numbers are uniform within
    their bounds, percentages of labels are their probabilities), any other by a sentence, drawn word by word. All draws
    follow from the request's key; at temperature 0 the most probable is taken.
    """

    def __init__(self, text: str | Iterable[str] | None = None) -> None:
        given = [] if text is None else [text] if isinstance(text, str) else list(text)
        self.text = "\n".join(given)
        digest = hashlib.blake2b(self.text.encode(), digest_size=4).hexdigest()
        self.model = f"{MODEL}-{digest}" if self.text else MODEL

    def __repr__(self) -> str:
        return f"Surrogate({self.model!r}: {LABEL})"

    def capabilities(self) -> Capabilities:
        """What it can do: everything, in batches."""
        return Capabilities(self.model, score=True, schema=True, batch=BATCH, deterministic=True, label=LABEL)

    def complete(self, requests: Sequence[Request]) -> Sequence[Reply | Failure]:
        """Answer with a label, JSON or a sentence."""
        return [self._completed(request) for request in requests]

    def score(self, requests: Sequence[Request]) -> Sequence[Reply | Failure]:
        """Answer with the log-probability of each label, whatever the temperature."""
        return [
            Reply(log_probabilities=tuple(self._ngram(request).labels(request.labels)),
                  usage=_usage(request.messages, "-"), model=self.model, fingerprint=LABEL)
            for request in requests
        ]  # fmt: skip

    def close(self) -> None:
        """Nothing is held."""

    def _ngram(self, request: Request) -> Ngram:
        texts = [self.text, *(message.text for message in request.messages), "\n".join(request.labels)]
        return Ngram(texts, request.messages[-1].text if request.messages else "")

    def _completed(self, request: Request) -> Reply:
        ngram, draws = self._ngram(request), KeyedDraws(request.key(self.model))
        finish = "stop"
        if request.schema:
            filling = Filling(
                draws,
                lambda texts: draws.index(tempered(ngram.labels(texts), request.temperature)),
                lambda: ngram.sentence(draws, request.temperature, request.max_tokens)[0],
                request.labels,
                lambda labels: percentages(tempered(ngram.labels(labels), 1.0)),
            )
            text = json.dumps(filling.value(json.loads(request.schema)), ensure_ascii=False)
        elif request.labels:
            text = request.labels[draws.index(tempered(ngram.labels(request.labels), request.temperature))]
        else:
            text, finish = ngram.sentence(draws, request.temperature, request.max_tokens)
        return Reply(text, finish=finish, usage=_usage(request.messages, text), model=self.model, fingerprint=LABEL)


class Ngram:
    """Word probabilities learned from some texts, and those of what follows the last words of ``prompt``."""

    def __init__(self, texts: Sequence[str], prompt: str) -> None:
        self._counts = [counted(text) for text in texts if text]
        self._merged: dict[History, tuple[Mapping[str, int], int]] = {}
        self._history = tuple(words(prompt)[-(ORDER - 1) :])
        self.vocabulary: tuple[str, ...] = tuple({END: 0, **self._followers(())[0]})

    def probability(self, word: str, history: History) -> float:
        """Of ``word`` after ``history``; one part in the vocabulary's size and one for words that do not occur."""
        found = 1.0 / len(self.vocabulary)
        for length in range(min(len(history), ORDER - 1) + 1):
            followers, total = self._followers(history[len(history) - length :])
            found = (followers.get(word, 0) + BACK_OFF * found) / (total + BACK_OFF)
        return found

    def distribution(self, history: History) -> list[float]:
        """Of every word of the vocabulary after ``history``: sums to one."""
        found = [1.0 / len(self.vocabulary)] * len(self.vocabulary)
        for length in range(min(len(history), ORDER - 1) + 1):
            followers, total = self._followers(history[len(history) - length :])
            if total:
                counts = [followers.get(word, 0) for word in self.vocabulary]
                found = [(n + BACK_OFF * p) / (total + BACK_OFF) for n, p in zip(counts, found, strict=True)]
        return found

    def labels(self, labels: Sequence[str]) -> list[float]:
        """Log-probabilities that what follows the prompt is each label, and nothing more on its line."""
        return [self._label(words(label)) for label in labels]

    def sentence(self, draws: KeyedDraws, temperature: float, longest: int) -> tuple[str, str]:
        """Return a sentence of at least one word, and whether it ended ("stop") or was cut off ("length")."""
        said: list[str] = []
        while len(said) < max(longest, 1):
            before = (BEGIN, *said)[-(ORDER - 1) :]
            chances = self.distribution(before)
            chances[0] = chances[0] if said or len(chances) == 1 else 0.0
            weights = tempered([math.log(p) if p > 0.0 else -math.inf for p in chances], temperature)
            word = self.vocabulary[draws.index(weights)]
            if word == END:
                return joined(said), "stop"
            said.append(word)
        return joined(said), "length"

    def _label(self, label: Sequence[str]) -> float:
        history, found = self._history, 0.0
        for word in (*label, END):
            found += math.log(self.probability(word, history))
            history = (*history, word)[-(ORDER - 1) :]
        return found

    def _followers(self, history: History) -> tuple[Mapping[str, int], int]:
        if history not in self._merged:
            merged: dict[str, int] = {}
            for counts in self._counts:
                for word, number in counts.get(history, {}).items():
                    merged[word] = merged.get(word, 0) + number
            self._merged[history] = merged, sum(merged.values())
        return self._merged[history]


@lru_cache(maxsize=64)
def counted(text: str) -> Followers:
    """How often each word follows each history of at most ``ORDER - 1`` words on a line of a text."""
    found: dict[History, dict[str, int]] = {}
    for line in text.splitlines():
        sentence = [BEGIN, *words(line), END]
        if len(sentence) == 2:
            continue
        for place in range(1, len(sentence)):
            for length in range(min(place, ORDER - 1) + 1):
                followers = found.setdefault(tuple(sentence[place - length : place]), {})
                followers[sentence[place]] = followers.get(sentence[place], 0) + 1
    return found


def words(text: str) -> list[str]:
    """Words, numbers and marks of a text, in lower case."""
    return _WORD.findall(text.casefold())


def joined(said: Sequence[str]) -> str:
    """Words as a text, with spaces where they belong."""
    text = ""
    for word in said:
        text += word if not text or word in _CLOSING or text[-1] in _OPENING else f" {word}"
    return text


def percentages(weights: Sequence[float]) -> list[int]:
    """Whole percentages that sum to 100, by largest remainder; ties go to the first."""
    total = math.fsum(weights)
    exact = [100.0 * weight / total for weight in weights]
    found = [math.floor(value) for value in exact]
    remainders = sorted(range(len(exact)), key=lambda place: (found[place] - exact[place], place))
    for place in remainders[: 100 - sum(found)]:
        found[place] += 1
    return found


def _usage(messages: Sequence[Message], text: str) -> Usage:
    """Characters by four: words of an n-gram are no tokens of any model."""
    return Usage(-(-sum(len(message.text) for message in messages) // 4), output=-(-len(text) // 4), known=False)
