"""What another coder says of single pictures, by their file names."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import InputError
from ..reading import places
from .coded import MIN_CONFIDENCE, CodedTable, read_table
from .layouts import LIBREFACE, OPENFACE, OPENFACE3, OWN, PYFEAT

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

# What FeatureExtraction -fdir takes from a folder, sorted by name (SequenceCapture.cpp, 2.2.0).
SEQUENCE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
SCORED = (OPENFACE3, OPENFACE, LIBREFACE, OWN, PYFEAT)


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
        `openface detect` (`image_path`), of OpenFace's FaceLandmarkImg or LibreFace (named after
        the picture), a folder of such tables, or the table of OpenFace's FeatureExtraction over a
        folder of pictures.
    pictures: file names in that folder; needed for FeatureExtraction only, which numbers them.

    Left out and told in `notes`: rows without a trusted face or with an empty score, and pictures
    with several faces, of which nobody knows which is meant. Raises InputError.
    """
    if places.is_folder(source):
        # FaceLandmarkImg puts a second file beside every table: NAME_of_details.txt.
        files = sorted(source.glob("*.csv"))
        if not files:
            raise InputError(f"{source}: holds no .csv; give what FaceLandmarkImg -out_dir wrote")
    else:
        files = [source]
    read = [read_table(file, SCORED, min_confidence) for file in files]
    names = [name for table in read for name in _names(table, pictures)]
    trusted = np.concatenate([table.trusted for table in read])
    values = np.concatenate([table.values for table in read]).mean(axis=2) * facs.FULL
    return _one_face_each(source, read[0].layout.tool, np.array(names), trusted, values)


def stem(name: str) -> str:
    """A picture's name without folder and suffix, whichever system wrote it."""
    return PureWindowsPath(name).stem


def _names(table: CodedTable, pictures: Iterable[str]) -> list[str]:
    """[n] the picture that each row is of."""
    layout, frames = table.layout, table.first((*table.layout.times, *table.layout.frames))
    names = table.names()
    if names is not None:
        if len(names) > 1 and len(set(names)) == 1 and frames is not None:
            _refuse_film(table, str(names[0]), frames)
        return [str(name) for name in names]
    if layout in (OPENFACE, LIBREFACE) and frames is None:
        return [table.path.stem] * len(table.lines)
    if layout is OPENFACE:
        return _numbered(table, pictures)
    if layout in (OPENFACE3, LIBREFACE):
        raise InputError(f"{table.path}: is the table of a film; --drive reads it, not this")
    raise InputError(
        f"{table.path} line 1: no column {layout.names[0]!r} with the pictures' names; save the "
        "table with it"
    )


def _refuse_film(table: CodedTable, name: str, frames: int) -> None:
    """InputError if the rows are frames of one film: other numbers, but the same file."""
    numbers = table.sheet.columns[frames]
    if len(set(numbers)) > 1:
        raise InputError(
            f"{table.path}: is the table of a film ({name}, {len(set(numbers))} frames); --drive "
            "reads it, and pictures are wanted here"
        )


def _numbered(table: CodedTable, pictures: Iterable[str]) -> list[str]:
    """FeatureExtraction counts the pictures of its folder from 1, in the order of their names."""
    order = sorted(name for name in pictures if Path(name).suffix in SEQUENCE_SUFFIXES)
    if not order:
        raise InputError(
            f"{table.path}: its rows have numbers, not file names; give the folder of pictures "
            "that was analysed (--pictures), or use FaceLandmarkImg"
        )
    place = table.first(table.layout.frames)
    if place is None:
        raise InputError(
            f"{table.path} line 1: no column frame that says which picture a row is of"
        )
    numbers = table.sheet.numbers(place)
    last = np.nanmax(numbers) if np.isfinite(numbers).any() else 0
    whole = np.isfinite(numbers).all() and (numbers % 1 == 0).all()
    if not whole or numbers.min() < 1 or last != len(order):
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
            "confidence limit or code the pictures anew"
        )
    for note in notes:
        log.warning("%s: %s", source, note)
    return Scores(tool, tuple(names[kept].tolist()), values[kept], tuple(notes))
