"""Text files from outside: how large they may be; TOML and JSON that cannot stop the program."""

from __future__ import annotations

import codecs
import csv
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError, cut, quoted

MOST_TEXT = 4_000_000  # bytes of a file that is read as one text
MOST_TOML = 1_000_000  # bytes; a second
MOST_PARTS = 50  # of a key of TOML (a.b.c); the reader's time grows with their square
_MARKS = (  # the longer ones first: UTF-32's begins as UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
# Possessive, and from the beginning of a word only: its time grows with the length of the text.
_LONG_KEY = re.compile(rf"""(?<![\w"'.-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){{{MOST_PARTS}}}""")


def read_text(path: Path, expected: str, most: int = MOST_TEXT) -> str:
    """A whole text file in UTF-8. expected: what it should be, for messages.

    Raises InputError for a file that is not there, cannot be read, is larger than `most` bytes (it
    is not read then, whatever it claims to be), or is no text.
    """
    with opened(path, expected) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"{path}: larger than {most / 1e6:g} MB; expected {expected}")
    try:
        text = content.decode(encoding(content[:4096]) or "ascii")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError(f"{path}: not a text file in UTF-8; expected {expected}")
    return text


def encoding(start: bytes) -> str | None:
    """Of a text that begins so: UTF-8, or what Windows' editors call Unicode; None if it is none.

    It is told by the mark in front, UTF-16 in Latin letters without one too.

        >>> encoding(b"AU12"), encoding("AU12".encode("utf-16"))
        ('utf-8', 'utf-16')
    """
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if b"\0" not in start:
        return "utf-8"
    zeros = [start[i::2].count(0) for i in (0, 1)]  # of every second byte, in Latin text
    if not min(zeros) and max(zeros) > len(start) // 4:
        return "utf-16-le" if zeros[1] else "utf-16-be"
    return None


def csv_cells(lines: Iterable[str], name: object) -> Iterator[tuple[int, list[str]]]:
    """Each row of a CSV with the number of its last line; InputError for what is none.

    Cells lose the spaces around them. No cell has more than 131,072 characters.
    """
    reader = csv.reader(lines, skipinitialspace=True)
    try:
        for cells in reader:
            yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise InputError(f"{name} line {reader.line_num}: not a CSV ({error})") from None


@contextmanager
def opened(path: Path, expected: str) -> Iterator[BinaryIO]:
    """A file for reading; InputError, with the reason, where that is not possible."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {expected}") from None
    except (OSError, ValueError) as error:  # a folder, not allowed, a name too long, a null byte
        raise InputError(
            f"{path}: cannot be read ({_reason(error)}); expected {expected}"
        ) from None
    with file:
        try:
            if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):  # /dev/zero has no end
                raise InputError(f"{path}: is a device, not a file; expected {expected}")
            yield file
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({_reason(error)})") from None


def parse_toml(text: str, name: object) -> dict[str, Any]:
    """A table in TOML; InputError, naming the text `name`, with line and column."""
    if len(text) > MOST_TOML:
        raise InputError(f"{name}: larger than {MOST_TOML / 1e6:g} MB, too large for TOML")
    if _LONG_KEY.search(text):
        raise InputError(f"{name}: not valid TOML: a key of more than {MOST_PARTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(
            f"{name}: not valid TOML: its lists or tables are nested too deep"
        ) from None
    except ValueError as error:  # TOMLDecodeError; a number of 5000 digits; a date like 2026-02-31
        raise InputError(f"{name}: not valid TOML: {_said(error)}") from None


def parse_json(text: str | bytes, name: object) -> Any:
    """What a text in JSON holds; InputError, naming the text `name`, if it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{name}: not valid JSON: it is nested too deep") from None
    except ValueError as error:  # not JSON, not UTF-8; a number of 5000 digits
        raise InputError(f"{name}: not valid JSON: {_said(error)}") from None


def _said(error: ValueError) -> str:
    return cut(quoted(str(error), 2 * 160, bare=True), 160)  # it may quote the file


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or cut(str(error), 80)
