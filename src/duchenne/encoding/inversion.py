"""g^-1: from an aligned face to its latent code (section 3.2), GAN inversion.

The initial code v(I) comes from a fitted network (`encoder`). A descent then makes a loss
small that compares VGG features and pixels of the drawn and the given picture (`losses`, `problem`,
`descent`). On the CPU a step is one compiled program (`derivative`).
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from ..files import pictures
from ..generators.base import Generator, draw_w
from ..types import LatentCode, Pixels
from . import encoder, tuning
from .cache import VERSION, Progress
from .descent import Descent
from .encoder import Encoder
from .encoder_file import offered_version
from .losses import Loss
from .problem import Problem, Steps
from .settings import EncodeSettings


class Inversion:
    """Inverts one generator: faces to codes in W+; holds the networks it needs between calls.

    encoder: v(I), from which the descent starts; None is the package's, where it has one for the
        generator. loss: None is the one that the settings name.
    keeps_programs: whether what was compiled stays for the next face. It takes about 1.3 GB, and 10
        seconds to compile again; so many faces should keep it (`warm_up` does), one should not.
    """

    keeps_programs = False

    def __init__(
        self,
        generator: Generator,
        settings: EncodeSettings | None = None,
        encoder: Encoder | None = None,
        *,
        loss: Loss | None = None,
    ) -> None:
        assert isinstance(generator, nn.Module)
        if encoder is not None:
            encoder.require_space(generator)
        # Channels-last halves the time of the forward pass on the CPU.
        self.generator: Generator = generator.to(  # type: ignore[call-overload]
            memory_format=torch.channels_last
        )
        self.settings = settings or EncodeSettings()
        self._given, self._loss = encoder, loss

    @cached_property
    def encoder_version(self) -> str:
        """Which v(I) it starts from (`Encoder.version`); "" where it starts elsewhere."""
        if self.settings.init != "encoder":
            return ""
        return self._given.version if self._given else offered_version(self.generator)

    @cached_property
    def _encoder(self) -> Encoder | None:
        if self._given is not None:
            return self._given.to(self.generator.w_mean.device)
        return encoder.offered(self.generator)

    @cached_property
    def steps(self) -> Steps:
        """Of the problem that all faces share."""
        return Steps(Problem.of(self.generator, self.settings, self._loss))

    def encode(self, face: Pixels, *, progress: Progress | None = None) -> LatentCode:
        """The code whose picture looks like `face`.

        face: uint8 [S, S, 3], aligned as the generator's own faces. Deterministic on one machine.
        """
        settings = self.settings
        target = torch.from_numpy(pictures.to_planes(face))[None].to(self.generator.w_mean.device)
        total = settings.steps + settings.tuning_steps
        tell = progress or (lambda done, total, loss: None)
        first, start = self.start(target)
        if not total:  # v(I) alone needs no loss
            provenance = {"made_by": "encode", "version": VERSION, "start": start, "steps": 0}
            provenance["settings"] = asdict(settings)
            array = first.cpu().numpy().astype(np.float32)
            return LatentCode(array, self.generator.fingerprint, provenance)
        descent = Descent(self.steps, target, first)
        descent.run(lambda step, loss: tell(step, total, loss))
        if not self.keeps_programs:
            self.steps.forget()
        w, delta = descent.best[None], None
        if settings.tuning_steps:
            delta = tuning.tune(
                self.generator,
                w,
                target,
                self.steps.problem.loss,
                tuning.TuningSettings(steps=settings.tuning_steps),
                lambda step, loss: tell(settings.steps + step, total, loss),
            )
        provenance = {
            "made_by": "encode",
            "version": VERSION,
            "loss": min(loss for _, loss in descent.trace),
            "start": start,
            "steps": descent.steps,
            "trace": [list(entry) for entry in descent.trace],
            "settings": asdict(settings),
        }
        array = w[0].cpu().numpy().astype(np.float32)
        return LatentCode(array, self.generator.fingerprint, provenance, delta)

    def warm_up(self) -> None:
        """Load, fit and compile what `encode` needs beside the face, and keep it."""
        self.keeps_programs = True
        grey = torch.zeros(1, 3, self.generator.size, self.generator.size)
        grey = grey.to(self.generator.w_mean.device)
        Descent(self.steps, grey, self.start(grey)[0]).warm_up()

    def start(self, target: Tensor) -> tuple[Tensor, str]:
        """The code [L, 512] that the descent starts from, and which of INITS it is.

        target: [1, 3, S, S] in [-1, 1].
        """
        generator, settings = self.generator, self.settings
        if settings.init == "random":
            w = draw_w(generator, settings.seed)
        elif settings.init == "encoder" and self._encoder is not None:
            return self._encoder.predict(target, generator)[0], "encoder"
        else:
            return generator.w_mean.expand(generator.rows, -1), "mean"
        return w.expand(generator.rows, -1), "random"
