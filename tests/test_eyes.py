"""Gaze and closing lids, on a drawn eye whose every place is known, and blinks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from duchenne import facs
from duchenne.editing.boundaries import slot_intensities, without_moved
from duchenne.errors import DescriptorError
from duchenne.faces import eyes as reading
from duchenne.faces.eyes import Eye
from duchenne.motion import blinks
from duchenne.motion.timeline import Timeline
from duchenne.moving import eyes
from duchenne.moving.canvas import Canvas
from duchenne.moving.change import SIDE
from duchenne.moving.one_eye import LEVER, TURN, Look

MIDDLE, WIDTH, RADIUS = np.array([100.0, 90.0]), 80.0, 11.0
HIGH, LOW = 13.0, 12.0  # px from the line between the corners to the middle of each lid's edge
SKIN, WHITE, IRIS, BROW = 170, 235, 60, 50


def edge(height: float) -> np.ndarray:
    """[9, 2], from the image's left corner to the right one."""
    s = np.linspace(-0.5, 0.5, 9)
    return MIDDLE + np.stack([s * WIDTH, height * 4 * (0.25 - s**2)], axis=1)


BROWS = np.array([[x, -50] for x in range(-40, 41, 20)])
EYE = Eye(edge(LOW), edge(-HIGH), MIDDLE + BROWS, MIDDLE, RADIUS)


@pytest.fixture
def picture() -> np.ndarray:
    """uint8 [180, 200, 3]: skin, a brow, and an eye that looks straight ahead."""
    y, x = np.mgrid[:180, :200] + 0.5
    s = (x - MIDDLE[0]) / WIDTH
    bow = np.clip(4 * (0.25 - s**2), 0, None)
    drawn = np.full(x.shape, SKIN)
    drawn[np.abs(y - 30) < 6] = BROW
    opening = (y > MIDDLE[1] - HIGH * bow) & (y < MIDDLE[1] + LOW * bow)
    drawn[opening] = WHITE
    drawn[opening & (np.hypot(x - MIDDLE[0], y - MIDDLE[1]) < RADIUS)] = IRIS
    return np.repeat(drawn[..., None], 3, axis=2).astype(np.uint8)


def dark(picture: np.ndarray) -> np.ndarray:
    """(x, y) of the middle of what is dark below the brow."""
    rows, columns = np.nonzero(picture[45:, :, 0] < 110)
    return np.array([columns.mean() + 0.5, rows.mean() + 45.5])


def uncovered(picture: np.ndarray) -> int:
    """Pixels of white and iris."""
    below = picture[45:, :, 0].astype(int)
    return int(((below > 205) | (below < 110)).sum())


def test_nothing_asked_is_the_picture_to_the_bit(picture: np.ndarray) -> None:
    assert np.array_equal(eyes.drawn(picture, [EYE], [Look()]), picture)


@pytest.mark.parametrize("left", [-1.0, -0.5, 0.5, 1.0])
def test_the_iris_goes_as_far_as_a_turned_eyeballs(picture: np.ndarray, left: float) -> None:
    gone = dark(eyes.drawn(picture, [EYE], [Look(left=left)])) - dark(picture)
    asked = LEVER * RADIUS * np.sin(np.radians(TURN * left))
    assert gone[0] == pytest.approx(asked, abs=0.6)  # the subject's left is the image's right
    assert abs(gone[1]) < 0.6


@pytest.mark.parametrize("up", [-1.0, 1.0])
def test_lids_follow_an_eye_that_looks_up_or_down(picture: np.ndarray, up: float) -> None:
    after = eyes.drawn(picture, [EYE], [Look(up=up)])
    gone = dark(after) - dark(picture)
    asked = -LEVER * RADIUS * np.sin(np.radians(TURN * up))
    assert gone[1] == pytest.approx(asked, rel=0.4)  # what the lids hide is not in its middle
    column = int(MIDDLE[0])
    lids = [np.flatnonzero(np.abs(p[45:, column, 0].astype(int) - SKIN) > 20)[0] for p in
            (picture, after)]  # fmt: skip
    assert 2 < (lids[1] - lids[0]) * np.sign(asked) < 0.75 * abs(asked) + 5  # shade looks like skin


def test_where_the_iris_was_there_is_white(picture: np.ndarray) -> None:
    after = eyes.drawn(picture, [EYE], [Look(left=1)])
    x, y = (MIDDLE - [RADIUS - 2, 0]).astype(int)
    assert picture[y, x, 0] == IRIS
    assert after[y, x, 0] > 215


def test_lids_close_step_by_step_until_they_meet(picture: np.ndarray) -> None:
    steps = [0, 0.25, 0.5, 0.75, 1.0]
    left = np.array([uncovered(eyes.drawn(picture, [EYE], [Look(shut=s)])) for s in steps])
    share = left / left[0]
    assert (np.diff(share) < 0).all()
    assert 0.3 < share[2] < 0.65
    assert share[-1] < 0.03
    shut = eyes.drawn(picture, [EYE], [Look(shut=1)])
    assert np.array_equal(shut[:24], picture[:24])  # the brow stays
    assert np.abs(shut[30, :, 0].astype(int) - BROW).max() < 8


def test_only_the_asked_eye_changes_and_only_around_it(picture: np.ndarray) -> None:
    both = np.concatenate([picture, picture], axis=1)
    other = EYE.at(EYE.points + np.array([200, 0]))
    after = eyes.drawn(both, [other, EYE], [Look(), Look(left=1, shut=0.5)])
    assert np.array_equal(after[:, 150:], both[:, 150:])
    assert not np.array_equal(after[:, :150], both[:, :150])


