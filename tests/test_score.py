"""Action Unit scores: the arithmetic by hand, the invariances, the answer to each deformation.

No test needs the scale that comes with the package: a symmetric face is made from a picture of a
generated one, and its own measures are the neutral level.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from PIL import Image
from safetensors.numpy import load_file, save_file

from duchenne import facs
from duchenne.errors import InputError, WeightsError
from duchenne.files import codes
from duchenne.fit import responses
from duchenne.measuring import patches, score
from duchenne.measuring.measures import (
    BLENDSHAPE_POINTS,
    BLENDSHAPES,
    GEOMETRY,
    MEASURES,
    POINTS,
    RIGID,
    SHAPES,
    frontalise,
    geometry_matrix,
    mirror_points,
    shape_matrix,
)
from duchenne.measuring.score import Scale, Scorer
from duchenne.weights import store

FRONTAL = Path(__file__).parent / "data" / "generated_face_21.jpg"


def random_mesh(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((POINTS, 3))


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """[3, 3] from degrees; points are rows: p @ rotation.T."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = [[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]]
    about_x = [[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]]
    about_z = [[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]]
    return np.array(about_z) @ about_x @ about_y


# Tables


def test_every_unit_has_evidence_and_every_measure_exists() -> None:
    for unit in facs.ACTION_UNITS:
        assert unit.evidence, unit.code
        assert set(unit.evidence) <= set(MEASURES)
        assert all(weight and abs(weight) <= 1 for weight in unit.evidence.values())
    assert len(set(MEASURES)) == len(MEASURES) == len(SHAPES) + len(GEOMETRY) + len(patches.FURROWS)


def test_the_blendshape_networks_tables() -> None:
    """146 points in, 52 coefficients out (MediaPipe's model card)."""
    assert len(BLENDSHAPE_POINTS) == len(set(BLENDSHAPE_POINTS)) == 146
    assert max(BLENDSHAPE_POINTS) == POINTS - 1
    assert len(BLENDSHAPES) == len(set(BLENDSHAPES)) == 52
    lefts = {name for name in BLENDSHAPES if name.endswith("Left")} - {"jawLeft", "mouthLeft"}
    assert {name.removesuffix("Left") + "Right" for name in lefts} <= set(BLENDSHAPES)


def test_the_rigid_points_are_two_dimensional_enough_for_a_pose() -> None:
    mesh = tiny.golden_face("generated_face_21").mesh[list(RIGID)]
    spread = np.linalg.svd(mesh - mesh.mean(axis=0), compute_uv=False)
    assert spread[2] > 0.1 * spread[0]
    assert len(set(RIGID)) == len(RIGID)


# Arithmetic by hand


def test_geometry_by_hand() -> None:
    matrix = geometry_matrix()
    assert matrix.shape == (len(GEOMETRY), POINTS, 3)
    mesh = random_mesh()
    found = dict(zip(GEOMETRY, np.tensordot(matrix, mesh, axes=2), strict=True))
    assert found["lip_gap"] == pytest.approx(mesh[14, 1] - mesh[13, 1])
    assert found["mouth_width"] == pytest.approx(mesh[291, 0] - mesh[61, 0])
    assert found["lip_corner"] == pytest.approx(-(mesh[61, 1] + mesh[291, 1]) / 2)
    gap = (mesh[285, 0] + mesh[336, 0] - mesh[55, 0] - mesh[107, 0]) / 2
    assert found["brow_gap"] == pytest.approx(gap)
    assert found["chin"] == pytest.approx(mesh[[152, 148, 377], 1].mean())


def test_distances_do_not_change_with_place_and_places_do() -> None:
    sums = geometry_matrix().sum(axis=1)  # [G, 3], the answer to a shift of 1
    both = {name for name, (_, plus, minus) in GEOMETRY.items() if plus and minus}
    assert both == {
        *("brow_gap", "eye_opening", "mouth_width", "lip_gap", "upper_red", "lower_red"),
        *("gaze", "gaze_side"),
    }
    for name, answer in zip(GEOMETRY, sums, strict=True):
        assert np.abs(answer).sum() == pytest.approx(0 if name in both else 1, abs=1e-12)


