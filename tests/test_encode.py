"""The encoding: start, schedule, result, cache; with a small trunk instead of VGG-16."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duchenne.encoding import losses, problem, tuning
from duchenne.encoding.cache import EncodeCache
from duchenne.encoding.descent import Descent, Orthogonal
from duchenne.encoding.encoder import Encoder
from duchenne.encoding.inversion import Inversion
from duchenne.encoding.problem import Steps
from duchenne.encoding.settings import INITS, LOSSES, PRESETS, EncodeSettings, preset
from duchenne.errors import SpaceMismatch
from duchenne.files import codes, pictures
from duchenne.generators import readout
from duchenne.generators.base import PlainView, draw_w, draw_z, many_w, w_deviation
from duchenne.generators.readout import Readout
from duchenne.types import LatentCode

SETTINGS = EncodeSettings(
    init="mean", steps=12, warmup=3, check_every=4, patience=1, halvings=3, loss_size=32
)


class SmallTrunk(nn.Module):
    """Two convolutions where VGG-16 has thirteen."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        first = F.relu(self.one(images))
        return [first, F.relu(self.two(F.max_pool2d(first, 2)))]


SMALL = tiny.TinyGenerator(seed=5)
TRUE_W = SMALL.mapping(draw_z(11)).expand(SMALL.rows, -1)  # [L, 512], the code behind FACE
with torch.no_grad():
    FACE = pictures.from_planes(SMALL.synthesize(TRUE_W[None])[0].numpy())
PLANES = torch.from_numpy(pictures.to_planes(FACE))[None]


def inversion_for(
    encoder: Any = None, generator: tiny.TinyGenerator = SMALL, **changes: Any
) -> Inversion:
    """changes: of SETTINGS."""
    settings, trunk = dataclasses.replace(SETTINGS, **changes), SmallTrunk()
    loss = losses.DefaultLoss(trunk) if settings.loss == "default" else None  # type: ignore[arg-type]
    return Inversion(generator, settings, encoder, loss=loss)


@pytest.fixture(scope="module")
def inversion() -> Inversion:
    return inversion_for()


