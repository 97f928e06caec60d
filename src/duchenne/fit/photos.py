"""How much farther a photo has to move than the picture of its look-alike.

The boundaries' lengths are found on the generator's pictures. A photo is moved by the change of a
look-alike (`moving`): its code lies near the middle of W, its skin folds differently, and motion
is smoothed on the way, so that of an intensity of 1 about 0.6 are measured on the finished picture.
Making the latent offset longer changes the look-alike's person and light with it; making its
*motion* larger costs less of the photo's identity for the same measured change (docs/method.md).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .. import facs
from ..animate import PhotoOrCode, Studio, Subject
from ..errors import NoFaceFound

FIRST_SEED = 700_000
TRUNCATION = 0.8
QUALITY = 90  # of the JPEG that a generated picture goes through, as photos have gone
GAINS = (1.0, 1.6, 2.4)  # that are tried
LEAST_PEOPLE = 3  # with room for an AU: fewer say nothing
MOST = 2.0  # twice as far: beyond, a nose or a cheek is drawn out of shape
ROOM = 0.6  # measured intensity above which a face has nowhere to go
WORTH = 0.2  # measured for each 1 of gain: more gain that brings less only costs the person
WANTED = 0.9  # of an intensity of 1: the rest would cost more of the person than it shows

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """gains: float32 [U]. change: [U, len(GAINS)], mean measured change at 1 for each gain.

    people: how many had room for each AU, [U]. units: those that were measured; of the others
    nothing is known.
    """

    gains: NDArray[np.float32]
    change: Array
    people: NDArray[np.int64]
    units: Sequence[str] = facs.CODES

    def added_to(self, before: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """[U]: the gains of `units`, and those from before of the others."""
        known = np.ones_like(self.gains) if before is None else before
        return np.where(np.isin(facs.CODES, self.units), self.gains, known)

    def provenance(self, sources: Iterable[str]) -> dict[str, Any]:
        """JSON-ready."""
        rows = [facs.INDEX[code] for code in self.units]
        return {
            "units": list(self.units),
            "sources": list(sources),
            "truncation": TRUNCATION,
            "wanted": WANTED,
            "most": MOST,
            "worth": WORTH,
            "tried": list(GAINS),
            "change": np.round(self.change[rows], 3).tolist(),
            "people": self.people[rows].tolist(),
        }


def generated_people(studio: Studio, count: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures of generated people as a camera would give them, uint8 [S, S, 3]."""
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        drawn = studio.sample(seed, truncation=TRUNCATION).edit({})
        file = io.BytesIO()
        Image.fromarray(drawn).save(file, "JPEG", quality=QUALITY)
        yield np.asarray(Image.open(file).convert("RGB"))


def responses(subject: Subject, units: Sequence[str] = facs.CODES) -> tuple[Array, Array]:
    """([U] what a photo shows, [U, len(GAINS)] the measured change of each AU at 1).

    NaN where an edited picture is no longer seen as a face, and of other AUs than `units`.
    """
    rest = subject.measure(subject.edit({}))
    change = np.full((len(facs.CODES), len(GAINS)), np.nan)
    for g, gain in enumerate(GAINS):
        gains = np.full(len(facs.CODES), gain, np.float32)
        bounds = replace(subject.studio.boundaries, photo_gain=gains)
        moving = replace(subject, studio=subject.studio.replace(boundaries=bounds))
        for code in units:
            i = facs.INDEX[code]
            try:
                change[i, g] = subject.measure(moving.edit({code: 1.0}))[i] - rest[i]
            except NoFaceFound:
                continue
    return rest, change


def fit(
    studio: Studio,
    sources: Iterable[PhotoOrCode],
    progress: Callable[[int], None] | None = None,
    *,
    units: Sequence[str] = facs.CODES,
) -> Fitted:
    """The smallest gains with which WANTED is measured on average; at most MOST, and no more than
    brings WORTH.

    sources: photos, each moved by its look-alike; one after the other. units: only these. The gain
    stays 1 where fewer than LEAST_PEOPLE have room, and of those that are moved in the picture.
    """
    rests, changes = [], []
    for done, source in enumerate(sources, 1):
        rest, change = responses(studio.face(source), units)
        rests.append(rest)
        changes.append(change)
        if progress:
            progress(done)
    found = of_responses(np.array(rests), np.array(changes))
    unsure = (found.people < LEAST_PEOPLE) | np.isin(facs.CODES, facs.MOVED)
    return replace(found, gains=np.where(unsure, np.float32(1), found.gains), units=units)


def of_responses(rests: Array, changes: Array) -> Fitted:
    """rests: [N, U]; changes: [N, U, len(GAINS)], of `responses`."""
    room = (rests < ROOM)[..., None]
    seen = np.where(room, changes, np.nan)
    enough = np.isfinite(seen[..., 0]).any(axis=0)
    mean = np.ones(changes.shape[1:])
    mean[enough] = np.nanmean(seen[:, enough], axis=0)
    rising = np.maximum.accumulate(mean, axis=1)
    people = np.isfinite(seen[..., 0]).sum(axis=0)
    return Fitted(np.array([_gain(row) for row in rising], np.float32), mean, people)


def _gain(rising: Array) -> float:
    """rising: [len(GAINS)] measured change."""
    reached = np.interp(WANTED, rising + 1e-9 * np.arange(len(rising)), GAINS)
    brings = np.diff(rising) / np.diff(GAINS)
    worth = GAINS[int(np.logical_and.accumulate(brings >= WORTH).sum())]
    return min(float(reached), worth, MOST)


def without(record: Mapping[str, Any], units: Collection[str]) -> dict[str, Any]:
    """What `Fitted.provenance` said, less some units."""
    kept = [i for i, code in enumerate(record["units"]) if code not in units]
    columns = ("units", "change", "people")
    return {**record, **{name: [record[name][i] for i in kept] for name in columns}}
