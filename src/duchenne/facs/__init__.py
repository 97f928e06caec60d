"""The Facial Action Coding System as far as photos show it, and descriptors: how strong each is.

`units` is the table of Action Units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..errors import DescriptorError, meant, quoted
from ..reading import numbers
from .units import ACTION_UNITS as ACTION_UNITS
from .units import ActionUnit as ActionUnit

PAPER = tuple(f"AU{number}" for number in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26))
"""The paper's descriptor vector (section 4.3), which is also DISFA's order. It stays as it is,
whatever units there are besides."""

UNITS: Mapping[str, ActionUnit] = MappingProxyType({unit.code: unit for unit in ACTION_UNITS})
CODES: tuple[str, ...] = tuple(UNITS)
INDEX: Mapping[str, int] = MappingProxyType({code: i for i, code in enumerate(CODES)})

MOVED: tuple[str, ...] = tuple(unit.code for unit in ACTION_UNITS if unit.moved)
"""Those that are drawn by moving the picture; no boundary is asked for them."""

SIDES = ("L", "R")
"""The subject's left and right: "AU12L" is one side of the face, "AU12" both."""

Descriptor = Mapping[str, float]
"""AU code, with or without a side, -> intensity. 1 is the AU at its full natural intensity."""

LETTERS = "ABCDE"  # of FACS intensities, from a trace to the maximum
MOST_STEPS = 1000  # of a sweep: a typing error in a step, not a film
FULL = 5.0  # a score that is full: the FACS intensities A to E as numbers 1 to 5
# The lowest offset: people show more of an Action Unit than its full action on a typical face, a
# broad smile for instance, and to lessen that takes more than one.
LOWEST = -1.5
# The highest: on some faces 1 shows less than the full action (`measuring.ending`). It is never
# asked for, only found.
HIGHEST = 1.3

# Prototypes after Ekman, Friesen & Hager (2002), FACS Investigator's Guide; happiness is the
# paper's own vector. Contempt is one-sided.
EXPRESSIONS: Mapping[str, Descriptor] = MappingProxyType(
    {
        "happiness": {"AU6": 1.0, "AU12": 1.0, "AU25": 1.0},
        "sadness": {"AU1": 1.0, "AU4": 0.7, "AU15": 1.0, "AU17": 0.6},
        "surprise": {"AU1": 1.0, "AU2": 1.0, "AU5": 0.8, "AU25": 1.0, "AU26": 1.0},
        "fear": {
            "AU1": 1.0,
            "AU2": 0.6,
            "AU4": 0.8,
            "AU5": 1.0,
            "AU20": 0.7,
            "AU25": 0.7,
            "AU26": 0.3,
        },
        "anger": {"AU4": 1.0, "AU5": 0.6, "AU7": 0.8, "AU23": 1.0, "AU17": 0.5},
        "disgust": {"AU9": 1.0, "AU10": 0.7, "AU15": 0.5, "AU17": 0.6},
        "contempt": {"AU12L": 0.4, "AU14L": 1.0},
    }
)
"""The seven expressions by their names, one prototype each."""

# The Guide's other prototypes; pain after Prkachin & Solomon (2008).
VARIANTS: Mapping[str, Descriptor] = MappingProxyType(
    {
        "neutral": {},
        "happiness/closed": {"AU6": 1.0, "AU12": 1.0},
        "happiness/social": {"AU12": 0.8},
        "sadness/lips-still": {"AU1": 1.0, "AU4": 0.7, "AU15": 1.0},
        "surprise/stretched": {"AU1": 1.0, "AU2": 1.0, "AU5": 0.8, "AU25": 1.0, "AU27": 1.0},
        "fear/jaw": {"AU1": 1.0, "AU2": 0.8, "AU4": 0.8, "AU5": 1.0, "AU25": 0.8, "AU26": 0.8},
        "anger/lips-pressed": {"AU4": 1.0, "AU5": 0.6, "AU7": 0.8, "AU17": 0.7, "AU24": 1.0},
        "anger/teeth": {"AU4": 1.0, "AU5": 0.6, "AU7": 0.8, "AU10": 0.8, "AU23": 0.6, "AU25": 0.7},
        "disgust/nose": {"AU9": 1.0, "AU17": 0.7},
        "disgust/lip": {"AU10": 1.0, "AU17": 0.7},
        "disgust/open": {"AU9": 1.0, "AU10": 0.7, "AU16": 0.7, "AU25": 0.7},
        "contempt/smirk": {"AU12L": 0.8},
        "pain": {"AU4": 1.0, "AU6": 0.7, "AU7": 0.6, "AU9": 0.7, "AU10": 0.5, "AU43": 0.8},
    }
)
"""Other prototypes of the seven, and other faces that have a name."""

