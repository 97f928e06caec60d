"""Several faces of one photo or film, each with an expression of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from command_line import run

from duchenne.cli import people
from duchenne.cli.people import ForPeople
from duchenne.files.film_source import Frame
from duchenne.footage.film import Shown
from duchenne.footage.together import in_one
from duchenne.moving.together import together

WHOLE = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def parsed(*args: str) -> tuple[int | None, str | None, list[people.Person]]:
    """--face and --au of the first face, and the others."""

    @click.command(cls=ForPeople)
    @click.argument("source")
    @click.option("--face", type=int)
    @click.option("--au")
    @click.option("--expression")
    @click.option("-o")
    def command(face: int | None, au: str | None, **_: object) -> None:
        found.append((face, au, list(people.further())))

    found: list[tuple[int | None, str | None, list[people.Person]]] = []
    result = CliRunner().invoke(command, args)
    assert result.exit_code == 0, result.output
    return found[0]


def test_each_face_has_what_follows_its_number() -> None:
    assert parsed("p.jpg", "--au", "AU12=1", "-o", "x") == (None, "AU12=1", [])
    face, au, others = parsed(
        "p.jpg", "--face", "0", "--au", "AU12=1", "--face=2", "--au=AU4=0.7", "-o", "x",
        "--face", "1", "--expression", "happiness",
    )  # fmt: skip
    assert (face, au) == (0, "AU12=1")
    assert [person.face for person in others] == [2, 1]
    assert dict(others[0].asked) == {"AU4": 0.7}
    assert {"AU6", "AU12"} <= set(others[1].asked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--face", "0", "--au", "AU4=1", "--face", "1"], "--face 1: say right after it"),
        (["--face", "0", "--face", "0", "--au", "AU4=1"], "--face 0 is given twice"),
        (["--target", "AU12=0", "--face", "0", "--face", "1", "--au", "AU4=1"], "give each face"),
        (["--au", "AU4=1", "--face", "0", "--crop", "--face", "1", "--au", "AU4=1"], "--crop is"),
        (["--au", "AU4=1", "--face", "0", "--face", "x", "--au", "AU4=1"], "'x' is not"),
    ],
)
def test_what_does_not_fit_is_said(folder: Path, options: list[str], message: str) -> None:
    result = run("edit", "photo.jpg", *options, "-o", "out.png")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("out.png").exists()


def test_faces_come_together_to_the_bit() -> None:
    one, other = WHOLE.copy(), WHOLE.copy()
    one[1:3, 1:3] = 7
    other[3:5, 4:6] = 9
    both = together(WHOLE, [one, other])
    np.testing.assert_array_equal(both[1:3, 1:3], 7)
    np.testing.assert_array_equal(both[3:5, 4:6], 9)
    both[1:3, 1:3], both[3:5, 4:6] = WHOLE[1:3, 1:3], WHOLE[3:5, 4:6]
    np.testing.assert_array_equal(both, WHOLE)


def test_frames_of_a_film_come_together() -> None:
    frame = Frame(0, 0.0, None, 0)
    frame.__dict__["pixels"] = WHOLE
    one, other = WHOLE.copy(), WHOLE.copy()
    one[1, 1], other[3, 4] = 7, 9
    table = np.zeros((1, 8))
    here, there = (slice(1, 2), slice(1, 2)), (slice(3, 4), slice(4, 5))
    first = Shown(frame, one, here, 1.0, table)
    second = Shown(frame, other, there, 1.0, table)
    still = replace(first, pixels=None)
    both, right, none = in_one([iter([first, still, still]), iter([second, second, still])])
    assert both.where == (slice(1, 4), slice(1, 5))
    np.testing.assert_array_equal(both.pixels, together(WHOLE, [one, other]))
    assert right.pixels is other
    assert right.where == there
    assert none.pixels is None
