"""Whether a photo serves: what of its face an edit has to work with."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces.align import in_crop
from ..faces.landmarks import FACE_OVAL, LEFT_EYE_OUTER, RIGHT_EYE_OUTER, face_size
from ..faces.warp import scale_of
from ..measuring.measures import pose
from ..measuring.score import built_in_scale
from ..types import AlignedFace
from . import covering
from .change import LUMA, SIDE, inside, lip_gap
from .correspondence import blur

SMALL = 80.0  # px of a face's width: below it lids and lips are a few pixels
TURNED, TIPPED = 40.0, 30.0  # degrees of yaw and pitch: beyond, one half of the face is guessed
LYING = 45.0  # degrees of roll
FINE, COARSE = (1.5, 3.0), (4.0, 8.0)  # px of SIDE: bands of detail, from lashes to lids
BLURRED = 0.35  # of their ratio: sharp portraits have 0.43 to 0.82; blurred by 4 px, 0.26 to 0.32
LIDS = ((159, 145, 33, 133), (386, 374, 263, 362))  # upper, lower, outer, inner
CLOSED = 0.12  # of an eye's width; open eyes have 0.2 to 0.4
OPEN_MOUTH = 0.06  # of the distance between the outer corners of the eyes
MUCH = 0.2  # of the face, from which what covers it leaves too little


@dataclass(frozen=True)
class Suitability:
    """What there is of a face.

    size: its width in pixels. yaw, pitch, roll: degrees. sharpness: fine over coarse detail, 0.25
    (blurred) to 0.8. covering: what covers it. eyes: how far the lids are apart, right and
    left, and mouth: the lips, over the eye's width and over the eyes' distance.
    """

    size: float
    yaw: float
    pitch: float
    roll: float
    sharpness: float
    covering: covering.Covering
    eyes: tuple[float, float]
    mouth: float

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """Why it does not serve, and what to do, a line each; none if it serves."""
        closed = [
            side for side, gap in zip(("right", "left"), self.eyes, strict=True) if gap < CLOSED
        ]
        lines = (
            (
                self.size < SMALL,
                f"the face is {self.size:.0f} px wide, below {SMALL:.0f}; take a closer photo",
            ),
            (
                abs(self.yaw) > TURNED,
                f"the head is turned by {abs(self.yaw):.0f} degrees; take one that looks at the "
                "camera",
            ),
            (
                abs(self.pitch) > TIPPED,
                f"the head is tipped by {abs(self.pitch):.0f} degrees; take one that looks at the "
                "camera",
            ),
            (
                abs(self.roll) > LYING,
                f"the head lies on its side (roll {self.roll:.0f} degrees); turn the photo upright",
            ),
            (
                self.sharpness < BLURRED,
                f"the face is blurred (sharpness {self.sharpness:.2f}, below {BLURRED:g}); take a "
                "sharper one",
            ),
            (
                bool(closed),
                f"closed: the {' and the '.join(closed)} eye; take one with open eyes, or leave "
                "AU5 out",
            ),
            (
                self.covering.share > MUCH,
                f"{self.covering.share:.0%} of the face is covered; take one that shows it",
            ),
        )
        return tuple(line for holds, line in lines if holds)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of a photo that serves, a line each."""
        lines = []
        if self.covering.places:
            lines.append(f"{self.covering.sentence}; --keep MASK says it better")
        if self.mouth > OPEN_MOUTH:
            lines.append("the mouth is open: --target AU25=0,AU26=0 closes it")
        return tuple(lines)


def of(aligned: AlignedFace) -> Suitability:
    """What there is of an aligned face; deterministic."""
    mesh = in_crop(aligned, SIDE)
    across = float(np.linalg.norm(mesh[LEFT_EYE_OUTER] - mesh[RIGHT_EYE_OUTER]))
    found = covering.find(aligned)
    # In the crop, which is upright: of a face that lies on its side yaw would be pitch.
    depth = aligned.face.mesh[:, 2:] / scale_of(aligned.to_photo) * (SIDE / len(aligned.pixels))
    yaw, pitch, tilt = pose(np.hstack([mesh, depth]), built_in_scale().template)
    to_photo = aligned.to_photo[:, 0]
    roll = tilt - np.degrees(np.arctan2(to_photo[1], to_photo[0]))
    right, left = (_lids(mesh, points) for points in LIDS)
    return Suitability(
        face_size(aligned.face.mesh)[0],
        float(yaw), float(pitch), float(roll), _sharpness(aligned, mesh, found.mask),
        found, (right, left), lip_gap(mesh) / across,
    )  # fmt: skip


def _lids(mesh: NDArray[np.float64], points: tuple[int, ...]) -> float:
    upper, lower, outer, inner = mesh[list(points)]
    return float(np.linalg.norm(upper - lower) / np.linalg.norm(outer - inner))


def _sharpness(
    aligned: AlignedFace, mesh: NDArray[np.float64], covered: NDArray[np.bool_]
) -> float:
    """Deviation of the fine detail over that of the coarse, inside the face."""
    small = cv2.resize(aligned.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    luma = small.astype(np.float32) @ LUMA
    face = (inside(mesh, FACE_OVAL, 1, grow=-8) > 0.5) & ~covered
    fine, coarse = (
        float((blur(luma, a) - blur(luma, b))[face].std()) if face.any() else 0.0
        for a, b in (FINE, COARSE)
    )
    return fine / max(coarse, 1e-3)
