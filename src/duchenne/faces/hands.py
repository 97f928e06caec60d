"""Hands near a face: MediaPipe's palm detector and hand network (Zhang et al. 2020, 2006.10214).

A hand is 21 joints; how thick it is around them is known from its size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..programs.compiling import PerThread
from ..types import Pixels
from . import detector, landmarks
from .detector import Model
from .landmarks import Mesh, Region
from .warp import apply, warp

# Constants of modules/palm_detection and modules/hand_landmark/*.pbtxt: strides 8, 16, 16, 16; the
# region over the palm's box, and over the joints' from one frame to the next.
PALM = Model("palm-detector", 192, ((24, 2), (12, 6)), 0.5)
# Presence from which the network sees a hand that it followed, and a new one: a patch beside one of
# 60 generated faces reached 0.54, hands that are followed 0.9.
STILL, NEW = 0.5, 0.7
INPUT_SIZE = 224
FROM_PALM, UP_FROM_PALM = 2.6, 0.5
FROM_JOINTS, UP_FROM_JOINTS = 2.0, 0.1
STEADY_JOINTS = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # without the fingers' outer parts
AROUND = 1.5  # times the width of the face's region, in which hands are looked for
MOST = 2  # hands of one look
SAME = 0.5  # of the smaller one's region: centres that are nearer are of one hand

WRIST, MIDDLE, LITTLE = 0, 9, 17
FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
PALM_OUTLINE = (0, 1, 2, 5, 9, 13, 17)
# Of a hand's length from the wrist to the middle knuckle, some 95 mm: half the thickness of a
# finger and of the palm's edge, the same of the wrist, and how much longer than the palm is wide.
FINGER, WRIST_THICK, LONGER = 0.115, 0.3, 1.45


@dataclass(frozen=True)
class Hand:
    """joints: float64 [21, 2] in pixels of the picture. presence: 0 to 1."""

    joints: NDArray[np.float64]
    presence: float

    @property
    def region(self) -> Region:
        """Where the hand is in the next frame."""
        at = self.joints
        knuckles = (at[6] + at[14]) / 2
        return _region(
            at[list(STEADY_JOINTS)],
            (knuckles + at[10]) / 2 - at[WRIST],
            FROM_JOINTS,
            UP_FROM_JOINTS,
        )


def find(pixels: Pixels, mesh: Mesh, known: Sequence[Hand] = ()) -> list[Hand]:
    """The hands near a face, the surest first; known: those of the frame before.

    pixels: uint8 [H, W, 3]. mesh: [468, 3] in its pixels.
    """
    found = follow(pixels, known)
    for region in _palms(pixels, landmarks.region_of(mesh)):
        hand = _fit(pixels, region, NEW)
        if hand is not None and not any(same(hand, other) for other in found):
            found.append(hand)
    return sorted(found, key=lambda hand: -hand.presence)


def follow(pixels: Pixels, known: Sequence[Hand]) -> list[Hand]:
    """Hands of the frame before in this one, as far as they are there."""
    found: list[Hand] = []
    for hand in known:
        moved = _fit(pixels, hand.region, STILL)
        if moved is not None and not any(same(moved, other) for other in found):
            found.append(moved)
    return found


def draw(joints: NDArray[np.floating], side: int) -> NDArray[np.bool_]:
    """bool [side, side]: where a hand is that has its joints, [21, 2], there in pixels."""
    mask = np.zeros((side, side), np.uint8)
    size = max(
        float(np.linalg.norm(joints[MIDDLE] - joints[WRIST])),
        LONGER * float(np.linalg.norm(joints[LITTLE] - joints[5])),
    )
    at = np.clip(np.rint(joints * 16), -(2**18), 2**18).astype(np.int32)  # sixteenths of a pixel
    thick = max(1, round(2 * FINGER * size))
    cv2.fillPoly(mask, [at[list(PALM_OUTLINE)]], 1, cv2.LINE_8, 4)
    lines = [at[list(finger)] for finger in FINGERS] + [at[[*PALM_OUTLINE, 0]]]
    cv2.polylines(mask, lines, False, 1, min(thick, 255), cv2.LINE_8, 4)
    cv2.circle(
        mask, tuple(at[WRIST].tolist()), round(16 * WRIST_THICK * size), 1, -1, cv2.LINE_8, 4
    )
    return mask > 0


@functools.lru_cache(1)
def _networks() -> tuple[PerThread, PerThread]:
    return detector.compiled(PALM.weights), detector.compiled("hand-landmarks")


def _palms(pixels: Pixels, face: Region) -> list[Region]:
    """Regions of hands that the detector sees around a face, the surest first."""
    network, _ = _networks()
    to_photo = Region(face.centre, AROUND * face.side, face.angle).to_photo(PALM.size)
    look = warp(pixels, to_photo, (PALM.size, PALM.size), border="border")
    raw, logits = network(np.clip(look, 0, 255)[None] / 255).values()
    seen = detector.merge(detector.decode(PALM, raw[0], logits[0, :, 0]))
    regions = []
    for box, points in zip(seen.boxes[:MOST], seen.keypoints[:MOST], strict=True):
        centre, half = box[:2], box[2:].max() / 2
        corners = centre + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        places = apply(to_photo, PALM.size * np.concatenate([corners, points]).astype(float))
        along = places[4 + 2] - places[4]  # from the wrist to the middle finger's knuckle
        side = float(np.linalg.norm(places[1] - places[0]))
        regions.append(_shifted(places[:4].mean(axis=0), side, along, FROM_PALM, UP_FROM_PALM))
    return regions


def _region(
    points: NDArray[np.float64], along: NDArray[np.float64], larger: float, up: float
) -> Region:
    """Around points, turned so that `along` points up."""
    angle = _angle(along)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    low, high = (points @ turn).min(axis=0), (points @ turn).max(axis=0)
    return _shifted(turn @ ((low + high) / 2), float(max(high - low)), along, larger, up)


def _shifted(
    centre: NDArray[np.float64], side: float, along: NDArray[np.float64], larger: float, up: float
) -> Region:
    direction = along / max(float(np.linalg.norm(along)), 1e-6)
    return Region(centre + up * side * direction, larger * side, _angle(along))


def _angle(along: NDArray[np.float64]) -> float:
    return math.atan2(float(along[0]), -float(along[1]))


def _fit(pixels: Pixels, region: Region, least: float) -> Hand | None:
    """The joints of a hand in a region; None if the network sees none with such a presence."""
    to_photo = region.to_photo(INPUT_SIZE)
    look = warp(pixels, to_photo, (INPUT_SIZE, INPUT_SIZE), border="border")
    raw, presence, *_ = _networks()[1](np.clip(look, 0, 255)[None] / 255).values()
    if float(presence.reshape(())) < least:
        return None
    joints = raw.reshape(21, 3)[:, :2].astype(float)
    return Hand(apply(to_photo, joints), float(presence.reshape(())))


def same(one: Hand, other: Hand) -> bool:
    """Whether two are one hand."""
    a, b = one.region, other.region
    return float(np.linalg.norm(a.centre - b.centre)) < SAME * min(a.side, b.side)
