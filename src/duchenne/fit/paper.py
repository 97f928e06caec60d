"""The paper's literal recipe (section 3.3), and InterFaceGAN's, to compare with.

Random faces are scored; for each Action Unit a linear SVM separates the codes of neutral faces from
those of faces that show it, in W; its unit normal is the boundary, equal in all rows of W+, and
acts on the whole picture. The paper takes its AU faces from DISFA (intensity 4 and 5) and encodes
them; here they are the generator's own, chosen by score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..editing.boundaries import Boundaries
from ..editing.edit import signed_distances, transfer
from ..editing.render import Renderer
from ..errors import NoFaceFound
from ..faces.landmarks import mesh_of_aligned
from ..generators.base import draw_w, truncate
from ..measuring import score
from ..types import WIDTH, StageProgress
from .boundaries import scikit_learn
from .calibrate import measure_with

Array = NDArray[np.float64]

FIRST_SEED = 200_000
SAMPLES = 800
TRUNCATION = 0.85
SHARE = 0.15  # the strongest and the weakest faces on each side of a boundary
STEPS = 8


@dataclass(frozen=True)
class Samples:
    """w: [N, 512]; scores: [N, U], not clipped."""

    w: NDArray[np.float32]
    scores: Array


def sample(
    renderer: Renderer, scorer: score.Scorer, count: int, progress: StageProgress | None = None
) -> Samples:
    """Random faces with their scores; those without a visible face are left out."""
    generator = renderer.generator
    kept_w, kept_scores = [], []
    for number in range(count):
        drawn = draw_w(generator, FIRST_SEED + number)
        w = truncate(drawn, generator.w_mean, TRUNCATION).cpu().numpy()
        face = renderer.plain(np.repeat(w, generator.rows, axis=0))
        mesh = mesh_of_aligned(face)
        if mesh is not None:
            kept_w.append(w[0])
            kept_scores.append(scorer.scale.scores(scorer.measure(face, mesh)))
        if progress:
            progress("samples", number + 1, count)
    if not kept_w:
        raise NoFaceFound(
            f"{generator.fingerprint}: no face in {count} random pictures; boundaries need a "
            "generator of aligned (FFHQ-like) faces"
        )
    return Samples(np.stack(kept_w), np.stack(kept_scores))


def fit(
    renderer: Renderer,
    scorer: score.Scorer,
    samples: Samples,
    *,
    conditional: bool = False,
    faces: int = 8,
    progress: StageProgress | None = None,
) -> Boundaries:
    """Boundaries in W from scored samples.

    conditional: make each normal orthogonal to the other eleven (Shen et al. 2020, section 3.2).
    Every fourth sample is held out for the accuracy. Lengths are measured on `faces` samples: 1 is
    the same rise of the score, as far as it can be reached, as the default boundaries give.
    """
    held_out = np.arange(len(samples.w)) % 4 == 3
    normals = np.zeros((len(facs.CODES), WIDTH))
    biases, accuracy = np.zeros(len(facs.CODES), np.float32), {}
    for i, code in enumerate(facs.CODES):
        normals[i], biases[i], accuracy[code] = _boundary(samples, i, held_out)
    if conditional:
        normals = np.stack([_orthogonal(normals, i) for i in range(len(normals))])
    rows = renderer.generator.rows
    unit = np.repeat(normals[:, None] / np.sqrt(rows), rows, axis=1).astype(np.float32)
    lengths = _lengths(renderer, scorer, samples, unit, faces, progress)
    return Boundaries(
        normals=unit,
        biases=biases,
        lengths=lengths,
        generator=renderer.generator.fingerprint,
        regional=False,
        provenance={
            "method": "conditional projection in W" if conditional else "paper, section 3.3",
            "samples": len(samples.w),
            "first_seed": FIRST_SEED,
            "truncation": TRUNCATION,
            "held_out_accuracy": accuracy,
        },
    )


def _boundary(
    samples: Samples, unit: int, held_out: NDArray[np.bool_]
) -> tuple[Array, float, float]:
    """(unit normal [512], bias, held-out accuracy) between the weakest and the strongest faces."""
    strength = samples.scores[:, unit]
    low, high = np.quantile(strength, [SHARE, 1 - SHARE])
    chosen = (strength <= low) | (strength >= high)
    labels = strength >= high
    centre = samples.w.mean(axis=0)
    machine = scikit_learn("svm").LinearSVC(C=0.01, max_iter=100_000)
    train = chosen & ~held_out
    machine.fit(samples.w[train] - centre, labels[train])
    test = chosen & held_out
    accuracy = float(machine.score(samples.w[test] - centre, labels[test]))
    length = np.linalg.norm(machine.coef_[0])
    normal = machine.coef_[0] / length
    # W+ repeats the row: <b, w> with the normal spread over L rows is sqrt(L) times that in W.
    bias = float(machine.intercept_[0] / length - normal @ centre)
    return normal, bias, round(accuracy, 3)


def _orthogonal(normals: Array, unit: int) -> Array:
    others = np.delete(normals, unit, axis=0)
    coordinates = np.linalg.lstsq(others.T, normals[unit], rcond=None)[0]
    rest = normals[unit] - coordinates @ others
    return np.asarray(rest / np.linalg.norm(rest))


def _lengths(
    renderer: Renderer,
    scorer: score.Scorer,
    samples: Samples,
    unit: NDArray[np.float32],
    faces: int,
    progress: StageProgress | None,
) -> NDArray[np.float32]:
    """[U, 1]: where the mean score has risen by FULL less a FACS step, or the data's extent."""
    measure = measure_with(scorer)
    distances = signed_distances(samples.w, unit, np.zeros(len(unit)))
    lengths = np.zeros((len(unit), 1), np.float32)
    for i, normal in enumerate(unit):
        along = distances[:, i]
        extent = 2 * (np.quantile(along, 0.99) - np.quantile(along, 0.5))
        rises = np.zeros(STEPS + 1)
        for w in samples.w[:faces]:
            rows = np.repeat(w[None], len(normal), axis=0)
            for k in range(STEPS + 1):
                moved = transfer(rows, np.array([k / STEPS * extent]), normal[None])
                rises[k] += scorer.scale.scores(measure(renderer.plain(moved)))[i] / faces
        rises -= rises[0]
        reached = np.flatnonzero(rises >= facs.FULL - 1)
        lengths[i] = extent * (reached[0] if len(reached) else STEPS) / STEPS
        if progress:
            progress("lengths", i + 1, len(unit))
    return lengths
