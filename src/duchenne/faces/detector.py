"""Where the faces are: MediaPipe's two BlazeFace detectors, over scales and rotations.

BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047) is a single-shot detector on a small square
input. One look at the whole picture finds large upright faces only, so the picture is searched at
several scales (overlapping windows) and, when needed, turned.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .. import cores
from ..programs import kept
from ..programs.compiling import PerThread
from ..types import Pixels
from ..weights import store
from .giving_way import give_way

Array = NDArray[np.float32]

# Non-maximum suppression: overlap (intersection over union) at which two boxes are one face.
# From MediaPipe's face_detection graphs, NonMaxSuppressionCalculatorOptions.
OVERLAP = 0.3
# A window of the full-range detector finds faces down to 1/16 of its side (measured on astronaut
# and on generated faces, at random positions); windows shrink until the smallest wanted face is
# 1/8 of the side, which leaves a margin of two.
WINDOW_PER_FACE = 8
# Neighbouring windows share this part of their side, so that a face up to it is whole in one.
WINDOW_OVERLAP = 0.25
# Both detectors find nearly all faces turned by up to 45 degrees (same measurement), but the turned
# looks give better key points. The last ones are for pictures that lie on their side; of those
# upside down the mesh takes care.
TURNS = (0, 45, -45)
LAST_TURNS = (90, -90)
# Width and height together of the largest picture that is searched as it is: 12 megapixels of a
# phone. Of a larger one the smallest faces are found from about a 63rd of its longer side on.
SEARCHED = 7200
# Sides of the windows, over the picture's longer side, when a face may fill it: with less around
# it the detectors miss most (measured on generated faces cut to their mesh).
FARTHER = (1.5, 2.0)
# Two detections of one place whose eye lines differ by more than this are both kept: the mesh, not
# the detector's score, tells which way up the face is.
SAME_WAY_UP = math.radians(40)


@dataclass(frozen=True)
class Detections:
    """N detections in the pixel coordinates of one picture.

    scores: float32 [N], 0 to 1.
    boxes: float32 [N, 4], centre x, centre y, width, height.
    keypoints: float32 [N, K, 2]. Of faces six: the subject's right eye, left eye, nose tip, mouth
        centre, right ear tragion, left ear tragion. Boxes stay upright in the turned picture they
        were found in, so the line between the eyes, not the box, tells the rotation.
    """

    scores: Array
    boxes: Array
    keypoints: Array

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, which: NDArray[Any]) -> Detections:
        return Detections(self.scores[which], self.boxes[which], self.keypoints[which])

    @property
    def angles(self) -> Array:
        """[N] radians from the x axis to the line from the subject's right eye to the left."""
        across = self.keypoints[:, 1] - self.keypoints[:, 0]
        return np.asarray(np.arctan2(across[:, 1], across[:, 0]), np.float32)


@dataclass(frozen=True)
class Model:
    """One BlazeFace network and the constants of its MediaPipe graph.

    Source: modules/face_detection/face_detection_{short,full}_range_common.pbtxt.
    size: side of the square input.
    grids: (cells per side, anchors per cell) of each output layer, in output order.
    threshold: score below which a detection is noise.
    """

    weights: str
    size: int
    grids: tuple[tuple[int, int], ...]
    threshold: float


# Strides 8, 16, 16, 16 with two anchors a layer and cell; equal strides are stored cell by cell.
SHORT_RANGE = Model("face-detector-short", 128, ((16, 2), (8, 6)), 0.5)
# Stride 4, one anchor a cell.
FULL_RANGE = Model("face-detector-full", 192, ((48, 1),), 0.6)


@functools.cache
def compiled(name: str, at_once: int = 1) -> PerThread:
    """The stored network `name`, compiled for the CPU once per process at most.

    at_once: how many threads run it side by side, each on one core; 1 is one on all cores.
    """
    path, digest = store.locate(name), store.entry(name).sha256
    options = cores.for_openvino()
    if at_once > 1:
        options |= {"NUM_STREAMS": at_once, "INFERENCE_NUM_THREADS": at_once}
    read = functools.partial(openvino.Core().read_model, path)
    return PerThread(kept.compiled(name, digest, read, options))


@functools.cache
def anchors(model: Model) -> Array:
    """[N, 2] anchor centres in units of the input side; anchors have unit size."""
    layers = []
    for cells, per_cell in model.grids:
        y, x = np.divmod(np.arange(cells * cells), cells)
        centres = (np.stack([x, y], axis=1) + 0.5) / cells
        layers.append(np.repeat(centres, per_cell, axis=0))
    return np.concatenate(layers).astype(np.float32)


