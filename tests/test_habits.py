"""What holds everywhere in the package: one name of loggers, known markers, no side effects."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_logger_is_below_the_packages_own() -> None:
    """So that logging.getLogger("duchenne") has all of it."""
    named = set()
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("getLogger"):
                named.add(ast.unparse(node.args[0]) if node.args else "")
    foreign = {name for name in named if name != "__name__" and "duchenne" not in name}
    assert foreign == {"'py.warnings'"}  # Python's own, which the command line shows in one line


def test_importing_configures_no_logging() -> None:
    code = "import logging, duchenne.animate; l = logging.getLogger; "
    code += "print(l().handlers, l('duchenne').handlers, l('duchenne').level)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]", "0"]


def test_every_marker_is_explained() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    markers = [
        line.partition(":")[0] for line in SETTINGS["tool"]["pytest"]["ini_options"]["markers"]
    ]
    assert set(markers) == {"browser", "cluster", "slow", "weights"}
    assert all(f"`{marker}`" in text for marker in markers)
    used = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        used |= set(re.findall(r"\bpytest\.mark\.(\w+)", path.read_text()))
    assert used - {
        "parametrize",
        "usefixtures",
        "skipif",
        "timeout",
        "filterwarnings",
        "xfail",
    } == set(markers)


def test_coverage_has_a_floor() -> None:
    assert SETTINGS["tool"]["coverage"]["report"]["fail_under"] >= 90
    assert "make coverage" in (ROOT / "CONTRIBUTING.md").read_text()


def test_what_is_checked_before_a_commit_is_what_is_checked_after_it() -> None:
    (checked,) = re.findall(r"ruff check (.+)", (ROOT / "Makefile").read_text())
    before = (ROOT / ".pre-commit-config.yaml").read_text()
    folders = re.findall(r"files: \^\(([\w|]+)\)/", before)
    assert [set(named.split("|")) for named in folders] == [set(checked.split())] * 2
