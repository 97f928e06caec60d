"""Tables that AU coders write: OpenFace 2, py-feat, and this program's own `score`.

OpenFace 2 (Baltrusaitis et al. 2018) writes `AUxx_r` from 0 to 5. FeatureExtraction and
FaceLandmarkVidMulti give every row a frame number, a timestamp, a confidence and a success flag;
FaceLandmarkImg writes one table for each picture, named after it, with one row a face. py-feat
(Cheong et al. 2023) writes `AUxx` from 0 to 1 with a `FaceScore` and, under `input`, the file.
`duchenne score` writes `AUx` from 0 to 5 under `image`. Other columns are not looked at; OpenFace's
`AUxx_c` among them, which come from another predictor and may contradict the intensities. OpenFace
codes blinks (AU45), which are closed eyes (AU43).
"""

from __future__ import annotations

import csv
import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import InputError, quoted
from ..reading import numbers

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

MIN_CONFIDENCE = 0.7
# What FeatureExtraction -fdir takes from a folder, sorted by name (SequenceCapture.cpp, 2.2.0).
SEQUENCE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
KEPT = ("timestamp", "frame", "face", "input", "image", "face_id", "Identity")


@dataclass(frozen=True)
class Layout:
    """Where a tool keeps what.

    full: the number that stands for the strongest intensity. name: the column with the picture's
    file name, if it has one; needed: a column without which the table is not this tool's.
    """

    tool: str
    unit: str
    full: float
    confidence: str
    face: str
    name: str = ""
    needed: str = ""

    def columns(self, header: Mapping[str, int]) -> dict[str, int]:
        """AU code -> column, for those that are there."""
        if self.needed and self.needed not in header:
            return {}
        numbers = {u.code: (u.number, *facs.also_known_as(u.code)) for u in facs.ACTION_UNITS}
        columns = {code: [self.unit.format(n) for n in known] for code, known in numbers.items()}
        found = {code: [n for n in names if n in header] for code, names in columns.items()}
        return {code: header[names[0]] for code, names in found.items() if names}


OPENFACE = Layout("OpenFace", "AU{:02d}_r", 5.0, "confidence", "face_id")
PYFEAT = Layout("py-feat", "AU{:02d}", 1.0, "FaceScore", "Identity", name="input")
OWN = Layout("duchenne score", "AU{}", facs.FULL, "", "", name="image", needed="image")


@dataclass(frozen=True)
class CodedTable:
    """The wanted columns of a file, one entry a row.

    lines: [n] line in the file. trusted: [n], the face was found, and with confidence enough.
    values: [n, U] in [0, 1], NaN where a cell is empty or the column is not there.
    texts: the columns of KEPT that are there, as they are written.
    """

    path: Path
    layout: Layout
    lines: NDArray[np.int64]
    trusted: NDArray[np.bool_]
    values: Array
    texts: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def only(self, chosen: NDArray[np.bool_]) -> CodedTable:
        """The chosen rows."""
        return replace(
            self,
            lines=self.lines[chosen],
            trusted=self.trusted[chosen],
            values=self.values[chosen],
            texts={name: column[chosen] for name, column in self.texts.items()},
        )

    def faces(self) -> NDArray[np.str_]:
        """[n] who each row is of; "" where the tool does not say."""
        return self.texts.get(self.layout.face, np.full(len(self.lines), ""))

    def numbers(self, column: str) -> Array:
        """[n] a column of `texts` as numbers; NaN where it is empty."""
        pairs = zip(self.lines, self.texts[column], strict=True)
        return np.array([_number(self.path, int(line), column, text) for line, text in pairs])


def read_table(
    path: Path, layouts: Sequence[Layout], min_confidence: float = MIN_CONFIDENCE
) -> CodedTable:
    """Read the table of one of these tools, told apart by its columns.

    Only the wanted columns are kept: OpenFace writes 700. Raises InputError (file, line, column)
    for other columns, a cut line, no rows, and text where a number belongs.
    """
    lines, trusted, values = [], [], []
    texts: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            header = {name: i for i, name in enumerate(names)}
            layout, units = _recognise(path, names, header, layouts)
            texts = {name: [] for name in KEPT if name in header}
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(names):
                    raise InputError(
                        f"{path} line {reader.line_num}: {len(cells)} cells where the header has "
                        f"{len(names)}; the file is cut or damaged"
                    )
                row = _Row(path, reader.line_num, header, cells)
                lines.append(reader.line_num)
                sure = row.number(layout.confidence, 1.0) >= min_confidence
                trusted.append(sure and row.number("success", 1.0) > 0)
                values.append([row.number(names[i]) / layout.full for i in units.values()])
                for name, column in texts.items():
                    column.append(row.text(name))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "not a CSV text file"
        raise InputError(
            f"{path}: cannot be read ({reason}); give an OpenFace or py-feat CSV"
        ) from None
    if not lines:
        raise InputError(f"{path}: has a header but no rows; the recording is empty")
    table = np.full((len(lines), len(facs.CODES)), np.nan)
    table[:, [facs.INDEX[code] for code in units]] = values
    return CodedTable(
        path,
        layout,
        np.array(lines),
        np.array(trusted),
        table,
        {name: np.array(column) for name, column in texts.items()},
    )


def _recognise(
    path: Path, names: Sequence[str], header: Mapping[str, int], layouts: Sequence[Layout]
) -> tuple[Layout, dict[str, int]]:
    """The layout whose AU columns are there, and those columns."""
    for layout in layouts:
        if units := layout.columns(header):
            return layout, units
    expected = " or ".join(f"{x.unit.format(12)} ({x.tool})" for x in layouts)
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    raise InputError(f"{path} line 1: expected columns such as {expected}; found {shown!r}")


