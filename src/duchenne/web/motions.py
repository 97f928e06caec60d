"""Keyframes and recordings from the page, read by the library into its timelines."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import facs
from ..errors import InputError
from ..motion.drive import Drive, read_recording
from ..motion.timeline import Timeline, frame_rate, from_keyframes

KEY_COLUMNS = ("au", "time", "value")
MAX_KEYS = 500


@dataclass(frozen=True)
class Table:
    """A CSV file that came in. rows: its keys, if it held keyframes; notes: what was assumed."""

    kind: str
    timeline: Timeline
    rows: tuple[tuple[str, float, float, str], ...] = ()
    notes: tuple[str, ...] = ()


def read_table(path: Path, fps: str) -> Table:
    """Keyframes (`au,time,value[,easing]`) or a recording of OpenFace or py-feat, by its columns.

    Raises InputError for everything else.
    """
    text = _text(path)
    header = [name.strip().lower() for name in next(csv.reader(io.StringIO(text)), [])]
    if tuple(header[:3]) != KEY_COLUMNS:
        recording = read_recording(path, Drive(fps=fps))
        return Table("recording", recording.timeline, notes=recording.notes)
    cells = [
        [cell.strip() for cell in row]
        for row in csv.reader(io.StringIO(text), skipinitialspace=True)
    ]
    keys = [row for row in cells[1:] if any(row)]
    timeline = from_rows(keys, fps, path.parent)
    rows = tuple(
        (row[0].upper(), float(row[1]), float(row[2]), (row[3] if len(row) > 3 else "") or "linear")
        for row in keys
    )
    return Table("keyframes", timeline, rows)


def from_rows(rows: Sequence[Sequence[Any]], fps: str, folder: Path) -> Timeline:
    """The timeline of keys (AU, seconds, value[, easing]); "AU12L" moves the left side alone.

    folder: a place for temporary files. Raises InputError or DescriptorError; lines that the
    message names are rows of the table, the first being 2, as in a file with a header.
    """
    if len(rows) > MAX_KEYS:
        raise InputError(f"{len(rows)} keys are too many; at most {MAX_KEYS}")
    if not rows:
        raise InputError("there are no keys yet; add one, or take them from the sliders")
    for number, row in enumerate(rows, 2):
        if not (isinstance(row, list | tuple) and 3 <= len(row) <= 4):
            raise InputError(f"line {number}: expected AU, time, value and perhaps an easing")
    sides = [_side(rows, side, fps, folder) for side in facs.SIDES]
    length = max(len(side) for side in sides)
    both = [_lengthened(side, length).intensities for side in sides]
    return Timeline(np.stack(both, axis=2), sides[0].fps)


def _side(rows: Sequence[Sequence[Any]], side: str, fps: str, folder: Path) -> Timeline:
    """What the keys say of one side of the face, read by the library from a CSV file.

    A row of the other side becomes an empty line, so that the others keep their numbers.
    """
    path = folder / "keyframes.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow((*KEY_COLUMNS, "easing"))
        kept = 0
        for row in rows:
            code, at = facs.split_side(str(row[0]).strip().upper())
            if at in ("", side):
                table.writerow([code, *row[1:], *([""] if len(row) == 3 else [])])
                kept += 1
            else:
                file.write("\n")
    try:
        if not kept:  # this side rests
            return Timeline(np.zeros((1, len(facs.CODES))), frame_rate(fps))
        return from_keyframes(path, fps)
    finally:
        path.unlink(missing_ok=True)


def _lengthened(timeline: Timeline, frames: int) -> Timeline:
    """The same with its last frame held until there are so many frames."""
    return timeline.hold(float((frames - len(timeline)) / timeline.fps))


def _text(path: Path) -> str:
    """The file as text, refused if it is anything else."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path.name}: not a text file; expected a CSV") from None
    if "\0" in text:
        raise InputError(f"{path.name}: not a text file; expected a CSV")
    return text
