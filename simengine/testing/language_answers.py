"""What the loopback server answers: a function of the request alone, with log-probabilities that add up.

There is no language in it: a digest of the request's model and messages gives a distribution over the labels that the
messages name; the request's seed and temperature draw from it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simengine.errors import InputError
from simengine.testing.language_faults import uniform

Answers = Callable[[dict[str, Any]], Any]
WORDS = ("a", "round", "of", "numbers", "drawn", "from", "what", "was", "asked", "and", "nothing", "else")
NO_LABEL = {"Hmm": 0.6, "~": 0.3, "?!": 0.1}
SPACED = 0.25
END = "<|end|>"
DEEPEST_SCHEMA = 12

_LISTED = re.compile(r"^[ \t]*(?:[-*\u2022]|\(?[A-Za-z0-9]{1,2}[.):])[ \t]+(.+?)[ \t]*$", re.MULTILINE)
_NAMED = re.compile(r"(?:options?|labels?|choices|one of(?: these| the following)?)(?: are| is)?:?\s+([^.\n]+)", re.I)
_QUOTED = re.compile(r"[\"'`\u201c]([^\"'`\u201c\u201d\n]{1,60})[\"'`\u201d]")
_PIECES = re.compile(r" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]|\s")


@dataclass(frozen=True)
class Answer:
    """A text, how it ended, and where asked for the log-probabilities of its tokens as the interface writes them."""

    text: str
    finish: str
    tokens: int
    log_probabilities: list[dict[str, Any]] | None = None


def labels_of(body: Mapping[str, Any]) -> list[str]:
    """Find the options that a request names.

    Taken in this order: a choice or enumeration in its schema, a list with bullets, numbers or letters in the last
    message that has one, words after "options:" or "one of:", words in quotation marks.
    """
    choice = (body.get("structured_outputs") or {}).get("choice")
    if choice:
        return list(choice)
    schema = schema_of(body)
    if schema:
        return list(schema["properties"]) if _are_percentages(schema) else _enumerated(schema)
    for whole in reversed([_text(message) for message in body.get("messages", [])]):
        text = whole.rpartition("Options:\n")[2]
        for found in (_LISTED.findall(text), _split(_NAMED.findall(text)), _QUOTED.findall(text)):
            labels = list(dict.fromkeys(label.strip(" \"'`") for label in found))
            if len(labels) > 1:
                return labels
    return []


def schema_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema that a request asks its answer to fit: in its fields, or as its last line of words."""
    asked = body.get("response_format") or {}
    if asked.get("type") == "json_schema":
        return dict((asked.get("json_schema") or {}).get("schema") or {})
    if body.get("structured_outputs"):
        return dict(body["structured_outputs"].get("json") or {})
    last = _text(body["messages"][-1]).rstrip().rpartition("\n")[2] if body.get("messages") else ""
    if last.startswith("{") and '"properties"' in last:
        try:
            return dict(json.loads(last))
        except ValueError:
            return {}
    return {}


def distribution_of(body: Mapping[str, Any], labels: Sequence[str]) -> dict[str, float]:
    """Return probabilities over ``labels``: a function of the model, the messages and the label, in any order."""
    key = digest({"model": body.get("model"), "messages": body.get("messages")})
    weights = [0.05 + uniform("label", key, label) ** 2 for label in labels]
    total = math.fsum(weights)
    return {label: weight / total for label, weight in zip(labels, weights, strict=True)}


def answer_to(body: dict[str, Any], answers: Answers | None = None, *, letters: int = 0, index: int = 0) -> Answer:
    """Answer a request: what ``answers`` returns (a text, probabilities of texts, or values to be sent as JSON).

    ``letters`` cuts words into tokens of so many letters (0: whole words); ``index`` numbers several choices.
    """
    said: Any = answers(body) if answers else None
    schema = schema_of(body)
    if said is None:
        labels = labels_of(body)
        key = digest(body, index)
        said = distribution_of(body, labels) if labels else _filled(schema, key) if schema else _words(key)
    if _is_distribution(said) and not (schema and not _enumerated(schema)):
        return _drawn(body, {str(label): float(p) for label, p in said.items()}, letters, index)
    if _is_distribution(said) and _are_percentages(schema):
        said = _percentages(said)
    text = said if isinstance(said, str) else json.dumps(said)
    return _drawn(body, {text: 1.0}, letters, index)


