"""What makes an edit good, as numbers; arrays in, arrays out.

Throughout, `scores` is [F, U, K, U]: faces, edited Action Unit, levels (the first is the unedited
face), measured Action Unit; on the scale 0 to 5, not clipped. `codes` names the U Action Units.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from .. import facs

Array = NDArray[np.float64]

RESPONDS = 0.5  # half a FACS step: the smallest change that counts as an answer


def change(scores: Array) -> Array:
    """[F, U, U] measured change from the unedited face to the strongest level."""
    return np.asarray(scores[:, :, -1] - scores[:, :, 0])


def own_change(scores: Array) -> Array:
    """[F, U] measured change of the target itself."""
    return np.diagonal(change(scores), axis1=1, axis2=2)


def response_rate(scores: Array) -> Array:
    """[U] part of the faces whose target AU rises by at least RESPONDS."""
    return np.asarray((own_change(scores) >= RESPONDS).mean(axis=0))


def monotonicity(scores: Array) -> Array:
    """[U] mean over faces of Spearman's rank correlation of level and target score."""
    faces, units, levels, _ = scores.shape
    result = np.zeros((faces, units))
    for f in range(faces):
        for i in range(units):
            curve = scores[f, i, :, i]
            flat = np.ptp(curve) < 1e-9
            result[f, i] = 0.0 if flat else spearmanr(np.arange(levels), curve).statistic
    return np.asarray(result.mean(axis=0))


def leakage_matrix(scores: Array) -> Array:
    """[U, U] mean size of every AU's change, relative to the target's (row) mean change.

    A target that hardly moves counts as RESPONDS, so that the ratio stays a number.
    """
    moved = change(scores)
    own = np.maximum(own_change(scores).mean(axis=0), RESPONDS)
    return np.asarray(np.abs(moved).mean(axis=0) / own[:, None])


def leakage(scores: Array, codes: Sequence[str] = facs.CODES) -> Array:
    """[U] mean over the Action Units that are not kin of the target of `leakage_matrix`."""
    matrix = leakage_matrix(scores)
    return np.array([matrix[i, ~_related(code, codes)].mean() for i, code in enumerate(codes)])


def leads(scores: Array, codes: Sequence[str] = facs.CODES) -> Array:
    """[U] part of the faces where the target's change is the largest among the AUs not its kin."""
    return np.asarray((own_change(scores) > strongest_other(scores, codes)).mean(axis=0))


def strongest_other(scores: Array, codes: Sequence[str] = facs.CODES) -> Array:
    """[F, U] the largest change, up or down, among the AUs that are not kin of the target."""
    moved = np.abs(change(scores))
    columns = [moved[:, i, ~_related(code, codes)].max(axis=1) for i, code in enumerate(codes)]
    return np.stack(columns, axis=1)


def linearity(scores: Array) -> Array:
    """[U] largest distance of the mean target curve from a straight line, relative to its rise."""
    result = np.zeros(scores.shape[1])
    for i in range(len(result)):
        curve = scores[:, i, :, i].mean(axis=0)
        line = np.linspace(curve[0], curve[-1], len(curve))
        result[i] = np.abs(curve - line).max() / max(abs(curve[-1] - curve[0]), 1e-9)
    return result


def agreement(scores: Array, levels: Sequence[float]) -> tuple[Array, Array]:
    """([U] correlation, [U] slope) of the measured change with the asked intensity.

    Over all faces and levels; the change is on the scale of intensities (score / 5), so a slope of
    1 means that asking for the full action gives it on the average face.
    """
    asked = np.tile(np.array(levels), len(scores))
    correlation, slope = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for i in range(len(slope)):
        risen = (scores[:, i, :, i] - scores[:, i, :1, i]).ravel() / facs.FULL
        flat = np.ptp(risen) < 1e-9
        correlation[i] = 0.0 if flat else np.corrcoef(asked, risen)[0, 1]
        slope[i] = asked @ risen / (asked @ asked)
    return correlation, slope


def _related(code: str, codes: Sequence[str]) -> NDArray[np.bool_]:
    return np.isin(codes, (code, *facs.UNITS[code].kin))
