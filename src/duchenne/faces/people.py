"""Who is who in a film: its people are numbered as they appear, and keep their numbers.

A person is known by the mean of a few descriptors, numbers that an outside network gives for a
face. They live as long as the film is read; nothing of them is written anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import Pixels
from .landmarks import Mesh

MOST = 8  # faces of one frame that are looked at, the largest first
CLEARLY = 0.05  # of the cosine, by which a face is more like one person than like another
STEADY = 0.8  # of what is known, when one more look at the same person is added


@dataclass(frozen=True)
class Recogniser:
    """name: of the network. describe: [D] numbers of a face with a mesh. same: cosine of two such
    descriptors from which on they may be one person."""

    name: str
    describe: Callable[[Pixels, Mesh], NDArray[np.floating]]
    same: float


class People:
    """The people that were seen so far, by number."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._known: list[NDArray[np.float64]] = []

    def __len__(self) -> int:
        return len(self._known)

    def number(self, pixels: Pixels, meshes: Sequence[Mesh]) -> list[int]:
        """Who each face of a frame is; those who are new get the next numbers.

        meshes: the largest face first.
        """
        seen = [self._describe(pixels, mesh) for mesh in meshes[:MOST]]
        likeness = np.array([[one @ who for who in self._known] for one in seen])
        numbers = [-1] * len(seen)
        pairs = sorted(np.ndindex(likeness.shape), key=lambda pair: -likeness[pair])
        for face, who in pairs if self._known else ():
            if numbers[face] < 0 and who not in numbers:
                if likeness[face, who] < self._recogniser.same:
                    break
                numbers[face] = who
                mean = STEADY * self._known[who] + (1 - STEADY) * seen[face]
                self._known[who] = mean / np.linalg.norm(mean)
        for face, one in enumerate(seen):
            if numbers[face] < 0:
                numbers[face] = len(self._known)
                self._known.append(one)
        return numbers

    def is_another(self, pixels: Pixels, mesh: Mesh, number: int) -> bool:
        """Whether a face is clearly more like another person than like the one of that number."""
        likeness = np.array(self._known) @ self._describe(pixels, mesh)
        own = likeness[number]
        return bool(len(likeness) > 1 and np.delete(likeness, number).max() > own + CLEARLY)

    def _describe(self, pixels: Pixels, mesh: Mesh) -> NDArray[np.float64]:
        numbers = np.asarray(self._recogniser.describe(pixels, mesh), np.float64).ravel()
        return numbers / max(float(np.linalg.norm(numbers)), 1e-9)
