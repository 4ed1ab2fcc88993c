"""Language models among rule-based agents: what their calls cost a run, against the loopback server (50 ms a call).

Rows: overlap of calls and compiled phases; one call for agents who see the same; memory over many steps; and what goes
wrong where an answer, and not a distribution, is shared by all who see the same.

    python benchmarks/language_agents.py [overlap] [situations] [memory] [samples]
"""

from __future__ import annotations

import math
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import simengine
from simengine import (
    Function,
    Language,
    OpenAI,
    Output,
    Policy,
    Prompt,
    Scenario,
    decision,
    field,
    observable,
    param,
    population,
)
from simengine.policies.reports import record_of
from simengine.scenarios.schooling_words import GuidedSchooling
from simengine.testing.language_server import Server, serve

LATENCY = 0.05


class Waited(Language):
    """A language model for whose answers the step waits, with the seconds that this takes."""

    seconds = 0.0

    def begin(self, asked: Any) -> Any:
        """Ask, and wait."""
        started = time.perf_counter()
        begun = super().begin(asked)
        begun.work.result()
        self.seconds += time.perf_counter() - started
        return begun

    def finish(self, begun: Any, asked: Any) -> Any:
        """Read the answers."""
        started = time.perf_counter()
        found = super().finish(begun, asked)
        self.seconds += time.perf_counter() - started
        return found


BRIEF = Prompt(
    system="You are a fish that swims in a school.",
    question="You are fish {fish}; this is moment {moment}. Where do you turn?",
    see=lambda asked: {"fish": asked.ids, "moment": np.full(len(asked.ids), asked.step)},
)


def swum(policy: Any, **options: Any) -> float:
    """Seconds of a run of a school, compiled before."""
    policies = {} if policy is None else {"agents.steer": Policy(policy, share=0.01)}
    dataset = simengine.run(GuidedSchooling, policies=policies, every=options["steps"], progress=False, **options)
    return float(dataset.attrs["wall_seconds"])


def overlap(server: Server) -> None:
    """10,000 fish, 1 % of them steered: wall time against the larger of kernel and calls.

    "calls" are the seconds from a decision to its answers, with nothing else going on: what the fish see, put in
    words; the calls; the answers read.
    """
    print("| fish | prompt | kernel (s) | calls (s) | one after the other (s) | together (s) | together / larger |")
    print("|---|---|---|---|---|---|---|")
    for box, name, prompt in (
        (100.0, "view", None),
        (100.0, "brief", BRIEF),
        (40.0, "brief", BRIEF),
        (25.0, "brief", BRIEF),
    ):
        options: dict[str, Any] = {"n_agents": 10_000, "box": box, "steps": 20, "threads": 1}
        model: dict[str, Any] = {"elicitation": "percentages", "connections": 128, "prompt": prompt}
        for policy in (None, Language(OpenAI(server.url, "test"), **model)):
            swum(policy, **(options | {"steps": 2}))
        rows = []
        for _ in range(3):
            kernel = swum(None, **options)
            waited = Waited(OpenAI(server.url, "test"), **model)
            apart = swum(waited, **options)
            together = swum(Language(OpenAI(server.url, "test"), **model), **options)
            rows.append((kernel, waited.seconds, apart, together, together / max(kernel, waited.seconds)))
        middle = sorted(rows, key=lambda row: row[-1])[len(rows) // 2]
        print(f"| 10,000 in {box:g} | {name} | " + " | ".join(f"{number:.2f}" for number in middle) + " |", flush=True)


CROP = Prompt(
    system="You are a farmer.",
    question="Your field is number {kind}; this is year {year}. Do you plant the new crop?",
    see=lambda asked: {"kind": asked.agents.kind, "year": np.full(len(asked.ids), asked.step)},
)


@observable(outputs=(Output("share", "1", "share of farmers who plant"),))
def planters(agents: Any) -> dict[str, float]:
    """How many plant."""
    return {"share": float(agents.action.mean())}


class Crops(Scenario):
    """Farmers of some kinds choose a crop every year."""

    n_agents: int = param(1000, low=1)
    kinds: int = param(10, low=1)
    agents = population(size="n_agents", kind=field(int), action=field(int))

    def start(self, agents: Any) -> None:
        """Deal out the kinds."""
        agents.kind[:] = np.arange(agents.size) % self.kinds

    @decision(agents.action, options=("no", "yes"))
    def plant(me):
        """Leave it."""
        return 0

    observe = [planters]
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


class Weighed(Language):
    """A language model that notes the memory of its process (MiB) after every hundredth step."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.held: list[float] = []

    def taken(self, begun: Any, asked: Any, actions: Any) -> None:
        """Take note of the actions, and of memory."""
        super().taken(begun, asked, actions)
        if asked.step % 100 == 99:
            self.held.append(memory_used())


def steady_memory() -> None:
    """Resident memory over 1,000 steps with new situations at every step."""
    language = Weighed(Function(even), memory=simengine.Memory())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "crops.nc"
        simengine.run(Crops, policies={"agents.plant": language}, steps=1000, every=100, out=out, progress=False)
        size = record_of(out).stat().st_size / 2**20
    print(
        "resident memory (MiB) after 100, 200, ... 1,000 steps: "
        + ", ".join(f"{held:.0f}" for held in language.held)
        + f"; the record has {size:.0f} MiB"
    )


def memory_used() -> float:
    """Resident memory of this process in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def even(context: Mapping[str, Any], request: Any) -> list[float]:
    """No option is likelier."""
    return [0.5, 0.5]


def likely(context: Mapping[str, Any], request: Any) -> list[float]:
    """Three in ten plant."""
    return [0.7, 0.3]


def one_answer(asked: Any) -> np.ndarray:
    """One answer for all who see the same: what a cache of texts gives."""
    drawn = asked.draw.uniform("answer")[: asked.p.kinds]
    return (drawn < 0.3).astype(int)[asked.agents.kind]


def shared_samples(steps: int = 8000) -> None:
    """Spread of the share of adopters: an answer shared by all who see the same, against a shared distribution."""
    constant = Prompt(system="You are a farmer.", question="Field {kind}.", see=lambda a: {"kind": a.agents.kind})
    spread = []
    for policy in (one_answer, Language(Function(likely), prompt=constant)):
        dataset = simengine.run(Crops, policies={"agents.plant": policy}, steps=steps, seed=3, progress=False)
        spread.append(float(dataset.share.values[1:].std()))
    ratio = spread[0] / spread[1]
    print(
        f"1,000 agents in 10 situations, {steps:,} steps: sd of the share of adopters {spread[0]:.4f} (answers "
        f"shared), {spread[1]:.4f} (distributions shared); ratio {ratio:.2f} +- {ratio / math.sqrt(steps):.2f}"
    )


def main() -> None:
    """Measure what is named, or everything."""
    wanted = set(sys.argv[1:]) or {"overlap", "situations", "memory", "samples"}
    print(f"load {os.getloadavg()[0]:.1f}")
    with serve(latency=LATENCY) as server:
        # The server stands for another machine: it does not take processors from the run that it answers.
        os.setpriority(os.PRIO_PROCESS, server.pid, 10)
        if "overlap" in wanted:
            overlap(server)
        if "situations" in wanted:
            shared_situations(server)
    if "memory" in wanted:
        steady_memory()
    if "samples" in wanted:
        shared_samples()


if __name__ == "__main__":
    main()
