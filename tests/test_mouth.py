"""Mouths that are open already: upper teeth stay with the head, lower ones go with the jaw."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import tiny

from duchenne.faces.landmarks import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from duchenne.faces.warp import apply, invert
from duchenne.files import pictures
from duchenne.moving import opening_mouth
from duchenne.moving.canvas import Canvas
from duchenne.moving.change import SIDE, inside
from duchenne.moving.mouth import COLUMNS, MIDDLE, Mouth, rows_of
from duchenne.moving.moved import MovedPhoto, at_side
from duchenne.types import AlignedFace, Pixels

NAME = "generated_face_03"
LOWER = (*INNER_LIPS[1:10], *(146, 91, 181, 84, 17, 314, 405, 321, 375), 152, 199, 200, 18)
HOLLOW, TOOTH, RED = (40, 10, 15), (235, 225, 205), (220, 30, 40)
WIDE, UPPER, LOWER_TEETH = 40.0, 14.0, 9.0  # px: between the lips, and of each row of teeth

LONG = 24.0  # px: no part of such teeth is hidden

Mesh = np.ndarray


@pytest.fixture(scope="module")
def face() -> AlignedFace:
    photo = pictures.load_photo(tiny.GOLDEN.parent / f"{NAME}.jpg")
    return tiny.align.cut(photo, tiny.golden_face(NAME))


def shut(face: AlignedFace) -> Mesh:
    """The mesh at SIDE px, its lips on each other."""
    mesh = apply(invert(face.to_photo), face.face.mesh[:, :2].astype(float))
    mesh = mesh * (SIDE / len(face.pixels))
    half = len(INNER_LIPS) // 2
    for lower, upper in zip(INNER_LIPS[1:half], INNER_LIPS[:half:-1], strict=True):
        mesh[lower] = mesh[upper] + [0, 0.5]
    return mesh


def jaw_dropped(mesh: Mesh, by: float) -> Mesh:
    """The jaw and the lower lip lower by so many px, less towards the corners of the mouth."""
    opened = mesh.copy()
    corners = mesh[[INNER_LIPS[0], INNER_LIPS[10]], 0]
    across = (mesh[list(LOWER), 0] - corners.mean()) / (np.ptp(corners) / 2)
    opened[list(LOWER), 1] += by * np.sqrt(np.clip(1 - across**2, 0, 1))
    return opened


def painted(face: AlignedFace, mesh: Mesh, upper: float, lower: float) -> Pixels:
    """The face with an open mouth: teeth of so many px above and below, and dark between."""
    picture = at_side(face.pixels).astype(np.float32)
    above, below = rows_of(mesh, INNER_LIPS)
    mouth = np.zeros((SIDE, SIDE, 3), np.float32) + HOLLOW
    for row, teeth in ((above, upper), (below, -lower)):
        if not teeth:
            continue
        edge = np.stack([row[:, 0], row[:, 1] + teeth], axis=1)
        corners = np.concatenate([row, edge[::-1]])
        cv2.fillPoly(mouth, [np.round(corners).astype(np.int32)], TOOTH)
    share = inside(mesh, INNER_LIPS, 0.5)[..., None]
    return np.asarray(picture + share * (mouth - picture), np.uint8)


def with_mesh(face: AlignedFace, photo: Pixels, mesh: Mesh) -> AlignedFace:
    """A photo at SIDE px in place of the face's own, and its mesh there."""
    back = np.array([[len(face.pixels) / SIDE]])
    in_photo = apply(face.to_photo, mesh * back)
    points = face.face.mesh.copy()
    points[:, :2] = in_photo
    given = type(face.face)(**{**face.face.__dict__, "mesh": points})
    crop = cv2.resize(photo, (len(face.pixels),) * 2, interpolation=cv2.INTER_CUBIC)
    return AlignedFace(np.asarray(crop, np.uint8), face.to_photo, given)


def drawn(face: AlignedFace, photo: Pixels, mesh: Mesh, edited: Pixels, after: Mesh) -> Pixels:
    """The photo, moved as a generator's shut mouth opens to the picture `edited`."""
    aligned = with_mesh(face, photo, mesh)
    meshes = iter([shut(face), after])
    mover = MovedPhoto(aligned, at_side(face.pixels), lambda *_: next(meshes))
    whole = np.ones((SIDE, SIDE), np.float32)
    return Canvas.of_crop(aligned, whole, SIDE).draw(mover.fields(edited))


def rows_of_teeth(picture: Pixels, mesh: Mesh) -> list[tuple[int, int]]:
    """First and last row of each run of teeth below the middle of the upper lip."""
    x, y = (int(v) for v in mesh[13])
    column = picture[y - 4 : y + 110, x - 2 : x + 3].astype(int).mean(axis=1)
    bright = (column.min(axis=1) > 150).astype(int)
    steps = np.flatnonzero(np.diff(np.concatenate([[0], bright, [0]])))
    runs = [(int(a) + y - 4, int(b) + y - 5) for a, b in steps.reshape(-1, 2)]
    return [run for run in runs if run[1] - run[0] >= 2]


