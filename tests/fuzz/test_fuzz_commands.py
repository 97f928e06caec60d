"""Command lines: any command with any options, whose words are right, wrong or hostile.

Nothing heavy can begin: there are no model files, and the photo is none.
"""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from command_line import run
from fuzzed import bounded, cases, number_texts, odd_texts, short_texts
from hypothesis import given
from hypothesis import strategies as st
from refusal import one_line

from duchenne import facs
from duchenne.cli import commands

SKIPPED = ("serve", "demo", "experiments", "programs", "evaluate", "fit")  # they begin their work
WORDS = ("nobody.jpg", "text.jpg", "keys.toml", "drive.csv", "batch.csv", "design.toml",
         "code.safetensors", "out.png", "out.mp4", "out/", ".", "-", "AU12=1", "AU12=0:1:0.1",
         *facs.EXPRESSIONS)  # fmt: skip
CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8}

words = st.sampled_from(WORDS) | number_texts | odd_texts | short_texts


def _leaves(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    """The commands without groups, by the words that call them."""
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in group.commands.items():
        if not path and name in SKIPPED:
            continue
        if isinstance(command, click.Group):
            found |= _leaves(command, (*path, name))
        else:
            found[*path, name] = command
    return found


LEAVES = _leaves(commands)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "keys.toml").write_text("AU12 = [[0, 0], [1, 1]]\n")
    (tmp_path / "drive.csv").write_text("frame,timestamp,confidence,success,AU12_r\n1,0,1,1,2\n")
    (tmp_path / "batch.csv").write_text("file,au\ntext.jpg,AU12=1\n")
    (tmp_path / "design.toml").write_text("neutral = true\n[people]\nphotos = ['text.jpg']\n")
    (tmp_path / "code.safetensors").write_text("no code")
    return tmp_path


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command with its arguments, options and their values."""
    path = draw(st.sampled_from(sorted(LEAVES)))
    command = LEAVES[path]
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    line = [*path, *(draw(st.sampled_from(WORDS) | words) for _ in arguments)]
    needed = [option for option in options if option.required]
    chosen = draw(st.lists(st.sampled_from(options), max_size=4)) if options else []
    for option in [*needed, *chosen]:
        line.append(max(option.opts, key=len))
        if not option.is_flag and not option.count:
            line.append(draw(words))
    if draw(st.integers(0, 9)) == 0:
        line.insert(draw(st.integers(0, len(line))), draw(words))
    return [word.replace("\0", "") for word in line if "\ud800" not in word]


@cases(600)
@given(line=lines())
def test_lines(line: list[str], place: Path) -> None:
    with bounded():
        result = run(*line)
    assert result.exit_code in CODES
    said = result.stderr.splitlines()
    if result.exit_code > 1:
        assert said[-1].startswith("duchenne: error: ")
    for text in said:
        if text.startswith("duchenne: "):
            one_line(text)
