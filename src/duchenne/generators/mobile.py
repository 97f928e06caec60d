"""MobileStyleGAN (Belousov 2021), distilled from StyleGAN2-FFHQ at 1024 px.

The published checkpoint is an OpenVINO IR inside the wheel `random-face`. The network is rebuilt
here as a plain PyTorch module, so that it has gradients and a W+ space; the IR serves as a
container of weights and, in the tests, as the reference.

Inside: a learned constant, one 3x3 convolution at 4 px, then seven blocks from 8 to 512 px that
work on Haar wavelet coefficients: inverse wavelet transform (size x 2, channels / 4), then twice a
depthwise 3x3 and a pointwise 1x1 convolution. A last 1x1 gives the twelve wavelet coefficients of
the RGB image. The export folded demodulation into the weights and froze the noise: the generator
is deterministic.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import WIDTH
from . import built_in
from .base import PlainView, View, as_rows, fine_from
from .built_in import MAPPING_GAIN, MAPPING_LAYERS, WIDTHS
from .spec import SLOPE
from .stylegan import MappingNetwork

MEAN_DRAWS, MEAN_SEED = 10_000, 0  # the export has no w_avg; this many draws estimate it


class Finish(nn.Module):
    """What follows every convolution: constant noise, bias, LeakyReLU."""

    noise: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(1, channels, 1, 1))
        self.register_buffer("noise", torch.empty(1, 1, size, size))

    def forward(self, x: Tensor, view: View, layer: int) -> Tensor:
        # In place: a convolution's output is nobody else's, and memory is what an encoding needs.
        x = x.add_(view.noise(layer, self.noise) + self.bias)
        return F.leaky_relu_(x, SLOPE)


class SeparableConv(nn.Module):
    """Modulate, depthwise 3x3, pointwise 1x1, finish."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.affine = nn.Linear(WIDTH, inputs)
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.finish = Finish(outputs, size)


