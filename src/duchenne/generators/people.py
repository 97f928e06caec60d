"""Codes in W by their seeds; those of the built-in generator without PyTorch.

They are the same as `base.draw_w` of `mobile` within rounding: 0.000 002 of numbers of up to 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..types import WIDTH
from .built_in import MAPPING_GAIN, MAPPING_LAYERS, Array, BuiltIn
from .spec import SLOPE

if TYPE_CHECKING:
    from .base import Generator

UNIFORM_BITS = 24  # of 32: what a float32 holds
TOGETHER = 8  # numbers of two sorts, from which twice as many normal ones are made


def sample(generator: Generator | BuiltIn, seed: int, psi: float) -> NDArray[np.float32]:
    """[512], one code in W, truncated: mean + psi (w - mean)."""
    if not isinstance(generator, BuiltIn):
        from . import base

        w = base.truncate(base.draw_w(generator, seed), generator.w_mean, psi)
        return np.asarray(w[0].cpu().numpy(), np.float32)
    weights = generator.weights.arrays
    mean = weights["w_mean"]
    return np.asarray(mean + psi * (draw_w(weights, seed) - mean), np.float32)


def draw_w(weights: Mapping[str, Array], seed: int) -> Array:
    """[512], one code in W. weights: `built_in.Weights.arrays`."""
    x = draw_z(seed).astype(np.float64)
    x /= np.sqrt(np.square(x).mean() + 1e-8)
    for i in range(MAPPING_LAYERS):
        layer = f"mapping.layers.{i}"
        x = weights[f"{layer}.weight"].astype(np.float64) @ x + weights[f"{layer}.bias"]
        x = np.where(x > 0, x, SLOPE * x) * MAPPING_GAIN
    return x.astype(np.float32)


def draw_z(seed: int) -> NDArray[np.float32]:
    """[512], what `torch.randn` gives of a seed: Mersenne twister, then Box and Muller (1958)."""
    twister = np.random.RandomState(seed & 0xFFFFFFFF)  # PyTorch, too, looks at 32 bits
    numbers = twister.randint(0, 1 << 32, WIDTH, np.uint32) % (1 << UNIFORM_BITS)
    uniform = (numbers / (1 << UNIFORM_BITS)).reshape(-1, 2, TOGETHER)
    length, angle = np.sqrt(-2 * np.log(1 - uniform[:, 0])), 2 * np.pi * uniform[:, 1]
    normal = np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)
    return normal.reshape(-1).astype(np.float32)
