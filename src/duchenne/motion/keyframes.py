"""Keys of each Action Unit, from a .toml or .csv file or a table, and the curves through them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import facs
from ..errors import DescriptorError, InputError, quoted
from ..reading import numbers, tables, texts
from ..reading.tables import Sheet
from .easing import find_easing
from .timeline import (
    DEFAULT_FPS,
    MAX_FRAMES,
    Array,
    Rate,
    Timeline,
    as_seconds,
    frame_rate,
    frames_through,
)

MOST_KEYS = 20_000  # a few seconds

EXPECTED = "keys in a .toml or .csv file"
KEY_COLUMNS, EASING = ("au", "time", "value"), "easing"

Row = tuple[str, Sequence[Any]]
"""Where a key stands, for messages, and its cells: AU or AU and side, time, value, easing."""


@dataclass(frozen=True)
class Key:
    """An AU has this value at this time; `easing` is how it gets there from the key before."""

    time: float
    value: float
    easing: str


def from_keyframes(path: str | os.PathLike[str], fps: Rate | None = None) -> Timeline:
    """Read the keys of each AU from a .toml or .csv file.

    TOML: `fps = 25` and `easing = "smooth"` are optional, then one line for each AU with its keys
    `[time in seconds, value]` or `[time, value, easing]`:

        AU12 = [[0.0, 0.0], [0.6, 1.0, "natural"], [1.5, 1.0], [2.2, 0.0]]
        AU6L = [[0.2, 0.0], [0.8, 0.7]]

    CSV: the columns `au,time,value` and optionally `easing`, one key a row, in any order of AUs, as
    `reading.tables` reads it.
    The argument fps wins over the file's. Raises InputError or DescriptorError with file and line.
    """
    path = Path(path)
    file_fps: Rate | None = None
    match path.suffix.lower():
        case ".toml":
            rows, file_fps = _toml_rows(texts.read_text(path, EXPECTED), path)
        case ".csv":
            rows = csv_rows(tables.read(path, give=EXPECTED, short=True, most=texts.MOST_TEXT))
        case _:
            texts.read_text(path, EXPECTED)  # a folder, or none, is said first
            raise InputError(f"{path}: keyframes are read from .toml or .csv")
    curves = _curves(rows)
    if not curves:
        raise InputError(f"{path}: holds no keys; write for example AU12 = [[0, 0], [1, 1]]")
    try:
        return _through(curves, next(r for r in (fps, file_fps, DEFAULT_FPS) if r is not None))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def from_rows(rows: Iterable[Row], fps: Rate = DEFAULT_FPS, most: int = MAX_FRAMES) -> Timeline:
    """Independent curves through the keys of each AU, on the left and on the right side.

    Before its first key an AU has that key's value, after its last key the last one's; AUs without
    keys stay 0. The animation starts at 0 s and ends with a frame at or just after the last key.
    At least one row, and at most `most` frames. Raises InputError or DescriptorError, saying where.
    """
    return _through(_curves(rows), fps, most)


def _through(curves: Mapping[str, Sequence[Key]], fps: Rate, most: int = MAX_FRAMES) -> Timeline:
    rate = frame_rate(fps)
    last = max(as_seconds("key", curve[-1].time) for curve in curves.values())
    count = frames_through(last, rate, most)
    times = np.array([float(i / rate) for i in range(count)])
    sides = np.zeros((count, len(facs.CODES), len(facs.SIDES)))
    for name, curve in curves.items():
        code, side = facs.split_side(name)
        sides[:, facs.INDEX[code], facs.SIDES.index(side)] = _along(curve, times)
    return Timeline(sides, rate)


def _along(curve: Sequence[Key], times: Array) -> Array:
    """The values of one curve at all times, [len(times)]."""
    at, value = np.array([(key.time, key.value) for key in curve]).T
    before = np.searchsorted(at, times, side="right") - 1  # -1 before the first key
    column: Array = value[np.maximum(before, 0)]
    easings = np.array([key.easing for key in curve])
    for name in np.unique(easings[1:]):
        here = (before >= 0) & (before < len(curve) - 1)
        here[here] = easings[before[here] + 1] == name
        a = before[here]
        share = find_easing(str(name))((times[here] - at[a]) / (at[a + 1] - at[a]))
        column[here] = value[a] + (value[a + 1] - value[a]) * share
    return column


def _curves(rows: Iterable[Row]) -> dict[str, list[Key]]:
    """The checked keys of each AU's sides ("AU12L"), in the order of time."""
    curves: dict[str, list[Key]] = {}
    apart: dict[str, bool] = {}  # AU -> its keys say a side
    for number, (where, (name, time, value, easing)) in enumerate(rows, 1):
        if number > MOST_KEYS:
            raise InputError(f"{where}: more than {MOST_KEYS} keys; a recording is for --drive")
        try:
            key = Key(numbers.decimal(time), numbers.decimal(value), easing)
        except ValueError:
            raise InputError(
                f"{where}: time {quoted(time)} and value {quoted(value)} must be numbers"
            ) from None
        try:
            (checked,) = facs.check({name: key.value})
            find_easing(easing)
            as_seconds("time", key.time)
        except (DescriptorError, InputError) as error:
            raise type(error)(f"{where}: {error}") from None
        code, given = facs.split_side(checked)
        if apart.setdefault(code, bool(given)) != bool(given):
            raise DescriptorError(f"{where}: {code} is given whole and by its sides; give one")
        for side in given or facs.SIDES:
            curve = curves.setdefault(code + side, [])
            if curve and key.time <= curve[-1].time:
                raise InputError(
                    f"{where}: time {key.time:g} s must come after {curve[-1].time:g} s"
                )
            curve.append(key)
    return curves


