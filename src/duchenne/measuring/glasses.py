"""Whether a face wears glasses."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces import align
from ..faces.warp import warp

# The picture is looked at in a frame of its own: the middle of the eyes is the origin, their
# distance 100 px. Glasses have a bridge: a thin horizontal line from eye to eye over the nose,
# where skin has none.
EYES_APART = 100
BRIDGE_HALF_WIDTH = 8
BRIDGE_UP_AND_DOWN = 22
LINE = (2, 3)  # half thickness of a line in px: it differs from both its sides at that distance
SLOPE = 7  # a line may rise or fall by so many rows over the bridge
BLUR = 0.6
SURELY_NONE, SURELY_GLASSES = 1.75, 6.0
"""Evidence up to which a face has no glasses, and from which it has; between, it is not used.
docs/stimuli.md says how often that is wrong."""


def bridge(light: NDArray[np.floating], mesh: NDArray[np.floating]) -> float:
    """Evidence of glasses: how clear a line crosses the bridge of the nose, in units of L*.

    light: [512, 512], L* of a face in FFHQ framing; mesh: [468, >=2] of it. Faces without glasses
    have 0.5 to 2.5, with a visible frame 10 and more; rimless glasses may have as little as 2, and
    skin in hard light or with a strand of hair as much as 5.
    """
    eyes = np.array([mesh[list(eye), :2].mean(axis=0) for eye in (align.RIGHT_EYE, align.LEFT_EYE)])
    x, y = (eyes[1] - eyes[0]) / EYES_APART
    half = np.array([BRIDGE_HALF_WIDTH, BRIDGE_UP_AND_DOWN]) + 4 * max(LINE)
    linear = np.array([[x, -y], [y, x]])
    to_face = np.concatenate([linear, (eyes.mean(axis=0) - linear @ half)[:, None]], axis=1)
    width, height = 2 * half
    planes = light[..., None].astype(np.float32)
    seen = warp(planes, to_face, (height, width), border="border")[..., 0]
    seen[:] = cv2.GaussianBlur(seen, (0, 0), BLUR, borderType=cv2.BORDER_REFLECT)
    line = np.max(
        [np.abs(seen - (np.roll(seen, k, 0) + np.roll(seen, -k, 0)) / 2) for k in LINE], axis=0
    )
    line = cv2.dilate(line, np.ones((SLOPE, 1), np.uint8))
    inside = line[4 * max(LINE) : -4 * max(LINE), 4 * max(LINE) : -4 * max(LINE)]
    # The weakest fifth of a row's places tells whether the line goes all the way across.
    return float(np.percentile(inside, 20, axis=1).max())
