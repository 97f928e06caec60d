"""A film as the source: the same film, with Action Units added to its face in every frame.

Frames stream through: they are decoded, the face is followed (`faces.tracking`) and steadied
(`faces.steady`), some are worked out as photos are (`moving.moved`), with a similar face from v(I),
and the others take what lies between (`moving.carried`). Every frame shows its own pixels.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .. import cores, facs
from ..animate import Studio
from ..editing import edit, face, mouths
from ..editing.boundaries import in_slots, slot_intensities, without_moved
from ..encoding.encoder_file import offered_version
from ..encoding.settings import LOOK_ALIKE
from ..errors import NoFaceFound
from ..faces import align, landmarks, regions
from ..faces.paste import face_mask, footprint
from ..faces.people import People
from ..faces.steady import Steadied, steadied
from ..faces.tracking import Sighting, track
from ..faces.warp import apply, invert
from ..files.film_source import FilmSource, Frame
from ..motion.timeline import Timeline
from ..moving import besides, covering, eyes
from ..moving.canvas import Canvas
from ..moving.carried import Moment as Known
from ..moving.carried import between
from ..moving.change import SIDE
from ..moving.correspondence import Array
from ..moving.mouth import Mouth
from ..moving.moved import Fields, MovedPhoto, at_side, mesh_of, resized
from ..types import AlignedFace, LatentCode, Photo, Pixels
from .hands import beside_hands, spared
from .recognising import recogniser
from .rehearsal import rehearsed
from .runs import Moment, Run, kept, runs
from .targets import reaching

logger = logging.getLogger(__name__)

AHEAD = 2  # frames that are followed before they are wanted, beside those of a run
_WORKING = threading.Lock()  # a studio's generator serves one thread at a time
LITTLE = 0.05  # of what was worked out before: less is not worth the carrying

Asked = Callable[[Iterator[Steadied]], Iterator[tuple[Steadied, NDArray[np.float64]]]]
"""Gives every frame [U, 8], what is to be added there."""


@dataclass(frozen=True)
class Shown:
    """One frame of the result.

    pixels: uint8 [H, W, 3], upright; None where the frame is as it was. where: the part of it that
    differs. presence: of the face, 0 to 1; 0 without one. table: [U, 8], what was added.
    """

    frame: Frame
    pixels: Pixels | None
    where: tuple[slice, slice]
    presence: float
    table: NDArray[np.float64]


@dataclass
class Account:
    """What was done, filled in while frames are drawn.

    worked_out: frames in which the generator was asked. hands: frames with a hand before the face.
    without: (first, last) seconds of each stretch of frames without a face.
    """

    frames: int = 0
    faces: int = 0
    edited: int = 0
    worked_out: int = 0
    hands: int = 0
    without: list[tuple[float, float]] = field(default_factory=list)
    seen: bool = True  # a face, in the last frame

    def add(self, shown: Shown) -> None:
        self.frames += 1
        self.edited += shown.pixels is not None
        before, self.seen = self.seen, shown.presence > 0
        self.faces += self.seen
        if not self.seen:
            time = shown.frame.time
            start = time if before else self.without.pop()[0]
            self.without.append((start, time))


class FilmSubject:
    """The face of a film.

    face: which one: people are numbered as they appear, the largest of a frame first, and keep
    their numbers (`faces.people`).
    Whatever the studio's settings, no frame is encoded by a descent: v(I) alone gives the similar
    face. InputError for films that cannot be edited.
    """

    def __init__(self, studio: Studio, source: FilmSource, face: int = 0) -> None:
        if studio.settings != LOOK_ALIKE:
            if not offered_version(studio.spec):
                logger.warning(
                    "%s has no v(I), so the average face's change is shown; --encoder FILE gives "
                    "one",
                    studio.spec.fingerprint,
                )
            studio = studio.replace(settings=LOOK_ALIKE)  # no frame is encoded by a descent
        source.require_editable()
        self.studio, self.source, self._face = studio, source, face
        self.account = Account()
        self._mouth: tuple[int, Mouth] | None = None  # the last one that was seen, and its track

    def animate(self, timeline: Timeline) -> Iterator[Shown]:
        """Every frame, with what the timeline has at its time; after its end its last value stays.

        NoFaceFound at the end if no frame had a face.
        """
        slots = in_slots(timeline.sides)
        last = len(slots) - 1

        def at(time: float) -> NDArray[np.float64]:
            place = min(time * float(timeline.fps), last)
            before = int(place)
            after = min(before + 1, last)
            return np.asarray(
                slots[before] + (place - before) * (slots[after] - slots[before]), np.float64
            )

        def asked(seen: Iterator[Steadied]) -> Iterator[tuple[Steadied, NDArray[np.float64]]]:
            return ((one, at(one.sighting.frame.time)) for one in seen)

        return self.frames(asked, np.asarray(slots.any(axis=(0, 1))))

    def reach(self, targets: Mapping[str, float]) -> Iterator[Shown]:
        """Every frame, with added what it is measured to be away from the targets.

        targets: AU code -> intensity in [0, 1], whole AUs only; DescriptorError for others.
        """
        scorer = self.studio.scorer
        active = np.asarray(slot_intensities(dict.fromkeys(facs.check(targets), 1.0)).any(axis=0))
        response = rehearsed(
            self.source, targets, scorer, self._face, lambda one, t: self._tried(one, t, active)
        )
        self.account, self._mouth = Account(), None
        return self.frames(lambda seen: reaching(seen, targets, scorer, response), active)

    def _tried(
        self, one: Steadied, table: NDArray[np.float64], active: NDArray[np.bool_]
    ) -> Pixels:
        """A frame by itself, with what is asked added."""
        moment = _moment(one, table)
        known = self._worked(moment, active)
        drawn = _draw(moment, known.fields, known.share).pixels
        assert drawn is not None
        return drawn

    def frames(self, asked: Asked, active: NDArray[np.bool_]) -> Iterator[Shown]:
        """asked: what is added where. active: [8], the regions in which anything ever is."""
        account = self.account
        self.studio.inversion.keeps_programs = True  # each frame that is worked out asks
        moments = cores.ahead(self._moments(asked), AHEAD)
        worked_out = cores.ahead(self._worked_out(runs(moments), active), 1)
        with closing(moments), closing(worked_out):
            for run, first, last in worked_out:
                for shown in _drawn(run, first, last):
                    account.add(shown)
                    yield shown
        if account.frames and not account.faces:
            raise NoFaceFound(
                f"{self.source.path}: no face at least {landmarks.MIN_SIZE} px wide in any of its "
                f"{account.frames} frames; give a film with a larger face"
            )

    def _moments(self, asked: Asked) -> Iterator[Moment]:
        account = self.account
        clear: deque[Array | None] = deque()

        def steady() -> Iterator[Steadied]:
            for one, free in beside_hands(steadied(self._tracked())):
                clear.append(free)
                yield one

        for seen, table in asked(steady()):
            table, free = table * seen.share, clear.popleft()
            if seen.mesh is None:
                yield Moment(seen, None, None, table)
                continue
            moment = _moment(seen, table, free)
            if free is not None and moment.mesh is not None:
                account.hands += 1
                moment = replace(moment, table=spared(table, moment.mesh, free))
            yield moment

    def _tracked(self) -> Iterator[Sighting]:
        people = People(recogniser(self.studio))
        return track(self.source.frames(), self._face, people)

    def _worked_out(
        self, all_runs: Iterable[Run], active: NDArray[np.bool_]
    ) -> Iterator[tuple[Run, Known | None, Known | None]]:
        """Every run, with what is worked out for its first and its last frame."""
        last: Known | None = None
        for run in all_runs:
            start, end = run.moments[0], run.moments[-1]
            first = last if run.continued else self._work_out(start, active)
            last = first
            if end is not start:
                last = _steadied(self._work_out(end, active), first, kept(start, end))
            yield run, first, last

    def _work_out(self, moment: Moment, active: NDArray[np.bool_]) -> Known | None:
        """What happens to the face of one frame, as to a photo; None where nothing does."""
        if not moment.edited:
            return None
        with _WORKING:
            self.account.worked_out += 1
            return self._worked(moment, active)

    def _worked(self, moment: Moment, active: NDArray[np.bool_]) -> Known:
        assert moment.to_frame is not None
        assert moment.mesh is not None
        assert moment.seen.mesh is not None
        photo = Photo(moment.seen.sighting.frame.pixels)
        aligned = align.cut(photo, align.face_of(moment.seen.mesh), size=SIDE)
        areas = regions.find(moment.mesh.astype(np.float32), SIDE)
        pulled = without_moved(moment.table[None])[0]
        fields = self._pulled(moment, aligned, areas, pulled) if pulled.any() else Fields.none()
        if besides.moved_in(moment.table):
            fields = besides.moved(fields, moment.mesh, moment.table)
        clear = covering.clearance(aligned, None, covering.find(aligned).mask)
        fields = covering.sparing(fields, clear)
        share = resized(face_mask(aligned), SIDE) * areas.blend(active, SIDE)
        return Known(moment.mesh, fields, share * (clear > covering.MARGIN))

    def _pulled(
        self,
        moment: Moment,
        aligned: AlignedFace,
        areas: regions.Regions,
        table: NDArray[np.float64],
    ) -> Fields:
        """What the change of a similar face does to the frame. table: [U, 8]."""
        studio, limits = self.studio, self.studio.boundaries
        assert moment.mesh is not None
        near = moment.mesh.astype(np.float32)

        def find_mesh(picture: Pixels, known: landmarks.Mesh | None) -> landmarks.Mesh | None:
            return face.find_mesh(picture, near if known is None else known)

        def drawn(code: LatentCode, table: NDArray[np.float64]) -> Pixels:
            offsets = edit.local_transfer(limits.distances(table, code.w), limits.normals)
            return at_side(studio.renderer.local(code.w, offsets, areas))

        track, mouth = self._mouth or (moment.track, None)
        code = studio.inversion.encode(resized(aligned.pixels, min(SIDE, studio.spec.size)))
        rest = np.zeros_like(table)
        picture = drawn(code, rest)
        seen = find_mesh(picture, None)
        if seen is not None:
            like = mouths.matched(code, limits, mesh_of(aligned), seen[:, :2].astype(float))
            code, picture = like, picture if like is code else drawn(like, rest)
        before = mouth if track == moment.track else None
        photo = MovedPhoto(aligned, picture, find_mesh, before)
        if moment.clear is None:  # fingers look like teeth
            self._mouth = moment.track, photo.mouth
        held = mouths.held(table, photo.sealed)
        shut = mouths.kept_shut(table, photo.sealed)
        return photo.fields(drawn(code, held), limits.gains(table), shut)


def _moment(seen: Steadied, table: NDArray[np.float64], clear: Array | None = None) -> Moment:
    """Of a frame with a face."""
    assert seen.mesh is not None
    to_frame = align.canonical(seen.mesh, SIDE)
    mesh = apply(invert(to_frame), seen.mesh[:, :2].astype(float))
    return Moment(seen, to_frame, mesh, table, clear)


def _drawn(run: Run, first: Known | None, last: Known | None) -> Iterator[Shown]:
    """The frames of a run that were not drawn yet."""
    shares = run.shares()
    for moment, share in list(zip(run.moments, shares, strict=True))[run.continued :]:
        if not moment.edited or (first is None and last is None):
            yield _as_it_was(moment)
        else:
            yield _draw(moment, *_mixed(moment, first, last, float(share)))


def _steadied(new: Known | None, old: Known | None, part: float) -> Known | None:
    """What was worked out for a frame, of which `part` is to be what was for an earlier one."""
    if new is None or old is None or part < LITTLE:
        return new
    fields, share = between(new.mesh, [new, old], [1 - part, part])
    return Known(new.mesh, fields, share)


def _mixed(
    moment: Moment, first: Known | None, last: Known | None, share: float
) -> tuple[Fields, Array]:
    """Fields of a frame at `share` of the way between two, of which one may change nothing."""
    assert moment.mesh is not None
    if first is None or last is None:
        one, part = (last, share) if first is None else (first, 1 - share)
        assert one is not None
        fields, where = between(moment.mesh, [one], [1.0]) if part < 1 else (one.fields, one.share)
        return fields.times(part), where
    if share in (0.0, 1.0):
        one = first if share == 0 else last
        return one.fields, one.share
    return between(moment.mesh, [first, last], [1 - share, share])


def _draw(moment: Moment, fields: Fields, share: Array) -> Shown:
    """The frame with its own pixels moved."""
    assert moment.to_frame is not None
    if moment.clear is not None:
        free = resized(moment.clear, SIDE)
        fields, share = covering.sparing(fields, free), share * (free > covering.MARGIN)
    pixels = moment.seen.sighting.frame.pixels
    where, to_crop = footprint(pixels, moment.to_frame, share)
    looks, then = eyes.looks(moment.table), None
    if any(looks):
        assert moment.seen.mesh is not None
        aligned = align.cut(Photo(pixels), align.face_of(moment.seen.mesh), size=SIDE)
        glasses = covering.wears_glasses(aligned)
        then = eyes.Eyes.of(aligned, glasses=glasses).drawing(looks, fields)
    drawn = Canvas(pixels, where, to_crop, share).draw(fields, then)
    return Shown(
        moment.seen.sighting.frame, drawn, where, moment.seen.sighting.presence, moment.table
    )


def _as_it_was(moment: Moment) -> Shown:
    nothing = np.zeros((len(facs.CODES), len(regions.SLOTS)))
    sighting = moment.seen.sighting
    return Shown(sighting.frame, None, (slice(0), slice(0)), sighting.presence, nothing)
