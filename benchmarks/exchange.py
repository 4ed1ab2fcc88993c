"""What does one step's exchange between two shards cost: ordinary Ray calls, a compiled graph, or our own channels?

Two actors on one machine give each other rows of 48 bytes and copy what they receive; nobody begins the next step
before both are done. The rows are those that a slab of a periodic cube needs to see 30 neighbours across its two
faces, or a whole half. Four ways take turns in one run:

calls      ordinary calls: `step(rows of the other) -> own rows`, one per actor and step; the driver waits every step
chained    the same, every call given the reference that the other's last one will fill; the driver waits at the end
compiled   `dag.experimental_compile()`, shared-memory channels; the driver waits every step
channels   `simengine.shards.channels.Mesh`, the actors by themselves

    python benchmarks/exchange.py [--rounds 3] [--agents 1000 10000 100000 1000000] [--tcp]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import ray
from ray.dag import InputNode, MultiOutputNode

from simengine.shards.channels import Mesh, new_key
from simengine.shards.ray_cluster import connect

COLUMNS = 6
NEIGHBOURS = 30
WAYS = ("calls", "chained", "compiled", "channels")
RESULTS = Path(__file__).parent / "results"


def border_rows(agents: int) -> int:
    """Agents within reach of the two faces of half a unit cube, where a sphere of that reach holds 30 of them."""
    reach = (3 * NEIGHBOURS / (4 * math.pi * agents)) ** (1 / 3)
    return min(round(2 * reach * agents), agents // 2)


@ray.remote(num_cpus=1)
class Shard:
    """Two such exchange."""

    def prepare(self, rows: int) -> None:
        """Fill the rows to be given."""
        self.outgoing, self.incoming = np.random.default_rng(rows).random((rows, COLUMNS)), np.empty((rows, COLUMNS))

    def step(self, rows: np.ndarray | None) -> np.ndarray:
        """Copy the other's rows, return one's own."""
        if rows is not None:
            np.copyto(self.incoming, rows)
        return self.outgoing

    def publish(self, _: int) -> np.ndarray:
        """Return one's own rows."""
        return self.outgoing

    def receive(self, rows: np.ndarray) -> int:
        """Copy the other's rows."""
        np.copyto(self.incoming, rows)
        return 0

    def listen(self, by_tcp: bool):
        """Return where this shard listens."""
        self.mesh = Mesh()
        address = self.mesh.listen(ray.util.get_node_ip_address())
        return address._replace(machine="") if by_tcp else address

    def connect(self, addresses, number: int, key: bytes) -> None:
        """Connect to the other."""
        self.mesh.connect(addresses, number, key)

    def exchange(self, steps: int) -> list[float]:
        """Return the seconds of every step."""
        other, seconds = 1 - self.mesh.number, []
        for _ in range(steps):
            begin = time.perf_counter()
            received = self.mesh.exchange_with([other], {other: self.outgoing})[other]
            np.copyto(self.incoming, received.view(np.float64).reshape(-1, COLUMNS))
            seconds.append(time.perf_counter() - begin)
        return seconds


def by_calls(shards, steps: int) -> list[float]:
    rows, seconds = ray.get([shard.step.remote(None) for shard in shards]), []
    for _ in range(steps):
        begin = time.perf_counter()
        references = [shard.step.remote(given) for shard, given in zip(shards, reversed(rows), strict=True)]
        ray.wait(references, num_returns=2, fetch_local=False)
        rows = references
        seconds.append(time.perf_counter() - begin)
    return seconds


def by_chained_calls(shards, steps: int) -> list[float]:
    """Blocks of ten steps, each block's mean."""
    seconds = []
    for _ in range(max(steps // 10, 1)):
        rows = [shard.step.remote(None) for shard in shards]
        ray.wait(rows, num_returns=2, fetch_local=False)
        begin = time.perf_counter()
        for _ in range(10):
            rows = [shard.step.remote(given) for shard, given in zip(shards, reversed(rows), strict=True)]
        ray.wait(rows, num_returns=2, fetch_local=False)
        seconds.append((time.perf_counter() - begin) / 10)
    return seconds


def by_compiled_graph(shards, steps: int, size: int) -> list[float]:
    with InputNode() as number:
        published = [shard.publish.bind(number) for shard in shards]
        graph = MultiOutputNode([shard.receive.bind(rows) for shard, rows in zip(shards, published[::-1], strict=True)])
    compiled = graph.experimental_compile(_buffer_size_bytes=size + 100_000)
    seconds = []
    try:
        for step in range(steps):
            begin = time.perf_counter()
            ray.get(compiled.execute(step))
            seconds.append(time.perf_counter() - begin)
    finally:
        compiled.teardown(kill_actors=False)
    return seconds


def by_channels(shards, steps: int) -> list[float]:
    return ray.get([shard.exchange.remote(steps) for shard in shards])[0]


def measured(shards, rows: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median and the 90 % quantile of every way, in microseconds a step."""
    size = rows * 8 * COLUMNS
    steps = 200 if size < 2**20 else 40 if size < 2**23 else 20
    ray.get([shard.prepare.remote(rows) for shard in shards])
    samples: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        samples["calls"] += by_calls(shards, steps)[5:]
        samples["chained"] += by_chained_calls(shards, steps)[1:]
        samples["compiled"] += by_compiled_graph(shards, steps, size)[5:]
        samples["channels"] += by_channels(shards, steps)[5:]
    return {
        way: {"median": 1e6 * float(np.median(values)), "p90": 1e6 * float(np.quantile(values, 0.9))}
        for way, values in samples.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--agents", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--tcp", action="store_true", help="channels by TCP, as between machines")
    options = parser.parse_args()
    found = {"load": os.getloadavg(), "microseconds": []}
    with connect("local", workers=2):
        shards = [Shard.remote() for _ in range(2)]
        addresses, key = ray.get([shard.listen.remote(options.tcp) for shard in shards]), new_key()
        ray.get([shard.connect.remote(addresses, number, key) for number, shard in enumerate(shards)])
        print(f"{'agents':>9} {'rows':>8} " + "".join(f"{way + ' (p90)':>22}" for way in WAYS) + "   us a step")
        for agents in options.agents:
            for rows in (border_rows(agents), agents // 2):
                figures = measured(shards, rows, options.rounds)
                found["microseconds"].append({"agents": agents, "rows": rows, **figures})
                cells = "".join(f"{figures[way]['median']:>12.0f} ({figures[way]['p90']:>7.0f})" for way in WAYS)
                print(f"{agents:>9} {rows:>8} {cells}", flush=True)
    (RESULTS / f"exchange{'_tcp' if options.tcp else ''}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
