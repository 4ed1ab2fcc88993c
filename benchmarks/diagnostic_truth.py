"""Do the intervals of every estimator hold the truth, are they no wider than they must be, and do flags warn?

Command: ``python benchmarks/diagnostic_truth.py`` (options: ``--repetitions 200``, ``--only REGEX``, ``--write FILE``).
A row is an estimator, a law of known value (``tests/diagnostics/truths*.py``) and a number of samples. Over the
repetitions it shows the share of 95 % intervals that hold the truth, their median width over the oracle's (2 x 1.96
standard deviations of the values found), the mean error in those standard deviations, and the share that is flagged.

Asked: either nearly all repetitions are flagged (>= 95 %), or >= 90 % of the intervals hold the truth at <= 1.5 times
the oracle's width. Rows outside an estimator's validity must be of the first kind; rows inside that are of the first
kind are shown as "declined". ``MISS`` marks what fails.
"""

from __future__ import annotations

import argparse
import importlib
import math
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests" / "diagnostics")]

import truths  # noqa: E402
import truths_in_time as timed  # noqa: E402
import truths_of_groups as groups  # noqa: E402
import truths_of_pairs as pairs  # noqa: E402
from truths import Truth  # noqa: E402

HELD, WIDTH, FLAGGED = 0.90, 1.5, 0.95

Call = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """An estimator on samples of a law."""

    estimator: str
    call: Call
    truth: Truth
    n: int
    inside: bool = True

    @property
    def name(self) -> str:
        """What ``--only`` is matched with."""
        return f"{self.truth.quantity} | {self.estimator} | {self.truth.name} | {self.n}"


@dataclass(frozen=True)
class Found:
    """What the repetitions of a row gave."""

    held: float
    width: float
    bias: float
    flagged: float
    flags: str
    milliseconds: float

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


def using(where: str, **options: Any) -> Call:
    """A function ``module:name`` with options, imported when it is called."""
    module, _, name = where.partition(":")

    def call(*arrays: Any, **more: Any) -> Any:
        return getattr(importlib.import_module(f"simengine.diagnostics.{module}"), name)(*arrays, **options, **more)

    return call


def tallied(where: str, **options: Any) -> Call:
    """The same for functions of counts, of labels 0 ... states - 1."""
    call = using(where, **options)
    return lambda labels: call(np.bincount(labels, minlength=options["states"]))


def warning(name: str) -> Call:
    """An indicator of the first of two windows, as long as the series but for a step."""
    call = using("dynamics.early_warning:early_warning", surrogates=0)
    return lambda series: getattr(call(series, window=len(series) - 1), name)[0]


def redundancy(*labels: Any) -> Any:
    """The redundant part of the information of two about a third."""
    return using("multivariate.partial:partial_information")(*labels).redundancy


def neighbour_total(points: Any) -> Any:
    """Total correlation of the columns by nearest neighbours."""
    options = importlib.import_module("simengine.diagnostics.continuous.mutual").Options()
    return using("continuous.total:neighbour_total_correlation")([column[:, None] for column in points.T], options)


def rows(
    where: str, estimators: Iterable[str], cases: Mapping[str, Truth], names: Iterable[str], sizes: Iterable[int],
    *, inside: bool = True, take: Callable[..., Call] = using, **options: Any,
) -> Iterator[Row]:  # fmt: skip
    """Every estimator with every named case (all, if none is named) at every size."""
    sizes = list(sizes)
    for estimator in estimators:
        for name in names or cases:
            case = cases[name]
            known: dict[str, Any] = {"states": case.info["states"]} if take is tallied else {}
            known |= {"estimator": estimator} if estimator else {}
            call = take(where, **known, **options)
            yield from (Row(estimator or "-", call, case, n, inside) for n in sizes)


ENTROPY, MI, CMI = (
    f"information:{name}" for name in ("entropy", "mutual_information", "conditional_mutual_information")
)
COUNTS = ("plug-in", "miller-madow", "grassberger", "chao-shen", "james-stein", "nsb")


