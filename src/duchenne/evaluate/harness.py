"""Every Action Unit at five levels on faces that no fit has seen, for several boundary files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import facs, landmarks, score
from ..animate import Studio, Subject
from ..boundaries import slot_intensities
from ..types import Pixels
from . import metrics
from .identity import SAME_PERSON, Recogniser

Array = NDArray[np.float64]

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
FIRST_SEED = 300_000  # held-out identities; fits use `responses.FIRST_SEED` and up to 100,000 more
TRUNCATION = 0.6

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Measured:
    """scores: [F, 12, 5, 12]; identity: [F, 12] distance at E = 1; outside: [F, 12] largest change
    in grey levels where the AU has no influence; turned: [F, 12] change of head pose in degrees.
    """

    scores: Array
    identity: Array
    outside: Array
    turned: Array

    def table(self) -> Mapping[str, Mapping[str, float]]:
        """Name of the metric -> AU -> value."""
        columns = {
            "responds": metrics.response_rate(self.scores),
            "monotone": metrics.monotonicity(self.scores),
            "leads": metrics.leads(self.scores),
            "leakage": metrics.leakage(self.scores),
            "change": np.diagonal(metrics.change(self.scores), axis1=1, axis2=2).mean(axis=0),
            "nonlinear": metrics.linearity(self.scores),
            "identity_95": np.quantile(self.identity, 0.95, axis=0),
            "identity_ok": (self.identity < SAME_PERSON / 2).mean(axis=0),
            "outside": self.outside.max(axis=0),
            "turned": self.turned.mean(axis=0),
        }
        return {
            name: {code: round(float(v), 4) for code, v in zip(facs.CODES, values, strict=True)}
            for name, values in columns.items()
        }


def held_out(studio: Studio, count: int) -> list[Subject]:
    """Synthetic people whose seeds no fit uses."""
    return [studio.sample(FIRST_SEED + n, truncation=TRUNCATION) for n in range(count)]


def evaluate(
    subjects: Sequence[Subject],
    scorer: score.Scorer,
    recogniser: Recogniser,
    progress: Progress | None = None,
) -> Measured:
    """Edit, render and measure every subject with its studio's boundaries."""
    shape = (len(subjects), len(facs.CODES))
    scores = np.zeros((*shape, len(LEVELS), len(facs.CODES)))
    identity, outside, turned = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for f, given in enumerate(subjects):
        subject = replace(given)  # a copy, so that its rendered scene is not kept
        before = subject.scene.base
        person, pose = recogniser.describe(before), _pose(before, scorer)
        for i, code in enumerate(facs.CODES):
            table = slot_intensities({code: 1.0})
            frames = subject.frames(np.array(LEVELS)[:, None, None] * table, paste=False)
            for k, frame in enumerate(frames):
                scores[f, i, k] = _scores(frame, scorer)
            identity[f, i] = np.linalg.norm(recogniser.describe(frame) - person)
            elsewhere = (
                subject.scene.regions.blend(np.asarray(table.any(axis=0)), len(before) // 2) == 0
            )
            difference = np.abs(frame.astype(int) - before).max(axis=2)
            outside[f, i] = difference[elsewhere.repeat(2, axis=0).repeat(2, axis=1)].max()
            turned[f, i] = np.abs(_pose(frame, scorer) - pose).max()
        if progress:
            progress(f + 1, len(subjects))
    return Measured(scores, identity, outside, turned)


def _mesh(frame: Pixels) -> landmarks.Mesh:
    mesh = landmarks.mesh_of_aligned(frame)
    assert mesh is not None, "an edited face is still a face"
    return mesh


def _scores(frame: Pixels, scorer: score.Scorer) -> Array:
    return scorer.scale.scores(scorer.measure(frame, _mesh(frame)))


def _pose(frame: Pixels, scorer: score.Scorer) -> Array:
    """[3] yaw, pitch and roll in degrees."""
    return score.pose(scorer.points(frame, _mesh(frame)), scorer.scale.template)