def test_a_turned_head_turns_it_all(picture: np.ndarray) -> None:
    turned = np.rot90(picture, -1)  # clockwise: (x, y) -> (180 - y, x)
    points = np.stack([180 - EYE.points[:, 1], EYE.points[:, 0]], axis=1)
    upright = eyes.drawn(picture, [EYE], [Look(up=-1)])
    after = eyes.drawn(turned, [EYE.at(points)], [Look(up=-1)])
    assert np.abs(np.rot90(after).astype(int) - upright).mean() < 2


def test_an_eye_at_the_edge_of_the_picture_or_beyond(picture: np.ndarray) -> None:
    for place in ([-95, 0], [95, -85], [-400, 0], [0, 900]):
        eye = EYE.at(EYE.points + place)
        assert eyes.drawn(picture, [eye], [Look(left=1, up=1, shut=0.3)]).shape == picture.shape
    tiny = EYE.scaled(0.01)
    assert np.array_equal(eyes.drawn(picture, [tiny], [Look(shut=1)]), picture)


def test_what_is_asked_of_each_eye() -> None:
    table = slot_intensities({"AU61L": 0.5, "AU62R": 0.25, "AU64": 1.0, "AU43R": 0.75})
    left, right = eyes.looks(table)
    assert left == Look(left=0.5, up=-1.0)
    assert right == Look(left=-0.25, up=-1.0, shut=0.75)
    assert not any(eyes.looks(slot_intensities({"AU12": 1.0, "AU5": 1.0})))
    assert not without_moved(table[None]).any()
    assert eyes.moved_in(table[None])


def test_opposite_ways_exclude_one_another() -> None:
    for asked in ("AU61=0.5,AU62=0.5", "AU63=1,AU64L=0.2"):
        with pytest.raises(DescriptorError, match="exclude one another; give one"):
            facs.parse(asked)
    assert facs.parse("AU61L=0.5,AU62R=0.5,AU63=0,AU64=0.1")  # one eye left, the other right


def test_eyes_go_along_with_the_face_and_nothing_else_changes(picture: np.ndarray) -> None:
    whole = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    whole[100:280, 100:300] = picture
    here = Eye(*np.split((EYE.points + 100)[:23], [9, 18]), MIDDLE + 100, RADIUS)
    pair = eyes.Eyes((here, here.at(here.points + np.array([0, 250]))), glasses=False)
    motion = np.zeros((SIDE, SIDE, 2), np.float32)
    motion[..., 1] = -7  # what is shown was 7 px higher
    moved = pair.moved(motion).found[0]
    np.testing.assert_allclose(moved.points, here.points + np.array([0, 7]), atol=1e-4)
    share = np.zeros((SIDE, SIDE), np.float32)
    share[:, :200] = 1
    whole_share = np.array([[1.0, 0, 0], [0, 1, 0]])
    canvas = Canvas(whole, (slice(0, SIDE), slice(0, SIDE)), whole_share, share)
    after = canvas.draw(None, pair.drawing([Look(left=1), Look()], None))
    assert np.array_equal(after[:, 202:], whole[:, 202:])
    assert not np.array_equal(after, whole)
    assert np.array_equal(canvas.draw(None), whole)


@pytest.mark.weights
def test_the_eyes_of_a_photo_are_found(astronaut: np.ndarray) -> None:
    from duchenne.faces import landmarks

    (mesh,) = (face.mesh for face in landmarks.find_faces(astronaut)[:1])
    left, right = reading.find(astronaut, mesh)
    for eye, outline in ((left, landmarks.LEFT_EYE), (right, landmarks.RIGHT_EYE)):
        points = mesh[list(outline), :2]
        width = float(np.ptp(points[:, 0]))
        assert np.linalg.norm(eye.iris - points.mean(axis=0)) < 0.2 * width
        assert 0.15 < eye.radius / width < 0.3
        assert (eye.upper[1:-1, 1] < eye.lower[1:-1, 1]).all()
        assert np.linalg.norm(eye.lower[0] - mesh[outline[0], :2]) < 0.15 * width  # outer corner
        light = astronaut.mean(axis=2)
        x, y = eye.iris.astype(int)
        assert light[y - 1 : y + 2, x - 2 : x + 3].min() < 60  # the pupil


# Blinks


def still(seconds: int, fps: int = 25) -> Timeline:
    return Timeline(np.zeros((seconds * fps, len(facs.CODES))), Fraction(fps))


def test_blinks_come_as_often_and_last_as_long_as_peoples() -> None:
    closed = blinks.blinking(still(600), seed=3).table()["AU43"]
    begun = np.flatnonzero((closed[1:] > 0) & (closed[:-1] == 0))
    assert 13 < len(begun) / 10 < 21  # a minute
    assert np.diff(begun).min() >= blinks.SOONEST * 25
    assert closed.max() == pytest.approx(1, abs=0.05)
    assert (closed > 0).sum() / len(begun) / 25 < 0.4  # seconds
    assert np.diff(begun).std() > 20  # not by the clock


def test_blinks_are_the_same_for_the_same_seed_and_add_to_what_is_there() -> None:
    line = still(60)
    one, same, other = (blinks.blinking(line, seed).sides for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    rest = np.delete(one, facs.INDEX["AU43"], axis=1)
    assert not rest.any()
    shut = line.sides.copy()
    shut[:, facs.INDEX["AU43"]] = 1
    assert np.array_equal(blinks.blinking(Timeline(shut, line.fps)).sides, shut)


def test_a_short_film_ends_with_open_eyes() -> None:
    for seconds in (1, 2, 5):
        for seed in range(20):
            assert blinks.blinking(still(seconds), seed).sides[-1].max() < 0.2
