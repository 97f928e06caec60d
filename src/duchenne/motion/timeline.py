"""D of Eq. 5: which Action Units are how strong in which frame.

The paper's D = [λ_1, ..., λ_k]^T holds one linear ramp for the whole expression; here every frame
has its own twelve intensities, of which that ramp is the simplest case. Frame i is shown at exactly
i / fps seconds: rates are fractions, so 23.976 means 24000/1001 and no rounding piles up.
"""

from __future__ import annotations

import csv
import math
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import DescriptorError, InputError
from ..facs import Descriptor
from .easing import EASINGS as EASINGS
from .easing import find_easing

Array = NDArray[np.float64]
Rate = int | float | str | Fraction

DEFAULT_FPS = 24
MAX_FPS = 240
MAX_FRAMES = 1_000_000  # eleven hours at 24; a typing error in a time, not a film


# ---------------------------------------------------------------- rates and counts


def frame_rate(fps: Rate) -> Fraction:
    """Frames a second as an exact fraction: 25, 12.5, "30000/1001"; 23.976 becomes 24000/1001.

    Raises InputError unless 0 < fps <= 240.
    """
    try:
        rate = Fraction(fps)
    except (ValueError, ZeroDivisionError, OverflowError):  # "abc", "1/0", inf, nan
        raise InputError(
            f"frame rate {fps!r}: give a number like 24, 23.976 or 30000/1001"
        ) from None
    if not 0 < rate <= MAX_FPS:
        raise InputError(f"frame rate {fps}: must lie above 0 and up to {MAX_FPS}")
    for whole in (24, 30, 48, 60, 120):  # NTSC rates, usually written with two or three decimals
        ntsc = Fraction(whole * 1000, 1001)
        if abs(rate - ntsc) < Fraction(1, 200):
            return ntsc
    rate = rate.limit_denominator(1001)
    if rate == 0:
        raise InputError(f"frame rate {fps}: too slow; use at least 1/1001")
    return rate


def _seconds(name: str, value: float) -> Fraction:
    if not (math.isfinite(value) and 0 <= value <= 86_400):
        raise InputError(f"{name} of {value} s: must lie between 0 and 86400 seconds")
    return Fraction(value).limit_denominator(1_000_000)


def _round(count: Fraction) -> int:
    """Nearest whole number, halves up (Python's own round sends them to even numbers)."""
    return math.floor(count + Fraction(1, 2))


def _frames_through(last: Fraction, rate: Fraction) -> int:
    """Frames from time 0 until one is shown at `last` or just after it."""
    count = math.ceil(last * rate) + 1
    if count > MAX_FRAMES:
        raise InputError(f"{count} frames are too many; at most {MAX_FRAMES}")
    return count


# ---------------------------------------------------------------- the paper's D


def linear(frames: int) -> Array:
    """The paper's D: λ from 0 to 1 inclusive in equal steps, float64 [frames].

    A single frame is the full expression: [1.0].
    """
    if not 1 <= frames <= MAX_FRAMES:
        raise InputError(f"{frames} frames: give a number from 1 to {MAX_FRAMES}")
    return np.linspace(0.0, 1.0, frames) if frames > 1 else np.ones(1)


def coefficients(frames: int, easing: str = "linear") -> Array:
    """D along an easing curve, float64 [frames], from 0 to 1 inclusive."""
    return find_easing(easing)(linear(frames))


# ---------------------------------------------------------------- the type


