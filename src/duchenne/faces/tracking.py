"""One face through a film: followed from frame to frame, searched where it is lost.

The mesh network that follows a face costs a fiftieth of the search. A search is made at the first
frame, after a cut, and every few frames as long as no face is seen; frames that passed meanwhile
are then gone through backwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..files.film_source import Frame
from ..types import Pixels
from . import landmarks
from .landmarks import Mesh

Find = Callable[[Pixels], Mesh | None]
"""The face that is meant, in a frame where nothing is known of it."""

SEARCH_EVERY = 6  # frames without a face
FAST = 0.04  # of the face's width from frame to frame: the mesh is fitted once more
UNSURE = 0.9  # presence, below which it is fitted once more too
# Cuts: grey levels by which a small picture changes, and how many times as much as lately.
THUMBNAIL = (64, 36)
CUT, CUT_RATIO = 14.0, 4.0
LATELY = 8  # frames


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


def largest(pixels: Pixels) -> Mesh | None:
    """The mesh of the largest face."""
    faces = landmarks.find_faces(pixels)
    return faces[0].mesh if faces else None


def track(frames: Iterable[Frame], find: Find = largest) -> Iterator[Sighting]:
    """The face in every frame, in order; at most SEARCH_EVERY frames are held back."""
    number, shot, mesh = 0, 0, None
    waiting: list[Sighting] = []  # frames since the face was lost, without one
    search = 0  # frames until the next search
    cut = Cuts()
    for frame in frames:
        if cut(frame.pixels):
            yield from waiting
            mesh, search, waiting, number, shot = None, 0, [], number + 1, shot + 1
        seen = None
        if mesh is not None:
            seen = _follow(frame.pixels, mesh)
        if seen is None and search == 0:
            found = find(frame.pixels)
            seen = None if found is None else _follow(frame.pixels, found)
            if seen is not None:
                number += mesh is not None  # found again at once, elsewhere
                waiting = list(_backwards(waiting, seen[0], number))
            search = SEARCH_EVERY
        if seen is None:
            number += mesh is not None
            mesh, search = None, max(search - 1, 0)
            waiting.append(Sighting(frame, None, 0.0, number, shot))
            if len(waiting) >= SEARCH_EVERY:
                yield waiting.pop(0)
            continue
        yield from waiting
        mesh, waiting, search = seen[0], [], 0
        yield Sighting(frame, *seen, number, shot)
    yield from waiting


def _follow(pixels: Pixels, mesh: Mesh) -> tuple[Mesh, float] | None:
    """The mesh of a face that moved, and its presence; None if no face is seen."""
    found, presence = landmarks.fit_mesh(pixels, landmarks.region_of(mesh), passes=1)
    if presence < landmarks.PRESENCE:
        return None
    width = landmarks.face_size(mesh)[0]
    moved = float(np.abs(found - mesh)[:, :2].mean()) / width
    if moved > FAST or presence < UNSURE:
        found, presence = landmarks.fit_mesh(pixels, landmarks.region_of(found), passes=1)
    wide = landmarks.face_size(found)[0]
    if presence < landmarks.PRESENCE or wide < landmarks.MIN_SIZE / 2:
        return None
    return found, presence


def _backwards(waiting: list[Sighting], mesh: Mesh, number: int) -> Iterator[Sighting]:
    """The frames that wait, with the face in those where it can be followed back to."""
    found: list[Sighting] = []
    for sighting in reversed(waiting):
        seen = _follow(sighting.frame.pixels, mesh)
        if seen is None:
            break
        mesh = seen[0]
        found.append(replace(sighting, mesh=mesh, presence=seen[1], track=number))
    yield from waiting[: len(waiting) - len(found)]
    yield from reversed(found)


class Cuts:
    """Says of each frame in turn whether the film was cut before it."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._lately: deque[float] = deque(maxlen=LATELY)

    def __call__(self, pixels: Pixels) -> bool:
        """pixels: uint8 [H, W, 3], the next frame."""
        small = cv2.resize(pixels, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        last, self._last = self._last, small
        if last is None:
            return False
        changed = float(np.abs(small - last).mean())
        usual = float(np.median(self._lately)) if self._lately else 0.0
        cut = changed > max(CUT, CUT_RATIO * usual)
        self._lately = deque(maxlen=LATELY) if cut else self._lately
        if not cut:
            self._lately.append(changed)
        return cut
