"""Fitting v(I), whole but tiny: pairs, degradations, features, training, and what a kill costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor
from torch.nn import functional as F

from duchenne.encoding import encoder as initial
from duchenne.encoding import features, vgg
from duchenne.encoding.encoder import Encoder
from duchenne.errors import InputError
from duchenne.files import codes
from duchenne.fit import degrade, encoder, pairs
from duchenne.fit.encoder import EncoderFitSettings
from duchenne.generators.base import draw_w

SHARD, HELD_OUT = 16, 16
NARROW = (
    ((3, 4), (4, 4)),
    ((4, 4), (4, 4)),
    ((4, 4), (4, 4), (4, 4)),
    ((4, 8), (8, 8), (8, 8)),
    ((8, 8), (8, 8), (8, 8)),
)
# 256 px, so that a read-out of 128 px and a half side both exist.
SMALL = tiny.TinyGenerator(seed=3, sizes=(4, 8, 16, 32, 64, 128))
DEVIATION = draw_w(SMALL, 0, 1000).std(dim=0)


class Stop(Exception):
    """Stands for a kill."""


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 16, and a seeded trunk with all layers of VGG-16 and few channels in each."""
    monkeypatch.setattr(pairs, "SHARD", SHARD)
    monkeypatch.setattr(encoder, "HELD_OUT", HELD_OUT)
    monkeypatch.setattr(encoder, "PCA_PICTURES", 2 * SHARD)
    monkeypatch.setattr(encoder, "BATCH_OF_TRUNK", 8)
    monkeypatch.setattr(vgg, "CONVOLUTIONS", NARROW)
    for module in (initial, encoder):
        monkeypatch.setattr(module, "COMPONENTS", (6, 8, 8))
    monkeypatch.setattr(features, "load", seeded_trunk)


def seeded_trunk() -> features.VGG16Trunk:
    trunk = features.VGG16Trunk()
    rng = torch.Generator().manual_seed(2)
    for tensor in trunk.parameters():
        scale = (2 / tensor[0].numel()) ** 0.5 if tensor.dim() > 1 else 0.1
        tensor.data = torch.randn(tensor.shape, generator=rng) * scale
    return trunk.requires_grad_(False).eval()


def settings_for(**changes: Any) -> EncoderFitSettings:
    """Made here, since HELD_OUT is smaller only while a test runs."""
    values = {"pairs": 4 * SHARD, "hidden": 16, "epochs": 3, "batch": 16, "rate": 0.01}
    return EncoderFitSettings(**{**values, **changes})  # type: ignore[arg-type]


def numbers(network: Encoder) -> dict[str, bytes]:
    """Every number that was fitted, to the bit."""
    state = {**network.cells.components.state_dict(prefix="cells.")}
    state |= network.head.state_dict(prefix="head.")
    state["deviation"] = network.deviation
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}


# Codes of pairs


def test_the_same_seed_gives_the_same_codes() -> None:
    one = pairs.draw(SMALL, 5, 8, DEVIATION)
    torch.manual_seed(123)
    np.random.seed(123)
    assert torch.equal(pairs.draw(SMALL, 5, 8, DEVIATION), one)
    assert not torch.equal(pairs.draw(SMALL, 6, 8, DEVIATION), one)
    assert one.shape == (8, SMALL.rows, 512)
    assert one.isfinite().all()


def test_the_rows_of_most_codes_disagree_and_of_some_agree() -> None:
    w = pairs.draw(SMALL, 5, 200, DEVIATION)
    steps = (w[:, 1:] - w[:, :-1]).abs().amax(dim=2)  # between neighbouring rows
    alike = (steps == 0).all(dim=1).double().mean().item()
    assert alike == pytest.approx((1 - pairs.MIXED) * (1 - pairs.MOVED), abs=0.08)
    moved = (steps > 0).all(dim=1).double().mean().item()
    assert moved == pytest.approx(pairs.MOVED, abs=0.1)
    mixed_only = ((steps > 0).sum(dim=1) == 1).double().mean().item()
    assert mixed_only == pytest.approx(pairs.MIXED * (1 - pairs.MOVED), abs=0.08)


def test_moves_stay_within_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    w = pairs.draw(SMALL, 5, 100, DEVIATION)
    monkeypatch.setattr(pairs, "LARGEST_MOVE", 0.0)
    still = pairs.draw(SMALL, 5, 100, DEVIATION)
    sizes = ((w - still) / DEVIATION).std(dim=(1, 2))
    assert sizes.max() < 0.4 * 1.1
    assert sizes.max() > 0.3


