"""Tables of AU coders: intensities by row, whoever wrote them.

`layouts` says which program keeps what where, `tables` reads the text. Columns that are not named
there are not looked at; OpenFace's `AUxx_c` are only reported, since they come from another
predictor and may contradict the intensities. OpenFace codes blinks (AU45), which are closed eyes
(AU43).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import InputError
from ..reading import tables
from ..reading.numbers import decimal
from ..reading.tables import Header, Sheet
from . import arkit
from .layouts import (
    ARKIT,
    OPENFACE3,
    OPENFACE3_UNITS,
    OWN,
    POSE,
    Layout,
    require_units,
)

Array = NDArray[np.float64]

MIN_CONFIDENCE = 0.7
SUCCESS = "success"
HEAD = 150.0  # mm, the width of a head
TOO_MUCH, TOO_LITTLE = 1.5, -0.5  # of the full intensity: no scale's values, but another scale
_DETECTION = "face_detection"  # of OpenFace 3: left, top, right, bottom, confidence


@dataclass(frozen=True)
class CodedTable:
    """The wanted columns of a file, one entry a row.

    lines: [n] line in the file. trusted: [n], the face was found, and with confidence enough.
    scores: [n], that confidence. values: [n, U, 2] in [0, 1], left and right, NaN where a cell is
    empty or the column is not there. faces: [n] who each row is of; "" where the tool does not say.
    centres, widths: [n, 2], [n], where the face is and how large, NaN where nothing says it.
    recorded: the name under which each Action Unit is in the table. others: what was recorded and
    is no Action Unit that we know, in the table's own numbers. present: Action Units of which it is
    only told whether they are there. texts: further columns as they are written: times, names.
    """

    path: Path
    layout: Layout
    sheet: Sheet = field(repr=False)
    lines: NDArray[np.int64]
    trusted: NDArray[np.bool_]
    scores: Array
    values: Array
    faces: NDArray[np.str_]
    centres: Array
    widths: Array
    recorded: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Array] = field(default_factory=dict)
    present: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> CodedTable:
        """The chosen rows, in the order of their numbers if they are numbers."""
        return replace(
            self,
            **{name: getattr(self, name)[chosen] for name in _BY_ROW},
            others={name: column[chosen] for name, column in self.others.items()},
            present={name: column[chosen] for name, column in self.present.items()},
        )

    def first(self, names: Sequence[str]) -> int | None:
        """The place of the first of these columns that is there."""
        found = (self.sheet.header.find(name) for name in names)
        return next((place for place in found if place is not None), None)

    def names(self) -> NDArray[np.str_] | None:
        """[n] the picture's or film's file of each row, of the whole table; None: nobody says."""
        place = self.first(self.layout.names)
        return None if place is None else np.array(self.sheet.columns[place])


_BY_ROW = ("lines", "trusted", "scores", "values", "faces", "centres", "widths")


def read_table(
    path: Path, layouts: Sequence[Layout], min_confidence: float = MIN_CONFIDENCE
) -> CodedTable:
    """Read the table of one of these tools, told apart by its columns.

    Only the wanted columns are kept: OpenFace writes 700. Raises InputError (file, line, column)
    for other columns, a cut line, no rows, text where a number belongs, and values that are not of
    the tool's scale.
    """
    found: list[Layout] = []

    def keep(header: Header) -> set[int]:
        found.append(_recognise(header, layouts))
        return _wanted(header, found[0])

    sheet = tables.read(path, keep, give="an OpenFace or py-feat CSV")
    if not len(sheet):
        raise InputError(f"{path}: has a header but no rows; the recording is empty")
    return _coded(sheet, found[0], min_confidence)


def _recognise(header: Header, layouts: Sequence[Layout]) -> Layout:
    """The layout whose columns are there."""
    for layout in layouts:
        if not layout.has(header):
            continue
        units = layout.found(header)
        if units:
            require_units(layout, header, units)
        if units or layout is OPENFACE3 or (layout is ARKIT and arkit.used(_coefficients(header))):
            return layout
    for layout in layouts:
        if told := layout.present_only(header):
            name = header.names[next(iter(told.values()))]
            raise InputError(
                f"{header.path} line 1: says only whether Action Units are there ({name}), not how "
                f"strong they are ({layout.unit.format(12)}); let {layout.tool} write intensities"
            )
    known = [f"{x.unit.format(12) or 'jawOpen'} ({x.tool})" for x in layouts if x is not OPENFACE3]
    *most, last = known
    raise InputError(
        f"{header.path} line 1: expected columns such as {', '.join(most)} or {last}; "
        f"found {header.shown()!r}"
    )


def _coefficients(header: Header) -> dict[str, int]:
    """ARKit coefficient -> place."""
    named = {name: arkit.coefficient(name) for name in header.names}
    places = {known: header.find(name) for name, known in named.items() if known is not None}
    return {known: place for known, place in places.items() if place is not None}


def _wanted(header: Header, layout: Layout) -> set[int]:
    """The places of all columns that are read."""
    names = (
        layout.confidence, layout.face, SUCCESS, *layout.names, *layout.times, *layout.frames,
        *layout.needed, *layout.box, *((_DETECTION,) if layout is OPENFACE3 else ()),
    )  # fmt: skip
    places = {header.find(name) for name in names if name}
    places |= {*layout.found(header).values(), *layout.present_only(header).values()}
    places |= {*_coefficients(header).values()} if layout is ARKIT else set()
    return {place for place in places if place is not None}


def _coded(sheet: Sheet, layout: Layout, min_confidence: float) -> CodedTable:
    header, count = sheet.header, len(sheet)

    def numbers(name: str) -> Array | None:
        place = header.find(name) if name else None
        return None if place is None else sheet.numbers(place)

    found = numbers(layout.confidence)
    scores = np.ones(count) if found is None else found
    centres, widths = _places(layout, [numbers(name) for name in layout.box], count)
    recorded: dict[str, str] = {}
    if layout is OPENFACE3:
        values, scores, centres, widths = _listed(sheet)
        recorded = {f"AU{number}": f"AU{number}" for number in OPENFACE3_UNITS}
        others: dict[str, Array] = {}
    elif layout is ARKIT:
        values, others = _blended(sheet)
    else:
        values, others, recorded = _columned(sheet, layout)
    trusted = np.asarray(scores >= min_confidence)
    success = header.find(SUCCESS)
    if success is not None:
        trusted = trusted & sheet.truths(success)
    face = header.find(layout.face) if layout.face else None
    named = sheet.columns[face] if face is not None else [""] * count
    told = layout.present_only(header)
    table = CodedTable(
        sheet.path, layout, sheet, np.array(sheet.lines), trusted, scores, values,
        np.array([_label(name) for name in named]), centres, widths, recorded, others,
        {f"AU{number}": sheet.truths(place) for number, place in told.items()},
    )  # fmt: skip
    _check_scale(table)
    return table


def _label(name: str) -> str:
    """A face's name; 1.0 is 1, as a spreadsheet or pandas writes it where a cell is empty."""
    whole = name.removesuffix(".0").removesuffix(",0")
    known = whole if whole.lstrip("-").isdigit() else name
    return "" if known.lower() in ("nan", "none", "na", "") else known


