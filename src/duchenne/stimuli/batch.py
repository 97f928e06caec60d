"""One expression on thousands of photos: a bad one is reported, and a kill costs nothing done."""

from __future__ import annotations

import glob
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import facs
from ..engine.base import Engine, Item, Outcome, Slots, Throughput
from ..engine.folder import OutputFolder, sha256_of
from ..errors import DescriptorError, InputError, quoted
from ..files import codes, folders
from ..files.names import sameness
from ..reading import places, tables
from . import papers
from .design import Cell, Output
from .drawing import Request, Source

log = logging.getLogger(__name__)

COLUMNS: Mapping[str, str] = {
    "file": "path inside the folder; empty if it could not be made",
    "input": "the photo or code",
    "input_sha256": "of the photo or code",
    "keep_sha256": "of the mask of what stays the photo; empty without one",
    "face": "which face of the photo, the largest being 0",
    "faces": "how many faces the photo has",
    "covered": "where something covers the photo's face and is kept as it is",
    "kind": "still or film",
    "descriptor": "the Action Units asked for, sides included",
    **papers.ASKED,
    **papers.IN_FILE,
    **papers.REST,
    "error": "why there is no file; empty if there is one",
    **papers.MADE_BY,
}


@dataclass(frozen=True)
class Input:
    """One input. name: as it was found; stem: of its output, below the output's folder.

    keep: the file of the mask of what stays the photo. ends: whether the face ends at the
    descriptor (`measuring.ending`); None is as everywhere else in the run.
    """

    name: str
    path: Path
    stem: str
    descriptor: Mapping[str, float]
    face: int | None = None
    keep: Path | None = None
    ends: bool | None = None


@dataclass(frozen=True)
class Result:
    """rows: the manifest's. done: how many inputs have a file; failed: how many do not."""

    rows: list[dict[str, Any]]
    done: int
    failed: int


# ---------------------------------------------------------------- inputs


def find_inputs(
    source: str, descriptor: Mapping[str, float] | None, keep: str | None = None
) -> list[Input]:
    """The inputs that a folder, a glob or a CSV names, in the order of their names (of the table).

    descriptor: what is asked where the CSV has no column au, descriptor or expression for it.
    keep: a mask for every photo, or a folder of masks named as the photos are, .png; the CSV's
        column `keep` goes before it.
    Raises InputError if there is nothing to do.
    """
    path = Path(source)
    if path.suffix.lower() == ".csv" and not places.is_folder(path):
        inputs = _from_table(path, descriptor)
    else:
        if descriptor is None:
            raise InputError(f"{source}: give --au, --descriptor or --expression with it")
        there = _there(source)
        inputs = [_input(str(p), p, inside, descriptor) for p, inside, why in there if not why]
    if not inputs:
        others = folders.counts_text(left_out(source))
        raise InputError(
            f"{source}: no photos or codes there{f', only {others}' if others else ''}; give a "
            "folder, a glob or a CSV"
        )
    if keep is not None and not places.exists(keep):
        raise InputError(f"{keep}: no such file or folder; give a mask, or a folder of masks")
    masked = [replace(given, keep=given.keep or _mask_of(given, keep)) for given in inputs]
    return _distinct(masked)


def _mask_of(given: Input, keep: str | None) -> Path | None:
    """The mask of an input in what was given for all, if there is one."""
    if keep is None or given.path.suffix.lower() == codes.SUFFIX:
        return None
    if not places.is_folder(keep):
        return Path(keep)
    mask = Path(keep) / f"{given.stem}.png"
    return mask if places.exists(mask) else None


def left_out(source: str) -> dict[str, int]:
    """Files of a folder or a glob that `find_inputs` leaves out: suffix -> how many, most first."""
    if Path(source).suffix.lower() == ".csv" and not places.is_folder(source):
        return {}
    return folders.counted(why for *_, why in _there(source))


def _there(source: str) -> list[tuple[Path, Path, str]]:
    """The files of a folder, or of a glob, in the order of their names: path, its path in what was
    given, and why it is left out ("" for a photo or a code). What exists is no glob, whatever
    brackets its name has; a file that is named itself is always taken.
    """
    path = Path(source)
    if places.is_folder(path):
        found = [(p, p.relative_to(path)) for p in sorted(path.rglob("*"))]
    elif places.exists(path):
        return [(path, Path(path.name), "")]
    else:
        paths = sorted(map(Path, glob.glob(source, recursive=True)))  # noqa: PTH207
        found = [(p, Path(p.name)) for p in paths]
    return [
        (p, inside, folders.why_not(inside, (codes.SUFFIX,)))
        for p, inside in found
        if not p.is_dir()
    ]


