"""The passes of a generator that rendering needs, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import cached_property
from typing import Protocol

import numpy as np
import openvino as ov

from .. import cores
from ..generators import built_in
from ..generators.built_in import BuiltIn
from ..programs import compiling, kept, shipped
from ..programs.compiling import Array, Known, Program
from .layout import Layout, Recording, blend_layers


class Passes(Protocol):
    """What a renderer asks of a generator."""

    def begin(self) -> None:
        """Begin to read what `record` needs, beside other work."""
        ...

    def record(self, w: Array) -> Recording:
        """The unedited pass of one code [L, 512]."""
        ...

    def drawn(self, w: Array) -> Array:
        """[1, 3, H, W], the image of `record` to the bit."""
        ...

    def plain(self, w: Array) -> Array:
        """The same within rounding, by what is quick for many codes."""
        ...

    def local(self, w: Array, offsets: Array, masks: Sequence[Array]) -> Array:
        """[1, 3, H, W], edited on the whole canvas (`regional.LocalView`)."""
        ...

    def regional(
        self, layout: Layout, example: Array, known: Known, at_once: int, *, few: bool
    ) -> Program:
        """The edited pass: offsets, shaped as `example`, -> image of the window.

        known, at_once, few: see `compiling.compiled_with`.
        """
        ...


class ShippedPasses:
    """Those of the built-in generator, which come with the package: no PyTorch is needed."""

    def __init__(self, generator: BuiltIn, threads: int) -> None:
        self._generator, self._threads = generator, threads
        self._models: dict[int, ov.Model] = {}
        self._begun: Future[ov.CompiledModel] | None = None

    def begin(self) -> None:
        self._begun = self._begun or cores.soon(lambda: self._compiled("recording"))

    def record(self, w: Array) -> Recording:
        image, *features = self._recording([w[None], *self._noises])
        layers = blend_layers(self._generator)
        return Recording(
            image,
            dict(zip(layers, features, strict=True)),
            dict(enumerate(self._noises)),
            {},
            False,
        )

    def drawn(self, w: Array) -> Array:
        return self._recording([w[None], *self._noises])[0]

    plain = drawn

    def local(self, w: Array, offsets: Array, masks: Sequence[Array]) -> Array:
        return np.array(self._local([w[None], offsets, *masks, *self._noises])[0])

    def regional(
        self, layout: Layout, example: Array, known: Known, at_once: int, *, few: bool
    ) -> Program:
        if layout.size not in self._models:
            arrays = self._generator.weights.arrays
            self._models[layout.size] = shipped.load(f"regional-{layout.size}", arrays)
        model = self._models[layout.size]
        return compiling.compiled_with(model, example, known, self._threads, at_once, few=few)

    @cached_property
    def _noises(self) -> list[Array]:
        arrays = self._generator.weights.arrays
        return [arrays[name] for name in built_in.NOISES]

    def _recording(self, inputs: list[Array]) -> list[Array]:
        # The program goes when its work is done: kept, it would hold as much as all the features.
        begun, self._begun = self._begun, None
        program = self._compiled("recording") if begun is None else begun.result()
        return compiling.into_arrays(program, inputs)

    @cached_property
    def _local(self) -> ov.CompiledModel:
        return self._compiled("local")

    def _compiled(self, name: str) -> ov.CompiledModel:
        return kept.compiled(
            name,
            f"{shipped.digest(name)} {self._generator.fingerprint}",
            lambda: shipped.load(name, self._generator.weights.arrays),
            compiling.exact(self._threads),
        )
