"""Random numbers of one request: they follow from its key, so an answer does not depend on what else was asked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence


class KeyedDraws:
    """Uniform numbers in [0, 1) that follow from a key alone (BLAKE2b of key and count, 53 bits each)."""

    def __init__(self, key: str) -> None:
        self._key, self._drawn = key, 0

    def uniform(self) -> float:
        """Return the next number."""
        text = f"{self._key}/{self._drawn}"
        self._drawn += 1
        return (int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 11) * 2.0**-53

    def below(self, number: int) -> int:
        """Return a whole number of 0 to ``number - 1``."""
        return min(int(self.uniform() * number), number - 1)

    def index(self, weights: Sequence[float]) -> int:
        """Return a place, drawn in proportion to non-negative weights of which at least one is positive."""
        drawn = self.uniform() * math.fsum(weights)
        passed, last = 0.0, 0
        for place, weight in enumerate(weights):
            if weight > 0.0:
                passed, last = passed + weight, place
                if drawn < passed:
                    return place
        return last


def tempered(log_probabilities: Sequence[float], temperature: float) -> list[float]:
    """Weights proportional to p**(1/temperature); at temperature 0 all weight on the first of the most probable."""
    best = max(log_probabilities)
    if temperature <= 0.0:
        first = list(log_probabilities).index(best)
        return [float(place == first) for place in range(len(log_probabilities))]
    return [math.exp((value - best) / temperature) for value in log_probabilities]
