"""How fast are commons and games on graphs, against plain C and against Mesa?

    make -C benchmarks/c ../bin/common_pool.so && python benchmarks/common_pool.py [villages village graph mesa]

``villages``: 100,000 villages of 10 (Commons, rich, altruists; a village goes on without its dead) against
``benchmarks/c/common_pool.c`` (-O3, one thread), which takes each village through all rounds, or all villages through a
round. It draws the same Philox numbers and must end with the same bits. ``village``: one village of a million with the
same shares against the many, and the same bits from 1, 2 and 4 shards that are threads of this process. ``graph``:
events of death and birth on a graph of a million against C, one after another, with the same bits. ``mesa``: 100
villages of 10 against the same model as a user of Mesa would write it (extra ``peers``).

Both sides take turns. Times are the processor's; ratios are of the shortest of all rounds, and the medians of the
rounds' ratios.
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

import numpy as np

import simengine
from simengine.random.philox import step_key, stream_key
from simengine.runs.engine import Engine
from simengine.runs.recipe import Recipe
from simengine.runs.shard_threads import ThreadHosts
from simengine.runs.sharded import ShardedEngine, choose_cut
from simengine.scenarios.commons import Commons
from simengine.scenarios.graph_games import GraphGame

LIBRARY = Path(__file__).parent / "bin" / "common_pool.so"
SETTING = {"environment": "rich", "society": "altruistic", "ends": "extinction"}
SIZE, SEED = 10, 1
PARAMETERS = (
    "productivity", "subsistence", "penalty_size", "punishment_cost", "imitation_strength", "noise", "belief_noise",
    "growth_rate", "carrying_capacity", "stock_minimum",
)  # fmt: skip
DRAWS = (
    ("look", "engine partner"), ("inspect", "inspects"), ("punish", "punishes"), ("meet", "engine partner"),
    ("adopt", "adopts"), ("imitate", "effort"), ("imitate", "belief"),
)  # fmt: skip
OF_VILLAGES = ("stock", "norm", "harvested", "grown", "rounds", "ending")
OF_AGENTS = ("effort", "monitoring", "punishment", "belief", "wealth")
STAGES = ("allot", "harvest", "deplete", "sanction", "settle", "bury", "learn", "adopt", "grow")
"""Of a round in Mesa."""
COMPARED = {"villages": ("stock", "norm", "harvested", "rounds", "ending"), "agents": ("wealth", "effort", "belief")}


class Model(ctypes.Structure):
    """Parameters, as the C program has them."""

    _fields_ = [*((name, ctypes.c_double) for name in PARAMETERS), ("first_starvation", ctypes.c_int64)]


class State(ctypes.Structure):
    """Addresses of the arrays, as the C program has them."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("first", *OF_VILLAGES, *OF_AGENTS, "alive")]


def timed(call: Callable[[], Any]) -> float:
    """Seconds of the processor."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def pointer(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def ratios(numerators: list[float], denominators: list[float]) -> str:
    """The ratio of the shortest times, and the median of ratios."""
    median = statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))
    return f"{min(numerators) / min(denominators):.3f} (median {median:.3f})"


def commons(villages: int, agents: int) -> Commons:
    """Villages in which a member's share of everything does not depend on how many there are."""
    members = agents // villages / SIZE
    scaled = {"productivity": 0.03 / members, "carrying_capacity": 300.0 * members, "stock_minimum": members}
    return Commons({"n_agents": agents, "n_villages": villages, **scaled, **SETTING})


def engine_of(scenario: Any) -> Engine:
    """An engine of one thread before its first step, compiled."""
    engine = Engine(scenario, SEED, 1)
    engine.kernel.prepare()
    return engine


class VillagesInC:
    """Commons from the start of an engine on, in C."""

    def __init__(self, engine: Engine, rounds: int) -> None:
        view, scenario = engine.view().populations, engine.scenario
        self.arrays = {name: np.array(getattr(view["villages"], name)) for name in OF_VILLAGES}
        self.arrays |= {name: np.array(getattr(view["agents"], name)) for name in OF_AGENTS}
        village = np.array(view["agents"].village)
        self.arrays["alive"] = np.ones(len(village), np.uint8)
        self.arrays["first"] = np.searchsorted(village, np.arange(scenario.n_villages + 1))
        streams = [stream_key(engine.seed, "agents", *names) for names in DRAWS]
        self.keys = np.array([[step_key(stream, step, 0) for stream in streams] for step in range(rounds)], np.uint64)
        self.model = Model(*(getattr(scenario, name) for name in PARAMETERS), scenario.ends == "first_starvation")
        self.state = State(*(self.arrays[name].ctypes.data for name, _ in State._fields_))
        self.villages, self.rounds = scenario.n_villages, rounds

    def run(self, order: str) -> None:
        """Take all rounds."""
        getattr(ctypes.CDLL(str(LIBRARY)), order)(
            ctypes.byref(self.model), ctypes.byref(self.state), ctypes.c_int64(self.villages),
            ctypes.c_int64(self.rounds), pointer(self.keys),
        )  # fmt: skip

    def check(self, engine: Engine) -> None:
        """Demand the end state of an engine, bit by bit."""
        view = engine.view().populations
        for population, names in COMPARED.items():
            living = self.arrays["alive"].astype(bool) if population == "agents" else slice(None)
            for name in names:
                ours, theirs = np.array(getattr(view[population], name)), self.arrays[name][living]
                assert ours.tobytes() == theirs.tobytes(), f"{population}.{name} differs"


