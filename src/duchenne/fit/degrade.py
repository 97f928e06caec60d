"""What photos have and generated faces lack: light, colour cast, blur, noise, JPEG, occlusion and
an imperfect alignment. Every step is drawn at random for each picture of a batch."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

CLEAN = 0.25  # share of the pictures that stay as they are


def degrade(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """[B, 3, S, S] in [-1, 1] -> the same, degraded. Deterministic in `rng`."""
    kept = torch.from_numpy(rng.random(len(pictures)) < CLEAN)
    worse = moved(pictures, rng)
    for step in (_lit, _blurred, _noisy, _occluded, _compressed):
        worse = step(worse, rng)
    return torch.where(kept[:, None, None, None], pictures, worse)


def developed(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """[B, 3, S, S] in [-1, 1] -> the same, degraded where they are."""
    for step in (_lit, _blurred, _noisy, _compressed):
        pictures = step(pictures, rng)
    return pictures


def _draw(rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, shape).astype(np.float32))


def moved(x: Tensor, rng: np.random.Generator) -> Tensor:
    """[B, C, S, S]: turned by up to 4 degrees, scaled by up to 5 %, shifted by up to 2 %."""
    b = len(x)
    angle = _draw(rng, -math.radians(4), math.radians(4), (b,))
    scale = _draw(rng, 0.95, 1.05, (b,))
    shift = _draw(rng, -0.04, 0.04, (b, 2))
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], dim=1)
    grid = F.affine_grid(rows.view(b, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _lit(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Gamma, exposure, colour cast, light from one side, saturation."""
    b, _, height, width = x.shape
    level = ((x + 1) / 2).clamp(1e-4, 1)
    level = level ** _draw(rng, 0.7, 1.45, (b, 1, 1, 1))
    level = level * _draw(rng, 0.75, 1.25, (b, 1, 1, 1)) * _draw(rng, 0.9, 1.1, (b, 3, 1, 1))
    across = torch.linspace(-1, 1, width).view(1, 1, 1, width)
    down = torch.linspace(-1, 1, height).view(1, 1, height, 1)
    level = level * (1 + _draw(rng, -0.2, 0.2, (b, 1, 1, 1)) * across)
    level = level * (1 + _draw(rng, -0.15, 0.15, (b, 1, 1, 1)) * down)
    grey = level.mean(dim=1, keepdim=True)
    return 2 * (grey + (level - grey) * _draw(rng, 0.5, 1.2, (b, 1, 1, 1))) - 1


def _blurred(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Every other picture: reduced by up to three times and enlarged again."""
    small = [
        F.interpolate(
            F.interpolate(one[None], scale_factor=float(rng.uniform(0.33, 1)), mode="area"),
            size=one.shape[-2:], mode="bilinear",
        )[0]
        if rng.random() < 0.5
        else one
        for one in x
    ]  # fmt: skip
    return torch.stack(small)


def _noisy(x: Tensor, rng: np.random.Generator) -> Tensor:
    size = _draw(rng, 0, 0.08, (len(x), 1, 1, 1))
    return x + size * torch.from_numpy(rng.standard_normal(x.shape).astype(np.float32))


def _occluded(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Every fourth picture: an even ellipse over a part of it (a hand, hair, a hat's brim)."""
    b, _, height, width = x.shape
    down = torch.arange(height).view(1, height, 1) / height
    across = torch.arange(width).view(1, 1, width) / width
    centre, radius = _draw(rng, 0, 1, (2, b, 1, 1)), _draw(rng, 0.06, 0.25, (2, b, 1, 1))
    inside = ((down - centre[0]) / radius[0]) ** 2 + ((across - centre[1]) / radius[1]) ** 2 < 1
    hidden = inside & torch.from_numpy(rng.random(b) < 0.25)[:, None, None]
    return torch.where(hidden[:, None], _draw(rng, -1, 1, (b, 3, 1, 1)), x)


def _compressed(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    return torch.stack([_jpeg(x, rng) for x in pictures.clamp(-1, 1)])


def _jpeg(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Every other picture through JPEG, quality 25 to 95."""
    if rng.random() < 0.5:
        return x
    levels = ((x.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    with io.BytesIO() as file:
        Image.fromarray(levels).save(file, "jpeg", quality=int(rng.integers(25, 96)))
        decoded = np.asarray(Image.open(file), np.float32)
    return torch.from_numpy(decoded).permute(2, 0, 1) / 127.5 - 1
