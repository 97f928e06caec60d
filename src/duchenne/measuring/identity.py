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
from .mobilefacenet import MobileFaceNet


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
# The paper's threshold on LFW is a squared distance of 1.242. Of free aligned photos (see
# experiments/free_photos.py), three of one politician lie 0.66 apart and those of different people
# 1.08 or more, 1.35 in the middle.
FACENET = Judge("outsider", "FaceNet", "20180408-102900", 1.1, False, FaceNet)
# Its package gives 1.1. On the same photos: one person 0.60 to 0.65, different people 1.20 or more,
# 1.43 in the middle; strangers of the generator 0.74 or more, 1.14 in the middle.
MOBILE = Judge(
    "mobile_outsider", "MobileFaceNet", "MobileFaceNet.tflite", 1.1, False, MobileFaceNet
)
JUDGES: Mapping[str, Judge] = MappingProxyType({j.name: j for j in (DLIB, FACENET, MOBILE)})
