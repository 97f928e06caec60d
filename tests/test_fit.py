"""Fitting: slopes against finite differences, responses that resume, normals with known answers."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch

from duchenne import facs
from duchenne.editing.layout import editable_rows
from duchenne.editing.regional import RegionalView
from duchenne.errors import InputError
from duchenne.faces import landmarks, regions
from duchenne.fit import boundaries, calibrate, probe, recipe, responses
from duchenne.fit.boundaries import FitSettings, Normals, fit_normals, whitening
from duchenne.fit.probe import NAMES, Probe, Response
from duchenne.fit.responses import Responses, collect, identity, load
from duchenne.generators.base import PlainView, draw_z
from duchenne.measuring import measures, patches, score
from duchenne.measuring.score import Scale

GENERATOR = tiny.GENERATOR
ROWS = editable_rows(GENERATOR)
ZONES = len(regions.ZONES)


def random_points(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((measures.POINTS, 3))


# The probe


def test_the_differentiable_frontalisation_is_the_scores() -> None:
    template, mesh = random_points(0), 40 * random_points(1) + 7
    found = probe._frontalise(torch.from_numpy(mesh), torch.from_numpy(template))
    np.testing.assert_allclose(found.numpy(), measures.frontalise(mesh, template), atol=1e-9)


def test_the_differentiable_frontalisation_has_the_right_slope() -> None:
    template = torch.from_numpy(random_points(0))
    mesh = torch.from_numpy(random_points(1)).requires_grad_()
    matrix = torch.from_numpy(random_points(2))
    slope = torch.autograd.grad((probe._frontalise(mesh, template) * matrix).sum(), mesh)[0]
    step = 1e-5 * torch.from_numpy(random_points(3))
    with torch.no_grad():
        up, down = ((probe._frontalise(mesh + s * step, template) * matrix).sum() for s in (1, -1))
    assert float((up - down) / 2) == pytest.approx(float((slope * step).sum()), rel=1e-5)


def test_shades_count_from_the_faces_own_tone() -> None:
    """How bright a whole face is does not count; how much one place differs does."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((20, len(NAMES)))
    lights = [i for i, name in enumerate(NAMES) if name.startswith("light_")]
    plain = boundaries.spread(values)
    np.testing.assert_allclose(plain[: lights[0]], values[:, : lights[0]].std(axis=0))
    values[:, lights] += 10 * rng.standard_normal((20, 1))
    np.testing.assert_allclose(boundaries.spread(values), plain)


def test_fitting_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(InputError, match=r"duchenne\[fit\]"):
        boundaries.scikit_learn("svm")


@pytest.fixture
def tiny_probe(landmarker_task: Path) -> Probe:
    """The real face networks behind the tiny generator: their answer to noise has slopes too."""
    return Probe(GENERATOR, score.built_in_scale().template)


def mesh_in_the_picture(side: int) -> np.ndarray:
    """A golden mesh, as if the picture showed its face."""
    mesh = tiny.golden_face("generated_face_21").mesh
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    return ((mesh - (low + high) / 2) / (high - low).max() * side * 0.7 + side / 2).astype(
        np.float32
    )


