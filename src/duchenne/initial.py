"""v(I): a picture's initial code, guessed in one pass (section 3.2).

VGG-16's features of the last three blocks, cut into 8 x 8 places, reduced by principal components
and joined by a small picture, go through a small fitted network that names all rows of W+. Light
and colours are left to the small picture: the features are normalised at every place.

`duchenne fit encoder` fits such a network to a generator (`fit.encoder`).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import codes, features
from .errors import InputError, SpaceMismatch
from .generators.base import Generator

FORMAT = "duchenne-initial-code-1"
SIDE = 128  # pixels of the picture that is looked at
PLACES = 8  # cells along a side
BLOCKS = (2, 3, 4)  # of the trunk, from 0: those with 32, 16 and 8 px here
COMPONENTS = (64, 96, 96)  # principal components kept of a block's cell
SMALL = 16  # side of the small picture
CODE = 512
BUILT_IN = resources.files("duchenne") / "data/encoder.safetensors"
EXPECTED = "an initial-code network"


class Cells(nn.Module):
    """Picture -> [B, D] numbers: components of VGG features in cells, and a small picture."""

    def __init__(self, trunk: features.VGG16Trunk) -> None:
        super().__init__()
        self.trunk = trunk
        self.components = nn.ModuleList(
            nn.Conv2d(width, kept, cell, stride=cell)
            for (width, cell), kept in zip(self.shapes(), COMPONENTS, strict=True)
        )
        self.length = PLACES**2 * sum(COMPONENTS) + 3 * SMALL**2

    @staticmethod
    def shapes() -> list[tuple[int, int]]:
        """(channels, pixels along a cell) of each block of BLOCKS."""
        widths = [features.CONVOLUTIONS[b][-1][1] for b in BLOCKS]
        return [(w, (SIDE >> b) // PLACES) for w, b in zip(widths, BLOCKS, strict=True)]

    def seen(self, pictures: Tensor) -> list[Tensor]:
        """[B, 3, SIDE, SIDE] in [-1, 1] -> normalised features of BLOCKS."""
        found = self.trunk(pictures)
        return features.normalised([found[b] for b in BLOCKS])

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
        self.common = nn.Linear(hidden, CODE)
        self.row = nn.Linear(hidden, rows * CODE)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout((x - self.mean) * self.scale)
        x = F.gelu(self.enter(x))
        x = x + self.dropout(self.middle(x))
        rows: Tensor = self.common(x)[:, None] + self.row(x).view(-1, self.rows, CODE)
        return rows


@dataclass(frozen=True)
class InitialCode:
    """The fitted v(I) of one generator. deviation: [512], standard deviation of its W."""

    cells: Cells
    head: Head
    deviation: Tensor
    generator: str

    def to(self, device: torch.device) -> InitialCode:
        moved = self.deviation.to(device)
        return InitialCode(self.cells.to(device), self.head.to(device), moved, self.generator)

    def predict(self, pictures: Tensor, generator: Generator) -> Tensor:
        """[B, 3, S, S] in [-1, 1], aligned faces, S >= SIDE -> w [B, L, 512]; SpaceMismatch."""
        if generator.fingerprint != self.generator:
            raise SpaceMismatch(
                f"the initial-code network belongs to {self.generator}, the generator is "
                f"{generator.fingerprint}; fit one (duchenne fit encoder) or start from the mean"
            )
        with torch.no_grad():
            small = F.adaptive_avg_pool2d(pictures, SIDE)
            w: Tensor = generator.w_mean + self.head(self.cells(small)) * self.deviation
        return w


def save(network: InitialCode, path: Path, provenance: dict[str, object]) -> None:
    """Write components and head as float16; the trunk is not part of the file."""
    state = {
        **{f"cells.{k}": v for k, v in network.cells.components.state_dict().items()},
        **{f"head.{k}": v for k, v in network.head.state_dict().items()},
        "deviation": network.deviation,
    }
    arrays = {k: v.detach().cpu().half().numpy() for k, v in state.items()}
    metadata = {"format": FORMAT, "generator": network.generator}
    codes.write_tensors(arrays, metadata, provenance, path)


def load(path: Path | None = None) -> InitialCode:
    """A fitted network; without a path the built-in generator's. InputError names a bad file."""
    if path is None:
        with resources.as_file(BUILT_IN) as file:
            return load(file)
    tensors, metadata = codes.read_tensors(path, FORMAT, EXPECTED)
    state = {k: torch.from_numpy(v).float() for k, v in tensors.items()}
    try:
        hidden, inputs = state["head.enter.weight"].shape
        cells = Cells(features.load())
        head = Head(inputs, hidden, state["head.row.weight"].shape[0] // CODE)
        cells.components.load_state_dict(_part(state, "cells."))
        head.load_state_dict(_part(state, "head."))
        if inputs != cells.length or state["deviation"].shape != (CODE,):
            raise ValueError("its parts do not fit together")
        if not all(bool(tensor.isfinite().all()) for tensor in state.values()):
            raise ValueError("numbers that are not finite")
        network = InitialCode(cells, head, state["deviation"], metadata["generator"])
    except (KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a whole initial-code network ({reason})") from error
    for module in (cells, head):
        module.requires_grad_(False).eval()
    return network


def offered(generator: Generator) -> InitialCode | None:
    """The network that the package has for this generator, on its device; None if there is none."""
    with resources.as_file(BUILT_IN) as file:
        _, metadata = codes.read_tensors(file, FORMAT, EXPECTED)
    if metadata.get("generator") != generator.fingerprint:
        return None
    return load().to(generator.w_mean.device)


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
