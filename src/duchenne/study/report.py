"""A report for people (HTML), for programs (JSON, CSV), and its pictures (SVG)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files.codes import write_atomically
from ..files.writing import reporting_disk_errors
from . import charts
from .analysis import Analysis
from .report_page import page
from .report_tables import Cell, tables

PAGE = "report.html"


def write(analysis: Analysis, folder: Path) -> list[str]:
    """All files of the report, by their names. Raises OutputError."""
    drawn = _pictures(analysis)
    files: dict[str, str] = {PAGE: page(analysis, drawn), "report.json": _json(analysis)}
    files |= {f"{name}.svg": picture for name, picture in drawn.items()}
    files |= {f"{name}.csv": _csv(*table) for name, table in tables(analysis).items()}
    with reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_atomically(text.encode(errors="backslashreplace"), folder / name)
    return list(files)


def _pictures(analysis: Analysis) -> dict[str, str]:
    """Name -> SVG, of what there is to show."""
    drawn = {}
    scales = analysis.responses
    if analysis.rows:
        drawn["confusion"] = charts.confusion(analysis.matrix, analysis.rows, analysis.answers)
    if analysis.curves and scales.intensity:
        drawn["intensity"] = charts.intensity(analysis.curves, scales.intensity)
    if analysis.realism and scales.realism:
        drawn["realism"] = charts.realism(analysis.realism, scales.realism)
    return drawn


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow(
            ["" if c is None else f"{c:.6g}" if isinstance(c, float) else c for c in row]
        )
    return text.getvalue()


# ---------------------------------------------------------------- for programs


def facts(analysis: Analysis) -> dict[str, Any]:
    """Everything, JSON-ready; what is not defined is null."""
    given = analysis.responses
    found = {
        "study": given.study,
        "files": list(given.files),
        "participants": len(given.participants),
        "used": len(analysis.raters),
        "excluded": dict(analysis.excluded),
        "tolerated": analysis.tolerated,
        "attention_checks": {
            "asked": sum(given.checks.values()),
            "missed": sum(given.missed.values()),
        },
        "answers": int(analysis.matrix.sum()),
        "copies": given.copies,
        "set_aside": [str(one) for one in given.set_aside],
        "agreement": asdict(analysis.agreement),
        "confusion": {
            "rows": list(analysis.rows),
            "answers": list(analysis.answers),
            "counts": analysis.matrix.tolist(),
        },
        "hit_rates": [asdict(rate) for rate in analysis.hit_rates],
        "above_chance": [asdict(test) for test in analysis.above_chance],
        "intensity": [asdict(curve) for curve in analysis.curves],
        "realism": {name: asdict(mean) for name, mean in analysis.realism.items()},
        "icc": {name: found and asdict(found) for name, found in analysis.icc.items()},
        "raters": [{**asdict(rater), "remarks": rater.remarks} for rater in analysis.raters],
        "pictures": [asdict(picture) for picture in analysis.pictures],
    }
    clean: dict[str, Any] = _clean(found)
    return clean


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _clean(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(entry) for entry in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def _json(analysis: Analysis) -> str:
    return json.dumps(facts(analysis), indent=1, ensure_ascii=False) + "\n"
