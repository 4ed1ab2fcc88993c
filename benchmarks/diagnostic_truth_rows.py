"""The rows of ``diagnostic_truth.py``: which estimator is held against which case, and with how many samples."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests" / "diagnostics")]

import truths  # noqa: E402
import truths_in_time as timed  # noqa: E402
import truths_of_groups as groups  # noqa: E402
import truths_of_pairs as pairs  # noqa: E402
import truths_of_places as places  # noqa: E402
import truths_of_populations as populations  # noqa: E402
from truths import Truth  # noqa: E402

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


def decomposed(case: Truth) -> Call:
    """One part of the information of two sources, by the case's definition."""
    call = using("multivariate.partial:partial_information", definition=case.info["definition"])
    return lambda *labels: list(call(*labels))[case.info["part"]]


def changed(kind: str) -> Call:
    """Novelty and the like of the period in which the law changes."""
    known = {} if kind == "drift" else {"window": timed.SEEN_BACK}
    call = using(f"dynamics.change:{kind}", **known)
    return lambda counts: call(counts)[timed.CHANGED]


def gridded(counts: Any) -> Any:
    """Karlstrom and Ceccato's entropy of a square grid of cells."""
    space = importlib.import_module("simengine.diagnostics.populations.space")
    return space.karlstrom_ceccato_entropy(counts, space.grid_neighbours((places.CELLS,) * 2))


def heading_zones(position: Any, heading: Any) -> Any:
    """H2 of the calibrated numbers of a school."""
    found = using("calibration:calibrate", box=10.0)(position, heading)
    return found["calibrated_polarization_entropy"]


def extrapolated(**options: Any) -> Call:
    """Diffusion spectral entropy at infinitely many points, which is what its interval is of."""
    call = using("multivariate.diffusion:diffusion_spectral_entropy", **options)

    def found(points: Any) -> Any:
        one = call(points)
        return replace(one, value=one.details["extrapolated"])

    return found


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
    "normal 1-D", "normal 2-D", "normal 5-D", "student 3, 1-D", "uniform", "uniform square",
    "uniform cube", "exponential", "lognormal",
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
    apart = ["student 1, 1 + 1", "swiss roll", "uniform noise 0.1", "uniform noise 0.75"]
    yield from rows(MI, ["copula"], cases, apart, [1000], inside=False)
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

    yield from of_counts()
    yield from of_processes()
    yield from of_agents()
    yield from of_networks()


def of_counts() -> Iterator[Row]:
    """Entropies of tables beside Shannon's of one variable, and the parts of information."""
    few, many = ["uniform-10", "skewed-2", "geometric", "dirichlet-50"], ["uniform-100", "zipf-200"]
    for order, cases in truths.RENYI.items():
        for names, sizes in ((few, [300, 1000]), (many, [400, 4000])):
            mine = [f"{name}, order {order:g}" for name in names]
            yield from rows("counts.generalised:renyi_entropy", [""], cases, mine, sizes, take=tallied, order=order)
        rare = [f"zipf-200, order {order:g}"]
        yield from rows("counts.generalised:renyi_entropy", [""], cases, rare, [40], take=tallied, order=order,
                        inside=False)  # fmt: skip
    for order, cases in truths.TSALLIS.items():
        yield from rows("counts.generalised:tsallis_entropy", [""], cases, [], [300, 4000], take=tallied, order=order)
    for word, cases in (("joint", truths.JOINT_ENTROPIES), ("conditional", truths.CONDITIONAL_ENTROPIES)):
        yield from rows(f"information:{word}_entropy", ["grassberger", "miller-madow"], cases, [], [200, 1000])
        yield from rows(f"information:{word}_entropy", ["grassberger"], cases, ["random 4 x 5"], [30], inside=False)
    yield from rows("coding:cross_entropy", [""], truths.CROSS, [], [100, 1000])
    yield from rows("coding:cross_entropy", [""], truths.CROSS, ["labels, 8 states"], [30], inside=False)
    yield from rows("counts.divergences:cross_entropy_from_counts", [""], truths.CROSS_COUNTS, [], [100, 1000])
    for case in groups.DECOMPOSED.values():
        yield from (Row(case.info["definition"], decomposed(case), case, n) for n in (300, 2000))
    case = groups.DECOMPOSED["synergy, uneven, broja"]
    yield Row("broja", decomposed(case), case, 60, False)
    coordination = populations.COORDINATION
    yield from rows("multivariate.coupling:coordination_index", ["grassberger"], coordination, [], [300, 2000])
    yield from rows("multivariate.coupling:coordination_index", ["grassberger"], coordination, [], [60], inside=False)


