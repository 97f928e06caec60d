"""The photo's own pixels: what moves them, and what must stay."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import tiny

from duchenne.faces.regions import SLOTS
from duchenne.faces.warp import apply, invert
from duchenne.files import pictures
from duchenne.moving import change, covering
from duchenne.moving.canvas import Canvas
from duchenne.moving.change import SIDE, Unedited
from duchenne.moving.correspondence import ThinPlate, inverse, pixel_centres, sample
from duchenne.moving.moved import Fields, MovedPhoto, at_side, drawn_out
from duchenne.types import AlignedFace, Photo, Pixels

NAME = "generated_face_03"
PLACES = np.array([[200.0, 200.0], [300.0, 210.0], [250.0, 330.0], [255.0, 260.0]])
WHOLE = np.ones((SIDE, SIDE), np.float32)


@pytest.fixture(scope="module")
def photo() -> Photo:
    return pictures.load_photo(tiny.GOLDEN.parent / f"{NAME}.jpg")


def aligned(photo: Photo) -> AlignedFace:
    return tiny.align.cut(photo, tiny.golden_face(NAME))


def mesh_in(face: AlignedFace) -> np.ndarray:
    mesh = apply(invert(face.to_photo), face.face.mesh[:, :2].astype(float))
    return mesh * (SIDE / len(face.pixels))


def moved(face: AlignedFace) -> MovedPhoto:
    """The photo beside a generator that drew the very same face."""
    return MovedPhoto(face, at_side(face.pixels), lambda *_: mesh_in(face))


def canvas(picture: Pixels, share: np.ndarray = WHOLE) -> Canvas:
    return Canvas.of_crop(
        AlignedFace(picture, np.eye(2, 3), tiny.golden_face(NAME)), share, len(picture)
    )


def still(**changes: np.ndarray) -> Fields:
    nothing = np.zeros((SIDE, SIDE), np.float32)
    fields = {"motion": np.zeros((SIDE, SIDE, 2), np.float32), "shading": nothing}
    fields |= {"appears": nothing, "new": np.zeros((SIDE, SIDE, 3), np.float32)}
    fields |= {"drawn_out": nothing}
    return Fields(**{**fields, **changes})


def corners_raised(mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh when the corners of the mouth go up and out, with all around, and what moves so."""
    there = mesh.copy()
    there[[61, 291]] += [[-6.0, -5], [6, -5]]
    field = ThinPlate(mesh, SIDE).to(there)
    goes = sample(field, np.array((mesh - 0.5)[:, None], np.float32))[:, 0]
    return mesh + goes, inverse(field)


def test_a_thin_plate_carries_its_places_and_holds_the_border() -> None:
    target = PLACES + np.array([[8.0, 0], [0, 6], [-5, 4], [0, 0]])
    field = ThinPlate(PLACES, SIDE).to(target)
    at = np.array((PLACES - 0.5)[:, None], np.float32)
    np.testing.assert_allclose(sample(field, at)[:, 0], target - PLACES, atol=0.3)
    assert np.abs(np.concatenate([field[0], field[-1], field[:, 0], field[:, -1]])).max() < 0.5
    assert np.abs(ThinPlate(PLACES, SIDE).to(PLACES)).max() == 0


def test_there_and_back() -> None:
    there = ThinPlate(PLACES, SIDE).to(PLACES + np.array([[10.0, 3], [4, 6], [-5, 4], [0, 9]]))
    back = inverse(there, rounds=6)
    assert np.abs(back + sample(there, pixel_centres(SIDE) + back)).max() < 0.05


def test_the_same_picture_is_no_change(photo: Photo) -> None:
    face = aligned(photo)
    before = Unedited(at_side(face.pixels), mesh_in(face))
    change = before.to(before.picture, before.mesh)
    assert np.abs(change.motion).max() < 0.05
    assert np.abs(change.shading).max() < 0.01
    assert change.appears.max() == 0
    assert change.opened == 0


def test_the_motion_of_a_moved_picture_is_found(photo: Photo) -> None:
    face = aligned(photo)
    picture, mesh = at_side(face.pixels), mesh_in(face)
    smile, field = corners_raised(mesh)
    edited = sample(picture, pixel_centres(SIDE) + field).astype(np.uint8)
    change = Unedited(picture, mesh).to(edited, smile)
    inside = cv2.erode(moved(face)._face, np.ones((25, 25)))[..., None]
    assert np.abs((change.motion - field) * inside).mean() < 0.15
    assert np.abs(change.shading * inside[..., 0]).mean() < 0.02
    # Given to the photo itself it makes the picture again.
    drawn = canvas(picture).draw(moved(face).carried(change)).astype(int)
    before = np.abs((picture.astype(int) - edited) * inside).mean()
    assert np.abs((drawn - edited) * inside).mean() < 0.4 * before


