"""Every Action Unit at several levels on faces that no fit has seen, for several boundaries.

Each face under each method is one unit of work, kept as JSON (`Kept`): a run can be interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..animate import Studio, Subject
from ..editing.boundaries import Boundaries, slot_intensities
from ..faces import landmarks
from ..measuring import facenet, measures, score
from ..measuring.dlib_identity import SAME_PERSON, Recogniser
from ..measuring.facenet import Outsider
from ..types import Pixels
from . import kept, metrics
from .kept import Kept

Array = NDArray[np.float64]

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
FIRST_SEED = 300_000  # held-out identities; fits use `responses.FIRST_SEED` and up to 100,000 more
TRUNCATION = 0.6
VERSION = 3  # of what `measure` does: results of another one are not taken for these

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Measured:
    """What edits did to F faces, K levels each, the first being the unedited face.

    scores: [F, 12, K, 12]; identity: [F, 12] distance at the last level, and outsider: [F, 12] by
    the recogniser that no fit has asked; outside: [F, 12] largest change in grey levels where the
    AU has no influence; background: [F, 12] mean change there; turned: [F, 12] change of head pose
    in degrees.
    """

    scores: Array
    identity: Array
    outsider: Array
    outside: Array
    background: Array
    turned: Array

    def __len__(self) -> int:
        return len(self.scores)

    def table(self) -> Mapping[str, Mapping[str, float]]:
        """Name of the metric -> AU -> value."""
        columns = {
            "responds": metrics.response_rate(self.scores),
            "monotone": metrics.monotonicity(self.scores),
            "leads": metrics.leads(self.scores),
            "leakage": metrics.leakage(self.scores),
            "change": metrics.own_change(self.scores).mean(axis=0),
            "nonlinear": metrics.linearity(self.scores),
            "identity_95": np.quantile(self.identity, 0.95, axis=0),
            "identity_ok": (self.identity < SAME_PERSON / 2).mean(axis=0),
            "outsider_ok": (self.outsider < facenet.SAME_PERSON / 2).mean(axis=0),
            "outside": self.outside.max(axis=0),
            "background": self.background.mean(axis=0),
            "turned": self.turned.mean(axis=0),
        }
        return {
            name: {code: round(float(v), 4) for code, v in zip(facs.CODES, values, strict=True)}
            for name, values in columns.items()
        }

    def as_json(self) -> dict[str, Any]:
        """Nested lists, to four digits."""
        return {f.name: np.round(getattr(self, f.name), 4).tolist() for f in fields(self)}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Measured:
        """The inverse of `as_json`, to its precision."""
        return Measured(**{name: np.array(values) for name, values in record.items()})

    @staticmethod
    def join(parts: Sequence[Measured]) -> Measured:
        """The faces of all parts, in order."""
        names = [f.name for f in fields(Measured)]
        return Measured(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})


@dataclass(frozen=True)
class Recognisers:
    """Who says whether it is still the same person."""

    dlib: Recogniser
    outsider: Outsider

    @staticmethod
    def load() -> Recognisers:
        """Raises WeightsError where one of them cannot be had."""
        return Recognisers(Recogniser(), Outsider())

    def describe(self, face: Pixels) -> tuple[Array, Array]:
        """The descriptors of an aligned face, uint8 [S, S, 3]."""
        return self.dlib.describe(face), self.outsider.describe(face)


def held_out(studio: Studio, count: int) -> list[Subject]:
    """Synthetic people whose seeds no fit uses."""
    return [studio.sample(FIRST_SEED + n, truncation=TRUNCATION) for n in range(count)]


def with_boundaries(studio: Studio, boundaries: Boundaries) -> Studio:
    """A studio with other boundaries that shares everything else: nothing is loaded twice."""
    other = Studio(
        generator=studio.generator,
        boundaries=boundaries,
        settings=studio.settings,
        cache=studio.cache,
    )
    other.renderer, other.scorer = studio.renderer, studio.scorer
    return other


def evaluate(
    subjects: Sequence[Subject],
    recognisers: Recognisers,
    results: Kept,
    *,
    levels: Sequence[float] = LEVELS,
    progress: Progress | None = None,
) -> Measured:
    """Edit, render and measure every subject with its studio's boundaries; kept units are read."""
    parts = []
    for n, subject in enumerate(subjects):
        record = results.get(
            "face",
            inputs_of(subject, levels),
            lambda subject=subject: measure(subject, recognisers, levels).as_json(),  # type: ignore[misc]
        )
        parts.append(Measured.from_json(record))
        if progress:
            progress(n + 1, len(subjects))
    return Measured.join(parts)


