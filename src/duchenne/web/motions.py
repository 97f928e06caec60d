"""Keyframes and recordings from the page, read by the library into its timelines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..motion import keyframes
from ..motion.blinks import blinking
from ..motion.drive import Drive, open_recording
from ..motion.timeline import DEFAULT_FPS, MAX_FRAMES, Rate, Timeline, require_frames
from ..reading import numbers, tables
from .asked_for import flag, whole
from .settings import Limits

MAX_KEYS = 500
CURVE_POINTS = 240


@dataclass(frozen=True)
class MotionFile:
    """A CSV file that came in. rows: its keys, if it held keyframes; notes: what was assumed.

    faces: the labels in a recording, of which one can be followed.
    """

    kind: str
    timeline: Timeline
    rows: tuple[tuple[str, float, float, str], ...] = ()
    notes: tuple[str, ...] = ()
    faces: tuple[str, ...] = ()


def asked_reading(asked: Mapping[str, str], limits: Limits) -> Drive:
    """How the page wants a recording read: `Drive`, with the library's defaults for what is empty.

    asked: fps, source_fps, follow, confidence, all of them text. Raises InputError.
    """
    rates = {name: asked[name][:20] for name in ("fps", "source_fps") if asked.get(name)}
    settings: dict[str, Any] = {**rates, "face": asked.get("follow") or None}
    if asked.get("confidence"):
        settings["min_confidence"] = numbers.number("confidence", asked["confidence"], 0, 1)
    return Drive(**settings, most_frames=limits.shown_frames)


def read_motion_file(
    path: Path, settings: Drive, units: Collection[str], limits: Limits
) -> tuple[MotionFile, dict[str, Any]]:
    """What a CSV file holds, and its course; see `course`.

    units: those that the page's boundaries have.
    """
    table = _read(path, settings, units)
    return table, course(table.timeline, limits.film_frames)


def _read(path: Path, settings: Drive, units: Collection[str]) -> MotionFile:
    """Keyframes (`au,time,value[,easing]`) or a recording, by its columns.

    Raises InputError for everything else.
    """
    sheet = tables.read(path, lambda header: (), short=True)
    if any(sheet.header.find(name) is None for name in keyframes.KEY_COLUMNS):
        recording = open_recording(path, settings).drawn_with(units)
        return MotionFile(
            "recording", recording.timeline, notes=recording.notes, faces=recording.faces
        )
    keys = list(keyframes.csv_rows(tables.read(path, short=True)))
    timeline = _from_keys(keys, settings.fps or DEFAULT_FPS, settings.most_frames)
    rows = tuple(
        (au.upper(), numbers.decimal(time), numbers.decimal(value), ease)
        for _, (au, time, value, ease) in keys
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
    if not flag(asked, "recording"):
        keys = asked.get("keys", [])
        if not isinstance(keys, list):
            raise InputError("keys: expected a list of [AU, seconds, value] or with an easing")
        timeline = from_rows(keys, fps, most)
    elif recording is None:
        raise InputError("there is no recording; choose its CSV file again")
    else:
        require_frames(recording.frames_at(fps), most)
        timeline = recording.resample(fps)
    there_and_back = flag(asked, "ping_pong")
    times = whole({"loop": 1, **asked}, "loop", 1, 20)
    require_frames(len(timeline) * (1 + there_and_back) * times, most)
    timeline = (timeline.ping_pong() if there_and_back else timeline).loop(times)
    return blinking(timeline) if flag(asked, "blink") else timeline


def course(timeline: Timeline, most: int) -> dict[str, Any]:
    """What the page shows of a motion: its length, and a curve for each AU or side that moves.

    most: the frames that a film may have.
    """
    step = max(1, -(-len(timeline) // CURVE_POINTS))
    curves = {
        name: [round(float(v), 3) for v in values[::step]]
        for name, values in timeline.curves().items()
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


def _from_keys(keys: Sequence[keyframes.Row], fps: Rate, most: int) -> Timeline:
    if len(keys) > MAX_KEYS:
        raise InputError(f"{len(keys)} keys are too many; at most {MAX_KEYS}")
    if not keys:
        raise InputError("there are no keys yet; add one, or take them from the sliders")
    return keyframes.from_rows(keys, fps, most)
