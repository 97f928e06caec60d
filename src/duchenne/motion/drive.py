"""A recording drives the photo: an AU coder's time series, or a face tracker's, to a timeline.

`layouts` says whose tables are read, `moments` when their rows were, `following` whose they are.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import InputError, quoted
from .coded import MIN_CONFIDENCE, CodedTable, read_table
from .following import follow, note_jumps
from .layouts import ARKIT, FILM, LIBREFACE, OPENFACE, OPENFACE3, OPENFACE3_UNITS, PYFEAT
from .moments import read_moments, seconds
from .timeline import DEFAULT_FPS, MAX_FRAMES, Array, Rate, Timeline, frame_rate, interpolate

log = logging.getLogger(__name__)

DRIVERS = (OPENFACE3, OPENFACE, LIBREFACE, FILM, ARKIT, PYFEAT)
SLOWEST = 1  # frames a second; a slower recording is no film, and becomes one in between
WORTH_TELLING = 0.05  # in the table's own numbers: what is shown as 0.1


@dataclass(frozen=True)
class Drive:
    """How a recording becomes a timeline; the defaults of read_recording.

    fps: frame rate of the timeline; None takes the recording's.
    min_confidence: frames whose face was found with less than this (0 to 1) are bridged, like
        those without success and those with an empty or NaN intensity.
    max_gap: bridged stretches longer than this many seconds are reported (they are bridged all
        the same: the motion in them is a guess).
    baseline: percentile of each AU's trusted values that counts as this person's neutral face and
        is subtracted; 0 takes the minimum, None leaves the values as they are. A table that this
        program wrote for a film holds no person's values: nothing is subtracted.
    gain: factor on what remains; the result is clipped to [0, 1].
    smooth: standard deviation in seconds of a Gaussian over time; 0 is off.
    face: `face_id` or `Identity` to follow; None takes the one with the most trusted frames, and
        labels that are never in one frame with it.
    source_fps: rate of the filmed video, for tables that have frame numbers or timecodes; None
        takes it from their times, or 30 where there are none.
    most_frames: a longer recording is refused before anything of that length is made.
    """

    fps: Rate | None = None
    min_confidence: float = MIN_CONFIDENCE
    max_gap: float = 0.5
    baseline: float | None = 5.0
    gain: float = 1.0
    smooth: float = 0.0
    face: str | None = None
    source_fps: Rate | None = None
    most_frames: int = MAX_FRAMES

    def __post_init__(self) -> None:
        for rate in (self.fps, self.source_fps):
            if rate is not None:
                frame_rate(rate)
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
    """What was read: the timeline, and what had to be assumed or repaired, one sentence each.

    tool: whose table it is. faces: the labels in it. repairs: the notes but the last, which says
    what was recorded and is not drawn. recorded: of each AU of the timeline, its name in the table
    and its highest value there. undrawn: name -> how much, of what the timeline does not hold.
    """

    timeline: Timeline
    tool: str
    faces: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    recorded: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    undrawn: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """All that should be told."""
        if not self.undrawn:
            return self.repairs
        told = ", ".join(f"{name} ({much})" for name, much in self.undrawn.items())
        return (*self.repairs, f"recorded but not drawn: {told}")

    def drawn_with(self, units: Collection[str]) -> Recording:
        """Without the AUs that boundaries do not have; `undrawn` has them then.

        units: those that can be drawn.
        """
        missing = [code for code in self.recorded if code not in units]
        sides = self.timeline.sides.copy()
        sides[:, [facs.INDEX[code] for code in facs.CODES if code not in units]] = 0.0
        told = {
            name: f"up to {most:.1f}"
            for name, most in (self.recorded[code] for code in missing)
            if most >= WORTH_TELLING
        }
        return replace(
            self,
            timeline=Timeline(sides, self.timeline.fps),
            recorded={code: v for code, v in self.recorded.items() if code in units},
            undrawn={**told, **self.undrawn},
        )

    def tell(self, path: str | os.PathLike[str]) -> None:
        """Log the notes."""
        for note in self.notes:
            log.warning("%s: %s", path, note)


def read_recording(path: str | os.PathLike[str], settings: Drive | None = None) -> Recording:
    """`open_recording`, its notes logged."""
    recording = open_recording(path, settings)
    recording.tell(path)
    return recording


def open_recording(path: str | os.PathLike[str], settings: Drive | None = None) -> Recording:
    """Read the table of one of the DRIVERS, told apart by its columns. See Drive for the settings.

    Repairs, each told in `notes`: untrusted frames are bridged linearly (before the first and after
    the last trusted frame its value is kept); AUs without a column stay 0. Raises InputError (file,
    line, column) for wrong columns, no rows, no trusted row, text where a number belongs, values of
    another scale, and two recordings in one table.
    """
    path, settings = Path(path), settings or Drive()
    notes: list[str] = []
    table = read_table(path, DRIVERS, settings.min_confidence)
    if table.layout is OPENFACE3:
        units = ", ".join(f"AU{number}" for number in OPENFACE3_UNITS)
        notes.append(f"OpenFace 3 names no units; its eight values are taken as {units}")
    table = _drop_empty_units(table, notes)
    faces = tuple(dict.fromkeys(name for name in table.faces.tolist() if name))
    moments = read_moments(table, settings.source_fps, notes)
    followed = follow(table, moments.keys, settings.face, notes)
    # The recording lasts as long as its table does, whoever is in which frame.
    keys, at = np.unique(moments.keys, return_index=True)
    at[np.searchsorted(keys, followed.keys)] = followed.rows
    whole = replace(
        moments,
        frames=None if moments.frames is None else moments.frames[at],
        times=None if moments.times is None else moments.times[at],
    )
    times, rate = seconds(whole, settings.source_fps, notes)
    here = np.isin(keys, followed.keys)
    table = replace(table.only(at), trusted=table.trusted[at] & here)
    if not table.trusted.any():
        raise InputError(
            f"{path}: none of {len(times)} frames has a face found with confidence "
            f"{settings.min_confidence:g} or more and all intensities; lower the confidence limit "
            "or record anew"
        )
    note_jumps(table, times, notes)
    _note_gaps(times, table.trusted, settings.max_gap, notes)
    _note_cut(table, notes)
    timeline = _timeline(table, times, rate, settings)
    return Recording(
        timeline, table.layout.tool, faces, tuple(notes), _recorded(table), _undrawn(table)
    )


# ---------------------------------------------------------------- checks and repairs


def _drop_empty_units(table: CodedTable, notes: list[str]) -> CodedTable:
    """AUs without any value stay 0; a row with another value missing is not trusted."""
    empty: NDArray[np.bool_] = np.array(np.isnan(table.values).all(axis=0))  # [U, 2]
    if empty.all():
        raise InputError(
            f"{table.path}: every intensity is empty or NaN; the recording holds no face"
        )
    if empty.any() and table.layout.measured:
        gone = np.flatnonzero(empty.any(axis=1))
        absent = ", ".join(facs.CODES[unit] for unit in gone)
        notes.append(f"no values for {absent}: left at 0")
    values = np.where(empty, 0.0, table.values)
    trusted = table.trusted & ~np.isnan(values).any(axis=(1, 2))
    return replace(table, values=values, trusted=trusted)


def _note_cut(table: CodedTable, notes: list[str]) -> None:
    """Say which intensities lie above the scale: they count as its end."""
    values = table.values[table.trusted]
    _, units, _ = np.nonzero(values > 1)
    if len(units):
        codes = ", ".join(facs.CODES[unit] for unit in np.unique(units))
        full = table.layout.full
        notes.append(
            f"{len(units) // len(facs.SIDES)} values of {codes} above {full:g}, up to "
            f"{float(np.nanmax(values)) * full:g}: taken as {full:g}"
        )


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


def _recorded(table: CodedTable) -> dict[str, tuple[str, float]]:
    """The name and the highest trusted value of each AU, in the table's own numbers."""
    highest = np.abs(table.values[table.trusted]).max(axis=(0, 2)) * table.layout.full
    pairs = zip(facs.CODES, highest.tolist(), strict=True)
    return {code: (table.recorded.get(code, code), most) for code, most in pairs if most}


