"""The detector, the mesh and the search, against MediaPipe's own runtime and against themselves.

`data/landmarks_mediapipe_0.10.21.npz` holds what MediaPipe's Python FaceMesh finds (tracking mode,
6th frame of a still picture), in pixels; `data/generated_face_NN.jpg` are the built-in generator's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from duchenne.faces import detector, landmarks
from duchenne.faces.giving_way import giving_way
from duchenne.faces.landmarks import find_faces
from duchenne.types import Face

DATA = Path(__file__).parent / "data"
# Brows from the outer end inwards.
RIGHT_BROW_UPPER, RIGHT_BROW_LOWER = (70, 63, 105, 66, 107), (46, 53, 52, 65, 55)
LEFT_BROW_UPPER, LEFT_BROW_LOWER = (300, 293, 334, 296, 336), (276, 283, 282, 295, 285)
GENERATED = ("generated_face_03", "generated_face_07", "generated_face_21")


def astronaut() -> np.ndarray:
    skimage_data = pytest.importorskip("skimage.data")
    return skimage_data.astronaut()


def picture(name: str) -> np.ndarray:
    if name == "astronaut":
        return astronaut()
    with Image.open(DATA / f"{name}.jpg") as image:
        return np.asarray(image)


def eye_distance(mesh: np.ndarray) -> float:
    across = mesh[landmarks.LEFT_EYE_OUTER, :2] - mesh[landmarks.RIGHT_EYE_OUTER, :2]
    return float(np.linalg.norm(across))


def deviation(mesh: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """[468] distances as fractions of the reference's eye distance."""
    apart = np.linalg.norm(mesh[:, :2] - reference[:, :2], axis=1)
    return apart / eye_distance(reference)


def scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def only(faces: list[Face]) -> Face:
    assert len(faces) == 1
    return faces[0]


# Arithmetic, without weights


def test_anchor_counts_and_order() -> None:
    short = detector.anchors(detector.SHORT_RANGE)
    assert short.shape == (896, 2)
    # Two anchors in the first cell of the 16 x 16 grid, then the next cell of the row.
    np.testing.assert_allclose(short[:3], [[1 / 32, 1 / 32], [1 / 32, 1 / 32], [3 / 32, 1 / 32]])
    # Six in the first cell of the 8 x 8 grid.
    np.testing.assert_allclose(short[512:518], np.full((6, 2), 1 / 16))
    full = detector.anchors(detector.FULL_RANGE)
    assert full.shape == (2304, 2)
    np.testing.assert_allclose(full[49], [1.5 / 48, 1.5 / 48])


def test_decode_by_hand() -> None:
    raw = np.zeros((896, 16), np.float32)
    logits = np.full(896, -200.0, np.float32)
    logits[2] = 0.0
    raw[2] = [12.8, 6.4, 64, 32, *([12.8, 0] * 6)]
    found = detector.decode(detector.SHORT_RANGE, raw, logits)
    assert len(found) == 1
    assert found.scores[0] == 0.5
    x, y = 3 / 32, 1 / 32
    np.testing.assert_allclose(found.boxes[0], [x + 0.1, y + 0.05, 0.5, 0.25], rtol=1e-6)
    np.testing.assert_allclose(found.keypoints[0], np.tile([x + 0.1, y], (6, 1)), rtol=1e-6)


def test_sigmoid_does_not_overflow() -> None:
    values = detector.sigmoid(np.array([-1000, 0, 1000], np.float32))
    np.testing.assert_array_equal(values, [0, 0.5, 1])


def detections(*rows: tuple[float, float, float, float]) -> detector.Detections:
    """Rows of score, centre x, centre y, side; level eyes."""
    values = np.array(rows, np.float32)
    keypoints = np.zeros((len(rows), 6, 2), np.float32)
    keypoints[:, 1, 0] = 1
    boxes = values[:, [1, 2, 3, 3]]
    return detector.Detections(values[:, 0], boxes, keypoints)


def test_overlap_by_hand() -> None:
    boxes = detections((1, 1, 1, 2), (1, 2, 1, 2), (1, 1, 1, 1), (1, 9, 9, 1)).boxes
    np.testing.assert_allclose(detector.overlaps(boxes[0], boxes), [1, 1 / 3, 1 / 4, 0])
    np.testing.assert_allclose(detector.overlaps(boxes[0], boxes, inside=True), [1, 0.5, 1, 0])


