"""Do the intervals of every estimator hold the truth, are they no wider than they must be, and do flags warn?

Command: ``python benchmarks/diagnostic_truth.py`` (options: ``--repetitions 200``, ``--only REGEX``, ``--write FILE``
and more, see ``--help``).
A row is an estimator, a law of known value (``tests/diagnostics/truths*.py``) and a number of samples. Over the
repetitions it shows the share of 95 % intervals that hold the truth, their median width over the oracle's (2 x 1.96
standard deviations of the values found), the mean error in those standard deviations, and the share that is flagged.

Asked: either nearly all repetitions are flagged (>= 95 %), or >= 90 % of the intervals hold the truth at <= 1.5 times
the oracle's width. Rows outside an estimator's validity must be of the first kind; rows inside that are of the first
kind are shown as "declined". ``MISS`` marks what fails. A row that misses by less than two standard errors of its
repetitions is measured anew with 1000 of them, which the last column says.
"""

from __future__ import annotations

import argparse
import math
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diagnostic_truth_rows import Row, registry

HELD, WIDTH, FLAGGED = 0.90, 1.5, 0.95


@dataclass(frozen=True)
class Found:
    """What the repetitions of a row gave."""

    held: float
    width: float
    bias: float
    flagged: float
    flags: str
    milliseconds: float

    def missed_by_chance(self, inside: bool, repetitions: int) -> bool:
        """Whether the row misses, in coverage or width, by less than two standard errors of the repetitions."""
        if not inside or not self.verdict(inside).startswith("MISS"):
            return False
        coverage = 2.0 * math.sqrt(HELD * (1.0 - HELD) / repetitions)
        width = WIDTH * 2.0 / math.sqrt(2.0 * repetitions)
        return self.held >= HELD - coverage and self.width <= WIDTH + width

    def verdict(self, inside: bool) -> str:
        """``ok``, ``declined`` or what is missed."""
        if self.flagged >= FLAGGED:
            return "declined" if inside else "ok"
        if not inside:
            return f"MISS: {100 * self.flagged:.0f} % flagged"
        poor = []
        if not self.held >= HELD:
            poor.append("intervals")
        if not self.width <= WIDTH:
            poor.append("width")
        return "MISS: " + ", ".join(poor) if poor else "ok"


def measured(row: Row, repetitions: int, first_seed: int = 1000) -> Found:
    """Run the repetitions of a row."""
    values, low, high, doubts = [], [], [], []
    row.call(*row.truth.sample(row.n, first_seed - 1))
    spent = 0.0
    for seed in range(first_seed, first_seed + repetitions):
        arrays = row.truth.sample(row.n, seed)
        start = time.perf_counter()
        one = row.call(*arrays)
        spent += time.perf_counter() - start
        values.append(float(one.value))
        low.append(float(one.interval[0]))
        high.append(float(one.interval[1]))
        doubts.append(tuple(one.flags))
    value, bottom, top = (np.array(part) for part in (values, low, high))
    # Truths that are 0 but for rounding must not fall out of an interval that is cut at 0.
    held = float(np.mean((bottom <= row.truth.value + 1e-12) & (row.truth.value - 1e-12 <= top)))
    spread = float(value.std(ddof=1)) if repetitions > 1 else math.nan
    width = float(np.median(top - bottom)) / (2.0 * 1.959964 * spread) if spread > 0.0 else math.nan
    bias = (float(value.mean()) - row.truth.value) / spread if spread > 0.0 else math.nan
    names = sorted({name for flags in doubts for name in flags})
    share = {name: sum(name in flags for flags in doubts) / repetitions for name in names}
    words = ", ".join(f"{name} {100 * part:.0f} %" for name, part in share.items())
    return Found(held, width, bias, sum(map(bool, doubts)) / repetitions, words, 1e3 * spent / repetitions)


