"""Head pose and gaze in OpenFace's terms, on meshes that are turned and moved by hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from duchenne.measuring import head, sides
from duchenne.measuring.score import built_in_scale

SIZE = (640, 480)
SCALE = built_in_scale()


def mesh(angles=(0, 0, 0), centre=(320, 240), eyes=100.0, gaze=(0.0, 0.0)):
    """The mean face, turned by x, y and z in degrees. gaze: of both irises, in eye widths."""
    points = SCALE.template.copy()
    points[[468, 473], :2] += gaze
    points -= points[list(head.RIGID)].mean(axis=0)
    rotation = Rotation.from_euler("XYZ", angles, degrees=True).as_matrix()
    points = eyes * points @ rotation.T
    points[:, :2] += centre
    return points


def test_a_face_in_the_middle_looks_into_the_camera():
    found = head.read(mesh(), SCALE, SIZE)
    np.testing.assert_allclose(found.angles, 0, atol=1e-9)
    np.testing.assert_allclose(found.gaze, [[0, 0, -1]] * 2, atol=1e-9)
    # 100 px for 88.9 mm, at OpenFace's focal length of 500 px.
    np.testing.assert_allclose(found.place, [0, 0, 500 * 88.9 / 100], atol=1e-6)


@pytest.mark.parametrize("angles", [(20, 0, 0), (0, -25, 0), (0, 0, 30), (-10, 15, -20)])
def test_the_turn_of_a_head_in_the_middle(angles):
    found = head.read(mesh(angles), SCALE, SIZE)
    np.testing.assert_allclose(np.degrees(found.angles), angles, atol=1e-6)


def test_which_way_is_positive():
    """As OpenFace's page says: nose down, nose to the left of the picture, clockwise."""
    nose = 1
    down, left, aside = (mesh(a) for a in ((20, 0, 0), (0, 20, 0), (0, 0, 20)))
    straight = mesh()
    assert down[nose, 1] > straight[nose, 1]
    assert left[nose, 0] < straight[nose, 0]
    assert aside[263, 1] > straight[263, 1]  # the subject's left eye, right in the picture


def test_a_head_aside_that_is_seen_from_the_front_is_turned_to_the_camera():
    """It is 30 degrees off the camera's axis, so it is turned by as much."""
    off = 500 * np.tan(np.radians(30))
    found = head.read(mesh(centre=(320 + off, 240)), SCALE, SIZE)
    np.testing.assert_allclose(np.degrees(found.angles), [0, 30, 0], atol=1e-6)
    assert found.place[0] / found.place[2] == pytest.approx(np.tan(np.radians(30)))
    assert found.gaze_angles[0] == pytest.approx(np.radians(-30))


@pytest.mark.parametrize(("aside", "sign"), [((0.05, 0), (1, 0)), ((-0.05, 0), (-1, 0)),
                                             ((0, 0.04), (0, 1))])  # fmt: skip
def test_irises_aside_are_gaze(aside, sign):
    found = head.read(mesh(gaze=aside), SCALE, SIZE)
    np.testing.assert_allclose(np.sign(np.round(found.gaze_angles, 6)), sign)
    expected = np.arcsin(np.hypot(*aside) / head.IRIS_RADIUS)
    assert np.abs(found.gaze_angles).max() == pytest.approx(expected)
    np.testing.assert_allclose(np.linalg.norm(found.gaze, axis=1), 1)


# The halves of a face


def test_halves_of_a_symmetric_face_are_that_face():
    for half in sides.halves_of(SCALE.template, SCALE):
        np.testing.assert_allclose(half, SCALE.template, atol=1e-6)


def test_each_half_has_its_own_side_twice():
    front = SCALE.template.copy()
    front[291] += [0.1, -0.05, 0]  # the subject's left corner of the mouth
    left, right = sides.halves_of(front, SCALE)
    np.testing.assert_allclose(left[291], front[291], atol=1e-6)
    np.testing.assert_allclose(left[61], front[291] * [-1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(right, SCALE.template, atol=1e-6)