# Files of pairs


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "SHARD", SHARD)
        pairs.collect(SMALL, 4 * SHARD, folder, threads=1)
    return folder


def test_pictures_are_those_of_the_codes(collected: Path) -> None:
    found = pairs.load(SMALL, 4 * SHARD, collected)
    assert found.w.shape == (64, SMALL.rows, 512)
    assert found.pictures.shape == (64, 3, 128, 128)
    assert (found.w.dtype, found.pictures.dtype) == (np.float16, np.uint8)
    assert found.true.tolist() == [False] * 48 + [True] * 16  # one shard in four
    assert found.pictures.std() > 10
    for number in (3, 17, 60):
        w = torch.from_numpy(found.w[number]).float()[None]
        with torch.no_grad():
            picture = F.avg_pool2d(SMALL.synthesize(w), 2)[0]
        drawn = torch.from_numpy(found.pictures[number]).float() / 127.5 - 1
        error = (drawn - picture).abs().mean().item()
        # A level is 2 / 255; the read-out is right only about what can be read linearly.
        assert error < (0.02 if found.true[number] else 0.5 * picture.std().item())


def test_a_part_of_the_pairs_can_be_loaded(collected: Path) -> None:
    few, all_of_them = (pairs.load(SMALL, n, collected) for n in (20, 64))
    np.testing.assert_array_equal(few.w, all_of_them.w[:20])
    np.testing.assert_array_equal(few.pictures, all_of_them.pictures[:20])


def test_pairs_that_were_not_collected_are_missed(collected: Path) -> None:
    with pytest.raises(InputError, match=r"pairs_00004\.safetensors: .*collect them first"):
        pairs.load(SMALL, 65, collected)
    with pytest.raises(InputError, match="pairs of this generator"):
        pairs.load(tiny.TinyGenerator(seed=4), 16, collected)


def test_processes_can_share_the_work(collected: Path, tmp_path: Path) -> None:
    for k in (0, 1):
        pairs.collect(SMALL, 4 * SHARD, tmp_path, share=(k, 2), threads=1)
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == [f"pairs_{n:05d}.safetensors" for n in range(4) if n % 2 <= k]
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (collected / path.name).read_bytes()


