"""One observable for every streamed diagnostic: a state that adds up, and a function from it to an estimate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from simengine.diagnostics.estimate import Estimate
from simengine.diagnostics.flags import FLAGS
from simengine.errors import InputError, ScenarioError
from simengine.scenario.observables import Output
from simengine.scenario.parameters import shown

MERGE_CLASSES = {
    "A": "whole-number counts: the same bits however the agents are spread",
    "B": "sums of floats, added exactly: the same bits however the agents are spread",
    "C": "computed from all agents together, as their neighbours or axes are",
    "D": "a sample of agents chosen by hash: the same agents however they are spread",
}
"""How states of agents seen apart become one, recorded as the attribute ``merge_class``."""


class State(Protocol):
    """What a streamed diagnostic keeps of the agents.

    States are dicts that are never changed in place: `update` and `merge` return new ones. `close` ends a moment: it
    returns the reading, from which the estimate is computed, and may put new entries into the dict it was given.

    Attributes
    ----------
    partial
        Whether agents may be seen in parts (`simengine.scenario.observables`).
    lasting
        Whether the state goes on from record to record.
    merge_class
        One of `MERGE_CLASSES`.
    """

    @property
    def partial(self) -> bool: ...  # noqa: D102

    @property
    def lasting(self) -> bool: ...  # noqa: D102

    @property
    def merge_class(self) -> str: ...  # noqa: D102

    def begin(self) -> dict[str, Any]:
        """Return the state before anything is seen."""

    def update(self, state: dict[str, Any], view: Any) -> dict[str, Any]:
        """Return the state after seeing the agents of a view."""

    def merge(self, state: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
        """Return the state of two groups of agents; ``state`` may hold what lasts."""

    def close(self, state: dict[str, Any], view: Any) -> Any:
        """End the moment and return its reading."""

    def prepare(self) -> None:
        """Compile what is needed."""

    def described(self) -> Mapping[str, Any]:
        """Return what the file says of it: fields, bins, history, window."""


@dataclass(eq=False)
class Streamed:
    """An observable that computes estimates while a simulation runs.

    The file holds ``name``, ``name_standard_error``, where there is a null ``name_null_mean`` and ``name_null_sd``,
    and ``name_flags``: bits whose meanings are its attributes.

    Parameters
    ----------
    name
        Of the recorded variable.
    state
        What is kept of the agents.
    answer
        From the reading of the state, and the view, to the estimate.
    unit, long_name
        Of the variable.
    null
        Whether the estimate has a null.
    attributes
        What else the file is to say: estimator, k, ...
    when
        Recorded only when the scenario's parameters have these values.
    """

    name: str
    state: State
    answer: Callable[[Any, Any], Estimate]
    unit: str = "nat"
    long_name: str = ""
    null: bool = True
    attributes: Mapping[str, Any] = field(default_factory=dict)
    when: Mapping[str, Any] = field(default_factory=dict)

    frozen = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ScenarioError(f"name is {shown(self.name)}; expected a word that can be a variable")

    @property
    def partial(self) -> bool:
        """Whether agents may be seen in parts."""
        return self.state.partial

    @property
    def lasting(self) -> bool:
        """Whether the state goes on from record to record."""
        return self.state.lasting

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The value with its error and null, and its flags."""
        said = {
            **self.state.described(), **self.attributes,
            "merge_class": f"{self.state.merge_class}: {MERGE_CLASSES[self.state.merge_class]}",
            "ancillary_variables": f"{self.name}_flags",
        }  # fmt: skip
        long_name = self.long_name or self.name.replace("_", " ")
        return (
            Output(self.name, self.unit, long_name, uncertain=True, null=self.null, attributes=said),
            Output(
                f"{self.name}_flags", "1", f"reasons to doubt {long_name}", dtype="int64",
                attributes={"flag_masks": FLAG_MASKS, "flag_meanings": FLAG_MEANINGS},
            ),
        )  # fmt: skip

    def prepare(self) -> None:
        """Compile what is needed."""
        self.state.prepare()

    def begin(self) -> Any:
        """Return the state before anything is seen."""
        return self.state.begin()

    def update(self, state: Any, view: Any) -> Any:
        """Add the agents of a view."""
        return self.state.update(state, view)

    def merge(self, state: Any, other: Any) -> Any:
        """Put two groups of agents together."""
        return self.state.merge(state, other)

    def finalise(self, state: Any, view: Any) -> Mapping[str, Any]:
        """Return the estimate of the moment, and its flags."""
        estimate = self.answer(self.state.close(state, view), view)
        return {self.name: estimate.measured() if self.null else _without_null(estimate), **self._flags(estimate)}

    def _flags(self, estimate: Estimate) -> Mapping[str, Any]:
        return {f"{self.name}_flags": flag_bits(estimate.flags)}


def _without_null(estimate: Estimate) -> Any:
    measured = estimate.measured()
    return type(measured)(measured.value, measured.standard_error)


FLAG_NAMES = tuple(FLAGS)
FLAG_MASKS = np.array([1 << place for place in range(len(FLAG_NAMES))], dtype=np.int64)
FLAG_MEANINGS = " ".join(FLAG_NAMES)


def flag_bits(flags: tuple[str, ...]) -> int:
    """Return flags as one whole number, a bit for each."""
    return sum(1 << FLAG_NAMES.index(name) for name in flags)


def flags_of(bits: Any) -> tuple[str, ...]:
    """Return the names of the flags whose bits are set: what ``name_flags`` of a run file says at one moment.

    A DataArray brings the names of its bits along, as ``flag_meanings``; a bare number is read with those of today.
    Not-a-number, of a run that has failed, has none.
    """
    names = getattr(bits, "attrs", {}).get("flag_meanings", FLAG_MEANINGS).split()
    if np.size(bits) != 1:
        raise InputError(f"flags_of takes the flags of one moment; these are {np.size(bits)}: choose one, as flags[-1]")
    if np.isnan(bits):
        # So failed runs of a sweep are marked.
        return ()
    number = int(bits)
    return tuple(sorted(name for place, name in enumerate(names) if number >> place & 1))