@pytest.fixture
def readouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-out of 16 px, so that the tiny generator has one."""
    monkeypatch.setattr(problem, "DRAFT_SIDE", 16)


class Knows:
    """Stands for a fitted network: its guess is given."""

    def __init__(self, w: Tensor) -> None:
        self.w = w

    def to(self, _: object) -> Knows:
        return self

    require_space = to

    def predict(self, pictures: Tensor, generator: object) -> Tensor:
        assert pictures.shape[1] == 3
        return self.w[None]


# Settings


def test_settings_are_frozen_and_plain() -> None:
    settings = EncodeSettings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.steps = 3  # type: ignore[misc]
    assert all(isinstance(v, int | float | str) for v in dataclasses.asdict(settings).values())


@pytest.mark.parametrize(("field", "known"), [("init", INITS), ("loss", LOSSES)])
def test_unknown_names_are_refused(field: str, known: tuple[str, ...]) -> None:
    for name in known:
        assert getattr(EncodeSettings(**{field: name}), field) == name  # type: ignore[arg-type]
    expected = f"{field} 'best': expected one of {', '.join(known)}"
    with pytest.raises(ValueError, match=f"^{expected}$"):
        EncodeSettings(**{field: "best"})  # type: ignore[arg-type]


def test_presets_by_name() -> None:
    assert list(PRESETS) == ["fast", "balanced", "high"]
    assert preset("balanced") == EncodeSettings()
    assert preset("fast").steps < preset("balanced").steps
    assert preset("high").tuning_steps > 0
    changed = preset("high", init="mean", steps=3)
    assert changed == dataclasses.replace(PRESETS["high"], init="mean", steps=3)
    with pytest.raises(ValueError, match=r"^quality 'best': expected one of fast, balanced, high$"):
        preset("best")
    with pytest.raises(ValueError, match="init 'best'"):
        preset("fast", init="best")


# The start


def test_a_generator_without_a_fitted_network_starts_from_the_mean() -> None:
    """And says so; no weights are needed to find that out."""
    code = inversion_for(init="encoder", steps=0).encode(FACE)
    assert code.provenance["start"] == "mean"
    assert code.provenance["settings"]["init"] == "encoder"
    assert code.provenance["steps"] == 0
    np.testing.assert_array_equal(code.w, SMALL.w_mean.expand(SMALL.rows, -1).numpy())


def test_the_guess_of_a_fitted_network() -> None:
    rows = TRUE_W + torch.linspace(-0.1, 0.1, SMALL.rows)[:, None]  # every row its own
    code = inversion_for(Knows(rows), init="encoder", steps=0).encode(FACE)
    assert code.provenance["start"] == "encoder"
    np.testing.assert_allclose(code.w, rows.numpy(), atol=1e-6)


def test_mean_and_random_do_not_ask_the_network() -> None:
    found = {}
    for init, seed in (("mean", 0), ("random", 0), ("random", 1)):
        knows = Knows(torch.full((SMALL.rows, 512), 9.0))
        code = inversion_for(knows, init=init, seed=seed, steps=0).encode(FACE)
        assert code.provenance["start"] == init
        found[init, seed] = code.w
    assert (found["mean", 0] == SMALL.w_mean.numpy()).all()
    for seed in (0, 1):
        drawn = draw_w(SMALL, seed).expand(SMALL.rows, -1).numpy()
        np.testing.assert_allclose(found["random", seed], drawn, atol=1e-6)


def test_a_good_start_ends_nearer_than_a_bad_one() -> None:
    near = inversion_for(Knows(TRUE_W * 0.95), init="encoder", steps=4)
    far = inversion_for(steps=4)
    assert near.encode(FACE).provenance["loss"] < 0.5 * far.encode(FACE).provenance["loss"]


# The schedule


def rates_of(descent: Descent) -> list[float]:
    """The learning rate of every step of a whole run."""
    rates: list[float] = []
    groups = descent._optimiser.param_groups
    descent.run(lambda step, loss: rates.append(groups[0]["lr"]))
    return rates


def descent_for(**changes: Any) -> Descent:
    return descent_of(inversion_for(warmup=1, rate=0.1, **changes))


def descent_of(inversion: Inversion) -> Descent:
    return Descent(inversion.steps, PLANES, inversion.start(PLANES)[0])


def plain_rates(**changes: Any) -> list[float]:
    """The rates where no check ever says that it stalls."""
    return rates_of(descent_for(**{**changes, "tolerance": -1e9}))


def tell(monkeypatch: pytest.MonkeyPatch, losses_told: list[float]) -> None:
    """Every check is made, but says the next of these losses."""
    check, told = Descent._check, iter(losses_told)
    monkeypatch.setattr(Descent, "_check", lambda self, step: (check(self, step), next(told))[1])


def test_the_rate_rises_at_first_and_falls_to_little() -> None:
    rates = rates_of(descent_of(inversion_for(steps=24, check_every=6, warmup=5, tolerance=-1e9)))
    assert len(rates) == 24
    assert rates[0] == pytest.approx(SETTINGS.rate / 5)
    assert (np.diff(rates[:5]) > 0).all()
    assert (np.diff(rates[4:]) <= 0).all()
    assert 0 < rates[-1] < 0.1 * SETTINGS.rate < 0.9 * SETTINGS.rate < max(rates)


def test_where_nothing_is_gained_the_rate_halves_three_times_and_it_ends() -> None:
    """No fall of the loss is more than all of it: with tolerance 1 every check says it stalls."""
    descent = descent_for(steps=30, check_every=5, tolerance=1.0)
    rates = rates_of(descent)
    plain = plain_rates(steps=30, check_every=5)
    assert len(rates) == descent.steps == 20
    halved = np.divide(rates, plain[:20])
    assert halved.tolist() == pytest.approx([1.0] * 5 + [0.5] * 5 + [0.25] * 5 + [0.125] * 5)
    assert [step for step, _ in descent.trace] == [0, 5, 10, 15, 20]


@pytest.mark.parametrize(
    ("told", "levels"),
    [
        # Two looks without a gain are not enough; the three after the gain at step 8 are.
        ([1.0, 0.85, 0.9, 0.88, 0.5, 0.6, 0.6, 0.6, 0.6], [0] * 14 + [1] * 2),
        # Where nothing was ever gained, the first look is enough.
        ([1.0, 1.2, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], [0] * 2 + [1] * 14),
    ],
    ids=["gained", "never gained"],
)
def test_with_patience_a_stall_is_several_looks_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, told: list[float], levels: list[int]
) -> None:
    plain = plain_rates(steps=16, check_every=2)
    tell(monkeypatch, told)
    changes = {"steps": 16, "check_every": 2, "tolerance": 0.1}
    rates = rates_of(descent_for(patience=3, **changes))
    found = np.log2(np.divide(plain, rates)).round().astype(int)
    assert found.tolist() == levels


def test_without_a_stall_it_ends_at_the_last_step() -> None:
    descent = descent_for(steps=23, check_every=5, tolerance=-1e9)
    assert len(rates_of(descent)) == descent.steps == 23
    assert [step for step, _ in descent.trace] == [0, 5, 10, 15, 20, 23]


def test_the_true_loss_decides_when_the_rate_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tolerance 0.1: from 1.0, 0.8 is a gain, 0.75 a stall, 0.9 is none, 0.5 a gain again."""
    plain = plain_rates(steps=40, check_every=2)
    tell(monkeypatch, [1.0, 0.8, 0.75, 0.9, 0.5, 0.49, *[0.1] * 9])
    rates = rates_of(descent_for(steps=40, check_every=2, tolerance=0.1))
    levels = [round(np.log2(p / r)) for p, r in zip(plain[::2], rates[::2], strict=False)]
    # 0.1 is a gain once more, and then not again.
    assert levels == [0, 0, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 7, 16])
