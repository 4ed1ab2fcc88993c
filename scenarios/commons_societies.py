"""Who the villagers of a commons are: environments, societies and their traits, and the paper's comparison of them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Society = Literal["altruistic", "mixed", "selfish", "general"]
Reading = Literal["prose", "table"]
Range = tuple[float, float]
Array = NDArray[Any]

ENVIRONMENTS = {"harsh": {"growth_rate": 0.2}, "rich": {"growth_rate": 0.6}}
TRAITS: dict[str, dict[str, Range]] = {
    "general": {"effort": (0.0, 1.0), "belief": (2.0, 8.0), "prose": (0.0, 1.0), "table": (0.0, 1.0)},
    "altruistic": {"effort": (0.2, 0.5), "belief": (4.0, 8.0), "prose": (0.4, 0.5), "table": (0.0, 0.1)},
    "selfish": {"effort": (0.7, 1.0), "belief": (10.0, 14.0), "prose": (0.0, 0.1), "table": (0.4, 0.5)},
}
"""Ranges of first efforts, beliefs and, in either reading, propensities to punish."""
SOCIETIES: dict[str, Any] = {
    "design": {"environment": ["harsh", "rich"], "society": ["altruistic", "mixed", "selfish"]},
    "replicates": 100,
    "steps": 100,
}
"""The paper's comparison of societies, for ``simengine.sweep(Commons, **SOCIETIES)``."""


def give_traits(agents: Any, draw: Any, society: Society, altruist_share: float, reading: Reading) -> None:
    """Draw efforts, beliefs and propensities to punish from the ranges of a society.

    Of a mixed one each village has its share of altruists, rounded, drawn evenly among its members.
    """
    share = {"altruistic": 1.0, "selfish": 0.0, "general": 0.0, "mixed": altruist_share}[society]
    size = np.bincount(agents.village)
    order = np.lexsort((draw.bits("altruist"), agents.village))
    place = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
    agents.altruist[order] = place < np.repeat(np.rint(share * size), size)
    others = TRAITS["general" if society == "general" else "selfish"]
    for name, kind in (("effort", "effort"), ("belief", "belief"), ("punishment", reading)):
        low, high = np.where(agents.altruist[:, np.newaxis], TRAITS["altruistic"][kind], others[kind]).T
        getattr(agents, name)[:] = draw.uniform(name, low, high)


def medians(values: Array, village: Array, size: Array) -> Array:
    """Return the median of the members' values for each village; village v has ``size[v]`` members, one at least."""
    ranked = values[np.lexsort((values, village))]
    first = np.cumsum(size) - size
    return np.asarray(0.5 * (ranked[first + (size - 1) // 2] + ranked[first + size // 2]))
