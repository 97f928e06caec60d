"""Real photos: every Action Unit at two levels and every expression, the finished picture judged.

What is measured is what the user gets: the photo with the face put back into it, cut out again
where the photo's face lies. So both ways, the photo's own pixels and the generator's picture, are
held against the photo itself. Each photo in each way is one unit of work, kept as JSON (`Kept`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..animate import Subject
from ..editing.boundaries import slot_intensities
from ..faces import align
from ..faces.warp import apply
from ..measuring.identity import JUDGES, Network
from ..measuring.likeness import DIFFER, possible
from ..types import Pixels, StepProgress
from . import harness, kept
from .kept import Kept

Array = NDArray[np.float64]

LEVELS = (0.5, 1.0)
EDITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {f"{code} at {level:g}": {code: level} for code in facs.CODES for level in LEVELS}
    | {name: dict(descriptor) for name, descriptor in facs.EXPRESSIONS.items()}
)
"""Name of an edit -> what is asked."""
FULL = tuple(f"{code} at 1" for code in facs.CODES)
PROBE = "happiness"  # a picture of it says whether pictures are still made as they were
VERSION = 2  # of what `measure` does: results of another one are not taken for these
FINE = 1.0  # px of the photo: what a blur of this takes away is sharpness and grain
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of sRGB, BT.601


@dataclass(frozen=True)
class Edited:
    """What the E edits (`EDITS`) did to P photos.

    photos: their names. rest: [P, U] measured intensities of the photo. change: [P, E, U] of the
    edited picture from that. values: name -> [P, E]: for the key of each judge of identity the
    distance to the photo; `outside`, the largest change in grey levels where nothing was asked;
    `sharpness`, the standard deviation of the high frequencies of the edited regions, the photo's
    being 1.
    """

    photos: tuple[str, ...]
    rest: Array
    change: Array
    values: Mapping[str, Array]


def evaluate(
    subjects: Sequence[Subject],
    judges: Mapping[str, Network],
    results: Kept,
    *,
    progress: StepProgress | None = None,
) -> Edited:
    """Make and measure every edit of every photo; kept ones are read. subjects: with a photo."""
    records = []
    for n, subject in enumerate(subjects):
        records.append(
            results.get(
                "photo",
                inputs_of(subject),
                lambda subject=subject: measure(subject, judges),  # type: ignore[misc]
            )
        )
        if progress:
            progress(n + 1, len(subjects))
    values = ("outside", "sharpness", *(judge.key for judge in JUDGES.values()))
    edits = [[record["edits"][name] for name in EDITS] for record in records]
    return Edited(
        tuple(name_of(subject) for subject in subjects),
        np.array([record["rest"] for record in records]),
        np.array([[edit["change"] for edit in row] for row in edits]),
        {name: np.array([[edit[name] for edit in row] for row in edits]) for name in values},
    )


def name_of(subject: Subject) -> str:
    """The photo's, without folder and suffix."""
    assert subject.photo is not None
    return subject.photo.name.replace("\\", "/").rpartition("/")[2].partition(".")[0]


def inputs_of(subject: Subject) -> dict[str, Any]:
    """Everything that the measurements of a photo depend on, JSON-ready.

    The probe is a finished picture, so that a change of the code that draws it counts too.
    """
    studio = subject.studio
    return {
        "version": VERSION,
        "judges": list(JUDGES),
        "edits": {name: dict(descriptor) for name, descriptor in EDITS.items()},
        "boundaries": kept.of_boundaries(studio.boundaries),
        "scale": kept.of_scale(studio.scorer.scale),
        "code": kept.of_code(subject.code),
        "generated": subject.generated,
        "photo": kept.of_pixels(photo_of(subject)),
        "probe": kept.of_pixels(shown(subject, facs.EXPRESSIONS[PROBE])),
    }


def photo_of(subject: Subject) -> Pixels:
    """The photo's face, as it is: uint8 [S, S, 3]."""
    assert subject.aligned is not None, "only photos are judged here"
    return subject.aligned.pixels


def shown(subject: Subject, descriptor: Mapping[str, float]) -> Pixels:
    """The face of the finished picture, where the photo's lies: uint8 [S, S, 3]."""
    assert subject.aligned is not None, "only photos are judged here"
    assert subject.photo is not None
    picture = replace(subject.photo, pixels=subject.edit(descriptor, paste=True))
    return align.cut(picture, subject.aligned.face, size=len(subject.aligned.pixels)).pixels


