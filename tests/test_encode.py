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
from duchenne.generators import readout
from duchenne.generators.base import PlainView, draw_z
from duchenne.generators.readout import Readout
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
def small() -> tiny.TinyGenerator:
    return tiny.TinyGenerator(seed=5)


def encoder_for(small: tiny.TinyGenerator, settings: EncodeSettings = SETTINGS) -> Encoder:
    encoder = Encoder(small, settings)
    encoder._trunk = SmallTrunk()
    return encoder


@pytest.fixture(scope="module")
def encoder(small: tiny.TinyGenerator) -> Encoder:
    return encoder_for(small)


@pytest.fixture(scope="module")
def face(small: tiny.TinyGenerator) -> Pixels:
    """A picture that the generator can draw."""
    with torch.no_grad():
        w = small.mapping(draw_z(11))
        return pixels.from_planes(small.synthesize(w)[0].numpy())


# The schedule


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    settings = EncodeSettings(steps=80, fine_part=0.25, rate=0.1, fine_rate=0.04, warmup=5)
    assert settings.coarse_steps == 60
    rates = [encode._rate(step, settings) for step in range(80)]
    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert rates[4:60] == [0.1] * 56
    assert rates[60] == pytest.approx(0.04)
    assert rates[70] == pytest.approx(0.02)
    assert rates[61] == pytest.approx(0.04 * 0.5 * (1 + math.cos(math.pi / 20)))
    assert (np.diff(rates[60:]) < 0).all()
    assert 0 < rates[-1] < 1e-3


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_still_end_on_the_full_picture(steps: int) -> None:
    settings = EncodeSettings(steps=steps)
    assert settings.coarse_steps == steps - 1
    assert encode._rate(steps - 1, settings) == settings.fine_rate


def test_settings_are_frozen_and_plain() -> None:
    settings = EncodeSettings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.steps = 3  # type: ignore[misc]
    assert all(isinstance(v, int | float) for v in dataclasses.asdict(settings).values())


# The result


def test_the_code_and_its_provenance(
    encoder: Encoder, small: tiny.TinyGenerator, face: Pixels
) -> None:
    calls: list[tuple[int, int, float]] = []
    code = encoder.encode(face, progress=lambda *call: calls.append(call))
    assert code.w.shape == (small.rows, 512)
    assert code.w.dtype == np.float32
    assert np.isfinite(code.w).all()
    assert code.generator == small.fingerprint
    assert [call[:2] for call in calls] == [(step, 12) for step in range(1, 13)]
    assert code.provenance["made_by"] == "encode"
    assert code.provenance["settings"] == dataclasses.asdict(SETTINGS)
    assert code.provenance["loss"] == calls[-1][2]


def test_the_loss_falls_and_the_picture_comes_closer(
    small: tiny.TinyGenerator, face: Pixels
) -> None:
    losses: list[float] = []
    settings = dataclasses.replace(SETTINGS, steps=40, pixel_weight=20.0)
    code = encoder_for(small, settings).encode(face, progress=lambda *c: losses.append(c[2]))
    assert losses[-1] < 0.7 * losses[0]
    with torch.no_grad():
        target, found, mean = (
            F.avg_pool2d(picture, 4)
            for picture in (
                torch.from_numpy(pixels.to_planes(face))[None],
                small.synthesize(torch.from_numpy(code.w)[None]),
                small.synthesize(small.w_mean[None]),
            )
        )
    assert F.mse_loss(found, target) < 0.5 * F.mse_loss(mean, target)


def test_the_first_loss_is_the_mean_codes(
    encoder: Encoder, small: tiny.TinyGenerator, face: Pixels
) -> None:
    """By hand: no prior yet, so VGG distance + the mean squares at 32 and 8 px."""
    losses: list[float] = []
    encoder.encode(face, progress=lambda *call: losses.append(call[2]))
    with torch.no_grad():
        target = F.avg_pool2d(torch.from_numpy(pixels.to_planes(face))[None], 4)
        image = Readout(small).picture(PlainView(small.w_mean.expand(1, small.rows, -1)))
        found, wanted = (
            [f / f.norm(dim=1, keepdim=True).clamp(min=1e-6) for f in SmallTrunk()(x)]
            for x in (image, target)
        )
        vgg = sum((a - b).square().sum(dim=1).mean() for a, b in zip(found, wanted, strict=True))
        coarse, coarse_target = F.avg_pool2d(image, 4), F.avg_pool2d(target, 4)
        by_hand = (
            vgg
            + SETTINGS.pixel_weight * F.mse_loss(image, target)
            + SETTINGS.coarse_weight * F.mse_loss(coarse, coarse_target)
        )
    assert losses[0] == pytest.approx(float(by_hand), rel=1e-4)


