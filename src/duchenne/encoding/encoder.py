"""v(I): a picture's initial code, guessed in one pass (section 3.2).

VGG-16's features of the last three blocks, cut into 8 x 8 places, reduced by principal components
and joined by a small picture, go through a small fitted network that names all rows of W+. Light
and colours are left to the small picture: the features are normalised at every place.

`duchenne fit encoder` fits such a network to a generator (`fit.encoder`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InputError, SpaceMismatch
from ..files import arrays, codes
from ..files.arrays import Expected
from ..generators.base import Generator
from ..types import WIDTH
from . import features, vgg
from .encoder_file import BUILT_IN, EXPECTED, FORMAT, SIDE, offered_version, version_of

PLACES = 8  # cells along a side
BLOCKS = (2, 3, 4)  # of the trunk, from 0: those with 32, 16 and 8 px here
COMPONENTS = (64, 96, 96)  # principal components kept of a block's cell
SMALL = 16  # side of the small picture
MOST_WEIGHT = 100.0  # of a number in its layers


class Cells(nn.Module):
    """Picture -> [B, D] numbers: components of VGG features in cells, and a small picture."""

    def __init__(self, trunk: features.VGG16Trunk) -> None:
        super().__init__()
        self.trunk = trunk
        self.components = nn.ModuleList(
            nn.Conv2d(width, kept, cell, stride=cell)
            for (width, cell), kept in zip(self.shapes(), COMPONENTS, strict=True)
        )
        self.length = self.numbers()

    @staticmethod
    def numbers() -> int:
        """How many numbers a picture becomes."""
        return PLACES**2 * sum(COMPONENTS) + 3 * SMALL**2

    @staticmethod
    def shapes() -> list[tuple[int, int]]:
        """(channels, pixels along a cell) of each block of BLOCKS."""
        widths = [vgg.CONVOLUTIONS[b][-1][1] for b in BLOCKS]
        return [(w, (SIDE >> b) // PLACES) for w, b in zip(widths, BLOCKS, strict=True)]

    def seen(self, pictures: Tensor) -> list[Tensor]:
        """[B, 3, SIDE, SIDE] in [-1, 1] -> normalised features of BLOCKS."""
        features_of = self.trunk(pictures)
        return features.normalised([features_of[b] for b in BLOCKS])

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, 3, SIDE, SIDE] in [-1, 1] -> [B, length]."""
        blocks = zip(self.components, self.seen(pictures), strict=True)
        small = F.adaptive_avg_pool2d(pictures, SMALL)
        return torch.cat([*(conv(x).flatten(1) for conv, x in blocks), small.flatten(1)], dim=1)


