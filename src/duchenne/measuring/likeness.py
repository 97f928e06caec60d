"""`--like`: the expression of one picture, as target values for another face."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from .. import facs
from ..errors import InputError, NoFaceFound
from ..faces import align, landmarks
from ..files import pictures
from ..files.film_source import is_film
from ..files.sequences import frame_at
from ..reading import numbers, places
from ..types import Photo, Pixels
from . import sides
from .measures import pose
from .score import Array, Scorer
from .target import COLUMNS

log = logging.getLogger(__name__)

DIFFER = 0.1  # of the full action, half a FACS step: less is left as it is
# The same of units whose score holds more anatomy than action in a face at rest (brows, lids, nose,
# closed lips: `ActionUnit.read_at_rest`), and of the difference of a unit's two sides.
DIFFER_MORE = 0.3
TURNED = 20.0  # degrees of yaw up to which both sides are seen (docs/scores.md)


def of_whole(scorer: Scorer, frame: Pixels) -> Array:
    """[U] intensities of the whole face of an aligned picture, as in `of_crop`."""
    mesh = _mesh(frame)
    return scorer.scale.scores(scorer.measure(frame, mesh)) / facs.FULL


def of_crop(scorer: Scorer, frame: Pixels) -> Array:
    """[U, 3] intensities of an aligned picture, score / 5, not limited: `target.COLUMNS`."""
    return _intensities(scorer, _face(scorer, frame))


def of_photo(scorer: Scorer, photo: Photo, face: int | None = None) -> Array:
    """The same of a photo's face, which is aligned first. Raises NoFaceFound, InputError.

    Of a head that is turned far the sides are not told apart: the far one is a guess.
    """
    aligned = align.align(photo, face=face)
    try:
        found = _face(scorer, aligned.pixels)
    except NoFaceFound:
        raise NoFaceFound(
            f"{photo.name}: its face cannot be measured; give one that is turned less"
        ) from None
    table = _intensities(scorer, found)
    if (yaw := _turned(scorer, found)) > TURNED:
        log.warning(
            "%s: turned by %.0f degrees, so that its sides are taken as equal", photo.name, yaw
        )
        table[:] = table[:, :1]
    return table


def of_mesh(scorer: Scorer, pixels: Pixels, mesh: landmarks.Mesh) -> Array:
    """The same of a face that was found already; mesh: [468, 3], which tells where it is."""
    found = sides.read(scorer, pixels, mesh)
    table = _intensities(scorer, found)
    if _turned(scorer, found) > TURNED:
        table[:] = table[:, :1]
    return table


def _turned(scorer: Scorer, found: sides.Sides) -> float:
    """Degrees of yaw to either side."""
    return abs(float(pose(found.points, scorer.scale.template)[0]))


def _face(scorer: Scorer, frame: Pixels) -> sides.Sides:
    return sides.read(scorer, frame, _mesh(frame))


def _mesh(frame: Pixels) -> landmarks.Mesh:
    mesh = landmarks.mesh_of_aligned(frame)
    if mesh is None:
        raise NoFaceFound("the edited picture is no longer a face; ask for less")
    return mesh


def _intensities(scorer: Scorer, face: sides.Sides) -> Array:
    measures = (face.measures, *face.halves)
    return np.stack([scorer.scale.scores(one) for one in measures], axis=1) / facs.FULL


def picture_at(place: str) -> Photo:
    """The picture that "b.jpg" or "film.mp4@2.5s" names. Raises InputError."""
    path, at, text = place.rpartition("@")
    if at and is_film(path) and not places.exists(place):
        seconds = numbers.number(f"{place}: seconds", text.removesuffix("s"), 0, 1e6)
        return Photo(frame_at(path, seconds).pixels, place)
    if is_film(place):
        raise InputError(f"{place}: is a film; say which moment of it, {place}@2.5s")
    return pictures.load_photo(place)


def source_of(place: str) -> str:
    """The file that `picture_at` reads."""
    path, at, _ = place.rpartition("@")
    return path if at and is_film(path) and not places.exists(place) else place


def targets(rest: Array, wanted: Array) -> facs.Descriptor:
    """What a face that measures `rest` must measure to be like `wanted`; both [U, 3].

    Units that differ by less than DIFFER, or DIFFER_MORE, are left as they are. A unit uneven
    by DIFFER_MORE, in one of the two, is asked for on each side.
    """
    rest, wanted = np.clip(rest, 0, 1), np.clip(wanted, 0, 1)
    asked: dict[str, float] = {}
    for code, now, then in zip(facs.CODES, rest, wanted, strict=True):
        uneven = max(abs(float(one[1] - one[2])) for one in (now, then)) >= DIFFER_MORE
        names = [code + side for side in facs.SIDES] if uneven and code in sides.SIDED else [code]
        columns = [COLUMNS.index(name.removeprefix(code)) for name in names]
        enough = DIFFER if facs.UNITS[code].read_at_rest else DIFFER_MORE
        if np.abs(then - now)[columns].max() >= enough:
            asked |= dict(zip(names, then[columns].tolist(), strict=True))
    return possible(asked)


def possible(targets: Mapping[str, float]) -> facs.Descriptor:
    """Measured values as targets: of two units that exclude one another the weaker is not there."""
    result = dict(targets)
    for name, other in combinations(targets, 2):
        if facs.excludes(name, other):
            result[name if targets[name] < targets[other] else other] = 0.0
    return result
