"""D of Eq. 5: which Action Units are how strong in which frame.

The paper's D = [λ_1, ..., λ_k]^T holds one linear ramp for the whole expression; here every frame
has its own intensities on both sides of the face, of which that ramp is the simplest case. Frame i
is shown at exactly i / fps seconds: rates are fractions, so 23.976 means 24000/1001 and no rounding
piles up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import DescriptorError, InputError, quoted
from ..facs import Descriptor
from ..reading import numbers
from .easing import find_easing

Array = NDArray[np.float64]
Rate = int | float | str | Fraction

DEFAULT_FPS = 24
MAX_FPS = 240
MAX_FRAMES = 250_000  # three hours at 24; a typing error in a time, not a film


# ---------------------------------------------------------------- rates and counts


def frame_rate(fps: Rate) -> Fraction:
    """Frames a second as an exact fraction: 25, 12.5, "30000/1001"; 23.976 becomes 24000/1001.

    Raises InputError unless 0 < fps <= 240.

        >>> frame_rate(23.976), frame_rate("12.5")
        (Fraction(24000, 1001), Fraction(25, 2))
    """
    try:
        rate = numbers.fraction(fps)
    except ValueError:  # "abc", "1/0", inf, nan, an exponent of nine digits
        raise InputError(
            f"frame rate {quoted(fps)}: give a number like 24, 23.976 or 30000/1001"
        ) from None
    shown = quoted(fps, bare=True)
    if not 0 < rate <= MAX_FPS:
        raise InputError(f"frame rate {shown}: must lie above 0 and up to {MAX_FPS}")
    for whole in (24, 30, 48, 60, 120):  # NTSC rates, usually written with two or three decimals
        ntsc = Fraction(whole * 1000, 1001)
        if abs(rate - ntsc) < Fraction(1, 200):
            return ntsc
    rate = rate.limit_denominator(1001)
    if rate == 0:
        raise InputError(f"frame rate {shown}: too slow; use at least 1/1001")
    return rate


def as_seconds(name: str, value: float) -> Fraction:
    """A time as a fraction; InputError, naming it, unless it lies between 0 and 86400 s."""
    try:
        seconds = numbers.decimal(value)
    except ValueError:
        raise InputError(f"{name} of {quoted(value)}: expected a number of seconds") from None
    if not 0 <= seconds <= 86_400:  # NaN is not
        raise InputError(
            f"{name} of {quoted(value, bare=True)} s: must lie between 0 and 86400 seconds"
        )
    return Fraction(seconds).limit_denominator(1_000_000)


def _round(count: Fraction) -> int:
    """Nearest whole number, halves up (Python's own round sends them to even numbers)."""
    return math.floor(count + Fraction(1, 2))


def require_frames(count: int, most: int = MAX_FRAMES) -> None:
    """InputError for more frames than `most`; asked before anything of that length is made."""
    if count > most:
        raise InputError(
            f"{quoted(count)} frames are too many; at most {most}: make it shorter or lower the "
            "frame rate"
        )


def frames_through(last: Fraction, rate: Fraction, most: int = MAX_FRAMES) -> int:
    """Frames from time 0 until one is shown at `last` or just after it; see `require_frames`.

    >>> frames_through(Fraction(1), Fraction(24))
    25
    """
    count = math.ceil(last * rate) + 1
    require_frames(count, most)
    return count


# ---------------------------------------------------------------- the paper's D


def linear(frames: int) -> Array:
    """The paper's D: λ from 0 to 1 inclusive in equal steps, float64 [frames].

    A single frame is the full expression: [1.0].

        >>> linear(5)
        array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    if not 1 <= frames <= MAX_FRAMES:
        raise InputError(f"{frames} frames: give a number from 1 to {MAX_FRAMES}")
    return np.linspace(0.0, 1.0, frames) if frames > 1 else np.ones(1)


def coefficients(frames: int, easing: str = "linear") -> Array:
    """D along an easing curve, float64 [frames], from 0 to 1 inclusive.

    >>> coefficients(3, "ease-in")
    array([0.  , 0.25, 1.  ])
    """
    return find_easing(easing)(linear(frames))


# ---------------------------------------------------------------- the type


@dataclass(frozen=True, eq=False)
class Timeline:
    """AU intensities on the left and on the right side of the face for every frame.

    sides: float64 [k, U, 2] from facs.LOWEST to facs.HIGHEST, in the order of facs.CODES and
        facs.SIDES, k >= 1; read-only. Given as [k, U], both sides do the same.
    fps: exact frame rate; frame i is shown from i / fps on for 1 / fps seconds.
    """

    sides: Array
    fps: Fraction

    def __post_init__(self) -> None:
        values = np.asarray(self.sides, np.float64) + 0.0  # a copy, without -0.0
        if values.ndim == 2:
            values = np.repeat(values[:, :, None], len(facs.SIDES), axis=2)
        expected = (len(facs.CODES), len(facs.SIDES))
        assert values.shape[1:] == expected, f"[k, U] or [k, U, 2] expected, not {values.shape}"
        assert len(values), "a timeline has at least one frame"
        within = (values >= facs.LOWEST) & (values <= facs.HIGHEST)
        bad = np.argwhere(~within)  # so that NaN is bad too
        if len(bad):
            frame, unit, side = bad[0]
            left, right = values[frame, unit]
            both = np.array_equal(left, right, equal_nan=True)
            name = facs.CODES[unit] + ("" if both else facs.SIDES[side])
            raise DescriptorError(
                f"frame {frame + 1}: {name}={values[frame, unit, side]:g}: an intensity lies "
                f"between {facs.LOWEST:g} and {facs.HIGHEST:g}"
            )
        values.setflags(write=False)
        object.__setattr__(self, "sides", values)
        object.__setattr__(self, "fps", frame_rate(self.fps))

    def __len__(self) -> int:
        return len(self.sides)

    @cached_property
    def intensities(self) -> Array:
        """float64 [k, U], the mean of both sides: an AU on one side counts half; read-only."""
        mean: Array = self.sides.mean(axis=2)
        mean.setflags(write=False)
        return mean

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
    def apex(self) -> int:
        """The first frame (counted from 0) in which the face moves most."""
        return int(np.abs(self.sides).sum(axis=(1, 2)).argmax())

    def table(self) -> dict[str, Array]:
        """Columns [k] by AU code, and by code and side ("AU12L") of AUs that differ in sides."""
        uneven = np.flatnonzero((self.sides[:, :, 0] != self.sides[:, :, 1]).any(axis=0))
        return dict(zip(facs.CODES, self.intensities.T, strict=True)) | {
            facs.CODES[unit] + side: self.sides[:, unit, s]
            for unit in uneven
            for s, side in enumerate(facs.SIDES)
        }

    def curves(self) -> dict[str, Array]:
        """Columns [k] by AU code, or by code and side of AUs that differ in sides."""
        table = self.table()
        sided = {facs.split_side(name)[0] for name in table if facs.split_side(name)[1]}
        return {name: column for name, column in table.items() if name not in sided}

    def descriptor(self, frame: int) -> Descriptor:
        """The AUs that are not zero in a frame (counted from 0), with sides where they differ."""
        return facs.from_sides(self.sides[frame].tolist())

    def frames_at(self, fps: Rate) -> int:
        """How many frames it would have at another rate."""
        return max(1, _round(self.duration * frame_rate(fps)))

    def resample(self, fps: Rate) -> Timeline:
        """The same motion at another frame rate: same duration to half a frame, linear between.

        The last value is kept for as long as the last frame was shown.
        """
        rate, count = frame_rate(fps), self.frames_at(fps)
        require_frames(count)
        at = np.array([float(i / rate * self.fps) for i in range(count)])  # in old frames
        resampled = interpolate(at, np.arange(len(self)), self.sides.reshape(len(self), -1))
        return Timeline(resampled.reshape(count, *self.sides.shape[1:]), rate)

    def loop(self, n: int) -> Timeline:
        """The same, n times in a row."""
        if n < 1:
            raise InputError(f"{n} repeats: give 1 or more")
        if n * len(self) > MAX_FRAMES:
            raise InputError(
                f"{quoted(n)} repeats: {quoted(n * len(self))} frames are too many; at most "
                f"{MAX_FRAMES}"
            )
        return Timeline(np.concatenate([self.sides] * n), self.fps)

    def ping_pong(self) -> Timeline:
        """There and back, without the first frame at the end: played in a loop it is seamless."""
        require_frames(2 * len(self) - 2)
        return Timeline(np.concatenate([self.sides, self.sides[-2:0:-1]]), self.fps)

    def hold(self, seconds: float) -> Timeline:
        """The last frame stays for so many seconds longer (to the nearest frame)."""
        extra = _round(as_seconds("hold", seconds) * self.fps)
        require_frames(len(self) + extra)
        return Timeline(
            np.concatenate([self.sides, np.repeat(self.sides[-1:], extra, axis=0)]), self.fps
        )


def interpolate(at: Array, known: NDArray[Any], values: Array) -> Array:
    """Each column linearly between known places, its end values beyond them: [len(at), columns]."""
    return np.stack([np.interp(at, known, column) for column in values.T], axis=1)


def _full(descriptor: Descriptor) -> Array:
    """[U, 2], each AU's intensity on the left and the right side; checked."""
    return np.array(facs.to_sides(facs.offsets(descriptor)))


# ---------------------------------------------------------------- ways to make one


def from_descriptor(
    descriptor: Descriptor,
    frames: int = 24,
    fps: Rate = DEFAULT_FPS,
    easing: str = "linear",
    *,
    start: Descriptor | None = None,
) -> Timeline:
    """Eq. 5: every AU goes from 0 to its intensity along the same D; negative ones lessen.

    start: another expression to go from, instead of the face as it is.

    Raises DescriptorError for the descriptors, InputError for frames, fps or easing.

        >>> smile = from_descriptor({"AU12": 1.0}, frames=5)
        >>> len(smile), smile.sides[:, facs.INDEX["AU12"], 0]
        (5, array([0.  , 0.25, 0.5 , 0.75, 1.  ]))
    """
    before, full = _full(start or {}), _full(descriptor)
    along = coefficients(frames, easing)[:, None, None]
    return Timeline(before + along * (full - before), frame_rate(fps))


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

        >>> blink = onset_apex_offset({"AU43": 1.0}, 0.1, 0.1, 0.2, fps=20)
        >>> len(blink), float(blink.sides[:, facs.INDEX["AU43"]].max())
        (9, 1.0)
    """
    full = _full(descriptor)
    rate = frame_rate(fps)
    start = as_seconds("neutral", neutral)
    top = start + as_seconds("onset", onset)
    fall = top + as_seconds("apex", apex)
    end = fall + as_seconds("offset", offset)
    rise, fade = find_easing(onset_easing), find_easing(offset_easing)
    level = np.empty(frames_through(end, rate))
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