def line(row: Row, found: Found | None, again: int = 0, problem: str = "") -> str:
    """A row of the table; ``again`` is the number of repetitions where it is not that of all."""
    where = "inside" if row.inside else "outside"
    start = f"| {row.truth.quantity} | {row.estimator} | {row.truth.name} | {row.n} | {where} "
    if found is None:
        return start + f"| | | | | {problem} |"
    return start + (
        f"| {100 * found.held:.1f} | {found.width:.2f} | {found.bias:+.2f} | {found.flags or '-'} "
        f"| {found.verdict(row.inside)}{f' ({again} repetitions)' if again else ''} |"
    )


HEAD = (
    "| quantity | estimator | truth | N | validity | held, % | width / oracle | error, sd | flags | |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def key(text: str) -> str:
    """What names a row in a written table: quantity, estimator, truth, N."""
    return " | ".join(part.strip() for part in text.split("|")[1:5])


def written(path: Path | None) -> dict[str, str]:
    """The rows of a table written before, by name."""
    if path is None or not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {key(text): text for text in lines if text.startswith("| ") and not text.startswith("| quantity |")}


def verdict_of(text: str) -> str:
    """``ok``, ``declined``, ``MISS`` or ``ERROR``, from the last cell of a row."""
    return re.split(r"[ :]", text.rstrip(" |").rpartition("|")[2].strip())[0]


def seconds_of(row: Row) -> float:
    """Time of one repetition, compiled before; none where the row fails."""
    try:
        for seed in (1, 2):
            arrays = row.truth.sample(row.n, seed)
            start = time.perf_counter()
            row.call(*arrays)
            spent = time.perf_counter() - start
    except Exception:
        return 0.0
    return spent


def attempted(row: Row, repetitions: int, again: int) -> str:
    """The row's line, also where the estimator fails; what misses within the noise of the repetitions has more."""
    try:
        found = measured(row, repetitions)
        if again > repetitions and found.missed_by_chance(row.inside, repetitions):
            return line(row, measured(row, again), again)
        return line(row, found)
    except Exception as error:
        return line(row, None, 0, f"ERROR: {type(error).__name__}: {error}".replace("\n", " ").replace("|", "/")[:160])


def table(lines: Mapping[str, str], repetitions: int) -> str:
    """All lines in the registry's order, and how many of each verdict."""
    order = [lines[row.name] for row in registry() if row.name in lines]
    verdicts = [verdict_of(text) for text in order]
    counts = ", ".join(f"{name} {verdicts.count(name)}" for name in sorted(set(verdicts)))
    return "\n".join([HEAD, *order, "", f"{len(order)} rows, {repetitions} repetitions; {counts}"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--again", type=int, default=1000, help="of rows that miss within the noise of the repetitions")
    parser.add_argument("--only", default="", help="regular expression on 'quantity | estimator | truth | N'")
    parser.add_argument("--write", type=Path, help="put the rows into the table in this file, each when it is done")
    parser.add_argument("--missing", action="store_true", help="leave out the rows that the file has already")
    parser.add_argument("--misses", action="store_true", help="print misses only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = written(options.write)
    chosen = [row for row in registry() if re.search(options.only, row.name)]
    if options.missing:
        chosen = [row for row in chosen if row.name not in lines]
    # The slow come last: what is cut short has most of the rows.
    cost = {row.name: seconds_of(row) for row in chosen}
    print(f"{len(chosen)} rows, about {options.repetitions * sum(cost.values()) / 60.0:.0f} minutes", flush=True)
    done: dict[str, str] = {}
    for row in sorted(chosen, key=lambda row: cost[row.name]):
        lines[row.name] = done[row.name] = attempted(row, options.repetitions, options.again)
        if not options.misses or verdict_of(done[row.name]) in ("MISS", "ERROR"):
            print(f"{done[row.name]} {1e3 * cost[row.name]:.1f} ms", flush=True)
        if options.write:
            options.write.write_text(table(lines, options.repetitions), encoding="utf-8")
    print(table(done, options.repetitions).splitlines()[-1])


if __name__ == "__main__":
    main()
