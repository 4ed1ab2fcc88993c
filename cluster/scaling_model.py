"""What a step of a sharded run and a sweep cost on many nodes, and where more nodes stop helping.

A model of three terms, compute, exchange and write, with one constant for each thing that takes time. The constants are
those of one small machine; replace them by your own (``--set NAME=VALUE``) before you believe a figure.

    python cluster/scaling_model.py                                     # the tables of README.md
    python cluster/scaling_model.py --set bandwidth=1.2e10 --set cores_per_node=64
    python cluster/scaling_model.py --write                             # put them into README.md
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- tables of scaling_model.py -->\n", "<!-- end of the tables -->\n"
NODES = (1, 10, 100, 1000)
HALF = 0.5
MOST_NODES = 1_000_000


@dataclass(frozen=True)
class Constant:
    """A number of the model: its value in SI units, what it is, and where it comes from."""

    value: float
    meaning: str
    source: str


MEASURED = "measured: benchmarks/"
ASSUMED = "assumed"

CONSTANTS: dict[str, Constant] = {
    "cores_per_node": Constant(16, "cores of a node", ASSUMED),
    # compute
    "seconds_per_agent_step": Constant(3.1e-7, "one core, schooling with 32 neighbours", MEASURED + "sharding.py"),
    "thread_efficiency": Constant(0.85, "speed of a node's threads over that of as many single ones", ASSUMED),
    "step_spread": Constant(0.05, "standard deviation of a shard's step over its mean", ASSUMED),
    "neighbours": Constant(32, "agents within reach, in three dimensions", ASSUMED),
    # exchange
    "bytes_per_agent": Constant(56, "what a neighbour needs to know of an agent", MEASURED + "sharding.py"),
    "exchange_latency": Constant(1e-4, "one meeting of all shards, with nothing to say", MEASURED + "exchange.py"),
    "seconds_per_message": Constant(1e-4, "one more shard at the meeting", ASSUMED),
    "bandwidth": Constant(1.3e9, "bytes a second from one shard to another", MEASURED + "exchange.py"),
    # write
    "steps_per_record": Constant(10, "steps from one record to the next", ASSUMED),
    "seconds_per_row_written": Constant(8.2e-5, "one row of observables, by the one writer", ASSUMED),
    "seconds_per_partial_merged": Constant(1e-4, "one shard's share of a record, merged by the writer", ASSUMED),
    "steps_per_checkpoint": Constant(1000, "steps from one checkpoint to the next", ASSUMED),
    "checkpoint_bandwidth": Constant(2e9, "bytes a second into the shared file system, all nodes together", ASSUMED),
    # sweeps
    "seconds_per_run": Constant(
        7.3e-4, "one core, 100 agents, 100 steps, with its share of a file", MEASURED + "sweep_throughput.py"
    ),
    "seconds_per_task": Constant(1.0, "work that the driver packs into one task", ASSUMED),
    "ray_task_overhead": Constant(2e-3, "the driver's time for one task", ASSUMED),
    "seconds_per_run_indexed": Constant(
        7.6e-6, "the driver's time for one run: seeds, manifest, index", MEASURED + "sweep_opening.py"
    ),
    "seconds_per_run_merged": Constant(
        2.4e-5, "one run's share of finishing the folder", MEASURED + "sweep_opening.py"
    ),
    "files_per_second": Constant(2000, "files that the shared file system makes in a second", ASSUMED),
    "start_seconds": Constant(20, "Ray on all nodes, and the kernel compiled on each", ASSUMED),
}

Values = dict[str, float]


@dataclass(frozen=True)
class Step:
    """Seconds of one step of a sharded run, by what they are spent on."""

    compute: float
    exchange: float
    write: float

    @property
    def total(self) -> float:
        """The whole step: the three do not overlap."""
        return self.compute + self.exchange + self.write


def values() -> Values:
    """Return the constants' values by name."""
    return {name: constant.value for name, constant in CONSTANTS.items()}


def halo(agents: float, neighbours: float) -> float:
    """Agents within reach of a slab on both its sides, in a cubic box of ``agents`` with ``neighbours`` within reach.

    However thin the slab: what lies on its sides does not become less with more shards, which is where slabs end.
    """
    side = math.cbrt(4 / 3 * math.pi * agents / neighbours)
    return agents * min(1.0, 2 / side)