@pytest.mark.parametrize("tolerance", [-1e9, 0.03, 1.0])
def test_never_more_steps_than_asked(steps: int, tolerance: float) -> None:
    descent = descent_for(steps=steps, check_every=3, tolerance=tolerance)
    rates = rates_of(descent)
    assert descent.steps == len(rates) <= steps
    assert descent.trace[-1][0] == descent.steps
    assert tolerance > -1 or descent.steps == steps


def test_the_best_code_is_kept_when_later_ones_are_worse() -> None:
    """From the very code of the picture, a rate of 5 deviations a step only leads away."""
    changes = {"init": "encoder", "rate": 5.0, "warmup": 1, "prior_weight": 0.0}
    code = inversion_for(Knows(TRUE_W), **changes).encode(FACE)
    trace = code.provenance["trace"]
    assert all(loss > 10 * trace[0][1] for _, loss in trace[1:])
    np.testing.assert_allclose(code.w, TRUE_W.numpy(), atol=1e-6)
    assert code.provenance["loss"] == trace[0][1]


def test_where_the_loss_rose_the_best_code_is_taken_up_again() -> None:
    """Without the momentum: Adam's first step is then the rate for every number."""
    inversion = inversion_for(
        Knows(TRUE_W), init="encoder", rate=0.4, warmup=1, prior_weight=0.0, steps=5, halvings=2
    )
    descent = descent_of(inversion)
    seen: list[Tensor] = []
    descent.run(lambda step, loss: seen.append(descent._common.detach().clone()))
    assert descent.trace[1][1] > descent.trace[0][1]
    best = ((TRUE_W - SMALL.w_mean) / descent.problem.deviation).mean(dim=0)
    assert (seen[3] - best).abs().mean() > 0.3  # four steps away
    moved = (seen[4] - best).abs()  # one step, at half of the rate
    assert moved.median().item() == pytest.approx(0.5 * descent._rate(4), rel=0.02)
    assert moved.max() < 0.55 * descent._rate(4)
    torch.testing.assert_close(descent.best, TRUE_W, atol=1e-6, rtol=0)


def test_the_best_code_may_lie_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    descent = descent_for(steps=12, check_every=3, tolerance=-1e9)
    codes_seen: list[Tensor] = []
    compare = Descent._compare

    def worse_after_the_third(self: Descent, image: Tensor) -> float:
        codes_seen.append(self.code().detach().clone())
        return compare(self, image) * (100.0 if len(codes_seen) > 3 else 1.0)

    monkeypatch.setattr(Descent, "_compare", worse_after_the_third)
    rates_of(descent)
    best = min(range(len(descent.trace)), key=lambda number: descent.trace[number][1])
    assert best in (1, 2)
    assert torch.equal(descent.best, codes_seen[best])


# The deviations' step


def test_every_direction_of_the_rows_gets_a_step_of_the_same_length() -> None:
    """Also those whose gradient is a hundred times as small as the one of all rows together."""
    draws = torch.Generator().manual_seed(0)
    alike = torch.ones(6, 1) @ torch.randn(1, 40, generator=draws)
    step = Orthogonal().step(alike + 0.01 * torch.randn(6, 40, generator=draws))
    torch.testing.assert_close(step @ step.T, 40 * torch.eye(6), atol=1e-3, rtol=0)


