"""Furrows and shades: known patterns, painted wrinkles, and what must not matter."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from torch import Tensor

from duchenne import facs
from duchenne.faces import warp
from duchenne.measuring import measures, patches, score, skin

FACE = Path(__file__).parent / "data" / "generated_face_21.jpg"
SIDE = 256
SCALE = score.built_in_scale()


def face_points() -> Tensor:
    """The symmetric mean face in the middle of a picture of SIDE pixels: [478, 2]."""
    plane = SCALE.template[:, :2] - SCALE.template[:, :2].mean(axis=0)
    return torch.from_numpy(plane * 100 + SIDE / 2).float()


def stripes(angle: float, period: float = 5.0, contrast: float = 0.2) -> Tensor:
    """[1, 3, SIDE, SIDE] grey waves; at angle 0 they run across the picture."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    phase = math.cos(angle) * y + math.sin(angle) * x
    grey = 0.5 + contrast * np.sin(2 * math.pi * phase / period)
    return torch.from_numpy(grey).float().expand(1, 3, -1, -1)


def seen(photo: np.ndarray, mesh: np.ndarray) -> tuple[Tensor, Tensor]:
    """What the landmark network sees of a face in a photo, and the mesh in that."""
    to_photo = score.look_at(mesh)
    look = np.clip(warp.warp(photo, to_photo, (SIDE, SIDE), border="border") / 255, 0, 1)
    points = warp.apply(warp.invert(to_photo), mesh[:, :2])
    planes = torch.from_numpy(look.transpose(2, 0, 1).astype(np.float32))
    return planes[None], torch.from_numpy(points).float()


def turned(photo: np.ndarray, mesh: np.ndarray, matrix: np.ndarray) -> tuple[Tensor, Tensor]:
    """`seen` of the photo and its mesh, both put through a linear map about the middle."""
    middle = np.array([photo.shape[1] / 2, photo.shape[0] / 2])
    forward = np.concatenate([matrix, (middle - matrix @ middle)[:, None]], axis=1)
    moved = warp.warp(photo, warp.invert(forward), photo.shape[:2], border="border")
    places = np.concatenate([warp.apply(forward, mesh[:, :2]), mesh[:, 2:]], axis=1)
    return seen(moved, places)


@pytest.fixture(scope="module")
def face() -> tuple[Tensor, Tensor]:
    """A generated face as the landmark network sees it, and its mesh in that picture."""
    return seen(np.asarray(Image.open(FACE)), tiny.golden_face("generated_face_21").mesh)


def test_every_point_exists_and_left_mirrors_right() -> None:
    for quads in (*patches.FURROWS.values(), *patches.SHADED.values()):
        for quad in quads:
            assert len(set(quad)) == 4
            assert max(quad) < measures.POINTS
        if len(quads) > 1:
            for right, left in zip(quads[::2], quads[1::2], strict=True):
                assert tuple(SCALE.mirror[list(right)]) == left


def test_a_patch_is_the_bilinear_surface_of_its_corners() -> None:
    ramp = torch.zeros(1, 3, SIDE, SIDE)
    ramp[0, 0], ramp[0, 1] = (torch.arange(SIDE) + 0.5), (torch.arange(SIDE) + 0.5)[:, None]
    points = torch.tensor([[20.0, 30.0], [80.0, 40.0], [90.0, 120.0], [10.0, 100.0]])
    found = skin.patch(ramp, points, (0, 1, 2, 3))
    assert found.shape == (3, patches.GRID, patches.GRID)
    middle = found[:2, patches.GRID // 2 - 1 : patches.GRID // 2 + 1, patches.GRID // 2 - 1 :][
        :, :, :2
    ]
    np.testing.assert_allclose(middle.mean(dim=(1, 2)), points.mean(dim=0), rtol=1e-5)
    np.testing.assert_allclose(found[:2, 0, 0], [20.0 + 1.0, 30.0 + 1.6], atol=0.3)


def test_stripes_across_are_furrows_and_stripes_along_are_not() -> None:
    points = face_points()
    across, along = (skin.furrows(stripes(a), points) for a in (0, math.pi / 2))
    turned = torch.tensor([name == "dimple" for name in patches.FURROWS])  # it runs down the face
    across, along = torch.where(turned, along, across), torch.where(turned, across, along)
    assert (across > 0.5).all()
    assert (along < -0.3).all()
    even = skin.furrows(torch.full((1, 3, SIDE, SIDE), 0.5), points)
    np.testing.assert_allclose(even, 0, atol=1e-3)


def test_shades_by_hand() -> None:
    colour = torch.tensor([0.6, 0.4, 0.2])
    shades = skin.shades(colour[None, :, None, None].expand(1, 3, SIDE, SIDE), face_points())
    places = len(patches.SHADED)
    assert shades.shape == (len(patches.SHADES),) == (3 * places,)
    luma = sum(w * c for w, c in zip(patches.LUMA, colour.tolist(), strict=True))
    np.testing.assert_allclose(shades[:places], math.log(luma + patches.DARK), rtol=1e-5)
    np.testing.assert_allclose(shades[places : 2 * places], math.log(0.62 / 0.42), rtol=1e-4)
    np.testing.assert_allclose(shades[2 * places :], math.log(patches.FAINT), atol=1e-2)


