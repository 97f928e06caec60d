"""Every Action Unit at several levels on faces that no fit has seen, for several boundaries.

Each face under each method is one unit of work, kept as JSON (`Kept`): a run can be interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..animate import Studio, Subject
from ..editing.boundaries import slot_intensities
from ..faces import landmarks
from ..measuring import measures, score
from ..measuring.identity import JUDGES, Network
from ..types import Pixels, StepProgress
from ..weights.store import cache_root
from . import kept, metrics
from .kept import Kept

Array = NDArray[np.float64]

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
FIRST_SEED = 300_000  # held-out identities; fits use `responses.FIRST_SEED` and up to 100,000 more
TRUNCATION = 0.6
VERSION = 3  # of what `measure` does: results of another one are not taken for these


@dataclass(frozen=True)
class Measured:
    """What edits did to F faces, K levels each, the first being the unedited face.

    scores: [F, U, K, U]. last: name -> [F, U] at the last level: for the key of each judge of
    identity its distance; `outside`, the largest change in grey levels where the AU has no
    influence; `background`, the mean change there; `turned`, of the head pose in degrees. codes: of
    the U Action Units.
    """

    scores: Array
    last: Mapping[str, Array]
    codes: tuple[str, ...] = facs.CODES

    def __len__(self) -> int:
        return len(self.scores)

    def table(self) -> Mapping[str, Mapping[str, float]]:
        """Name of the metric -> AU -> value."""
        columns = {
            "responds": metrics.response_rate(self.scores),
            "monotone": metrics.monotonicity(self.scores),
            "leads": metrics.leads(self.scores, self.codes),
            "leakage": metrics.leakage(self.scores, self.codes),
            "change": metrics.own_change(self.scores).mean(axis=0),
            "nonlinear": metrics.linearity(self.scores),
        }
        for judge in JUDGES.values():
            distances = self.last[judge.key]
            columns[f"{judge.key}_95"] = np.quantile(distances, 0.95, axis=0)
            columns[f"{judge.key}_ok"] = (distances < judge.limit).mean(axis=0)
        columns["outside"] = self.last["outside"].max(axis=0)
        columns |= {name: self.last[name].mean(axis=0) for name in ("background", "turned")}
        return {
            name: {code: round(float(v), 4) for code, v in zip(self.codes, values, strict=True)}
            for name, values in columns.items()
        }

    def among(self, codes: Sequence[str]) -> Measured:
        """As if there were only these Action Units: neither asked nor seen are the others."""
        places = [self.codes.index(code) for code in codes]
        last = {name: values[:, places] for name, values in self.last.items()}
        return Measured(self.scores[:, places][..., places], last, tuple(codes))

    def as_json(self) -> dict[str, Any]:
        """Nested lists, to four digits."""
        arrays = {"scores": self.scores, **self.last}
        return {name: np.round(array, 4).tolist() for name, array in arrays.items()}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Measured:
        """The inverse of `as_json`, to its precision."""
        arrays = {name: np.array(values, float) for name, values in record.items()}
        return Measured(arrays.pop("scores"), arrays)

    @staticmethod
    def join(parts: Sequence[Measured]) -> Measured:
        """The faces of all parts, in order."""
        last = {name: np.concatenate([part.last[name] for part in parts]) for name in parts[0].last}
        return Measured(np.concatenate([part.scores for part in parts]), last)


def open_judges() -> dict[str, Network]:
    """Key -> network of every judge of identity; WeightsError where one cannot be had."""
    return {judge.key: judge.open() for judge in JUDGES.values()}


def held_out(studio: Studio, count: int, first: int = 0) -> list[Subject]:
    """Synthetic people whose seeds no fit uses: `count` of them, from the number `first` on."""
    seeds = range(FIRST_SEED + first, FIRST_SEED + first + count)
    return [studio.sample(seed, truncation=TRUNCATION) for seed in seeds]


def evaluate(
    subjects: Sequence[Subject],
    judges: Mapping[str, Network],
    results: Kept,
    *,
    levels: Sequence[float] = LEVELS,
    progress: StepProgress | None = None,
) -> Measured:
    """Edit, render and measure every subject with its studio's boundaries; kept units are read."""
    parts = []
    for n, subject in enumerate(subjects):
        record = results.get(
            "face",
            inputs_of(subject, levels),
            lambda subject=subject: measure(subject, judges, levels).as_json(),  # type: ignore[misc]
        )
        parts.append(Measured.from_json(record))
        if progress:
            progress(n + 1, len(subjects))
    return Measured.join(parts)


def inputs_of(subject: Subject, levels: Sequence[float] = LEVELS) -> dict[str, Any]:
    """Everything that the measurements of a face depend on, JSON-ready."""
    studio = subject.studio
    photo = {"photo": kept.of_pixels(unedited(subject))} if subject.moves else {}
    return {
        "version": VERSION,
        "judges": list(JUDGES),
        "generator": subject.code.generator,
        "boundaries": kept.of_boundaries(studio.boundaries),
        "scale": kept.of_scale(studio.scorer.scale),
        "code": kept.of_code(subject.code),
        **photo,
        "levels": list(levels),
    }


def measure(
    subject: Subject, judges: Mapping[str, Network], levels: Sequence[float] = LEVELS
) -> Measured:
    """One face, every Action Unit at every level; levels: rising, the first 0."""
    assert levels[0] == 0, "the first level is the unedited face"
    assert all(a < b for a, b in pairwise(levels)), "levels rise"
    scorer = subject.studio.scorer
    subject = replace(subject)  # a copy, so that its rendered scene is not kept
    units = len(facs.CODES)
    before = unedited(subject)
    pose, rest = pose_of(before, scorer), scores(before, scorer)
    person = {key: network.describe(before) for key, network in judges.items()}
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
        row = {key: np.linalg.norm(n.describe(frame) - person[key]) for key, n in judges.items()}
        turned = np.abs(pose_of(frame, scorer) - pose).max()
        row |= {"outside": difference.max(), "background": difference.mean(), "turned": turned}
        rows.append(row)
    columns = {name: np.array([[row[name] for row in rows]], float) for name in rows[0]}
    return Measured(measured[None], columns)


def unedited(subject: Subject) -> Pixels:
    """The face without an edit, drawn by the pass that its edits are drawn by; or the photo.

    Whole-canvas edits come from the compiled plain network, which rounds otherwise than the scene.
    """
    if subject.moves or subject.studio.boundaries.regional:
        return subject.edit({})
    return subject.studio.renderer.plain(subject.code.w)


def outside_of(subject: Subject, slots: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[H, W]: where the regions of the used slots ([8], `regions.SLOTS`) have no influence."""
    half = subject.studio.generator.size // 2
    none = subject.face_regions.blend(slots, half) == 0
    return np.asarray(none.repeat(2, axis=0).repeat(2, axis=1))


def scores(frame: Pixels, scorer: score.Scorer) -> Array:
    """[U] scores of an aligned face, 0 to 5 but not clipped."""
    return scorer.scale.scores(scorer.measure(frame, mesh_of(frame)))


def default_work() -> Path:
    """Where results are kept unless a folder is named."""
    return cache_root() / "evaluate"


def mesh_of(frame: Pixels) -> landmarks.Mesh:
    mesh = landmarks.mesh_of_aligned(frame)
    assert mesh is not None, "an edited face is still a face"
    return mesh


def pose_of(frame: Pixels, scorer: score.Scorer) -> Array:
    """[3] yaw, pitch and roll in degrees."""
    return measures.pose(scorer.points(frame, mesh_of(frame)), scorer.scale.template)
