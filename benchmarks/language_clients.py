"""What does a call of a language model's server cost its client: aiohttp, httpx, OpenAI's SDK, our backend?

Each client asks the loopback server (a process of its own) from a fresh process: C workers put one call after the other
for some seconds, after a warm-up. Told are calls per second and the client's processor time per call; the rounds of all
clients are taken in turns, and the median is shown. The request is 1.4 kB, the answer 0.4 kB.

    pip install aiohttp httpx openai
    python benchmarks/language_clients.py [--seconds 3] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from simengine.policies.language.backends.openai import OpenAI
from simengine.policies.language.calls import Message, Reply, Request
from simengine.testing.language_server import serve

CLIENTS = ("aiohttp", "simengine", "httpx", "openai")
CONNECTIONS = (64, 512)
LATENCIES = (0.05, 0.0)
WARM_UP = 1.0
TEXT = "Options:\n- cooperate\n- defect\n" + "You see what your neighbours did in the last round. " * 24
MESSAGES = [{"role": "system", "content": "You are a fisher."}, {"role": "user", "content": TEXT}]
IDLE_LOAD = 0.5

Call = Callable[[int], Awaitable[bool]]


async def with_aiohttp(url: str, connections: int, work: Callable[[Call], Awaitable[None]]) -> None:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:

        async def call(number: int) -> bool:
            body = json.dumps({"model": "m", "messages": MESSAGES, "seed": number}).encode()
            async with session.post(f"{url}/chat/completions", data=body) as answer:
                return bool(json.loads(await answer.read())["choices"][0]["message"]["content"])

        await work(call)


async def with_httpx(url: str, connections: int, work: Callable[[Call], Awaitable[None]]) -> None:
    import httpx

    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(limits=limits, timeout=60.0) as client:

        async def call(number: int) -> bool:
            body = {"model": "m", "messages": MESSAGES, "seed": number}
            answer = await client.post(f"{url}/chat/completions", json=body)
            return bool(answer.json()["choices"][0]["message"]["content"])

        await work(call)


async def with_openai(url: str, connections: int, work: Callable[[Call], Awaitable[None]]) -> None:
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        asked: Any = MESSAGES

        async def call(number: int) -> bool:
            answer = await client.chat.completions.create(model="m", messages=asked, seed=number)
            return bool(answer.choices[0].message.content)

        await work(call)


async def with_simengine(url: str, connections: int, work: Callable[[Call], Awaitable[None]]) -> None:
    backend = OpenAI(url, "m", connections=connections)
    messages = tuple(Message(one["role"], one["content"]) for one in MESSAGES)  # type: ignore[arg-type]

    async def call(number: int) -> bool:
        return isinstance(await backend.answer(Request(messages, sample=str(number)), timeout=60.0), Reply)

    await work(call)
    await backend.leave()


async def measured(client: str, url: str, connections: int, seconds: float) -> tuple[float, float]:
    """Return calls per second and milliseconds of this process's time per call."""
    found: list[float] = []

    async def work(call: Call) -> None:
        numbers = iter(range(10**9))
        done = 0

        async def worker(until: float) -> None:
            nonlocal done
            while time.perf_counter() < until:
                assert await call(next(numbers))
                done += 1

        for span in (WARM_UP, seconds):
            done, began, used = 0, time.perf_counter(), time.process_time()
            await asyncio.gather(*(worker(began + span) for _ in range(connections)))
            found[:] = [done / (time.perf_counter() - began), 1e3 * (time.process_time() - used) / max(done, 1)]

    await globals()[f"with_{client}"](url, connections, work)
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--client", nargs=3, metavar=("NAME", "URL", "CONNECTIONS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        name, url, connections = options.client
        print(*asyncio.run(measured(name, url, int(connections), options.seconds)))
        return
    load = os.getloadavg()[0]
    if load > IDLE_LOAD:
        print(f"WARNING: the machine is not idle (load average {load:.1f}): calls/s are too low, ratios hold better")
    print(f"{os.cpu_count()} processors, load average {load:.2f}, {options.rounds} rounds of {options.seconds:g} s")
    print(f"{'client':12}{'latency':>9}{'C':>6}{'calls/s':>10}{'min':>8}{'max':>8}{'CPU ms/call':>13}")
    for latency in LATENCIES:
        for connections in CONNECTIONS:
            rows: dict[str, list[tuple[float, float]]] = {name: [] for name in CLIENTS}
            for _ in range(options.rounds):
                for name in CLIENTS:
                    with serve(latency=latency, keep=0) as server:
                        command = [sys.executable, __file__, "--seconds", str(options.seconds)]
                        command += ["--client", name, server.url, str(connections)]
                        told = subprocess.run(command, capture_output=True, text=True)
                    if told.returncode == 0:
                        rate, cost = map(float, told.stdout.split())
                        rows[name].append((rate, cost))
            for name, found in rows.items():
                if not found:
                    print(f"{name:12}{latency * 1e3:6.0f} ms{connections:6}{'failed':>10}")
                    continue
                rates, costs = [one[0] for one in found], [one[1] for one in found]
                print(
                    f"{name:12}{latency * 1e3:6.0f} ms{connections:6}{statistics.median(rates):10,.0f}"
                    f"{min(rates):8,.0f}{max(rates):8,.0f}{statistics.median(costs):13.2f}",
                    flush=True,
                )
    print(f"load average at the end {os.getloadavg()[0]:.2f} (this benchmark keeps both processors busy)")


if __name__ == "__main__":
    main()