@dataclass(frozen=True, eq=False)
class Timeline:
    """Twelve AU intensities for every frame.

    intensities: float64 [k, 12] in [0, 1], columns in the order of facs.CODES, k >= 1; read-only.
        Given as [k, 12, 2], the left and the right side of the face, this is their mean.
    fps: exact frame rate; frame i is shown from i / fps on for 1 / fps seconds.
    sides: float64 [k, 12, 2], left and right (`facs.SIDES`); read-only. None where they are equal
        throughout.
    """

    intensities: Array
    fps: Fraction
    sides: Array | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        values = np.array(self.intensities, dtype=np.float64)  # a copy: nobody else may change it
        shape = values.shape
        whole, split = (len(facs.CODES),), (len(facs.CODES), len(facs.SIDES))
        assert shape[1:] in (whole, split), f"[k, 12] or [k, 12, 2] expected, not {shape}"
        assert len(values), "a timeline has at least one frame"
        bad = np.argwhere(~((values >= 0.0) & (values <= 1.0)))  # so that NaN is bad too
        if len(bad):
            frame, unit, *side = bad[0]
            name = facs.CODES[unit] + "".join(facs.SIDES[i] for i in side)
            try:
                facs.check({name: float(values[tuple(bad[0])])})
            except DescriptorError as error:
                raise DescriptorError(f"frame {frame + 1}: {error}") from None
        values.setflags(write=False)
        if values.ndim == 3:
            if not np.array_equal(values[:, :, 0], values[:, :, 1]):
                object.__setattr__(self, "sides", values)
            values = values.mean(axis=2)
            values.setflags(write=False)
        object.__setattr__(self, "intensities", values)
        object.__setattr__(self, "fps", frame_rate(self.fps))

    def __len__(self) -> int:
        return len(self.intensities)

    @property
    def times(self) -> Array:
        """Seconds at which the frames are shown, float64 [k], each rounded only once."""
        n, d = self.fps.numerator, self.fps.denominator
        return np.array([i * d / n for i in range(len(self))])

    @property
    def duration(self) -> Fraction:
        """Seconds that the animation lasts, its last frame included."""
        return len(self) / self.fps

    @property
    def left_and_right(self) -> Array:
        """float64 [k, 12, 2]: every AU on the left and on the right side of the face."""
        if self.sides is not None:
            return self.sides
        return np.repeat(self.intensities[:, :, None], len(facs.SIDES), axis=2)

    def descriptor(self, frame: int) -> Descriptor:
        """The AUs that are not zero in a frame (counted from 0), with sides where they differ."""
        found: dict[str, float] = {}
        for code, (left, right) in zip(
            facs.CODES, self.left_and_right[frame].tolist(), strict=True
        ):
            values = {code: left} if left == right else {f"{code}L": left, f"{code}R": right}
            found |= {name: value for name, value in values.items() if value}
        return found

    def resample(self, fps: Rate) -> Timeline:
        """The same motion at another frame rate: same duration to half a frame, linear between.

        The last value is kept for as long as the last frame was shown.
        """
        rate = frame_rate(fps)
        count = max(1, _round(self.duration * rate))
        at = np.array([float(i / rate * self.fps) for i in range(count)])  # in old frames
        columns = self._values.reshape(len(self), -1)
        resampled = _interpolate(at, np.arange(len(self)), columns)
        return Timeline(resampled.reshape(count, *self._values.shape[1:]), rate)

    @property
    def _values(self) -> Array:
        """What the constructor takes."""
        return self.intensities if self.sides is None else self.sides

    def loop(self, n: int) -> Timeline:
        """The same, n times in a row."""
        if n < 1 or n * len(self) > MAX_FRAMES:
            raise InputError(f"{n} repeats of {len(self)} frames: give 1 or more, not too many")
        return Timeline(np.concatenate([self._values] * n), self.fps)

    def ping_pong(self) -> Timeline:
        """There and back, without the first frame at the end: played in a loop it is seamless."""
        return Timeline(np.concatenate([self._values, self._values[-2:0:-1]]), self.fps)

    def hold(self, seconds: float) -> Timeline:
        """The last frame stays for so much longer (to the nearest frame)."""
        extra = _round(_seconds("hold", seconds) * self.fps)
        return Timeline(
            np.concatenate([self._values, np.repeat(self._values[-1:], extra, axis=0)]), self.fps
        )


