"""The encoding: schedule, loss, result, cache; with a small trunk instead of VGG-16."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duchenne import codes, encode, pixels
from duchenne.encode import EncodeCache, Encoder, EncodeSettings
from duchenne.generators.base import draw_z
from duchenne.types import LatentCode, Pixels

SETTINGS = EncodeSettings(steps=12, warmup=3, loss_size=32)


class SmallTrunk(nn.Module):
    """Two convolutions where VGG-16 has thirteen."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        first = F.relu(self.one(images))
        return [first, F.relu(self.two(F.max_pool2d(first, 2)))]


@pytest.fixture(scope="module")
def generator() -> tiny.TinyGenerator:
    return tiny.TinyGenerator(seed=5)


def encoder_for(
    generator: tiny.TinyGenerator, settings: EncodeSettings = SETTINGS
) -> Encoder:
    encoder = Encoder(generator, settings)
    encoder._trunk = SmallTrunk()
    return encoder


@pytest.fixture(scope="module")
def encoder(generator: tiny.TinyGenerator) -> Encoder:
    return encoder_for(generator)


@pytest.fixture(scope="module")
def face(generator: tiny.TinyGenerator) -> Pixels:
    """A picture that the generator can draw."""
    with torch.no_grad():
        w = generator.mapping(draw_z(11))
        return pixels.from_planes(generator.synthesize(w)[0].numpy())


# The schedule


def test_the_rate_rises_then_falls_to_nothing() -> None:
    settings = EncodeSettings(steps=80, rate=0.1, warmup=5)
    rates = [encode._rate(step, settings) for step in range(80)]
    assert rates[0] == pytest.approx(0.1 / 5)
    assert rates[1] == pytest.approx(0.1 * 2 / 5 * 0.5 * (1 + math.cos(math.pi / 80)))
    assert rates[40] == pytest.approx(0.05)
    assert np.argmax(rates) == 4
    assert max(rates) <= 0.1
    assert (np.diff(rates[4:]) < 0).all()
    assert 0 < rates[-1] < 1e-4


def test_one_step_is_enough_to_have_a_rate() -> None:
    assert encode._rate(0, EncodeSettings(steps=1, warmup=1)) == pytest.approx(0.1)


def test_settings_are_frozen_and_plain() -> None:
    settings = EncodeSettings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.steps = 3  # type: ignore[misc]
    assert all(isinstance(v, int | float) for v in dataclasses.asdict(settings).values())


# The result


def test_the_code_and_its_provenance(
    encoder: Encoder, generator: tiny.TinyGenerator, face: Pixels
) -> None:
    calls: list[tuple[int, int, float]] = []
    code = encoder.encode(face, progress=lambda *call: calls.append(call))
    assert code.w.shape == (generator.rows, 512)
    assert code.w.dtype == np.float32
    assert np.isfinite(code.w).all()
    assert code.generator == generator.fingerprint
    assert [call[:2] for call in calls] == [(step, 12) for step in range(1, 13)]
    assert code.provenance["made_by"] == "encode"
    assert code.provenance["settings"] == dataclasses.asdict(SETTINGS)
    assert code.provenance["loss"] == calls[-1][2]


def test_the_loss_falls_and_the_picture_comes_closer(
    encoder: Encoder, generator: tiny.TinyGenerator, face: Pixels
) -> None:
    losses: list[float] = []
    code = encoder.encode(face, progress=lambda *call: losses.append(call[2]))
    assert losses[-1] < 0.7 * losses[0]
    with torch.no_grad():
        target = torch.from_numpy(pixels.to_planes(face))[None]
        found = generator.synthesize(torch.from_numpy(code.w)[None])
        mean = generator.synthesize(generator.w_mean[None])
    assert F.mse_loss(found, target) < 0.8 * F.mse_loss(mean, target)


def test_the_first_loss_is_the_mean_codes(
    encoder: Encoder, generator: tiny.TinyGenerator, face: Pixels
) -> None:
    """By hand: no prior yet, so VGG distance + two mean squares at 32 and 8 px."""
    losses: list[float] = []
    encoder.encode(face, progress=lambda *call: losses.append(call[2]))
    with torch.no_grad():
        target = F.avg_pool2d(torch.from_numpy(pixels.to_planes(face))[None], 4)
        image = F.avg_pool2d(generator.synthesize(generator.w_mean[None], 64), 2)
        found, wanted = (
            [f / f.norm(dim=1, keepdim=True).clamp(min=1e-6) for f in SmallTrunk()(x)]
            for x in (image, target)
        )
        vgg = sum(
            (a - b).square().sum(dim=1).mean() for a, b in zip(found, wanted, strict=True)
        )
        small, small_target = F.avg_pool2d(image, 4), F.avg_pool2d(target, 4)
        by_hand = vgg + F.mse_loss(image, target) + F.mse_loss(small, small_target)
    assert losses[0] == pytest.approx(float(by_hand), rel=1e-4)


