"""The Facial Action Coding System as far as the paper goes, and descriptors: how strong each is.

`units` is the table of Action Units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..errors import DescriptorError
from .units import ACTION_UNITS as ACTION_UNITS
from .units import ActionUnit as ActionUnit

PAPER = tuple(f"AU{number}" for number in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26))
"""The paper's descriptor vector (section 4.3), which is also DISFA's order. It stays as it is,
whatever units there are besides."""

UNITS: Mapping[str, ActionUnit] = MappingProxyType({unit.code: unit for unit in ACTION_UNITS})
CODES: tuple[str, ...] = tuple(UNITS)
INDEX: Mapping[str, int] = MappingProxyType({code: i for i, code in enumerate(CODES)})

SIDES = ("L", "R")
"""The subject's left and right: "AU12L" is one side of the face, "AU12" both."""

Descriptor = Mapping[str, float]
"""AU code, with or without a side, -> intensity. 1 is the AU at its full natural intensity."""

FULL = 5.0  # a score that is full: the FACS intensities A to E as numbers 1 to 5
# The lowest offset: people show more of an Action Unit than its full action on a typical face, a
# broad smile for instance, and to lessen that takes more than one.
LOWEST = -1.5

# Prototypes after Ekman, Friesen & Hager (2002), FACS Investigator's Guide, restricted to the
# paper's twelve AUs; happiness is the paper's own vector. Where the prototype needs an AU outside
# the twelve (AU7, 14, 16, 23), the nearest combination stands in; contempt is unilateral in FACS.
EXPRESSIONS: Mapping[str, Descriptor] = MappingProxyType(
    {
        "happiness": {"AU6": 1.0, "AU12": 1.0, "AU25": 1.0},
        "sadness": {"AU1": 1.0, "AU4": 0.7, "AU15": 1.0, "AU17": 0.6},
        "surprise": {"AU1": 1.0, "AU2": 1.0, "AU5": 0.8, "AU25": 1.0, "AU26": 1.0},
        "fear": {"AU1": 1.0, "AU2": 0.6, "AU4": 1.0, "AU5": 1.0, "AU20": 0.5, "AU26": 0.5},
        "anger": {"AU4": 1.0, "AU5": 0.6, "AU17": 0.7},
        "disgust": {"AU9": 1.0, "AU4": 0.4, "AU15": 0.6, "AU17": 0.7},
        "contempt": {"AU12L": 0.8, "AU17": 0.2},
    }
)


def check(descriptor: Mapping[str, float], low: float = 0.0, high: float = 1.0) -> Descriptor:
    """Normalise the keys ("12", "au12" -> "AU12") and check every intensity.

    Raises DescriptorError for an unknown AU or an intensity outside [low, high].
    """
    checked: dict[str, float] = {}
    for key, value in descriptor.items():
        code = _code(key)
        whole, _ = split_side(code)
        if code in checked or whole in checked or (code == whole and _sides_of(code, checked)):
            raise DescriptorError(f"{whole} is given twice; give each Action Unit once")
        if not (math.isfinite(value) and low <= value <= high):
            raise DescriptorError(
                f"{code}={value:g}: an intensity lies between {low:g} and {high:g}"
            )
        checked[code] = float(value)
    return checked


def parse(text: str) -> Descriptor:
    """Read "AU12=1,AU6=0.8"; a bare "AU12" means intensity 1."""
    pairs: list[tuple[str, float]] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = part.partition("=")
        pairs.append((_code(key), _number(value, part) if equals else 1.0))
    if not pairs:
        raise DescriptorError("no Action Unit given; write for example AU12=1,AU6=0.8")
    if len({key for key, _ in pairs}) < len(pairs):
        raise DescriptorError(f"{text}: an Action Unit is given twice; give each once")
    return check(dict(pairs))


def parse_vector(text: str) -> Descriptor:
    """Read the paper's vector of twelve numbers, "0,0,0,0,1,0,1,0,0,0,1,0"."""
    parts = [p.strip() for p in text.strip().strip("[]").split(",")]
    if len(parts) != len(PAPER):
        raise DescriptorError(
            f"a descriptor has {len(PAPER)} numbers ({', '.join(PAPER)}), not {len(parts)}"
        )
    return from_vector([_number(p, p) for p in parts])


def from_vector(values: Sequence[float]) -> Descriptor:
    """[12] intensities in the paper's order -> descriptor without the zeros."""
    if len(values) != len(PAPER):
        raise DescriptorError(f"a descriptor has {len(PAPER)} numbers, not {len(values)}")
    checked = check(dict(zip(PAPER, values, strict=True)))
    return {code: value for code, value in checked.items() if value}


def to_vector(descriptor: Descriptor) -> list[float]:
    """Descriptor -> [12] intensities in the paper's order; one side counts half.

    Raises DescriptorError for an AU that the paper's vector has no place for.
    """
    units = by_unit(descriptor)
    if other := [code for code, value in units.items() if value and code not in PAPER]:
        raise DescriptorError(f"{', '.join(other)}: not in the paper's vector ({', '.join(PAPER)})")
    return [units[code] for code in PAPER]


def by_unit(descriptor: Descriptor) -> dict[str, float]:
    """The intensity of every Action Unit, in the order of CODES; one side counts half."""
    both = ((left + right) / 2 for left, right in to_sides(descriptor))
    return dict(zip(CODES, both, strict=True))


def to_sides(descriptor: Descriptor) -> list[list[float]]:
    """Descriptor -> [12, 2] intensities in the order of CODES, on each of SIDES."""
    sides = [[0.0] * len(SIDES) for _ in CODES]
    for key, value in descriptor.items():
        code, given = split_side(key)
        for side in given or SIDES:
            sides[INDEX[code]][SIDES.index(side)] += value
    return sides


def split_side(code: str) -> tuple[str, str]:
    """("AU12L") -> ("AU12", "L"); ("AU12") -> ("AU12", "")."""
    return (code[:-1], code[-1]) if code[-1:] in SIDES else (code, "")


def _sides_of(code: str, descriptor: Descriptor) -> bool:
    return any(code + side in descriptor for side in SIDES)


def expression(name: str) -> Descriptor:
    """The descriptor of one of the seven expressions."""
    try:
        return dict(EXPRESSIONS[name.lower()])
    except KeyError:
        known = ", ".join(EXPRESSIONS)
        raise DescriptorError(f"unknown expression {name!r}; known are {known}") from None


def _code(key: str) -> str:
    digits, side = split_side(key.strip().upper().removeprefix("AU"))
    known = digits.isascii() and digits.isdigit() and len(digits) < 4
    code = f"AU{int(digits)}" if known else key[:20]
    if code not in INDEX:
        raise DescriptorError(f"unknown Action Unit {key[:20]!r}; known are {', '.join(CODES)}")
    return code + side


def _number(text: str, context: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DescriptorError(f"{context!r}: {text!r} is not a number") from None
