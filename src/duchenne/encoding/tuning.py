"""Pivotal tuning (Roich et al. 2021): the generator bends a little, so that it draws this photo.

W+ cannot say every freckle. With the code held fixed (the pivot), a few convolutions of the fine
resolutions are trained on the one photo for a short while. What they change is kept as a small
delta beside the code; the generator itself stays as it is. Expressions live in the coarse layers
and go on working, since they only move the code.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import SpaceMismatch
from ..generators.base import Generator
from .losses import Loss, shrink

Delta = Mapping[str, NDArray[np.float16]]
"""Name of a generator's parameter -> what is added to it."""


@dataclass(frozen=True)
class TuningSettings:
    """steps, rate: of Adam, along one cosine. loss_size: side in pixels of the comparison."""

    steps: int = 60
    rate: float = 1e-3
    loss_size: int = 256


def tune(
    generator: Generator,
    w: Tensor,
    wanted: Tensor,
    loss: Loss,
    settings: TuningSettings,
    progress: Callable[[int, float], None] | None = None,
) -> Delta:
    """The delta with which the generator draws `wanted` [1, 3, S, S] from w [1, L, 512].

    Rounded to float16, as it is stored.
    """
    assert isinstance(generator, nn.Module)
    tuned: Any = copy.deepcopy(generator)
    parameters = [tuned.get_parameter(name) for name in generator.fine_weights()]
    start = [p.detach().clone() for p in parameters]
    for p in parameters:
        p.requires_grad_(True)
    side = generator.size // 2 if generator.size > settings.loss_size else generator.size
    against = loss.against(shrink(wanted, min(settings.loss_size, side)))
    pixels_against = shrink(wanted, side)
    optimiser = torch.optim.Adam(parameters, lr=settings.rate)
    for step in range(settings.steps):
        optimiser.param_groups[0]["lr"] = (
            settings.rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        )
        image = tuned.synthesize(w, None if side == generator.size else side)
        total = against(shrink(image, min(settings.loss_size, side)))
        total = total + (image - pixels_against).abs().mean()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        if progress:
            progress(step + 1, total.item())
    pairs = zip(generator.fine_weights(), parameters, start, strict=True)
    return {name: (p.detach() - s).cpu().numpy().astype(np.float16) for name, p, s in pairs}


def tuned(generator: Generator, delta: Delta) -> Generator:
    """A copy of the generator with the delta added; the same latent space and fingerprint.

    SpaceMismatch if the delta does not fit.
    """
    assert isinstance(generator, nn.Module)
    bent: Any = copy.deepcopy(generator)
    shapes = {name: tuple(generator.get_parameter(name).shape) for name in generator.fine_weights()}
    if {name: array.shape for name, array in delta.items()} != shapes:
        raise SpaceMismatch(
            "the tuning that the code carries does not fit this generator's layers; encode the "
            "photo again"
        )
    with torch.no_grad():
        for name, array in delta.items():
            parameter = bent.get_parameter(name)
            parameter += torch.from_numpy(array.astype(np.float32)).to(parameter.device)
    result: Generator = bent
    return result
