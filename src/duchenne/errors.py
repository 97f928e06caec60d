"""Everything that can go wrong for a user, in one tree.

    DuchenneError                 exit code
    ├── InputError                 3   the photo, video or table cannot be used
    │   └── NoFaceFound            4   a readable picture without a usable face
    ├── DescriptorError            5   unknown Action Unit, intensity out of range
    ├── OutputError                6   the result cannot be written
    ├── WeightsError               7   a model file is missing, damaged or unreachable
    └── SpaceMismatch              8   a code or boundary of another generator

(2 is the command line's own code for wrong usage.) A message says what was expected, what came and
what to do. The command line prints it as one line and exits with the code; a program catches
`DuchenneError` or the leaf it cares about. What a message quotes goes through `quoted`, and no
message is longer than `MOST_MESSAGE` or has more than one line.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable

MOST_MESSAGE = 480  # characters; with the program's name before it, under 500
MOST_QUOTED = 60  # characters of anything that came from outside
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")  # what a name may hold, a line not
_END = 160  # of a message that is cut: its end says what to do


def cut(text: str, most: int = MOST_MESSAGE) -> str:
    """The text, without its middle if it is too long: the end of a message says what to do.

    >>> cut("x" * 50, most=20)
    'xxxxxxxxx ... xxxxxx'
    """
    if len(text) <= most:
        return text
    end = min(_END, most // 3)
    return f"{text[: most - end - 5]} ... {text[-end:]}"


def quoted(given: object, most: int = MOST_QUOTED, *, bare: bool = False) -> str:
    """What came from outside, to be shown in a message: its beginning, printable, on one line.

    bare: text without quotation marks. Works for anything that a file can hold: lists of lists to
    any depth, numbers of any length.

        >>> quoted("two" + chr(10) + "lines", bare=True)
        'two?lines'
        >>> quoted([[[[1]]]])
        '[[[[...]]]]'
    """
    if isinstance(given, str):
        text = given[:most]
        shown = "".join(c if c.isprintable() else "?" for c in text) if bare else repr(text)
        return cut(shown, 2 * most) + ("..." if len(given) > most else "")
    return cut(_Short(most).repr(given), most)


def meant(given: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: `; did you mean ...?`, or nothing.

    >>> meant("hapiness", ["happiness", "sadness"])
    '; did you mean happiness?'
    """
    if not isinstance(given, str):  # a file may hold a number in a name's place
        return ""
    names = list(known)
    lower = [name.lower() for name in names]
    close = difflib.get_close_matches(given[:MOST_QUOTED].lower(), lower, 2, 0.7)
    return f"; did you mean {' or '.join(names[lower.index(n)] for n in close)}?" if close else ""


class _Short(reprlib.Repr):
    def __init__(self, most: int) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, most, most

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write whole numbers of more than 4300 digits."""
        digits = int(x.bit_length() * 0.30103) + 1
        return repr(x) if digits < 40 else f"a number of some {digits} digits"


NEEDS_TORCH = (
    "this needs PyTorch, as full encodings, fits, stimulus sets and other generators do; "
    "pip install 'duchenne[torch]' gets it"
)


class DuchenneError(Exception):
    """Base of every error a user can cause or mend."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(cut(_CONTROLS.sub(" ", str(message))))


class InputError(DuchenneError):
    """A file that was given cannot be read as what it should be."""

    exit_code = 3


class NoFaceFound(InputError):
    """The picture was read, but it holds no face that can be used."""

    exit_code = 4


class DescriptorError(DuchenneError):
    """An expression descriptor that FACS or the library does not know."""

    exit_code = 5


class OutputError(DuchenneError):
    """The result cannot be written where it was asked for."""

    exit_code = 6


class WeightsError(DuchenneError):
    """A model file is missing, does not match its hash, or cannot be fetched."""

    exit_code = 7


class SpaceMismatch(DuchenneError):
    """Latent codes and boundaries of different generators were mixed."""

    exit_code = 8
