"""A similar face by v(I) alone, for the built-in generator: one program, without PyTorch.

What `inversion.Inversion` does with the settings LOOK_ALIKE, within rounding.
"""

from __future__ import annotations

import threading
from dataclasses import asdict
from functools import cached_property
from importlib import resources

import numpy as np
import openvino as ov

from ..files import codes, pictures
from ..generators.built_in import BuiltIn
from ..programs import compiling, kept, shipped
from ..programs.compiling import Array
from ..types import LatentCode, Pixels
from . import vgg
from .cache import VERSION, Progress
from .encoder_file import BUILT_IN, EXPECTED, FORMAT, SIDE, offered_version
from .settings import LOOK_ALIKE


class LookAlike:
    """See `cache.Inverts`. threads: cores to use; None is all of them."""

    settings = LOOK_ALIKE

    def __init__(self, generator: BuiltIn, threads: int | None = None) -> None:
        self.generator, self._threads = generator, threads
        self.keeps_programs = False
        self._program: ov.CompiledModel | None = None
        self._turn = threading.Lock()  # a program serves one thread at a time

    @cached_property
    def encoder_version(self) -> str:
        return offered_version(self.generator)

    def encode(self, face: Pixels, *, progress: Progress | None = None) -> LatentCode:
        planes = pictures.to_planes(face)
        tile = len(face) // SIDE
        small = planes.reshape(3, SIDE, tile, SIDE, tile).mean(axis=(2, 4))
        with self._turn:
            program = self._program or self._compiled()
            self._program = program if self.keeps_programs else None
            w = np.array(program([small[None]])[0])
        provenance = {"made_by": "encode", "version": VERSION, "start": "encoder", "steps": 0}
        provenance["settings"] = asdict(self.settings)
        return LatentCode(w, self.generator.fingerprint, provenance)

    def warm_up(self) -> None:
        self.keeps_programs, self._program = True, self._compiled()

    def _compiled(self) -> ov.CompiledModel:
        return kept.compiled(
            "encoder",
            f"{shipped.digest('encoder')} {self.encoder_version} {self.generator.fingerprint}",
            self._read,
            compiling.exact(self._threads),
        )

    def _read(self) -> ov.Model:
        return shipped.load(
            "encoder", {**arrays(), "w_mean": self.generator.weights.arrays["w_mean"]}
        )


def arrays() -> dict[str, Array]:
    """The weights of the package's v(I) by name, its VGG trunk's among them."""
    with resources.as_file(BUILT_IN) as file:
        tensors, _ = codes.read_tensors(file, FORMAT, EXPECTED)
    fitted = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    return {**fitted, **{f"trunk.{name}": array for name, array in vgg.arrays().items()}}
