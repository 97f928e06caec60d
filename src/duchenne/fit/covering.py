"""How the finder of coverings was made: things drawn over generated faces, and a network's fit.

Nobody's photos are needed: what covers is drawn, so that its mask is known. Rims of glasses, hands
in the face's own skin colour, microphones, strands of hair, masks, and things of any shape with a
piece of another picture on them. Faces that nothing covers are among them, degraded as photos are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from .. import facs
from ..animate import Studio
from ..editing.boundaries import without_moved
from ..editing.edit import transfer
from ..editing.face import find_mesh
from ..faces.align import LEFT_EYE, RIGHT_EYE
from ..faces.landmarks import FACE_OVAL
from ..faces.warp import shrink
from ..moving.covering import SEEN, WINDOW
from ..moving.finder import Finder
from ..stimuli.screening import glasses
from ..types import Pixels, StepProgress
from . import degrade

Array = NDArray[np.float32]
Draw = Callable[["Face", np.random.Generator], list["Layer"]]

BARE = 0.3  # share of the faces that nothing covers
HAIR = np.array([[25, 20, 18], [70, 48, 35], [150, 115, 80], [190, 160, 120], [150, 150, 150]])
HARDLY_GLASSES = 2.5  # evidence below which a face is taken for bare
TRUNCATION = (0.6, 0.85)
WORSE = 0.5  # share of the pictures that are degraded as photos are
FRACTION = 4  # bits of a pixel's fraction in OpenCV's drawing
ACROSS_NOSE = 195  # mesh points that a mask passes
CHEEKS = (346, 117)


@dataclass(frozen=True)
class Face:
    """picture: uint8 [SEEN, SEEN, 3]; mesh: [468, 2] in it; other: another picture, as large."""

    picture: Pixels
    mesh: NDArray[np.float64]
    other: Pixels

    @property
    def eyes(self) -> NDArray[np.float64]:
        """[2, 2], the right one first."""
        return np.stack([self.mesh[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)])

    @property
    def unit(self) -> float:
        """Pixels between the eyes."""
        return float(np.linalg.norm(np.diff(self.eyes, axis=0)))

    @property
    def skin(self) -> Array:
        """[3], the colour of the cheeks."""
        places = self.mesh[[50, 280, 205, 425, 9]].astype(int).clip(0, SEEN - 1)
        colours = self.picture[places[:, 1], places[:, 0]]
        return np.asarray(np.median(colours, axis=0), np.float32)


@dataclass(frozen=True)
class Layer:
    """Something drawn over a face. mask: [S, S], 0 to 1; colour: [S, S, 3], grey levels.

    covers: whether it is to be found; a tint of lenses or a shadow is not.
    """

    mask: Array
    colour: Array
    covers: bool = True


def cover(
    face: Face, rng: np.random.Generator, kind: str | None = None
) -> tuple[Pixels, NDArray[np.bool_]]:
    """(picture uint8 [S, S, 3], bool [S, S] where something covers the face).

    kind: one of KINDS; None draws one, or none at all.
    """
    if kind is None:
        kind = "" if rng.random() < BARE else str(rng.choice(list(KINDS)))
    drawn = face.picture.astype(np.float32)
    covered = np.zeros((SEEN, SEEN), np.float32)
    for layer in KINDS[kind](face, rng) if kind else ():
        mask = cv2.GaussianBlur(layer.mask, (0, 0), rng.uniform(0.3, 0.9))
        drawn += mask[..., None] * (layer.colour - drawn)
        if layer.covers:
            covered = np.maximum(covered, mask)
    return np.clip(np.rint(drawn), 0, 255).astype(np.uint8), covered > 0.4


# ---------------------------------------------------------------- what covers


def _rims(face: Face, rng: np.random.Generator) -> list[Layer]:
    unit, eyes = face.unit, face.eyes
    across = (eyes[1] - eyes[0]) / unit
    down = np.array([-across[1], across[0]])
    width, height = rng.uniform(0.32, 0.48) * unit, rng.uniform(0.22, 0.42) * unit
    power, slant = 2 / rng.uniform(2, 5), rng.uniform(-0.25, 0.15)
    lower, thick = rng.uniform(-0.05, 0.15) * unit, max(1.0, rng.uniform(0.02, 0.1) * unit)
    apart = rng.uniform(1.0, 1.12)
    angle = np.linspace(0, 2 * np.pi, 60)
    x = width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    y = height * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    rims, lenses, inner, outer = _empty(), _empty(), [], []
    half = rng.random() < 0.2  # no rim below
    for side, eye in zip((-1, 1), eyes, strict=True):
        middle = eye + side * (apart - 1) * unit * across + lower * down
        ring = middle + np.outer(side * x, across) + np.outer(y + slant * x, down)
        _fill(lenses, ring)
        top = y <= height * 0.15
        if not half:
            _line(rims, ring, thick, closed=True)
        _line(rims, np.roll(ring, -30, 0)[np.roll(top, -30)], thick * rng.uniform(1, 2.2))
        inner.append(middle - side * width * across - 0.1 * height * down)
        outer.append(middle + side * width * across + (slant * width - 0.2 * height) * down)
    _line(rims, np.stack([inner[0], sum(inner) / 2 - 0.06 * unit * down, inner[1]]), thick)
    for side, end in zip((-1, 1), outer, strict=True):
        _line(rims, np.stack([end, end + side * rng.uniform(0.2, 0.7) * unit * across]), thick)
    colour = _paint(rng, rng.choice([0, 0, 0, 1, 2]))
    layers = []
    dark = rng.random() < 0.1
    if dark or rng.random() < 0.4:
        strength = rng.uniform(0.8, 1) if dark else rng.uniform(0.03, 0.25)
        layers.append(Layer(lenses * np.float32(strength), _even(_paint(rng, 0)), dark))
    if rng.random() < 0.3:
        shadow = np.roll(rims, int(rng.integers(1, 5)), 0) * np.float32(rng.uniform(0.1, 0.35))
        layers.append(Layer(shadow, _even(face.skin * 0.4), covers=False))
    opaque = np.float32(rng.uniform(0.75, 1))
    layers.append(Layer(rims * opaque, _even(colour) + _noise(rng, rng.uniform(1, 6), 12)))
    return layers


def _hand(face: Face, rng: np.random.Generator) -> list[Layer]:
    unit = face.unit
    oval = face.mesh[list(FACE_OVAL)]
    start = oval[rng.integers(len(oval))]
    inwards = oval.mean(axis=0) - start
    heading = np.arctan2(inwards[1], inwards[0]) + rng.uniform(-0.9, 0.9)
    colour = face.skin * rng.uniform(0.75, 1.15) * rng.uniform(0.94, 1.06, 3)
    texture = _even(colour.astype(np.float32)) + _noise(rng, rng.uniform(1, 4), 5)
    texture += _noise(rng, 20, 12)
    thick = rng.uniform(0.16, 0.3) * unit
    sideways = np.array([-np.sin(heading), np.cos(heading)])
    layers = []
    for i in range(int(rng.integers(1, 5))):
        finger = _empty()
        at = start + (i - 1.5) * thick * 1.05 * sideways
        along = heading + (i - 1.5) * rng.uniform(-0.05, 0.15)
        tip = at + rng.uniform(0.4, 1.5) * unit * np.array([np.cos(along), np.sin(along)])
        knuckle = (at + tip) / 2 + rng.uniform(-0.08, 0.08) * unit * sideways
        root = at - 0.8 * unit * np.array([np.cos(along), np.sin(along)])
        _line(finger, np.stack([root, knuckle, tip]), thick)
        depth = cv2.distanceTransform((finger > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        rounding = 0.7 + 0.3 * np.clip(depth / (0.4 * thick), 0, 1)
        layers.append(Layer(finger, texture * rounding[..., None].astype(np.float32)))
    return layers


def _microphone(face: Face, rng: np.random.Generator) -> list[Layer]:
    unit, mouth = face.unit, face.mesh[[13, 14]].mean(axis=0)
    head, stick = _empty(), _empty()
    if rng.random() < 0.7:
        middle = mouth + rng.uniform([-0.6, -0.1], [0.6, 0.9]) * unit
        size = rng.uniform(0.15, 0.45) * unit
        away = middle + rng.uniform([-0.8, 0.6], [0.8, 2.5]) * unit
        _line(stick, np.stack([middle, away]), size * rng.uniform(0.5, 1.2))
    else:  # a headset's
        side = rng.choice([-1, 1])
        middle = mouth + np.array([side * 0.35, rng.uniform(-0.1, 0.3)]) * unit
        size = rng.uniform(0.06, 0.14) * unit
        away = mouth + np.array([side * rng.uniform(0.9, 1.3), rng.uniform(-0.9, 0)]) * unit
        bend = (middle + away) / 2 + np.array([0, rng.uniform(0, 0.3)]) * unit
        _line(stick, np.stack([middle, bend, away]), max(1.0, 0.04 * unit))
    cv2.ellipse(
        head, _fixed(middle), _fixed([size, size * rng.uniform(0.8, 1.4)]),
        rng.uniform(0, 180), 0, 360, 1.0, -1, cv2.LINE_8, FRACTION,
    )  # fmt: skip
    paints = [_paint(rng, rng.choice([0, 0, 0, 1, 2])) for _ in range(2)]
    return [
        Layer(stick, _even(paints[0]) + _noise(rng, 8, 15)),
        Layer(head, _even(paints[1]) + _noise(rng, rng.uniform(0.5, 1.5), 25)),
    ]


def _strands(face: Face, rng: np.random.Generator) -> list[Layer]:
    unit, top = face.unit, face.mesh[10]
    first = top + np.array([rng.uniform(-1.1, 1.1), rng.uniform(-0.5, 0)]) * unit
    last = face.eyes.mean(axis=0) + rng.uniform([-1.2, -0.4], [1.2, 0.9]) * unit
    bend = (first + last) / 2 + rng.uniform(-0.3, 0.3, 2) * unit
    spread = rng.uniform(0.05, 0.6) * unit
    hair = _empty()
    for _ in range(int(rng.integers(2, 60))):
        a, b, c = (p + rng.normal(0, 1, 2) * [spread, spread / 6] for p in (first, bend, last))
        t = np.linspace(0, rng.uniform(0.7, 1), 20)[:, None]
        curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        _line(hair, curve, rng.choice([1.0, 1.0, 2.0]), rng.uniform(0.6, 1))
    colour = (HAIR[rng.integers(len(HAIR))] * rng.uniform(0.6, 1.2)).astype(np.float32)
    return [Layer(hair, _even(colour) + _noise(rng, 1, 20))]


def _mask(face: Face, rng: np.random.Generator) -> list[Layer]:
    oval = list(FACE_OVAL)
    lower = face.mesh[oval[7:30]]  # from ear to ear under the chin
    top = face.mesh[[ACROSS_NOSE]] + [[0, rng.uniform(-0.1, 0.5) * face.unit]]
    shape = np.concatenate([face.mesh[[CHEEKS[1]]], top, face.mesh[[CHEEKS[0]]], lower])
    shape = shape.mean(axis=0) + (shape - shape.mean(axis=0)) * rng.uniform(0.85, 1.05)
    cloth = _empty()
    _fill(cloth, shape)
    rows = np.arange(SEEN, dtype=np.float32)[:, None, None]
    folds = rng.uniform(0, 14) * np.sin(rows / rng.uniform(3, 9)).astype(np.float32)
    colour = _even(_paint(rng, rng.choice([0, 1, 2, 2])))
    return [Layer(cloth, colour + folds + _noise(rng, 25, 15) + _noise(rng, 0.7, 6))]


def _thing(face: Face, rng: np.random.Generator) -> list[Layer]:
    low, high = face.mesh.min(axis=0), face.mesh.max(axis=0)
    middle, unit = rng.uniform(low, high), face.unit
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    wobble = np.convolve(np.tile(rng.uniform(0.5, 1.4, 24), 3), np.ones(5) / 5, "same")[24:48]
    radii = rng.uniform(0.12, 0.7, 2) * unit
    shape = _empty()
    _fill(shape, middle + wobble[:, None] * radii * np.stack([np.cos(angle), np.sin(angle)], 1))
    if rng.random() < 0.5:
        shift = rng.integers(0, SEEN, 2)
        return [Layer(shape, np.roll(face.other, shift, (0, 1)).astype(np.float32))]
    colour = _even(_paint(rng, rng.choice([0, 1, 2])))
    return [Layer(shape, colour + _noise(rng, rng.uniform(0.6, 20), rng.uniform(2, 30)))]


KINDS: Mapping[str, Draw] = MappingProxyType(
    {
        "rims": _rims, "hand": _hand, "microphone": _microphone, "strands": _strands,
        "mask": _mask, "thing": _thing,
    }
)  # fmt: skip


def _empty() -> Array:
    return np.zeros((SEEN, SEEN), np.float32)


def _even(colour: Array) -> Array:
    return np.broadcast_to(np.asarray(colour, np.float32), (SEEN, SEEN, 3)).copy()


def _noise(rng: np.random.Generator, size: float, deviation: float) -> Array:
    side = round(SEEN / max(1.0, size / 2))  # of broad noise a small picture says it all
    raw = rng.standard_normal((side, side), np.float32)
    broad = cv2.GaussianBlur(raw, (0, 0), min(size, 2.0))
    noise = np.asarray(cv2.resize(broad, (SEEN, SEEN), interpolation=cv2.INTER_CUBIC), np.float32)
    return (noise * np.float32(deviation / max(float(noise.std()), 1e-6)))[..., None]


def _paint(rng: np.random.Generator, tone: int) -> Array:
    """[3], a colour: 0 dark, 1 anything, 2 light."""
    grey = rng.uniform(*((5, 70), (20, 220), (130, 240))[tone])
    tint = rng.uniform(*((0.8, 1.2), (0.3, 1.5), (0.8, 1.1))[tone], 3)
    return np.asarray(grey * tint, np.float32)


def _fixed(values: Sequence[float] | NDArray[np.floating]) -> tuple[int, ...]:
    return tuple(int(v) for v in np.rint(np.asarray(values) * 2**FRACTION))


def _fill(canvas: Array, corners: NDArray[np.floating]) -> None:
    points = np.rint(corners * 2**FRACTION).astype(np.int32)
    cv2.fillPoly(canvas, [points], 1.0, cv2.LINE_8, FRACTION)


def _line(
    canvas: Array,
    points: NDArray[np.floating],
    thick: float,
    opaque: float = 1.0,
    *,
    closed: bool = False,
) -> None:
    at = np.rint(points * 2**FRACTION).astype(np.int32)
    cv2.polylines(canvas, [at], closed, opaque, max(1, round(thick)), cv2.LINE_8, FRACTION)


# ---------------------------------------------------------------- the fit


def gather(
    studio: Studio, count: int, *, seed: int, progress: StepProgress = lambda done, total: None
) -> list[Face]:
    """Generated people with up to four Action Units each, and without glasses of their own."""
    pictures: list[Pixels] = []
    meshes: list[NDArray[np.float64]] = []
    while len(pictures) < count:
        rng = np.random.default_rng(seed)
        w = studio.sample(seed, truncation=rng.uniform(*TRUNCATION)).code.w
        asked = np.zeros(len(facs.CODES))
        several = rng.integers(0, 5)
        asked[rng.choice(len(asked), several, replace=False)] = rng.uniform(0.2, 1, several)
        limits = studio.boundaries
        asked = without_moved(asked[None])[0]
        w = transfer(w, limits.distances(asked, w), limits.normals)
        drawn = studio.renderer.plain(w, 2 * SEEN)
        mesh = find_mesh(drawn)
        seed += 1
        if mesh is not None and glasses(drawn, mesh) < HARDLY_GLASSES:
            pictures.append(shrink(drawn, (SEEN, SEEN)))
            meshes.append(mesh[:, :2].astype(float) / 2)
            progress(len(pictures), count)
    others = pictures[1:] + pictures[:1]
    return [Face(*face) for face in zip(pictures, meshes, others, strict=True)]


def batch(
    faces: Sequence[Face], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(pictures [B, 3, S, S] in [-1, 1], covered [B, 1, S, S], face [B, 1, S, S])."""
    pictures, covered, inside = [], [], []
    for face in faces:
        picture, mask = cover(face, rng)
        oval = _empty()
        _fill(oval, face.mesh[list(FACE_OVAL)])
        oval = np.asarray(cv2.dilate(oval, np.ones((9, 9))), np.float32)
        flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
        pictures.append(picture[:, flip])
        covered.append(mask[:, flip].astype(np.float32))
        inside.append(oval[:, flip])
    x = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
    masks = torch.from_numpy(np.stack([np.stack(covered), np.stack(inside)], axis=1))
    scene = torch.cat([x, masks], dim=1)
    scene = degrade.moved(scene, rng)  # the masks go along
    x, masks = scene[:, :3], scene[:, 3:]
    worse = rng.random(len(x)) < WORSE
    if worse.any():
        x[worse] = degrade.developed(x[worse], rng)
    return x, (masks[:, :1] > 0.5).float(), (masks[:, 1:] > 0.5).float()


def fit(
    faces: Sequence[Face],
    *,
    steps: int,
    size: int = 8,
    seed: int = 0,
    progress: StepProgress = lambda done, total: None,
) -> Finder:
    """A finder, by binary cross-entropy and overlap (Dice) inside the face."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    finder = Finder()
    descent = torch.optim.AdamW(finder.parameters(), 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(descent, 3e-3, total_steps=steps)
    for step in range(steps):
        chosen = [faces[i] for i in rng.integers(0, len(faces), size)]
        x, covered, inside = batch(chosen, rng)
        told = finder(x.contiguous(memory_format=torch.channels_last))
        covered, inside = (m[..., *WINDOW] for m in (covered, inside))
        surprise = F.binary_cross_entropy_with_logits(told, covered, weight=inside)
        found = torch.sigmoid(told) * inside
        both = (found * covered).sum() + 1
        overlap = 2 * both / (found.sum() + (covered * inside).sum() + 2)
        loss = surprise / inside.mean() + 0.5 * (1 - overlap)
        descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        descent.step()
        schedule.step()
        progress(step + 1, steps)
    finder.eval()
    return finder
