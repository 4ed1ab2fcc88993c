"""A backend that answers from a record alone: no network, no model, and an error for what was never asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simengine.errors import InputError
from simengine.policies.language.calls import Capabilities, Failure, Reply, Request
from simengine.policies.language.record import Record


class Replay:
    """The answers of a record, failures that ended a call included.

    Parameters
    ----------
    record
        A `Record`, or the path of one or of a cassette.
    model
        Whose answers; needed only where the record holds those of several models.

    Notes
    -----
    It can do what the recorded backend could (`Capabilities` are in the record), so that a replayed run asks the same
    questions. A gateway reads the record directly, with the step; this is what is left for a request that is not there.
    """

    def __init__(self, record: Record | str | Path, model: str | None = None) -> None:
        self.record = record if isinstance(record, Record) else Record.open(record)
        known = self.record.backends()
        if model is None:
            if len(known) != 1:
                models = ", ".join(known) or "none"
                raise InputError(f"replay of {self.record}: say which model; recorded: {models}")
            model = next(iter(known))
        elif model not in known:
            raise InputError(
                f"replay of {self.record}: it has no answers of {model!r}; recorded: {', '.join(known) or 'none'}"
            )
        self._capabilities = known[model]

    def capabilities(self) -> Capabilities:
        """What the recorded backend could do."""
        return self._capabilities

    def complete(self, requests: Sequence[Request]) -> Sequence[Reply | Failure]:
        """The recorded answers; ``InputError`` names the nearest record of the first request that has none."""
        model = self._capabilities.model
        keys = [request.key(model) for request in requests]
        found = self.record.get(keys)
        for key, request in zip(keys, requests, strict=True):
            if key not in found:
                raise InputError(f"replay: a request is not in the record: {self.record.nearest(request, model)}")
        return [found[key].answer for key in keys]

    def score(self, requests: Sequence[Request]) -> Sequence[Reply | Failure]:
        """As `complete`."""
        return self.complete(requests)

    def close(self) -> None:
        """Close the record."""
        self.record.close()
