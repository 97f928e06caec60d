"""StyleGAN2's generator (Karras et al. 2020, with the options of StyleGAN2-ADA).

A learned constant of 4 px, then one block per resolution. A block holds two 3x3 convolutions (the
first one doubles the resolution; the 4 px block has only the second), each with modulation,
demodulation, noise, bias and LeakyReLU, and a 1x1 RGB layer. Three architectures differ in how
the image is put together: "skip" adds up the RGB layers of all blocks, "resnet" has one RGB layer
at the end and a residual branch around each block, "orig" only the RGB layer at the end.

Modulation scales the *input* of a convolution and demodulation its *output*; the weights stay
shared, so a style may differ from image to image and from place to place at no extra cost (the
original's fused path makes one set of weights per image).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import PlainView, View, as_rows, fine_from
from .spec import SLOPE
from .stylegan import MappingNetwork, NoiseMode, NoiseSource, at_size, resolutions

Architecture = Literal["skip", "resnet", "orig"]
EPSILON = 1e-8  # under the root of the demodulation
ACTIVATION_GAIN = 2**0.5  # restores the variance that LeakyReLU takes away


@dataclass(frozen=True)
class StyleGAN2Config:
    """What a state dict alone does not say, and the widths that it does.

    size: side of the image, a power of two. channels: width of every block, from 4 px to `size`.
    mapping: widths of the mapping network from z to w. clamp: bound on the activations after each
    layer (networks trained in mixed precision), None for none. noise: whether layers add noise.
    """

    size: int
    channels: tuple[int, ...]
    mapping: tuple[int, ...] = (512,) * 9
    architecture: Architecture = "skip"
    clamp: float | None = None
    noise: bool = True


class StyledConv(nn.Module):
    """The parameters of one modulated 3x3 convolution and of what follows it."""

    noise: Tensor | None

    def __init__(self, inputs: int, outputs: int, size: int, w_dim: int, noise: bool) -> None:
        super().__init__()
        self.affine = nn.Linear(w_dim, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.register_buffer("noise", torch.empty(1, 1, size, size) if noise else None)
        self.noise_strength = nn.Parameter(torch.empty(())) if noise else None


class ToRGB(nn.Module):
    """The parameters of a modulated 1x1 convolution to RGB, without demodulation."""

    def __init__(self, inputs: int, w_dim: int) -> None:
        super().__init__()
        self.affine = nn.Linear(w_dim, inputs)
        self.weight = nn.Parameter(torch.empty(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.empty(3))


class Block(nn.Module):
    """The layers of one resolution; see the module's docstring for which of them exist."""

    conv0: StyledConv | None
    rgb: ToRGB | None

    def __init__(self, config: StyleGAN2Config, index: int) -> None:
        super().__init__()
        size, outputs, w_dim = 4 << index, config.channels[index], config.mapping[-1]
        last = size == config.size
        self.conv0 = self.rgb = None
        self.skip: nn.Parameter | None = None
        if index:
            inputs = config.channels[index - 1]
            self.conv0 = StyledConv(inputs, outputs, size, w_dim, config.noise)
            if config.architecture == "resnet":
                self.skip = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        self.conv1 = StyledConv(outputs, outputs, size, w_dim, config.noise)
        if last or config.architecture == "skip":
            self.rgb = ToRGB(outputs, w_dim)


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """1 / norm of the modulated weights of every output channel (Karras et al. 2020, equation 3).

    weight: [O, I, k, k]; style: [B, I, h, w], 1 x 1 or one style per position. Returns
    [B, O, h, w]: sum over I, k, k of (w s)^2 is a 1x1 convolution of s^2 with sum_k w^2.
    """
    power = weight.square().sum(dim=(2, 3))[:, :, None, None]  # [O, I, 1, 1]
    return torch.rsqrt(F.conv2d(style.square(), power) + EPSILON)


