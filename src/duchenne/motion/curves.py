"""A motion as ARKit's curves, in the table that Live Link Face writes and its readers take."""

from __future__ import annotations

import csv
import io

from . import arkit
from .timeline import Timeline

COLUMNS = tuple(name[0].upper() + name[1:] for name in arkit.ORDER) + arkit.ROTATIONS


def curves_text(timeline: Timeline) -> str:
    """One row a frame: its timecode, how many curves, 52 coefficients, 9 rotations that are 0.

    Timecodes begin at 00:00:00:00 and count frames at the whole rate next to the motion's, as
    timecodes do: 29.97 counts 30.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["Timecode", "BlendShapeCount", *COLUMNS])
    curves = arkit.from_units(timeline.sides)
    rows = zip(*(curves[name] for name in arkit.ORDER), strict=True)
    rate = max(1, round(timeline.fps))
    for number, row in enumerate(rows):
        seconds, frame = divmod(number, rate)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        code = f"{hours:02d}:{minutes:02d}:{seconds:02d}:{frame:02d}.000"
        still = ["0"] * len(arkit.ROTATIONS)
        table.writerow([code, len(COLUMNS), *(f"{value:.6g}" for value in row), *still])
    return text.getvalue()
