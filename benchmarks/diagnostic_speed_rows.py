"""The jobs of `diagnostic_speed.py`, each once: what is done by us, what by the peer, and the time that was asked for.

Jobs import what they need when they are made, so that the absence of one peer costs only its own rows.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Work = Callable[[], object]
Pair = tuple[Work, Work | None]

PLAIN: dict[str, Any] = {"correct": False, "reliability": False}
"""The textbook value that the peers give, without our bias, error and subsample protocol."""

K = 4


@dataclass(frozen=True)
class Row:
    """A job, done by both sides.

    ``units`` divides the times (pairs, updates, samples), and ``asked`` are the seconds a unit that were asked for.
    ``share`` is the part of the job that the peer does; its time is scaled up. ``slow`` jobs keep it for a minute.
    """

    what: str
    make: Callable[[], Pair]
    peer: str = ""
    asked: float = math.inf
    units: int = 1
    share: float = 1.0
    slow: bool = False


def rows() -> Iterator[Row]:
    """All jobs, a line each."""
    yield from counting()
    yield from series()
    yield from neighbours()
    yield from many_variables()


def ours(where: str, *arguments: Any, **options: Any) -> Work:
    """A call of ``module:name`` of simengine.diagnostics."""
    module, _, name = where.partition(":")
    function = getattr(importlib.import_module(f"simengine.diagnostics.{module}"), name)
    return lambda: function(*arguments, **options)


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def counting() -> Iterator[Row]:
    """Entropies from counts."""
    edges = np.linspace(-1.0, 1.0, 65)

    def histogram(opinion: np.ndarray) -> Pair:
        def peer() -> float:
            counts = np.histogram(opinion, 64, (-1.0, 1.0))[0]
            share = counts[counts > 0] / counts.sum()
            return float(-(share * np.log(share)).sum())

        return ours("counts.tables:histogram_entropy", opinion, bins=64, range=(-1.0, 1.0)), peer

    def updates() -> Pair:
        labels = random(1).integers(0, 50, 1_000_000)
        window = importlib.import_module("simengine.diagnostics.counts.window").WindowEntropy(50, 1000)
        return lambda: window.push(labels), None

    def estimates() -> Pair:
        labels = random(1).integers(0, 50, 1_000_000)
        return ours("counts.window:sliding_entropy", labels, 1000, states=50), None

    values = {
        "": lambda: random(4).uniform(-1.0, 1.0, 1_000_000),
        ", all on edges": lambda: random(4).choice(edges, 1_000_000),
        ", a third outside": lambda: random(4).normal(size=1_000_000),
    }  # fmt: skip
    for how, make in values.items():
        yield Row(f"histogram entropy of 1e6 values, 64 bins{how}", lambda m=make: histogram(m()), "numpy", 2.5e-3)
    yield Row("sliding-window entropy, an update", updates, asked=20e-9, units=1_000_000)
    yield Row("the same, with error, interval and flags", estimates, units=1_000_000)


def series() -> Iterator[Row]:
    """Information in time series of symbols, and of the order of numbers."""

    def all_pairs(states: int) -> Pair:
        from pyinform import transfer_entropy

        agents = random(1).integers(0, states, (100, 1000))

        def peer() -> None:
            for shift in range(1, 6):
                for i in range(100):
                    transfer_entropy(agents[i], agents[(i + shift) % 100], 1)

        return ours("dynamics.pairs:transfer_entropies", agents), peer

    def edges() -> Pair:
        from pyinform import transfer_entropy

        agents, chosen = random(1).integers(0, 4, (100, 1000)), random(3).integers(0, 100, (5000, 2))

        def peer() -> None:
            for i, j in chosen[:500]:
                transfer_entropy(agents[i], agents[j], 1)

        return ours("dynamics.pairs:transfer_entropies", agents, edges=chosen), peer

    def one(where: str, peer: str, history: int) -> Pair:
        import pyinform

        x, y = random(0).integers(0, 2, (2, 10_000))
        if peer == "transfer_entropy":
            return ours(where, x, y), lambda: pyinform.transfer_entropy(x, y, history)
        return ours(where, x, history=history), lambda: getattr(pyinform, peer)(x, history)

    def phrases(n: int) -> Pair:
        import antropy

        symbols = random(1).integers(0, 2, n)
        antropy.lziv_complexity(symbols[:100])
        return ours("dynamics.lempel_ziv:lempel_ziv_complexity", symbols), lambda: antropy.lziv_complexity(symbols)

    def patterns() -> Pair:
        import antropy

        numbers = random(5).normal(size=100_000)
        antropy.perm_entropy(numbers, order=4)
        work = ours("dynamics.ordinal:permutation_entropy", numbers, order=4)
        return work, lambda: antropy.perm_entropy(numbers, order=4)

    def streamed() -> Pair:
        ring, counts = random(5).normal(size=(4, 100_000)), np.zeros(24, np.int64)
        return ours("dynamics.ordinal_kernels:count_patterns", ring, 2, 4, 1, counts), None

    for states, name, asked in ((2, "binary", 2e-3), (3, "3 symbols", math.inf), (4, "4 symbols", math.inf)):
        yield Row(
            f"TE, {name}, all 9,900 pairs of 100 agents, T = 1000", lambda s=states: all_pairs(s), "PyInform", asked,
            share=500 / 9900,
        )  # fmt: skip
    yield Row("TE, 4 symbols, a pair of 5,000, T = 1000", edges, "PyInform", 3e-6, 5000, 0.1)
    single = {
        "TE of one pair, T = 1e4": ("dynamics.transfer:transfer_entropy", "transfer_entropy", 1),
        "active storage, T = 1e4, history 8": ("dynamics.storage:active_information_storage", "active_info", 8),
        "entropy rate, T = 1e4, history 8": ("dynamics.rate:entropy_rate", "entropy_rate", 8),
    }
    for what, job in single.items():
        yield Row(what, lambda j=job: one(*j), "PyInform")
    yield Row("permutation entropy, order 4, a sample of 1e5", patterns, "antropy", units=100_000)
    yield Row("order patterns, streamed, a sample", streamed, asked=30e-9, units=100_000)
    yield Row("LZ76, 1e4 symbols", lambda: phrases(10_000), "antropy")
    yield Row("LZ76, 1e5 symbols", lambda: phrases(100_000), "antropy", 0.1)


def pair(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal numbers with correlation 0.6 in every component, each of shape (n, d)."""
    rng = random(2)
    x = rng.normal(size=(n, d))
    return x, 0.6 * x + 0.8 * rng.normal(size=(n, d))


