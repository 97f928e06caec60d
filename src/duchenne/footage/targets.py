"""What must be added to a film so that it measures what is asked: `--target AU12=0`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..editing.boundaries import in_slots
from ..errors import DescriptorError
from ..faces.steady import Steadied
from ..measuring.score import Scorer

AROUND = 6  # frames on either side whose measurements count
WIDTH = 2.5  # frames, the standard deviation of their weights: one frame's score is unsteady


def reaching(
    seen: Iterable[Steadied],
    targets: Mapping[str, float],
    scorer: Scorer,
    response: NDArray[np.float64],
) -> Iterator[tuple[Steadied, NDArray[np.float64]]]:
    """The same, at most AROUND frames later, each with [U, 8], what to add.

    targets: AU code -> intensity, whole AUs only. Every frame is measured; what is missing to the
    target is smoothed in time, within a track. response: [2, U], see `needed`. DescriptorError for
    one-sided targets.
    """
    wanted, asked = wanted_of(targets)
    window: deque[tuple[Steadied, NDArray[np.float64] | None]] = deque()
    at = 0
    for one in seen:
        missing = None
        if one.mesh is not None:
            # Not limited to 1: of a mouth that is open wide more has to be taken off.
            now = np.maximum(scorer.intensities(one.sighting.frame.pixels, one.mesh), 0)
            missing = needed(np.where(asked, wanted - now, 0), response)
        window.append((one, missing))
        if len(window) > at + AROUND:
            yield window[at][0], _smoothed(list(window), at)
            at += 1
        if at > AROUND:
            window.popleft()
            at -= 1
    while at < len(window):
        yield window[at][0], _smoothed(list(window), at)
        at += 1


def needed(missing: NDArray[np.floating], response: NDArray[np.float64]) -> NDArray[np.float64]:
    """[U], what has to be added for so much more, or less, to be measured.

    response: [2, U], how much more of each Action Unit this face measures for one that is added,
    and how much less for one that is taken off (`rehearsal`).
    """
    return np.asarray(missing / np.where(missing > 0, *response), np.float64)


def wanted_of(targets: Mapping[str, float]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """[U] twice: what is to be measured, and of which units. DescriptorError for one side."""
    wanted = np.zeros(len(facs.CODES))
    asked = np.zeros(len(facs.CODES), bool)
    for name, value in facs.check(targets).items():
        if name not in facs.INDEX:
            raise DescriptorError(
                f"{name}: only whole Action Units are measured; leave out the side"
            )
        wanted[facs.INDEX[name]], asked[facs.INDEX[name]] = value, True
    return wanted, asked


def _smoothed(
    window: list[tuple[Steadied, NDArray[np.float64] | None]], at: int
) -> NDArray[np.float64]:
    """[U, 8], the weighted mean of what is missing in the frames around."""
    here = window[at][0].sighting
    near = [
        (np.exp(-0.5 * ((i - at) / WIDTH) ** 2), missing)
        for i, (one, missing) in enumerate(window)
        if missing is not None and one.sighting.track == here.track
    ]
    if here.mesh is None or not near:
        return in_slots(np.zeros((len(facs.CODES), len(facs.SIDES))))
    weights = np.array([weight for weight, _ in near])
    mean = np.tensordot(weights / weights.sum(), np.stack([m for _, m in near]), axes=1)
    mean = np.clip(mean, facs.LOWEST, 1)
    return in_slots(np.repeat(mean[:, None], len(facs.SIDES), axis=1))
