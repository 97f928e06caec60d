"""The descent from a first code to the one whose picture looks like the face (section 3.2).

The rows of W+ are written as one common vector and a small deviation each, in units of the
latent's standard deviation: the common part finds the face, the deviations its details. A prior
keeps every row where the mapping network puts them: W+ as a whole can draw anything, badly.

The common part follows Adam; the deviations follow the orthogonal factor of their gradient's
momentum (`Orthogonal`). Both see the true picture, or at first a cheap small read-out from the
middle of the generator. What the read-out gets wrong hardly changes from step to step, so at every
check the true picture is drawn once and the difference is carried along; the loss of that true
picture decides when the rate falls and when it is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .losses import shrink
from .problem import Steps

LEVEL = 0.6  # part of the steps after which the rate begins to fall
LAST = 0.03  # part of the rate that is left at the last step
BETAS = (0.9, 0.95)  # Adam's: forgets the squares of the first, steep steps
ROWS_RATE = 0.5  # of the deviations, relative to the common part
SILENT = 1e-3  # singular value, relative to the first: what is less has no direction to go


class Orthogonal:
    """Momentum whose singular values are all made one (Jordan et al. 2024, "Muon").

    The rows of W+ pull the same way for the most part, so that a gradient [L, 512] is nearly of
    rank one, and a step along it says again what the common part has said. With its singular
    values made equal, every way in which the rows differ gets a step of the same length.
    """

    def __init__(self) -> None:
        self._momentum: Tensor | None = None

    def step(self, gradient: Tensor) -> Tensor:
        """[L, N] -> what to subtract for a rate of 1; a mean square of 1 a row where L <= N."""
        before = torch.zeros_like(gradient) if self._momentum is None else self._momentum
        self._momentum = BETAS[0] * before + (1 - BETAS[0]) * gradient
        left, values, right = torch.linalg.svd(self._momentum, full_matrices=False)
        # Rows that a small read-out does not use have no gradient, and must not move at random.
        heard = values > SILENT * values[0]
        step: Tensor = (left * heard) @ right * math.sqrt(gradient.shape[1])
        return step

    def forget(self) -> None:
        """Lose the momentum."""
        self._momentum = None


class Descent:
    """One face's optimisation, from the code `first` [L, 512] to `target` [1, 3, S, S] in [-1, 1].

    best: [L, 512], the code whose true picture has the least loss.
    trace: (step, loss of the true picture) at every check.
    """

    def __init__(self, steps: Steps, target: Tensor, first: Tensor) -> None:
        self._compiled, self.problem, self._target = steps, steps.problem, target
        self.settings = self.problem.settings
        deviations = self._deviations(first)
        self._common = deviations.mean(dim=0).detach().clone().requires_grad_()
        self._rows = (deviations - self._common.detach()).clone().requires_grad_()
        self._optimiser = torch.optim.Adam([self._common], lr=self.settings.rate, betas=BETAS)
        self._orthogonal = Orthogonal()
        self._kept: dict[int, list[Tensor]] = {}
        self.best = first.detach().clone()
        self.trace: list[tuple[int, float]] = []
        self.steps = 0

    def warm_up(self) -> None:
        """Make every program that `run` may need; nothing moves."""
        self._check(0)
        for side in {self.problem.side(0), self.problem.side(self.settings.steps - 1)}:
            self._compiled.step(side, self.inputs(side, self._correction(side)))

    def run(self, tell: Callable[[int, float], None]) -> None:
        """Descend until it has converged or the steps are used up; `tell` after every step."""
        settings = self.settings
        level, waited = 0, 0
        least = first = self._check(0)
        side = self.problem.side(0)
        correction = self._correction(side)
        for step in range(settings.steps):
            if step and step % settings.check_every == 0:
                true = self._check(step)
                waited = waited + 1 if true > (1 - settings.tolerance) * least else 0
                # Farther away than the start: the rate is too great, and no use waiting.
                if waited == settings.patience or (waited and true > first):
                    level, waited = level + 1, 0
                    if level > settings.halvings:
                        return
                    if true > least:
                        self._take_up_best()
                least = min(true, least)
                side = self.problem.side(step)
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

    def _take_up_best(self) -> None:
        """Go on from the best code, without the momentum that led away from it."""
        deviations = self._deviations(self.best)
        with torch.no_grad():
            self._common.copy_(deviations.mean(dim=0))
            self._rows.copy_(deviations - self._common)
        self._true = self._compiled.true_picture(self.best[None])
        self._optimiser.state.clear()
        self._orthogonal.forget()

    def _step(self, side: int, correction: Tensor) -> float:
        total, gradients = self._compiled.step(side, self.inputs(side, correction))
        self._common.grad = gradients[0]
        self._optimiser.step()
        rate = self._optimiser.param_groups[0]["lr"]
        with torch.no_grad():
            self._rows -= rate * ROWS_RATE * self._orthogonal.step(gradients[1])
        return total

    def _check(self, step: int) -> float:
        """The loss of the true picture now; remembers it and the best code."""
        self._true = self._compiled.true_picture(self.code()[None])
        loss = self._compare(self._true)
        if not self.trace or loss < min(seen for _, seen in self.trace):
            self.best = self.code().detach().clone()
        self.trace.append((step, loss))
        return loss

    def _correction(self, side: int) -> Tensor:
        """What the read-out gets wrong now, [1, 3, side, side]; nothing for the true picture."""
        if side == self.problem.true_side:
            return torch.zeros_like(self._true)
        with torch.no_grad():
            image = self.problem.draw(self.code()[None], side)
            return shrink(self._true, side) - image

    def code(self) -> Tensor:
        """[L, 512], where the descent is now."""
        problem = self.problem
        w: Tensor = problem.generator.w_mean + (self._common + self._rows) * problem.deviation
        return w

    def inputs(self, side: int, correction: Tensor) -> list[Tensor]:
        """Of `Problem.objective`, where the descent is now."""
        inputs = [self._common, self._rows, correction, *self._wanted(side)]
        return [x.detach() for x in inputs]

    def _deviations(self, w: Tensor) -> Tensor:
        return (w - self.problem.generator.w_mean) / self.problem.deviation

    def _wanted(self, side: int) -> list[Tensor]:
        if side not in self._kept:
            with torch.no_grad():
                self._kept[side] = self.problem.loss.keep(shrink(self._target, side))
        return self._kept[side]

    def _compare(self, image: Tensor) -> float:
        """The loss of a true picture."""
        with torch.no_grad():
            return self.problem.loss.compare(image, self._wanted(image.shape[-1])).item()
