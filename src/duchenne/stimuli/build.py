"""From a design to a set: cast, draw, measure, judge, replace, write down."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import facs
from ..engine.base import Engine, Item, Outcome, Slots, Throughput
from ..engine.folder import OutputFolder
from ..errors import InputError
from ..files import pictures
from ..types import StageProgress
from . import papers, quality
from .casting import Casting, Identity, named_people
from .design import Cell, Design
from .drawing import Drawing, OpenStudio, Request
from .measuring import Means
from .screening import Screening

MOST_CELLS = 16  # of a request: what a kill can cost


@dataclass(frozen=True)
class Result:
    """What a finished set holds. rows: the manifest's."""

    rows: list[Mapping[str, Any]]
    people: int
    rejected: int
    outliers: int
    failed: int


def drawing_of(design: Design, open_studio: OpenStudio, means: Means) -> Drawing:
    """What the workers of a design do. InputError if it asks for what cannot be measured here."""
    screening = Screening(design.people)
    people = design.people
    measured = people.adult or people.frontal is not None or people.neutral is not None
    if (measured or design.target) and not means.scores:
        raise InputError(
            "[people] frontal, neutral and adult, and target, need the weights file "
            "face-landmarker-task; `duchenne weights fetch face-landmarker-task` gets it, or leave "
            "them out"
        )
    if people.different is not None and not means.identity:
        raise InputError("[people] different needs dlib: pip install 'duchenne[evaluate]'")
    return Drawing(
        open_studio,
        design.output,
        design.match,
        means,
        design.target,
        screening if screening.asks else None,
    )


def build(
    design: Design,
    text: bytes,
    folder: str | Path,
    slots: Slots,
    facts: Mapping[str, Any],
    throughput: Throughput,
    *,
    retry: bool = False,
    progress: StageProgress = lambda stage, done, total: None,
) -> Result:
    """Make a set, or the rest of one that was begun.

    text: the design file's content, kept in the set. slots: workers built by `drawing_of`. facts:
    `papers.fingerprints`. retry: try again what could not be made before. Raises OutputError if the
    folder belongs to something else; what is finished stays whatever happens.
    """
    named = named_people(design)
    settings = {**_settings(design, named), **facts}
    with OutputFolder(folder, settings) as out, Engine(slots) as engine:
        if retry:
            out.rows = {key: row for key, row in out.rows.items() if not row.get("error")}
        run = _Run(design, out, engine, facts, throughput, progress)
        people, casting = run.cast_and_draw(named)
        return run.finish(people, casting, text)


def _settings(design: Design, named: Sequence[Identity]) -> dict[str, Any]:
    """What the files depend on, JSON-ready."""
    settings = {k: v for k, v in asdict(design).items() if k != "folder"}
    hashes = [hashlib.sha256(p.source.content or b"").hexdigest() for p in named]
    return {**json.loads(json.dumps(settings)), "inputs": hashes}


