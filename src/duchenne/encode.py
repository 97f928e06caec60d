"""g^-1: from an aligned face to its latent code, by optimisation (section 3.2).

The loss compares VGG features of the generated and the given picture, as the paper does, together
with plain pixel terms; a prior keeps the code where the generator draws faces. The rows of W+ are
written as one common vector and a small deviation each, in units of the latent's standard
deviation: the common part finds the face, the deviations its details.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import codes, features, pixels, weights
from .errors import DuchenneError
from .generators.base import Generator, PlainView, draw_w
from .generators.readout import Readout
from .types import LatentCode, Pixels

STD_DRAWS, STD_SEED = 10_000, 0
SMALLEST = 32  # pixels; smaller pictures are enlarged for VGG-16, which halves the side four times


@dataclass(frozen=True)
class EncodeSettings:
    """How a face is encoded. Every default lives here.

    steps: optimisation steps. fine_part: the part of them, at the end, that sees the full picture;
        the others see the cheap quarter-size read-out (`generators.readout`).
    rate: Adam's learning rate in units of the latent's deviation, reached after `warmup` steps;
        fine_rate: that of the fine steps at their start, from where it falls along a cosine.
    loss_size: side in pixels at which features and pixels are compared; a picture with a smaller
        side is compared at its own.
    pixel_weight, coarse_weight: mean squared error at loss_size and at a quarter of it, relative
        to the VGG distance. prior_weight: mean square of the code in units of its deviation.
    """

    steps: int = 150
    fine_part: float = 1 / 6
    rate: float = 0.13
    fine_rate: float = 0.05
    warmup: int = 5
    loss_size: int = 192
    pixel_weight: float = 2.0
    coarse_weight: float = 4.0
    prior_weight: float = 0.02

    @property
    def coarse_steps(self) -> int:
        return self.steps - max(1, round(self.steps * self.fine_part))


Progress = Callable[[int, int, float], None]
"""Called after every step with (steps done, steps in all, loss)."""


class Encoder:
    """Encodes faces into one generator's W+; holds the VGG trunk between calls."""

    def __init__(self, generator: Generator, settings: EncodeSettings | None = None) -> None:
        assert isinstance(generator, nn.Module)
        # Channels-last halves the time of the forward pass on the CPU.
        self.generator: Generator = generator.to(  # type: ignore[call-overload]
            memory_format=torch.channels_last
        )
        self.settings = settings or EncodeSettings()

    @cached_property
    def _trunk(self) -> features.VGG16Trunk:
        trunk = features.load().to(self.generator.w_mean.device)
        return trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    @cached_property
    def _readout(self) -> Readout:
        return Readout(self.generator)

    @cached_property
    def _deviation(self) -> Tensor:
        """[512], standard deviation of W."""
        deviation: Tensor = draw_w(self.generator, STD_SEED, STD_DRAWS).std(dim=0)
        return deviation

    def encode(self, face: Pixels, *, progress: Progress | None = None) -> LatentCode:
        """The code whose picture looks like `face`.

        face: uint8 [S, S, 3], aligned as the generator's own faces. Deterministic on one machine.
        """
        settings = self.settings
        device = self.generator.w_mean.device
        target = torch.from_numpy(pixels.to_planes(face))[None].to(device)
        wanted: dict[int, _Wanted] = {}  # by the side of what is drawn
        common = torch.zeros(512, device=device, requires_grad=True)
        rows = torch.zeros(self.generator.rows, 512, device=device, requires_grad=True)
        optimiser = torch.optim.Adam([common, rows], lr=settings.rate)
        loss = math.nan
        for step in range(settings.steps):
            optimiser.param_groups[0]["lr"] = _rate(step, settings)
            draw = self._quarter if step < settings.coarse_steps else self._half
            image = draw(self._code(common, rows)[None])
            side = min(image.shape[-1], settings.loss_size)
            if side not in wanted:
                wanted[side] = self._wanted(target, side)
            prior = settings.prior_weight * (common.square().mean() + rows.square().mean())
            total = prior + self._loss(image, wanted[side])
            optimiser.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            loss = total.item()
            if progress:
                progress(step + 1, settings.steps, loss)
        w = self._code(common, rows).detach().cpu().numpy().astype(np.float32)
        provenance = {"made_by": "encode", "loss": loss, "settings": asdict(settings)}
        return LatentCode(w, self.generator.fingerprint, provenance)

    def _code(self, common: Tensor, rows: Tensor) -> Tensor:
        w: Tensor = self.generator.w_mean + (common + rows) * self._deviation
        return w

    def _quarter(self, w: Tensor) -> Tensor:
        return self._readout.picture(PlainView(w))

    def _half(self, w: Tensor) -> Tensor:
        # Half the side is the cheapest true picture that a large generator gives.
        return self.generator.synthesize(w, self.generator.size // 2)

    def _wanted(self, target: Tensor, side: int) -> _Wanted:
        with torch.no_grad():
            target = _shrink(target, side)
            found = features.normalised(self._trunk(_for_trunk(target)))
            return _Wanted(target, _shrink(target, max(1, side // 4)), found)

    def _loss(self, image: Tensor, wanted: _Wanted) -> Tensor:
        settings = self.settings
        image = _shrink(image, wanted.fine.shape[-1])
        coarse = _shrink(image, wanted.coarse.shape[-1])
        found = features.normalised(self._trunk(_for_trunk(image)))
        return (
            features.distance(found, wanted.features)
            + settings.pixel_weight * F.mse_loss(image, wanted.fine)
            + settings.coarse_weight * F.mse_loss(coarse, wanted.coarse)
        )


@dataclass(frozen=True)
class _Wanted:
    """The given picture at the side at which it is compared and at a quarter of it; features."""

    fine: Tensor
    coarse: Tensor
    features: list[Tensor]


class EncodeCache:
    """Codes of faces that were encoded before, keyed by pixels, settings and generator."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or weights.cache_root() / "codes"

    def path(self, face: Pixels, encoder: Encoder) -> Path:
        settings = json.dumps(asdict(encoder.settings), sort_keys=True)
        digest = hashlib.sha256(face.tobytes())
        digest.update(f"{face.shape}{settings}{encoder.generator.fingerprint}".encode())
        return self.folder / f"{digest.hexdigest()[:32]}{codes.SUFFIX}"

    def get(self, face: Pixels, encoder: Encoder) -> LatentCode | None:
        """The stored code, or None; a damaged file counts as absent and will be replaced."""
        path = self.path(face, encoder)
        if not path.exists():
            return None
        try:
            return codes.read_code(path)
        except DuchenneError:
            return None

    def put(self, face: Pixels, encoder: Encoder, code: LatentCode) -> None:
        path = self.path(face, encoder)
        with pixels.reporting_disk_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
        codes.write_code(code, path)


def _rate(step: int, settings: EncodeSettings) -> float:
    """Learning rate: warm-up and level on the read-out, a half cosine to zero on the picture."""
    fine = step - settings.coarse_steps
    if fine < 0:
        return settings.rate * min(1.0, (step + 1) / settings.warmup)
    part = fine / (settings.steps - settings.coarse_steps)
    return settings.fine_rate * 0.5 * (1 + math.cos(math.pi * part))


def _shrink(image: Tensor, size: int) -> Tensor:
    """Mean over cells: [B, 3, S, S] -> [B, 3, size, size]."""
    return image if image.shape[-1] == size else F.adaptive_avg_pool2d(image, size)


def _for_trunk(image: Tensor) -> Tensor:
    """The picture, its pixels repeated where it is too small for the trunk."""
    factor = -(-SMALLEST // image.shape[-1])
    return image if factor == 1 else F.interpolate(image, scale_factor=factor, mode="nearest")
