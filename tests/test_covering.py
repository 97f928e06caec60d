"""What covers a face: drawn, found, kept as it is; and whether a photo serves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
from command_line import done, run
from PIL import Image

from duchenne.faces import hands
from duchenne.faces.align import in_crop
from duchenne.faces.landmarks import LEFT_EYE, RIGHT_EYE
from duchenne.files import codes, pictures
from duchenne.fit import covering as drawing
from duchenne.moving import covering, finder, suitability
from duchenne.moving.change import SIDE, inside
from duchenne.moving.moved import Fields
from duchenne.types import AlignedFace, Photo

NAME = "generated_face_03"


@pytest.fixture(autouse=True)
def no_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the plain tests need no model file."""
    monkeypatch.setattr(hands, "find", lambda *_: [])


@pytest.fixture(scope="module")
def bare() -> AlignedFace:
    photo = pictures.load_photo(tiny.GOLDEN.parent / f"{NAME}.jpg")
    return tiny.align.cut(photo, tiny.golden_face(NAME))


def drawn_on(face: AlignedFace, kind: str, seed: int) -> tuple[AlignedFace, np.ndarray]:
    """The face with something drawn over it, and bool [SIDE, SIDE] of where."""
    small = cv2.resize(face.pixels, (covering.SEEN,) * 2, interpolation=cv2.INTER_AREA)
    canvas = drawing.Face(small, in_crop(face, covering.SEEN), small[::-1])
    picture, mask = drawing.cover(canvas, np.random.default_rng(seed), kind)
    size = (len(face.pixels),) * 2
    large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    return replace(face, pixels=large), cv2.resize(mask.astype(np.uint8), (SIDE, SIDE)) > 0


@pytest.mark.parametrize("kind", list(drawing.KINDS))
def test_what_is_drawn_lies_in_its_mask(bare: AlignedFace, kind: str) -> None:
    small = cv2.resize(bare.pixels, (covering.SEEN,) * 2, interpolation=cv2.INTER_AREA)
    face = drawing.Face(small, in_crop(bare, covering.SEEN), small[::-1])
    picture, mask = drawing.cover(face, np.random.default_rng(3), kind)
    changed = np.abs(picture.astype(int) - small).max(axis=2) > 60
    assert mask.any()
    assert (changed & cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)).sum() >= (
        0.9 * changed.sum()
    )


def test_nothing_covers_a_bare_face(bare: AlignedFace) -> None:
    found = covering.find(bare)
    assert (found.share, found.places) == (0.0, ())


def test_a_mask_is_found_and_stays(bare: AlignedFace) -> None:
    covered, true = drawn_on(bare, "mask", 1)
    found = covering.find(covered)
    assert (found.mask & true).sum() > 0.9 * found.mask.sum() > 0.5 * true.sum()
    assert "chin" in found.places
    assert "left eye" not in found.places
    clear = covering.clearance(covered, None, found.mask)
    assert clear[found.mask].max() == 0
    assert covering.fading(clear)[found.mask].max() == 0


def test_a_fit_is_written_and_read(bare: AlignedFace, tmp_path: Path) -> None:
    small = cv2.resize(bare.pixels, (covering.SEEN,) * 2, interpolation=cv2.INTER_AREA)
    face = drawing.Face(small, in_crop(bare, covering.SEEN), small[::-1])
    network = drawing.fit([face], steps=2, size=2)
    finder.save(network, tmp_path / "finder.safetensors", {"made_by": "tests"})
    tensors, header = codes.read_tensors(
        tmp_path / "finder.safetensors", covering.FORMAT, "a finder of coverings"
    )
    assert set(tensors) == set(network.state_dict())
    assert header["provenance"] == {"made_by": "tests"}


# ---------------------------------------------------------------- whether a photo serves


def test_a_good_face_serves(bare: AlignedFace) -> None:
    found = suitability.of(bare)
    assert found.shortcomings == ()
    assert abs(found.yaw) < 30
    assert min(found.eyes) > suitability.CLOSED


