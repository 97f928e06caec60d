"""What is measured on every finished face: Action Units, pose, identity, light.

Scores need the weights file `face-landmarker-task`, identity the extra `evaluate`. Where one of
them is missing its columns stay empty; `Means.found` says so once.
"""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import WeightsError
from ..faces import landmarks
from ..measuring import measures
from ..measuring.dlib_identity import Recogniser
from ..measuring.score import Scorer, built_in_scale
from ..types import Pixels
from ..weights import store

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Means:
    """What can be measured here. scores: Action Units and pose. identity: dlib's distance."""

    scores: bool
    identity: bool

    @staticmethod
    def found() -> Means:
        """Look for both, and say what is missing and how to get it."""
        try:
            store.locate("face-landmarker-task")
            scores = True
        except WeightsError as error:
            logger.warning("Action Units are not measured: %s", error)
            scores = False
        identity = all(
            importlib.util.find_spec(name) for name in ("dlib", "face_recognition_models")
        )
        if not identity:
            logger.warning(
                "identity distances are not measured; they need pip install 'duchenne[evaluate]'"
            )
        return Means(scores, identity)


@dataclass(frozen=True)
class Look:
    """One face as measured; None for what was not or could not be.

    mesh: [468, 3] in pixels of the picture. units: [U], score / 5, not limited to [0, 1]; pose:
    [3] yaw, pitch, roll in degrees. person: [128], dlib's descriptor. points: [478, 3], the mesh
    that was scored, with irises.
    """

    mesh: landmarks.Mesh | None
    units: Array | None = None
    pose: Array | None = None
    person: Array | None = None
    points: Array | None = None


class Meter:
    """Measures faces in FFHQ framing; what it needs is loaded on first use."""

    def __init__(self, means: Means, scale: str = "") -> None:
        """scale: name of a score scale (`score.built_in_scale`)."""
        self.means, self._scale = means, scale

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(built_in_scale(self._scale))

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser()

    def look(self, face: Pixels, *, person: bool = True) -> Look:
        """face: uint8 [S, S, 3]. person: also describe whose it is."""
        mesh = landmarks.mesh_of_aligned(face)
        if mesh is None:
            return Look(None)
        units = pose = points = None
        if self.means.scores:
            reading = self._scorer.read(face, mesh)
            units = self._scorer.scale.scores(reading.measures) / facs.FULL
            points = reading.points
            pose = measures.pose(points, self._scorer.scale.template)
        described = self._recogniser.describe(face) if person and self.means.identity else None
        return Look(mesh, units, pose, described, points)
