"""A Python function as a backend: exact answers, for twins of rules and for tests of everything around a model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from simengine.errors import RunError
from simengine.policies.language.calls import Capabilities, Failure, Reply, Request, Usage


class Function:
    """Answers each request by calling ``answer(context, request)``.

    ``context`` holds the values the prompt was written from, unrounded by the text. For a request of kind "score" the
    function returns the probability of each option, in the order of the decision's options or labels as the prompt
    names them unrotated; for "complete" a text, or anything else, which is sent as JSON (of floats every digit).

    Function backends answer at once and always the same; they are no language models, and files say so.
    """

    def __init__(self, answer: Callable[[Mapping[str, Any], Request], Any], name: str = "") -> None:
        self.function = answer
        self.name = name or getattr(answer, "__name__", type(answer).__name__)

    def capabilities(self) -> Capabilities:
        """Everything, in batches."""
        return Capabilities(
            f"function/{self.name}",
            batch=1024,
            deterministic=True,
            label=f"the function {self.name}, no language model",
        )

    def complete(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Answer with texts."""
        return [self._completed(request) for request in requests]

    def score(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Answer with log-probabilities."""
        return [self._scored(request) for request in requests]

    def close(self) -> None:
        """Nothing is held."""

    def _completed(self, request: Request) -> Reply | Failure:
        found = self.function(request.context, request)
        if isinstance(found, Failure | Reply):
            return found
        text = found if isinstance(found, str) else json.dumps(_plain(found))
        return Reply(text, usage=Usage(known=False), model=self.name)

    def _scored(self, request: Request) -> Reply | Failure:
        found = self.function(request.context, request)
        if isinstance(found, Failure | Reply):
            return found
        probabilities = [float(value) for value in found]
        if len(probabilities) != len(request.labels):
            raise RunError(
                f"the backend function {self.name} returned {len(probabilities)} probabilities for "
                f"{len(request.labels)} labels"
            )
        if not all(math.isfinite(value) and value >= 0.0 for value in probabilities):
            raise RunError(f"the backend function {self.name} returned {probabilities}, which are no probabilities")
        # Labels are shown rotated; the function speaks of them in the order of the decision.
        shown = probabilities[request.order :] + probabilities[: request.order]
        scores = tuple(math.log(value) if value > 0.0 else -math.inf for value in shown)
        return Reply(log_probabilities=scores, usage=Usage(known=False), model=self.name)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(held) for key, held in value.items()}
    return value
