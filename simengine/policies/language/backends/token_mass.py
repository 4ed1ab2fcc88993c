"""Probabilities of labels from the log-probabilities of tokens, as chat completions tell them.

A server tells at each place of its answer the likeliest tokens, given the tokens before. A label's probability is the
sum over all tokens that begin it and no other label, with and without a leading space and in any case; where a token
begins several labels and the answer went on with it, the tokens at the next place divide its probability among them.
What leads to no label, or to several and was not followed, is in no sum: the sums of all labels are the coverage.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

OPENING = " \t\r\n\"'`*([\u2581\u0120"
WORDS_OF_ONE_LETTER = {"a", "i"}


def tokens_needed(labels: Sequence[str]) -> int:
    """Return how many tokens tell the labels apart for any tokeniser: one more than letters they share."""
    plain = sorted(label.casefold() for label in labels)
    return max((_shared(one, other) for one, other in itertools.pairwise(plain)), default=0) + 1


def log_masses(content: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> tuple[tuple[float, ...], float]:
    """Return the log-probability of each label, and the probability left undecided between several.

    Minus infinity where none was told. What is undecided began more than one label, and the answer went on otherwise or
    ended there.

    Parameters
    ----------
    content
        The places of the answer: ``token``, ``logprob`` and ``top_logprobs``, a list of the same two each.
    labels
        As they were shown. Those that differ in case only are told apart by case, all others in any.
    """
    plain = [label.casefold() for label in labels]
    fold = len(set(plain)) == len(plain)
    known = plain if fold else list(labels)
    masses, undecided = [0.0] * len(labels), 0.0
    path, chance = "", 1.0
    for place in content:
        chosen = str(place.get("token", ""))
        at = _told(place)
        following = path + (chosen.casefold() if fold else chosen)
        followed = 0.0
        for token, p in at.items():
            text = path + (token.casefold() if fold else token)
            begun = _begun(text, known)
            if len(begun) == 1:
                masses[begun[0]] += chance * p
            elif token and _bare(text) == _bare(following):
                # Forms of one token, with and without a space, go on alike.
                followed += chance * p
            elif begun and token:
                undecided += chance * p
            elif path and not token:
                _ended(path, known, masses, chance * p)
        path, chance = following, followed
        if not followed or (_bare(path) and not _begun(path, known)):
            return _logs(masses), undecided
    # Whether the answer ended here by chance of one in two or of nearly one, no server tells.
    undecided += chance if _begun(path, known) else 0.0
    return _logs(masses), undecided


def _shared(one: str, other: str) -> int:
    """Return how many letters two texts begin with together."""
    alike = (a == b for a, b in zip(one, other, strict=False))
    return sum(1 for _ in itertools.takewhile(bool, alike))


def _told(place: Mapping[str, Any]) -> dict[str, float]:
    """Return the probabilities of the tokens told at one place, the drawn one among them."""
    listed = [*(place.get("top_logprobs") or ()), place]
    return {
        str(one.get("token", "")): math.exp(min(0.0, float(one["logprob"])))
        for one in listed
        if one.get("logprob") is not None
    }


def _logs(masses: Sequence[float]) -> tuple[float, ...]:
    return tuple(math.log(min(mass, 1.0)) if mass > 0.0 else -math.inf for mass in masses)


def _ended(path: str, known: Sequence[str], masses: list[float], p: float) -> None:
    """Give the probability of an answer that goes no further than ``path`` to the label that it is, if one."""
    bare = _bare(path)
    if bare in known:
        masses[known.index(bare)] += p


def _bare(text: str) -> str:
    return text.lstrip(OPENING)


def _begun(text: str, known: Sequence[str]) -> list[int]:
    """Return the labels that ``text`` may still become; the one that it has become, with something after it."""
    bare = _bare(text)
    if not bare:
        return []
    begun = [at for at, label in enumerate(known) if label.startswith(bare)]
    if begun:
        # "I" begins many a sentence that is no label.
        alone = bare.strip().casefold() in WORDS_OF_ONE_LETTER and bare not in known
        return [] if alone else begun
    finished = [at for at, label in enumerate(known) if bare.startswith(label) and not bare[len(label)].isalnum()]
    return sorted(finished, key=lambda at: -len(known[at]))[:1]
