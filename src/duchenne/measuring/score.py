"""How strongly each Action Unit shows on a face, 0 to 5.

A face is measured on MediaPipe's 478 mesh points after its head pose has been taken out (a rigid
fit of the points that no expression moves onto a template), so that turning the head does not turn
the scores. Three kinds of evidence, each scaled from the level of neutral faces to that of the full
action, over a population of generated faces:

- *blendshapes*: MediaPipe's network from mesh points to 52 blendshape coefficients, run on the
  frontalised mesh and on its mirror image. Its `cheekSquint`, `noseSneer` and `cheekPuff` never
  respond, and `mouthFrown` hardly does.
- *geometry*: places and distances on the frontalised mesh, in units of the distance between the
  outer eye corners.
- *furrows*: folds of the skin beside and below the eyes and along the nose (`skin`).

`EVIDENCE` says which measures make which score; docs/scores.md says what each one cannot see.
A score is a measurement by this program, not by a certified FACS coder.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .. import facs
from ..errors import InputError
from ..faces import landmarks
from ..faces.warp import Affine, scale_of, warp
from ..files import codes
from ..types import Pixels
from ..weights import store
from . import skin

Array = NDArray[np.float64]

LIMIT = 1.5  # of a measure's full rise or fall: the most that it can say
SCALE_FILE = "scores.safetensors"
SCALE_FORMAT = "duchenne-scores-2"
INPUT_SIZE = 256
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
BLENDSHAPES = [
    "_neutral",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
]

# Points that move with the skull and not with the skin: forehead, nose bridge, eye corners,
# temples. Pose is fitted on them.
RIGID = (
    *(10, 151, 9, 8, 168, 6, 197, 195, 33, 133, 362, 263, 127, 356, 234, 454, 21, 251, 162, 389),
    *(54, 284, 103, 332),
)
_OUTER_EYES = (33, 263)

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
        "chin": (1, (152, 148, 377), ()),
        "gaze": (1, (468, 473), ()),
    }
)
# Blendshapes that exist once for the face, or as the mean of left and right.
SHAPES = (
    *("browInnerUp", "browOuterUp", "browDown", "eyeWide", "eyeSquint", "eyeBlink", "mouthSmile"),
    *("mouthFrown", "mouthShrugLower", "mouthStretch", "jawOpen", "mouthPress", "mouthUpperUp"),
    *("mouthLowerDown", "mouthRollLower", "mouthPucker", "mouthClose"),
)
MESH_MEASURES: tuple[str, ...] = (*SHAPES, *GEOMETRY)
MEASURES: tuple[str, ...] = (*MESH_MEASURES, *skin.FURROWS)

# Which measures show an Action Unit, and how: a negative weight means that the measure falls.
EVIDENCE: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "AU1": {"browInnerUp": 1.0, "inner_brow": 1.0},
        "AU2": {"browOuterUp": 1.0, "outer_brow": 1.0},
        "AU4": {"browDown": 1.0, "inner_brow": -1.0, "brow_gap": -1.0},
        "AU5": {"eyeWide": 1.0, "eye_opening": 1.0},
        "AU6": {"eyeSquint": 0.5, "lower_lid": 1.0, "cheek": 1.0, "eye_furrow": 1.0},
        "AU9": {"nostril_wing": 1.0, "upper_lip": 0.5, "cheek": 0.3, "nose_furrow": 0.7},
        "AU12": {"mouthSmile": 1.0, "lip_corner": 1.0, "mouth_width": 0.7},
        "AU15": {"mouthFrown": 1.0, "lip_corner": -1.0},
        "AU17": {"mouthShrugLower": 1.0, "lower_lip": -1.0, "chin": -0.5},
        "AU20": {"mouthStretch": 1.0, "mouth_width": 1.0},
        "AU25": {"lip_gap": 1.0, "mouthLowerDown": 0.7, "mouthUpperUp": 0.5},
        "AU26": {"jawOpen": 1.0, "chin": 1.0, "lower_lip": 1.0, "lip_gap": 0.7},
    }
)


# ---------------------------------------------------------------- from points to measures


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
    rotation, scale = _rigid_fit(points, template)
    rigid = list(RIGID)
    centred = points - points[rigid].mean(axis=0)
    return np.asarray(scale * centred @ rotation + template[rigid].mean(axis=0))


def pose(points: Array, template: Array) -> Array:
    """[3] yaw, pitch and roll in degrees, by which the head is turned away from the template."""
    r = _rigid_fit(points, template)[0].T  # template to face, as columns
    yaw = np.arcsin(np.clip(-r[2, 0], -1, 1))
    pitch, roll = np.arctan2(r[2, 1], r[2, 2]), np.arctan2(r[1, 0], r[0, 0])
    return np.degrees([yaw, pitch, roll])


def _rigid_fit(points: Array, template: Array) -> tuple[Array, float]:
    """([3, 3] rotation, scale) with scale * (points - mean) @ rotation ~ template - mean."""
    source, target = points[list(RIGID)], template[list(RIGID)]
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    rotation = Rotation.align_vectors(a, b)[0].as_matrix()
    return rotation, float(np.sum(a @ rotation * b) / np.square(a).sum())


# ---------------------------------------------------------------- from measures to scores


@dataclass(frozen=True)
class Scale:
    """What the measures are compared with; `duchenne fit boundaries --scale` makes it.

    template: [478, 3] mean face, symmetric, unit distance between the outer eye corners.
    mirror: [478] the index of every point's mirror image.
    neutral: [M] level of each measure on neutral faces, in the order of MEASURES.
    rise, fall: [M] how far it rises or falls in the full action, both positive.
    full: [12] the evidence for each AU, in those units, when it is fully there and others are not.
    """

    template: Array
    mirror: NDArray[np.int64]
    neutral: Array
    rise: Array
    fall: Array
    full: Array = field(default_factory=lambda: np.ones(len(facs.CODES)))

    def scores(self, measures: Array) -> Array:
        """[M] measures -> [12] scores in the order of `facs.CODES`, not yet limited to 0 to 5."""
        return facs.FULL * self.evidence(measures) / self.full

    def evidence(self, measures: Array) -> Array:
        """[M] measures -> [12] weighted means of what speaks for each AU; 0 on a neutral face.

        No measure counts more than LIMIT times its full rise or fall: some blendshapes stay near
        zero on most faces and jump on a few.
        """
        change = measures - self.neutral
        result = np.zeros(len(facs.CODES))
        for i, code in enumerate(facs.CODES):
            for name, weight in EVIDENCE[code].items():
                m = MEASURES.index(name)
                span = self.rise[m] if weight > 0 else self.fall[m]
                result[i] += weight * np.clip(change[m] / span, -LIMIT, LIMIT)
            result[i] /= sum(abs(w) for w in EVIDENCE[code].values())
        return result


def mirror_points(points: Array, mirror: NDArray[np.int64]) -> Array:
    """The mesh of the mirrored face, its points renamed: left is the subject's left again."""
    flipped = points[mirror].copy()
    flipped[:, 0] *= -1
    return flipped


