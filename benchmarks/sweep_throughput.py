"""How many small runs a second does a sweep do, against Mesa's batch_run of the same model with two processes?

The model of Dragulescu & Yakovenko (2000): 100 agents, 100 steps, who owns something gives one unit to anybody, and the
Gini coefficient, the total, the share of the poor and the entropy at the first and the last step. In Mesa: `lean`, that
model written for it, recording as rarely; `shipped`, its own Boltzmann wealth example, in which agents also walk on a
grid and the Gini coefficient is collected at every step. Here: `runner` is one process and one thread, set-up, records
and outcomes included; `sweep` is the whole of `simengine.sweep` with its files and two workers, Ray's start included,
and is left out when Ray is not installed. All sides take turns in one run; our kernel is compiled before.

    pip install -c constraints.txt -e ".[peers]" && python benchmarks/sweep_throughput.py [--rounds 5] [--sweep 20000]
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mesa
from mesa.examples.basic.boltzmann_wealth_model.model import BoltzmannWealth

import simengine
from simengine.runs.registry import find
from simengine.sweeps.runner import Runner

AGENTS, STEPS, PROCESSES, INITIAL_WEALTH = 100, 100, 2, 10
MESA_RUNS, RUNNER_RUNS = 24, 1000


class Giver(mesa.Agent):
    """Owns money, and gives a unit of it to anybody else."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.wealth = INITIAL_WEALTH

    def step(self) -> None:
        """Give, if there is something to give."""
        if self.wealth > 0:
            other = self.random.choice(self.model.everybody)
            while other is self:
                other = self.random.choice(self.model.everybody)
            other.wealth += 1
            self.wealth -= 1


class LeanWealth(mesa.Model):
    """The wealth exchange of this project as a Mesa model."""

    def __init__(self, n: int = AGENTS, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.everybody = list(Giver.create_agents(self, n))
        self.datacollector = mesa.DataCollector(model_reporters=REPORTERS)
        self.datacollector.collect(self)

    def step(self) -> None:
        """Let everybody act once, in a fresh order."""
        self.agents.shuffle_do("step")
        self.datacollector.collect(self)


def gini(model: LeanWealth) -> float:
    """Gini coefficient of wealth."""
    wealth = sorted(agent.wealth for agent in model.everybody)
    ranked = sum((2 * rank - len(wealth) - 1) * owned for rank, owned in enumerate(wealth, 1))
    return ranked / (len(wealth) * max(sum(wealth), 1))


def entropy(model: LeanWealth) -> float:
    """Plug-in entropy of wealth, nats."""
    shares = [found / len(model.everybody) for found in Counter(agent.wealth for agent in model.everybody).values()]
    return sum(share * math.log(1.0 / share) for share in shares)


def total(model: LeanWealth) -> int:
    """Sum of all wealth."""
    return sum(agent.wealth for agent in model.everybody)


def poor(model: LeanWealth) -> float:
    """Share of agents who own nothing."""
    return sum(agent.wealth == 0 for agent in model.everybody) / len(model.everybody)


def at_the_ends(reporter: Callable[[LeanWealth], float]) -> Callable[[LeanWealth], float | None]:
    """Report at the first and the last step; batch_run wants an entry for every one."""
    return lambda model: reporter(model) if model.steps in (0, STEPS) else None


REPORTERS = {reporter.__name__: at_the_ends(reporter) for reporter in (gini, total, entropy, poor)}


def mesa_rate(model: type[mesa.Model]) -> float:
    """Runs a second of `mesa.batch_run`."""
    begin = time.perf_counter()
    rows = mesa.batch_run(
        model, {"n": [AGENTS]}, number_processes=PROCESSES, iterations=MESA_RUNS, max_steps=STEPS,
        data_collection_period=-1, display_progress=False,
    )  # fmt: skip
    assert len({row["RunId"] for row in rows}) == MESA_RUNS
    return MESA_RUNS / (time.perf_counter() - begin)


def runner_rate(order: str) -> float:
    """Runs a second of a runner in this process, after it has been prepared."""
    point = {"initial_wealth": INITIAL_WEALTH}
    runner = Runner(find("wealth_exchange"), {"n_agents": AGENTS, "order": order}, steps=STEPS)
    runner.prepare(point)
    begin = time.perf_counter()
    outcomes = [runner.run(point, seed) for seed in range(RUNNER_RUNS)]
    seconds = time.perf_counter() - begin
    assert all(outcome.values["total_wealth"][-1] == AGENTS * INITIAL_WEALTH for outcome in outcomes)
    return RUNNER_RUNS / seconds


def sweep_rate(runs: int) -> float:
    """Runs a second of a whole sweep, files and the start of Ray included."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        design = {"initial_wealth": list(range(1, 11))}
        with simengine.sweep(
            "wealth_exchange", design, replicates=runs // 10, steps=STEPS, workers=PROCESSES, n_agents=AGENTS,
            out=Path(folder) / "sweep", progress=False,
        ) as found:  # fmt: skip
            seconds = time.perf_counter() - begin
            assert bool((found["status"] == 0).all())
    return runs // 10 * 10 / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sweep", type=int, default=20_000, help="runs of the whole sweep; 0: without it")
    arguments = parser.parse_args()
    sides: dict[str, Callable[[], float]] = {
        "Mesa, lean, 2 processes": lambda: mesa_rate(LeanWealth),
        "Mesa, shipped, 2 processes": lambda: mesa_rate(BoltzmannWealth),
        "runner, synchronous, 1 core": lambda: runner_rate("synchronous"),
        "runner, one by one, 1 core": lambda: runner_rate("one_by_one"),
    }
    if arguments.sweep and importlib.util.find_spec("ray") is not None:
        sides[f"sweep of {arguments.sweep}, 2 workers"] = lambda: sweep_rate(arguments.sweep)
    runner_rate("synchronous")
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, rate in sides.items():
            rates[name].append(rate())
    lean = rates["Mesa, lean, 2 processes"]
    print(f"Mesa {mesa.__version__}; {AGENTS} agents, {STEPS} steps; median of {arguments.rounds} rounds")
    for name, found in rates.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(found, lean, strict=True))
        print(f"{name:32} {statistics.median(found):8.1f} runs/s  {ratio:7.2f} x lean Mesa")


if __name__ == "__main__":
    main()
