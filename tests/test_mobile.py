"""The built-in generator against OpenVINO running the wheel's own files, and by hand."""

from __future__ import annotations

import copy

import numpy as np
import openvino as ov
import pytest
import torch
from torch.nn import functional as F

from duchenne.generators import built_in, mobile
from duchenne.generators.base import as_rows, draw_z, truncate
from duchenne.generators.mobile import MobileStyleGAN, inverse_haar
from duchenne.weights import store

SEEDS = range(8)
TOLERANCE = 1e-3


# Without weights


def test_shapes_agree_with_the_rows() -> None:
    assert MobileStyleGAN.rows == len(MobileStyleGAN.row_sizes) == 16
    assert MobileStyleGAN.row_sizes[:5] == (4, 8, 8, 16, 16)
    assert MobileStyleGAN.row_sizes[-1] == MobileStyleGAN.size == 1024
    assert MobileStyleGAN.layer_sizes == MobileStyleGAN.row_sizes[:-1]


@pytest.mark.parametrize("shape", [(1, 15, 512), (1, 17, 512), (512,), (1, 1, 16, 512)])
def test_codes_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected w of shape \[B, 16, 512\] or \[B, 512\], got"):
        as_rows(torch.zeros(shape), 16)


def test_w_is_repeated_in_every_row() -> None:
    w = draw_z(0, 2)
    rows = as_rows(w, 16)
    assert rows.shape == (2, 16, 512)
    assert all(torch.equal(rows[:, row], w) for row in range(16))
    assert as_rows(rows, 16) is rows


def test_a_seed_gives_the_same_draws_whatever_the_count() -> None:
    one, many = draw_z(7), draw_z(7, 5)
    assert torch.equal(one[0], many[0])
    assert torch.equal(draw_z(7, 3), many[:3])
    assert not torch.equal(draw_z(8), one)


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    draw_z(7, 3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_inverse_haar_by_hand() -> None:
    """One cell: low 8, vertical 4, horizontal 2, diagonal 1 -> [[15, 9], [5, 3]] / 2."""
    x = torch.tensor([8.0, 4.0, 2.0, 1.0]).view(1, 4, 1, 1)
    expected = torch.tensor([[8 + 4 + 2 + 1, 8 + 4 - 2 - 1], [8 - 4 + 2 - 1, 8 - 4 - 2 + 1]]) / 2
    assert torch.equal(inverse_haar(x)[0, 0], expected)


def test_inverse_haar_puts_channels_and_places_where_they_belong() -> None:
    x = draw_z(0, 2, 12 * 3 * 5).view(2, 12, 3, 5)
    out = inverse_haar(x)
    assert out.shape == (2, 3, 6, 10)
    for channel in range(3):
        alone = inverse_haar(x[:, 4 * channel : 4 * channel + 4])
        torch.testing.assert_close(out[:, channel : channel + 1], alone)
    one = inverse_haar(x[1:, :, 2:, 4:])
    torch.testing.assert_close(out[1:, :, 4:, 8:], one)


def test_inverse_haar_is_orthonormal() -> None:
    """It keeps lengths and angles: its matrix times its transpose is the unit matrix."""
    basis = torch.eye(4 * 2 * 2).view(16, 4, 2, 2)
    matrix = inverse_haar(basis).flatten(1)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(16))


def test_the_low_band_is_twice_the_mean() -> None:
    x = draw_z(1, 1, 12 * 4 * 4).view(1, 12, 4, 4)
    torch.testing.assert_close(F.avg_pool2d(inverse_haar(x), 2), x[:, ::4] / 2)


def test_fine_weights_are_the_convolutions_from_64_px_and_the_rgb_layer() -> None:
    with torch.device("meta"):
        network = MobileStyleGAN()
    names = network.fine_weights()
    assert len(names) == len(set(names)) == 4 * 2 * 2 + 2  # 64 to 512 px, two convolutions of two
    blocks = {name.split(".")[1] for name in names if name.startswith("blocks.")}
    assert blocks == {f"{k}" for k in range(7) if 8 << k >= 64}
    assert names[-2:] == ["rgb.weight", "rgb.bias"]
    for name in names:
        assert network.get_parameter(name).dim() == (1 if name.endswith("bias") else 4)
    assert sum(network.get_parameter(name).numel() for name in names) * 2 < 1_000_000  # float16