LOW = (
    "normal, rho 0", "normal, rho 0.3", "normal, rho 0.6", "normal, rho 0.95", "half-cube", "normal cdf",
    "student 1, 1 + 1", "student 3, 1 + 1", "asinh student 1, 1 + 1", "uniform noise 0.75", "uniform noise 0.1",
)  # fmt: skip
MIDDLE = ("normal, 2-pair 2 + 2", "normal, dense 2 + 2", "half-cube 2 + 2", "student 2, 2 + 2", "swiss roll")
LINEAR = ("normal, rho 0", "normal, rho 0.6", "normal, dense 5 + 5", "normal, 2-pair 10 + 10")
HIGH = ("normal, 2-pair 5 + 5", "normal, 2-pair 10 + 10", "student 3, 5 + 5", "normal, dense 5 + 5")
SMOOTH = (
    "normal 1-D", "normal 2-D", "normal 5-D", "student 3, 1-D", "uniform", "exponential", "lognormal",
)  # fmt: skip
TALLIED = "counts.entropies:entropy_from_counts"
TRANSFER, STORAGE = "dynamics.transfer:transfer_entropy", "dynamics.storage:active_information_storage"
RATE, PRODUCED = "dynamics.rate:entropy_rate", "dynamics.production:entropy_production"


def registry() -> Iterator[Row]:
    """All rows; a line each."""
    cases = truths.DISCRETE_ENTROPIES
    few, many = ["uniform-10", "skewed-2", "geometric", "dirichlet-50"], ["uniform-100", "zipf-200"]
    yield from rows(TALLIED, COUNTS, cases, few, [300, 1000], take=tallied)
    yield from rows(TALLIED, COUNTS, cases, many, [400, 4000], take=tallied)
    yield from rows(TALLIED, COUNTS, cases, many, [40], take=tallied, inside=False)
    yield from rows(ENTROPY, ["auto"], cases, [], [200, 1000])

    cases = truths.DISCRETE_INFORMATIONS
    yield from rows(MI, ["auto", "grassberger", "plug-in"], cases, [], [100, 1000])
    yield from rows(MI, ["auto"], cases, ["random 4 x 5"], [30], inside=False)
    cases = truths.DISCRETE_CONDITIONALS
    yield from rows(CMI, ["auto", "grassberger"], cases, [], [1000])
    yield from rows(CMI, ["auto"], cases, ["random 4 x 5 x 3"], [60], inside=False)

    cases = truths.DIFFERENTIAL_ENTROPIES
    yield from rows(ENTROPY, ["kozachenko-leonenko"], cases, SMOOTH, [250, 1500])
    yield from rows(ENTROPY, ["kozachenko-leonenko"], cases, ["student 3, 3-D", "cauchy"], [1500])
    yield from rows(ENTROPY, ["kozachenko-leonenko"], cases, ["normal 10-D"], [1500], inside=False)
    yield from rows(ENTROPY, ["gaussian"], cases, ["normal 1-D", "normal 5-D", "normal 10-D"], [100, 1000])
    yield from rows(ENTROPY, ["gaussian"], cases, ["exponential", "student 3, 3-D"], [1000], inside=False)

    cases = pairs.CONTINUOUS_INFORMATIONS
    yield from rows(MI, ["ksg-1", "ksg-2"], cases, LOW, [400, 1500])
    yield from rows(MI, ["ksg-1"], cases, LOW, [100], inside=False)
    yield from rows(MI, ["ksg-1"], cases, MIDDLE, [400, 1500])
    yield from rows(MI, ["ksg-2"], cases, MIDDLE, [1500])
    yield from rows(MI, ["ksg-1"], cases, ["normal, 2-pair 3 + 3", "spiral 3 + 3"], [1500])
    yield from rows(MI, ["ksg-1"], cases, HIGH, [1000], inside=False)
    yield from rows(MI, ["auto"], cases, HIGH, [1000], inside=False)
    yield from rows(MI, ["gaussian", "copula"], cases, LINEAR, [100, 1000])
    yield from rows(MI, ["copula"], cases, ["half-cube", "normal cdf", "half-cube 2 + 2"], [1000])
    yield from rows(MI, ["gaussian"], cases, ["half-cube", "student 1, 1 + 1", "swiss roll"], [1000], inside=False)
    yield from rows(MI, ["copula"], cases, ["student 1, 1 + 1", "swiss roll"], [1000], inside=False)
    cases = pairs.ATOMS
    yield from rows(MI, ["atom-aware"], cases, [], [400, 1500])
    yield from rows(MI, ["gao"], cases, [], [1500])
    clipped = ["half clipped", "30 % clipped", "half zeros"]
    yield from rows(MI, ["ksg-1", "ksg-2", "gaussian", "copula"], cases, clipped, [1500], inside=False)
    yield from rows(MI, ["ross"], pairs.LABELS, [], [400, 1500])
    cases = groups.CONTINUOUS_CONDITIONALS
    yield from rows(CMI, ["frenzel-pompe", "gaussian", "copula"], cases, [], [400, 1500])

    total, o = ([name for name in groups.GROUPS if name.startswith(letter)] for letter in ("TC", "O"))
    yield from rows("multivariate.shared:total_correlation", ["gaussian"], groups.GROUPS, total, [200, 1500])
    yield from (Row("ksg-1", neighbour_total, groups.GROUPS[name], n) for name in total for n in (400, 1500))
    yield from rows("multivariate.shared:o_information", ["gaussian"], groups.GROUPS, o, [200, 1500])

    yield from rows(TRANSFER, ["counts"], timed.DISCRETE_TRANSFERS, [], [410, 1000, 5000])
    yield from rows(TRANSFER, ["counts"], timed.DISCRETE_TRANSFERS, [], [100], inside=False)
    yield from rows(TRANSFER, ["gaussian", "copula", "ksg"], timed.CONTINUOUS_TRANSFERS, [], [410, 1500])
    yield from rows(STORAGE, ["counts"], timed.STORAGES, [], [410, 2000], history=1)
    yield from rows(STORAGE, ["counts"], timed.SECOND_STORAGES, [], [2000], history=2)
    yield from rows(STORAGE, ["gaussian", "copula", "ksg"], timed.CONTINUOUS_STORAGES, [], [1000], history=1)
    yield from rows("dynamics.storage:predictive_information", ["auto"], timed.EXCESSES, [], [2000])
    markov = [name for name in timed.ENTROPY_RATES if "second" not in name]
    yield from rows(RATE, ["markov"], timed.ENTROPY_RATES, markov, [410, 3000])
    yield from rows(RATE, ["block"], timed.ENTROPY_RATES, [], [3000], history=2)
    yield from rows(RATE, ["match-length"], timed.ENTROPY_RATES, ["rate, sticky", "rate, coin"], [3000])
    yield from rows(PRODUCED, ["counts"], timed.PRODUCTIONS, [], [1000, 10_000])
    yield from rows(PRODUCED, ["counts"], timed.PRODUCTIONS, ["ring of 6"], [60], inside=False)
    yield from rows(PRODUCED, ["linear"], timed.LINEAR_PRODUCTIONS, [], [1000, 5000])
    yield from rows("dynamics.ordinal:permutation_entropy", ["counts"], timed.PATTERNS, [], [300, 3000], order=3)
    for name, cases in (("autocorrelation", timed.AUTOCORRELATIONS), ("variance", timed.VARIANCES)):
        yield from (Row(name, warning(name), case, n) for case in cases.values() for n in (200, 2000))
    fixed = {"lowest": 1, "bootstraps": 50}
    yield from rows("dynamics.cascades:cascade_exponent", [""], timed.CASCADES, [], [200, 2000], **fixed)

    cases = groups.DISCRETE_GROUPS
    for name, function in (("TC", "total_correlation"), ("DTC", "dual_total_correlation"), ("O", "o_information")):
        mine = [case for case in cases if case.startswith(name + ",")]
        yield from rows(f"multivariate.shared:{function}", ["grassberger"], cases, mine, [200, 2000])
    for case in cases.values():
        if case.quantity == "redundancy":
            yield from (Row("mmi", redundancy, case, n) for n in (200, 2000))

    cases = truths.DIVERGENCES
    for name, function in (("KL", "kl_divergence"), ("JS", "jensen_shannon"), ("PSI", "population_stability_index")):
        mine = [case for case in cases if case.startswith(name)]
        yield from rows(f"counts.divergences:{function}", [""], cases, mine, [100, 1000])
    yield from rows("counts.divergences:hellinger", [""], cases, ["Hellinger, 8 states"], [100, 1000])
    yield from rows("counts.divergences:wasserstein", [""], cases, ["W1, 8 states"], [100, 1000])

    cases = truths.OPINIONS
    for name, measure in (("variance", "variance"), ("pair difference", "pair-difference")):
        mine = [case for case in cases if case.startswith(name)]
        yield from rows("populations.polarization:opinion_polarization", [""], cases, mine, [50, 500], measure=measure)
    mine = [case for case in cases if case.startswith("bimodality")]
    yield from rows("populations.polarization:bimodality", [""], cases, mine, [100, 1000])
    ten = {"bins": 10, "range": (0.0, 1.0)}
    yield from rows("populations.opinions:opinion_entropy", ["grassberger"], cases, ["10 bins, even"], [50], **ten)
    yield from rows("populations.opinions:opinion_entropy", ["grassberger"], cases, ["10 bins, camps"], [500], **ten)
    yield from rows("populations.headings:heading_entropy", [""], truths.HEADINGS, [], [200, 1000], bins=12)
    between = using("populations.communities:community_disagreement")
    for case in truths.DISCRETE_INFORMATIONS.values():
        yield from (Row("community", lambda x, y: between(y, x, states=5), case, n) for n in (200, 1000))


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


