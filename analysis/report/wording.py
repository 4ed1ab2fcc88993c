"""Numbers, durations and texts of users in the words of a page."""

from __future__ import annotations

import math
import re
import shlex
from typing import Any

NOTHING, MINUS, TIMES = "\u2013", "\u2212", "\u00d7"
RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
LONGEST = 400
_FOLDERS = re.compile(r"(?<![\w:/.])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\:'\"<>|]+)+[/\\](?=[^\s/\\])")


def number(value: Any, digits: int = 4) -> str:
    """Return a measured number to some digits; a dash where there is none."""
    if value is None:
        return NOTHING
    value = float(value)
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    text = f"{int(value)}" if value == int(value) and abs(value) < 1e6 else f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    if exponent:
        text = f"{mantissa} {TIMES} 10{str(int(exponent)).translate(RAISED)}"
    return text.replace("-", MINUS)


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun: ``1 run``, ``2 runs``."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def share(value: float) -> str:
    """Return a share in per cent, never 0 % or 100 % unless it is."""
    percent = 100 * value
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.3g} %"


def duration(seconds: float) -> str:
    """Return a duration with its units."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(number: float) -> str:
    """Return a number of bytes with its unit."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def value(given: Any) -> str:
    """Return a parameter's value as a user would write it."""
    if given is None:
        return "none"
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, float):
        return f"{given:.12g}"
    if isinstance(given, list | tuple):
        return ", ".join(value(item) for item in given)
    return cut(str(given))


def unit(text: str | None) -> str:
    """Return a unit to be shown: nothing for pure numbers."""
    return "" if text in (None, "", "1") else str(text)


def in_words(name: str) -> str:
    """Return a variable's or a parameter's name in words: ``mean_opinion`` as ``Mean opinion``."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def class_in_words(name: str) -> str:
    """Return a class's name in words: ``HegselmannKrause`` as ``Hegselmann Krause``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)


def cut(text: str, most: int = LONGEST) -> str:
    """Return a text that is no longer than this."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def without_folders(text: str) -> str:
    """Return a text in which files go by their names alone: where they lie is nobody's business but their owner's."""
    return _FOLDERS.sub("", text)


def word(name: str) -> str:
    """Return the name of a file as a word of a shell that no program takes for an option."""
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def plain_for_figures(text: str) -> str:
    """Return a text that a figure shows as it is: a dollar sign begins no formula."""
    return re.sub(r"(?<!\\)\$", r"\\$", text)


def as_written(text: str) -> str:
    """Return what `plain_for_figures` was given."""
    return text.replace(r"\$", "$")