@pytest.mark.weights
def test_slopes_agree_with_finite_differences(
    tiny_probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = mesh_in_the_picture(tiny_probe.size)
    monkeypatch.setattr(landmarks, "mesh_of_aligned", lambda picture: mesh)
    w = draw_z(3, GENERATOR.rows)
    response = tiny_probe.response(w)
    assert response is not None
    assert response.values.shape == (len(NAMES),)
    assert response.slopes.shape == (len(NAMES), ZONES, len(ROWS), 512)
    assert np.isfinite(response.slopes).all()

    masks = regions.find(mesh, tiny_probe.size).masks
    whole = masks.reshape(ZONES, 2, *masks.shape[1:]).sum(axis=1)

    def values(offsets: torch.Tensor) -> np.ndarray:
        view = RegionalView(w[None], offsets, ROWS, probe._pyramid(whole), {}, {}, {}, probe._WHOLE)
        with torch.no_grad():
            picture = tiny_probe._readout.picture(view)
            return tiny_probe._measures(picture, score.look_at(mesh)).double().numpy()

    np.testing.assert_allclose(
        values(torch.zeros(ZONES, GENERATOR.rows, 512)), response.values, atol=1e-4
    )
    for name in (
        "lip_gap",
        "inner_brow",
        "mouth_width",
        "mouthSmile",
        "light_cheek",
        "nose_furrow",
    ):
        measure = NAMES.index(name)
        slope = torch.from_numpy(response.slopes[measure])
        steepness = float(slope.norm())
        assert steepness > 0
        step = torch.zeros(ZONES, GENERATOR.rows, 512)
        step[:, ROWS.start : ROWS.stop] = slope / steepness * 0.001  # the networks have kinks
        rise = (values(step) - values(-step))[measure] / 2
        kinked = name in patches.FURROWS  # means of absolute values, here of noise
        assert rise == pytest.approx(0.001 * steepness, rel=0.2 if kinked else 0.03), name


@pytest.mark.weights
def test_the_probes_picture_is_the_generators(tiny_probe: Probe) -> None:
    """The read-out is the least-squares picture: no worse than the mean colour."""
    w = draw_z(4, GENERATOR.rows)[None]
    with torch.no_grad():
        found = tiny_probe._readout.picture(PlainView(w))
        size = tiny_probe.size
        picture = torch.nn.functional.adaptive_avg_pool2d(GENERATOR.synthesize(w), size)
    assert found.shape == picture.shape == (1, 3, size, size)
    spread = (picture - picture.mean(dim=(2, 3), keepdim=True)).square().mean()
    assert (found - picture).square().mean() < spread


@pytest.mark.weights
def test_where_there_is_no_face_there_is_no_response(
    tiny_probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landmarks, "mesh_of_aligned", lambda picture: None)
    assert tiny_probe.response(draw_z(3, GENERATOR.rows)) is None


# The responses


class CountingProbe:
    """Answers from the code alone, and remembers which codes it was asked about."""

    def __init__(self, faceless: tuple[int, ...] = ()) -> None:
        self.asked: list[bytes] = []
        self.faceless = {identity(GENERATOR, number).tobytes() for number in faceless}

    def response(self, w: torch.Tensor) -> Response | None:
        assert w.shape == (GENERATOR.rows, 512)
        assert torch.equal(w, w[:1].expand_as(w))
        self.asked.append(w[0].numpy().tobytes())
        if self.asked[-1] in self.faceless:
            return None
        first = float(w[0, 0])
        slopes = np.full((len(NAMES), ZONES, len(ROWS), 512), first, np.float32)
        return Response(np.full(len(NAMES), first), slopes, 1.0)


def test_identities_are_seeded_and_their_own() -> None:
    codes = np.stack([identity(GENERATOR, number) for number in range(4)])
    assert codes.shape == (4, 512)
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(codes[2], identity(GENERATOR, 2))
    assert len({code.tobytes() for code in codes}) == 4
    by_hand = GENERATOR.mapping(draw_z(responses.FIRST_SEED + 2))[0].numpy()
    ratio = codes[2] / by_hand  # w_mean is 0
    assert ratio.std() < 1e-4
    low, high = responses.TRUNCATIONS
    assert low < ratio.mean() < high


def test_what_is_collected_is_loaded(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    collect(GENERATOR, CountingProbe(), 3, tmp_path / "new", progress=lambda *d: done.append(d))
    assert done == [(1, 3), (2, 3), (3, 3)]
    found = load(GENERATOR, 3, tmp_path / "new")
    assert found.w.shape == (3, 512)
    assert found.values.shape == (3, len(NAMES))
    assert found.slopes.shape == (3, len(NAMES), ZONES, len(ROWS), 512)
    for number in range(3):
        np.testing.assert_array_equal(found.w[number], identity(GENERATOR, number))
        assert (found.values[number] == float(found.w[number, 0])).all()


def test_collecting_resumes_where_it_was(tmp_path: Path) -> None:
    collect(GENERATOR, CountingProbe(), 2, tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = CountingProbe()
    collect(GENERATOR, again, 4, tmp_path)
    assert again.asked == [identity(GENERATOR, number).tobytes() for number in (2, 3)]
    for name, time in before.items():
        assert (tmp_path / name).stat().st_mtime_ns == time


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_a_damaged_response_is_computed_again(tmp_path: Path, content: bytes | None) -> None:
    collect(GENERATOR, CountingProbe(), 3, tmp_path)
    whole = {path: path.read_bytes() for path in sorted(tmp_path.iterdir())}
    damaged = list(whole)[1]
    damaged.write_bytes(whole[damaged][:-9] if content is None else content)
    again = CountingProbe()
    collect(GENERATOR, again, 3, tmp_path)
    assert again.asked == [identity(GENERATOR, 1).tobytes()]
    assert {path: path.read_bytes() for path in sorted(tmp_path.iterdir())} == whole


def test_another_generators_responses_are_not_taken(tmp_path: Path) -> None:
    collect(tiny.TinyGenerator(seed=9), CountingProbe(), 2, tmp_path)
    with pytest.raises(InputError, match="collect"):
        load(GENERATOR, 2, tmp_path)
    again = CountingProbe()
    collect(GENERATOR, again, 2, tmp_path)
    assert len(again.asked) == 2


def test_responses_of_an_older_version_are_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had fewer measures; what it kept does not fit those of today."""
    with monkeypatch.context() as older:
        older.setattr("duchenne.fit.responses.NAMES", NAMES[:-1])
        collect(GENERATOR, CountingProbe(), 2, tmp_path)
    again = CountingProbe()
    collect(GENERATOR, again, 2, tmp_path)
    assert len(again.asked) == 2
    assert load(GENERATOR, 2, tmp_path).values.shape == (2, len(NAMES))


def test_processes_divide_the_work(tmp_path: Path) -> None:
    workers = [CountingProbe(), CountingProbe()]
    for k, worker in enumerate(workers):
        collect(GENERATOR, worker, 5, tmp_path, share=(k, 2))
    assert [len(worker.asked) for worker in workers] == [3, 2]
    assert len(load(GENERATOR, 5, tmp_path).w) == 5


def test_pictures_without_a_face_are_left_out(tmp_path: Path) -> None:
    collect(GENERATOR, CountingProbe(faceless=(1,)), 4, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    found = load(GENERATOR, 4, tmp_path)
    assert found.w.tobytes() == b"".join(identity(GENERATOR, n).tobytes() for n in (0, 2, 3))


def test_too_few_responses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the responses of 5 faces; collect them first"):
        load(GENERATOR, 5, tmp_path)
    collect(GENERATOR, CountingProbe(), 1, tmp_path)
    with pytest.raises(InputError, match="collect them first"):
        load(GENERATOR, 1, tmp_path)


# The normals

SETTINGS = FitSettings(components=6)
FACES, DIMENSIONS = 25, 6 * len(ROWS)


def test_tied_measures_exist_and_are_no_evidence() -> None:
    for unit in facs.ACTION_UNITS:
        assert set(unit.tied) <= set(NAMES) - set(unit.evidence), unit.code


def test_wishes_by_hand() -> None:
    unit = facs.UNITS["AU15"]
    wanted, kept = boundaries.wishes(unit)
    assert {NAMES[i]: wanted[i] for i in np.flatnonzero(wanted)} == unit.evidence
    assert not kept[[NAMES.index(name) for name in (*unit.tied, *unit.evidence)]].any()
    assert kept[NAMES.index("light_chin")]
    assert kept[NAMES.index("browInnerUp")]
    assert kept.sum() == len(NAMES) - len(unit.tied) - len(unit.evidence)


def test_whitening_makes_w_white() -> None:
    basis = whitening(GENERATOR, 40).astype(np.float64)
    assert basis.shape == (40, 512)
    deviations = np.linalg.norm(basis, axis=1)
    assert (np.diff(deviations) <= 1e-6).all()  # largest first
    gram = basis @ basis.T
    np.testing.assert_allclose(gram, np.diag(deviations**2), atol=1e-4 * deviations.max() ** 2)
    w = GENERATOR.mapping(draw_z(5, 20_000)).double().numpy()
    white = (w - w.mean(axis=0)) @ basis.T / deviations**2
    np.testing.assert_allclose(np.cov(white.T), np.eye(40), atol=0.25)


def test_a_pair_by_hand() -> None:
    """Without a ridge the shortest change that gives exactly what is wanted."""
    slopes = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    np.testing.assert_allclose(
        boundaries._pair(slopes, np.array([1.0, 1.0]), 0.0), [0.5, 0.5, 0.5], atol=1e-12
    )
    weaker = boundaries._pair(slopes, np.array([1.0, 1.0]), 0.5)
    assert (np.abs(weaker) < 0.5).all()


def test_projection_by_hand() -> None:
    """One unrelated slope along e2, of length 2: C = diag(0, 4, 0), mu = 10 purity / 4."""
    unrelated = np.zeros((7, 1, 3))
    unrelated[:, 0, 1] = 2 * np.array([1, -1, 1, 1, -1, 1, 1])
    normal = np.array([1.0, 1.0, 1.0])
    np.testing.assert_allclose(boundaries._project(normal, unrelated, 0.3), [1, 1 / 4, 1])
    assert boundaries._project(normal, unrelated, 0.0) is normal
    np.testing.assert_allclose(boundaries._project(normal, unrelated, 1e9), [1, 0, 1], atol=1e-8)


def responses_of(white: np.ndarray) -> Responses:
    """Responses whose slopes, in white coordinates, are `white` [F, S, Z, D]."""
    basis = whitening(GENERATOR, SETTINGS.components).astype(np.float64)
    deviations = np.square(basis).sum(axis=1, keepdims=True)
    back = basis / deviations  # back @ basis.T is the unit matrix
    slopes = white.reshape(*white.shape[:3], len(ROWS), -1) @ back
    values = np.random.default_rng(8).standard_normal(white.shape[:2])
    values /= values.std(axis=0)
    w = np.stack([identity(GENERATOR, number) for number in range(len(white))])
    return Responses(w, values, slopes.astype(np.float32))


def random_slopes() -> np.ndarray:
    """[F, S, Z, D]: a direction for every measure, and noise from face to face."""
    rng = np.random.default_rng(4)
    common = rng.standard_normal((1, len(NAMES), ZONES, DIMENSIONS))
    return common + 0.2 * rng.standard_normal((FACES, len(NAMES), ZONES, DIMENSIONS))


@pytest.fixture(scope="module")
def fitted() -> Normals:
    return fit_normals(GENERATOR, responses_of(random_slopes()), SETTINGS)


def test_normals_have_unit_length_and_live_in_the_editable_rows(fitted: Normals) -> None:
    assert fitted.normals.shape == (len(facs.CODES), GENERATOR.rows, 512)
    assert fitted.normals.dtype == np.float32
    norms = np.linalg.norm(fitted.normals.reshape(len(facs.CODES), -1).astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-5)
    others = [row for row in range(GENERATOR.rows) if row not in ROWS]
    assert not fitted.normals[:, others].any()
    assert (fitted.white > 0).all()


def test_the_same_responses_give_the_same_normals(fitted: Normals) -> None:
    again = fit_normals(GENERATOR, responses_of(random_slopes()), SETTINGS)
    assert again.normals.tobytes() == fitted.normals.tobytes()


def test_the_evidence_rises_along_every_normal(fitted: Normals) -> None:
    assert (fitted.agreement >= 0.8).all()
    assert (fitted.leak > 0).all()
    slopes = responses_of(random_slopes()).slopes.mean(axis=0)  # [S, Z, R, 512]
    for unit, normal in zip(facs.ACTION_UNITS, fitted.normals, strict=True):
        zone = regions.ZONES.index(unit.area)
        wanted, _ = boundaries.wishes(unit)
        rise = np.tensordot(slopes[:, zone], normal[ROWS.start : ROWS.stop], axes=2)
        assert wanted @ rise > 0


@pytest.mark.parametrize("mixed", [0.0, 1.0])
def test_the_normal_of_a_known_answer(mixed: float) -> None:
    """AU9's evidence answers along e1 (and as much along e2), all else along e2, up or down."""
    code = "AU9"
    zone = regions.ZONES.index(facs.UNITS[code].area)
    wanted, kept = boundaries.wishes(facs.UNITS[code])
    e1, e2 = np.eye(DIMENSIONS)[[0, 9]]  # in the first and in the second editable row
    rng = np.random.default_rng(6)
    white = random_slopes()
    white[:, :, zone] = 0
    white[:, wanted != 0, zone] = np.sign(wanted[wanted != 0])[:, None] * (e1 + mixed * e2)
    strengths = rng.choice([-1, 1], (FACES, kept.sum(), 1)) * rng.uniform(
        1, 2, (FACES, kept.sum(), 1)
    )
    white[:, kept, zone] = strengths * e2
    fitted = fit_normals(GENERATOR, responses_of(white), SETTINGS)

    basis = whitening(GENERATOR, SETTINGS.components)
    expected = np.zeros((GENERATOR.rows, 512))
    expected[ROWS.start] = basis[0] / np.linalg.norm(basis[0])
    i = facs.INDEX[code]
    assert np.vdot(expected, fitted.normals[i]) > 0.995
    assert fitted.agreement[i] == 1
    assert fitted.leak[i] < 0.15
    assert fitted.white[i] == pytest.approx(np.linalg.norm(basis[0]), rel=0.02)


# The template


# Crosstalk


def test_what_others_of_the_region_answer_on_average_is_taken_out() -> None:
    """Offsets that stand on one another show which parts of which were taken."""
    count, rng = len(facs.CODES), np.random.default_rng(3)
    response = 5 * np.eye(count) + rng.uniform(-2, 2, (count, count))  # of whom on whom
    apart = rng.standard_normal((4, count))  # people who look different from the start
    along = np.stack([np.stack([apart, apart + row], axis=1) for row in response])
    scale = SimpleNamespace(scores=lambda values: values)
    rows = np.zeros((count, 2, 512), np.float32)
    rows.reshape(count, -1)[:, :count] = np.eye(count)
    white = rng.uniform(0.5, 2, count)
    before = Normals(rows, white, np.zeros(count), np.zeros(count))
    after = calibrate.untangled(before, along, scale)  # type: ignore[arg-type]

    reach = np.array([unit.reach for unit in facs.ACTION_UNITS])
    offsets = after.normals.reshape(count, -1)[:, :count] * (after.white * reach)[:, None]
    parts = offsets / (white * reach)  # [12, 12], how much of whose offset before
    answers = parts @ response
    assert np.linalg.norm(after.normals, axis=(1, 2)) == pytest.approx(1, abs=1e-6)
    for i, unit in enumerate(facs.ACTION_UNITS):
        assert answers[i, i] == pytest.approx(response[i, i], rel=1e-5)  # as strong as before
        for j, other in enumerate(facs.ACTION_UNITS):
            if i == j:
                continue
            if unit.area != other.area or other.code in unit.kin:
                assert parts[i, j] == pytest.approx(0, abs=1e-6)
            else:
                left = (1 - calibrate.TAKEN_OUT) * response[i, j] * parts[i, i]
                # The ridge leaves a little more, or takes it: up to a fifth of the strongest.
                assert answers[i, j] == pytest.approx(left, abs=0.4)


def test_a_face_that_is_not_symmetric_has_no_mirror_points() -> None:
    from types import SimpleNamespace

    with pytest.raises(InputError, match="not symmetric enough"):
        responses.mean_template(
            GENERATOR, lambda _: SimpleNamespace(points=lambda w: random_points(3) * [1, 3, 9])
        )


# Some Action Units, the others as they were


def test_the_scale_of_what_is_not_fitted_stays() -> None:
    rng, count = np.random.default_rng(0), len(measures.MEASURES)
    population = rng.standard_normal((40, count))
    along = rng.standard_normal((len(facs.CODES), 3, calibrate.STEPS + 1, count))
    template, mirror = np.eye(measures.POINTS, 3), np.arange(measures.POINTS)
    alone = calibrate.fit_scale(population, along, template, mirror)
    before = Scale(
        template, mirror, *(rng.uniform(1, 2, (3, count))), full=rng.uniform(1, 2, len(facs.CODES))
    )
    kept = calibrate.fit_scale(
        population, along, template, mirror, units=("AU7", "AU43"), kept=before
    )
    others = [unit for unit in facs.ACTION_UNITS if unit.code not in ("AU7", "AU43")]
    used = np.isin(measures.MEASURES, [name for unit in others for name in unit.evidence])
    assert not used[measures.MEASURES.index("eyeBlink")]  # AU43 alone is seen by it
    assert used[measures.MEASURES.index("eye_opening")]  # AU5 too
    for name in ("neutral", "rise", "fall"):
        new, old, own = (getattr(scale, name) for scale in (kept, before, alone))
        np.testing.assert_array_equal(new[used], old[used])
        np.testing.assert_array_equal(new[~used], own[~used])
    changed = np.flatnonzero(kept.full != before.full)
    assert {facs.CODES[i] for i in changed} == {"AU7", "AU43"}


def test_what_is_added_leaves_the_rest_as_it_was() -> None:
    plain = tiny.boundaries(GENERATOR)
    rows = facs.INDEX["AU7"], facs.INDEX["AU10"]
    normals = plain.normals.copy()
    normals[list(rows)] = 0
    gain = np.full(len(facs.CODES), 1.5, np.float32)
    before = replace(plain, normals=normals, photo_gain=gain, provenance={"seed": 1})
    fitted = replace(plain, lengths=plain.lengths * 2, provenance={"seed": 2})
    once = recipe.added(fitted, before, ["AU7"])
    assert once.missing == ("AU10",)
    np.testing.assert_array_equal(once.normals[rows[0]], plain.normals[rows[0]])
    np.testing.assert_array_equal(once.lengths[rows[0]], fitted.lengths[rows[0]])
    others = np.arange(len(facs.CODES)) != rows[0]
    for name in ("normals", "biases", "lengths", "photo_gain"):
        np.testing.assert_array_equal(getattr(once, name)[others], getattr(before, name)[others])
    assert once.photo_gain is not None
    assert once.photo_gain[rows[0]] == 1  # was of another boundary
    twice = recipe.added(fitted, once, ["AU10"])
    assert not twice.missing
    assert twice.provenance == {"seed": 1, "added": [{"seed": 2}, {"seed": 2}]}


def test_normals_that_are_kept_reach_as_far_as_intensity_one(fitted: Normals) -> None:
    plain = tiny.boundaries(GENERATOR)
    kept = recipe.Kept(plain, Scale(*[np.ones(1)] * 5))
    mixed = kept.normals(fitted, ["AU12"])
    i, other = facs.INDEX["AU12"], facs.INDEX["AU26"]
    np.testing.assert_array_equal(mixed.normals[i], fitted.normals[i])
    np.testing.assert_array_equal(mixed.normals[other], plain.normals[other])
    full = mixed.white[other] * facs.UNITS["AU26"].reach
    assert full == pytest.approx(plain.lengths[other, -1])


def test_a_fit_of_some_units_needs_the_others(tmp_path: Path) -> None:
    settings = recipe.RecipeSettings(units=("AU7",))
    with pytest.raises(InputError, match="needs boundaries to take the others from"):
        recipe.fit(GENERATOR, tmp_path, settings)