def volume(agents: float, shards: int, cut: str, c: Values) -> float:
    """Bytes that a shard receives in one step.

    ``cut`` is "space" (the halo of a slab, plus one agent in a hundred of it that moves over) or "ranges" (what every
    other shard has changed: any relation, nothing known about who sees whom).
    """
    if shards == 1:
        return 0.0
    own = agents / shards
    received = min(1.01 * halo(agents, c["neighbours"]), agents - own) if cut == "space" else agents - own
    return received * c["bytes_per_agent"]


def step(agents: float, shards: int, cut: str, c: Values) -> Step:
    """Cost of one step of ``agents`` on ``shards`` nodes, one shard each.

    All wait for the slowest shard: the mean of the largest of k normal times is sqrt(2 ln k) standard deviations above
    the common mean, to leading order.
    """
    mean = agents / shards * c["seconds_per_agent_step"] / (c["cores_per_node"] * c["thread_efficiency"])
    compute = mean * (1 + c["step_spread"] * math.sqrt(2 * math.log(shards)))
    exchange = 0.0
    if shards > 1:
        meeting = c["exchange_latency"] + (shards - 1) * c["seconds_per_message"]
        exchange = meeting + volume(agents, shards, cut, c) / c["bandwidth"]
    record = c["seconds_per_row_written"] + (shards - 1) * c["seconds_per_partial_merged"]
    checkpoint = agents * c["bytes_per_agent"] / c["checkpoint_bandwidth"]
    return Step(compute, exchange, record / c["steps_per_record"] + checkpoint / c["steps_per_checkpoint"])


def strong(agents: float, cut: str, c: Values) -> Callable[[int], float]:
    """Efficiency by nodes, for a population that stays as it is."""
    alone = step(agents, 1, cut, c).total
    return lambda nodes: alone / (nodes * step(agents, nodes, cut, c).total)


def weak(agents_per_node: float, cut: str, c: Values) -> Callable[[int], float]:
    """Efficiency by nodes, for a population that grows with them."""
    alone = step(agents_per_node, 1, cut, c).total
    return lambda nodes: alone / step(agents_per_node * nodes, nodes, cut, c).total


@dataclass(frozen=True)
class Sweep:
    """Seconds of a sweep; runs, driver and file system work at the same time, the slowest of them counts."""

    runs: float
    driver: float
    files: float
    ends: float

    @property
    def total(self) -> float:
        """From start to a folder that is finished."""
        return max(self.runs, self.driver, self.files) + self.ends

    @property
    def bound(self) -> str:
        """Which of them is the slowest."""
        return max(("runs", "driver", "files"), key=lambda name: float(getattr(self, name)))


def sweep(runs: float, nodes: int, seconds_per_run: float, c: Values) -> Sweep:
    """Cost of a sweep of ``runs`` runs that take a core ``seconds_per_run`` each."""
    tasks = runs / max(1.0, c["seconds_per_task"] / seconds_per_run)
    return Sweep(
        runs=runs * seconds_per_run / (nodes * c["cores_per_node"]),
        driver=tasks * c["ray_task_overhead"] + runs * c["seconds_per_run_indexed"],
        files=tasks / c["files_per_second"],
        ends=c["start_seconds"] + runs * c["seconds_per_run_merged"],
    )


def sweeping(runs: float, seconds_per_run: float, c: Values) -> Callable[[int], float]:
    """Efficiency by nodes of a sweep: the runs alone, on one node, over nodes times the sweep's time."""
    alone = sweep(runs, 1, seconds_per_run, c).runs
    return lambda nodes: alone / (nodes * sweep(runs, nodes, seconds_per_run, c).total)


def end_of_scaling(efficiency: Callable[[int], float]) -> int:
    """Return the largest number of nodes, up to `MOST_NODES`, from which on efficiency stays below a half; 1 at least.

    Efficiencies here fall with the number of nodes, but for a small bump between one node and two.
    """
    least, most = 1, 2
    while most < MOST_NODES and efficiency(most) >= HALF:
        least, most = most, 2 * most
    if most >= MOST_NODES:
        return MOST_NODES
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if efficiency(middle) >= HALF else (least, middle)
    return least


