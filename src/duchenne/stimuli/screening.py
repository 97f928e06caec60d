"""Which synthetic people a design can use: cheap measures first, a full picture for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import cores, facs
from ..animate import Studio
from ..faces import landmarks
from ..faces.warp import shrink
from ..files import pictures
from ..generators.base import Generator, PlainView
from ..generators.readout import Readout
from ..measuring.glasses import SURELY_GLASSES, SURELY_NONE, bridge
from ..programs import compiling, tracing
from ..types import Pixels
from .design import People
from .matching import lightness
from .measuring import Look, Meter

Array = NDArray[np.float64]

UNSURE = 0.1  # of the full action: a small picture measures otherwise; the full one decides
SIDE = 512  # of the picture that is judged finally


@dataclass(frozen=True)
class Seed:
    """A synthetic person to be judged."""

    number: int


@dataclass(frozen=True)
class Screening:
    """What a design asks of synthetic people; pickles, and begins anew in every worker."""

    people: People

    @property
    def asks(self) -> bool:
        """Whether there is anything to judge."""
        people = self.people
        asked = (people.frontal, people.neutral, people.glasses, people.different)
        return people.adult or any(value is not None for value in asked)

    def begin(self, studio: Studio, meter: Meter) -> Callable[[Seed], dict[str, Any]]:
        return _Screen(self.people, studio, meter)


class _Screen:
    """Judges one seed after the other.

    A quarter-size picture tells pose and expression at a third of the price of a full one; only
    who passes there is drawn in full, measured again, and looked at for glasses.
    """

    def __init__(self, people: People, studio: Studio, meter: Meter) -> None:
        self._people, self._studio, self._meter = people, studio, meter

    def __call__(self, seed: Seed) -> dict[str, Any]:
        """seed, passed, reason, and what was measured; `person` is dlib's descriptor."""
        people = self._people
        w = self._studio.sample(seed.number, truncation=people.truncation).code.w
        draws = (
            [(self._full, 0.0)]
            if people.frontal is people.neutral is None
            else [(self._quarter, UNSURE), (self._full, 0.0)]
        )
        verdict: dict[str, Any] = {"seed": seed.number, "passed": "no"}
        for draw, unsure in draws:
            picture = draw(w)
            look = self._meter.look(picture, person=False)
            verdict |= self._facts(look)
            reason = self._reason(look, unsure)
            if reason:
                return {**verdict, "reason": reason}
        assert look.mesh is not None, "who has no face does not pass"
        if people.adult:
            assert look.points is not None, "checked before the run"
            length = face_length(look.points)
            verdict["face_length"] = round(length, 1)
            if length < ADULT:
                return {**verdict, "reason": "a child, or not surely an adult"}
        if people.glasses is not None:
            evidence = glasses(picture, look.mesh)
            verdict["glasses"] = round(evidence, 3)
            if people.glasses and evidence < SURELY_GLASSES:
                return {**verdict, "reason": "no glasses, or not surely"}
            if not people.glasses and evidence > SURELY_NONE:
                return {**verdict, "reason": "glasses, or not surely none"}
        if people.different is not None:
            person = self._meter.look(picture).person
            assert person is not None, "checked before the run"
            verdict["person"] = [round(float(value), 5) for value in person]
        return {**verdict, "passed": "yes"}

    def _quarter(self, w: NDArray[np.float32]) -> Pixels:
        return pictures.from_planes(self._drawn_small(w[None])[0])

    @cached_property
    def _drawn_small(self) -> compiling.Program:
        generator = self._studio.generator
        compiler = tracing.Compiler(generator.w_mean.device, cores.torch_threads())
        w = np.zeros((1, generator.rows, generator.w_mean.shape[-1]), np.float32)
        return compiler.compile(_Quarter(generator), w)

    def _full(self, w: NDArray[np.float32]) -> Pixels:
        return shrink(self._studio.renderer.still(w), (SIDE, SIDE))

    def _facts(self, look: Look) -> dict[str, Any]:
        if look.pose is None or look.units is None:
            return {}
        yaw, pitch, _ = (round(float(value), 2) for value in look.pose)
        return {"yaw": yaw, "pitch": pitch, "neutral": round(strongest(look.units)[1], 3)}

    def _reason(self, look: Look, unsure: float) -> str:
        """Why this person cannot be used, as far as pose and expression tell.

        unsure: how much more than asked an Action Unit may measure.
        """
        people = self._people
        if look.mesh is None:
            return "no face"
        if people.frontal is not None:
            assert look.pose is not None, "checked before the run"
            turned = float(np.abs(look.pose[:2]).max())  # roll is taken out by the framing
            if turned > people.frontal:
                return f"turned by {turned:.0f} degrees"
        if people.neutral is not None:
            assert look.units is not None, "checked before the run"
            code, most = strongest(look.units)
            if most > people.neutral + unsure:
                return f"{code} {most:.2f} at rest"
        return ""


class _Quarter(nn.Module):
    """[1, L, 512] -> [1, 3, S / 4, S / 4], read from the middle of the network."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.network = generator
        self._readout = Readout(generator)

    def forward(self, w: Tensor) -> Tensor:
        return self._readout.picture(PlainView(w))


def strongest(units: Array) -> tuple[str, float]:
    """The Action Unit that acts most in a face at rest, of those that can be read there."""
    readable = (unit.code for unit in facs.ACTION_UNITS if unit.read_at_rest)
    return max(((code, float(units[facs.INDEX[code]])) for code in readable), key=lambda x: x[1])


# ---------------------------------------------------------------- children

IRIS_DIAMETER = 11.7  # mm, early in life already (Ruefer et al. 2005: 11.71, spread 0.42)
IRISES = ((469, 471), (470, 472), (474, 476), (475, 477))  # across and down, of both eyes
PUPILS, CHIN = (468, 473), 152
ADULT = 109.0
"""Least `face_length` of an adult. docs/stimuli.md says how often that is wrong."""


def face_length(points: Array) -> float:
    """From the middle of the pupils to the chin in mm, with the irises as a ruler.

    points: [478, 3], mesh with irises in any unit. An iris has its final size early, the lower
    face grows until the end of adolescence. The mouth should be closed.
    """
    ends = points[np.array(IRISES)]
    iris = float(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).mean())
    eyes = points[list(PUPILS)].mean(axis=0)
    return float(np.linalg.norm(points[CHIN] - eyes)) / iris * IRIS_DIAMETER


# ---------------------------------------------------------------- glasses


def glasses(face: Pixels, mesh: landmarks.Mesh) -> float:
    """Evidence of glasses on uint8 [512, 512, 3] in FFHQ framing; see `measuring.glasses`."""
    return bridge(lightness(face), mesh)
