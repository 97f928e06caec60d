"""The notebooks run whole: one on a real face, one on a table whose answer is known."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duchenne import facs
from duchenne.stimuli import papers

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    """Drawn nowhere, and closed."""
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    yield
    pyplot.close("all")


def cells_of(name: str) -> list[str]:
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") for cell in notebook["cells"]), "committed without outputs"
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]


def run(name: str) -> dict[str, Any]:
    """The names that a notebook leaves."""
    names: dict[str, Any] = {}
    for cell in cells_of(name):
        exec(compile(cell, name, "exec"), names)
    return names


def write_set(folder: Path, slope: float) -> None:
    """Four people at rest and in two conditions; AU12 rises by `slope` for 1 that was asked."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    rest = {f"s{n}": 0.1 * n for n in range(4)}
    with (folder / "identities.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(papers.PEOPLE_COLUMNS), restval=0)
        table.writeheader()
        table.writerows({"identity": who, "rest_AU12": level} for who, level in rest.items())
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(papers.COLUMNS), restval="")
        table.writeheader()
        for who, level in rest.items():
            for condition, asked in (("neutral", 0), ("smile", 0.5), ("smile", 1), ("frown", 0)):
                noise = rng.normal(0, 0.01)
                measured = {f"measured_{code}": 0.0 for code in facs.CODES}
                measured["measured_AU12"] = level + slope * asked + noise
                table.writerow({
                    "file": f"{who}_{condition}_{asked}.png", "identity": who, "kind": "still",
                    "condition": condition, "intensity": asked, "asked_AU12": asked, **measured,
                })  # fmt: skip
        table.writerow({"identity": "s0", "kind": "still", "error": "no face"})


def test_the_model_of_a_set_finds_the_slope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "set", slope=0.7)
    found = run("stimulus_set")
    assert len(found["table"]) == 16
    assert found["slope"] == pytest.approx(0.7, abs=0.02)
    assert np.abs(found["levels"]).max() < 0.03
    assert found["explained"] > 0.98


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
def test_a_photo_is_opened_once_and_its_curve_rises() -> None:
    found = run("one_photo")
    assert found["change"][0] == 0
    assert found["change"][-1] > 0.3
    assert (np.diff(found["change"]) > -0.02).all()
