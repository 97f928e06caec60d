"""Boundaries from labelled codes: section 3.3 of the paper on faces that somebody else has coded.

The paper takes faces that certified coders found an Action Unit on, encodes them, and separates
their codes from those of neutral faces by a linear SVM; the unit normal b is the boundary, and
e = d(b, z) says how far a face is beyond it. `paper` does just that, in all of W+; `conditional`
makes every normal orthogonal to the others (Shen et al. 2020). `pairs`, the default, keeps what the
built-in boundaries have beyond the paper, as far as labels can give it:

- a person who was coded both neutral and with the Action Unit is compared with nobody else: codes
  are centred on each person, so that identity cancels. Where no person was coded both ways, all
  faces count as one person's, and identity stays in the result;
- the normal lives in the rows that edits use, is found where W is white, and acts inside the
  Action Unit's region of influence;
- a soft projection takes the directions of other Action Units of the same region out of it, but
  for those that anatomy ties to it (`tied`);
- lengths are measured on rendered faces (`fit.calibrate`) where a scorer is given; else they are
  the distances between the labelled faces.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..editing.boundaries import Boundaries
from ..editing.edit import signed_distances
from ..editing.layout import editable_rows
from ..editing.render import Renderer
from ..errors import InputError
from ..generators.base import Generator
from ..measuring import score
from ..types import WIDTH, StageProgress
from . import boundaries as svm
from . import calibrate
from .labels import AU_FACE, NEUTRAL, UNUSED, Labelled

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

METHODS = ("pairs", "paper", "conditional")


@dataclass(frozen=True)
class LabelledSettings:
    """components: principal components of W that a row may move along (pairs).

    margin, plain_margin: C of the SVM, for codes scaled to a mean length of 1 (pairs), and as they
        are.
    purity: how much of another Action Unit's direction is taken out (pairs); 4 leaves a fifth.
    folds: groups of people for the held-out numbers.
    calibration: rendered faces on which lengths are measured.
    """

    components: int = 160
    margin: float = 0.1
    plain_margin: float = 0.01
    purity: float = 4.0
    folds: int = 5
    calibration: int = 8


# ---------------------------------------------------------------- directions


@dataclass(frozen=True)
class _Space:
    """The coordinates [D] in which a method separates codes."""

    generator: Generator
    method: str
    settings: LabelledSettings

    @cached_property
    def _basis(self) -> NDArray[np.float32]:
        return svm.whitening(self.generator, self.settings.components)

    def coordinates(self, w: NDArray[np.float32]) -> Array:
        """[N, L, 512] -> [N, D]."""
        if self.method != "pairs":
            return w.reshape(len(w), -1).astype(np.float64)
        rows = editable_rows(self.generator)
        back = self._basis / np.square(self._basis).sum(axis=1, keepdims=True)
        white = w[:, rows.start : rows.stop].astype(np.float64) @ back.T
        return np.asarray(white.reshape(len(w), -1))

    def normals(self, units: Array) -> tuple[NDArray[np.float32], Array]:
        """[U, D] -> ([U, L, 512] of unit length or zero, [U] length of one unit in W+)."""
        shape = (len(units), self.generator.rows, WIDTH)
        if self.method != "pairs":
            return units.reshape(shape).astype(np.float32), np.ones(len(units))
        rows = editable_rows(self.generator)
        inside = units.reshape(len(units), len(rows), -1) @ self._basis
        white = np.linalg.norm(inside.reshape(len(units), -1), axis=1)
        normals = np.zeros(shape, np.float32)
        normals[:, rows.start : rows.stop] = inside / np.where(white == 0, 1, white)[:, None, None]
        return normals, white


def tied(unit: facs.ActionUnit, other: facs.ActionUnit) -> bool:
    """Whether most of the other Action Unit's evidence moves with this one by anatomy."""
    known = {*unit.tied, *unit.evidence}
    weights = {name: abs(weight) for name, weight in other.evidence.items()}
    return sum(w for name, w in weights.items() if name in known) >= sum(weights.values()) / 2


