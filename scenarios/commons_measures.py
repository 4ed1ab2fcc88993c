"""What is measured of villages that share a commons, and of how alike their norms are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine import InputError, Output, observable
from simengine.diagnostics import streaming

OPEN = 0
"""Of villages: going on; otherwise why it ended."""
STARVED, EXHAUSTED = 1, 2
QUANTILES = (0.1, 0.5, 0.9)
UNIT_LENGTH = 1e-6
"""By how much the length of a unit vector may miss 1."""

Array = NDArray[Any]


class NormGeometry(NamedTuple):
    """How alike the norms of a group are."""

    individual: float
    """Mean cosine of the angles between pairs of norms."""
    alignment: float
    """Mean cosine of the angles between a norm and the mean norm."""


def norm_geometry(norms: ArrayLike) -> NormGeometry:
    """Return how alike norms are, each a unit vector: embeddings of texts, of shape (n, dimensions).

    The two measures of Gupta et al. (2025). They are one: with S the second, |sum of norms| / n, the first is
    (n S^2 - 1) / (n - 1), between -1 / (n - 1) and 1.

    Raises
    ------
    InputError
        For fewer than two norms, and for vectors that have not length 1.
    """
    vectors = np.asarray(norms, float)
    if vectors.ndim != 2 or len(vectors) < 2:
        raise InputError(f"norm_geometry: norms have the shape (n, dimensions), n from 2: not {vectors.shape}")
    lengths = np.linalg.norm(vectors, axis=1)
    if not (np.abs(lengths - 1.0) <= UNIT_LENGTH).all():
        wrong = int(np.argmax(~(np.abs(lengths - 1.0) <= UNIT_LENGTH)))
        raise InputError(f"norm_geometry: norm {wrong} has length {lengths[wrong]:g}, not 1")
    n, mean = len(vectors), vectors.mean(axis=0)
    size = float(np.linalg.norm(mean))
    alignment = float((vectors @ mean).mean() / size) if size > 0.0 else 0.0
    pairs = float(np.square(vectors.sum(axis=0)).sum() - np.square(vectors).sum())
    return NormGeometry(pairs / (n * (n - 1)), alignment)


def gini(values: Array) -> float:
    """Return the Gini coefficient of numbers that are not negative; 0 where there is nothing to share."""
    ranked = np.sort(values)
    sum_of_all = float(ranked.sum())
    if not sum_of_all > 0.0:
        return 0.0
    n = len(ranked)
    return float((ranked * (2.0 * np.arange(1, n + 1) - n - 1)).sum() / (n * sum_of_all))


@observable(
    outputs=(
        Output("survival", long_name="rounds that villages have lived, mean"),
        Output("going_on", long_name="share of villages that go on"),
        Output("efficiency", long_name="harvest over the best sustainable one in rounds lived, mean of villages"),
        Output("stock", long_name="stock, mean of villages"),
        Output("norm", long_name="cap on a member's harvest that the village has agreed on, mean of villages"),
        Output("imbalance", long_name="largest |stock + harvest - growth - first stock|, relative"),
    )
)
def villages_fare(villages: Any, p: Any) -> dict[str, float]:
    """How the villages fare, those that have ended as they were then."""
    reference = np.maximum(p.carrying_capacity, villages.harvested)
    difference = villages.stock + villages.harvested - villages.grown - villages.endowment
    with np.errstate(invalid="ignore", divide="ignore"):
        efficiency = villages.harvested / (p.best_harvest * np.maximum(villages.rounds, 1))
    return {
        "survival": float(villages.rounds.mean()),
        "going_on": float((villages.ending == OPEN).mean()),
        "efficiency": float(efficiency.mean()),
        "stock": float(villages.stock.mean()),
        "norm": float(villages.norm.mean()),
        "imbalance": float((np.abs(difference) / reference).max()),
    }


@observable(
    outputs=(
        Output("alive_share", long_name="share of those who founded the villages that live"),
        *(
            Output(f"{name}_{kind}", long_name=f"{name} of the living, {words}")
            for name in ("effort", "belief")
            for kind, words in (("mean", "mean"), *((f"q{q * 100:.0f}", f"quantile {q:g}") for q in QUANTILES))
        ),
        Output("punished", long_name="share of the living who were punished in the round"),
        Output("wealth_gini", long_name="Gini coefficient of the wealth of the living"),
    )
)
def agents_fare(agents: Any, villages: Any) -> dict[str, float]:
    """How the living fare, and what they do and hold; nan if nobody lives."""
    n = len(agents.effort)
    found = {"alive_share": n / float(villages.founders.sum())}
    for name in ("effort", "belief"):
        values = getattr(agents, name)
        found[f"{name}_mean"] = float(values.mean()) if n else np.nan
        quantiles = np.quantile(values, QUANTILES) if n else np.full(len(QUANTILES), np.nan)
        found |= {f"{name}_q{q * 100:.0f}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)}
    found["punished"] = float(agents.fined.mean()) if n else np.nan
    found["wealth_gini"] = gini(agents.wealth) if n else np.nan
    return found


EFFORT, BELIEF = "agents.effort", "agents.belief"


def binned(name: str, bins: int) -> Any:
    """The field of a streamed diagnostic: efforts up to 1, beliefs up to the parameter `highest_belief`."""
    return streaming.field(name, bins=bins, range=(0, 1 if name == EFFORT else "highest_belief"))


COMMONS = [
    villages_fare,
    agents_fare,
    streaming.entropy(binned(EFFORT, 20)),
    streaming.entropy(binned(BELIEF, 20)),
    streaming.mutual_information(binned(EFFORT, 8), binned(BELIEF, 8)),
]
