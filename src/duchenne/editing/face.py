"""The generator's pictures of one face, Eq. 4: the face as it is, and with Action Units added."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .. import cores
from ..errors import NoFaceFound
from ..faces import landmarks, regions
from ..faces.paste import PasteBack, face_mask
from ..faces.warp import apply, invert
from ..files.transparency import off_white
from ..moving import eyes, lips
from ..moving.change import SIDE
from ..types import AlignedFace, LatentCode, Photo, Pixels
from .boundaries import Boundaries, without_moved
from .edit import local_transfer, transfer
from .render import Renderer, Scene

MOST_AT_ONCE = 4  # each takes memory
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DrawnFace:
    """A code and the renderer that draws it; aligned: the photo that it came from, if any.

    at_once: how many frames are drawn side by side. A second core makes one frame hardly faster.
    few: whether a few are drawn and others worked out from them, see `Renderer.open`.

    Tables are [k, U, 8], each frame's intensity of each AU in each of `regions.SLOTS`.
    """

    renderer: Renderer
    code: LatentCode
    aligned: AlignedFace | None = None
    at_once: int = 1
    few: bool = False

    @cached_property
    def scene(self) -> Scene:
        """The face rendered as it is, with its regions of influence."""
        w = self.renderer.require_space(self.code)
        return self.renderer.open(w, self.find_regions, at_once=self.at_once, few=self.few)

    def find_regions(self, drawn: Pixels) -> regions.Regions:
        """On the drawn face, or where it should be if the generator drew none."""
        try:
            return find_regions(drawn)
        except NoFaceFound as error:
            where = "the photo's" if self.aligned else "the average face's"
            logger.warning("%s; regions of influence are %s", error, where)
            return regions.find(expected_mesh(self.aligned, len(drawn)), len(drawn))

    def frames(
        self,
        tables: NDArray[np.float64],
        limits: Boundaries,
        *,
        size: int | None = None,
        active: NDArray[np.bool_] | None = None,
    ) -> Iterator[Pixels]:
        """What the boundaries do; eyes and lips that are moved in the picture are not.

        active: [8], the regions that may change; by default those of `tables`.
        """
        tables = without_moved(tables)
        active = np.asarray(tables.any(axis=(0, 1))) if active is None else active
        _ = limits.regional and self.scene  # before several threads ask for it

        def draw(table: NDArray[np.float64]) -> Pixels:
            distances = limits.distances(table, self.code.w)
            if limits.regional:
                offsets = local_transfer(distances, limits.normals)
                return self.scene.frame(offsets, size=size, active=active)
            moved = transfer(self.code.w, distances.max(axis=1), limits.normals)
            return self.renderer.plain(moved, size)

        at_once = min(len(tables), self.at_once) if limits.regional else 1
        yield from cores.in_order(draw, tables, at_once)

    def pictures(
        self, tables: NDArray[np.float64], limits: Boundaries, *, size: int | None = None
    ) -> Iterator[Pixels]:
        """The same with their eyes and lips moved."""
        drawn = self.frames(tables, limits, size=size)
        if not (eyes.moved_in(tables) or lips.moved_in(tables)):
            yield from drawn
            return
        share = self.scene.regions.blend(np.asarray(tables.any(axis=(0, 1))), regions.CANVAS)
        mesh = expected_mesh(self.aligned, SIDE)
        mouth = lips.Painter(mesh, share, find_mesh)
        pair = eyes.Painter(self.scene.base, mesh, share, find_mesh)
        for table, picture in zip(tables, drawn, strict=True):
            yield pair.paint(mouth.paint(picture, table), eyes.looks(table))

    def pasted(
        self, tables: NDArray[np.float64], limits: Boundaries, photo: Photo, aligned: AlignedFace
    ) -> Iterator[Pixels]:
        """The same put into the photo, where some frame changes something."""
        scene = self.scene
        half = len(scene.base) // 2
        changed = scene.regions.blend(np.asarray(tables.any(axis=(0, 1))), half)
        mask = face_mask(aligned) * changed.repeat(2, axis=0).repeat(2, axis=1)
        paster = PasteBack(photo, aligned, reconstruction=scene.base, mask=mask)
        frames = map(paster.paste, self.pictures(tables, limits))
        return frames if photo.rgba is None else (off_white(frame, photo) for frame in frames)


def at_once(threads: int, *, moves: bool) -> int:
    """How many frames to draw side by side. moves: while others are moved, which takes as long."""
    return max(1, threads // 2) if moves else min(threads, MOST_AT_ONCE)


def find_regions(face: Pixels) -> regions.Regions:
    """Regions of influence of a rendered face; NoFaceFound if the mesh sees none."""
    mesh = find_mesh(face)
    if mesh is None:
        raise NoFaceFound("the latent code does not draw a face; encode or sample another one")
    return regions.find(mesh, len(face))


def find_mesh(face: Pixels, near: landmarks.Mesh | None = None) -> landmarks.Mesh | None:
    """The mesh of a rendered face; None if the network sees none. near: one that lies near."""
    return landmarks.mesh_of_aligned(face) if near is None else landmarks.follow(face, near)


def expected_mesh(aligned: AlignedFace | None, size: int) -> NDArray[np.float32]:
    """[468, 2] where an aligned photo, or else the average face, has its face, at `size` px."""
    if aligned is None:
        from ..measuring.score import average_mesh

        return average_mesh(size)
    mesh = apply(invert(aligned.to_photo), aligned.face.mesh[:, :2].astype(float))
    return (mesh * (size / len(aligned.pixels))).astype(np.float32)
