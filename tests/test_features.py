"""The VGG-16 trunk: layer shapes, known values, distances."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from duchenne.encoding import features
from duchenne.encoding.features import VGG16Trunk, distance, normalised
from duchenne.weights import store

# Simonyan & Zisserman 2014, configuration D.
PUBLISHED = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]


def seeded_trunk() -> VGG16Trunk:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VGG16Trunk().requires_grad_(False).eval()


def test_the_thirteen_convolutions_are_the_published_ones() -> None:
    layers = [conv for block in seeded_trunk().blocks for conv in block]
    assert [conv.out_channels for conv in layers] == PUBLISHED
    assert [conv.in_channels for conv in layers] == [3, *PUBLISHED[:-1]]
    assert sum(p.numel() for conv in layers for p in conv.parameters()) == 14_714_688


def test_shapes_at_64_px() -> None:
    found = seeded_trunk()(torch.zeros(2, 3, 64, 64))
    assert [tuple(f.shape) for f in found] == [
        *((2, 64, 64, 64), (2, 128, 32, 32), (2, 256, 16, 16), (2, 512, 8, 8), (2, 512, 4, 4))
    ]
    assert all((f >= 0).all() for f in found)


def test_odd_sizes_round_up() -> None:
    found = seeded_trunk()(torch.zeros(1, 3, 33, 50))
    assert [tuple(f.shape[2:]) for f in found] == [(33, 50), (17, 25), (9, 13), (5, 7), (3, 4)]


def test_the_mean_colour_is_zero_to_the_network() -> None:
    """Caffe's mean colour in RGB gives the first layer nothing but its bias."""
    trunk = seeded_trunk()
    mean = torch.tensor([123.68, 116.779, 103.939]) / 127.5 - 1
    first = trunk.blocks[0][0]
    seen = []
    first.register_forward_hook(lambda module, inputs, output: seen.append(output))
    trunk(mean.view(1, 3, 1, 1).expand(1, 3, 32, 32))
    expected = first.bias.view(1, -1, 1, 1).expand_as(seen[0])
    torch.testing.assert_close(seen[0], expected, atol=1e-4, rtol=0)


def test_normalised_features_have_unit_length_and_no_nan_at_zero() -> None:
    x = torch.randn(1, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    x[:, :, 0, 0] = 0
    (unit,) = normalised([x])
    lengths = unit.norm(dim=1)
    assert lengths[0, 0, 0] == 0
    torch.testing.assert_close(lengths.flatten()[1:], torch.ones(15))


def test_distance_by_hand() -> None:
    """Two places: one equal, one with orthogonal unit vectors (squared distance 2): mean 1."""
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).T.view(1, 2, 1, 2)
    b = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).T.view(1, 2, 1, 2)
    assert distance([a], [b]) == pytest.approx(1.0)
    assert distance([a, a], [b, b]) == pytest.approx(2.0)
    assert distance([a, b], [a, b]) == 0


def test_distance_has_a_gradient() -> None:
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    target = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    trunk = seeded_trunk()
    distance(normalised(trunk(image)), normalised(trunk(target))).backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert image.grad.abs().sum() > 0


def test_lists_of_other_lengths_are_refused() -> None:
    x = torch.zeros(1, 2, 2, 2)
    with pytest.raises(ValueError, match="zip"):
        distance([x], [x, x])


@pytest.mark.weights
def test_the_first_convolution_by_hand_from_the_file() -> None:
    """On one flat colour the inside of the first layer is sum(kernel) (BGR - mean) + bias."""
    trunk = features.load()
    assert not any(p.requires_grad for p in trunk.parameters())
    with h5py.File(store.locate("hed-vgg16"), "r") as file:
        layer = file["block1/layers/conv2d/vars"]
        kernel, bias = np.array(layer["0"], np.float64), np.array(layer["1"], np.float64)
        depths = [f[f"layers/conv2d{s}/vars/0"].shape for f, s in [(file["block5"], "_2")]]
    assert kernel.shape == (3, 3, 3, 64)  # height, width, in, out
    assert depths == [(3, 3, 512, 512)]
    red, green, blue = 200.0, 100.0, 30.0
    seen = []
    trunk.blocks[0][0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    colour = torch.tensor([red, green, blue]) / 127.5 - 1
    trunk(colour.view(1, 3, 1, 1).expand(1, 3, 32, 32).contiguous())
    bgr = np.array([blue - 103.939, green - 116.779, red - 123.68])
    by_hand = np.einsum("hwio,i->o", kernel, bgr) + bias
    np.testing.assert_allclose(seen[0][0, :, 16, 16].numpy(), by_hand, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(
        trunk.blocks[0][0].weight.numpy(), kernel.transpose(3, 2, 0, 1).astype(np.float32)
    )


@pytest.mark.weights
def test_the_trained_trunk_tells_pictures_apart() -> None:
    """Nearer to itself made darker than to noise."""
    trunk = features.load()
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    disc = ((x.square() + y.square()) < 0.4).float().expand(1, 3, 64, 64) - 0.5
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    one, darker, other = (normalised(trunk(p)) for p in (disc, disc * 0.8 - 0.1, noise))
    assert distance(one, one) == 0
    assert distance(one, darker) < 0.3 * distance(one, other)
