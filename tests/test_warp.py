"""Resampling: exact geometry, no aliasing, borders."""

from __future__ import annotations

import math

import numpy as np
import pytest

from duchenne.faces.warp import Affine, Warp, apply, invert, scale_of, warp

IDENTITY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def similarity(scale: float, degrees: float, x: float, y: float) -> Affine:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[scale * cos, -scale * sin, x], [scale * sin, scale * cos, y]])


def waves(points: np.ndarray) -> np.ndarray:
    """[..., 2] points -> [..., 3] smooth grey levels with periods of 40 to 60 px."""
    x, y = points[..., 0], points[..., 1]
    return 128 + 100 * np.stack(
        [np.sin(x / 8), np.cos(y / 7), np.sin((x + y) / 9) * np.cos(x / 10)], axis=-1
    )


def centres(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y], axis=2) + 0.5


def test_invert_and_apply_by_hand() -> None:
    matrix = np.array([[0.0, -2, 10], [2, 0, 20]])
    np.testing.assert_allclose(apply(matrix, np.array([3.0, 4.0])), [2, 26])
    np.testing.assert_allclose(apply(invert(matrix), np.array([2.0, 26.0])), [3, 4])
    assert scale_of(matrix) == pytest.approx(2)


def test_identity_gives_the_picture_back() -> None:
    pixels = waves(centres(40, 60)).astype(np.uint8)
    np.testing.assert_allclose(warp(pixels, IDENTITY, (40, 60)), pixels, atol=1.0)


@pytest.mark.parametrize(
    ("scale", "degrees"), [(1, 0), (1, 20), (0.31, -33), (0.12, 5), (2.7, 12), (4.0, 45)]
)
def test_subpixel_accuracy_on_a_smooth_picture(scale: float, degrees: float) -> None:
    source = waves(centres(300, 320)).astype(np.float32)
    size = (40, 36) if scale > 1 else (90, 100)
    to_source = similarity(scale, degrees, 0, 0)
    middle = apply(to_source, np.array([size[1] / 2, size[0] / 2]))
    to_source[:, 2] += np.array([161.3, 147.7]) - middle
    expected = waves(apply(to_source, centres(*size)))
    result = warp(source, to_source, size)
    # A shift of 0.1 px would already give 0.9 grey levels on average; reducing by 4 blurs a period
    # of 44 px (11 after) a little.
    assert np.abs(result - expected).mean() < (0.4 if scale <= 1 else 2.0)
    # The shift itself: least squares along the slope of the expected picture.
    for axis in (0, 1):
        slope = np.gradient(expected, axis=axis)
        shift = ((result - expected) * slope).sum() / (slope**2).sum()
        assert abs(shift) < 0.01


def test_reducing_does_not_alias() -> None:
    stripes = np.zeros((256, 256, 1), np.uint8)
    stripes[:, ::2] = 255
    small = warp(stripes, similarity(8, 10, 30, 10), (20, 20))
    np.testing.assert_allclose(small, 127.5, atol=2)


def test_borders() -> None:
    pixels = np.zeros((8, 8, 1), np.float32)
    pixels[:, :4] = 100
    left = np.array([[1.0, 0, -8], [0, 1, 0]])
    reflected = warp(pixels, left, (8, 8))
    np.testing.assert_allclose(reflected[4, [0, 1, 6, 7], 0], [0, 0, 100, 100], atol=1)
    np.testing.assert_allclose(warp(pixels, left, (8, 8), border="border"), 100, atol=1)


def test_prepared_once_applies_to_many() -> None:
    prepared = Warp((50, 70), similarity(1.3, 7, 5, 3), (20, 30))
    generator = np.random.default_rng(1)
    for _ in range(2):
        pixels = generator.integers(0, 256, (50, 70, 3), np.uint8)
        expected = warp(pixels, similarity(1.3, 7, 5, 3), (20, 30))
        np.testing.assert_array_equal(prepared(pixels), expected)
