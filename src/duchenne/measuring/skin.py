"""What the mesh cannot see: furrows and shades of the skin, on patches that hang on its points.

A patch is the bilinear surface between four mesh points. It moves, turns and stretches with the
face, so that what is measured on it is the skin and not the motion. Everything is PyTorch and has
slopes, for the fit of boundaries as well as for scores.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .patches import DARK, FAINT, FURROWS, GRID, LUMA, SHADED, Quad


def patch(look: Tensor, points: Tensor, quad: Quad) -> Tensor:
    """[3, GRID, GRID]: the skin between four points.

    look: [1, 3, H, W] in [0, 1]; points: [478, >= 2] in its pixels (the first pixel is [0, 1)).
    """
    corners = points[list(quad), :2]
    t = (torch.arange(GRID, device=look.device) + 0.5) / GRID
    v, u = (part[..., None] for part in torch.meshgrid(t, t, indexing="ij"))
    top = corners[0] * (1 - u) + corners[1] * u
    bottom = corners[3] * (1 - u) + corners[2] * u
    places = top * (1 - v) + bottom * v
    size = torch.tensor(look.shape[:-3:-1], dtype=places.dtype, device=look.device)
    sampled: Tensor = F.grid_sample(
        look, (places / size * 2 - 1)[None], padding_mode="border", align_corners=False
    )
    return sampled[0]


class Furrows(torch.nn.Module):
    """`furrows` as a module, to be traced."""

    def forward(self, look: Tensor, points: Tensor) -> Tensor:
        return furrows(look, points)


class Folds(torch.nn.Module):
    """`folds` as a module: [P], one after the other."""

    def forward(self, look: Tensor, points: Tensor) -> Tensor:
        return torch.cat(folds(look, points))


def furrows(look: Tensor, points: Tensor) -> Tensor:
    """[3] in the order of FURROWS: how much the skin is folded across rather than along the face.

    The logarithm of the ratio of two mean second differences of brightness, down a patch and along
    it. A ratio says nothing about contrast, noise and blur, which act on both. Mean over patches.
    """
    return torch.stack([patches.mean() for patches in folds(look, points)])


def folds(look: Tensor, points: Tensor) -> list[Tensor]:
    """For each of FURROWS what each of its patches gives, the right and the left in turn."""
    return [
        torch.stack([_folds(patch(look, points, quad)) for quad in quads])
        for quads in FURROWS.values()
    ]


def shades(look: Tensor, points: Tensor) -> Tensor:
    """[24] in the order of SHADES, mean over a place's patches.

    Log brightness; log of red over green; log of the mean second difference of brightness.
    """
    places = [[_shade(patch(look, points, quad)) for quad in quads] for quads in SHADED.values()]
    return torch.stack([torch.stack(sides).mean(dim=0) for sides in places], dim=1).reshape(-1)


def _shade(skin: Tensor) -> Tensor:
    """[3]: one of each of KINDS."""
    light, colours = _brightness(skin), skin.mean(dim=(1, 2)) + DARK
    down, along = _curvatures(light)
    return torch.stack(
        [
            torch.log(light.mean() + DARK),
            torch.log(colours[0]) - torch.log(colours[1]),
            torch.log((down + along) / 2 + FAINT),
        ]
    )


def _folds(skin: Tensor) -> Tensor:
    down, along = _curvatures(_brightness(skin))
    return torch.log(down + FAINT) - torch.log(along + FAINT)


def _curvatures(light: Tensor) -> tuple[Tensor, Tensor]:
    """Mean size of the second differences down a patch, and along it."""
    down = light[2:] - 2 * light[1:-1] + light[:-2]
    along = light[:, 2:] - 2 * light[:, 1:-1] + light[:, :-2]
    return down.abs().mean(), along.abs().mean()


def _brightness(colours: Tensor) -> Tensor:
    """[3, ...] -> [...]."""
    red, green, blue = (weight * colour for weight, colour in zip(LUMA, colours, strict=True))
    light: Tensor = red + green + blue
    return light
