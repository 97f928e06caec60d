"""From a generator to its boundaries, the way the built-in files were made; resumable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import facs
from ..editing.boundaries import Boundaries, Stretch
from ..editing.edit import signed_distances
from ..editing.render import Renderer
from ..errors import InputError
from ..generators.base import Generator, many_w
from ..measuring import measures, score
from ..types import StageProgress
from . import boundaries as svm
from . import calibrate, refine, responses
from .probe import Probe

TYPICAL = 0.65  # truncation of a typical face


@dataclass(frozen=True)
class RecipeSettings:
    """faces: people whose responses are fitted. calibration: people that lengths are measured on.

    population: random faces that the score scale is taken from. refine: None leaves the SVM's
    normals as they are, and needs no recognition network. units: the Action Units that are fitted;
    the others need something to be taken from (`Kept`).
    """

    units: tuple[str, ...] = facs.CODES
    faces: int = 96
    calibration: int = 24
    population: int = 120
    svm: svm.FitSettings = field(default_factory=svm.FitSettings)
    refine: refine.RefineSettings | None = field(default_factory=refine.RefineSettings)


@dataclass(frozen=True)
class Kept:
    """What Action Units that are not fitted are taken from, to the last digit."""

    boundaries: Boundaries
    scale: score.Scale

    def normals(self, fitted: svm.Normals, units: Sequence[str]) -> svm.Normals:
        """`fitted` with these normals in place of all but `units`."""
        others = [i for i, code in enumerate(facs.CODES) if code not in units]
        normals, white = fitted.normals.copy(), fitted.white.copy()
        normals[others] = self.boundaries.normals[others]
        for i in others:
            # Intensity 1 is where the reach was; beyond it nothing was measured.
            white[i] = self.boundaries.lengths[i, -1] / facs.ACTION_UNITS[i].reach
        return replace(fitted, normals=normals, white=white)


def fit(
    generator: Generator,
    folder: Path,
    settings: RecipeSettings | None = None,
    *,
    kept: Kept | None = None,
    progress: StageProgress | None = None,
) -> tuple[Boundaries, score.Scale]:
    """Boundaries and score scale of a generator; intermediate results are kept in `folder`.

    kept: of the same generator; where the Action Units that the settings leave out come from.
    """
    settings = settings or RecipeSettings()
    if kept is None and set(settings.units) != set(facs.CODES):
        raise InputError("a fit of some Action Units needs boundaries to take the others from")
    if kept is not None:
        kept.boundaries.require_space(generator.fingerprint)
    # The same for all Action Units of one file.
    stretch = (kept and kept.boundaries.stretch) or typical(generator)
    tell = progress or (lambda stage, done, total: None)
    template, mirror = collect_share(generator, folder, settings, (0, 1), tell)
    measured = responses.load(generator, settings.faces, folder)
    if settings.refine is None:
        normals = svm.fit_normals(generator, measured, settings.svm)
    else:
        given = to_refine(generator, measured, template, stretch, settings)
        refine.Refiner(generator, given).run(
            folder, progress=lambda done, total: tell("refining", done, total)
        )
        normals = refine.refined(given, folder)
    if kept is not None:
        normals = kept.normals(normals, settings.units)
    normals, scale, lengths = _calibrate(
        generator, normals, stretch, (template, mirror), settings, kept, tell
    )
    fitted = Boundaries(
        normals=normals.normals,
        biases=_biases(measured, normals),
        lengths=lengths,
        generator=generator.fingerprint,
        provenance=_provenance(measured, normals, settings),
        stretch=stretch,
    )
    return fitted if kept is None else added(fitted, kept.boundaries, settings.units), scale


def added(fitted: Boundaries, before: Boundaries, units: Sequence[str]) -> Boundaries:
    """`before` with `units` of what was fitted."""
    new = [facs.INDEX[code] for code in units]
    normals, biases, lengths = before.normals.copy(), before.biases.copy(), before.lengths.copy()
    normals[new], biases[new], lengths[new] = (
        fitted.normals[new], fitted.biases[new], fitted.lengths[new]
    )  # fmt: skip
    gain = None if before.photo_gain is None else before.photo_gain.copy()
    if gain is not None:
        gain[new] = 1
    provenance = {**before.provenance, "added": [*_records(before), fitted.provenance]}
    return replace(
        before, normals=normals, biases=biases, lengths=lengths, photo_gain=gain,
        provenance=provenance,
    )  # fmt: skip


def _records(boundaries: Boundaries) -> list[Any]:
    """What was added to these boundaries before."""
    return list(boundaries.provenance.get("added", []))


def typical(generator: Generator) -> Stretch:
    """The stretch of a generator whose typical face is one of truncation `TYPICAL`."""
    spread = float(many_w(generator).var(dim=0).sum()) ** 0.5
    return Stretch(np.asarray(generator.w_mean.cpu().numpy(), np.float32), TYPICAL * spread)


def to_refine(
    generator: Generator,
    measured: responses.Responses,
    template: np.ndarray,
    stretch: Stretch,
    settings: RecipeSettings,
) -> refine.Given:
    """What the refinement starts from."""
    assert settings.refine is not None, "the settings want it"
    return refine.Given(
        generator.fingerprint,
        template,
        svm.fit_normals(generator, measured, settings.svm),
        svm.spread(measured.values),
        stretch,
        settings.refine,
        settings.units,
    )


def collect_share(
    generator: Generator,
    folder: Path,
    settings: RecipeSettings,
    share: tuple[int, int],
    progress: StageProgress,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill one share of the responses in `folder` (see `responses.collect`).

    Returns (template, mirror), which the scores hang on.
    """
    template, mirror = responses.mean_template(generator, lambda t: Probe(generator, t))
    responses.collect(
        generator,
        Probe(generator, template),
        settings.faces,
        folder,
        share=share,
        progress=lambda done, total: progress("responses", done, total),
    )
    return template, mirror


