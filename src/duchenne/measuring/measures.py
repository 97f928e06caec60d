"""What scores are made of: places, distances and blendshape coefficients on the frontal mesh."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from . import patches

Array = NDArray[np.float64]

POINTS = 478

# The mesh points that the blendshape network reads, and its outputs in order: MediaPipe,
# mediapipe/tasks/cc/vision/face_landmarker/face_blendshapes_graph.cc (Apache-2.0).
BLENDSHAPE_POINTS = (
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65),
    *(66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136),
    *(144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168),
    *(172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276),
    *(282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318),
    *(321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380),
    *(381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466),
    *range(468, 478),
)
BLENDSHAPES = (
    *("_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft"),
    *("browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft"),
    *("eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight"),
    *("eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft"),
    *("eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen"),
    *("jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft"),
    *("mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower"),
    *("mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight"),
    *("mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    *("noseSneerLeft", "noseSneerRight"),
)

# Points that move with the skull and not with the skin: forehead, nose bridge, eye corners,
# temples. Pose is fitted on them.
RIGID = (
    *(10, 151, 9, 8, 168, 6, 197, 195, 33, 133, 362, 263, 127, 356, 234, 454, 21, 251, 162, 389),
    *(54, 284, 103, 332),
)

# Geometry: name -> (axis, points that count positively, points that count negatively), the mean of
# the first minus the mean of the second. Axis 0 points to the subject's left, axis 1 down. The
# subject's right half is written; the mirrored points are added when the measure is whole-faced.
_LOWER_LIDS = (145, 374, 144, 373, 153, 380)
_UPPER_LIDS = (159, 386, 160, 385, 158, 387)
GEOMETRY: Mapping[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = MappingProxyType(
    {
        "inner_brow": (1, (), (55, 107, 285, 336)),
        "brow": (1, (), (52, 105, 65, 66, 282, 334, 295, 296)),
        "outer_brow": (1, (), (70, 46, 63, 53, 300, 276, 293, 283)),
        "brow_gap": (0, (285, 336), (55, 107)),
        "eye_opening": (1, _LOWER_LIDS, _UPPER_LIDS),
        "lower_lid": (1, (), _LOWER_LIDS),
        "cheek": (1, (), (50, 205, 101, 118, 280, 425, 330, 347)),
        "nostril_wing": (1, (), (129, 358, 98, 327, 64, 294, 102, 331)),
        "lip_corner": (1, (), (61, 291)),
        "mouth_width": (0, (291,), (61,)),
        "lip_gap": (1, (14,), (13,)),
        "upper_lip": (1, (), (0, 37, 267)),
        "lower_lip": (1, (17, 84, 314), ()),
        "upper_red": (1, (13, 82, 312), (0, 37, 267)),
        "lower_red": (1, (17, 84, 314), (14, 87, 317)),
        "chin": (1, (152, 148, 377), ()),
        "gaze": (1, (468, 473), (33, 133, 362, 263)),
        "gaze_side": (0, (468, 473), (33, 133, 362, 263)),
    }
)
# What changes its sign in a mirror; of all else left and right are averaged.
SIDEWAYS = ("gaze_side",)
# Blendshapes that exist once for the face, or as the mean of left and right.
SHAPES = (
    *("browInnerUp", "browOuterUp", "browDown", "eyeWide", "eyeSquint", "eyeBlink", "mouthSmile"),
    *("mouthFrown", "mouthShrugLower", "mouthStretch", "jawOpen", "mouthPress", "mouthUpperUp"),
    *("mouthLowerDown", "mouthRollLower", "mouthPucker", "mouthClose", "mouthDimple"),
    *("mouthFunnel", "mouthRollUpper", "eyeLookUp", "eyeLookDown"),
)
MESH_MEASURES: tuple[str, ...] = (*SHAPES, *GEOMETRY)
MEASURES: tuple[str, ...] = (*MESH_MEASURES, *patches.FURROWS)


def mirrored_signs() -> Array:
    """[len(MESH_MEASURES)]: -1 where a measure changes its sign in a mirror, else 1."""
    return np.where(np.isin(MESH_MEASURES, SIDEWAYS), -1.0, 1.0)


def geometry_matrix() -> Array:
    """[G, 478, 3]: every geometric measure as a linear function of the frontalised points."""
    matrix = np.zeros((len(GEOMETRY), POINTS, 3))
    for row, (axis, plus, minus) in zip(matrix, GEOMETRY.values(), strict=True):
        for points, sign in ((plus, 1.0), (minus, -1.0)):
            for point in points:
                row[point, axis] += sign / len(points)
    return matrix


def shape_matrix() -> Array:
    """[len(SHAPES), 52]: the mean of left and right of each blendshape."""
    matrix = np.zeros((len(SHAPES), len(BLENDSHAPES)))
    for row, name in zip(matrix, SHAPES, strict=True):
        columns = [i for i, shape in enumerate(BLENDSHAPES) if shape.removesuffix("Left")
                   .removesuffix("Right") == name]  # fmt: skip
        row[columns] = 1 / len(columns)
    return matrix


def frontalise(points: Array, template: Array) -> Array:
    """Rotate, scale and shift a mesh so that its rigid points fit the template's (Umeyama 1991).

    points: [478, 3] in pixels, z on the same scale; template: [478, 3], unit distance between the
    outer eye corners. Returns [478, 3] in the template's frame.
    """
    rotation, scale = rigid_fit(points, template)
    rigid = list(RIGID)
    centred = points - points[rigid].mean(axis=0)
    return np.asarray(scale * centred @ rotation + template[rigid].mean(axis=0))


def pose(points: Array, template: Array) -> Array:
    """[3] yaw, pitch and roll in degrees, by which the head is turned away from the template."""
    r = rigid_fit(points, template)[0].T  # template to face, as columns
    yaw = np.arcsin(np.clip(-r[2, 0], -1, 1))
    pitch, roll = np.arctan2(r[2, 1], r[2, 2]), np.arctan2(r[1, 0], r[0, 0])
    return np.degrees([yaw, pitch, roll])


def rigid_fit(points: Array, template: Array) -> tuple[Array, float]:
    """([3, 3] rotation, scale) with scale * (points - mean) @ rotation ~ template - mean."""
    source, target = points[list(RIGID)], template[list(RIGID)]
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    # Kabsch (1976). scipy's `align_vectors` does the same; its import takes longer than a score.
    u, _, v = np.linalg.svd(a.T @ b)
    rotation = np.asarray(u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v)
    return rotation, float(np.sum(a @ rotation * b) / np.square(a).sum())


def mirror_points(points: Array, mirror: NDArray[np.int64]) -> Array:
    """The mesh of the mirrored face, its points renamed: left is the subject's left again."""
    flipped = points[mirror].copy()
    flipped[:, 0] *= -1
    return flipped
