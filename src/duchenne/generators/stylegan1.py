"""StyleGAN's generator (Karras et al. 2019), the one of the paper.

A learned constant of 4 px, then two layers per resolution, from 4 px to the full size. A layer is a
3x3 convolution (the first one of a resolution doubles the size and blurs; at 4 px it is the
constant itself), noise with a strength per channel, bias, LeakyReLU, and AdaIN: instance
normalisation, then scale and shift from the style. One 1x1 convolution gives the RGB image; the
RGB layers of the smaller resolutions served progressive growing and have no part in the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import PlainView, View, as_rows, fine_from
from .spec import SLOPE
from .stylegan import MappingNetwork, NoiseMode, NoiseSource, at_size, resolutions

BLUR = (0.25, 0.5, 0.25)  # the binomial filter after every upsampling


@dataclass(frozen=True)
class StyleGAN1Config:
    """Widths, and what a state dict does not say.

    size: side of the image, a power of two. channels: width of every resolution from 4 px up.
    mapping: widths of the mapping network from z to w. fused_from: the first resolution whose
    upsampling is one transposed convolution; below it, nearest-neighbour and convolution. (The
    official networks: 128 px. The two are not the same function: one correlates, one convolves.)
    """

    size: int
    channels: tuple[int, ...]
    mapping: tuple[int, ...] = (512,) * 9
    fused_from: int = 128


class StyledLayer(nn.Module):
    """The parameters of one layer. inputs: 0 for the layer that the constant is the input of."""

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, size: int, w_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3)) if inputs else None
        self.bias = nn.Parameter(torch.empty(outputs))
        self.noise_strength = nn.Parameter(torch.empty(outputs))
        self.register_buffer("noise", torch.empty(1, 1, size, size))
        self.affine = nn.Linear(w_dim, 2 * outputs)  # scale - 1, then shift


def up_conv(x: Tensor, weight: Tensor, fused: bool) -> Tensor:
    """Twice the size, convolve, blur: [B, I, h, w] -> [B, O, 2 h, 2 w]. weight: [O, I, 3, 3].

    fused: as a transposed convolution whose 4x4 kernel is the 3x3 one summed over the four pixels
    that nearest-neighbour upsampling would have made.
    """
    if fused:
        padded = F.pad(weight, (1, 1, 1, 1))
        kernel = (
            padded[:, :, 1:, 1:]
            + padded[:, :, :-1, 1:]
            + padded[:, :, 1:, :-1]
            + padded[:, :, :-1, :-1]
        )  # [O, I, 4, 4]
        x = F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2, padding=1)
    else:
        x = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, padding=1)
    return blur(x)


def blur(x: Tensor) -> Tensor:
    """The 3x3 binomial filter on every channel, zeros outside: [B, C, h, w], same shape."""
    channels = x.shape[1]
    taps = torch.tensor(BLUR, device=x.device, dtype=x.dtype)
    kernel = torch.outer(taps, taps).expand(channels, 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=channels)


class StyleGAN1(nn.Module):
    """The generator; see the module's docstring and `generators.base.Generator`.

    Layer i reads row i of W+: 2 log2(size) - 2 rows, 18 at 1024 px. `View.style` gives scale and
    shift together, [B, 2 C, 1 or h, 1 or w], at the resolution of the layer's *output* (AdaIN comes
    last). `View.visit` gets the output of AdaIN.

    Windows. `View.enter` gets the blurred output of the up-convolution, the first tensor of the new
    size. Convolution and blur reach 1 pixel each there, so in a window its outer 2 pixels are wrong
    unless they lie on the canvas border; the second convolution makes it 1 more. AdaIN's
    statistics are the whole canvas's, which a window does not see: `View.moments` brings them.
    """

    kind = "stylegan1"
    constant: Tensor
    w_mean: Tensor

    def __init__(self, config: StyleGAN1Config, fingerprint: str = "untrained") -> None:
        super().__init__()
        self.config = config
        self.fingerprint = fingerprint
        self.size = config.size
        self.z_dim, self.w_dim = config.mapping[0], config.mapping[-1]
        sizes = resolutions(config.size)
        assert len(sizes) == len(config.channels)
        self.layer_sizes = self.row_sizes = tuple(size for size in sizes for _ in (0, 1))
        self.rows = len(self.row_sizes)
        # The gain of the activation is part of the weights' own gain, not a factor after it.
        self.mapping = MappingNetwork(config.mapping, gain=1.0)
        self.constant = nn.Parameter(torch.empty(1, config.channels[0], 4, 4))
        inputs = (0, *(width for width in config.channels for _ in (0, 1)))
        self.layers = nn.ModuleList(
            StyledLayer(inputs[i], config.channels[i // 2], self.layer_sizes[i], self.w_dim)
            for i in range(self.rows)
        )
        self.rgb = nn.Conv2d(config.channels[-1], 3, 1)
        self.register_buffer("w_mean", torch.empty(self.w_dim))

    def synthesize(
        self,
        w: Tensor,
        size: int | None = None,
        noise: NoiseMode = "const",
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """w: [B, L, W] or [B, W] -> [B, 3, size, size] in about [-1, 1]."""
        return self.run(PlainView(as_rows(w, self.rows)), size, noise, rng)

    def run(
        self,
        view: View,
        size: int | None = None,
        noise: NoiseMode = "const",
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """One pass over the view's window; see `generators.base.Generator.run`.

        noise, rng: see `stylegan.NoiseSource`. A smaller `size` is averaged from the full image.
        """
        source = NoiseSource(noise, rng)
        x: Tensor = self.constant
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, StyledLayer)
            resolution = self.layer_sizes[i]
            if layer.weight is not None:
                if i % 2 == 0:
                    fused = resolution >= self.config.fused_from
                    x = view.enter(resolution, up_conv(x, layer.weight, fused))
                else:
                    x = F.conv2d(x, layer.weight, padding=1)
            x = self._finish(layer, i, x, view, source)
        return at_size(self.rgb(x), self.size, size)

    def fine_weights(self) -> list[str]:
        first = self.layer_sizes.index(fine_from(self.size))
        layers = [f"layers.{i}.weight" for i in range(first, self.rows)]
        return [*layers, "rgb.weight", "rgb.bias"]

    def _finish(
        self, layer: StyledLayer, index: int, x: Tensor, view: View, source: NoiseSource
    ) -> Tensor:
        """Noise, bias, LeakyReLU, AdaIN."""
        size = self.layer_sizes[index]
        style = view.style(layer.affine, index, size)  # [B, 2 C, 1 or h, 1 or w]
        noise = source.draw(view, index, layer.noise, style.shape[0])
        if noise is not None:
            x = x + noise * layer.noise_strength[:, None, None]
        x = F.leaky_relu(x + layer.bias[:, None, None], SLOPE)
        mean, deviation = view.moments(index, x)
        scale, shift = style.chunk(2, dim=1)
        x = (x - mean) / deviation * (scale + 1) + shift
        return view.visit(index, size, x)
