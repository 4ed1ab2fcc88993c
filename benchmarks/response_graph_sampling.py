"""How many interactions does ResponseGraphUCB take until every edge is resolved, beside the published algorithm?

The constant-sum game of 2 x 2 with row means [[0.5, 0.85], [0.15, 0.5]]; each player wins or loses by a draw of its
own. Asked are the means over 60 seeds of open_spiel 2.0.2 (`open_spiel.python.algorithms.response_graph_ucb`), within
3 of their standard errors, and no wrong edge.

    python benchmarks/response_graph_sampling.py [--seeds 60]
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np

from simengine.analysis.games import response_graph, response_graph_ucb

ROW = np.array([[0.5, 0.85], [0.15, 0.5]])
MEANS = [ROW, 1.0 - ROW]
CHANCES = {profile: (float(MEANS[0][profile]), float(MEANS[1][profile])) for profile in np.ndindex(2, 2)}
LOWER_HALF = (1 << 32) - 1
DELTAS = (0.01, 0.1, 0.25)
ASKED = {
    ("UE", "hoeffding"): ((432, 97), (262, 63), (182, 55)),
    ("U", "hoeffding"): ((398, 73), (234, 69), (166, 54)),
    ("VW", "hoeffding"): ((404, 68), (237, 55), (169, 51)),
    ("CW", "hoeffding"): ((403, 70), (242, 58), (181, 57)),
    ("UE", "clopper-pearson"): ((274, 59), (143, 54), (87, 31)),
    ("U", "clopper-pearson"): ((242, 61), (118, 36), (74, 27)),
    ("VW", "clopper-pearson"): ((244, 55), (125, 42), (76, 28)),
    ("CW", "clopper-pearson"): ((257, 66), (127, 42), (77, 32)),
}
ASKED_SEEDS = 60


def won_or_lost(profile: tuple[int, ...], seed: int) -> tuple[bool, bool]:
    """Play once: each player's draw has half of the seed's bits."""
    first, second = CHANCES[profile]
    return (seed >> 32) * 2.0**-31 < first, (seed & LOWER_HALF) * 2.0**-32 < second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=ASKED_SEEDS)
    seeds = parser.parse_args().seeds
    right = {tuple(edge) for edge in response_graph(MEANS).edges.tolist()}
    worst, wrong, played, begun = 0.0, 0, 0, time.perf_counter()
    print(f"mean (sd) of {seeds} seeds | asked | difference in standard errors of the asked mean")
    for (sampling, confidence), cells in ASKED.items():
        row = []
        for delta, (mean, deviation) in zip(DELTAS, cells, strict=True):
            rules = {"delta": delta, "sampling": sampling, "confidence": confidence}
            found = [response_graph_ucb(won_or_lost, (2, 2), seed=seed, **rules) for seed in range(seeds)]
            wrong += sum(len(right - {tuple(edge) for edge in one.graph.edges.tolist()}) for one in found)
            counts = [one.interactions for one in found]
            off = (np.mean(counts) - mean) / (deviation / math.sqrt(ASKED_SEEDS))
            worst, played = max(worst, abs(off)), played + sum(counts)
            row.append(
                f"{np.mean(counts):5.0f} ({np.std(counts, ddof=1):3.0f}) | {mean:3d} ({deviation:2d}) | {off:+.1f}"
            )
        print(f"{sampling:>2}, {confidence:<15}  " + "    ".join(row))
    seconds = time.perf_counter() - begun
    print(f"largest difference {worst:.2f} standard errors (asked: 3); wrong edges {wrong} (asked: 0)")
    print(f"{played:,} interactions, {1e6 * seconds / played:.0f} us each, everything included")


if __name__ == "__main__":
    main()