def generators(face: AlignedFace, by: float) -> tuple[Pixels, Mesh]:
    """What the generator draws: long teeth of its own in the middle of a red mouth."""
    after = jaw_dropped(shut(face), by)
    picture = painted(face, after, by * 0.7, 4)
    ring = inside(after, INNER_LIPS, 1, grow=2) - inside(after, INNER_LIPS, 1, grow=-3)
    red = np.array(RED, np.float32)
    mixed = picture + np.clip(ring, 0, 1)[..., None] * (red - picture)
    return np.asarray(mixed, np.uint8), after


@pytest.mark.parametrize(
    ("upper", "lower"), [(UPPER, LOWER_TEETH), (UPPER, 0.0), (0.0, LOWER_TEETH)]
)
def test_rows_of_teeth_are_found(face: AlignedFace, upper: float, lower: float) -> None:
    mesh = jaw_dropped(shut(face), WIDE)
    mouth = Mouth.find(painted(face, mesh, upper, lower).astype(np.float32), mesh)
    assert mouth.teeth
    above = (mouth.upper_edge - mouth.upper)[MIDDLE, 1]
    below = (mouth.lower - mouth.lower_edge)[MIDDLE, 1]
    # No piece of a tooth is left out, and little more than teeth is taken.
    for found, there in ((above, upper), (below, lower)):
        np.testing.assert_allclose(found, there + 2 if there else 0, atol=5)
        assert there == 0 or found.min() > there - 1


def test_a_dark_mouth_has_no_teeth(face: AlignedFace) -> None:
    mesh = jaw_dropped(shut(face), WIDE)
    mouth = Mouth.find(painted(face, mesh, 0, 0).astype(np.float32), mesh)
    assert not mouth.teeth
    assert len(mouth.upper) == COLUMNS


def test_a_row_of_teeth_does_not_come_and_go_in_a_film(face: AlignedFace) -> None:
    mesh = jaw_dropped(shut(face), WIDE)
    there = Mouth.find(painted(face, mesh, UPPER, LOWER_TEETH).astype(np.float32), mesh)
    dark = painted(face, mesh, UPPER, 0).astype(np.float32)
    gone = Mouth.find(dark, mesh)
    half = painted(face, mesh, UPPER, LOWER_TEETH).astype(np.float32)
    middle = int(np.median(there.lower[MIDDLE, 0]))
    half[:, middle:] = dark[:, middle:]  # half of the columns show it
    assert (there.rows, gone.rows) == ((True, True), (True, False))
    assert Mouth.find(half, mesh, there).rows == (True, True)
    assert Mouth.find(half, mesh, gone).rows == (True, False)
    assert Mouth.find(dark, mesh, there).rows == (True, False)


def test_a_smile_that_opens_shows_its_teeth_once_and_where_they_were(face: AlignedFace) -> None:
    mesh = jaw_dropped(shut(face), LONG)  # the lower lip lies at the edge of the teeth
    photo = painted(face, mesh, LONG + 4, 0)
    edited, after = generators(face, 30)
    (before,) = rows_of_teeth(photo, mesh)
    picture = drawn(face, photo, mesh, edited, after)
    (now,) = rows_of_teeth(picture, mesh)
    np.testing.assert_allclose(now, before, atol=3)
    x = int(mesh[13, 0])  # below them it is dark, where the generator has its teeth
    assert picture[before[1] + 6 : before[1] + 20, x].astype(int).max() < 130


def test_two_rows_stay_two_and_the_lower_goes_with_the_jaw(face: AlignedFace) -> None:
    mesh = jaw_dropped(shut(face), WIDE)
    photo = painted(face, mesh, UPPER, LOWER_TEETH)
    edited, after = generators(face, 20)
    picture = drawn(face, photo, mesh, edited, after)
    before, now = rows_of_teeth(photo, mesh), rows_of_teeth(picture, mesh)
    assert len(before) == len(now) == 2
    np.testing.assert_allclose(now[0], before[0], atol=2)
    np.testing.assert_allclose(now[1], np.array(before[1]) + 20, atol=3)


def test_a_photo_s_open_mouth_gets_no_lips_of_the_generator(face: AlignedFace) -> None:
    mesh = jaw_dropped(shut(face), WIDE)
    photo = painted(face, mesh, UPPER, LOWER_TEETH)
    edited, after = generators(face, 20)
    picture = drawn(face, photo, mesh, edited, after)
    around = np.s_[340:, 150:360]  # the mouth and the chin
    red, redder = (
        np.subtract(*p[around].astype(int).transpose(2, 0, 1)[:2]) for p in (edited, picture)
    )
    assert (red > 150).sum() > 200  # the generator's red ring
    assert redder.max() < 100


