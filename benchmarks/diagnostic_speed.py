"""Every estimator whose speed was asked for, against the fastest peer, in turns in one run.

Command: ``python benchmarks/diagnostic_speed.py`` (``--rounds 5``, ``--only REGEX``, ``--long``, ``--write FILE``).
CPU seconds, one thread on both sides; ours is called once before the clock runs. Times are the least of the rounds, the
ratio the median of the rounds' ratios. ``plain`` is the textbook value that the peers give, without our bias, error and
subsample protocol. Peers come with ``pip install "simengine[peers]"`` (antropy compiles for 20 s at its first
import). ``--long`` adds the row whose peer takes a minute.
"""

from __future__ import annotations

import argparse
import importlib
import math
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

Work = Callable[[], object]

PATIENCE = 5.0
"""Seconds after which a peer is not called again."""


@dataclass(frozen=True)
class Row:
    """A job, done by both sides.

    ``units`` divides the times (pairs, updates, samples); ``asked`` are the seconds a unit that were asked for.
    """

    what: str
    asked: float
    make: Callable[[], tuple[Work, Work | None]]
    peer: str = ""
    units: int = 1
    long: bool = False


def ours(where: str, *arguments: Any, **options: Any) -> Work:
    """A call of ``module:name`` of simengine.diagnostics."""
    module, _, name = where.partition(":")
    function = getattr(importlib.import_module(f"simengine.diagnostics.{module}"), name)
    return lambda: function(*arguments, **options)


def coins(agents: int, steps: int, states: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, states, (agents, steps))


def normal_pair(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, d))
    return x, 0.6 * x + 0.8 * rng.normal(size=(n, d))


def all_transfers() -> tuple[Work, Work]:
    series = coins(100, 1000, 2)
    from pyinform import transfer_entropy

    def peer() -> None:
        for i in range(100):
            for j in range(100):
                if i != j:
                    transfer_entropy(series[i], series[j], 1)

    return ours("dynamics.pairs:transfer_entropies", series), peer


def edge_transfers() -> tuple[Work, Work]:
    series = coins(100, 1000, 4)
    edges = np.random.default_rng(3).integers(0, 100, (5000, 2))
    from pyinform import transfer_entropy

    def peer() -> None:
        for i, j in edges:
            transfer_entropy(series[i], series[j], 1)

    return ours("dynamics.pairs:transfer_entropies", series, edges=edges), peer


def window_updates() -> tuple[Work, None]:
    labels = coins(1, 1_000_000, 50)[0]
    window = importlib.import_module("simengine.diagnostics.counts.window").WindowEntropy(50, 1000)
    return lambda: window.push(labels), None


def window_estimates() -> tuple[Work, None]:
    labels = coins(1, 1_000_000, 50)[0]
    return ours("counts.window:sliding_entropy", labels, 1000, states=50), None


def patterns_streamed() -> tuple[Work, None]:
    ring, counts = np.random.default_rng(5).normal(size=(4, 100_000)), np.zeros(24, np.int64)
    return ours("dynamics.ordinal_kernels:count_patterns", ring, 2, 4, 1, counts), None


def histogram_entropy() -> tuple[Work, Work]:
    opinion = np.random.default_rng(4).uniform(-1.0, 1.0, 1_000_000)

    def peer() -> float:
        counts = np.histogram(opinion, 64, (-1.0, 1.0))[0]
        share = counts[counts > 0] / counts.sum()
        return float(-(share * np.log(share)).sum())

    return ours("counts.tables:histogram_entropy", opinion, bins=64, range=(-1.0, 1.0)), peer


def patterns() -> tuple[Work, Work]:
    import antropy

    series = np.random.default_rng(5).normal(size=100_000)
    antropy.perm_entropy(series, order=4)
    return (
        ours("dynamics.ordinal:permutation_entropy", series, order=4), lambda: antropy.perm_entropy(series, order=4)
    )  # fmt: skip


def phrases() -> tuple[Work, Work]:
    import antropy

    series = coins(1, 100_000, 2)[0]
    antropy.lziv_complexity(series[:100])
    return ours("dynamics.lempel_ziv:lempel_ziv_complexity", series), lambda: antropy.lziv_complexity(series)


def neighbour_entropy(d: int, **options: Any) -> tuple[Work, Work]:
    import infomeasure

    (x, _) = normal_pair(100_000, d)
    peer = {"approach": "kl", "k": 4, "noise_level": 0, "base": "e", "minkowski_p": np.inf}
    return (
        ours("information:entropy", x, estimator="kozachenko-leonenko", k=4, **options),
        lambda: infomeasure.entropy(x, **peer),
    )  # fmt: skip


def information_sklearn(**options: Any) -> tuple[Work, Work]:
    from sklearn.feature_selection import mutual_info_regression

    x, y = normal_pair(100_000, 1)
    return (
        ours("information:mutual_information", x, y, estimator="ksg-1", k=4, **options),
        lambda: mutual_info_regression(x, y[:, 0], n_neighbors=4),
    )