def test_a_step_goes_down() -> None:
    gradient = torch.randn(6, 40, generator=torch.Generator().manual_seed(1))
    assert (Orthogonal().step(gradient) * gradient).sum() > 0


def test_rows_without_a_gradient_stay_where_they_are() -> None:
    gradient = torch.randn(6, 40, generator=torch.Generator().manual_seed(2))
    gradient[4:] = 0
    orthogonal = Orthogonal()
    for _ in range(3):
        step = orthogonal.step(gradient)
        assert step[:4].abs().mean() > 0.5
        assert step[4:].abs().max() < 1e-3
    assert not Orthogonal().step(torch.zeros(6, 40)).any()


def test_the_momentum_outlives_a_step_and_can_be_forgotten() -> None:
    draws = torch.Generator().manual_seed(3)
    first, second = (torch.randn(6, 40, generator=draws) for _ in range(2))
    orthogonal = Orthogonal()
    orthogonal.step(first)
    mixed = orthogonal.step(second)
    torch.testing.assert_close(mixed, Orthogonal().step(0.9 * first + second), atol=1e-3, rtol=0)
    orthogonal.forget()
    torch.testing.assert_close(
        orthogonal.step(second), Orthogonal().step(second), atol=1e-4, rtol=0
    )


# Read-outs along the way


@pytest.mark.usefixtures("readouts")
@pytest.mark.parametrize(
    ("draft_part", "sides"),
    [(0.0, [32] * 20), (0.5, [16] * 10 + [32] * 10), (1.0, [16] * 20)],
    ids=["none", "half", "all"],
)
def test_the_first_steps_see_a_smaller_readout(
    monkeypatch: pytest.MonkeyPatch, draft_part: float, sides: list[int]
) -> None:
    seen: list[int] = []
    step = Steps.step
    monkeypatch.setattr(
        Steps, "step", lambda self, side, inputs: (seen.append(side), step(self, side, inputs))[1]
    )
    descent = descent_for(steps=20, check_every=5, draft_part=draft_part, halvings=9)
    descent.run(lambda step, loss: None)
    assert seen == sides
    assert (descent.problem.readout is None) == (draft_part == 0)  # none is fitted for nothing


@pytest.mark.usefixtures("readouts")
def test_what_the_readout_gets_wrong_is_carried_along() -> None:
    descent = descent_for(draft_part=0.5)
    true = descent._check(0)
    with torch.no_grad():
        code = descent.code()[None]
        readout_alone = descent.problem.draw(code, 16)
        corrected = readout_alone + descent._correction(16)
        picture = F.adaptive_avg_pool2d(SMALL.synthesize(code), 16)
    assert corrected.shape == (1, 3, 16, 16)
    assert not torch.allclose(readout_alone, picture, atol=1e-2)
    torch.testing.assert_close(corrected, picture, atol=1e-5, rtol=0)
    assert not descent._correction(32).any()  # the true picture lacks nothing
    assert true == descent.trace[0][1]


@pytest.mark.usefixtures("readouts")
def test_warming_up_moves_nothing_and_leaves_only_the_descent_to_do() -> None:
    fresh, warm = inversion_for(draft_part=0.5), inversion_for(draft_part=0.5)
    warm.warm_up()
    assert sorted(warm.steps.by_side) == [16, 32]
    np.testing.assert_array_equal(fresh.encode(FACE).w, warm.encode(FACE).w)


@pytest.mark.usefixtures("readouts")
def test_the_first_step_sees_the_true_picture_made_small() -> None:
    descent = descent_for(steps=1, draft_part=1.0, prior_weight=0.0)
    seen: list[float] = []
    descent.run(lambda step, loss: seen.append(loss))
    with torch.no_grad():
        drawn, wanted = (
            F.adaptive_avg_pool2d(picture, 16)
            for picture in (SMALL.synthesize(SMALL.w_mean[None]), PLANES)
        )
        by_hand = float(descent.problem.loss.against(wanted)(drawn))
    assert seen == [pytest.approx(by_hand, rel=1e-4)]


@pytest.mark.usefixtures("readouts")
def test_the_loss_of_the_true_picture_falls_by_steps_on_readouts() -> None:
    descent = descent_for(steps=30, check_every=5, tolerance=-1e9)
    rates_of(descent)
    losses_seen = [loss for _, loss in descent.trace]
    assert min(losses_seen) < 0.85 * losses_seen[0]