def test_what_is_wrong_is_said_with_what_to_do(bare: AlignedFace) -> None:
    blurred = replace(bare, pixels=cv2.GaussianBlur(bare.pixels, (0, 0), len(bare.pixels) / 60))
    (line,) = suitability.of(blurred).shortcomings
    assert "blurred" in line
    assert "take a sharper one" in line
    good = suitability.of(bare)
    assert "44 px wide" in replace(good, size=44.0).shortcomings[0]
    assert "turned by 60 degrees" in replace(good, yaw=-60.0).shortcomings[0]
    assert "the left eye" in replace(good, eyes=(0.3, 0.02)).shortcomings[0]
    assert "closes it" in replace(good, mouth=0.3).remarks[0]


@pytest.mark.usefixtures("tiny_studio")
def test_check_fails_for_photos_that_do_not_serve(folder: Path, astronaut: np.ndarray) -> None:
    assert done("check", "photo.jpg").stdout.startswith("photo.jpg: serves; face ")
    Image.fromarray(cv2.GaussianBlur(astronaut, (0, 0), 6)).save("blurred.png")
    Path("bad.jpg").write_bytes(b"no picture")
    result = run("check", "photo.jpg", "blurred.png", "bad.jpg", "--json", "check.json")
    assert result.exit_code == 3
    assert "2 of 3 photos do not serve: blurred.png, bad.jpg" in result.stderr
    good, blurred, bad = json.loads(Path("check.json").read_text())["photos"]
    assert (good["serves"], blurred["serves"], bad["serves"]) == (True, False, False)
    assert 90 < good["size"] < 100
    assert "blurred" in blurred["shortcomings"][0]
    assert "not a picture" in bad["shortcomings"][0]


def test_a_mask_of_another_kind_is_refused() -> None:
    photo = Photo(np.zeros((80, 90, 3), np.uint8))
    with pytest.raises(Exception, match="90x80"):
        covering.read_mask(np.zeros((90, 80), bool), photo)
    with pytest.raises(Exception, match="array of bool"):
        covering.read_mask(np.zeros((80, 90), np.uint8), photo)  # type: ignore[arg-type]


def glasses_on(face: AlignedFace) -> tuple[AlignedFace, np.ndarray]:
    """The face with rims of a usual size below its brows, and bool [SIDE, SIDE] of where."""
    mesh = in_crop(face, SIDE)
    eyes = [mesh[list(contour)].mean(axis=0) for contour in (RIGHT_EYE, LEFT_EYE)]
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    for x, y in eyes:
        middle = (round(x), round(y + 0.1 * apart))
        cv2.ellipse(drawn, middle, (round(0.42 * apart), round(0.24 * apart)), 0, 0, 360, 1, 4)
    ends = [tuple(int(v) for v in np.rint(eye)) for eye in eyes]
    nose = (np.array(ends[0]) + ends[1]) // 2
    cv2.line(drawn, (nose[0] - 12, nose[1]), (nose[0] + 12, nose[1]), 1, 4)
    large = cv2.resize(drawn, (len(face.pixels),) * 2, interpolation=cv2.INTER_LINEAR)
    pixels = np.where(large[..., None] > 0, np.uint8(25), face.pixels)
    return replace(face, pixels=pixels), drawn > 0


def test_glasses_stay_whole(bare: AlignedFace) -> None:
    worn, true = glasses_on(bare)
    assert covering.wears_glasses(worn)
    assert not covering.wears_glasses(bare)
    found = covering.find(worn)
    assert "glasses" in found.places
    assert found.share < suitability.MUCH  # a photo with glasses serves
    assert (found.mask & true).sum() > 0.9 * true.sum()
    mesh = in_crop(worn, SIDE)
    for contour in (LEFT_EYE, RIGHT_EYE):  # lids still move behind them
        assert not found.mask[inside(mesh, contour, 1) > 0.9].any()


def test_around_what_stays_furrows_fade_with_the_motion() -> None:
    clear = np.tile(np.arange(SIDE, dtype=np.float32), (SIDE, 1))
    ones = np.ones((SIDE, SIDE), np.float32)
    motion = np.stack([0 * ones, 20 * ones], axis=-1)
    spared = covering.sparing(Fields(motion, ones, ones, motion[..., [0] * 3], ones), clear)
    share = spared.motion[0, :, 1] / 20
    assert share[0] == 0
    assert share[100] == 1
    assert np.diff(share).max() * 20 < 0.5  # drawn out by less than twice, nothing folds
    assert (spared.shading[0] <= share + 1e-6).all()