def test_merge_is_the_weighted_mean_of_a_group() -> None:
    merged = detector.merge(detections((0.6, 12, 10, 10), (0.9, 10, 10, 10), (0.7, 50, 50, 10)))
    np.testing.assert_allclose(merged.scores, [0.9, 0.7])
    np.testing.assert_allclose(merged.boxes[0], [(0.6 * 12 + 0.9 * 10) / 1.5, 10, 10, 10])
    np.testing.assert_allclose(merged.boxes[1], [50, 50, 10, 10])


def test_distinct_keeps_another_way_up() -> None:
    found = detections((0.9, 10, 10, 10), (0.8, 11, 10, 9), (0.7, 11, 10, 10))
    found.keypoints[2, 1] = [-1, 0]
    np.testing.assert_allclose(detector.distinct(found).scores, [0.9, 0.7])


def test_nothing_merges_to_nothing() -> None:
    assert len(detector.merge(detector.join([]))) == 0


@pytest.mark.parametrize(("length", "starts"), [(100, [0]), (192, [0]), (300, [0, 108])])
def test_windows_cover_the_picture(length: int, starts: list[int]) -> None:
    assert detector._starts(length, 192) == starts


def test_contours_are_mirrored_and_complete() -> None:
    assert len(set(landmarks.FACE_OVAL)) == 36
    assert len(set(landmarks.RIGHT_EYE) | set(landmarks.LEFT_EYE)) == 32


# The real networks


@pytest.mark.weights
@pytest.mark.parametrize("name", ["astronaut", *GENERATED])
def test_agrees_with_mediapipe(name: str) -> None:
    face = only(find_faces(picture(name)))
    with np.load(DATA / "landmarks_mediapipe_0.10.21.npz") as golden:
        reference = golden[name]
    # MediaPipe cuts its region half an input pixel and half a photo pixel off: it samples the photo
    # at whole pixel indices but scales the points as if they were continuous.
    step = landmarks.REGION_SCALE * max(landmarks.face_size(face.mesh)) / landmarks.INPUT_SIZE
    reference = reference + np.array([0.5 - 0.5 * step, 0.5 - 0.5 * step, 0])
    apart = deviation(face.mesh, reference)
    assert apart.mean() < 0.01
    assert apart.max() < 0.04
    bias = (face.mesh - reference)[:, :2].mean(axis=0) / eye_distance(reference)
    assert np.abs(bias).max() < 0.005
    depth = np.abs(face.mesh[:, 2] - reference[:, 2]).mean() / eye_distance(reference)
    assert depth < 0.015


@pytest.mark.weights
def test_left_and_right_are_the_subjects() -> None:
    mesh = only(find_faces(picture("generated_face_03"))).mesh
    for right, left in (
        (landmarks.RIGHT_EYE, landmarks.LEFT_EYE),
        (RIGHT_BROW_UPPER, LEFT_BROW_UPPER),
        (RIGHT_BROW_LOWER, LEFT_BROW_LOWER),
        ([landmarks.MOUTH_RIGHT], [landmarks.MOUTH_LEFT]),
    ):
        assert mesh[list(right), 0].max() < mesh[list(left), 0].min()
    heights = [landmarks.FACE_OVAL[0], landmarks.NOSE_TIP, landmarks.MOUTH_LEFT, landmarks.CHIN]
    assert (np.diff(mesh[heights, 1]) > 0).all()
    upper = mesh[list(RIGHT_BROW_UPPER), 1]
    assert (upper < mesh[list(RIGHT_BROW_LOWER), 1]).all()


@pytest.mark.weights
@pytest.mark.parametrize("degrees", [-45, -30, 15, 45, 90, 180])
def test_turned_heads(degrees: float) -> None:
    pixels = astronaut()
    upright = only(find_faces(pixels)).mesh
    turned = Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    mesh = find_faces(np.asarray(turned))[0].mesh[:, :2]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre, middle = np.array(turned.size) / 2, np.array(pixels.shape[1::-1]) / 2
    back = (mesh - centre) @ np.array([[cos, -sin], [sin, cos]]).T + middle
    apart = deviation(back, upright)
    assert apart.mean() < 0.02
    assert apart.max() < 0.06


