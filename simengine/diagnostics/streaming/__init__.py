"""Observables that compute diagnostics while a simulation runs.

Functions have the names of the pure ones, but take fields in place of arrays, and are listed under ``observe``::

    from simengine.diagnostics import streaming
    from simengine.diagnostics.streaming import field

    observe = [
        streaming.entropy(field("agents.opinion", bins=20, range=(-1, 1))),
        streaming.transfer_entropy(field("agents.opinion", bins=4, range=(-1, 1)), "friends", window=100),
    ]

Each records its value with ``_standard_error``, ``_null_mean``, ``_null_sd`` and ``_flags``. Bins are fixed for the
whole run; values are the same bits for any number of shards and threads.
"""

from __future__ import annotations

import importlib
from typing import Any

from simengine.errors import nearest

_HOME: dict[str, tuple[str, ...]] = {
    "binning": ("field",),
    "channels": ("effective_channels",),
    "distributions": (
        "community_disagreement", "dual_total_correlation", "effective_opinions", "entropy", "mutual_information",
        "o_information", "opinion_polarization", "total_correlation",
    ),
    "headings": ("heading_entropy", "heading_entropy_excess", "heading_polarization"),
    "moments": ("bimodality", "early_warning", "gaussian_mutual_information", "variance"),
    "networks": ("assortative_information", "degree_entropy", "random_walk_entropy_rate"),
    "observable": ("flags_of",),
    "ordinal": ("permutation_entropy", "statistical_complexity"),
    "pairwise": ("pairwise_transfer_entropy",),
    "policies": ("action_entropy", "policy_diversity", "policy_entropy"),
    "processes": (
        "active_information_storage", "drift", "entropy_production", "entropy_rate", "transfer_entropy",
    ),
    "sampled": ("differential_entropy", "neighbour_mutual_information"),
    "space": ("spatial_entropy",),
    "surprise": ("novelty", "resonance", "transience"),
}  # fmt: skip
"""The public names by the module that holds them."""

_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        hint = nearest(name, __all__)
        raise AttributeError(f"module 'simengine.diagnostics.streaming' has no attribute {name!r}{hint}")
    value = getattr(importlib.import_module(f"simengine.diagnostics.streaming.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__name__"])