def line(row: Row, found: Found | None, problem: str = "") -> str:
    """A row of the table."""
    where = "inside" if row.inside else "outside"
    start = f"| {row.truth.quantity} | {row.estimator} | {row.truth.name} | {row.n} | {where} "
    if found is None:
        return start + f"| | | | | {problem} |"
    return start + (
        f"| {100 * found.held:.1f} | {found.width:.2f} | {found.bias:+.2f} | {found.flags or '-'} "
        f"| {found.verdict(row.inside)} |"
    )


HEAD = (
    "| quantity | estimator | truth | N | validity | held, % | width / oracle | error, sd | flags | |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--only", default="", help="regular expression on 'quantity | estimator | truth | N'")
    parser.add_argument("--write", type=Path, help="write the table to this file as well")
    parser.add_argument("--misses", action="store_true", help="print misses only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [HEAD]
    counts: dict[str, int] = {}
    print(HEAD)
    for row in registry():
        if not re.search(options.only, row.name):
            continue
        problem, found = "", None
        try:
            found = measured(row, options.repetitions)
            verdict = found.verdict(row.inside).partition(":")[0]
        except Exception as error:
            missing = isinstance(error, ModuleNotFoundError | AttributeError)
            verdict = "absent" if missing else "ERROR"
            problem = f"{verdict}: {type(error).__name__}: {error}".replace("\n", " ")[:160]
        counts[verdict] = counts.get(verdict, 0) + 1
        lines.append(line(row, found, problem))
        if not options.misses or verdict in ("MISS", "ERROR"):
            print(lines[-1], flush=True)
    summary = f"{options.repetitions} repetitions; " + ", ".join(f"{name} {count}" for name, count in counts.items())
    print(summary)
    if options.write:
        options.write.write_text("\n".join([*lines, "", summary]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
