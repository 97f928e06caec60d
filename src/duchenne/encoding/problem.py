"""What the encodings into one generator have in common: what a code draws, and how bad that is.

A `Problem` is built once and never changes; `Steps` compiles what a descent asks of it again and
again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import cores
from ..generators.base import Generator, PlainView, many_w, w_deviation
from ..generators.readout import Readout
from ..programs import compiling, derivative, tracing
from ..programs.derivative import Derivative
from . import losses
from .losses import Loss, shrink
from .settings import EncodeSettings

_log = logging.getLogger(__name__)

SLOPE, FLOOR = 0.2, 0.02  # of the mapping's leaky ReLU; least spread, relative to the mean
DRAFT_SIDE = 128  # pixels of the read-out
COMPILED_SIZE, COMPILED_STEPS = 256, 16  # pixels of a generator, steps: least that are compiled
VARIABLES = 2  # tensors that a descent moves, the first inputs of `Problem.objective`


@dataclass(frozen=True)
class Likely:
    """How unlikely a row of W+ is (Wulff & Torralba 2020).

    The mapping network ends in a leaky ReLU; with that undone, its outputs are close to a Gaussian,
    which has almost no spread in half of its directions. A code that leaves along one of those
    draws smears, whatever the loss says.

    mean: [512]; whitening: [512, 512], to units of the spread.
    """

    mean: Tensor
    whitening: Tensor

    @staticmethod
    def of(draws: Tensor) -> Likely:
        """draws: [N, 512] codes of W."""
        straight = F.leaky_relu(draws, 1 / SLOPE)
        spread, axes = torch.linalg.eigh(torch.cov(straight.T))
        return Likely(straight.mean(dim=0), axes / (spread + FLOOR * spread.mean()).sqrt())

    def distance(self, w: Tensor) -> Tensor:
        """w: [L, 512] -> mean square in units of the spread; about 1 for a random face."""
        return ((F.leaky_relu(w, 1 / SLOPE) - self.mean) @ self.whitening).square().mean()


@dataclass(frozen=True)
class Problem:
    """deviation: [512], standard deviation of W. readout: None where no step sees one.

    true_side: pixels of the true picture as it is compared.
    """

    generator: Generator
    deviation: Tensor
    likely: Likely
    loss: Loss
    readout: Readout | None
    settings: EncodeSettings
    true_side: int

    @staticmethod
    def of(generator: Generator, settings: EncodeSettings, loss: Loss | None = None) -> Problem:
        """loss: None is the one that the settings name."""
        size = generator.size
        true_side = min(settings.loss_size, size // 2)
        # Nothing is gained where its side is hardly smaller than the generator's own.
        drafts = settings.draft_part * settings.steps > 0 and size > 2 * DRAFT_SIDE
        readout = None
        if drafts and true_side != DRAFT_SIDE:
            readout = Readout(generator, part=size // DRAFT_SIDE)
        loss = loss or losses.make(settings.loss, generator.w_mean.device)
        likely, deviation = Likely.of(many_w(generator)), w_deviation(generator)
        return Problem(generator, deviation, likely, loss, readout, settings, true_side)

    def side(self, step: int) -> int:
        """Pixels of the picture that a step sees: of the read-out, or `true_side`."""
        drafts = step < self.settings.draft_part * self.settings.steps
        return self.readout.size if drafts and self.readout else self.true_side

    def draw(self, w: Tensor, side: int) -> Tensor:
        """[1, L, 512] -> [1, 3, side, side], from the read-out or truly."""
        if self.readout is not None and side == self.readout.size:
            return self.readout.picture(PlainView(w))
        # Half the side is the cheapest true picture of a large generator.
        return shrink(self.generator.synthesize(w, self.generator.size // 2), side)

    def objective(
        self, side: int, common: Tensor, rows: Tensor, correction: Tensor, *kept: Tensor
    ) -> Tensor:
        """What a step makes small, a function of tensors only: one program serves all faces.

        common: [512], rows: [L, 512], deviations; correction: [1, 3, side, side], what the drawn
        picture lacks; kept: what the loss keeps of the given picture. Returns a scalar.
        """
        w = self.generator.w_mean + (common + rows) * self.deviation
        image = self.draw(w[None], side) + correction
        prior = self.settings.prior_weight * self.likely.distance(w)
        return self.loss.compare(image, kept) + prior


class Steps:
    """What a descent asks of its problem again and again, compiled where that pays.

    by_side: the objectives with their gradients that were made so far.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.by_side: dict[int, Derivative] = {}

    def step(self, side: int, inputs: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
        """The objective at these inputs, and its gradients by common part and rows."""
        if side not in self.by_side:
            self.by_side[side] = self._derivative(side, inputs)
        return self.by_side[side](*inputs)

    def true_picture(self, w: Tensor) -> Tensor:
        """[1, L, 512] -> [1, 3, true_side, true_side], without gradients."""
        if not self._compiles:
            with torch.no_grad():
                return self.problem.draw(w, self.problem.true_side)
        return torch.from_numpy(self._true_program(w.detach().numpy()))

    def forget(self) -> None:
        """Drop what was compiled; the next face compiles anew."""
        self.by_side.clear()
        self.__dict__.pop("_true_program", None)
        compiling.give_back_memory()

    def _derivative(self, side: int, inputs: Sequence[Tensor]) -> Derivative:
        objective = partial(self.problem.objective, side)
        if self._compiles:
            try:
                return derivative.as_program(
                    objective, VARIABLES, inputs, threads=cores.torch_threads()
                )
            except derivative.Untraceable as error:
                _log.info("this generator's steps are not compiled, so they are slower: %s", error)
        return derivative.by_autograd(objective, VARIABLES)

    @property
    def _compiles(self) -> bool:
        """A small generator, or a few steps, are done before a program would be."""
        generator = self.problem.generator
        on_cpu = generator.w_mean.device.type == "cpu"
        many = self.problem.settings.steps >= COMPILED_STEPS
        return on_cpu and many and generator.size >= COMPILED_SIZE

    @cached_property
    def _true_program(self) -> compiling.Program:
        generator = self.problem.generator
        w = generator.w_mean.expand(1, generator.rows, -1)
        compiler = tracing.Compiler(w.device, cores.torch_threads())
        return compiler.compile(_TruePicture(self.problem), w.numpy())


class _TruePicture(nn.Module):
    """[1, L, 512] -> the true picture as it is compared."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.network, self._problem = problem.generator, problem

    def forward(self, w: Tensor) -> Tensor:
        return self._problem.draw(w, self._problem.true_side)
