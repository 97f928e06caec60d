"""What happens to a face in one frame of a film, carried to the frames around it.

The fields of `moved.Fields` hang on the skin: between two frames every place goes where the mesh's
points go. So a film asks the generator in some of its frames only, and what moves cannot swim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .change import SIDE
from .correspondence import Array, pixel_centres, sample, spline
from .moved import Fields


@dataclass(frozen=True)
class Moment:
    """One frame's face and what happens to it, in its aligned crop at SIDE px.

    mesh: [468, 2]. fields: what happens. share: [SIDE, SIDE], 0 to 1, where anything may.
    """

    mesh: NDArray[np.float64]
    fields: Fields
    share: Array

    @cached_property
    def _moving(self) -> Array:
        f = self.fields
        return np.dstack([f.motion, f.shading, f.appears])

    @cached_property
    def _showing(self) -> Array:
        return np.dstack([self.fields.new, self.share])

    def at(self, place: Array) -> tuple[Fields, Array]:
        """Fields and share in another frame; place: [S, S, 2], from its places to these."""
        here = pixel_centres(SIDE)
        # A pixel's own place is known before it moves: what comes here comes from there.
        motion = sample(self.fields.motion, here + place)
        at = here + sample(place, here + motion)
        moving, showing = sample(self._moving, at), sample(self._showing, at)
        motion = np.ascontiguousarray(moving[..., :2])
        fields = Fields(
            motion,
            np.ascontiguousarray(moving[..., 2]),
            np.ascontiguousarray(moving[..., 3]),
            np.ascontiguousarray(showing[..., :3]),
            sample(self.fields.drawn_out, at),
        )
        return fields, np.ascontiguousarray(showing[..., 3])


def between(
    mesh: NDArray[np.float64], moments: Sequence[Moment], shares: Sequence[float]
) -> tuple[Fields, Array]:
    """Fields and share of a face with this mesh [468, 2], at `shares` (sum 1) of some moments."""
    places = spline(mesh, [moment.mesh for moment in moments], SIDE)
    fields, share = moments[0].at(places[0])
    for moment, place, part in zip(moments[1:], places[1:], shares[1:], strict=True):
        other, other_share = moment.at(place)
        fields = fields.towards(other, part)
        share += np.float32(part) * (other_share - share)
    return fields, share