def _columned(sheet: Sheet, layout: Layout) -> tuple[Array, dict[str, Array], dict[str, str]]:
    """Values, what else was recorded, and the names, of a table with a column for each unit."""
    values = np.full((len(sheet), len(facs.CODES), len(facs.SIDES)), np.nan)
    others: dict[str, Array] = {}
    recorded: dict[str, str] = {}
    # Whole units first: in this program's tables AU12 is the mean of AU12L and AU12R.
    for (number, side), place in sorted(layout.found(sheet.header).items(), key=lambda x: x[0][1]):
        column = sheet.numbers(place)
        name = f"AU{number}{side}"
        code = facs.SAME_AS.get(f"AU{number}", f"AU{number}")
        if code not in facs.INDEX:
            others[name] = column
        elif side:
            values[:, facs.INDEX[code], facs.SIDES.index(side)] = column / layout.full
        else:
            there = values[:, facs.INDEX[code], 0]  # closed eyes and blinks are one unit
            values[:, facs.INDEX[code]] = np.fmax(there, column / layout.full)[:, None]
            recorded.setdefault(code, name)
    return values, others, recorded


def _blended(sheet: Sheet) -> tuple[Array, dict[str, Array]]:
    """Values and what else was recorded, of a table of ARKit's coefficients."""
    columns = {name: sheet.numbers(place) for name, place in _coefficients(sheet.header).items()}
    used = arkit.used(columns)
    others: dict[str, Array] = {}
    for name, column in columns.items():
        if name not in used:
            shown = "gaze" if name.startswith(arkit.GAZE) else name
            others[shown] = np.fmax(others.get(shown, column), column)
    return arkit.to_units({name: columns[name] for name in used}), others


