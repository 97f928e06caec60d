"""The tutorials run as they stand: their files written, commands and Python in order."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from command_line import done
from test_batch import tiny_here, tiny_workers, workers_here
from test_cli import inputs

import duchenne
from duchenne.stimuli.measuring import Means

_ = inputs, tiny_here, tiny_workers, workers_here  # fixtures
ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCKS = re.compile(r"^```(\w*)\n([\s\S]*?)^```|^    (duchenne .*)$", re.MULTILINE)
# Hours, other machines, the network, or people's answers; test_docs.py holds them to the options.
NOT_HERE = (
    *("duchenne fit", "duchenne evaluate", "duchenne weights", "duchenne doctor", "duchenne study"),
    *("duchenne sample --seed 1000", "--ray", "own.safetensors", "ffhq_boundaries"),
)
REAL_FACES = ("film.mp4 --", "--drive film.mp4")  # the detector's weights


def blocks_of(path: Path) -> list[tuple[str, str]]:
    """(kind, text) of each block in order; the kind of a command is ''."""
    found = BLOCKS.findall(path.read_text())
    return [(kind, text) if text else ("", line) for kind, text, line in found]


def runs_here(command: str, real: bool) -> bool:
    needs_detector = any(word in command for word in REAL_FACES)
    return needs_detector == real and not any(word in command for word in NOT_HERE)


def run(path: Path, *, real: bool) -> list[str]:
    """Run a tutorial in the working folder; returns the commands that were run."""
    ran = []
    for kind, text in blocks_of(path):
        if kind == "toml":
            name = re.match(r"# (\S+)\n", text)
            assert name, f"{path.name}: a block of TOML says on its first line which file it is"
            Path(name[1]).write_text(text)
        elif kind == "python" and not real:
            exec(text, {})
        elif not kind and runs_here(text, real):
            done(*shlex.split(text, comments=True)[1:])
            ran.append(text)
    return ran


@pytest.mark.usefixtures("tiny_here", "tiny_studio", "inputs")
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree("set")  # this tutorial makes its own
    Path("scores.csv").write_text("image,AU1,AU12\na.png,0,3.5\n")
    monkeypatch.setattr(Means, "found", lambda: Means(scores=False, identity=False))
    ran = run(path, real=False)
    assert ran or path.stem == "cluster"
    for line in ran:
        if " -o " in line:
            assert Path(line.split(" -o ")[1].split()[0]).exists(), line


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.usefixtures("tiny_studio", "inputs")
def test_the_films_of_the_tutorials_are_made() -> None:
    """Their faces are found by the real detector, and drawn by the tiny generator."""
    ran = run(ROOT / "docs" / "tutorials" / "film.md", real=True)
    assert [Path(line.split(" -o ")[1]).stat().st_size > 0 for line in ran] == [True] * len(ran)
    assert len(ran) >= 2


def test_the_reference_has_every_public_name() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    named = set(re.findall(r"^::: duchenne\.(\w+)$", text, re.MULTILINE))
    constants = {"ACTION_UNITS", "EXPRESSIONS", "__version__"}
    assert named == set(duchenne.__all__) - constants
    assert all(name in text for name in constants if name != "__version__")