def neighbours() -> Iterator[Row]:
    """Entropy and mutual information of numbers from their nearest neighbours.

    "Search" is the plain formula (Kozachenko-Leonenko; Kraskov et al. 2004, equation 8) around our searches.
    """

    def entropy(n: int, d: int, **options: Any) -> Pair:
        import infomeasure

        x, _ = pair(n, d)
        peer = {"approach": "kl", "k": K, "noise_level": 0, "base": "e", "minkowski_p": np.inf}
        work = ours("information:entropy", x, estimator="kozachenko-leonenko", k=K, **options)
        return work, lambda: infomeasure.entropy(x, **peer)

    def distances(n: int, d: int) -> Pair:
        from scipy.spatial import cKDTree

        x, _ = pair(n, d)
        return ours("continuous.knn:kth_distances", x, K), lambda: cKDTree(x).query(x, K + 1, p=np.inf)

    def peer_information(x: np.ndarray, y: np.ndarray) -> Work:
        if x.shape[1] == 1:
            from sklearn.feature_selection import mutual_info_regression

            return lambda: mutual_info_regression(x, y[:, 0], n_neighbors=K)
        import npeet_plus

        return lambda: npeet_plus.mi(x, y, k=K, base=math.e)

    def information(n: int, d: int, **options: Any) -> Pair:
        x, y = pair(n, d)
        work = ours("information:mutual_information", x, y, estimator="ksg-1", k=K, **options)
        return work, peer_information(x, y)

    def search(n: int, d: int) -> Pair:
        from simengine.diagnostics.continuous.knn import Neighbours, digamma_table

        x, y = pair(n, d)

        def work() -> float:
            joint, psi = Neighbours(np.hstack((x, y))), digamma_table(n)
            radii = joint.kth_distances(K)
            near = (joint.margin(columns).count_within(radii) for columns in (range(d), range(d, 2 * d)))
            return float(psi[K] + psi[n] - sum(psi[count + 1] for count in near).mean())

        return work, peer_information(x, y)

    sizes = {"1e3": 1_000, "1e4": 10_000, "1e5": 100_000}
    for size, n in sizes.items():
        for d in (1, 5):
            yield Row(f"distances to the 4th neighbour, {size}, {d}-D", lambda n=n, d=d: distances(n, d), "scipy")
    asked = {1: 0.03, 5: 0.6}
    for d in (1, 5):
        yield Row(f"KL entropy, 1e5, {d}-D, plain", lambda d=d: entropy(100_000, d, **PLAIN), "infomeasure", asked[d])
        yield Row(f"KL entropy, 1e5, {d}-D", lambda d=d: entropy(100_000, d), "infomeasure")
    for size, n in sizes.items():
        for d, peer in ((1, "scikit-learn"), (5, "npeet_plus")):
            limit = {(100_000, 1): 0.09, (10_000, 5): 0.4, (100_000, 5): 17.0}.get((n, d), math.inf)
            slow, what = n * d >= 500_000, f"KSG MI, {size}, {d} + {d}-D"
            yield Row(f"{what}, search", lambda n=n, d=d: search(n, d), peer, slow=slow)
            yield Row(f"{what}, plain", lambda n=n, d=d: information(n, d, **PLAIN), peer, limit, slow=slow)
            yield Row(what, lambda n=n, d=d: information(n, d), peer, slow=slow)
    few = PLAIN | {"queries": 5000}
    yield Row(
        "KSG MI, 1e5, 5 + 5-D, plain, 5000 queries",
        lambda: information(100_000, 5, **few),
        "npeet_plus",
        2.0,
        slow=True,
    )


