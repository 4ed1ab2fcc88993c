"""Options of the command line that say who answers decisions, and how a language model is reached."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simengine.errors import InputError, SimengineError, nearest

if TYPE_CHECKING:
    from simengine.policies.answers import Policy
    from simengine.scenario.phases import Decision
    from simengine.scenario.scenario import Scenario

BACKENDS = ("openai", "transformers", "surrogate")
ELICITATIONS = ("auto", "label_probabilities", "samples", "percentages", "single", "structured")
SCHEMAS = ("response_format", "structured_outputs", "prompt")
BUDGETED = ("calls", "tokens")
LANGUAGE, RULE = "language", "rule"
OF_CALLS = (
    "backend", "base_url", "model", "key_env", "schema", "connections", "budget", "requests_per_minute",
    "tokens_per_minute", "answers_cache",
)  # fmt: skip
OF_LANGUAGE = ("share", "elicitation", "most_fallbacks", *OF_CALLS)


@dataclass(frozen=True)
class Reached:
    """How a language model is reached, as the command line's words say it."""

    backend: str | None = None
    base_url: str | None = None
    model: str | None = None
    key_env: str | None = None
    schema: str | None = None

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
        of_servers = {"--base-url": self.base_url, "--key-env": self.key_env, "--schema": self.schema}
        further = {name for name, value in of_servers.items() if value is not None and self.backend != "openai"}
        further |= {"--model"} if self.model is not None and self.backend == "surrogate" else set()
        if further:
            raise InputError(f"--backend {self.backend} takes no {' and no '.join(sorted(further))}")
        if self.backend == "surrogate":
            from simengine.policies.language.backends.surrogate import Surrogate

            return Surrogate()
        if self.model is None:
            raise InputError(f"--backend {self.backend} needs --model")
        if self.backend == "transformers":
            from simengine.policies.language.backends.local import Local

            return Local(self.model)
        return self._server()

    def _server(self) -> Any:
        from simengine.policies.language.backends.openai import OpenAI

        if not (self.base_url or os.environ.get("OPENAI_BASE_URL")):
            raise InputError(
                "--backend openai needs the server's URL (--base-url, or $OPENAI_BASE_URL): http://localhost:8000/v1 "
                "for vLLM, http://localhost:11434/v1 for Ollama, https://api.openai.com/v1 for OpenAI"
            )
        if self.schema is not None and self.schema not in SCHEMAS:
            raise InputError(
                f"--schema {self.schema!r}: allowed are {', '.join(SCHEMAS)}{nearest(self.schema, SCHEMAS)}"
            )
        named = {"key_env": self.key_env, "schema": self.schema}
        keywords: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        return OpenAI(self.base_url, str(self.model), **keywords)


def policies_of(
    scenario: type[Scenario],
    texts: Sequence[str],
    given: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
    start: Any = None,
) -> dict[str, tuple[Policy, ...]]:
    """Return the policies that ``--policy POPULATION[.DECISION]=language`` and the options beside it ask for.

    A population's decisions are those that are taken with these parameters.
    """
    from simengine.policies.answers import Policy

    if not texts:
        stray = next((name for name in OF_LANGUAGE if given.get(name) is not None), None)
        if stray is not None:
            raise InputError(
                f"--{stray.replace('_', '-')} is of language models, and nobody is one: "
                "--policy POPULATION.DECISION=language"
            )
        return {}
    chosen = chosen_of(scenario, texts, parameters or {}, start)
    if not chosen:
        return {}
    share = given.get("share")
    if share is not None and not 0 <= share <= 1:
        raise InputError(f"--share {share:g}: a share is between 0 and 1")
    answer = language_of(given, f"--policy {texts[0]}")
    for label, decision in chosen.items():
        _check_elicitation(scenario, label, decision, answer)
    return {label: (Policy(answer, share=share),) for label in chosen}


def chosen_of(
    scenario: type[Scenario], texts: Sequence[str], parameters: Mapping[str, Any], start: Any
) -> dict[str, Decision]:
    """Return the decisions that a language model is to answer, by their labels, in the scenario's order."""
    from simengine.policies.answers import labelled

    declared = labelled(scenario)
    taken = _taken(scenario, parameters, start)
    chosen: set[str] = set()
    for text in texts:
        name, equals, kind = (part.strip() for part in text.partition("="))
        if not equals or kind not in {LANGUAGE, RULE}:
            hint = nearest(kind, (LANGUAGE, RULE)) if equals else ""
            raise InputError(f"--policy {text!r}: give it as POPULATION.DECISION={LANGUAGE}, or ={RULE}{hint}")
        known = [label for label in declared if name in {label, *label.split(".")}]
        if not known:
            words = dict.fromkeys(word for label in declared for word in (label, *label.split(".")))
            listed = f"; decisions: {', '.join(declared)}" if declared else "; the scenario has no decisions"
            raise InputError(f"--policy {text!r}: there is no decision {name!r}{nearest(name, words) or listed}")
        found = [label for label in known if label in taken]
        if not found:
            raise InputError(f"--policy {text!r}: {_not_taken(known[0], declared[known[0]])}")
        chosen = chosen | {*found} if kind == LANGUAGE else chosen - {*found}
    return {label: taken[label] for label in taken if label in chosen}


