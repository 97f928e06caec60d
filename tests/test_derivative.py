"""Values and slopes from one compiled program, against autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tiny
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duchenne.encoding import features, losses
from duchenne.programs import derivative
from duchenne.programs.derivative import Untraceable, as_program, by_autograd, traced

SIDE = 32


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolution(inputs: int, outputs: int, groups: int = 1, stride: int = 1) -> nn.Conv2d:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups, stride=stride)
    return layer.requires_grad_(False)


DENSE, DEPTHWISE, STRIDED = convolution(3, 8), convolution(3, 3, 3), convolution(3, 8, stride=2)
OTHER = draw(1, 3, SIDE, SIDE, seed=1)
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "convolution": lambda x: DENSE(x).pow(3).sum(),
    "depthwise": lambda x: DEPTHWISE(x).pow(3).sum(),
    "strided": lambda x: STRIDED(x).pow(3).sum(),
    "window": lambda x: x[..., 5:21, -20:-3].pow(3).sum(),
    "every other": lambda x: x[:, ::2, 1::4].pow(3).sum(),
    "one channel": lambda x: (x[:, 1].pow(3) + x[:, -1]).sum(),
    "relu and pooling": lambda x: F.max_pool2d(F.relu(x), 2).pow(3).sum(),
    "odd pooling": lambda x: F.max_pool2d(F.relu(x[..., :31]), 2, ceil_mode=True).pow(3).sum(),
    "means": lambda x: F.adaptive_avg_pool2d(x, SIDE // 4).pow(3).sum(),
    "repeated": lambda x: (F.interpolate(x, scale_factor=2) * 2).pow(3).sum(),
    "in place": lambda x: F.leaky_relu_(x.add(0.5).mul_(2), 0.2).pow(3).sum(),
    "shuffled": lambda x: F.pixel_shuffle(DENSE(x)[:, :4], 2).pow(3).sum(),
    "directions": lambda x: features.distance(features.normalised([x]), [OTHER]),
    "squares": lambda x: F.mse_loss(x, OTHER) + F.mse_loss(x, OTHER, reduction="sum"),
    "bent": lambda x: (torch.tanh(x) + torch.sigmoid(x)).square().sum(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_traced_graph_has_the_value_and_slopes_of_autograd(name: str) -> None:
    x = draw(1, 3, SIDE, SIDE)
    value, (slope,) = by_autograd(FUNCTIONS[name], 1)(x)
    found_value, found_slope = traced(FUNCTIONS[name], 1, [x])(x)
    assert found_value.item() == pytest.approx(value, rel=1e-5)
    torch.testing.assert_close(found_slope, slope, rtol=1e-4, atol=1e-5 * slope.abs().max().item())


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("loss", ["pixel", "tiny trunk"])
def test_a_generator_and_a_loss_as_one_program(loss: str, exact: bool) -> None:
    """For other codes and other pictures than those it was compiled with."""
    generator = tiny.TinyGenerator(seed=5, sizes=(4, 8, 16))
    judge: losses.Loss = losses.PixelLoss()
    if loss != "pixel":
        judge = losses.DefaultLoss(TinyTrunk())  # type: ignore[arg-type]

    def function(w: Tensor, offset: Tensor, *kept: Tensor) -> Tensor:
        return judge.compare(generator.synthesize((w + offset)[None]), kept)

    def inputs(seed: int) -> list[Tensor]:
        wanted = draw(1, 3, generator.size, generator.size, seed=seed).clamp(-1, 1)
        w, offset = draw(generator.rows, 512, seed=seed), draw(512, seed=seed + 9)
        return [w, offset, *(k.detach() for k in judge.keep(wanted))]

    program = as_program(function, 2, inputs(0), threads=1, exact=exact)
    value, slopes = program(*inputs(1))
    right_value, right = by_autograd(function, 2)(*inputs(1))
    tolerance = 1e-4 if exact else 0.1
    assert value == pytest.approx(right_value, rel=tolerance)
    for found, wanted in zip(slopes, right, strict=True):
        assert found.shape == wanted.shape
        assert (found - wanted).norm() < tolerance * wanted.norm()


class TinyTrunk(nn.Module):
    """Two convolutions where VGG-16 has thirteen."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = convolution(3, 8), convolution(8, 8)

    def forward(self, images: Tensor) -> list[Tensor]:
        first = F.relu(self.one(images))
        return [first, F.relu(self.two(F.max_pool2d(first, 2)))]


def test_inputs_that_share_memory_stay_two() -> None:
    x = draw(1, 3, 8, 8)
    program = as_program(lambda a, b: (a * b).sum(), 1, [x, x], threads=1, exact=True)
    value, (slope,) = program(x, 2 * x)
    assert value == pytest.approx(2 * x.square().sum().item(), rel=1e-5)
    torch.testing.assert_close(slope, 2 * x)


def test_what_has_no_rule_is_refused() -> None:
    overlapping = lambda x: F.max_pool2d(x, 3, stride=1).sum()  # noqa: E731
    with pytest.raises(Untraceable, match="windows overlap"):
        as_program(overlapping, 1, [draw(1, 3, 8, 8)], threads=1)


def test_a_wrong_rule_is_found_before_anybody_trusts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = torch.ops.aten.threshold_backward.default
    monkeypatch.setitem(derivative._RULES, rule, lambda gradient, x, threshold: gradient)
    with pytest.raises(Untraceable, match="not those of autograd"):
        as_program(lambda x: (F.relu(x) + 1).pow(2).sum(), 1, [draw(1, 3, 8, 8)], threads=1)
