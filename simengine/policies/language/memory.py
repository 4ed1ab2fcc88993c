"""Memory: what agents remember, as rings of events in arrays, and what of it they are shown.

An agent keeps its last ``capacity`` events. What it is shown are the ``shown`` events of the highest salience times
``decay`` per step since, the newer one where two are equal, as far as they fit into ``tokens`` tokens. Texts are held
by digest elsewhere, so that memory takes the same room after any number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.arrays.jit import njit
from simengine.errors import InputError, RunError
from simengine.policies.language.calls import Message, Request
from simengine.policies.language.contexts import digest_of, distinct_rows, fenced, guard
from simengine.policies.language.reading import encodable, spoken
from simengine.scenario.parameters import shown as in_short

Array = NDArray[Any]
Texts = Mapping[int, str] | Callable[[Sequence[int]], Mapping[int, str]]

CHARACTERS_PER_TOKEN = 4
NOTHING = "nothing yet"
CUT = "..."


class Memory:
    """What agents remember; rows are added as agents appear.

    Parameters
    ----------
    capacity : int
        Events that an agent keeps.
    shown : int
        Events that it is shown at most.
    tokens : int
        Ceiling of what it is shown, estimated as a quarter of the characters.
    decay : float
        By which an event's weight is multiplied with every step, above 0 and up to 1.
    summarise_every : int, optional
        Steps after which an agent's events are replaced by a summary; none: never.

    Raises
    ------
    InputError
        For settings that are not allowed.
    """

    def __init__(
        self,
        capacity: int = 16,
        shown: int = 5,
        tokens: int = 200,
        decay: float = 0.9,
        summarise_every: int | None = None,
    ) -> None:
        whole = {"capacity": capacity, "shown": shown, "tokens": tokens, "summarise_every": summarise_every}
        for name, value in whole.items():
            if value is None and name == "summarise_every":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"memory: {name} is a whole number from 1, not {in_short(value)}")
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0.0 < decay <= 1.0:
            raise InputError(f"memory: decay is a number with 0 < value <= 1, not {in_short(decay)}")
        self.capacity, self.shown, self.tokens = capacity, shown, tokens
        self.decay, self.summarise_every = float(decay), summarise_every
        self._ids = np.zeros(0, np.int64)
        self._written = np.zeros(0, np.int64)
        self._summarised = np.zeros(0, np.int64)
        self._steps = np.zeros((0, capacity), np.int64)
        self._digests = np.zeros((0, capacity), np.int64)
        self._salience = np.zeros((0, capacity))

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Room taken, in bytes."""
        return sum(array.nbytes for array in self._tables().values())

    def remember(self, ids: ArrayLike, step: int, texts: Sequence[str], salience: ArrayLike = 1.0) -> dict[int, str]:
        """Add an event to each agent's memory, nothing for an empty text; return the texts by digest, to be kept.

        A text becomes one line, cut at the ceiling of tokens.
        ``salience`` is one number or one per agent, not negative. An agent named twice remembers both, in this order.
        """
        identities = np.asarray(ids, np.int64).reshape(-1)
        weights = np.broadcast_to(np.asarray(salience, float), identities.shape)
        if len(texts) != len(identities):
            raise InputError(f"memory: {len(texts)} texts for {len(identities)} agents")
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise InputError("memory: saliences are finite numbers from 0")
        ceiling = self.tokens * CHARACTERS_PER_TOKEN
        kept = {text: self._cut(" ".join(encodable(text).split()), ceiling) for text in set(texts) if text.strip()}
        numbers = {text: digest_of(short) for text, short in kept.items()}
        digests = np.fromiter((numbers.get(text, 0) for text in texts), np.int64, len(texts))
        told = digests > 0
        rows = self._rows_of(identities[told], step)
        _write(
            rows, step, digests[told], np.ascontiguousarray(weights[told]),
            self._steps, self._digests, self._salience, self._written,
        )  # fmt: skip
        return {numbers[text]: kept[text] for text in sorted(numbers)}

    def recall(self, ids: ArrayLike, step: int, texts_by_digest: Texts) -> list[str]:
        """Return what each agent is shown of its memory: one event a line, the oldest first.

        ``texts_by_digest`` are the texts, or a function that returns those of some digests. Agents who remember the
        same share one text.
        """
        slots = np.full((np.size(ids), self.shown), -1, np.int64)
        known, rows = self._known(np.asarray(ids, np.int64).reshape(-1))
        best = np.full((len(rows), self.shown), -1, np.int64)
        _rank(rows, step, self.decay, self._steps, self._salience, self._written, best)
        slots[known] = best
        digests, order = np.zeros_like(slots), np.zeros_like(slots)
        digests[known] = np.where(best >= 0, self._digests[rows[:, None], best], 0)
        order[known] = np.argsort(np.argsort(self._age_order(rows, best), axis=1), axis=1)
        first, of_agent = distinct_rows([*digests.T, *order.T], len(slots))
        found = self._texts(digests[first], texts_by_digest)
        lines = [
            self._fitted([found[one] for one in named if one], places)
            for named, places in zip(digests[first].tolist(), order[first].tolist(), strict=True)
        ]
        return [lines[one] for one in of_agent.tolist()]

    def keep(self, ids: ArrayLike) -> None:
        """Forget everybody else."""
        held = np.isin(self._ids, np.asarray(ids, np.int64))
        for name, table in self._tables().items():
            setattr(self, f"_{name}", table[held].copy())

    def due(self, ids: ArrayLike, step: int) -> Array:
        """Return as a mask which of these agents have at least two events, and enough steps since the last summary."""
        identities = np.asarray(ids, np.int64).reshape(-1)
        found = np.zeros(len(identities), bool)
        if self.summarise_every is not None:
            known, rows = self._known(identities)
            found[known] = (self._written[rows] > 1) & (step - self._summarised[rows] >= self.summarise_every)
        return found

    def summary_requests(self, ids: ArrayLike, step: int, texts_by_digest: Texts) -> tuple[Array, list[Request]]:
        """Return the agents whose memory is to be summarised, and a request for each; equal memories ask alike."""
        identities = np.asarray(ids, np.int64).reshape(-1)
        identities = identities[self.due(identities, step)]
        _, rows = self._known(identities)
        held = [self._ring(row) for row in rows.tolist()]
        every = np.array([digest for ring in held for digest in ring], np.int64)
        found = self._texts(every, texts_by_digest)
        return identities, [self._summary_request([found[digest] for digest in ring]) for ring in held]

    def summarise(self, ids: ArrayLike, step: int, summaries: Sequence[str | None]) -> dict[int, str]:
        """Replace agents' events by summaries, as salient as the most salient of them; None leaves a memory as it is.

        Return the texts by digest, to be kept.
        """
        identities = np.asarray(ids, np.int64).reshape(-1)
        known, rows = self._known(identities)
        if len(rows) < len(identities):
            raise InputError(f"memory: agent {identities[~known][0]} remembers nothing that could be summarised")
        self._summarised[rows] = step
        said = [spoken(summary or "") for summary in summaries]
        given = np.array([bool(text) for text in said], bool)
        emptied = rows[given]
        used = np.arange(self.capacity) < np.minimum(self._written[emptied], self.capacity)[:, None]
        highest = np.where(used, self._salience[emptied], 0.0).max(axis=1, initial=0.0)
        self._written[emptied] = 0
        return self.remember(identities[given], step, [text for text in said if text], highest)

    def state(self) -> dict[str, Any]:
        """Return everything that is remembered, for a checkpoint."""
        return {
            "capacity": self.capacity,
            **{name: table.copy() for name, table in self._tables().items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave; ``InputError`` if that memory had another capacity."""
        if int(state["capacity"]) != self.capacity:
            raise InputError(
                f"memory: it was kept with capacity {int(state['capacity'])} and cannot go on with {self.capacity}"
            )
        for name, table in self._tables().items():
            setattr(self, f"_{name}", np.array(state[name], table.dtype).reshape(-1, *table.shape[1:]))

    def _tables(self) -> dict[str, Array]:
        names = ("ids", "written", "summarised", "steps", "digests", "salience")
        return {name: getattr(self, f"_{name}") for name in names}

    def _known(self, identities: Array) -> tuple[Array, Array]:
        """Return which agents have a row, as a mask, and the rows of these."""
        at = np.searchsorted(self._ids, identities)
        known = np.zeros(len(identities), bool)
        inside = at < len(self._ids)
        known[inside] = self._ids[at[inside]] == identities[inside]
        return known, at[known]

    def _rows_of(self, identities: Array, step: int) -> Array:
        """Return the rows of agents; those without get one, in order of ids, whoever comes first."""
        new = np.setdiff1d(identities, self._ids)
        if new.size:
            where = np.searchsorted(self._ids, new)
            for name, table in self._tables().items():
                added = {"ids": new, "summarised": np.full(len(new), step)}.get(name)
                rows = np.zeros((len(new), *table.shape[1:]), table.dtype) if added is None else added
                setattr(self, f"_{name}", np.insert(table, where, rows, axis=0))
        found: Array = np.searchsorted(self._ids, identities)
        return found

    def _age_order(self, rows: Array, slots: Array) -> Array:
        """Return numbers that ascend from older to newer events; empty places come last."""
        oldest = np.maximum(self._written[rows] - self.capacity, 0)[:, None] % self.capacity
        return np.where(slots >= 0, (slots - oldest) % self.capacity, self.capacity + np.arange(slots.shape[1]))

    def _ring(self, row: int) -> list[int]:
        """Return the digests of an agent's events, the oldest first."""
        written = int(self._written[row])
        slots = np.arange(max(written - self.capacity, 0), written) % self.capacity
        listed: list[int] = self._digests[row, slots].tolist()
        return listed

    def _texts(self, digests: Array, texts_by_digest: Texts) -> Mapping[int, str]:
        wanted = np.unique(digests[digests > 0]).tolist()
        found = texts_by_digest(wanted) if callable(texts_by_digest) else texts_by_digest
        missing = next((digest for digest in wanted if digest not in found), None)
        if missing is not None:
            raise RunError(f"memory: the text {missing} of an event is not in the record")
        return found

    def _fitted(self, ranked: Sequence[str], places: Sequence[int]) -> str:
        """Return the events that fit, by rank, in the order in which they happened."""
        left = self.tokens * CHARACTERS_PER_TOKEN
        chosen: list[tuple[int, str]] = []
        for place, text in zip(places, ranked, strict=False):
            line = text if chosen else self._cut(text, left)
            cost = len(line) + bool(chosen)
            if cost <= left:
                chosen.append((place, line))
                left -= cost
        return "\n".join(line for _, line in sorted(chosen)) or NOTHING

    def _cut(self, text: str, length: int) -> str:
        return text if len(text) <= length else text[: length - len(CUT)] + CUT

    def _summary_request(self, events: Sequence[str]) -> Request:
        words = max(self.tokens // 2, 1)
        system = f"You keep the memory of one participant short. {guard(['memory'])}"
        text = (
            f"{fenced('memory', chr(10).join(events))}\n\n"
            f"Write what is worth remembering of it, in one paragraph of at most {words} words, and nothing else."
        )
        messages = (Message("system", system), Message("user", text))
        return Request(messages, temperature=0.0, max_tokens=self.tokens, elicitation="words")


@njit(cache=True, nogil=True, error_model="numpy")
def _write(
    rows: Array, step: int, digests: Array, weights: Array, steps: Array, held: Array, salience: Array, written: Array
) -> None:
    """Add one event to each row's ring, in turn."""
    capacity = steps.shape[1]
    for n in range(len(rows)):
        row = rows[n]
        slot = written[row] % capacity
        steps[row, slot] = step
        held[row, slot] = digests[n]
        salience[row, slot] = weights[n]
        written[row] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _rank(rows: Array, now: int, decay: float, steps: Array, salience: Array, written: Array, best: Array) -> None:
    """Write the slots of each row's events of the highest weight to ``best``, the highest first."""
    capacity, shown = steps.shape[1], best.shape[1]
    weights = np.empty(shown)
    for n in range(len(rows)):
        row = rows[n]
        held = 0
        # From the newest to the oldest: of equal weights the newer one stays ahead.
        for age in range(min(written[row], capacity)):
            slot = (written[row] - 1 - age) % capacity
            weight = salience[row, slot] * decay ** max(now - steps[row, slot], 0)
            place = held
            while place > 0 and weights[place - 1] < weight:
                place -= 1
            if place >= shown:
                continue
            held = min(held + 1, shown)
            for other in range(held - 1, place, -1):
                weights[other] = weights[other - 1]
                best[n, other] = best[n, other - 1]
            weights[place] = weight
            best[n, place] = slot
