"""Nearest neighbours against scikit-learn, npeet_plus and scipy: entropy and mutual information from k = 4 neighbours.

Command: ``pip install scikit-learn npeet_plus && python benchmarks/nearest_neighbours.py`` (options: ``--rounds 3``,
``--slow`` for the row of minutes). Pairs of standard normal numbers with correlation 0.6 in every component. CPU
seconds, the least of several rounds in which all take turns, compiled before; one thread. What is timed is the
estimate from the arrays, with the plain formulas (Kozachenko-Leonenko; Kraskov et al. 2004, equation 8) around the
searches; the peers' own estimates stand beside ours. scikit-learn scales and jitters its input, npeet_plus jitters it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import npeet_plus
import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_regression

from simengine.diagnostics.continuous.knn import count_within, digamma_table, kth_distances

K = 4


def entropy(x: Any) -> float:
    n, d = x.shape
    return float(digamma(n) - digamma(K) + d * np.log(2.0 * kth_distances(x, K)).mean())


def entropy_scipy(x: Any) -> float:
    n, d = x.shape
    return float(digamma(n) - digamma(K) + d * np.log(2.0 * cKDTree(x).query(x, K + 1, p=np.inf)[0][:, K]).mean())


def entropy_npeet(x: Any) -> float:
    return float(npeet_plus.entropy(x, k=K, base=np.e))


def information(x: Any, y: Any, queries: Any = None) -> float:
    radii = kth_distances(np.column_stack((x, y)), K, queries)
    psi = digamma_table(len(x))
    near_x, near_y = count_within(x, radii, queries=queries), count_within(y, radii, queries=queries)
    return float(psi[K] + psi[len(x)] - (psi[near_x + 1] + psi[near_y + 1]).mean())


def information_sklearn(x: Any, y: Any) -> float:
    return float(mutual_info_regression(x, y[:, 0], n_neighbors=K, random_state=0)[0])


def information_npeet(x: Any, y: Any) -> float:
    return float(npeet_plus.mi(x, y, k=K, base=np.e))


def cpu_seconds(call: Callable[[], float]) -> tuple[float, float]:
    start = time.process_time()
    value = call()
    return time.process_time() - start, value


def compare(name: str, calls: dict[str, Callable[[], float]], rounds: int) -> None:
    """Print the time of the first, and of the others as multiples of it."""
    least = dict.fromkeys(calls, float("inf"))
    values = {}
    for _ in range(rounds):
        for who, call in calls.items():
            seconds, values[who] = cpu_seconds(call)
            least[who] = min(least[who], seconds)
    own = least["simengine"]
    cells = [f"simengine {own:.4f} s ({values['simengine']:.4f})"]
    cells += [f"{who} x {least[who] / own:.1f} ({values[who]:.4f})" for who in calls if who != "simengine"]
    print(f"{name:<28}" + "   ".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow", action="store_true", help="npeet_plus on 100 000 pairs of vectors, a minute a round")
    options = parser.parse_args()

    rng = np.random.default_rng(1)
    x = rng.normal(size=(100_000, 5))
    y = 0.6 * x + 0.8 * rng.normal(size=x.shape)
    for d in (1, 5):
        begin = time.process_time()
        information(x[:500, :d], y[:500, :d])
        print(
            f"first call, {d} + {d} components: {time.process_time() - begin:.2f} s (little where it is kept on disk)"
        )

    for n in (1_000, 10_000, 100_000):
        for d in (1, 5):
            a, b = x[:n, :d].copy(), y[:n, :d].copy()
            compare(
                f"entropy {n} x {d}",
                {
                    "simengine": lambda a=a: entropy(a),
                    "scipy": lambda a=a: entropy_scipy(a),
                    "npeet_plus": lambda a=a: entropy_npeet(a),
                },
                options.rounds,
            )
            peers = {"simengine": lambda a=a, b=b: information(a, b)}
            if d == 1:
                peers["scikit-learn"] = lambda a=a, b=b: information_sklearn(a, b)
            if n * d < 500_000 or options.slow:
                peers["npeet_plus"] = lambda a=a, b=b: information_npeet(a, b)
            compare(f"information {n} x {d} + {d}", peers, options.rounds if n * d < 500_000 else 1)
    queries = np.sort(rng.choice(len(x), 5_000, replace=False))
    compare("information, 5000 queries", {"simengine": lambda: information(x, y, queries)}, options.rounds)


if __name__ == "__main__":
    main()