# ---------------------------------------------------------------- files


def _toml_rows(text: str, path: Path) -> tuple[Iterator[Row], Rate | None]:
    """The keys of a file, and its frame rate if it names one."""
    table = texts.parse_toml(text, path)
    fps, easing = table.pop("fps", None), table.pop("easing", "linear")
    if fps is not None and (isinstance(fps, bool) or not isinstance(fps, int | float | str)):
        raise InputError(f"{path}: fps = {quoted(fps)}: give a number such as 24 or 23.976")
    return _toml_keys(table, text, path, easing), fps


def _toml_keys(table: Mapping[str, Any], text: str, path: Path, easing: Any) -> Iterator[Row]:
    names: dict[str, str] = {}  # as the library writes it -> as the file does
    for name, curve in table.items():
        # tomllib keeps no positions; each name is defined once, at the start of a line
        place = re.search(rf"""^[ \t]*\[*["']?{re.escape(name)}\b""", text, re.MULTILINE)
        line = text.count("\n", 0, place.start()) + 1 if place else 1
        with suppress(DescriptorError):  # it is refused with its first key
            (known,) = facs.check({name: 0.0})
            if known in names:
                raise InputError(
                    f"{path} line {line}: {names[known]} and {name} are the same Action Unit; give "
                    "its keys in one list"
                )
            names[known] = name
        if not isinstance(curve, list) or not curve:
            raise InputError(
                f"{path} line {line}: {name}: expected a list of keys [[time, value], ...]"
            )
        for i, key in enumerate(curve, 1):
            where = f"{path} line {line}: {name} key {i}"
            if not isinstance(key, list) or len(key) not in (2, 3):
                raise InputError(f"{where}: expected [time, value] or [time, value, easing]")
            yield where, (name, *key) if len(key) == 3 else (name, *key, easing)


def csv_rows(sheet: Sheet) -> Iterator[Row]:
    """The keys of a table with the columns au, time, value and perhaps easing, in any order."""
    header = sheet.header
    places = [header.find(name) for name in (*KEY_COLUMNS, EASING)]
    known = [place for place in places if place is not None]
    if None in places[:3] or any(name and i not in known for i, name in enumerate(header.names)):
        raise InputError(
            f"{sheet.path} line 1: expected the columns au,time,value[,easing], not "
            f"{quoted(','.join(header.names))}"
        )
    cells = ([""] * len(sheet) if place is None else sheet.columns[place] for place in places)
    for line, name, *values, easing in zip(sheet.lines, *cells, strict=True):
        where = f"{sheet.path} line {line}"
        if not all((name, *values)):
            raise InputError(f"{where}: expected an Action Unit, a time and a value")
        time, value = (text.replace(",", ".") if sheet.decimal == "," else text for text in values)
        yield where, (name, time, value, easing or "linear")
