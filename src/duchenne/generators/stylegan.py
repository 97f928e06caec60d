"""What StyleGAN 1 and 2 share: the mapping network, the noise, the fingerprint of the weights."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import View
from .spec import SLOPE

NoiseMode = Literal["const", "none", "random"]


class MappingNetwork(nn.Module):
    """z to w: normalise, then dense layers with LeakyReLU (Karras et al. 2019, figure 1).

    The checkpoints keep the weights unscaled and multiply by a gain at run time (equalised learning
    rate); here the gain is in the weights already.

    widths: units from z to w, both ends included. gain: factor after every activation.
    """

    def __init__(self, widths: Sequence[int], gain: float) -> None:
        super().__init__()
        self.gain = gain
        pairs = itertools.pairwise(widths)
        self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in pairs)

    def forward(self, z: Tensor) -> Tensor:
        """z: [B, Z] standard normal -> w: [B, W]."""
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE) * self.gain
        return x


@dataclass(frozen=True)
class NoiseSource:
    """Which noise a pass adds to its layers.

    mode: "const" is the file's own noise, the same for every image; "none" leaves it out; "random"
        draws it anew for every image.
    rng: where "random" draws from; None is PyTorch's default generator.
    """

    mode: NoiseMode = "const"
    rng: torch.Generator | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(NoiseMode):
            known = ", ".join(get_args(NoiseMode))
            raise ValueError(f"noise {self.mode!r}: expected one of {known}")

    def draw(self, view: View, layer: int, constant: Tensor | None, batch: int) -> Tensor | None:
        """Unscaled noise of a layer in the view's window: [1 or batch, 1, h, w]; None for none.

        constant: [1, 1, size, size] the layer's own noise, None in a network without noise.
        """
        if constant is None or self.mode == "none":
            return None
        window = view.noise(layer, constant)
        if self.mode == "const":
            return window
        shape = (batch, 1, *window.shape[2:])
        return torch.randn(shape, generator=self.rng, device=window.device, dtype=window.dtype)


def at_size(image: Tensor, full: int, size: int | None) -> Tensor:
    """The image at a smaller size: means of square tiles.

    The sum of the RGB layers up to a resolution is not a small version of the image (the later
    layers add to it at every scale), so a pass runs whole and its result is averaged.

    image: [B, 3, h, w], a window of the full canvas of side `full`; size: side of the canvas that
    is wanted, None for the full one. Raises ValueError where size does not divide the canvas.
    """
    if size is None or size == full:
        return image
    if not 0 < size < full or full % size:
        raise ValueError(f"size {size}: expected a divisor of {full}, the side of the full image")
    tile = full // size
    if image.shape[2] % tile or image.shape[3] % tile:
        window = f"{image.shape[3]} x {image.shape[2]}"
        raise ValueError(
            f"a window of {window} pixels does not split into tiles of {tile} x {tile}"
        )
    return F.avg_pool2d(image, tile)


def fingerprint(kind: str, size: int, state: Mapping[str, Tensor], config: str) -> str:
    """'<kind>-<size>-<12 hex digits>' of the sha256 over the configuration and all tensors.

    state: float32 tensors of a network's `state_dict`, hashed by name: names, shapes, values.
    config: the configuration as JSON. The same network has the same fingerprint whatever file
    format it came from.
    """
    digest = hashlib.sha256(config.encode())
    for name in sorted(state):
        tensor = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return f"{kind}-{size}-{digest.hexdigest()[:12]}"


def resolutions(size: int) -> tuple[int, ...]:
    """4, 8, ..., size: the resolution of every block."""
    return tuple(4 << k for k in range(size.bit_length() - 2))
