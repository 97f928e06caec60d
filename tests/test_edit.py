"""Equations 2 and 3, by hand and by their invariants."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.editing import edit

ROWS = 16


@pytest.fixture
def w() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((ROWS, 512)).astype(np.float32)


@pytest.fixture
def normals() -> np.ndarray:
    """[3, L, 512], orthonormal."""
    draws = np.random.default_rng(2).standard_normal((ROWS * 512, 3))
    return np.linalg.qr(draws)[0].T.reshape(3, ROWS, 512).astype(np.float32)


def test_shapes_and_types(w: np.ndarray, normals: np.ndarray) -> None:
    e = np.array([1.0, -2.0, 0.5])
    for result, shape in (
        (edit.transfer(w, e, normals), w.shape),
        (edit.local_transfer(np.ones((3, 8)), normals), (8, *w.shape)),
    ):
        assert result.shape == shape
        assert result.dtype == np.float32


def test_signed_distance_by_hand() -> None:
    b = np.zeros((1, 2, 512), np.float32)
    b[0, 0, 0], b[0, 1, 1] = 0.6, 0.8
    w = np.zeros((1, 2, 512), np.float32)
    w[0, 0, 0], w[0, 1, 1] = 10, -5
    assert edit.signed_distances(w, b, np.zeros(1)) == pytest.approx(0.6 * 10 - 0.8 * 5)
    assert edit.signed_distances(w, b, np.full(1, -3.0)) == pytest.approx(-1.0)


def test_a_code_of_w_is_one_with_equal_rows(w: np.ndarray, normals: np.ndarray) -> None:
    biases = np.array([1.0, 0.0, -2.0])
    full = edit.signed_distances(np.repeat(w[:, None], ROWS, axis=1), normals, biases)
    assert full.shape == (ROWS, 3)
    np.testing.assert_allclose(edit.signed_distances(w, normals, biases), full, atol=1e-4)


@pytest.mark.parametrize("d", [3.0, -7.5, 0.01])
def test_moving_raises_the_signed_distance_by_exactly_d(
    w: np.ndarray, normals: np.ndarray, d: float
) -> None:
    moved = edit.transfer(w, np.array([d, 0, 0]), normals)
    before, after = edit.signed_distances(np.stack([w, moved]), normals, np.zeros(3))
    np.testing.assert_allclose(after - before, [d, 0, 0], atol=1e-5)
    assert np.linalg.norm(moved - w) == pytest.approx(abs(d), abs=1e-4)
    np.testing.assert_allclose(moved - w, d * normals[0], atol=1e-6)


def test_transfer_is_the_sum_of_moves(w: np.ndarray, normals: np.ndarray) -> None:
    e = np.array([2.0, -1.0, 0.25])
    step_by_step = w
    for d, b in zip(e, normals, strict=True):
        step_by_step = step_by_step + d * b
    np.testing.assert_allclose(edit.transfer(w, e, normals), step_by_step, atol=1e-6)


def test_nothing_asked_is_the_same_code_to_the_bit(w: np.ndarray, normals: np.ndarray) -> None:
    assert edit.transfer(w, np.zeros(3), normals).tobytes() == w.tobytes()
    assert not edit.local_transfer(np.zeros((3, 8)), normals).any()


def test_equal_columns_are_the_transfer(w: np.ndarray, normals: np.ndarray) -> None:
    """Masks that sum to 1 everywhere, all with the same E, edit the whole canvas alike."""
    e = np.array([2.0, -1.0, 0.25])
    offsets = edit.local_transfer(np.repeat(e[:, None], 8, axis=1), normals)
    masks = np.random.default_rng(3).dirichlet(np.ones(8), size=4)  # at four places
    for place in masks:
        here = w + np.tensordot(place, offsets, axes=1)
        np.testing.assert_allclose(here, edit.transfer(w, e, normals), atol=1e-5)


def test_each_mask_gets_its_own_intensities(normals: np.ndarray) -> None:
    distances = np.zeros((3, 8))
    distances[1, 5] = 3.0
    offsets = edit.local_transfer(distances, normals)
    np.testing.assert_allclose(offsets[5], 3 * normals[1], atol=1e-7)
    assert not np.delete(offsets, 5, axis=0).any()


def test_codes_of_other_shapes_are_refused(w: np.ndarray, normals: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        edit.transfer(w, np.ones(2), normals)
    with pytest.raises(ValueError, match="shape"):
        edit.local_transfer(np.ones((2, 8)), normals)