@pytest.mark.weights
def test_small_face() -> None:
    pixels = astronaut()
    large = only(find_faces(pixels)).mesh
    factor = 66 / landmarks.face_size(large)[0]
    small = only(find_faces(scaled(pixels, factor))).mesh
    assert 62 < landmarks.face_size(small)[0] < 70
    assert deviation(small / factor, large).mean() < 0.02


@pytest.mark.weights
def test_small_face_in_a_large_photo() -> None:
    factor = 70 / landmarks.face_size(only(find_faces(astronaut())).mesh)[0]
    patch = scaled(astronaut()[:230, 110:350], factor)
    canvas = np.full((2000, 3000, 3), (90, 110, 120), np.uint8)
    canvas[1333 : 1333 + patch.shape[0], 2111 : 2111 + patch.shape[1]] = patch
    face = only(find_faces(canvas))
    alone = only(find_faces(np.pad(patch, ((300, 300), (300, 300), (0, 0)), mode="edge")))
    moved = alone.mesh[:, :2] + np.array([2111 - 300, 1333 - 300])
    assert deviation(face.mesh, moved).mean() < 0.02


@pytest.mark.weights
def test_a_face_smaller_than_wanted_is_not_usable() -> None:
    pixels = astronaut()
    assert find_faces(pixels, min_size=150) == []
    assert len(find_faces(scaled(pixels, 0.5), min_size=32)) == 1


@pytest.mark.weights
def test_several_faces_largest_first() -> None:
    one, two, three = (picture(name) for name in GENERATED)
    canvas = np.full((400, 900, 3), 128, np.uint8)
    for pixels, factor, left in ((one, 0.6, 20), (two, 1.0, 260), (three, 0.8, 620)):
        part = scaled(pixels, factor)
        canvas[20 : 20 + len(part), left : left + len(part)] = part
    faces = find_faces(canvas)
    noses = [face.mesh[landmarks.NOSE_TIP, 0] for face in faces]
    assert len(faces) == 3
    assert 260 < noses[0] < 580
    assert 620 < noses[1] < 880
    assert 20 < noses[2] < 220


@pytest.mark.weights
def test_small_faces_beside_a_large_one_may_be_turned() -> None:
    """They are looked for in the upright picture only."""
    large, small = scaled(picture(GENERATED[0]), 1.6), Image.fromarray(astronaut()[:256, 100:356])
    canvas = np.full((600, 1600, 3), (90, 110, 120), np.uint8)
    canvas[20 : 20 + len(large), 20 : 20 + large.shape[1]] = large
    for left, turn in ((800, 0), (1050, 40), (1300, -40)):
        turned = small.rotate(turn, Image.Resampling.BICUBIC, fillcolor=(90, 110, 120))
        canvas[100:356, left : left + 256] = np.asarray(turned)
    faces = find_faces(canvas)
    widths = [landmarks.face_size(face.mesh)[0] for face in faces]
    assert len(faces) == 4
    assert widths[0] > 200 > 110 > widths[1]


@pytest.mark.weights
@pytest.mark.parametrize("model", [detector.SHORT_RANGE, detector.FULL_RANGE])
def test_black_shows_no_face(model: detector.Model) -> None:
    """So what lies beside a turned picture need not be looked at."""
    raw, logits = detector.compiled(model.weights)(
        np.full((1, model.size, model.size, 3), -1, np.float32)
    ).values()
    assert len(detector.decode(model, raw[0], logits[0, :, 0])) == 0
    assert float(logits.max()) < -2  # 0.12, where 0.5 and more would be a face


@pytest.mark.weights
def test_no_face() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    assert find_faces(noise) == []
    assert find_faces(np.full((300, 200, 3), 200, np.uint8)) == []
    assert find_faces(np.zeros((1, 1, 3), np.uint8)) == []


@pytest.mark.weights
@pytest.mark.parametrize("name", ["coffee", "rocket", "chelsea"])
def test_no_face_in_pictures_of_other_things(name: str) -> None:
    skimage_data = pytest.importorskip("skimage.data")
    assert find_faces(getattr(skimage_data, name)()) == []