@dataclass(frozen=True)
class _Planes:
    """Hyperplanes <normals, w> + biases = 0; zero where there are no examples.

    normals: [U, L, 512]; white: [U], see `fit.boundaries.Normals`; biases: [U].
    """

    normals: NDArray[np.float32]
    white: Array
    biases: Array


def _find_planes(y: Array, data: Labelled, space: _Space) -> _Planes:
    """The boundaries that these faces give. y: [N, D], their coordinates."""
    units, biases = np.zeros((len(facs.CODES), y.shape[1])), np.zeros(len(facs.CODES))
    for i in range(len(units)):
        used = data.roles[:, i] != UNUSED
        labels = data.roles[used, i]
        if len(set(labels.tolist())) == 2:
            people = data.people[used] if space.method == "pairs" else np.full(len(labels), "")
            units[i], biases[i] = _separate(y[used], labels, people, space)
    if space.method == "paper":
        return _Planes(*space.normals(units), biases)
    normals, white = space.normals(_released(units, space))
    return _Planes(normals, white, _midway(signed_distances(data.w, normals, 0 * biases), data))


def _separate(
    y: Array, labels: NDArray[np.int8], people: NDArray[np.str_], space: _Space
) -> tuple[Array, float]:
    """(unit normal [D], bias) of the SVM between neutral and AU codes."""
    if space.method == "pairs":
        y, kept = _centred(y, labels, people)
        y, labels = y[kept] / np.linalg.norm(y[kept], axis=1).mean(), labels[kept]
    centre = y.mean(axis=0)
    machine = svm.scikit_learn("svm").LinearSVC(
        C=space.settings.margin if space.method == "pairs" else space.settings.plain_margin,
        class_weight="balanced",  # neutral faces are many
        fit_intercept=space.method != "pairs",
        random_state=0,
        max_iter=100_000,
    )
    machine.fit(y - centre if machine.fit_intercept else y, labels)
    length = np.linalg.norm(machine.coef_[0])
    unit = machine.coef_[0] / length
    return unit, float(np.ravel(machine.intercept_)[0] / length - unit @ centre)


def _centred(y: Array, labels: NDArray[np.int8], people: NDArray[np.str_]) -> tuple[Array, Flags]:
    """(codes around the middle between each person's two groups, which codes have one)."""
    both = [p for p in np.unique(people) if len(set(labels[people == p].tolist())) == 2]
    groups = [people == p for p in both] or [np.ones(len(y), bool)]
    centred = np.zeros_like(y)
    for group in groups:
        ends = [y[group & (labels == role)].mean(axis=0) for role in (AU_FACE, NEUTRAL)]
        centred[group] = y[group] - (ends[0] + ends[1]) / 2
    return centred, np.any(groups, axis=0)


def _released(units: Array, space: _Space) -> Array:
    """The normals without the directions of the others; see the module's docstring."""
    result = np.zeros_like(units)
    for i, unit in enumerate(facs.ACTION_UNITS):
        others = [
            units[j]
            for j, other in enumerate(facs.ACTION_UNITS)
            if j != i and units[j].any() and (space.method == "conditional" or _rival(unit, other))
        ]
        if not others or not units[i].any():
            result[i] = units[i]
            continue
        stacked = np.stack(others)
        softness = 0.0 if space.method == "conditional" else 1 / space.settings.purity
        # n - O^T (O O^T + s I)^-1 O n, which is (I + O^T O / s)^-1 n; s = 0 is the projection.
        gram = stacked @ stacked.T + softness * np.eye(len(stacked))
        rest = units[i] - stacked.T @ np.linalg.lstsq(gram, stacked @ units[i])[0]
        result[i] = rest / np.linalg.norm(rest)
    return result


def _rival(unit: facs.ActionUnit, other: facs.ActionUnit) -> bool:
    """Whether the other one acts in the same region without being tied to this one."""
    return unit.area == other.area and not tied(unit, other)


# ---------------------------------------------------------------- the fit


