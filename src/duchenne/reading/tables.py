"""Tables of text as coders write them and spreadsheets save them again.

What may differ and is found out by looking: the encoding (UTF-8 with or without a byte-order mark,
UTF-16), what stands between the cells (a comma, a semicolon, a tab), the decimal sign, the case of
the names, spaces around them, quotes, empty rows and columns at the end. A spreadsheet of a country
that writes 0,5 separates cells by semicolons or tabs: only there a comma can be a decimal sign, and
then it is one in the whole table.
"""

from __future__ import annotations

import csv
import itertools
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, quoted
from . import numbers, texts

Array = NDArray[np.float64]

MOST_BYTES = 1_000_000_000  # of a table: two hours of OpenFace's 714 columns
SEPARATORS = (",", ";", "\t")
_WORKBOOKS = {b"PK\x03\x04": "a workbook (.xlsx, .ods)", b"\xd0\xcf\x11\xe0": "a workbook (.xls)"}
# Empty cells as C, Python, R and spreadsheets write them.
_MISSING = frozenset(
    ("", "nan", "-nan", "nan(ind)", "-nan(ind)", "1.#qnan", "-1.#ind", "na", "n/a", "#n/a", "#n/v",
     "#nv", "null", "none", "<na>")
)  # fmt: skip
_WITH_COMMA = re.compile(r"[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
# Programs write true, yes or 1; spreadsheets put their own language's words in their place.
_YES = frozenset(
    ("true", "t", "yes", "y", "on", "wahr", "ja", "vrai", "oui", "verdadero", "sí", "si", "vero",
     "verdadeiro", "sim", "waar", "prawda", "tak", "pravda", "ano", "igaz", "tosi", "kyllä",
     "sant", "sand", "истина", "да", "真", "是")
)  # fmt: skip
_NO = frozenset(
    ("false", "f", "no", "n", "off", "falsch", "nein", "faux", "non", "falso", "não", "nao",
     "onwaar", "nee", "fałsz", "nie", "nepravda", "ne", "hamis", "epätosi", "ei", "falskt",
     "falsk", "usant", "ложь", "нет", "假", "否")
)  # fmt: skip


@dataclass(frozen=True)
class Header:
    """The names of a table's columns, spaces and quotes taken off; "" for a column without one."""

    path: Path
    names: tuple[str, ...]

    @cached_property
    def _places(self) -> Mapping[str, list[int]]:
        places: dict[str, list[int]] = {}
        for i, name in enumerate(self.names):
            places.setdefault(name.lower(), []).append(i)
        return places

    def find(self, name: str) -> int | None:
        """Where a column is, whatever its case; None if it is not there, InputError if twice."""
        found = self._places.get(name.lower(), [])
        if len(found) > 1:
            raise InputError(
                f"{self.path} line 1: column {self.names[found[0]]} is there {len(found)} times; "
                "keep one of them"
            )
        return found[0] if found else None

    def matching(self, pattern: str) -> Iterator[tuple[int, re.Match[str]]]:
        """(place, match) of the columns whose whole name fits, whatever its case."""
        compiled = re.compile(pattern, re.IGNORECASE | re.ASCII)
        for i, name in enumerate(self.names):
            if match := compiled.fullmatch(name):
                yield i, match

    def shown(self, most: int = 5) -> str:
        """The first names, for a message."""
        return ", ".join(self.names[:most]) + (", ..." if len(self.names) > most else "")


@dataclass(frozen=True)
class Sheet:
    """The kept columns of a table, by their place in the header, one cell a row.

    lines: [n], of the file. separator: what stood between the cells.
    """

    path: Path
    header: Header
    separator: str
    lines: tuple[int, ...]
    columns: Mapping[int, Sequence[str]]

    def __len__(self) -> int:
        return len(self.lines)

    @cached_property
    def decimal(self) -> str:
        """The decimal sign of the whole table, "." or ","."""
        if self.separator == ",":
            return "."
        cells = itertools.chain.from_iterable(self.columns.values())
        return "," if any(_WITH_COMMA.fullmatch(cell) for cell in cells) else "."

    def texts(self, name: str) -> Sequence[str]:
        """[n] a kept column as it is written; it must be there."""
        place = self.header.find(name)
        assert place is not None, name
        return self.columns[place]

    def numbers(self, place: int) -> Array:
        """[n] a kept column; NaN where a cell is empty. InputError, with the line, for text."""
        column = zip(self.lines, self.columns[place], strict=True)
        return np.array([self.number(line, place, text) for line, text in column])

    def number(self, line: int, place: int, text: str) -> float:
        """A cell of that line and column as a number, NaN if it is empty."""
        if text.lower() in _MISSING:
            return math.nan
        try:
            value = self._decimal(text)
        except ValueError:
            value = math.inf
        if math.isinf(value):
            hint = self._hint(text)
            raise InputError(f"{self._at(line, place)}: {quoted(text)} is not a number{hint}")
        return value

    def _decimal(self, text: str) -> float:
        if self.decimal == ".":
            return numbers.decimal(text)
        if "." in text:
            raise ValueError("two decimal signs in one table")
        return numbers.decimal(text.replace(",", "."))

    def whole(self, line: int, place: int, text: str) -> int:
        """A cell as a whole number in any spelling: 1, 1.0, 1,0 where that is the decimal sign."""
        value = self.number(line, place, text)
        if not value.is_integer():
            raise InputError(f"{self._at(line, place)}: {quoted(text)} is not a whole number")
        return int(value)

    def truths(self, place: int) -> NDArray[np.bool_]:
        """[n] a column of yes and no in any spelling, or of numbers: above 0 is yes.

        An empty cell is no.
        """
        column = zip(self.lines, self.columns[place], strict=True)
        return np.array([self._truth(line, place, text) for line, text in column])

    def _truth(self, line: int, place: int, text: str) -> bool:
        word = text.lower().removesuffix("()")
        if word in _YES or word in _NO:
            return word in _YES
        try:
            return self.number(line, place, text) > 0  # NaN is not
        except InputError:
            raise InputError(
                f"{self._at(line, place)}: {quoted(text)} is neither yes nor no; write 1 or 0"
            ) from None

    def _at(self, line: int, place: int) -> str:
        return f"{self.path} line {line}, column {self.header.names[place]}"

    def _hint(self, text: str) -> str:
        if self.separator == "," and _WITH_COMMA.fullmatch(text):
            return "; with decimal commas, cells are separated by semicolons"
        if self.decimal == "," and _WITH_COMMA.fullmatch(text.replace(".", ",")):
            return "; other cells of this table have decimal commas, which is right?"
        return ""


def read(
    path: Path,
    keep: Callable[[Header], Iterable[int]] | None = None,
    *,
    give: str = "a CSV",
    short: bool = False,
    most: int = MOST_BYTES,
) -> Sheet:
    """Read a table.

    keep: the places of the wanted columns, from the header; all of them by default. give: what
    should be given instead, for messages. short: rows may end early, their last cells being empty.
    most: bytes of the file.
    Raises InputError for what is no text table, and for rows with too many or too few cells.
    """
    try:
        encoding = _encoding(path, give, most)
        with path.open(encoding=encoding, newline="") as file:
            return _read(path, file, keep, short)
    except UnicodeDecodeError as error:
        raise InputError(_wrong_bytes(path, error, give)) from None
    except (OSError, csv.Error) as error:
        raise InputError(_unreadable(path, error, give)) from None


def parse(text: str, path: Path) -> Sheet:
    """A table that is text already. path: what messages call it."""
    return _read(path, iter(text.splitlines(keepends=True)), None, short=True)


def _read(
    path: Path,
    text: Iterable[str],
    keep: Callable[[Header], Iterable[int]] | None,
    short: bool,
) -> Sheet:
    skipped, first, rest = _first_line(text)
    separator = _separator(first)
    if named := re.fullmatch(r"sep=(.)\s*", first, re.IGNORECASE):  # a spreadsheet's own line
        separator = named[1]
        skipped, first, rest = skipped + 1, "", rest
    reader = csv.reader(
        itertools.chain([first] if first else [], rest),
        delimiter=separator,
        skipinitialspace=separator != "\t",
    )
    names = tuple(name.strip() for name in next(reader, []))
    header = Header(path, names)
    places = list(range(len(names)) if keep is None else keep(header))
    wanted = max((i for i, name in enumerate(names, 1) if name), default=0)
    lines: list[int] = []
    columns: dict[int, list[str]] = {place: [] for place in places}
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        line = reader.line_num + skipped
        _check_length(path, line, cells, wanted, short)
        lines.append(line)
        for place, column in columns.items():
            column.append(cells[place].strip() if place < len(cells) else "")
    return Sheet(path, header, separator, tuple(lines), columns)


def _first_line(text: Iterable[str]) -> tuple[int, str, Iterator[str]]:
    """How many empty lines come first, the first other one, and what follows."""
    rest = iter(text)
    for skipped, line in enumerate(rest):
        if line.strip():
            return skipped, line, rest
    return 0, "", rest


def _separator(first: str) -> str:
    """What the header's cells are separated by; a comma if there is one cell only."""
    counts = {mark: len(next(csv.reader([first], delimiter=mark), [])) for mark in SEPARATORS}
    return max(SEPARATORS, key=lambda mark: counts[mark])


def _check_length(path: Path, line: int, cells: Sequence[str], wanted: int, short: bool) -> None:
    """wanted: up to the last name; empty cells behind that do not matter."""
    more = any(cell.strip() for cell in cells[wanted:])
    if more or (len(cells) < wanted and not short):
        reason = "quote cells that hold the separator" if more else "the file is cut or damaged"
        raise InputError(
            f"{path} line {line}: {len(cells)} cells where the header has {wanted}; {reason}"
        )


def _encoding(path: Path, give: str, most: int) -> str:
    with texts.opened(path, give) as file:
        start = file.read(4096)
        if os.fstat(file.fileno()).st_size > most:
            raise InputError(f"{path}: larger than {most / 1e6:g} MB; give {give}")
    for magic, what in _WORKBOOKS.items():
        if start.startswith(magic):
            raise InputError(f"{path}: is {what}, not a text table; save its sheet as CSV (UTF-8)")
    if encoding := texts.encoding(start):
        return encoding
    raise InputError(f"{path}: cannot be read (not a CSV text file); give {give}")


def _wrong_bytes(path: Path, error: UnicodeDecodeError, give: str) -> str:
    """What to say of bytes that are not the text they should be."""
    given = error.object[max(0, error.start - 200) : error.start + 200]
    if any(byte < 9 or 13 < byte < 32 for byte in given) or error.encoding != "utf-8":
        return f"{path}: cannot be read (not a CSV text file); give {give}"
    return (
        f"{path}: cannot be read (not a CSV text file in UTF-8: byte {error.object[error.start]:#x}"
        f"); a spreadsheet saves it as 'CSV UTF-8', or give {give}"
    )


def _unreadable(path: Path, error: Exception, give: str) -> str:
    reason = getattr(error, "strerror", None) or "not a CSV text file"
    return f"{path}: cannot be read ({reason}); give {give}"