_WINK = "AU46"
# A blink is a closing in time, a wink one of one eye.
SAME_AS = MappingProxyType({"AU45": "AU43", _WINK: "AU43"})


def also_known_as(code: str) -> tuple[int, ...]:
    """The other numbers under which both sides of an Action Unit are coded: 45 for "AU43".

    >>> also_known_as("AU43")
    (45,)
    """
    return tuple(
        int(other.removeprefix("AU"))
        for other, same in SAME_AS.items()
        if same == code and other != _WINK
    )


def check(descriptor: Mapping[str, float], low: float = 0.0, high: float = 1.0) -> Descriptor:
    """Normalise the keys ("12", "au12" -> "AU12") and check every intensity.

    Raises DescriptorError for an unknown AU or an intensity outside [low, high].

        >>> check({"12": 0.5, "au6": 1})
        {'AU12': 0.5, 'AU6': 1.0}
        >>> check({"AU12": 2})
        Traceback (most recent call last):
            ...
        duchenne.errors.DescriptorError: AU12=2: an intensity lies between 0 and 1
    """
    checked: dict[str, float] = {}
    for key, value in descriptor.items():
        code = _code(key)
        whole, _ = split_side(code)
        if code in checked or whole in checked or (code == whole and _sides_of(code, checked)):
            raise DescriptorError(f"{whole} is given twice; give each Action Unit once")
        try:
            intensity = numbers.decimal(value)
        except ValueError:
            raise DescriptorError(f"{code}: {quoted(value)} is not a number") from None
        if not low <= intensity <= high:  # NaN is not
            raise DescriptorError(
                f"{code}={intensity:g}: an intensity lies between {low:g} and {high:g}"
            )
        checked[code] = intensity
    _check_directions(checked)
    return checked


def offsets(values: Mapping[str, float]) -> Descriptor:
    """The same for what is added to a face, which may be from LOWEST to HIGHEST."""
    return check(values, low=LOWEST, high=HIGHEST)


def excludes(name: str, other: str) -> bool:
    """Whether an eye can do only one of two Action Units, perhaps with sides: it looks one way.

    >>> excludes("AU61", "AU62L"), excludes("AU61L", "AU62R"), excludes("AU12", "AU15")
    (True, False, False)
    """
    (code, side), (opposite, its) = split_side(name), split_side(other)
    if side and its and side != its:
        return False
    opposed = opposite in UNITS[code].opposes or code in UNITS[opposite].opposes
    return opposed and code in MOVED and opposite in MOVED


def _check_directions(descriptor: Descriptor) -> None:
    """DescriptorError where an eye is to look two opposite ways at once."""
    sides = to_sides(descriptor)
    for code in MOVED:
        for other in UNITS[code].opposes:
            pair = zip(sides[INDEX[code]], sides[INDEX[other]], strict=True)
            if excludes(code, other) and any(a > 0 and b > 0 for a, b in pair):
                raise DescriptorError(f"{code} and {other} exclude one another; give one of them")


def parse(text: str) -> Descriptor:
    """Read "AU12=1,AU6=C"; a bare "AU12" means intensity 1.

    The letters A to E are the FACS intensities, 0.2 to 1. "AU45" is AU43, "AU46L" is AU43L.

        >>> parse("AU12=0.8, AU6=C")
        {'AU12': 0.8, 'AU6': 0.6}
        >>> parse("AU46L")
        {'AU43L': 1.0}
    """
    pairs: list[tuple[str, float]] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals and part.isdigit() and "=" in text:  # AU12=0,5
            raise DescriptorError(f"{text[:60]}: write intensities with a point, AU12=0.5")
        pairs.append((_code(key), _intensity(value, part) if equals else 1.0))
    if not pairs:
        raise DescriptorError("no Action Unit given; write for example AU12=1,AU6=0.8")
    if len({key for key, _ in pairs}) < len(pairs):
        raise DescriptorError(f"{text}: an Action Unit is given twice; give each once")
    return check(dict(pairs))


