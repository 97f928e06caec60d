"""The rooms of the package: their order, and the page that shows them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_imports_only_go_down() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_page_shows_every_room_in_its_order() -> None:
    """The contract names all rooms, or it is broken (`exhaustive`)."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    rooms = [room for layer in settings["contracts"][0]["layers"] for room in layer.split(" | ")]
    page = (ROOT / "docs" / "architecture.md").read_text().partition("the highest first:")[2]
    assert re.findall(r"^    (\w+)  +\S", page, re.MULTILINE) == rooms