def smiling(photo: Photo) -> tuple[Pixels, np.ndarray, np.ndarray]:
    """(the unedited picture, the mesh with raised corners of the mouth, what moves there)"""
    face = aligned(photo)
    return at_side(face.pixels), *corners_raised(mesh_in(face))


def test_a_change_can_be_made_larger_with_all_that_comes_along(photo: Photo) -> None:
    picture, smile, field = smiling(photo)
    edited = sample(picture, pixel_centres(SIDE) + field).astype(np.uint8)
    change = Unedited(picture, mesh_in(aligned(photo))).to(edited, smile)
    twice = change.exaggerated(2 * WHOLE)
    corner = tuple(np.round(smile[291][::-1]).astype(int))
    once, far = (np.linalg.norm(c.motion[corner]) for c in (change, twice))
    assert 1.4 < far / once < 2.1
    shown = sample(picture, pixel_centres(SIDE) + twice.motion)  # still this face, moved
    inside = cv2.erode(moved(aligned(photo))._face, np.ones((25, 25)))[..., None]
    apart = np.abs((twice.edited - shown) * inside).mean()
    assert apart < 0.5 * np.abs((twice.edited - picture) * inside).mean()
    same = change.exaggerated(WHOLE)
    np.testing.assert_allclose(same.motion, change.motion, atol=1e-4)


def test_gains_act_in_their_regions_only(photo: Photo) -> None:
    picture, smile, field = smiling(photo)
    edited = sample(picture, pixel_centres(SIDE) + field).astype(np.uint8)
    face = aligned(photo)
    meshes = iter([mesh_in(face), *[smile] * 3])
    mover = MovedPhoto(face, picture, lambda *_: next(meshes))
    gains = np.ones(len(SLOTS))
    plain = mover.fields(edited, gains).motion
    gains[[SLOTS.index("browsL"), SLOTS.index("browsR")]] = 2
    np.testing.assert_allclose(mover.fields(edited, gains).motion[330:], plain[330:], atol=0.05)
    gains[[SLOTS.index("mouthL"), SLOTS.index("mouthR")]] = 2
    larger = mover.fields(edited, gains).motion[330:]
    assert np.abs(larger).max() > 1.4 * np.abs(plain[330:]).max()


def test_what_a_raised_brow_unfolds_does_not_stay_in_its_shadow(photo: Photo) -> None:
    face = aligned(photo)
    picture, mesh = at_side(face.pixels), mesh_in(face)
    x, lid = mesh[159]
    brow = mesh[52, 1]
    scale = len(face.pixels) / SIDE
    rows, columns = (
        slice(int(a * scale), int(b * scale)) for a, b in ((brow, lid), (x - 25, x + 25))
    )
    deep = face.pixels.copy()
    deep[rows, columns] //= 4  # a deep-set eye: all is dark between brow and lid
    mover = MovedPhoto(replace(face, pixels=deep), picture, lambda *_: mesh)
    at = pixel_centres(SIDE)
    above = np.clip(lid - at[..., 1], 0, 60) * (np.abs(at[..., 0] - x) < 40)
    motion = np.stack([0 * above, 0.65 * above], axis=-1).astype(np.float32)
    change = replace(mover.unedited.to(picture, mesh), motion=motion, by_mesh=motion)
    fields = mover.carried(change)
    place = int((brow + lid) / 2), int(x)
    assert fields.appears[place] > 0.8
    assert np.abs(fields.new[place] - picture[place]).max() < 30
    assert mover.carried(mover.unedited.to(picture, mesh)).appears[place] < 0.05


def test_skin_never_comes_from_the_generator(photo: Photo) -> None:
    picture, smile, field = smiling(photo)
    edited = sample(picture, pixel_centres(SIDE) + field).astype(np.uint8)
    mesh = mesh_in(aligned(photo))
    x, y = mesh[199].astype(int)  # the chin of a picture that shaved, or bleached, its face
    edited[y - 12 : y + 12, x - 12 : x + 12] = 255
    change = Unedited(picture, mesh).to(edited, smile)
    assert change.appears[y - 12 : y + 12, x - 12 : x + 12].max() == 0


def test_skin_that_is_drawn_out_keeps_its_grain(photo: Photo) -> None:
    x = np.arange(SIDE, dtype=np.float32)
    stretched = np.zeros((SIDE, SIDE, 2), np.float32)
    stretched[..., 1] = (0.25 * x - x)[:, None]  # four times as long, downwards
    assert drawn_out(stretched).min() == 1
    assert drawn_out(np.zeros_like(stretched)).max() == 0
    noise = np.random.default_rng(1).normal(0, 6, (SIDE, SIDE, 1))
    flat = np.clip(np.full((SIDE, SIDE, 3), 128.0) + noise, 0, 255).astype(np.uint8)
    drawn = canvas(flat).draw(still(motion=stretched, drawn_out=drawn_out(stretched)))
    rows, columns = (np.abs(np.diff(drawn[..., 0].astype(float), axis=a)).mean() for a in (0, 1))
    assert 0.8 < rows / columns < 1.25  # no streaks


