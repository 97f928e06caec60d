"""`duchenne doctor`: what it says of a machine, and its self-test."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from command_line import done, run

from duchenne.files import films
from duchenne.weights import store


@pytest.fixture
def nothing_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all model files that a plain animation needs were here."""
    optional = tuple(entry for entry in store.entries() if entry.optional)
    monkeypatch.setattr(store, "entries", lambda: optional)


def test_missing_model_files_are_told_with_the_way_out(folder: Path) -> None:
    result = run("doctor", "--json", "facts.json")
    assert result.exit_code != 0
    needed = [entry.name for entry in store.entries() if not entry.optional]
    assert f"{len(needed)} model files missing: `duchenne weights fetch` gets" in result.stderr
    assert "0 of " in result.stdout
    assert "missing are those for generator (4)" in result.stdout
    assert "self-test" not in result.stdout
    missing = json.loads(Path("facts.json").read_text())["doctor"]["weights"]["missing"]
    assert set(needed) <= set(missing)


def test_few_missing_files_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(entry for entry in store.entries() if entry.used_by == "generator")
    monkeypatch.setattr(store, "entries", lambda: few)
    result = run("doctor")
    assert all(f"{entry.name} is missing, for generator" in result.stdout for entry in few)
    assert "mobilestylegan-synthesis-bin missing: `duchenne weights fetch` gets" in result.stderr


@pytest.mark.usefixtures("tiny_studio", "nothing_needed")
def test_a_face_is_drawn_and_nothing_stays(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    said = done("doctor", "--json", "-")
    facts = json.loads(said.stdout)["doctor"]
    assert facts["self_test"] == ["a face is drawn", "found", "smiles", "and is a film"]
    assert facts["cores"]["usable"] <= facts["cores"]["affinity"]
    assert facts["packages"]["numpy"]
    assert facts["extras"]["torch"] is True
    assert sorted(folder.rglob("*")) == before


@pytest.mark.usefixtures("tiny_studio", "nothing_needed")
def test_a_film_that_does_not_come_back_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(films, "read_video", lambda path: iter(()))
    result = run("doctor")
    assert result.exit_code != 0
    assert "a film of 3 marked frames came back as 0" in result.stderr
    assert "self_test" not in done("doctor", "--no-self-test", "--json", "-").stdout


@pytest.mark.usefixtures("nothing_needed")
def test_a_machine_without_pytorch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    facts = json.loads(done("doctor", "--no-self-test", "--json", "-").stdout)["doctor"]
    assert facts["extras"]["torch"] is False
    assert "PyTorch" in facts["gpu"]


@pytest.mark.usefixtures("nothing_needed")
def test_a_cache_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUCHENNE_CACHE", str(folder / "photo.jpg" / "cache"))
    result = run("doctor")
    assert result.exit_code != 0
    assert "cannot be written" in result.stderr


@pytest.mark.weights
def test_the_average_face_smiles(folder: Path) -> None:
    assert "all well" in done("doctor").stdout