def _calibrate(
    generator: Generator,
    normals: svm.Normals,
    stretch: Stretch,
    mesh: tuple[np.ndarray, np.ndarray],
    settings: RecipeSettings,
    kept: Kept | None,
    tell: StageProgress,
) -> tuple[svm.Normals, score.Scale, np.ndarray]:
    """The normals without crosstalk, the scale, and the lengths. mesh: (template, mirror)."""
    template, mirror = mesh
    renderer = Renderer(generator)
    blank = np.ones(len(measures.MEASURES))
    scorer = score.Scorer(score.Scale(template, mirror, 0 * blank, blank, blank))
    measure = calibrate.measure_with(scorer)

    def curves(stage: str, of: svm.Normals) -> np.ndarray:
        return calibrate.curves(
            calibrate.open_faces(renderer, settings.calibration),
            of,
            measure,
            lambda done: tell(stage, done, settings.calibration),
            stretch=stretch,
            units=settings.units,
        )

    along = curves("calibration", normals)
    population = []
    first = calibrate.FIRST_FACE + 1_000
    for number in range(settings.population):
        (face,) = calibrate.open_faces(renderer, 1, first + 10 * number)
        population.append(measure(face.base))
        tell("population", number + 1, settings.population)
    held = None if kept is None else kept.scale
    scale = calibrate.fit_scale(
        np.stack(population), along, template, mirror, units=settings.units, kept=held
    )
    clean = calibrate.untangled(normals, along, scale, settings.units)
    lengths = calibrate.fit_lengths(curves("lengths", clean), scale, clean)
    return clean, scale, lengths


def _biases(measured: responses.Responses, normals: svm.Normals) -> np.ndarray:
    """The hyperplane of each AU passes midway between the fit's weakest and strongest thirds.

    Strength is the AU's evidence on the unedited faces; d(b, z) is then positive where it shows.
    """
    biases = np.zeros(len(facs.CODES), np.float32)
    distances = signed_distances(measured.w, normals.normals, biases)
    standard = (measured.values - measured.values.mean(axis=0)) / measured.values.std(axis=0)
    for i, code in enumerate(facs.CODES):
        wanted, _ = svm.wishes(facs.UNITS[code])
        strength = standard @ wanted
        along = distances[:, i]
        low, high = np.quantile(strength, [1 / 3, 2 / 3])
        weak, strong = along[strength <= low].mean(), along[strength >= high].mean()
        biases[i] = -(weak + strong) / 2
    return biases


def _provenance(
    measured: responses.Responses, normals: svm.Normals, settings: RecipeSettings
) -> Mapping[str, Any]:
    refined = "refined, " if settings.refine else ""
    return {
        "method": f"svm on matched pairs, projected, {refined}untangled; regional",
        "scorer": "MediaPipe Face Landmarker (face_landmarker.task): blendshapes, mesh geometry, "
        "furrows; light, colour and texture of the skin held still",
        "faces": len(measured.w),
        "first_seed": responses.FIRST_SEED,
        "settings": asdict(settings),
        "held_out_agreement": _by_code(normals.agreement),
        "held_out_leak": _by_code(normals.leak),
        "reach": {unit.code: unit.reach for unit in facs.ACTION_UNITS},
    }


def _by_code(values: np.ndarray) -> dict[str, float]:
    return {code: round(float(v), 3) for code, v in zip(facs.CODES, values, strict=True)}
