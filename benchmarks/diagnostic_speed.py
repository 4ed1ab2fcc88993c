"""Every diagnostic whose speed is of interest, against the fastest peer, in turns in one run.

Command: ``OMP_NUM_THREADS=1 python benchmarks/diagnostic_speed.py`` (``--rounds 5``, ``--only REGEX``, ``--asked`` for
the jobs whose time was asked for, ``--slow`` with those that keep the peer for a minute, ``--write FILE``). The jobs
are in `diagnostic_speed_rows.py`. CPU seconds, one thread on both sides; ours is called once before the clock runs. In
each round, a side is called until 0.1 s are over, at most 20 times, and its least time counts. Times are the least of
the rounds, the ratio the median of the rounds' ratios. Peers come with ``pip install "simengine[peers]"`` (antropy
compiles for 20 s at its first import).
"""

from __future__ import annotations

import argparse
import math
import re
import time
import warnings
from pathlib import Path
from statistics import median

from diagnostic_speed_rows import Row, Work, rows

PATIENCE = 5.0
"""Seconds after which a peer is not called again."""

ENOUGH, MOST = 0.1, 20
"""Seconds, and calls, of one side in a round."""

HEAD = "| | ours | peer | peer / ours | asked |\n|---|---|---|---|---|"


def seconds(work: Work) -> float:
    """The least time of some calls."""
    least, spent, calls = math.inf, 0.0, 0
    while spent < ENOUGH and calls < MOST:
        start = time.process_time()
        work()
        taken = time.process_time() - start
        least, spent, calls = min(least, taken), spent + taken, calls + 1
    return least


def said(duration: float) -> str:
    """A duration in a fitting unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if duration * factor >= 1.0:
            return f"{duration * factor:.3g} {unit}"
    return f"{duration * 1e9:.3g} ns"


def line(row: Row, rounds: int) -> str:
    """Measure a job; a row of the table."""
    try:
        work, peer = row.make()
        work()
    except ImportError as error:
        return f"| {row.what} | absent: {error} | | | |"
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(1 if row.slow else rounds):
        mine.append(seconds(work))
        if peer is not None and sum(theirs) < PATIENCE:
            theirs.append(seconds(peer))
    own = min(mine) / row.units
    verdict = "" if math.isinf(row.asked) else said(row.asked) + ("" if own <= row.asked else " (missed)")
    if not theirs:
        return f"| {row.what} | {said(own)} | | | {verdict} |"
    ratio = median(b / a for a, b in zip(mine, theirs, strict=False)) / row.share
    other = min(theirs) / row.share / row.units
    return f"| {row.what} | {said(own)} | {row.peer} {said(other)} | {ratio:.3g} | {verdict} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="regular expression: jobs whose name matches")
    parser.add_argument("--asked", action="store_true", help="only the jobs whose time was asked for")
    parser.add_argument("--slow", action="store_true", help="with the jobs that keep the peer for a minute")
    parser.add_argument("--write", type=Path, help="write the table to this file as well")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [HEAD]
    print(HEAD)
    for row in rows():
        if (options.asked and math.isinf(row.asked)) or (row.slow and not options.slow):
            continue
        if re.search(options.only, row.what):
            lines.append(line(row, options.rounds))
            print(lines[-1], flush=True)
    if options.write:
        options.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
