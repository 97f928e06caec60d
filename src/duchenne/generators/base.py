"""What a generator is to the rest of the library, and how one pass looks at a latent code.

A StyleGAN reads the code through one affine map per convolution: style = A w_row + c, which scales
the channels of that convolution's input. Nothing forces the style to be the same everywhere on the
canvas. A `View` decides what each layer sees: `PlainView` the same code everywhere (the published
networks), `duchenne.editing.regional.RegionalView` a code that differs from place to place.
"""

from __future__ import annotations

from typing import Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn


class View(Protocol):
    """How one pass through a generator looks at the latent code."""

    def style(self, affine: nn.Linear, row: int, size: int) -> Tensor:
        """Style of one layer: [B, C, 1, 1], or [B, C, h, w] where it varies over the canvas.

        row: the row of W+ that the layer reads; size: resolution of the layer's input.
        """
        ...

    def enter(self, size: int, x: Tensor) -> Tensor:
        """Called with the upsampled input of resolution `size`; may cut it down to a window."""
        ...

    def noise(self, layer: int, noise: Tensor) -> Tensor:
        """The window of a layer's constant noise [1, 1, size, size]."""
        ...

    def visit(self, layer: int, size: int, x: Tensor) -> Tensor:
        """Called with the output of every convolution layer; returns what goes on from there."""
        ...

    def moments(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """What a layer with instance normalisation takes for mean and deviation of the canvas.

        x: [B, C, h, w], the layer's activations in the window. Returns [B, C, 1, 1] each. A view
        of a window must know them; one whose styles vary over the canvas should, so that an edit in
        one place does not move the statistics everywhere.
        """
        ...

    def finish(self, size: int, image: Tensor) -> Tensor:
        """Called with an image that was summed up over resolutions, past what `visit` sees."""
        ...


class PlainView:
    """The same code on the whole canvas. w: [B, L, 512] float32."""

    def __init__(self, w: Tensor) -> None:
        self.w = w

    def style(self, affine: nn.Linear, row: int, size: int) -> Tensor:
        style: Tensor = affine(self.w[:, row])
        return style[:, :, None, None]  # [B, C, 1, 1]

    def enter(self, size: int, x: Tensor) -> Tensor:
        return x

    def noise(self, layer: int, noise: Tensor) -> Tensor:
        return noise

    def visit(self, layer: int, size: int, x: Tensor) -> Tensor:
        return x

    def moments(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        return canvas_moments(x)

    def finish(self, size: int, image: Tensor) -> Tensor:
        return image


class Generator(Protocol):
    """A pretrained StyleGAN: W+ code in, face out. Implementations are `nn.Module`s.

    rows: number of W+ rows L; size: side of the full image in pixels.
    row_sizes: [L] the resolution whose layers each row steers first.
    layer_sizes: resolution of the output of every convolution layer that `View.visit` sees.
    fingerprint: names the network and a hash of its weights; codes and boundaries carry it.
    z_dim: length of the normal vectors that `mapping` takes.
    w_mean: [512], the centre of W (what truncation pulls towards), on the generator's device.
    """

    rows: int
    size: int
    row_sizes: tuple[int, ...]
    layer_sizes: tuple[int, ...]
    fingerprint: str
    z_dim: int
    w_mean: Tensor

    def mapping(self, z: Tensor) -> Tensor:
        """z: [B, z_dim] standard normal -> w: [B, 512]."""
        ...

    def run(self, view: View, size: int | None = None) -> Tensor:
        """One pass: image [B, 3, h, w] in about [-1, 1] of the view's window.

        size: output side; None is the full size. Smaller sizes stop early and are cheaper.
        """
        ...

    def synthesize(self, w: Tensor, size: int | None = None) -> Tensor:
        """w: [B, L, 512] (W+) or [B, 512] (W) -> image [B, 3, H, W] in about [-1, 1]."""
        ...

    def fine_weights(self) -> list[str]:
        """Names of the convolutions from `fine_from` px up and of the RGB layer (`tuning`)."""
        ...


def fine_from(size: int) -> int:
    """The resolution from which layers draw texture: 64 px of 1024."""
    return max(8, size // 16)


def as_rows(w: Tensor, rows: int) -> Tensor:
    """W to W+: [B, 512] -> [B, L, 512] with equal rows; [B, L, 512] is checked and passed on."""
    if w.dim() == 2:
        return w[:, None].expand(-1, rows, -1)
    if w.dim() != 3 or w.shape[1] != rows:
        raise ValueError(f"expected w of shape [B, {rows}, 512] or [B, 512], got {list(w.shape)}")
    return w


def truncate(w: Tensor, w_mean: Tensor, psi: float) -> Tensor:
    """Truncation trick (Karras et al. 2019): w_mean + psi (w - w_mean), in W or W+."""
    return w_mean + psi * (w - w_mean)


def canvas_moments(x: Tensor, epsilon: float = 1e-8) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the canvas: [B, C, h, w] -> [B, C, 1, 1] each."""
    mean = x.mean(dim=(2, 3), keepdim=True)
    return mean, torch.sqrt((x - mean).square().mean(dim=(2, 3), keepdim=True) + epsilon)


def draw_z(seed: int, count: int = 1, dim: int = 512) -> Tensor:
    """[count, dim] standard normal of one seed: row i is the same whatever `count` is."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=rng)


def draw_w(generator: Generator, seed: int, count: int = 1) -> Tensor:
    """[count, 512] codes in W of one seed, on the generator's device."""
    z = draw_z(seed, count, generator.z_dim)
    return generator.mapping(z.to(generator.w_mean.device))


_DRAWS: WeakKeyDictionary[Generator, Tensor] = WeakKeyDictionary()


def many_w(generator: Generator) -> Tensor:
    """[10 000, 512] codes in W, whose statistics are the generator's; drawn once for each."""
    if generator not in _DRAWS:
        _DRAWS[generator] = draw_w(generator, 0, 10_000)
    return _DRAWS[generator]


def w_deviation(generator: Generator) -> Tensor:
    """[512], the standard deviation of W."""
    return many_w(generator).std(dim=0)
