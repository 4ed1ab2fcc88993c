"""What is measured of continuous opinions: their clusters, and how alike those are whom an edge joins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simengine import Output, observable, stop_when
from simengine.diagnostics import streaming
from simengine.diagnostics.populations.clusters import cluster_sizes

MAJOR = 0.02
"""A cluster with more than this share of the agents is a major one."""

OPINION = streaming.field("agents.opinion", bins=20, range=(0.0, 1.0))
COMMUNITY = streaming.field("agents.community", states="n_communities")


@observable
def mean_opinion(agents: Any) -> float:
    """Mean opinion of the agents."""
    return float(agents.opinion.mean())


@observable(
    outputs=(
        Output("major_clusters", dtype="int64", long_name=f"clusters of more than {MAJOR:.0%} of the agents"),
        Output("minor_clusters", dtype="int64", long_name="smaller clusters"),
        Output("largest_cluster", long_name="share of agents in the largest cluster"),
    )
)
def clusters(agents: Any, p: Any) -> dict[str, Any]:
    """Count groups of opinions between which, in the order of opinions, lies a gap wider than ``p.cluster_gap``."""
    sizes = cluster_sizes(np.sort(agents.opinion), p.cluster_gap)
    major = int((sizes > MAJOR * len(agents)).sum())
    return {
        "major_clusters": major,
        "minor_clusters": len(sizes) - major,
        "largest_cluster": float(sizes.max() / len(agents)),
    }


@observable(
    when={"contacts": "network"},
    outputs=(
        Output("assortativity", long_name="correlation of the opinions at the two ends of an edge (echo chambers)"),
        Output("edge_disagreement", long_name="mean squared difference of the opinions at the two ends of an edge"),
    ),
)
def along_edges(agents: Any, acquaintances: Any) -> dict[str, float]:
    """Compare the ends of each edge, both ways; not-a-number without edges, or where all hold one opinion."""
    first, second = agents.opinion[acquaintances.source], agents.opinion[acquaintances.target]
    if not len(first):
        return {"assortativity": math.nan, "edge_disagreement": math.nan}
    mean = 0.5 * (first.mean() + second.mean())
    first, second = first - mean, second - mean
    variance = 0.5 * float(first @ first + second @ second) / len(first)
    product = float(first @ second) / len(first)
    # Differences of the size of rounding correlate with nothing.
    spread = variance > 1e-24
    return {
        "assortativity": product / variance if spread else math.nan,
        "edge_disagreement": 2.0 * max(variance - product, 0.0),
    }


MEASURES = [
    mean_opinion,
    streaming.variance("agents.opinion", range=(0.0, 1.0)),
    streaming.entropy(OPINION),
    streaming.opinion_polarization(OPINION),
    streaming.community_disagreement(OPINION, COMMUNITY),
    clusters,
    along_edges,
]
"""What every model of continuous opinions records. Polarization is the mean difference of two agents' opinions,
disagreement of communities the information (nat) that an opinion gives of its holder's community."""


@stop_when(when={"noise": 0.0})
def settled(agents: Any, acquaintances: Any, p: Any) -> bool:
    """Nobody would move by more than ``p.settled_within`` if it met any of its contacts."""
    if p.n_media > 0 and p.media_weight > 0.0:
        return False
    if p.contacts == "network":
        apart = np.abs(agents.opinion[acquaintances.source] - agents.opinion[acquaintances.target])
        return not bool(((apart < p.bound) & (apart > p.settled_within)).any())
    opinion = np.sort(agents.opinion)
    nearest = np.diff(opinion)
    first = np.concatenate([[0], np.flatnonzero(nearest >= p.bound) + 1])
    last = np.append(first[1:], len(opinion)) - 1
    return bool((opinion[last] - opinion[first] <= p.settled_within).all())