def test_shapes_by_hand() -> None:
    matrix = shape_matrix()
    assert matrix.shape == (len(SHAPES), 52)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    row = matrix[SHAPES.index("mouthSmile")]
    used = {BLENDSHAPES[i]: row[i] for i in np.flatnonzero(row)}
    assert used == {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5}
    assert matrix[SHAPES.index("jawOpen"), BLENDSHAPES.index("jawOpen")] == 1
    # `mouthClose` must not be taken for another name's beginning.
    assert np.count_nonzero(matrix[SHAPES.index("mouthClose")]) == 1


@pytest.fixture
def flat() -> Scale:
    """Neutral at 1, rises of 2, falls of 4: round numbers for sums by hand."""
    ones = np.ones(len(MEASURES))
    return Scale(random_mesh(), np.arange(POINTS), ones, 2 * ones, 4 * ones)


def test_neutral_scores_nothing_and_full_evidence_scores_five(flat: Scale) -> None:
    assert not flat.scores(flat.neutral).any()
    for i, unit in enumerate(facs.ACTION_UNITS):
        measures = flat.neutral.copy()
        for name, weight in unit.evidence.items():
            measures[MEASURES.index(name)] += 2 if weight > 0 else -4
        assert flat.scores(measures)[i] == pytest.approx(5)
        halfway = (measures + flat.neutral) / 2
        assert flat.scores(halfway)[i] == pytest.approx(2.5)


def test_a_score_by_hand(flat: Scale) -> None:
    """AU15 = 5 (mouthFrown / 2 - lip_corner / 4) / 2."""
    measures = flat.neutral.copy()
    measures[MEASURES.index("mouthFrown")] += 0.5
    measures[MEASURES.index("lip_corner")] -= 1.0
    assert flat.scores(measures)[facs.INDEX["AU15"]] == pytest.approx(5 * (0.25 + 0.25) / 2)


def test_no_measure_outshouts_the_others(flat: Scale) -> None:
    measures = flat.neutral.copy()
    measures[MEASURES.index("mouthFrown")] += 1000.0
    assert flat.scores(measures)[facs.INDEX["AU15"]] == pytest.approx(5 * score.LIMIT / 2)


def test_what_a_full_unit_shows_is_a_five(flat: Scale) -> None:
    """A unit whose measures go half of their way when it is fully there."""
    full = np.ones(len(facs.CODES))
    full[facs.INDEX["AU15"]] = 0.5
    measures = flat.neutral.copy()
    measures[MEASURES.index("mouthFrown")] += 1.0
    measures[MEASURES.index("lip_corner")] -= 2.0
    scale = dataclasses.replace(flat, full=full)
    assert scale.scores(measures)[facs.INDEX["AU15"]] == pytest.approx(5)


# Pose


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (20, 0, 0), (0, -20, 0), (0, 0, 20), (-20, 20, -20), (15, 10, 45)]
)
@pytest.mark.parametrize("scale", [1.0, 250.0])
def test_turning_scaling_and_shifting_a_rigid_mesh_is_undone(
    angles: tuple[float, float, float], scale: float
) -> None:
    mesh = random_mesh()
    moved = scale * mesh @ rotation(*angles).T + [300, -40, 7]
    np.testing.assert_allclose(frontalise(moved, mesh), mesh, atol=1e-10)


def test_what_moves_on_the_face_stays_moved() -> None:
    """A smile on a turned head frontalises to the same smile."""
    mesh, template = random_mesh(), random_mesh(1)
    smiling = mesh.copy()
    smiling[[61, 291]] += [0.3, -0.2, 0.1]
    straight = frontalise(smiling, template)
    turned = frontalise(90 * smiling @ rotation(-20, 12, 8).T + 5, template)
    np.testing.assert_allclose(turned, straight, atol=1e-9)


def test_a_mirrored_mesh_is_turned_and_not_reflected() -> None:
    """The fit is a rotation: a left-handed copy does not come back."""
    mesh = random_mesh()
    assert np.abs(frontalise(mesh * [-1, 1, 1], mesh) - mesh).max() > 0.5


def test_mirroring_twice_is_nothing() -> None:
    mirror = np.arange(POINTS)
    mirror[[33, 263]] = mirror[[263, 33]]
    mesh = random_mesh()
    once = mirror_points(mesh, mirror)
    np.testing.assert_array_equal(once[33], mesh[263] * [-1, 1, 1])
    np.testing.assert_array_equal(mirror_points(once, mirror), mesh)


# The file


