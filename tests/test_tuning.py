"""Pivotal tuning: a copy of the generator bends to one photo; the delta travels with the code."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from refusal import refusal
from torch import Tensor

from duchenne.encoding import tuning
from duchenne.encoding.losses import PixelLoss
from duchenne.encoding.tuning import TuningSettings
from duchenne.errors import SpaceMismatch
from duchenne.files import codes
from duchenne.generators.base import draw_z
from duchenne.types import LatentCode

SETTINGS = TuningSettings(steps=12, rate=5e-3, loss_size=32)
SMALL = tiny.TinyGenerator(seed=5)
W = SMALL.mapping(draw_z(3))[:, None].repeat(1, SMALL.rows, 1)
WANTED = -torch.ones(1, 3, SMALL.size, SMALL.size)  # a white square on black: no noise layer's
WANTED[:, :, 40:90, 30:80] = 1.0


@pytest.fixture(scope="module")
def delta() -> tuning.Delta:
    return tuning.tune(SMALL, W, WANTED, PixelLoss(), SETTINGS)


def distance(generator: tiny.TinyGenerator, w: Tensor, wanted: Tensor) -> float:
    with torch.no_grad():
        return float((generator.synthesize(w) - wanted).square().mean())


def test_the_tuned_generator_draws_what_the_code_cannot_say(delta: tuning.Delta) -> None:
    assert distance(tuning.tuned(SMALL, delta), W, WANTED) < 0.8 * distance(SMALL, W, WANTED)


def test_the_delta_names_the_fine_layers_and_is_small_to_keep(delta: tuning.Delta) -> None:
    assert list(delta) == SMALL.fine_weights()
    for name, array in delta.items():
        assert array.dtype == np.float16
        assert array.shape == tuple(SMALL.get_parameter(name).shape)
        assert np.isfinite(array).all()
        assert np.abs(array).max() > 0


def test_progress_counts_the_steps_and_the_loss_falls() -> None:
    calls: list[tuple[int, float]] = []
    tuning.tune(SMALL, W, WANTED, PixelLoss(), SETTINGS, lambda *call: calls.append(call))
    assert [step for step, _ in calls] == list(range(1, SETTINGS.steps + 1))
    assert calls[-1][1] < 0.9 * calls[0][1]


def test_the_same_photo_gives_the_same_delta(delta: tuning.Delta) -> None:
    torch.manual_seed(77)
    again = tuning.tune(SMALL, W, WANTED, PixelLoss(), SETTINGS)
    assert all(np.array_equal(again[name], array) for name, array in delta.items())


def test_the_generator_itself_stays_as_it_is() -> None:
    generator = tiny.TinyGenerator(seed=6)
    before = copy.deepcopy(generator.state_dict())
    found = tuning.tune(generator, W, WANTED, PixelLoss(), SETTINGS)
    bent = tuning.tuned(generator, found)
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, before[name])
        if name in found:
            assert not torch.equal(bent.state_dict()[name], tensor)
        else:
            assert torch.equal(bent.state_dict()[name], tensor)
    assert not any(p.requires_grad or p.grad is not None for p in generator.parameters())
    assert bent.fingerprint == generator.fingerprint


def test_the_code_is_the_pivot() -> None:
    before = W.clone()
    tuning.tune(SMALL, W, WANTED, PixelLoss(), SETTINGS)
    assert torch.equal(W, before)


def test_a_delta_of_zeros_changes_nothing() -> None:
    shapes = {name: tuple(SMALL.get_parameter(name).shape) for name in SMALL.fine_weights()}
    zeros = {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}
    with torch.no_grad():
        assert torch.equal(tuning.tuned(SMALL, zeros).synthesize(W), SMALL.synthesize(W))


def test_a_tuned_copy_still_takes_edits(delta: tuning.Delta) -> None:
    """Another code moves both alike: the tuning does not freeze the picture."""
    moved = W.clone()
    moved[:, :2] += 0.5 * SMALL.mapping(draw_z(9))
    bent = tuning.tuned(SMALL, delta)
    with torch.no_grad():
        change = (bent.synthesize(moved) - bent.synthesize(W)).abs().mean()
        plain = (SMALL.synthesize(moved) - SMALL.synthesize(W)).abs().mean()
    assert change > 0.3 * plain


def test_the_delta_travels_with_the_code_to_the_bit(delta: tuning.Delta, tmp_path: Path) -> None:
    code = LatentCode(W[0].numpy(), SMALL.fingerprint, {"made_by": "encode"}, delta)
    codes.write_code(code, tmp_path / "face.safetensors")
    read = codes.read_code(tmp_path / "face.safetensors")
    assert read.tuning is not None
    assert set(read.tuning) == set(delta)
    for name, array in delta.items():
        assert read.tuning[name].dtype == np.float16
        assert read.tuning[name].tobytes() == np.ascontiguousarray(array).tobytes()
    one, two = tuning.tuned(SMALL, delta), tuning.tuned(SMALL, read.tuning)
    with torch.no_grad():
        assert torch.equal(one.synthesize(W), two.synthesize(W))


def without_one(delta: tuning.Delta) -> tuning.Delta:
    return dict(list(delta.items())[1:])


def with_another(delta: tuning.Delta) -> tuning.Delta:
    return {**delta, "dense.weight": np.zeros((512, 512), np.float16)}


def of_another_shape(delta: tuning.Delta) -> tuning.Delta:
    return {**delta, "rgb.bias": np.zeros(13, np.float16)}


@pytest.mark.parametrize("spoil", [without_one, with_another, of_another_shape, lambda _: {}])
def test_a_delta_that_does_not_fit_is_refused(delta: tuning.Delta, spoil: object) -> None:
    assert callable(spoil)
    message = refusal(SpaceMismatch, tuning.tuned, SMALL, spoil(delta))
    assert "does not fit this generator's layers" in message


def test_a_delta_of_another_generator_is_refused(delta: tuning.Delta) -> None:
    with pytest.raises(SpaceMismatch, match="encode the photo again"):
        tuning.tuned(tiny.TinyGenerator(sizes=(4, 8, 16, 32)), delta)
