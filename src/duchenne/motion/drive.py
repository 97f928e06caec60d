"""A recording drives the photo: AU time series of OpenFace 2 or py-feat to a timeline.

`duchenne.motion.coders` reads the tables.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from .. import facs
from ..errors import InputError
from .coders import MIN_CONFIDENCE, OPENFACE, PYFEAT, CodedTable, read_table
from .timeline import DEFAULT_FPS, MAX_FRAMES, Array, Rate, Timeline, frame_rate, interpolate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drive:
    """How a recording becomes a timeline; the defaults of read_recording.

    fps: frame rate of the timeline.
    min_confidence: frames whose face was found with less than this (0 to 1) are bridged, like
        those with success = 0 and those with an empty or NaN intensity.
    max_gap: bridged stretches longer than this many seconds are reported (they are bridged all
        the same: the motion in them is a guess).
    baseline: percentile of each AU's trusted values that counts as this person's neutral face and
        is subtracted; 0 takes the minimum, None leaves the values as they are.
    gain: factor on what remains; the result is clipped to [0, 1].
    smooth: standard deviation in seconds of a Gaussian over time; 0 is off.
    face: `face_id` or `Identity` to follow; None takes the one with the most trusted frames.
    source_fps: rate of the filmed video, for files with frame numbers only (py-feat).
    """

    fps: Rate = DEFAULT_FPS
    min_confidence: float = MIN_CONFIDENCE
    max_gap: float = 0.5
    baseline: float | None = 5.0
    gain: float = 1.0
    smooth: float = 0.0
    face: str | None = None
    source_fps: Rate = 30

    def __post_init__(self) -> None:
        frame_rate(self.fps)
        frame_rate(self.source_fps)
        limits = {
            "min_confidence": (self.min_confidence, 0.0, 1.0),
            "max_gap": (self.max_gap, 0.0, math.inf),
            "baseline": (self.baseline or 0.0, 0.0, 100.0),
            "gain": (self.gain, 0.0, 100.0),
            "smooth": (self.smooth, 0.0, 60.0),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise InputError(f"{name}={value:g}: must lie between {low:g} and {high:g}")


@dataclass(frozen=True)
class Recording:
    """What was read: the timeline, and what had to be assumed or repaired, one sentence each."""

    timeline: Timeline
    notes: tuple[str, ...]


# py-feat's approx_time is left alone: it has whole seconds only, its frame numbers say more.
TIME_COLUMNS = ("timestamp", "frame")


@dataclass(frozen=True)
class _Rows:
    """The recording of one table. times: [n] in the unit of the time column."""

    table: CodedTable
    time_column: str
    times: Array

    @property
    def values(self) -> Array:
        return self.table.values

    @property
    def trusted(self) -> NDArray[np.bool_]:
        return self.table.trusted

    def only(self, chosen: NDArray[np.bool_]) -> _Rows:
        return replace(self, table=self.table.only(chosen), times=self.times[chosen])


def read_recording(path: str | os.PathLike[str], settings: Drive | None = None) -> Recording:
    """Read an OpenFace 2 or py-feat CSV, told apart by its columns. See Drive for the settings.

    Repairs, each told in `notes` and logged: untrusted frames are bridged linearly (before the
    first and after the last trusted frame its value is kept); AUs without a column stay 0. Raises
    InputError (file, line, column) for wrong columns, no rows, no trusted row, text where a number
    belongs, and times that do not rise.
    """
    path, settings = Path(path), settings or Drive()
    notes: list[str] = []
    rows = _read_rows(path, settings.min_confidence)
    rows = _drop_empty_units(rows, path, notes)
    rows = _one_face(rows, path, settings.face, notes)
    _check_times(rows, path)
    times = _seconds(rows, settings, notes)
    if not rows.trusted.any():
        raise InputError(
            f"{path}: none of {len(times)} frames has a face found with confidence "
            f"{settings.min_confidence:g} or more and all intensities; lower the threshold or "
            "record anew"
        )
    _note_gaps(times, rows.trusted, settings.max_gap, notes)
    timeline = _timeline(path, times, rows, settings)
    for note in notes:
        log.warning("%s: %s", path, note)
    return Recording(timeline, tuple(notes))


# ---------------------------------------------------------------- the table


def _read_rows(path: Path, min_confidence: float) -> _Rows:
    table = read_table(path, (OPENFACE, PYFEAT), min_confidence)
    column = next((name for name in TIME_COLUMNS if name in table.texts), None)
    if column is None:
        raise InputError(
            f"{path} line 1: has neither a timestamp nor a frame column; give the table of a "
            "video, not of single images"
        )
    times = table.numbers(column)
    if np.isnan(times).any():
        line = table.lines[np.flatnonzero(np.isnan(times))[0]]
        raise InputError(f"{path} line {line}, column {column}: the time is missing")
    return _Rows(table, column, times)


# ---------------------------------------------------------------- checks and repairs


def _drop_empty_units(rows: _Rows, path: Path, notes: list[str]) -> _Rows:
    """AUs without any value stay 0; a row with another value missing is not trusted."""
    empty: NDArray[np.bool_] = np.array(np.isnan(rows.values).all(axis=0))
    if empty.all():
        raise InputError(f"{path}: every intensity is empty or NaN; the recording holds no face")
    if empty.any():
        absent = ", ".join(code for code, gone in zip(facs.CODES, empty, strict=True) if gone)
        notes.append(f"no values for {absent}: left at 0")
    values = np.where(empty, 0.0, rows.values)
    trusted = rows.trusted & ~np.isnan(values).any(axis=1)
    return replace(rows, table=replace(rows.table, values=values, trusted=trusted))


def _one_face(rows: _Rows, path: Path, face: str | None, notes: list[str]) -> _Rows:
    """The rows of the asked face, or of the one with the most trusted frames (first in a tie)."""
    faces = rows.table.faces()
    known = list(dict.fromkeys(name for name in faces.tolist() if name))
    if face is not None and face not in known:
        there = ", ".join(known) if known else "none is named"
        raise InputError(f"{path}: there is no face {face!r}; in the file: {there}")
    if len(known) > 1 and face is None:
        counts = Counter(faces[rows.trusted].tolist())
        face = max(known, key=lambda name: counts[name])
        notes.append(f"{len(known)} faces ({', '.join(known)}): following {face}")
    return rows if face is None else rows.only(faces == face)


def _check_times(rows: _Rows, path: Path) -> None:
    backwards = np.flatnonzero(np.diff(rows.times) <= 0)
    if len(backwards):
        i = int(backwards[0]) + 1
        raise InputError(
            f"{path} line {rows.table.lines[i]}, column {rows.time_column}: {rows.times[i]:g} does "
            f"not come after {rows.times[i - 1]:g}; times must rise, with one face a frame"
        )


def _seconds(rows: _Rows, settings: Drive, notes: list[str]) -> Array:
    """Seconds since the first row."""
    since: Array = rows.times - rows.times[0]
    if rows.time_column == "frame":
        rate = frame_rate(settings.source_fps)
        notes.append(f"frame numbers taken as {float(rate):g} frames a second (source_fps)")
        since = since / float(rate)
    return since


def _step(times: Array) -> float:
    """Seconds that one row stands for; 0 if there is only one."""
    if len(times) < 2:
        return 0.0
    return float(np.quantile(np.diff(times), 0.5, method="lower"))  # a gap is not a step


def _note_gaps(times: Array, trusted: NDArray[np.bool_], limit: float, notes: list[str]) -> None:
    """Say how many frames are bridged and where that is a guess over a long time."""
    bridged = int((~trusted).sum())
    if bridged:
        notes.append(f"{bridged} of {len(times)} frames not trusted: bridged")
    # The recording's own ends count: what lies before the first trusted frame is a guess too.
    marks = np.concatenate([times[:1], times[trusted], times[-1:]])
    gaps = np.diff(marks)
    long = gaps > max(limit, 1.5 * _step(times))
    if long.any():
        worst = int(gaps.argmax())
        notes.append(
            f"{int(long.sum())} gap(s) longer than {limit:g} s, the longest {gaps[worst]:.2f} s "
            f"from {marks[worst]:.2f} s: the motion there is a guess"
        )


# ---------------------------------------------------------------- the motion


def _timeline(path: Path, times: Array, rows: _Rows, settings: Drive) -> Timeline:
    rate = frame_rate(settings.fps)
    # The last row is shown as long as the others.
    duration = Fraction(float(times[-1]) + _step(times)).limit_denominator(1_000_000)
    count = max(1, math.floor(duration * rate + Fraction(1, 2)))
    if count > MAX_FRAMES:
        raise InputError(
            f"{path}: lasts {float(duration):.0f} s, {count} frames; at most {MAX_FRAMES}"
        )
    known, values = times[rows.trusted], rows.values[rows.trusted]
    if settings.baseline is not None:
        values = values - np.percentile(values, settings.baseline, axis=0)
    at = np.array([float(i / rate) for i in range(count)])
    motion = interpolate(at, known, values)
    if settings.smooth:
        sigma = settings.smooth * float(rate)  # in frames
        radius = math.ceil(4 * sigma)  # what lies beyond weighs less than 1e-4
        motion = gaussian_filter1d(motion, sigma, axis=0, mode="nearest", radius=radius)
    return Timeline(np.clip(motion * settings.gain, 0.0, 1.0), rate)
