"""An unknown name is answered with the nearest ones that there are."""

from __future__ import annotations

import copy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import run

from duchenne import facs
from duchenne.cli import commands, completion
from duchenne.errors import DescriptorError, WeightsError, meant
from duchenne.weights import store

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ("AU13", "; nearest are AU12 and AU14"),
        ("AU112", "; did you mean AU12 or AU2?"),
        ("AU" + "9" * 400, "AU64"),  # a number like no other is like none
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


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("an", ["plain,animate"]),
        ("edit --expr", ["plain,--expression"]),
        ("edit a.jpg --expression surp", ["plain,surprise", "plain,surprise/stretched"]),
        (
            "edit a.jpg --au AU2",
            ["plain,AU2"] + [f"plain,AU2{n}" for n in (0, 2, 3, 4, 5, 6, 7, 8)],
        ),
        ("edit a.jpg --au AU12=1,au4", ["plain,AU12=1,AU4", "plain,AU12=1,AU43"]),
        ("animate a.jpg --easing n", ["plain,natural"]),
        ("weights fetch face-l", ["plain,face-landmarker-task"]),
        ("animate pho", ["file,pho"]),
        ("score a.png b", ["file,b"]),
        ("edit a.jpg -o ou", ["file,ou"]),
        ("study make se", ["dir,se"]),
        ("animate a.jpg --fps 2", [""]),
    ],
)
def test_what_a_shell_is_offered(
    typed: str,
    offered: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As bash asks: the words so far, and the answer a line each, `kind,text`."""
    for name, value in {
        completion.VARIABLE: "bash_complete",
        "COMP_WORDS": f"duchenne {typed}",
        "COMP_CWORD": str(len(typed.split())),
    }.items():
        monkeypatch.setenv(name, value)
    plain = copy.deepcopy(commands)
    completion.offer_values(plain)
    with pytest.raises(SystemExit):
        plain.main(prog_name="duchenne")
    assert capsys.readouterr().out.splitlines() == offered


def test_the_module_is_the_program() -> None:
    given = [sys.executable, "-m", "duchenne", "animat"]
    said = subprocess.run(given, capture_output=True, text=True)
    assert said.returncode == 2
    assert "duchenne: error: No such command 'animat'. Did you mean 'animate'?" in said.stderr


def test_the_version_is_in_one_place() -> None:
    """The citation repeats it, for people."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
