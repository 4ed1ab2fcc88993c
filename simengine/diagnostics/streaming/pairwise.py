"""Transfer entropy between all agents of a small population."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.dynamics.dependence import COUNT_ESTIMATORS
from simengine.diagnostics.estimate import Estimate, doubted, flagged, normal_interval
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Field, as_binning
from simengine.diagnostics.streaming.distributions import When, streamed, word, words
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Kept
from simengine.diagnostics.streaming.tracked import ABSENT, Tracked, aligned, all_seen, in_rhythm
from simengine.errors import ScenarioError

Array = NDArray[Any]

MOST_AGENTS = 200
"""Agents of whom all pairs are compared."""

SYMBOLIC = ("auto", *COUNT_ESTIMATORS)
"""Estimators of transfer entropy between symbols."""

_COMMON = 0.1


@dataclass(frozen=True)
class Recent(Tracked):
    """The states of each agent at the last ``window`` records.

    The reading is ``(symbols, outside)``: shape (agents, records), oldest first, of the agents that are there now,
    `ABSENT` where one was not; how many values of the last record lay outside. A last record that comes earlier than
    the others begins anew.
    """

    window: int
    most: int

    def described(self) -> dict[str, Any]:
        """Return the field and the window."""
        return {"counts_of": self.field.described(), "window": self.window}

    def close(self, state: Kept, view: Any) -> tuple[Array, int]:
        """Add the moment to those before."""
        parts = state["moment"]
        ids, now = all_seen(parts)
        if len(ids) > self.most:
            raise ScenarioError(f"{self.field.field}: pairs of at most {self.most} agents are compared, not {len(ids)}")
        rows = now[None, :]
        if in_rhythm(state, view.step):
            before = aligned(state["ids"], state["rows"], ids, ABSENT)
            rows = np.concatenate([before[max(len(before) + 1 - self.window, 0) :], rows])
        state["moment"], state["ids"], state["rows"] = [], ids, rows
        return np.ascontiguousarray(rows.T), sum(part["outside"] for part in parts)


def pairwise_transfer_entropy(
    field: Field, *, window: int = 100, lag: int = 1, source_history: int = 1, target_history: int = 1,
    estimator: str = "counts", shuffles: int = 2, name: str = "", unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the mean transfer entropy over all ordered pairs of agents, of at most 200 agents.

    Pairs are those of agents that were there at all of the last ``window`` records; before so many were made, of all
    records. What is left of the bias of short series, which the mean over thousands of pairs would show, is taken off:
    the mean over pairs whose source is shuffled in time. The error is that of leaving out one agent after the other.
    A flag is up if more than a tenth of the pairs have it.

    Parameters
    ----------
    field
        With its bins or states.
    window
        Number of records, 10 or more.
    lag, source_history, target_history, estimator
        As in :func:`~simengine.diagnostics.dynamics.pairs.transfer_entropies`.
    shuffles
        How often each agent is shuffled as a source; each time costs as much as the value itself.
    """
    shuffles = declared.repeats(shuffles)
    lags = {"lag": lag, "source_history": source_history, "target_history": target_history}
    lag, source_history, target_history = (declared.whole(value, word) for word, value in lags.items())
    declared.one_of(estimator, SYMBOLIC, "estimator")
    reach = max(lag + source_history - 1, target_history)
    if declared.whole(window, "window") < max(10, reach + 2):
        raise ScenarioError(f"window is {window}; expected {max(10, reach + 2)} records or more")

    def answer(reading: tuple[Array, int], view: Any) -> Estimate:
        symbols, outside = reading
        there = np.ascontiguousarray(symbols[(symbols != ABSENT).all(axis=1)], np.int64)
        if len(there) < 3 or there.shape[1] < reach + 2:
            doubts = flagged("few_samples" if len(there) < 3 else None, "short_series")
            return Estimate(math.nan, unit=f"{unit}/step", method=estimator, flags=doubts)
        from simengine.diagnostics.dynamics.pairs import transfer_entropies

        options: dict[str, Any] = {
            "estimator": estimator, "lag": lag, "source_history": source_history, "target_history": target_history,
            "unit": unit,
        }  # fmt: skip
        by_chance = [shuffled_mean(there, shuffle, **options) for shuffle in range(shuffles)]
        found = mean_of_pairs(transfer_entropies(there, **options), by_chance)
        return doubted(found, "outside_range" if outside else None)

    return streamed(
        declared.named(name, f"{word(field)}_pairwise_transfer_entropy"),
        Recent(as_binning(field), window, MOST_AGENTS), None, answer, f"{unit}/step",
        f"mean transfer entropy of {words(field)} over all pairs of agents", True,
        {
            "estimator": estimator, "lag": lag, "source_history": source_history, "target_history": target_history,
            "shuffles": shuffles,
        }, when,
    )  # fmt: skip


def shuffled_mean(symbols: Array, seed: int, **options: Any) -> float:
    """Return the mean transfer entropy over ordered pairs of agents, (agents, records), with the source shuffled."""
    from simengine.diagnostics.dynamics.pairs import transfer_entropies

    agents = len(symbols)
    mixed = np.random.Generator(np.random.Philox(seed)).permuted(symbols, axis=1)
    source, target = np.nonzero(~np.eye(agents, dtype=bool))
    edges = np.stack([agents + source, target], axis=1)
    found = transfer_entropies(np.concatenate([symbols, mixed]), edges, **options)
    return float(np.mean(np.asarray(found.value)))


def mean_of_pairs(found: Estimate, by_chance: Sequence[float] = ()) -> Estimate:
    """Return the mean over ordered pairs of three or more agents, from estimates (agents, agents).

    The mean of ``by_chance``, values of shuffles, is taken off.
    """
    values, spreads = np.asarray(found.value), np.asarray(found.null_sd)
    agents = len(values)
    others = ~np.eye(agents, dtype=bool)
    pairs = agents * (agents - 1)
    total = np.where(others, values, 0.0)
    bias = float(np.mean(by_chance)) if by_chance else 0.0
    value = float(total.sum()) / pairs - bias
    # The means of all pairs but those of one agent.
    without = (total.sum() - total.sum(axis=0) - total.sum(axis=1)) / ((agents - 1) * (agents - 2))
    jackknife = (agents - 1) / agents * float(((without - without.mean()) ** 2).sum())
    null = float((spreads[others] ** 2).sum()) / pairs**2
    # What is noise of single pairs, the jackknife counts twice.
    shuffled = null / len(by_chance) if by_chance else 0.0
    error = math.sqrt(max(jackknife - null, null) + shuffled)
    often = Counter(flag for flags in found.flags[others] for flag in flags)
    common = [flag for flag, times in often.items() if times > _COMMON * pairs]
    said = f"source shuffled {len(by_chance)} times" if by_chance else found.null
    null_mean = 0.0 if by_chance else float(np.mean(np.asarray(found.null_mean)[others]))
    return Estimate(
        value, error, normal_interval(value, error, 0.0), null_mean, math.sqrt(null + shuffled), pairs, found.unit,
        found.method, flagged(*common), said, {"agents": agents, "subtracted_bias": bias},
    )  # fmt: skip
