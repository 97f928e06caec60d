"""g^-1: from an aligned face to its latent code (section 3.2), guessed first and then optimised.

The initial code v(I) comes from a fitted network (`initial`). A descent then makes a loss
small that compares VGG features and pixels of the drawn and the given picture (`losses`,
`descent`). On the CPU a step is one compiled program (`derivative`).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import DuchenneError
from ..files import codes, pictures
from ..generators.base import Generator, draw_w
from ..generators.readout import Readout
from ..programs import compiling, derivative
from ..programs.derivative import Derivative
from ..types import LatentCode, Pixels
from ..weights import store
from . import encoder, losses, tuning
from .descent import VARIABLES, Descent, Likely, Objective
from .losses import Loss, shrink

_log = logging.getLogger(__name__)

VERSION = 3  # of the algorithm: codes that another one found are not taken from the cache
STD_DRAWS, STD_SEED = 10_000, 0
DRAFT_SIDE = 128  # pixels of the read-out
COMPILED_SIZE, COMPILED_STEPS = 256, 16  # pixels of a generator, steps: least that are compiled
INITS = ("encoder", "mean", "random")


@dataclass(frozen=True)
class EncodeSettings:
    """How a face is encoded. Every default lives here; `preset` gives the named ones.

    init: where it starts. encoder: v(I), or the mean for a generator that has no network; mean; or
        random: a face drawn with `seed`. loss: one of `losses.NAMES`.
    steps: optimisation steps at most. rate: learning rate in units of the latent's deviation,
        reached after `warmup` steps; it falls along a cosine at the end.
    draft_part: the part of them, at the start, that sees a small read-out (128 px); the others see
        the true picture.
    check_every: steps between two exact looks at the true picture. Where its loss fell by less
        than the part `tolerance` of the least one seen, for `patience` looks one after the other,
        or is greater than at the start, the rate is halved; where it rose, the best code is taken
        up again as well. After more than `halvings` of that it has converged.
    loss_size: side in pixels at which pictures are compared; smaller ones at their own.
    prior_weight: of how unlikely the code is (`_Likely`), relative to the loss.
    tuning_steps: of a pivotal tuning afterwards (`tuning`); 0 is none.
    """

    init: str = "encoder"
    loss: str = "default"
    seed: int = 0
    steps: int = 76
    rate: float = 0.12
    warmup: int = 4
    draft_part: float = 0.0
    check_every: int = 8
    tolerance: float = 0.02
    patience: int = 3
    halvings: int = 3
    loss_size: int = 256
    prior_weight: float = 0.15
    tuning_steps: int = 0

    def __post_init__(self) -> None:
        for name, known in (("init", INITS), ("loss", losses.NAMES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r}: expected one of {', '.join(known)}"
                )


PRESETS = {
    "fast": EncodeSettings(steps=56, draft_part=1.0),
    "balanced": EncodeSettings(),
    "high": EncodeSettings(steps=320, tolerance=0.01, tuning_steps=60),
}


def preset(quality: str, **changes: object) -> EncodeSettings:
    """The settings of one of PRESETS, changed where asked; ValueError for another name."""
    if quality not in PRESETS:
        raise ValueError(f"quality {quality!r}: expected one of {', '.join(PRESETS)}")
    return replace(PRESETS[quality], **changes)  # type: ignore[arg-type]


Progress = Callable[[int, int, float], None]
"""Called after every step with (steps done, steps in all at most, loss)."""


class Encoder:
    """Encodes faces into one generator's W+; holds the networks it needs between calls.

    keeps_programs: whether what was compiled stays for the next face. It takes about 1.3 GB, and 10
        seconds to compile again; so many faces should keep it (`warm_up` does), one should not.
    """

    keeps_programs = False

    def __init__(
        self,
        generator: Generator,
        settings: EncodeSettings | None = None,
        guess: encoder.InitialCode | None = None,
    ) -> None:
        assert isinstance(generator, nn.Module)
        if guess is not None:
            guess.require_space(generator)
        # Channels-last halves the time of the forward pass on the CPU.
        self.generator: Generator = generator.to(  # type: ignore[call-overload]
            memory_format=torch.channels_last
        )
        self.settings = settings or EncodeSettings()
        self._guess = guess
        self._steps: dict[int, Derivative] = {}

    @cached_property
    def guess_version(self) -> str:
        """Which v(I) it starts from (`InitialCode.version`); "" where it starts elsewhere."""
        if self.settings.init != "encoder":
            return ""
        return self._guess.version if self._guess else encoder.offered_version(self.generator)

    @cached_property
    def _loss(self) -> Loss:
        return losses.make(self.settings.loss, self.generator.w_mean.device)

    @cached_property
    def _initial(self) -> encoder.InitialCode | None:
        """The fitted v(I): the one that was given, or the package's for this generator."""
        if self._guess is not None:
            return self._guess.to(self.generator.w_mean.device)
        return encoder.offered(self.generator)

    @cached_property
    def _deviation(self) -> Tensor:
        """[512], standard deviation of W."""
        deviation: Tensor = draw_w(self.generator, STD_SEED, STD_DRAWS).std(dim=0)
        return deviation

    @cached_property
    def _likely(self) -> Likely:
        return Likely.of(draw_w(self.generator, STD_SEED, STD_DRAWS))

    def encode(self, face: Pixels, *, progress: Progress | None = None) -> LatentCode:
        """The code whose picture looks like `face`.

        face: uint8 [S, S, 3], aligned as the generator's own faces. Deterministic on one machine.
        """
        settings = self.settings
        target = torch.from_numpy(pictures.to_planes(face))[None].to(self.generator.w_mean.device)
        total = settings.steps + settings.tuning_steps
        tell = progress or (lambda done, total, loss: None)
        descent = Descent(self, target)
        descent.run(lambda step, loss: tell(step, total, loss))
        if not self.keeps_programs:
            self.forget()
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
            "version": VERSION,
            "loss": min(loss for _, loss in descent.trace),
            "start": descent.start,
            "steps": descent.steps,
            "trace": [list(entry) for entry in descent.trace],
            "settings": asdict(settings),
        }
        array = w[0].cpu().numpy().astype(np.float32)
        return LatentCode(array, self.generator.fingerprint, provenance, delta)

    def warm_up(self) -> None:
        """Load, fit and compile what `encode` needs beside the face, and keep it."""
        self.keeps_programs = True
        if self.settings.init == "encoder":
            _ = self._initial
        grey = torch.zeros(1, 3, self.generator.size, self.generator.size)
        descent = Descent(self, grey.to(self.generator.w_mean.device))
        descent.warm_up()

    def forget(self) -> None:
        """Drop what was compiled; the next face compiles anew."""
        self._steps.clear()
        self.__dict__.pop("_true_program", None)
        compiling.give_back_memory()

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

    def true_picture(self, w: Tensor) -> Tensor:
        """Like `draw_true`, without gradients and at `true_side`: compiled where that pays."""
        if not self._compiles:
            with torch.no_grad():
                return shrink(self.draw_true(w), self.true_side)
        return torch.from_numpy(self._true_program(w.detach().numpy()))

    @property
    def true_side(self) -> int:
        """Pixels of the true picture as it is compared."""
        return min(self.settings.loss_size, self.generator.size // 2)

    def step(self, side: int, inputs: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
        """An `Objective` at these inputs, and its gradients by common part and rows.

        side: one of `_readouts`, or `true_side`. Compiled at the first call, where that pays.
        """
        if side not in self._steps:
            self._steps[side] = self._derivative(Objective(self, side), inputs)
        return self._steps[side](*inputs)

    def _derivative(self, objective: Objective, inputs: Sequence[Tensor]) -> Derivative:
        if self._compiles:
            try:
                return derivative.as_program(
                    objective, VARIABLES, inputs, threads=torch.get_num_threads()
                )
            except derivative.Untraceable as error:
                _log.info("this generator's steps are not compiled, so they are slower: %s", error)
        return derivative.by_autograd(objective, VARIABLES)

    @property
    def _compiles(self) -> bool:
        """A small generator, or a few steps, are done before a program would be."""
        on_cpu = self.generator.w_mean.device.type == "cpu"
        many = self.settings.steps >= COMPILED_STEPS
        return on_cpu and many and self.generator.size >= COMPILED_SIZE

    @cached_property
    def _true_program(self) -> compiling.Program:
        w = self.generator.w_mean.expand(1, self.generator.rows, -1)
        compiler = compiling.Compiler(w.device, torch.get_num_threads())
        return compiler.compile(_Draws(self), w.numpy())

    @cached_property
    def _readouts(self) -> dict[int, Readout]:
        """By side; none for a side that is hardly smaller than the generator's own."""
        size = self.generator.size
        sides = [side for side in (DRAFT_SIDE,) if 2 * side < size]
        return {side: Readout(self.generator, part=size // side) for side in sides}


class _Draws(nn.Module):
    """[1, L, 512] -> the true picture as it is compared."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.network = encoder.generator
        self._draw, self._side = encoder.draw_true, encoder.true_side

    def forward(self, w: Tensor) -> Tensor:
        return shrink(self._draw(w), self._side)


class EncodeCache:
    """Codes of faces that were encoded before, by pixels, settings, generator and v(I)."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or store.cache_root() / "codes"

    def path(self, face: Pixels, encoder: Encoder) -> Path:
        settings = json.dumps(asdict(encoder.settings), sort_keys=True)
        digest = hashlib.sha256(face.tobytes())
        networks = f"{encoder.generator.fingerprint}{encoder.guess_version}"
        digest.update(f"{VERSION}{face.shape}{settings}{networks}".encode())
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
        with pictures.reporting_disk_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
        codes.write_code(code, path)
