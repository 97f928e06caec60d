"""Every frame of a film, or every picture of a folder, measured: streaming, in order.

One thread decodes and follows the face, the others measure, so that both cores have work and
memory does not grow with the length.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import cores
from ..errors import InputError
from ..faces import landmarks
from ..faces.following import Follower, Found
from ..files.sequences import Shown, frames_of
from ..reading import places
from ..types import Pixels
from . import head, sides
from .head import Head
from .score import Array, Scale, Scorer

AHEAD = 4  # frames that may wait to be measured: 25 MB at 1080p


@dataclass(frozen=True)
class Seen:
    """The face of one frame. scores: [U], by_side: [U, 2], both 0 to 5. confidence: 0 to 1.

    unlimited: [U], the scores before they are limited to 0 to 5.
    """

    scores: Array
    by_side: Array
    head: Head
    confidence: float
    unlimited: Array


@dataclass(frozen=True)
class Observed:
    """One frame, and the face in it if there is one.

    problem: why a picture could not be read. state: how the follower stood after this frame.
    """

    number: int
    time: float
    name: str
    seen: Seen | None
    problem: str = ""
    state: dict[str, Any] | None = None


class _Observer:
    """Measures frames in several threads: a compiled network serves one of them at a time."""

    def __init__(self, scale: Scale | None) -> None:
        self._scale, self._own = scale, threading.local()

    def __call__(self, frame: Shown, found: Found | None, state: dict[str, Any]) -> Observed:
        seen = None if found is None else self.see(frame.pixels, found)
        return Observed(frame.number, frame.time, frame.name, seen, state=state)

    def see(self, pixels: Pixels, found: Found) -> Seen:
        if not hasattr(self._own, "scorer"):
            self._own.scorer = Scorer(self._scale)
        scorer: Scorer = self._own.scorer
        face, scale = sides.read(scorer, pixels, found.mesh), scorer.scale
        where = head.read(face.points, scale, (pixels.shape[1], pixels.shape[0]))
        scores, by_side = face.scores(scale), face.by_side(scale)
        unlimited = scale.scores(face.measures)
        return Seen(scores, by_side, where, found.presence, unlimited)


def see(pixels: Pixels, mesh: landmarks.Mesh) -> Seen:
    """Measure one face of one picture; mesh: [468, 3], which tells where it is."""
    return _Observer(None).see(pixels, Found(mesh, 1.0))


def observe(
    path: Path,
    *,
    face: int = 0,
    after: int = 0,
    state: dict[str, Any] | None = None,
    scale: Scale | None = None,
) -> Iterator[Observed]:
    """Measure the frames of a film or the pictures of a folder, in their order.

    face: which face, the largest being 0: of a film's first frame that has so many, then that face
        is followed; of every picture of a folder. after, state: go on after that frame, where the
        follower stood like that. Raises InputError as `frames_of` does.
    """
    follower, folder = Follower(face), places.is_folder(path)
    observer = _Observer(scale)
    pending: deque[Future[Observed]] = deque()
    with ThreadPoolExecutor(cores.torch_threads(), "measuring") as pool:
        try:
            for frame in frames_of(path):
                if frame.number <= after:
                    if frame.number == after and not folder:
                        follower.pass_over(frame.pixels)
                        follower.restore(state or follower.state())
                    continue
                if folder:
                    pending.append(pool.submit(_unfollowed, observer, frame, face))
                else:
                    found = follower(frame.pixels)
                    pending.append(pool.submit(observer, frame, found, follower.state()))
                while len(pending) > AHEAD:
                    yield pending.popleft().result()
        except InputError:
            # What came before the damage is measured and given first.
            while pending:
                yield pending.popleft().result()
            raise
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        while pending:
            yield pending.popleft().result()


_FINDING = threading.Lock()  # the detector's networks serve one thread at a time


def _unfollowed(observer: _Observer, frame: Shown, index: int) -> Observed:
    """A picture by itself."""
    try:
        pixels = frame.pixels
    except InputError as error:
        return Observed(frame.number, frame.time, frame.name, None, str(error))
    with _FINDING:
        faces = landmarks.find_faces(pixels)[index : index + 1]
        found = None
        for one in faces:
            mesh, presence = landmarks.fit_mesh(pixels, landmarks.region_of(one.mesh), passes=1)
            found = Found(mesh, presence) if presence >= landmarks.PRESENCE else None
    return observer(frame, found, {})
