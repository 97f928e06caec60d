"""A photo whose own pixels move as the generator's picture of a face moves.

The question to the generator is not what this person looks like with an expression, but how a face
like this one changes: where each place goes (`change.Change.motion`), how furrows shade it, and
what appears that the photo has not got. The photo itself is moved and shaded at its own resolution;
only what appears is drawn by the generator, in the photo's light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces import regions
from ..faces.landmarks import (
    FACE_OVAL,
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    RIGHT_BROW,
    RIGHT_EYE,
    Mesh,
)
from ..faces.warp import apply, invert
from ..types import AlignedFace, Pixels
from .change import OPEN, SEALED, SIDE, Change, Unedited, difference, inside, lip_gap, ramp
from .correspondence import Array, blur, pixel_centres, sample, spline
from .mouth import Mouth
from .opening_mouth import JAW, open_mouth
from .tone import Tone, lip_colour

T = TypeVar("T", np.uint8, np.float32)
FindMesh = Callable[[Pixels, Mesh | None], Mesh | None]

UNLIKE, SURELY_UNLIKE = 40.0, 70.0  # grey levels: what is there is not what the generator has
# Where skin is drawn out to so many times its length its grain would become streaks.
DRAWN_OUT, TORN = 1.4, 2.2
PARTED = 1.0, 3.0  # px by which lips go apart, from which there is something between them
WIDEST = 0.8  # of the distance between the eyes: 50 mm between the lips of a wide open mouth
MOUTH_SLOTS = np.array([slot.startswith("mouth") for slot in regions.SLOTS])
CARRIED_ON = 12.0  # px over which the edge of the face takes its surroundings along
# Between a brow's lower edge and the eye.
UNDER_BROWS = tuple(
    (*brow[:5], *eye[8:], eye[0]) for brow, eye in ((LEFT_BROW, LEFT_EYE), (RIGHT_BROW, RIGHT_EYE))
)
AROUND, LOCALLY = 25.0, (0.6, 1.6)  # px around a place that tell its light; its limits
OVAL_GROWS = 2  # px around the mesh's outline where the flow is still believed


class MovedPhoto:
    """One photo's face, ready to be moved.

    aligned: the face, cut out of the photo. picture: uint8 [SIDE, SIDE, 3], the generator's, of a
        like face. find_mesh: gives the mesh of such a picture, or None where it sees no face;
        its second argument is a mesh that lies near, if one is known. before: in a film, the mouth
        as it was seen last.
    """

    def __init__(
        self,
        aligned: AlignedFace,
        picture: Pixels,
        find_mesh: FindMesh,
        before: Mouth | None = None,
    ) -> None:
        self.mesh = mesh_of(aligned)
        self._find_mesh = find_mesh
        drawn_mesh = find_mesh(picture, None)
        place = self.mesh if drawn_mesh is None else drawn_mesh[:, :2].astype(float)
        self.unedited = unedited = Unedited(picture, place)
        small = at_side(aligned.pixels).astype(np.float32)
        (self._place,) = spline(self.mesh, [unedited.mesh], SIDE)  # photo -> generator
        drawn = sample(unedited.picture.astype(np.float32), pixel_centres(SIDE) + self._place)
        features = np.maximum.reduce(
            [inside(self.mesh, c, 2, grow=4) for c in (INNER_LIPS, LEFT_EYE, RIGHT_EYE)]
        )
        self._face = inside(self.mesh, FACE_OVAL, 4, grow=OVAL_GROWS)
        skin = inside(self.mesh, FACE_OVAL, 4) * (1 - features)
        self._small = small
        self._tone = Tone.between(drawn, small, skin)
        # Hair, rims or a hand where the generator has skin: nothing may appear over them.
        far = blur(difference(self._tone(drawn), small), 3)
        self._like = 1 - ramp(far, UNLIKE, SURELY_UNLIKE)
        self._eyes = np.maximum(
            *(inside(self.mesh, c, 1.0, grow=-2) for c in (LEFT_EYE, RIGHT_EYE))
        )
        brows = (inside(self.mesh, c, 2, grow=2) for c in (LEFT_BROW, RIGHT_BROW))
        self._plain = skin * (1 - np.maximum(*brows))
        self._under_brows = np.maximum(*(inside(self.mesh, c, 2, grow=2) for c in UNDER_BROWS))
        self._plain = self._plain * (1 - self._under_brows)
        open_now = ramp(lip_gap(self.mesh), SEALED, OPEN)
        self._open, self._inside = float(open_now), Mouth.find(small, self.mesh, before)
        self._lips, self._drawn_lips = (
            lip_colour(picture, self.mesh) for picture in (small, self._tone(drawn))
        )

    @property
    def mouth(self) -> Mouth:
        """As it is in the photo."""
        return self._inside

    @property
    def sealed(self) -> float:
        """Whether the photo's lips are closed, 0 to 1."""
        return 1 - self._open

    def fields(
        self, edited: Pixels, gains: NDArray[np.floating] | None = None, shut: float = 0.0
    ) -> Fields:
        """What the photo does as the generator's picture becomes `edited`, uint8 [S, S, 3].

        gains: [8], in each of `regions.SLOTS`: how many times as far everything moves there.
        shut: how far the lips stay on each other, 0 to 1: the mesh network sees a gap between thin
            lips, and what appeared in it would be the generator's lip.
        """
        before = self.unedited.mesh
        mesh = self._find_mesh(edited, before.astype(np.float32))
        after = (before if mesh is None else mesh[:, :2]).astype(float)  # a copy
        if shut:
            upper, lower = INNER_LIPS[:10:-1], INNER_LIPS[1:10]
            middle = (after[list(upper)] + after[list(lower)]) / 2
            for lip in (upper, lower):
                after[list(lip)] += shut * (middle - after[list(lip)])
        change = self.unedited.to(edited, after)
        if shut:  # between lips that stay on each other nothing appears
            still = np.float32(1 - shut)
            lit = change.shading * (1 - np.float32(shut) * change.lips)
            change = replace(change, appears=change.appears * still, shading=lit)
        gains = np.ones(len(regions.SLOTS)) if gains is None else gains
        gains = np.where(MOUTH_SLOTS, gains * self._as_far(change.opened * gains), gains)
        if (gains != 1).any():
            masks = self._masks * (gains != 1)[:, None, None]
            share = masks / np.maximum(masks.sum(axis=0), 1)
            change = change.exaggerated(
                np.asarray(1 + np.tensordot(gains - 1, share, axes=1), np.float32)
            )
        return self.carried(change)

    def _as_far(self, opened: NDArray[np.floating]) -> NDArray[np.float64]:
        """Which part of an opening, px, a mouth can still do; half way there it slows down."""
        left = max(WIDEST * self._inside.eyes - lip_gap(self.mesh), 1.0) / 2
        beyond = np.maximum(opened - left, 0)
        can = np.minimum(opened, left) + left * np.tanh(beyond / left)
        return np.asarray(np.where(beyond > 0, can / np.maximum(opened, 1e-6), 1.0))

    @cached_property
    def _masks(self) -> Array:
        """[8, S, S], of `regions.SLOTS`, on the generator's face."""
        return regions.find(self.unedited.mesh.astype(np.float32), SIDE).pyramid(SIDE)

    def carried(self, change: Change) -> Fields:
        """A change in the photo's geometry instead of the generator's."""
        here = pixel_centres(SIDE)
        at = here + self._place
        for _ in range(2):  # where in the edited picture: the place of the pixel that comes here
            comes_from = here + sample(change.motion, at)
            at = here + sample(self._place, comes_from)
        motion = self._beyond_the_face(sample(change.motion, at), sample(change.by_mesh, at))
        mouth = sample(change.mouth, at)
        # Where lips have closed there is nothing to see between them.
        closed = float(ramp(-change.opened, *JAW))
        shut = sample(change.lips, at) * (1 - mouth) * closed
        # The eyeball does not move with the lids: the photo's stays.
        eyes = sample(change.eyes, at)
        still = self._eyes * eyes
        motion *= (1 - still)[..., None]
        shading = (
            sample(change.shading, at) * (1 - still) * self._face * (1 - np.maximum(mouth, shut))
        )
        appears = sample(change.appears, at) * (1 - eyes) * self._face * self._like * (1 - shut)
        appears = np.maximum(appears, mouth)
        new = self._tone(sample(change.edited, at))
        new *= 1 + (1 - mouth[..., None]) * (self._lips / self._drawn_lips - 1)
        # A mouth that opens, or is open, is taken apart; lips that stay on each other are skin.
        if share := max(self._open, float(ramp(change.opened, *PARTED))):
            opening = open_mouth(self._inside, change, closed, SIDE)
            motion += (opening.within * share)[..., None] * (opening.motion - motion)
            inner = blur(opening.inside * share, 1)
            shading *= 1 - inner
            appears = appears * (1 - share) + share * blur(opening.appears, 1)
            hollow = opening.hollow if self._inside.teeth else sample(change.drawn, opening.drawn)
            new += inner[..., None] * (self._tone(hollow) - new)
        torn = drawn_out(motion)
        # The skin below a raised brow was folded away or in the shadow: drawn out it would stay so.
        unfolded = blur(torn * sample(self._under_brows, here + motion), 2) * self._face
        if unfolded.any():
            shading *= 1 - unfolded
            appears = np.maximum(appears, unfolded)
            new *= 1 + unfolded[..., None] * (self._locally(new, here + motion) - 1)
        return Fields(motion, shading, appears, new, torn)

    def _locally(self, new: Array, comes_from: Array) -> Array:
        """[S, S, 3]: by how much the photo's skin around each place is lighter than `new` there."""
        plain = sample(self._plain, comes_from)[..., None]
        photo = sample(self._small, comes_from)
        # So broad a blur is the same of a quarter of the size, and a tenth of the work.
        small = SIDE // 4
        theirs, ours = (
            blur(resized(plain * picture, small), AROUND / 4) for picture in (photo, new)
        )
        return resized(np.clip((theirs + 1e-3) / (ours + 1e-3), *LOCALLY), SIDE)

    @cached_property
    def _near_face(self) -> Array:
        """[S, S, 1], how much of the face lies around each place."""
        return np.maximum(blur(self._face, CARRIED_ON), 0.5)[..., None]

    def _beyond_the_face(self, motion: Array, by_mesh: Array) -> Array:
        """[S, S, 2]: motion where the face is; around it the mesh's, corrected as at the edge.

        Around the face the generator has another hair, ear, background, whose motion means nothing.
        The mesh alone moves a jaw only half as far as the picture does.
        """
        face = self._face[..., None]
        off = motion - by_mesh
        carried_on = blur(face * off, CARRIED_ON) / self._near_face
        return np.asarray(by_mesh + face * off + (1 - face) * carried_on, np.float32)


