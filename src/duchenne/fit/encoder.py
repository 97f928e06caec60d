"""Fitting v(I): pairs of codes and pictures -> features, once -> a small network on them.

The trunk is fixed, so its features are computed once for every pair and every degradation of its
picture and kept; what is trained then costs seconds an epoch. Everything is seeded, every shard
and every epoch is a file, and a killed fit goes on where it was.
"""

from __future__ import annotations

import math
import pickle
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..encoding import features
from ..encoding.encoder import COMPONENTS, Cells, Encoder, Head
from ..files import codes, writing
from ..generators.base import Generator, w_deviation
from ..types import StageProgress
from . import pairs
from .degrade import degrade

FEATURES_FORMAT = "duchenne-encoder-features-1"
HELD_OUT = 1024  # pairs at the end, never trained on
PCA_PICTURES = 512
BATCH_OF_TRUNK = 16


@dataclass(frozen=True)
class EncoderFitSettings:
    """pairs: how many are drawn. versions: degradations of each picture.

    hidden: width of the network. epochs, batch, rate, decay, dropout: of its training (AdamW, one
    cosine). true_weight: weight of pairs whose picture is the whole network's.
    """

    pairs: int = 16_384
    versions: int = 2
    hidden: int = 448
    epochs: int = 14
    batch: int = 256
    rate: float = 1e-3
    decay: float = 0.2
    dropout: float = 0.35
    true_weight: float = 1.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pairs < HELD_OUT + self.batch:
            raise ValueError(
                f"pairs {self.pairs}: expected at least {HELD_OUT + self.batch}, since {HELD_OUT} "
                f"are held out and {self.batch} are a batch"
            )


def fit(
    generator: Generator,
    folder: Path,
    settings: EncoderFitSettings | None = None,
    *,
    progress: StageProgress | None = None,
) -> tuple[Encoder, dict[str, Any]]:
    """The network and its training curve; intermediate results are kept in `folder`."""
    settings = settings or EncoderFitSettings()
    tell = progress or (lambda stage, done, total: None)
    pairs.collect(
        generator, settings.pairs, folder / "pairs", progress=lambda d, n: tell("pairs", d, n)
    )
    cells = fit_cells(generator, folder)
    inputs = collect_features(generator, cells, folder, settings, tell)
    deviation = w_deviation(generator).cpu()
    targets = _targets(generator, folder, settings, deviation)
    head, curve = train(inputs, targets, folder, settings, tell)
    network = Encoder(cells, head, deviation, generator.fingerprint)
    return network, {"settings": asdict(settings), "curve": curve}