def test_a_scale_comes_back(flat: Scale, tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    score.save_scale(flat, path, {"faces": 3})
    read = score.load_scale(path)
    for field in dataclasses.fields(Scale):
        np.testing.assert_allclose(getattr(read, field.name), getattr(flat, field.name), rtol=1e-6)
    assert np.issubdtype(read.mirror.dtype, np.integer)
    assert read.template.dtype == np.float64


def rewritten(
    scale: Scale, folder: Path, *, measures: str = ",".join(MEASURES), without: str = ""
) -> Path:
    """A scale's file with another list of measures, or without one tensor."""
    score.save_scale(scale, folder / "whole.safetensors", {})
    tensors = {n: t for n, t in load_file(folder / "whole.safetensors").items() if n != without}
    header = {"format": score.SCALE_FORMAT, "measures": measures, "provenance": {}}
    save_file(tensors, folder / "s.safetensors", {codes.HEADER: json.dumps(header)})
    return folder / "s.safetensors"


def test_a_scale_for_other_measures_is_refused(flat: Scale, tmp_path: Path) -> None:
    path = rewritten(flat, tmp_path, measures="smile,frown")
    with pytest.raises(InputError, match=r"s\.safetensors.*other measures.*make it anew"):
        score.load_scale(path)


@pytest.mark.parametrize("missing", ["template", "mirror", "neutral", "rise", "fall"])
def test_a_scale_without_one_of_its_parts_is_refused(
    flat: Scale, tmp_path: Path, missing: str
) -> None:
    path = rewritten(flat, tmp_path, without=missing)
    with pytest.raises(InputError, match=r"s\.safetensors"):
        score.load_scale(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.safetensors").write_text("0, 1, 2")
    for name in ("s.safetensors", "none.safetensors"):
        with pytest.raises(InputError, match="expected a score scale"):
            score.load_scale(tmp_path / name)


def test_the_built_in_scale() -> None:
    scale = score.built_in_scale()
    assert scale.template.shape == (POINTS, 3)
    assert (scale.mirror[scale.mirror] == np.arange(POINTS)).all()
    assert scale.neutral.shape == scale.rise.shape == scale.fall.shape == (len(MEASURES),)
    assert (scale.rise > 0).all()
    assert (scale.fall > 0).all()
    mirrored = mirror_points(scale.template, scale.mirror)
    np.testing.assert_allclose(mirrored, scale.template, atol=1e-6)
    assert np.linalg.norm(scale.template[263] - scale.template[33]) == pytest.approx(1, abs=0.02)


# With the face networks


@pytest.fixture(scope="module")
def networks() -> None:
    try:
        store.locate("face-landmarker-task")
    except WeightsError as error:
        pytest.skip(f"face_landmarker.task is not here: {error}")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    with Image.open(FRONTAL) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def symmetric(networks: None, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(template [478, 3], mirror [478]) of a frontal face with a neutral expression."""
    ones = np.ones(len(MEASURES))
    scorer = Scorer(Scale(np.eye(POINTS, 3), np.arange(POINTS), ones, ones, ones))
    points = scorer.points(picture, tiny.golden_face("generated_face_21").mesh)
    network = SimpleNamespace(w_mean=np.zeros(512), rows=1)
    network.w_mean = SimpleNamespace(expand=lambda *shape: None)
    return responses.mean_template(network, lambda _: SimpleNamespace(points=lambda w: points))


@pytest.fixture(scope="module")
def scorer(symmetric: tuple[np.ndarray, np.ndarray]) -> Scorer:
    """Neutral is the template; full scale is a generous step of each measure."""
    template, mirror = symmetric
    ones = np.ones(len(MEASURES))
    neutral = Scorer(Scale(template, mirror, 0 * ones, ones, ones)).measure_points(template)
    step = np.repeat([0.4, 0.08, 0.4], [len(SHAPES), len(GEOMETRY), len(patches.FURROWS)])
    return Scorer(Scale(template, mirror, neutral, step, step))


@pytest.mark.weights
def test_the_template_is_symmetric(symmetric: tuple[np.ndarray, np.ndarray]) -> None:
    template, mirror = symmetric
    np.testing.assert_allclose(mirror_points(template, mirror), template, atol=1e-12)
    across = template[263] - template[33]
    assert across[0] == pytest.approx(1, abs=0.01)
    assert (mirror[mirror] == np.arange(POINTS)).all()
    assert (mirror[[33, 133, 61, 468, 159]] == [263, 362, 291, 473, 386]).all()
    assert (mirror[[4, 13, 14, 152, 168]] == [4, 13, 14, 152, 168]).all()


@pytest.mark.weights
def test_the_points_lie_where_mediapipes_mesh_does(scorer: Scorer, picture: np.ndarray) -> None:
    mesh = tiny.golden_face("generated_face_21").mesh
    points = scorer.points(picture, mesh)
    eyes = np.linalg.norm(mesh[263, :2] - mesh[33, :2])
    assert np.linalg.norm(points[:468, :2] - mesh[:, :2], axis=1).mean() < 0.02 * eyes
    for iris, inner, outer in ((468, 133, 33), (473, 362, 263)):
        low, high = sorted((mesh[inner, 0], mesh[outer, 0]))
        assert low < points[iris, 0] < high


@pytest.mark.weights
def test_a_picture_is_measured_alike_wherever_its_face_is_looked_for(
    scorer: Scorer, picture: np.ndarray
) -> None:
    mesh = tiny.golden_face("generated_face_21").mesh
    scores = scorer.scores(picture, mesh)
    assert scores.shape == (len(facs.CODES),)
    assert ((scores >= 0) & (scores <= 5)).all()
    grown = (mesh - mesh.mean(axis=0)) * 1.04 + mesh.mean(axis=0) + [2, -2, 0]
    near = scorer.scores(picture, grown.astype(np.float32))
    assert np.abs(near - scores).max() < 0.6


@pytest.mark.weights
@pytest.mark.parametrize("angles", [(20, 0, 0), (-20, 0, 0), (0, 20, 0), (0, -20, 0), (0, 0, 20)])
def test_turning_the_head_does_not_turn_the_measures(
    scorer: Scorer, symmetric: tuple[np.ndarray, np.ndarray], angles: tuple[float, float, float]
) -> None:
    face = expressive(symmetric)
    turned = 180 * face @ rotation(*angles).T + [300, 200, 10]
    np.testing.assert_allclose(
        scorer.measure_points(turned), scorer.measure_points(face), atol=2e-3
    )


@pytest.mark.weights
def test_left_and_right_count_the_same(
    scorer: Scorer, symmetric: tuple[np.ndarray, np.ndarray]
) -> None:
    face = expressive(symmetric)
    mirrored = mirror_points(face, symmetric[1])
    assert np.abs(mirrored - face).max() > 0.03
    np.testing.assert_allclose(
        scorer.measure_points(mirrored), scorer.measure_points(face), atol=1e-5
    )


# Deformations of the symmetric face, in units of the distance between the outer eye corners. Each
# is a sum of pushes (point on the subject's right or the midline, direction, reach); the push of a
# side point is mirrored. Directions after FACS (Ekman, Friesen & Hager 2002): down is +y, the
# subject's left is +x, so that (-1, -1) is outwards and up on the right.
Push = tuple[int, tuple[float, float], float]
ACTIONS: dict[str, tuple[Push, ...]] = {
    "AU1": ((107, (0, -1), 0.12), (55, (0, -1), 0.10)),
    "AU2": ((70, (0, -1), 0.12), (63, (0, -0.8), 0.10)),
    "AU4": ((55, (0.5, 0.8), 0.12), (107, (0.5, 0.8), 0.12), (52, (0.1, 0.8), 0.12)),
    "AU5": ((159, (0, -0.5), 0.07),),
    "AU6": ((145, (0, -0.4), 0.06), (50, (0, -0.8), 0.15), (118, (0, -0.8), 0.10)),
    "AU7": ((145, (0, -1), 0.06), (159, (0, 0.4), 0.06)),
    "AU9": ((129, (0, -0.8), 0.10), (98, (0, -0.6), 0.08), (37, (0, -0.5), 0.10),
            (55, (0.1, 0.4), 0.10)),
    "AU10": ((0, (0, -1), 0.08), (37, (0, -1), 0.06), (129, (0, -0.3), 0.08)),
    "AU12": ((61, (-0.8, -0.8), 0.13), (50, (0, -0.3), 0.15)),
    "AU14": ((146, (0, -1), 0.08), (61, (0.6, 0), 0.06)),
    "AU15": ((61, (0, 1), 0.10),),
    "AU16": ((17, (0, 1), 0.10), (14, (0, 0.8), 0.06), (84, (0, 1), 0.08)),
    "AU17": ((17, (0, -1), 0.15), (84, (0, -1), 0.12), (152, (0, -0.5), 0.12)),
    "AU18": ((61, (1, 0), 0.13),),
    "AU20": ((61, (-1, 0), 0.13),),
    "AU22": ((61, (0.8, 0), 0.12), (0, (0, -0.8), 0.05), (17, (0, 0.8), 0.05)),
    "AU23": ((0, (0, 0.6), 0.03), (37, (0, 0.6), 0.03), (17, (0, -0.6), 0.03),
             (84, (0, -0.6), 0.03), (61, (0.5, 0), 0.08)),
    "AU24": ((0, (0, 0.6), 0.03), (37, (0, 0.6), 0.03), (17, (0, -0.6), 0.03),
             (84, (0, -0.6), 0.03)),
    "AU25": ((14, (0, 0.7), 0.06), (13, (0, -0.5), 0.05)),
    "AU26": ((152, (0, 1.5), 0.30), (17, (0, 0.8), 0.12), (14, (0, 0.6), 0.08)),
    "AU27": ((152, (0, 2), 0.30), (17, (0, 1), 0.12), (14, (0, 1), 0.08), (61, (0.3, 0), 0.1)),
    "AU28": ((0, (0, 0.9), 0.04), (37, (0, 0.9), 0.04), (17, (0, -0.9), 0.04),
             (84, (0, -0.9), 0.04)),
    "AU43": ((159, (0, 1), 0.07), (158, (0, 0.6), 0.05), (160, (0, 0.6), 0.05)),
}  # fmt: skip


def deformed(template: np.ndarray, mirror: np.ndarray, code: str, amount: float) -> np.ndarray:
    """The template with the action's pushes, each falling off smoothly around its point."""
    points = template.copy()
    for point, direction, reach in ACTIONS[code]:
        sides = [(point, 1.0)] if mirror[point] == point else [(point, 1), (mirror[point], -1)]
        for centre, sign in sides:
            away = np.linalg.norm(template[:, :2] - template[centre, :2], axis=1)
            strength = amount * np.exp(-0.5 * (away / reach) ** 2)
            points[:, 0] += strength * direction[0] * sign
            points[:, 1] += strength * direction[1]
    return points


def expressive(symmetric: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """A lopsided smile with raised brows."""
    template, mirror = symmetric
    face = deformed(template, mirror, "AU1", 0.04) + deformed(template, mirror, "AU12", 0.04)
    face -= template
    face[61] += [-0.05, -0.04, 0]
    return face


GAZE = {"AU61": (1, 0), "AU62": (-1, 0), "AU63": (0, -1), "AU64": (0, 1)}


@pytest.mark.weights
@pytest.mark.parametrize("code", GAZE)
def test_gaze_scores_where_the_irises_are(
    scorer: Scorer, symmetric: tuple[np.ndarray, np.ndarray], code: str
) -> None:
    own = []
    for amount in (0, 0.01, 0.02, 0.03):
        points = symmetric[0].copy()
        points[468:, :2] += amount * np.array(GAZE[code])
        scores = scorer.scale.scores(scorer.measure_points(points))
        own.append(scores[facs.INDEX[code]])
        mirrored = scorer.measure_points(mirror_points(points, symmetric[1]))
        side = MEASURES.index("gaze_side")
        assert mirrored[side] == pytest.approx(-scorer.measure_points(points)[side], abs=1e-9)
    assert (np.diff(own) > 0).all(), own
    assert own[-1] - own[0] > 1


@pytest.mark.weights
@pytest.mark.parametrize("code", [code for code in facs.CODES if code not in GAZE])
def test_a_score_grows_with_its_own_deformation(
    scorer: Scorer, symmetric: tuple[np.ndarray, np.ndarray], code: str
) -> None:
    amounts = np.linspace(0, 0.08, 9)
    scores = np.array(
        [scorer.scale.scores(scorer.measure_points(deformed(*symmetric, code, a))) for a in amounts]
    )
    own = scores[:, facs.INDEX[code]]
    assert own[0] == pytest.approx(0, abs=1e-6)
    assert (np.diff(own)[own[:-1] < facs.FULL] > 0).all(), own
    assert (np.diff(own) >= 0).all(), own
    assert own[-1] > 0.5
