"""Gaze and closing lids: moved in the picture itself, a photo's or the generator's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..faces.eyes import Eye, find
from ..faces.regions import SLOTS
from ..faces.warp import Affine, apply, scale_of
from ..types import AlignedFace, Pixels
from .canvas import DrawEyes, mixed
from .change import SIDE
from .correspondence import Array, carried
from .covering import has_glasses
from .moved import Fields, FindMesh, mesh_of, resized
from .one_eye import Drawing, Look, surroundings

UNITS = tuple(code for code in facs.MOVED if facs.UNITS[code].area == "eyes")
_ROWS = [facs.INDEX[code] for code in UNITS]
WIDEST = -0.5  # of the opening, by which lids that do the opposite of closing go apart


def looks(table: NDArray[np.float64]) -> tuple[Look, ...]:
    """[U, 8] intensities in each of `regions.SLOTS` -> what the left and the right eye do."""
    result = []
    for side in facs.SIDES:
        asked = dict(zip(facs.CODES, table[:, SLOTS.index("eyes" + side)].tolist(), strict=True))
        result.append(
            Look(
                asked["AU61"] - asked["AU62"],
                asked["AU63"] - asked["AU64"],
                float(np.clip(asked["AU43"], WIDEST, 1)),
            )
        )
    return tuple(result)


def moved_in(tables: NDArray[np.float64]) -> bool:
    """Whether [k, U, 8] intensities ask for anything that is drawn here."""
    return bool(tables[:, _ROWS].any())


def without(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """[k, U, 8] intensities with those of UNITS at 0."""
    rest = tables.copy()
    rest[:, _ROWS] = 0
    return rest


def drawn(
    picture: Pixels, eyes: Sequence[Eye], looks: Sequence[Look], *, glasses: bool = False
) -> Pixels:
    """uint8 [H, W, 3] with its eyes moved; outside their surroundings as it was, to the bit.

    eyes: where they lie in the picture, in its pixels. glasses: whether there are some before them.
    """
    result = picture.copy()
    for eye, look in zip(eyes, looks, strict=True):
        where = surroundings(eye, picture.shape)
        if look and where is not None:
            here = eye.at(eye.points - [where[1].start, where[0].start])
            result[where] = Drawing(picture[where], here, glasses).draw(look)
    return result


@dataclass(frozen=True)
class Eyes:
    """A photo's eyes, in its crop at SIDE px, left and right as in `facs.SIDES`."""

    found: tuple[Eye, Eye]
    glasses: bool

    @staticmethod
    def of(aligned: AlignedFace, *, glasses: bool) -> Eyes:
        scale = SIDE / len(aligned.pixels)
        left, right = find(aligned.pixels, mesh_of(aligned) / scale)
        return Eyes((left.scaled(scale), right.scaled(scale)), glasses)

    def moved(self, motion: Array) -> Eyes:
        """Where they are when the photo has moved by `Fields.motion`."""
        left, right = (eye.at(carried(eye.points, motion)) for eye in self.found)
        return replace(self, found=(left, right))

    def drawing(self, looks: Sequence[Look], fields: Fields | None) -> DrawEyes:
        """For `moved.Canvas.draw`: what they do in a photo that moves."""
        eyes = self if fields is None else self.moved(fields.motion)

        def draw(part: Pixels, from_crop: Affine) -> Pixels:
            scale = scale_of(from_crop)
            here = [eye.at(apply(from_crop, eye.points), scale) for eye in eyes.found]
            return drawn(part, here, looks, glasses=self.glasses)

        return draw


class Painter:
    """Moves the eyes of the generator's pictures of one face.

    rest: uint8 [S, S, 3], the face as it is. mesh: [468, 2], where a face is at SIDE px, should the
    mesh network see none. share: float32 [C, C], 0 to 1, where anything may change. find_mesh: see
    `moved.MovedPhoto`.
    """

    def __init__(
        self, rest: Pixels, mesh: NDArray[np.floating], share: Array, find_mesh: FindMesh
    ) -> None:
        self._rest, self._mesh, self._share, self._find_mesh = rest, mesh, share, find_mesh

    @cached_property
    def _glasses(self) -> bool:
        return has_glasses(self._rest, self._find(self._rest) * (SIDE / len(self._rest)))

    def _find(self, picture: Pixels) -> NDArray[np.floating]:
        found = self._find_mesh(picture, None)
        return self._mesh * (len(picture) / SIDE) if found is None else found[:, :2]

    def paint(self, picture: Pixels, looks: Sequence[Look]) -> Pixels:
        if not any(looks):
            return picture
        after = drawn(picture, find(picture, self._find(picture)), looks, glasses=self._glasses)
        return mixed(picture, after, resized(self._share, len(picture)))