@pytest.mark.weights
def test_a_mirrored_face_has_a_mirrored_mesh() -> None:
    features = [
        *zip(landmarks.RIGHT_EYE, landmarks.LEFT_EYE, strict=True),
        *zip(RIGHT_BROW_UPPER, LEFT_BROW_UPPER, strict=True),
        (landmarks.MOUTH_RIGHT, landmarks.MOUTH_LEFT),
    ]
    oval = [*zip(landmarks.FACE_OVAL[1:18], landmarks.FACE_OVAL[:18:-1], strict=True)]
    for name in ("astronaut", *GENERATED):
        pixels = picture(name)
        mesh = only(find_faces(pixels)).mesh
        mirrored = only(find_faces(np.ascontiguousarray(pixels[:, ::-1]))).mesh
        mirrored[:, 0] = pixels.shape[1] - mirrored[:, 0]
        # The network itself is not quite symmetric, least so along a turned or hairy outline.
        for pairs, tolerance in ((features, 0.025), (oval, 0.045)):
            right, left = (list(side) for side in zip(*pairs, strict=True))
            apart = np.concatenate([mesh[right] - mirrored[left], mesh[left] - mirrored[right]])
            distances = np.linalg.norm(apart[:, :2], axis=1) / eye_distance(mesh)
            assert distances.mean() < tolerance


@pytest.mark.weights
def test_deterministic() -> None:
    first, second = find_faces(astronaut())[0], find_faces(astronaut())[0]
    np.testing.assert_array_equal(first.mesh, second.mesh)


# Work, whatever the size


@pytest.mark.parametrize(
    "size", [(4032, 3024), (8064, 6048), (11648, 8736), (20000, 64), (20000, 2500), (64, 20000)]
)
def test_any_picture_takes_as_long_as_most(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in looks of the detectors, with a network that sees nothing."""
    looks = []

    def nothing(model: detector.Model, look: np.ndarray) -> Iterator[detector.Detections]:
        looks.extend(
            (top, left)
            for top in detector._starts(look.shape[0], model.size)
            for left in detector._starts(look.shape[1], model.size)
        )
        return iter(())

    monkeypatch.setattr(detector, "_windows", nothing)
    assert find_faces(np.zeros((size[1], size[0], 3), np.uint8)) == []
    assert len(looks) < 2500


def test_the_search_lets_others_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    no_face = lambda window: {0: np.zeros((1, 2304, 16)), 1: np.full((1, 2304, 1), -9.0)}  # noqa: E731
    monkeypatch.setattr(detector, "compiled", lambda name, at_once=1: no_face)
    monkeypatch.setattr(detector, "decode", lambda model, raw, logits: detector.join([]))
    rests: list[int] = []
    with giving_way(lambda: rests.append(1)):
        find_faces(np.ones((600, 600, 3), np.uint8))
    seen = len(rests)
    assert seen > 50
    find_faces(np.ones((600, 600, 3), np.uint8))
    assert len(rests) == seen


@pytest.mark.weights
def test_a_face_in_a_picture_that_is_scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mesh is fitted to the photo's own pixels, here at its lower edge."""
    part = scaled(astronaut()[:230, 110:350], 2)
    photo = np.full((800, 900, 3), (90, 110, 120), np.uint8)
    top, left = 800 - len(part), 300
    photo[top:, left : left + part.shape[1]] = part
    whole = only(find_faces(photo))
    monkeypatch.setattr(detector, "SEARCHED", 600)
    assert detector.reduction(900, 800) == 3
    assert deviation(only(find_faces(photo)).mesh, whole.mesh).mean() < 0.03


# Faces that fill the picture


@pytest.mark.weights
@pytest.mark.parametrize(
    ("grown", "cut"), [(0.0, ""), (0.2, ""), (0.05, "forehead"), (0.05, "chin")]
)
def test_a_face_that_fills_the_picture(grown: float, cut: str) -> None:
    """A laboratory's crops: the mesh's box, grown, perhaps without the forehead or the chin."""
    for name in GENERATED[:1]:
        pixels = picture(name)
        mesh = only(find_faces(pixels)).mesh
        low, high = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
        side = high - low
        low, high = low - grown * side, high + grown * side
        low[1] += 0.12 * side[1] * (cut == "forehead")
        high[1] -= 0.1 * side[1] * (cut == "chin")
        left, top = np.maximum(0, np.rint(low)).astype(int)
        right, bottom = np.rint(high).astype(int)
        found = only(find_faces(pixels[top:bottom, left:right]))
        assert deviation(found.mesh, mesh[:, :2] - np.array([left, top])).mean() < 0.06