def _full(descriptor: Descriptor) -> Array:
    """[12, 2], each AU's intensity on the left and the right side; checked."""
    full = np.zeros((len(facs.CODES), len(facs.SIDES)))
    for name, value in facs.check(descriptor).items():
        code, side = facs.split_side(name)
        full[facs.INDEX[code], [s in (side or s) for s in facs.SIDES]] = value
    return full


def _interpolate(at: Array, known: NDArray[Any], values: Array) -> Array:
    """Each column linearly between known places, its end values beyond them: [len(at), columns]."""
    return np.stack([np.interp(at, known, column) for column in values.T], axis=1)


# ---------------------------------------------------------------- ways to make one


def from_descriptor(
    descriptor: Descriptor, frames: int = 24, fps: Rate = DEFAULT_FPS, easing: str = "linear"
) -> Timeline:
    """Eq. 5: every AU rises from 0 to its intensity along the same D.

    Raises DescriptorError for the descriptor, InputError for frames, fps or easing.
    """
    full = _full(descriptor)
    return Timeline(coefficients(frames, easing)[:, None, None] * full, frame_rate(fps))


def onset_apex_offset(
    descriptor: Descriptor,
    onset: float = 0.5,
    apex: float = 1.0,
    offset: float = 0.75,
    *,
    neutral: float = 0.0,
    fps: Rate = DEFAULT_FPS,
    onset_easing: str = "natural",
    offset_easing: str = "smooth",
) -> Timeline:
    """An expression as FACS coders describe one: it appears, stays at its strongest, and fades.

    neutral, onset, apex, offset: seconds before it starts, of rising, at full intensity, of fading.
    The first frame is neutral (unless neutral and onset are 0) and so is the last.
    """
    full = _full(descriptor)
    rate = frame_rate(fps)
    start = _seconds("neutral", neutral)
    top = start + _seconds("onset", onset)
    fall = top + _seconds("apex", apex)
    end = fall + _seconds("offset", offset)
    rise, fade = find_easing(onset_easing), find_easing(offset_easing)
    level = np.empty(_frames_through(end, rate))
    for i in range(len(level)):
        t = i / rate
        if t < start:
            level[i] = 0.0
        elif t < top:
            level[i] = rise(np.array(float((t - start) / (top - start))))
        elif t >= end:
            level[i] = 0.0
        elif t <= fall:
            level[i] = 1.0
        else:
            level[i] = 1.0 - fade(np.array(float((t - fall) / (end - fall))))
    return Timeline(level[:, None, None] * full, rate)


# ---------------------------------------------------------------- keyframes


@dataclass(frozen=True)
class Key:
    """An AU has this value at this time; `easing` is how it gets there from the key before."""

    time: float
    value: float
    easing: str


def from_keys(keys: Mapping[str, Sequence[Key]], fps: Rate = DEFAULT_FPS) -> Timeline:
    """Independent curves through the keys of each AU (ascending times, at least one key each).

    Before its first key an AU has that key's value, after its last key the last one's; AUs without
    keys stay 0. The animation starts at 0 s and ends with a frame at or just after the last key.
    """
    rate = frame_rate(fps)
    last = max(_seconds("key", curve[-1].time) for curve in keys.values())
    count = _frames_through(last, rate)
    times = np.array([float(i / rate) for i in range(count)])
    values = np.zeros((count, len(facs.CODES)))
    for code, curve in keys.items():
        column = np.full(count, curve[0].value)
        for a, b in pairwise(curve):
            part = (times >= a.time) & (times < b.time)
            share = find_easing(b.easing)((times[part] - a.time) / (b.time - a.time))
            column[part] = a.value + (b.value - a.value) * share
        column[times >= curve[-1].time] = curve[-1].value
        values[:, facs.INDEX[code]] = column
    return Timeline(values, rate)


