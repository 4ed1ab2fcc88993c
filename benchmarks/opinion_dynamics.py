"""How fast are opinion dynamics, against C, against loops in Python, and spread over shards?

    make -C benchmarks/c ../bin/opinion_dynamics.so && python benchmarks/opinion_dynamics.py [step peers sorted shards]

``step``: the DeGroot and Friedkin-Johnsen steps on a million agents and ten million (directed) edges against plain
loops over the rows of a sparse matrix, ``benchmarks/c/opinion_dynamics.c`` (-O3, one thread, no -ffast-math). C gets W
with its rows divided by their sums; the engine reads weights as they were given and adds them up in every step. In
turns; opinions must agree to 1e-12. ``peers``: 10,000 agents against a loop over a networkx graph and, where it is
installed, ndlib (``pip install ndlib``). ``sorted``: Hegselmann-Krause, well mixed, from 10,000 to a million agents,
and against all pairs in NumPy with 20,000. ``shards``: DeGroot over four shards that are threads of this process: the
same bits, the edges between shards, and the bytes that a step exchanges; also without the stop condition.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import numpy as np

from simengine import graphs
from simengine.runs.engine import Engine
from simengine.runs.recipe import Recipe
from simengine.runs.shard_threads import ThreadHosts
from simengine.runs.sharded import ShardedEngine, choose_cut
from simengine.scenarios.opinion_dynamics import DeffuantWeisbuch, DeGroot, FriedkinJohnsen, HegselmannKrause

LIBRARY = Path(__file__).parent / "bin" / "opinion_dynamics.so"


def recipe_of(scenario: type, start: Any = None, **parameters: Any) -> Recipe:
    """A run of one step."""
    return Recipe.of(
        scenario, parameters, seed=1, steps=1, every=1, snapshot_every=None, start=start, policies=None,
        interventions=(),
    )  # fmt: skip


def engine_of(recipe: Recipe) -> Engine:
    """An engine of one thread at its start."""
    return Engine(recipe.scenario, recipe.seed, 1, recipe.start)


def seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def pointer(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def weighted(kind: str, agents: int, degree: float) -> dict[str, Any]:
    """A graph with each edge both ways and weights of its own."""
    edges = graphs.make(kind, agents, 1, mean_degree=degree)
    source, target = (np.concatenate([edges[a], edges[b]]) for a, b in (("source", "target"), ("target", "source")))
    return {"source": source, "target": target, "weight": np.random.default_rng(1).random(len(source))}


def compare_steps(kind: str, agents: int, rounds: int, steps: int = 5) -> None:
    """Print the ratio of the engine's rate to that of C."""
    library = ctypes.CDLL(str(LIBRARY))
    edges = weighted(kind, agents, 10)
    for scenario, function in ((DeGroot, library.degroot), (FriedkinJohnsen, library.friedkin_johnsen)):
        engine = engine_of(recipe_of(scenario, {"acquaintances": edges}, n_agents=agents))
        held = engine.view().networks["acquaintances"]
        listeners = np.bincount(held.source, minlength=agents)
        starts = np.concatenate([[0], np.cumsum(listeners)])
        heard = 1.0 + np.bincount(held.source, weights=held.weight, minlength=agents)
        seen, weight, own = held.target.astype(np.int32), held.weight / np.repeat(heard, listeners), 1.0 / heard
        population = engine.view().populations["agents"]
        state = [np.array(population.opinion), np.empty(agents)]
        more = []
        if scenario is FriedkinJohnsen:
            more = [np.array(population.susceptibility), np.array(population.innate)]
        fixed = [pointer(array) for array in (starts, seen, weight, own, *more)]

        def in_c(fixed: Any = fixed, function: Any = function, state: Any = state) -> None:
            for _ in range(steps):
                function(ctypes.c_int64(agents), *fixed, pointer(state[0]), pointer(state[1]))
                state.reverse()

        rates = []
        for number in range(rounds + 1):
            c = seconds(in_c)
            ours = seconds(lambda engine=engine: engine.advance(engine.step + steps))
            apart = np.abs(engine.view().populations["agents"].opinion - state[0]).max()
            assert apart < 1e-12, f"opinions differ by {apart}"
            if number:
                rates.append((c / steps, ours / steps))
        c, ours = (statistics.median(column) * 1e3 for column in zip(*rates, strict=True))
        ratio = statistics.median(a / b for a, b in rates)
        print(
            f"{scenario.__name__:16} {kind:12} {agents:,} agents, {len(seen):,} edges: C {c:.1f} ms a step, engine "
            f"{ours:.1f} ms, engine / C {ratio:.2f}"
        )


def by_networkx(graph: Any, opinion: list[float]) -> list[float]:
    """One step of DeGroot's model as a loop over nodes and neighbours."""
    return [(opinion[node] + sum(opinion[other] for other in graph[node])) / (1 + len(graph[node])) for node in graph]


