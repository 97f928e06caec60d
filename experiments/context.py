"""What the experiments share: settings, people, methods, judges, the folder of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duchenne import demo
from duchenne.animate import Studio, Subject
from duchenne.errors import WeightsError
from duchenne.evaluate import harness, kept
from duchenne.evaluate.kept import Kept
from duchenne.faces import align
from duchenne.files import pictures
from duchenne.files.pictures import SourceType
from duchenne.fit import baselines
from duchenne.measuring.dlib_identity import Recogniser
from duchenne.measuring.expression_classifier import NAME as FER
from duchenne.measuring.expression_classifier import ExpressionClassifier
from duchenne.measuring.face_api import NAME as FACE_API
from duchenne.measuring.face_api import FaceApiClassifier
from duchenne.measuring.identity import Network
from duchenne.types import AlignedFace, StageProgress

from . import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the estimates hang on: seconds of drawing a frame, of scoring one, of describing a face, of
# opening one, of encoding a photo. Processor time of one core, rounded up; two cores are faster.
FRAME, SCORE, DESCRIBE, OPEN, ENCODE = 0.25, 0.06, 0.08, 1.1, 120.0


Classifier = ExpressionClassifier | FaceApiClassifier


@dataclass(frozen=True)
class Settings:
    """How much is measured; every record says what it was made with.

    identities: held-out people that tables are made on. shown: people in figures. frames: of a
    film strip. film: frames of the animations whose smoothness is measured. samples: random faces
    of the distances and of the recipes; with 0 expressions are judged without a recipe. lengths_on:
    those that give the recipes' lengths.
    encoded: generated faces that are encoded, beside the photos.
    others: held-out people, not those of the tables, of the figures that others report.
    of_set: held-out people in each of the sets that show how much hangs on who they are.
    sorted: held-out people that are sorted into groups.
    responses: faces that the ablations are fitted on. compared: people that they are measured on.
    responses_folder: where `fit boundaries --work` left the responses of its faces; None is its
    default folder; those missing are collected. photos: files to judge beside the demo's photo.
    seed: of what is chosen at random.
    """

    identities: int = 24
    shown: int = 5
    frames: int = 7
    film: int = 24
    samples: int = baselines.SAMPLES
    lengths_on: int = baselines.LENGTHS_ON
    responses: int = 24
    compared: int = 6
    encoded: int = 1
    others: int = 12
    sorted: int = 240
    of_set: int = 12
    responses_folder: Path | None = None
    photos: tuple[str, ...] = ()
    seed: int = 8


QUICK = Settings(
    identities=2,
    shown=2,
    frames=3,
    film=4,
    samples=120,
    lengths_on=1,
    responses=6,
    compared=2,
    others=2,
    sorted=4,
    of_set=2,
)
"""To see that everything runs; its numbers say nothing."""


@dataclass(frozen=True)
class Context:
    """studio: the built-in generator with its boundaries. output: where figures and JSON go.

    results: what is kept between runs. progress: called with (stage, done, total).
    """

    studio: Studio
    output: Path
    results: Kept
    settings: Settings = field(default_factory=Settings)
    progress: StageProgress = lambda stage, done, total: None

    @cached_property
    def recogniser(self) -> Recogniser:
        """dlib, where one judge of identity is enough."""
        return Recogniser()

    @cached_property
    def judges(self) -> dict[str, Network]:
        """Every judge of identity."""
        return harness.open_judges()

    @cached_property
    def classifier(self) -> ExpressionClassifier | None:
        """The first outside judge of expressions; None where its network cannot be had."""
        try:
            return ExpressionClassifier()
        except WeightsError:
            return None

    @cached_property
    def classifiers(self) -> Mapping[str, Classifier]:
        """Name -> outside judge of expressions; those whose networks can be had."""
        found: dict[str, Classifier] = {}
        if self.classifier is not None:
            found[FER] = self.classifier
        with suppress(WeightsError):
            found[FACE_API] = FaceApiClassifier()
        return found

    @cached_property
    def photo(self) -> Subject:
        """The public-domain photo, drawn by the generator; InputError without scikit-image."""
        found = self.studio.face(
            demo.photo(), progress=lambda done, total, _: self.progress("encode", done, total)
        )
        return replace(found, generated=True)  # the paper's Eq. 4

    @cached_property
    def photos(self) -> list[Subject]:
        """The demo's photo and those of the settings, encoded."""
        return [
            self.photo,
            *(replace(self.studio.face(p), generated=True) for p in self.settings.photos),
        ]

    def aligned_photos(self) -> list[AlignedFace]:
        """The demo's photo and those of the settings, as the encoder gets them."""
        photos = [demo.photo(), *map(pictures.load_photo, self.settings.photos)]
        return [align.align(photo, size=self.studio.generator.size) for photo in photos]

    def held_out(self, count: int, first: int = 0) -> list[Subject]:
        """`count` people that no fit has seen, from the number `first` on."""
        return harness.held_out(self.studio, count, first)

    def method(self, name: str) -> Studio:
        """The studio of "default", "paper" or "conditional"; recipes are fitted once and kept."""
        if name == "default":
            return self.studio
        fitted = baselines.fit(
            name,
            self.studio,
            self.results,
            self.settings.samples,
            self.settings.lengths_on,
            self.progress,
        )
        return self.studio.replace(boundaries=fitted)

    def under(self, name: str, subjects: Sequence[Subject]) -> list[Subject]:
        """The same people with the boundaries of a method."""
        studio = self.method(name)
        return [replace(subject, studio=studio) for subject in subjects]

    def keep(self, name: str, inputs: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """`make()`, or what an earlier run found; the fingerprints of the fit are added."""
        return self.results.get(name, {**self.fingerprints, **inputs}, make)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What every result depends on."""
        return {
            "generator": self.studio.generator.fingerprint,
            "boundaries": kept.of_boundaries(self.studio.boundaries),
            "scale": kept.of_scale(self.studio.scorer.scale),
        }

    def save(self, figure: Figure, stem: str, source: SourceType | None = None) -> list[str]:
        """Write a figure into the output folder; returns the files' names."""
        return [path.name for path in figures.save(figure, self.output, stem, source)]