def fit_cells(generator: Generator, folder: Path) -> Cells:
    """The principal components of the trunk's features in cells, from the first pairs; cached."""
    cells = Cells(features.load())
    cells.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    path = folder / f"components{codes.SUFFIX}"
    kept = codes.read_kept(path, FEATURES_FORMAT, "components", generator.fingerprint)
    if kept is not None:
        cells.components.load_state_dict({k: torch.from_numpy(v) for k, v in kept[0].items()})
        return cells.requires_grad_(False).eval()
    pictures = pairs.load(generator, PCA_PICTURES, folder / "pairs").pictures
    with torch.no_grad():
        seen = [cells.seen(_planes(batch)) for batch in np.array_split(pictures, 64)]
    for block, conv in enumerate(cells.components):
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        cell = conv.kernel_size[0]
        cut = torch.cat([nn.functional.unfold(s[block], cell, stride=cell) for s in seen])
        rows = cut.transpose(1, 2).flatten(0, 1)[:: max(1, cut.shape[0] * cut.shape[2] // 16_000)]
        mean = rows.mean(dim=0)
        axes = torch.linalg.eigh((rows - mean).T @ (rows - mean))[1].flip(1)
        weight = axes[:, : COMPONENTS[block]].T
        conv.weight.data.copy_(weight.view_as(conv.weight))
        conv.bias.data.copy_(-weight @ mean)
    state = {k: v.detach().numpy() for k, v in cells.components.state_dict().items()}
    metadata = {"format": FEATURES_FORMAT, "generator": generator.fingerprint}
    codes.write_tensors(state, metadata, {}, path)
    return cells.requires_grad_(False).eval()


def collect_features(
    generator: Generator,
    cells: Cells,
    folder: Path,
    settings: EncoderFitSettings,
    tell: StageProgress,
) -> NDArray[np.float16]:
    """[versions, pairs, D]: one file for each shard and version; good ones are kept."""
    shards = -(-settings.pairs // pairs.SHARD)
    total = shards * settings.versions
    inputs = np.empty((settings.versions, settings.pairs, cells.length), np.float16)
    for job in range(total):
        version, shard = divmod(job, shards)
        part = slice(shard * pairs.SHARD, min((shard + 1) * pairs.SHARD, settings.pairs))
        path = folder / "features" / f"version{version}_{shard:05d}{codes.SUFFIX}"
        kept = codes.read_kept(path, FEATURES_FORMAT, "features", generator.fingerprint)
        if kept is not None:
            stored = kept[0]["features"]
        else:
            stored = _features(generator, cells, folder, version, shard)
            path.parent.mkdir(exist_ok=True)
            metadata = {"format": FEATURES_FORMAT, "generator": generator.fingerprint}
            codes.write_tensors({"features": stored}, metadata, {}, path)
        inputs[version, part] = stored[: part.stop - part.start]
        tell("features", job + 1, total)
    return inputs


def _features(
    generator: Generator, cells: Cells, folder: Path, version: int, shard: int
) -> NDArray[np.float16]:
    pictures = pairs.shard(generator, shard, folder / "pairs").pictures
    rng = np.random.default_rng((version, shard))
    out = []
    # bfloat16 halves the time; the rounding is far below the degradations.
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for batch in np.array_split(pictures, len(pictures) // BATCH_OF_TRUNK):
            x = degrade(_planes(batch), rng).to(memory_format=torch.channels_last)
            out.append(cells(x).float().numpy().astype(np.float16))
    return np.concatenate(out)


def _planes(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures).float() / 127.5 - 1


@dataclass(frozen=True)
class Targets:
    """w: [N, L, 512] in units of the deviation. weight: [N]. generator: whose codes they are."""

    w: Tensor
    weight: Tensor
    generator: str


def _targets(
    generator: Generator, folder: Path, settings: EncoderFitSettings, deviation: Tensor
) -> Targets:
    drawn = pairs.load(generator, settings.pairs, folder / "pairs")
    w = (torch.from_numpy(drawn.w).float() - generator.w_mean.cpu()) / deviation
    weight = 1 + (settings.true_weight - 1) * torch.from_numpy(drawn.true).float()
    return Targets(w.half(), weight, generator.fingerprint)


def train(
    inputs: NDArray[np.float16],
    targets: Targets,
    folder: Path,
    settings: EncoderFitSettings,
    tell: StageProgress,
) -> tuple[Head, list[dict[str, float]]]:
    """Train the head; a checkpoint after each epoch. The curve has one entry an epoch."""
    torch.manual_seed(settings.seed)
    versions, count, length = inputs.shape
    known = count - HELD_OUT
    head = Head(length, settings.hidden, targets.w.shape[1], settings.dropout)
    sample = torch.from_numpy(inputs[0, :4096]).float()
    head.mean.copy_(sample.mean(dim=0))
    head.scale.copy_(1 / (sample.std(dim=0) + 1e-4))
    optimiser = torch.optim.AdamW(head.parameters(), lr=settings.rate, weight_decay=settings.decay)
    path = folder / "checkpoint.pt"
    owner = {"settings": asdict(settings), "generator": targets.generator}
    curve = _resume(path, owner, head, optimiser)
    steps = known // settings.batch
    source = torch.from_numpy(inputs)
    for epoch in range(len(curve), settings.epochs):
        started, total = time.monotonic(), 0.0
        # Seeded anew every epoch, so that a resumed training gives the same bits.
        torch.manual_seed(settings.seed * 10_000 + epoch)
        order = torch.randperm(known)
        version = torch.randint(versions, (known,))
        head.train()
        for step in range(steps):
            part = (epoch * steps + step) / (settings.epochs * steps)
            warm = min(1.0, (epoch * steps + step + 1) / 200)
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * warm * 0.5 * (1 + math.cos(math.pi * part))
            chosen = order[step * settings.batch : (step + 1) * settings.batch]
            x = source[version[chosen], chosen].float()
            loss = _loss(head(x), targets, chosen)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += loss.item()
        head.eval()
        held = torch.arange(known, count)
        with torch.no_grad():
            errors = [
                _loss(head(source[v, held].float()), targets, held).item() for v in range(versions)
            ]
        curve.append(
            {
                "epoch": epoch + 1,
                "training": total / steps,
                "held_out": float(np.mean(errors)),
                "seconds": time.monotonic() - started,
            }
        )
        _keep(path, owner, head, optimiser, curve)
        tell("training", epoch + 1, settings.epochs)
    return head.requires_grad_(False).eval(), curve


def _loss(predicted: Tensor, targets: Targets, chosen: Tensor) -> Tensor:
    """Weighted mean square in units of the latent's variance: 1 is what the mean code gets."""
    error = (predicted - targets.w[chosen].float()).square().mean(dim=(1, 2))
    weight = targets.weight[chosen]
    loss: Tensor = (error * weight).sum() / weight.sum()
    return loss


def _keep(path: Path, owner: dict[str, Any], head: Head, optimiser: Any, curve: list[Any]) -> None:
    state = {
        **owner,
        "head": head.state_dict(),
        "optimiser": optimiser.state_dict(),
        "curve": curve,
    }
    with writing.replacing(path) as temporary, writing.reporting_disk_errors(path):
        torch.save(state, temporary)


def _resume(
    path: Path, owner: dict[str, Any], head: Head, optimiser: Any
) -> list[dict[str, float]]:
    """The curve so far, head and optimiser brought to its end; empty where nothing fits."""
    if not path.exists():
        return []
    try:
        state = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError):
        return []  # damaged; it is replaced after the first epoch
    if {key: state.get(key) for key in owner} != owner:
        return []  # another fit's
    head.load_state_dict(state["head"])
    optimiser.load_state_dict(state["optimiser"])
    return list(state["curve"])
