"""Draws by name in plain Python: for the start of a scenario, for Python policies and for unit tests.

:class:`Draws` gives one number per agent as arrays, :class:`AgentDraws` those of one agent as Python numbers.
Both use the formulas that the compiled step uses, so a name gives the same bits wherever it is drawn. Neither
holds any state: asking twice for a name gives the same numbers twice. Neither needs a compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.errors import InputError
from simengine.random import sampling
from simengine.random.philox import step_key, stream_key

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bits = NDArray[np.uint64]


def _whole(values: ArrayLike, what: str) -> Integers:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"{what} must be whole numbers, not {array.dtype}")
    if array.size and (array.min() < 0 or array.max() > np.iinfo(np.int64).max):
        raise InputError(f"{what} must lie within 0 and 2**63 - 1")
    return array.astype(np.int64)


def _checked_weights(weights: ArrayLike, n_options: int) -> Floats:
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim not in (1, 2) or array.shape[-1] != n_options:
        raise InputError(f"weights of shape {array.shape} given for a choice among {n_options} options")
    if not np.isfinite(array).all() or (array < 0.0).any() or not (array.sum(axis=-1) > 0.0).all():
        raise InputError("weights of a choice must be finite, non-negative and not all zero")
    return array


class Draws:
    """Named random numbers of many agents at one step: one number, or a row of them, for each id.

    Parameters
    ----------
    seed : int
        The seed of the run, any whole number.
    population, phase : str
        Whose draws these are, and in which phase (``"start"`` while a scenario starts).
    ids : array of int, shape (n,)
        The agents, by non-negative id. Results come in their order.
    step, event : int
        The step, and the event within it.

    With ``to`` (ids of shape (n,)) a draw belongs to the directed pairs id -> to, with ``between`` to the
    unordered pairs. One name stands for one kind of draw: two kinds of one name read the same bits.

    Raises
    ------
    InputError
        For ids that are no ids, and for impossible ranges, options or weights.
    """

    def __init__(self, seed: int, population: str, phase: str, ids: ArrayLike, step: int = 0, event: int = 0) -> None:
        self.seed = seed
        self.population = population
        self.phase = phase
        self.ids = _whole(ids, "ids")
        if self.ids.ndim != 1:
            raise InputError(f"ids must be one-dimensional, not of shape {self.ids.shape}")
        self.step = int(_whole(step, "step"))
        self.event = int(_whole(event, "event"))

    def __repr__(self) -> str:
        return (
            f"Draws(seed={self.seed}, population={self.population!r}, phase={self.phase!r}, "
            f"{self.ids.size} ids, step={self.step}, event={self.event})"
        )

    def key(self, name: str) -> np.uint64:
        """Return the key that the compiled draws of this name take at this step."""
        stream = stream_key(self.seed, self.population, self.phase, name)
        return np.uint64(step_key(stream, self.step, self.event))

    def _blocks(
        self,
        name: str,
        components: int | None = None,
        to: ArrayLike | None = None,
        between: ArrayLike | None = None,
    ) -> tuple[Bits, Bits]:
        key = self.key(name)
        if sum(option is not None for option in (components, to, between)) > 1:
            raise InputError(f"draw {name!r}: give at most one of components, to and between")
        if components is not None:
            numbers = np.arange(int(_whole(components, "components")), dtype=np.int64)
            return sampling.agent_block(key, self.ids[:, np.newaxis], numbers)
        if to is not None:
            return sampling.pair_block(key, self.ids, _whole(to, "to"))
        if between is not None:
            return sampling.symmetric_block(key, self.ids, _whole(between, "between"))
        return sampling.agent_block(key, self.ids, 0)

    def bits(self, name: str, to: ArrayLike | None = None, between: ArrayLike | None = None) -> Bits:
        """Return 64 random bits for each agent: keys to sort by or to choose a sample by, shape (n,)."""
        return self._blocks(name, None, to, between)[0]

    def uniform(
        self,
        name: str,
        low: ArrayLike = 0.0,
        high: ArrayLike = 1.0,
        components: int | None = None,
        to: ArrayLike | None = None,
        between: ArrayLike | None = None,
    ) -> Floats:
        """Return ``low + (high - low) u``, ``u`` uniform on [0, 1): shape (n,), or (n, components)."""
        u = sampling.unit_from_bits(self._blocks(name, components, to, between)[0])
        start = np.asarray(low, dtype=np.float64)
        return np.asarray(start + (np.asarray(high, dtype=np.float64) - start) * u)

    def normal(
        self,
        name: str,
        mean: ArrayLike = 0.0,
        sd: ArrayLike = 1.0,
        components: int | None = None,
        to: ArrayLike | None = None,
        between: ArrayLike | None = None,
    ) -> Floats:
        """Return normal numbers of a mean and a standard deviation: shape (n,), or (n, components)."""
        z = sampling.normals_from_bits(*self._blocks(name, components, to, between))[0]
        return np.asarray(np.asarray(mean, dtype=np.float64) + np.asarray(sd, dtype=np.float64) * z)

    def integer(
        self,
        name: str,
        low: ArrayLike,
        high: ArrayLike,
        components: int | None = None,
        to: ArrayLike | None = None,
        between: ArrayLike | None = None,
    ) -> Integers:
        """Return whole numbers of ``low <= n < high``: shape (n,), or (n, components)."""
        first = np.asarray(low)
        end = np.asarray(high)
        if first.dtype.kind not in "iu" or end.dtype.kind not in "iu":
            raise InputError(f"draw {name!r}: low and high must be whole numbers")
        if not (end > first).all():
            raise InputError(f"draw {name!r}: high must exceed low (given low={low!r}, high={high!r})")
        words = self._blocks(name, components, to, between)[0]
        return np.asarray(sampling.index_from_bits(words, first.astype(np.int64), end.astype(np.int64)))

    def choice(
        self,
        name: str,
        options: int | Sequence[Any] | NDArray[Any],
        weights: ArrayLike | None = None,
        to: ArrayLike | None = None,
        between: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Return for each agent one of ``options``, or an index below it where it is a number.

        ``weights`` of shape (options,) or (n, options) need not add up to one.
        """
        indices = self._indices(name, options, weights, to, between)
        return indices if isinstance(options, int | np.integer) else np.asarray(options)[indices]

    def _indices(
        self,
        name: str,
        options: int | Sequence[Any] | NDArray[Any],
        weights: ArrayLike | None,
        to: ArrayLike | None,
        between: ArrayLike | None,
    ) -> Integers:
        n_options = int(options) if isinstance(options, int | np.integer) else len(options)
        if n_options < 1:
            raise InputError(f"draw {name!r}: a choice needs at least one option")
        if weights is None:
            return self.integer(name, 0, n_options, None, to, between)
        array = np.atleast_2d(_checked_weights(weights, n_options))
        reached = np.cumsum(array, axis=1)
        target = self.uniform(name, to=to, between=between) * reached[:, -1]
        last = n_options - 1 - np.argmax(array[:, ::-1] > 0.0, axis=1)
        index = np.count_nonzero(reached <= target[:, np.newaxis], axis=1)
        return np.asarray(np.minimum(index, last), dtype=np.int64)

    def chance(
        self, name: str, probability: ArrayLike, to: ArrayLike | None = None, between: ArrayLike | None = None
    ) -> NDArray[np.bool_]:
        """Return for each agent whether something of the given probability happens: `uniform` below it."""
        return np.asarray(self.uniform(name, to=to, between=between) < np.asarray(probability))

    def seed_for(self, name: str) -> int:
        """Return one whole number from 0 to 2**32 - 1 to seed another generator with: networkx, numpy."""
        return int(sampling.bits(self.key(name), np.int64(0))) >> 32

    def unit_vector(self, name: str, dimensions: int) -> Floats:
        """Return directions uniform on the circle or the sphere: shape (n, dimensions), 2 or 3 of them."""
        if dimensions not in (2, 3):
            raise InputError(f"draw {name!r}: a unit vector has 2 or 3 dimensions, not {dimensions}")
        draw = sampling.unit_vector_2 if dimensions == 2 else sampling.unit_vector_3
        return np.stack(draw(self.key(name), self.ids), axis=1)

    def permutation(self, name: str) -> Integers:
        """Return the ids in a random order that does not depend on the order in which they were given."""
        return self.ids[np.lexsort((self.ids, self.bits(name)))]