def from_keyframes(path: str | os.PathLike[str], fps: Rate | None = None) -> Timeline:
    """Read the keys of each AU from a .toml or .csv file.

    TOML: `fps = 25` and `easing = "smooth"` are optional, then one line for each AU with its keys
    `[time in seconds, value]` or `[time, value, easing]`:

        AU12 = [[0.0, 0.0], [0.6, 1.0, "natural"], [1.5, 1.0], [2.2, 0.0]]
        AU6 = [[0.2, 0.0], [0.8, 0.7]]

    CSV: the columns `au,time,value` and optionally `easing`, one key a row, in any order of AUs.
    The argument fps wins over the file's. Raises InputError or DescriptorError with file and line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # missing, a folder, not allowed; not text
        reason = getattr(error, "strerror", None) or "not a text file"
        raise InputError(f"{path}: cannot be read ({reason}); give a .toml or .csv file") from None
    keys: dict[str, list[Key]] = {}
    match path.suffix.lower():
        case ".toml":
            file_fps = _read_toml(text, path, keys)
        case ".csv":
            file_fps = None
            _read_csv(text, path, keys)
        case _:
            raise InputError(f"{path}: keyframes are read from .toml or .csv")
    if not keys:
        raise InputError(f"{path}: holds no keys; write for example AU12 = [[0, 0], [1, 1]]")
    try:
        return from_keys(keys, next(r for r in (fps, file_fps, DEFAULT_FPS) if r is not None))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read_toml(text: str, path: Path, keys: dict[str, list[Key]]) -> Rate | None:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # its message ends with line and column
        raise InputError(f"{path}: not valid TOML: {error}") from None
    fps, easing = table.pop("fps", None), table.pop("easing", "linear")
    if fps is not None and (isinstance(fps, bool) or not isinstance(fps, int | float | str)):
        raise InputError(f"{path}: fps = {fps!r}: give a number such as 24 or 23.976")
    for name, curve in table.items():
        # tomllib keeps no positions; each name is defined once, at the start of a line
        found = re.search(rf"""^[ \t]*\[*["']?{re.escape(name)}\b""", text, re.MULTILINE)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        if not isinstance(curve, list) or not curve:
            raise InputError(
                f"{path} line {line}: {name}: expected a list of keys [[time, value], ...]"
            )
        for i, key in enumerate(curve, 1):
            where = f"{path} line {line}: {name} key {i}"
            if not isinstance(key, list) or len(key) not in (2, 3):
                raise InputError(f"{where}: expected [time, value] or [time, value, easing]")
            _add(keys, where, name, *(key if len(key) == 3 else (*key, easing)))
    return fps


def _read_csv(text: str, path: Path, keys: dict[str, list[Key]]) -> None:
    reader = csv.reader(text.splitlines(), skipinitialspace=True)
    header = [name.strip().lower() for name in next(reader, [])]
    if header not in (["au", "time", "value"], ["au", "time", "value", "easing"]):
        raise InputError(
            f"{path} line 1: expected the columns au,time,value[,easing], not {','.join(header)!r}"
        )
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        where = f"{path} line {reader.line_num}"
        if len(row) not in (3, len(header)):
            raise InputError(f"{where}: expected {len(header)} cells, not {len(row)}")
        name, time, value, easing = (cell.strip() for cell in [*row, ""][:4])
        _add(keys, where, name, time, value, easing or "linear")


def _add(keys: dict[str, list[Key]], where: str, *cells: Any) -> None:
    """Check one key (name, time, value, easing) and append it to its AU's curve."""
    name, time, value, easing = cells
    try:
        if isinstance(time, bool) or isinstance(value, bool):
            raise TypeError
        at, level = float(time), float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: time {time!r} and value {value!r} must be numbers") from None
    try:
        (code,) = facs.check({name: level})
        find_easing(easing)
        _seconds("time", at)
    except (DescriptorError, InputError) as error:
        raise type(error)(f"{where}: {error}") from None
    curve = keys.setdefault(code, [])
    if curve and at <= curve[-1].time:
        raise InputError(f"{where}: time {at:g} s must come after {curve[-1].time:g} s")
    curve.append(Key(at, level, easing))
