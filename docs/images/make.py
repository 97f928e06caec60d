"""The pictures of the README, made by the library itself: python docs/images/make.py [FOLDER]

The photo is NASA's of Eileen Collins, public domain, from scikit-image. Everybody else is a sample
of the built-in generator, nobody exists. The default folder is the one of this file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import duchenne
from duchenne import demo
from duchenne.files.sheets import contact_sheet

TRUNCATION = 0.6
FILM_SEEDS = (15, 27, 26)  # adults with a quiet face, so that the film starts from rest
FILM_FPS = 15
FILM_TILE = 256
SHEET_SEEDS = (15, 27, 38, 32)
SHEET_TILE = 102
PHOTO_EDITS = {
    "AU1 + AU2": "AU1=1,AU2=1",
    "AU4": "AU4=1",
    "AU6": "AU6=1",
    "AU9": "AU9=1",
    "AU26": "AU26=1",
}
PHOTO_PART = (slice(200, 960), slice(132, 892))  # of the crop: the face
PHOTO_TILE = 214
PHOTO_FILM_TILE = 253


def shrink(frame: np.ndarray, side: int) -> np.ndarray:
    """uint8 [S, S, 3] -> [side, side, 3], the mean of whole cells."""
    cell = len(frame) // side
    cells = frame[: side * cell, : side * cell].reshape(side, cell, side, cell, 3)
    return (cells.mean(axis=(1, 3)) + 0.5).astype(np.uint8)


def timeline() -> duchenne.Timeline:
    """Neutral, happiness, neutral, surprise, neutral."""
    parts = [
        duchenne.onset_apex_offset(duchenne.expression(name), 0.6, 0.5, 0.6, fps=FILM_FPS)
        for name in ("happiness", "surprise")
    ]
    return duchenne.Timeline(np.concatenate([part.intensities for part in parts]), parts[0].fps)


def film(studio: duchenne.Studio, seeds: Sequence[int]) -> Iterator[np.ndarray]:
    """The people side by side, frame by frame."""
    moves = timeline()
    people = [studio.sample(seed, truncation=TRUNCATION).animate(moves) for seed in seeds]
    for frames in zip(*people, strict=True):
        yield np.concatenate([shrink(frame, FILM_TILE) for frame in frames], axis=1)


def sheet(studio: duchenne.Studio, seeds: Sequence[int]) -> np.ndarray:
    """Two rows for each person: as they are, then every Action Unit at E = 1."""
    codes = [unit.code for unit in duchenne.ACTION_UNITS]
    half = -(-len(codes) // 2)
    people = [studio.sample(seed, truncation=TRUNCATION) for seed in seeds]
    parts = []
    for some in (codes[:half], codes[half:]):
        rows = [
            [shrink(p.scene.base, SHEET_TILE)]
            + [shrink(p.edit({code: 1.0}), SHEET_TILE) for code in some]
            for p in people
        ]
        parts.append(contact_sheet(rows, column_labels=["E = 0", *some], tile=SHEET_TILE))
    width = max(part.shape[1] for part in parts)
    return np.concatenate([
        np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=255)
        for part in parts
    ])  # fmt: skip


def photo_sheet(studio: duchenne.Studio) -> np.ndarray:
    """A real photo, and what its own pixels do."""
    face = studio.face(demo.photo())
    tops = {name: duchenne.parse(text) for name, text in PHOTO_EDITS.items()}
    ends = {name: face.ending(duchenne.expression(name)) for name in ("anger", "surprise")}
    edits = {**tops, **ends}
    pictures = [face.edit(edit)[PHOTO_PART] for edit in ({}, *edits.values())]
    return contact_sheet([pictures], column_labels=["photo", *edits], tile=PHOTO_TILE)


def photo_film(studio: duchenne.Studio) -> Iterator[np.ndarray]:
    """The photo, and beside it the same photo going to surprise, back, to anger, and back."""
    face = studio.face(demo.photo())
    rest = shrink(face.edit({})[PHOTO_PART], PHOTO_FILM_TILE)
    parts = [
        duchenne.onset_apex_offset(
            face.ending(duchenne.expression(name)), 0.6, 0.6, 0.6, neutral=0.2, fps=FILM_FPS
        )
        for name in ("surprise", "anger")
    ]
    moves = duchenne.Timeline(np.concatenate([part.sides for part in parts]), parts[0].fps)
    for frame in face.animate(moves):
        yield np.concatenate([rest, shrink(frame[PHOTO_PART], PHOTO_FILM_TILE)], axis=1)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    studio = duchenne.Studio()
    edited = duchenne.SourceType.EDITED
    duchenne.save_image(photo_sheet(studio), folder / "photo.jpg", source=edited)
    film_of_photo = photo_film(studio)
    duchenne.write_frames(film_of_photo, folder / "photo.webp", fps=FILM_FPS, source=edited)
    duchenne.save_image(sheet(studio, SHEET_SEEDS), folder / "action_units.jpg")
    duchenne.write_frames(film(studio, FILM_SEEDS), folder / "happiness.webp", fps=FILM_FPS)


if __name__ == "__main__":
    main()