def inputs_of(subject: Subject, levels: Sequence[float] = LEVELS) -> dict[str, Any]:
    """Everything that the measurements of a face depend on, JSON-ready."""
    studio = subject.studio
    return {
        "version": VERSION,
        "generator": subject.code.generator,
        "boundaries": kept.of_boundaries(studio.boundaries),
        "scale": kept.of_scale(studio.scorer.scale),
        "code": kept.of_code(subject.code),
        "levels": list(levels),
    }


def measure(
    subject: Subject, recognisers: Recognisers, levels: Sequence[float] = LEVELS
) -> Measured:
    """One face, every Action Unit at every level; levels: rising, the first 0."""
    assert levels[0] == 0, "the first level is the unedited face"
    assert all(a < b for a, b in pairwise(levels)), "levels rise"
    scorer = subject.studio.scorer
    subject = replace(subject)  # a copy, so that its rendered scene is not kept
    units = len(facs.CODES)
    before = unedited(subject)
    person, pose, rest = recognisers.describe(before), _pose(before, scorer), scores(before, scorer)
    measured = np.zeros((units, len(levels), units))
    rows = []
    for i, code in enumerate(facs.CODES):
        table = slot_intensities({code: 1.0})
        measured[i, 0] = rest
        tables = np.array(levels[1:])[:, None, None] * table
        for k, frame in enumerate(subject.frames(tables, paste=False), 1):
            measured[i, k] = scores(frame, scorer)
        elsewhere = outside_of(subject, np.asarray(table.any(axis=0)))
        difference = np.abs(frame.astype(int) - before).max(axis=2)[elsewhere]
        found = zip(recognisers.describe(frame), person, strict=True)
        apart = [np.linalg.norm(after - unchanged) for after, unchanged in found]
        turned = np.abs(_pose(frame, scorer) - pose).max()
        rows.append((*apart, difference.max(), difference.mean(), turned))
    return Measured(measured[None], *(column[None] for column in np.array(rows, float).T))


def unedited(subject: Subject) -> Pixels:
    """The face without an edit, drawn by the pass that its edits are drawn by.

    Whole-canvas edits come from the compiled plain network, which rounds otherwise than the scene.
    """
    if subject.studio.boundaries.regional:
        return subject.scene.base
    return subject.studio.renderer.plain(subject.code.w)


def outside_of(subject: Subject, slots: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[H, W]: where the regions of the used slots ([8], `regions.SLOTS`) have no influence."""
    half = len(subject.scene.base) // 2
    none = subject.scene.regions.blend(slots, half) == 0
    return np.asarray(none.repeat(2, axis=0).repeat(2, axis=1))


def scores(frame: Pixels, scorer: score.Scorer) -> Array:
    """[12] scores of an aligned face, 0 to 5 but not clipped."""
    return scorer.scale.scores(scorer.measure(frame, _mesh(frame)))


def default_work() -> Path:
    """Where results are kept unless a folder is named."""
    from ..weights.store import cache_root

    return cache_root() / "evaluate"


def _mesh(frame: Pixels) -> landmarks.Mesh:
    mesh = landmarks.mesh_of_aligned(frame)
    assert mesh is not None, "an edited face is still a face"
    return mesh


def _pose(frame: Pixels, scorer: score.Scorer) -> Array:
    """[3] yaw, pitch and roll in degrees."""
    return measures.pose(scorer.points(frame, _mesh(frame)), scorer.scale.template)
