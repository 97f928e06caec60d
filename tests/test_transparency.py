"""A photo's transparency: kept where a format has it, laid over white elsewhere."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import tiny
from command_line import done
from PIL import Image
from test_batch import manifest, tiny_here, tiny_workers, workers_here

from duchenne.errors import InputError
from duchenne.files import pictures
from duchenne.files.film_formats import FORMATS
from duchenne.files.films import keeps_transparency, read_video, write_frames
from duchenne.files.transparency import off_white, over_white, photo_of
from duchenne.moving.canvas import Canvas
from duchenne.moving.change import SIDE
from duchenne.moving.clear import ClearCanvas
from duchenne.moving.moved import Fields
from duchenne.types import Photo, Pixels

_ = tiny_here, tiny_workers, workers_here  # fixtures
CLEAR = [suffix for suffix, form in FORMATS.items() if form.clear is not None]


@pytest.fixture(scope="module")
def cut_out(astronaut: np.ndarray) -> Pixels:
    """uint8 [512, 512, 4]: soft at the sides of the face, colours where nobody sees them too."""
    alpha = np.clip(np.abs(np.arange(512) - 225.0) * -6 + 520, 0, 255).astype(np.uint8)
    return np.dstack([astronaut, np.broadcast_to(alpha, (512, 512))])


def test_by_hand() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 255, 100, 51]]], np.uint8)
    photo = photo_of(rgba, "photo")
    assert photo.pixels.tolist() == [[[10, 20, 30], [255, 255, 255], [204, 255, 224]]]
    assert off_white(photo.pixels, photo).tolist() == rgba.tolist()
    frame = np.array([[[11, 20, 30], [255, 255, 250], [214, 255, 224]]], np.uint8)
    clear = off_white(frame, photo)
    assert clear[0, :, 3].tolist() == [255, 0, 51]
    assert clear[0, 0].tolist() == [11, 20, 30, 255]
    assert clear[0, 2].tolist() == [50, 255, 100, 51]  # a fifth of 50 and four of 255 make 214
    alpha = np.array([[255, 255, 51]], np.uint8)
    assert off_white(frame, photo, alpha)[0, 1].tolist() == [255, 255, 250, 255]


def test_over_white_again_is_the_frame(cut_out: Pixels) -> None:
    photo = photo_of(cut_out, "photo")
    frame = over_white(np.dstack([255 - cut_out[..., :3], cut_out[..., 3]]))
    assert np.abs(over_white(off_white(frame, photo)).astype(int) - frame).max() <= 1


def test_what_is_opaque_has_no_transparency(cut_out: Pixels) -> None:
    opaque = cut_out.copy()
    opaque[..., 3] = 255
    photo = pictures.as_photo(opaque)
    assert photo.rgba is None
    assert np.array_equal(photo.pixels, cut_out[..., :3])
    assert pictures.as_photo(cut_out).rgba is cut_out
    with pytest.raises(InputError, match="H, W, 4"):
        pictures.as_photo(cut_out[..., :2])


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_pictures(suffix: str, tmp_path: Path, cut_out: Pixels, caplog) -> None:
    path = tmp_path / f"a.{suffix}"
    pictures.save_image(cut_out, path)
    assert keeps_transparency(path.suffix) == (suffix != "jpg") == (not caplog.text)
    got = pictures.load_photo(path)
    assert path.read_bytes() == pictures.image_bytes(cut_out, path.suffix)
    if suffix == "jpg":
        assert ".jpg has no transparency" in caplog.text
        assert ".png and .webp keep it" in caplog.text
        assert got.rgba is None
        assert np.abs(got.pixels.astype(int) - over_white(cut_out)).mean() < 1.5
        return
    assert np.array_equal(got.rgba[..., 3], cut_out[..., 3])
    if suffix == "png":
        assert np.array_equal(got.rgba, cut_out)


def frames_of(path: Path) -> list[Pixels]:
    """[H, W, 4] of a film that can be transparent."""
    if path.suffix == ".webm":  # only libvpx reads the second stream
        with av.open(str(path)) as film:
            decoder = av.codec.CodecContext.create("libvpx-vp9", "r")
            packets = film.demux(film.streams.video[0])
            return [f.to_ndarray(format="rgba") for p in packets for f in decoder.decode(p)]
    with Image.open(path) as film:
        frames = []
        for i in range(film.n_frames):
            film.seek(i)
            frames.append(np.array(film.convert("RGBA")))
        return frames


@pytest.mark.parametrize("suffix", CLEAR)
def test_films_that_keep_it(suffix: str, tmp_path: Path, cut_out: Pixels, caplog) -> None:
    film = [np.roll(cut_out, 3 * i, axis=1)[:95, 101:400] for i in range(4)]  # odd sides
    path = tmp_path / f"a{suffix}"
    write_frames(film, path, fps=24)
    assert not caplog.text
    got = frames_of(path)
    assert len(got) == 4
    for frame, given in zip(got, film, strict=True):
        shown, wanted = over_white(frame[:95, :299]).astype(int), over_white(given)
        assert np.abs(shown - wanted).mean() < {".apng": 1e-9, ".webp": 3, ".webm": 4}[suffix]
        assert np.abs(frame[:95, :299, 3].astype(int) - given[..., 3]).mean() < 2


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix not in CLEAR])
def test_films_that_have_none(suffix: str, tmp_path: Path, cut_out: Pixels, caplog) -> None:
    path = tmp_path / f"a{suffix}"
    write_frames([cut_out] * 3, path, fps=24)
    assert caplog.text.count("has no transparency") == 1
    for frame in read_video(path):
        assert np.abs(frame.astype(int) - over_white(cut_out)).mean() < 6


def test_what_moves_takes_its_opacity_along(cut_out: Pixels) -> None:
    """No rim of white where the edge of the face moves."""
    photo = photo_of(cut_out, "photo")
    aligned = tiny.golden_align(photo)
    share = np.zeros((SIDE, SIDE), np.float32)
    share[40:-40, 40:-40] = 1
    to_the_right = np.full((SIDE, SIDE, 2), (-20.0, 0.0), np.float32)
    nothing = np.zeros((SIDE, SIDE), np.float32)
    fields = Fields(to_the_right, nothing, nothing, np.zeros((SIDE, SIDE, 3), np.float32), nothing)
    drawn = ClearCanvas(photo, aligned, share).draw(fields)
    shown = Canvas.of_photo(Photo(photo.pixels), aligned, share).draw(fields)
    assert (drawn[..., 3] != cut_out[..., 3]).any()
    assert np.abs(over_white(drawn).astype(int) - shown).max() <= 8  # Lanczos rings at the edge
    opaque = Canvas.of_photo(Photo(cut_out[..., :3].copy()), aligned, share).draw(fields)
    seen = drawn[..., 3] > 128
    assert np.abs(drawn[..., :3].astype(int) - opaque)[seen].mean() < 1
    assert np.array_equal(ClearCanvas(photo, aligned, share).draw(None), cut_out)


@pytest.mark.usefixtures("tiny_studio")
def test_the_commands_keep_it(folder: Path, cut_out: Pixels) -> None:
    Image.fromarray(cut_out).save("photo.png")
    for extra in ((), ("--generated", "--steps", "1")):
        done("edit", "photo.png", "--au", "AU12=1", *extra, "-o", "edited.png")
        edited = pictures.load_photo("edited.png").rgba
        assert edited is not None
        assert edited.shape == (512, 512, 4)
        changed = (edited != cut_out).any(axis=2)
        assert changed.any()
        assert not changed[:40].any()
        assert not changed[450:].any()
    said = done("edit", "photo.png", "--au", "AU12=1", "-o", "edited.jpg").stderr
    assert said.count("laid over white") == 1
    done("animate", "photo.png", "--au", "AU12=1", "--frames", "2", "-o", "frames/")
    first, second = (pictures.load_photo(p).rgba for p in sorted(Path("frames").glob("*.png")))
    assert np.array_equal(first, cut_out)
    assert not np.array_equal(second, cut_out)


@pytest.mark.usefixtures("tiny_here")
def test_a_batch_keeps_it_and_says_so(folder: Path, cut_out: Pixels) -> None:
    (folder / "photos").mkdir()
    Image.fromarray(cut_out).save("photos/cut.png")
    (folder / "photo.jpg").rename("photos/whole.jpg")
    line = ("batch", "photos/", "--au", "AU12=1", "--workers", "1")
    assert "over white" not in done(*line, "-o", "clear", "--size", "300").stderr
    assert [row["transparency"] for row in manifest("clear")] == ["kept", ""]
    assert pictures.load_photo("clear/cut.png").rgba is not None
    said = done(*line, "-o", "white", "--format", ".jpg").stderr
    assert "1 transparent photos are laid over white" in said
    assert [row["transparency"] for row in manifest("white")] == ["over white", ""]
