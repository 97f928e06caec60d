"""docs/first-minutes.md shows what benchmarks/first_minutes.py runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_transcript_has_the_scripts_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import first_minutes

    page = (ROOT / "docs" / "first-minutes.md").read_text()
    typed = re.findall(r"^\$ (.*)$", page, re.MULTILINE)
    commands = [re.sub(r"duchenne-\S+\.whl", "{wheel}", line) for line in typed]
    assert commands == list(first_minutes.COMMANDS)
