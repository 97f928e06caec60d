"""Whatever the machine is: what it lacks is said and can be prepared; see test_weights.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import done, run

from duchenne.errors import WeightsError
from duchenne.weights import store

# ---------------------------------------------------------------- model files


def test_the_list_says_what_is_missing_and_for_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUCHENNE_WEIGHTS", str(tmp_path))
    text = done("weights", "list").stdout
    assert "missing: face-landmarker-task, for Action Unit scores: score, --target, " in text
    assert "`duchenne weights fetch --all` everything" in text
    for entry in store.entries():
        (tmp_path / entry.filename).touch()
    assert done("weights", "list").stdout.endswith("this machine can work offline\n")
    (tmp_path / store.entry("vgg16-imagenet").filename).unlink()
    text = done("weights", "list").stdout
    assert text.splitlines()[-2].startswith("missing: vgg16-imagenet, for ")
    assert text.endswith("1 file is missing (553 MB); `duchenne weights fetch --all` everything\n")


def test_fetching_all_goes_on_after_a_file_that_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def fetch(name: str, *, progressbar: bool) -> Path:
        if name in ("face-mesh", "vgg16-imagenet"):
            raise WeightsError(f"{name} could not be downloaded")
        fetched.append(name)
        return tmp_path / name

    monkeypatch.setattr(store, "fetch", fetch)
    record = tmp_path / "record.json"
    result = run("weights", "fetch", "--all", "--json", record)
    assert result.exit_code == WeightsError.exit_code
    names = [entry.name for entry in store.entries()]
    assert fetched == [name for name in names if name not in ("face-mesh", "vgg16-imagenet")]
    first, last = result.stderr.splitlines()[-2:]
    assert first == "duchenne: error: face-mesh could not be downloaded"
    assert last == (
        "duchenne: error: vgg16-imagenet could not be downloaded "
        f"(2 of {len(names)} files could not be fetched)"
    )
    assert [file["name"] for file in json.loads(record.read_text())["files"]] == names
    fetched.clear()
    run("weights", "fetch")
    assert "face-landmarker-task" not in fetched
    assert run("weights", "fetch", "--all", "face-mesh").exit_code == 2


def test_all_but_one_file_come_from_a_package_index() -> None:
    """So that a laboratory behind a mirror of it can score, too."""
    assert [entry.name for entry in store.entries() if isinstance(entry.source, str)] == [
        "vgg16-imagenet"
    ]
