"""``simengine llm``: what a language model's server does, what a run would cost, what was asked and answered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simengine
from simengine.cli import settings
from simengine.cli.failures import explained
from simengine.cli.language_options import SCHEMAS, Reached, policies_of
from simengine.cli.output import console, paragraph, print_json, readable_time, table
from simengine.errors import InputError, nearest
from simengine.policies.language import doctor, latest, spending
from simengine.policies.language.calls import Failure, Message, Request
from simengine.policies.language.cassettes import is_cassette
from simengine.policies.language.entries import Entry
from simengine.policies.language.limits import Limits
from simengine.policies.language.record import Record
from simengine.policies.reports import RECORD_SUFFIX, record_of
from simengine.runs import registry
from simengine.runs.continuing import run_path
from simengine.store.attributes import decode_attributes

TRIED = (
    "Tried with the surrogate, an n-gram, in the model's place. The number of calls is exact where it does not depend "
    "on what is answered, and an estimate otherwise (other actions lead to other situations); tokens are a quarter of "
    "the characters, and a real model's answers may be longer."
)
NOBODY = "nobody is a language model: --policy POPULATION.DECISION=language"
FIGURES = ("decisions", "situations", "calls", "input_tokens", "output_tokens", "most_output_tokens")
DECISIONS = ("decision", "elicitation", "decisions", "situations", "calls", "tokens in", "tokens out", "at most")


# -- doctor --------------------------------------------------------------------------------------------------------


def examine(reached: Reached, repeats: int | None, as_json: bool) -> int:
    """Examine a backend and print the findings; return the exit code, 1 when it cannot be used."""
    repeats = doctor.REPEATS if repeats is None else repeats
    if repeats < 2:
        raise InputError(f"--repeats {repeats}: allowed is a whole number from 2")
    backend = reached.backend_for("doctor")
    page = console()
    model, number = backend.capabilities().model, doctor.calls_needed(backend, repeats=repeats)
    where = f" at {backend.base_url}" if reached.backend == "openai" else ""
    paragraph(page, f"{number} short calls to {model}{where}, of at most {doctor.MOST_TOKENS} tokens each to answer")
    page.file.flush()
    try:
        report = doctor.examine(backend, repeats=repeats)
    finally:
        backend.close()
    words = _options(report)
    if as_json:
        print_json({**report.as_dict(), "usable": not report.problem, "settings": report.settings(), "options": words})
    else:
        rows = report.rows() + ([] if report.problem else [("options of run", words or "the defaults")])
        table(page, report.model, ("", ""), rows)
    return 1 if report.problem else 0


def _options(report: doctor.Report) -> str:
    """The options of ``simengine run`` that suit the server."""
    found = report.settings()
    words = ["--elicitation percentages"] if "score" in found else []
    return " ".join(words + ([f"--schema {found['schema']}"] if found.get("schema") in SCHEMAS else []))


# -- cost ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """What the user asked to be tried: as a `Request` of ``simengine run``, and what things cost."""

    scenario: str
    settings: tuple[str, ...]
    stray: tuple[str, ...]
    policies: tuple[str, ...]
    language: Mapping[str, Any]
    prices: Mapping[str, Any]
    keywords: Mapping[str, Any]
    as_json: bool


def forecast(trial: Trial) -> None:
    """Run in memory with the surrogate, and print what the same run would take with a model."""
    if not trial.policies:
        raise InputError(NOBODY)
    prices, limits = _prices(trial.prices), _limits(trial.language)
    settings.refuse_assignment(trial.scenario)
    found = registry.find(trial.scenario)
    parameters = settings.parameters(found, trial.settings, trial.stray, "llm cost")
    asking = {name: trial.language[name] for name in ("share", "elicitation") if name in trial.language}
    # A trial is no run to be stopped, however often the n-gram finds no answer.
    policies = policies_of(found, trial.policies, asking | {"backend": "surrogate", "most_fallbacks": 1.0}, parameters)
    if not policies:
        raise InputError(NOBODY)
    answer = next(iter(policies.values()))[0].answer
    with explained(None, found):
        dataset = simengine.run(found, policies=policies, **trial.keywords, **parameters)
    model = answer.backend.capabilities().model
    ledger = spending.Ledger.restored(answer.record.spent(model))
    bounds = _bounds(answer.record)
    taken = spending.forecast(ledger, prices, limits)
    said = {
        "scenario": found.__name__,
        "steps": int(dataset.attrs["stopped_at"]),
        "seed": trial.keywords.get("seed", 0),
        "decisions": _by_decision(dataset, ledger, bounds, policies),
        "calls": taken.calls,
        "tokens": taken.tokens,
        "input_tokens": ledger.total.input,
        "output_tokens": ledger.total.output,
        "most_output_tokens": sum(bound.output for bound in bounds.values()),
        "shortest_seconds": taken.shortest_seconds if limits else None,
        "money": None if prices is None else _money(prices, ledger.total, bounds),
        "note": TRIED,
    }
    if trial.as_json:
        print_json(said)
    else:
        _show_forecast(said)


def _show_forecast(said: Mapping[str, Any]) -> None:
    page = console()
    listed = [
        (label, str(facts["elicitation"]), *(f"{facts[name]:,}" for name in FIGURES))
        for label, facts in said["decisions"].items()
    ]
    table(page, f"{said['scenario']}, {said['steps']} steps", DECISIONS, listed, DECISIONS[2:])
    sent, received = f"{said['input_tokens']:,}", f"{said['output_tokens']:,}"
    rows = [
        ("calls", f"{said['calls']:,}"),
        ("tokens", f"{said['tokens']:,}: {sent} in, {received} out (at most {said['most_output_tokens']:,})"),
    ]
    if said["shortest_seconds"] is not None:
        rows.append(("shortest time", f"{readable_time(said['shortest_seconds'])} under the limits"))
    if said["money"] is not None:
        money = said["money"]
        unit = money["currency"]
        cached = money["if_cached"]
        least = "" if cached is None else f"; {cached:,.4g} {unit} if all that was sent before is in the server's cache"
        most = f"{money['at_most']:,.4g} {unit} if all answers are as long as they may be"
        rows.append(("money", f"{money['expected']:,.4g} {unit}{least}; {most}"))
    table(page, "Forecast", ("", ""), rows)
    paragraph(page, said["note"])


def _prices(given: Mapping[str, Any]) -> spending.Prices | None:
    if not given:
        return None
    for name in ("input", "output"):
        if name not in given:
            raise InputError(f"money needs --{name}-price, of a million tokens")
    return spending.Prices(**given)


def _limits(given: Mapping[str, Any]) -> Limits | None:
    named = {name: given[name] for name in ("requests_per_minute", "tokens_per_minute") if name in given}
    return Limits(**named) if named else None


def _bounds(record: Record) -> dict[str, spending.Spent]:
    """By decision: the most tokens that answers may have, and those sent whose beginning was sent before."""
    found: dict[str, spending.Spent] = {}
    sizes: dict[tuple[str, ...], int] = {}
    for entry in record.entries():
        request = _request(record.asked(entry))
        bound = found.setdefault(entry.label, spending.Spent())
        bound.output += spending.output_ceiling(request)
        beginning = tuple(message.text for message in request.messages[:-1])
        bound.cached_input += sizes.get(beginning, 0)
        sizes.setdefault(beginning, sum(len(text) for text in beginning) // 4)
    return found


def _request(asked: Mapping[str, Any]) -> Request:
    messages = tuple(Message(role, text) for role, text in asked["messages"])
    return Request(messages, kind=asked["kind"], labels=tuple(asked["labels"]), max_tokens=asked["max_tokens"])


def _money(
    prices: spending.Prices, total: spending.Spent, bounds: Mapping[str, spending.Spent]
) -> dict[str, float | str | None]:
    cached = min(sum(bound.cached_input for bound in bounds.values()), total.input)
    most = sum(bound.output for bound in bounds.values())
    with_cache = spending.Spent(input=total.input, cached_input=cached, output=total.output)
    return {
        "expected": prices.cost(total),
        "if_cached": None if prices.cached is None else prices.cost(with_cache),
        "at_most": prices.cost(spending.Spent(input=total.input, output=max(most, total.output))),
        "currency": prices.currency,
    }


def _by_decision(
    dataset: Any, ledger: spending.Ledger, bounds: Mapping[str, spending.Spent], policies: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    reported = decode_attributes(dataset.attrs).get("language") or {}
    found = {}
    for label in policies:
        spent, bound = ledger.labels.get(label, spending.Spent()), bounds.get(label, spending.Spent())
        facts = (reported.get(label) or [{}])[0]
        made = facts.get("decisions", {})
        found[label] = {
            "elicitation": facts.get("elicitation"),
            "decisions": made.get("asked", 0),
            "situations": made.get("contexts", 0),
            "calls": spent.calls,
            "input_tokens": spent.input,
            "output_tokens": spent.output,
            "most_output_tokens": bound.output,
        }
    return found


# -- calls ---------------------------------------------------------------------------------------------------------


def show_calls(path: Path, decision: str | None, last: int, as_json: bool) -> None:
    """Print the last calls of a record."""
    if last < 1:
        raise InputError(f"--last {last}: allowed is a whole number from 1")
    beside = path if path.name.endswith(RECORD_SUFFIX) or is_cassette(path) else record_of(run_path(path))
    if not beside.is_file():
        raise InputError(f"there is no record of calls {str(beside)!r}; only runs with language models leave one")
    with Record.open(beside) as record:
        counts = latest.counted(record)
        label = None if decision is None else _label(decision, counts, beside)
        found = [_call(record, entry) for entry in latest.latest(record, last, label)]
    number = sum(counts.values()) if label is None else counts[label]
    if as_json:
        print_json({"record": str(beside), "recorded": counts, "calls": found})
        return
    page = console()
    what = "calls" if label is None else f"calls of {label}"
    paragraph(page, f"{beside}: the last {len(found):,} of {number:,} {what}\n")
    for call in found:
        table(page, _title(call), ("", ""), _rows(call))


def _label(decision: str, counts: Mapping[str, int], record: Path) -> str:
    found = [label for label in counts if decision in {label, label.split(".")[-1]}]
    if len(found) != 1:
        words = [word for label in counts for word in (label, label.split(".")[-1])]
        hint = nearest(decision, words) if not found else ""
        raise InputError(f"--decision {decision!r}: {record} holds {', '.join(counts) or 'no calls'}{hint}")
    return found[0]


def _call(record: Record, entry: Entry) -> dict[str, Any]:
    asked, answer = record.asked(entry), entry.answer
    said: dict[str, Any] = {
        "step": entry.step,
        "decision": entry.label,
        "model": entry.model,
        "elicitation": asked.get("elicitation", ""),
        "order": asked.get("order", 0),
        "sample": asked.get("sample", ""),
        "messages": [{"role": role, "text": text} for role, text in asked["messages"]],
        "schema": asked["schema"] or None,
        "reply": None,
        "probabilities": None,
        "input_tokens": None,
        "output_tokens": None,
        "tokens_estimated": None,
        "attempts": entry.attempts,
        "latency_seconds": entry.latency,
    }
    if isinstance(answer, Failure):
        return said | {"outcome": answer.kind, "reason": answer.message}
    usage = answer.usage
    if answer.log_probabilities:
        scores = zip(asked.get("labels", ()), answer.log_probabilities, strict=False)
        said["probabilities"] = {label: math.exp(score) for label, score in scores}
    return said | {
        "reply": answer.text or None,
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "tokens_estimated": not usage.known,
        "outcome": "reply",
        "reason": answer.finish,
    }


def _title(call: Mapping[str, Any]) -> str:
    sample = f" {call['sample']}" if call["sample"] else ""
    order = f", order {call['order']}" if call["order"] else ""
    return f"step {call['step']}, {call['decision']}: {call['elicitation']}{sample}{order}"


def _rows(call: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [(message["role"], _printable(message["text"])) for message in call["messages"]]
    if call["schema"]:
        rows.append(("schema", call["schema"]))
    if call["probabilities"] is not None:
        rows.append(("reply", ", ".join(f"{label} {share:.4g}" for label, share in call["probabilities"].items())))
    if call["reply"] is not None:
        rows.append(("reply", _printable(call["reply"])))
    rows.append(("outcome", _printable(f"{call['outcome']}: {call['reason']}")))
    took = f"{call['latency_seconds']:.3f} s"
    if call["attempts"] == 0:
        took = "nothing: it was known from another record"
    elif call["attempts"] > 1:
        took += f", {call['attempts']} attempts"
    if call["input_tokens"] is not None:
        told = " (estimated)" if call["tokens_estimated"] else ""
        took += f"; tokens {call['input_tokens']:,} in, {call['output_tokens']:,} out{told}"
    rows.append(("took", took))
    return rows


def _printable(text: str) -> str:
    """A text of others' without what a terminal would obey."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else repr(letter)[1:-1] for letter in text)
