"""Refining normals: the recogniser with gradients, the descent, the files that it resumes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from test_fit import mesh_in_the_picture

from duchenne import facs
from duchenne.editing.boundaries import Stretch
from duchenne.errors import InputError, WeightsError
from duchenne.faces import landmarks
from duchenne.fit import refine
from duchenne.fit.boundaries import Normals
from duchenne.fit.person import PersonNetwork
from duchenne.fit.probe import NAMES
from duchenne.fit.refine import Given, Refiner, RefineSettings
from duchenne.measuring import dlib_identity, score
from duchenne.measuring.dlib_identity import Recogniser

GENERATOR = tiny.GENERATOR
SMALL = RefineSettings(faces=2, steps=6)


# The recogniser


def smooth_picture(side: int) -> np.ndarray:
    """uint8 [side, side, 3] with a little of everything that a network answers to."""
    rng = np.random.default_rng(5)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 12, 12)).astype(np.float32))
    fine = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")
    return np.ascontiguousarray(fine.clamp(0, 255)[0].permute(1, 2, 0).numpy().astype(np.uint8))


def test_the_rebuilt_network_is_dlibs() -> None:
    dlib = pytest.importorskip("dlib")
    chip = smooth_picture(dlib_identity.SIDE)
    model = dlib.face_recognition_model_v1(str(dlib_identity.network_file()))
    expected = np.array(model.compute_face_descriptor(chip))
    planes = torch.from_numpy(chip).permute(2, 0, 1)[None].float()
    np.testing.assert_allclose(PersonNetwork()(planes).numpy(), expected, atol=1e-5)


def test_the_network_is_looked_at_where_dlib_looks() -> None:
    dlib = pytest.importorskip("dlib")
    face = smooth_picture(256)
    recogniser = Recogniser()
    expected = dlib.get_face_chip(face, recogniser._corners(face), dlib_identity.SIDE, 0.25)
    grid = torch.from_numpy(recogniser.places(face) / len(face) * 2 - 1).float()[None]
    planes = torch.from_numpy(face).permute(2, 0, 1)[None].float()
    found = torch.nn.functional.grid_sample(planes, grid, align_corners=False)[0]
    difference = found.permute(1, 2, 0).numpy() - expected
    assert np.abs(difference).mean() < 1.5  # dlib halves the picture first, and rounds


@pytest.mark.parametrize("damage", ["short", "other"])
def test_another_file_is_refused(tmp_path: Path, damage: str) -> None:
    pytest.importorskip("dlib")
    whole = dlib_identity.network_file().read_bytes()
    path = tmp_path / "network.dat"
    path.write_bytes(whole[:100_000] if damage == "short" else b"no network")
    with pytest.raises(WeightsError, match=r"network\.dat"):
        PersonNetwork(path)


# The surroundings


def test_around_the_face_is_not_on_it() -> None:
    side = 256
    mesh = mesh_in_the_picture(side)
    around = refine._around(mesh, side, 80.0)
    assert set(np.unique(around)) == {0.0, 1.0}
    for point in (landmarks.NOSE_TIP, landmarks.MOUTH_LEFT, landmarks.RIGHT_EYE_OUTER):
        x, y = mesh[point, :2].astype(int)
        assert around[y, x] == 0
    chin = mesh[landmarks.CHIN].astype(int)
    assert around[-1, chin[0]] == 0  # the jaw may drop
    assert around[0].all()
    assert around[: side // 2, 0].all()


# The descent


class Plane:
    """A face whose evidence is c . a and whose restraints are (c . b)^2: no generator needed."""

    def __init__(self, shape: tuple[int, int]) -> None:
        rng = np.random.default_rng(1)
        a, b = rng.standard_normal((2, *shape)).astype(np.float32)
        self.a, self.b = torch.from_numpy(a), torch.from_numpy(b)

    def answer(self, model: Any, c: torch.Tensor, intensity: float) -> Any:
        evidence, leak = intensity * (c * self.a).sum(), intensity * (c * self.b).sum()
        return evidence, 0.1 * leak**2


def given(settings: RefineSettings = SMALL) -> Given:
    rng = np.random.default_rng(2)
    normals = np.zeros((len(facs.CODES), GENERATOR.rows, 512), np.float32)
    rows = slice(*_editable())
    normals[:, rows] = rng.standard_normal(normals[:, rows].shape)
    normals /= np.linalg.norm(normals.reshape(len(normals), -1), axis=1)[:, None, None]
    ones = np.ones(len(facs.CODES))
    return Given(
        GENERATOR.fingerprint,
        score.built_in_scale().template,
        Normals(normals, 0.1 * ones, ones, ones),
        np.ones(len(NAMES)),
        Stretch(GENERATOR.w_mean.numpy(), 10.0),
        settings,
    )


def _editable() -> tuple[int, int]:
    from duchenne.editing.layout import editable_rows

    rows = editable_rows(GENERATOR)
    return rows.start, rows.stop


def test_a_descent_keeps_the_evidence_and_loses_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    start, stop = _editable()
    basis = torch.linalg.qr(torch.randn(512, 8, generator=torch.Generator().manual_seed(0)))[0].T
    plane = Plane((stop - start, 8))

    class Room:
        class probe:  # noqa: N801
            rows = range(start, stop)

        generator = GENERATOR

    monkeypatch.setattr(refine._Descent, "_answer", lambda self, *args: plane.answer(*args))
    settings = replace(SMALL, steps=200)
    whole = replace(given(settings))
    descent = refine._Descent(Room(), [None], "AU4", basis, whole)  # type: ignore[arg-type,list-item]
    before = descent.start @ torch.linalg.pinv(basis)
    offset = descent.run(lambda step: None)
    assert offset.shape == (GENERATOR.rows, 512)
    assert not offset[:start].any()
    assert not offset[stop:].any()
    after = torch.from_numpy(offset[start:stop]) @ basis.T
    old, new = (plane.answer(None, c, 1.0) for c in (before, after))
    assert float(new[0]) == pytest.approx(float(old[0]), rel=1e-3)
    assert float(new[1]) < 0.3 * float(old[1])


@pytest.fixture
def in_a_face(landmarker_task: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tiny generator draws noise; a golden mesh says where its face would be."""
    pytest.importorskip("dlib")
    monkeypatch.setattr(
        landmarks, "mesh_of_aligned", lambda picture: mesh_in_the_picture(len(picture))
    )
    return


