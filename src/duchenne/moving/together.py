"""Several faces of one picture, each moved by itself, in one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..types import Pixels


def together(whole: Pixels, frames: Sequence[Pixels]) -> Pixels:
    """`whole`, uint8 [H, W, C], with what differs from it in each of the frames.

    Where two of them differ from it the later one is shown; all else stays to the bit.
    """
    result = whole.copy()
    for frame in frames:
        np.copyto(result, frame, where=(frame != whole).any(axis=2, keepdims=True))
    return result
