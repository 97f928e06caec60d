"""When the rows of a recording were: frame numbers, times, timecodes, and the rate behind them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .coded import CodedTable
from .timeline import MAX_FPS, Rate, frame_rate

Array = NDArray[np.float64]

USUAL_FPS = 30  # of a film, where nothing says its rate
LINK_FPS = 60  # Live Link Face's, where a short table does not show it
ROUNDED = 0.75  # fewer distinct times than this share of the rows: they were rounded
_PER_SECOND = {"frame_time_in_ms": 1000.0}
_TIMECODE = re.compile(r"(\d{1,2})[:;](\d{2})[:;](\d{2})[:;.](\d{1,3})(?:\.(\d{1,20}))?", re.ASCII)
_NTSC = tuple(Fraction(whole * 1000, 1001) for whole in (24, 30, 48, 60, 120))
_DAY = 86_400.0


@dataclass(frozen=True)
class Moments:
    """When each row of a table was.

    frames: [n] numbers of the film's frames, None without them. times: [n] seconds, None without
    them. by_time: rows of the same frame are told by their times, else by their frames. coded:
    times were timecodes, whose rate was told or seen, so that they need no other.
    """

    column: str
    frames: Array | None
    times: Array | None
    by_time: bool
    coded: Fraction | None = None

    @property
    def keys(self) -> Array:
        """[n], equal for rows of the same frame."""
        keys = self.times if self.by_time else self.frames
        assert keys is not None
        return keys


def read_moments(table: CodedTable, source_fps: Rate | None, notes: list[str]) -> Moments:
    """The frames and times of a table; InputError if it has neither, or one is missing."""
    layout, names = table.layout, table.sheet.header.names
    frame, time = table.first(layout.frames), table.first(layout.times)
    if frame is None and time is None:
        raise InputError(
            f"{table.path} line 1: has neither a timestamp nor a frame column; give the table of a "
            "film, or the intensities of one picture with --au"
        )
    frames = None if frame is None else table.sheet.numbers(frame)
    if frames is not None and np.isnan(frames).any() and time is not None:
        frames = None
    times, coded = None, None
    if time is not None and names[time].lower() == "timecode":
        times, coded = _timecodes(table, time, source_fps, notes)
    elif time is not None:
        times = table.sheet.numbers(time) / _PER_SECOND.get(names[time].lower(), 1.0)
        if frames is not None and np.isnan(times).any():
            times = None
    column = names[time] if frames is None and time is not None else names[frame or 0]
    by_time = times is not None and (frames is None or _alone(times, table))
    moments = Moments(column, frames, times, by_time, coded)
    missing = np.flatnonzero(np.isnan(moments.keys))
    if len(missing):
        line = table.lines[missing[0]]
        raise InputError(f"{table.path} line {line}, column {column}: the time is missing")
    several_faces = len(set(table.faces.tolist()) - {""}) > 1
    return moments if several_faces else _counted(moments, len(table.lines))


def _alone(times: Array, table: CodedTable) -> bool:
    """Whether no two rows of a face have the same time."""
    pairs = set(zip(table.faces.tolist(), times.tolist(), strict=True))
    return len(pairs) == len(times)


def _counted(moments: Moments, count: int) -> Moments:
    """Rows are frames where the times of one face are rounded so far that rows share them."""
    if moments.frames is not None or moments.times is None or count < 2:
        return moments
    distinct = len(np.unique(moments.times))
    in_order = bool((np.diff(moments.times) >= 0).all())
    if distinct > ROUNDED * count or not in_order:
        return moments
    return Moments("row", np.arange(count, dtype=float), moments.times, by_time=False)


def seconds(
    moments: Moments, source_fps: Rate | None, notes: list[str]
) -> tuple[Array, Fraction | None]:
    """Seconds since the first row of rows in order, and the recording's rate; None: one row.

    The told rate wins where frames have numbers; then the times, as far as they rise.
    """
    frames, times = moments.frames, moments.times
    told = None if source_fps is None else frame_rate(source_fps)
    if frames is None:
        assert times is not None
        if told is not None and moments.coded is None:
            notes.append("the recording has times; its frame rate, which was told, is not needed")
        since = times - times[0]
        steps = np.diff(since)
        if not len(steps):
            return since, None
        numbers = np.concatenate([[0], np.cumsum(np.maximum(1, np.round(steps / _middle(steps))))])
        return since, measured_rate(numbers, since)
    since = frames - frames[0]
    if told is not None:
        notes.append(
            f"{moments.column} numbers taken as {float(told):g} frames a second (source_fps)"
        )
        return since / float(told), told
    if times is not None and len(times) > 1 and times[-1] > times[0]:
        passed = times - times[0]
        rate = measured_rate(since, passed)
        if (np.diff(passed) > 0).all():
            return passed, rate
        if (np.diff(passed) >= 0).all():
            notes.append(
                f"times are rounded until some are equal: {moments.column} numbers taken instead, "
                f"at {float(rate):g} frames a second"
            )
            return since / float(rate), rate
    if len(since) < 2:
        return since, None
    rate = Fraction(USUAL_FPS)
    why = "all times are equal" if times is not None else "nothing says the rate"
    notes.append(
        f"{moments.column} numbers taken as {USUAL_FPS} frames a second, for {why}; if it is "
        "another, tell it (source_fps)"
    )
    return since / float(rate), rate


def measured_rate(numbers: Array, times: Array) -> Fraction:
    """The rate of frames, [n] numbers that rise, at [n] seconds that are rounded.

    A usual rate if the times, as they are rounded, agree with it; whole ones first. Never above
    MAX_FPS.
    """
    apart = numbers - numbers.mean()  # least squares: the ends alone are rounded too far
    slope = float((apart @ apart) / max(apart @ times, 1e-12))
    if not slope < MAX_FPS:
        return Fraction(MAX_FPS)
    near = [c for c in _candidates(slope) if abs(c - slope) < 0.01 * slope]
    allowed = 1.02 * _rounding(times) + 1e-9
    for rate in near:
        if np.ptp(times - numbers / float(rate)) <= allowed:
            return rate
    close = [rate for rate in near if abs(rate - slope) < 0.002 * slope]
    return close[0] if close else Fraction(slope).limit_denominator(1_000_000)


def _candidates(slope: float) -> Iterable[Fraction]:
    whole = round(slope)
    yield from (Fraction(n) for n in (whole, whole - 1, whole + 1) if n > 0)
    yield from sorted(_NTSC, key=lambda rate: abs(rate - slope))
    yield Fraction(round(2 * slope), 2)


def _rounding(times: Array) -> float:
    """The step that the times are rounded to, 1e-6 s at least."""
    for digits in range(7):
        if np.allclose(times, np.round(times, digits), rtol=0, atol=1e-9):
            return float(10.0**-digits)
    return 1e-6


def _middle(steps: Array) -> float:
    """The usual step; a gap is not one."""
    return float(np.quantile(steps, 0.5, method="lower")) or 1.0


# ---------------------------------------------------------------- timecodes


def _timecodes(
    table: CodedTable, place: int, source_fps: Rate | None, notes: list[str]
) -> tuple[Array, Fraction]:
    """Seconds of hours:minutes:seconds:frames.part, and the rate that frames are counted at.

    Frames are counted at a whole rate: the told one, or the usual one above the largest number
    that is seen. At 29.97 or 59.94 the count is as if it were 30 or 60.
    """
    parts = []
    for line, text in zip(table.lines, table.sheet.columns[place], strict=True):
        match = _TIMECODE.fullmatch(text)
        if match is None:
            raise InputError(
                f"{table.path} line {line}, column {table.sheet.header.names[place]}: "
                f"{text[:40]!r} is no timecode like 12:34:56:07.890"
            )
        part = float(f"0.{match[5]}") if match[5] else 0.0
        parts.append((*(float(match[i]) for i in (1, 2, 3)), float(match[4]) + part))
    hours, minutes, whole, frames = np.array(parts).T
    seen = int(frames.max()) + 1
    if source_fps is not None:
        rate = frame_rate(source_fps)
        if seen > round(rate):
            raise InputError(
                f"{table.path}: timecodes count frames up to {seen - 1}, so they are counted at "
                f"more than the told {float(rate):g} a second; leave that out, or tell theirs"
            )
    else:
        full = len(np.unique(whole)) > 1 and len(frames) > 1
        usual = next((n for n in (24, 25, 30, 48, 50, 60, 100, 120) if n >= seen), seen)
        rate = Fraction(usual if full else max(LINK_FPS, seen))
        if not full:
            notes.append(
                f"timecodes counted at {float(rate):g} frames a second; if the rate is another, "
                "tell it (source_fps)"
            )
    counted = round(rate)
    total = ((hours * 60 + minutes) * 60 + whole) * counted + frames
    times = total / float(rate)
    passed_midnight = np.concatenate([[0], np.cumsum(np.diff(times) < -_DAY / 2)])
    return times + passed_midnight * _DAY * counted / float(rate), rate
