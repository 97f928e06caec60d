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

The `evidence` of an Action Unit says which measures make its score (`duchenne.facs`), and
docs/scores.md what each one cannot see.
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
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from .. import cores, facs
from ..errors import InputError
from ..faces import align, landmarks
from ..faces.warp import Affine, apply, invert, scale_of, warp
from ..files import arrays, codes
from ..files.arrays import Expected
from ..programs import kept, shipped
from ..programs.compiling import PerThread
from ..types import Pixels
from ..weights import store
from .measures import (
    BLENDSHAPE_POINTS,
    MEASURES,
    MESH_MEASURES,
    POINTS,
    frontalise,
    geometry_matrix,
    mirror_points,
    mirrored_signs,
    shape_matrix,
)
from .patches import FURROWS

Array = NDArray[np.float64]

LIMIT = 1.5  # of a measure's full rise or fall: the most that it can say
SCALE_FILE = "scores.safetensors"
FIRST = "first_scores.safetensors"  # for the boundaries of that name
SCALE_FORMAT = "duchenne-scores-3"
INPUT_SIZE = 256


@dataclass(frozen=True)
class Scale:
    """What the measures are compared with; `duchenne fit boundaries --scale` makes it.

    template: [478, 3] mean face, symmetric, unit distance between the outer eye corners.
    mirror: [478] the index of every point's mirror image.
    neutral: [M] level of each measure on neutral faces, in the order of MEASURES.
    rise, fall: [M] how far it rises or falls in the full action, both positive.
    full: [U] the evidence for each AU, in those units, when it is fully there and others are not.
    """

    template: Array
    mirror: NDArray[np.int64]
    neutral: Array
    rise: Array
    fall: Array
    full: Array = field(default_factory=lambda: np.ones(len(facs.CODES)))

    def scores(self, measures: Array) -> Array:
        """[M] measures -> [U] scores in the order of `facs.CODES`, not yet limited to 0 to 5."""
        return facs.FULL * self.evidence(measures) / self.full

    def evidence(self, measures: Array) -> Array:
        """[M] measures -> [U] weighted means of what speaks for each AU; 0 on a neutral face.

        No measure counts more than LIMIT times its full rise or fall: some blendshapes stay near
        zero on most faces and jump on a few.
        """
        change = measures - self.neutral
        result = np.zeros(len(facs.CODES))
        for i, unit in enumerate(facs.ACTION_UNITS):
            for name, weight in unit.evidence.items():
                m = MEASURES.index(name)
                span = self.rise[m] if weight > 0 else self.fall[m]
                result[i] += weight * np.clip(change[m] / span, -LIMIT, LIMIT)
            result[i] /= sum(abs(w) for w in unit.evidence.values())
        return result


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
        {
            "format": SCALE_FORMAT,
            "measures": ",".join(MEASURES),
            "action_units": ",".join(facs.CODES),
        },
        provenance,
        path,
    )


def load_scale(path: Path) -> Scale:
    """Read a scale; InputError if the file is something else or of another version.

    An Action Unit that was not known when it was made scores 0.
    """
    expected = "a score scale from `duchenne fit boundaries --scale`"
    command = f"fit boundaries -o BOUNDARIES.safetensors --scale {path.name}"
    tensors, metadata = codes.read_tensors(path, SCALE_FORMAT, expected, command=command)
    names = str(metadata.get("measures")).split(",")
    units = str(metadata.get("action_units")).split(",")
    if not (set(names) <= set(MEASURES) and set(units) <= set(facs.CODES)):
        raise InputError(
            f"{path}: expected {expected}, but it was made for other measures or Action Units; "
            f"make it anew: duchenne {command}"
        )
    measures = (len(names),)
    arrays.check(
        tensors,
        {
            "template": Expected((POINTS, 3), -10, 10),  # in distances of the eyes
            "mirror": Expected((POINTS,), 0, POINTS - 1, kind="i"),
            "neutral": Expected(measures, -10, 10),
            "rise": Expected(measures, 1e-5, 10),
            "fall": Expected(measures, 1e-5, 10),
            "full": Expected((len(units),), 0.05, 10),
        },
        path,
        expected,
    )
    if not np.array_equal(np.sort(tensors["mirror"]), np.arange(POINTS)):
        raise InputError(f"{path}: expected {expected}, but `mirror` is no permutation")

    def placed(values: Array, known: list[str], wanted: tuple[str, ...], otherwise: float) -> Array:
        result = np.full(len(wanted), otherwise)
        result[[wanted.index(name) for name in known]] = values
        return result

    return Scale(
        template=tensors["template"].astype(np.float64),
        mirror=tensors["mirror"],
        neutral=placed(tensors["neutral"], names, MEASURES, 0.0),
        rise=placed(tensors["rise"], names, MEASURES, 1.0),
        fall=placed(tensors["fall"], names, MEASURES, 1.0),
        full=placed(tensors["full"], units, facs.CODES, np.inf),
    )


BUILT_IN = resources.files("duchenne") / "data" / SCALE_FILE


@cache
def built_in_scale(name: str = "") -> Scale:
    """The scale that comes with the package; "first" is the one that shipped before."""
    data = resources.files("duchenne") / "data"
    with resources.as_file(data / FIRST if name == "first" else BUILT_IN) as path:
        return load_scale(path)


def built_in_provenance() -> Mapping[str, Any]:
    """How that was made."""
    with resources.as_file(BUILT_IN) as path:
        _, metadata = codes.read_tensors(path, SCALE_FORMAT, "a score scale")
    return dict(metadata["provenance"])


