"""Estimators of entropies and what is built on them: pure functions of arrays, and observables that stream them.

Every function answers with an :class:`Estimate`. What each takes is told in
:mod:`simengine.diagnostics.samples`; what its doubts mean in :mod:`simengine.diagnostics.flags`.
"""

from __future__ import annotations

import importlib
from typing import Any

from simengine.errors import nearest

_HOME: dict[str, tuple[str, ...]] = {
    "calibration": ("calibrate",),
    "choosing": ("recommend",),
    "coding": ("cross_entropy",),
    "counts.divergences": (
        "cross_entropy_from_counts", "hellinger", "jensen_shannon", "kl_divergence", "population_stability_index",
        "wasserstein",
    ),
    "counts.entropies": ("entropy_from_counts",),
    "counts.generalised": ("renyi_entropy", "tsallis_entropy"),
    "counts.information": (
        "conditional_entropy_from_table", "conditional_mutual_information_from_table", "mutual_information_from_table",
    ),
    "counts.tables": ("bin_edges", "binned", "histogram", "histogram_entropy"),
    "counts.window": ("WindowEntropy", "sliding_entropy"),
    "decisions.alike": ("decision_channels", "decision_redundancy"),
    "decisions.beliefs": (
        "belief_drift", "excess_movement", "order_averaged_belief", "order_effect", "plausibility_gap",
    ),
    "decisions.entropies": ("collapse_time", "decision_entropy", "entropy_gap"),
    "decisions.fidelity": ("simulation_fidelity",),
    "decisions.information": ("decision_information",),
    "decisions.rows": ("select_decisions",),
    "decisions.stated": ("brier_score", "calibration_error", "reliability_curve"),
    "dynamics.cascades": ("cascade_exponent",),
    "dynamics.change": ("drift", "novelty", "resonance", "transience", "window_counts"),
    "dynamics.early_warning": ("early_warning",),
    "dynamics.lempel_ziv": ("lempel_ziv_complexity",),
    "dynamics.ordinal": ("permutation_entropy", "statistical_complexity"),
    "dynamics.pairs": ("transfer_entropies",),
    "dynamics.production": ("entropy_production",),
    "dynamics.rate": ("entropy_rate",),
    "dynamics.storage": ("active_information_storage", "predictive_information"),
    "dynamics.transfer": ("transfer_entropy",),
    "estimate": ("Estimate",),
    "flags": ("FLAGS",),
    "information": (
        "conditional_entropy", "conditional_mutual_information", "entropy", "joint_entropy", "mutual_information",
    ),
    "multivariate.channels": ("effective_channels",),
    "multivariate.coupling": ("coordination_index", "minimum_entropy_coupling"),
    "multivariate.diffusion": ("diffusion_mutual_information", "diffusion_spectral_entropy"),
    "multivariate.partial": ("partial_information", "partial_information_of"),
    "multivariate.shared": (
        "co_information", "dual_total_correlation", "o_information", "o_informations", "s_information",
        "total_correlation",
    ),
    "populations.agreement": ("ordinal_agreement",),
    "populations.altieri": ("altieri_entropy",),
    "populations.clusters": ("opinion_clusters",),
    "populations.communities": ("community_disagreement", "echo_chamber_index"),
    "populations.disagreement": ("friedkin_johnsen_polarization", "graph_disagreement"),
    "populations.headings": ("heading_entropy", "heading_entropy_excess"),
    "populations.neighbour_distances": ("neighbour_distance_entropy",),
    "populations.networks": (
        "assortative_information", "degree_entropy", "edge_turnover_entropy", "random_walk_entropy_rate",
    ),
    "populations.opinions": ("effective_opinions", "opinion_entropy"),
    "populations.pairs": ("pair_excess_entropy",),
    "populations.polarization": ("bimodality", "opinion_polarization"),
    "populations.policies": (
        "action_entropy", "action_information", "belief_entropy", "policy_diversity", "policy_entropy",
    ),
    "populations.space": ("batty_entropy", "grid_neighbours", "karlstrom_ceccato_entropy", "spatial_entropy"),
    "populations.von_neumann": ("von_neumann_entropy",),
}  # fmt: skip
"""The public names by the module that holds them."""

_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        hint = nearest(name, __all__)
        raise AttributeError(f"module 'simengine.diagnostics' has no attribute {name!r}{hint}")
    value = getattr(importlib.import_module(f"simengine.diagnostics.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__name__"])