def _input(
    name: str, path: Path, inside: Path, descriptor: Mapping[str, float], face: int | None = None
) -> Input:
    parts = [part for part in inside.parts if part not in ("..", inside.anchor)]
    return Input(name, path, Path(*parts).with_suffix("").as_posix(), descriptor, face)


ASKED = {"au": facs.parse, "descriptor": facs.parse_vector, "expression": facs.expression}
TABLE = ("file", *ASKED, "face", "keep")


def _from_table(table: Path, descriptor: Mapping[str, float] | None) -> list[Input]:
    """A CSV with a column `file`, relative to it, and perhaps others, in any case and order.

    These are au, descriptor, expression, face, and keep: a mask, relative to the table too. Others
    are left out, with a warning.
    """
    sheet = tables.read(table, give="a CSV with a column file", short=True)
    header = sheet.header
    places = {name: place for name in TABLE if (place := header.find(name)) is not None}
    if "file" not in places:
        raise InputError(f"{table}: expected a column `file`, found {header.shown()!r}")
    other = [name for i, name in enumerate(header.names) if name and i not in places.values()]
    if other:
        log.warning(
            "%s: columns that are not read: %s; known are %s",
            *(table, ", ".join(other)[:200], ", ".join(TABLE)),
        )
    inputs = []
    for row, line in enumerate(sheet.lines):
        cells = {name: sheet.columns[place][row] for name, place in places.items()}
        if not cells["file"]:
            raise InputError(f"{table}: line {line}: no file; name a photo or a code")
        for given in (cells["file"], cells.get("keep", "")):
            if "\0" in given:
                raise InputError(f"{table}: line {line}: {quoted(given)} is no name of a file")
        name, face = cells["file"], None
        if Path(name).name in ("", ".."):
            raise InputError(f"{table}: line {line}: {quoted(name)} is a folder; name a file")
        if cells.get("face"):
            face = sheet.whole(line, places["face"], cells["face"])
            if face < 0:
                raise InputError(f"{table}: line {line}: face {face}; they count from 0")
        own = _asked(table, line, cells)
        asked = own or descriptor
        if asked is None:
            raise InputError(
                f"{table}: line {line}: no expression; fill au, descriptor or expression, or "
                "give --au"
            )
        read = _input(name, table.parent / name, Path(name), asked, face)
        keep = table.parent / cells["keep"] if cells.get("keep") else None
        ends = None if own is None else bool(cells.get("expression"))
        inputs.append(replace(read, keep=keep, ends=ends))
    return inputs


def _asked(table: Path, line: int, cells: Mapping[str, str]) -> Mapping[str, float] | None:
    given = {name: cells[name] for name in ASKED if cells.get(name)}
    if len(given) > 1:
        raise InputError(f"{table}: line {line}: fill one of {', '.join(given)}, not several")
    try:
        return next((ASKED[name](text) for name, text in given.items()), None)
    except DescriptorError as error:
        raise InputError(f"{table}: line {line}: {error}") from None


def _distinct(inputs: list[Input]) -> list[Input]:
    """Outputs of a.jpg and a.png get a_jpg and a_png; what is still the same gets a number.

    A.jpg and a.jpg are the same: the folder may lie on a disk that knows no case.
    """
    stems = Counter(sameness(given.stem) for given in inputs)
    seen: Counter[str] = Counter()
    result = []
    for given in inputs:
        stem = given.stem
        if stems[sameness(stem)] > 1:
            stem = f"{stem}_{given.path.suffix[1:]}"
        seen[sameness(stem)] += 1
        number = seen[sameness(stem)]
        stem = stem if number == 1 else f"{stem}_{number}"
        result.append(replace(given, stem=stem))
    return result


# ---------------------------------------------------------------- the run


