"""The method with one part taken away at a time, made with the fit's own functions.

- *not refined*: the projected normals, without the descent on edits (`fit.refine`) and without
  taking out crosstalk (`fit.calibrate.untangled`), which none of the others has either.
- *no regions*: the same normals move the whole code instead of acting inside the regions.
- *no projection*: the SVM's normal as it is (`FitSettings.purity` 0).
- *one row (W)*: all edited rows get the same offset, as in the paper's space W. The fit sees, for
  every row, the mean slope over the rows; its solution is then the same in every row.
- *no row restriction*: that offset in all rows of the code, whole canvas, to be compared with
  *one row (W), no regions*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from duchenne import facs
from duchenne.animate import Studio, Subject
from duchenne.editing.boundaries import Boundaries, slot_intensities
from duchenne.editing.layout import editable_rows
from duchenne.evaluate import harness
from duchenne.fit import boundaries as svm
from duchenne.fit import recipe, responses
from duchenne.fit.responses import Responses
from duchenne.types import StageProgress

FULL_METHOD = "not refined"
NO_REGIONS = "no regions of influence"
NO_PROJECTION = "no projection"
ONE_ROW = "W instead of W+"
ONE_ROW_WHOLE = "W instead of W+, no regions"
NO_ROWS = "W, no regions, no row restriction"
NAMES = (FULL_METHOD, NO_REGIONS, NO_PROJECTION, ONE_ROW, ONE_ROW_WHOLE, NO_ROWS)
STEPS = (1 / 3, 2 / 3, 1.0)  # of a variant's reach, where its response is measured

Array = NDArray[np.float64]


def collect(studio: Studio, folder: Path, faces: int, progress: StageProgress) -> Responses:
    """The responses of `faces` people; those in the folder are not computed again."""
    settings = recipe.RecipeSettings(faces=faces)
    recipe.collect_share(studio.generator, folder, settings, (0, 1), progress)
    return responses.load(studio.generator, faces, folder)


def fit(studio: Studio, measured: Responses) -> dict[str, Boundaries]:
    """Every variant from the same responses; its length 1 is the reach of its AU."""
    generator = studio.generator
    rows = editable_rows(generator)
    settings = svm.FitSettings()
    whole = svm.fit_normals(generator, measured, settings)
    impure = svm.fit_normals(generator, measured, replace(settings, purity=0.0))
    mean = measured.slopes.mean(axis=3, keepdims=True)
    tied = replace(measured, slopes=np.broadcast_to(mean, measured.slopes.shape))
    one_row = svm.fit_normals(generator, tied, settings)
    normal = one_row.normals[:, rows.start : rows.start + 1]  # [U, 1, 512], as in all of them
    everywhere = np.repeat(normal, generator.rows, axis=1)
    longer = np.sqrt(generator.rows / len(rows))  # the same length in each row
    return {
        FULL_METHOD: _boundaries(studio, whole.normals, whole.white),
        NO_REGIONS: _boundaries(studio, whole.normals, whole.white, regional=False),
        NO_PROJECTION: _boundaries(studio, impure.normals, impure.white),
        ONE_ROW: _boundaries(studio, one_row.normals, one_row.white),
        ONE_ROW_WHOLE: _boundaries(studio, one_row.normals, one_row.white, regional=False),
        NO_ROWS: _boundaries(studio, everywhere, one_row.white * longer, regional=False),
    }


def _boundaries(
    studio: Studio, normals: NDArray[np.float32], white: Array, regional: bool = True
) -> Boundaries:
    norms = np.linalg.norm(normals.reshape(len(normals), -1), axis=1)[:, None, None]
    reach = np.array([unit.reach for unit in facs.ACTION_UNITS])
    return Boundaries(
        normals=(normals / norms).astype(np.float32),
        biases=np.zeros(len(normals), np.float32),
        lengths=(reach * white)[:, None].astype(np.float32),
        generator=studio.generator.fingerprint,
        regional=regional,
        provenance={"method": "a variant of the ablations"},
    )


def matched(
    boundaries: Boundaries, people: Sequence[Subject], wanted: Array
) -> Mapping[str, Array]:
    """Lengths at which every AU changes by as much as wanted on these people.

    wanted: [U] mean change of the target's score. Returns `lengths` [U], no longer than the
    boundaries', and `reached` [U], the change there as a part of the wanted one.
    """
    steps = np.concatenate([[0.0], STEPS])
    curves = np.zeros((len(people), len(facs.CODES), len(steps)))
    for f, given in enumerate(people):
        person = replace(given, studio=given.studio.replace(boundaries=boundaries))
        scorer = person.studio.scorer
        rest = harness.scores(harness.unedited(person), scorer)
        for i, code in enumerate(facs.CODES):
            tables = steps[1:, None, None] * slot_intensities({code: 1.0})
            for k, frame in enumerate(person.frames(tables, paste=False), 1):
                curves[f, i, k] = harness.scores(frame, scorer)[i] - rest[i]
    response = np.maximum.accumulate(curves.mean(axis=0), axis=1)
    lengths, reached = np.zeros(len(wanted)), np.zeros(len(wanted))
    for i in range(len(wanted)):
        share = np.interp(wanted[i], response[i] + 1e-9 * steps, steps)
        lengths[i] = share * float(boundaries.lengths[i, -1])
        reached[i] = min(response[i, -1] / max(wanted[i], 1e-9), 1.0)
    return {"lengths": lengths, "reached": reached}
