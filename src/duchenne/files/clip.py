"""Frames that say what they are."""

from __future__ import annotations

from collections.abc import Iterator

from ..types import Pixels
from .pictures import SourceType


class Clip(Iterator[Pixels]):
    """Frames, drawn one at a time as they are asked for.

    source: what they are: drawn by the generator, or a photo that was edited.
    """

    def __init__(self, frames: Iterator[Pixels], source: SourceType) -> None:
        self._frames, self.source = frames, source

    def __next__(self) -> Pixels:
        return next(self._frames)
