"""The regions of influence: where they lie, that they follow the face, how they compose."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tiny

from duchenne.faces import align, regions
from duchenne.faces.regions import CANVAS, SLOTS, ZONES, Regions
from duchenne.faces.warp import apply, invert

SIZE = 1024
MESH_PLACES = {"brows": 105, "eyes": 145, "nose": 4, "mouth": 13}  # a point inside each region


def aligned_mesh(size: int = SIZE) -> np.ndarray:
    """[468, 2] golden mesh of the astronaut, in pixels of the aligned crop."""
    mesh = tiny.golden_face("astronaut").mesh
    return apply(invert(align.canonical(mesh, size)), mesh[:, :2].astype(float))


@pytest.fixture(scope="module")
def found() -> Regions:
    return regions.find(aligned_mesh().astype(np.float32), SIZE)


def whole(found: Regions) -> np.ndarray:
    """[4, C, C], both halves together."""
    return found.masks.reshape(4, 2, CANVAS, CANVAS).sum(axis=1)


def only(zone: str) -> np.ndarray:
    return np.array([slot.startswith(zone) for slot in SLOTS])


def turned(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    """[2, 3], about the crop's centre."""
    turn = scale * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    centre = np.full(2, SIZE / 2)
    return np.concatenate([turn, (centre - turn @ centre + shift)[:, None]], axis=1)


def test_shape_type_and_range(found: Regions) -> None:
    assert found.masks.shape == (len(SLOTS), CANVAS, CANVAS)
    assert found.masks.dtype == np.float32
    assert found.masks.min() == 0
    assert found.masks.max() <= 1
    assert (whole(found).max(axis=(1, 2)) > 0.999).all()


def test_slots_are_right_then_left_of_every_zone() -> None:
    assert tuple(zone + side for zone in ZONES for side in "RL") == SLOTS


def test_the_halves_add_up_and_divide_the_face_at_its_middle(found: Regions) -> None:
    points = aligned_mesh() * CANVAS / SIZE
    for zone, mask in zip(ZONES, whole(found), strict=True):
        assert mask.max() <= 1 + 1e-6
        right, left = (found.masks[SLOTS.index(zone + side)] for side in "RL")
        y, x = np.round(points[MESH_PLACES["nose"]][::-1]).astype(int)
        if mask[y, x] > 0.99:
            assert right[y, x] == pytest.approx(0.5, abs=0.15)
        # The subject's right is the picture's left.
        columns = np.arange(CANVAS)
        assert (right.sum(axis=0) @ columns) / right.sum() < (left.sum(axis=0) @ columns) / (
            left.sum()
        )
    outer_right, outer_left = (np.round(points[i][::-1]).astype(int) for i in (61, 291))
    mouth_right, mouth_left = (found.masks[SLOTS.index("mouth" + side)] for side in "RL")
    assert mouth_right[tuple(outer_right)] > 0.9 > 0.1 > mouth_left[tuple(outer_right)]
    assert mouth_left[tuple(outer_left)] > 0.9 > 0.1 > mouth_right[tuple(outer_left)]


def test_every_region_holds_its_own_part_of_the_face(found: Regions) -> None:
    points = aligned_mesh() * CANVAS / SIZE
    for zone, place in MESH_PLACES.items():
        x, y = points[place].astype(int)
        assert whole(found)[ZONES.index(zone), y, x] > 0.99, zone
    chin, brow = (points[i].astype(int) for i in (152, 105))
    assert whole(found)[ZONES.index("brows"), chin[1], chin[0]] == 0
    assert whole(found)[ZONES.index("mouth"), brow[1], brow[0]] == 0
    assert not whole(found)[:, :8].any()  # hair and background
    assert not whole(found)[:, :, :8].any()


def test_the_masks_fall_softly(found: Regions) -> None:
    """No step from cell to cell is large enough to be seen as an edge."""
    for mask in whole(found):
        assert max(np.abs(np.diff(mask, axis=axis)).max() for axis in (0, 1)) < 0.15


@pytest.mark.parametrize(
    ("angle", "scale", "shift"),
    [
        (0, 1, (64, -40)),
        (0.35, 1, (0, 0)),
        (-0.6, 1, (0, 0)),
        (0, 0.7, (0, 0)),
        (0.2, 0.8, (40, 16)),
    ],
)
def test_the_masks_follow_the_face(
    found: Regions, angle: float, scale: float, shift: tuple[float, float]
) -> None:
    """What the moved face's masks say about a moved place is what the old ones said about it."""
    move = turned(angle, scale, shift)
    moved = regions.find(apply(move, aligned_mesh()).astype(np.float32), SIZE)
    places = np.stack(np.meshgrid(*[np.arange(8, CANVAS - 8, 3.0)] * 2), axis=2) + 0.5
    there = apply(move, places * SIZE / CANVAS) * CANVAS / SIZE
    inside = ((there > 1) & (there < CANVAS - 1)).all(axis=2)
    columns, rows = np.floor(there[inside]).astype(int).T
    before_columns, before_rows = np.floor(places[inside]).astype(int).T
    difference = moved.masks[:, rows, columns] - found.masks[:, before_rows, before_columns]
    # Places are looked up to half a cell off; a mask changes by up to 0.15 from cell to cell.
    assert np.abs(difference).mean() < 0.006
    assert np.abs(difference).max() < 0.25