def run(
    inputs: Sequence[Input],
    output: Output,
    folder: str | Path,
    slots: Slots,
    facts: Mapping[str, Any],
    throughput: Throughput,
    *,
    settings: Mapping[str, Any],
    retry: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Draw every input's expression; go on where an earlier run was ended.

    slots: workers built by `stimuli.drawing.Drawing` with this `output`. facts:
    `papers.fingerprints`. settings: what else the files depend on. retry: try again what could not
    be made before. manifest.csv is written even if the run ends early, as far as it came.
    """
    kind, suffix = ("film", output.film) if output.film else ("still", output.still)
    everything = {"output": asdict(output), **settings, **facts}
    with OutputFolder(folder, everything) as out, Engine(slots) as engine:
        batch = _Batch(out, kind, suffix, facts, throughput)
        missing = _apart([given for given in inputs if not batch.has(given, retry=retry)])
        done = len(inputs) - len(missing)
        progress(done, len(inputs))
        try:
            for outcome in engine.process(batch.items(missing)):
                throughput.count(outcome)
                batch.record(outcome)
                progress(done + throughput.items, len(inputs))
        finally:
            rows = batch.write_manifest(inputs)
        out.finish(row["key"] for row in rows)
    failed = sum(bool(row.get("error")) for row in rows)
    return Result(rows, len(rows) - failed, failed)


def _apart(inputs: Sequence[Input]) -> list[Input]:
    """Every photo's first input, then the second ones, and so on.

    Otherwise several workers would encode one photo at the same time; later its code is in the
    cache.
    """
    seen: Counter[tuple[Path, int | None]] = Counter()
    ranks = []
    for given in inputs:
        ranks.append(seen[given.path, given.face])
        seen[given.path, given.face] += 1
    return [inputs[i] for i in sorted(range(len(inputs)), key=ranks.__getitem__)]


class _Batch:
    """The rows of one output folder."""

    def __init__(
        self,
        out: OutputFolder,
        kind: str,
        suffix: str,
        facts: Mapping[str, Any],
        throughput: Throughput,
    ) -> None:
        self._out, self._kind, self._suffix, self._facts = out, kind, suffix, facts
        self._throughput = throughput
        self._by_file: dict[str, tuple[Input, str]] = {}  # of what is being worked on

    def has(self, given: Input, *, retry: bool) -> bool:
        """Whether this input was done before, with the same content."""
        key = given.stem + self._suffix
        row = self._out.rows.get(key)
        if row is None or (retry and row.get("error")):
            return False
        same = row["descriptor"] == papers.descriptor_text(given.descriptor)
        same &= row["input_sha256"] == _digest(given.path)
        same &= row["keep_sha256"] == _digest(given.keep)
        return same and self._out.has(key)

    def items(self, inputs: Sequence[Input]) -> Iterator[Item]:
        """Reads each input when a worker is free for it."""
        for given in inputs:
            file = given.stem + self._suffix
            try:
                content = given.path.read_bytes()
                keep = None if given.keep is None else (str(given.keep), given.keep.read_bytes())
            except OSError as error:
                reason = f"{error.filename}: cannot be read ({error.strerror})"
                self._out.record(file, self._row(given, "", error=reason))
                self._throughput.count(Outcome(Item(given.name, None), error=reason))
                continue
            self._by_file[file] = (given, hashlib.sha256(content).hexdigest())
            source = Source(given.name, content=content, face=given.face, keep=keep)
            yield Item(given.name, Request(source, (self._cell(given),), (file,)))

    def record(self, outcome: Outcome) -> None:
        (file,) = outcome.item.payload.files
        given, digest = self._by_file.pop(file)
        if outcome.value is None:
            self._out.record(file, self._row(given, digest, error=outcome.error))
            return
        drawn = outcome.value
        row = {**self._row(given, digest), **drawn.rest, **drawn.rows[0]}
        self._out.record(file, row, drawn.contents[0])

    def write_manifest(self, inputs: Sequence[Input]) -> list[dict[str, Any]]:
        """manifest.csv: the inputs in their order, then what earlier calls have left here."""
        order = [given.stem + self._suffix for given in inputs]
        rows = self._out.rows
        keys = [key for key in order if key in rows]
        keys += sorted(set(rows) - set(order))
        listed = [rows[key] for key in keys]
        self._out.write_table("manifest.csv", list(COLUMNS), listed)
        return listed

    def _cell(self, given: Input) -> Cell:
        ends = bool(given.ends)
        return Cell("", "both", 1.0, given.descriptor, self._kind, self._suffix, ends)

    def _row(self, given: Input, digest: str, *, error: str = "") -> dict[str, Any]:
        asked = facs.by_unit(given.descriptor).items()
        return {
            "file": "",
            "input": given.name,
            "input_sha256": digest,
            "keep_sha256": _digest(given.keep),
            "kind": self._kind,
            "descriptor": papers.descriptor_text(given.descriptor),
            **{f"asked_{code}": round(value, 6) for code, value in asked},
            **{name: self._facts[name] for name in papers.MADE_BY},
            **({"error": error} if error else {}),
        }


def _digest(path: Path | None) -> str:
    """sha256 of an input; "" for none, or one that cannot be read, as its row says too."""
    try:
        return "" if path is None else sha256_of(path)
    except OSError:
        return ""
