"""Words that no scenario has written: of decisions without a prompt, and behind the digests of texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from simengine.errors import InputError
from simengine.policies.answers import Asked
from simengine.policies.language.prompts import Prompt, generic_prompt
from simengine.policies.language.record import Record


class Texts(Mapping[int, str]):
    """The words behind digests: those of the record, and of the rule's small whole numbers."""

    def __init__(self, record: Record, texts: Sequence[str]) -> None:
        self._record, self._known = record, dict(enumerate(texts))

    def __getitem__(self, digest: int) -> str:
        digest = int(digest)
        if digest not in self._known:
            self._known |= self._record.texts([digest])
        return self._known[digest]

    def __iter__(self) -> Iterator[int]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def prompt_of_rule(asked: Asked) -> Prompt:
    """Return words made of what the rule of a decision reads."""
    if asked.known is None:
        raise InputError(f"{asked.decision} has no prompt: give one, Language(..., prompt=)")
    known = asked.known()
    scenario = type(asked.p)
    about = " ".join((scenario.__doc__ or "").split())
    unit = "" if known.unit == "1" else f" ({known.unit})"
    question = f"You decide: {known.action}{unit}." if not known.question else f"You decide: {known.question}"
    values = asked.p.values
    return generic_prompt(
        scenario.__name__, about, asked.decision.split(".")[0], question,
        [(read.name, read.long_name, read.unit, read.source) for read in known.reads],
        [(name, description, values[name]) for name, description in known.parameters],
    )  # fmt: skip
