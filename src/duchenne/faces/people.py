"""Who is who in a film: its people are numbered as they appear, and keep their numbers.

A person is known by the mean of a few descriptors, numbers that an outside network gives for a
face. They live as long as the film is read; nothing of them is written anywhere. Work that is to be
resumed keeps where the faces were that gave them, and takes them from the film again.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Pixels
from .landmarks import Mesh

MOST = 8  # faces of one frame that are looked at, the largest first
CLEARLY = 0.05  # of the cosine, by which a face is more like one person than like another
LOOKS = 5  # the latest at one person, whose mean is what they are known by


@dataclass(frozen=True)
class Recogniser:
    """name: of the network. describe: [D] numbers of a face with a mesh. same: cosine of two such
    descriptors from which on they may be one person."""

    name: str
    describe: Callable[[Pixels, Mesh], NDArray[np.floating]]
    same: float


@dataclass(frozen=True)
class _Look:
    """At one person. number: of the frame. mesh: [468, 3], where the face was in it."""

    number: int
    mesh: Mesh
    descriptor: NDArray[np.float64]


class People:
    """The people that were seen so far, by number."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._looks: list[deque[_Look]] = []
        self._awaited: list[tuple[int, int, Mesh]] = []  # person, number of a frame, and the mesh

    def __len__(self) -> int:
        return len(self._looks)

    def number(self, pixels: Pixels, meshes: Sequence[Mesh], frame: int = 0) -> list[int]:
        """Who each face of a frame is; those who are new get the next numbers.

        meshes: the largest face first. frame: its number.
        """
        seen = [_Look(frame, mesh, self._describe(pixels, mesh)) for mesh in meshes[:MOST]]
        known = self._known()
        likeness = np.array([[one.descriptor @ who for who in known] for one in seen])
        numbers = [-1] * len(seen)
        pairs = sorted(np.ndindex(likeness.shape), key=lambda pair: -likeness[pair])
        for face, who in pairs if known else ():
            if numbers[face] < 0 and who not in numbers:
                if likeness[face, who] < self._recogniser.same:
                    break
                numbers[face] = who
                self._looks[who].append(seen[face])
        for face, one in enumerate(seen):
            if numbers[face] < 0:
                numbers[face] = len(self._looks)
                self._looks.append(deque([one], LOOKS))
        return numbers

    def _known(self) -> list[NDArray[np.float64]]:
        means = [np.mean([look.descriptor for look in looks], axis=0) for looks in self._looks]
        return [mean / max(float(np.linalg.norm(mean)), 1e-9) for mean in means]

    def is_another(self, pixels: Pixels, mesh: Mesh, number: int) -> bool:
        """Whether a face is clearly more like another person than like the one of that number."""
        likeness = np.array(self._known()) @ self._describe(pixels, mesh)
        own = likeness[number]
        return bool(len(likeness) > 1 and np.delete(likeness, number).max() > own + CLEARLY)

    def _describe(self, pixels: Pixels, mesh: Mesh) -> NDArray[np.float64]:
        numbers = np.asarray(self._recogniser.describe(pixels, mesh), np.float64).ravel()
        return numbers / max(float(np.linalg.norm(numbers)), 1e-9)

    def state(self) -> list[list[list[Any]]]:
        """Of each person the frames and meshes by which they are known, JSON-ready."""
        return [
            [[look.number, base64.b64encode(look.mesh.tobytes()).decode()] for look in looks]
            for looks in self._looks
        ]

    def restore(self, state: list[list[list[Any]]]) -> None:
        """Become what had that state, once every frame that it names has been passed over."""
        self._looks = [deque(maxlen=LOOKS) for _ in state]
        self._awaited = [
            (who, int(number), np.frombuffer(base64.b64decode(mesh), np.float32).reshape(-1, 3))
            for who, looks in enumerate(state)
            for number, mesh in looks
        ]

    def awaits(self, frame: int) -> bool:
        """Whether `pass_over` needs this frame."""
        return any(number == frame for _, number, _ in self._awaited)

    def pass_over(self, pixels: Pixels, frame: int) -> None:
        """Look again at those who are known by this frame."""
        for who, number, mesh in self._awaited:
            if number == frame:
                self._looks[who].append(_Look(number, mesh, self._describe(pixels, mesh)))
        self._awaited = [one for one in self._awaited if one[1] != frame]