class Head(nn.Module):
    """[B, D] -> W+ rows in units of the latent's deviation, [B, L, 512]."""

    mean: Tensor
    scale: Tensor

    def __init__(self, inputs: int, hidden: int, rows: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.rows = rows
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.dropout = nn.Dropout(dropout)
        self.enter = nn.Linear(inputs, hidden)
        self.middle = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU())
        self.common = nn.Linear(hidden, WIDTH)
        self.row = nn.Linear(hidden, rows * WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout((x - self.mean) * self.scale)
        x = F.gelu(self.enter(x))
        x = x + self.dropout(self.middle(x))
        rows: Tensor = self.common(x)[:, None] + self.row(x).view(-1, self.rows, WIDTH)
        return rows


@dataclass(frozen=True)
class Encoder:
    """The fitted v(I) of one generator. deviation: [512], standard deviation of its W.

    file: `version_of` the file that it was read from, "" for one that was not.
    """

    cells: Cells
    head: Head
    deviation: Tensor
    generator: str
    file: str = ""

    @property
    def version(self) -> str:
        """Tells two networks of one generator apart: 12 hex digits."""
        if self.file:
            return self.file
        arrays = self.arrays()
        return hashlib.sha256(b"".join(arrays[name].tobytes() for name in arrays)).hexdigest()[:12]

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """What its file holds: components and head; the trunk is not part of it."""
        state = {
            **{f"cells.{k}": v for k, v in self.cells.components.state_dict().items()},
            **{f"head.{k}": v for k, v in self.head.state_dict().items()},
            "deviation": self.deviation,
        }
        return {k: v.detach().cpu().half().numpy() for k, v in state.items()}

    def to(self, device: torch.device) -> Encoder:
        moved = self.deviation.to(device)
        cells, head = self.cells.to(device), self.head.to(device)
        return replace(self, cells=cells, head=head, deviation=moved)

    def require_space(self, generator: Generator) -> None:
        """Raise SpaceMismatch unless it was fitted to this generator."""
        if generator.fingerprint != self.generator:
            raise SpaceMismatch(
                f"the encoder belongs to {self.generator}, the generator is "
                f"{generator.fingerprint}; fit one (duchenne fit encoder) or start from the mean"
            )

    def predict(self, pictures: Tensor, generator: Generator) -> Tensor:
        """[B, 3, S, S] in [-1, 1], aligned faces, S >= SIDE -> w [B, L, 512]; SpaceMismatch."""
        self.require_space(generator)
        with torch.no_grad():
            small = F.adaptive_avg_pool2d(pictures, SIDE)
            w: Tensor = generator.w_mean + self.head(self.cells(small)) * self.deviation
        return w


def save(network: Encoder, path: Path, provenance: dict[str, object]) -> None:
    """Write components and head as float16."""
    metadata = {"format": FORMAT, "generator": network.generator}
    codes.write_tensors(network.arrays(), metadata, provenance, path)


def load_encoder(path: Path | None = None) -> Encoder:
    """A fitted network; without a path the built-in generator's. InputError names a bad file."""
    if path is None:
        with resources.as_file(BUILT_IN) as file:
            return load_encoder(file)
    tensors, metadata = codes.read_tensors(
        path, FORMAT, EXPECTED, command=f"fit encoder -o {path.name}"
    )
    arrays.check(tensors, _expected(), path, "a whole encoder")
    state = {k: torch.from_numpy(v).float() for k, v in tensors.items()}
    try:
        hidden, inputs = state["head.enter.weight"].shape
        cells = Cells(features.load())
        head = Head(inputs, hidden, state["head.row.weight"].shape[0] // WIDTH)
        cells.components.load_state_dict(_part(state, "cells."))
        head.load_state_dict(_part(state, "head."))
        deviation, generator = state["deviation"], metadata["generator"]
        network = Encoder(cells, head, deviation, generator, version_of(path))
    except (KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a whole encoder ({reason})") from error
    for module in (cells, head):
        module.requires_grad_(False).eval()
    return network


def _expected() -> dict[str, Expected]:
    """The arrays of its file. The built-in network's weights are below 1, its scales below 120."""
    length = Cells.numbers()
    weights = {
        "enter.weight": ("H", length), "enter.bias": ("H",),
        "middle.0.weight": ("H",), "middle.0.bias": ("H",),
        "middle.1.weight": ("H", "H"), "middle.1.bias": ("H",),
        "common.weight": (WIDTH, "H"), "common.bias": (WIDTH,),
        "row.weight": ("R", "H"), "row.bias": ("R",),
    }  # fmt: skip
    cells = {
        f"cells.{i}.{part}": Expected(shape, -MOST_WEIGHT, MOST_WEIGHT)
        for i, ((width, cell), kept) in enumerate(zip(Cells.shapes(), COMPONENTS, strict=True))
        for part, shape in {"weight": (kept, width, cell, cell), "bias": (kept,)}.items()
    }
    rows = codes.MOST_ROWS * WIDTH
    return {
        **cells,
        **{
            f"head.{name}": Expected(shape, -MOST_WEIGHT, MOST_WEIGHT, longest=rows)
            for name, shape in weights.items()
        },
        "head.mean": Expected((length,), -100, 100),
        "head.scale": Expected((length,), 0, 10_000),
        "deviation": Expected((WIDTH,), 0, codes.MOST_LATENT),
    }


def offered(generator: Generator) -> Encoder | None:
    """The network that the package has for this generator, on its device; None if there is none."""
    if not offered_version(generator):
        return None
    return load_encoder().to(generator.w_mean.device)


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
