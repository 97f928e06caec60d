"""One face through a film, with the frames around it: where it is, and where it was lost.

`following` looks forward only, and searches a lost face every few frames. Here the frames that
passed meanwhile are gone through backwards from where the face was found again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..files.film_source import Frame
from ..types import Pixels
from . import landmarks
from .following import EVERY, Follower
from .landmarks import Mesh
from .people import People

# Of the face's width: a face that is so far from where it was one frame ago, on the mean of its
# points, did not move there; the film was cut between two similar pictures.
JUMP = 0.4


@dataclass(frozen=True)
class Sighting:
    """A frame and the face in it.

    mesh: [468, 3] in the upright frame's pixels, None without a face. presence: 0 to 1, how sure
    the mesh network is that it sees a face. track: changes at cuts and whenever the face was lost.
    shot: changes at cuts only.
    """

    frame: Frame
    mesh: Mesh | None
    presence: float
    track: int
    shot: int


def track(
    frames: Iterable[Frame], index: int = 0, people: People | None = None
) -> Iterator[Sighting]:
    """The face in every frame, in order; at most some 2 EVERY frames are held back.

    index, people: which face, see `Follower`.
    """
    follower = Follower(index, people)
    number, jumps, last = 0, 0, None
    waiting: list[Sighting] = []  # frames without a face, since it was seen last in this shot
    believed: list[Sighting] = []  # the latest with one, which may still be somebody else's
    shot = 0
    for frame in frames:
        found = follower(frame.pixels)
        mesh = None if found is None else found.mesh
        if follower.doubted:
            first = max(len(believed) - follower.doubted, 0)
            yield from believed[:first]
            doubted, believed, last = believed[first:], [], None
            number += 1
            waiting = [replace(one, mesh=None, presence=0.0, track=number) for one in doubted]
            number += 1
        jumps += mesh is not None and last is not None and _jumped(last, mesh)
        before, shot = shot, follower.cuts + jumps
        number += shot != before or (last is not None and mesh is None)
        if shot != before:
            yield from [*believed, *waiting]
            believed, waiting = [], []
        if found is None:
            yield from believed
            believed = []
            waiting.append(Sighting(frame, None, 0.0, number, shot))
            if len(waiting) > EVERY:
                yield waiting.pop(0)
        else:
            if waiting:
                yield from believed
                believed = []
            yield from _backwards(waiting, found.mesh, follower.is_another)
            waiting = []
            believed.append(Sighting(frame, found.mesh, found.presence, number, shot))
            keep = EVERY if follower.watchful else 0
            while len(believed) > keep:
                yield believed.pop(0)
        last = mesh
    yield from [*believed, *waiting]


def _jumped(before: Mesh, now: Mesh) -> bool:
    moved = float(np.linalg.norm((now - before)[:, :2], axis=1).mean())
    return moved > JUMP * landmarks.face_size(before)[0]


def _backwards(
    waiting: list[Sighting], mesh: Mesh, is_another: Callable[[Pixels, Mesh], bool]
) -> Iterator[Sighting]:
    """The frames that wait, with the face in those to which it can be followed back."""
    found: list[Sighting] = []
    for sighting in reversed(waiting):
        region = landmarks.region_of(mesh)
        mesh, presence = landmarks.fit_mesh(sighting.frame.pixels, region, passes=1)
        if presence < landmarks.PRESENCE or is_another(sighting.frame.pixels, mesh):
            break
        found.append(replace(sighting, mesh=mesh, presence=presence))
    yield from waiting[: len(waiting) - len(found)]
    yield from reversed(found)
