"""Every call of the library. One thread at a time: its models are not made for more.

Encoding alone runs beside the rest: it holds the turn only while it looks for faces, and waits
after each step while anybody asks something quick.
"""

from __future__ import annotations

import io
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import facs
from ..animate import Studio, Subject
from ..encoding.settings import LOOK_ALIKE, PRESETS, EncodeSettings
from ..errors import InputError
from ..faces import align, landmarks, regions
from ..faces.giving_way import giving_way
from ..files import films, pictures
from ..files.clip import Clip
from ..files.film_formats import FORMATS
from ..generators import built_in
from ..measuring.live import Live
from ..motion.timeline import Timeline
from ..types import Face, LatentCode, Photo, Pixels
from ..weights import store
from .settings import Limits
from .visitors import Sitter, Visitor

PREVIEW_SIZES = (256, 512)
SHOWN_SIDE = 1024  # of an uploaded photo on the page
PROFILE_SIZE = 512  # the score's networks look at 256 px
QUICK = "quick"  # the photo's own pixels, moved as a similar face's
FOLDER = "frames"  # the format that is a folder of pictures
SIZES = (0, 256, 512, 768, 1024)  # of results; 0 leaves them as they come
ZONE_COLOURS: Mapping[str, tuple[int, int, int]] = {
    "brows": (230, 159, 0), "eyes": (86, 180, 233), "nose": (0, 158, 115), "mouth": (204, 121, 167),
}  # fmt: skip
"""Okabe and Ito (2008): told apart by colour-blind people too. The style sheet has them as well."""


def formats() -> list[str]:
    """What a film can be downloaded as: suffixes without the dot, and a folder of pictures."""
    return [*(form.suffix[1:] for form in FORMATS.values() if form.on_page), FOLDER]


class Superseded(Exception):
    """A newer question of the same visitor made this one pointless."""


@dataclass(frozen=True)
class Shape:
    """How a result comes out. paste: in its photo, or the aligned crop.

    longest: of the longer side in pixels; 0 leaves the size as it is. Nothing is enlarged.
    """

    paste: bool = False
    longest: int = 0


def small_picture(subject: Subject, descriptor: facs.Descriptor, size: int) -> Pixels:
    """One edit of the crop for the screen: uint8 [size, size, 3], or the generator's if smaller."""
    return fitted(subject.edit(descriptor, size=drawn_size(subject, size)), size)


def drawn_size(subject: Subject, longest: int) -> int | None:
    """The cheapest size that the library draws for a crop of `longest` px; None is the full one."""
    enough = [size for size in subject.studio.renderer.sizes if size >= longest > 0]
    return min(enough, default=None)


def qualities(settings: EncodeSettings) -> dict[str, EncodeSettings]:
    """The ways to encode that the page offers, the first being the default.

    The library's presets, unless the server was given settings of its own: then only those.
    """
    offered = {QUICK: LOOK_ALIKE, **PRESETS} if settings == LOOK_ALIKE else PRESETS
    default = next((name for name, known in offered.items() if known == settings), None)
    return {default: settings, **offered} if default else {"as the server was set": settings}


def fitted(frame: Pixels, longest: int) -> Pixels:
    """uint8 [H, W, 3] or RGBA, shrunk until neither side is above `longest` (0: as it is)."""
    side = max(frame.shape[:2])
    if not longest or side <= longest:
        return frame
    image = Image.fromarray(frame)
    if side % longest == 0 and frame.shape[0] == frame.shape[1]:
        return np.asarray(image.reduce(side // longest))
    height, width = (max(1, round(n * longest / side)) for n in frame.shape[:2])
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0))


