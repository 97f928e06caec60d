"""The pictures of the README, made by the library itself: python docs/images/make.py [FOLDER]

Everybody in them is a sample of the built-in generator, nobody exists. The default folder is the
one of this file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import duchenne
from duchenne.files.pictures import contact_sheet

TRUNCATION = 0.6
FILM_SEEDS = (15, 27, 26)  # adults with a quiet face, so that the film starts from rest
FILM_FPS = 15
FILM_TILE = 256
SHEET_SEEDS = (15, 27, 38, 32)
SHEET_TILE = 112


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
    """A row for each person: as they are, then every Action Unit at E = 1."""
    codes = [unit.code for unit in duchenne.ACTION_UNITS]
    rows = []
    for seed in seeds:
        person = studio.sample(seed, truncation=TRUNCATION)
        edits = [person.edit({code: 1.0}) for code in codes]
        rows.append([shrink(picture, SHEET_TILE) for picture in (person.scene.base, *edits)])
    return contact_sheet(rows, column_labels=["E = 0", *codes], tile=SHEET_TILE)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    studio = duchenne.Studio()
    duchenne.save_image(sheet(studio, SHEET_SEEDS), folder / "action_units.jpg")
    duchenne.write_frames(film(studio, FILM_SEEDS), folder / "happiness.webp", fps=FILM_FPS)


if __name__ == "__main__":
    main()
