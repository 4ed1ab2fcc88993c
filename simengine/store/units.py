"""Which texts are units: a strict part of what UDUNITS-2 reads, checked without that library."""

from __future__ import annotations

import re

from simengine.errors import ScenarioError, nearest


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# UDUNITS reads all of these; the many others that it also reads (furlong, ...) are refused here, so that a
# misspelling is never taken for a unit. Symbols and names take SI prefixes of their own kind.
_SYMBOLS = _words("m s g A K mol cd Hz N Pa J W C V F ohm S Wb T H lm lx Bq Gy Sv kat rad sr L l eV bar t bit")
_NAMES = _words(
    "meter metre second gram ampere kelvin mole candela hertz newton pascal joule watt coulomb volt farad "
    "siemens weber tesla henry lumen lux gray becquerel sievert katal radian steradian litre liter "
    "electronvolt byte"
)
_WHOLE = _words(
    "degree arcmin arcminute arcsec arcsecond turn revolution cycle rpm percent % min minute h hr hour d day "
    "week month yr year sec nat count ppm degC celsius hectare tonne angstrom micron knot foot inch mile"
)
_NAMES |= frozenset(f"{name}s" for name in _NAMES - _words("siemens hertz lux henry"))
_WHOLE |= _words("degrees bits minutes hours days weeks months years")
_PREFIX_SYMBOLS = _words("Y Z E P T G M k h da d c m u n p f a z y")
_PREFIX_NAMES = _words(
    "yotta zetta exa peta tera giga mega kilo hecto deka deci centi milli micro nano pico femto atto zepto yocto"
)
_NUMBER = re.compile(r"\d+(\.\d+)?([eE][+-]?\d+)?")
_FACTOR = re.compile(r"(?P<name>[A-Za-z%]+)(\^?[+-]?\d+)?")
_BETWEEN = re.compile(r" */ *| *\* *|\.(?=[A-Za-z])| +(?:per +)?")


def check_unit(text: str) -> None:
    """Accept ``text`` if it is a product or quotient of known units, each with an optional whole power.

    ``"1"``, ``"m s-1"``, ``"m/s^2"``, ``"kg.m2"``, ``"rad per s"``, ``"percent"``, ``"bit"`` are units;
    brackets, logarithmic units and dates (``"s since ..."``) are not. Whatever is accepted, UDUNITS-2 reads.

    Raises
    ------
    ScenarioError
        With the part that is unknown and the nearest known unit.
    """
    if not isinstance(text, str) or not text.strip():
        raise ScenarioError(f"a unit must be a text such as 'm s-1', or '1' for a pure number, got {text!r}")
    if text != text.strip():
        raise ScenarioError(f"unit {text!r} has blanks around it")
    for factor in _BETWEEN.split(text):
        if _NUMBER.fullmatch(factor):
            continue
        found = _FACTOR.fullmatch(factor)
        if found is None or not _is_known(found["name"]):
            name = found["name"] if found else factor
            raise ScenarioError(f"unit {text!r} is not understood at {name!r}{_hint(name)}")


def known_units() -> frozenset[str]:
    """Return all units that stand without a prefix."""
    return _SYMBOLS | _NAMES | _WHOLE


def _is_known(name: str) -> bool:
    if name in known_units():
        return True
    if any(name.startswith(prefix) and name[len(prefix) :] in _SYMBOLS for prefix in _PREFIX_SYMBOLS):
        return True
    return any(name.startswith(prefix) and name[len(prefix) :] in _NAMES for prefix in _PREFIX_NAMES)


def _hint(name: str) -> str:
    return nearest(name, sorted(known_units())) or "; '1' stands for pure numbers"
