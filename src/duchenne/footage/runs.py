"""In which frames of a film the generator is asked, and which ones lie between them.

A face that talks is worked out every few frames, one that is still twice a second: between two
frames that are worked out, everything that an edit depends on goes in a straight line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..faces.landmarks import CHIN, LEFT_EYE_OUTER, NOSE_TIP, RIGHT_EYE_OUTER
from ..faces.steady import Steadied
from ..faces.warp import Affine
from ..moving import between

LONGEST = 12  # frames
# In pixels of the aligned crop at moving.change.SIDE: how far a frame's face may lie beside the
# straight line between two others, and how much the face may change between those.
BESIDE, CHANGED = 3.0, 16.0
# What is worked out for one frame differs by a tenth from what is for the next, since the similar
# face that is found changes with the noise of the camera. While a face is still, to so many pixels
# at SIDE and so much of intensity, it is averaged over so many seconds.
STILL, STILL_ASKED, MEMORY = 4.0, 0.1, 0.5
OFF_LINE = 0.03  # the same of the intensities that are asked: 0.15 of a FACS step
# Pairs of mesh points whose distance says how the face is: lips, corners of the mouth, lids, brows,
# and the tip of the nose against the eyes (turns of the head).
_SPANS = np.array(
    [
        *[(13, 14), (61, 291), (61, 1), (291, 1), (159, 145), (386, 374), (105, 159), (334, 386)],
        *[(NOSE_TIP, RIGHT_EYE_OUTER), (NOSE_TIP, LEFT_EYE_OUTER), (NOSE_TIP, CHIN)],
    ]
)


@dataclass(frozen=True)
class Moment:
    """One frame of a film.

    seen: the frame and its face. to_frame: [2, 3], from the aligned crop at SIDE px to the upright
    frame; mesh: [468, 2] in that crop; both None without a face. table: [U, 8], what is asked.
    clear: float32 [h, h], px of the crop to the nearest hand; None where there is none.
    """

    seen: Steadied
    to_frame: Affine | None
    mesh: NDArray[np.float64] | None
    table: NDArray[np.float64]
    clear: NDArray[np.float32] | None = None

    @property
    def time(self) -> float:
        return self.seen.sighting.frame.time

    @property
    def track(self) -> int:
        return self.seen.sighting.track

    @property
    def edited(self) -> bool:
        """Whether there is anything to do in this frame."""
        return self.mesh is not None and bool(self.table.any())


@dataclass(frozen=True)
class Run:
    """Frames in a row. The first and the last are worked out, those between lie between them.

    continued: whether the first was the last of the run before.
    """

    moments: tuple[Moment, ...]
    continued: bool

    def shares(self) -> NDArray[np.float64]:
        """[n], how far each frame lies from the first (0) to the last (1), in time."""
        times = np.array([moment.time for moment in self.moments])
        return np.asarray((times - times[0]) / max(times[-1] - times[0], 1e-9))


def runs(moments: Iterable[Moment]) -> Iterator[Run]:
    """All frames; at most LONGEST of them are held back."""
    run: list[Moment] = []
    continued = False
    for moment in moments:
        if run and (moment.mesh is None or moment.track != run[-1].track):
            yield Run(tuple(run), continued)
            run, continued = [], False
        if moment.mesh is None:
            yield Run((moment,), False)
            continue
        if len(run) > 1 and not _straight([*run, moment]):
            yield Run(tuple(run), continued)
            run, continued = run[-1:], True
        run.append(moment)
    if run:
        yield Run(tuple(run), continued)


def kept(before: Moment, now: Moment) -> float:
    """How much of what was worked out for a frame still counts in a later one, 0 to 1."""
    face = float(np.abs(_spans(now) - _spans(before)).max()) / STILL
    asked = float(np.abs(now.table - before.table).max()) / STILL_ASKED
    still = max(1 - face, 0) * max(1 - asked, 0)
    return still * float(np.exp(-(now.time - before.time) / MEMORY))


def _straight(run: Sequence[Moment]) -> bool:
    if len(run) > LONGEST:
        return False
    shares = Run(tuple(run), False).shares()[:, None]
    tables = np.stack([moment.table.ravel() for moment in run])
    faces = np.stack([_spans(moment) for moment in run])
    return _on_line(tables, shares, OFF_LINE, between.STEP) and _on_line(
        faces, shares, BESIDE, CHANGED
    )


def _on_line(
    values: NDArray[np.float64], shares: NDArray[np.float64], beside: float, changed: float
) -> bool:
    way = values[-1] - values[0]
    off = values - (values[0] + shares * way)
    return bool(np.abs(way).max() <= changed and np.abs(off).max() <= beside)


def _spans(moment: Moment) -> NDArray[np.float64]:
    assert moment.mesh is not None
    ends = moment.mesh[_SPANS]
    return np.asarray(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1))
