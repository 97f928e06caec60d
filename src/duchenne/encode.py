"""g^-1: from an aligned face to its latent code (section 3.2), guessed first and then optimised.

The initial code v(I) comes from a fitted network (`initial`). Adam then makes a loss small that
compares VGG features and pixels of the drawn and the given picture (`losses`). The steps see a
cheap small read-out from the middle of the generator. What the read-out gets wrong hardly changes
from step to step, so at every check the true picture is drawn once and the difference is carried
along; the loss of that true picture decides when the rate falls and when it is enough.

The rows of W+ are written as one common vector and a small deviation each, in units of the
latent's standard deviation: the common part finds the face, the deviations its details. A prior
keeps every row where the mapping network puts them: W+ as a whole can draw anything, badly.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import codes, initial, losses, pixels, tuning, weights
from .errors import DuchenneError
from .generators.base import Generator, PlainView, draw_w
from .generators.readout import Readout
from .losses import Loss, shrink
from .types import LatentCode, Pixels

STD_DRAWS, STD_SEED = 10_000, 0
DRAFT_SIDE, FINE_SIDE = 128, 256  # pixels of the read-outs
INITS = ("encoder", "mean", "random")
LEVEL = 0.6  # part of the steps after which the rate begins to fall
SLOPE, FLOOR = 0.2, 0.02  # of the mapping's leaky ReLU; least spread, relative to the mean
LAST = 0.03  # part of the rate that is left at the last step


@dataclass(frozen=True)
class EncodeSettings:
    """How a face is encoded. Every default lives here; `preset` gives the named ones.

    init: where it starts. encoder: v(I), or the mean for a generator that has no network; mean; or
        random: a face drawn with `seed`. loss: one of `losses.NAMES`.
    steps: optimisation steps at most. rate: Adam's learning rate in units of the latent's
        deviation, reached after `warmup` steps; it falls along a cosine at the end.
    draft_part: the part of them, at the start, that sees a smaller read-out (128 px, not 256).
    true_part: the part of them, at the end, that sees the true picture: only it shows what the
        last layers do, texture and colour.
    check_every: steps between two looks at the true picture. Where its loss fell by less than the
        part `tolerance` of the least one seen, the rate is halved and the larger read-out is
        taken; where it rose, the best code is taken up again as well. After more than `halvings`
        of that it has converged.
    loss_size: side in pixels at which pictures are compared; smaller ones at their own.
    prior_weight: of how unlikely the code is (`_Likely`), relative to the loss.
    tuning_steps: of a pivotal tuning afterwards (`tuning`); 0 is none.
    """

    init: str = "encoder"
    loss: str = "default"
    seed: int = 0
    steps: int = 80
    rate: float = 0.16
    warmup: int = 4
    draft_part: float = 0.0
    true_part: float = 0.1
    check_every: int = 8
    tolerance: float = 0.02
    halvings: int = 3
    loss_size: int = 256
    prior_weight: float = 0.1
    tuning_steps: int = 0

    def __post_init__(self) -> None:
        for name, known in (("init", INITS), ("loss", losses.NAMES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r}: expected one of {', '.join(known)}"
                )


PRESETS = {
    "fast": EncodeSettings(steps=24, draft_part=1.0, true_part=0.0),
    "balanced": EncodeSettings(),
    "high": EncodeSettings(steps=128, tolerance=0.01, tuning_steps=60),
}


def preset(quality: str, **changes: object) -> EncodeSettings:
    """The settings of one of PRESETS, changed where asked; ValueError for another name."""
    if quality not in PRESETS:
        raise ValueError(f"quality {quality!r}: expected one of {', '.join(PRESETS)}")
    return replace(PRESETS[quality], **changes)  # type: ignore[arg-type]


Progress = Callable[[int, int, float], None]
"""Called after every step with (steps done, steps in all at most, loss)."""


class Encoder:
    """Encodes faces into one generator's W+; holds the networks it needs between calls."""

    def __init__(self, generator: Generator, settings: EncodeSettings | None = None) -> None:
        assert isinstance(generator, nn.Module)
        # Channels-last halves the time of the forward pass on the CPU.
        self.generator: Generator = generator.to(  # type: ignore[call-overload]
            memory_format=torch.channels_last
        )
        self.settings = settings or EncodeSettings()

    @cached_property
    def _loss(self) -> Loss:
        return losses.make(self.settings.loss, self.generator.w_mean.device)

    @cached_property
    def _initial(self) -> initial.InitialCode | None:
        """The fitted v(I), where there is one for this generator."""
        return initial.offered(self.generator)

    @cached_property
    def _deviation(self) -> Tensor:
        """[512], standard deviation of W."""
        deviation: Tensor = draw_w(self.generator, STD_SEED, STD_DRAWS).std(dim=0)
        return deviation

    @cached_property
    def _likely(self) -> _Likely:
        return _Likely.of(draw_w(self.generator, STD_SEED, STD_DRAWS))

    def encode(self, face: Pixels, *, progress: Progress | None = None) -> LatentCode:
        """The code whose picture looks like `face`.

        face: uint8 [S, S, 3], aligned as the generator's own faces. Deterministic on one machine.
        """
        settings = self.settings
        target = torch.from_numpy(pixels.to_planes(face))[None].to(self.generator.w_mean.device)
        total = settings.steps + settings.tuning_steps
        tell = progress or (lambda done, total, loss: None)
        descent = Descent(self, target)
        descent.run(lambda step, loss: tell(step, total, loss))
        w, delta = descent.best[None], None
        if settings.tuning_steps:
            delta = tuning.tune(
                self.generator,
                w,
                target,
                self._loss,
                tuning.TuningSettings(steps=settings.tuning_steps),
                lambda step, loss: tell(settings.steps + step, total, loss),
            )
        provenance = {
            "made_by": "encode",
            "loss": min(loss for _, loss in descent.trace),
            "start": descent.start,
            "steps": descent.steps,
            "trace": [list(entry) for entry in descent.trace],
            "settings": asdict(settings),
        }
        array = w[0].cpu().numpy().astype(np.float32)
        return LatentCode(array, self.generator.fingerprint, provenance, delta)

    def warm_up(self) -> None:
        """Load and fit what `encode` needs beside the face, so that it does not pay for it."""
        _ = (self._loss, self._deviation, self._likely, self._readouts)
        if self.settings.init == "encoder":
            _ = self._initial

    def start(self, target: Tensor) -> tuple[Tensor, str]:
        """The code [L, 512] that the descent starts from, and which of INITS it is.

        target: [1, 3, S, S] in [-1, 1].
        """
        generator, settings = self.generator, self.settings
        if settings.init == "random":
            w = draw_w(generator, settings.seed)
        elif settings.init == "encoder" and self._initial is not None:
            return self._initial.predict(target, generator)[0], "encoder"
        else:
            return generator.w_mean.expand(generator.rows, -1), "mean"
        return w.expand(generator.rows, -1), "random"

    def draw_true(self, w: Tensor) -> Tensor:
        """[1, L, 512] -> picture; half the side is the cheapest true one of a large generator."""
        return self.generator.synthesize(w, self.generator.size // 2)

    @cached_property
    def _readouts(self) -> dict[int, Readout]:
        """By side; none for a side that is hardly smaller than the generator's own."""
        size = self.generator.size
        sides = [side for side in (DRAFT_SIDE, FINE_SIDE) if 2 * side < size]
        return {side: Readout(self.generator, part=size // side) for side in sides}


@dataclass(frozen=True)
class _Likely:
    """How unlikely a row of W+ is (Wulff & Torralba 2020).

    The mapping network ends in a leaky ReLU; with that undone, its outputs are close to a Gaussian,
    which has almost no spread in half of its directions. A code that leaves along one of those
    draws smears, whatever the loss says.

    mean: [512]; whitening: [512, 512], to units of the spread.
    """

    mean: Tensor
    whitening: Tensor

    @staticmethod
    def of(draws: Tensor) -> _Likely:
        """draws: [N, 512] codes of W."""
        straight = F.leaky_relu(draws, 1 / SLOPE)
        spread, axes = torch.linalg.eigh(torch.cov(straight.T))
        return _Likely(straight.mean(dim=0), axes / (spread + FLOOR * spread.mean()).sqrt())

    def distance(self, w: Tensor) -> Tensor:
        """w: [L, 512] -> mean square in units of the spread; about 1 for a random face."""
        return ((F.leaky_relu(w, 1 / SLOPE) - self.mean) @ self.whitening).square().mean()


class Descent:
    """One face's optimisation. best: [L, 512], the code whose true picture has the least loss.

    trace: (step, loss of the true picture) at every check.
    """

    def __init__(self, encoder: Encoder, target: Tensor) -> None:
        self.encoder, self.settings = encoder, encoder.settings
        self._generator, self._target = encoder.generator, target
        first, self.start = encoder.start(target)
        deviations = (first - self._generator.w_mean) / encoder._deviation
        self._common = deviations.mean(dim=0).detach().clone().requires_grad_()
        self._rows = (deviations - self._common.detach()).clone().requires_grad_()
        self._optimiser = torch.optim.Adam([self._common, self._rows], lr=self.settings.rate)
        self._against: dict[int, Callable[[Tensor], Tensor]] = {}
        self.best = first.detach().clone()
        self.trace: list[tuple[int, float]] = []
        self.steps = 0

    def run(self, tell: Callable[[int, float], None]) -> None:
        """Descend until it has converged or the steps are used up; `tell` after every step."""
        settings = self.settings
        level, least = 0, self._check(0)
        side = self._side(0, level)
        correction = self._correction(side)
        for step in range(settings.steps):
            if step and step % settings.check_every == 0:
                true = self._check(step)
                if true > (1 - settings.tolerance) * least:
                    level += 1
                if level > settings.halvings:
                    return
                if true > least:
                    self._take_up_best()
                least = min(true, least)
                side = self._side(step, level)
                correction = self._correction(side)
            self._optimiser.param_groups[0]["lr"] = self._rate(step) * 0.5**level
            tell(step + 1, self._step(side, correction))
            self.steps = step + 1
        self._check(settings.steps)

    def _rate(self, step: int) -> float:
        """A short rise, level, then half a cosine."""
        settings = self.settings
        part = max(0.0, (step / settings.steps - LEVEL) / (1 - LEVEL))
        fall = 0.5 * (1 + math.cos(math.pi * part))
        return settings.rate * min(1.0, (step + 1) / settings.warmup) * (LAST + (1 - LAST) * fall)

    def _side(self, step: int, level: int) -> int:
        part = step / max(1, self.settings.steps)
        if part >= 1 - self.settings.true_part:
            return self._generator.size
        return DRAFT_SIDE if level == 0 and part < self.settings.draft_part else FINE_SIDE

    def _take_up_best(self) -> None:
        """Go on from the best code, without the momentum that led away from it."""
        deviations = (self.best - self._generator.w_mean) / self.encoder._deviation
        with torch.no_grad():
            self._common.copy_(deviations.mean(dim=0))
            self._rows.copy_(deviations - self._common)
            self._true = self.encoder.draw_true(self.best[None])
        self._optimiser.state.clear()

    def _step(self, side: int, correction: Tensor) -> float:
        image = self._draw(side, self.code()[None]) + correction
        prior = self.encoder._likely.distance(self.code())
        total = self._compare(image) + self.settings.prior_weight * prior
        self._optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return total.item()

    def _check(self, step: int) -> float:
        """The loss of the true picture now; remembers it and the best code."""
        with torch.no_grad():
            self._true = self.encoder.draw_true(self.code()[None])
            loss = float(self._compare(self._true))
        if not self.trace or loss < min(seen for _, seen in self.trace):
            self.best = self.code().detach().clone()
        self.trace.append((step, loss))
        return loss

    def _correction(self, side: int) -> Tensor:
        with torch.no_grad():
            image = self._draw(side, self.code()[None])
            return shrink(self._true, image.shape[-1]) - image

    def code(self) -> Tensor:
        """[L, 512], where the descent is now."""
        w: Tensor = self._generator.w_mean + (self._common + self._rows) * self.encoder._deviation
        return w

    def _draw(self, side: int, w: Tensor) -> Tensor:
        readout = self.encoder._readouts.get(side)
        return self.encoder.draw_true(w) if readout is None else readout.picture(PlainView(w))

    def _compare(self, image: Tensor) -> Tensor:
        side = min(image.shape[-1], self.settings.loss_size)
        if side not in self._against:
            self._against[side] = self.encoder._loss.against(shrink(self._target, side))
        return self._against[side](shrink(image, side))


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
