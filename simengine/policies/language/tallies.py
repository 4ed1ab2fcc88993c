"""What became of the decisions put to a language model: counts so far, and the latest of each agent asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.policies.language.reading import Provenance
from simengine.policies.reports import SERIES

Array = NDArray[Any]
COUNTED = {
    Provenance.ANSWERED: "answered",
    Provenance.REUSED: "reused",
    Provenance.REPAIRED: "repaired",
    Provenance.REFUSED: "refused",
    Provenance.FALLBACK: "fallbacks",
}


def _none() -> dict[str, Array]:
    return {
        "ids": np.zeros(0, np.int64), "provenance": np.zeros(0, np.int64), "entropy": np.zeros(0),
        "coverage": np.zeros(0),
    }  # fmt: skip


@dataclass
class Tally:
    """Counts of one decision by the names of `simengine.policies.reports.SERIES`, and its latest step."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SERIES, 0))
    latest: dict[str, Array] = field(default_factory=_none)
    step: int = -1
    idle: bool = False

    def add(
        self, latest: Mapping[str, Array], step: int, contexts: int, input_tokens: int, output_tokens: int
    ) -> None:  # fmt: skip
        """Count decisions of a step: ``ids``, ``provenance``, ``entropy`` and ``coverage`` of those asked.

        Those who were asked earlier in the same step, in turn, stay among the latest.
        """
        before = self.latest if step == self.step else _none()
        others = ~np.isin(before["ids"], latest["ids"])
        together = {name: np.concatenate([held[others], latest[name]]) for name, held in before.items()}
        order = np.argsort(together["ids"], kind="stable")
        self.idle = False
        self.latest, self.step = {name: held[order] for name, held in together.items()}, step
        self.counts["asked"] += len(latest["ids"])
        self.counts["contexts"] += contexts
        self.counts["input_tokens"] += input_tokens
        self.counts["output_tokens"] += output_tokens
        for status, name in COUNTED.items():
            self.counts[name] += int((latest["provenance"] == status).sum())

    def nobody(self, step: int) -> None:
        """Note that nobody was asked at a step: all follow the rule."""
        self.idle = self.idle or step != self.step

    def last(self) -> dict[str, Array]:
        """The latest step, of those whose latest action came of it."""
        return _none() if self.idle else self.latest

    @property
    def unanswered(self) -> int:
        """Decisions so far in which the fallback acted."""
        return self.counts["refused"] + self.counts["fallbacks"]

    def numbers(self) -> dict[str, float]:
        """The counts, and sum and number of what is known of the latest entropies and coverages."""
        found: dict[str, float] = dict(self.counts)
        for name in ("entropy", "coverage"):
            known = self.latest[name][np.isfinite(self.latest[name])]
            found[f"{name}_number"], found[f"{name}_total"] = len(known), float(known.sum())
        return found

    def state(self) -> dict[str, Any]:
        """All of it, for checkpoints."""
        return {"counts": dict(self.counts), "latest": dict(self.latest), "step": self.step, "idle": self.idle}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Tally:
        """The tally that `state` gave."""
        counts = {name: int(number) for name, number in state["counts"].items()}
        latest = {name: np.asarray(values) for name, values in state["latest"].items()}
        return cls(counts, latest, int(state["step"]), bool(state["idle"]))
