"""Passes of any generator, traced and compiled when they are needed; on a GPU as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch

from .. import cores
from ..generators.base import Generator
from ..generators.readout import Readout
from ..programs.compiling import Array, Known, Program
from ..programs.tracing import Compiler
from ..types import WIDTH
from .layout import Layout, Recording, editable_rows, read_at
from .regional import LocalPass, PlainPass, RegionalPass, record


class TracedPasses:
    """See `passes.Passes`. generator: in evaluation mode."""

    def __init__(self, generator: Generator, threads: int) -> None:
        cores.torch_threads()  # PyTorch sees no quota by itself
        self._generator = generator
        self._compiler = Compiler(generator.w_mean.device, threads)
        self._passes: dict[int, RegionalPass] = {}  # by the size of their pictures
        self._local: Callable[..., Array] | None = None

    def begin(self) -> None:
        """Nothing is read."""

    def record(self, w: Array) -> Recording:
        # Once for each face: PyTorch, since compiling this pass too takes longer than it saves, and
        # holds 0.8 GB.
        return record(self._generator, self._code(w))

    def drawn(self, w: Array) -> Array:
        with torch.no_grad():
            return self._generator.synthesize(self._code(w)).cpu().numpy()

    def plain(self, w: Array) -> Array:
        return np.asarray(self._plain(w[None]))

    def local(self, w: Array, offsets: Array, masks: Sequence[Array]) -> Array:
        if self._local is None:
            network = LocalPass(self._generator, editable_rows(self._generator))
            self._local = self._compiler.open(network, [w[None], offsets, *masks])
        return self._local(w[None], offsets, *masks)

    def regional(
        self, layout: Layout, example: Array, known: Known, at_once: int, *, few: bool
    ) -> Program:
        if layout.size not in self._passes:
            self._passes[layout.size] = regional_pass(self._generator, layout)
        network = self._passes[layout.size]
        sizes = layout.input_sizes
        return self._compiler.compile(network, example, known(), sizes, at_once, few)

    def _code(self, w: Array) -> torch.Tensor:
        return torch.from_numpy(w[None]).to(self._generator.w_mean.device)

    @cached_property
    def _plain(self) -> Program:
        w = np.zeros((1, self._generator.rows, WIDTH), np.float32)
        return self._compiler.compile(PlainPass(self._generator), w)


def regional_pass(generator: Generator, layout: Layout) -> RegionalPass:
    """The network of a layout."""
    readout = None
    if layout.readout_from is not None:
        part, tile = generator.size // layout.size, layout.size // read_at(layout.size)
        readout = Readout(generator, part=part, tile=tile)
    return RegionalPass(generator, editable_rows(generator), layout, readout)