def fit(
    renderer: Renderer,
    data: Labelled,
    *,
    method: str = "pairs",
    scorer: score.Scorer | None = None,
    settings: LabelledSettings | None = None,
    provenance: dict[str, Any] | None = None,
    progress: StageProgress | None = None,
) -> Boundaries:
    """Boundaries from labelled codes.

    method: one of METHODS. scorer: measures the lengths of `pairs` on rendered faces; None takes
    the labelled distances. An Action Unit without examples gets no boundary: a warning says so, and
    the provenance why. Raises InputError if none has any.
    """
    assert method in METHODS, method
    settings, tell = settings or LabelledSettings(), progress or (lambda *_: None)
    space = _Space(renderer.generator, method, settings)
    missing = _missing(data)
    y = space.coordinates(data.w)
    planes = _find_planes(y, data, space)
    apart = signed_distances(data.w, planes.normals, planes.biases)
    gaps = _gaps(apart, data)
    lengths = np.outer(gaps, np.arange(1, calibrate.KNOTS + 1) / calibrate.KNOTS)
    source = np.where(gaps == 0, "none", "labelled faces")
    if scorer is not None and method == "pairs":
        measured = _measured(renderer, scorer, planes, settings.calibration, tell)
        respond = (measured[:, -1] > 0) & (gaps > 0)
        lengths[respond], source[respond] = measured[respond], "rendered faces"
        for code in np.array(facs.CODES)[~respond & (gaps > 0)]:
            log.warning("%s: does not answer on rendered faces; its length is the labelled", code)
    held_out = _held_out(y, data, space, tell)
    return Boundaries(
        normals=planes.normals,
        biases=planes.biases.astype(np.float32),
        lengths=lengths.astype(np.float32),
        generator=renderer.generator.fingerprint,
        regional=method == "pairs",
        provenance={
            "method": _described(method),
            "settings": asdict(settings),
            **(provenance or {}),
            "faces": len(data.w),
            "people": len(np.unique(data.people)),
            "missing": missing,
            "action_units": {
                code: {
                    **_described_unit(apart[:, i], data, i),
                    **held_out[i],
                    "lengths_from": str(source[i]),
                }
                for i, code in enumerate(facs.CODES)
                if code not in missing
            },
        },
    )


def _missing(data: Labelled) -> dict[str, str]:
    """AU code -> why it gets no boundary."""
    missing = {}
    for i, code in enumerate(facs.CODES):
        shown = data.roles[:, i] == AU_FACE
        if not shown.any():
            missing[code] = "no face shows it strongly enough, or it was not coded"
        elif not (data.roles[:, i] == NEUTRAL).any():
            missing[code] = "no neutral face to compare with"
        elif len(np.unique(data.people[shown])) == 1:
            log.warning("%s: only one person shows it; its boundary may be that person's", code)
    if len(missing) == len(facs.CODES):
        reasons = " and ".join(dict.fromkeys(missing.values()))
        raise InputError(
            f"no Action Unit can be fitted: {reasons} among {len(data.w)} faces; give more "
            "faces or lower the intensity that counts as strong"
        )
    for code, reason in missing.items():
        log.warning("%s: %s; these boundaries will not have it", code, reason)
    return missing


def _measured(
    renderer: Renderer,
    scorer: score.Scorer,
    planes: _Planes,
    faces: int,
    tell: StageProgress,
) -> Array:
    """[U, KNOTS] lengths from edits of rendered faces; zero where nothing answers."""
    unknown = np.zeros(len(facs.CODES))
    normals = svm.Normals(planes.normals, planes.white, agreement=unknown, leak=unknown)
    along = calibrate.curves(
        calibrate.open_faces(renderer, faces),
        normals,
        calibrate.measure_with(scorer),
        lambda done: tell("calibration", done, faces),
    )
    return np.asarray(calibrate.fit_lengths(along, scorer.scale, normals), np.float64)