def parse_vector(text: str) -> Descriptor:
    """Read the paper's vector of twelve numbers, "0,0,0,0,1,0,1,0,0,0,1,0".

    >>> parse_vector("0,0,0,0,1,0,1,0,0,0,0.5,0")
    {'AU6': 1.0, 'AU12': 1.0, 'AU25': 0.5}
    """
    parts = [p.strip() for p in text.strip().strip("[]").split(",")]
    if len(parts) != len(PAPER):
        raise DescriptorError(
            f"a descriptor has {len(PAPER)} numbers ({', '.join(PAPER)}), not {len(parts)}"
        )
    return from_vector([_number(p, p) for p in parts])


def from_vector(values: Sequence[float]) -> Descriptor:
    """[12] intensities in the paper's order -> a descriptor of those that are not zero.

    The paper's happiness, with the lips half parted:

        >>> from_vector([0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0.5, 0])
        {'AU6': 1.0, 'AU12': 1.0, 'AU25': 0.5}
    """
    if len(values) != len(PAPER):
        raise DescriptorError(f"a descriptor has {len(PAPER)} numbers, not {len(values)}")
    checked = check(dict(zip(PAPER, values, strict=True)))
    return {code: value for code, value in checked.items() if value}


def to_vector(descriptor: Descriptor) -> list[float]:
    """Descriptor -> [12] intensities in the paper's order; one side counts half.

    Raises DescriptorError for an AU that the paper's vector has no place for.

        >>> to_vector({"AU6": 1.0, "AU12L": 1.0})
        [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
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
    """Descriptor -> [U, 2] intensities in the order of CODES, on each of SIDES."""
    sides = [[0.0] * len(SIDES) for _ in CODES]
    for key, value in descriptor.items():
        code, given = split_side(key)
        for side in given or SIDES:
            sides[INDEX[code]][SIDES.index(side)] += value
    return sides


def from_sides(sides: Sequence[Sequence[float]]) -> Descriptor:
    """[U, 2] intensities of `to_sides` -> those that are not zero, with sides where they differ.

    >>> from_sides(to_sides({"AU12": 0.5, "AU1L": 1.0}))
    {'AU1L': 1.0, 'AU12': 0.5}
    """
    descriptor: dict[str, float] = {}
    for code, (left, right) in zip(CODES, sides, strict=True):
        values = {code: left} if left == right else {f"{code}L": left, f"{code}R": right}
        descriptor |= {name: value for name, value in values.items() if value}
    return descriptor


def units(text: str) -> tuple[str, ...]:
    """Read a list of whole Action Units, "AU7,AU10", in the order of CODES.

    >>> units("AU10,AU7")
    ('AU7', 'AU10')
    """
    chosen = parse(text)
    if "=" in text or not set(chosen) <= set(CODES):
        raise DescriptorError(f"{text[:60]}: expected Action Units alone, AU7,AU10")
    return tuple(code for code in CODES if code in chosen)


def split_side(code: str) -> tuple[str, str]:
    """("AU12L") -> ("AU12", "L"); ("AU12") -> ("AU12", "")."""
    return (code[:-1], code[-1]) if code[-1:] in SIDES else (code, "")


def _sides_of(code: str, descriptor: Descriptor) -> bool:
    return any(code + side in descriptor for side in SIDES)


def expression(name: str) -> Descriptor:
    """The descriptor of an expression, one of its variants, or a mixture.

    "anger", "anger/lips-pressed", "anger:0.6+surprise:0.3": the parts' intensities, each as strong
    as it says, are added up, to 1 at most.

        >>> expression("happiness")
        {'AU6': 1.0, 'AU12': 1.0, 'AU25': 1.0}
        >>> expression("anger:0.5+surprise:0.2")["AU4"]
        0.5
    """
    total = to_sides({})
    for part in name.lower().split("+"):
        known, colon, weight = part.strip().partition(":")
        strength = _number(weight, part) if colon else 1.0
        if not 0 <= strength <= 1:
            raise DescriptorError(f"{part.strip()[:60]}: how strong lies between 0 and 1")
        added = to_sides(_prototype(known.strip()))
        total = [
            [min(before + strength * value, 1.0) for before, value in zip(*pair, strict=True)]
            for pair in zip(total, added, strict=True)
        ]
    return from_sides(total)


def named(text: str) -> Descriptor:
    """Read what may be either: Action Units, "AU12=1,AU6=0.8", or an expression, "anger:0.6"."""
    return parse(text) if "AU" in text.upper() else expression(text)


def sweep(text: str) -> tuple[Descriptor, Descriptor, int]:
    """Read "AU12=0:1:0.1", first, last and step, as (first, last, how many).

    Several ("AU12=0:1:0.25,AU6=0:1:0.25") go side by side and have equally many steps.

        >>> first, last, steps = sweep("AU12=0:1:0.25")
        >>> first, last, steps
        ({'AU12': 0.0}, {'AU12': 1.0}, 5)
    """
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    counts = set()
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, _, values = part.partition("=")
        numbers = [_number(value, part) for value in values.split(":")]
        if len(numbers) != 3 or not all(map(math.isfinite, numbers)) or numbers[2] <= 0:
            raise DescriptorError(f"{part[:60]}: write first:last:step, for example AU12=0:1:0.1")
        if key in first:
            raise DescriptorError(f"{key[:20]} is given twice; give each Action Unit once")
        first[key], last[key], step = numbers
        steps = abs(last[key] - first[key]) / step
        even = 0.5 < steps < MOST_STEPS + 0.5 and abs(steps - round(steps)) <= 1e-6
        if not even:  # infinitely many too
            raise DescriptorError(
                f"{part[:60]}: from {first[key]:g} to {last[key]:g} there are {steps:.4g} steps; "
                f"expected a whole number, 1 to {MOST_STEPS}"
            )
        counts.add(round(steps) + 1)
    if len(counts) != 1:
        raise DescriptorError(
            f"{text[:60]}: expected Action Units with equally many steps, AU12=0:1:0.1"
        )
    return check(first, low=LOWEST), check(last, low=LOWEST), counts.pop()


def _prototype(name: str) -> Descriptor:
    try:
        return {**EXPRESSIONS, **VARIANTS}[name]
    except KeyError:
        known = ", ".join((*EXPRESSIONS, *VARIANTS))
        end = meant(name, (*EXPRESSIONS, *VARIANTS))
        raise DescriptorError(f"unknown expression {name[:60]!r}; known are {known}{end}") from None


def _code(key: str) -> str:
    digits, side = split_side(key.strip().upper().removeprefix("AU"))
    known = digits.isascii() and digits.isdigit() and len(digits) < 4
    code = f"AU{int(digits)}" if known else key[:20]
    if code == _WINK and not side:
        raise DescriptorError("AU46 is a wink, of one eye: write AU46L or AU46R")
    code = SAME_AS.get(code, code)
    if code not in INDEX:
        raise DescriptorError(
            f"unknown Action Unit {key[:20]!r}; known are {', '.join(CODES)}{_nearest(code)}"
        )
    return code + side


def _nearest(code: str) -> str:
    """The end of the message about an unknown Action Unit: those with the next numbers or names."""
    number = code.removeprefix("AU")
    if number.isascii() and number.isdigit() and int(number) <= ACTION_UNITS[-1].number:
        apart = sorted(CODES, key=lambda other: abs(int(other[2:]) - int(number)))
        return f"; nearest are {' and '.join(sorted(apart[:2], key=CODES.index))}"
    if code.strip().lower() in EXPRESSIONS:
        return f"; {code.strip().lower()} is an expression: --expression {code.strip().lower()}"
    names = {unit.name.lower(): unit.code for unit in ACTION_UNITS}
    return meant(code, [f"{name} ({names[name]})" for name in names]) or meant(code, CODES)


def _intensity(text: str, context: str) -> float:
    letter = text.strip().upper()
    if letter and letter in LETTERS:
        return (LETTERS.index(letter) + 1) / len(LETTERS)
    return _number(text, context)


def _number(text: str, context: str) -> float:
    try:
        return numbers.decimal(text)
    except ValueError:
        raise DescriptorError(f"{quoted(context)}: {quoted(text)} is not a number") from None
