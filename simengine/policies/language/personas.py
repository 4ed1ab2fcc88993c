"""Who an agent is said to be: texts dealt out to agents, the same at every step and for any sharding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simengine.errors import InputError
from simengine.policies.answers import Asked
from simengine.random.streams import Draws
from simengine.scenario.parameters import shown


@dataclass(frozen=True)
class Personas:
    """Texts dealt out at random, texts by id (others are told ``otherwise``), or a function of what is asked."""

    texts: tuple[str, ...] = ()
    by_id: Mapping[int, str] | None = None
    function: Callable[[Asked], Sequence[str]] | None = None
    otherwise: str = "yourself"

    def dealt(self, asked: Asked) -> list[str]:
        """The persona of each agent asked."""
        if self.function is not None:
            return [str(text) for text in self.function(asked)]
        if self.by_id is not None:
            return [self.by_id.get(agent, self.otherwise) for agent in asked.ids.tolist()]
        draws = Draws(asked.draw.seed, asked.draw.population, "policy", asked.ids)
        chosen = np.minimum((draws.uniform("persona") * len(self.texts)).astype(np.int64), len(self.texts) - 1)
        return [self.texts[number] for number in chosen.tolist()]

    def describe(self) -> dict[str, Any]:
        """Plain values for a file."""
        if self.function is not None:
            return {"not_kept": True}
        if self.by_id is not None:
            return {"ids": [int(agent) for agent in self.by_id], "texts": list(self.by_id.values())}
        return {"texts": list(self.texts)}

    @classmethod
    def recall(cls, described: Mapping[str, Any]) -> Personas:
        """What `describe` described."""
        if "ids" in described:
            return cls(by_id=dict(zip(described["ids"], described["texts"], strict=True)))
        return cls(tuple(described["texts"]))


def personas_of(given: Any) -> Personas | None:
    """Return what a user gave as personas; ``InputError`` for anything else."""
    if given is None or isinstance(given, Personas):
        return given
    if isinstance(given, Mapping) and all(isinstance(text, str) for text in given.values()):
        return Personas(by_id={int(agent): text for agent, text in given.items()})
    if callable(given):
        return Personas(function=given)
    if isinstance(given, Sequence) and not isinstance(given, str) and given and all(isinstance(t, str) for t in given):
        return Personas(tuple(given))
    raise InputError(f"personas: got {shown(given)}, allowed are texts, a dict of texts by id, or a function")
