"""Is it still the same person? The judges of identity, networks of other people.

One more judge is one more entry of JUDGES: evaluation, its report and the experiments ask them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..types import Pixels
from .dlib_identity import Recogniser
from .facenet import FaceNet


class Network(Protocol):
    def describe(self, face: Pixels) -> NDArray[np.float64]:
        """[D] descriptor of an aligned face, uint8 [S, S, 3]."""
        ...


@dataclass(frozen=True)
class Judge:
    """key: of its numbers in records. model: which weights. open: loads them, or WeightsError.

    same_person: Euclidean distance of descriptors below which two pictures show one person.
    asked: whether the fit of the built-in boundaries asks it, about other faces than are judged.
    """

    key: str
    name: str
    model: str
    same_person: float
    asked: bool
    open: Callable[[], Network]

    @property
    def limit(self) -> float:
        """The distance that an edit may cause: half of what makes another person."""
        return self.same_person / 2


# King gives 0.6.
DLIB = Judge("identity", "dlib", "face_recognition_resnet_model_v1", 0.6, True, Recogniser)
# The paper's threshold on LFW is a squared distance of 1.242. Aligned photos of one politician lie
# 0.66 apart here, those of different people 1.3.
FACENET = Judge("outsider", "FaceNet", "20180408-102900", 1.1, False, FaceNet)
JUDGES: Mapping[str, Judge] = MappingProxyType({judge.name: judge for judge in (DLIB, FACENET)})
