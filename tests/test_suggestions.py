"""An unknown name is answered with the nearest ones that there are."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from command_line import run

from duchenne import facs
from duchenne.errors import DescriptorError, WeightsError, meant
from duchenne.weights import store

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ("AU13", "; nearest are AU12 and AU14"),
        ("happiness", "; happiness is an expression: --expression happiness"),
        ("lip corner puler", "; did you mean lip corner puller (AU12)?"),
    ],
)
def test_action_units(given: str, end: str) -> None:
    with pytest.raises(DescriptorError) as refusal:
        facs.parse(given)
    assert str(refusal.value).endswith(end)


def test_expressions_and_model_files() -> None:
    with pytest.raises(DescriptorError, match=r"did you mean happiness\?$"):
        facs.expression("hapiness")
    with pytest.raises(WeightsError, match=r"did you mean face-mesh\?$"):
        store.entry("face-mehs")
    assert meant("xyz", ["face-mesh"]) == ""


def test_commands_and_options() -> None:
    assert "animate" in run("animat").stderr.splitlines()[-1]
    assert "--expression" in run("animate", "a.jpg", "--expresion", "x").stderr.splitlines()[-1]


def test_the_version_is_in_one_place() -> None:
    """The citation repeats it, for people."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
