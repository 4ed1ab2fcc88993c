"""Which phase a run is in, by rules on its observables; the phases of shipped scenarios in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.analysis.statistics.rules import Rule
from simengine.errors import InputError

NONE = "none"
MOST = 100

Condition = str | Callable[..., Any]

_SCHOOLING = {
    "torus": "rotation > 0.5 and polarization < 0.5",
    "parallel": "polarization > 0.65",
    "swarm": "polarization <= 0.5 and rotation <= 0.5",
}
_OPINIONS = {
    "consensus": "major_clusters <= 1",
    "polarization": "major_clusters > 1 and major_clusters <= 2",
    "fragmentation": "major_clusters > 2",
}
_CASCADES = {"global cascade": "share_active >= 0.5", "local": "share_active < 0.5"}
_COMMONS = {"survives": "going_on > 0.5", "collapses": "going_on <= 0.5"}

DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "Schooling": _SCHOOLING,
    "GuidedSchooling": _SCHOOLING,
    "Flocking": {"flock": "polarization > 0.65", "disorder": "polarization <= 0.65"},
    "DeffuantWeisbuch": _OPINIONS,
    "DeGroot": _OPINIONS,
    "FriedkinJohnsen": _OPINIONS,
    "HegselmannKrause": _OPINIONS,
    "Voter": {"consensus": "discordance <= 0", "coexistence": "discordance > 0"},
    "Granovetter": _CASCADES,
    "IndependentCascade": _CASCADES,
    "LinearThreshold": _CASCADES,
    "WattsCascade": _CASCADES,
    "Commons": _COMMONS,
    "GovSim": {"survives": "collapsed < 0.5", "collapses": "collapsed >= 0.5"},
    "Harvest": {"survives": "apples > 0", "collapses": "apples <= 0"},
    "GraphGame": {
        "cooperation": "share_of_cooperators > 0.9",
        "defection": "share_of_cooperators < 0.1",
        "coexistence": "share_of_cooperators >= 0.1 and share_of_cooperators <= 0.9",
    },
}
"""Phases by scenario, each with its rule.

Schools: after Couzin, Krause, James, Ruxton & Franks (2002) J. theor. Biol. 218, 1-11 (a torus has high rotation and
low polarisation, a parallel group high polarisation, a swarm neither); the limits are simengine's, between the
means that ``benchmarks/schooling_states.py`` measures.

Opinions: the number of clusters of more than 2 % of the agents; one, two or more (Hegselmann & Krause 2002, J. Artif.
Soc. Soc. Simul. 5 (3), section 4). Contagion: a cascade is global when it reaches half of all; on large graphs cascades
are either far smaller or far larger. Commons: whether more villages (communities, for GovSim) than not go on.
"""


class Labels(NamedTuple):
    """Labels of runs, in the shape of what the rules speak of.

    ``overlapping`` are pairs of phases whose rules both held for some runs, with their number: the first got them.
    """

    labels: NDArray[np.str_]
    overlapping: dict[tuple[str, str], int]


def defaults(scenario: str) -> Mapping[str, str]:
    """Return the phases of a shipped scenario; ``InputError`` where there are none."""
    if scenario not in DEFAULTS:
        raise InputError(
            f"phases: there are no rules for {scenario or 'this Dataset'}; give rules, as "
            '{"ordered": "polarization > 0.65", ...}'
        )
    return DEFAULTS[scenario]


def read(rules: Mapping[str, Condition]) -> dict[str, Rule | Callable[..., Any]]:
    """Understand rules; ``InputError`` for what is none."""
    if not isinstance(rules, Mapping) or not rules or len(rules) > MOST:
        raise InputError('rules: allowed is a dict of phases and their rules, as {"ordered": "polarization > 0.65"}')
    found: dict[str, Rule | Callable[..., Any]] = {}
    for name, rule in rules.items():
        if not isinstance(name, str) or not name.strip() or name == NONE:
            raise InputError(f"rules: got {name!r} as the name of a phase, allowed is a text other than {NONE!r}")
        found[name] = rule if callable(rule) else Rule.read(rule)
    return found


def names(rules: Mapping[str, Rule | Callable[..., Any]]) -> list[str]:
    """Return which observables rules speak of, in their order; callables are not asked."""
    spoken = [name for rule in rules.values() if isinstance(rule, Rule) for name in rule.names]
    return list(dict.fromkeys(spoken))


def labels(
    rules: Mapping[str, Rule | Callable[..., Any]],
    values: Mapping[str, NDArray[Any]],
    dataset: xr.Dataset | None = None,
) -> Labels:
    """Return the first phase whose rule holds, ``"none"`` where none does.

    Parameters
    ----------
    rules
        What `read` gave, the first ones first; a callable takes ``dataset`` and returns booleans.
    values
        A number for each run, by observable; NaN fits no rule.
    dataset
        The same for callables.
    """
    held: dict[str, NDArray[np.bool_]] = {}
    for name, rule in rules.items():
        held[name] = rule.holds(values) if isinstance(rule, Rule) else _called(name, rule, dataset)
    shape = np.broadcast_shapes(*(one.shape for one in held.values()), *(np.shape(one) for one in values.values()))
    width = max(map(len, (*rules, NONE)))
    found = np.full(shape, NONE, f"<U{width}")
    overlapping: dict[tuple[str, str], int] = {}
    for name, holds in held.items():
        here = np.broadcast_to(holds, shape)
        for earlier in held:
            if earlier == name:
                break
            both = int((here & (found == earlier)).sum())
            if both:
                overlapping[earlier, name] = both
        found[here & (found == NONE)] = name
    return Labels(found, overlapping)


def tell(overlapping: Mapping[tuple[str, str], int]) -> Sequence[str]:
    """Return overlaps in words, one text for each pair."""
    return [f"{first} before {second}: {number}" for (first, second), number in overlapping.items()]


def _called(name: str, rule: Callable[..., Any], dataset: xr.Dataset | None) -> NDArray[np.bool_]:
    try:
        found = rule(dataset)
        values = np.asarray(getattr(found, "values", found))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"phases: the rule of {name!r} raised {type(error).__name__}: {error}") from error
    if values.dtype.kind != "b":
        raise InputError(f"phases: the rule of {name!r} gave {values.dtype}, allowed are booleans, one for each run")
    return values
