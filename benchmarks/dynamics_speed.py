"""Time of information in time series against PyInform 0.2 and antropy 0.2.3, interleaved in one run.

Command: ``python benchmarks/dynamics_speed.py`` (option: ``--repeats 5``). Processor seconds on one thread, minimum
over repeats; the peer's all pairs are extrapolated from 500 of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np

from simengine.diagnostics.dynamics.lempel_ziv import lempel_ziv_complexity
from simengine.diagnostics.dynamics.ordinal import permutation_entropy
from simengine.diagnostics.dynamics.ordinal_kernels import count_patterns
from simengine.diagnostics.dynamics.pairs import transfer_entropies
from simengine.diagnostics.dynamics.rate import entropy_rate
from simengine.diagnostics.dynamics.storage import active_information_storage
from simengine.diagnostics.dynamics.transfer import transfer_entropy

Row = tuple[str, Callable[[], object], Callable[[], object] | None, float, float]


def rows() -> Iterator[Row]:
    """Name, our work, the peer's, and how much of the whole either does."""
    import pyinform

    rng = np.random.default_rng(0)
    for states in (2, 3, 4):
        agents = rng.integers(0, states, (100, 1000))

        def peer_pairs(agents: np.ndarray = agents) -> None:
            for j in range(1, 6):
                for i in range(100):
                    pyinform.transfer_entropy(agents[i], agents[(i + j) % 100], 1)

        yield (
            f"TE, 9900 pairs, T = 1000, {states} states",
            lambda agents=agents: transfer_entropies(agents),
            peer_pairs,
            1.0,
            500 / 9900,
        )
    x, y = rng.integers(0, 2, (2, 10000))
    yield (
        "TE of one pair, T = 1e4",
        lambda: transfer_entropy(x, y),
        lambda: pyinform.transfer_entropy(x, y, 1),
        1.0,
        1.0,
    )
    yield (
        "storage, T = 1e4, history 8",
        lambda: active_information_storage(x, history=8),
        lambda: pyinform.active_info(x, 8),
        1.0,
        1.0,
    )
    yield (
        "entropy rate, T = 1e4, history 8",
        lambda: entropy_rate(x, history=8),
        lambda: pyinform.entropy_rate(x, 8),
        1.0,
        1.0,
    )
    import antropy

    symbols, noise = rng.integers(0, 2, 100_000), rng.normal(size=100_000)
    few = symbols[:10_000]
    yield "LZ76, 1e4 symbols", lambda: lempel_ziv_complexity(few), lambda: antropy.lziv_complexity(few), 1.0, 1.0
    yield (
        "LZ76, 1e5 symbols",
        lambda: lempel_ziv_complexity(symbols),
        lambda: antropy.lziv_complexity(symbols),
        1.0,
        1.0,
    )
    yield (
        "permutation entropy, 1e5, order 4", lambda: permutation_entropy(noise, order=4),
        lambda: antropy.perm_entropy(noise, order=4), 1.0, 1.0,
    )  # fmt: skip
    ring, counts = rng.normal(size=(4, 100_000)), np.zeros(24, np.int64)
    yield "ordinal counts as they go, 1e5 agents", lambda: count_patterns(ring, 2, 4, 1, counts), None, 1.0, 1.0


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("python benchmarks/dynamics_speed.py: minima in ms, ratios peer / ours")
    print(f"{'what':42} {'peer':>10} {'ours':>10} {'ratio':>9}")
    for name, ours, peer, our_part, peer_part in rows():
        ours()
        mine, theirs = [], []
        for _ in range(repeats):
            mine += [seconds(ours) for _ in range(5)]
            theirs.append(seconds(peer) if peer else float("nan"))
        own, other = 1e3 * min(mine) / our_part, 1e3 * min(theirs) / peer_part
        print(f"{name:42} {other:10.3f} {own:10.3f} {other / own:9.1f}", flush=True)


if __name__ == "__main__":
    main()
