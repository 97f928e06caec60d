"""Every frame of a film, or every picture of a folder, measured: streaming, in order.

One thread decodes and follows the face, the others measure, so that both cores have work and
memory does not grow with the length.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .. import cores
from ..errors import InputError
from ..faces import landmarks
from ..faces.following import EVERY, Follower, Found
from ..faces.people import People
from ..files.sequences import Shown, frames_of
from ..reading import places
from ..types import Pixels
from . import head, sides
from .head import Head
from .recognising import recogniser
from .score import Array, Scale, Scorer

AHEAD = 4  # frames that may wait to be measured: 25 MB at 1080p


@dataclass(frozen=True)
class Seen:
    """The face of one frame. confidence: 0 to 1.

    scores: [U], by_side: [U, 2], not yet limited to 0 to 5: a face at rest may lie below the mean
    neutral face.
    """

    scores: Array
    by_side: Array
    head: Head
    confidence: float


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
        scores, by_side = scale.scores(face.measures), face.by_side(scale)
        return Seen(scores, by_side, where, found.presence)


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
    observer = _Observer(scale)
    work: Iterator[Callable[[], Observed]]
    if places.is_folder(path):
        frames = (frame for frame in frames_of(path) if frame.number > after)
        work = (partial(_unfollowed, observer, frame, face) for frame in frames)
    else:
        known = recogniser()
        follower = Follower(face, None if known is None else People(known))
        if state:
            follower.restore(state)
        work = (partial(observer, *seen) for seen in _followed(path, follower, after))
    pending: deque[Future[Observed]] = deque()
    with ThreadPoolExecutor(cores.torch_threads(), "measuring") as pool:
        try:
            for one in work:
                pending.append(pool.submit(one))
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


def _followed(
    path: Path, follower: Follower, after: int
) -> Iterator[tuple[Shown, Found | None, dict[str, Any]]]:
    """Every frame after that one, with the face in it, and how the follower stood then.

    Where other people were seen, EVERY frames wait until nobody doubts whose face it is.
    """
    believed: deque[tuple[Shown, Found | None, dict[str, Any]]] = deque()
    try:
        for frame in frames_of(path):
            if frame.number <= after:
                if frame.number == after or follower.awaits(frame.number):
                    follower.pass_over(frame.pixels, frame.number)
                continue
            found = follower(frame.pixels)
            for back in range(1, min(follower.doubted, len(believed)) + 1):
                here, _, state = believed[-back]
                believed[-back] = here, None, state
            believed.append((frame, found, follower.state()))
            while len(believed) > (EVERY if follower.watchful else 0):
                yield believed.popleft()
    except InputError:
        yield from believed
        raise
    yield from believed


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
