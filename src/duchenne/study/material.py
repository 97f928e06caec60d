"""The pictures and films of a set, as a study shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import InputError, quoted
from ..reading import numbers, tables
from .settings import MOST_LABEL

MANIFEST = "manifest.csv"
NEEDED = ("file", "condition")
STILLS = (".png", ".jpg", ".jpeg", ".webp")
ANIMATED = (".gif", ".apng")  # films that a browser shows as pictures
FILMS = (".mp4", ".webm")
MOST_PICTURES = 100_000
EXPECTED = "a set of `duchenne stimuli`, or a CSV with the columns file and condition"


@dataclass(frozen=True)
class Picture:
    """One picture or film that is shown.

    file: below the set's folder, with /. asked: the intensity, 0 to 1. sha256: of its content.
    """

    file: str
    identity: str
    condition: str
    side: str
    asked: float
    sha256: str

    @property
    def film(self) -> bool:
        """Whether a browser plays it with <video>."""
        return self.file.lower().endswith(FILMS)


@dataclass(frozen=True)
class Material:
    """What a study shows. folder: the set's. left_out: reason -> how many rows of the table."""

    folder: Path
    pictures: Sequence[Picture]
    left_out: Mapping[str, int]

    @property
    def conditions(self) -> list[str]:
        """In the order of the table."""
        return list(dict.fromkeys(picture.condition for picture in self.pictures))


def read(source: Path, *, films: bool = False, outliers: bool = True) -> Material:
    """The pictures of a set, or its films.

    source: the set's folder, or a CSV whose files are named from its own folder. outliers: also
    those that the set's measures call so: people judge better than the measures. Raises InputError.
    """
    table = source / MANIFEST if source.is_dir() else source
    if source.is_dir() and not table.is_file():
        raise InputError(f"{source}: holds no {MANIFEST}; expected {EXPECTED}")
    sheet = tables.read(table, give=EXPECTED, short=True)
    missing = [name for name in NEEDED if sheet.header.find(name) is None]
    if missing:
        raise InputError(f"{table}: no column {missing[0]}; expected {EXPECTED}")
    names = ("file", "identity", "condition", "side", "intensity", "kind", "outlier", "error")
    empty = [""] * len(sheet)
    cells = {n: sheet.texts(n) if sheet.header.find(n) is not None else empty for n in names}
    if sheet.decimal == ",":  # a spreadsheet has saved it again
        cells["intensity"] = [text.replace(",", ".") for text in cells["intensity"]]
    rows = [{name: column[i] for name, column in cells.items()} for i in range(len(sheet))]
    left_out: dict[str, int] = {}
    pictures: list[Picture] = []
    for line, row in zip(sheet.lines, rows, strict=True):
        reason = _left_out(row, films, outliers)
        if reason:
            left_out[reason] = left_out.get(reason, 0) + 1
        else:
            pictures.append(_picture(f"{table} line {line}", row, table.parent))
    if not pictures:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        kind = "films" if films else "pictures"
        raise InputError(f"{table}: no {kind} to show" + (f" ({reasons})" if reasons else ""))
    files = [picture.file for picture in pictures]
    if len(set(files)) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise InputError(f"{table}: {quoted(twice)} is named twice; name each file once")
    if len(files) > MOST_PICTURES:
        raise InputError(f"{table}: {len(files)} pictures; at most {MOST_PICTURES}")
    return Material(table.parent, tuple(pictures), left_out)


def _left_out(row: Mapping[str, str], films: bool, outliers: bool) -> str:
    """Why a row of the table is not shown; empty if it is."""
    if row["error"] or not row["file"]:
        return "without a file"
    suffix = PurePosixPath(row["file"]).suffix.lower()
    film = row["kind"] == "film" or (not row["kind"] and suffix in (*ANIMATED, *FILMS))
    if film != films:
        return "films" if film else "stills"
    if row["outlier"] and not outliers:
        return "outliers"
    return ""


def _picture(where: str, row: Mapping[str, str], folder: Path) -> Picture:
    name = row["file"].replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts:
        raise InputError(f"{where}: {quoted(name)} leads out of the set's folder")
    if path.suffix.lower() not in (*STILLS, *ANIMATED, *FILMS):
        shown = ", ".join((*STILLS, *ANIMATED, *FILMS))
        raise InputError(f"{where}: {quoted(name)}: browsers show {shown}")
    condition = row["condition"]
    if not condition or "|" in condition or len(condition) > MOST_LABEL:
        raise InputError(
            f"{where}: condition {quoted(condition)}: expected a name of up to {MOST_LABEL} "
            "characters, without |"
        )
    asked = numbers.number(f"{where}: intensity", row["intensity"] or "1", 0, 1)
    try:
        with (folder / path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"{where}: {quoted(name)} cannot be read ({error.strerror or error}); a set's files "
            "stay beside its table"
        ) from None
    return Picture(str(path), row["identity"], condition, row["side"], asked, digest)