def test_nothing_asked_is_the_picture_to_the_bit(photo: Photo) -> None:
    picture = aligned(photo).pixels
    assert np.array_equal(canvas(picture).draw(still()), picture)
    assert np.array_equal(canvas(picture).draw(None), picture)


@pytest.mark.parametrize("side", [300, 512, 2000])
def test_outside_the_share_nothing_changes(photo: Photo, side: int) -> None:
    picture = cv2.resize(aligned(photo).pixels, (side, side), interpolation=cv2.INTER_CUBIC)
    share = WHOLE.copy()
    share[:, SIDE // 2 :] = 0
    wild = still(motion=np.full((SIDE, SIDE, 2), 7, np.float32), appears=WHOLE)
    drawn = canvas(picture, share).draw(wild)
    assert np.array_equal(
        drawn[:, side // 2 + side // 100 :], picture[:, side // 2 + side // 100 :]
    )
    assert not np.array_equal(drawn, picture)


@pytest.mark.parametrize("side", [70, 300, 2000])
def test_what_is_kept_is_the_photo_and_has_no_seam(photo: Photo, side: int) -> None:
    """side: px of a photo whose face fills it, much smaller and larger than what moves."""
    picture = cv2.resize(aligned(photo).pixels, (side, side), interpolation=cv2.INTER_AREA)
    face = AlignedFace(at_side(picture), np.eye(2, 3) * side / SIDE, tiny.golden_face(NAME))
    keep = np.zeros((side, side), bool)
    keep[side // 3 : side // 2, side // 3 : side // 2] = True
    keep[side // 5, :] = True
    clear = covering.clearance(face, keep)
    motion = np.full((SIDE, SIDE, 2), 20, np.float32)
    motion *= covering.fading(clear, motion)[..., None]
    share = (clear > covering.MARGIN).astype(np.float32)
    drawn = Canvas.of_photo(Photo(picture), face, share).draw(still(motion=motion))
    assert np.array_equal(drawn[keep], picture[keep])
    assert not np.array_equal(drawn, picture)
    # Nothing is filled from beyond the edge, and nothing folds.
    assert (np.linalg.norm(motion, axis=2) <= clear + 0.01).all()
    along = np.stack(np.gradient(motion[..., 0]))
    assert np.abs(along).max() < 0.75


def test_the_photos_grain_comes_along(photo: Photo) -> None:
    noise = np.random.default_rng(1).normal(0, 6, (1500, 1500, 1))
    flat = np.clip(np.full((1500, 1500, 3), 128.0) + noise, 0, 255).astype(np.uint8)
    shifted = canvas(flat).draw(still(motion=np.full((SIDE, SIDE, 2), 3.3, np.float32)))
    new = np.full((SIDE, SIDE, 3), 128, np.float32)
    shown = canvas(flat).draw(still(appears=WHOLE, new=new))

    def grain(picture: np.ndarray) -> float:
        luma = picture[100:-100, 100:-100].astype(np.float32).mean(axis=2)
        return float((luma - cv2.GaussianBlur(luma, (0, 0), 1.0)).std())

    for drawn in (shifted, shown):
        assert 0.8 < grain(drawn) / grain(flat) < 1.25


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.86, 0.66)])
def test_grey_stays_grey_and_sepia_sepia(photo: Photo, tint: tuple[float, ...]) -> None:
    grey = photo.pixels.astype(np.float32).mean(axis=2, keepdims=True)
    toned = Photo(np.rint(0.8 * grey * tint).astype(np.uint8))
    colour = aligned(photo)
    mover = MovedPhoto(aligned(toned), at_side(colour.pixels), lambda *_: mesh_in(colour))
    open_mouth = mover.unedited.mesh.copy()
    open_mouth[14, 1] += 25
    change = mover.unedited.to(at_side(colour.pixels), open_mouth)
    drawn = canvas(aligned(toned).pixels).draw(mover.carried(change)).astype(float)
    assert np.abs(drawn / tint - (drawn / tint).mean(axis=2, keepdims=True)).max() <= 3


def test_flow_is_the_same_whatever_threads_there_are() -> None:
    rng = np.random.default_rng(0)
    before = cv2.GaussianBlur(rng.integers(0, 256, (SIDE, SIDE), np.uint8), (0, 0), 3)
    after = np.roll(before, 2, axis=0)
    nothing = np.zeros((SIDE, SIDE, 2), np.float32)
    found = []
    for threads in (1, 4):
        cv2.setNumThreads(threads)
        found.append(change._flow(after, before, nothing, cv2.DISOPTICAL_FLOW_PRESET_MEDIUM))
    np.testing.assert_array_equal(*found)
