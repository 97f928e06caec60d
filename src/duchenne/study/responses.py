"""The answers that a study's page saves, read strictly: what cannot be used is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ..errors import InputError, quoted
from ..reading import numbers, tables

FORMAT = "duchenne-study-1"
PICTURE, CHECK = "picture", "check"
MOST_BYTES = 50_000_000  # of one file of answers
COLUMNS: Mapping[str, str] = {
    "study": "names the pictures, answers and scales: answers of two studies do not mix",
    "participant": "as the address named them, or drawn at random",
    "started": "when they agreed, UTC",
    "seed": "that the order of this participant follows from",
    "order": "1 is what they were asked first",
    "kind": f"{PICTURE}, or {CHECK}: an attention check, whose expected answer it told",
    "file": "the picture, below the study's folder stimuli/",
    "identity": "whose face",
    "condition": "of the set",
    "side": "of the face, as in the set",
    "asked": "intensity that the set asked for, 0 to 1",
    "expected": "the answer that is right; empty if none is",
    "offered": "all answers, in the order of their buttons, with | between",
    "answer": "the one that was chosen",
    "intensity": "rating, on intensity_scale",
    "realism": "rating, on realism_scale",
    "answer_ms": "from the sight of the question to the answer",
    "intensity_ms": "the same",
    "realism_ms": "the same",
    "intensity_scale": "its ends, 0-5; empty if it was not asked",
    "realism_scale": "its ends, 1-7; empty if it was not asked",
}
GIVE = "the CSV that a study's page saves"


@dataclass(frozen=True)
class Scale:
    """The ends of a rating."""

    least: int
    most: int

    def of_share(self, share: float) -> float:
        """0 to 1 -> the scale's numbers."""
        return self.least + share * (self.most - self.least)


@dataclass(frozen=True)
class Response:
    """What one participant answered about one picture. intensity, realism: None if not asked."""

    participant: str
    file: str
    identity: str
    condition: str
    asked: float
    expected: str
    answer: str
    intensity: int | None
    realism: int | None

    @property
    def row(self) -> str:
        """Where it stands in the confusion matrix: the right answer, or the condition."""
        return self.expected or self.condition


