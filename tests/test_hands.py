"""Hands before a film's face: drawn from their joints, followed, held, and left as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tiny

from duchenne.faces import align, hands, steady, tracking
from duchenne.faces.hands import Hand
from duchenne.faces.warp import apply, invert
from duchenne.files.film_source import Frame
from duchenne.footage import hands as before_face
from duchenne.moving.change import SIDE

MESH = tiny.golden_face("astronaut").mesh
LIPS = MESH[list(before_face.LIPS), :2].mean(axis=0)
LENGTH = 60.0  # px from the wrist to the middle knuckle


def joints(at: np.ndarray) -> np.ndarray:
    """[21, 2]: a flat hand with its fingers up and its middle finger's tip at a place."""
    x = np.array([0, *np.repeat([-25, -15, -5, 5, 15], 4)], float)
    y = np.array([0, 15, 25, 35, 45, *np.tile([60, 80, 95, 110], 4)], float)
    y[12] += 15
    hand = np.stack([x, -y], axis=1)
    return hand - hand[12] + at


def seen(index: int, face: bool = True, shot: int = 0) -> steady.Steadied:
    frame = Frame(index, index / 25, None, 0)
    frame.__dict__["pixels"] = np.full((1, 1, 3), index, np.uint8)
    mesh = MESH if face else None
    return steady.Steadied(tracking.Sighting(frame, mesh, 1.0, shot, shot), mesh, 1.0)


def test_a_hand_is_as_thick_as_its_joints_say() -> None:
    at = joints(np.array([100.0, 60.0]))
    mask = hands.draw(at, 256)
    inside = np.rint(at - 0.5).astype(int)
    assert mask[inside[:, 1], inside[:, 0]].all()
    across = np.flatnonzero(mask[62])  # over the tip of the middle finger: this finger only
    assert abs(len(across) - 2 * hands.FINGER * LENGTH) <= 3
    far = hands.draw(at + 1000, 256)
    assert not far.any()


def test_regions_point_along_the_hand() -> None:
    upright = Hand(joints(np.array([100.0, 60.0])), 1.0)
    assert abs(upright.region.angle) < 0.1
    turned = Hand(upright.joints[:, ::-1] * [-1, 1], 1.0)  # a quarter clockwise: fingers right
    assert turned.region.angle == pytest.approx(np.pi / 2, abs=0.1)
    assert hands.same(upright, Hand(upright.joints + 5, 1.0))
    assert not hands.same(upright, Hand(upright.joints + 300, 1.0))


@pytest.mark.weights
def test_a_bare_face_has_no_hands(astronaut: np.ndarray) -> None:
    mesh = MESH * np.float32(1)
    assert hands.find(astronaut, mesh) == []
    # Nor does a hand that was followed stay where there is none.
    assert hands.follow(astronaut, [Hand(joints(LIPS), 1.0)]) == []


def test_a_hand_is_gone_after_backwards_and_held(monkeypatch: pytest.MonkeyPatch) -> None:
    there = range(5, 12)  # and no look before frame 6 finds it
    hand = Hand(joints(LIPS), 1.0)

    def follow(pixels: np.ndarray, known: Sequence[Hand]) -> list[Hand]:
        return list(known) if pixels[0, 0, 0] in there else []

    def find(pixels: np.ndarray, mesh: object, known: Sequence[Hand]) -> list[Hand]:
        return [hand] if pixels[0, 0, 0] in there and pixels[0, 0, 0] > 6 else follow(pixels, known)

    monkeypatch.setattr(hands, "follow", follow)
    monkeypatch.setattr(hands, "find", find)
    frames = [seen(i, face=i != 30) for i in range(40)]
    result = list(before_face.beside_hands(frames))
    assert [one for one, _ in result] == frames
    x, y = apply(invert(align.canonical(MESH, SIDE // 2)), LIPS).astype(int)
    near = [before_face.FAR if clear is None else float(clear[y, x]) for _, clear in result]
    held = before_face.HELD
    assert [i for i, px in enumerate(near) if px == 0] == list(there)
    # It comes and goes softly, and leaves nothing behind.
    assert near[: 5 - 2 * held] == [before_face.FAR] * (5 - 2 * held)
    assert (np.diff(near[:6]) <= 0).all()
    assert (np.diff(near[11:20]) >= 0).all()
    assert np.abs(np.diff(near)).max() < 0.5 * before_face.FAR
    assert near[11 + 2 * held + 1 :] == [before_face.FAR] * (40 - 12 - 2 * held)


def test_a_hidden_mouth_stays_but_not_the_brows() -> None:
    mesh = apply(invert(align.canonical(MESH, SIDE)), MESH[:, :2].astype(float))
    table = np.ones((3, 8))
    free = np.full((SIDE // 2, SIDE // 2), before_face.FAR, np.float32)
    np.testing.assert_array_equal(before_face.spared(table, mesh, free), table)
    hidden = before_face.spared(table, mesh, np.zeros_like(free))
    np.testing.assert_array_equal(hidden, np.where(before_face.MOUTH, 0.0, table))
