"""The network that sees what covers a face; `covering` asks it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..files import codes
from .covering import FORMAT, WINDOW, arrays

WIDTHS = (24, 40, 64)  # channels at a quarter, an eighth and a sixteenth of SEEN


class Finder(nn.Module):
    """Aligned crops -> where something covers the face: a small U-Net (Ronneberger et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS
        self.fine = nn.Sequential(_layer(3 * 16 + 2, fine), _layer(fine, fine))
        self.middle = nn.Sequential(_layer(fine, middle, stride=2), _layer(middle, middle))
        self.coarse = nn.Sequential(
            _layer(middle, coarse, stride=2), _layer(coarse, coarse, dilation=2)
        )
        self.to_middle, self.to_fine = nn.Conv2d(coarse, middle, 1), nn.Conv2d(middle, fine, 1)
        self.join_middle, self.join_fine = _layer(middle, middle), _layer(fine, fine)
        self.last = nn.Conv2d(fine, 16, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, 3, SEEN, SEEN] in [-1, 1] -> logits [B, 1, h, w], of WINDOW."""
        x = F.pixel_unshuffle(pictures[..., *WINDOW], 4)
        along = (torch.linspace(-1, 1, n) for n in x.shape[-2:])
        places = torch.stack(torch.meshgrid(*along, indexing="ij"))
        fine = self.fine(torch.cat([x, places.expand(len(x), -1, -1, -1)], dim=1))
        middle = self.middle(fine)
        coarse = self.to_middle(self.coarse(middle))
        middle = self.join_middle(F.interpolate(coarse, scale_factor=2) + middle)
        fine = self.join_fine(F.interpolate(self.to_fine(middle), scale_factor=2) + fine)
        return F.pixel_shuffle(self.last(fine), 4)


def built_in() -> Finder:
    """The package's."""
    network = Finder()
    network.load_state_dict({k: torch.from_numpy(v) for k, v in arrays().items()})
    return network.eval()


def save(network: Finder, path: Path, provenance: Mapping[str, Any]) -> None:
    """Write a finder as safetensors. Atomic."""
    tensors = {k: v.detach().half().numpy() for k, v in network.state_dict().items()}
    codes.write_tensors(tensors, {"format": FORMAT}, provenance, path)


def _layer(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation)
    return nn.Sequential(convolution, nn.GroupNorm(4, outputs), nn.SiLU())
