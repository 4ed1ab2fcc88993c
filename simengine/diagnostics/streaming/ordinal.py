"""Order patterns of the agents' own series: how irregular they are, whatever the units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.counts.counting import count_symbols
from simengine.diagnostics.dynamics.ordinal_kernels import patterns
from simengine.diagnostics.estimate import Estimate, flagged
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import as_binning
from simengine.diagnostics.streaming.declared import ALL, MOST_CELLS
from simengine.diagnostics.streaming.distributions import When, Window, streamed, word, words
from simengine.diagnostics.streaming.kernels import transitions
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Kept, Table
from simengine.diagnostics.streaming.tracked import ABSENT, Tracked, aligned, all_seen, in_rhythm, seen_by_id

Integers = NDArray[np.int64]

GREATEST_ORDER = 5
"""Longest patterns; pairs of them are counted."""

_ESTIMATORS = ("counts", "plug-in")
_LONGEST_LAG = 10_000


@dataclass(frozen=True)
class Patterns(Tracked):
    """How many agents ended which order pattern in a window of records, and which ones they ended shortly before.

    The reading is a table of order! + 1 rows: row 0 counts patterns, row 1 + a those of agents that ended pattern a
    within the window at one of the (order - 1) lag records before, which overlap. Patterns with equal values count as
    outside. A last record that comes earlier than the others ends no pattern, nor does it begin one.
    """

    order: int
    lag: int
    window: int | str

    @property
    def reach(self) -> int:
        """How many records a pattern reaches back."""
        return (self.order - 1) * self.lag

    def prepare(self) -> None:
        """Compile."""
        patterns(np.zeros((1, 2)), 2, 1)
        one = np.zeros(1, np.int64)
        count_symbols(one, 1)
        transitions(one, one, 1, 1)

    def described(self) -> dict[str, Any]:
        """Return the field, the order and the lag."""
        return {"patterns_of": self.field.field, "order": self.order, "lag": self.lag, "window": self.window}

    def update(self, state: Kept, view: Any) -> Kept:
        """Keep the values of the agents of a view."""
        values = self.field.rows(view).astype(np.float64)
        agents = view.populations[self.field.population]
        return {**state, "moment": [*state["moment"], seen_by_id(values, agents)]}

    def close(self, state: Kept, view: Any) -> Table:
        """Add the patterns that end now, and take off those that leave the window."""
        ids, now = all_seen(state["moment"])
        size = math.factorial(self.order)
        rows = np.full((self.reach, len(ids)), math.nan)
        ended = np.full((self.reach, len(ids)), ABSENT, np.int64)
        if in_rhythm(state, view.step):
            rows = aligned(state["ids"], state["rows"], ids, math.nan)
            ended = aligned(state["ids"], state["ended"], ids, ABSENT)
        rows = np.concatenate([rows, now[None, :]])
        known = np.flatnonzero(np.isfinite(rows).all(axis=0))
        found, ties = patterns(np.ascontiguousarray(rows[:, known].T), self.order, self.lag)
        codes = found[:, 0].copy()
        newest = np.full(len(ids), ABSENT, np.int64)
        newest[known] = codes
        seen = count_symbols(codes, size)
        # By the number of records between the two.
        pairs = np.stack([
            transitions(np.ascontiguousarray(ended[-back, known]), codes, size, size)
            for back in np.arange(1, self.reach + 1)
        ])  # fmt: skip
        state["moment"], state["ids"], state["rows"] = [], ids, rows[1:]
        state["ended"] = np.concatenate([ended[1:], newest[None, :]])
        return self._summed(state, seen, pairs, int(ties))

    def _summed(self, state: Kept, seen: Integers, pairs: Integers, ties: int) -> Table:
        """Move the window on: a pair is in it as long as both of its records are."""
        total = state["total"].copy() if "total" in state else np.zeros((seen.size + 1, seen.size), np.int64)
        beyond = state.get("ties", 0)
        if self.window != ALL:
            held = list(state.get("held", []))
            if len(held) == self.window:
                oldest = held.pop(0)
                total[0] -= oldest["seen"]
                beyond -= oldest["ties"]
                for place, later in enumerate(held[: self.reach]):
                    total[1:] -= later["pairs"][place]
            pairs = pairs[: len(held)]
            state["held"] = [*held, {"seen": seen, "pairs": pairs, "ties": ties}]
        total[0] += seen
        total[1:] += pairs.sum(axis=0)
        state["total"], state["ties"] = total, beyond + ties
        return Table(total, beyond + ties)


def permutation_entropy(
    field: str, *, order: int = 3, lag: int = 1, estimator: str = "counts", window: Window = ALL, name: str = "",
    unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the entropy of the order patterns of the agents' series, pooled over agents (Bandt & Pompe 2002).

    The value is that of :func:`~simengine.diagnostics.dynamics.ordinal.permutation_entropy` of all series in one. The
    error counts what overlapping patterns have in common, and takes agents as independent; where series remember
    longer than a pattern lasts, it is too small. The null is white noise.

    Parameters
    ----------
    field
        ``"population.field"`` or ``"population.field.k"``. Of equal values the earlier one counts as the smaller.
    order, lag
        Number of values of a pattern, 2 to 5, and records between them.
    estimator
        "counts", or "plug-in" with its bias.
    window
        Patterns that ended in the last so many records, or "all" of them; None: of the last one.
    """

    def answer(table: Table, view: Any) -> Estimate:
        if not table.counts[0].any():
            return Estimate(math.nan, unit=unit, method=estimator, flags=flagged("short_series"))
        from simengine.diagnostics.dynamics.ordinal import entropy_of_patterns

        numbers = pattern_numbers(table.counts, state.reach)
        return entropy_of_patterns(*numbers[:3], order, estimator, ties=table.outside, overlap=numbers[3]).to(unit)

    state = _state(field, order, lag, estimator, window)
    return streamed(
        declared.named(name, f"{word(field)}_permutation_entropy"), state, None, answer, unit,
        f"permutation entropy of {words(field)}", True, {"estimator": estimator}, when,
    )  # fmt: skip