def _midway(along: Array, data: Labelled) -> Array:
    """[U]: hyperplanes midway between the neutral and the AU faces."""
    biases = np.zeros(along.shape[1])
    for i, column in enumerate(along.T):
        ends = [column[data.roles[:, i] == role] for role in (AU_FACE, NEUTRAL)]
        if all(map(len, ends)):
            biases[i] = -(ends[0].mean() + ends[1].mean()) / 2
    return biases


def _gaps(apart: Array, data: Labelled) -> Array:
    """[U]: mean distance of an AU face from the same person's neutral ones, or from all."""
    gaps = np.zeros(apart.shape[1])
    for i, column in enumerate(apart.T):
        shown, neutral = (data.roles[:, i] == role for role in (AU_FACE, NEUTRAL))
        rises = (column - _own_neutral(column, data, i))[shown]
        if shown.any() and neutral.any():
            everybody = column[shown].mean() - column[neutral].mean()
            rise = everybody if np.isnan(rises).all() else np.nanmean(rises)
            gaps[i] = max(0.0, float(rise))
    return gaps


def _own_neutral(column: Array, data: Labelled, unit: int) -> Array:
    """[N] mean over the same person's neutral faces; NaN where there is none."""
    neutral = (data.roles[:, unit] == NEUTRAL) & ~np.isnan(column)
    own = np.full(len(column), np.nan)
    for person in np.unique(data.people[neutral]):
        same = data.people == person
        own[same] = column[same & neutral].mean()
    return own


# ---------------------------------------------------------------- what is reported


def _held_out(y: Array, data: Labelled, space: _Space, tell: StageProgress) -> list[dict[str, Any]]:
    """For each Action Unit, how well distances tell faces of people whom the fit has not seen."""
    people = np.unique(data.people)
    folds = min(space.settings.folds, len(people))
    fold = np.searchsorted(people, data.people) % folds
    apart = np.full(data.roles.shape, np.nan)
    for k in range(folds if folds > 1 else 0):
        seen = fold != k
        planes = _find_planes(y[seen], data.only(seen), space)
        known = planes.normals.any(axis=(1, 2))
        distances = signed_distances(data.w[~seen], planes.normals, planes.biases)
        apart[np.ix_(~seen, known)] = distances[:, known]
        tell("held-out people", k + 1, folds)
    return [_judged(apart[:, i], data, i) for i in range(len(facs.CODES))]


def _judged(column: Array, data: Labelled, unit: int) -> dict[str, Any]:
    roles = data.roles[:, unit]
    judged = (roles != UNUSED) & ~np.isnan(column)
    labels, distances = roles[judged], column[judged]
    if len(set(labels.tolist())) < 2:
        return {"held_out_auc": None, "held_out_accuracy": None, "held_out_agreement": None}
    hits = [(distances[labels == role] > 0).mean() for role in (AU_FACE, NEUTRAL)]
    own = _own_neutral(column, data, unit)
    pairs = (roles == AU_FACE) & judged & ~np.isnan(own)
    agreement = (column[pairs] > own[pairs]).mean() if pairs.any() else None
    return {
        "held_out_auc": round(
            float(svm.scikit_learn("metrics").roc_auc_score(labels, distances)), 3
        ),
        "held_out_accuracy": round(float(hits[0] + 1 - hits[1]) / 2, 3),
        "held_out_agreement": None if agreement is None else round(float(agreement), 3),
    }


def _described_unit(column: Array, data: Labelled, unit: int) -> dict[str, Any]:
    shown, neutral = (column[data.roles[:, unit] == role] for role in (AU_FACE, NEUTRAL))
    people = np.unique(data.people[data.roles[:, unit] == AU_FACE])
    return {
        "au_faces": len(shown),
        "neutral_faces": len(neutral),
        "people": len(people),
        "distance_au": [round(float(x), 3) for x in (shown.mean(), shown.std())],
        "distance_neutral": [round(float(x), 3) for x in (neutral.mean(), neutral.std())],
    }


def _described(method: str) -> str:
    return {
        "pairs": "svm on labelled codes centred on each person, projected; regional",
        "paper": "paper, section 3.3, on labelled codes",
        "conditional": "paper, section 3.3, on labelled codes; conditional projection",
    }[method]