def measure(subject: Subject, judges: Mapping[str, Network]) -> dict[str, Any]:
    """One photo, every edit: {"rest": [U], "edits": {name: {"change": [U], value: number}}}."""
    subject = replace(subject)  # a copy, so that what it draws is not kept
    photo = photo_of(subject)
    rest = subject.measure(photo)
    person = {key: network.describe(photo) for key, network in judges.items()}
    edits = {}
    for name, descriptor in EDITS.items():
        picture = shown(subject, descriptor)
        elsewhere, within = _where(subject, descriptor)
        difference = np.abs(picture.astype(int) - photo).max(axis=2)
        edits[name] = {
            "change": np.round(subject.measure(picture) - rest, 4).tolist(),
            **{
                key: round(float(np.linalg.norm(network.describe(picture) - person[key])), 4)
                for key, network in judges.items()
            },
            "outside": int(difference.max(where=elsewhere, initial=0)),
            "sharpness": round(sharpness(picture, photo, within, 1 / _scale(subject)), 4),
        }
    return {"rest": np.round(rest, 4).tolist(), "edits": edits}


def sharpness(picture: Pixels, photo: Pixels, within: NDArray[np.bool_], pixel: float) -> float:
    """Standard deviation of the high frequencies of a picture, the photo's being 1.

    picture, photo: uint8 [S, S, 3]. within: [S, S], where it is taken. pixel: how large one of
    the whole photo's pixels is here; what is finer than that is nobody's.
    """
    deviations = []
    for pixels in (picture, photo):
        luma = pixels.astype(np.float32) @ LUMA
        fine = luma - cv2.GaussianBlur(luma, (0, 0), FINE * max(1.0, pixel))
        deviations.append(float(fine[within].std()))
    return deviations[0] / max(deviations[1], 1e-6)


def towards(one: Subject, other: Subject, judges: Mapping[str, Network]) -> dict[str, Any]:
    """One person in two photos: the first with the expression of the second.

    Asked for are the Action Units that the photos differ in by DIFFER, both limited to [0, 1]:
    {"targets", "measured" and "rest": AU -> intensity, of the second photo, of the edited first
    and of that as it is; "real", "from_own" and "to_other": key of a judge -> distance of the two
    photos, of the edited first photo to itself, and to the second; "offsets": AU -> what is added}.
    """
    photos = [photo_of(subject) for subject in (one, other)]
    rest, wanted = one.measure(photos[0]), np.clip(other.measure(photos[1]), 0, 1)
    asked = np.abs(wanted - np.clip(rest, 0, 1)) >= DIFFER
    codes = [code for code, differs in zip(facs.CODES, asked, strict=True) if differs]
    targets = possible(dict(zip(codes, wanted[asked].tolist(), strict=True)))
    offsets = dict(one.reach(targets).offsets) if targets else {}
    picture = shown(one, offsets)
    found = {
        "targets": wanted[asked],
        "measured": one.measure(picture)[asked],
        "rest": rest[asked],
    }
    distances: dict[str, dict[str, float]] = {"real": {}, "from_own": {}, "to_other": {}}
    for key, network in judges.items():
        first, second, edited = (network.describe(p) for p in (*photos, picture))
        pairs = ((first, second), (first, edited), (edited, second))
        for name, (a, b) in zip(distances, pairs, strict=True):
            distances[name][key] = round(float(np.linalg.norm(a - b)), 4)
    units = {
        name: dict(zip(codes, np.round(values, 3).tolist(), strict=True))
        for name, values in found.items()
    }
    return {**units, **distances, "offsets": offsets}


def _where(
    subject: Subject, descriptor: Mapping[str, float]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """[S, S] twice: where nothing may change, and the regions that the edit is about.

    A pixel of the photo that lies across the border is in neither, nor is the reflection of the
    photo's edge that the crop shows beyond it.
    """
    assert subject.photo is not None
    assert subject.aligned is not None
    slots = np.asarray(slot_intensities(descriptor).any(axis=0))
    region = ~harness.outside_of(subject, slots)
    border = 2 * int(np.ceil(2 / _scale(subject))) + 1
    grown = cv2.dilate(region.astype(np.uint8), np.ones((border, border), np.uint8))
    size = len(region)
    crop = np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 2), axis=-1).reshape(-1, 2)
    at = apply(subject.aligned.to_photo, crop).reshape(size, size, 2)
    height, width = subject.photo.pixels.shape[:2]
    rim = 2 * _scale(subject) + 2
    there = ((at > rim) & (at < np.array([width, height]) - rim)).all(axis=2)
    return (grown == 0) & there, region


def _scale(subject: Subject) -> float:
    """Pixels of the photo across one of the crop's."""
    assert subject.aligned is not None
    return float(np.linalg.norm(subject.aligned.to_photo[:, 0]))
