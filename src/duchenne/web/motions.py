"""Keyframes and recordings from the page, read by the library into its timelines."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import facs
from ..errors import InputError
from ..motion import keyframes
from ..motion.drive import Drive, read_recording
from ..motion.timeline import DEFAULT_FPS, MAX_FRAMES, Timeline, require_frames
from .asked_for import whole
from .settings import Limits

KEY_COLUMNS = ("au", "time", "value")
MAX_KEYS = 500
CURVE_POINTS = 240


@dataclass(frozen=True)
class MotionFile:
    """A CSV file that came in. rows: its keys, if it held keyframes; notes: what was assumed."""

    kind: str
    timeline: Timeline
    rows: tuple[tuple[str, float, float, str], ...] = ()
    notes: tuple[str, ...] = ()


def read_motion_file(path: Path, fps: str, limits: Limits) -> tuple[MotionFile, dict[str, Any]]:
    """What a CSV file holds, and its course; see `course`."""
    table = _read(path, fps, limits.shown_frames)
    return table, course(table.timeline, limits.film_frames)


def _read(path: Path, fps: str, most: int) -> MotionFile:
    """Keyframes (`au,time,value[,easing]`) or a recording of OpenFace or py-feat, by its columns.

    Raises InputError for everything else.
    """
    text = _text(path)
    header = [name.strip().lower() for name in next(csv.reader(io.StringIO(text)), [])]
    if tuple(header[:3]) != KEY_COLUMNS:
        recording = read_recording(path, Drive(fps=fps, most_frames=most))
        return MotionFile("recording", recording.timeline, notes=recording.notes)
    keys = list(keyframes.csv_rows(text, path))
    timeline = _from_keys(keys, fps, most)
    rows = tuple(
        (au.upper(), float(time), float(value), ease) for _, (au, time, value, ease) in keys
    )
    return MotionFile("keyframes", timeline, rows)


def asked_course(
    asked: Mapping[str, Any], recording: Timeline | None, limits: Limits
) -> dict[str, Any]:
    """The course of the motion that the page describes."""
    return course(asked_motion(asked, recording, limits.shown_frames), limits.film_frames)


def asked_motion(asked: Mapping[str, Any], recording: Timeline | None, most: int) -> Timeline:
    """The motion that the page describes: keys or the recording, and what is done with it.

    Raises InputError, before anything of that length is made, for more than `most` frames.
    """
    fps = str(asked.get("fps", DEFAULT_FPS))[:20]
    if asked.get("recording") is not True:
        keys = asked.get("keys")
        timeline = from_rows(keys if isinstance(keys, list) else [], fps, most)
    elif recording is None:
        raise InputError("there is no recording; choose its CSV file again")
    else:
        require_frames(recording.frames_at(fps), most)
        timeline = recording.resample(fps)
    there_and_back = asked.get("ping_pong") is True
    times = whole({"loop": 1, **asked}, "loop", 1, 20)
    require_frames(len(timeline) * (1 + there_and_back) * times, most)
    return (timeline.ping_pong() if there_and_back else timeline).loop(times)


def course(timeline: Timeline, most: int) -> dict[str, Any]:
    """What the page shows of a motion: its length, and a curve for each AU that moves.

    most: the frames that a film may have.
    """
    step = max(1, -(-len(timeline) // CURVE_POINTS))
    curves = {
        code: [round(float(v), 3) for v in values[::step]]
        for code, values in zip(facs.CODES, timeline.intensities.T, strict=True)
        if values.any()
    }
    return {
        "frames": len(timeline), "seconds": round(float(timeline.duration), 3),
        "fps": float(timeline.fps), "curves": curves, "too_long": len(timeline) > most,
    }  # fmt: skip


def from_rows(rows: Sequence[Any], fps: str, most: int = MAX_FRAMES) -> Timeline:
    """The timeline of keys (AU, seconds, value[, easing]); "AU12L" moves the left side alone.

    Raises InputError or DescriptorError; lines that the message names are rows of the table, the
    first being 2, as in a file with a header.
    """
    keys = []
    for number, row in enumerate(rows, 2):
        if not (isinstance(row, list) and 3 <= len(row) <= 4):
            raise InputError(f"line {number}: expected AU, time, value and perhaps an easing")
        au, time, value, easing = [*row, ""][:4]
        keys.append((f"line {number}", (str(au), time, value, easing or "linear")))
    return _from_keys(keys, fps, most)


def _from_keys(keys: Sequence[keyframes.Row], fps: str, most: int) -> Timeline:
    if len(keys) > MAX_KEYS:
        raise InputError(f"{len(keys)} keys are too many; at most {MAX_KEYS}")
    if not keys:
        raise InputError("there are no keys yet; add one, or take them from the sliders")
    return keyframes.from_rows(keys, fps, most)


def _text(path: Path) -> str:
    """The file as text, refused if it is anything else."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path.name}: not a text file; expected a CSV") from None
    if "\0" in text:
        raise InputError(f"{path.name}: not a text file; expected a CSV")
    return text