def modulated_conv(x: Tensor, weight: Tensor, style: Tensor) -> Tensor:
    """Modulated and demodulated convolution, same size. x, style: [B, I, h, w] -> [B, O, h, w].

    With one style for the whole canvas this is the published convolution with per-image weights.
    Where the style varies, a position is demodulated by the style found there.
    """
    x = F.conv2d(x * style, weight, padding=weight.shape[-1] // 2)
    return x * demodulation(weight, style)


def modulated_up_conv(x: Tensor, weight: Tensor, style: Tensor, fir: Tensor) -> Tensor:
    """The same, and twice the size: [B, I, h, w] -> [B, O, 2 h, 2 w].

    A transposed convolution (stride 2) that the FIR filter smooths. The demodulation factors of a
    spatial style exist at the input's positions and are interpolated to the output's.
    """
    x = F.conv_transpose2d(x * style, weight.transpose(0, 1), stride=2)  # [B, O, 2 h + 1, 2 w + 1]
    x = _filter(F.pad(x, (1, 1, 1, 1)), fir)
    factor = demodulation(weight, style)
    if factor.shape[2:] != (1, 1):
        factor = F.interpolate(factor, scale_factor=2, mode="bilinear", align_corners=False)
    return x * factor


def upsample(x: Tensor, fir: Tensor) -> Tensor:
    """Zero-insertion and FIR low-pass filter: [B, C, h, w] -> [B, C, 2 h, 2 w]."""
    b, c, h, w = x.shape
    spread = F.pad(x.reshape(b, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1)).reshape(b, c, 2 * h, 2 * w)
    return _filter(F.pad(spread, (2, 1, 2, 1)), fir)


def _filter(x: Tensor, fir: Tensor) -> Tensor:
    """Convolve every channel with fir [4, 4]; gain 4 makes up for the zeros between pixels."""
    channels = x.shape[1]
    kernel = fir.flip(0, 1) * 4.0  # a convolution: conv2d correlates
    return F.conv2d(x, kernel.expand(channels, 1, 4, 4), groups=channels)


class StyleGAN2(nn.Module):
    """The generator; see the module's docstring and `generators.base.Generator`.

    Convolution i (counted from the 4 px one) reads row i of W+; the RGB layer of block k reads row
    2 k + 1, the one that the next block's first convolution reads too. So there are
    2 log2(size) - 2 rows, 18 at 1024 px: the numbering of NVIDIA, rosinality and GenForce.

    Windows. The up-convolution of a block is the first thing that happens at its resolution, so
    `View.enter` gets its *output*, before noise and bias: that is the first tensor of the new size
    that may be cut. One output pixel of the up-convolution (3x3 and the 4-tap filter at stride 2),
    of the image's and of the residual's upsampling depends on input pixels up to 1 away. In a
    window, the outer 2 pixels of what `enter` gets are therefore wrong unless they lie on the
    canvas border, and `conv1` makes it 1 more: a window of size s needs a window of size s / 2 that
    reaches 1 input pixel further. Features, image and residual go through `enter` one by one, with
    the same `size`: it must cut each of them alike. The upsampled image of "skip" networks is
    wrong for 2, 6, 14, ... pixels at the next resolutions, up to 2 pixels of where it was cut.
    `View.finish` gets the image.
    """

    kind = "stylegan2"
    constant: Tensor
    fir: Tensor
    w_mean: Tensor

    def __init__(self, config: StyleGAN2Config, fingerprint: str = "untrained") -> None:
        super().__init__()
        self.config = config
        self.fingerprint = fingerprint
        self.size = config.size
        self.z_dim, self.w_dim = config.mapping[0], config.mapping[-1]
        sizes = resolutions(config.size)
        assert len(sizes) == len(config.channels)
        self.layer_sizes = (4, *(size for size in sizes[1:] for _ in (0, 1)))
        self.row_sizes = (*self.layer_sizes, config.size)
        self.rows = len(self.row_sizes)
        self.mapping = MappingNetwork(config.mapping, ACTIVATION_GAIN)
        self.constant = nn.Parameter(torch.empty(1, config.channels[0], 4, 4))
        self.blocks = nn.ModuleList(Block(config, k) for k in range(len(sizes)))
        self.register_buffer("fir", torch.empty(4, 4))
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
        image: Tensor | None = None
        for k, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x = self._features(block, k, x, view, source)
            if image is not None:
                image = view.enter(4 << k, upsample(image, self.fir))
            if block.rgb is not None:
                rgb = self._rgb(block.rgb, k, x, view)
                image = rgb if image is None else image + rgb
        assert image is not None
        return at_size(view.finish(self.size, image), self.size, size)

    def fine_weights(self) -> list[str]:
        first = fine_from(self.size).bit_length() - 3
        parts = ("conv0.weight", "conv1.weight", "rgb.weight", "rgb.bias")
        names = [f"blocks.{k}.{part}" for k in range(first, len(self.blocks)) for part in parts]
        known = dict(self.named_parameters())
        return [name for name in names if name in known]

    def _features(self, block: Block, k: int, x: Tensor, view: View, source: NoiseSource) -> Tensor:
        """One block without its RGB layer."""
        size, last = 4 << k, 2 * k  # `last`: number of the block's last convolution
        residual, gain = None, 1.0
        if block.skip is not None:
            gain = 0.5**0.5  # keeps the variance of the sum of two branches
            residual = view.enter(size, upsample(F.conv2d(x, block.skip), self.fir)) * gain
        if block.conv0 is not None:
            style = view.style(block.conv0.affine, last - 1, size // 2)
            x = view.enter(size, modulated_up_conv(x, block.conv0.weight, style, self.fir))
            x = self._finish(block.conv0, last - 1, x, view, source)
            x = view.visit(last - 1, size, x)
        style = view.style(block.conv1.affine, last, size)
        x = modulated_conv(x, block.conv1.weight, style)
        x = self._finish(block.conv1, last, x, view, source, gain)
        if residual is not None:
            x = residual + x
        return view.visit(last, size, x)  # with its residual: what the next block gets

    def _finish(
        self,
        conv: StyledConv,
        layer: int,
        x: Tensor,
        view: View,
        source: NoiseSource,
        gain: float = 1.0,
    ) -> Tensor:
        """Noise, bias, LeakyReLU, gain, clamp."""
        noise = source.draw(view, layer, conv.noise, x.shape[0])
        if noise is not None and conv.noise_strength is not None:
            x = x + noise * conv.noise_strength
        x = F.leaky_relu(x + conv.bias[:, None, None], SLOPE) * (ACTIVATION_GAIN * gain)
        clamp = self.config.clamp
        return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)

    def _rgb(self, rgb: ToRGB, k: int, x: Tensor, view: View) -> Tensor:
        style = view.style(rgb.affine, 2 * k + 1, 4 << k)
        image = F.conv2d(x * style, rgb.weight, rgb.bias)
        clamp = self.config.clamp
        return image if clamp is None else image.clamp(-clamp, clamp)
