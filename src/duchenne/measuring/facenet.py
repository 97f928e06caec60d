"""Is it still the same person, by a recogniser that nothing here was fitted with?

FaceNet (Schroff, Kalenichenko & Philbin 2015) as trained by David Sandberg on CASIA-WebFace: an
Inception-ResNet that maps a face to a point on the unit sphere in 512 dimensions. dlib's network
(`measuring.dlib_identity`) has a say in the fit of the boundaries; this one has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from PIL import Image

from .. import cores
from ..types import Pixels
from ..weights import store

WEIGHTS = "face-outsider"
SIDE = 160
BOX = (0.16, 0.20, 0.84, 0.90)  # of FFHQ framing: the face with the margin of the training pictures


class FaceNet:
    """Describes faces in FFHQ framing by 512 numbers of unit length.

    file: the network (frozen TensorFlow graph); None is the weights file `face-outsider`.
    """

    def __init__(self, file: Path | None = None) -> None:
        core = ov.Core()
        model: Any = core.read_model(str(file or store.locate(WEIGHTS)))
        self._network = core.compile_model(model, "CPU", cores.for_openvino())

    def describe(self, face: Pixels) -> NDArray[np.float64]:
        """[512] descriptor of an aligned face, uint8 [S, S, 3]."""
        left, top, right, bottom = (round(edge * len(face)) for edge in BOX)
        chip = Image.fromarray(face).crop((left, top, right, bottom))
        small = np.asarray(chip.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
        descriptor = np.asarray(self._network((small[None] - 127.5) / 128)[0][0], np.float64)
        return descriptor / np.linalg.norm(descriptor)
