"""A photo's face, its own pixels moved as the generator's pictures of a similar face move."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .. import cores, facs
from ..faces import regions
from ..faces.paste import face_mask
from ..moving import besides, between, covering, eyes
from ..moving.change import SIDE
from ..moving.clear import canvas_of
from ..moving.covering import Covering
from ..moving.moved import Fields, MovedPhoto, at_side, mesh_of, resized
from ..types import AlignedFace, Photo, Pixels
from . import face, mouths
from .boundaries import Boundaries, without_moved

KEPT = 4  # fields of the last pictures, 8 MB each
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MovedFace:
    """drawn: the generator's pictures, of these limits. aligned: the face, cut out of its photo.

    keep: bool [H, W], where the photo's own pixels stay. name: the photo's, for warnings. search:
    for what covers the face, if it has begun.
    """

    drawn: face.DrawnFace
    limits: Boundaries
    aligned: AlignedFace
    keep: NDArray[np.bool_] | None = None
    name: str = ""
    search: Future[Covering] | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _movers: dict[int, Future[MovedPhoto]] = field(default_factory=dict)
    _known: OrderedDict[bytes, Fields] = field(default_factory=OrderedDict)

    @cached_property
    def regions(self) -> regions.Regions:
        """The regions of influence on the photo."""
        size = len(self.aligned.pixels)
        return regions.find(face.expected_mesh(self.aligned, size), size)

    def begin(self) -> None:
        """Begin what every moved picture needs, so that it is there when one is asked for."""
        _ = self._search
        self._mover(max(self.drawn.renderer.sizes))

    @cached_property
    def _search(self) -> Future[Covering]:
        return self.search or cores.soon(lambda: covering.find(self.aligned))

    @cached_property
    def covering(self) -> Covering:
        """What covers the face, and stays as it is."""
        found = self._search.result()
        if found.places:
            logger.warning("%s: %s", self.name, found.sentence)
        return found

    @cached_property
    def _clearance(self) -> NDArray[np.float32]:
        """[SIDE, SIDE], pixels to the nearest place where the photo stays."""
        return covering.clearance(self.aligned, self.keep, self.covering.mask)

    @cached_property
    def _eyes(self) -> eyes.Eyes:
        return eyes.Eyes.of(self.aligned, glasses=covering.wears_glasses(self.aligned))

    def moved_at(self, side: int) -> MovedPhoto:
        """The photo, ready to be moved as pictures of one of `Renderer.sizes`."""
        return self._mover(side).result()

    def _mover(self, side: int) -> Future[MovedPhoto]:
        def made() -> MovedPhoto:
            nothing = np.zeros((1, len(facs.CODES), len(regions.SLOTS)))
            picture = next(self.drawn.frames(nothing, self.limits, size=side))
            return MovedPhoto(self.aligned, at_side(picture), face.find_mesh)

        with self._turn:  # several threads may draw
            known = self._movers.get(side)
            if known is None or (known.done() and known.exception()):
                known = self._movers[side] = cores.soon(made)
            return known

    def _pulled(self, table: NDArray[np.float64], side: int, acting: NDArray[np.bool_]) -> Fields:
        """What the generator's change does to the photo; the last ones are kept.

        A picture that was measured is often the one that is then asked for.
        """
        key = table.tobytes() + acting.tobytes() + side.to_bytes(4, "big")
        fields = self._known.get(key)
        if fields is None:
            moved = self.moved_at(side)
            held = mouths.held(table, moved.sealed)
            drawn = next(self.drawn.frames(held[None], self.limits, size=side, active=acting))
            shut = mouths.kept_shut(table, moved.sealed)
            fields = moved.fields(at_side(drawn), self.limits.gains(table), shut)
            with self._turn:
                self._known[key] = fields
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
        return fields

    def frames(
        self,
        tables: NDArray[np.float64],
        within: tuple[Photo, AlignedFace],
        *,
        paste: bool,
        size: int | None,
    ) -> Iterator[Pixels]:
        """Where nothing is asked the frames are the photo's to the bit.

        tables: [k, U, 8], each frame's intensity of each AU in each of `regions.SLOTS`. within: the
        photo that they are put back into, and its face there. paste, size: see `Subject.frames`.
        """
        photo, aligned = within
        # The generator's small pictures are coarse where a mouth opens: they serve previews only.
        sizes = self.drawn.renderer.sizes
        side = max(sizes)
        if size is not None and size <= SIDE and not paste:
            side = max((s for s in sizes if s <= SIDE), default=side)
        pulled = without_moved(tables)
        acting = np.asarray(pulled.any(axis=(0, 1)))

        def work_out(frame: int) -> Fields | None:
            fields = self._pulled(pulled[frame], side, acting) if pulled[frame].any() else None
            if besides.moved_in(tables[frame]):
                fields = besides.moved(fields, mesh_of(self.aligned), tables[frame])
            return None if fields is None else covering.sparing(fields, self._clearance)

        if acting.any():
            self._mover(side)  # while what covers the face is looked for
        active = np.asarray(tables.any(axis=(0, 1)))
        share = np.zeros((SIDE, SIDE), np.float32)
        if active.any():
            free = resized(face_mask(aligned), SIDE) * (self._clearance > covering.MARGIN)
            share = free * self.regions.blend(active, SIDE)
        canvas = canvas_of(photo, aligned, share, paste=paste, size=size)
        found = between.fields_of(eyes.without(tables), work_out, self.drawn.renderer.threads)
        for table, fields in zip(tables, found, strict=True):
            looks = eyes.looks(table)
            yield canvas.draw(fields, self._eyes.drawing(looks, fields) if any(looks) else None)