def many_variables() -> Iterator[Row]:
    """Parts and totals of the information of several variables; dit's tables are built outside the time."""

    def law(table: np.ndarray) -> Any:
        import dit

        return dit.Distribution({"".join(map(str, cell)): table[cell] for cell in np.ndindex(table.shape)})

    def table(states: int, variables: int) -> np.ndarray:
        return random(6).dirichlet(np.ones(states**variables)).reshape((states,) * variables)

    def union(states: int) -> Pair:
        from dit.pid import PID_BROJA

        p = table(states, 3)
        theirs = law(p)
        work = ours("multivariate.broja:union_information", p)
        return work, lambda: PID_BROJA(theirs, [(0,), (1,)], (2,)).get_pi(((0, 1),))

    def parts(definition: str, states: int) -> Pair:
        from dit import pid

        p = table(states, 3)
        theirs, lattice = law(p), {"mmi": pid.PID_MMI, "williams-beer": pid.PID_WB}[definition]
        work = ours("multivariate.partial:partial_information_of", p, definition)
        return work, lambda: lattice(theirs, ((0,), (1,)), (2,))

    def estimate(states: int) -> Pair:
        p = table(states, 3)
        counts = random(7).multinomial(2000 * states, p.ravel()).reshape(p.shape)
        return ours("multivariate.partial:partial_information", counts=counts, definition="broja"), None

    def totals(where: str, peer: str) -> Pair:
        import dit

        p = table(3, 5)
        theirs = law(p)
        return ours(where, p), lambda: getattr(dit.multivariate, peer)(theirs)

    def triplets(estimator: str) -> Pair:
        points = random(7).normal(size=(1000, 100))
        return ours("multivariate.shared:o_informations", points, estimator=estimator), None

    def channels() -> Pair:
        embeddings = random(8).normal(size=(500, 128))
        return ours("multivariate.channels:effective_channels", embeddings, leave_one_out=True), None

    shapes = {states: " x ".join([str(states)] * 3) for states in (2, 3, 4)}
    for states, shape in shapes.items():
        asked = {2: 1e-3, 4: 20e-3}.get(states, math.inf)
        yield Row(f"BROJA union information, {shape}", lambda s=states: union(s), "dit", asked)
        yield Row(f"BROJA parts with their errors, {shape}", lambda s=states: estimate(s))
        for definition in ("mmi", "williams-beer"):
            yield Row(f"{definition} parts, {shape}", lambda d=definition, s=states: parts(d, s), "dit")
    for what, where, peer in (
        ("total correlation", "multivariate.shared:total_correlation_of", "total_correlation"),
        ("O-information", "multivariate.shared:o_information_of", "o_information"),
    ):
        yield Row(f"{what} of 5 variables of 3 states", lambda w=where, p=peer: totals(w, p), "dit")
    yield Row("O-information of all triplets of 100, Gaussian", lambda: triplets("gaussian"), asked=50e-3)
    yield Row("O-information of all triplets of 100, copula", lambda: triplets("copula"))
    yield Row("effective channels, 500 x 128, leave one out", channels)
