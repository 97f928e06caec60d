"""What an edit does to the generator's picture: where it moves, what is lit anew, what appears."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces.landmarks import INNER_LIPS, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from ..types import Pixels
from .correspondence import Array, ThinPlate, blur, inverse, length, pixel_centres, sample

T = TypeVar("T", np.float32, np.float64)

SIDE = 512  # px of the pictures that are compared; at 1024 px edits are no nearer to the person
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, which JPEG uses
# Pixels over which what the flow adds to the mesh's motion is smoothed: skin moves with what is
# around it, and a jump would tear it; a lid moves by itself.
BROAD_MOTION, SMOOTH = 6.0, 2.0
LIDS = 6  # px around the eyes' outlines
FURTHER = 40.0  # px: what has come so far does not go much farther
COMES_ALONG = 4.0  # px, of the motion by which a larger one is made
FINE = 1.0  # px, of the shading: finer is the generator's texture, not a furrow
MAKE_UP = 12.0  # px: broader than this is the look-alike's light, eye shadow or blush, no furrow
FLOOR = 12.0  # grey levels added to both sides of a ratio, so that noise in shadow is not amplified
DARKEST, BRIGHTEST = -0.7, 0.25  # of the shading's logarithm: a halo is brighter, a furrow darker
BROAD, GLINT = 8.0, 0.03  # px, and how much brighter than its surroundings of this size
# Grey levels, after smoothing over 3 px, from which what motion leaves over is something new.
NEW, SURELY_NEW = 22.0, 44.0
# Pixels by which the way there and the way back miss each other where there is nothing to move.
LOST, SURELY_LOST = 2.0, 5.0
STRIPES = 2  # frames are worked out side by side, so that more cores are not idle
LIP_EDGE = 1.5  # px over which the inside of the mouth begins
SEALED, OPEN = 2.0, 5.0  # px between the lips: less is a seam, which the photo has too


@dataclass(frozen=True)
class Change:
    """The change of one edited picture, in its own geometry, at SIDE px.

    motion: float32 [S, S, 2]: edited(x) is about unedited(x + motion(x)), in pixels.
    by_mesh: the same from the mesh alone: smooth, and blind for what is not face.
    shading: float32 [S, S]: logarithm of the luma that motion does not explain; furrows.
    appears: float32 [S, S], 0 to 1: where the face shows something new: skin that was folded away.
    lips, mouth, eyes: float32 [S, S], 0 to 1: within the lips, in the open mouth, within the lids.
    edited: float32 [S, S, 3], the picture itself, 0 to 255.
    opened: px by which the lips went apart, at the pixel `middle` (row, column).
    """

    motion: Array
    by_mesh: Array
    shading: Array
    appears: Array
    lips: Array
    mouth: Array
    eyes: Array
    edited: Array
    opened: float
    middle: tuple[int, int]
    goes: NDArray[np.float64]
    before: NDArray[np.float64]
    drawn: Array
    drawn_mesh: NDArray[np.float64]

    def exaggerated(self, gain: Array) -> Change:
        """The same change, in which everything moves so many times as far; gain: [S, S].

        What is new comes along: a mouth that opens wider shows the same inside, stretched.
        """
        here, extra = pixel_centres(SIDE), (gain - 1)[..., None]
        place = np.asarray(self.before[:, None] - 0.5, np.float32)
        # In the opening mouth the flow finds nothing to follow; the lips' mesh is smooth there.
        mouth = self.mouth[..., None]
        along = blur(self.motion + mouth * (self.by_mesh - self.motion), COMES_ALONG)
        further = np.zeros_like(along)
        for _ in range(3):  # the place where what is now here was, when it had moved once
            further = _farther(sample(along, here + further), extra)
        at = here + further
        return Change(
            sample(self.motion, at) + further,
            sample(self.by_mesh, at) + further,
            sample(self.shading, at),
            sample(self.appears, at),
            sample(self.lips, at),
            sample(self.mouth, at),
            sample(self.eyes, at),
            sample(self.edited, at),
            self.opened * float(gain[self.middle]),
            self.middle,
            self.goes + _farther(self.goes, sample(extra, place)[:, 0, None]),
            self.before,
            self.drawn,
            self.drawn_mesh,
        )


@dataclass(frozen=True)
class Unedited:
    """The generator's picture before the edit. picture: uint8 [S, S, 3]; mesh: [468, 2] in it."""

    picture: Pixels
    mesh: NDArray[np.float64]

    @cached_property
    def _plate(self) -> ThinPlate:
        return ThinPlate(self.mesh, SIDE)

    def to(self, edited: Pixels, mesh: NDArray[np.float64]) -> Change:
        """The change to another picture of the face, uint8 [S, S, 3], and its mesh."""
        before, after = (
            np.asarray(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), np.uint8)
            for p in (self.picture, edited)
        )
        # The mesh says where lips and lids went; the flow finds the rest from there.
        there = self._plate.to(mesh)
        by_mesh = inverse(there)
        motion = _flow(after, before, by_mesh, cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        back = _flow(before, after, there, cv2.DISOPTICAL_FLOW_PRESET_FAST)  # a check only
        lids = np.maximum(*(inside(mesh, c, 3, LIDS) for c in (RIGHT_EYE, LEFT_EYE)))[..., None]
        fine, broad = (blur(motion - by_mesh, s) for s in (SMOOTH, BROAD_MOTION))
        motion = by_mesh + broad + lids * (fine - broad)
        at = pixel_centres(SIDE) + motion
        moved = sample(self.picture.astype(np.float32), at)
        now = edited.astype(np.float32)
        left_over = blur(difference(now, moved), 3)
        missed = length(motion + sample(back, at))
        appears = np.maximum(
            ramp(left_over, NEW, SURELY_NEW),
            ramp(missed, LOST, SURELY_LOST) * ramp(left_over, NEW / 3, NEW),
        )
        # Skin never appears: it is the photo's, whose beard or make-up the generator does not know.
        lips = inside(mesh, OUTER_LIPS, LIP_EDGE)
        appears *= lips
        shading = np.log((now @ LUMA + FLOOR) / (moved @ LUMA + FLOOR))
        shading = blur(shading, FINE)
        shading = np.clip(shading - blur(shading, MAKE_UP), DARKEST, BRIGHTEST)
        # A bright line is an edge that did not fit, not skin: only broad places grow brighter.
        shading = np.minimum(shading, blur(shading, BROAD) + GLINT)
        gap, gap_before = (lip_gap(m) for m in (mesh, self.mesh))
        x, y = np.clip((mesh[13, :2] + mesh[14, :2]) / 2, 0, SIDE - 1)
        open_now = ramp(gap, SEALED, OPEN)
        return Change(
            motion,
            by_mesh,
            shading,
            appears,
            lips,
            inside(mesh, INNER_LIPS, LIP_EDGE) * open_now,
            np.maximum(inside(mesh, RIGHT_EYE, LIP_EDGE), inside(mesh, LEFT_EYE, LIP_EDGE)),
            now,
            gap - gap_before,
            (int(y), int(x)),
            mesh[:, :2] - self.mesh,
            self.mesh,
            now,
            mesh[:, :2],
        )


def _farther(motion: NDArray[T], extra: NDArray[np.floating]) -> NDArray[T]:
    """So many times a motion [..., 2]; what is far already comes less far."""
    far = length(motion)[..., None]
    return np.asarray(extra * motion / (1 + np.maximum(extra, 0) * far / FURTHER))


def difference(one: Array, other: Array) -> Array:
    """[S, S]: mean over the channels of two pictures' difference, [S, S, 3]."""
    red, green, blue = cv2.split(np.abs(one - other))
    return np.asarray((red + green + blue) / np.float32(3))  # numpy's mean takes six times as long


def lip_gap(mesh: NDArray[np.floating]) -> float:
    """Pixels between the middles of the lips."""
    return float(np.linalg.norm(mesh[14, :2] - mesh[13, :2]))


def inside(
    mesh: NDArray[np.floating], contour: tuple[int, ...], soft: float, grow: int = 0
) -> Array:
    """float32 [SIDE, SIDE], 0 to 1: within a contour of the mesh, soft over so many pixels.

    grow: pixels by which it is larger, or smaller where negative.
    """
    drawing = np.zeros((SIDE, SIDE), np.float32)
    corners = np.round((mesh[list(contour), :2] - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(drawing, [corners], 1.0, cv2.LINE_8, 4)
    if grow:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1,) * 2)
        drawing = np.asarray((cv2.dilate if grow > 0 else cv2.erode)(drawing, disc), np.float32)
    return blur(drawing, soft)


def _flow(to: Pixels, source: Pixels, first: Array, preset: int) -> Array:
    """float32 [S, S, 2], dense inverse search (Kroeger et al. 2016) from a first guess.

    OpenCV searches in as many stripes as it has threads, and finds something else in other stripes:
    so it has STRIPES from here on, whatever the machine has.
    """
    if cv2.getNumThreads() != STRIPES:
        cv2.setNumThreads(STRIPES)
    search = cv2.DISOpticalFlow.create(preset)
    return np.asarray(search.calc(to, source, first.copy()), np.float32)


def ramp(x: Array | float, low: float, high: float) -> Array:
    """0 up to `low`, 1 from `high` on, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