def sigmoid(logits: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow; MediaPipe clips to [-100, 100] for the same reason."""
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)), np.float32)


def decode(model: Model, raw: Array, logits: Array) -> Detections:
    """Network output -> detections in units of the input side, before suppression.

    raw: [N, 4 + 2 K], box and keypoints relative to the anchors, in input pixels.
    logits: [N].
    """
    scores = sigmoid(logits)
    keep = scores >= model.threshold
    centres = anchors(model)[keep]
    values = (raw[keep].reshape(-1, raw.shape[1] // 2, 2) / model.size).astype(np.float32)
    values[:, 0] += centres
    values[:, 2:] += centres[:, None]
    return Detections(scores[keep], values[:, :2].reshape(-1, 4), values[:, 2:])


def overlaps(box: Array, others: Array, *, inside: bool = False) -> Array:
    """[N] intersection of one box with others over their union, or over the smaller of the two."""
    low = np.maximum(box[:2] - box[2:] / 2, others[:, :2] - others[:, 2:] / 2)
    high = np.minimum(box[:2] + box[2:] / 2, others[:, :2] + others[:, 2:] / 2)
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    area, areas = np.prod(box[2:]), np.prod(others[:, 2:], axis=1)
    whole = np.minimum(area, areas) if inside else area + areas - common
    return np.asarray(common / np.maximum(whole, 1e-9), np.float32)


def merge(detections: Detections) -> Detections:
    """MediaPipe's weighted suppression: overlapping detections become their weighted mean.

    The best score leads a group and stays the group's score; weights are the scores.
    """
    merged = []
    rest = detections[np.argsort(-detections.scores, kind="stable")]
    while len(rest):
        same = overlaps(rest.boxes[0], rest.boxes) > OVERLAP
        same[0] = True  # a degenerate box does not overlap itself
        group, rest = rest[same], rest[~same]
        share = group.scores / group.scores.sum()
        merged.append(
            Detections(
                group.scores[:1],
                np.tensordot(share, group.boxes, 1)[None],
                np.tensordot(share, group.keypoints, 1)[None],
            )
        )
    return join(merged)


def distinct(detections: Detections) -> Detections:
    """One detection per place and way up, the best score first.

    For detections from different windows and turns, whose means would mix whole and cut faces.
    """
    rest = detections[np.argsort(-detections.scores, kind="stable")]
    kept = []
    while len(rest):
        kept.append(rest[np.array([0])])
        near = overlaps(rest.boxes[0], rest.boxes) > OVERLAP
        turned = rest.angles - rest.angles[0]
        same = near & (np.cos(turned) > math.cos(SAME_WAY_UP))
        same[0] = True
        rest = rest[~same]
    return join(kept)


def join(parts: Sequence[Detections]) -> Detections:
    """Concatenate."""
    points = parts[0].keypoints.shape[1] if parts else 6
    return Detections(
        np.concatenate([np.zeros(0, np.float32), *(p.scores for p in parts)]),
        np.concatenate([np.zeros((0, 4), np.float32), *(p.boxes for p in parts)]),
        np.concatenate([np.zeros((0, points, 2), np.float32), *(p.keypoints for p in parts)]),
    )


def reduction(width: int, height: int) -> int:
    """By how much a picture is scaled down before the search, so that any takes as long as most.

    Work grows with the area of the picture turned by 45 degrees, which is (width + height)^2 / 2.
    """
    return max(1, math.ceil((width + height) / SEARCHED))


class Search:
    """Candidate faces of one picture at all turns, the best score first.

    pixels: uint8 [H, W, 3]. Candidates may be false; the mesh's presence score is the judge.
    """

    def __init__(self, pixels: Pixels) -> None:
        self._looks, self._longest = _Looks(pixels), max(pixels.shape[:2])
        self._seen: dict[tuple[float, float], Detections] = {}

    def down_to(self, min_size: float, turned_to: float = 0) -> Detections:
        """Down to faces of that width in pixels; what was looked at before is remembered.

        turned_to: in the turned picture only down to faces of that width.
        """
        return self._turned(TURNS, min_size, turned_to)

    def lying(self, min_size: float) -> Detections:
        """In the picture lying on its side."""
        return self._turned(LAST_TURNS, min_size)

    def _turned(self, turns: Sequence[float], min_size: float, turned_to: float = 0) -> Detections:
        looks = [
            (turn, side)
            for turn in turns
            for side in _window_sides(self._longest, max(min_size, turned_to if turn else 0))
        ]
        for turn, side in looks:
            if (turn, side) not in self._seen:
                self._seen[turn, side] = self._looks.turned(turn, [side])
        return distinct(join([self._seen[look] for look in looks]))


def search_from_afar(pixels: Pixels) -> Detections:
    """Candidate faces that fill the picture, so that the detectors never saw one whole.

    The picture is looked at in the middle of a larger black one.
    """
    looks = _Looks(pixels)
    sides = [share * max(pixels.shape[:2]) for share in FARTHER]
    return distinct(join([looks.turned(turn, sides) for turn in (*TURNS, *LAST_TURNS)]))


class _Looks:
    """A picture as the detectors see it, at several scales and turns."""

    def __init__(self, pixels: Pixels) -> None:
        self._picture = Image.fromarray(pixels)
        self._scaled: dict[tuple[int, int], Image.Image] = {}

    def turned(self, turn: float, sides: Sequence[float]) -> Detections:
        """All detections in the picture turned by `turn` degrees, in the upright picture's pixels.

        sides: of the windows, in the picture's pixels.
        """
        looks = []
        for model in (SHORT_RANGE, FULL_RANGE):
            for side in sides:
                small = self._small(model, side)
                look = small.rotate(turn, Image.Resampling.BILINEAR, expand=True) if turn else small
                margin = [max(0, (model.size - n) // 2) for n in look.size]
                if side > max(self._picture.size):
                    look = ImageOps.expand(look, (margin[0], margin[1]))
                here = merge(join(list(_windows(model, np.asarray(look)))))
                to_picture = _look_to_picture(look, small, self._picture, turn)
                looks.append(_moved(here, to_picture))
        return join(looks)

    def _small(self, model: Model, side: float) -> Image.Image:
        width, height = (max(1, round(n * model.size / side)) for n in self._picture.size)
        if (width, height) not in self._scaled:
            how = Image.Resampling.BILINEAR
            self._scaled[width, height] = self._picture.resize(
                (width, height), how, reducing_gap=2.0
            )
        return self._scaled[width, height]


def _window_sides(longest: int, min_size: float) -> list[float]:
    """From the whole picture, halving, down to the side at which the smallest face is large."""
    sides = [float(longest)]
    while sides[-1] / 2 >= WINDOW_PER_FACE * min_size / 2:
        sides.append(sides[-1] / 2)
    return sides


def _windows(model: Model, look: Pixels) -> Iterator[Detections]:
    """Detections of each window of a scaled picture, in its pixels.

    The picture is cut into overlapping squares of the model's size; a smaller one is padded with
    black, as in MediaPipe.
    """
    height, width = look.shape[:2]
    threads = cores.usable()
    network = compiled(model.weights, threads)

    def detected(corner: tuple[int, int]) -> Detections:
        top, left = corner
        part = look[top : top + model.size, left : left + model.size]
        if not part.any():  # beside a turned picture; neither network finds anything in black
            return join([])
        window = np.zeros((model.size, model.size, 3), np.float32)
        window[: part.shape[0], : part.shape[1]] = part
        raw, logits = network(window[None] / 127.5 - 1).values()
        inside = decode(model, raw[0], logits[0, :, 0])
        return _moved(inside, np.array([[model.size, 0, left], [0, model.size, top]]))

    corners = list(product(_starts(height, model.size), _starts(width, model.size)))
    for found in cores.in_order(detected, corners, min(threads, len(corners))):
        give_way()
        yield found


def _starts(length: int, size: int) -> list[int]:
    """Where windows of `size` begin so that they cover `length` evenly with enough overlap."""
    if length <= size:
        return [0]
    count = 1 + math.ceil((length - size) / (size * (1 - WINDOW_OVERLAP)))
    return [round(start) for start in np.linspace(0, length - size, count)]


def _look_to_picture(
    look: Image.Image, small: Image.Image, picture: Image.Image, turn: float
) -> NDArray[np.float64]:
    """[2, 3] from the turned, scaled picture to the picture: they share their centres."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    stretch = np.array(picture.size) / np.array(small.size)
    back = stretch[:, None] * np.array([[cos, -sin], [sin, cos]])
    offset = np.array(picture.size) / 2 - back @ (np.array(look.size) / 2)
    return np.concatenate([back, offset[:, None]], axis=1)


def _moved(detections: Detections, matrix: NDArray[Any]) -> Detections:
    """Detections under an affine map [2, 3]; boxes stay upright squares and scale with it."""
    linear, offset = matrix[:, :2].astype(np.float32), matrix[:, 2].astype(np.float32)
    scale = np.sqrt(abs(np.linalg.det(linear)))
    boxes = np.concatenate(
        [detections.boxes[:, :2] @ linear.T + offset, detections.boxes[:, 2:] * scale], 1
    )
    return Detections(detections.scores, boxes, detections.keypoints @ linear.T + offset)