# The result


def test_the_code_and_its_provenance(inversion: Inversion) -> None:
    calls: list[tuple[int, int, float]] = []
    code = inversion.encode(FACE, progress=lambda *call: calls.append(call))
    assert code.w.shape == (SMALL.rows, 512)
    assert code.w.dtype == np.float32
    assert np.isfinite(code.w).all()
    assert code.generator == SMALL.fingerprint
    assert code.tuning is None
    assert [call[:2] for call in calls] == [(step, 12) for step in range(1, len(calls) + 1)]
    made = code.provenance
    assert made["made_by"] == "encode"
    assert made["start"] == "mean"
    assert made["steps"] == len(calls)
    assert made["settings"] == dataclasses.asdict(SETTINGS)
    assert made["loss"] == min(loss for _, loss in made["trace"])


def test_the_loss_is_that_of_the_codes_own_picture(inversion: Inversion) -> None:
    code = inversion.encode(FACE)
    with torch.no_grad():
        image = F.avg_pool2d(SMALL.synthesize(torch.from_numpy(code.w)[None]), 4)
        wanted = F.avg_pool2d(PLANES, 4)
        by_hand = losses.DefaultLoss(SmallTrunk()).against(wanted)(image)  # type: ignore[arg-type]
    assert code.provenance["loss"] == pytest.approx(float(by_hand), rel=1e-4)


@pytest.mark.parametrize("loss", ["default", "pixel"])
def test_the_loss_falls_and_the_picture_comes_closer(loss: str) -> None:
    code = inversion_for(steps=40, loss=loss, tolerance=-1e9, rate=0.2).encode(FACE)
    trace = code.provenance["trace"]
    assert code.provenance["loss"] < 0.8 * trace[0][1]
    with torch.no_grad():
        target, found, mean = (
            F.avg_pool2d(picture, 4)
            for picture in (
                PLANES,
                SMALL.synthesize(torch.from_numpy(code.w)[None]),
                SMALL.synthesize(SMALL.w_mean[None]),
            )
        )
    assert F.mse_loss(found, target) < 0.7 * F.mse_loss(mean, target)


def test_the_first_loss_is_the_mean_codes() -> None:
    """Without a prior: the loss of the mean face, for the first step and for the first check."""
    seen: list[float] = []
    inversion = inversion_for(prior_weight=0.0)
    code = inversion.encode(FACE, progress=lambda *call: seen.append(call[2]))
    with torch.no_grad():
        wanted = F.avg_pool2d(PLANES, 4)
        image = F.avg_pool2d(SMALL.synthesize(SMALL.w_mean[None]), 4)
        by_hand = float(losses.DefaultLoss(SmallTrunk()).against(wanted)(image))  # type: ignore[arg-type]
    assert code.provenance["trace"][0] == [0, pytest.approx(by_hand, rel=1e-4)]
    assert seen[0] == pytest.approx(by_hand, rel=1e-4)


def test_a_stronger_prior_keeps_to_likely_codes() -> None:
    sizes = []
    for weight in (0.0, 10.0):
        descent = descent_for(prior_weight=weight, tolerance=-1e9)
        rates_of(descent)
        sizes.append(descent.problem.likely.distance(descent.code()).item())
    assert sizes[1] < 0.7 * sizes[0]


def test_a_random_face_is_likely_and_other_codes_are_not() -> None:
    likely = inversion_for().steps.problem.likely
    drawn = draw_w(SMALL, 12_345, 200)
    assert 0.5 < likely.distance(drawn).item() < 1.5
    shuffled = drawn[:, torch.randperm(512, generator=torch.Generator().manual_seed(0))]
    assert likely.distance(shuffled) > 3 * likely.distance(drawn)


def test_the_same_face_gives_the_same_code(inversion: Inversion) -> None:
    first = inversion.encode(FACE)
    torch.manual_seed(1234)  # nothing reads the global state
    assert inversion.encode(FACE).w.tobytes() == first.w.tobytes()
    again = inversion_for().encode(FACE)
    assert again.w.tobytes() == first.w.tobytes()
    assert again.provenance == first.provenance


def test_the_generator_is_not_trained(inversion: Inversion) -> None:
    before = {name: tensor.clone() for name, tensor in SMALL.state_dict().items()}
    inversion.encode(FACE)
    assert all(torch.equal(before[name], t) for name, t in SMALL.state_dict().items())
    assert all(p.grad is None for p in SMALL.parameters())


