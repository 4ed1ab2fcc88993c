"""Log-probabilities of labels of several tokens, from those of single tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Tokens = tuple[int, ...]


def spellings(tokens_of: Callable[[str], Tokens], label: str) -> tuple[Tokens, ...]:
    """Return a label in tokens as it may follow a prompt, with and without a space, without repetition."""
    return tuple(dict.fromkeys(found for text in (label, f" {label}") if (found := tokens_of(text))))


def paths(written: Sequence[Sequence[Tokens]]) -> list[Tokens]:
    """Return what must be read after the prompt to know every token's probability: no path begins another."""
    known = sorted({path[:-1] for spelled in written for path in spelled} | {()})
    return [path for path in known if not any(begins(path, other) for other in known)]


def readings(written: Sequence[Sequence[Tokens]], needed: Sequence[Tokens]) -> dict[Tokens, list[tuple[Tokens, int]]]:
    """Return what is read from each path: tokens and what stands before them, each from the first path that has it."""
    found: dict[Tokens, list[tuple[Tokens, int]]] = {path: [] for path in needed}
    pairs = ((path[:n], path[n]) for label in written for path in label for n in range(len(path)))
    for before, token in dict.fromkeys(pairs):
        first = next(path for path in needed if path[: len(before)] == before)
        found[first].append((before, token))
    return found


def summed(written: Sequence[Sequence[Tokens]], raw: Mapping[Tokens, float]) -> tuple[float, ...]:
    """Return the log-probability of each label from those of its spellings; a beginning has what longer ones leave."""
    return tuple(logarithm_of_sum([_left(path, raw) for path in spelled]) for spelled in written)


def begins(path: Tokens, other: Tokens) -> bool:
    """Whether ``other`` goes on from ``path``."""
    return len(path) < len(other) and other[: len(path)] == path


def logarithm_of_sum(values: Sequence[float]) -> float:
    """Logarithm of the sum of exponentials; minus infinity of none."""
    best = max(values, default=-math.inf)
    return best if math.isinf(best) else best + math.log(math.fsum(math.exp(value - best) for value in values))


def _left(path: Tokens, raw: Mapping[Tokens, float]) -> float:
    longer = [other for other in raw if begins(path, other)]
    nearest = [other for other in longer if not any(begins(one, other) for one in longer)]
    taken = logarithm_of_sum([raw[other] for other in nearest]) - raw[path]
    return raw[path] if math.isinf(taken) else raw[path] + math.log1p(-math.exp(taken)) if taken < 0.0 else -math.inf