def mesh_of(aligned: AlignedFace) -> NDArray[np.float64]:
    """[468, 2] of a photo's face, in its crop at SIDE px."""
    mesh = apply(invert(aligned.to_photo), aligned.face.mesh[:, :2].astype(float))
    return np.asarray(mesh * (SIDE / len(aligned.pixels)))


@dataclass(frozen=True)
class Fields:
    """What happens to the photo, in its own geometry, at SIDE px; see `change.Change`.

    motion: [S, S, 2]. shading: [S, S]. appears: [S, S]. new: [S, S, 3], what is shown there.
    drawn_out: [S, S], 0 to 1, where motion stretches the skin so far that its grain is made anew.
    """

    motion: Array
    shading: Array
    appears: Array
    new: Array
    drawn_out: Array

    @staticmethod
    def none() -> Fields:
        """Nothing happens."""
        flat = np.zeros((SIDE, SIDE), np.float32)
        motion, new = (np.zeros((SIDE, SIDE, n), np.float32) for n in (2, 3))
        return Fields(motion, flat, flat, new, flat)

    def times(self, share: float) -> Fields:
        """So much of it, 0 to 1; what is new is the same and appears so far."""
        part = np.float32(share)
        return Fields(
            self.motion * part,
            self.shading * part,
            self.appears * part,
            self.new,
            self.drawn_out * part,
        )

    def then(self, way: Array, shading: Array) -> Fields:
        """What happens, and then more: way [S, S, 2], back to what has happened; its shading."""
        at = pixel_centres(SIDE) + way
        motion = way + sample(self.motion, at)
        return Fields(
            motion,
            sample(self.shading, at) + shading,
            sample(self.appears, at),
            sample(self.new, at),
            np.maximum(sample(self.drawn_out, at), drawn_out(motion)),
        )

    def towards(self, other: Fields, share: float) -> Fields:
        """At a share, 0 to 1, of the way to other fields."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(Fields))
        return Fields(*(a + np.float32(share) * (b - a) for a, b in pairs))


def drawn_out(motion: Array) -> Array:
    """[S, S], 0 to 1: how far x -> x + motion(x) stretches, from DRAWN_OUT to TORN times."""
    across, down = np.gradient(motion, axis=1), np.gradient(motion, axis=0)
    a, c = across[..., 0] + 1, across[..., 1]
    b, d = down[..., 0], down[..., 1] + 1
    # The smaller singular value of the 2 x 2 derivative: the way along which pixels are repeated.
    total, apart = a * a + b * b + c * c + d * d, np.hypot(a * a + c * c - b * b - d * d,
                                                           2 * (a * b + c * d))  # fmt: skip
    least = np.sqrt(np.maximum(total - apart, 0) / 2)
    return 1 - ramp(least, 1 / TORN, 1 / DRAWN_OUT)


def resized(picture: NDArray[T], size: int) -> NDArray[T]:
    """A square picture or mask [S, S(, C)] at another size, the same one if equal."""
    if len(picture) == size:
        return picture
    way = cv2.INTER_AREA if len(picture) > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (size, size), interpolation=way), picture.dtype)


def at_side(picture: Pixels) -> Pixels:
    """uint8 [SIDE, SIDE, 3]."""
    return resized(picture, SIDE)
