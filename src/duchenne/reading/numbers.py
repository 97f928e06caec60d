"""Numbers from outside: one strict form, and bounds.

A number is written in ASCII: digits, perhaps a sign, a point, an exponent of at most three digits
(`-0.5`, `12`, `1e-3`). Python's own readers also take other scripts' digits and `1_0`, build a
number with a billion digits out of `1e999999999`, and stop with an error that is no user's beyond
4300 digits.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from numbers import Integral, Rational, Real

from ..errors import DuchenneError, InputError, quoted

LONGEST = 64  # characters of a number; a double's own digits need 24
MOST_WHOLE = 2**63 - 1  # what files, NumPy and PyTorch hold
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_RATIO = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_NOT_FINITE = {word: float(word) for word in ("nan", "inf", "+inf", "-inf", "infinity")}


def decimal(given: object) -> float:
    """A number, or text of the strict form, as a float. ValueError for anything else.

    Without bounds, for those who have a message of their own: "nan", "inf" and "1e999" are read as
    what they are, so that whoever bounds the number can name it.

        >>> decimal("1e-2"), decimal(" .5")
        (0.01, 0.5)
        >>> decimal("0x10")
        Traceback (most recent call last):
            ...
        ValueError: not a number
    """
    if isinstance(given, str):
        text = given.strip(" \t")
        if text.lower() in _NOT_FINITE:
            return _NOT_FINITE[text.lower()]
        return float(_strict(_DECIMAL, text))
    if isinstance(given, bool) or not isinstance(given, Real):
        raise ValueError("not a number")
    try:
        return float(given)
    except OverflowError:  # a whole number of 400 digits
        return math.inf if given == abs(given) else -math.inf


def fraction(given: object) -> Fraction:
    """A number, or text like "23.976" or "30000/1001", exactly. ValueError for anything else.

    >>> fraction("30000/1001"), fraction("0.1")
    (Fraction(30000, 1001), Fraction(1, 10))
    """
    if isinstance(given, str):
        text = given.strip(" \t")
        if ratio := _RATIO.fullmatch(text):
            over, under = int(ratio[1]), int(ratio[2])
            if not under:
                raise ValueError("a division by zero")
            return Fraction(over, under)
        return Fraction(_strict(_DECIMAL, text))
    if isinstance(given, bool) or not isinstance(given, Real):
        raise ValueError("not a number")
    if isinstance(given, Rational):
        return Fraction(given)
    if not math.isfinite(given):
        raise ValueError("not a finite number")
    return Fraction(float(given))


def number(
    name: str,
    given: object,
    low: float,
    high: float,
    kind: type[DuchenneError] = InputError,
) -> float:
    """A number from `low` to `high`, both included; otherwise `kind`, whose message names it.

    >>> number("fps", "24", 1, 240)
    24.0
    >>> number("fps", "1e9", 1, 240)
    Traceback (most recent call last):
        ...
    duchenne.errors.InputError: fps=1e9: must lie between 1 and 240
    """
    try:
        value = decimal(given)
    except ValueError:
        raise kind(no_number(name, given)) from None
    if not low <= value <= high:  # NaN is not
        raise kind(f"{name}={quoted(given, bare=True)}: must lie between {low:g} and {high:g}")
    return value


def no_number(name: str, given: object) -> str:
    """The message about something that is no number."""
    return f"{name}: {quoted(given)} is not a number"


def whole(
    name: str,
    given: object,
    low: int = 0,
    high: int = MOST_WHOLE,
    kind: type[DuchenneError] = InputError,
) -> int:
    """A whole number from `low` to `high`, both included; otherwise `kind`, whose message names it.

    Text is a sign and digits; a float is refused, also 8.0.

        >>> whole("faces", "3")
        3
        >>> whole("faces", 8.0)
        Traceback (most recent call last):
            ...
        duchenne.errors.InputError: faces: 8.0 is not a whole number
    """
    try:
        if isinstance(given, str):
            value = int(_strict(_WHOLE, given.strip(" \t")))
        elif isinstance(given, Integral) and not isinstance(given, bool):
            value = int(given)
        else:
            raise ValueError
    except ValueError:
        raise kind(f"{name}: {quoted(given)} is not a whole number") from None
    if not low <= value <= high:
        raise kind(f"{name}={quoted(given, bare=True)}: must lie between {low} and {high}")
    return value


def _strict(form: re.Pattern[str], text: str) -> str:
    if len(text) > LONGEST or not form.fullmatch(text):
        raise ValueError("not a number")
    return text
