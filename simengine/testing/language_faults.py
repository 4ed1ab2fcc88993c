"""What may go wrong with a call of a language model, to be asked of the loopback server on purpose.

Faults come by probability, keyed by (seed, request, attempt) so that they do not depend on the order of arrival, or by
a script. Each call meets one fault at most::

    Faults(seed=1, rate_limit=0.2, reset=0.05)        # a fifth of the calls is told to wait, a twentieth cut off
    Faults(script=["server_error", "", "refusal"])    # the first and the third call that arrive
    Faults(attempts=["rate_limit_wait"])              # the first attempt of every request
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from simengine.errors import InputError, nearest

UNPAID = frozenset(
    {
        "rate_limit",
        "rate_limit_wait",
        "quota",
        "authentication",
        "unknown_model",
        "invalid",
        "too_long",
        "server_error",
        "reset",
        "hang",
    }
)
"""Faults by which nothing is answered, and nothing charged."""


@dataclass(frozen=True)
class Faults:
    """Probabilities of each fault, and scripts of faults.

    Parameters
    ----------
    seed
        Of the draws; equal seeds, requests and attempts meet equal faults.
    rate_limit, rate_limit_wait
        429 without and with a ``Retry-After`` header.
    quota, authentication, unknown_model, invalid, too_long
        429 "insufficient_quota", 401, 404, 400, and 400 "context_length_exceeded": what no repetition mends.
    server_error
        500, 502, 503 or 529, drawn.
    reset, hang
        The connection is reset at once; nothing is ever answered.
    lost
        The answer is made and charged, then the connection is reset before a byte of it is sent.
    slow, cut
        The body drips for ``slow_seconds``; half of it comes, then the connection ends (charged).
    garbage
        Status 200 with a body that is no JSON (charged).
    wrong_schema
        A text that fits no schema and names no label; for log-probabilities, tokens that are no labels.
    empty, too_short
        No text at all; a text that ``max_tokens`` cut after its first token.
    refusal, content_filter
        A message with a refusal in the place of its text; a finish reason "content_filter".
    missing_usage, no_log_probabilities
        A good answer without its usage, or without the log-probabilities asked for.
    duplicate
        The whole answer is sent twice (charged once).
    script
        Fault of the first, second, ... call to arrive; an empty word is none. Afterwards probabilities decide.
    attempts
        Fault of the first, second, ... attempt of each request; afterwards probabilities decide.
    only
        Meet only calls whose body holds this text.
    retry_after, retry_after_date
        Seconds told by ``rate_limit_wait``; whether as a date (whole seconds) in the place of a number.
    slow_seconds
        How long a slow body takes.

    Raises
    ------
    InputError
        For a probability outside 0 to 1, a sum above 1, or an unknown name in a script.
    """

    seed: int = 0
    rate_limit: float = 0.0
    rate_limit_wait: float = 0.0
    quota: float = 0.0
    authentication: float = 0.0
    unknown_model: float = 0.0
    invalid: float = 0.0
    too_long: float = 0.0
    server_error: float = 0.0
    reset: float = 0.0
    hang: float = 0.0
    lost: float = 0.0
    slow: float = 0.0
    cut: float = 0.0
    garbage: float = 0.0
    wrong_schema: float = 0.0
    empty: float = 0.0
    too_short: float = 0.0
    refusal: float = 0.0
    content_filter: float = 0.0
    missing_usage: float = 0.0
    no_log_probabilities: float = 0.0
    duplicate: float = 0.0
    script: tuple[str, ...] = ()
    attempts: tuple[str, ...] = ()
    only: str = ""
    retry_after: float = 1.0
    retry_after_date: bool = False
    slow_seconds: float = 0.5

    def __post_init__(self) -> None:
        for name in ("script", "attempts"):
            words = getattr(self, name)
            object.__setattr__(self, name, (words,) if isinstance(words, str) else tuple(words))
            for word in getattr(self, name):
                if word and word not in KINDS:
                    raise InputError(f"{name}: there is no fault {word!r}{nearest(word, KINDS)}")
        for kind in KINDS:
            if not 0.0 <= getattr(self, kind) <= 1.0:
                raise InputError(f"{kind} = {getattr(self, kind)}: a probability lies between 0 and 1")
        if sum(getattr(self, kind) for kind in KINDS) > 1.0 + 1e-12:
            raise InputError("the probabilities of the faults add up to more than 1: each call meets one at most")

    def of(self, identity: str, attempt: int, arrival: int, body: bytes = b"") -> str:
        """Return the fault of a call, "" for none: the request's identity, its attempt and arrival from 0."""
        if self.only and self.only.encode() not in body:
            return ""
        if arrival < len(self.script):
            return self.script[arrival]
        if attempt < len(self.attempts):
            return self.attempts[attempt]
        left = uniform(self.seed, "fault", identity, attempt)
        for kind in KINDS:
            left -= getattr(self, kind)
            if left < 0.0:
                return kind
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Everything that differs from no faults at all, as plain values."""
        return {name: value for name, value in asdict(self).items() if value != getattr(NONE, name)}

    @staticmethod
    def kinds() -> tuple[str, ...]:
        """Return the names of all faults."""
        return KINDS

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Faults:
        """Make faults from names and values; an unknown name is an `InputError` that tells the nearest."""
        names = [one.name for one in fields(cls)]
        for name in values:
            if name not in names:
                raise InputError(f"there is no fault {name!r}{nearest(name, names)}")
        return cls(**values)


NUMBERS = ("retry_after", "slow_seconds")

KINDS: tuple[str, ...] = tuple(
    one.name for one in fields(Faults) if isinstance(one.default, float) and one.name not in NUMBERS
)
"""The names of all faults, in the order in which their probabilities are laid end to end."""

NONE = Faults()


def uniform(*key: object) -> float:
    """Return a number in [0, 1) that is a function of the key: 53 bits of its digest."""
    text = "\x1f".join(map(str, key))
    return (int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 11) * 2.0**-53
