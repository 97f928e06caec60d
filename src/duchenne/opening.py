"""A studio that is opened by name: in this process, or in a worker's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import animate
from .editing import boundaries
from .encoding.settings import EncodeSettings


@dataclass(frozen=True)
class Opening:
    """How to open a studio, in this process or in a worker's; None is the library's default.

    device: where the generator of a file goes; None is the GPU if there is one.
    """

    generator_file: str | None = None
    boundaries_file: str | None = None
    encoder_file: str | None = None
    settings: EncodeSettings | None = None
    device: str | None = None

    @property
    def files(self) -> dict[str, str]:
        """Those that are given, by field."""
        names = ("encoder_file", "boundaries_file", "generator_file")
        return {name: path for name in names if (path := getattr(self, name)) is not None}

    def __call__(self, threads: int | None = None) -> animate.Studio:
        """InputError, or WeightsError, for a file that is not what it should be."""
        options: dict[str, Any] = {"settings": self.settings, "threads": threads}
        if self.encoder_file is not None:
            from .encoding import encoder

            options["encoder"] = encoder.load_encoder(Path(self.encoder_file))
        if self.boundaries_file is not None:
            options["boundaries"] = boundaries.load_boundaries(Path(self.boundaries_file))
        if self.generator_file is not None:
            import torch

            from .generators.checkpoints import load_generator

            device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
            options["generator"] = load_generator(self.generator_file, device)
        given = {name: value for name, value in options.items() if value is not None}
        return animate.Studio(**given)
