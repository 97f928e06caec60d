"""Skin that gathers under the eyes and on the nose, on a drawn face and as fields."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne import facs
from duchenne.editing.boundaries import slot_intensities
from duchenne.faces.landmarks import LEFT_EYE, RIGHT_EYE
from duchenne.measuring.score import average_mesh
from duchenne.moving import besides, gathered
from duchenne.moving.change import SIDE, inside
from duchenne.moving.correspondence import carried
from duchenne.moving.moved import Fields

MESH = average_mesh(SIDE).astype(float)
WIDTH = float(np.linalg.norm(MESH[33] - MESH[133]))  # of an eye
CHEEKS, LOWER_LIDS, WINGS = (118, 347), (145, 374), (129, 358)
STAY = (61, 291, 152, 10, 159, 386)  # corners of the mouth, chin, forehead, upper lids


def happens(descriptor: dict[str, float]) -> Fields:
    return besides.moved(None, MESH, slot_intensities(descriptor))


def goes(descriptor: dict[str, float]) -> np.ndarray:
    """[468, 2], px by which the points of the mesh go."""
    return carried(MESH, happens(descriptor).motion) - MESH


def test_cheeks_and_lower_lids_rise_and_nothing_else_does() -> None:
    way = goes({"AU6": 1.0})
    assert (way[list(CHEEKS), 1] < -0.05 * WIDTH).all()
    assert (way[list(LOWER_LIDS), 1] < -0.02 * WIDTH).all()
    assert np.abs(way[list(STAY)]).max() < 0.5


def test_wings_of_the_nose_rise_and_inner_brows_come_down() -> None:
    way = goes({"AU9": 1.0})
    assert (way[list(WINGS), 1] < -1.5).all()
    assert (way[[55, 285], 1] > 0.5).all()
    assert np.abs(way[[61, 291, 152, 10]]).max() < 0.5


@pytest.mark.parametrize(("code", "points"), [("AU6", CHEEKS), ("AU9", WINGS)])
def test_half_goes_half_as_far_and_a_side_goes_alone(code: str, points: tuple[int, int]) -> None:
    whole, half = goes({code: 1.0}), goes({code: 0.5})
    assert half[list(points), 1] == pytest.approx(whole[list(points), 1] / 2, rel=0.15)
    right, left = points
    alone = goes({f"{code}L": 1.0})
    assert alone[left, 1] == pytest.approx(whole[left, 1], rel=0.2)
    assert abs(alone[right, 1]) < 0.1 * abs(whole[right, 1]) + 0.1


def test_the_eyeball_stays() -> None:
    fields = happens({"AU6": 1.0})
    for contour in (RIGHT_EYE, LEFT_EYE):
        inner = inside(MESH, contour, 0.5, grow=-4) > 0.9
        upper = inner & (np.arange(SIDE)[:, None] < MESH[list(contour), 1].mean())
        assert upper.any()
        assert np.abs(fields.motion[upper]).max() < 0.1


@pytest.mark.parametrize("code", ["AU6", "AU9"])
def test_furrows_are_dark_lines_on_both_sides(code: str) -> None:
    shade = happens({code: 1.0}).shading
    assert shade.min() < -0.1
    assert shade.max() < 0.06
    assert (shade < -0.05).mean() < 0.01
    middle = round(MESH[168, 0])
    for side in (shade[:, :middle], shade[:, middle:]):
        assert side.min() < -0.1


def test_less_than_at_rest_gathers_nothing() -> None:
    table = slot_intensities(facs.offsets({"AU6": -1.0, "AU9": -0.5}))
    assert not gathered.moved_in(table)
    assert not besides.moved_in(table)
    assert besides.moved_in(slot_intensities({"AU6": 0.1}))


@pytest.mark.parametrize("turn", [25.0, -40.0, 180.0])
def test_it_turns_with_the_face(turn: float) -> None:
    angle = np.radians(turn)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([SIDE / 2, SIDE / 2])
    turned = (MESH - centre) @ matrix.T + centre
    fields = besides.moved(None, turned, slot_intensities({"AU6": 1.0, "AU9": 1.0}))
    way = carried(turned, fields.motion) - turned
    upright = goes({"AU6": 1.0, "AU9": 1.0})
    points = [*CHEEKS, *WINGS]
    assert way[points] @ matrix == pytest.approx(upright[points], abs=0.4)


def test_a_face_at_the_edge_of_the_picture_is_no_fault() -> None:
    table = slot_intensities({"AU6": 1.0, "AU9": 1.0})
    for shift in ([-300.0, 0], [300.0, 0], [0, -400.0], [900.0, 900.0]):
        fields = besides.moved(None, MESH + shift, table)
        assert np.isfinite(fields.motion).all()
        assert np.isfinite(fields.shading).all()
