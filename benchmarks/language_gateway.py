"""What a call of a language model costs beside its transport, and how fast recorded ones are replayed

A backend that answers at once stands for the server, so that what is left is the gateway's own: keys, de-duplication,
limiter, retry, journal. CPU is of the whole process (the loop's thread included), with the record in a file.

    python benchmarks/language_gateway.py [--calls 20000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from simengine.policies.language.backends.replay import Replay
from simengine.policies.language.calls import Capabilities, Failure, Message, Reply, Request, Usage
from simengine.policies.language.gateway import Gateway
from simengine.policies.language.limits import Limits
from simengine.policies.language.record import Record
from simengine.policies.language.retries import Retries

SYSTEM = "You live by a lake with others, and each month all decide how much to fish. " * 16
PER_STEP = 1000
SPENT = Usage(300, 200, 4)


class AtOnce:
    """Answers without delay; every 20th call is refused once, and every 50th is reset once."""

    def __init__(self, troubled: bool = False) -> None:
        self.troubled = troubled
        self.seen: set[str] = set()

    def capabilities(self) -> Capabilities:
        """A model of its own."""
        return Capabilities("benchmark/at-once")

    def complete(self, requests):
        """Nobody asks it in batches."""
        raise NotImplementedError

    score = complete

    def close(self) -> None:
        """Nothing is held."""

    async def leave(self) -> None:
        """Nothing is held."""

    async def answer(self, request: Request, *, timeout: float, idempotency: str = "") -> Reply | Failure:
        """Answer, or be in trouble."""
        await asyncio.sleep(0)
        if self.troubled and idempotency not in self.seen:
            self.seen.add(idempotency)
            if int(idempotency[:4], 16) % 20 == 0:
                return Failure("rate_limit", "busy", 429)
            if int(idempotency[:4], 16) % 50 == 0:
                return Failure("transient", "reset")
        return Reply("yes", (-0.2, -1.7), usage=SPENT)


def requests(calls: int) -> list[Request]:
    texts = [f"You caught {number} tons. Fish more?" for number in range(calls)]
    return [Request((Message("system", SYSTEM), Message("user", text)), "score", ("yes", "no")) for text in texts]


def asked(gateway: Gateway, listed: list[Request], at_once: int = PER_STEP) -> None:
    for step, start in enumerate(range(0, len(listed), at_once)):
        gateway.submit(listed[start : start + at_once], step=step, label="agents.fish").result()


def measured(work: Callable[[], None], calls: int) -> tuple[float, float]:
    """Milliseconds of CPU and of wall time per call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.process_time() - cpu) / calls * 1e3, (time.perf_counter() - wall) / calls * 1e3


def once(calls: int, folder: Path) -> dict[str, tuple[float, float]]:
    listed, found = requests(calls), {}
    path = folder / "calls.db"
    quick = Retries(base=0.002)
    cases = {
        "calls, without limits or troubles": lambda: Gateway(AtOnce(), Record(path), connections=512),
        "calls, limits and 7 % troubles": lambda: Gateway(
            AtOnce(True), Record(folder / "troubled.db"), connections=512, limits=Limits(1e9, 1e12), retries=quick
        ),
        "calls, limits shared by a file": lambda: Gateway(
            AtOnce(), Record(None), connections=512, limits=Limits(1e9, 1e12, folder / "limits.db")
        ),
        "calls, also into a shared cache": lambda: Gateway(
            AtOnce(), Record(None), connections=512, cache=Record(folder / "cache.db")
        ),
        "replay from the run's own record": lambda: Gateway(Replay(Record(path)), Record(path)),
        "replay into a new record": lambda: Gateway(Replay(Record(path)), Record(None)),
        "the same answers again, one step later": lambda: Gateway(Replay(Record(path)), Record(path)),
    }
    for name, make in cases.items():
        gateway = make()
        found[name] = measured(lambda gateway=gateway: asked(gateway, listed), calls)
        if name.startswith("the same"):
            found[name] = measured(lambda gateway=gateway: asked(gateway, listed[:PER_STEP] * 5), 5 * PER_STEP)
        gateway.close()
        gateway.record.close()
    with Gateway(AtOnce(), Record(folder / "single.db")) as gateway:
        few = listed[: calls // 10]
        found["calls, one at a time"] = measured(lambda: asked(gateway, few, 1), len(few))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    rounds = []
    for _ in range(given.repeats):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(once(given.calls, Path(folder)))
    print(f"{'':42}{'CPU ms/call':>12}{'wall ms/call':>14}{'calls/s':>10}   medians of {given.repeats}")
    for name in rounds[0]:
        cpu, wall = (statistics.median(found[name][place] for found in rounds) for place in (0, 1))
        print(f"{name:42}{cpu:12.3f}{wall:14.3f}{1e3 / wall:10,.0f}")


if __name__ == "__main__":
    main()