# With them


@pytest.fixture(scope="module")
def reference() -> dict[str, ov.CompiledModel]:
    """The wheel's own networks, mapping and synthesis, on OpenVINO."""
    core = ov.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return {
        kind: core.compile_model(
            core.read_model(
                store.locate(f"mobilestylegan-{kind}-xml"),
                store.locate(f"mobilestylegan-{kind}-bin"),
            ),
            "CPU",
            options,
        )
        for kind in ("mapping", "synthesis")
    }


@pytest.mark.weights
def test_parity_with_the_wheels_own_networks(
    generator: MobileStyleGAN, reference: dict[str, ov.CompiledModel]
) -> None:
    apart = []
    for seed in SEEDS:
        z = draw_z(seed)
        expected_w = reference["mapping"](z.numpy())[0].reshape(1, 512)
        w = generator.mapping(z)
        assert np.abs(w.numpy() - expected_w).max() <= TOLERANCE
        w = truncate(w, generator.w_mean, 0.7)
        expected = reference["synthesis"](w.numpy())[0]
        with torch.no_grad():
            image = generator.synthesize(w).numpy()
        assert image.shape == expected.shape == (1, 3, 1024, 1024)
        apart.append(np.abs(image - expected).max())
        assert image.std() > 0.1
    assert max(apart) <= TOLERANCE


@pytest.mark.weights
def test_equal_rows_are_w_to_the_bit_and_half_the_side_is_the_mean(
    generator: MobileStyleGAN,
) -> None:
    w = truncate(generator.mapping(draw_z(3)), generator.w_mean, 0.7)
    with torch.no_grad():
        image = generator.synthesize(w)
        assert torch.equal(generator.synthesize(w[:, None].repeat(1, 16, 1)), image)
        half = generator.synthesize(w, 512)
        assert torch.equal(generator.synthesize(w, 1024), image)
    torch.testing.assert_close(half, F.avg_pool2d(image, 2), atol=1e-5, rtol=0)


@pytest.mark.weights
@pytest.mark.parametrize("size", [256, 2048, 0])
def test_other_sizes_are_refused(generator: MobileStyleGAN, size: int) -> None:
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match=f"size {size}: this generator renders 1024 or 512"),
    ):
        generator.synthesize(generator.w_mean[None], size)


@pytest.mark.weights
def test_every_row_has_a_gradient(generator: MobileStyleGAN) -> None:
    network = copy.deepcopy(generator).to(memory_format=torch.channels_last)  # faster backwards
    w = network.w_mean.expand(1, 16, 512).clone().requires_grad_()
    network.synthesize(w, 512).square().mean().backward()
    assert w.grad is not None
    assert torch.isfinite(w.grad).all()
    assert (w.grad[0].norm(dim=1) > 0).all()


@pytest.mark.weights
def test_every_weight_is_accounted_for(generator: MobileStyleGAN) -> None:
    state = generator.state_dict()
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    assert all(tensor.std() > 0 for name, tensor in state.items() if name != "finish.noise")
    assert not any(parameter.requires_grad for parameter in generator.parameters())
    assert not generator.training
    for change in ({}, {"extra": torch.zeros(1)}):
        other = {name: tensor for name, tensor in state.items() if change or name != "rgb.bias"}
        with pytest.raises(RuntimeError, match=r"rgb\.bias|extra"):
            MobileStyleGAN().load_state_dict({**other, **change}, strict=True)


@pytest.mark.weights
def test_an_ir_with_a_missing_layer_is_refused(
    generator: MobileStyleGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = built_in._synthesis_state

    def without_one(model: ov.Model) -> dict[str, np.ndarray]:
        return {n: t for n, t in read(model).items() if n != "blocks.3.conv2.pointwise.weight"}

    monkeypatch.setattr(built_in, "_synthesis_state", without_one)
    with pytest.raises(RuntimeError, match=r"blocks\.3\.conv2\.pointwise\.weight"):
        mobile.load()


@pytest.mark.weights
def test_the_centre_of_w_and_the_fingerprint(generator: MobileStyleGAN) -> None:
    w = generator.mapping(draw_z(99, 5_000))
    spread = w.std(dim=0).mean()
    assert (w.mean(dim=0) - generator.w_mean).abs().mean() < 0.05 * spread
    assert generator.fingerprint.startswith("mobilestylegan-ffhq-")
