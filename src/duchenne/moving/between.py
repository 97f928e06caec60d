"""Frames of a film between those for which a change is worked out.

How a face moves and folds varies slowly along a timeline, so that most frames need no picture of
the generator: their fields lie on the straight line between those of two frames nearby.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import cores
from .moved import Fields

STEP = 0.2  # of intensity, at most, between two frames that are worked out
STRAIGHT = 0.01  # of intensity: by so much a frame may lie beside the line between them


@dataclass(frozen=True)
class Place:
    """A frame lies at `share`, 0 to 1, of the way from frame `before` to frame `after`."""

    before: int
    after: int
    share: float


def places(tables: NDArray[np.float64]) -> list[Place]:
    """For each frame of [k, ...] intensities: between which frames it lies.

    Frames that are to be worked out lie at themselves.
    """
    flat = tables.reshape(len(tables), -1)
    result = [Place(0, 0, 0.0)]
    start = 0
    while start < len(flat) - 1:
        end, shares = start + 1, np.zeros(0)
        for further in range(start + 2, len(flat)):
            between = _shares(flat[start : further + 1])
            if between is None:
                break
            end, shares = further, between
        result += [Place(start, end, float(share)) for share in shares]
        result.append(Place(end, end, 0.0))
        start = end
    return result


def _shares(run: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Where all but the ends of a run lie between them; None if they do not, or it is too long."""
    way = run[-1] - run[0]
    if np.abs(way).max() > STEP:
        return None
    inner = run[1:-1] - run[0]
    shares = np.clip(inner @ way / max(float(way @ way), 1e-12), 0, 1)
    return shares if np.abs(inner - shares[:, None] * way).max() <= STRAIGHT else None


def fields_of(
    tables: NDArray[np.float64], work_out: Callable[[int], Fields | None], threads: int = 1
) -> Iterator[Fields | None]:
    """The fields of every frame, in order; `work_out` is asked for as few frames as serve.

    None, of a frame that changes nothing, stands for fields of nothing. threads: how many frames
    are worked out at a time.
    """
    wanted = places(tables)
    frames = list(dict.fromkeys(frame for p in wanted for frame in (p.before, p.after)))
    results = zip(frames, cores.in_order(work_out, frames, threads), strict=True)
    known: dict[int, Fields | None] = {}
    for place in wanted:
        while place.after not in known:
            frame, fields = next(results)
            known[frame] = fields
        known = {frame: known[frame] for frame in known if frame >= place.before}
        yield mixed(known[place.before], known[place.after], place.share)


def mixed(before: Fields | None, after: Fields | None, share: float) -> Fields | None:
    """Fields at `share`, 0 to 1, of the way between two."""
    if share == 0 or before is after:
        return before
    if before is None:
        return None if after is None else after.times(share)
    if after is None:
        return before.times(1 - share)
    return before.towards(after, share)