def _taken(scenario: type[Scenario], parameters: Mapping[str, Any], start: Any) -> dict[str, Decision]:
    """The decisions that are taken with these parameters; all of them where these are wrong, which the run says."""
    from simengine.policies.answers import labelled
    from simengine.runs.start import implied, read

    try:
        return labelled(scenario(parameters, implied(scenario, read(scenario, start))))
    except SimengineError:
        return labelled(scenario)


def _not_taken(label: str, decision: Decision) -> str:
    when = decision.when or {}
    listed = ", ".join(
        f"{name}={' or '.join(map(str, value)) if isinstance(value, tuple) else value}" for name, value in when.items()
    )
    return f"{label} is not taken with these parameters, only with {listed}"


def _check_elicitation(scenario: type[Scenario], label: str, decision: Decision, answer: Any) -> None:
    """Say before the run begins what cannot be asked for."""
    from simengine.policies.language.elicitation import method_of
    from simengine.policies.language.prompts import Prompt

    prompt = scenario.prompts.get(decision.name) or Prompt(system="", question="", see=lambda asked: {})
    if answer.elicitation is not None and not prompt.words:
        try:
            method_of(prompt, decision.options, answer.backend.capabilities(), answer.elicitation)
        except InputError as error:
            raise InputError(f"{label}: {error}") from None


def language_of(given: Mapping[str, Any], what: str) -> Any:
    """Return the language policy that the options describe."""
    from simengine.policies.language.policy import Language

    elicitation = given.get("elicitation")
    if elicitation is not None and elicitation not in ELICITATIONS:
        allowed = f"allowed are {', '.join(ELICITATIONS)}{nearest(elicitation, ELICITATIONS)}"
        raise InputError(f"--elicitation {elicitation!r}: {allowed}")
    calls = calls_of(given, what)["calls"]
    further = {name: given[name] for name in ("elicitation", "most_fallbacks") if given.get(name) is not None}
    return Language(**calls, **further)


def calls_of(given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return how calls are made, as ``calls`` for `simengine.resume`: backend, budget, limits and the like."""
    from simengine.policies.language.limits import Limits
    from simengine.policies.language.spending import Budget

    reached = Reached(*(given.get(name) for name in ("backend", "base_url", "model", "key_env", "schema")))
    further: dict[str, Any] = {"backend": reached.backend_for(what)}
    if given.get("connections") is not None:
        if given["connections"] < 1:
            raise InputError(f"--connections {given['connections']}: allowed is a whole number from 1")
        further["connections"] = given["connections"]
    if given.get("budget") is not None:
        further["budget"] = Budget(**budget_of(given["budget"]))
    minutely = {
        name: given[name] for name in ("requests_per_minute", "tokens_per_minute") if given.get(name) is not None
    }
    if minutely:
        further["limits"] = Limits(**minutely)
    if given.get("answers_cache") is not None:
        further["cache"] = _cache(Path(given["answers_cache"]))
    return {"calls": further}


def _cache(path: Path) -> Any:
    from simengine.policies.language.record import Record

    if not path.parent.is_dir():
        raise InputError(f"--answers-cache {path}: there is no folder {str(path.parent)!r}")
    record = Record(path)
    if path.exists():
        # A file that is no record is said to be none before the run begins.
        len(record)
    return record


def budget_of(text: str) -> dict[str, int]:
    """Return what ``calls=1000,tokens=2e6`` allows."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = (word.strip() for word in part.partition("="))
        if not equals or name not in BUDGETED:
            raise InputError(f"--budget {text!r}: give it as calls=N, tokens=N or both{nearest(name, BUDGETED)}")
        if name in found:
            raise InputError(f"--budget {text!r}: {name} stands there twice")
        try:
            found[name] = int(float(number))
        except (ValueError, OverflowError):
            raise InputError(f"--budget {text!r}: {number!r} is no number") from None
        if found[name] < 0:
            raise InputError(f"--budget {text!r}: {name} are 0 or more")
    return found


def again(given: Mapping[str, Any], *, spent: bool = False) -> str:
    """Return the options with which a run is gone on with as it was begun; a spent budget is the user's to raise."""
    words = []
    for name in OF_CALLS:
        value = given.get(name)
        if value is None:
            continue
        if name == "budget" and spent:
            value = ",".join(f"{part}=N" for part in budget_of(value))
        words.append(
            f" --{name.replace('_', '-')} {shlex.quote(f'{value:g}' if isinstance(value, float) else str(value))}"
        )
    return "".join(words)