def painted(look: Tensor, points: Tensor, name: str, depth: float) -> Tensor:
    """Three dark lines across every patch of a furrow, as soft as wrinkles are."""
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    shade = torch.zeros(SIDE, SIDE)
    for quad in patches.FURROWS[name]:
        inner_top, outer_top, outer, inner = points[list(quad), :2]
        for part in (0.3, 0.5, 0.7):
            start, end = inner_top.lerp(inner, part), outer_top.lerp(outer, part)
            along = (end - start) / (end - start).norm()
            t = ((x - start[0]) * along[0] + (y - start[1]) * along[1]).clamp(
                0, float((end - start).norm())
            )
            away = ((x - start[0] - t * along[0]) ** 2 + (y - start[1] - t * along[1]) ** 2).sqrt()
            shade = torch.maximum(shade, torch.exp(-((away / 1.2) ** 2)))
    return look * (1 - depth * shade)


def wrinkled(look: Tensor, points: Tensor) -> Tensor:
    """Wrinkles of middling depth on every patch."""
    for name in patches.FURROWS:
        look = painted(look, points, name, 0.3)
    return look


@pytest.mark.parametrize(
    ("code", "name"), [("AU6", "eye_furrow"), ("AU9", "nose_furrow"), ("AU14", "dimple")]
)
def test_deeper_wrinkles_raise_their_units(
    face: tuple[Tensor, Tensor], code: str, name: str
) -> None:
    look, points = face
    row = list(patches.FURROWS).index(name)
    depths = (0.0, 0.1, 0.2, 0.3, 0.4)
    found = [float(skin.furrows(painted(look, points, name, d), points)[row]) for d in depths]
    assert all(a < b for a, b in itertools.pairwise(found)), found
    values = SCALE.neutral.copy()
    scores = []
    for value in found:
        values[measures.MEASURES.index(name)] = value
        scores.append(SCALE.scores(values)[facs.INDEX[code]])
    assert all(a < b or a == b == max(scores) for a, b in itertools.pairwise(scores)), scores
    assert scores[-1] > scores[0]


def test_contrast_light_and_noise_matter_little_to_furrows(face: tuple[Tensor, Tensor]) -> None:
    look, points = face
    plain = skin.furrows(look, points)
    dimmed = skin.furrows(look * 0.7, points)
    noise = 0.01 * torch.randn(look.shape, generator=torch.Generator().manual_seed(0))
    noisy = skin.furrows((look + noise).clamp(0, 1), points)
    deep = skin.furrows(wrinkled(look, points), points)
    for other in (dimmed, noisy):
        assert (other - plain).abs().max() < 0.5 * (deep - plain).min()


COSINE, SINE = math.cos(math.radians(20)), math.sin(math.radians(20))


@pytest.mark.parametrize(
    "matrix",
    [
        pytest.param([[COSINE, -SINE], [SINE, COSINE]], id="roll"),
        pytest.param([[COSINE, 0.0], [0.0, 1.0]], id="yaw foreshortens"),
        pytest.param([[1.0, 0.0], [0.0, COSINE]], id="pitch foreshortens"),
    ],
)
def test_a_turned_head_has_the_same_furrows(
    face: tuple[Tensor, Tensor], matrix: list[list[float]]
) -> None:
    """Against what wrinkles of middling depth would change."""
    look, points = face
    depth = skin.furrows(wrinkled(look, points), points) - skin.furrows(look, points)
    photo, mesh = np.asarray(Image.open(FACE)), tiny.golden_face("generated_face_21").mesh
    found = skin.furrows(*turned(photo, mesh, np.array(matrix)))
    assert ((found - skin.furrows(look, points)).abs() < 0.25 * depth).all()


def test_a_mirrored_face_measures_the_same(face: tuple[Tensor, Tensor]) -> None:
    look, points = face
    flipped = points[torch.from_numpy(SCALE.mirror[:468])].clone()
    flipped[:, 0] = SIDE - flipped[:, 0]
    mirrored = look.flip(-1)
    for measure in (skin.furrows, skin.shades):
        np.testing.assert_allclose(measure(mirrored, flipped), measure(look, points), atol=1e-4)


def test_slopes_are_those_of_the_picture(face: tuple[Tensor, Tensor]) -> None:
    look, points = face
    look = look.clone().requires_grad_()
    for measure, names in (
        (skin.furrows, list(patches.FURROWS)),
        (skin.shades, list(patches.SHADES)),
    ):
        for i in (0, len(names) - 1):
            slope = torch.autograd.grad(measure(look, points)[i], look)[0]
            step = 4e-4 * slope / slope.abs().max()
            with torch.no_grad():
                rise = (measure(look + step, points) - measure(look - step, points))[i] / 2
            assert float(rise) == pytest.approx(float((slope * step).sum()), rel=0.02), names[i]