@pytest.mark.parametrize("by", [6.0, 25.0])
def test_lips_that_open_show_the_generators_teeth(face: AlignedFace, by: float) -> None:
    mesh = shut(face)
    mesh[list(INNER_LIPS[1:10]), 1] += 3  # lips that lie on each other, as meshes have them
    after = jaw_dropped(shut(face), by)
    edited = painted(face, after, by + 4, 0)
    picture = drawn(face, at_side(face.pixels), mesh, edited, after)
    (now,), (there,) = (rows_of_teeth(p, after) for p in (picture, edited))
    np.testing.assert_allclose(now, there, atol=5)


def test_a_mouth_opens_no_wider_than_mouths_do(face: AlignedFace) -> None:
    mesh = jaw_dropped(shut(face), 70)
    eyes = np.linalg.norm(mesh[list(LEFT_EYE)].mean(axis=0) - mesh[list(RIGHT_EYE)].mean(axis=0))
    edited, after = generators(face, 60)
    picture = drawn(face, painted(face, mesh, UPPER, LOWER_TEETH), mesh, edited, after)
    upper, lower = rows_of_teeth(picture, mesh)
    assert upper[1] + 10 < lower[0]
    assert lower[1] - mesh[13, 1] < 0.85 * eyes


def test_lips_that_stay_shut_show_nothing_between(face: AlignedFace) -> None:
    """The mesh network sees a gap of some pixels between lips that the generator drew closed."""
    mesh = shut(face)
    photo = painted(face, mesh, 0, 0)
    meshes = iter([mesh, *[jaw_dropped(mesh, 6.0) for _ in range(2)]])
    mover = MovedPhoto(with_mesh(face, photo, mesh), photo, lambda *_: next(meshes))
    mouth = inside(mesh, INNER_LIPS, 1, grow=4) > 0.5
    apart, held = (mover.fields(photo, shut=share) for share in (0.0, 1.0))
    shown = [float(fields.appears[mouth].mean()) for fields in (apart, held)]
    assert shown[1] < shown[0] / 5
    np.testing.assert_array_equal(mover.unedited.mesh, mesh)  # as it was


def test_a_thin_strip_shows_nothing_from_elsewhere() -> None:
    """The middle of a pixel lies outside a triangle that is lower than a pixel."""
    x = np.linspace(100, 160, COLUMNS)
    zigzag = np.where(np.arange(COLUMNS) % 2, 0.05, 0.4)
    thin = np.stack([x, np.full(COLUMNS, 200.3)], axis=1), np.stack([x, 200.3 + zigzag], axis=1)
    tall = np.stack([x, np.full(COLUMNS, 190.0)], axis=1), np.stack([x, np.full(COLUMNS, 230.0)], 1)
    shown = opening_mouth._raster([opening_mouth._Strip(thin, tall, tall)], 60.0, 0.0, SIDE)
    rows, columns = np.nonzero(shown.within)
    assert len(rows) > COLUMNS
    comes_from = shown.motion[rows, columns] + np.column_stack([columns + 0.5, rows + 0.5])
    assert 190 <= comes_from[:, 1].min() <= comes_from[:, 1].max() <= 230
    assert 100 <= comes_from[:, 0].min() <= comes_from[:, 0].max() <= 160


def test_teeth_go_with_a_mouth_that_goes_as_a_whole(face: AlignedFace) -> None:
    """A generator may move a whole mouth down; nothing dark may open between teeth and lip."""
    mesh = jaw_dropped(shut(face), LONG)
    photo = painted(face, mesh, LONG, 0)  # teeth down to the lower lip
    both = [*LOWER, *INNER_LIPS[11:], *range(11, 14)]
    lower = mesh.copy()
    lower[list(dict.fromkeys(both)), 1] += 8
    meshes = iter([mesh, lower])
    mover = MovedPhoto(with_mesh(face, photo, mesh), photo, lambda *_: next(meshes))
    whole = np.ones((SIDE, SIDE), np.float32)
    aligned = with_mesh(face, photo, mesh)
    picture = Canvas.of_crop(aligned, whole, SIDE).draw(mover.fields(photo))
    (before,), (now,) = rows_of_teeth(photo, mesh), rows_of_teeth(picture, mesh)
    assert now[1] == pytest.approx(before[1] + 8, abs=3)
    x, y = int(mesh[14, 0]), now[1] + 1
    between = picture[y : y + 6, x - 2 : x + 3].min()
    assert between > photo[y - 8 : y - 2, x - 2 : x + 3].min() - 25


def test_lips_are_smooth_where_the_mesh_jitters() -> None:
    x = np.linspace(0, 10, COLUMNS)
    straight = np.stack([x, 3 + 0.5 * x], axis=1)
    np.testing.assert_allclose(opening_mouth._smooth(straight), straight, atol=1e-3)
    jitter = np.repeat([0.0, 1, -1, 1, -1, 1, -1, 1, -1, 0, 0], 3)[:COLUMNS]
    rough = straight + np.stack([np.zeros(COLUMNS), jitter], axis=1)
    smooth = opening_mouth._smooth(rough)
    assert np.abs(smooth - straight).max() < 0.4
    np.testing.assert_allclose(smooth[[0, -1]], rough[[0, -1]], atol=0.05)