class _Run:
    """One call of `build`."""

    def __init__(
        self,
        design: Design,
        out: OutputFolder,
        engine: Engine,
        facts: Mapping[str, Any],
        throughput: Throughput,
        progress: StageProgress,
    ) -> None:
        self._design, self._out, self._engine = design, out, engine
        self._facts, self._throughput, self._progress = facts, throughput, progress
        self._cells = design.cells()

    # ------------------------------------------------------------ people and pictures

    def cast_and_draw(self, named: list[Identity]) -> tuple[list[Identity], Casting]:
        """Everybody's files; synthetic people with outliers are replaced if the design says so."""
        design = self._design
        wanted, asks = design.people.synthetic, Screening(design.people).asks
        casting = Casting(design, self._out, self._engine, self._throughput)
        rejected: list[str] = []
        rounds = design.quality.rounds if design.quality.redraw else 0
        for round_ in range(rounds + 1):
            sampled = casting.take(wanted + len(rejected), asks=asks, progress=self._progress)
            kept = [person for person in sampled if person.name not in rejected]
            gone = [p for p in kept if f"rejected:{p.name}" in self._out.rows]  # earlier
            self._draw([person for person in (*named, *kept) if person not in gone])
            if round_ == rounds:
                break
            unfit = [person.name for person in kept if self._reject(person)]
            if not unfit:
                break
            rejected += unfit
        return [*named, *kept], casting

    def _draw(self, people: Sequence[Identity]) -> None:
        """The files that are not there yet."""
        total = len(people) * len(self._cells)
        requests = list(self._missing(people))
        done = total - sum(len(request.files) for _, request in requests)
        self._progress("drawing", done, total)
        owners = {person.source: person for person in people}
        items = (Item(f"{p.name} ({len(r.files)} files)", r) for p, r in requests)
        for outcome in self._engine.process(items):
            request = outcome.item.payload
            self._throughput.count(outcome, len(request.files))
            self._record(owners[request.source], request, outcome)
            done += len(request.files)
            self._progress("drawing", done, total)

    def _missing(self, people: Sequence[Identity]) -> Iterator[tuple[Identity, Request]]:
        """Requests for what is missing: neighbours are different people.

        A worker that takes every n-th request then meets the same people again and again, and keeps
        their faces open.
        """
        group = self._engine.slots.count
        for first in range(0, len(people), group):
            queues = [
                self._requests(person, len(people)) for person in people[first : first + group]
            ]
            for rank in range(max(len(queue) for queue in queues)):
                for person, queue in zip(people[first : first + group], queues, strict=True):
                    if rank < len(queue):
                        yield person, queue[rank]

    def _requests(self, person: Identity, people: int) -> list[Request]:
        """One person's missing cells, in pieces that keep all workers busy to the end."""
        pairs = [(cell, self._design.file_of(person.name, cell)) for cell in self._cells]
        pairs = [(cell, name) for cell, name in pairs if not self._ready(person, name)]
        parts = math.ceil(2 * self._engine.slots.count / people)
        most = max(1, min(MOST_CELLS, math.ceil(len(pairs) / parts)))
        pieces = [pairs[i : i + most] for i in range(0, len(pairs), most)]
        return [
            Request(person.source, tuple(c for c, _ in piece), tuple(n for _, n in piece))
            for piece in pieces
        ]

    def _ready(self, person: Identity, name: str) -> bool:
        known = f"person:{person.name}" in self._out.rows
        error = bool(self._out.rows.get(name, {}).get("error"))
        return (known or error) and self._out.has(name)

    def _record(self, person: Identity, request: Request, outcome: Outcome) -> None:
        drawn = outcome.value
        if drawn is not None:
            self._out.record(f"person:{person.name}", {**self._who(person), **drawn.rest})
        for i, (cell, name) in enumerate(zip(request.cells, request.files, strict=True)):
            row = {**self._who(person), **self._asked(cell), **self._made_by()}
            if drawn is None:
                self._out.record(name, {**row, "file": "", "error": outcome.error})
                continue
            row |= drawn.rows[i]
            rest = {k: v for k, v in drawn.rest.items() if k.startswith("rest_")}
            judged = quality.outlier(
                row, rest, cell, self._design.quality, target=self._design.target
            )
            self._out.record(name, {**row, **rest, "outlier": judged}, drawn.contents[i])

    def _who(self, person: Identity) -> dict[str, Any]:
        facts: dict[str, Any] = {"identity": person.name, "source": person.kind}
        source = person.source
        if source.seed is not None:
            return facts | {"seed": source.seed, "truncation": source.truncation}
        digest = hashlib.sha256(source.content or b"").hexdigest()
        return facts | {"input": source.name, "input_sha256": digest}

    def _asked(self, cell: Cell) -> dict[str, Any]:
        vector = facs.by_unit(cell.descriptor).items()
        return {
            "condition": cell.condition,
            "side": cell.side,
            "intensity": cell.intensity,
            "kind": cell.kind,
            "descriptor": papers.descriptor_text(cell.descriptor),
            **{f"asked_{code}": round(value, 6) for code, value in vector},
        }

    def _made_by(self) -> dict[str, Any]:
        return {name: self._facts[name] for name in papers.MADE_BY}

    def _reject(self, person: Identity) -> bool:
        """Whether a person has to go; then their files go too, and the journal says why."""
        names = [self._design.file_of(person.name, cell) for cell in self._cells]
        rows = [self._out.rows[name] for name in names if name in self._out.rows]
        key = f"rejected:{person.name}"
        if key not in self._out.rows:
            if not quality.too_many(rows, self._design.quality):
                return False
            flagged = [row for row in rows if row.get("outlier")]
            reason = f"{len(flagged)} of {len(rows)} files, first: {flagged[0]['outlier']}"
            self._out.record(key, {"identity": person.name, "reason": reason})
        self._out.remove(names)
        return True

    # ------------------------------------------------------------ what lies beside the files

    def finish(self, people: Sequence[Identity], casting: Casting, text: bytes) -> Result:
        """Tables, report, sheets; and the journal in its final order."""
        design, out = self._design, self._out
        keys = [design.file_of(p.name, cell) for p in people for cell in self._cells]
        rows = [out.rows[key] for key in keys]
        who = [f"person:{p.name}" for p in people if f"person:{p.name}" in out.rows]
        rejected = sorted(key for key in out.rows if key.startswith("rejected:"))
        screened = {row["seed"]: row for row in casting.rows()}
        persons = [{**screened.get(out.rows[key].get("seed"), {}), **out.rows[key]} for key in who]
        out.write_table("manifest.csv", list(papers.COLUMNS), rows)
        out.write_table("identities.csv", list(papers.PEOPLE_COLUMNS), persons)
        if screened:
            out.write_table("screening.csv", list(papers.SCREENING_COLUMNS), screened.values())
        out.write("codebook.md", papers.codebook().encode())
        out.write("design.toml", text)
        sent_away = [out.rows[key] for key in rejected]
        out.write("quality.md", quality.report(design, rows, sent_away, self._facts).encode())
        out.write("README.md", papers.readme(design, rows, len(people), self._facts).encode())
        by_key = dict(zip(keys, rows, strict=True))
        names = [person.name for person in people]
        for identity, sheet in papers.contact_sheets(design, names, by_key, out.path):
            out.write(f"contact/{identity}.jpg", pictures.image_bytes(sheet, ".jpg"))
        out.finish([*casting.keys(), *who, *rejected, *keys])
        return Result(
            rows=list(rows),
            people=len(people),
            rejected=len(rejected),
            outliers=sum(bool(row.get("outlier")) for row in rows),
            failed=sum(bool(row.get("error")) for row in rows),
        )