def of_processes() -> Iterator[Row]:
    """What runs in time: patterns, phrases, currents and changes."""
    yield from rows("dynamics.ordinal:statistical_complexity", ["counts"], timed.COMPLEXITIES, [], [300, 3000], order=3)
    yield from rows("dynamics.lempel_ziv:lempel_ziv_complexity", [""], timed.PHRASES, [], [5, 30])
    for clock, cases in timed.CURRENTS.items():
        yield from rows(PRODUCED, ["bound"], cases, [], [400, 2000], clock=clock)
        yield from rows(PRODUCED, ["bound"], cases, ["current, 0.3"], [50], clock=clock, inside=False)
    for case in timed.CHANGES.values():
        yield from (Row("-", changed(case.quantity), case, n, n >= 100) for n in (20, 300, 3000))


def of_agents() -> Iterator[Row]:
    """Actions, opinions, places and headings of agents."""
    for name, function in (
        ("action entropy", "action_entropy"), ("policy entropy", "policy_entropy"),
        ("policy diversity", "policy_diversity"), ("belief entropy", "belief_entropy"),
    ):  # fmt: skip
        mine = [one.name for one in populations.POLICIES.values() if one.quantity == name]
        yield from rows(f"populations.policies:{function}", [""], populations.POLICIES, mine, [50, 300])
    yield from rows("populations.policies:action_information", [""], populations.SIGNALS, [], [200, 2000])
    cases = populations.OPINION_CLASSES
    for order, name in ((1, "7 classes, effective"), (2, "7 classes, effective by pairs")):
        yield from rows("populations.opinions:effective_opinions_from_counts", [""], cases, [name], [100, 1000],
                        order=order)  # fmt: skip
    yield from rows("populations.agreement:ordinal_agreement_from_counts", [""], cases, ["7 classes, agreement"],
                    [100, 1000])  # fmt: skip

    box = {"low": 0.0, "high": 1.0}
    yield from rows("populations.space:spatial_entropy", [""], places.PLACES, [], [200, 1000],
                    cells=places.CELLS, **box)  # fmt: skip
    yield from rows("populations.space:spatial_entropy", [""], places.PLACES, ["tilted places"], [20],
                    cells=places.CELLS, inside=False, **box)  # fmt: skip
    batty = using("populations.space:batty_entropy", areas=places.AREAS)
    for case in places.ZONED.values():
        call = batty if case.quantity == "Batty entropy" else gridded
        yield from (Row("-", call, case, n) for n in (200, 1000))
    altieri = {"distances": list(places.DISTANCES), "periodic": True, "shuffles": 20}
    yield from rows("populations.altieri:altieri_entropy", [""], places.PATCHES, [], [300, 1000], **altieri, **box)
    shells = {"reach": places.REACH, "bins": places.SHELLS}
    for case in places.GASES.values():
        for periodic in (True, False) if not case.info["clusters"] else (True,):
            call = using("populations.pairs:pair_excess_entropy", periodic=periodic, **shells, **box)
            yield Row("periodic" if periodic else "open", call, case, case.info["agents"])
    yield from rows("populations.neighbour_distances:neighbour_distance_entropy", [""], places.NEIGHBOUR_GASES, [],
                    [200, 1000], **box)  # fmt: skip
    yield from (Row("calibrated", heading_zones, case, n) for case in populations.SCHOOLS.values() for n in (100, 500))

    yield from rows("multivariate.channels:effective_channels", ["corrected"], populations.EMBEDDINGS, [], [150, 1000],
                    shuffles=0)  # fmt: skip
    yield from rows("multivariate.channels:effective_channels", ["corrected"], populations.EMBEDDINGS, [], [30],
                    shuffles=0, inside=False)  # fmt: skip
    for name, case in populations.CLOUDS.items():
        call = extrapolated(sigma=case.info["sigma"])
        yield from (Row("-", call, case, n, "normal" not in name) for n in (200, 500))
    for case in populations.CAMPS.values():
        call = using("multivariate.diffusion:diffusion_mutual_information", sigma=case.info["sigma"], t=case.info["t"])
        yield Row("-", call, case, 400)


def of_networks() -> Iterator[Row]:
    """Graphs, and opinions on them."""
    for case in places.GRAPHS.values():
        name = "degree_entropy" if case.quantity == "degree entropy" else "random_walk_entropy_rate"
        yield Row("-", using(f"populations.networks:{name}", nodes=300), case, 300)
    yield from rows("populations.networks:assortative_information", [""], places.BLOCKS, [], [200])
    yield from rows("populations.networks:edge_turnover_entropy", [""], places.TURNOVERS, [], [150], nodes=150)
    for case in places.DISAGREEMENTS.values():
        yield Row("-", using("populations.disagreement:graph_disagreement"), case, case.info["agents"])
    for case in places.SETTLED.values():
        yield Row("-", using("populations.disagreement:friedkin_johnsen_polarization"), case, 200)