def compare_peers(agents: int, rounds: int) -> None:
    """Print how many times faster the engine is than loops in Python."""
    edges = graphs.make("small_world", agents, 1, mean_degree=10)
    graph = networkx.Graph()
    graph.add_nodes_from(range(agents))
    graph.add_edges_from(np.stack([edges["source"], edges["target"]], axis=1).tolist())
    engine = engine_of(recipe_of(DeGroot, {"acquaintances": graph}, n_agents=agents))
    opinion = engine.view().populations["agents"].opinion.tolist()
    engine.advance(1)
    np.testing.assert_allclose(
        engine.view().populations["agents"].opinion, by_networkx(graph, opinion), rtol=0, atol=1e-14
    )
    ratios = [
        seconds(lambda: by_networkx(graph, opinion)) / (seconds(lambda: engine.advance(engine.step + 50)) / 50)
        for _ in range(rounds)
    ]
    print(f"DeGroot, {agents:,} agents: {statistics.median(ratios):.0f} times a loop over networkx")
    try:
        from ndlib.models import ModelConfig
        from ndlib.models.opinions import AlgorithmicBiasModel
    except ImportError:
        print("ndlib is not installed")
        return
    model = AlgorithmicBiasModel(graph)
    config = ModelConfig.Configuration()
    config.add_model_parameter("epsilon", 0.2)
    config.add_model_parameter("mu", 0.5)
    config.add_model_parameter("gamma", 0.0)
    model.set_initial_status(config)
    model.iteration()
    ours = engine_of(recipe_of(DeffuantWeisbuch, {"acquaintances": graph}, n_agents=agents, contacts="network"))
    ours.advance(1)
    ratios = [seconds(model.iteration) / (seconds(lambda: ours.advance(ours.step + 10)) / 10) for _ in range(rounds)]
    print(
        f"Deffuant-Weisbuch, {agents:,} agents, {agents:,} meetings: {statistics.median(ratios):.0f} times ndlib's "
        "AlgorithmicBiasModel"
    )


def all_pairs(opinion: Any, reach: float) -> Any:
    """One step of Hegselmann and Krause in NumPy, all pairs, in rows that fit into memory."""
    found = np.empty_like(opinion)
    for first in range(0, len(opinion), 1000):
        near = np.abs(opinion[first : first + 1000, None] - opinion) <= reach
        found[first : first + 1000] = near @ opinion / near.sum(axis=1)
    return found


def compare_sorted(rounds: int) -> None:
    """Print what a step of Hegselmann and Krause costs, and against all pairs."""
    for agents in (10_000, 100_000, 1_000_000):
        taken = []
        for _ in range(rounds):
            engine = engine_of(recipe_of(HegselmannKrause, n_agents=agents, bound=0.05))
            taken.append(seconds(lambda engine=engine: engine.advance(5)) / 5)
        cost = statistics.median(taken[1:])
        print(
            f"Hegselmann-Krause, {agents:>9,} agents: {cost * 1e3:8.2f} ms a step, "
            f"{cost * 1e9 / (agents * math.log2(agents)):.2f} ns / (n log2 n)"
        )
    ratios = []
    for _ in range(rounds):
        engine = engine_of(recipe_of(HegselmannKrause, n_agents=20_000, bound=0.2))
        opinion = np.array(engine.view().populations["agents"].opinion)
        found: list[Any] = []
        pairs = seconds(lambda opinion=opinion, found=found: found.append(all_pairs(opinion, 0.2 + 1e-9)))
        engine.advance(1)
        np.testing.assert_allclose(engine.view().populations["agents"].opinion, found[0], rtol=0, atol=1e-13)
        ratios.append(pairs / (seconds(lambda engine=engine: engine.advance(6)) / 5))
    print(f"Hegselmann-Krause, 20,000 agents: {statistics.median(ratios):.0f} times all pairs in NumPy")


class Endless(DeGroot):
    """DeGroot's model without its stop condition, which asks for the opinions of all."""

    stop = ()


def compare_shards(scenario: type, kind: str, agents: int, shards: int = 4, steps: int = 5) -> None:
    """Print what is cut and exchanged, and check that the bits are the same."""
    recipe = recipe_of(scenario, {"acquaintances": weighted(kind, agents, 10)}, n_agents=agents)
    whole = engine_of(recipe)
    cut, _ = choose_cut(recipe.scenario, frozenset())
    hosts = ThreadHosts(recipe, shards, cut)
    sent = [0] * shards

    def counting(number: int, exchange: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def counted(outgoing: Any) -> Any:
            sent[number] += sum(part.nbytes for parts in outgoing for part in parts)
            return exchange(outgoing)

        return counted

    spread = ShardedEngine(recipe, hosts, 1, cut=cut)
    spread.prepare()
    for number, shard in enumerate(hosts.shards):
        channels: Any = shard.part.channels
        channels.exchange = counting(number, channels.exchange)
    spread.advance(steps)
    whole.advance(steps)
    opinions = [engine.view().populations["agents"].opinion for engine in (whole, spread)]
    assert np.array_equal(*opinions), "the bits differ"
    network = hosts.shards[0].part.engine.state.networks["acquaintances"]
    place, ends = network.population.order, hosts.shards[0].part.ends["agents"]
    mine, theirs = (np.searchsorted(ends, place[network.values(end)], side="right") for end in ("source", "target"))
    hosts.close()
    print(
        f"{scenario.__name__}, {kind}, {agents:,} agents, {shards} shards: the same bits; "
        f"{(mine != theirs).mean():.1%} of {len(mine):,} edges cut, {sum(sent) / steps / 1e6:.2f} MB a step exchanged"
    )


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("step", "peers", "sorted", "shards")
    parser.add_argument("parts", nargs="*", default=parts, help=f"any of {', '.join(parts)}")
    parser.add_argument("--agents", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if "step" in options.parts:
        for kind in ("random", "small_world"):
            compare_steps(kind, options.agents, options.rounds)
    if "peers" in options.parts:
        compare_peers(10_000, options.rounds)
    if "sorted" in options.parts:
        compare_sorted(options.rounds)
    if "shards" in options.parts:
        for kind in ("small_world", "scale_free", "random"):
            compare_shards(DeGroot, kind, options.agents // 10)
            compare_shards(Endless, kind, options.agents // 10)


if __name__ == "__main__":
    main()