def test_the_size_of_the_crop_does_not_matter(found: Regions) -> None:
    half = regions.find(aligned_mesh(512).astype(np.float32), 512)
    np.testing.assert_allclose(half.masks, found.masks, atol=0.05)


def test_a_face_at_the_border_is_cut_off(found: Regions) -> None:
    beyond = regions.find((aligned_mesh() + np.array([SIZE / 2, 0])).astype(np.float32), SIZE)
    assert beyond.masks.max() <= 1
    assert beyond.masks[SLOTS.index("mouthR"), :, -1].max() > 0
    assert beyond.blend(only("mouth"), 512).shape == (512, 512)


# Other resolutions


@pytest.mark.parametrize("size", [4, 8, 16, 32, 64, 128, 256, 512])
def test_a_pyramid_keeps_range_mean_and_halves(found: Regions, size: int) -> None:
    masks = found.pyramid(size)
    assert masks.shape == (len(SLOTS), size, size)
    assert masks.dtype == np.float32
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-6
    np.testing.assert_allclose(
        masks.mean(axis=(1, 2)), found.masks.mean(axis=(1, 2)), rtol=2e-3, atol=1e-6
    )


def test_a_coarse_cell_is_the_mean_of_its_places(found: Regions) -> None:
    cell = CANVAS // 8
    by_hand = found.masks[5, 5 * cell : 6 * cell, 3 * cell : 4 * cell].mean()
    assert found.pyramid(8)[5, 5, 3] == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("size", [4, 8, 16, 32, 64, 128, 256, 512])
@pytest.mark.parametrize("zones", [("mouth",), ("brows", "eyes"), ZONES])
def test_the_blend_covers_what_is_edited(found: Regions, size: int, zones: tuple[str, ...]) -> None:
    slots = np.any([only(zone) for zone in zones], axis=0)
    blend = found.blend(slots, size)
    assert blend.shape == (size, size)
    assert blend.dtype == np.float32
    assert blend.min() >= 0
    edited = found.pyramid(size)[slots].max(axis=0)
    if size < 64 or size == CANVAS:
        assert (blend[edited > 0] == 1).all()
    else:  # a cell on the mask's rim, where the mask is next to nothing, is the mean of its places
        assert (blend[edited > 0] > 0.5).all()
        assert (blend[edited > 0.02] > 0.95).all()


@pytest.mark.parametrize("zone", ZONES)
def test_the_blend_is_compact(found: Regions, zone: str) -> None:
    """It reaches MARGIN eye distances beyond the mask and no further, and gets there smoothly."""
    blend = found.blend(only(zone), CANVAS)
    inside = np.argwhere(found.masks[only(zone)].max(axis=0) > 0)
    support = np.argwhere(blend > 0)
    reach = regions.MARGIN * regions._REFERENCE_EYES * CANVAS
    far = support[:: max(1, len(support) // 400)]
    nearest = np.sqrt(np.square(far[:, None] - inside[None, ::7]).sum(axis=2).min(axis=1))
    assert nearest.max() <= reach + 4  # every seventh place of the mask is looked at
    assert blend.sum() < blend.size / 2
    assert max(np.abs(np.diff(blend, axis=axis)).max() for axis in (0, 1)) < 0.3


def test_a_coarse_blend_holds_the_fine_one(found: Regions) -> None:
    """What a fine layer may change, no coarser one may hold back."""
    fine = found.blend(only("eyes"), CANVAS)
    for size in (4, 8, 16, 32):
        cell = CANVAS // size
        spread = found.blend(only("eyes"), size).repeat(cell, axis=0).repeat(cell, axis=1)
        assert (spread >= fine).all()


def test_no_active_slot_blends_nothing(found: Regions) -> None:
    for size in (4, 64, 512):
        blend = found.blend(np.zeros(len(SLOTS), bool), size)
        assert blend.shape == (size, size)
        assert not blend.any()


def test_a_region_outside_the_canvas_blends_nothing() -> None:
    away = regions.find((aligned_mesh() + 5 * SIZE).astype(np.float32), SIZE)
    assert not away.masks.any()
    assert not away.blend(np.ones(len(SLOTS), bool), 64).any()


def test_the_same_mesh_gives_the_same_masks(found: Regions) -> None:
    again = regions.find(aligned_mesh().astype(np.float32), SIZE)
    assert again.masks.tobytes() == found.masks.tobytes()