@pytest.mark.parametrize("how", ["truncated", "empty", "other"])
def test_a_damaged_shard_is_made_again_and_good_ones_are_kept(
    collected: Path, tmp_path: Path, how: str
) -> None:
    for path in collected.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    spoilt = tmp_path / "pairs_00001.safetensors"
    content = spoilt.read_bytes()
    if how == "other":
        tensors, metadata = codes.read_tensors(spoilt, pairs.FORMAT, "pairs")
        codes.write_tensors(tensors, {**metadata, "generator": "another"}, {}, spoilt)
    else:
        spoilt.write_bytes(content[: len(content) // 2 if how == "truncated" else 0])
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    calls: list[tuple[int, int]] = []
    pairs.collect(SMALL, 4 * SHARD, tmp_path, threads=1, progress=lambda *call: calls.append(call))
    assert spoilt.read_bytes() == content
    for path in set(tmp_path.iterdir()) - {spoilt}:
        assert path.stat().st_mtime_ns == before[path.name]
    assert calls == [(16, 64), (32, 64), (48, 64), (64, 64)]


@pytest.mark.parametrize("sizes", [(4, 8, 16), (4, 8, 16, 32, 64)], ids=["32 px", "128 px"])
def test_small_generators_have_pairs_too(sizes: tuple[int, ...], tmp_path: Path) -> None:
    generator = tiny.TinyGenerator(sizes=sizes)
    pairs.collect(generator, SHARD, tmp_path, threads=1)
    assert pairs.load(generator, SHARD, tmp_path).pictures.shape == (SHARD, 3, 128, 128)


# Degradations


def clean(count: int = 40, side: int = 48) -> Tensor:
    rng = torch.Generator().manual_seed(4)
    coarse = torch.rand(count, 3, 8, 8, generator=rng) * 2 - 1
    return F.interpolate(coarse, size=(side, side), mode="bilinear")


def test_degrading_keeps_shape_type_and_range() -> None:
    x = clean()
    before = x.clone()
    found = degrade.degrade(x, np.random.default_rng(0))
    assert torch.equal(x, before)
    assert found.shape == x.shape
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert -1 <= found.min() < found.max() <= 1


def test_degrading_is_deterministic_in_its_generator() -> None:
    one = degrade.degrade(clean(), np.random.default_rng(0))
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(degrade.degrade(clean(), np.random.default_rng(0)), one)
    assert not torch.equal(degrade.degrade(clean(), np.random.default_rng(1)), one)


def test_a_quarter_stays_clean_and_the_others_stay_recognisable() -> None:
    x = clean(200)
    found = degrade.degrade(x, np.random.default_rng(0))
    same = (found == x).all(dim=3).all(dim=2).all(dim=1)
    assert same.double().mean().item() == pytest.approx(degrade.CLEAN, abs=0.1)
    far = (found[~same] - x[~same]).abs().mean(dim=(1, 2, 3))
    others = (x[~same] - x[~same].roll(1, dims=0)).abs().mean(dim=(1, 2, 3))
    assert (far > 0.01).all()
    assert far.mean() < 0.6 * others.mean()


@pytest.mark.parametrize("step", ["moved", "_lit", "_blurred", "_noisy", "_occluded"])
def test_every_step_keeps_the_shape_and_changes_something(step: str) -> None:
    x = clean()
    found = getattr(degrade, step)(x, np.random.default_rng(0))
    assert found.shape == x.shape
    assert found.isfinite().all()
    assert not torch.equal(found, x)


def test_jpeg_by_pillow_stays_near() -> None:
    rng, x = np.random.default_rng(0), clean(12)
    found = degrade._compressed(x, rng)
    changed = (found != x).flatten(1).any(dim=1)
    assert 2 <= changed.sum() <= 10
    assert (found - x).abs().mean() < 0.1


# The whole fit


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fit")


def fit(
    generator: tiny.TinyGenerator,
    folder: Path,
    settings: EncoderFitSettings | None = None,
    progress: encoder.Progress | None = None,
) -> tuple[Encoder, dict[str, Any]]:
    return encoder.fit(generator, folder, settings or settings_for(), progress=progress)


@pytest.fixture
def whole(work: Path) -> tuple[Encoder, dict[str, Any]]:
    """The uninterrupted fit; made by the first test that asks, resumed by the next ones."""
    return fit(SMALL, work)


def test_a_fit_gives_a_network_that_can_be_used(
    whole: tuple[Encoder, dict[str, Any]], tmp_path: Path
) -> None:
    network, made = whole
    assert network.generator == SMALL.fingerprint
    assert made["settings"] == dataclasses.asdict(settings_for())
    assert [entry["epoch"] for entry in made["curve"]] == [1, 2, 3]
    path = tmp_path / "net.safetensors"
    initial.save(network, path, made)
    read = initial.load_encoder(path)
    with torch.no_grad():
        picture = SMALL.synthesize(draw_w(SMALL, 77))
    found, kept = (n.predict(picture, SMALL) for n in (network, read))
    assert found.shape == (1, SMALL.rows, 512)
    torch.testing.assert_close(kept, found, atol=0.02, rtol=0.02)  # float16


def test_training_learns_the_pairs(
    whole: tuple[Encoder, dict[str, Any]], work: Path, tmp_path: Path
) -> None:
    """48 pairs teach nothing about others, but they are learned: 1 is what the mean code gets."""
    inputs = np.stack(
        [
            codes.read_tensors(path, encoder.FEATURES_FORMAT, "features")[0]["features"]
            for path in sorted((work / "features").glob("version0_*"))
        ]
    ).reshape(1, 64, -1)
    settings = settings_for(versions=1, epochs=80, dropout=0.0)
    deviation = whole[0].deviation
    targets = encoder._targets(SMALL, work, settings, deviation)
    _, curve = encoder.train(inputs, targets, tmp_path, settings, lambda *_: None)
    assert curve[-1]["training"] < 0.6 * curve[0]["training"]


def test_components_are_principal_axes(whole: tuple[Encoder, dict[str, Any]], work: Path) -> None:
    """Orthonormal, centred, and the first ones carry the most."""
    cells = whole[0].cells
    pictures = pairs.load(SMALL, 2 * SHARD, work / "pairs").pictures
    seen = cells.seen(torch.from_numpy(pictures).float() / 127.5 - 1)
    for conv, x in zip(cells.components, seen, strict=True):
        weight = conv.weight.flatten(1)
        torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-4, rtol=0)
        found = conv(x).transpose(0, 1).flatten(1)
        deviation = found.std(dim=1)
        assert (found.mean(dim=1).abs() < 0.02 * deviation[0] + 1e-3).all()
        assert (deviation[:-1] > 0.95 * deviation[1:]).all()


def test_a_finished_fit_is_found_again(
    whole: tuple[Encoder, dict[str, Any]],
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder, "_loss", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(encoder, "_features", lambda *_: pytest.fail("looked again"))
    monkeypatch.setattr(pairs, "_renderer", lambda *_: pytest.fail("drawn again"))
    again, made = fit(SMALL, work)
    assert numbers(again) == numbers(whole[0])
    assert made == whole[1]


KILLS = {
    "first pairs": ("pairs", 16),
    "last pairs": ("pairs", 64),
    "first features": ("features", 1),
    "second version": ("features", 6),
    "first epoch": ("training", 1),
    "second epoch": ("training", 2),
}


def test_a_killed_fit_goes_on_to_the_same_bits(
    whole: tuple[Encoder, dict[str, Any]], tmp_path: Path
) -> None:
    """Killed at each of these points in turn, it goes on from there in the same folder."""
    for point in KILLS.values():

        def kill(stage: str, done: int, total: int, point: tuple[str, int] = point) -> None:
            if (stage, done) == point:
                raise Stop

        with pytest.raises(Stop):
            fit(SMALL, tmp_path, progress=kill)
        torch.manual_seed(4321)
    resumed, made = fit(SMALL, tmp_path)
    assert numbers(resumed) == numbers(whole[0])
    for entry, expected in zip(made["curve"], whole[1]["curve"], strict=True):
        assert {**entry, "seconds": 0} == {**expected, "seconds": 0}


# drawing, looking, an epoch, before a checkpoint
INSIDE = ((pairs, "draw", 2), (encoder, "degrade", 5), (encoder, "_loss", 4), (encoder, "_keep", 2))


def test_a_fit_killed_in_the_middle_of_work_goes_on_to_the_same_bits(
    whole: tuple[Encoder, dict[str, Any]], tmp_path: Path
) -> None:
    for owner, name, call in INSIDE:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, killed_at(call, getattr(owner, name)))
            with pytest.raises(Stop):
                fit(SMALL, tmp_path)
    resumed, _ = fit(SMALL, tmp_path)
    assert numbers(resumed) == numbers(whole[0])


def killed_at(call: int, work: Callable[..., Any]) -> Callable[..., Any]:
    calls = 0

    def killed(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Stop
        return work(*arguments)

    return killed


@pytest.mark.parametrize(
    "name",
    [
        "pairs/pairs_00002.safetensors",
        "components.safetensors",
        "features/version1_00001.safetensors",
        "checkpoint.pt",
    ],
)
@pytest.mark.parametrize("left", [0.0, 0.7])
def test_a_damaged_file_is_made_again(
    whole: tuple[Encoder, dict[str, Any]],
    work: Path,
    name: str,
    left: float,
) -> None:
    path = work / name
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    again, _ = fit(SMALL, work)
    assert numbers(again) == numbers(whole[0])
    if path.suffix == codes.SUFFIX:
        assert path.read_bytes() == content


def test_other_settings_do_not_go_on_from_an_old_checkpoint(
    whole: tuple[Encoder, dict[str, Any]], work: Path
) -> None:
    other, made = fit(SMALL, work, settings_for(seed=1))
    assert numbers(other) != numbers(whole[0])
    assert len(made["curve"]) == 3
    back, _ = fit(SMALL, work)
    assert numbers(back) == numbers(whole[0])


def test_another_generator_in_the_same_folder_starts_anew(
    whole: tuple[Encoder, dict[str, Any]], work: Path, tmp_path: Path
) -> None:
    for path in work.rglob("*"):
        if path.is_file():
            target = tmp_path / "used" / path.relative_to(work)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    generator = tiny.TinyGenerator(seed=8, sizes=(4, 8, 16, 32, 64))
    used, _ = fit(generator, tmp_path / "used")
    fresh, _ = fit(generator, tmp_path / "fresh")
    assert used.generator == generator.fingerprint
    assert numbers(used) == numbers(fresh)


@pytest.mark.parametrize("versions", [1, 3])
def test_any_number_of_versions(work: Path, versions: int, whole: object) -> None:
    _, made = fit(SMALL, work, settings_for(versions=versions, epochs=1))
    assert len(made["curve"]) == 1


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs 31: expected at least 32, since 16 are held out"):
        settings_for(pairs=31)
    assert settings_for(pairs=32).pairs == 32


def test_the_loss_is_one_for_the_mean_code() -> None:
    """By hand: deviations of 1 everywhere, a weight of 3 counts three times."""
    w = torch.ones(2, 4, 512)
    targets = encoder.Targets(w.half(), torch.tensor([1.0, 3.0]), "g")
    chosen = torch.tensor([0, 1])
    assert encoder._loss(torch.zeros(2, 4, 512), targets, chosen).item() == pytest.approx(1.0)
    predicted = torch.stack([torch.ones(4, 512), torch.full((4, 512), 3.0)])
    assert encoder._loss(predicted, targets, chosen).item() == pytest.approx(3 * 4 / 4)
