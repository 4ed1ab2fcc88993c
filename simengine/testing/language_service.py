"""What all connections of the loopback server share: settings, faults, the log of calls, what was paid, and limits."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from simengine.testing.language_answers import Answers
from simengine.testing.language_faults import NONE, Faults


@dataclass
class Served:
    """One call as the server saw it.

    ``number`` counts arrivals from 0; ``identity`` is the idempotency key, or the body's digest where none was sent;
    ``attempt`` counts the calls with this identity from 0; ``fault`` is "" for none; ``status`` is 0 where no status
    line was sent; ``seconds`` counts from the server's start; ``at_once`` is how many calls were under way with it.
    ``stored`` tells that an earlier answer to the same idempotency key was given again, without charge.
    """

    number: int
    identity: str
    attempt: int
    fault: str
    status: int
    paid: bool
    seconds: float
    at_once: int
    stored: bool = False
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Settings:
    """How the server behaves; `simengine.testing.language_server.serve` explains each word."""

    latency: tuple[float, float] = (0.0, 0.0)
    models: tuple[str, ...] = ()
    key: str = ""
    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0
    at_once: int = 0
    honour_idempotency: bool = False
    letters: int = 0
    keep: int = 100_000
    bodies: bool = False


@dataclass
class Bucket:
    """Requests or tokens that may still be used, refilled evenly up to a minute's worth."""

    per_minute: float
    left: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.left, self.at = self.per_minute, time.monotonic()

    def wait(self, amount: float) -> float:
        """Return the seconds until ``amount`` is there, 0 where it is."""
        now = time.monotonic()
        self.left = min(self.per_minute, self.left + (now - self.at) * self.per_minute / 60.0)
        self.at = now
        return max(0.0, (min(amount, self.per_minute) - self.left) * 60.0 / self.per_minute)


class Service:
    """What all connections share: settings, faults, the log and what was paid."""

    def __init__(self, settings: Settings, faults: Faults = NONE, answers: Answers | None = None) -> None:
        self.settings, self.answers = settings, answers
        self.began = time.monotonic()
        limits = {"requests": settings.requests_per_minute, "tokens": settings.tokens_per_minute}
        self.buckets = {name: Bucket(limit) for name, limit in limits.items() if limit > 0.0}
        self.under_way = 0
        self.begin_again(faults)

    def begin_again(self, faults: Faults | None = None) -> None:
        """Forget what was served and paid; arrivals and attempts count from 0 again."""
        if faults is not None:
            self.faults = faults
        self.log: list[Served] = []
        self.arrivals = self.most_at_once = self.left_out = self.connections = 0
        self.attempts: dict[str, int] = {}
        self.paid: dict[str, int] = {}
        self.tokens = {"input": 0, "output": 0}
        self.stored: dict[str, bytes] = {}

    def control(self, path: str, body: bytes) -> Any:
        """Answer a request about the server itself, or nothing for an unknown path."""
        if path.startswith("/server/log"):
            first = int(path.rpartition("=")[2]) if "=" in path else 0
            return [asdict(one) for one in self.log if one.number >= first]
        if path == "/server/paid":
            return {
                "total": sum(self.paid.values()),
                "by_key": self.paid,
                "calls": self.arrivals,
                "most_at_once": self.most_at_once,
                "left_out": self.left_out,
                "connections": self.connections,
            } | {f"{name}_tokens": count for name, count in self.tokens.items()}
        if path == "/server/faults":
            self.faults = Faults.from_dict(json.loads(body or b"{}"))
            return {"faults": self.faults.as_dict()}
        if path == "/server/reset":
            self.begin_again()
            return {}
        return None
