"""What the wheel says of itself, and that its files are the ones that it names."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
PYTHON = "Programming Language :: Python :: "


def test_the_wheel_states_what_its_data_descend_from() -> None:
    licences = PROJECT["license"].split(" AND ")
    texts = [(ROOT / path).read_text() for path in PROJECT["license-files"]]
    assert len(licences) == len(texts)
    assert "Apache License" in texts[0]
    assert licences[1] in texts[1]
    assert "non-commercial" in texts[1]


def test_every_python_that_is_named_is_tried() -> None:
    named = [c.removeprefix(PYTHON) for c in PROJECT["classifiers"] if c.startswith(PYTHON + "3.")]
    assert f">={named[0]}" == PROJECT["requires-python"]
    (tried,) = re.findall(r"nox\.session\(python=(\[.*?\])", (ROOT / "noxfile.py").read_text())
    assert set(named) <= set(ast.literal_eval(tried))


def test_the_changelog_has_this_version() -> None:
    assert re.search(rf"^## {re.escape(PROJECT['version'])}\b", CHANGELOG, re.MULTILINE)
