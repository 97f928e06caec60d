"""A face's mesh through a film, smoothed in time without lag.

The mesh jitters by a part of a pixel from frame to frame, and what hangs on it would tremble. Each
point follows the parabola that fits it best in the frames around (Savitzky and Golay 1964): steady
motion and its acceleration pass unchanged, and nothing comes late, since later frames count as much
as earlier ones. Frames of other tracks, beyond a cut or a loss, are not looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .landmarks import Mesh
from .tracking import Sighting

AROUND = 3  # frames on either side that the parabola sees
FADE = 4  # frames over which an edit begins and ends where a face comes into sight or is lost


@dataclass(frozen=True)
class Steadied:
    """A sighting with its mesh smoothed. share: 0 to 1, how much of an edit to show there."""

    sighting: Sighting
    mesh: Mesh | None
    share: float


def steadied(sightings: Iterable[Sighting]) -> Iterator[Steadied]:
    """The same, at most FADE frames later."""
    window: deque[Sighting] = deque()
    reach = max(AROUND, FADE)
    at = 0  # in the window, of the frame whose turn it is
    for sighting in sightings:
        window.append(sighting)
        if len(window) > at + reach:
            yield _one(list(window), at)
            at += 1
        if at > reach:
            window.popleft()
            at -= 1
    while at < len(window):
        yield _one(list(window), at)
        at += 1


def _one(window: list[Sighting], at: int) -> Steadied:
    here = window[at]
    if here.mesh is None:
        return Steadied(here, None, 0.0)
    near = window[max(at - AROUND, 0) : at + AROUND + 1]
    near = [s for s in near if s.track == here.track and s.mesh is not None]
    times = [s.frame.time - here.frame.time for s in near]
    meshes = [s.mesh for s in near if s.mesh is not None]
    mesh = np.tensordot(_weights(np.array(times)), np.stack(meshes), axes=1)
    lost = [abs(i - at) for i, s in enumerate(window) if s.mesh is None and s.shot == here.shot]
    share = min([1.0, *(distance / (FADE + 1) for distance in lost)])
    return Steadied(here, mesh.astype(np.float32), share)


def _weights(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n], with which the parabola through values at these times has its value at time 0."""
    scale = max(float(np.abs(times).max()), 1e-9)
    degree = min(2, len(times) - 1)
    return np.asarray(np.linalg.pinv(np.vander(times / scale, degree + 1))[-1])