def test_the_statistics_of_w_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    other = tiny.TinyGenerator(seed=8)
    drawn = draw_w(other, 0, 10_000)
    assert torch.equal(w_deviation(other), drawn.std(dim=0))
    monkeypatch.setattr("duchenne.generators.base.draw_w", lambda *_: pytest.fail("drawn again"))
    assert torch.equal(many_w(other), drawn)


def test_the_units_are_the_latents_deviation(inversion: Inversion) -> None:
    w = SMALL.mapping(draw_z(77, 20_000))
    torch.testing.assert_close(inversion.steps.problem.deviation, w.std(dim=0), rtol=0.05, atol=0)


def test_what_is_warmed_up_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    inversion = inversion_for(init="encoder", steps=1)
    inversion.warm_up()
    for name in ("encoder.offered", "losses.make", "problem.Problem.of", "problem.Readout"):
        monkeypatch.setattr(f"duchenne.encoding.{name}", lambda *_: pytest.fail("made again"))
    assert inversion.encode(FACE).provenance["start"] == "mean"


# With a tuning


def test_a_tuning_rides_on_the_code() -> None:
    calls: list[tuple[int, int, float]] = []
    code = inversion_for(tuning_steps=3).encode(FACE, progress=lambda *c: calls.append(c))
    plain = inversion_for().encode(FACE)
    np.testing.assert_array_equal(code.w, plain.w)  # the pivot is the code itself
    assert code.tuning is not None
    assert list(code.tuning) == SMALL.fine_weights()
    assert [total for _, total, _ in calls] == [15] * len(calls)
    assert [done for done, _, _ in calls[-3:]] == [13, 14, 15]
    target = PLANES
    with torch.no_grad():
        w = torch.from_numpy(code.w)[None]
        before, after = SMALL.synthesize(w), tuning.tuned(SMALL, code.tuning).synthesize(w)
    assert F.l1_loss(after, target) < F.l1_loss(before, target)


def test_a_tuning_needs_the_generator_it_was_made_on() -> None:
    code = inversion_for(steps=1, tuning_steps=1).encode(FACE)
    assert code.tuning is not None
    with pytest.raises(SpaceMismatch):
        tuning.tuned(tiny.TinyGenerator(sizes=(4, 8, 16)), code.tuning)


# The read-out


def test_the_readout_is_the_generators_small_picture() -> None:
    """Least squares: clearly nearer to the reduced picture than its mean colour is."""
    w = SMALL.mapping(draw_z(31, 2))[:, None].expand(-1, SMALL.rows, -1)
    with torch.no_grad():
        found = Readout(SMALL).picture(PlainView(w))
        picture = F.adaptive_avg_pool2d(SMALL.synthesize(w), 32)
    assert found.shape == picture.shape == (2, 3, 32, 32)
    spread = (picture - picture.mean(dim=(2, 3), keepdim=True)).square().mean()
    assert (found - picture).square().mean() < 0.6 * spread


def test_the_readout_has_gradients() -> None:
    w = SMALL.w_mean.expand(1, SMALL.rows, -1).clone().requires_grad_()
    Readout(SMALL).picture(PlainView(w)).square().mean().backward()
    assert w.grad is not None
    used = [row for row, size in enumerate(SMALL.row_sizes) if size <= 32]
    assert (w.grad[0, used].norm(dim=1) > 0).all()


