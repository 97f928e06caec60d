"""One face encoded in every way, and judged on the way: what `experiments.encoding` compares."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from duchenne.animate import Subject
from duchenne.encoding import features, losses
from duchenne.encoding.descent import Descent
from duchenne.encoding.inversion import Inversion
from duchenne.encoding.problem import Steps
from duchenne.encoding.settings import PRESETS, EncodeSettings
from duchenne.files import pictures
from duchenne.types import Pixels

from .context import Context

ITERATIONS = (0, 4, 8, 16, 32, 64, 100, 128, 256, 512)
SHOWN = (0, 16, 64, 512)
NEVER = -1e9
LOSS_SIDE = 192
OURS = "v(I)"
WAYS: dict[str, dict[str, Any]] = {
    OURS: {"init": "encoder"},
    "mean": {"init": "mean"},
    "random": {"init": "random"},
    "conventional": {"init": "random", "loss": "pixel"},
}


class Descents:
    """The descent of a way. Ways with the same loss share its steps, compiled once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_loss: dict[str, Steps] = {}

    def __call__(self, way: str, face: Pixels) -> Descent:
        # No loss is a stall at this tolerance, so none slows down or stops before the last one.
        settings = EncodeSettings(steps=ITERATIONS[-1], tolerance=NEVER, **WAYS[way])
        inversion = Inversion(self._context.studio.generator, settings)
        if settings.loss not in self._by_loss:
            inversion.warm_up()
            self._by_loss[settings.loss] = inversion.steps
        target = torch.from_numpy(pictures.to_planes(face))[None]
        return Descent(self._by_loss[settings.loss], target, inversion.start(target)[0])


class _Enough(Exception):
    """Ends a descent early; its rate is that of a whole one."""


def run(
    context: Context,
    face: Pixels,
    true: np.ndarray | None,
    descents: Descents,
    way: str,
    steps: list[int],
) -> dict[str, Any]:
    descent = descents(way, face)
    codes = {0: descent.code().detach().clone()}
    moments, started = {0: 0.0}, time.monotonic()

    def seen(step: int, loss: float) -> None:
        if step in steps:
            codes[step] = descent.code().detach().clone()
            moments[step] = time.monotonic() - started
        if step == steps[-1] < ITERATIONS[-1]:
            raise _Enough

    with suppress(_Enough):
        descent.run(seen)
    judge = Judge(context, face)
    judged = [judge(codes[step]) for step in steps]
    result: dict[str, Any] = {
        key: [round(one[key], 4) for one in judged] for key in ("vgg", "loss", "identity")
    }
    result["seconds"] = [round(moments[step], 2) for step in steps]
    if true is not None:
        deviation = descent.problem.deviation.numpy()
        result["code"] = [
            round(float((((codes[s].numpy() - true) / deviation) ** 2).mean()), 4) for s in steps
        ]
    result["codes"] = {str(s): np.round(codes[s].numpy(), 3).tolist() for s in SHOWN if s in codes}
    return result


class Judge:
    """How close a code's true picture is to a face."""

    def __init__(self, context: Context, face: Pixels) -> None:
        self._context, self._face = context, face
        device = torch.device("cpu")
        self._trunk = features.load()
        wanted = losses.shrink(torch.from_numpy(pictures.to_planes(face))[None], LOSS_SIDE)
        self._against = losses.make("default", device).against(wanted)
        with torch.no_grad():
            self._features = features.normalised(self._trunk(wanted))

    def __call__(self, w: torch.Tensor) -> dict[str, float]:
        """w: [L, 512]."""
        with torch.no_grad():
            return self.picture(self._context.studio.generator.synthesize(w[None]))

    def picture(self, picture: torch.Tensor) -> dict[str, float]:
        """picture: [1, 3, S, S] in [-1, 1]."""
        with torch.no_grad():
            small = losses.shrink(picture, LOSS_SIDE)
            seen = features.normalised(self._trunk(small))
            vgg = features.distance(seen, self._features).item()
            loss = float(self._against(small))
        drawn = pictures.from_planes(picture[0].numpy())
        return {
            "vgg": vgg,
            "loss": loss,
            "identity": self._context.recogniser.distance(drawn, self._face),
        }


def presets(context: Context, face: Pixels) -> dict[str, Any]:
    """Seconds, loss and identity distance of each preset, networks loaded before."""
    results, judge = {}, Judge(context, face)
    for name, settings in PRESETS.items():
        inversion = Inversion(context.studio.generator, settings)
        inversion.warm_up()
        started = time.monotonic()
        code = inversion.encode(face)
        spent = time.monotonic() - started
        drawn = pictures.to_planes(Subject(context.studio, code).scene.base)
        seen = judge.picture(torch.from_numpy(drawn)[None])
        results[name] = {
            "seconds": round(spent, 1),
            "steps": code.provenance["steps"],
            "loss": round(seen["loss"], 4),
            "identity": round(seen["identity"], 4),
        }
    return results
