"""Pairs of a code and its picture, on which the encoder is trained (section 3.2).

The paper draws codes from the latent distribution and renders them. Codes of photos differ from
such draws: their rows of W+ disagree. So part of the pairs mixes the rows of two people (style
mixing), and most have every row moved by itself. Pictures are small and cheap: most come from a
linear read-out of the middle of the generator (`generators.readout`), one shard in `TRUE_EVERY`
from the whole of it, whose colours are right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .. import cores
from ..errors import InputError
from ..files import codes, writing
from ..generators.base import Generator, PlainView, draw_w, w_deviation
from ..generators.readout import Readout
from ..programs.compiling import Program
from ..programs.tracing import Compiler
from ..types import WIDTH, StepProgress

FORMAT = "duchenne-pairs-1"
SIDE = 128  # pixels of a picture
SHARD = 256  # pairs of a file
TRUE_EVERY = 4
FIRST_SEED = 500_000  # shard k draws with seed FIRST_SEED + k; evaluations use others
TRUNCATIONS = (0.5, 1.0)
MIXED, MOVED = 0.4, 0.7  # shares of pairs with the rows of two people, with every row moved
LARGEST_MOVE = 0.4  # in units of the latent's standard deviation


@dataclass(frozen=True)
class Pairs:
    """w: float16 [N, L, 512]. pictures: uint8 [N, 3, SIDE, SIDE]. true: bool [N], whole network?"""

    w: NDArray[np.float16]
    pictures: NDArray[np.uint8]
    true: NDArray[np.bool_]


def draw(generator: Generator, seed: int, count: int, deviation: Tensor) -> Tensor:
    """[count, L, 512] codes of W+ for training; the same for the same seed and count.

    deviation: [512], standard deviation of W.
    """
    rng = np.random.default_rng(seed)

    def uniform(low: float, high: float) -> Tensor:
        values = torch.from_numpy(rng.uniform(low, high, (count, 1, 1)).astype(np.float32))
        return values.to(generator.w_mean.device)

    one, two = draw_w(generator, seed, 2 * count).view(2, count, 1, WIDTH)
    first_of_two = torch.from_numpy(rng.integers(1, generator.rows, (count, 1, 1)))
    first_of_two[rng.random(count) >= MIXED] = generator.rows
    row = torch.arange(generator.rows)[None, :, None]
    w = torch.where((row < first_of_two).to(one.device), one, two)
    w = w.lerp(generator.w_mean.expand_as(w), 1 - uniform(*TRUNCATIONS))
    size = uniform(0, LARGEST_MOVE) * torch.from_numpy(rng.random((count, 1, 1)) < MOVED).to(w)
    noise = torch.from_numpy(rng.standard_normal(w.shape).astype(np.float32)).to(w.device)
    return w + size * deviation * noise


def collect(
    generator: Generator,
    count: int,
    folder: Path,
    *,
    share: tuple[int, int] = (0, 1),
    threads: int | None = None,
    progress: StepProgress | None = None,
) -> None:
    """Write shards until `folder` has `count` pairs; good ones are kept.

    share: (k, n): every n-th shard only, from the k-th, so that processes can divide the work.
    """
    with writing.reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    shards = -(-count // SHARD)
    deviation = w_deviation(generator)
    compiled: dict[bool, Program] = {}
    for number in range(shards):
        path = _path(folder, number)
        if number % share[1] == share[0] and not done(generator, number, folder):
            true = number % TRUE_EVERY == TRUE_EVERY - 1
            if true not in compiled:
                compiled[true] = _renderer(generator, true, threads)
            w = draw(generator, FIRST_SEED + number, SHARD, deviation).cpu().numpy()
            images = np.concatenate([compiled[true](row[None]) for row in w])
            levels = np.clip((images + 1) * 127.5, 0, 255).round().astype(np.uint8)
            codes.write_tensors(
                {"w": w.astype(np.float16), "pictures": levels, "true": np.full(SHARD, true)},
                {"format": FORMAT, "generator": generator.fingerprint},
                {"number": number},
                path,
            )
        if progress:
            progress(min((number + 1) * SHARD, count), count)


def load(generator: Generator, count: int, folder: Path) -> Pairs:
    """The first `count` pairs; InputError if they have not all been collected."""
    shards = [shard(generator, number, folder) for number in range(-(-count // SHARD))]
    return Pairs(
        w=np.concatenate([s.w for s in shards])[:count],
        pictures=np.concatenate([s.pictures for s in shards])[:count],
        true=np.concatenate([s.true for s in shards])[:count],
    )


def shard(generator: Generator, number: int, folder: Path) -> Pairs:
    """The pairs of one file; InputError if it is not there."""
    path = _path(folder, number)
    kept = codes.read_kept(path, FORMAT, "training pairs", generator.fingerprint)
    if kept is None:
        raise InputError(f"{path}: expected pairs of this generator; collect them first")
    tensors, _ = kept
    return Pairs(tensors["w"], tensors["pictures"], tensors["true"])


class _Small(nn.Module):
    """w [1, L, 512] -> picture [1, 3, SIDE, SIDE], by a read-out or by the whole network."""

    def __init__(self, generator: Generator, true: bool) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator = generator
        part = max(1, generator.size // SIDE)
        self._draw: Callable[[Tensor], Tensor]
        if true or part == 1:
            side = generator.size // 2 if part > 1 else None
            self._draw = lambda w: generator.run(PlainView(w), side)
        else:
            readout = Readout(generator, part=part)
            self._draw = lambda w: readout.picture(PlainView(w))

    def forward(self, w: Tensor) -> Tensor:
        image = self._draw(w)
        if image.shape[-1] < SIDE:
            return F.interpolate(image, size=(SIDE, SIDE), mode="bilinear", antialias=False)
        return F.avg_pool2d(image, image.shape[-1] // SIDE)


def _renderer(generator: Generator, true: bool, threads: int | None) -> Program:
    w = np.zeros((1, generator.rows, WIDTH), np.float32)
    compiler = Compiler(generator.w_mean.device, threads or cores.usable())
    return compiler.compile(_Small(generator, true), w)


def _path(folder: Path, number: int) -> Path:
    return folder / f"pairs_{number:05d}{codes.SUFFIX}"


def done(generator: Generator, number: int, folder: Path) -> bool:
    """Is the whole file `number` there, of this generator? A damaged file is not."""
    expected, path = "training pairs", _path(folder, number)
    return codes.read_kept(path, FORMAT, expected, generator.fingerprint) is not None