def statistical_complexity(
    field: str, *, order: int = 3, lag: int = 1, estimator: str = "counts", window: Window = ALL, name: str = "",
    when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the Jensen-Shannon complexity of the order patterns of the agents' series: 0 for order and for noise.

    Parameters are those of :func:`permutation_entropy`.
    """

    def answer(table: Table, view: Any) -> Estimate:
        if not table.counts[0].any():
            return Estimate(math.nan, unit="1", method=estimator, flags=flagged("short_series"))
        from simengine.diagnostics.dynamics.ordinal import complexity_of_patterns

        numbers = pattern_numbers(table.counts, state.reach)
        return complexity_of_patterns(*numbers[:3], order, estimator, ties=table.outside, overlap=numbers[3])

    state = _state(field, order, lag, estimator, window)
    return streamed(
        declared.named(name, f"{word(field)}_statistical_complexity"), state, None, answer, declared.PURE,
        f"statistical complexity of {words(field)}", True, {"estimator": estimator}, when,
    )  # fmt: skip


def _state(field: str, order: int, lag: int, estimator: str, window: Window) -> Patterns:
    order = declared.whole(order, "order", 2, GREATEST_ORDER)
    longest = MOST_CELLS // (math.factorial(order) ** 2 * (order - 1))
    lag = declared.whole(lag, "lag", 1, min(longest, _LONGEST_LAG))
    declared.one_of(estimator, _ESTIMATORS, "estimator")
    window = 1 if window is None else declared.a_window(window)
    return Patterns(as_binning(field), order, lag, window)


def pattern_numbers(table: Integers, reach: int) -> tuple[Integers, NDArray[np.float64], Any, float]:
    """Return what :mod:`~simengine.diagnostics.dynamics.ordinal` asks of patterns, from the table of `Patterns`.

    Counts; n times the variances of their shares; the function that gives the long-run variance of a number for each
    pattern; the share of overlapping windows that were seen.
    """
    seen, pairs = table[0], table[1:]
    n = float(seen.sum())
    shares = seen / n
    total = float(pairs.sum())
    variances = np.maximum(shares * (1.0 - shares) + 2.0 * (np.diag(pairs) - total * shares**2) / n, 0.0)

    def spread(by_pattern: NDArray[np.float64]) -> tuple[float, int, bool]:
        apart = by_pattern - float(shares @ by_pattern)
        alone = float(shares @ apart**2)
        together = alone + 2.0 * float(apart @ pairs @ apart) / n
        return max(together, 0.02 * alone), reach, True

    return seen, variances, spread, min(total / (n * reach), 1.0)