class Service:
    """The library, as the page uses it. All methods may be called from any thread."""

    def __init__(self, studio: Studio, limits: Limits) -> None:
        self.studio, self._limits = studio, limits
        self.qualities = qualities(studio.settings)
        self._turn = threading.Lock()
        self._open: OrderedDict[int, Subject] = OrderedDict()
        self._rest: dict[int, list[float]] = {}
        self._count = threading.Lock()
        self._quick = 0
        self._calm = threading.Event()
        self._calm.set()

    # Turns

    @contextmanager
    def _quickly(self, stale: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """The turn for something a visitor waits for; the long work stands back meanwhile.

        stale: asked when the turn comes; if true, Superseded.
        """
        with self._count:
            self._quick += 1
            self._calm.clear()
        try:
            with self._turn:
                if stale():
                    raise Superseded
                yield
        finally:
            with self._count:
                self._quick -= 1
                if not self._quick:
                    self._calm.set()

    def _let_others(self) -> None:
        """Called by whoever has the turn: quick questions go first, as in `stand_back`."""
        if not self._calm.is_set():
            self._turn.release()
            try:
                self.stand_back()
            finally:
                self._turn.acquire()

    def stand_back(self) -> None:
        """Called by long work between its steps: lets quick questions go first, for a while."""
        self._calm.wait(timeout=2.0)

    # Faces

    def warm_up(self) -> None:
        """Load and compile everything once, so that the first visitor need not wait for it."""
        with self._turn:
            _ = self.studio.inversion
            Subject(self.studio, built_in.average_face(self.studio.spec)).edit({"AU12": 0.5})
            if self.can_measure is None:
                _ = self.studio.scorer

    def read_photo(self, path: Path, *, name: str, most: int | None = None) -> Photo:
        """An uploaded picture; InputError, naming it `name`, if it is none or too large.

        most: pixels, fewer than a photo may have.
        """
        try:
            with self._turn:
                most = most or self._limits.photo_pixels
                photo = pictures.load_photo(path, max_pixels=most)
        except InputError as error:
            raise InputError(str(error).replace(str(path), name)) from None
        return replace(photo, name=name)

    def find_faces(self, photo: Photo) -> tuple[Face, ...]:
        """All faces, the largest first; NoFaceFound if there is none."""
        with self._turn, giving_way(self._let_others):
            faces = landmarks.find_faces(photo.pixels)
        if not faces:
            raise align.no_face(photo)
        return tuple(faces)

    def encode(
        self,
        photo: Photo,
        index: int,
        quality: str,
        begins: Callable[[str], None],
        progress: Callable[[int], None],
    ) -> Subject:
        """One of the photo's faces, its code found or made.

        begins: called with "align" and "encode". progress: with the number of steps done.
        """

        @contextmanager
        def stages(name: str) -> Iterator[None]:
            if name != "load":  # it is
                begins(name)
            if name != "align":
                yield
                return
            with self._turn, giving_way(self._let_others):
                yield

        def report(done: int, total: int, loss: float) -> None:
            progress(done)
            self.stand_back()

        settings = self.qualities[quality]
        same = settings == self.studio.settings
        studio = self.studio if same else self.studio.replace(settings=settings)
        return studio.face(photo, index=index, stages=stages, progress=report)

    def steps(self, quality: str) -> int:
        """The steps that an encoding takes at most."""
        settings = self.qualities[quality]
        return settings.steps + settings.tuning_steps

    def sample(self, seed: int) -> LatentCode:
        """A synthetic person's code."""
        with self._turn:
            return self.studio.sample(seed).code

    def prepare(self, sitter: Sitter) -> None:
        """Open a face for editing before anybody asks for a picture of it."""
        with self._turn:
            _ = self._subject(sitter).face_regions

    def close(self, sitter: Sitter) -> None:
        """Let go of a face."""
        with self._turn:
            self._open.pop(sitter.serial, None)
            self._rest.pop(sitter.serial, None)

    def _subject(self, sitter: Sitter) -> Subject:
        """The opened face; those unused for longest are closed to make room."""
        subject = self._open.pop(sitter.serial, None)
        if subject is None:
            while len(self._open) >= self._limits.open_faces:
                self._open.popitem(last=False)
            photo = None
            if sitter.photo is not None:
                photo = pictures.load_photo(sitter.photo, max_pixels=self._limits.photo_pixels)
            subject = Subject(self.studio, sitter.code, photo, sitter.aligned)
        self._open[sitter.serial] = subject
        return subject

    # Quick questions

    def preview(
        self,
        sitter: Sitter,
        descriptor: facs.Descriptor,
        shape: Shape,
        stale: Callable[[], bool] = lambda: False,
    ) -> bytes:
        """A marked JPEG of one edit. Each block of 8x8 px depends on its own pixels only."""
        with self._quickly(stale):
            subject = self._subject(sitter)
            if shape.paste:
                frame = subject.edit(descriptor, paste=True, size=shape.longest or None)
            else:
                frame = small_picture(subject, descriptor, shape.longest)
        return pictures.image_bytes(frame, ".jpg", source=subject.source(paste=shape.paste))

    @property
    def can_measure(self) -> str | None:
        """None if Action Units can be measured here, else the line that says why not."""
        if store.default_store().find("face-landmarker-task") is not None:
            return None
        return (
            "Measuring needs the weights file face-landmarker-task, which is not on this machine; "
            "duchenne weights fetch face-landmarker-task gets it."
        )

    def profile(
        self, sitter: Sitter, descriptor: facs.Descriptor, stale: Callable[[], bool]
    ) -> dict[str, list[float]]:
        """The measured intensities of the face at rest and as edited."""
        with self._quickly(stale):
            subject = self._subject(sitter)
            if sitter.serial not in self._rest:
                self._rest[sitter.serial] = self._measure(subject, {})
            now = self._measure(subject, descriptor) if descriptor else self._rest[sitter.serial]
            return {"rest": self._rest[sitter.serial], "now": now}

    def _measure(self, subject: Subject, descriptor: facs.Descriptor) -> list[float]:
        frame = small_picture(subject, descriptor, PROFILE_SIZE)
        return [round(float(value), 3) for value in subject.measure(frame)]

    def look(self, visitor: Visitor, path: Path, again: bool) -> dict[str, Any]:
        """Measure a picture of a visitor's camera. again: their rest is taken anew, from here on.

        au: what the face shows beyond its rest, None without a face; at_rest: whether that is not
        known yet. InputError for what is no picture.
        """
        photo = self.read_photo(path, name="camera", most=self._limits.camera_pixels)
        with self._quickly(lambda: visitor.gone):
            if visitor.live is None:
                visitor.live = Live(self.studio.scorer, self.studio.units)
            elif again:
                visitor.live.rest_again()
            seen = visitor.live.look(photo.pixels)
            return {"au": seen, "at_rest": not visitor.live.knows_rest}

    def region(self, sitter: Sitter, zone: str) -> bytes:
        """A PNG of the zone's colour, as opaque as the zone's mask is strong."""
        if zone not in regions.ZONES:
            raise InputError(f"unknown region; known are {', '.join(regions.ZONES)}")
        with self._quickly():
            masks = self._subject(sitter).face_regions.masks
        at = regions.ZONES.index(zone) * len(facs.SIDES)
        strength = masks[at : at + len(facs.SIDES)].sum(axis=0)
        alpha = pictures.to_uint8(np.clip(strength, 0, 1).astype(np.float32) * 2 - 1)
        image = Image.new("RGBA", (alpha.shape[1], alpha.shape[0]), ZONE_COLOURS[zone])
        image.putalpha(Image.fromarray(alpha))
        stream = io.BytesIO()
        image.save(stream, "PNG")
        return stream.getvalue()

    # Results

    def picture(
        self, sitter: Sitter, descriptor: facs.Descriptor, shape: Shape, path: Path
    ) -> None:
        """Write one edit at full quality."""
        with self._turn:
            subject = self._subject(sitter)
            size = shape.longest if shape.paste else drawn_size(subject, shape.longest)
            frame = subject.edit(descriptor, paste=shape.paste, size=size or None)
        pictures.save_image(
            fitted(frame, shape.longest), path, source=subject.source(paste=shape.paste)
        )

    def film(
        self,
        sitter: Sitter,
        timeline: Timeline,
        shape: Shape,
        path: Path,
        progress: Callable[[int], None],
    ) -> films.Written:
        """Write a timeline as a film, and its table beside it (.csv); a folder becomes a .zip.

        path: with one of the library's suffixes, or without one for a folder.
        """
        with self._turn:
            mark = self._subject(sitter).source(paste=shape.paste)
        frames = Clip(self._frames(sitter, timeline, shape, progress), mark)
        written = films.write_frames(frames, path, fps=timeline.fps, timeline=timeline)
        if path.is_dir():
            shutil.make_archive(str(path), "zip", path)
            shutil.rmtree(path)
        return written

    def _frames(
        self,
        sitter: Sitter,
        timeline: Timeline,
        shape: Shape,
        progress: Callable[[int], None],
    ) -> Iterator[Pixels]:
        with self._turn:
            subject = self._subject(sitter)
            size = shape.longest if shape.paste else drawn_size(subject, shape.longest)
            clip = subject.animate(timeline, paste=shape.paste, size=size or None)
        for done in range(1, len(timeline) + 1):
            self.stand_back()
            with self._turn:
                frame = next(clip)
            progress(done)
            yield fitted(frame, shape.longest)


def shown(photo: Photo) -> tuple[bytes, float]:
    """The photo for the page: a JPEG without metadata, and its scale."""
    small = fitted(photo.pixels, SHOWN_SIDE)
    return pictures.image_bytes(small, ".jpg", source=None), small.shape[1] / photo.pixels.shape[1]


def describe(face: Face, photo: Photo) -> dict[str, Any]:
    """Where a face is, in parts of the photo's sides."""
    height, width = photo.pixels.shape[:2]
    left, top, right, bottom = face.box
    return {
        "left": left / width, "top": top / height,
        "width": (right - left) / width, "height": (bottom - top) / height,
    }  # fmt: skip
