"""Alignment: FFHQ framing, the choice of a face, the fade past the photo."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from duchenne.errors import InputError, NoFaceFound
from duchenne.faces import align as align_module
from duchenne.faces import landmarks
from duchenne.faces.align import align, blur, canonical, cut
from duchenne.faces.warp import apply, invert
from duchenne.types import Face, Photo

DATA = Path(__file__).parent / "data"
GENERATED = ("generated_face_03", "generated_face_07", "generated_face_21")


def golden_mesh(name: str) -> np.ndarray:
    with np.load(DATA / "landmarks_mediapipe_0.10.21.npz") as golden:
        return golden[name]


def generated(name: str) -> Photo:
    with Image.open(DATA / f"{name}.jpg") as image:
        return Photo(np.asarray(image), f"{name}.jpg")


def moved(mesh: np.ndarray, scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    result = mesh.copy()
    result[:, :2] = scale * mesh[:, :2] @ np.array([[cos, sin], [-sin, cos]]) + shift
    return result


def face_of(mesh: np.ndarray) -> Face:
    return Face((0, 0, 1, 1), 1.0, mesh)


def test_ffhq_recipe_by_hand() -> None:
    mesh = np.zeros((468, 3), np.float32)
    mesh[list(align_module.RIGHT_EYE), :2] = (400, 480)
    mesh[list(align_module.LEFT_EYE), :2] = (640, 480)
    mesh[[landmarks.MOUTH_RIGHT, landmarks.MOUTH_LEFT], :2] = (520, 730)
    # Half side max(2 * 240, 1.8 * 250) = 480; centre a tenth of 250 below the eyes.
    side = 960 * align_module.SIDE_CORRECTION
    right, down = np.array(align_module.SHIFT_CORRECTION) * side
    to_photo = canonical(mesh, 100)
    np.testing.assert_allclose(to_photo[:, :2], np.eye(2) * side / 100, atol=1e-9)
    np.testing.assert_allclose(apply(to_photo, np.array([50, 50])), [520 + right, 505 + down])


def test_canonical_follows_a_similarity() -> None:
    mesh = golden_mesh("astronaut")
    before = canonical(mesh, 256)
    after = canonical(moved(mesh, 1.7, 33, (50, -20)), 256)
    corners = np.array([[0, 0], [256, 0], [0, 256], [77, 100]], np.float32)
    expected = moved(apply(before, corners).astype(np.float32), 1.7, 33, (50, -20))
    np.testing.assert_allclose(apply(after, corners), expected, atol=0.01)


def test_cut_puts_the_same_content_at_the_same_place() -> None:
    """A photo that is an affine picture of a smooth function gives that function in the crop."""
    mesh = moved(golden_mesh("generated_face_07"), 0.9, 17, (160, 60))
    y, x = np.mgrid[:420, :440] + 0.5
    to_photo = canonical(mesh, 128)
    u, v = np.moveaxis(apply(invert(to_photo), np.stack([x, y], axis=2)), 2, 0)
    pixels = np.stack([128 + 90 * np.sin(u / 12), 128 + 90 * np.cos(v / 11), 128 + u - v], axis=2)
    aligned = cut(Photo(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)), face_of(mesh), size=128)
    v, u = np.mgrid[:128, :128] + 0.5
    expected = np.stack([128 + 90 * np.sin(u / 12), 128 + 90 * np.cos(v / 11), 128 + u - v], axis=2)
    outside = apply(to_photo, np.stack([u, v], axis=2))
    inside = ((outside > 4) & (outside < np.array([436, 416]))).all(axis=2)
    assert inside.mean() > 0.8
    error = np.abs(aligned.pixels - np.clip(expected, 0, 255))[inside]
    assert error.mean() < 0.6
    np.testing.assert_array_equal(aligned.to_photo, to_photo)


def test_past_the_photo_is_a_fading_reflection() -> None:
    mesh = golden_mesh("generated_face_07").copy()
    mesh[:, 0] -= 120
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[::8] = 255
    aligned = cut(Photo(stripes), face_of(mesh), size=160)
    assert aligned.pixels[40:120, :4].std() < 0.3 * aligned.pixels[40:120, -4:].std()


def test_blur_keeps_constants_and_mass() -> None:
    np.testing.assert_allclose(blur(np.full((20, 30, 2), 7, np.float32), 3), 7, rtol=1e-5)
    point = np.zeros((41, 41, 1), np.float32)
    point[20, 20] = 1
    soft = blur(point, 2)
    assert soft.sum() == pytest.approx(1, abs=1e-4)
    x = np.arange(41) - 20
    assert (soft[..., 0].sum(axis=0) * x**2).sum() == pytest.approx(4, rel=0.05)


# The real networks


@pytest.mark.weights
@pytest.mark.parametrize("name", GENERATED)
def test_generated_faces_are_canonical(name: str) -> None:
    """The generator was trained on FFHQ crops, so aligning its faces changes little."""
    photo = generated(name)
    aligned = align(photo, size=320)
    corners = np.array([[0, 0], [320, 0], [0, 320], [320, 320], [160, 160]])
    error = np.linalg.norm(apply(aligned.to_photo, corners) - corners, axis=1)
    assert error.max() < 0.05 * 320
    assert error[-1] < 0.01 * 320
    assert aligned.pixels.shape == (320, 320, 3)
    assert (aligned.index, aligned.count) == (0, 1)


@pytest.mark.weights
def test_aligning_the_crop_again_changes_nothing() -> None:
    skimage_data = pytest.importorskip("skimage.data")
    once = align(Photo(skimage_data.astronaut()), size=512)
    twice = align(Photo(once.pixels), size=512)
    corners = np.array([[0, 0], [512, 0], [0, 512], [512, 512]])
    assert np.linalg.norm(apply(twice.to_photo, corners) - corners, axis=1).max() < 0.02 * 512


@pytest.mark.weights
def test_choosing_a_face() -> None:
    left, right = generated(GENERATED[0]).pixels, generated(GENERATED[2]).pixels
    small = np.asarray(Image.fromarray(right).resize((200, 200)))
    canvas = np.full((320, 540, 3), 128, np.uint8)
    canvas[:, :320] = left
    canvas[60:260, 330:530] = small
    photo = Photo(canvas, "two.png")
    default, first, second = (align(photo, size=64, face=face) for face in (None, 0, 1))
    np.testing.assert_array_equal(default.pixels, first.pixels)
    assert (first.index, second.index, first.count) == (0, 1, 2)
    assert second.to_photo[0, 2] > 270
    with pytest.raises(InputError, match=r"two\.png: no face number 2; its 2 faces are .* to 1"):
        align(photo, size=64, face=2)
    with pytest.raises(InputError, match="no face number -1"):
        align(photo, size=64, face=-1)


@pytest.mark.weights
def test_no_face_says_what_to_do() -> None:
    photo = Photo(np.full((120, 90, 3), 50, np.uint8), "wall.jpg")
    with pytest.raises(NoFaceFound, match=r"wall\.jpg: no face at least 64 px wide; give a photo"):
        align(photo)