def test_the_readout_is_fitted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Readout(SMALL, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(Readout, "_fit", lambda self: pytest.fail("fitted again"))
    assert torch.equal(Readout(SMALL, cache=tmp_path).matrix, first.matrix)


@pytest.mark.parametrize(
    "tensors",
    [
        None,
        {"other": np.zeros((9, 3), np.float32)},
        {"matrix": np.zeros((5, 3), np.float32)},
        {"matrix": np.full((9, 3), np.nan, np.float32)},
    ],
    ids=["truncated", "name", "shape", "nan"],
)
def test_a_damaged_readout_is_fitted_again(
    tmp_path: Path, tensors: dict[str, np.ndarray] | None
) -> None:
    good = Readout(SMALL, cache=tmp_path).matrix
    (path,) = tmp_path.iterdir()
    if tensors is None:
        path.write_bytes(path.read_bytes()[:-4])
    else:
        codes.write_tensors(tensors, {"format": readout.FORMAT}, {}, path)
    assert torch.equal(Readout(SMALL, cache=tmp_path).matrix, good)
    kept, _ = codes.read_tensors(path, readout.FORMAT, "a fitted read-out")
    assert torch.equal(torch.from_numpy(kept["matrix"]), good)


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = Readout(SMALL, cache=tmp_path / "file")
    assert torch.equal(blocked.matrix, Readout(SMALL, cache=tmp_path).matrix)


# The cache


@pytest.fixture
def code() -> LatentCode:
    w = draw_z(1, SMALL.rows).numpy()
    return LatentCode(w, SMALL.fingerprint, {"made_by": "encode", "loss": 0.25})


def test_a_face_is_found_again(inversion: Inversion, code: LatentCode, tmp_path: Path) -> None:
    cache = EncodeCache(tmp_path / "not" / "yet")
    assert cache.get(FACE, inversion) is None
    cache.put(FACE, inversion, code)
    found = cache.get(FACE.copy(), inversion)
    assert found is not None
    assert found.w.tobytes() == code.w.tobytes()
    assert (found.generator, found.provenance) == (code.generator, code.provenance)


def test_other_pixels_settings_and_generators_are_other_entries(
    inversion: Inversion, tmp_path: Path
) -> None:
    cache = EncodeCache(tmp_path)
    other_face = FACE.copy()
    other_face[0, 0, 0] ^= 1
    turned = np.ascontiguousarray(FACE.reshape(64, 256, 3))  # the same bytes in another shape
    words = {"init": "random", "loss": "pixel"}
    others = [
        inversion_for(**{name: words.get(name, 7)})  # type: ignore[arg-type]
        for name in dataclasses.asdict(SETTINGS)
    ]
    others.append(inversion_for(generator=tiny.TinyGenerator(seed=6)))
    paths = [cache.path(picture, inversion) for picture in (FACE, other_face, turned)]
    paths += [cache.path(FACE, other) for other in others]
    assert len(set(paths)) == len(paths)
    assert cache.path(FACE, inversion_for()) == paths[0]


def test_another_encoder_is_another_entry(tmp_path: Path) -> None:
    """Only where the encoding starts from it."""
    cache = EncodeCache(tmp_path)
    cells = nn.Module()
    cells.components = nn.ModuleList()
    encoders = [
        Encoder(cells, nn.Linear(2, 2), torch.ones(512), SMALL.fingerprint)  # type: ignore[arg-type]
        for _ in range(2)
    ]
    of_a_file = dataclasses.replace(encoders[0], file="0123456789ab")
    for init, count in (("encoder", 4), ("mean", 1)):
        settings = dataclasses.replace(SETTINGS, init=init)
        inversions = [Inversion(SMALL, settings, one) for one in (None, *encoders, of_a_file)]
        assert len({cache.path(FACE, one) for one in inversions}) == count
    other = dataclasses.replace(encoders[0], generator="another")
    with pytest.raises(SpaceMismatch, match="belongs to another"):
        Inversion(SMALL, SETTINGS, other)


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_a_damaged_entry_counts_as_absent_and_is_replaced(
    inversion: Inversion, code: LatentCode, tmp_path: Path, content: bytes | None
) -> None:
    cache = EncodeCache(tmp_path)
    cache.put(FACE, inversion, code)
    path = cache.path(FACE, inversion)
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    assert cache.get(FACE, inversion) is None
    cache.put(FACE, inversion, code)
    assert cache.get(FACE, inversion) is not None


def test_the_default_cache_is_the_users() -> None:
    from duchenne.weights import store

    assert EncodeCache().folder == store.cache_root() / "codes"


def test_the_saved_code_tells_how_it_was_made(inversion: Inversion, tmp_path: Path) -> None:
    made = inversion.encode(FACE)
    codes.write_code(made, tmp_path / "face.safetensors")
    assert codes.read_code(tmp_path / "face.safetensors").provenance == made.provenance


def test_a_tuned_code_comes_out_of_the_cache_whole(tmp_path: Path) -> None:
    inversion = inversion_for(steps=1, tuning_steps=1)
    made = inversion.encode(FACE)
    cache = EncodeCache(tmp_path)
    cache.put(FACE, inversion, made)
    found = cache.get(FACE, inversion)
    assert found is not None
    assert found.tuning is not None
    assert made.tuning is not None
    assert {k: v.tobytes() for k, v in found.tuning.items()} == {
        k: v.tobytes() for k, v in made.tuning.items()
    }
