"""Language models among rule-based agents: what their calls cost a run, against the loopback server (50 ms a call).

Rows: overlap of calls and compiled phases; one call for agents who see the same; memory over many steps; and what goes
wrong where an answer, and not a distribution, is shared by all who see the same.

    python benchmarks/language_agents.py
"""

from __future__ import annotations

import math
import os
import resource
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import simengine
from simengine import Function, Language, OpenAI, Policy, Prompt, Scenario, decision, field, param, population, update
from simengine.scenarios.schooling_words import GuidedSchooling
from simengine.testing.language_server import Server, serve

LATENCY = 0.05


class Waited(Language):
    """A language model for whose answers the step waits, with the seconds that this takes."""

    seconds = 0.0

    def begin(self, asked: Any) -> Any:
        started = time.perf_counter()
        begun = super().begin(asked)
        begun.pending.result()
        self.seconds += time.perf_counter() - started
        return begun

    def finish(self, begun: Any, asked: Any) -> Any:
        started = time.perf_counter()
        found = super().finish(begun, asked)
        self.seconds += time.perf_counter() - started
        return found


def swum(policy: Any, **options: Any) -> float:
    """Seconds of a run of a school, compiled before."""
    policies = {} if policy is None else {"agents.steer": Policy(policy, share=0.01)}
    dataset = simengine.run(GuidedSchooling, policies=policies, every=options["steps"], progress=False, **options)
    return float(dataset.attrs["wall_seconds"])


def overlap(server: Server) -> None:
    """10,000 fish, 1 % of them steered: wall time against the larger of kernel and calls."""
    print("| fish | kernel (s) | calls (s) | one after the other (s) | together (s) | together / larger |")
    print("|---|---|---|---|---|---|")
    for box in (40.0, 16.0, 11.0):
        options: dict[str, Any] = {"n_agents": 10_000, "box": box, "steps": 20, "threads": 1}
        model = {"elicitation": "percentages", "connections": 128}
        for policy in (None, Language(OpenAI(server.url, "test"), **model)):
            swum(policy, **(options | {"steps": 2}))
        rows = []
        for _ in range(3):
            kernel = swum(None, **options)
            waited = Waited(OpenAI(server.url, "test"), **model)
            apart = swum(waited, **options)
            together = swum(Language(OpenAI(server.url, "test"), **model), **options)
            rows.append((kernel, waited.seconds, apart, together, together / max(kernel, waited.seconds)))
        best = sorted(rows, key=lambda row: row[-1])[len(rows) // 2]
        print(f"| 10,000 in {box:g} | " + " | ".join(f"{number:.2f}" for number in best) + " |", flush=True)


CROP = Prompt(
    system="You are a farmer.",
    question="Your field is number {kind}; this is year {year}. Do you plant the new crop?",
    see=lambda asked: {"kind": asked.agents.kind, "year": np.full(len(asked.ids), asked.step)},
)


class Crops(Scenario):
    """Farmers of some kinds choose a crop every year."""

    n_agents: int = param(1000, low=1)
    kinds: int = param(10, low=1)
    agents = population(size="n_agents", kind=field(int), action=field(int), planted=field(int))

    def start(self, agents: Any) -> None:
        agents.kind[:] = np.arange(agents.size) % self.kinds

    @decision(agents.action, options=("no", "yes"))
    def plant(me):
        return 0

    @update(agents)
    def count_planted(me, agents, new):
        new.planted[me] += agents.action[me]

    prompts = {"plant": CROP}


def shared_situations(server: Server) -> None:
    """100,000 agents in 1,000 situations: calls a step."""
    server.reset()
    language = Language(OpenAI(server.url, "test"), elicitation="percentages", connections=512)
    options: dict[str, Any] = {"n_agents": 100_000, "kinds": 1000, "steps": 5, "progress": False}
    dataset = simengine.run(Crops, policies={"agents.plant": language}, **options)
    calls = server.paid.total / 5
    seconds = float(dataset.attrs["wall_seconds"]) / 5
    print(f"100,000 agents, 1,000 situations: {calls:g} calls a step, {seconds:.2f} s a step")


def steady_memory() -> None:
    """Resident memory over 1,000 steps with new situations at every step."""
    language = Language(Function(lambda context, request: [0.5, 0.5]), memory=simengine.Memory())
    simulation = simengine.Simulation(Crops, policies={"agents.plant": language}, every=1000, progress=False)
    held = []
    for _ in range(10):
        simulation.step(100)
        held.append(memory_used())
    print("resident memory (MiB) after 100, 200, ... 1,000 steps: " + ", ".join(f"{size:.0f}" for size in held))


def memory_used() -> float:
    """Resident memory of this process in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def shared_samples(steps: int = 8000) -> None:
    """Spread of the share of adopters: an answer shared by all who see the same, against a shared distribution."""

    def one_answer(asked: Any) -> np.ndarray:
        first = asked.draw.uniform("answer")[: asked.p.kinds]
        return (first < 0.3).astype(int)[asked.agents.kind]

    def likely(context: Mapping[str, Any], request: Any) -> list[float]:
        return [0.7, 0.3]

    constant = Prompt(system="You are a farmer.", question="Field {kind}.", see=lambda a: {"kind": a.agents.kind})
    spread = []
    for policy in (one_answer, Language(Function(likely), prompt=constant)):
        simulation = simengine.Simulation(Crops, policies={"agents.plant": policy}, every=steps, progress=False, seed=3)
        shares, before = [], np.zeros(1000)
        for _ in range(steps):
            simulation.step(1)
            planted = simulation.agents.planted.values
            shares.append(float((planted - before).mean()))
            before = planted.copy()
        spread.append(float(np.std(shares)))
    error = math.sqrt(1 / steps)
    print(
        f"1,000 agents in 10 situations, {steps:,} steps: sd of the share of adopters {spread[0]:.4f} (answers shared), "
        f"{spread[1]:.4f} (distributions shared); ratio {spread[0] / spread[1]:.2f} +- {10 * error:.2f}"
    )


def main() -> None:
    print(f"load {os.getloadavg()[0]:.1f}")
    with serve(latency=LATENCY) as server:
        overlap(server)
        shared_situations(server)
    steady_memory()
    shared_samples()


if __name__ == "__main__":
    main()
