"""The Facial Action Coding System as far as the paper goes: twelve Action Units.

The order is DISFA's, which is also that of the paper's descriptor vector (section 4.3):
E = [AU1, AU2, AU4, AU5, AU6, AU9, AU12, AU15, AU17, AU20, AU25, AU26].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from .errors import DescriptorError


@dataclass(frozen=True)
class ActionUnit:
    """One FACS Action Unit: its number, FACS name, the muscle behind it, its part of the face."""

    number: int
    name: str
    muscle: str
    area: str

    @property
    def code(self) -> str:
        return f"AU{self.number}"


ACTION_UNITS: tuple[ActionUnit, ...] = (
    ActionUnit(1, "Inner Brow Raiser", "frontalis, pars medialis", "brows"),
    ActionUnit(2, "Outer Brow Raiser", "frontalis, pars lateralis", "brows"),
    ActionUnit(4, "Brow Lowerer", "corrugator supercilii, depressor supercilii", "brows"),
    ActionUnit(5, "Upper Lid Raiser", "levator palpebrae superioris", "eyes"),
    ActionUnit(6, "Cheek Raiser", "orbicularis oculi, pars orbitalis", "eyes"),
    ActionUnit(9, "Nose Wrinkler", "levator labii superioris alaeque nasi", "nose"),
    ActionUnit(12, "Lip Corner Puller", "zygomaticus major", "mouth"),
    ActionUnit(15, "Lip Corner Depressor", "depressor anguli oris", "mouth"),
    ActionUnit(17, "Chin Raiser", "mentalis", "mouth"),
    ActionUnit(20, "Lip Stretcher", "risorius", "mouth"),
    ActionUnit(25, "Lips Part", "depressor labii inferioris", "mouth"),
    ActionUnit(26, "Jaw Drop", "masseter, relaxed", "mouth"),
)
CODES: tuple[str, ...] = tuple(unit.code for unit in ACTION_UNITS)
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

    Raises DescriptorError for an AU outside the twelve or an intensity outside [low, high].
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
    if len(parts) != len(CODES):
        raise DescriptorError(
            f"a descriptor has {len(CODES)} numbers ({', '.join(CODES)}), not {len(parts)}"
        )
    return from_vector([_number(p, p) for p in parts])


def from_vector(values: Sequence[float]) -> Descriptor:
    """[12] intensities in the paper's order -> descriptor without the zeros."""
    if len(values) != len(CODES):
        raise DescriptorError(f"a descriptor has {len(CODES)} numbers, not {len(values)}")
    checked = check(dict(zip(CODES, values, strict=True)))
    return {code: value for code, value in checked.items() if value}


def to_vector(descriptor: Descriptor) -> list[float]:
    """Descriptor -> [12] intensities in the paper's order; one side counts half."""
    return [(left + right) / 2 for left, right in to_sides(descriptor)]


def to_sides(descriptor: Descriptor) -> list[list[float]]:
    """Descriptor -> [12, 2] intensities in the paper's order, on each of SIDES."""
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
