"""A photo with its face put back, within a size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from command_line import done
from PIL import Image

from duchenne.errors import InputError
from duchenne.faces import align
from duchenne.faces.warp import apply, shrink
from duchenne.files import films, pictures
from duchenne.files.transparency import photo_of
from duchenne.types import Photo


def test_the_face_stays_where_it_is(astronaut: np.ndarray) -> None:
    photo = Photo(astronaut[:, :400].copy(), "anna")
    aligned = tiny.golden_align(photo)
    assert align.within(photo, aligned, 512) == (photo, aligned)
    assert align.within(photo, aligned, None) == (photo, aligned)
    small, face = align.within(photo, aligned, 256)
    assert small.name == "anna"
    assert np.array_equal(small.pixels, shrink(photo.pixels, (200, 256)))
    np.testing.assert_allclose(face.face.mesh, aligned.face.mesh / 2, rtol=1e-6)
    np.testing.assert_allclose(face.face.box, np.array(aligned.face.box) / 2)
    corner = np.array([[0.0, 0.0], [1024.0, 300.0]])
    np.testing.assert_allclose(apply(face.to_photo, corner), apply(aligned.to_photo, corner) / 2)
    assert face.pixels is aligned.pixels
    assert (face.index, face.count) == (aligned.index, aligned.count)


def test_transparency_is_scaled_too(astronaut: np.ndarray) -> None:
    rgba = np.dstack([astronaut, np.full((512, 512), 255, np.uint8)])
    rgba[:, :256, 3] = 0
    photo = photo_of(rgba, "anna")
    small, _ = align.within(photo, tiny.golden_align(photo), 128)
    assert small.rgba is not None
    assert small.rgba.shape == (128, 128, 4)
    assert small.rgba[:, [0, 60, 68, 127], 3].tolist() == [[0, 0, 255, 255]] * 128


@pytest.mark.usefixtures("tiny_studio")
@pytest.mark.parametrize("extra", [(), ("--generated", "--steps", "1")])
def test_the_longer_side_is_bounded(extra: tuple[str, ...], folder: Path) -> None:
    with Image.open("photo.jpg") as image:
        image.crop((0, 0, 400, 512)).save("photo.png")
    small = shrink(pictures.load_photo("photo.png").pixels, (156, 200))
    line = ("photo.png", *extra, "--size", "200")
    done("edit", *line, "--au", "AU12=0", "-o", "zero.png")
    assert np.array_equal(pictures.load_photo("zero.png").pixels, small)
    done("edit", *line, "--au", "AU12=1", "-o", "one.png")
    changed = (pictures.load_photo("one.png").pixels != small).any(axis=2)
    assert 0 < changed.mean() < 0.2
    done("animate", *line, "--au", "AU12=1", "--frames", "2", "-o", "f/")
    first, last = (pictures.load_photo(path).pixels for path in sorted(Path("f").iterdir()))
    assert extra or np.array_equal(first, small)  # the generator has its own face at rest
    assert np.array_equal(last, pictures.load_photo("one.png").pixels)
    done("edit", "photo.png", *extra, "--size", "9999", "--au", "AU12=0", "-o", "zero.png")
    assert pictures.load_photo("zero.png").pixels.shape == (512, 400, 3)


def test_too_small_is_refused(astronaut: np.ndarray) -> None:
    studio = tiny.TinyStudio()
    subject = tiny.animate.Subject(studio, studio.sample(1).code)
    with pytest.raises(InputError, match="size 63: at least 64 px"):
        subject.edit({"AU12": 1.0}, paste=True, size=63)
    with pytest.raises(ValueError, match="only a face that came from a photo"):
        subject.edit({"AU12": 1.0}, paste=True, size=64)


@pytest.mark.usefixtures("tiny_studio", "folder")
def test_a_film_too_large_for_players_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "PLAYED_SIDE", 400)
    line = ("animate", "photo.jpg", "--au", "AU12", "--frames", "2")
    said = done(*line, "-o", "a.mp4").stderr
    assert said.count("512x512 px, and many players stop at 400; --size 400 or less") == 1
    for quiet in (("-o", "f/"), ("--crop", "-o", "b.mp4"), ("--size", "400", "-o", "c.mp4")):
        assert "players" not in done(*line, *quiet).stderr
