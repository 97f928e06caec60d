"""Which program keeps what where: the columns of AU coders' tables.

Looked up in what writes them: OpenFace 2 (RecorderCSV.cpp; FeatureExtraction, FaceLandmarkVidMulti
and FaceLandmarkImg), pyfaceau (as OpenFace, without a confidence, yes and no in words), OpenFace 3
(`openface detect`, `detect-video`: lists in cells), py-feat (0.5 to 2: Detector, Detectorv2;
MPDetector writes blendshapes), LibreFace (`save_facial_attributes_*`), Live Link Face, and this
program's scores and films (`duchenne score film.mp4` writes OpenFace's columns, sides besides).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .. import facs
from ..errors import InputError
from ..reading.tables import Header


@dataclass(frozen=True)
class Layout:
    """Where a tool keeps what.

    unit: the column of an Action Unit's intensity, with its number in braces; "" for one that has
    its own reader (`coders`). full: the number that stands for the strongest intensity.
    confidence, face: columns. names, times, frames: columns in the order in which they are looked
    for: the picture's file, its time, its number in the film. needed: one of these columns is
    there, or the table is not this tool's. presence: the column that says only whether an Action
    Unit is there. sided: columns of one side (AU12L) are read. measured: the values are a person's,
    whose rest is not 0. box: left, top, width, height of the face in pixels, or its place in mm.
    """

    tool: str
    unit: str
    full: float
    confidence: str = ""
    face: str = ""
    names: tuple[str, ...] = ()
    times: tuple[str, ...] = ("timestamp",)
    frames: tuple[str, ...] = ("frame",)
    needed: tuple[str, ...] = ()
    presence: str = ""
    sided: bool = False
    measured: bool = True
    box: tuple[str, ...] = ()

    def has(self, header: Header) -> bool:
        """Whether the columns that are not Action Units are this tool's."""
        return not self.needed or any(header.find(name) is not None for name in self.needed)

    def found(self, header: Header) -> dict[tuple[int, str], int]:
        """(number, side or "") of each Action Unit with an intensity -> its place."""
        return self._numbered(header, self.unit)

    def present_only(self, header: Header) -> dict[int, int]:
        """Action Units of which only the presence is there -> the place of that."""
        if not self.presence:
            return {}
        known = {number for number, _ in self.found(header)}
        told = self._numbered(header, self.presence)
        return {number: place for (number, _), place in told.items() if number not in known}

    def _numbered(self, header: Header, column: str) -> dict[tuple[int, str], int]:
        if not column:
            return {}
        before, after = (re.escape(part) for part in re.split(r"\{.*\}", column))
        sides = "([LR]?)" if self.sided else "()"
        found: dict[tuple[int, str], int] = {}
        for place, match in header.matching(rf"{before}0*(\d{{1,2}}){sides}{after}"):
            key = (int(match[1]), match[2].upper())
            if key in found:
                raise InputError(
                    f"{header.path} line 1: AU{key[0]}{key[1]} is there twice, as "
                    f"{header.names[found[key]]} and {header.names[place]}; keep one of them"
                )
            found[key] = place
        return found


POSE = ("pose_Tx", "pose_Ty")  # mm from the camera's axis
BOX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")  # px

OPENFACE = Layout(
    "OpenFace", "AU{:02d}_r", 5.0, "confidence", "face_id", names=("image",), sided=True,
    presence="AU{:02d}_c", box=POSE,
)  # fmt: skip
OPENFACE3 = Layout(
    "OpenFace 3", "", 1.0, face="face_id", names=("image_path",), times=(), frames=("frame_index",),
    needed=("action_units",),
)  # fmt: skip
PYFEAT = Layout("py-feat", "AU{:02d}", 1.0, "FaceScore", "Identity", names=("input",), box=BOX)
LIBREFACE = Layout(
    "LibreFace", "au_{}_intensity", 5.0, names=("input_image_path",), times=("frame_time_in_ms",),
    frames=("frame_idx",), presence="au_{}",
)  # fmt: skip
OWN = Layout("duchenne score", "AU{}", facs.FULL, names=("image",), needed=("image",))
FILM = Layout(
    "duchenne animate", "AU{}", 1.0, times=("time",), needed=("time",), sided=True, measured=False
)
ARKIT = Layout(
    "ARKit", "", 1.0, "FaceScore", "Identity", names=("input",),
    times=("Timecode", "timestamp", "time"), box=BOX,
)  # fmt: skip

# The 8 units of DISFA that such models are trained on, in the order of their numbers; `openface
# detect` writes the values without names.
OPENFACE3_UNITS = (1, 2, 4, 6, 9, 12, 25, 26)


def require_units(layout: Layout, header: Header, found: Mapping[tuple[int, str], int]) -> None:
    """InputError for columns that count a network's outputs and are no Action Units.

    Tables of OpenFace 3's eight outputs name them AU01 to AU08 (or from AU00) by their place. FACS
    has no AU3 and no AU8 that anybody codes.
    """
    numbers = {number for number, _ in found}
    if numbers in ({*range(8)}, {*range(1, 9)}):
        first, last = (header.names[found[n, ""]] for n in (min(numbers), max(numbers)))
        right = ", ".join(layout.unit.format(n) for n in OPENFACE3_UNITS)
        raise InputError(
            f"{header.path} line 1: {first} to {last} count the outputs of a network (OpenFace 3 "
            f"has eight) and are no Action Units; name the columns by these, {right}"
        )
