"""A tiny set of stimuli, and raters whose habits are known, for the tests of studies."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from duchenne.study import responses

ANSWERS = ("happiness", "sadness", "surprise", "fear", "anger", "disgust", "contempt", "neutral")
OFFERED = "|".join((*ANSWERS, "other"))
STUDY = "0123456789ab"
Row = dict[str, object]


def write_set(
    folder: Path,
    conditions: Sequence[str] = ("happiness", "fear"),
    identities: Sequence[str] = ("s00001", "s00002"),
    intensities: Sequence[float] = (0.5, 1.0),
) -> Path:
    """A set as `duchenne stimuli` leaves it, as far as a study reads it; its pictures are noise."""
    folder.mkdir()
    cells = [("neutral", 0.0), *((c, i) for c in conditions for i in intensities)]
    rng = np.random.default_rng(1)
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["file", "identity", "condition", "side", "intensity", "kind", "outlier", "error"]
        )
        for identity in identities:
            for condition, intensity in cells:
                name = f"{identity}_{condition}_{intensity:.2f}.png"
                pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
                Image.fromarray(pixels).save(folder / name)
                table.writerow([name, identity, condition, "both", intensity, "still", "", ""])
    return folder


Habit = Callable[[Row, random.Random], None]
"""Changes the answers of one row, which are those of a good rater."""


def rows_of(
    participant: str,
    habit: Habit = lambda row, rng: None,
    *,
    people: int = 6,
    intensities: Sequence[float] = (0.2, 0.4, 0.6, 0.8),
    noise: float = 0.0,
    missed: int = 0,
) -> list[Row]:
    """What a rater with a habit answers about people x conditions x intensities.

    A good rater names everything right, but for the share `noise`, and rates what was asked.
    missed: how many of three attention checks.
    """
    rng = random.Random(participant)
    found: list[Row] = []
    for person in range(people):
        cells = [("neutral", 0.0)]
        cells += [(c, i) for c in ("happiness", "surprise", "fear") for i in intensities]
        for condition, asked in cells:
            row: Row = {
                "kind": "picture", "file": f"p{person}_{condition}_{asked:.2f}.png",
                "identity": f"p{person}", "condition": condition, "side": "both", "asked": asked,
                "expected": condition, "answer": condition, "intensity": round(5 * asked),
                "realism": 5 - (condition == "fear"), "answer_ms": 900, "intensity_ms": 800,
                "realism_ms": 700,
            }  # fmt: skip
            if rng.random() < noise:
                row["answer"] = rng.choice(ANSWERS)
                row["intensity"] = min(5, max(0, round(5 * asked) + rng.choice((-1, 1))))
            habit(row, rng)
            found.append(row)
    found += [
        {"kind": "check", "expected": "anger", "answer": "fear" if i < missed else "anger"}
        for i in range(3)
    ]
    same = {"study": STUDY, "participant": participant, "started": "2026-01-01T00:00:00.000Z",
            "seed": f"1:{participant}", "offered": OFFERED, "intensity_scale": "0-5",
            "realism_scale": "1-7"}  # fmt: skip
    return [{**same, **row, "order": i} for i, row in enumerate(found, 1)]


def write_responses(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(responses.COLUMNS), restval="")
        table.writeheader()
        table.writerows(rows)
    return path
