"""Measurements as files: JSON, one readable table, leakage matrices and contact sheets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .. import codes, facs, pixels
from ..animate import Subject
from ..types import Pixels
from . import metrics
from .harness import Measured
from .identity import SAME_PERSON

CELL = 44  # pixels of a matrix cell
COLUMNS: Mapping[str, str] = {
    "responds": "faces that respond",
    "monotone": "monotonicity (Spearman)",
    "leads": "target moves most",
    "leakage": "leakage into other AUs",
    "nonlinear": "largest departure from linear",
    "identity_95": "identity distance, 95 %",
    "identity_ok": f"identity under {SAME_PERSON / 2:g}",
    "outside": "change outside (levels)",
    "turned": "head turned (degrees)",
}


def write(folder: Path, results: Mapping[str, Measured], facts: Mapping[str, Any]) -> list[Path]:
    """evaluation.json, evaluation.md and a leakage matrix for each method; returns the paths."""
    tables = {name: result.table() for name, result in results.items()}
    record = {**facts, "methods": tables}
    paths = [folder / "evaluation.json", folder / "evaluation.md"]
    codes.write_atomically((json.dumps(record, indent=1) + "\n").encode(), paths[0])
    codes.write_atomically(_markdown(tables, facts).encode(), paths[1])
    for name, result in results.items():
        path = folder / f"leakage_{name}.png"
        pixels.save_image(matrix_picture(metrics.leakage_matrix(result.scores)), path, source=None)
        paths.append(path)
    return paths


def _markdown(
    tables: Mapping[str, Mapping[str, Mapping[str, float]]], facts: Mapping[str, Any]
) -> str:
    lines = ["# Evaluation", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += ["", "Means over the twelve Action Units:", ""]
    lines += ["| | " + " | ".join(tables) + " |", "|---|" + "---|" * len(tables)]
    for metric, title in COLUMNS.items():
        means = [np.mean(list(table[metric].values())) for table in tables.values()]
        lines.append(f"| {title} | " + " | ".join(f"{m:.3f}" for m in means) + " |")
    for name, table in tables.items():
        lines += ["", f"## {name}", "", "| | " + " | ".join(COLUMNS.values()) + " |"]
        lines.append("|---|" + "---|" * len(COLUMNS))
        for code in facs.CODES:
            cells = [f"{table[metric][code]:.3f}" for metric in COLUMNS]
            lines.append(f"| {code} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def matrix_picture(matrix: NDArray[np.float64]) -> Pixels:
    """The [12, 12] leakage matrix as a labelled heat map: rows are asked, columns measured."""
    side = CELL * (len(facs.CODES) + 1)
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    for i, code in enumerate(facs.CODES):
        draw.text((4, CELL * (i + 1) + 14), code, fill="black")
        draw.text((CELL * (i + 1) + 4, 14), code, fill="black")
        for j in range(len(facs.CODES)):
            value = float(matrix[i, j])
            shade = int(255 * (1 - min(value, 1.0)))
            box = (CELL * (j + 1), CELL * (i + 1), CELL * (j + 2) - 2, CELL * (i + 2) - 2)
            draw.rectangle(box, fill=(255, shade, shade) if i != j else (shade, 255, shade))
            draw.text((box[0] + 8, box[1] + 14), f"{value:.2f}", fill="black")
    return np.asarray(image)


def sheet(subjects: list[Subject], level: float = 1.0, tile: int = 192) -> Pixels:
    """Every subject (rows) with every Action Unit (columns) at one level."""
    rows = []
    for subject in subjects:
        edited = [subject.edit({code: level}) for code in facs.CODES]
        rows.append([subject.scene.base, *edited])
    return pixels.contact_sheet(rows, column_labels=["as it is", *facs.CODES], tile=tile)


def expressions(subjects: list[Subject], tile: int = 192) -> Pixels:
    """Every subject (rows) with the seven expressions (columns)."""
    rows = []
    for subject in subjects:
        edited = [subject.edit(descriptor) for descriptor in facs.EXPRESSIONS.values()]
        rows.append([subject.scene.base, *edited])
    return pixels.contact_sheet(rows, column_labels=["as it is", *facs.EXPRESSIONS], tile=tile)