def test_a_stronger_prior_stays_closer_to_the_mean(small: tiny.TinyGenerator, face: Pixels) -> None:
    weak, strong = (
        encoder_for(small, dataclasses.replace(SETTINGS, prior_weight=weight)).encode(face).w
        for weight in (0.0, 10.0)
    )
    assert np.abs(strong).mean() < 0.7 * np.abs(weak).mean()


def test_the_same_face_gives_the_same_code(
    encoder: Encoder, small: tiny.TinyGenerator, face: Pixels
) -> None:
    first = encoder.encode(face)
    torch.manual_seed(1234)  # nothing reads the global state
    assert encoder.encode(face).w.tobytes() == first.w.tobytes()
    assert encoder_for(small).encode(face).w.tobytes() == first.w.tobytes()


def test_the_generator_is_not_trained(
    encoder: Encoder, small: tiny.TinyGenerator, face: Pixels
) -> None:
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    encoder.encode(face)
    assert all(torch.equal(before[name], t) for name, t in small.state_dict().items())
    assert all(p.grad is None for p in small.parameters())


def test_the_units_are_the_latents_deviation(encoder: Encoder, small: tiny.TinyGenerator) -> None:
    w = small.mapping(draw_z(77, 20_000))
    torch.testing.assert_close(encoder._deviation, w.std(dim=0), rtol=0.05, atol=0)


# The read-out


def test_the_readout_is_the_generators_small_picture(small: tiny.TinyGenerator) -> None:
    """Least squares: clearly nearer to the reduced picture than its mean colour is."""
    w = small.mapping(draw_z(31, 2))[:, None].expand(-1, small.rows, -1)
    with torch.no_grad():
        found = Readout(small).picture(PlainView(w))
        picture = F.adaptive_avg_pool2d(small.synthesize(w), 32)
    assert found.shape == picture.shape == (2, 3, 32, 32)
    spread = (picture - picture.mean(dim=(2, 3), keepdim=True)).square().mean()
    assert (found - picture).square().mean() < 0.6 * spread


def test_the_readout_has_gradients(small: tiny.TinyGenerator) -> None:
    w = small.w_mean.expand(1, small.rows, -1).clone().requires_grad_()
    Readout(small).picture(PlainView(w)).square().mean().backward()
    assert w.grad is not None
    used = [row for row, size in enumerate(small.row_sizes) if size <= 32]
    assert (w.grad[0, used].norm(dim=1) > 0).all()


def test_the_readout_is_fitted_once(
    small: tiny.TinyGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Readout(small, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(Readout, "_fit", lambda self: pytest.fail("fitted again"))
    assert torch.equal(Readout(small, cache=tmp_path)._matrix, first._matrix)


@pytest.mark.parametrize(
    "tensors",
    [
        None,
        {"other": np.zeros((9, 3), np.float32)},
        {"matrix": np.zeros((5, 3), np.float32)},
        {"matrix": np.full((9, 3), np.nan, np.float32)},
    ],
    ids=["truncated", "name", "shape", "nan"],
)
def test_a_damaged_readout_is_fitted_again(
    small: tiny.TinyGenerator, tmp_path: Path, tensors: dict[str, np.ndarray] | None
) -> None:
    good = Readout(small, cache=tmp_path)._matrix
    (path,) = tmp_path.iterdir()
    if tensors is None:
        path.write_bytes(path.read_bytes()[:-4])
    else:
        codes.write_tensors(tensors, {"format": readout.FORMAT}, {}, path)
    assert torch.equal(Readout(small, cache=tmp_path)._matrix, good)
    kept, _ = codes.read_tensors(path, readout.FORMAT, "a fitted read-out")
    assert torch.equal(torch.from_numpy(kept["matrix"]), good)


def test_a_cache_that_cannot_be_written_costs_time_only(
    small: tiny.TinyGenerator, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = Readout(small, cache=tmp_path / "file")
    assert torch.equal(blocked._matrix, Readout(small, cache=tmp_path)._matrix)


# The cache


@pytest.fixture
def code(small: tiny.TinyGenerator) -> LatentCode:
    w = draw_z(1, small.rows).numpy()
    return LatentCode(w, small.fingerprint, {"made_by": "encode", "loss": 0.25})


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
    encoder: Encoder, small: tiny.TinyGenerator, face: Pixels, tmp_path: Path
) -> None:
    cache = EncodeCache(tmp_path)
    other_face = face.copy()
    other_face[0, 0, 0] ^= 1
    turned = np.ascontiguousarray(face.reshape(64, 256, 3))  # the same bytes in another shape
    others = [
        encoder_for(small, dataclasses.replace(SETTINGS, **{field.name: 7}))
        for field in dataclasses.fields(EncodeSettings)
    ]
    others.append(encoder_for(tiny.TinyGenerator(seed=6)))
    paths = [cache.path(picture, encoder) for picture in (face, other_face, turned)]
    paths += [cache.path(face, other) for other in others]
    assert len(set(paths)) == len(paths)
    assert cache.path(face, encoder_for(small)) == paths[0]


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
