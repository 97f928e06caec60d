"""Lips that move in the picture, and the look-alike's mouth, on meshes and drawn mouths."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from duchenne import facs
from duchenne.editing import mouths
from duchenne.editing.boundaries import built_in, slot_intensities
from duchenne.faces.landmarks import INNER_LIPS, OUTER_LIPS
from duchenne.measuring.score import average_mesh
from duchenne.moving import eyes, lips
from duchenne.moving.change import SIDE, lip_gap
from duchenne.moving.moved import Fields
from duchenne.types import WIDTH, LatentCode

SKIN, RED = 200, 90
MIDDLE = slice(245, 268)  # columns


def closed(mesh: np.ndarray) -> np.ndarray:
    """A mesh with its inner lips on one another."""
    result = mesh.copy()
    half = len(INNER_LIPS) // 2
    for k in range(1, half):
        pair = [INNER_LIPS[k], INNER_LIPS[-k]]
        result[pair] = result[pair].mean(axis=0)
    return result


MESH = closed(average_mesh(SIDE).astype(float))


def mouth(mesh: np.ndarray = MESH) -> np.ndarray:
    """uint8 [SIDE, SIDE, 3]: skin and the red of the lips."""
    drawn = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    cv2.fillPoly(drawn, [np.round(mesh[list(OUTER_LIPS)] - 0.5).astype(np.int32)], (RED,) * 3)
    return drawn


def painted(descriptor: dict[str, float]) -> np.ndarray:
    share = np.ones((SIDE, SIDE), np.float32)
    painter = lips.Painter(MESH, share, lambda picture, near: None)
    return painter.paint(mouth(), slot_intensities(descriptor))


def red(picture: np.ndarray) -> np.ndarray:
    return np.asarray(picture[..., 0] < (SKIN + RED) / 2)


def width(picture: np.ndarray) -> int:
    return int(np.ptp(np.flatnonzero(red(picture).any(axis=0)))) + 1


def height(picture: np.ndarray) -> float:
    return float(red(picture)[:, MIDDLE].sum(axis=0).mean())


def test_every_moved_unit_is_the_eyes_or_the_lips() -> None:
    assert {*eyes.UNITS, *lips.ACTIONS} == set(facs.MOVED)
    assert not {*eyes.UNITS} & {*lips.ACTIONS}


def test_nothing_asked_is_the_same_picture() -> None:
    picture = mouth()
    assert lips.Painter(MESH, np.ones((8, 8), np.float32), lambda p, n: None).paint(
        picture, slot_intensities({"AU12": 1})
    ) is (picture)


@pytest.mark.parametrize("code", lips.ACTIONS)
@pytest.mark.parametrize("intensity", [0.5, 1.0])
def test_lips_get_as_wide_and_as_high_as_is_said(code: str, intensity: float) -> None:
    action = lips.ACTIONS[code]
    after = painted({code: intensity})
    assert width(after) / width(mouth()) == pytest.approx(action.width**intensity, abs=0.04)
    mean = (action.upper**intensity + action.lower**intensity) / 2
    assert height(after) / height(mouth()) == pytest.approx(mean, abs=0.1)


def test_one_side_moves_alone() -> None:
    before, after = red(mouth()), red(painted({"AU18L": 1.0}))
    middle = round(float(MESH[list(OUTER_LIPS), 0].mean()))
    right, left = slice(None, middle - 20), slice(middle + 20, None)
    assert np.array_equal(before[:, right], after[:, right])  # the image's left
    assert after[:, left].sum() < 0.85 * before[:, left].sum()


def test_steps_are_even_and_the_other_way_is_the_opposite() -> None:
    widths = [width(painted({"AU18": level})) for level in (-0.5, 0.25, 0.5, 0.75, 1.0)]
    assert widths[0] > width(mouth())
    steps = -np.diff([width(mouth()), *widths[1:]])
    assert steps.min() > 0.6 * steps.max() > 0


def test_nothing_moves_far_from_the_mouth() -> None:
    changed = (painted({"AU18": 1.0, "AU24": 1.0}) != mouth()).any(axis=2)
    fields = lips.shaped(None, MESH, slot_intensities({"AU28": 1.0, "AU14": 1.0}))
    eyes_at = int(MESH[33, 1])
    assert not changed[:eyes_at].any()
    assert np.abs(fields.motion[:eyes_at]).max() < 0.5


def test_the_red_of_open_lips_changes_less() -> None:
    apart = MESH.copy()
    apart[list(INNER_LIPS[1:10])] += [0, 40]
    apart[list(OUTER_LIPS[1:10])] += [0, 40]
    left = []
    for mesh in (MESH, apart):
        share = np.ones((SIDE, SIDE), np.float32)
        painter = lips.Painter(mesh, share, lambda picture, near: None)
        before = mouth(mesh)
        after = painter.paint(before, slot_intensities({"AU28": 1.0}))
        upper = [red(p)[: int(mesh[13, 1]), MIDDLE].sum() for p in (before, after)]
        left.append(upper[1] / upper[0])
    assert left[0] < 0.5
    assert left[1] > 1.3 * left[0]


def test_lips_go_along_with_what_else_moves() -> None:
    down = Fields.none()
    down = replace(down, motion=down.motion + np.array([0, -10], np.float32))
    table = slot_intensities({"AU24": 1.0})
    alone, along = (lips.shaped(fields, MESH, table) for fields in (None, down))
    rows = [np.abs(f.motion[..., 1] - m).sum(axis=1) for f, m in ((alone, 0), (along, -10))]
    places = [float((row * np.arange(SIDE)).sum() / row.sum()) for row in rows]
    assert places[1] - places[0] == pytest.approx(10, abs=1)


def code() -> LatentCode:
    rng = np.random.default_rng(0)
    limits = built_in()
    w = rng.standard_normal((limits.normals.shape[1], WIDTH)).astype(np.float32)
    return LatentCode(w, limits.generator, {"made_by": "encode"})


def parted(pixels: float) -> np.ndarray:
    result = MESH.copy()
    result[14] = result[13] + [0, pixels]
    return result


@pytest.mark.parametrize(
    ("photo", "drawn", "unit", "sign"), [(0, 12, "AU25", -1), (40, 5, "AU26", 1)]
)
def test_the_look_alike_opens_and_closes_its_lips(
    photo: float, drawn: float, unit: str, sign: int
) -> None:
    like = mouths.matched(code(), built_in(), parted(photo), parted(drawn))
    along = (like.w - code().w) * sign
    assert (along * built_in().normals[facs.INDEX[unit]]).sum() > 0
    assert like.provenance["mouth"].keys() == {unit}
    less = mouths.matched(code(), built_in(), parted(photo), parted((photo + drawn) / 2))
    assert abs(less.provenance["mouth"][unit]) < abs(like.provenance["mouth"][unit])
    assert abs(like.provenance["mouth"][unit]) <= mouths.MOST


def test_alike_lips_keep_the_code() -> None:
    one = code()
    assert mouths.matched(one, built_in(), parted(5), parted(5.5)) is one
    limits = built_in()
    bare = replace(
        limits,
        normals=limits.normals * (np.arange(len(facs.CODES)) != facs.INDEX["AU25"])[:, None, None],
    )
    assert mouths.matched(one, bare, parted(0), parted(20)) is one  # boundaries without AU25


def test_closed_lips_are_held_unless_something_parts_them() -> None:
    row = facs.INDEX["AU25"]

    def held(descriptor: dict[str, float], sealed: float = 1.0) -> float:
        table = slot_intensities(descriptor)
        after = mouths.held(table, sealed)
        others = np.arange(len(table)) != row
        assert np.array_equal(after[others], table[others])
        return float((after - table)[row].min())

    assert held({"AU12": 1}) == held({"AU9": 1}) == -mouths.HOLD
    assert held({"AU12": 0.4}) == pytest.approx(-0.4 * mouths.HOLD)
    assert held({"AU12": 1}, sealed=0) == 0
    assert held({"AU12": 1, "AU25": 0.5}) == 0
    assert held({"AU26": 1}) == 0
    assert held({"AU4": 1}) == 0
    assert held({"AU12": -1}) == 0


def test_what_parts_the_lips_lets_them_part() -> None:
    def shut(descriptor: dict[str, float], sealed: float = 1.0) -> float:
        return mouths.kept_shut(slot_intensities(descriptor), sealed)

    assert shut({"AU12": 1}) == shut({"AU9": 1}) == 1
    assert shut({"AU4": 1}) == 0  # nothing moves the mouth
    assert shut({"AU12": 1}, sealed=0.3) == 0.3
    assert shut({"AU12": 1, "AU25": mouths.PARTED / 2}) == pytest.approx(0.5)
    assert shut({"AU26": 1}) == shut({"AU25L": 1}) == 0


def test_stretched_lips_do_not_smile_unless_they_shall() -> None:
    row = facs.INDEX["AU12"]

    def less(descriptor: dict[str, float]) -> np.ndarray:
        table = slot_intensities(descriptor)
        return np.asarray(table - mouths.held(table, 0.0))[row]

    stretched = slot_intensities({"AU20": 1})[facs.INDEX["AU20"]] > 0
    np.testing.assert_allclose(less({"AU20": 0.5})[stretched], 0.5 * mouths.LEVEL)
    assert (less({"AU20L": 1}) > 0).sum() == stretched.sum() / 2
    assert (less({"AU20": 1, "AU12": 0.5}) == 0).all()
    assert (less({"AU20": -1}) == 0).all()


def test_one_side_is_held_alone() -> None:
    table = slot_intensities({"AU15L": 1})
    after = mouths.held(table, 1.0)
    assert (after[facs.INDEX["AU25"]] < 0).sum() == (table[facs.INDEX["AU15"]] > 0).sum()


def test_the_mesh_of_these_tests_is_closed() -> None:
    assert lip_gap(MESH) < 0.5