def test_a_stronger_prior_stays_closer_to_the_mean(
    generator: tiny.TinyGenerator, face: Pixels
) -> None:
    weak, strong = (
        encoder_for(generator, dataclasses.replace(SETTINGS, prior_weight=weight))
        .encode(face)
        .w
        for weight in (0.0, 10.0)
    )
    assert np.abs(strong).mean() < 0.7 * np.abs(weak).mean()


def test_the_same_face_gives_the_same_code(
    encoder: Encoder, generator: tiny.TinyGenerator, face: Pixels
) -> None:
    first = encoder.encode(face)
    torch.manual_seed(1234)  # nothing reads the global state
    assert encoder.encode(face).w.tobytes() == first.w.tobytes()
    assert encoder_for(generator).encode(face).w.tobytes() == first.w.tobytes()


def test_the_generator_is_not_trained(
    encoder: Encoder, generator: tiny.TinyGenerator, face: Pixels
) -> None:
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    encoder.encode(face)
    assert all(torch.equal(before[name], t) for name, t in generator.state_dict().items())
    assert all(p.grad is None for p in generator.parameters())


def test_the_units_are_the_latents_deviation(
    encoder: Encoder, generator: tiny.TinyGenerator
) -> None:
    w = generator.mapping(draw_z(77, 20_000))
    torch.testing.assert_close(encoder._deviation, w.std(dim=0), rtol=0.05, atol=0)


# The cache


@pytest.fixture
def code(generator: tiny.TinyGenerator) -> LatentCode:
    w = draw_z(1, generator.rows).numpy()
    return LatentCode(w, generator.fingerprint, {"made_by": "encode", "loss": 0.25})


def test_a_face_is_found_again(
    encoder: Encoder, face: Pixels, code: LatentCode, tmp_path: Path
) -> None:
    cache = EncodeCache(tmp_path / "not" / "yet")
    assert cache.get(face, encoder) is None
    cache.put(face, encoder, code)
    found = cache.get(face.copy(), encoder)
    assert found is not None
    assert found.w.tobytes() == code.w.tobytes()
    assert (found.generator, found.provenance) == (code.generator, code.provenance)


def test_other_pixels_settings_and_generators_are_other_entries(
    encoder: Encoder, generator: tiny.TinyGenerator, face: Pixels, tmp_path: Path
) -> None:
    cache = EncodeCache(tmp_path)
    other_face = face.copy()
    other_face[0, 0, 0] ^= 1
    turned = np.ascontiguousarray(face.reshape(64, 256, 3))  # the same bytes in another shape
    others = [
        encoder_for(generator, dataclasses.replace(SETTINGS, **{field.name: 7}))
        for field in dataclasses.fields(EncodeSettings)
    ]
    others.append(encoder_for(tiny.TinyGenerator(seed=6)))
    paths = [cache.path(picture, encoder) for picture in (face, other_face, turned)]
    paths += [cache.path(face, other) for other in others]
    assert len(set(paths)) == len(paths)
    assert cache.path(face, encoder_for(generator)) == paths[0]


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_a_damaged_entry_counts_as_absent_and_is_replaced(
    encoder: Encoder, face: Pixels, code: LatentCode, tmp_path: Path, content: bytes | None
) -> None:
    cache = EncodeCache(tmp_path)
    cache.put(face, encoder, code)
    path = cache.path(face, encoder)
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    assert cache.get(face, encoder) is None
    cache.put(face, encoder, code)
    assert cache.get(face, encoder) is not None


def test_the_default_cache_is_the_users(face: Pixels, encoder: Encoder, tmp_path: Path) -> None:
    from duchenne import weights

    assert EncodeCache().folder == weights.cache_root() / "codes"


def test_the_saved_code_tells_how_it_was_made(
    encoder: Encoder, face: Pixels, tmp_path: Path
) -> None:
    made = encoder.encode(face)
    codes.write_code(made, tmp_path / "face.safetensors")
    assert codes.read_code(tmp_path / "face.safetensors").provenance == made.provenance
