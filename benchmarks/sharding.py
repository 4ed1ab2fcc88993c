"""Shards on Ray against one process: time per step, what sharing costs, and memory per shard.

    python benchmarks/sharding.py [--sizes 1000 10000 100000] [--rounds 8] [--shards 2]

Schooling in a box with about 30 neighbours in the zone of attraction. For each size, rounds of one process with as many
threads as there are shards and rounds of single-threaded shards alternate in one run; the ratio is the median over the
rounds. ``sharing`` is the part of a step that a shard does not spend in compiled code: packing, exchanging and waiting
for the slower one. ``memory`` is the private memory of a shard's process beyond that of one that holds 1,000 agents.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

from simengine.runs import registry
from simengine.runs.engine import Engine
from simengine.runs.recipe import Recipe
from simengine.runs.shard_actors import RayHosts, Travelling
from simengine.runs.sharded import ShardedEngine, choose_cut
from simengine.shards.ray_cluster import connect

NEIGHBOURS = 30
REACH = 17.5
VOLUME = 4.19


def recipe_of(n_agents: int) -> Recipe:
    """A school in a box at a density that gives everyone about thirty neighbours."""
    box = (n_agents / NEIGHBOURS * VOLUME * REACH**3) ** (1 / 3)
    return Recipe.of(
        registry.find("schooling"), {"n_agents": n_agents, "box": box}, seed=1, steps=1, every=1, snapshot_every=None,
        start=None, policies=None, interventions=(),
    )  # fmt: skip


def timed(engine: Any, steps: int) -> float:
    """Seconds per step."""
    begun = time.perf_counter()
    engine.advance(engine.step + steps)
    return (time.perf_counter() - begun) / steps


def measure(n_agents: int, shards: int, rounds: int) -> dict[str, float]:
    """Milliseconds per step and megabytes for one size."""
    recipe = recipe_of(n_agents)
    steps = max(4, min(400, 2_000_000 // n_agents))
    whole = Engine(recipe.scenario, recipe.seed, shards)
    alone = Engine(recipe.scenario, recipe.seed, 1)
    cut, _ = choose_cut(recipe.scenario, frozenset())
    hosts = RayHosts(Travelling.of(recipe), shards, cut, 1)
    spread = ShardedEngine(recipe, hosts, 1, cut=cut)
    spread.prepare()
    for engine in (whole, alone, spread):
        engine.advance(4)
    found: dict[str, list[float]] = {"one process": [], "one thread": [], "shards": []}
    before = hosts.ask("seconds_shared")
    for _ in range(rounds):
        found["one process"].append(timed(whole, steps))
        found["shards"].append(timed(spread, steps))
        found["one thread"].append(timed(alone, steps))
    shared = [(now - then) / (rounds * steps) for now, then in zip(hosts.ask("seconds_shared"), before, strict=True)]
    memory = hosts.ask("private_memory")
    hosts.close()
    ratio = median(a / b for a, b in zip(found["one process"], found["shards"], strict=True))
    gain = median(a / b for a, b in zip(found["one thread"], found["shards"], strict=True))
    return {
        **{f"{name} ms": median(values) * 1e3 for name, values in found.items()},
        "sharing ms": min(shared) * 1e3, "waiting and sharing ms": max(shared) * 1e3, "ratio": ratio, "gain": gain,
        "memory MB": max(memory) / 2**20,
    }  # fmt: skip


def main() -> None:
    """Print one line a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--shards", type=int, default=2)
    options = parser.parse_args()
    with connect("local", workers=options.shards):
        for n_agents in options.sizes:
            found = measure(n_agents, options.shards, options.rounds)
            print(f"{n_agents:>9,}", "  ".join(f"{name} {value:.3f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