def average_mesh(size: int) -> NDArray[np.float32]:
    """[468, 2], the average face in FFHQ framing; size: side of the picture in pixels."""
    mesh = built_in_scale().template[:468].astype(np.float32)
    return apply(invert(align.canonical(mesh, size)), mesh[:, :2].astype(float)).astype(np.float32)


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
        # Requests of their own: scorers in several threads share what is compiled.
        # The networks are held here too, since a request does not keep what its weights lie in: of
        # two threads that compile them at once only one's are kept by the cache.
        self._networks = _compiled(store.locate("face-landmarker-task").resolve())
        requests = (model.create_infer_request() for model in self._networks)
        self._landmarks, self._blendshapes, self._furrows = requests
        self._geometry, self._shapes = geometry_matrix(), shape_matrix()

    def scores(self, pixels: Pixels, mesh: landmarks.Mesh) -> Array:
        """[U] scores of one face, 0 (absent) to 5 (FACS E), in the order of `facs.CODES`.

        pixels: uint8 [H, W, 3]; mesh: [468, 3] of the face in it, which tells where to look.
        """
        return np.clip(self.scale.scores(self.measure(pixels, mesh)), 0.0, facs.FULL)

    def intensities(self, pixels: Pixels, mesh: landmarks.Mesh) -> Array:
        """[U] of one face, 1 being the full action: negative below the mean neutral face, and more
        than 1 beyond, where `scores` would say 5. The arguments of `scores`."""
        return self.scale.scores(self.measure(pixels, mesh)) / facs.FULL

    def measure(self, pixels: Pixels, mesh: landmarks.Mesh) -> Array:
        """[M] measures of one face in the order of MEASURES."""
        return self.read(pixels, mesh).measures

    def points(self, pixels: Pixels, mesh: landmarks.Mesh) -> Array:
        """[478, 3] mesh with irises, in pixels of the picture."""
        return self.look(pixels, mesh)[0]

    def read(self, pixels: Pixels, mesh: landmarks.Mesh) -> Reading:
        """Points and measures at once, for the price of one."""
        points, look, raw = self.look(pixels, mesh)
        planes = np.ascontiguousarray(look.transpose(2, 0, 1))[None]
        folds = np.array(self._furrows.infer([planes, raw])[0], np.float64)
        return Reading(points, self.measure_points(points, folds))

    def folds(self, look: NDArray[np.float32], raw: NDArray[np.float32]) -> list[Array]:
        """`skin.folds` of what `look` gives."""
        planes = np.ascontiguousarray(look.transpose(2, 0, 1))[None]
        folds = np.array(_folds()([planes, raw])[0], np.float64)
        ends = np.cumsum([len(quads) for quads in FURROWS.values()])
        return np.split(folds, ends[:-1])

    def measure_points(self, points: Array, furrows: Array | None = None) -> Array:
        """[M] measures of a mesh; the same for the mirrored face, but for the signs of
        `measures.SIDEWAYS`, and for a turned one.

        furrows: [2] of `skin.furrows`; None takes the skin as that of a neutral face.
        """
        if furrows is None:
            furrows = self.scale.neutral[len(MESH_MEASURES) :]
        front = frontalise(points, self.scale.template)
        other = frontalise(mirror_points(points, self.scale.mirror), self.scale.template)
        of_mesh = (self.measure_front(front) + self.measure_front(other) * mirrored_signs()) / 2
        return np.concatenate([of_mesh, furrows])

    def look(
        self, pixels: Pixels, mesh: landmarks.Mesh
    ) -> tuple[Array, NDArray[np.float32], NDArray[np.float32]]:
        """Points in the picture, what the network looked at [256, 256, 3], the points in that."""
        to_photo = look_at(mesh)
        look = warp(pixels, to_photo, (INPUT_SIZE, INPUT_SIZE), border="border")
        look = np.clip(look, 0, 255) / np.float32(255)
        raw = np.asarray(self._landmarks.infer(look[None])[0], np.float32).reshape(POINTS, 3)
        points = raw.astype(np.float64)
        plane = points[:, :2] @ to_photo[:, :2].T + to_photo[:, 2]
        return np.concatenate([plane, points[:, 2:] * scale_of(to_photo)], axis=1), look, raw

    def measure_front(self, front: Array) -> Array:
        """[len(MESH_MEASURES)] of a frontal mesh [478, 3] as it is, without its mirror image."""
        plane = front[list(BLENDSHAPE_POINTS), :2].astype(np.float32)
        shapes = self._blendshapes.infer(plane[None])[0].reshape(-1).astype(np.float64)
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


@cache
def _folds() -> PerThread:
    name = "folds"
    options = cores.for_openvino()
    program = kept.compiled(name, shipped.digest(name), lambda: shipped.load(name, {}), options)
    return PerThread(program)


@cache
def _compiled(task: Path) -> tuple[ov.CompiledModel, ...]:
    """Landmarks, blendshapes and `skin.furrows`, compiled once in a process.

    task: where the networks' file lies, which is read anew.
    """
    models = cache(read_networks)
    digest = store.entry("face-landmarker-task").sha256
    exact = cores.for_openvino()
    return (
        kept.compiled("landmarks", digest, lambda: models()[0], exact),
        kept.compiled("blendshapes", digest, lambda: models()[1], exact),
        kept.compiled(
            "furrows", shipped.digest("furrows"), lambda: shipped.load("furrows", {}), exact
        ),
    )