def _undrawn(table: CodedTable) -> dict[str, str]:
    """What was recorded and is no AU that can be drawn, or has no intensity."""
    told = {}
    for name, column in table.others.items():
        values = column[table.trusted]
        most = float(np.nanmax(values)) if np.isfinite(values).any() else 0.0
        if most >= WORTH_TELLING:
            told[name] = f"up to {most:.1f}"
    for name, present in table.present.items():
        count = int(present[table.trusted].sum())
        if count:
            told[name] = f"only whether it is there: in {count} frames"
    return told


# ---------------------------------------------------------------- the motion


def _timeline(
    table: CodedTable, times: Array, source: Fraction | None, settings: Drive
) -> Timeline:
    shown = source if source is not None and source >= SLOWEST else DEFAULT_FPS
    rate = frame_rate(shown if settings.fps is None else settings.fps)
    # The last row is shown as long as the others.
    duration = Fraction(float(times[-1]) + _step(times)).limit_denominator(1_000_000)
    count = max(1, math.floor(duration * rate + Fraction(1, 2)))
    if count > settings.most_frames:
        raise InputError(
            f"{table.path}: lasts {float(duration):.6g} s, {quoted(count)} frames; at most "
            f"{settings.most_frames}"
        )
    known, values = times[table.trusted], np.minimum(table.values[table.trusted], 1.0)
    if settings.baseline is not None and table.layout.measured:
        values = values - np.percentile(values, settings.baseline, axis=0)
    at = np.array([float(i / rate) for i in range(count)])
    motion = interpolate(at, known, values.reshape(len(values), -1))
    if settings.smooth:
        motion = _smoothed(motion, settings.smooth * float(rate))
    low = 0.0 if table.layout.measured else facs.LOWEST
    sides = motion.reshape(count, *values.shape[1:]) * settings.gain
    return Timeline(np.clip(sides, low, 1.0), rate)


def _smoothed(motion: Array, sigma: float) -> Array:
    """[k, columns] after a Gaussian of `sigma` frames; the ends are continued as they are.

    By Fourier transforms: a minute at 240 frames a second would take half an hour otherwise.
    """
    from scipy.signal import fftconvolve

    radius = math.ceil(4 * sigma)  # what lies beyond weighs less than 1e-4
    kernel = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / sigma))
    kernel /= kernel.sum()
    smooth = motion.copy()
    for i in np.flatnonzero(np.ptp(motion, axis=0)):
        column = np.pad(motion[:, i], radius, mode="edge")
        smooth[:, i] = fftconvolve(column, kernel, mode="valid")
    return smooth