class AgentDraws:
    """Named random numbers of one agent at one step, as Python numbers: the ``draw`` of a per-agent function.

    The parameters are those of :class:`Draws` with one ``id``; ``to`` and ``between`` name one other agent.
    It gives what the compiled step draws, so a per-agent function can be tested in plain Python.
    """

    def __init__(self, seed: int, population: str, phase: str, id: int, step: int = 0, event: int = 0) -> None:
        self._draws = Draws(seed, population, phase, [id], step, event)

    def __repr__(self) -> str:
        draws = self._draws
        return (
            f"AgentDraws(seed={draws.seed}, population={draws.population!r}, phase={draws.phase!r}, "
            f"id={draws.ids[0]}, step={draws.step}, event={draws.event})"
        )

    def bits(self, name: str, to: int | None = None, between: int | None = None) -> int:
        """Return 64 random bits as a whole number."""
        return int(self._draws.bits(name, to, between)[0])

    def uniform(
        self,
        name: str,
        low: float = 0.0,
        high: float = 1.0,
        to: int | None = None,
        between: int | None = None,
    ) -> float:
        """Return ``low + (high - low) u``, ``u`` uniform on [0, 1)."""
        return float(self._draws.uniform(name, low, high, None, to, between)[0])

    def normal(
        self,
        name: str,
        mean: float = 0.0,
        sd: float = 1.0,
        to: int | None = None,
        between: int | None = None,
    ) -> float:
        """Return a normal number of a mean and a standard deviation."""
        return float(self._draws.normal(name, mean, sd, None, to, between)[0])

    def integer(self, name: str, low: int, high: int, to: int | None = None, between: int | None = None) -> int:
        """Return a whole number of ``low <= n < high``."""
        return int(self._draws.integer(name, low, high, None, to, between)[0])

    def choice(
        self,
        name: str,
        options: int | Sequence[Any],
        weights: ArrayLike | None = None,
        to: int | None = None,
        between: int | None = None,
    ) -> Any:
        """Return one of ``options``, or an index below it where it is a number."""
        index = int(self._draws._indices(name, options, weights, to, between)[0])
        return index if isinstance(options, int | np.integer) else options[index]

    def chance(self, name: str, probability: float, to: int | None = None, between: int | None = None) -> bool:
        """Return whether something of the given probability happens."""
        return bool(self._draws.chance(name, probability, to, between)[0])

    def unit_vector(self, name: str, dimensions: int) -> tuple[float, ...]:
        """Return a direction uniform on the circle or the sphere, 2 or 3 coordinates."""
        return tuple(float(x) for x in self._draws.unit_vector(name, dimensions)[0])
