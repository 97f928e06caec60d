"""Evaluation metrics on made-up measurements, and the report that shows them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from duchenne import facs
from duchenne.errors import WeightsError
from duchenne.evaluate import metrics, report
from duchenne.evaluate.harness import LEVELS, Measured
from duchenne.evaluate.identity import Recogniser

FACES, UNITS = 3, len(facs.CODES)


def perfect(rise: float = 4.0) -> np.ndarray:
    """Scores [F, 12, K, 12] where every target rises in a straight line and nothing else moves."""
    scores = np.full((FACES, UNITS, len(LEVELS), UNITS), 0.5)
    for i in range(UNITS):
        scores[:, i, :, i] += rise * np.array(LEVELS)
    return scores


def test_a_perfect_method() -> None:
    scores = perfect()
    assert metrics.response_rate(scores) == pytest.approx(1)
    assert metrics.monotonicity(scores) == pytest.approx(1)
    assert metrics.leads(scores) == pytest.approx(1)
    assert metrics.leakage(scores) == pytest.approx(0)
    assert metrics.linearity(scores) == pytest.approx(0, abs=1e-12)
    assert metrics.leakage_matrix(scores) == pytest.approx(np.eye(UNITS))


def test_leakage_is_relative_to_the_target() -> None:
    scores = perfect()
    au4, au26 = facs.INDEX["AU4"], facs.INDEX["AU26"]
    scores[:, au4, -1, au26] -= 1.0  # a frown that shuts the jaw by a quarter of its own change
    assert metrics.leakage_matrix(scores)[au4, au26] == pytest.approx(0.25)
    unrelated = UNITS - 1 - len(metrics.KIN["AU4"])
    assert metrics.leakage(scores)[au4] == pytest.approx(0.25 / unrelated)
    assert metrics.leakage(scores)[au26] == pytest.approx(0)
    scores[0, au4, -1, au26] -= 9.0
    assert metrics.leads(scores)[au4] == pytest.approx(2 / 3)


def test_kin_do_not_count_as_leakage() -> None:
    scores = perfect()
    scores[:, facs.INDEX["AU26"], -1, facs.INDEX["AU25"]] += 3.0  # a dropped jaw parts the lips
    assert metrics.leakage(scores)[facs.INDEX["AU26"]] == pytest.approx(0)


def test_no_answer() -> None:
    scores = perfect(rise=0.0)
    assert metrics.response_rate(scores) == pytest.approx(0)
    assert metrics.monotonicity(scores) == pytest.approx(0)


def test_kin_are_units_and_never_the_target() -> None:
    assert set(metrics.KIN) == set(facs.CODES)
    for code, kin in metrics.KIN.items():
        assert set(kin) <= set(facs.CODES) - {code}


def test_report(tmp_path: Path) -> None:
    zeros = np.zeros((FACES, UNITS))
    result = Measured(perfect(), zeros + 0.1, zeros, zeros)
    paths = report.write(tmp_path, {"mine": result}, {"identities": FACES})
    assert {p.name for p in paths} == {"evaluation.json", "evaluation.md", "leakage_mine.png"}
    record = json.loads((tmp_path / "evaluation.json").read_text())
    assert record["methods"]["mine"]["identity_ok"]["AU9"] == 1.0
    assert "| AU26 | 1.000 |" in (tmp_path / "evaluation.md").read_text()


def test_a_recogniser_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"duchenne\[evaluate\]"):
        Recogniser()
