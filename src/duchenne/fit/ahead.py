"""The long part of a fit, done ahead of it by many workers.

Fits resume: what takes them long lies in files, each made by itself (the response of a face, a
shard of pairs, the code of a picture). Here workers of this machine or of a Ray cluster make those
that are missing, and this process puts them where the fit looks. A file that no worker could make
stays missing; the fit then tries it by itself, and says what is wrong.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..animate import Studio
from ..engine.base import Build, Engine, Item, Slots, Throughput, Worker
from ..engine.stages import Stages
from ..errors import NoFaceFound
from ..faces import align
from ..files import codes, pictures, writing
from ..files.films import read_video
from ..files.kinds import PHOTO_SUFFIXES
from ..generators.base import Generator
from ..opening import Opening
from ..types import Photo, Pixels, StageProgress
from . import disfa, imported, pairs, recipe, refine, responses
from .labels import UNUSED
from .probe import Probe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preparation:
    """One kind of file. build: makes workers whose values are (name, content) of a file, or None.

    items: what is missing, drawn as workers become free; count: how many at most.
    """

    stage: str
    folder: Path
    build: Build
    items: Iterator[Item]
    count: int


def run(
    preparation: Preparation, slots: Slots, throughput: Throughput, progress: StageProgress
) -> None:
    """Make what is missing. slots: workers that `preparation.build` makes."""
    with writing.reporting_disk_errors(preparation.folder):
        preparation.folder.mkdir(parents=True, exist_ok=True)
    progress(preparation.stage, 0, preparation.count)
    with Engine(slots) as engine:
        for done, outcome in enumerate(engine.process(preparation.items), 1):
            throughput.count(outcome)
            if outcome.error:
                log.warning("%s: %s", outcome.item.key, outcome.error)
            elif outcome.value is not None:
                name, content = outcome.value
                codes.write_atomically(content, preparation.folder / name)
            progress(preparation.stage, done, preparation.count)


# ---------------------------------------------------------------- generated faces


def response_files(generator: Generator, opening: Opening, count: int, folder: Path) -> Preparation:
    """The responses that `recipe.fit` takes from `folder`."""
    template, _ = responses.mean_template(generator, lambda t: Probe(generator, t))
    missing = [number for number in range(count) if not responses.done(generator, number, folder)]
    items = (Item(f"face {number}", number) for number in missing)
    return Preparation(
        "responses",
        folder,
        _Files("response", opening, partial(_response, template)),
        items,
        len(missing),
    )


def pair_files(generator: Generator, opening: Opening, count: int, folder: Path) -> Preparation:
    """The shards of pairs that `encoder.fit` takes from `folder`."""
    missing = [
        number
        for number in range(-(-count // pairs.SHARD))
        if not pairs.done(generator, number, folder)
    ]
    items = (Item(f"shard {number}", number) for number in missing)
    return Preparation("pairs", folder, _Files("pairs", opening, _shard), items, len(missing))


def refined_files(
    generator: Generator, opening: Opening, settings: recipe.RecipeSettings, folder: Path
) -> Preparation:
    """The refined normals that `recipe.fit` takes from `folder`, where the responses are by now."""
    template, _ = responses.mean_template(generator, lambda t: Probe(generator, t))
    measured = responses.load(generator, settings.faces, folder)
    given = recipe.to_refine(generator, measured, template, recipe.typical(generator), settings)
    missing = refine.missing(given, folder)
    items = (Item(code, facs.INDEX[code]) for code in missing)
    return Preparation(
        "refining",
        folder,
        _Files("refining", opening, partial(_refined, given)),
        items,
        len(missing),
    )


Make = Callable[[int, Path], None]
"""Writes the file of a number into a folder, if it is to be had."""


@dataclass(frozen=True)
class _Files:
    """Builds workers: number -> its file. prepare: what a worker does once; must pickle."""

    stage: str
    opening: Opening
    prepare: Callable[[Generator, int], Make]

    def __call__(self, threads: int) -> Worker:
        make = self.prepare(self.opening(threads).generator, threads)
        return lambda number: _one_file(self.stage, lambda folder: make(number, folder))


def _response(template: NDArray[np.float64], generator: Generator, threads: int) -> Make:
    probe = Probe(generator, template)
    # Every (n + 1)-th of the first n + 1 faces, from the last: the last alone.
    return lambda n, folder: responses.collect(generator, probe, n + 1, folder, share=(n, n + 1))


def _refined(given: refine.Given, generator: Generator, threads: int) -> Make:
    refiner = refine.Refiner(generator, given)
    return lambda n, folder: refiner.run(folder, share=(n, len(facs.CODES)))


def _shard(generator: Generator, threads: int) -> Make:
    return lambda n, folder: pairs.collect(
        generator, (n + 1) * pairs.SHARD, folder, share=(n, n + 1), threads=threads
    )


def _one_file(stage: str, make: Callable[[Path], None]) -> tuple[Any, dict[str, float]]:
    """((name, content), seconds) of the only file that is made in a folder; None if none is."""
    stages = Stages()
    with tempfile.TemporaryDirectory() as folder:
        with stages(stage):
            make(Path(folder))
        value = next(((p.name, p.read_bytes()) for p in Path(folder).iterdir()), None)
    return value, dict(stages.seconds)


# ---------------------------------------------------------------- pictures to be encoded


def codes_of_disfa(
    root: Path, studio: Studio, opening: Opening, settings: disfa.DisfaSettings
) -> Preparation:
    """The codes of the frames that `disfa.collect` takes, for the studio's cache."""
    chosen = []
    for person in disfa.find_people(root, settings.camera):
        used = (disfa.choose(person.intensities, settings) != UNUSED).any(axis=1)
        chosen.append((person, {int(number) for number in np.flatnonzero(used) + 1}))

    def photos() -> Iterator[Photo]:
        for person, wanted in chosen:
            for number, frame in enumerate(read_video(person.film), 1):
                if number in wanted:
                    yield Photo(frame, f"{person.name} frame {number}")
                if number >= max(wanted, default=0):
                    break

    return _code_files(photos(), studio, opening, sum(len(wanted) for _, wanted in chosen))


def codes_of_pictures(folder: Path, studio: Studio, opening: Opening) -> Preparation:
    """The codes of the pictures that `imported.collect` takes, for the studio's cache."""
    files: list[Path] = []
    if not imported.find_files(folder, (codes.SUFFIX,)):
        files = list(imported.find_files(folder, PHOTO_SUFFIXES).values())
    return _code_files(map(pictures.load_photo, files), studio, opening, len(files))


def _code_files(
    photos: Iterator[Photo], studio: Studio, opening: Opening, count: int
) -> Preparation:
    def items() -> Iterator[Item]:
        for photo in photos:
            try:
                face = align.align(photo, size=studio.generator.size).pixels
            except NoFaceFound:  # the fit says so
                continue
            if studio.cache.get(face, studio.inversion) is None:
                yield Item(photo.name, face)

    return Preparation("encoding", studio.cache.folder, _Encodings(opening), items(), count)


@dataclass(frozen=True)
class _Encodings:
    """Builds workers: aligned face -> the file of its code."""

    opening: Opening

    def __call__(self, threads: int) -> Worker:
        studio = self.opening(threads)
        _ = studio.inversion  # what is missing is said before any face is tried

        def work(face: Pixels) -> tuple[Any, dict[str, float]]:
            name = studio.cache.path(face, studio.inversion).name
            return _one_file(
                "encode",
                lambda folder: codes.write_code(studio.inversion.encode(face), folder / name),
            )

        return work
