"""Measurements as files: JSON, one readable table, leakage matrices and contact sheets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .. import facs
from ..animate import Subject
from ..files import codes, pictures, sheets
from ..measuring.identity import JUDGES
from ..types import Pixels
from . import metrics, photo_report
from .bars import Bar, bars, tied
from .harness import Measured
from .photo_report import Ways

Results = Mapping[str, Mapping[str, Measured]]
"""Whose faces ("generated identities") -> method -> measurements."""

NO_PHOTOS: Ways = MappingProxyType({})
CELL = 44  # pixels of a matrix cell
COLUMNS: Mapping[str, str] = {
    "responds": "faces that respond",
    "monotone": "monotonicity (Spearman)",
    "leads": "target moves most",
    "leakage": "leakage into other AUs",
    "nonlinear": "largest departure from linear",
    **{f"{j.key}_95": f"identity distance ({j.name}), 95 %" for j in JUDGES.values()},
    **{f"{j.key}_ok": f"identity under {j.limit:g} ({j.name})" for j in JUDGES.values()},
    "outside": "largest change outside (levels)",
    "background": "mean change outside (levels)",
    "turned": "head turned (degrees)",
}


def requirements(results: Results, photos: Ways = NO_PHOTOS) -> dict[str, list[Bar]]:
    """Whose faces -> every requirement on the default boundaries; of photos on the first way."""
    found = {who: bars(m["default"], m.get("paper")) for who, m in results.items()}
    if photos:
        found["photos"] = photo_report.bars(next(iter(photos.values())))
    return found


def write(
    folder: Path, results: Results, facts: Mapping[str, Any], photos: Ways = NO_PHOTOS
) -> list[Path]:
    """evaluation.json, evaluation.md and leakage matrices; returns the paths.

    Every group of faces has the method "default". photos: what was done to real photos.
    """
    tables = {
        who: {name: measured.table() for name, measured in methods.items()}
        for who, methods in results.items()
    }
    required = requirements(results, photos)
    record = {
        **facts,
        "tied": {u.code: list(u.kin) for u in facs.ACTION_UNITS},
        "requirements": {who: [b.as_json() for b in lines] for who, lines in required.items()},
        "methods": tables,
        "photos": {
            way: {**photo_report.overall(edited), "edits": photo_report.summary(edited)}
            for way, edited in photos.items()
        },
    }
    paths = [folder / "evaluation.json", folder / "evaluation.md"]
    codes.write_atomically((json.dumps(record, indent=1) + "\n").encode(), paths[0])
    codes.write_atomically(_markdown(results, required, facts, photos).encode(), paths[1])
    for name, measured in next(iter(results.values()), {}).items():
        path = folder / f"leakage_{name}.png"
        pictures.save_image(
            matrix_picture(metrics.leakage_matrix(measured.scores)), path, source=None
        )
        paths.append(path)
    return paths


def requirement_table(lines: Sequence[Bar]) -> list[str]:
    """Markdown: every requirement with its result."""
    rows = ["| requirement | wanted | found | |", "|---|---|---|---|"]
    for bar in lines:
        verdict = "pass" if bar.passed else "**fail**"
        rows.append(f"| {bar.name} | {bar.wanted} | {bar.found} | {verdict} |")
    return rows


def means_table(methods: Mapping[str, Measured]) -> list[str]:
    """Markdown: the means over the Action Units of each method."""
    tables = {name: measured.table() for name, measured in methods.items()}
    rows = ["| | " + " | ".join(tables) + " |", "|---|" + "---|" * len(tables)]
    for metric, title in COLUMNS.items():
        means = [np.mean(list(table[metric].values())) for table in tables.values()]
        rows.append(f"| {title} | " + " | ".join(f"{m:.3f}" for m in means) + " |")
    for judge in JUDGES.values():
        whole = [np.quantile(measured.last[judge.key], 0.95) for measured in methods.values()]
        cells = [f"identity ({judge.name}), 95 % of all edits", *(f"{v:.3f}" for v in whole)]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def unit_table(measured: Measured) -> list[str]:
    """Markdown: every metric of every Action Unit."""
    table = measured.table()
    rows = ["| | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "---|" * len(COLUMNS)]
    for code in facs.CODES:
        cells = [f"{table[metric][code]:.3f}" for metric in COLUMNS]
        rows.append(f"| {code} | " + " | ".join(cells) + " |")
    return rows


def _markdown(
    results: Results, required: Mapping[str, list[Bar]], facts: Mapping[str, Any], photos: Ways
) -> str:
    lines = ["# Evaluation", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += ["", f"Tied by anatomy, and not held against one another: {tied()}."]
    for who, methods in results.items():
        faces = len(methods["default"])
        lines += ["", f"## {who.capitalize()} ({faces})", "", *requirement_table(required[who])]
        lines += ["", "Means over the Action Units:", "", *means_table(methods)]
        for name, measured in methods.items():
            lines += ["", f"### {who}, {name}", "", *unit_table(measured)]
    if photos:
        count = len(next(iter(photos.values())).photos)
        lines += ["", f"## Photos ({count})", "", *requirement_table(required["photos"])]
        lines += ["", *photo_report.overall_table(photos), "", *photo_report.table(photos)]
    return "\n".join(lines) + "\n"


def matrix_picture(matrix: NDArray[np.float64]) -> Pixels:
    """The [U, U] leakage matrix as a labelled heat map: rows are asked, columns measured."""
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


def sheet(
    subjects: Sequence[Subject], edits: Mapping[str, Mapping[str, float]], tile: int = 128
) -> Pixels:
    """Every subject (rows) as it is and with every edit (columns): name -> descriptor."""
    rows = [[s.edit({}), *map(s.edit, edits.values())] for s in subjects]
    return sheets.contact_sheet(rows, column_labels=["as it is", *edits], tile=tile)