def _listed(sheet: Sheet) -> tuple[Array, Array, Array, Array]:
    """Values, scores, centres and widths of OpenFace 3's lists in cells."""
    units = [facs.INDEX[f"AU{number}"] for number in OPENFACE3_UNITS]
    values = np.full((len(sheet), len(facs.CODES), len(facs.SIDES)), np.nan)
    boxes = np.full((len(sheet), 5), np.nan)
    boxes[:, 4] = 1.0
    (column,) = OPENFACE3.needed
    for row, (line, text) in enumerate(zip(sheet.lines, sheet.texts(column), strict=True)):
        listed = _list(text)
        if listed is not None and len(listed) != len(units):
            raise InputError(
                f"{sheet.path} line {line}, column {column}: {len(listed)} values; OpenFace 3 "
                f"writes {len(units)}, of {', '.join(facs.CODES[i] for i in units)}"
            )
        values[row, units] = math.nan if listed is None else np.array(listed)[:, None]
    if sheet.header.find(_DETECTION) is not None:
        for row, text in enumerate(sheet.texts(_DETECTION)):
            box = _list(text)
            boxes[row] = box[:5] if box is not None and len(box) >= 5 else math.nan
    centres = (boxes[:, :2] + boxes[:, 2:4]) / 2
    return values, boxes[:, 4], centres, boxes[:, 2] - boxes[:, 0]


def _list(text: str) -> list[float] | None:
    """A list of numbers in a cell, one inside another too; None for what is none."""
    try:
        found: Any = json.loads(text)
        while isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
            (found,) = found
        values = [decimal(value) for value in found]
    except (ValueError, TypeError, RecursionError):
        return None
    return values if all(map(math.isfinite, values)) else None


def _places(layout: Layout, columns: Sequence[Array | None], count: int) -> tuple[Array, Array]:
    """Centres and widths of the faces, from the columns of `Layout.box`."""
    if not columns or any(column is None for column in columns):
        return np.full((count, 2), np.nan), np.full(count, np.nan)
    box = np.array(columns)
    if layout.box == POSE:
        return box.T, np.full(count, HEAD)
    return (box[:2] + box[2:] / 2).T, box[2]


def _check_scale(table: CodedTable) -> None:
    """InputError for values of another scale, which would all become the strongest there is."""
    if not table.layout.measured or table.layout is OWN:
        return
    values = np.where(table.trusted[:, None, None], table.values, np.nan)
    wrong = np.argwhere((values > TOO_MUCH) | (values < TOO_LITTLE))
    if not len(wrong):
        return
    row, unit, side = wrong[0]
    full = table.layout.full
    code = facs.CODES[unit]
    cause = (
        "for intensities from 0 to 5, name the columns as OpenFace does, AU12_r"
        if full == 1.0
        else "a spreadsheet may have taken the decimal points away; import the columns as text"
    )
    raise InputError(
        f"{table.path} line {table.lines[row]}: {table.recorded.get(code, code)} is "
        f"{values[row, unit, side] * full:g}, and {table.layout.tool}'s scale goes from 0 to "
        f"{full:g}; {cause}"
    )
