"""What a worker does: open a face, draw it in every cell of the design, measure, return bytes."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..animate import Studio, Subject
from ..engine.base import Worker
from ..engine.stages import Stages
from ..errors import InputError
from ..faces import align
from ..files import codes, films, pictures, writing
from ..files.clip import Clip
from ..files.pictures import SourceType
from ..files.transparency import is_transparent, over_white, photo_of
from ..motion.timeline import from_descriptor
from ..types import Pixels
from . import matching, papers
from .design import Cell, Match, Output
from .measuring import Look, Means, Meter
from .screening import Screening, Seed

OpenStudio = Callable[[int], Studio]
"""Threads -> a studio. Must pickle."""

KEPT = 2  # faces that a worker holds open; a scene of the built-in generator takes 0.2 GB


@dataclass(frozen=True)
class Source:
    """Whose face. One of seed (a synthetic person) and content (the bytes of a photo or a code).

    name: what messages call it, and whose suffix says what the content is. keep: name and bytes of
        the mask of what stays the photo.
    """

    name: str
    seed: int | None = None
    truncation: float = 0.7
    content: bytes | None = None
    face: int | None = None
    keep: tuple[str, bytes] | None = None


@dataclass(frozen=True)
class Request:
    """One item of a run: some cells of one face. files: their names, in the same order."""

    source: Source
    cells: tuple[Cell, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """What a request gives. rest: facts about the face at rest. rows, contents: one a cell."""

    rest: Mapping[str, Any]
    rows: list[dict[str, Any]]
    contents: list[bytes]


@dataclass(frozen=True)
class Drawing:
    """Builds the workers of a set or a batch (`engine.base.Build`)."""

    open_studio: OpenStudio
    output: Output
    match: Match
    means: Means
    target: bool = False
    screening: Screening | None = None

    def __call__(self, threads: int) -> Worker:
        return _Drawer(self, self.open_studio(threads))


@dataclass
class _Person:
    """A face that is open. look, crop: at rest, finished as its pictures will be."""

    subject: Subject
    correction: matching.Correction
    look: Look
    oval: NDArray[np.bool_] | None
    facts: dict[str, Any]


class _Drawer:
    """Draws requests; screens seeds where the run has a screening."""

    def __init__(self, drawing: Drawing, studio: Studio) -> None:
        self._drawing, self._studio = drawing, studio
        _ = studio.spec.fingerprint  # what is missing is said before any item is tried
        self._meter = Meter(drawing.means, studio.boundaries.scale)
        self._open: OrderedDict[Source, _Person] = OrderedDict()
        screening = drawing.screening
        self._screen = None if screening is None else screening.begin(studio, self._meter)

    def __call__(self, payload: Request | Seed) -> tuple[Any, Mapping[str, float]]:
        stages = Stages()
        if isinstance(payload, Seed):
            assert self._screen is not None, "seeds come with a screening"
            with stages("screen"):
                return self._screen(payload), stages.seconds
        person = self._person(payload.source, stages)
        rows, contents = [], []
        for cell, name in zip(payload.cells, payload.files, strict=True):
            row, content = self._cell(person, cell, name, stages)
            rows.append(row)
            contents.append(content)
        return Drawn(person.facts, rows, contents), stages.seconds

    # ------------------------------------------------------------ the face

    def _person(self, source: Source, stages: Stages) -> _Person:
        for other, open_ in self._open.items():
            if other != source:  # what is compiled for a face takes more memory than the face
                open_.subject.scene.forget()
        if source in self._open:
            self._open.move_to_end(source)
            return self._open[source]
        with stages("open"):
            subject = self._subject(source)
        with stages("prepare"):
            base = subject.edit({})
        with stages("measure"):
            person = self._at_rest(subject, base)
        self._open[source] = person
        if len(self._open) > KEPT:
            self._open.popitem(last=False)
        return person

    def _subject(self, source: Source) -> Subject:
        if source.seed is not None:
            return self._studio.sample(source.seed, truncation=source.truncation)
        assert source.content is not None, "a source has a seed or a content"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"face{Path(source.name).suffix}"
            names = {str(path): source.name}
            mask = None
            with writing.reporting_disk_errors(path):
                path.write_bytes(source.content)
                if source.keep is not None:
                    mask = Path(folder) / f"mask{Path(source.keep[0]).suffix}"
                    mask.write_bytes(source.keep[1])
                    names[str(mask)] = source.keep[0]
            if path.suffix != codes.SUFFIX:  # the next item is likely a photo as well
                self._studio.inversion.keeps_programs = True
            try:
                subject = self._studio.face(path, index=source.face, keep=mask)
            except InputError as error:
                message = str(error)
                for written, name in names.items():
                    message = message.replace(written, name)
                raise type(error)(message) from None
            return replace(subject, generated=self._drawing.output.generated)

    def _at_rest(self, subject: Subject, base: Pixels) -> _Person:
        output = self._drawing.output
        pasted = output.paste_back and subject.photo is not None
        size = len(base) if pasted or output.size is None else output.size
        mesh = self._meter.look(base, person=False).mesh
        correction = matching.correct(base, mesh, size, self._drawing.match)
        oval = None if mesh is None else matching.oval_of(base, mesh, correction)
        look = self._meter.look(correction.apply(base))
        facts = {**_pose(look), **_units("rest", look), **_faces(subject)}
        return _Person(subject, correction, look, oval, facts)

    # ------------------------------------------------------------ one cell

    def _cell(
        self, person: _Person, cell: Cell, name: str, stages: Stages
    ) -> tuple[dict[str, Any], bytes]:
        offsets: Mapping[str, float] = cell.descriptor
        if self._drawing.target and offsets:
            with stages("reach"):
                offsets = person.subject.reach(offsets).offsets
        elif cell.ends and self._drawing.means.scores:
            with stages("reach"):
                offsets = person.subject.ending(offsets)
        if cell.kind == "still":
            with stages("render"):
                drawn = person.subject.edit(offsets, **self._how(person))
                picture = self._finish(person, drawn, cell.suffix)
            with stages("write"):
                content = pictures.image_bytes(picture, cell.suffix, source=self._mark(person))
            facts: dict[str, Any] = {"frames": 1}
        else:
            with stages("render and write"):
                content, drawn, picture, frames = self._film(person, offsets, cell.suffix)
            facts = {"frames": frames}
        with stages("measure"):
            facts |= self._measured(person, drawn, picture)
        row = {
            "file": name,
            "height": picture.shape[0],
            "width": picture.shape[1],
            **facts,
            "shown": papers.MOVED if person.subject.moves else papers.GENERATED,
            **_transparency(person.subject, picture),
            "offsets": papers.descriptor_text(offsets),
            **{f"offset_{code}": round(value, 4) for code, value in facs.by_unit(offsets).items()},
        }
        return row, content

    def _pastes(self, person: _Person) -> bool:
        """Whether the face goes back into its photo; a code has none."""
        return self._drawing.output.paste_back and person.subject.photo is not None

    def _how(self, person: _Person) -> dict[str, Any]:
        """The options of `Subject.edit`; crops are brought to their size with the matching."""
        pastes = self._pastes(person)
        return {"paste": pastes, "size": self._drawing.output.size if pastes else None}

    def _mark(self, person: _Person) -> SourceType:
        return person.subject.source(paste=self._pastes(person))

    def _finish(self, person: _Person, drawn: Pixels, suffix: str) -> Pixels:
        """As the file shall show it."""
        if not self._pastes(person):
            return person.correction.apply(drawn)
        return drawn if films.keeps_transparency(suffix) else over_white(drawn)

    def _film(
        self, person: _Person, offsets: Mapping[str, float], suffix: str
    ) -> tuple[bytes, Pixels, Pixels, int]:
        """(content, the strongest frame as drawn and as finished, number of frames)."""
        output = self._drawing.output
        timeline = from_descriptor(
            offsets, frames=output.frames, fps=output.fps, easing=output.easing
        ).hold(output.hold)
        if output.ping_pong:
            timeline = timeline.ping_pong()
        kept: list[tuple[Pixels, Pixels]] = []

        def frames() -> Iterator[Pixels]:
            clip = person.subject.animate(timeline, **self._how(person))
            for i, drawn in enumerate(clip):
                picture = self._finish(person, drawn, suffix)
                if i == timeline.apex:
                    kept.append((drawn, picture))
                yield picture

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"film{suffix}"
            films.write_frames(Clip(frames(), self._mark(person)), path, fps=timeline.fps)
            return path.read_bytes(), *kept[0], len(timeline)

    def _measured(self, person: _Person, drawn: Pixels, picture: Pixels) -> dict[str, Any]:
        """Columns about the finished face; of a pasted one, cut out of its photo again."""
        face = picture
        if self._pastes(person):
            _, aligned = person.subject.within(self._drawing.output.size)
            shown = photo_of(drawn, "drawn")
            face = align.cut(shown, aligned.face, size=person.correction.size).pixels
        look = self._meter.look(face)
        facts: dict[str, Any] = _units("measured", look)
        if look.person is not None and person.look.person is not None:
            distance = float(np.linalg.norm(look.person - person.look.person))
            facts["identity_distance"] = round(distance, 4)
        if person.oval is not None:
            mean, spread = matching.light_of(face, person.oval)
            facts |= {"luminance": round(mean, 2), "contrast": round(spread, 2)}
        return facts


def _transparency(subject: Subject, picture: Pixels) -> dict[str, str]:
    """Whether the picture has kept the photo's."""
    if subject.photo is None or subject.photo.rgba is None:
        return {}
    return {"transparency": papers.KEPT if is_transparent(picture) else papers.OVER_WHITE}


def _units(kind: str, look: Look) -> dict[str, Any]:
    if look.units is None:
        return {}
    return {
        f"{kind}_{code}": round(float(value), 4)
        for code, value in zip(facs.CODES, look.units, strict=True)
    }


def _pose(look: Look) -> dict[str, Any]:
    if look.pose is None:
        return {}
    return {
        name: round(float(v), 2)
        for name, v in zip(("yaw", "pitch", "roll"), look.pose, strict=True)
    }


def _faces(subject: Subject) -> dict[str, Any]:
    if subject.aligned is None:
        return {}
    facts = {"face": subject.aligned.index, "faces": subject.aligned.count}
    return {**facts, "covered": ", ".join(subject.covering.places)}