def seconds(value: float) -> str:
    """A duration with three digits and a fitting unit."""
    for factor, unit in ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value * 1e6:.3g} us"


def percent(share: float) -> str:
    """A share of one in per cent."""
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def row(name: str, cells: Sequence[str], efficiency: Callable[[int], float]) -> str:
    """One line of a table: what, a cell for each number of nodes with its efficiency, and where scaling stops."""
    last = end_of_scaling(efficiency)
    stop = f"over {MOST_NODES:,}" if last == MOST_NODES else f"{last:,}"
    shown = (f"{cell} ({percent(efficiency(nodes))})" for cell, nodes in zip(cells, NODES, strict=True))
    return f"| {name} | {' | '.join(shown)} | {stop} |"


def tables(c: Values) -> str:
    """Return the Markdown tables of README.md."""
    head = "| " + " | ".join(f"{nodes:,} node{'s' * (nodes > 1)}" for nodes in NODES) + " | half at, nodes |"
    rule = "|---" * (len(NODES) + 2) + "|"
    lines = ["One step of a sharded run, one shard a node (efficiency):", "", "| agents, cut " + head, rule]
    for name, agents, cut in (
        ("1e7, space", 1e7, "space"),
        ("1e9, space", 1e9, "space"),
        ("1e7, ranges", 1e7, "ranges"),
    ):
        cells = [seconds(step(agents, nodes, cut, c).total) for nodes in NODES]
        lines.append(row(name, cells, strong(agents, cut, c)))
    for name, agents, cut in (("1e6 a node, space", 1e6, "space"), ("1e6 a node, ranges", 1e6, "ranges")):
        cells = [seconds(step(agents * nodes, nodes, cut, c).total) for nodes in NODES]
        lines.append(row(name, cells, weak(agents, cut, c)))
    lines += ["", "Of a step of 1e9 agents cut by space:", "", "| | " + head.rsplit(" | ", 1)[0].lstrip("| ") + " |"]
    lines.append("|---" * (len(NODES) + 1) + "|")
    steps = [step(1e9, nodes, "space", c) for nodes in NODES]
    for part in ("compute", "exchange", "write"):
        lines.append(f"| {part} | " + " | ".join(seconds(getattr(cost, part)) for cost in steps) + " |")
    lines += [
        "",
        "A sweep, from start to a finished folder (efficiency), and what bounds it:",
        "",
        "| sweep " + head,
        rule,
    ]
    for runs, duration in ((1e5, c["seconds_per_run"]), (1e7, c["seconds_per_run"]), (1e6, 1.0)):
        costs = [sweep(runs, nodes, duration, c) for nodes in NODES]
        cells = [f"{seconds(cost.total)}, {cost.bound}" for cost in costs]
        lines.append(row(f"{runs:,.0f} runs of {seconds(duration)}", cells, sweeping(runs, duration, c)))
    return "\n".join(lines) + "\n"


def constants_table(c: Values) -> str:
    """Return the Markdown table of the constants in use."""
    lines = ["| constant | value | what it is | source |", "|---|---|---|---|"]
    for name, constant in CONSTANTS.items():
        source = constant.source if c[name] == constant.value else "given"
        lines.append(f"| `{name}` | {c[name]:g} | {constant.meaning} | {source} |")
    return "\n".join(lines) + "\n"


def document(c: Values) -> str:
    """Return all that README.md holds between the two marks."""
    return f"{tables(c)}\nWith these constants (SI units):\n\n{constants_table(c)}"


def parsed(arguments: Sequence[str] | None) -> tuple[Values, bool]:
    """Return the constants with what the user has set, and whether README.md is to be written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value of a constant")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    said = parser.parse_args(arguments)
    c = values()
    for setting in said.set:
        name, _, value = setting.partition("=")
        if name not in c:
            parser.error(f"there is no constant {name!r}; there are {', '.join(c)}")
        try:
            c[name] = float(value)
        except ValueError:
            parser.error(f"{name}: {value!r} is not a number")
        if not 0 < c[name] < math.inf:
            parser.error(f"{name}: {value} is not above 0")
    if said.write and said.set:
        parser.error("--write puts the script's own constants into README.md: leave out --set")
    return c, said.write


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, or write them into README.md."""
    c, write = parsed(arguments)
    if not write:
        print(document(c), end="")
        return
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{document(c)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
