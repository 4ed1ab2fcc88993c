"""Options of the command line that say who answers decisions, and how a language model is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simengine.errors import InputError, nearest
from simengine.policies.answers import Policy, labelled
from simengine.scenario.scenario import Scenario

BACKENDS = ("openai", "transformers", "surrogate")
ELICITATIONS = ("auto", "label_probabilities", "samples", "percentages", "single", "structured")
BUDGETED = ("calls", "tokens")
LANGUAGE, RULE = "language", "rule"
OF_LANGUAGE = (
    "share", "backend", "base_url", "model", "key_env", "elicitation", "connections", "budget", "requests_per_minute",
    "tokens_per_minute", "answers_cache", "most_fallbacks",
)  # fmt: skip


@dataclass(frozen=True)
class Reached:
    """How a language model is reached, as the command line's words say it."""

    backend: str | None = None
    base_url: str | None = None
    model: str | None = None
    key_env: str | None = None

    def backend_for(self, what: str) -> Any:
        """The backend; ``InputError`` names the choices where there is none."""
        if self.backend is None:
            raise InputError(
                f"{what}: no backend is given; --backend openai (--base-url URL --model M: any server that speaks "
                "OpenAI's chat completions), --backend transformers (--model FOLDER: in this process) or --backend "
                "surrogate (an n-gram model of the scenario's own text, not an LLM)"
            )
        if self.backend not in BACKENDS:
            raise InputError(
                f"--backend {self.backend!r}: allowed are {', '.join(BACKENDS)}{nearest(self.backend, BACKENDS)}"
            )
        if self.backend == "surrogate":
            from simengine.policies.language.backends.surrogate import Surrogate

            return Surrogate()
        if self.model is None:
            raise InputError(f"--backend {self.backend} needs --model")
        if self.backend == "transformers":
            from simengine.policies.language.backends.local import Local

            return Local(self.model)
        from simengine.policies.language.backends.openai import OpenAI

        keyed: dict[str, Any] = {} if self.key_env is None else {"key_env": self.key_env}
        return OpenAI(self.base_url, self.model, **keyed)


def policies_of(
    scenario: type[Scenario], texts: Sequence[str], given: Mapping[str, Any]
) -> dict[str, tuple[Policy, ...]]:
    """Return the policies that ``--policy POPULATION[.DECISION]=language`` and the options beside it ask for."""
    if not texts:
        stray = next((name for name in OF_LANGUAGE if given.get(name) is not None), None)
        if stray is not None:
            raise InputError(
                f"--{stray.replace('_', '-')} is of language models, and nobody is one: "
                "--policy POPULATION.DECISION=language"
            )
        return {}
    decisions = labelled(scenario)
    chosen: list[str] = []
    for text in texts:
        name, equals, kind = (part.strip() for part in text.partition("="))
        if not equals or kind not in {LANGUAGE, RULE}:
            raise InputError(f"--policy {text!r}: give it as POPULATION.DECISION={LANGUAGE}, or ={RULE}")
        found = [label for label in decisions if name in {label, *label.split(".")}]
        if not found:
            known = f"; decisions: {', '.join(decisions)}" if decisions else "; the scenario has no decisions"
            raise InputError(f"--policy {text!r}: there is no decision {name!r}{nearest(name, decisions) or known}")
        chosen = [label for label in chosen if label not in found] + (found if kind == LANGUAGE else [])
    if not chosen:
        return {}
    answer = language_of(given, f"--policy {texts[0]}")
    return {label: (Policy(answer, share=given.get("share")),) for label in chosen}


def language_of(given: Mapping[str, Any], what: str) -> Any:
    """Return the language policy that the options describe."""
    from simengine.policies.language.policy import Language

    calls = calls_of(given, what)["calls"]
    further = {name: given[name] for name in ("elicitation", "most_fallbacks") if given.get(name) is not None}
    return Language(**calls, **further)


def calls_of(given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return how calls are made, as ``calls`` for `simengine.resume`: backend, budget, limits and the like."""
    from simengine.policies.language.limits import Limits
    from simengine.policies.language.record import Record
    from simengine.policies.language.spending import Budget

    reached = Reached(*(given.get(name) for name in ("backend", "base_url", "model", "key_env")))
    further: dict[str, Any] = {"backend": reached.backend_for(what)}
    if given.get("connections") is not None:
        further["connections"] = given["connections"]
    if given.get("budget"):
        further["budget"] = Budget(**budget_of(given["budget"]))
    minutely = {
        name: given[name] for name in ("requests_per_minute", "tokens_per_minute") if given.get(name) is not None
    }
    if minutely:
        further["limits"] = Limits(**minutely)
    if given.get("answers_cache") is not None:
        further["cache"] = Record(Path(given["answers_cache"]))
    return {"calls": further}


def budget_of(text: str) -> dict[str, int]:
    """Return what ``calls=1000,tokens=2e6`` allows."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = (word.strip() for word in part.partition("="))
        if not equals or name not in BUDGETED:
            raise InputError(f"--budget {text!r}: give it as calls=N, tokens=N or both{nearest(name, BUDGETED)}")
        try:
            found[name] = int(float(number))
        except (ValueError, OverflowError):
            raise InputError(f"--budget {text!r}: {number!r} is no number") from None
        if found[name] < 0:
            raise InputError(f"--budget {text!r}: {name} are 0 or more")
    return found
