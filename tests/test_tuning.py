"""Pivotal tuning: a copy of the generator bends to one photo; the delta travels with the code."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from duchenne.encoding import tuning
from duchenne.encoding.losses import PixelLoss
from duchenne.encoding.tuning import TuningSettings
from duchenne.errors import SpaceMismatch
from duchenne.files import codes
from duchenne.generators.base import draw_z
from duchenne.types import LatentCode

SETTINGS = TuningSettings(steps=12, rate=5e-3, loss_size=32)


@pytest.fixture(scope="module")
def small() -> tiny.TinyGenerator:
    return tiny.TinyGenerator(seed=5)


@pytest.fixture(scope="module")
def w(small: tiny.TinyGenerator) -> Tensor:
    return small.mapping(draw_z(3))[:, None].repeat(1, small.rows, 1)


@pytest.fixture(scope="module")
def wanted(small: tiny.TinyGenerator) -> Tensor:
    """A white square on black: nothing that seeded noise layers draw."""
    picture = -torch.ones(1, 3, small.size, small.size)
    picture[:, :, 40:90, 30:80] = 1.0
    return picture


@pytest.fixture(scope="module")
def delta(small: tiny.TinyGenerator, w: Tensor, wanted: Tensor) -> tuning.Delta:
    return tuning.tune(small, w, wanted, PixelLoss(), SETTINGS)


def distance(generator: tiny.TinyGenerator, w: Tensor, wanted: Tensor) -> float:
    with torch.no_grad():
        return float((generator.synthesize(w) - wanted).square().mean())


def test_the_tuned_generator_draws_what_the_code_cannot_say(
    small: tiny.TinyGenerator, w: Tensor, wanted: Tensor, delta: tuning.Delta
) -> None:
    assert distance(tuning.tuned(small, delta), w, wanted) < 0.8 * distance(small, w, wanted)


def test_the_delta_names_the_fine_layers_and_is_small_to_keep(
    small: tiny.TinyGenerator, delta: tuning.Delta
) -> None:
    assert list(delta) == small.fine_weights()
    for name, array in delta.items():
        assert array.dtype == np.float16
        assert array.shape == tuple(small.get_parameter(name).shape)
        assert np.isfinite(array).all()
        assert np.abs(array).max() > 0


def test_progress_counts_the_steps_and_the_loss_falls(
    small: tiny.TinyGenerator, w: Tensor, wanted: Tensor
) -> None:
    calls: list[tuple[int, float]] = []
    tuning.tune(small, w, wanted, PixelLoss(), SETTINGS, lambda *call: calls.append(call))
    assert [step for step, _ in calls] == list(range(1, SETTINGS.steps + 1))
    assert calls[-1][1] < 0.9 * calls[0][1]


def test_the_same_photo_gives_the_same_delta(
    small: tiny.TinyGenerator, w: Tensor, wanted: Tensor, delta: tuning.Delta
) -> None:
    torch.manual_seed(77)
    again = tuning.tune(small, w, wanted, PixelLoss(), SETTINGS)
    assert all(np.array_equal(again[name], array) for name, array in delta.items())


def test_the_generator_itself_stays_as_it_is(w: Tensor, wanted: Tensor) -> None:
    generator = tiny.TinyGenerator(seed=6)
    before = copy.deepcopy(generator.state_dict())
    found = tuning.tune(generator, w, wanted, PixelLoss(), SETTINGS)
    bent = tuning.tuned(generator, found)
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, before[name])
        if name in found:
            assert not torch.equal(bent.state_dict()[name], tensor)
        else:
            assert torch.equal(bent.state_dict()[name], tensor)
    assert not any(p.requires_grad or p.grad is not None for p in generator.parameters())
    assert bent.fingerprint == generator.fingerprint


def test_the_code_is_the_pivot(w: Tensor, wanted: Tensor, small: tiny.TinyGenerator) -> None:
    before = w.clone()
    tuning.tune(small, w, wanted, PixelLoss(), SETTINGS)
    assert torch.equal(w, before)


def test_a_delta_of_zeros_changes_nothing(small: tiny.TinyGenerator, w: Tensor) -> None:
    shapes = {name: tuple(small.get_parameter(name).shape) for name in small.fine_weights()}
    zeros = {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}
    with torch.no_grad():
        assert torch.equal(tuning.tuned(small, zeros).synthesize(w), small.synthesize(w))


def test_a_tuned_copy_still_takes_edits(
    small: tiny.TinyGenerator, w: Tensor, wanted: Tensor, delta: tuning.Delta
) -> None:
    """Another code moves both alike: the tuning does not freeze the picture."""
    moved = w.clone()
    moved[:, :2] += 0.5 * small.mapping(draw_z(9))
    bent = tuning.tuned(small, delta)
    with torch.no_grad():
        change = (bent.synthesize(moved) - bent.synthesize(w)).abs().mean()
        plain = (small.synthesize(moved) - small.synthesize(w)).abs().mean()
    assert change > 0.3 * plain


def test_the_delta_travels_with_the_code_to_the_bit(
    small: tiny.TinyGenerator, w: Tensor, delta: tuning.Delta, tmp_path: Path
) -> None:
    code = LatentCode(w[0].numpy(), small.fingerprint, {"made_by": "encode"}, delta)
    codes.write_code(code, tmp_path / "face.safetensors")
    read = codes.read_code(tmp_path / "face.safetensors")
    assert read.tuning is not None
    assert set(read.tuning) == set(delta)
    for name, array in delta.items():
        assert read.tuning[name].dtype == np.float16
        assert read.tuning[name].tobytes() == np.ascontiguousarray(array).tobytes()
    one, two = tuning.tuned(small, delta), tuning.tuned(small, read.tuning)
    with torch.no_grad():
        assert torch.equal(one.synthesize(w), two.synthesize(w))


def without_one(delta: tuning.Delta) -> tuning.Delta:
    return dict(list(delta.items())[1:])


def with_another(delta: tuning.Delta) -> tuning.Delta:
    return {**delta, "dense.weight": np.zeros((512, 512), np.float16)}


def of_another_shape(delta: tuning.Delta) -> tuning.Delta:
    return {**delta, "rgb.bias": np.zeros(13, np.float16)}


@pytest.mark.parametrize("spoil", [without_one, with_another, of_another_shape, lambda _: {}])
def test_a_delta_that_does_not_fit_is_refused(
    small: tiny.TinyGenerator, delta: tuning.Delta, spoil: object
) -> None:
    assert callable(spoil)
    with pytest.raises(SpaceMismatch, match="does not fit this generator's layers") as caught:
        tuning.tuned(small, spoil(delta))
    assert "\n" not in str(caught.value)


def test_a_delta_of_another_generator_is_refused(delta: tuning.Delta) -> None:
    with pytest.raises(SpaceMismatch, match="encode the photo again"):
        tuning.tuned(tiny.TinyGenerator(sizes=(4, 8, 16, 32)), delta)