@pytest.mark.weights
@pytest.mark.usefixtures("in_a_face")
def test_processes_divide_the_units_and_nothing_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = given()
    told: list[tuple[int, int]] = []
    count, share = len(facs.CODES), (facs.INDEX["AU5"], len(facs.CODES))
    Refiner(GENERATOR, whole).run(tmp_path, share=share, progress=lambda *done: told.append(done))
    assert told[-1] == (count * SMALL.steps, count * SMALL.steps)
    assert [path.name for path in tmp_path.iterdir()] == ["refined_AU5.safetensors"]
    assert refine.missing(whole, tmp_path) == [c for c in facs.CODES if c != "AU5"]
    with pytest.raises(InputError, match="AU1, AU2, AU4, AU6"):
        refine.refined(whole, tmp_path)
    Refiner(GENERATOR, whole).run(tmp_path / "alone", share=share)
    first, second = (refine.read(whole, "AU5", folder) for folder in (tmp_path, tmp_path / "alone"))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first, second)
    other = given(replace(SMALL, steps=7))
    assert refine.read(other, "AU5", tmp_path) is None  # of other settings
    (tmp_path / "refined_AU5.safetensors").write_bytes(b"half")
    assert refine.read(whole, "AU5", tmp_path) is None


def test_what_is_refined_replaces_the_normals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = given()

    def twice(self: Any, progress: Any) -> np.ndarray:
        result = np.zeros((GENERATOR.rows, 512), np.float32)
        result[slice(*_editable())] = 2 * self.start.numpy()
        return result

    class Nothing:
        class probe:  # noqa: N801
            rows = range(*_editable())

        generator = GENERATOR

    monkeypatch.setattr(refine._Descent, "run", twice)
    monkeypatch.setattr(Refiner, "_studio", Nothing())
    monkeypatch.setattr(Refiner, "_models", [])
    monkeypatch.setattr(Refiner, "_basis", torch.eye(512))
    Refiner(GENERATOR, whole).run(tmp_path)
    found = refine.refined(whole, tmp_path)
    np.testing.assert_allclose(found.normals, whole.normals.normals, atol=1e-6)
    np.testing.assert_allclose(found.white, 2 * whole.normals.white, rtol=1e-5)