def save_scale(scale: Scale, path: Path, provenance: Mapping[str, Any]) -> None:
    """Write the scale as safetensors. Atomic."""
    codes.write_tensors(
        {
            "template": scale.template.astype(np.float32),
            "mirror": scale.mirror.astype(np.int64),
            "neutral": scale.neutral.astype(np.float32),
            "rise": scale.rise.astype(np.float32),
            "fall": scale.fall.astype(np.float32),
            "full": scale.full.astype(np.float32),
        },
        {"format": SCALE_FORMAT, "measures": ",".join(MEASURES)},
        provenance,
        path,
    )


def load_scale(path: Path) -> Scale:
    """Read a scale; InputError if the file is something else or of another version."""
    expected = "a score scale from `duchenne fit boundaries --scale`"
    tensors, metadata = codes.read_tensors(path, SCALE_FORMAT, expected)
    if metadata.get("measures") != ",".join(MEASURES):
        raise InputError(f"{path}: was made for other measures; fit it again")
    shapes = {"template": (POINTS, 3), "mirror": (POINTS,)}
    shapes |= {name: (len(MEASURES),) for name in ("neutral", "rise", "fall")}
    shapes["full"] = (len(facs.CODES),)
    for name, shape in shapes.items():
        if name not in tensors or tensors[name].shape != shape:
            raise InputError(f"{path}: expected {expected}, but `{name}` is missing or misshapen")
    if not np.array_equal(np.sort(tensors["mirror"]), np.arange(POINTS)):
        raise InputError(f"{path}: expected {expected}, but `mirror` is no permutation")
    return Scale(
        template=tensors["template"].astype(np.float64),
        mirror=tensors["mirror"],
        neutral=tensors["neutral"].astype(np.float64),
        rise=tensors["rise"].astype(np.float64),
        fall=tensors["fall"].astype(np.float64),
        full=tensors["full"].astype(np.float64),
    )