def compare_villages(agents: int, steps: int, rounds: int) -> None:
    """Print nanoseconds an agent and round of the engine and of C."""
    scenario = commons(agents // SIZE, agents)
    orders = ("commons_by_village", "commons_by_round")
    taken: dict[str, list[float]] = {name: [] for name in ("engine", *orders)}
    for number in range(rounds + 1):
        engine = engine_of(scenario)
        programs = {order: VillagesInC(engine, steps) for order in orders}
        times = {order: timed(lambda: program.run(order)) for order, program in programs.items()}  # noqa: B023
        times["engine"] = timed(lambda: engine.advance(steps))  # noqa: B023
        for program in programs.values():
            program.check(engine)
        for name, seconds in times.items() if number else ():
            taken[name].append(seconds / (agents * steps) * 1e9)
    villages = engine.view().populations["villages"]
    print(
        f"{agents // SIZE:,} villages of {SIZE}, {steps} rounds, {(villages.ending == 0).mean():.1%} go on; same bits"
    )
    for name, values in taken.items():
        print(f"{name:20}{min(values):8.2f} ns an agent and round (median {statistics.median(values):.2f})")
    for order in orders:
        print(f"engine / C, {order}: {ratios(taken[order], taken['engine'])}")


def shards_agree(agents: int, steps: int) -> None:
    """Demand the same bits of one village from one process and from 1, 2 and 4 shards."""
    scenario = commons(1, agents)
    engine = engine_of(scenario)
    engine.advance(steps)
    whole = engine.view().populations
    recipe = Recipe.of(
        Commons, scenario.values, seed=SEED, steps=steps, every=steps, snapshot_every=None, start=None,
        policies=None, interventions=(),
    )  # fmt: skip
    cut, _ = choose_cut(recipe.scenario, frozenset())
    for shards in (1, 2, 4):
        hosts = ThreadHosts(recipe, shards, cut)
        spread = ShardedEngine(recipe, hosts, 1, cut=cut)
        spread.prepare()
        spread.advance(steps)
        view = spread.view().populations
        for population, names in COMPARED.items():
            for name in names:
                ours, theirs = (np.array(getattr(found[population], name)) for found in (whole, view))
                assert ours.tobytes() == theirs.tobytes(), f"{shards} shards: {population}.{name} differs"
        hosts.close()
    living = len(view["agents"].effort)
    print(f"one village of {agents:,}, {steps} rounds, {living:,} live: the same bits from 1, 2 and 4 shards")


def compare_village(agents: int, steps: int, rounds: int, in_shards: int) -> None:
    """Print what an agent's round costs in one village of all, and in many villages."""
    taken: dict[int, list[float]] = {1: [], agents // SIZE: []}
    for number in range(rounds + 1):
        for villages, times in taken.items():
            engine = engine_of(commons(villages, agents))
            seconds = timed(lambda: engine.advance(steps))  # noqa: B023
            if number:
                times.append(seconds / (agents * steps) * 1e9)
    one, many = taken.values()
    for villages, values in taken.items():
        median = statistics.median(values)
        print(f"{villages:>9,} villages: {min(values):8.2f} ns an agent and round (median {median:.2f})")
    print(f"one village / many: {ratios(one, many)}")
    shards_agree(in_shards, steps)


def compare_graph(kind: str, degree: float, agents: int, rounds: int) -> None:
    """Print nanoseconds an event of the engine and of C."""
    library = ctypes.CDLL(str(LIBRARY))
    scenario = GraphGame({"n_agents": agents, "graph": kind, "mean_degree": degree, "update": "death_birth"})
    engine = engine_of(scenario)
    engine.advance(1)
    network = engine.view().networks["acquaintances"]
    source, target = (
        np.concatenate([network.source, network.target]),
        np.concatenate([network.target, network.source]),
    )
    order = np.lexsort((target, source))
    starts = np.searchsorted(source[order], np.arange(agents + 1))
    neighbours = target[order].astype(np.int32)
    strategy = np.array(engine.view().populations["agents"].strategy).astype(np.uint8)
    keys = [ctypes.c_uint64(stream_key(engine.seed, "agents", "succeed", name)) for name in ("engine turn", "parent")]
    game = [ctypes.c_double(value) for value in (scenario.benefit, scenario.cost, scenario.selection)]
    taken: dict[str, list[float]] = {"c": [], "engine": []}
    for _ in range(rounds):
        step = engine.step
        taken["c"].append(
            timed(
                lambda: library.death_birth(
                    ctypes.c_int64(agents), pointer(starts), pointer(neighbours), pointer(strategy), *game,
                    ctypes.c_int64(step), ctypes.c_int64(1), *keys,  # noqa: B023
                )
            )
        )  # fmt: skip
        taken["engine"].append(timed(lambda: engine.advance(step + 1)))  # noqa: B023
        ours = np.array(engine.view().populations["agents"].strategy)
        assert np.array_equal(ours, strategy.astype(bool)), "strategies differ"
    c, ours = (min(times) / agents * 1e9 for times in taken.values())
    print(
        f"death-birth, {kind:12} {len(neighbours) / agents:.0f} neighbours, {agents:,} agents: C {c:.0f} ns an event, "
        f"engine {ours:.0f}; engine / C {ratios(taken['c'], taken['engine'])}; same bits"
    )


def mesa_model(agents: int, seed: int, order: str) -> Any:
    """The same model in Mesa; stage by stage for all (``"stages"``, `AgentSet.do`), or one village after another."""
    import mesa

    p = commons(agents // SIZE, agents)

    class Villager(mesa.Agent):
        """A member of a village."""

        def __init__(self, model: Any, village: Any) -> None:
            super().__init__(model)
            draw = model.random.uniform
            self.village = village
            self.effort, self.belief, self.punishment = draw(0.2, 0.5), draw(4.0, 8.0), draw(0.4, 0.5)
            self.monitoring, self.wealth = p.monitoring, p.initial_wealth
            self.traits = (self.effort, self.belief, self.monitoring)
            self.harvested, self.fined, self.punishes = 0.0, False, False

        def somebody_else(self) -> Villager | None:
            """Another member of the village, drawn evenly."""
            members, random = self.village.members, self.model.random.random
            while len(members) > 1:
                drawn = members[int(random() * len(members))]
                if drawn is not self:
                    return drawn
            return None

        def harvest(self) -> None:
            """Take its share."""
            self.harvested = self.effort * self.village.available
            self.fined = False

        def sanction(self) -> None:
            """Inspect somebody, and punish it if it has harvested more than the norm."""
            peer, random = self.somebody_else(), self.model.random.random
            inspects = peer is not None and random() < self.monitoring
            self.punishes = inspects and peer.harvested > self.village.norm and random() < self.punishment
            if self.punishes:
                peer.fined = True

        def settle(self) -> None:
            """Book the round."""
            self.wealth += self.harvested - p.subsistence
            if self.punishes:
                self.wealth -= p.punishment_cost
            if self.fined:
                self.wealth -= p.penalty_size

        def learn(self) -> None:
            """Meet somebody, and see what to do and believe from now on."""
            self.traits = (self.effort, self.belief, self.monitoring)
            other, random = self.somebody_else(), self.model.random
            if other is None:
                return
            if random.random() < 1.0 / (1.0 + math.exp(p.imitation_strength * (self.wealth - other.wealth))):
                effort = min(max(other.effort + random.gauss(0.0, p.noise), 0.0), 1.0)
                belief = max(other.belief + random.gauss(0.0, p.belief_noise), 0.0)
                self.traits = (effort, belief, other.monitoring)

        def adopt(self) -> None:
            """Do so."""
            self.effort, self.belief, self.monitoring = self.traits

    class Village(mesa.Agent):
        """A village with its stock."""

        def __init__(self, model: Any) -> None:
            super().__init__(model)
            self.members = [Villager(model, self) for _ in range(SIZE)]
            self.stock, self.available = p.first_stock, 0.0
            self.norm = statistics.median(member.belief for member in self.members)

        def allot(self) -> None:
            """Settle what full effort harvests."""
            wanted = p.productivity * sum(member.effort for member in self.members)
            self.available = p.productivity * self.stock / max(wanted, 1.0)

        def deplete(self) -> None:
            """Take the harvest from the stock."""
            self.stock = max(self.stock - sum(member.harvested for member in self.members), 0.0)

        def bury(self) -> None:
            """Let those who starved go."""
            for member in self.members:
                if member.wealth < 0.0:
                    member.remove()
            self.members = [member for member in self.members if member.wealth >= 0.0]

        def grow(self) -> None:
            """Vote, and let the stock grow; a village that has nobody or nothing left goes."""
            if self.members:
                self.norm = statistics.median(member.belief for member in self.members)
            self.stock += p.growth_rate * self.stock * (1.0 - self.stock / p.carrying_capacity)
            if not self.members or self.stock <= p.stock_minimum:
                for member in self.members:
                    member.remove()
                self.remove()

        def take_round(self) -> None:
            """Take all stages."""
            for stage in STAGES:
                if hasattr(self, stage):
                    getattr(self, stage)()
                else:
                    for member in self.members:
                        getattr(member, stage)()

    class Villages(mesa.Model):
        """Villages side by side."""

        def __init__(self) -> None:
            super().__init__(seed=seed)
            self.villages = Village.create_agents(self, agents // SIZE)

        def step(self) -> None:
            """Take a round."""
            if order == "villages":
                self.villages.do("take_round")
                return
            for stage in STAGES:
                (self.villages if hasattr(Village, stage) else self.agents_by_type[Villager]).do(stage)

    return Villages()


def compare_mesa(agents: int, steps: int, rounds: int) -> None:
    """Print how many times faster than Mesa a whole run is, and its steps alone."""
    scenario = commons(agents // SIZE, agents)
    options: dict[str, Any] = {"steps": steps, "every": steps, "snapshot_every": None, "threads": 1, "progress": False}
    values = {name: scenario.values[name] for name in ("n_agents", "n_villages", *SETTING)}
    simengine.run(Commons, seed=0, **options, **values)
    whole: dict[str, list[float]] = {"stages": [], "villages": [], "run": []}
    stepping: dict[str, list[float]] = {"stages": [], "villages": [], "run": [], "C": []}
    stocks: dict[str, list[float]] = {"stages": [], "villages": [], "run": []}
    for seed in range(rounds):
        for order in ("stages", "villages"):
            models: list[Any] = []
            set_up = timed(lambda: models.append(mesa_model(agents, seed, order)))  # noqa: B023
            stepping[order].append(timed(lambda: [models[0].step() for _ in range(steps)]))  # noqa: B023
            whole[order].append(set_up + stepping[order][-1])
            stocks[order].append(statistics.mean(village.stock for village in models[0].villages))
        runs: list[Any] = []
        times = [
            timed(lambda: runs.append(simengine.run(Commons, seed=seed, **options, **values)))  # noqa: B023
            for _ in range(5)
        ]
        engines = [engine_of(scenario) for _ in range(5)]
        programs = [VillagesInC(engine, steps) for engine in engines]
        whole["run"].append(min(times))
        stepping["run"].append(min(timed(lambda: engine.advance(steps)) for engine in engines))  # noqa: B023
        stepping["C"].append(min(timed(lambda: c.run("commons_by_village")) for c in programs))  # noqa: B023
        stocks["run"].append(float(runs[0].stock[-1]))
    print(f"{agents} agents, {steps} rounds, ms: whole run (steps alone), stock at the end and its standard error")
    for name, found in stocks.items():
        error = statistics.stdev(found) / math.sqrt(len(found))
        print(
            f"{name:10}{min(whole[name]) * 1e3:10.2f} ({min(stepping[name]) * 1e3:.2f}) "
            f"{statistics.mean(found):8.1f} +- {error:.1f}"
        )
    for order in ("stages", "villages"):
        print(
            f"Mesa by {order}: {ratios(whole[order], whole['run'])} times the whole run, "
            f"{ratios(stepping[order], stepping['run'])} times the steps; C is "
            f"{ratios(stepping[order], stepping['C'])} times as fast"
        )


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("villages", "village", "graph", "mesa")
    parser.add_argument("parts", nargs="*", default=parts, help=f"any of {', '.join(parts)}")
    parser.add_argument("--agents", type=int, default=1_000_000)
    parser.add_argument("--in-shards", type=int, default=100_000, help="members of the village that is spread")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if "villages" in options.parts:
        compare_villages(options.agents, options.steps, options.rounds)
    if "village" in options.parts:
        compare_village(options.agents, options.steps // 2, options.rounds, options.in_shards)
    if "graph" in options.parts:
        for kind in ("regular", "small_world"):
            for degree in (4.0, 8.0):
                compare_graph(kind, degree, options.agents, options.rounds)
    if "mesa" in options.parts:
        compare_mesa(1_000, 100, options.rounds)


if __name__ == "__main__":
    main()
