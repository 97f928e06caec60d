"""Hands that pass before a film's face: every frame knows where, so that it stays as it is there.

A hand is followed from frame to frame, looked for every few frames, and where it is found it is
gone after backwards, since it came in blurred. Where it is missed for a frame or two it is taken
to be there still, and what stays because of it changes softly in time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..faces import align, hands
from ..faces.hands import Hand
from ..faces.landmarks import INNER_LIPS, OUTER_LIPS
from ..faces.regions import SLOTS
from ..faces.steady import Steadied
from ..faces.warp import apply, invert
from ..moving import covering
from ..moving.change import SIDE, ramp
from ..moving.correspondence import Array

EVERY = 3  # frames from one look for further hands to the next
BACK = 8  # frames through which a hand is followed backwards
HELD = 2  # frames for which a hand is there before and after it was seen
WEIGHTS = np.array([1, 4, 6, 4, 1], np.float32) / 16  # of the clearances around, in time
HALF = SIDE // 2  # px of the clearances
FAR = 160.0  # px of SIDE from which on a hand changes nothing
# Half a mouth does not open: as this part of the lips' points is hidden it stays as it is. What is
# nearer than so many px of SIDE to a hand counts as hidden.
LIPS = tuple(set(INNER_LIPS) | set(OUTER_LIPS))
FEW, MANY, HIDDEN = 0.1, 0.4, 24.0
MOUTH = np.array([slot.startswith("mouth") for slot in SLOTS])


@dataclass
class _Seen:
    """A frame and what is known of hands in it. near: [HALF, HALF], px of SIDE to the nearest."""

    one: Steadied
    found: list[Hand] = field(default_factory=list)
    near: Array | None = None
    measured: bool = False

    def clearance(self) -> Array | None:
        """None where no hand is near."""
        if not self.measured:
            self.near, self.measured = _clearance(self.one, self.found), True
        return self.near


def beside_hands(frames: Iterable[Steadied]) -> Iterator[tuple[Steadied, Array | None]]:
    """The same frames, each with [HALF, HALF]: px of SIDE to the nearest place that a hand hides.

    In the aligned crop; None where there is no hand. At most BACK + 2 HELD frames are held back.
    """
    window: deque[_Seen] = deque()
    at = 0  # of the frame whose turn it is
    for number, one in enumerate(frames):
        window.append(_Seen(one))
        _look(window, number)
        if len(window) > at + BACK + 2 * HELD:
            yield window[at].one, _softly(list(window), at)
            at += 1
        if at > 2 * HELD:
            window.popleft()
            at -= 1
    while at < len(window):
        yield window[at].one, _softly(list(window), at)
        at += 1


def spared(table: NDArray[np.float64], mesh: NDArray[np.floating], clear: Array) -> NDArray[Any]:
    """[U, 8], what is asked, less where a hand hides the mouth. mesh: [468, 2] at SIDE px."""
    at = np.clip(np.rint(mesh[list(LIPS)] / 2 - 0.5), 0, HALF - 1).astype(int)
    hidden = float((1 - ramp(clear[at[:, 1], at[:, 0]], 0, HIDDEN)).mean())
    return table * np.where(MOUTH, 1 - float(ramp(hidden, FEW, MANY)), 1.0)


def _look(window: deque[_Seen], number: int) -> None:
    """Look for hands in the last frame of the window, and backwards for those that are new."""
    here = window[-1]
    if here.one.mesh is None:
        return
    before = window[-2] if len(window) > 1 and _near(window[-2], here) else None
    known = before.found if before is not None else []
    pixels = here.one.sighting.frame.pixels
    if number % EVERY and before is not None:
        here.found = hands.follow(pixels, known)
        return
    here.found = hands.find(pixels, here.one.mesh, known)
    for hand in here.found:
        later, last = here, hand
        for earlier in list(reversed(window))[1 : BACK + 1]:
            if not _near(earlier, later) or any(hands.same(last, h) for h in earlier.found):
                break
            moved = hands.follow(earlier.one.sighting.frame.pixels, [last])
            if not moved:
                break
            earlier.found.append(moved[0])
            later, last = earlier, moved[0]


def _near(earlier: _Seen, later: _Seen) -> bool:
    """Whether both have a face and lie in the same shot."""
    one, other = earlier.one, later.one
    same = one.sighting.shot == other.sighting.shot
    return one.mesh is not None and other.mesh is not None and same


def _clearance(one: Steadied, found: list[Hand]) -> Array | None:
    if one.mesh is None or not found:
        return None
    to_crop = invert(align.canonical(one.mesh, HALF))
    mask = np.zeros((HALF, HALF), bool)
    for hand in found:
        mask |= hands.draw(apply(to_crop, hand.joints), HALF)
    if not mask.any():
        return None
    return np.minimum(2 * covering.away(mask), FAR)


def _softly(window: list[_Seen], at: int) -> Array | None:
    """The clearance of a frame, as it is in the frames around; never more than its own."""
    here = window[at]
    if here.one.mesh is None:
        return None
    fields = []
    for centre in range(at - HELD, at + HELD + 1):
        near = window[max(centre - HELD, 0) : max(centre + HELD + 1, 0)]
        known = [c for s in near if _near(s, here) and (c := s.clearance()) is not None]
        fields.append(np.minimum.reduce(known) if known else None)
    if all(one is None for one in fields):
        return None
    clear = np.zeros((HALF, HALF), np.float32)
    for weight, one in zip(WEIGHTS, fields, strict=True):
        clear += weight * (FAR if one is None else one)
    return clear