@dataclass(frozen=True)
class SetAside:
    """A row or a whole file that is not used. line: 0 for a file."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path} line {self.line}: {self.reason}" if self.line else self.reason


@dataclass(frozen=True)
class Responses:
    """All answers of one study.

    offered: the answers, in the order of the first file. missed: participant -> attention checks
    that were missed; checks: participant -> how many there were. copies: rows that were there
    twice, word for word.
    """

    study: str
    rows: Sequence[Response]
    offered: Sequence[str]
    intensity: Scale | None
    realism: Scale | None
    missed: Mapping[str, int]
    checks: Mapping[str, int]
    set_aside: Sequence[SetAside]
    copies: int
    files: Sequence[str]

    @property
    def participants(self) -> list[str]:
        """Sorted by name."""
        return sorted({row.participant for row in self.rows})

    def without(self, participants: Iterable[str]) -> Sequence[Response]:
        """The rows of everybody else."""
        gone = set(participants)
        return [row for row in self.rows if row.participant not in gone]


def find(sources: Iterable[Path]) -> list[Path]:
    """The files of answers: those named, and the CSVs of folders. InputError if there are none."""
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            inside = sorted(p for p in source.iterdir() if p.suffix.lower() == ".csv")
            if not inside:
                raise InputError(f"{source}: holds no CSV; expected {GIVE}")
            found += inside
        else:
            found.append(source)
    return list(dict.fromkeys(found))


def read(paths: Sequence[Path]) -> Responses:
    """The answers of all files, those of the study that most of them belong to.

    Whatever cannot be used is in `set_aside`, with its reason. InputError if nothing can.
    """
    reader = _Reader()
    for path in paths:
        reader.file(path)
    return reader.result([str(path) for path in paths])


Cells = dict[str, str]
T = TypeVar("T")


@dataclass
class _Reader:
    """Collects rows; see `read`."""

    aside: list[SetAside] = field(default_factory=list)
    found: list[tuple[Path, int, Cells]] = field(default_factory=list)

    def file(self, path: Path) -> None:
        try:
            sheet = tables.read(path, give=GIVE, short=True, most=MOST_BYTES)
            missing = [name for name in COLUMNS if sheet.header.find(name) is None]
            if missing:
                raise InputError(f"{path}: no column {missing[0]}; expected {GIVE}")
            if not len(sheet):
                raise InputError(f"{path}: holds no answers; expected {GIVE}")
        except InputError as error:
            self.aside.append(SetAside(str(path), 0, str(error)))
            return
        columns = {name: sheet.texts(name) for name in COLUMNS}
        if sheet.decimal == ",":  # a spreadsheet has saved it again
            columns["asked"] = [text.replace(",", ".") for text in columns["asked"]]
        for i, line in enumerate(sheet.lines):
            self.found.append((path, line, {name: cells[i] for name, cells in columns.items()}))

    def result(self, files: Sequence[str]) -> Responses:
        study = self._main_study()
        rows: dict[tuple[str, str], tuple[Response, Cells]] = {}
        checks: dict[tuple[str, str], tuple[bool, Cells]] = {}
        offered: Sequence[str] = ()
        scales: dict[str, Scale | None] = {}
        copies = 0
        for path, line, cells in self.found:
            if cells["study"] != study:
                reason = f"of another study ({quoted(cells['study'])}, not {study})"
                self.aside.append(SetAside(str(path), line, reason))
                continue
            try:
                answers = _offered(cells)
                here = {name: _scale(cells, name) for name in ("intensity", "realism")}
                if not offered:
                    offered, scales = answers, here
                if set(answers) != set(offered) or here != scales:
                    raise InputError("other answers or scales than the rows before")
                if cells["kind"] == CHECK:
                    key = (cells["participant"], cells["order"])
                    copies += _add(checks, key, _check(cells), cells)
                else:
                    response = _response(cells, here)
                    key = (response.participant, response.file)
                    copies += _add(rows, key, response, cells)
            except InputError as error:
                self.aside.append(SetAside(str(path), line, str(error)))
        responses = [response for response, _ in rows.values()]
        if not responses:
            first = f": {self.aside[0]}" if self.aside else ""
            raise InputError(f"no answers that can be used in {len(files)} files{first}")
        asked = Counter(participant for participant, _ in checks)
        missed = Counter(who for (who, _), (passed, _) in checks.items() if not passed)
        return Responses(
            study=study,
            rows=responses,
            offered=tuple(offered),
            intensity=scales["intensity"],
            realism=scales["realism"],
            missed=missed,
            checks=asked,
            set_aside=self.aside,
            copies=copies,
            files=files,
        )

    def _main_study(self) -> str:
        """The one with the most rows; the first of equals."""
        names = Counter(cells["study"] for _, _, cells in self.found if cells["study"])
        return names.most_common(1)[0][0] if names else ""


def _add(
    known: dict[tuple[str, str], tuple[T, Cells]], key: tuple[str, str], new: T, row: Cells
) -> int:
    """Keep the first; 1 for a copy of it. InputError for a second answer to the same question."""
    if key not in known:
        known[key] = (new, row)
        return 0
    if known[key][1] != row:
        who, what = map(quoted, key)
        raise InputError(f"{who} has answered {what} before; the first answer counts")
    return 1


def _offered(cells: Cells) -> Sequence[str]:
    if not cells["participant"]:
        raise InputError("names no participant; the row is cut or damaged")
    if cells["kind"] not in (PICTURE, CHECK):
        raise InputError(f"kind {quoted(cells['kind'])}: expected {PICTURE} or {CHECK}")
    answers = cells["offered"].split("|")
    if len(answers) < 2 or not all(answers) or len(set(answers)) < len(answers):
        raise InputError("offered: expected two answers or more, with | between")
    if cells["answer"] not in answers:
        raise InputError(f"answer {quoted(cells['answer'])}: none of those offered")
    return answers


def _scale(cells: Cells, name: str) -> Scale | None:
    text = cells[f"{name}_scale"]
    if not text:
        return None
    least, dash, most = text.partition("-")
    if not dash:
        raise InputError(f"{name}_scale {quoted(text)}: expected its ends, for example 0-5")
    ends = [numbers.whole(f"{name}_scale", end, 0, 100) for end in (least, most)]
    if ends[0] >= ends[1]:
        raise InputError(f"{name}_scale {quoted(text)}: expected the lower end first")
    return Scale(*ends)


def _check(cells: Cells) -> bool:
    if not cells["expected"]:
        raise InputError("a check without the answer that it expects")
    return cells["answer"] == cells["expected"]


def _response(cells: Cells, scales: Mapping[str, Scale | None]) -> Response:
    for name in ("file", "condition"):
        if not cells[name]:
            raise InputError(f"{name} is empty; the row is cut or damaged")
    ratings: dict[str, int | None] = {}
    for name, scale in scales.items():
        ratings[name] = None
        if scale is not None:
            ratings[name] = numbers.whole(name, cells[name], scale.least, scale.most)
    return Response(
        participant=cells["participant"],
        file=cells["file"],
        identity=cells["identity"],
        condition=cells["condition"],
        asked=numbers.number("asked", cells["asked"], 0, 1),
        expected=cells["expected"],
        answer=cells["answer"],
        **ratings,
    )