class Block(nn.Module):
    """One octave: inverse wavelet from size / 2 to size, then two separable convolutions."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, inputs)
        self.conv1 = SeparableConv(inputs // 4, outputs, size)
        self.conv2 = SeparableConv(outputs, outputs, size)


def inverse_haar(x: Tensor) -> Tensor:
    """Inverse Haar wavelet transform: [B, 4 C, h, w] -> [B, C, 2 h, 2 w].

    Every output channel in turn has its four coefficients: low band, then vertical, horizontal and
    diagonal details.
    """
    channels = int(x.shape[1])
    # A convolution with the 4 x 4 matrix on the diagonal: taking the bands apart and stacking the
    # corners moves memory, which costs more than all of a block's arithmetic. 16 channels at a time
    # are what vector units like.
    together = 16 if channels % 16 == 0 else channels
    mix = np.tile(np.kron(np.eye(together // 4), _CORNERS), (channels // together, 1))
    kernel = torch.from_numpy(mix[:, :, None, None]).to(x)  # [4 C, together, 1, 1]
    return F.pixel_shuffle(F.conv2d(x, kernel, groups=channels // together), 2)


# Rows: the corners of a 2 x 2 cell, in reading order. Columns: low, vertical, horizontal, diagonal.
_CORNERS = 0.5 * np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])


class MobileStyleGAN(nn.Module):
    """The generator; see the module's docstring. 16 rows of W+, 1024 x 1024 px.

    Row 0 steers the convolution at 4 px; block k (8 px << k) reads row 1 + 2 k in its wavelet and
    first convolution and row 2 + 2 k in its second; the last row steers the RGB layer.
    """

    z_dim = WIDTH
    rows, size = built_in.ROWS, built_in.SIZE
    row_sizes, layer_sizes = built_in.ROW_SIZES, built_in.LAYER_SIZES
    constant: Tensor
    w_mean: Tensor

    def __init__(self, fingerprint: str = "untrained") -> None:
        super().__init__()
        self.fingerprint = fingerprint
        self.mapping = MappingNetwork((WIDTH,) * (1 + MAPPING_LAYERS), gain=MAPPING_GAIN)
        self.register_buffer("constant", torch.empty(1, WIDTHS[0], 4, 4))
        self.affine = nn.Linear(WIDTH, WIDTHS[0])
        self.conv = nn.Conv2d(WIDTHS[0], WIDTHS[0], 3, padding=1, bias=False)
        self.finish = Finish(WIDTHS[0], 4)
        self.blocks = nn.ModuleList(
            Block(WIDTHS[k], WIDTHS[k + 1], 8 << k) for k in range(len(WIDTHS) - 1)
        )
        self.rgb_affine = nn.Linear(WIDTH, WIDTHS[-1])
        self.rgb = nn.Conv2d(WIDTHS[-1], 12, 1)
        self.register_buffer("w_mean", torch.zeros(WIDTH))

    def synthesize(self, w: Tensor, size: int | None = None) -> Tensor:
        """w: [B, 16, 512] or [B, 512] -> [B, 3, 1024, 1024] in about [-1, 1]."""
        return self.run(PlainView(as_rows(w, self.rows)), size)

    def run(self, view: View, size: int | None = None) -> Tensor:
        """One pass over the view's window; see `generators.base.Generator.run`."""
        x = self.constant * view.style(self.affine, 0, 4)
        x = view.visit(0, 4, self.finish(self.conv(x), view, 0))
        for k, block in enumerate(self.blocks):
            x = self._block(block, k, x, view)  # [B, C, 8 << k, 8 << k]
        coefficients = self.rgb(x * view.style(self.rgb_affine, self.rows - 1, self.size // 2))
        if size == self.size // 2:
            # The low band is the 2 x 2 mean of the full image.
            half: Tensor = coefficients[:, ::4] * 0.5
            return half
        if size not in (None, self.size):
            raise ValueError(f"size {size}: this generator renders {self.size} or {self.size // 2}")
        return inverse_haar(coefficients)

    def fine_weights(self) -> list[str]:
        first = self.layer_sizes.index(fine_from(self.size)) // 2
        layers = [
            f"blocks.{k}.conv{i}.{part}.weight"
            for k in range(first, len(self.blocks))
            for i in (1, 2)
            for part in ("depthwise", "pointwise")
        ]
        return [*layers, "rgb.weight", "rgb.bias"]

    @staticmethod
    def _block(block: nn.Module, k: int, x: Tensor, view: View) -> Tensor:
        assert isinstance(block, Block)
        size, first_row = 8 << k, 1 + 2 * k
        x = inverse_haar(x * view.style(block.up, first_row, size // 2))
        x = view.enter(size, x)
        for layer, conv in ((1 + 2 * k, block.conv1), (2 + 2 * k, block.conv2)):
            x = x * view.style(conv.affine, layer, size)  # row numbers and layer numbers agree
            x = conv.finish(conv.pointwise(conv.depthwise(x)), view, layer)
            x = view.visit(layer, size, x)
        return x


def load(weights: built_in.Weights | None = None) -> MobileStyleGAN:
    """The pretrained network, in evaluation mode on the CPU; every weight accounted for.

    weights: None reads them.
    """
    source = weights or built_in.weights()
    network = MobileStyleGAN(fingerprint=source.fingerprint)
    state = {name: torch.tensor(array) for name, array in source.arrays.items()}
    network.load_state_dict(state, strict=True)
    return network.requires_grad_(False).eval()


def estimated_mean(network: MobileStyleGAN) -> Tensor:
    """[512]: `w_mean`, which the export lacks, from many draws."""
    rng = torch.Generator().manual_seed(MEAN_SEED)
    with torch.no_grad():
        mean: Tensor = network.mapping(torch.randn(MEAN_DRAWS, WIDTH, generator=rng)).mean(dim=0)
    return mean