@dataclass(frozen=True)
class _Row:
    """One line of the table, with cells by column name."""

    path: Path
    line: int
    header: Mapping[str, int]
    cells: Sequence[str]

    def text(self, column: str) -> str:
        return self.cells[self.header[column]].strip()

    def number(self, column: str, default: float = math.nan) -> float:
        """The cell as a number: NaN if it is empty, `default` if there is no such column."""
        if column not in self.header:
            return default
        return _number(self.path, self.line, column, self.text(column))


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = numbers.decimal(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise InputError(f"{path} line {line}, column {column}: {quoted(text)} is not a number")
    return value


# ---------------------------------------------------------------- scores of single pictures


@dataclass(frozen=True)
class Scores:
    """What another coder says of single pictures.

    names: of the pictures, as the coder wrote them. values: [n, U], 0 to 5, in the order of
    `facs.CODES`; NaN in the columns that it does not code. notes: what was left out, and why.
    """

    tool: str
    names: tuple[str, ...]
    values: Array
    notes: tuple[str, ...] = ()

    def by_stem(self) -> dict[str, Array]:
        """File name without folder and suffix -> [U] scores."""
        return {stem(name): row for name, row in zip(self.names, self.values, strict=True)}


def read_scores(
    source: Path, pictures: Iterable[str] = (), min_confidence: float = MIN_CONFIDENCE
) -> Scores:
    """Read the scores of single pictures by file name.

    source: the table of py-feat (`input` names the picture), of `duchenne score` (`image`), of
        OpenFace's FaceLandmarkImg (named after the picture), a folder of such tables, or the table
        of OpenFace's FeatureExtraction over a folder of pictures.
    pictures: file names in that folder; needed for FeatureExtraction only, which numbers them.

    Left out and told in `notes`: rows without a trusted face or with an empty score, and pictures
    with several faces, of which nobody knows which is meant. Raises InputError.
    """
    if source.is_dir():
        # FaceLandmarkImg puts a second file beside every table: NAME_of_details.txt.
        files = sorted(source.glob("*.csv"))
        if not files:
            raise InputError(f"{source}: holds no .csv; give what FaceLandmarkImg -out_dir wrote")
        tables = [read_table(file, (OPENFACE,), min_confidence) for file in files]
    else:
        tables = [read_table(source, (OPENFACE, OWN, PYFEAT), min_confidence)]
    names = [name for table in tables for name in _names(table, pictures)]
    trusted = np.concatenate([table.trusted for table in tables])
    values = np.concatenate([table.values for table in tables]) * facs.FULL
    return _one_face_each(source, tables[0].layout.tool, np.array(names), trusted, values)


def stem(name: str) -> str:
    """A picture's name without folder and suffix, whichever system wrote it."""
    return PureWindowsPath(name).stem


def _names(table: CodedTable, pictures: Iterable[str]) -> list[str]:
    """[n] the picture that each row is of."""
    if table.layout.name in table.texts:
        return [str(text) for text in table.texts[table.layout.name]]
    if table.layout is OPENFACE and "frame" not in table.texts:
        return [table.path.stem] * len(table.lines)
    if table.layout is not OPENFACE:
        raise InputError(
            f"{table.path} line 1: no column {table.layout.name!r} with the pictures' names; save "
            "the table with it"
        )
    return _numbered(table, pictures)


def _numbered(table: CodedTable, pictures: Iterable[str]) -> list[str]:
    """FeatureExtraction counts the pictures of its folder from 1, in the order of their names."""
    order = sorted(name for name in pictures if Path(name).suffix in SEQUENCE_SUFFIXES)
    if not order:
        raise InputError(
            f"{table.path}: its rows have numbers, not file names; give the folder of pictures "
            "that was analysed, or use FaceLandmarkImg"
        )
    numbers = table.numbers("frame")
    last = np.nanmax(numbers) if np.isfinite(numbers).any() else 0
    if np.isnan(numbers).any() or numbers.min() < 1 or last != len(order):
        raise InputError(
            f"{table.path}: numbers {len(order)} pictures up to {last:g}, counting from 1; it was "
            "made from another folder, or pictures were added or removed since"
        )
    return [order[int(number) - 1] for number in numbers]


def _one_face_each(
    source: Path, tool: str, names: NDArray[np.str_], trusted: NDArray[np.bool_], values: Array
) -> Scores:
    coded = np.asarray(~np.isnan(values).all(axis=0))
    if not coded.any():
        raise InputError(f"{source}: every intensity is empty or NaN; no face was coded")
    good = trusted & ~np.isnan(values[:, coded]).any(axis=1)
    counts = Counter(stem(name) for name in names[good])
    single = np.array([counts[stem(name)] == 1 for name in names])
    notes = []
    if not good.all():
        notes.append(f"{int((~good).sum())} of {len(good)} rows without a trusted face left out")
    if crowded := [name for name, count in counts.items() if count > 1]:
        notes.append(f"{len(crowded)} pictures with several faces left out, {crowded[0]} first")
    if not coded.all():
        absent = [code for code, there in zip(facs.CODES, coded, strict=True) if not there]
        notes.append(f"no values for {', '.join(absent)}")
    kept = good & single
    if not kept.any():
        raise InputError(
            f"{source}: no picture with exactly one trusted face ({'; '.join(notes)}); lower the "
            "confidence or code the pictures anew"
        )
    for note in notes:
        log.warning("%s: %s", source, note)
    return Scores(tool, tuple(names[kept].tolist()), values[kept], tuple(notes))
