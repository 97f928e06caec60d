"""Is it still the same person, by a second recogniser that nothing here was fitted with?

MobileFaceNet (Chen, Liu, Gao & Han 2018), trained with the loss of ArcFace (Deng, Guo, Xue &
Zafeiriou 2019) on MS1M: neither the network nor its training pictures are FaceNet's or dlib's.
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

WEIGHTS = "face-mobile-outsider"
SIDE = 112
# Of FFHQ framing: what puts its mean eyes and mouth where ArcFace's 112 px template has them.
BOX = (0.107, 0.106, 0.895, 0.894)


class MobileFaceNet:
    """Describes faces in FFHQ framing by 192 numbers of unit length.

    file: the network (TFLite); None is the weights file `face-mobile-outsider`.
    """

    def __init__(self, file: Path | None = None) -> None:
        core = ov.Core()
        model: Any = core.read_model(str(file or store.locate(WEIGHTS)))
        self._network = core.compile_model(model, "CPU", cores.for_openvino())

    def describe(self, face: Pixels) -> NDArray[np.float64]:
        """[192] descriptor of an aligned face, uint8 [S, S, 3]."""
        left, top, right, bottom = (round(edge * len(face)) for edge in BOX)
        chip = Image.fromarray(face).crop((left, top, right, bottom))
        small = np.asarray(chip.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
        pair = np.stack([small, small[:, ::-1]])  # as it is tested: a face with its mirror image
        both = np.asarray(self._network((pair - 127.5) / 128)[0], np.float64)
        descriptor: NDArray[np.float64] = both[0] + both[1]
        return descriptor / np.linalg.norm(descriptor)
