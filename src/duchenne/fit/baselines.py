"""The recipes that the default boundaries are compared with, fitted once and kept."""

from __future__ import annotations

from ..animate import Studio
from ..editing import boundaries
from ..editing.boundaries import Boundaries
from ..evaluate import kept
from ..evaluate.kept import Kept
from ..files import codes
from ..types import StageProgress
from . import paper
from .boundaries import scikit_learn

NAMES = ("paper", "conditional")
SAMPLES = 500
LENGTHS_ON = 6  # faces that the lengths are measured on
SAMPLE_FORMAT = "duchenne-samples-1"


def samples(
    studio: Studio, results: Kept, count: int = SAMPLES, progress: StageProgress | None = None
) -> paper.Samples:
    """Random faces with their scores, rendered once."""
    path = results.path("samples", _inputs(studio, count), codes.SUFFIX)
    kept_samples = codes.read_kept(path, SAMPLE_FORMAT, "scored random faces")
    if kept_samples is None:
        drawn = paper.sample(studio.renderer, studio.scorer, count, progress)
        codes.write_tensors(
            {"w": drawn.w, "scores": drawn.scores},
            {"format": SAMPLE_FORMAT, "generator": studio.generator.fingerprint},
            {"count": count},
            path,
        )
        return drawn
    tensors, _ = kept_samples
    return paper.Samples(tensors["w"], tensors["scores"])


def fit(
    name: str,
    studio: Studio,
    results: Kept,
    count: int = SAMPLES,
    lengths_on: int = LENGTHS_ON,
    progress: StageProgress | None = None,
) -> Boundaries:
    """The paper's literal recipe ("paper") or the one with projection ("conditional").

    count: random faces that it is fitted on; lengths_on: those whose response gives the lengths.
    """
    assert name in NAMES, name
    inputs = {**_inputs(studio, count), "lengths_on": lengths_on}
    path = results.path(name, inputs, codes.SUFFIX)
    if path.is_file():
        return boundaries.load_boundaries(path)
    scikit_learn("svm")  # what is missing is said before ten minutes are spent
    known = samples(studio, results, count, progress)

    def tell(stage: str, done: int, total: int) -> None:
        if progress:
            progress(f"{name}: {stage}", done, total)

    fitted = paper.fit(
        studio.renderer,
        studio.scorer,
        known,
        conditional=name == "conditional",
        faces=lengths_on,
        progress=tell,
    )
    boundaries.save_boundaries(fitted, path)
    return boundaries.load_boundaries(path)  # as rounded in the file, fresh or kept


def _inputs(studio: Studio, count: int) -> dict[str, object]:
    return {
        "generator": studio.generator.fingerprint,
        "scale": kept.of_scale(studio.scorer.scale),
        "count": count,
        "first_seed": paper.FIRST_SEED,
    }