def nonsense(body: dict[str, Any], letters: int = 0) -> Answer:
    """Answer with what is no label and fits no schema."""
    return _drawn(body, NO_LABEL, letters, 0)


def digest(*values: Any) -> str:
    """Return 32 hexadecimal digits of plain values, the same for any order of names."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def tokens_of(text: str) -> int:
    """Estimate tokens by characters, as the usage field tells them."""
    return -(-len(text) // 4)


def address_of(answers: str | Callable[..., Any] | None) -> str:
    """Return "module:function" by which another process finds the function ``answers``; "" for none."""
    if answers is None or isinstance(answers, str):
        return answers or ""
    module, name = getattr(answers, "__module__", ""), getattr(answers, "__qualname__", "")
    if not module or not name or "<" in name:
        raise InputError(f"answers: another process cannot import {answers!r}; define it at the top of a module")
    if module == "__main__":
        path = getattr(sys.modules["__main__"], "__file__", None)
        if path is None:
            raise InputError(f"answers: another process cannot import {name} of this session; write it to a file")
        module = str(Path(path).resolve())
    return f"{module}:{name}"


def imported(address: str) -> Answers | None:
    """Return the function of an address, or nothing for none."""
    if not address:
        return None
    module, colon, name = address.rpartition(":")
    if not colon:
        raise InputError(f"answers = {address!r}: write module:function or file.py:function")
    try:
        if module.endswith(".py"):
            spec = importlib.util.spec_from_file_location("language_server_answers", module)
            assert spec is not None
            assert spec.loader is not None
            found: Any = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(found)
        else:
            found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise InputError(f"answers = {address!r} cannot be imported: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise InputError(f"answers = {address!r} is no function")
    answers: Answers = found
    return answers


def _drawn(body: dict[str, Any], texts: dict[str, float], letters: int, index: int) -> Answer:
    """Draw one of ``texts`` by the request's temperature and seed, and write its tokens' log-probabilities."""
    total = math.fsum(texts.values())
    chances = {text: p / total for text, p in texts.items() if p > 0.0}
    text = _chosen(chances, _temperature(body), body, index)
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    pieces = _tokens(text, letters)
    finish = "stop"
    if most is not None and len(pieces) > int(most):
        pieces, finish = pieces[: int(most)], "length"
    if not body.get("logprobs"):
        return Answer("".join(pieces), finish, len(pieces))
    asked = min(int(body.get("top_logprobs") or 0), 20)
    return Answer("".join(pieces), finish, len(pieces), _token_log_probabilities(chances, pieces, letters, asked))


def _token_log_probabilities(
    chances: dict[str, float], pieces: list[str], letters: int, asked: int
) -> list[dict[str, Any]]:
    """Write each drawn token beside the likeliest others at its place, given the tokens before it."""
    left = [(_tokens(text, letters), p) for text, p in chances.items()]
    content = []
    for place, piece in enumerate(pieces):
        total = math.fsum(p for _, p in left)
        at: dict[str, float] = {}
        for tokens, p in left:
            token = tokens[place] if place < len(tokens) else END
            at[token] = at.get(token, 0.0) + p / total
        if place == 0:
            # Models split the mass of a word between its forms with and without a leading space.
            at = {form: p for token, whole in at.items() for form, p in _forms(token, whole)}
        ranked = sorted(at.items(), key=lambda pair: (-pair[1], pair[0]))[:asked]
        top = [_entry(token, p) for token, p in ranked]
        content.append(_entry(piece, at[piece]) | {"top_logprobs": top})
        left = [(tokens, p) for tokens, p in left if place < len(tokens) and tokens[place] == piece]
    return content


def _forms(token: str, p: float) -> list[tuple[str, float]]:
    if not token[:1].isalnum():
        return [(token, p)]
    return [(token, p * (1.0 - SPACED)), (f" {token}", p * SPACED)]


def _entry(token: str, p: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(p), "bytes": list(token.encode())}


def _chosen(chances: dict[str, float], temperature: float, body: dict[str, Any], index: int) -> str:
    ranked = sorted(chances, key=lambda text: (-chances[text], text))
    if temperature <= 0.0 or len(ranked) == 1:
        return ranked[0]
    logs = [math.log(chances[text]) / temperature for text in ranked]
    weights = [math.exp(value - logs[0]) for value in logs]
    left = uniform("sample", digest(body), index) * math.fsum(weights)
    for text, weight in zip(ranked, weights, strict=True):
        left -= weight
        if left < 0.0:
            return text
    return ranked[-1]


def _temperature(body: Mapping[str, Any]) -> float:
    value = body.get("temperature")
    return 1.0 if value is None else float(value)


def _tokens(text: str, letters: int) -> list[str]:
    pieces = _PIECES.findall(text)
    if letters <= 0:
        return pieces
    return [piece[at : at + letters] for piece in pieces for at in range(0, len(piece), letters)]


def _text(message: Any) -> str:
    """Return the text of a message, whether one string or a list of parts."""
    content = message.get("content") if isinstance(message, Mapping) else ""
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return str(content or "")


def _split(found: list[str]) -> list[str]:
    return [word for word in re.split(r"\s*(?:,|;|\||/|\bor\b|\band\b)\s*", found[-1]) if word.strip()] if found else []


def _is_distribution(said: Any) -> bool:
    if not isinstance(said, Mapping) or not said:
        return False
    numbers = all(isinstance(p, float) and 0.0 <= p <= 1.0 for p in said.values())
    return numbers and abs(math.fsum(said.values()) - 1.0) < 1e-6


def _are_percentages(schema: Mapping[str, Any]) -> bool:
    """Whether an object of two or more whole numbers up to 100 is asked for, and nothing else."""
    held = list((schema.get("properties") or {}).values())
    return len(held) > 1 and all(one.get("type") == "integer" and one.get("maximum") == 100 for one in held)


def _percentages(said: Mapping[str, float]) -> dict[str, int]:
    """Return whole percentages that add up to 100: the largest remainders are rounded up."""
    whole = {label: math.floor(100.0 * p) for label, p in said.items()}
    short = 100 - sum(whole.values())
    for label in sorted(said, key=lambda label: (whole[label] - 100.0 * said[label], label))[:short]:
        whole[label] += 1
    return whole


def _enumerated(schema: Mapping[str, Any]) -> list[str]:
    """Return the words of a schema that is an enumeration of texts, and no object around it."""
    return [word for word in schema.get("enum", ()) if isinstance(word, str)]


def _words(key: str) -> str:
    count = 4 + int(uniform("count", key) * 8)
    return " ".join(WORDS[int(uniform("word", key, at) * len(WORDS))] for at in range(count)) + "."


def _filled(schema: Mapping[str, Any], key: str, root: Mapping[str, Any] | None = None, depth: int = 0) -> Any:
    """Return values that fit ``schema``, drawn by ``key``: within bounds, enumerations and references."""
    root = schema if root is None else root
    if depth > DEEPEST_SCHEMA:
        return None
    if "$ref" in schema:
        found: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found[part]
        return _filled(found, key, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    for name in ("enum", "anyOf", "oneOf"):
        if schema.get(name):
            one = schema[name][int(uniform(name, key) * len(schema[name]))]
            return one if name == "enum" else _filled(one, key, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if kind == "object":
        held = (schema.get("properties") or {}).items()
        return {name: _filled(one, f"{key}.{name}", root, depth + 1) for name, one in held}
    if kind == "array":
        count = max(int(schema.get("minItems", 1)), min(2, int(schema.get("maxItems", 2))))
        return [_filled(schema.get("items") or {}, f"{key}.{at}", root, depth + 1) for at in range(count)]
    return _filled_leaf(schema, kind, key)


def _filled_leaf(schema: Mapping[str, Any], kind: str, key: str) -> Any:
    share = uniform(kind, key)
    if kind == "boolean":
        return share < 0.5
    if kind == "null":
        return None
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 100))
        if kind == "number":
            return low + (high - low) * (0.001 + 0.998 * share)
        first = math.ceil(low) + ("exclusiveMinimum" in schema)
        last = math.floor(high) - ("exclusiveMaximum" in schema)
        return first + int(share * (last - first + 1))
    text = _words(key)
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text