@cache
def built_in_scale() -> Scale:
    """The scale that comes with the package."""
    with resources.as_file(resources.files("duchenne") / "data" / SCALE_FILE) as path:
        return load_scale(path)


@dataclass(frozen=True)
class Reading:
    """points: [478, 3] in pixels of the picture. measures: [M] in the order of MEASURES."""

    points: Array
    measures: Array


class Scorer:
    """Scores faces; needs the weights file `face-landmarker-task`.

    scale: None is the built-in one.
    """

    def __init__(self, scale: Scale | None = None) -> None:
        self.scale = scale or built_in_scale()
        self._landmarks, self._blendshapes = (_compile(model) for model in read_networks())
        self._geometry, self._shapes = geometry_matrix(), shape_matrix()

    def scores(self, pixels: Pixels, mesh: landmarks.Mesh) -> Array:
        """[12] scores of one face, 0 (absent) to 5 (FACS E), in the order of `facs.CODES`.

        pixels: uint8 [H, W, 3]; mesh: [468, 3] of the face in it, which tells where to look.
        """
        return np.clip(self.scale.scores(self.measure(pixels, mesh)), 0.0, facs.FULL)

    def measure(self, pixels: Pixels, mesh: landmarks.Mesh) -> Array:
        """[M] measures of one face in the order of MEASURES."""
        return self.read(pixels, mesh).measures

    def points(self, pixels: Pixels, mesh: landmarks.Mesh) -> Array:
        """[478, 3] mesh with irises, in pixels of the picture."""
        return self._find(pixels, mesh)[0]

    def read(self, pixels: Pixels, mesh: landmarks.Mesh) -> Reading:
        """Points and measures at once, for the price of one."""
        points, look, raw = self._find(pixels, mesh)
        planes = torch.from_numpy(look.transpose(2, 0, 1))[None]
        folds = skin.furrows(planes, torch.from_numpy(raw)).double().numpy()
        return Reading(points, self.measure_points(points, folds))

    def measure_points(self, points: Array, furrows: Array | None = None) -> Array:
        """[M] measures of a mesh; the same for the mirrored face, and for a turned one.

        furrows: [2] of `skin.furrows`; None takes the skin as that of a neutral face.
        """
        if furrows is None:
            furrows = self.scale.neutral[len(MESH_MEASURES) :]
        front = frontalise(points, self.scale.template)
        other = frontalise(mirror_points(points, self.scale.mirror), self.scale.template)
        of_mesh = (self._measure_front(front) + self._measure_front(other)) / 2
        return np.concatenate([of_mesh, furrows])

    def _find(
        self, pixels: Pixels, mesh: landmarks.Mesh
    ) -> tuple[Array, NDArray[np.float32], NDArray[np.float32]]:
        """Points in the picture, what the network looked at [256, 256, 3], the points in that."""
        to_photo = look_at(mesh)
        look = warp(pixels, to_photo, (INPUT_SIZE, INPUT_SIZE), border="border")
        look = np.clip(look, 0, 255) / np.float32(255)
        raw = np.asarray(self._landmarks(look[None])[0], np.float32).reshape(POINTS, 3)
        points = raw.astype(np.float64)
        plane = points[:, :2] @ to_photo[:, :2].T + to_photo[:, 2]
        return np.concatenate([plane, points[:, 2:] * scale_of(to_photo)], axis=1), look, raw

    def _measure_front(self, front: Array) -> Array:
        plane = front[list(BLENDSHAPE_POINTS), :2].astype(np.float32)
        shapes = self._blendshapes(plane[None])[0].reshape(-1).astype(np.float64)
        geometry = np.tensordot(self._geometry, front, axes=2)
        return np.concatenate([self._shapes @ shapes, geometry])


def look_at(mesh: landmarks.Mesh) -> Affine:
    """Map from the landmark network's input to the picture: MediaPipe's region around the mesh."""
    to_photo = landmarks.region_of(mesh).to_photo()
    to_photo[:, :2] *= landmarks.INPUT_SIZE / INPUT_SIZE
    return to_photo


def read_networks() -> tuple[Any, Any]:
    """(478 landmarks, 52 blendshapes): the Face Landmarker task's members as OpenVINO models."""
    archive = zipfile.ZipFile(BytesIO(store.read("face-landmarker-task")))
    with tempfile.TemporaryDirectory() as folder:
        models = []
        for member in ("face_landmarks_detector.tflite", "face_blendshapes.tflite"):
            # OpenVINO reads TFLite from files only.
            models.append(ov.Core().read_model(archive.extract(member, folder)).clone())
    return models[0], models[1]


def _compile(model: Any) -> Any:
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