def information_npeet(n: int, **options: Any) -> tuple[Work, Work]:
    import npeet_plus

    x, y = normal_pair(n, 5)
    return (
        ours("information:mutual_information", x, y, estimator="ksg-1", k=4, **options),
        lambda: npeet_plus.mi(x, y, k=4, base=math.e),
    )


def gate_parts(states: int) -> tuple[Work, Work]:
    import dit
    from dit.pid import PID_BROJA

    table = np.random.default_rng(6).dirichlet(np.ones(states**3)).reshape((states,) * 3)
    cells = list(np.ndindex(table.shape))
    law = dit.Distribution(["".join(map(str, cell)) for cell in cells], [table[cell] for cell in cells])
    union = ours("multivariate.broja:union_information", table)
    return union, lambda: PID_BROJA(law, [(0,), (1,)], (2,)).get_pi(((0, 1),))


def triplets() -> tuple[Work, None]:
    points = np.random.default_rng(7).normal(size=(1000, 100))
    return ours("multivariate.shared:o_informations", points, estimator="gaussian"), None


PLAIN: dict[str, Any] = {"correct": False, "reliability": False}


def rows() -> Iterator[Row]:
    """All jobs, a line each."""
    yield Row("TE, binary, all pairs of 100 agents, T = 1000", 2e-3, all_transfers, "PyInform")
    yield Row("TE, 4 symbols, a pair, T = 1000", 3e-6, edge_transfers, "PyInform", 5000)
    yield Row("sliding-window entropy, an update", 20e-9, window_updates, units=1_000_000)
    yield Row("the same, with error, interval and flags", math.inf, window_estimates, units=1_000_000)
    yield Row("histogram entropy of 1e6 agents", 2.5e-3, histogram_entropy, "numpy")
    yield Row("permutation entropy, order 4, a sample", math.inf, patterns, "antropy", 100_000)
    yield Row("the same, streamed", 30e-9, patterns_streamed, units=100_000)
    yield Row("LZ76, 1e5 symbols", 0.1, phrases, "antropy")
    yield Row("KL entropy, 1e5, 1-D, plain", 0.03, lambda: neighbour_entropy(1, **PLAIN), "infomeasure")
    yield Row("KL entropy, 1e5, 1-D", math.inf, lambda: neighbour_entropy(1), "infomeasure")
    yield Row("KL entropy, 1e5, 5-D, plain", 0.6, lambda: neighbour_entropy(5, **PLAIN), "infomeasure")
    yield Row("KL entropy, 1e5, 5-D", math.inf, lambda: neighbour_entropy(5), "infomeasure")
    yield Row("KSG MI, 1e5, 1 + 1-D, plain", 0.09, lambda: information_sklearn(**PLAIN), "scikit-learn")
    yield Row("KSG MI, 1e5, 1 + 1-D", math.inf, lambda: information_sklearn(), "scikit-learn")
    yield Row("KSG MI, 1e4, 5 + 5-D, plain", 0.4, lambda: information_npeet(10_000, **PLAIN), "npeet_plus")
    yield Row("KSG MI, 1e4, 5 + 5-D", math.inf, lambda: information_npeet(10_000), "npeet_plus")
    few = PLAIN | {"queries": 5000}
    yield Row("KSG MI, 1e5, 5 + 5-D, plain", 17.0, lambda: information_npeet(100_000, **PLAIN), "npeet_plus", long=True)
    yield Row("KSG MI, 1e5, 5 + 5-D, plain, 5000 queries", 2.0, lambda: information_npeet(100_000, **few), "npeet_plus",
              long=True)  # fmt: skip
    yield Row("BROJA, 2 x 2 x 2", 1e-3, lambda: gate_parts(2), "dit")
    yield Row("BROJA, 4 x 4 x 4", 20e-3, lambda: gate_parts(4), "dit")
    yield Row("O-information of all triplets of 100", 50e-3, triplets)


def seconds(work: Work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


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
    except (ImportError, AttributeError) as error:
        return f"| {row.what} | absent: {error} | | | |"
    mine, theirs = [], []
    for _ in range(1 if row.long else rounds):
        mine.append(seconds(work) / row.units)
        if peer is not None and sum(theirs) * row.units < PATIENCE:
            theirs.append(seconds(peer) / row.units)
    verdict = "" if math.isinf(row.asked) else said(row.asked) + ("" if min(mine) <= row.asked else " (missed)")
    ratio = f"{median(b / a for a, b in zip(mine, theirs, strict=False)):.3g}" if theirs else ""
    against = f"{row.peer} {said(min(theirs))}" if theirs else ""
    return f"| {row.what} | {said(min(mine))} | {against} | {ratio} | {verdict} |"


HEAD = "| | ours | peer | peer / ours | asked |\n|---|---|---|---|---|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="regular expression: jobs whose name matches")
    parser.add_argument("--long", action="store_true", help="with the jobs that take the peer a minute")
    parser.add_argument("--write", type=Path, help="write the table to this file as well")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [HEAD]
    print(HEAD)
    for row in rows():
        if re.search(options.only, row.what) and (options.long or not row.long):
            lines.append(line(row, options.rounds))
            print(lines[-1], flush=True)
    if options.write:
        options.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
