"""Pasting back: what must not change, what must come back, what must blend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from duchenne.faces.align import align, cut
from duchenne.faces.paste import PasteBack, face_mask, tone_difference
from duchenne.faces.regions import smoothstep
from duchenne.faces.warp import apply, invert
from duchenne.types import AlignedFace, Face, Photo

DATA = Path(__file__).parent / "data"


def aligned_face(scale: float = 1.0, size: int = 256) -> tuple[Photo, AlignedFace]:
    """A generated face in a photo that is larger than its crop."""
    name = "generated_face_07"
    with Image.open(DATA / f"{name}.jpg") as image:
        side = round(image.width * scale)
        pixels = np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))
    with np.load(DATA / "landmarks_mediapipe_0.10.21.npz") as golden:
        mesh = golden[name] * np.float32(scale)
    pixels = np.pad(pixels, ((40, 30), (20, 60), (0, 0)), mode="reflect")
    mesh[:, :2] += (20, 40)
    photo = Photo(pixels, "photo.png")
    return photo, cut(photo, Face((0, 0, 1, 1), 1.0, mesh), size=size)


def mask_in_photo(photo: Photo, aligned: AlignedFace, mask: np.ndarray) -> np.ndarray:
    """bool [H, W]: where the mask, enlarged by two crop pixels, is not zero."""
    height, width = photo.pixels.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    points = np.rint(apply(invert(aligned.to_photo), np.stack([x, y], axis=2)) - 0.5).astype(int)
    reach = int(3 / np.hypot(*aligned.to_photo[:, 0])) + 3
    padded = np.pad(mask > 0, 200)
    touched = np.zeros((height, width), bool)
    for dy in range(-reach, reach + 1, max(1, reach // 4)):
        for dx in range(-reach, reach + 1, max(1, reach // 4)):
            u = np.clip(points[..., 0] + dx + 200, 0, padded.shape[1] - 1)
            v = np.clip(points[..., 1] + dy + 200, 0, padded.shape[0] - 1)
            touched |= padded[v, u]
    return touched


def test_mask_covers_the_face_and_ends_inside_the_crop() -> None:
    _, aligned = aligned_face()
    mask = face_mask(aligned)
    assert mask.shape == (256, 256)
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1
    for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert (edge == 0).all()
    inside = apply(invert(aligned.to_photo), aligned.face.mesh[:, :2]).astype(int)
    assert (mask[inside[:, 1], inside[:, 0]] > 0.5).all()
    # Soft: no step larger than a few percent.
    assert np.abs(np.diff(mask, axis=0)).max() < 0.15


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_outside_the_mask_nothing_changes(scale: float) -> None:
    photo, aligned = aligned_face(scale)
    noise = np.random.default_rng(0).integers(0, 256, aligned.pixels.shape, np.uint8)
    pasted = PasteBack(photo, aligned).paste(noise)
    touched = mask_in_photo(photo, aligned, face_mask(aligned))
    assert 0.05 < touched.mean() < 0.9
    np.testing.assert_array_equal(pasted[~touched], photo.pixels[~touched])
    assert (pasted != photo.pixels).any(axis=2)[touched].mean() > 0.5


def test_an_empty_mask_changes_nothing() -> None:
    photo, aligned = aligned_face()
    black = np.zeros_like(aligned.pixels)
    pasted = PasteBack(photo, aligned, mask=np.zeros((256, 256), np.float32)).paste(black)
    np.testing.assert_array_equal(pasted, photo.pixels)


@pytest.mark.parametrize(("scale", "size"), [(0.4, 512), (1.0, 512), (1.0, 320), (1.4, 1024)])
def test_the_crop_itself_gives_the_photo_back(scale: float, size: int) -> None:
    photo, aligned = aligned_face(scale, size)
    paste = PasteBack(photo, aligned)
    left, top, right, bottom = paste.box
    before = photo.pixels[top:bottom, left:right].astype(int)
    after = paste.paste(aligned.pixels)[top:bottom, left:right]
    assert np.abs(after - before).mean() < 1.5


def test_pasting_leaves_photo_and_frame_alone() -> None:
    photo, aligned = aligned_face()
    kept, frame = photo.pixels.copy(), aligned.pixels.copy()
    paste = PasteBack(photo, aligned)
    first, second = paste.paste(255 - frame), paste.paste(frame)
    assert (first != second).any()
    np.testing.assert_array_equal(paste.paste(255 - frame), first)
    np.testing.assert_array_equal(photo.pixels, kept)
    np.testing.assert_array_equal(aligned.pixels, frame)


def test_colour_match_takes_a_tint_off() -> None:
    photo, aligned = aligned_face(size=512)
    tinted = np.clip(aligned.pixels * np.array([1.08, 1.0, 0.9]) + 6, 0, 255).astype(np.uint8)
    plain = PasteBack(photo, aligned)
    matched = PasteBack(photo, aligned, reconstruction=tinted)
    left, top, right, bottom = plain.box
    before = photo.pixels[top:bottom, left:right].astype(int)
    errors = [
        np.abs(paste.paste(tinted)[top:bottom, left:right] - before).mean()
        for paste in (plain, matched)
    ]
    assert errors[1] < 0.4 * errors[0]
    touched = mask_in_photo(photo, aligned, face_mask(aligned))
    np.testing.assert_array_equal(matched.paste(tinted)[~touched], photo.pixels[~touched])


def test_tone_difference_by_hand() -> None:
    original = np.full((64, 64, 3), 100, np.uint8)
    reconstruction = np.full((64, 64, 3), 90, np.uint8)
    mask = np.zeros((64, 64), np.float32)
    mask[16:48, 16:48] = 1
    # Beyond the mask the pictures differ wildly, which must not count.
    reconstruction[:, 60:] = 255
    tone = tone_difference(original, reconstruction, mask)
    assert tone.shape == (8, 8, 3)
    np.testing.assert_allclose(tone[2:6, 2:6], 10, atol=0.5)


def test_smoothstep_by_hand() -> None:
    np.testing.assert_allclose(
        smoothstep(np.array([-1, 0, 0.25, 0.5, 1, 2], np.float32)), [0, 0, 0.15625, 0.5, 1, 1]
    )


def test_face_at_the_edge_of_the_photo() -> None:
    photo, aligned = aligned_face()
    cropped = Photo(np.ascontiguousarray(photo.pixels[120:, :200]))
    mesh = aligned.face.mesh - np.array([0, 120, 0], np.float32)
    part = cut(cropped, Face((0, 0, 1, 1), 1.0, mesh), size=256)
    paste = PasteBack(cropped, part)
    left, top, right, bottom = paste.box
    assert (left >= 0, top, right, bottom <= cropped.pixels.shape[0]) == (True, 0, 200, True)
    pasted = paste.paste(part.pixels)
    assert np.abs(pasted.astype(int) - cropped.pixels).mean() < 1.5


@pytest.mark.weights
def test_astronaut_round_trip() -> None:
    skimage_data = pytest.importorskip("skimage.data")
    photo = Photo(skimage_data.astronaut(), "astronaut.png")
    aligned = align(photo)
    paste = PasteBack(photo, aligned)
    left, top, right, bottom = paste.box
    pasted = paste.paste(aligned.pixels)
    difference = np.abs(pasted.astype(int) - photo.pixels)
    assert difference[top:bottom, left:right].mean() < 1.5
    outside = np.ones(difference.shape[:2], bool)
    outside[top:bottom, left:right] = False
    assert (difference[outside] == 0).all()
