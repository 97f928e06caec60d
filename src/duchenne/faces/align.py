"""From a photo to the generator's canonical framing.

The framing is that of the FFHQ data set (Karras et al. 2019, arXiv:1812.04948, appendix A): a
square around the midpoint of the eyes, upright along eyes and mouth, sized by their distances.
`paste` is the way back.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, NoFaceFound
from ..files.transparency import photo_of
from ..types import AlignedFace, Face, Photo, Pixels
from . import landmarks
from .warp import Affine, apply, invert, shrink, warp

# FFHQ measures between dlib's 68 landmarks: the mean of six points on each eye's contour, and the
# mouth corners. The mesh has the same points, the subject's right eye first.
RIGHT_EYE = (33, 160, 158, 133, 153, 144)
LEFT_EYE = (362, 385, 387, 263, 373, 380)

# Half the crop's side is the larger of twice the eye distance and 1.8 eye-to-mouth distances; the
# centre lies a tenth of the way from the eyes to the mouth.
SIDE_PER_EYES = 2.0
SIDE_PER_MOUTH = 1.8
CENTRE_DOWN = 0.1

# dlib and the mesh do not put these points in quite the same places. The built-in generator's
# faces are FFHQ crops already, so they must map to themselves. Over 96 of them (truncation 0.7) the
# median side was 1.0065 of the picture's and the median centre (-0.8, -1.0) px of 1024 off; with
# these constants 0.9989 and (0.0, 0.0) px. Single faces scatter by 1.5 % and 1.7 px (median). The
# shift is in parts of the side, to the right and down.
SIDE_CORRECTION = 0.9935
SHIFT_CORRECTION = (0.0008, 0.0010)

# Where the crop looks past the photo it shows the reflected photo, fading within this part of the
# side to a blurred one, as FFHQ does, so that no second chin appears.
FADE = 0.12
BLUR = 0.04


def align(photo: Photo, *, size: int = 1024, face: int | None = None) -> AlignedFace:
    """Cut one face out of a photo in FFHQ framing: one affine resampling.

    size: side of the crop in pixels. face: which face, the largest being 0; None takes the largest.
    Raises NoFaceFound if the photo has no usable face, InputError if it has fewer than asked.
    """
    faces, index = _choose(photo, face)
    return cut(photo, faces[index], size=size, index=index, count=len(faces))


def find(photo: Photo, *, face: int | None = None) -> Face:
    """One face of a photo without cutting it out; the arguments and errors of `align`."""
    faces, index = _choose(photo, face)
    return faces[index]


def no_face(photo: Photo) -> NoFaceFound:
    """The error of a photo without a usable face."""
    least = landmarks.smallest(photo.pixels)
    return NoFaceFound(
        f"{photo.name}: no face at least {least} px wide; give a photo that shows a whole face, as "
        "large and sharp as can be"
    )


def _choose(photo: Photo, face: int | None) -> tuple[list[Face], int]:
    faces = landmarks.find_faces(photo.pixels)
    if not faces:
        raise no_face(photo)
    index = 0 if face is None else face
    if not 0 <= index < len(faces):
        raise InputError(f"{photo.name}: no face number {index}; {_numbering(len(faces))}")
    return faces, index


def cut(
    photo: Photo, face: Face, *, size: int = 1024, index: int = 0, count: int = 1
) -> AlignedFace:
    """The FFHQ crop of a face that is already found."""
    to_photo = canonical(face.mesh, size)
    crop = warp(photo.pixels, to_photo, (size, size))
    crop = _fade_outside(crop, to_photo, photo.pixels)
    pixels = np.clip(np.rint(crop), 0, 255).astype(np.uint8)
    return AlignedFace(pixels, to_photo, face, index, count)


def face_of(mesh: landmarks.Mesh) -> Face:
    """A face that is known by its mesh, [468, 3], alone."""
    (left, top), (right, bottom) = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
    return Face((float(left), float(top), float(right), float(bottom)), 1.0, mesh)


def within(photo: Photo, aligned: AlignedFace, longest: int | None) -> tuple[Photo, AlignedFace]:
    """The photo scaled down until neither side is above `longest` px, and the face where it is now.

    None, and what is small enough, stays as it is. The crop keeps its pixels.
    """
    height, width = photo.pixels.shape[:2]
    if longest is None or max(height, width) <= longest:
        return photo, aligned
    columns, rows = (max(1, round(n * longest / max(height, width))) for n in (width, height))
    picture = photo.pixels if photo.rgba is None else photo.rgba
    small = photo_of(shrink(picture, (columns, rows)), photo.name)
    x, y = columns / width, rows / height
    left, top, right, bottom = aligned.face.box
    mesh = (aligned.face.mesh * (x, y, x)).astype(np.float32)
    face = replace(aligned.face, box=(left * x, top * y, right * x, bottom * y), mesh=mesh)
    return small, replace(aligned, to_photo=aligned.to_photo * [[x], [y]], face=face)


def _numbering(count: int) -> str:
    if count == 1:
        return "its only face is number 0"
    return f"its {count} faces are numbered from 0 (the largest) to {count - 1}"


def canonical(mesh: NDArray[np.float32], size: int = 1024) -> Affine:
    """[2, 3] map from an FFHQ crop of side `size` to the picture that the mesh lies in.

    mesh: [468, 3]. The map is a similarity (rotation, scale, shift).
    """
    points = mesh[:, :2].astype(np.float64)
    right, left = points[list(RIGHT_EYE)].mean(axis=0), points[list(LEFT_EYE)].mean(axis=0)
    mouth = points[[landmarks.MOUTH_RIGHT, landmarks.MOUTH_LEFT]].mean(axis=0)
    eyes = (right + left) / 2
    across, down = left - right, mouth - eyes
    # Both the eye line and the face's length vote on what is horizontal.
    x = across + np.array([down[1], -down[0]])
    half = max(
        SIDE_PER_EYES * float(np.linalg.norm(across)),
        SIDE_PER_MOUTH * float(np.linalg.norm(down)),
    )
    x *= half * SIDE_CORRECTION / np.linalg.norm(x)
    y = np.array([-x[1], x[0]])
    centre = eyes + CENTRE_DOWN * down
    centre += 2 * (SHIFT_CORRECTION[0] * x + SHIFT_CORRECTION[1] * y)
    linear = np.stack([x, y], axis=1) * (2 / size)
    return np.concatenate([linear, (centre - x - y)[:, None]], axis=1)


def in_crop(aligned: AlignedFace, size: int) -> NDArray[np.float64]:
    """[468, 2]: the face's mesh in its crop, at a side of `size` pixels."""
    mesh = apply(invert(aligned.to_photo), aligned.face.mesh[:, :2].astype(float))
    return mesh * (size / len(aligned.pixels))


def _fade_outside(
    crop: NDArray[np.float32], to_photo: Affine, pixels: Pixels
) -> NDArray[np.float32]:
    """Blur what a crop [S, S, 3] shows of the photo's reflection, more with distance."""
    size = len(crop)
    y, x = np.mgrid[:size, :size]
    points = apply(to_photo, np.stack([x, y], axis=2) + 0.5)
    limit = np.array([pixels.shape[1], pixels.shape[0]])
    outside = np.maximum(np.maximum(-points, points - limit), 0).max(axis=2)
    if not outside.any():
        return crop
    side = float(np.linalg.norm(to_photo[:, 0])) * size
    share = np.clip(outside / (FADE * side), 0, 1).astype(np.float32)[..., None]
    return np.asarray(crop + share * (blur(crop, BLUR * size) - crop), np.float32)


def blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of [H, W, C] with reflected borders, sigma in pixels."""
    radius = min(int(np.ceil(3 * sigma)), min(image.shape[:2]) - 1)
    sides = (2 * radius + 1,) * 2
    blurred = cv2.GaussianBlur(image, sides, sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32).reshape(image.shape)
