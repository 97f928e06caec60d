"""Several faces of one photo or film, each with an expression of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from command_line import run
from PIL import Image

from duchenne.cli import people
from duchenne.cli.people import ForPeople
from duchenne.encoding.look_alike import LookAlike
from duchenne.faces import align
from duchenne.faces.people import People, Recogniser
from duchenne.faces.tracking import track
from duchenne.files import films
from duchenne.files.film_source import Frame
from duchenne.footage import recognising
from duchenne.footage.film import Shown
from duchenne.footage.together import in_one
from duchenne.generators.built_in import BuiltIn
from duchenne.measuring import film, film_table
from duchenne.moving.together import together
from duchenne.types import Photo

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


# ---------------------------------------------------------------- who is who


def seen_as() -> Recogniser:
    """Faces whose meshes say who they are, as directions in a plane."""

    def describe(pixels: np.ndarray, mesh: np.ndarray) -> np.ndarray:
        angle = np.radians(float(mesh[0, 0]))
        return np.array([np.cos(angle), np.sin(angle)])

    return Recogniser("angles", describe, 0.9)


def at(angle: float) -> np.ndarray:
    return np.full((468, 3), angle, np.float32)


def test_people_keep_the_numbers_under_which_they_appeared() -> None:
    who = People(seen_as())
    assert who.number(WHOLE, [at(0), at(90)]) == [0, 1]
    assert who.number(WHOLE, [at(84), at(170), at(5)]) == [1, 2, 0]
    assert who.number(WHOLE, [at(100)]) == [1]
    assert len(who) == 3
    assert who.is_another(WHOLE, at(80), 0)
    assert not who.is_another(WHOLE, at(46), 1)
    assert not who.is_another(WHOLE, at(20), 0)


@pytest.fixture(scope="module")
def swap() -> list[Frame]:
    """Two generated people who walk past each other, and after a cut stand in changed places."""
    names = ("generated_face_03", "generated_face_07")
    small = [
        np.asarray(Image.open(tiny.GOLDEN.parent / f"{name}.jpg").resize((230, 230)))
        for name in names
    ]
    frames = []
    for i in range(40):
        canvas = np.full((240, 640, 3), 90 if i < 30 else 200, np.uint8)
        share = min(max((i - 4) / 20, 0), 1) if i < 30 else 0.0
        places = (round(10 + 390 * share), round(400 - 390 * share))
        for picture, left in reversed(list(zip(small, places, strict=True))):
            canvas[5:235, left : left + 230] = picture
        frame = Frame(i, i / 25, None, 0)
        frame.__dict__["pixels"] = canvas
        frames.append(frame)
    return frames


def by_look() -> Recogniser:
    """v(I), which needs no further file."""
    look = LookAlike(BuiltIn())
    look.keeps_programs = True
    mean = look.generator.weights.arrays["w_mean"]

    def describe(pixels: np.ndarray, mesh: np.ndarray) -> np.ndarray:
        crop = align.cut(Photo(pixels), align.face_of(mesh), size=256)
        return np.asarray(look.encode(crop.pixels).w - mean)

    return Recogniser("v(I)", describe, recognising.SAME_LOOK)


@pytest.mark.weights
@pytest.mark.parametrize("number", [0, 1])
def test_who_changes_places_keeps_the_number(swap: list[Frame], number: int) -> None:
    people = People(by_look())
    seen = list(track(swap, number, people))
    assert [one.frame.index for one in seen] == list(range(40))
    # The one in front and the one behind: which is larger, and so number 0, is found out.
    first = float(seen[0].mesh[:, 0].mean())
    for one in seen:
        if one.mesh is None:
            continue
        i, x = one.frame.index, float(one.mesh[:, 0].mean())
        share = min(max((i - 4) / 20, 0), 1) if i < 30 else 0.0
        left = 10 + 390 * share if first < 320 else 400 - 390 * share
        assert abs(x - (left + 115)) < 40, i
        # Who walks behind is not taken for who walks before: they are seen while they can be.
        assert number == 0 or abs(share - 0.5) > 0.1 or abs(x - (left + 115)) < 20
    there = [one.frame.index for one in seen if one.mesh is not None]
    assert set(there) >= {*range(8), *range(26, 40)}


def by_thumbnail() -> Recogniser | None:
    """Enough to tell two people apart whose light does not change, and quick."""

    def describe(pixels: np.ndarray, mesh: np.ndarray) -> np.ndarray:
        crop = align.cut(Photo(pixels), align.face_of(mesh), size=64).pixels.astype(float)
        small = crop.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
        return small - small.mean()

    return Recogniser("thumbnail", describe, 0.8)


@pytest.mark.weights
def test_measured_people_who_change_places_keep_their_numbers(
    swap: list[Frame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of number 0 are of one person; a run that was stopped amid goes on to the same."""
    path = tmp_path / "swap.mp4"
    films.write_frames([one.pixels for one in swap], path, fps=25)
    monkeypatch.setattr(film, "recogniser", by_thumbnail)
    seen = list(film.observe(path))
    places = {one.number: float(one.seen.head.place[0]) for one in seen if one.seen}
    there = {*range(1, 8), *range(27, 31)}  # on the two sides, before the cut
    assert there <= set(places)
    assert len({np.sign(places[i]) for i in range(1, 8)}) == 1
    assert np.sign(places[1]) == -np.sign(places[28]) == np.sign(places[38])
    stopped = seen[27]
    rest = list(film.observe(path, after=stopped.number, state=stopped.state))
    assert [film_table.row(one, 0, False) for one in rest] == [
        film_table.row(one, 0, False) for one in seen[stopped.number :]
    ]
